"""Whose a results folder is, and who runs its study now."""

import json
import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from solvation.errors import StudyError
from solvation.study import load_study
from solvation.study.claim import begin_run, claim, heal, refuse_foreign, refuse_running, was_killed

STUDY = "species: {Li+: , W: {smiles: O}}\nclusters: {one: {composition: {Li+: 1, W: 1}}}\n"
LOCKS = Path(".snakemake/locks")


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(STUDY)
    LOCKS.mkdir(parents=True)
    return load_study(Path("s.yaml"))


@pytest.fixture
def other():
    """Another process that lives."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield psutil.Process(process.pid)
    process.kill()
    process.wait()


@pytest.fixture
def planning(study, tmp_path):
    """A Snakemake that works in the folder of the study, by its words."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "snakemake"], cwd=tmp_path)
    yield process
    process.kill()
    process.wait()


def ran(study, pid: int, started: float, host: str | None = None) -> Path:
    """What a run of this process leaves, and when it says so."""
    path = study.folder / ".run.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"host": host or platform.node(), "pid": pid, "started": started}))
    return path


def locked(study, seconds_later: float) -> Path:
    """A lock of Snakemake on the study, taken so many seconds after the last run said who it is."""
    lock = LOCKS / "0.output.lock"
    lock.write_text(f"{study.folder}/report.html\n")
    told = (study.folder / ".run.json").stat().st_mtime
    os.utime(lock, (told + seconds_later, told + seconds_later))
    return lock


def test_the_lock_of_a_run_that_was_killed_is_removed(study):
    ran(study, pid=2**22 + 1, started=5.0)
    # Whether it was killed after it said who it is, or before.
    for seconds in (-3, 3):
        lock = locked(study, seconds)
        assert heal(study) == [lock]
        assert not lock.exists()


def test_a_run_that_has_its_lock_but_did_not_say_yet_who_it_is_keeps_it(study, planning, solvation_in_process):
    """Snakemake takes the lock, plans for seconds, and only then starts: what names the run is of the one before."""
    ran(study, pid=2**22 + 1, started=5.0)
    lock = locked(study, 3)
    assert not was_killed(study)
    assert heal(study) == []
    assert lock.exists()
    for verb in ("retry", "give-up"):
        solvation_in_process(verb, "s.yaml").refused_by(
            "results/s: Snakemake works on it, or was killed elsewhere; wait"
        )


def test_a_second_run_from_another_folder_is_refused(study, other, solvation_in_process):
    """Its own locks lie in another working directory."""
    ran(study, other.pid, other.create_time())
    with pytest.raises(
        StudyError, match=rf"^results/s: process {other.pid} of this machine runs the study since 2.*; wait"
    ):
        begin_run(study)
    solvation_in_process("retry", "s.yaml").refused_by(f"process {other.pid} of this machine runs the study")
    assert not was_killed(study)


def test_whoever_ended_is_in_nobodys_way(study, other):
    begin_run(study)
    begin_run(study)  # this process again
    for pid, started in ((2**22 + 1, 5.0), (other.pid, other.create_time() - 60), (-1, 5.0), (10**30, 5.0)):
        ran(study, pid, started)
        refuse_running(study)
        begin_run(study)
    # Of another machine nobody knows.
    ran(study, other.pid, other.create_time(), host="elsewhere")
    refuse_running(study)
    assert not was_killed(study)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "[" * 9999, '{"host": 1, "pid": 1e999, "started": 1}', '{"pid": "x"}']
)
def test_a_damaged_note_of_a_run_tells_nothing(study, text):
    ran(study, 1, 1.0).write_text(text)
    assert not was_killed(study)
    begin_run(study)


def test_a_study_that_was_renamed_keeps_its_results(study):
    Path("s.yaml").write_text("name: s\n" + STUDY)
    claim(study, Path("s.yaml"))
    Path("copy.yaml").write_text("name: s\n" + STUDY)
    with pytest.raises(StudyError, match=r"belongs to s\.yaml; give the study another name, or remove the folder$"):
        refuse_foreign(study, Path("copy.yaml"))
    Path("s.yaml").rename("t.yaml")
    mend = r"s\.yaml, and that is gone; if this is the same study, .* write '(\S+)' into (\S+), else"
    with pytest.raises(StudyError, match=mend) as told:
        refuse_foreign(study, Path("t.yaml"))
    line, stamp = re.search(mend, str(told.value)).groups()
    Path(stamp).write_text(line)
    refuse_foreign(study, Path("t.yaml"))


def test_retry_goes_on_where_nothing_runs(study, solvation_in_process):
    begin_run(study)
    time.sleep(0.01)
    done = solvation_in_process("retry", "s.yaml")
    assert (done.code, done.out) == (0, "nothing failed\n")
