"""Why it binds: exact limits of the decomposition, sum rules of charges and densities, potentials by hand."""

import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.io.cube import read_cube
from ase.units import Bohr, Hartree

from solvation.clusters.ensembles import Structure
from solvation.clusters.shell import Shell
from solvation.energies.binding import Reference, bind
from solvation.energies.bonding import bonding, bonding_from_json, bonding_to_json, write_density_difference
from solvation.engines import energy_eV
from solvation.engines.decomposition import Fragment, converged_fields, decompose
from solvation.engines.electrons import (
    SCHEMES,
    atomic_charges,
    converged_field,
    esp_fit,
    frontier_orbitals_eV,
    instabilities,
    potential_V,
    stability,
)
from solvation.errors import EngineFailed, StudyError
from solvation.species import build_molecule
from solvation.study import Level, Species

pytestmark = pytest.mark.engine
pytest.importorskip("pyscf")
PBE = Level.model_validate("pbe-d4/def2-svp")
GFN2 = Level.model_validate("gfn2")
ION = np.array([True, False, False, False])


def li_water(distance_A: float = 1.85) -> Atoms:
    water = Atoms("OH2", [[0, 0, 0], [0, 0.757, 0.586], [0, -0.757, 0.586]])
    water.translate([0, 0, distance_A])
    return Atoms("Li", [[0, 0, 0]]) + water


@pytest.fixture(scope="module")
def fields():
    return converged_fields(li_water(), PBE, [Fragment(ION, 1), Fragment(~ION, 0)])


@pytest.fixture(scope="module")
def analysed():
    shell = Shell((build_molecule("Li+", Species(smiles="[Li+]")), build_molecule("W", Species(smiles="O"))))
    structure = Structure("s01", shell.atoms(li_water().positions), 0.0, 0.0, GFN2)
    found, fields = bonding(structure, shell, PBE)
    return structure, shell, found, fields


def test_the_terms_add_up_to_what_separate_calculations_give(fields):
    terms = decompose(fields)
    atoms = li_water()
    interaction = (
        energy_eV(atoms, PBE, charge=1) - energy_eV(atoms[ION], PBE, charge=1) - energy_eV(atoms[~ION], PBE, charge=0)
    )
    assert terms.interaction_eV == pytest.approx(interaction, abs=1e-5)


def test_every_relaxation_lowers_the_energy_and_pauli_raises_it(fields):
    terms = decompose(fields)
    assert terms.electrostatics_eV < -1
    assert terms.exchange_repulsion_eV > 0
    assert terms.polarisation_eV < 0
    assert terms.charge_transfer_eV < terms.superposition_eV < 0


def test_far_away_only_the_dipole_and_the_polarisability_are_left():
    # An ion at R from a neutral molecule on its axis: -mu q / R² + quadrupole, and -alpha q² / 2 R⁴.
    far = 9.0
    atoms = li_water(far)
    fields = converged_fields(atoms, PBE, [Fragment(ION, 1), Fragment(~ION, 0)])
    terms = decompose(fields)
    assert terms.electrostatics_eV == pytest.approx(
        float(potential_V(fields.parts[1], atoms.positions[:1])[0]), abs=2e-4
    )
    polarisability = _polarisability_along_axis(atoms[~ION])
    # The field acts at the centre of the electrons, near the oxygen.
    expected = -0.5 * polarisability / (far / Bohr) ** 4 * Hartree
    assert terms.polarisation_eV == pytest.approx(expected, rel=0.08)
    assert abs(terms.exchange_repulsion_eV) < 1e-4
    assert abs(terms.charge_transfer_eV) < 5e-4


def _polarisability_along_axis(water: Atoms) -> float:
    """d(dipole)/d(field) by finite fields, Bohr³, in the basis of the molecule alone."""
    field = converged_field(water, PBE, charge=0)
    plain, dipole = field.get_hcore(), field.mol.intor("int1e_r")[2]
    moments = []
    for strength in (1e-3, -1e-3):
        field.get_hcore = lambda *_, strength=strength: plain + strength * dipole
        field.conv_tol = 1e-10
        field.kernel(dm0=field.make_rdm1())
        moments.append(-np.einsum("ij,ji", dipole, field.make_rdm1()))
    return float((moments[0] - moments[1]) / 2e-3)


