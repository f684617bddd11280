"""Programs that run as a process of their own, run for real: against PySCF, tblite and finite differences."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from solvation.engines import ENGINES, calculator_for, energy_eV, energy_forces, energy_with_ghosts_eV
from solvation.errors import EngineFailed, EngineMissing, StudyError
from solvation.study import Level

COMPLEX = Atoms("LiOH2", [[0, 0, 0], [0, 0, 1.8], [0.757, 0.1, 2.388], [-0.757, 0, 2.388]])
WATER = np.array([False, True, True, True])
BOX = Atoms("OH2", [[2, 2, 2], [2.757, 2.1, 2.588], [1.243, 2, 2.588]], cell=[5, 5.5, 6], pbc=True)
#: Density fitting, and the difference of the programs' grids: 2 meV for Li+-H2O at PBE.
TOLERANCE_EV = 4e-3
pytestmark = pytest.mark.engine


def level(text: str) -> Level:
    found = Level.model_validate(text)
    if (reason := ENGINES[found.engine].missing()) is not None:
        pytest.skip(reason)
    return found


def embedded(asked: Level) -> Level:
    return asked.model_copy(update={"engine": "pyscf"})


@pytest.mark.parametrize("engine", ["nwchem", "psi4"])
@pytest.mark.parametrize("functional", ["pbe", "revpbe", "blyp", "tpss", "pbe0", "b3lyp"])
def test_a_functional_means_the_same_as_in_pyscf(engine, functional):
    asked, water = level(f"{engine}:{functional}/def2-svp"), molecule("H2O")
    assert energy_eV(water, asked, charge=0) == pytest.approx(
        energy_eV(water, embedded(asked), charge=0), abs=TOLERANCE_EV
    )


@pytest.mark.parametrize("text", ["nwchem:pbe-d3bj/def2-svp", "psi4:pbe0-d4/def2-svp"])
def test_energy_and_forces_of_an_ion_and_water_are_those_of_pyscf(text):
    asked = level(text)
    energy, forces = energy_forces(COMPLEX, asked, charge=1)
    expected, slope = energy_forces(COMPLEX, embedded(asked), charge=1)
    assert energy == pytest.approx(expected, abs=TOLERANCE_EV)
    assert np.abs(forces - slope).max() < 5e-3


@pytest.mark.parametrize("engine", ["nwchem", "psi4"])
@pytest.mark.parametrize("ghost", [WATER, ~WATER])
def test_ghosts_lend_their_functions_and_nothing_else(engine, ghost):
    asked = level(f"{engine}:pbe-d3bj/def2-svp")
    charge = 1 if ghost is WATER else 0
    energy, n_basis = energy_with_ghosts_eV(COMPLEX, ghost, asked, charge=charge)
    expected, n_expected = energy_with_ghosts_eV(COMPLEX, ghost, embedded(asked), charge=charge)
    assert n_basis == n_expected == 33
    assert energy == pytest.approx(expected, abs=TOLERANCE_EV)
    alone = energy_eV(COMPLEX[~ghost], asked, charge=charge)
    # Li+ gains next to nothing from the functions of water; water gains from those of Li.
    assert energy < alone + 1e-4
    assert (alone - energy > 0.05) == (charge == 0)


@pytest.mark.parametrize("engine", ["nwchem", "psi4"])
def test_a_doublet_is_that_of_pyscf(engine):
    asked = level(f"{engine}:pbe/def2-svp")
    assert energy_eV(Atoms("Li"), asked, charge=0, multiplicity=2) == pytest.approx(
        energy_eV(Atoms("Li"), embedded(asked), charge=0, multiplicity=2), abs=TOLERANCE_EV
    )


def test_nwchem_s_continuum_solvates_as_pyscf_s_does():
    asked = level("nwchem:pbe/def2-svp@cpcm=40")
    solvated = energy_eV(COMPLEX, asked, charge=1) - energy_eV(COMPLEX, asked.in_gas_phase, charge=1)
    other = embedded(asked)
    expected = energy_eV(COMPLEX, other, charge=1) - energy_eV(COMPLEX, other.in_gas_phase, charge=1)
    # The cavities are the same, their segments are not; NWChem's own radii would give a third more.
    assert solvated == pytest.approx(expected, rel=0.01)


def test_nwchem_s_forces_in_its_continuum_are_the_slope_of_its_energy():
    asked, step = level("nwchem:pbe/def2-svp@cpcm=40"), 5e-3
    water = molecule("H2O")
    water.rattle(0.05, seed=3)
    _, forces = energy_forces(water, asked, charge=0)
    ends = []
    for sign in (1, -1):
        moved = water.copy()
        moved.positions[1, 1] += sign * step
        ends.append(energy_eV(moved, asked, charge=0))
    assert forces[1, 1] == pytest.approx(-(ends[0] - ends[1]) / (2 * step), abs=0.03)


def test_cp2k_s_gfn1_is_tblite_s():
    asked = level("cp2k:gfn1")
    energy, forces = energy_forces(COMPLEX, asked, charge=1)
    expected, slope = energy_forces(COMPLEX, Level.model_validate("gfn1"), charge=1)
    assert energy == pytest.approx(expected, abs=3e-3)
    assert np.abs(forces - slope).max() < 1e-2
    in_box = [energy_eV(BOX, one, charge=0) for one in (asked, Level.model_validate("gfn1"))]
    assert in_box[0] == pytest.approx(in_box[1], abs=2e-2)


def test_a_charged_box_of_cp2k_tends_to_the_free_ion_as_makov_and_payne_say():
    """Makov & Payne, Phys. Rev. B 51, 4014 (1995): -2.837 q²/2L of a point charge in a cube."""
    asked, edge_A = level("cp2k:gfn1"), 20.0
    boxed = Atoms("Li", cell=[edge_A] * 3, pbc=True)
    shift = energy_eV(boxed, asked, charge=1) - energy_eV(Atoms("Li"), asked, charge=1)
    assert shift == pytest.approx(-2.8373 * 14.3996 / (2 * edge_A), rel=0.03)


@pytest.mark.slow
def test_cp2k_s_ghosts_in_a_box_lend_their_functions_and_no_dispersion():
    plain, corrected = level("cp2k:pbe/dzvp-molopt-sr-gth"), level("cp2k:pbe-d3bj/dzvp-molopt-sr-gth")
    atoms = Atoms("Li", [[2, 2, 0.2]]) + BOX
    atoms.set_cell(BOX.cell)
    atoms.pbc = True
    ghost = np.array([True, False, False, False])
    alone, dispersed = (energy_eV(BOX, one, charge=0) for one in (plain, corrected))
    energies = {}
    for one in (plain, corrected):
        energies[one], n_basis = energy_with_ghosts_eV(atoms, ghost, one, charge=0)
        # Li 6 s and p functions, O and H 13 and 5.
        assert n_basis == 29
    assert -0.1 < energies[plain] - alone < -1e-3
    assert energies[corrected] - energies[plain] == pytest.approx(dispersed - alone, abs=1e-5)


@pytest.mark.slow
def test_cp2k_s_forces_in_a_box_are_the_slope_of_its_energy():
    asked, step = level("cp2k:pbe-d3bj/dzvp-molopt-sr-gth"), 0.02
    _, forces = energy_forces(BOX, asked, charge=0)
    ends = []
    for sign in (1, -1):
        moved = BOX.copy()
        moved.positions[1, 0] += sign * step
        ends.append(energy_eV(moved, asked, charge=0))
    assert forces[1, 0] == pytest.approx(-(ends[0] - ends[1]) / (2 * step), abs=0.03)


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("nwchem:pbe/def2-svp", ("iterations 100", "iterations 1")),
        ("psi4:pbe/def2-svp", ("maxiter 100", "maxiter 1")),
        ("cp2k:gfn1", ("MAX_SCF 200", "MAX_SCF 1")),
    ],
)
def test_a_density_that_does_not_converge_gives_no_energy_and_keeps_its_output(text, cut, monkeypatch):
    asked = level(text)
    engine = type(ENGINES[asked.engine])
    write = engine.write

    def hurried(self, folder, job):
        arguments = write(self, folder, job)
        for path in folder.glob("in.*"):
            path.write_text(path.read_text().replace(*cut))
        return arguments

    monkeypatch.setattr(engine, "write", hurried)
    with pytest.raises(EngineFailed, match="failed for H2O, charge") as caught:
        energy_eV(molecule("H2O"), asked, charge=0)
    assert "converge" in str(caught.value)
    forget(caught.value)


@pytest.mark.parametrize(
    ("text", "charge", "words"),
    [
        ("nwchem:pbe/def2-nonsense", 0, "failed opening basis file"),
        ("psi4:pbe/def2-nonsense", 0, "Unable to find a basis set"),
        ("nwchem:pbe/def2-svp", 1, "Odd number of electrons"),
        ("psi4:pbe/def2-svp", 1, "Inconsistent or unspecified chg/mult"),
        ("cp2k:gfn1", 1, "odd number of electrons"),
    ],
)
def test_a_failure_is_told_in_the_program_s_own_words(text, charge, words):
    with pytest.raises(EngineFailed, match="failed for H2O, charge") as caught:
        energy_eV(molecule("H2O"), level(text), charge=charge)
    assert words in str(caught.value)
    forget(caught.value)


def forget(problem: EngineFailed) -> None:
    """The output that the message names is there; remove it."""
    output = Path(str(problem).rpartition("(see ")[2].rstrip(")"))
    assert output.is_file()
    shutil.rmtree(output.parent)


def test_scratch_is_gone_after_a_run_that_went_well(tmp_path, monkeypatch):
    asked = level("cp2k:gfn1")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    energy_eV(molecule("H2O"), asked, charge=0)
    assert not list(tmp_path.iterdir())


def test_a_command_of_one_s_own_is_run_and_a_wrong_one_told(monkeypatch):
    asked = level("nwchem:pbe/def2-svp")
    monkeypatch.setenv("SOLVATION_NWCHEM", f"{shutil.which('env')} nwchem")
    assert energy_eV(molecule("H2"), asked, charge=0) == pytest.approx(-31.7, abs=0.2)
    monkeypatch.setenv("SOLVATION_NWCHEM", "nosuchlauncher -np 2 nwchem")
    assert "nosuchlauncher" in (ENGINES["nwchem"].missing() or "")


def test_forces_come_with_the_energy_once_they_were_asked_for():
    asked, water = level("cp2k:gfn1"), molecule("H2O")
    water.calc = calculator_for(asked, charge=0)
    water.get_forces()
    water.rattle(0.01, seed=1)
    water.get_potential_energy()
    assert "forces" in water.calc.results


def test_ghosts_are_refused_where_there_are_none():
    with pytest.raises(StudyError, match="corrects its basis by itself"):
        energy_with_ghosts_eV(COMPLEX, WATER, level("cp2k:gfn1"), charge=1)


def test_a_program_whose_mpi_does_not_start_is_no_failure_of_the_level(monkeypatch):
    """As where the helper that Open MPI starts is killed or missing: the step stops, and is made again."""
    asked = level("nwchem:pbe/def2-svp")
    monkeypatch.setenv("OPAL_PREFIX", "/nonexistent")
    with pytest.raises(EngineMissing, match=r"nwchem: MPI did not start, status 1 \(see .*output.txt\); run the study"):
        energy_eV(Atoms("H2", [[0, 0, 0], [0, 0, 0.74]]), asked, charge=0)
