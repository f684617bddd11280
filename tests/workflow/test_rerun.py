"""An archive is run again, by its own study and nothing else, and compared."""

import sys

import pytest

STUDY = """
name: small
seed: 3
species: {Li+: , W: {smiles: O}}
clusters: {Li_W: {composition: {Li+: 1, W: 1}}, Li_W2: {composition: {Li+: 1, W: 2}}}
levels: {search: gfn2, rank: null, energy: [gfn2, gfn1]}
sampling: {searches: 1, conformers: 1, starts: 4, relaxed: 2, ranked: 1}
"""
SOLVATION = (sys.executable, "-m", "solvation")
pytestmark = pytest.mark.workflow


def test_an_archive_is_run_again_and_compared(workflow, run, tmp_path):
    (tmp_path / "first").mkdir()
    folder = workflow(tmp_path / "first", STUDY)
    done = run(folder, "snakemake", "--cores", "2", "--config", "study=s.yaml")
    assert done.returncode == 0, done.stderr[-3000:]
    packed, again = tmp_path / "small.zip", tmp_path / "again"
    assert run(folder, *SOLVATION, "export", "results/small", "--output", str(packed)).returncode == 0
    words = (*SOLVATION, "reproduce", str(packed), "--output", str(again), "--run", "--cores", "2")
    done = run(tmp_path, *words)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "reproduced within tolerance" in done.stdout
    assert (again / "rerun" / "results" / "small" / "report.html").is_file()
    # The same call goes on where it is, and finds all done.
    second = run(tmp_path, *words)
    assert second.returncode == 0
    assert "Nothing to be done" in second.stdout + second.stderr


def test_a_rerun_has_one_place_and_one_thing_to_compare_with(run, tmp_path):
    for words in (("--run",), ("--run", "--output", "x", "--against", "y")):
        done = run(tmp_path, *SOLVATION, "reproduce", "small.zip", *words)
        assert done.returncode == 2
        assert "name the folder to run in by --output" in done.stderr
