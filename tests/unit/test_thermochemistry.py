"""Thermochemistry: against hand calculations, tables, and exact symmetries."""

import math

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.units import invcm, kB

from solvation.clusters.ensembles import Structure
from solvation.clusters.relaxation import relax
from solvation.clusters.shell import build_shell
from solvation.energies.thermochemistry import (
    BindingThermochemistry,
    binding_thermochemistry,
    molar_pressure_bar,
    symmetry_number,
    thermal_correction,
    thermochemistry_from_json,
    thermochemistry_to_json,
)
from solvation.energies.vibrations import Vibrations, normal_modes, vibrations
from solvation.species import build_molecule
from solvation.study import Level, Species, Thermochemistry

GFN2 = Level.model_validate("gfn2")
J_MOL_K = 96485.33212


def modes(atoms: Atoms, *wavenumbers: float) -> Vibrations:
    return Vibrations(GFN2, atoms.positions, 0.0, np.array(sorted(wavenumbers)), 0)


def corrected(atoms: Atoms, *wavenumbers: float, temperature_K: float = 298.15, pressure_bar: float = 1.0):
    return thermal_correction(
        modes(atoms, *wavenumbers), atoms, name="x", structure="c01",
        temperature_K=temperature_K, pressure_bar=pressure_bar,
    )  # fmt: skip


def test_an_atom_has_the_sackur_tetrode_entropy():
    argon = corrected(Atoms("Ar"))
    assert argon.entropy_eV_K["rrho"] * J_MOL_K == pytest.approx(154.85, abs=0.02)  # NIST, 1 bar
    assert argon.enthalpy_eV == pytest.approx(2.5 * kB * 298.15)
    assert math.isnan(argon.softest_cm)


def test_water_from_its_measured_wavenumbers():
    water = corrected(molecule("H2O"), 1595, 3657, 3756)
    assert water.entropy_eV_K["rrho"] * J_MOL_K == pytest.approx(188.84, abs=0.3)  # NIST
    assert water.zero_point_eV == pytest.approx(0.5 * (1595 + 3657 + 3756) * invcm)
    # No soft modes: the treatments agree.
    assert max(water.entropy_eV_K.values()) - min(water.entropy_eV_K.values()) < 1e-6


@pytest.mark.parametrize(
    ("name", "turns"),
    [
        ("H2O", 2),
        ("NH3", 3),
        ("CH4", 12),
        ("C6H6", 12),
        ("CO2", 2),
        ("HCN", 1),
        ("N2", 2),
        ("CH3OH", 1),
        ("C2H4", 4),
        ("C2H6", 6),
        ("CH3CN", 3),
        ("CH3OCH3", 2),
        ("CF4", 12),
        ("Li", 1),
    ],
)
def test_a_molecule_is_turned_into_itself_as_often_as_its_point_group_says(name, turns):
    atoms = Atoms("Li") if name == "Li" else molecule(name)
    atoms.rotate(37, (1, 2, 3))
    assert symmetry_number(atoms) == turns


def test_a_minimum_that_an_optimiser_left_a_little_askew_keeps_its_symmetry_and_a_bent_one_has_none():
    rng = np.random.default_rng(0)
    askew = molecule("NH3")
    askew.positions += rng.uniform(-0.005, 0.005, (4, 3))
    assert symmetry_number(askew) == 3
    for name, turns in (("CH4", 12), ("C6H6", 12)):
        askew = molecule(name)
        askew.positions += rng.uniform(-0.005, 0.005, askew.positions.shape)
        assert symmetry_number(askew) == turns
    bent = molecule("NH3")
    bent.positions[1] += 0.4
    assert symmetry_number(bent) == 1


def test_how_methyls_stand_changes_no_symmetry_number():
    """Four acetonitriles around Li+, each turned about its axis by chance."""
    rng = np.random.default_rng(1)
    complexes = Atoms("Li", [[0, 0, 0]])
    for axis in ((1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)):
        ligand = molecule("CH3CN")
        ligand.positions -= ligand.positions[ligand.symbols == "N"]
        ligand.rotate(ligand.positions[ligand.symbols == "C"].mean(axis=0), axis)
        ligand.rotate(rng.uniform(0, 360), axis)
        ligand.positions += 2.05 * np.array(axis) / math.sqrt(3)
        complexes += ligand
    assert symmetry_number(complexes) == 12


