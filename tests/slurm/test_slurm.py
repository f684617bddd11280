"""A real SLURM of one node: a study through sbatch gives the tables of the local run, and a lost job is made again."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.slurm
ROOT = Path(__file__).parents[2]
START = Path(__file__).parent / "start_slurm.sh"
STUDY = """
name: s
seed: 1
species: {Li+: , W: {smiles: O}}
clusters: {one: {composition: {Li+: 1, W: 1}}}
levels: {search: [gfn2], rank: null, energy: [gfn2]}
sampling: {conformers: 1, starts: 4, relaxed: 2, ranked: 1}
"""
#: The profile as it is; only the waiting is that of a test, and there is neither an account nor a database.
SLURM = (
    "--workflow-profile", "workflow/profiles/slurm", "--config", "study=s.yaml", "--slurm-no-account",
    "--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "3",
    "--seconds-between-status-checks", "2", "--latency-wait", "10",
)  # fmt: skip


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """A SLURM that listens, and the environment that finds it."""
    if find_spec("snakemake_executor_plugin_slurm") is None:
        pytest.skip("snakemake-executor-plugin-slurm is not installed")
    if shutil.which("slurmd") is None or shutil.which("munged") is None:
        pytest.skip("SLURM is not installed (apt install slurm-wlm munge)")
    if os.geteuid() != 0:
        pytest.skip("slurmd wants to be root")
    # Not below pytest's folder, which only its owner may enter.
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    started = subprocess.run([START, folder], capture_output=True, text=True, check=False)
    if started.returncode:
        pytest.skip(f"SLURM does not start here: {started.stderr.strip()}")
    path = os.pathsep.join([str(folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    try:
        yield {**os.environ, "PATH": path, "SLURM_CONF": str(folder / "slurm.conf")}
    finally:
        subprocess.run([START, folder, "stop"], check=True)
        shutil.rmtree(folder, ignore_errors=True)


def study_in(folder: Path) -> Path:
    shutil.copy(ROOT / "Snakefile", folder)
    shutil.copytree(ROOT / "workflow", folder / "workflow")
    (folder / "s.yaml").write_text(STUDY)
    return folder


def snakemake(folder: Path, environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["snakemake", *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )  # fmt: skip


def test_sbatch_gives_the_tables_of_the_local_run_and_a_cancelled_job_is_made_again(environment, tmp_path):
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir()
    here.mkdir()
    study_in(there)
    # Cancelled once while it runs, without a second attempt: the run ends with an error and leaves no result of it.
    arguments = [*SLURM, "--retries", "0"]
    with (tmp_path / "first.log").open("w") as log:
        first = subprocess.Popen(["snakemake", *arguments], cwd=there, env=environment, stdout=log, stderr=log)
        lost = cancel_first("rule_cluster", environment, first)
        assert first.wait(timeout=600) != 0, (tmp_path / "first.log").read_text()[-4000:]
    assert not (there / "results/s/clusters/one/ensemble.extxyz").exists()
    ligand = (there / "results/s/ligands/W.extxyz").stat().st_mtime_ns
    again = snakemake(there, environment, *SLURM)
    assert again.returncode == 0, again.stdout[-2000:] + again.stderr[-4000:]
    said = again.stdout + again.stderr
    assert "has been submitted with SLURM jobid" in said
    assert (there / "results/s/ligands/W.extxyz").stat().st_mtime_ns == ligand
    # The references went in one job before; now the cluster, its binding energy, and the three summaries in one.
    assert said.count("has been submitted with SLURM jobid") == 3, f"lost {lost}: {said[-4000:]}"
    assert (tmp_path / "first.log").read_text().count("group_references") == 1
    study_in(here)
    local = snakemake(here, environment, "--cores", "1", "--config", "study=s.yaml")
    assert local.returncode == 0, local.stderr[-4000:]
    for name in ("binding.csv", "ensemble.csv", "rejected.csv", "comparison.csv"):
        assert (there / "results/s" / name).read_bytes() == (here / "results/s" / name).read_bytes(), name


def cancel_first(kind: str, environment: dict[str, str], run: subprocess.Popen[bytes]) -> str:
    """Cancel the first running job whose comment says that it is of this kind, and return its number."""
    until = time.monotonic() + 300
    while time.monotonic() < until and run.poll() is None:
        told = subprocess.run(
            ["squeue", "--noheader", "--states=R", "--format=%i %k"],
            env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        for line in told.stdout.splitlines():
            number, _, comment = line.partition(" ")
            if kind in comment:
                subprocess.run(["scancel", number], env=environment, check=True)
                return number
        time.sleep(0.2)
    raise AssertionError(f"no job of {kind} ran within five minutes")
