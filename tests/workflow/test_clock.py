"""A clock that went wrong: results dated in the future are named, none is made again, and no later edit is missed."""

import os
import time

import pytest

pytestmark = pytest.mark.workflow
STUDY = """
name: s
seed: 1
species: {Li+: , W: {file: water.xyz}, A: {smiles: N}}
clusters: {wet: {composition: {Li+: 1, W: 1}}, dry: {composition: {Li+: 1, A: 1}}}
levels: {search: [gfn2], rank: null, energy: [gfn2]}
sampling: {searches: 1, conformers: 1, starts: 2, relaxed: 1, ranked: 1}
"""
WATER = "3\n\nO 0 0 0\nH 0.76 0.59 0\nH -0.76 0.59 0\n"


def date_to_tomorrow(paths):
    for path in paths:
        os.utime(path, (time.time() + 86_400,) * 2)


def test_results_of_tomorrow_are_named_kept_and_still_made_again_when_their_input_changes(workflow, run, tmp_path):
    folder = workflow(tmp_path, STUDY)
    (folder / "water.xyz").write_text(WATER)
    profile = ("--workflow-profile", "workflow/profiles/default")
    command = ("snakemake", "--cores", "2", *profile, "--config", "study=s.yaml")
    done = run(folder, *command)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "future" not in done.stderr
    results = [path for path in (folder / "results/s").rglob("*") if path.is_file()]
    date_to_tomorrow(results)
    again = run(folder, *command)
    assert f"results/s: {len(results)} results are dated in the future" in again.stderr
    assert "Nothing to be done" in again.stdout + again.stderr

    date_to_tomorrow(results)
    (folder / "water.xyz").write_text(WATER.replace("0.59", "0.6"))
    planned = run(folder, *command, "-n")
    told = planned.stdout + planned.stderr
    assert "rule cluster" in told
    assert "cluster=wet" in told
    assert "cluster=dry" not in told
