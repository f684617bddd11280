"""Ions beyond Kr leave their inner shells to an effective core: energies, forces, charges and correlation with it."""

import numpy as np
import pytest
from ase import Atoms

from solvation.clusters.ensembles import Structure
from solvation.clusters.shell import Shell
from solvation.energies.bonding import bonding, bonding_from_json, bonding_to_json
from solvation.engines import ENGINES, energy_eV, energy_forces, energy_with_ghosts_eV
from solvation.engines.basis_sets import effective_cores
from solvation.engines.electrons import atomic_charges, converged_field
from solvation.engines.wave_function import core_orbitals
from solvation.errors import EngineFailed
from solvation.species import build_molecule
from solvation.study import Level, Species

pytestmark = pytest.mark.engine
PBE = Level.model_validate("pbe-d4/def2-svp")
ION = np.array([True, False, False, False])


def hydrated(symbol: str, distance_A: float) -> Atoms:
    water = Atoms("OH2", [[0, 0, distance_A], [0.757, 0, distance_A + 0.586], [-0.757, 0, distance_A + 0.586]])
    return Atoms(symbol, [[0, 0, 0]]) + water


def interaction_eV(atoms: Atoms, level: Level) -> float:
    parts = energy_eV(atoms[ION], level, charge=1) + energy_eV(atoms[~ION], level, charge=0)
    return energy_eV(atoms, level, charge=1) - parts


def test_def2_sets_have_cores_from_rubidium_on():
    light_and_heavy = ["Li", "K", "Br", "Rb", "I", "Cs"]
    assert list(effective_cores(light_and_heavy, "def2-svp")) == ["Cs", "I", "Rb"]
    assert list(effective_cores(light_and_heavy, "def2-mtzvpp")) == ["Cs", "I", "Rb"]
    assert effective_cores(light_and_heavy, "sto-3g") == {}
    # A set that only another program knows: better a core too many in the question than one too few in the answer.
    assert list(effective_cores(light_and_heavy, "def2-unheard")) == ["Cs", "I", "Rb"]


@pytest.mark.parametrize("text", ["r2scan-3c", "mp2/def2-tzvp"])
def test_water_on_an_alkali_ion_is_held_as_mass_spectrometry_has_it(text):
    # Enthalpies of 298 K, eV: Dzidic & Kebarle, J. Phys. Chem. 74, 1466 (1970); rigid water is held a little more.
    measured = {"K": (2.65, -0.78), "Rb": (2.85, -0.69), "Cs": (3.05, -0.59)}
    for symbol, (distance_A, enthalpy_eV) in measured.items():
        energy = interaction_eV(hydrated(symbol, distance_A), Level.model_validate(text))
        assert energy == pytest.approx(enthalpy_eV, abs=0.08)


@pytest.mark.parametrize("engine", ["nwchem", "psi4"])
def test_other_programs_have_the_same_core(engine):
    if (reason := ENGINES[engine].missing()) is not None:
        pytest.skip(reason)
    atoms = hydrated("Rb", 2.85)
    theirs = interaction_eV(atoms, PBE.model_copy(update={"engine": engine}))
    assert theirs == pytest.approx(interaction_eV(atoms, PBE), abs=1e-3)


def test_nwchem_refuses_cores_that_it_is_not_told():
    if (reason := ENGINES["nwchem"].missing()) is not None:
        pytest.skip(reason)
    with pytest.raises(EngineFailed, match=r"cores of Rb are known for def2 basis sets only"):
        energy_eV(hydrated("Rb", 2.85), Level.model_validate("nwchem:pbe/lanl2dz"), charge=1)


def test_forces_are_the_slope_of_the_energy():
    atoms, step = hydrated("Rb", 2.85), 5e-3
    ends = []
    for sign in (1, -1):
        moved = atoms.copy()
        moved.positions[0, 2] += sign * step
        ends.append(energy_eV(moved, PBE, charge=1))
    _, forces = energy_forces(atoms, PBE, charge=1)
    assert forces[0, 2] == pytest.approx(-(ends[0] - ends[1]) / (2 * step), abs=5e-3)


def test_a_ghost_has_functions_and_no_core():
    atoms = hydrated("Rb", 2.85)
    lent, n_basis = energy_with_ghosts_eV(atoms, ION, PBE, charge=0)
    alone = energy_eV(atoms[~ION], PBE, charge=0)
    assert n_basis == 48
    assert -0.3 < lent - alone < 0


@pytest.mark.parametrize(("symbol", "frozen"), [("K", 5 + 1), ("Rb", 0 + 1), ("Cs", 0 + 1)])
def test_what_the_core_holds_is_not_frozen_again(symbol, frozen):
    field = converged_field(hydrated(symbol, 2.8), PBE, charge=1)
    assert core_orbitals(field.mol) == frozen


def test_charges_add_up_and_intrinsic_ones_are_left_out_where_their_free_atoms_are_unknown():
    field = converged_field(hydrated("Rb", 2.85), PBE, charge=1)
    for scheme in ("mulliken", "lowdin", "esp"):
        charges = atomic_charges(field, scheme)
        assert charges.sum() == pytest.approx(1, abs=1e-6)
        assert 0.8 < charges[0] < 1.0
    assert np.isnan(atomic_charges(field, "iao")).all()
    assert np.isnan(atomic_charges(converged_field(hydrated("K", 2.65), PBE, charge=1), "iao")).all()


def test_the_bond_of_potassium_is_told_in_the_schemes_that_know_it():
    shell = Shell((build_molecule("K+", Species(smiles="[K+]")), build_molecule("W", Species(smiles="O"))))
    structure = Structure("s01", shell.atoms(hydrated("K", 2.65).positions), 0.0, 0.0, PBE)
    found = bonding_from_json(bonding_to_json(bonding(structure, shell, PBE)[0]))
    assert list(found.charges_e) == ["mulliken", "lowdin", "esp"]
    terms = found.decomposition
    assert terms.interaction_eV == pytest.approx(interaction_eV(structure.atoms, PBE), abs=1e-3)