def test_two_ions_far_apart_attract_by_coulomb_alone():
    # A hybrid: PBE moves part of an electron over that distance.
    atoms = Atoms("LiF", [[0, 0, 0], [0, 0, 8.0]])
    ion = np.array([True, False])
    fields = converged_fields(atoms, Level.model_validate("pbe0/def2-svp"), [Fragment(ion, 1), Fragment(~ion, -1)])
    assert decompose(fields).electrostatics_eV == pytest.approx(-Hartree * Bohr / 8.0, abs=1e-4)


def test_open_shells_and_shared_atoms_are_refused():
    with pytest.raises(StudyError, match="closed shells"):
        converged_fields(li_water(), PBE, [Fragment(ION, 0), Fragment(~ION, 1)])
    with pytest.raises(StudyError, match="one fragment"):
        converged_fields(li_water(), PBE, [Fragment(ION, 1), Fragment(np.ones(4, dtype=bool), 0)])
    with pytest.raises(StudyError, match=r"gfn2.*density functional"):
        converged_fields(li_water(), GFN2, [Fragment(ION, 1), Fragment(~ION, 0)])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_charges_add_up_and_equal_atoms_have_equal_ones(fields, scheme):
    charges = atomic_charges(fields.whole, scheme)
    assert charges.sum() == pytest.approx(1, abs=1e-8)
    assert charges[2] == pytest.approx(charges[3], abs=5e-3)  # the points of the fit are not symmetric
    assert charges[1] < 0 < charges[0] <= 1.0 + 1e-6


def test_mulliken_and_iao_are_those_of_pyscf(fields):
    field = fields.whole
    assert atomic_charges(field, "mulliken") == pytest.approx(field.mulliken_pop(verbose=0)[1], abs=1e-10)
    from pyscf import lo

    occupied = field.mo_coeff[:, field.mo_occ > 0]
    atomic = lo.orth.vec_lowdin(lo.iao.iao(field.mol, occupied), field.get_ovlp())
    inverse = atomic.T @ field.get_ovlp()
    density = inverse @ field.make_rdm1() @ inverse.T
    minimal = lo.iao.reference_mol(field.mol)
    expected = field.mulliken_pop(minimal, density, np.eye(minimal.nao), verbose=0)[1]
    assert atomic_charges(field, "iao") == pytest.approx(expected, abs=1e-8)


def test_the_potential_of_an_ion_is_that_of_its_charge():
    lithium = converged_field(Atoms("Li", [[0, 0, 0]]), PBE, charge=1)
    points = np.array([[0, 0, 5.0], [3.0, 4.0, 0]])
    assert potential_V(lithium, points) == pytest.approx(Hartree * Bohr / 5.0, abs=1e-4)


def test_fitted_charges_reproduce_the_dipole():
    water = molecule("H2O")
    field = converged_field(water, PBE, charge=0)
    charges, error = esp_fit(field)
    moment = charges @ water.positions
    assert moment == pytest.approx(field.dip_moment(unit="AU", verbose=0) * Bohr, abs=0.02)
    assert error < 0.15


def test_frontier_orbitals_of_an_open_shell_are_the_outermost_of_both_spins():
    oxygen = converged_field(molecule("O2"), PBE, charge=0, multiplicity=3)
    homo, lumo = frontier_orbitals_eV(oxygen)
    filled = [energies[occupied > 0].max() for energies, occupied in zip(oxygen.mo_energy, oxygen.mo_occ, strict=True)]
    assert homo == pytest.approx(max(filled) * Hartree)
    assert lumo > homo