def test_ammonia_from_its_measured_wavenumbers():
    ammonia = corrected(molecule("NH3"), 950, 1627, 1627, 3337, 3444, 3444)
    assert ammonia.symmetry_number == 3
    assert ammonia.entropy_eV_K["rrho"] * J_MOL_K == pytest.approx(192.77, abs=0.3)  # NIST


def test_soft_modes_by_hand():
    temperature, soft = 300.0, 20.0
    atoms = molecule("H2O")
    found = corrected(atoms, soft, 3657, 3756, temperature_K=temperature).entropy_eV_K

    def harmonic(wavenumber: float) -> float:
        x = wavenumber * invcm / (kB * temperature)
        return kB * (x / math.expm1(x) - math.log(-math.expm1(-x)))

    assert found["rrho"] - found["truhlar"] == pytest.approx(harmonic(20) - harmonic(100), rel=1e-6)
    # Grimme (2012), eqs 4-8, in SI units.
    h, k, c, amu = 6.62607015e-34, 1.380649e-23, 2.99792458e10, 1.66053907e-27
    mu = h / (8 * math.pi**2 * soft * c)
    inertia = np.mean(atoms.get_moments_of_inertia()) * amu * 1e-20
    reduced = mu * inertia / (mu + inertia)
    rotor = kB * (0.5 + math.log(math.sqrt(8 * math.pi**3 * reduced * k * temperature / h**2)))
    weight = 1 / (1 + (100 / soft) ** 4)
    mixed = weight * harmonic(soft) + (1 - weight) * rotor
    assert found["grimme"] - found["rrho"] == pytest.approx(mixed - harmonic(soft), abs=2e-8)


def test_one_molar_is_a_pressure():
    assert molar_pressure_bar(298.15) == pytest.approx(24.79, abs=0.01)
    atoms = molecule("H2O")
    gas, solution = (corrected(atoms, 1595, 3657, 3756, pressure_bar=p) for p in (1.0, molar_pressure_bar(298.15)))
    # kT ln 24.79; from one atmosphere it is the textbook 1.89 kcal/mol.
    assert solution.gibbs_eV("rrho") - gas.gibbs_eV("rrho") == pytest.approx(0.08248, abs=1e-5)


def test_a_saddle_has_no_free_energy_and_says_so():
    found = corrected(molecule("H2O"), -150, 3657, 3756)
    assert math.isnan(found.gibbs_eV("grimme"))
    assert "no minimum at gfn2: -150 cm-1" in found.note
    noise = corrected(molecule("H2O"), -5, 3657, 3756)
    assert noise.note == ""
    assert noise.n_imaginary == 1


def test_binding_counts_every_copy_of_a_ligand_and_survives_its_file():
    ion, water = corrected(Atoms("Li")), corrected(molecule("H2O"), 1595, 3657, 3756)
    whole = BindingThermochemistry(water, (ion, water, water))
    assert whole.zero_point_eV == pytest.approx(-water.zero_point_eV)
    assert whole.gibbs_eV("grimme") == pytest.approx(-ion.gibbs_eV("grimme") - water.gibbs_eV("grimme"))
    (again,) = thermochemistry_from_json(thermochemistry_to_json([whole]))
    assert again.gibbs_eV("truhlar") == whole.gibbs_eV("truhlar")


