"""Programs end with the step that started them, and scratch folders with the work."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from solvation import children
from solvation.errors import EngineFailed, Killed

STEP = """
from pathlib import Path
from solvation import children
with open("out.txt", "w") as stream:
    children.run(["sh", "-c", "echo $$ > pid; exec sleep 60"], cwd=Path.cwd(), stdout=stream)
"""


def is_alive(process: int) -> bool:
    """Whether it runs; one that is dead and waits to be collected does not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def wait_for(true, seconds=20.0):
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.05)
    return true()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux does it")
def test_a_program_does_not_outlive_a_step_that_is_killed(tmp_path):
    step = subprocess.Popen([sys.executable, "-c", STEP], cwd=tmp_path)
    told = tmp_path / "pid"
    assert wait_for(lambda: told.is_file() and told.read_text().strip())
    program = int(told.read_text())
    assert is_alive(program)
    os.kill(step.pid, signal.SIGKILL)
    step.wait()
    assert wait_for(lambda: not is_alive(program))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("launched", ["{}", "sh -c '{}'; exit $?"], ids=["itself", "by a launcher"])
def test_a_program_that_was_killed_has_not_failed(tmp_path, number, launched):
    command = ["sh", "-c", launched.format(f"kill -{int(number)} $$")]
    with (
        (tmp_path / "out.txt").open("w") as stream,
        pytest.raises(Killed, match=r"^sh \(SIG\w+\) was killed: by the queue"),
    ):
        children.run(command, cwd=tmp_path, stdout=stream)


def test_a_program_that_crashed_has_failed_by_itself(tmp_path):
    with (tmp_path / "out.txt").open("w") as stream:
        assert children.run(["sh", "-c", "kill -SEGV $$"], cwd=tmp_path, stdout=stream).returncode == -signal.SIGSEGV


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def work(problem=None):
    with children.scratch_folder("x") as folder:
        (folder / "output.txt").write_text("no convergence")
        if problem is not None:
            raise problem


def test_scratch_goes_when_all_went_well_or_the_work_is_interrupted(scratch):
    work()
    assert not list(scratch.iterdir())
    with pytest.raises(KeyboardInterrupt):
        work(KeyboardInterrupt())
    assert not list(scratch.iterdir())


def test_scratch_of_what_failed_stays_to_be_read(scratch):
    with pytest.raises(EngineFailed):
        work(EngineFailed("it failed"))
    (left,) = scratch.iterdir()
    assert left.name.startswith("solvation-x-")
    assert (left / "output.txt").read_text() == "no convergence"
