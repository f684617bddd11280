"""The verbs of angles, scattering, vibrations and densities: their tables, and what they refuse."""

import json

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.io import write

from solvation.errors import SolvationError
from solvation.study import load_study
from solvation.study.cards import patterns_card
from solvation.tables.shells import CoordinationRow
from solvation.tidy import write_rows

pytest.importorskip("periodictable", reason="periodictable is not installed (pip install 'solvation[scattering]')")


def write_frames(path, box=True, near=True, n_frames=24):
    """Li+ with two O=C on one line, anywhere in a box of 14 Å, and the same for a droplet."""
    rng, frames = np.random.default_rng(9), []
    for number in range(n_frames):
        ion = rng.random(3) * 14 if box else np.zeros(3)
        axis = rng.normal(size=3)
        axis /= np.linalg.norm(axis)
        far = 2.0 if near else 5.0
        positions = [ion, *(ion + sign * step * axis for sign in (1, -1) for step in (far, far + 1.2))]
        atoms = Atoms("LiOCOC", positions, cell=[14] * 3 if box else None, pbc=box)
        atoms.info["time_ps"] = 0.004 * number
        atoms.arrays["residue"] = np.array([0, 1, 1, 2, 2])
        frames.append(atoms)
    write(path, frames)
    return path


DONOR = ["--center", "name Li", "--donor", "O(C=O)=name O"]


def test_angles_by_contact_by_cutoff_and_by_the_table_of_an_analysis(tmp_path, solvation_in_process):
    frames = write_frames(tmp_path / "f.extxyz")
    done = solvation_in_process("angles", frames, *DONOR, "--bins", 36, "--out", tmp_path / "a")
    assert done.code == 0, done.err
    table = pd.read_csv(tmp_path / "a" / "angles.csv")
    assert set(table["angle"]) == {"O(C=O)-Li-O(C=O)", "Li-O(C=O)-C"}
    means = table.groupby("angle")["mean_deg"].first()
    assert means.to_numpy() == pytest.approx([180, 180], abs=0.1)
    counted = table.groupby("angle")["n_angles"].first()
    assert counted.to_dict() == {"O(C=O)-Li-O(C=O)": 24, "Li-O(C=O)-C": 48}
    assert (table.groupby("angle")["density_per_deg"].sum() * 5).to_numpy() == pytest.approx([1, 1])
    assert json.loads((tmp_path / "a" / "angles.json").read_text())["step"] == "angles"
    assert "left as it is" in solvation_in_process("angles", frames, *DONOR, "--out", tmp_path / "a").err
    row = CoordinationRow("f", "O(C=O)", "atom", 1.5, 2.0, *(np.nan,) * 6, 24, 2.0, np.nan, np.nan, "")
    write_rows(tmp_path / "coordination.csv", CoordinationRow, [row])
    words = ["--coordination", tmp_path / "coordination.csv", "--out", tmp_path / "b"]
    assert "no donor comes within 1.50 Å" in solvation_in_process("angles", frames, *DONOR, *words).err
    done = solvation_in_process("angles", frames, *DONOR, *words, "--cutoff", "O(C=O)=2.1")
    assert done.code == 0, done.err


def test_scattering_and_densities_write_their_files(tmp_path, solvation_in_process):
    frames = write_frames(tmp_path / "f.extxyz")
    done = solvation_in_process("scattering", frames, "--q-max", 3, "--q-width", 0.5, "--out", tmp_path / "s")
    assert done.code == 0, done.err
    table = pd.read_csv(tmp_path / "s" / "structure_factor.csv", keep_default_na=False)
    assert set(table["radiation"]) == {"partial", "xray", "neutron"}
    assert len(set(table["pair"]) - {""}) == 6
    assert set(table["unit"]) == {"", "e2", "barn/sr"}
    words = ["--around", "name O C", "--of", "name Li", "--extent-A", 3, "--out", tmp_path / "d"]
    done = solvation_in_process("density-map", frames, *words)
    assert done.code == 0, done.err
    told = json.loads((tmp_path / "d" / "density.json").read_text())["result"]
    # The ion lies on the line of the molecule, 2.6 Å from its middle.
    assert np.linalg.norm(told["peak"]["place_A"]) == pytest.approx(2.6, abs=0.3)


def test_vibrations_say_why_a_run_cannot_tell_them(tmp_path, solvation_in_process):
    frames = write_frames(tmp_path / "f.extxyz")
    done = solvation_in_process("vibrations", frames, "--out", tmp_path / "v")
    assert (done.code, "hold fewer than 3 windows" in done.err or "too close to" in done.err) == (2, True)
    assert not (tmp_path / "v").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["angles"], "--donor is missing"),
        (["angles", *DONOR, "--cutoff", "N=2"], "--cutoff 'N': none of the donors"),
        (["angles", *DONOR, "--cutoff", "O(C=O)=far"], "not a number"),
        (["density-map"], "--around and --of are missing"),
        (["scattering", "--selection", "name XX"], "matches no atom"),
    ],
)
def test_what_cannot_be_right_is_one_line(tmp_path, solvation_in_process, words, message):
    frames = write_frames(tmp_path / "f.extxyz", n_frames=2)
    done = solvation_in_process(words[0], frames, *words[1:], "--out", tmp_path / "x")
    assert (done.code, message in done.err) == (2, True), done.err


@pytest.mark.parametrize(
    ("box", "near", "kept", "notes"),
    [
        (True, True, (2, 8), []),
        (False, True, (2, 0), ["a droplet has no structure factor"]),
        (False, False, (0, 0), ["no donor comes within", "a droplet has no structure factor"]),
    ],
)
def test_a_study_says_which_pattern_it_has_not(tmp_path, solvation_in_process, box, near, kept, notes):
    frames = write_frames(tmp_path / "f.extxyz", box=box, near=near)
    (tmp_path / "own.yaml").write_text(
        "name: own\nspecies: {Li+: }\npatterns: {q_max_1_A: 3, q_width_1_A: 0.5}\n"
        f"trajectories: {{it: {{topology: {frames}, center: name Li, donors: {{O: name O}}}}}}\n"
    )
    row = CoordinationRow("it", "O", "atom", np.nan, 2.0, *(np.nan,) * 6, 24, 2.0, np.nan, np.nan, "")
    write_rows(tmp_path / "coordination.csv", CoordinationRow, [row])
    card = patterns_card(load_study(tmp_path / "own.yaml"), "it").text()
    words = ["--card", card, "--coordination", tmp_path / "coordination.csv", "--output", tmp_path / "out", frames]
    done = solvation_in_process("liquid-patterns", *words)
    assert done.code == 0, done.err
    angles, factors = (pd.read_csv(tmp_path / "out" / name) for name in ("angles.csv", "structure_factor.csv"))
    pairs = factors[["radiation", "pair"]].drop_duplicates()
    assert (angles["angle"].nunique(), len(pairs)) == kept
    told = json.loads((tmp_path / "out" / "patterns.json").read_text())["result"]["notes"]
    assert len(told) == len(notes)
    assert all(part in note for part, note in zip(notes, told, strict=True))


def test_a_pattern_of_a_study_has_bounds(tmp_path):
    (tmp_path / "s.yaml").write_text(
        "name: s\nspecies: {Li+: }\npatterns: {q_max: 3}\ntrajectories: {}\nclusters: {}\n"
    )
    with pytest.raises(SolvationError, match="unknown key; did you mean 'q_max_1_A'"):
        load_study(tmp_path / "s.yaml")
