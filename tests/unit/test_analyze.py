"""`solvation analyze` on files of a known structure: its tables, its words, its refusals."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import MDAnalysis
import numpy as np
import pandas as pd
import pytest
import typer
from ase import Atoms
from ase.io import write
from typer.testing import CliRunner

from solvation.cli import analyze
from solvation.cli.app import app
from solvation.errors import SolvationError
from solvation.liquids.packing import PackedSystem, write_topology
from solvation.shells.analysis import anion_donors
from solvation.species import build_molecule, embed_conformers
from solvation.study import Species, load_study
from solvation.study.cards import analysis_card

TETRAHEDRON = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)


@pytest.fixture
def verb():
    app = typer.Typer()
    analyze.register(app)
    runner = CliRunner()

    def run(*words):
        result = runner.invoke(app, ["analyze", *(str(word) for word in words)])
        if result.exception is not None and not isinstance(result.exception, (SolvationError, SystemExit)):
            raise result.exception
        return result

    return run


@pytest.fixture
def box_file(tmp_path):
    """Li+ with four O of carbonyls (OC) at 2 Å, each across a face of the box, and twelve ring O (OS) at 4 Å."""
    rng = np.random.default_rng(1)
    ring = rng.normal(size=(12, 3))
    ring *= 4.0 / np.linalg.norm(ring, axis=1)[:, None]
    centre = np.array([0.1, 0.1, 19.9])
    names = ["LI", *["OC"] * 4, *["OS"] * 12]
    universe = MDAnalysis.Universe.empty(17, 17, atom_resindex=np.arange(17), trajectory=True)
    universe.add_TopologyAttr("names", names)
    universe.add_TopologyAttr("elements", ["Li", *["O"] * 16])
    universe.dimensions = [20, 20, 20, 90, 90, 90]
    with MDAnalysis.Writer(str(tmp_path / "t.xtc"), 17) as writer:
        for number in range(50):
            universe.atoms.positions = np.vstack(
                [centre, (centre + 2.02 * TETRAHEDRON) % 20, (centre + ring + 0.005 * rng.normal(size=(12, 3))) % 20]
            )
            universe.trajectory.ts.time = 0.5 * number
            universe.trajectory.ts.dimensions = [20, 20, 20, 90, 90, 90]
            writer.write(universe.atoms)
    universe.atoms.write(str(tmp_path / "t.pdb"))
    return tmp_path / "t.pdb", tmp_path / "t.xtc"


WORDS = ["--center", "name LI", "--donor", "O(C=O)=name OC", "--donor", "ring=name OS", "--rmax", 8, "--bins", 160]


def test_the_tables_hold_the_structure_that_was_put_in(verb, box_file, tmp_path):
    result = verb(*box_file, *WORDS, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    cn = pd.read_csv(tmp_path / "out" / "coordination.csv").set_index(["donor", "counted"])
    assert cn.loc[("O(C=O)", "atom"), "cn"] == 4
    assert cn.loc[("O(C=O)", "atom"), "peak_A"] == pytest.approx(2.02, abs=0.03)
    assert cn.loc[("ring", "atom"), "cn"] == 0
    assert "no contact" in cn.loc[("ring", "atom"), "verdict"]
    assert cn.loc[("total", "molecule"), "cn"] == 4
    # The integral of g knows the same four, wherever the shell is said to end.
    numbers = cn.loc[("O(C=O)", "atom"), ["cn_integral", "cn_shorter", "cn_longer"]]
    assert numbers.tolist() == [4, 4, 4]
    assert cn.loc[("total", "molecule"), ["cn_integral", "cn_low"]].isna().all()
    assert (cn["n_frames"] == 50).all()
    rdf = pd.read_csv(tmp_path / "out" / "rdf.csv")
    carbonyl = rdf[rdf["donor"] == "O(C=O)"]
    assert carbonyl["n"].tolist() == [0.0] * 40 + [4.0] * 120
    # All four fall into the bin 2.00-2.05 Å: g is their number over that of an ideal gas of four in 8000 Å3.
    ideal = 4 / 8000 * 4 / 3 * np.pi * (2.05**3 - 2.0**3)
    assert carbonyl["g"].iloc[40] == pytest.approx(4 / ideal, rel=1e-5)
    assert np.count_nonzero(carbonyl["g"]) == 1
    assert rdf[rdf["donor"] == "ring"]["n"].iloc[-1] == 12


def test_the_tables_of_shells_and_residence(verb, box_file, tmp_path):
    """Four carbonyl O that never leave: one shell, and no residence time but a bound."""
    anion = ["--anion", "ring", "--tolerance-ps", 1]
    result = verb(*box_file, *WORDS, *anion, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    out = tmp_path / "out"
    shells = pd.read_csv(out / "speciation.csv").set_index(["grouped", "shell"])["population"]
    assert shells["shell"].tolist() == [1.0]
    assert set(shells["species"]) == {0.0, 1.0}
    assert shells["anions"].to_dict() == {"free": 0, "SSIP": 1, "CIP": 0, "AGG": 0}
    first = pd.read_csv(out / "speciation.csv").iloc[0]
    assert "O(C=O) 2." in first["cutoffs_A"]
    # Nothing ever left: all ligands of the one shell are named.
    assert sorted(first["unmoved"].split("; ")) == sorted(re.findall(r"\d+ (\w+)\(", first["shell"]))
    assert "never left: how common" in result.output
    times = pd.read_csv(out / "residence.csv").set_index(["donor", "counted", "measure"])
    carbonyl = times.loc[("O(C=O)", "atom", "continuous")]
    assert np.isnan(carbonyl["residence_ps"])
    assert carbonyl["longer_than_ps"] == pytest.approx(4 * 49 * 0.5 / 3)
    assert "no exchange in 25 ps" in carbonyl["verdict"]
    assert times.loc[("O(C=O)", "atom", "intermittent"), "tolerance_ps"] == 1
    assert times.loc[("total", "molecule", "continuous"), "contacts"] == 4
    assert pd.read_csv(out / "transitions.csv")["events"].sum() == 0
    assert "no exchange" in result.output


def test_the_tables_are_drawn(verb, box_file, tmp_path):
    out = tmp_path / "out"
    assert verb(*box_file, *WORDS, "--out", out).exit_code == 0
    drawn = CliRunner().invoke(app, ["plot", str(out)])
    assert drawn.exit_code == 0, drawn.output
    assert [Path(line).name for line in drawn.output.split()] == ["rdf_t.png", "survival_t.png"]
    assert (out / "figures" / "rdf_t.svg").stat().st_size > 1000
    empty = tmp_path / "empty"
    empty.mkdir()
    refused = CliRunner().invoke(app, ["plot", str(empty)])
    assert isinstance(refused.exception, SolvationError)


def test_skipped_time_and_every_other_frame(verb, box_file, tmp_path):
    result = verb(*box_file, *WORDS, "--out", tmp_path / "out", "--skip-ps", 10, "--every", 2)
    assert result.exit_code == 0, result.output
    assert set(pd.read_csv(tmp_path / "out" / "coordination.csv")["n_frames"]) == {15}  # 10.0, 11.0 ... 24.0 ps
    card = json.loads((tmp_path / "out" / "provenance.json").read_text())["card"]
    assert (card["skip_ps"], card["every"]) == (10, 2)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--donor", "O=name XX"], r"matches no atom .*LI OC OS"),
        (["--donor", "O name OC"], "NAME=SELECTION"),
        (["--donor", "O=name OC", "--donor", "O=name OS"], "given twice"),
        (["--donor", "O=name OC", "--anion", "PF6"], "anion 'PF6' is none of the donors"),
        (["--donor", "O=name OC", "--box", "10 x"], "--box"),
        (["--donor", "O=name OC", "--box", "10 10"], "three edges"),
        (["--donor", "O=name OC", "--rmax", "11"], "lower"),
        (["--donor", "O=name OC", "--skip-ps", "30"], "lower it"),
        (["--donor", "O=name OC or name LI"], "centers"),
        ([], "--donor is missing"),
    ],
)
def test_bad_words_write_nothing(verb, box_file, tmp_path, words, message):
    result = verb(*box_file, *words, "--out", tmp_path / "out")
    assert isinstance(result.exception, SolvationError)
    assert pd.Series([str(result.exception)]).str.contains(message, regex=True).all(), result.exception
    assert "\n" not in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_a_box_and_times_given_by_hand(verb, tmp_path):
    """CP2K's plain XYZ: no cell, no times."""
    atoms = Atoms("LiO4", np.vstack([[0.1] * 3, (0.1 + 2.02 * TETRAHEDRON) % 12]))
    write(tmp_path / "a.xyz", [atoms] * 20, format="xyz")
    words = ["--center", "name LI", "--donor", "O=element O", "--rmax", 5, "--bins", 100]
    assert verb(tmp_path / "a.xyz", *words, "--out", tmp_path / "drop").exit_code == 0
    assert pd.read_csv(tmp_path / "drop" / "rdf.csv")["n"].iloc[-1] < 4
    given = ["--box", "12 12 12", "--timestep-ps", 0.1, "--skip-ps", 1.0]
    assert verb(tmp_path / "a.xyz", *words, *given, "--out", tmp_path / "box").exit_code == 0
    assert pd.read_csv(tmp_path / "box" / "rdf.csv")["n"].iloc[-1] == 4
    assert set(pd.read_csv(tmp_path / "box" / "coordination.csv")["n_frames"]) == {10}


