"""Two workflows in one folder: the second is refused, the first one is not disturbed."""

import subprocess
import time

import psutil
import pytest

pytestmark = pytest.mark.workflow
STUDY = """
name: s
seed: 1
species: {Li+: , W: {smiles: O}}
clusters: {one: {composition: {Li+: 1, W: 1}}}
levels: {search: ["ase:toy.flat"], rank: null, energy: ["ase:toy.flat"]}
sampling: {searches: 1, conformers: 1, starts: 2, relaxed: 1, ranked: 1}
"""
TOY = """
import time

import numpy as np
from ase.calculators.calculator import Calculator, all_changes


class Flat(Calculator):
    implemented_properties = ["energy", "forces"]

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        time.sleep(0.5)
        self.results = {"energy": -float(sum(atoms.numbers)), "forces": np.zeros((len(atoms), 3))}


def flat(charge=0):
    return Flat()
"""


@pytest.mark.slow
def test_a_second_workflow_in_the_same_folder_is_refused(workflow, run, surroundings_of, tmp_path):
    folder = workflow(tmp_path, STUDY)
    (folder / "toy.py").write_text(TOY)
    profile = ("--workflow-profile", "workflow/profiles/default")
    command = ("snakemake", "--cores", "1", *profile, "--config", "study=s.yaml")
    with (folder / "first.log").open("w") as log:
        first = subprocess.Popen(command, cwd=folder, env=surroundings_of(folder), stdout=log, stderr=log)
        until = time.monotonic() + 120
        while not list(folder.glob(".snakemake/locks/*.lock")):
            assert time.monotonic() < until, (folder / "first.log").read_text()
            assert first.poll() is None, (folder / "first.log").read_text()
            time.sleep(0.05)
        second = run(folder, *command)
        assert second.returncode != 0
        assert "LockException" in second.stdout + second.stderr
        assert first.wait(timeout=600) == 0, (folder / "first.log").read_text()
    assert (folder / "results/s/report.html").is_file()
    third = run(folder, *command)
    assert "Nothing to be done" in third.stdout + third.stderr


@pytest.mark.slow
def test_a_second_workflow_from_another_folder_is_refused(workflow, run, surroundings_of, tmp_path):
    """Snakemake's locks lie in the working directory, the results elsewhere."""
    folder = workflow(tmp_path, STUDY + f"results: {tmp_path / 'shared'}\n")
    (folder / "toy.py").write_text(TOY)
    profile = ("--workflow-profile", str(folder / "workflow/profiles/default"))
    command = ("snakemake", "--snakefile", str(folder / "Snakefile"), "--cores", "1", *profile)
    study = ("--config", f"study={folder / 's.yaml'}")
    with (folder / "first.log").open("w") as log:
        first = subprocess.Popen((*command, *study), cwd=folder, env=surroundings_of(folder), stdout=log, stderr=log)
        until = time.monotonic() + 120
        while not (tmp_path / "shared/s/.run.json").is_file():
            assert time.monotonic() < until, (folder / "first.log").read_text()
            time.sleep(0.05)
        (tmp_path / "elsewhere").mkdir()
        second = run(folder, *command, "--directory", str(tmp_path / "elsewhere"), *study)
        assert second.returncode != 0
        assert f"process {first.pid} of this machine runs the study since" in second.stdout + second.stderr
        assert not list((tmp_path / "elsewhere").glob(".snakemake/locks/*.lock"))
        assert first.wait(timeout=600) == 0, (folder / "first.log").read_text()
    assert (tmp_path / "shared/s/report.html").is_file()


@pytest.mark.slow
def test_the_lock_of_a_run_that_was_killed_is_removed_by_the_next(workflow, run, surroundings_of, tmp_path):
    folder = workflow(tmp_path, STUDY)
    (folder / "toy.py").write_text(TOY)
    command = (
        "snakemake",
        "--cores",
        "1",
        "--workflow-profile",
        "workflow/profiles/default",
        "--config",
        "study=s.yaml",
    )
    with (folder / "first.log").open("w") as log:
        first = subprocess.Popen(command, cwd=folder, env=surroundings_of(folder), stdout=log, stderr=log)
        until = time.monotonic() + 120
        while not (folder / "results/s/.run.json").is_file():
            assert time.monotonic() < until, (folder / "first.log").read_text()
            time.sleep(0.05)
        started = psutil.Process(first.pid).children(recursive=True)
        first.kill()
        first.wait()
    for process in started:
        process.kill()
    psutil.wait_procs(started, timeout=10)
    assert list(folder.glob(".snakemake/locks/*.lock"))
    second = run(folder, *command)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "the run before was killed; its lock is removed" in second.stderr
    assert (folder / "results/s/report.html").is_file()
