"""A real SLURM of two nodes: a study through sbatch gives the tables of the local run, whatever happens to its jobs."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest

pytestmark = pytest.mark.slurm
ROOT = Path(__file__).parents[2]
START = Path(__file__).parent / "start_slurm.sh"
#: A binding energy that takes for ever the first time.
STUDY = """
name: s
seed: 1
species: {Li+: , W: {smiles: O}}
clusters: {one: {composition: {Li+: 1, W: 1}}}
levels: {search: [gfn2], rank: null, energy: [gfn2, "ase:toy.stuck"]}
sampling: {searches: 1, conformers: 1, starts: 4, relaxed: 2, ranked: 1}
"""
#: And dynamics that need more than the minute they are granted.
ROUGH_STUDY = f"""{STUDY}
trajectories:
  drop:
    composition: {{Li+: 1, W: 2}}
    level: "ase:toy.slow"
    length_ps: 0.25
    timestep_fs: 0.5
    save_every_fs: 5
    equilibration_ps: 0.05
    segments: 1
analysis: {{r_max_A: 4.0, n_bins: 40}}
"""
TOY = """
import os
import time
from pathlib import Path

from solvation.engines import calculator_for
from solvation.study import Level

STUCK = Path(__file__).with_name("stuck")


def waiting(level, charge, multiplicity, wait):
    found = calculator_for(Level.model_validate(level), charge=charge, multiplicity=multiplicity)
    quick = found.calculate

    def calculate(atoms, *more, **named):
        wait(atoms)
        quick(atoms, *more, **named)

    found.calculate = calculate
    return found


def slow(charge, multiplicity):
    return waiting("gfn1", charge, multiplicity, lambda atoms: time.sleep(float(os.environ["TOY_S"])))


def stuck(charge, multiplicity):
    def wait(atoms):
        if len(atoms) == 4 and not STUCK.exists():
            STUCK.touch()
            time.sleep(600)

    return waiting("gfn2", charge, multiplicity, wait)
