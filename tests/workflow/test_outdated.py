"""Results that are not what the study asks for although Snakemake takes them for finished."""

import csv
import json
import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STUDY = (ROOT / "tests/workflow/studies/smallest.yaml").read_text().replace("W: {smiles: O}", "W: {file: water.xyz}")
DROP = """
name: drop
seed: 1
species: {Li+: , W: {smiles: O}}
trajectories:
  drop: {composition: {Li+: 1, W: 2}, length_ps: 0.1, equilibration_ps: 0.02, segments: 2, save_every_fs: 5}
analysis: {r_max_A: 4.0, n_bins: 40}
"""
WATER = "3\ncharge=0\nO 0 0 0\nH 0.76 0 0.59\nH -0.76 0 0.59\n"
pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def once(workflow, run, tmp_path_factory):
    folder = workflow(tmp_path_factory.mktemp("outdated"), STUDY)
    (folder / "water.xyz").write_text(WATER)
    done = snakemake(run, folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture
def folder(once, tmp_path):
    """A finished study; with all dates, so that nothing is left to do."""
    place = tmp_path / "study"
    shutil.copytree(once, place, symlinks=True)
    return place


def snakemake(run, folder, *words):
    profile = ("--workflow-profile", "workflow/profiles/default")
    return run(folder, "snakemake", "--cores", "1", *profile, "--config", "study=s.yaml", *words)


def edit(path, old, new):
    """Change a file in a way that dates do not tell."""
    told, text = path.stat(), path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    os.utime(path, ns=(told.st_atime_ns, told.st_mtime_ns))


def record(folder, name):
    return json.loads((folder / "results/smallest" / name).read_text())


def test_a_finished_study_has_nothing_to_do_even_without_the_notes_of_snakemake(folder, run):
    shutil.rmtree(folder / ".snakemake")
    done = snakemake(run, folder, "-n")
    assert "Nothing to be done" in done.stdout + done.stderr


def test_another_seed_is_heeded_without_the_notes_of_snakemake(folder, run):
    shutil.rmtree(folder / ".snakemake")
    edit(folder / "s.yaml", "seed: 1", "seed: 77")
    done = snakemake(run, folder)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "made anew: results/smallest/ligands/" in done.stderr
    assert record(folder, "clusters/one/record.json")["seed"] == record(folder, "provenance.json")["seed"] == 77
    again = snakemake(run, folder, "-n")
    assert "Nothing to be done" in again.stdout + again.stderr


def test_a_run_that_was_killed_before_its_report_makes_it_next_time(folder, run):
    edit(folder / "s.yaml", "seed: 1", "seed: 1\ndescription: told anew")
    # As far as the comparison, which has the same numbers as before.
    done = snakemake(run, folder, "--until", "compare")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "told anew" not in (folder / "results/smallest/report.html").read_text()
    done = snakemake(run, folder)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "told anew" in (folder / "results/smallest/report.html").read_text()


def test_who_leaves_settings_out_of_account_gets_no_tables_of_other_settings(folder, run):
    edit(folder / "s.yaml", "seed: 1", "seed: 77")
    (folder / "results/smallest/binding.csv").unlink()
    done = snakemake(run, folder, "--rerun-triggers", "mtime")
    assert done.returncode != 0
    assert "ligand of Li+ was made with other settings than the study asks for" in done.stdout + done.stderr


def test_a_number_changed_by_hand_gets_into_no_table(folder, run):
    result = folder / "results/smallest/energies/one/gfn2.json"
    (energy,) = (line for line in result.read_text().splitlines() if '"complex_eV"' in line)
    edit(result, energy, energy.replace("-", "-1", 1))
    with (folder / "s.yaml").open("a") as stream:
        stream.write("description: another one\n")
    done = snakemake(run, folder)
    assert done.returncode != 0
    assert "energies/one/gfn2.json: " in done.stdout + done.stderr
    assert "remove it and run the study again" in done.stdout + done.stderr
    result.unlink()
    done = snakemake(run, folder)
    assert done.returncode == 0, done.stderr[-3000:]
    with (folder / "results/smallest/binding.csv").open(newline="") as stream:
        assert all(-4 < float(row["energy_eV"]) < -1 for row in csv.DictReader(stream))


@pytest.mark.parametrize(
    "lost", ["energies/references/W/gfn2.json", "ligands/W.extxyz", "ligands/W.json", "clusters/one/record.json"]
)
def test_what_was_damaged_is_sound_again_once_it_is_removed_and_the_study_run(folder, run, lost):
    path = folder / "results/smallest" / lost
    path.write_text(path.read_text() + "\n")
    assert lost in run(folder, "solvation", "status", "s.yaml", "--checksums").stdout
    path.unlink()
    done = snakemake(run, folder)
    assert done.returncode == 0, done.stderr[-3000:]
    told = run(folder, "solvation", "status", "s.yaml", "--checksums")
    assert (told.returncode, told.stderr) == (0, ""), told.stdout


def test_a_file_of_the_users_that_was_replaced_by_an_older_one_is_heeded(folder, run):
    own = folder / "water.xyz"
    own.write_text(WATER.replace("0.59", "0.60"))
    os.utime(own, (1e9, 1e9))
    told = run(folder, "solvation", "status", "s.yaml", "--checksums")
    assert "water.xyz: changed since ligands/W.json was made from it; touch it" in told.stdout
    done = snakemake(run, folder, "-n")
    assert "rule ligand" in done.stdout
    assert "rule cluster" in done.stdout
    assert "made from another water.xyz" in done.stderr


def test_a_damaged_segment_stops_the_join_and_is_made_anew_by_the_next_run(workflow, run, tmp_path):
    folder = workflow(tmp_path, DROP)
    done = snakemake(run, folder)
    assert done.returncode == 0, done.stderr[-3000:]
    place = folder / "results/drop/trajectories/drop"
    whole = (place / "trajectory.xtc").read_bytes()
    (place / "trajectory.xtc").unlink()
    damaged = bytearray((place / "segment_2.xtc").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (place / "segment_2.xtc").write_bytes(damaged)
    stopped = snakemake(run, folder)
    assert stopped.returncode != 0
    assert "segment_2.xtc: is not what the segment wrote" in stopped.stdout + stopped.stderr
    done = snakemake(run, folder)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (place / "trajectory.xtc").read_bytes() == whole
    assert run(folder, "solvation", "status", "s.yaml", "--checksums").returncode == 0
