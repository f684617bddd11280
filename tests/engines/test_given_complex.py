"""A complex that the user brings: its molecules are found, in whatever order its atoms stand."""

import json

import numpy as np
import pytest
from ase import Atoms
from typer.testing import CliRunner

from solvation.cli.app import app
from solvation.clusters.given_complex import read_complex
from solvation.engines import energy_eV
from solvation.errors import SolvationError, StructureError
from solvation.study import Level

pytestmark = pytest.mark.engine
GFN2 = Level.model_validate("gfn2")
WATER = np.array([[0, 0, 1.85], [0, 0.757, 2.436], [0, -0.757, 2.436]])
#: Two waters on opposite sides, their atoms mixed.
PLACES = np.vstack([WATER[1], -WATER[0], [[0, 0, 0]], WATER[0], -WATER[1], WATER[2], -WATER[2]])
COMPLEX = Atoms("HOLiOHHH", PLACES)


@pytest.fixture
def path(tmp_path):
    COMPLEX.write(tmp_path / "c.xyz")
    return tmp_path / "c.xyz"


def bind(*words):
    return CliRunner().invoke(app, ["bind", *map(str, words)])


def test_molecules_are_found_by_distance_and_put_in_the_order_of_the_shell(path):
    found = read_complex(path)
    assert found.composition == {"Li+": 1, "H2O": 2}
    assert list(found.atoms.symbols) == ["Li", "O", "H", "H", "O", "H", "H"]
    assert found.denticity == "H2O:1 H2O:1"
    for number in (1, 2):
        own = found.atoms.positions[found.shell.fragment == number]
        assert np.linalg.norm(own[1:] - own[0], axis=1) == pytest.approx([0.957, 0.957], abs=0.01)


def test_named_fragments_are_the_ones_found(path):
    named = read_complex(path, "3 1,4,6 2,5,7")
    assert np.allclose(named.atoms.positions, read_complex(path).atoms.positions)


@pytest.mark.parametrize(
    ("fragments", "charges", "message"),
    [
        ("3 1,4,6 2,5", None, "every atom"),
        ("3 1,4,x 2,5,7", None, "list of atoms"),
        ("3 1,4,6 2,5,7", [1, 0], "2 charges for 3 molecules"),
        ("3 1,4,6 2,5,7", [0, 0, 0], "bare ions"),
        ("3 1,4,5 2,6,7", None, "molecule 2 .* is not one molecule"),
    ],
)
def test_what_is_wrong_is_named(path, fragments, charges, message):
    with pytest.raises(SolvationError, match=message):
        read_complex(path, fragments, charges)


def test_a_file_that_is_no_structure_is_named(tmp_path):
    (tmp_path / "x.xyz").write_text("hello\n")
    with pytest.raises(StructureError, match=r"x\.xyz: cannot be read"):
        read_complex(tmp_path / "x.xyz")


def test_the_parts_of_a_given_structure_are_its_own_single_points(path):
    data = json.loads(bind("--structure", path, "--level", "gfn2", "--json").stdout)
    atoms = read_complex(path).atoms
    whole = energy_eV(atoms, GFN2, charge=1)
    ion = energy_eV(atoms[:1], GFN2, charge=1)
    waters = [energy_eV(atoms[i : i + 3], GFN2, charge=0) for i in (1, 4)]
    energies = data["binding_energy_eV"]
    assert energies["frozen_ligands"] == pytest.approx(whole - ion - sum(waters), abs=1e-6)
    assert energies["frozen_shell"] == pytest.approx(whole - ion - energy_eV(atoms[1:], GFN2, charge=0), abs=1e-6)
    assert energies["relaxed"] is None  # nobody said what relaxed it


def test_with_its_geometry_level_the_ligands_are_relaxed(path):
    data = json.loads(bind("--structure", path, "--geometry", "gfn2", "--json").stdout)
    assert 0 <= data["deformation_energy_eV"] < 0.05
    energies = data["binding_energy_eV"]
    assert energies["relaxed"] == pytest.approx(energies["frozen_ligands"] + data["deformation_energy_eV"], abs=1e-8)


def test_everything_at_once_for_one_complex():
    asked = ["Li+", "O", "--level", "pbe/def2-svp", "--counterpoise", "--thermo", "--solvent", "eps=40", "--json"]
    data = json.loads(bind(*asked).stdout)
    assert data["level"] == "pbe/def2-svp@cpcm=40"
    assert 0.05 < data["counterpoise_eV"] < 0.4
    motion = data["thermochemistry"]
    bound = data["binding_energy_eV"]["relaxed"] + data["counterpoise_eV"]
    assert bound < motion["enthalpy_eV"] + 0.1
    assert motion["gibbs_eV"]["rrho"] > motion["enthalpy_eV"] + 0.1  # two particles become one
    assert motion["n_imaginary"] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["Li+", "O", "--solvent", "honey"], "tblite has no solvent 'honey'"),
        (["Li+", "O", "--level", "pbe/def2-svp@cpcm=4", "--solvent", "eps=40"], "names a solvent already"),
        (["Li+", "O", "--level", "pbe/def2-svp", "--solvent", "honey"], "SMD has no parameters for 'honey'"),
        (["Li+", "O", "--fragments", "1 2-4"], "belongs to --structure"),
        (["Li+"], "name an ion and its ligands"),
        (["--structure", "{path}", "EC"], "leave out EC"),
        (["--structure", "{path}", "--thermo"], "--geometry"),
        (["--structure", "{path}", "--charges", "a b c"], "list of charges"),
    ],
)
def test_options_that_do_not_fit_are_refused(path, words, message):
    done = bind(*(word.format(path=path) for word in words))
    assert isinstance(done.exception, SolvationError)
    assert message in str(done.exception)
