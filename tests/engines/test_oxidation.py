"""Ionisation energies: against experiment within the method's error, and what the cation does."""

import json

import pytest
from ase.build import molecule

from solvation.clusters.ensembles import Structure
from solvation.clusters.relaxation import relax
from solvation.clusters.shell import Shell
from solvation.energies.oxidation import LITHIUM_ELECTRODE_V, oxidation, oxidation_from_json, oxidation_to_json
from solvation.errors import StudyError
from solvation.species import build_molecule
from solvation.study import Level, Species

pytestmark = pytest.mark.engine
GFN2 = Level.model_validate("gfn2")


def relaxed(smiles: str, atoms) -> tuple[Structure, Shell]:
    shell = Shell((build_molecule("x", Species(smiles=smiles)),))
    end = relax(atoms, GFN2, charge=0)
    atoms.positions = end.positions_A
    return Structure("c01", atoms, end.energy_eV, end.fmax_eV_A, GFN2), shell


@pytest.fixture(scope="module")
def water():
    pytest.importorskip("pyscf")
    found = molecule("H2O")
    return oxidation(*relaxed("O", found), Level.model_validate("pbe0/def2-tzvp"))


def test_water_is_ionised_at_what_experiment_says(water):
    assert water.vertical_eV == pytest.approx(12.62, abs=0.3)  # NIST, photoelectron spectrum
    assert water.adiabatic_eV < water.vertical_eV
    assert water.note == ""


def test_the_scale_of_lithium_by_hand(water):
    assert pytest.approx(1.40) == LITHIUM_ELECTRODE_V
    assert water.vertical_V == pytest.approx(water.vertical_eV - 1.40)
    assert water.adiabatic_V == pytest.approx(water.adiabatic_eV - 1.40)


def test_it_survives_its_file(water):
    assert oxidation_from_json(json.loads(json.dumps(oxidation_to_json(water)))) == water


def test_ammonia_flattens_when_it_is_oxidised():
    found = oxidation(*relaxed("N", molecule("NH3")), GFN2)
    # Experiment: 10.85 vertical, 10.07 adiabatic; GFN2 is ranked, not trusted, so only the flattening is looked at.
    assert 0.3 < found.vertical_eV - found.adiabatic_eV < 1.5


def test_a_bare_ion_is_refused():
    from ase import Atoms

    shell = Shell((build_molecule("Li+", Species(smiles="[Li+]")),))
    with pytest.raises(StudyError, match="bare atom"):
        oxidation(Structure("c01", Atoms("Li"), 0.0, 0.0, GFN2), shell, GFN2)