"""
#: The profile as it is; only the waiting is that of a test, there is neither an account nor a database.
PROFILE = (
    "--workflow-profile", "workflow/profiles/slurm", "--slurm-no-account",
    "--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "3",
    "--seconds-between-status-checks", "2", "--latency-wait", "10",
)  # fmt: skip
#: Nodes are so small that no more than two references fit on one.
SLURM = (
    *PROFILE, "--config", "study=s.yaml", "--set-threads", "binding=1", "reference=1",
    "--group-components", "references=2", "summary=3",
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


def study_in(folder: Path, study: str = STUDY) -> Path:
    folder.mkdir()
    shutil.copy(ROOT / "Snakefile", folder)
    shutil.copytree(ROOT / "workflow", folder / "workflow")
    (folder / "s.yaml").write_text(study)
    (folder / "toy.py").write_text(TOY)
    return folder


def with_toy(folder: Path, environment: dict[str, str], wait_s: float = 0) -> dict[str, str]:
    """The environment in which a study of this folder finds its toy, which waits so long in each step of dynamics."""
    paths = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    return environment | {"PYTHONPATH": paths, "TOY_S": str(wait_s)}


def run_here(folder: Path, environment: dict[str, str], study: str) -> None:
    """The same study without SLURM, undisturbed."""
    study_in(folder, study)
    (folder / "stuck").touch()
    local = subprocess.run(
        ["snakemake", "--cores", "1", "--config", "study=s.yaml"], cwd=folder, env=with_toy(folder, environment),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert local.returncode == 0, local.stderr[-4000:]


@pytest.mark.slow
def test_a_cancelled_job_and_one_whose_node_died_are_made_again_and_the_tables_are_those_of_the_local_run(
    environment, tmp_path
):
    there, here = tmp_path / "there", tmp_path / "here"
    study_in(there)
    first_log, log = tmp_path / "first.log", tmp_path / "again.log"
    toy = with_toy(there, environment)
    # Cancelled once while it runs, without a second attempt: the run ends with an error and leaves no result of it.
    with first_log.open("w") as stream:
        first = subprocess.Popen(
            ["snakemake", *SLURM, "--retries", "0"], cwd=there, env=toy, stdout=stream, stderr=stream
        )
        lost = cancel_first("rule_cluster", environment, first)
        assert first.wait(timeout=600) != 0, first_log.read_text()[-4000:]
    assert not (there / "results/s/clusters/one/ensemble.extxyz").exists()
    ligand = (there / "results/s/ligands/W.extxyz").stat().st_mtime_ns
    with log.open("w") as stream:
        again = subprocess.Popen(["snakemake", *SLURM], cwd=there, env=toy, stdout=stream, stderr=stream)
    # A power cut: SLURM finds out by itself, and sends the job to the other node.
    wait_for((there / "stuck").exists, again, log)
    wait_for(lambda: len(jobs_of("rule_binding", environment)) == 1, again, log)  # the other level is soon done
    (struck,) = jobs_of("rule_binding", environment)
    node = slurm("squeue", "--noheader", f"--jobs={struck}", "--format=%N", environment=environment).strip()
    folder = Path(environment["SLURM_CONF"]).parent
    subprocess.run([START, folder, "cut", node], check=True)
    wait_for(lambda: state_of(struck, environment) == "PENDING", again, log, seconds=120)
    slurm("scontrol", "update", f"jobid={struck}", "starttime=now", environment=environment)  # or two minutes later
    assert again.wait(timeout=600) == 0, log.read_text()[-4000:]
    assert slurm("sinfo", "--noheader", f"--nodes={node}", "--format=%T", environment=environment).startswith("down")
    subprocess.run([START, folder, "revive", node], check=True)
    said = log.read_text()
    assert (there / "results/s/ligands/W.extxyz").stat().st_mtime_ns == ligand
    # The references went two to a job before; now the cluster, its two energies, and the three summaries in one.
    assert said.count("has been submitted with SLURM jobid") == 4, f"lost {lost}: {said[-4000:]}"
    assert first_log.read_text().count("group_references") == 2
    run_here(here, environment, STUDY)
    assert_same(there, here, "binding.csv", "ensemble.csv", "rejected.csv", "comparison.csv")


@pytest.mark.slow
def test_walltime_warning_drained_node_and_restarted_controller_change_no_table(environment, tmp_path):
    there, here = tmp_path / "there", tmp_path / "here"
    study_in(there, ROUGH_STUDY)
    log = there / "run.log"
    few_minutes = ("--set-resources", "binding:runtime=attempt", "segment:runtime=1 if attempt < 3 else 20")
    with log.open("w") as stream:
        run = subprocess.Popen(
            ["snakemake", *SLURM, *few_minutes], cwd=there, env=with_toy(there, environment, 0.08),
            stdout=stream, stderr=stream,
        )  # fmt: skip
    # SLURM's warning: the segment writes a checkpoint, and its job ends.
    partial = there / "results/s/trajectories/drop/segment_1.partial.npz"
    wait_for(partial.exists, run, log)
    (warned,) = jobs_of("rule_segment", environment)
    slurm("scancel", "--signal=TERM", warned, environment=environment)
    wait_for(lambda: warned not in jobs_of("rule_segment", environment), run, log, seconds=30)
    assert "stopped" in (there / "logs/s/segment/drop_1.log").read_text()
    # Nothing new starts on drained nodes, their jobs and those that wait outlive the controller.
    slurm("scontrol", "update", "nodename=test1,test2", "state=drain", "reason=test", environment=environment)
    folder = Path(environment["SLURM_CONF"]).parent
    subprocess.run([START, folder, "restart"], env=environment, check=True)
    wait_for(lambda: "drain" in slurm("sinfo", "--noheader", "--format=%T", environment=environment), run, log)
    slurm("scontrol", "update", "nodename=test1,test2", "state=resume", environment=environment)
    assert run.wait(timeout=900) == 0, log.read_text()[-4000:]
    # Binding ran into its minute, the segment into SIGTERM and into its minute.
    assert log.read_text().count("Trying to restart job") >= 3, log.read_text()[-4000:]
    assert "resumed from segment_1.partial.npz" in (there / "logs/s/segment/drop_1.log").read_text()
    run_here(here, environment, ROUGH_STUDY)
    curves = [f"trajectories/drop/{name}" for name in ("trajectory.xtc", "rdf.csv", "coordination.csv")]
    assert_same(there, here, "binding.csv", "ensemble.csv", "coordination.csv", "comparison.csv", *curves)


@pytest.mark.slow
def test_the_quick_study_disturbed_in_every_way_has_the_tables_of_the_local_run(environment, tmp_path):
    """What a cluster does to a study, all in one run; `pytest -s` shows the diary that stands in docs/cluster.md."""
    there, here = tmp_path / "there", tmp_path / "here"
    for folder in (there, here):
        study_in(folder)
        shutil.copytree(ROOT / "config", folder / "config")
    quick = ("--config", "study=config/quick.yaml")
    log = there / "run.log"
    begun = time.monotonic()

    def diary(event: str) -> None:
        print(f"{time.monotonic() - begun:5.0f} s  {event}")

    # The first attempt at a search has a minute, which the one that is held up does not keep. Two references at a
    # density functional in one job would want more cores than these nodes have.
    asked = (
        "--set-resources", "cluster:runtime=1 if attempt < 2 else 60", "--group-components", "references=1", "summary=3"
    )  # fmt: skip
    with log.open("w") as stream:
        run = subprocess.Popen(
            ["snakemake", *PROFILE, *quick, *asked], cwd=there, env=environment, stdout=stream, stderr=stream
        )
    cancelled = cancel_first("rule_ligand", environment, run)
    diary(f"scancel {cancelled}, the conformers of a ligand")
    search = "rule_cluster_wildcards_Li_EC4"
    wait_for(lambda: bool(jobs_of(search, environment)), run, log)
    (held,) = jobs_of(search, environment)
    diary(f"SIGSTOP to {held}, the structures of Li_EC4")

    def at_its_walltime() -> bool:
        slurm("scancel", "--signal=STOP", held, environment=environment)  # what runs in a job begins some time after it
        return state_of(held, environment) == "TIMEOUT"

    wait_for(at_its_walltime, run, log, seconds=240)
    diary(f"TIMEOUT of {held}")
    slurm("scontrol", "update", "nodename=test1,test2", "state=drain", "reason=test", environment=environment)
    diary("both nodes drained")
    subprocess.run([START, Path(environment["SLURM_CONF"]).parent, "restart"], env=environment, check=True)
    diary("slurmctld restarted")
    wait_for(lambda: "drain" in slurm("sinfo", "--noheader", "--format=%T", environment=environment), run, log)
    slurm("scontrol", "update", "nodename=test1,test2", "state=resume", environment=environment)
    diary("both nodes back")
    assert run.wait(timeout=1500) == 0, log.read_text()[-4000:]
    said = log.read_text()
    jobs, again = (said.count(words) for words in ("has been submitted with SLURM jobid", "Trying to restart job"))
    diary(f"finished: {jobs} jobs sent by sbatch, {again} of them sent again")
    assert again >= 2, said[-4000:]

    local = subprocess.run(
        ["snakemake", "--workflow-profile", "workflow/profiles/default", "--cores", "2", *quick],
        cwd=here, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert local.returncode == 0, local.stderr[-4000:]
    own, other = here / "results/quick", there / "results/quick"
    tables = sorted(str(path.relative_to(own)) for path in own.rglob("*.csv"))
    assert len(tables) > 10
    alike = [name for name in tables if (own / name).read_bytes() == (other / name).read_bytes()]
    diary(f"of {len(tables)} tables {len(alike)} are those of the local run byte for byte")
    # Density functionals add up in another order where a job has other threads.
    for name in set(tables) - set(alike):
        pd.testing.assert_frame_equal(pd.read_csv(own / name), pd.read_csv(other / name), rtol=1e-7, atol=1e-9)
    diary("the others to one part in ten million")


def assert_same(there: Path, here: Path, *names: str) -> None:
    for name in names:
        assert (there / "results/s" / name).read_bytes() == (here / "results/s" / name).read_bytes(), name


def slurm(*words: str, environment: dict[str, str]) -> str:
    """Answer of a command of SLURM; empty while the controller is away."""
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=False).stdout


def jobs_of(kind: str, environment: dict[str, str]) -> list[str]:
    """Numbers of the running jobs whose comment says that they are of this kind."""
    told = slurm("squeue", "--noheader", "--states=R", "--format=%i %k", environment=environment)
    return [line.split()[0] for line in told.splitlines() if kind in line]


def state_of(job: str, environment: dict[str, str]) -> str:
    told = ("--noheader", "--states=all", f"--jobs={job}", "--format=%T")
    return slurm("squeue", *told, environment=environment).strip()


def wait_for(condition: Callable[[], bool], run: subprocess.Popen[bytes], log: Path, seconds: float = 600) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, log.read_text()[-4000:]
        assert run.poll() is None, log.read_text()[-4000:]
        time.sleep(0.3)


def cancel_first(kind: str, environment: dict[str, str], run: subprocess.Popen[bytes]) -> str:
    """Cancel the first running job of this kind, and return its number."""
    until = time.monotonic() + 300
    while time.monotonic() < until and run.poll() is None:
        if found := jobs_of(kind, environment):
            slurm("scancel", found[0], environment=environment)
            return found[0]
        time.sleep(0.2)
    raise AssertionError(f"no job of {kind} ran within five minutes")
