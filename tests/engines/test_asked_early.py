"""What a level cannot do is said before anything is computed, and what is no minimum is told."""

import json

import pytest
from ase import Atoms
from typer.testing import CliRunner

from solvation.cli.app import app
from solvation.engines import check_system, energy_eV
from solvation.errors import StudyError
from solvation.study import Level

WATER_ON_LITHIUM = Atoms("LiOHH", [[0, 0, 0], [0, 0, 1.85], [0.76, 0, 2.44], [-0.76, 0, 2.44]])


@pytest.fixture
def near(tmp_path):
    """Li+ on water, somewhat off its minimum."""
    WATER_ON_LITHIUM.write(tmp_path / "li_w.xyz")
    return tmp_path / "li_w.xyz"


def called(*words):
    return CliRunner().invoke(app, ["bind", *map(str, words)])


@pytest.mark.parametrize("basis", ["cc-pvdz", "aug-cc-pvdz"])
def test_a_fitting_basis_that_lacks_lithium_is_made_up_for_it(basis):
    level = Level.model_validate(f"pbe/{basis}")
    exact = energy_eV(WATER_ON_LITHIUM, Level.model_validate("pbe/def2-svp"), charge=1)
    assert energy_eV(WATER_ON_LITHIUM, level, charge=1) == pytest.approx(exact, abs=5.0)


def test_a_basis_without_an_element_of_the_complex_is_refused_before_the_search():
    told = called("K+", "EC", "--level", "pbe-d4/cc-pvdz")
    assert isinstance(told.exception, StudyError)
    assert "has no basis set 'cc-pvdz' for K" in str(told.exception)
    assert "starts" not in told.output


def test_a_calculator_that_takes_no_charge_is_refused_before_the_search():
    told = called("Li+", "EC", "--level", "ase:ase.calculators.lj.LennardJones")
    assert "charge 1 cannot be told to ase.calculators.lj.LennardJones" in str(told.exception)
    check_system(Level.model_validate("ase:ase.calculators.lj.LennardJones"), "Ar", charge=0, multiplicity=1)


def test_a_structure_that_was_not_relaxed_where_it_says_is_told(near):
    told = called("--structure", near, "--level", "gfn2", "--geometry", "gfn2", "--thermo").output
    assert "note: the largest force at gfn2 is 0.77 eV/Å: it was not relaxed there" in told
    assert "relaxed tightly for its modes it falls by 0.024 eV" in told


def test_a_geometry_that_nobody_knows_has_no_level_and_free_energies_name_their_start(near):
    told = called("--structure", near, "--level", "gfn2")
    assert "Li+(H2O), gfn2 // as given" in told.output
    data = json.loads(called("--structure", near, "--level", "gfn2", "--json").stdout)
    assert data["geometry_level"] is None
    words = ("--level", "pbe/def2-svp", "--geometry", "gfn2", "--counterpoise", "--thermo", "--json")
    data = json.loads(called("--structure", near, *words).stdout)
    energies, motion = data["binding_energy_eV"], data["thermochemistry"]
    assert energies["relaxed_counterpoise"] == pytest.approx(energies["relaxed"] + data["counterpoise_eV"])
    assert motion["definition"] == "relaxed_counterpoise"
    assert motion["binding_energy_eV"] == energies["relaxed_counterpoise"]