def packed_salt(folder):
    """Three Li+ of which one touches a PF6-, one two of them and one none, in four waters; files as of a packed box."""
    molecules = {name: build_molecule(name, Species(library=name)) for name in ("Li+", "PF6-")}
    water = build_molecule("W", Species(smiles="O"))
    phosphorus = np.array([[8.5, 5, 5], [23.5, 5, 5], [16.5, 5, 5]])
    octahedron = 1.6 * np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]])
    anion = [np.vstack([place, place + octahedron]) for place in phosphorus]
    # In the order of the species' atoms.
    order = np.argsort(np.array(molecules["PF6-"].symbols) == "F", kind="stable")
    anion = [one[np.argsort(order)] for one in anion]
    waters = [embed_conformers(water, 1, 1)[0] + np.array([5.0 * number + 3, 25, 25]) for number in range(4)]
    lithium = np.array([[5.0, 5, 5], [20, 5, 5], [5, 15, 15]])
    system = PackedSystem(
        (*[molecules["Li+"]] * 3, *[molecules["PF6-"]] * 3, *[water] * 4),
        np.vstack([lithium, *anion, *waters]), 30.0, None,
    )  # fmt: skip
    write_topology(system, folder / "topology.pdb")
    universe = MDAnalysis.Universe(str(folder / "topology.pdb"))
    with MDAnalysis.Writer(str(folder / "trajectory.xtc"), len(universe.atoms)) as writer:
        for number in range(20):
            universe.trajectory.ts.time = float(number)
            writer.write(universe.atoms)
    return folder / "topology.pdb", folder / "trajectory.xtc", folder / "donors.json"


