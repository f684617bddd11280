"""Steps of one run share one start of Python: what they do is what they would do by themselves, however they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from solvation.entry import SWITCH

#: Starts the process, tells where it is, and goes on until its input ends.
STARTED = f"from solvation import warm; import os, sys; warm.start(); print(os.environ['{SWITCH}'], flush=True)"
RUN = f"{STARTED}; sys.stdin.read()"
LONG = ("bind", "Li+", "O:8", "--level", "gfn2")
VERSION = [sys.executable, "-P", "-m", "solvation", "--version"]
CALLS = (
    ("--version",),
    ("nonsense",),
    ("check", "missing.yaml"),
    ("bind", "Li+", "O", "--level", "gfn2", "--json"),
)

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="the warm process wants Linux")


def command(*words, socket="", folder=None):
    """A call of the command in a process of its own, which hands itself over where there is a socket."""
    return subprocess.Popen(
        [sys.executable, "-m", "solvation", *words], env={**os.environ, SWITCH: socket}, cwd=folder,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def told(process):
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


@pytest.fixture
def run():
    environment = {name: value for name, value in os.environ.items() if name != SWITCH}
    process = subprocess.Popen(
        [sys.executable, "-c", RUN], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    process.socket = process.stdout.readline().strip()
    yield process
    process.kill()
    process.wait()


def gone(processes, within_s=10):
    return not psutil.wait_procs(processes, timeout=within_s)[1]


def steps_of(run):
    """The warm process of a run, and what stands below it, once a step is there."""
    waits_until = time.monotonic() + 60
    while time.monotonic() < waits_until:
        below = psutil.Process(run.pid).children(recursive=True)
        if len(below) >= 2:
            return below
        time.sleep(0.05)
    raise AssertionError("no step began")


def test_a_step_says_and_does_what_it_does_by_itself(run, tmp_path):
    for words in CALLS:
        handed, alone = (told(command(*words, socket=place, folder=tmp_path)) for place in (run.socket, ""))
        assert handed[:2] == alone[:2], words
        if "--json" not in words:  # which tells the progress, with times
            assert handed[2] == alone[2]
    assert json.loads(handed[1])["composition"] == {"Li+": 1, "O": 1}


def test_a_step_that_is_killed_takes_its_work_along(run):
    process = command(*LONG, socket=run.socket)
    server, *working = steps_of(run)
    process.kill()
    assert gone(working)
    assert server.is_running()
    assert told(command("--version", socket=run.socket))[0] == 0


def test_a_step_whose_work_is_killed_fails(run):
    process = command(*LONG, socket=run.socket)
    steps_of(run)[-1].kill()
    assert told(process)[0] == 128 + signal.SIGKILL


def test_sigterm_reaches_the_work(run):
    process = command(*LONG, socket=run.socket)
    steps_of(run)
    time.sleep(2)
    process.terminate()
    code, _, err = told(process)
    assert code == 130
    assert err.endswith("stopped\n")


def test_sigterm_to_all_that_a_run_started_leaves_the_step_time_for_its_checkpoint(run):
    """As a queue sends it at the end of a job, or `docker stop` to everyone: the step ends by itself, as without."""
    process = command(*LONG, socket=run.socket)
    everyone = steps_of(run)
    time.sleep(2)
    for one in (*everyone, process):
        one.send_signal(signal.SIGTERM)
    code, _, err = told(process)
    assert code == 130
    assert err.endswith("stopped\n")
    assert told(command("--version", socket=run.socket))[0] == 0


def test_no_step_is_lost_among_many_that_ask_at_once(run):
    asked = [command("--version", socket=run.socket) for _ in range(40)]
    assert {told(process)[:2] for process in asked} == {told(command("--version"))[:2]}


def test_a_step_finds_neither_threads_nor_their_number_in_what_it_inherits(run):
    """A library that reads OMP_NUM_THREADS when it is loaded would give all steps the threads of the first."""
    told(command("--version", socket=run.socket))
    (server,) = psutil.Process(run.pid).children()
    assert server.num_threads() == 1
    loaded = {Path(area.path).name for area in server.memory_maps()}
    assert any("_multiarray_umath" in name for name in loaded)
    assert not [name for name in loaded if name.startswith(("libgomp", "libiomp", "libomp"))]


def test_a_file_of_the_working_folder_is_no_library(tmp_path):
    (tmp_path / "selectors.py").write_text("raise SystemExit('the wrong one')\n")
    (tmp_path / "numpy.py").write_text("raise SystemExit('the wrong one')\n")
    code = f"from solvation import warm; import os, subprocess; warm.start(); exit(subprocess.call({VERSION}))"
    environment = {name: value for name, value in os.environ.items() if name != SWITCH}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_all_ends_with_a_run_that_is_killed(run):
    process = command(*LONG, socket=run.socket)
    everyone = steps_of(run)
    run.kill()
    run.wait()
    assert gone(everyone)
    assert told(process)[0] == 128 + signal.SIGKILL


def test_a_run_that_ends_leaves_nothing(run):
    told(command("--version", socket=run.socket))
    everyone = psutil.Process(run.pid).children(recursive=True)
    run.stdin.close()
    assert run.wait(timeout=20) == 0
    assert gone(everyone)
    assert not Path(run.socket.partition(os.pathsep)[0]).parent.exists()


def test_without_the_process_a_step_starts_by_itself_and_says_so(tmp_path):
    code, out, err = told(command("--version", socket=f"{tmp_path / 'nothing'}{os.pathsep}{sys.prefix}"))
    assert (code, out) == told(command("--version"))[:2]
    assert err.count("\n") == 1
    assert "started by itself" in err


def test_a_step_of_another_python_starts_by_itself(run):
    """In an environment that `setup` activates the libraries are others."""
    place, _, python = run.socket.rpartition(os.pathsep)
    assert python == sys.prefix
    known = psutil.Process(run.pid).children(recursive=True)
    code, _, err = told(command("--version", socket=f"{place}{os.pathsep}/elsewhere"))
    assert (code, err) == (0, "")
    assert psutil.Process(run.pid).children(recursive=True) == known


def test_modules_that_the_command_finds_are_found_by_the_step(run, tmp_path, monkeypatch):
    (tmp_path / "elsewhere.py").write_text("from ase.calculators.lj import LennardJones as flat\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    words = ("bind", "Li+", "O", "--level", "ase:elsewhere.nothing")
    assert "'elsewhere' has no attribute 'nothing'" in told(command(*words, socket=run.socket))[2]


def test_it_can_be_turned_off():
    done = subprocess.run(
        [sys.executable, "-c", STARTED], env={**os.environ, SWITCH: ""}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "\n"