def test_the_bond_of_li_water(analysed):
    _, _, found, _ = analysed
    assert found.molecules == ("Li+", "W")
    assert 0 < found.charge_transfer_e("iao") < 0.15
    assert found.charges_e["iao"][0] + found.charges_e["iao"][1] == pytest.approx(1)
    (donor,) = found.donors
    assert (donor.kind, donor.ligand, donor.distance_A) == ("water O", 1, pytest.approx(1.85))
    # A single ligand is the shell.
    assert found.potential_at_ion_V[0] == pytest.approx(found.shell_potential_at_ion_V)
    assert -3 < found.shell_potential_at_ion_V < -1
    again = bonding_from_json(json.loads(json.dumps(bonding_to_json(found))))
    assert again == found


def test_the_terms_add_up_to_the_frozen_shell_energy_of_the_study(analysed):
    structure, shell, found, _ = analysed
    free = {
        name: Reference(name, PBE, GFN2, (GFN2,), energy, "c01")
        for name, energy in (
            ("Li+", energy_eV(structure.atoms[:1], PBE, charge=1)),
            ("W", energy_eV(structure.atoms[1:], PBE, charge=0)),
        )
    }
    bound = bind(structure, shell, free, PBE, (GFN2,))
    assert found.decomposition.interaction_eV == pytest.approx(bound.energy_eV("frozen_shell"), abs=1e-5)


def test_the_density_difference_moves_electrons_and_makes_none(analysed, tmp_path):
    *_, fields = analysed
    assert np.vdot(fields.difference(), fields.whole.get_ovlp()) == pytest.approx(0, abs=1e-8)
    path = tmp_path / "difference.cube"
    write_density_difference(path, fields)
    with path.open() as stream:
        cube = read_cube(stream)
    values, voxel = (
        cube["data"],
        abs(np.linalg.det(cube["atoms"].cell / np.array(cube["data"].shape)[:, None])) / Bohr**3,
    )
    assert values.sum() * voxel == pytest.approx(0, abs=0.05)  # the grid is too coarse for the cores
    assert 0.05 < values.clip(min=0).sum() * voxel < 1
    assert cube["atoms"].get_chemical_symbols() == ["Li", "O", "H", "H"]


def test_a_bare_nucleus_has_no_frontier_orbitals():
    with pytest.raises((EngineFailed, StudyError)):
        frontier_orbitals_eV(converged_field(Atoms("H", [[0, 0, 0]]), PBE, charge=1))


def test_an_analysis_in_a_solvent_is_refused(analysed):
    structure, shell, *_ = analysed
    with pytest.raises(StudyError, match="gas phase; write 'pbe-d4/def2-svp'"):
        bonding(structure, shell, Level.model_validate("pbe-d4/def2-svp@cpcm=40"))


def test_a_wrong_electronic_state_is_noticed(analysed):
    assert analysed[2].instability == ""
    torn = converged_field(Atoms("H2", [[0, 0, 0], [0, 0, 3.0]]), PBE, charge=0)
    assert instabilities(torn) == "towards open shells"


def test_a_torn_bond_walks_downhill_to_its_two_atoms():
    """Closed-shell H2 at 6 Å is no minimum; its spins part until there are two hydrogen atoms."""
    torn = Atoms("H2", [[0, 0, 0], [0, 0, 6.0]])
    found = stability(torn, PBE, charge=0)
    assert found.instability.startswith("towards open shells")
    closed = energy_eV(torn, PBE, charge=0)
    atom = energy_eV(Atoms("H"), PBE, charge=0, multiplicity=2)
    assert closed + found.lower_eV == pytest.approx(2 * atom, abs=0.02)
    assert f"{-found.lower_eV:.3f} eV above another" in found.words


def test_states_that_are_the_lowest_stay_where_they_are():
    assert stability(li_water(), PBE, charge=1).words == "stable"
    water = li_water()[1:]
    assert stability(water, Level.model_validate("pbe0/def2-svp@cpcm=40"), charge=1, multiplicity=2).lower_eV == 0


@pytest.mark.parametrize("level", ["gfn2", "mp2/def2-svp"])
def test_the_stability_of_a_state_is_that_of_a_density_functional(level):
    with pytest.raises(StudyError, match="density functional of pyscf"):
        stability(li_water(), Level.model_validate(level), charge=1)