@pytest.mark.engine
def test_each_of_several_temperatures_is_as_if_alone():
    parts = {"Li+": build_molecule("Li+", Species(smiles="[Li+]")), "W": build_molecule("W", Species(smiles="O"))}
    free = {"Li+": Structure("a", Atoms("Li"), 0.0, 0.0, GFN2), "W": Structure("b", molecule("H2O"), 0.0, 0.0, GFN2)}
    both = Atoms("LiOH2", [[0, 0, -1.85], [0, 0, 0], [0, 0.77, 0.56], [0, -0.77, 0.56]])
    shell, whole = build_shell({"Li+": 1, "W": 1}, parts), Structure("c", both, 0.0, 0.0, GFN2)

    def at(temperature):
        return binding_thermochemistry(whole, shell, free, Thermochemistry(temperature_K=temperature))

    several = at((300.0, 400.0))
    # As text, in which the softest mode of an atom, NaN, equals itself.
    assert repr(several) == repr((*at(300.0), *at(400.0)))
    assert [item.complex.temperature_K for item in several] == [300.0, 400.0]
    assert repr(thermochemistry_from_json(thermochemistry_to_json(several))) == repr(several)
    # Two free bodies become one: at a higher temperature it binds less.
    assert several[0].gibbs_eV("grimme") < several[1].gibbs_eV("grimme")


@pytest.mark.engine
def test_a_mode_that_was_followed_is_told_with_what_it_brought():
    flat = Atoms("NH3", [[0, 0, 0], [1.0, 0, 0], [-0.5, 0.866, 0], [-0.5, -0.866, 0]])
    parts = {"Li+": build_molecule("Li+", Species(smiles="[Li+]")), "A": build_molecule("A", Species(smiles="N"))}
    planar = relax(flat, GFN2, charge=0, fmax_eV_A=0.003)
    flat.positions = planar.positions_A
    free = {
        "Li+": Structure("a", Atoms("Li"), 0.0, 0.0, GFN2), "A": Structure("b", flat, planar.energy_eV, 0.0, GFN2),
    }  # fmt: skip
    whole = Atoms("Li", [[0, 0, -2.0]]) + molecule("NH3")
    (found,) = binding_thermochemistry(
        Structure("c", whole, 0.0, 0.0, GFN2), build_shell({"Li+": 1, "A": 1}, parts), free, Thermochemistry()
    )
    assert "A b: 1 imaginary mode followed to a minimum 0." in found.note
    ammonia = found.free[1]
    assert (ammonia.followed, len(ammonia.wavenumbers_cm)) == (1, 6)
    assert ammonia.wavenumbers_cm[0] == pytest.approx(ammonia.softest_cm)


def test_rigid_motion_is_projected_out():
    rng = np.random.default_rng(0)
    for name, rigid in (("H2O", 6), ("CO2", 5)):
        atoms = molecule(name)
        square = rng.normal(size=(9, 9))
        wavenumbers, displacements = normal_modes(atoms, square @ square.T)
        assert len(wavenumbers) == 9 - rigid
        assert np.all(wavenumbers > 0)
        drift = np.einsum("mac,a->mc", displacements, atoms.get_masses())
        assert np.abs(drift).max() < 1e-10


def test_what_a_relaxation_left_nearly_linear_is_linear():
    square = np.random.default_rng(0).normal(size=(9, 9))
    bent = molecule("CO2")
    bent.positions[0] += [0.004, 0, 0]
    assert len(normal_modes(bent, square @ square.T)[0]) == 4
    # Water with its angle opened to 170 degrees is bent, and turns about three axes.
    water = molecule("H2O")
    water.set_angle(1, 0, 2, 170)
    assert len(normal_modes(water, square @ square.T)[0]) == 3


@pytest.mark.engine
def test_wavenumbers_are_those_of_xtb_and_a_saddle_is_left():
    water = vibrations(molecule("H2O"), GFN2, charge=0)
    assert water.wavenumbers_cm == pytest.approx([1539.75, 3643.22, 3651.54], abs=2)  # xtb 6.5.1 --ohess
    flat = Atoms("NH3", [[0, 0, 0], [1.0, 0, 0], [-0.5, 0.866, 0], [-0.5, -0.866, 0]])
    pyramid = vibrations(flat, GFN2, charge=0)
    assert pyramid.followed == 1
    assert pyramid.is_minimum
    assert pyramid.wavenumbers_cm[0] > 500
