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
        ("3 1,4,6 2,5,7", [0, 0, 0], "0 ions"),
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


def given(tmp_path, atoms):
    atoms.write(tmp_path / "g.xyz")
    return tmp_path / "g.xyz"


def test_a_transition_metal_is_an_ion_whose_charge_and_multiplicity_are_told(tmp_path):
    path = given(tmp_path, Atoms("FeOHH", np.vstack([[[0, 0, -0.2]], WATER])))
    with pytest.raises(StructureError, match=r"Fe has no usual charge; .*\(Fe, H2O\) by --charges, e.g. '2 0'"):
        read_complex(path)
    with pytest.raises(StructureError, match=r"species\.\[Fe\+2\]\.multiplicity: is not given"):
        read_complex(path, charges=[2, 0])
    for name in ("1", "[Fe+2]"):
        found = read_complex(path, charges=[2, 0], multiplicities={name: 5})
        assert found.composition == {"[Fe+2]": 1, "H2O": 1}
        assert found.shell.multiplicity == 5
    assert read_complex(path, charges=[3, 0], multiplicities={"1": 6}).shell.charge == 3


def test_metals_with_one_usual_charge_need_it_not(tmp_path):
    path = given(tmp_path, Atoms("CdOHH", np.vstack([[[0, 0, -0.4]], WATER])))
    assert read_complex(path).shell.charge == 2


def test_oxygen_is_no_singlet_unless_told_so(tmp_path):
    path = given(tmp_path, Atoms("LiOO", [[0, 0, 0], [0, 0, 2.1], [0, 0, 3.3]]))
    with pytest.raises(StructureError, match=r"O=O\.multiplicity: is not given"):
        read_complex(path)
    data = json.loads(bind("--structure", path, "--level", "gfn1", "--multiplicity", "O=O=3", "--json").stdout)
    assert data["multiplicity"] == 3


@pytest.mark.parametrize(
    ("told", "message"),
    [({"4": 2}, "'4' is none of the molecules of .* 1 H2O, 2 H2O, 3 Li"), ({"1": 3, "2": 1}, "its copies share one")],
)
def test_a_multiplicity_is_of_a_molecule_that_is_there(path, told, message):
    with pytest.raises(StructureError, match=message):
        read_complex(path, multiplicities=told)


def test_an_atom_as_ligand_has_nothing_to_relax(tmp_path):
    path = given(tmp_path, Atoms("NaCl", [[0, 0, 0], [0, 0, 2.4]]))
    done = bind("--structure", path, "--level", "gfn1", "--json")
    data = json.loads(done.stdout)
    assert data["deformation_energy_eV"] == 0
    assert data["binding_energy_eV"]["relaxed"] == data["binding_energy_eV"]["frozen_ligands"] < -4
    assert "not known" not in bind("--structure", path, "--level", "gfn1").stdout


def test_an_anion_is_held_by_a_hydrogen_and_the_table_says_at_which_distance(tmp_path):
    path = given(tmp_path, Atoms("ClHOH", [[0, 0, 0], [0, 0, 2.15], [0, 0, 3.12], [0.93, 0, 3.36]]))
    assert "bound through H2O O-H 2.15 Å, as given" in bind("--structure", path, "--level", "gfn1").stdout


def test_an_anion_of_several_atoms_is_known_by_the_library_and_its_own_bending_counts(tmp_path):
    fluorines = 1.65 * np.vstack([np.eye(3), -np.eye(3)])
    fluorines[0] *= 1.1  # the one that a water holds
    water = np.array([[3.9, 0.3, 0], [3.7, -0.6, 0], [4.85, 0.3, 0]])
    path = given(tmp_path, Atoms("PF6OHH", np.vstack([[[0, 0, 0]], fluorines, water])))
    found = read_complex(path)
    assert found.composition == {"PF6-": 1, "H2O": 1}
    assert found.shell.charge == -1
    data = json.loads(bind("--structure", path, "--level", "gfn1", "--geometry", "gfn1", "--json").stdout)
    parts, energies = data["parts"], data["binding_energy_eV"]
    ion = found.atoms[found.shell.fragment == 0]
    assert parts["ion_frozen_eV"] == pytest.approx(energy_eV(ion, Level.model_validate("gfn1"), charge=-1), abs=1e-6)
    assert parts["ion_frozen_eV"] > parts["ion_eV"] + 0.05
    assert energies["relaxed"] == pytest.approx(energies["frozen_ligands"] + data["deformation_energy_eV"], abs=1e-8)
    assert [one["kind"] for one in data["contacts"]] == ["O-H"]


def test_the_ion_comes_first_wherever_it_is_named():
    asked = ["--level", "gfn1", "--starts", "10", "--relaxed", "2"]
    last, first = bind("Cl-", "O", "Li+", *asked).stdout, bind("Li+", "Cl-", "O", *asked).stdout
    assert last.startswith("Li+(Cl-)(O), gfn1")
    assert last == first


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
        (["[Fe+2]", "O"], "species.[Fe+2].multiplicity: is not given"),
        (["Li+", "O", "--multiplicity", "O"], "'O' is no name and its 2S+1"),
        (["Li+", "O", "--multiplicity", "O=0"], "'O=0' is no name and its 2S+1"),
        (["Li+", "O", "--multiplicity", "EC=3"], "'EC' is none of the species; known: Li+, O"),
        (["Li+", "O", "--multiplicity", "O=3", "--multiplicity", "O=1"], "'O' is given twice"),
    ],
)
def test_options_that_do_not_fit_are_refused(path, words, message):
    done = bind(*(word.format(path=path) for word in words))
    assert isinstance(done.exception, SolvationError)
    assert message in str(done.exception)