@pytest.mark.parametrize(
    ("declared", "pairing"),
    [
        ("", {"free": 1 / 3, "SSIP": 0, "CIP": 1 / 3, "AGG": 1 / 3}),
        ("analysis: {anions: [PF6- fluorine]}", {"free": 1 / 3, "SSIP": 0, "CIP": 1 / 3, "AGG": 1 / 3}),
        ("analysis: {anions: []}", {}),
    ],
)
def test_a_study_knows_the_anions_of_its_own_boxes(tmp_path, solvation_in_process, declared, pairing):
    (tmp_path / "s.yaml").write_text(
        "name: s\nspecies: {Li+: , PF6-: , W: O}\ntrajectories:\n"
        f"  box: {{forcefield: gaff2, composition: {{Li+: 3, PF6-: 3, W: 4}}, equilibration_ps: 0}}\n{declared}\n"
    )
    card = analysis_card(load_study(tmp_path / "s.yaml"), "box").text()
    done = solvation_in_process("liquid", "--card", card, "--output", tmp_path / "out", *packed_salt(tmp_path))
    assert done.code == 0, done.err
    shells = pd.read_csv(tmp_path / "out" / "speciation.csv")
    found = shells[shells["grouped"] == "anions"].set_index("shell")["population"].to_dict()
    assert found == pytest.approx(pairing)
    assert ("anions" in set(pd.read_csv(tmp_path / "out" / "networks.csv")["linked_by"])) == bool(pairing)


def test_around_an_anion_no_donor_is_an_anion():
    species = {"Cl-": Species(library="Cl-"), "PF6-": Species(library="PF6-")}
    donors = {"Cl- chloride": "resname CL", "PF6- fluorine": "resname PF6 and name F1"}
    assert anion_donors(species, "resname CL", donors) == []
    assert anion_donors(species | {"Li+": Species(library="Li+")}, "resname LI", donors) == list(donors)
    assert anion_donors({}, "resname LI", donors) == []


@pytest.mark.skipif(shutil.which("gmx") is None, reason="gmx is not installed (Debian: apt install gromacs)")
def test_the_same_curve_as_gmx_rdf(verb, tmp_path):
    rng = np.random.default_rng(2)
    universe = MDAnalysis.Universe.empty(220, 220, atom_resindex=np.arange(220), trajectory=True)
    universe.add_TopologyAttr("names", ["LI"] * 20 + ["OC"] * 200)
    universe.add_TopologyAttr("resnames", ["LI"] * 20 + ["EC"] * 200)
    universe.add_TopologyAttr("resids", np.arange(1, 221))
    universe.dimensions = [20, 20, 20, 90, 90, 90]
    with MDAnalysis.Writer(str(tmp_path / "t.xtc"), 220) as writer:
        for number in range(40):
            universe.atoms.positions = rng.uniform(0, 20, (220, 3))
            universe.trajectory.ts.time = float(number)
            universe.trajectory.ts.dimensions = [20, 20, 20, 90, 90, 90]
            writer.write(universe.atoms)
    universe.atoms.write(str(tmp_path / "t.gro"))
    subprocess.run(
        ["gmx", "rdf", "-f", "t.xtc", "-s", "t.gro", "-ref", "name LI", "-sel", "name OC", "-bin", "0.01",
         "-rmax", "0.8", "-cn", "cn.xvg", "-o", "rdf.xvg"],
        cwd=tmp_path, check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    theirs = np.loadtxt(tmp_path / "cn.xvg", comments=("#", "@"))
    words = ["--center", "name LI", "--donor", "O=name OC", "--rmax", 8, "--bins", 80, "--out", tmp_path / "out"]
    assert verb(tmp_path / "t.gro", tmp_path / "t.xtc", *words).exit_code == 0
    rdf = pd.read_csv(tmp_path / "out" / "rdf.csv")
    ours = np.interp(theirs[:, 0] * 10, np.append(0, rdf["r_A"] + 0.05), np.append(0, rdf["n"]))
    # gmx puts its bins around multiples of the width: half a bin of shift, at most.
    slack = np.gradient(ours) + 0.01
    assert np.all(np.abs(theirs[:, 1] - ours)[theirs[:, 0] < 0.79] < slack[theirs[:, 0] < 0.79])
