"""The end of a job's time: read as SLURM writes it, heeded by segments, and SIGTERM is a tidy end."""

import math
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from solvation.dynamics.langevin import BLOCK_STEPS, COLUMNS, Piece, State, load_arrays
from solvation.dynamics.segments import run_segment
from solvation.errors import OutOfTime, TrajectoryError
from solvation.failures import SWITCH, keep_going
from solvation.study import MolecularDynamics
from solvation.walltime import MARGIN_S, NOTICES, parse_time_left, seconds_left

N_STEPS = 4 * BLOCK_STEPS
SETTINGS = MolecularDynamics(
    composition={"Li+": 1, "water": 1}, length_ps=N_STEPS * 0.5 / 1000, equilibration_ps=0, timestep_fs=0.5,
    save_every_fs=0.5, segments=1,
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0:45", 45), ("3:04", 184), ("2:03:04", 7384), ("1-02:03:04", 93784), ("UNLIMITED", math.inf),
        ("NOT_SET", math.inf), ("INVALID", math.inf), ("", math.inf),
    ],
)  # fmt: skip
def test_time_left_as_squeue_writes_it(text, seconds):
    assert parse_time_left(text) == seconds


@pytest.fixture
def job(monkeypatch, tmp_path):
    """Inside job 7 of a queue whose squeue is given."""
    monkeypatch.delenv("SLURM_JOB_END_TIME", raising=False)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("PATH", str(tmp_path))

    def answer(script):
        (tmp_path / "squeue").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "squeue").chmod(0o755)

    return answer


def test_a_job_asks_when_it_ends(job, monkeypatch):
    job('[ "$2" = --job=7 ] && echo 10:30')
    assert seconds_left() == 630
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(int(time.time()) + 100))
    assert seconds_left() == pytest.approx(100, abs=2)
    monkeypatch.delenv("SLURM_JOB_ID")
    assert seconds_left() == math.inf


def test_on_another_queue_the_end_is_told_by_a_variable(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    assert math.isinf(seconds_left())
    monkeypatch.setenv("SOLVATION_END", str(int(time.time()) + 90))
    assert 85 < seconds_left() <= 90


def test_a_queue_that_does_not_answer_is_told(job, capsys):
    job("echo 'Unable to contact slurm controller' >&2; exit 1")
    assert seconds_left() == math.inf
    assert "squeue does not tell when this job ends" in capsys.readouterr().err


@pytest.fixture
def start(tmp_path):
    state = State(
        numbers=np.array([3, 8]), masses_u=np.array([6.94, 16.0]), residues=np.array([0, 1]),
        bonds=np.zeros((0, 2), int), charge=1, multiplicity=1, wall_radius_A=np.inf, cell_A=np.zeros(3),
        positions_A=np.eye(2, 3), momenta=np.zeros((2, 3)), generator="", step=0,
    )  # fmt: skip
    state.save(tmp_path / "start.npz")
    return tmp_path / "start.npz"


def moving(at_step=math.inf, then=lambda: None):
    """Blocks in which every atom goes a thousandth of an Å a step; at one step, something happens first."""

    def block(state, settings, steps, save_steps, tick=None):
        if state.step >= at_step:
            then()
        frames = np.stack([state.positions_A + number / 1000 for number in range(1, steps + 1)])
        rows = np.zeros((steps, len(COLUMNS)))
        rows[:, 0] = state.step + np.arange(1, steps + 1)
        end = replace(state, positions_A=frames[-1], step=state.step + steps)
        return Piece(end, frames.astype(np.float32), rows)

    return block


def raising(problem):
    def act():
        raise problem

    return act


def test_an_interrupted_segment_keeps_every_whole_block_and_goes_on(start, tmp_path):
    whole, cut = tmp_path / "whole.npz", tmp_path / "cut.npz"
    run_segment(start, whole, SETTINGS, segment=1, block=moving())
    with pytest.raises(KeyboardInterrupt):
        run_segment(start, cut, SETTINGS, segment=1, block=moving(3 * BLOCK_STEPS, raising(KeyboardInterrupt)))
    assert State.load(tmp_path / "cut.partial.npz").step == 3 * BLOCK_STEPS
    assert not cut.exists()
    run_segment(start, cut, SETTINGS, segment=1, block=moving())
    assert (tmp_path / "cut.xtc").read_bytes() == (tmp_path / "whole.xtc").read_bytes()
    assert not (tmp_path / "cut.partial.npz").exists()


def test_no_block_is_begun_that_would_not_end_in_time(start, tmp_path, monkeypatch):
    output = tmp_path / "1.npz"
    slow = moving(0, lambda: time.sleep(0.2))
    with pytest.raises(OutOfTime, match=f"kept up to step {2 * BLOCK_STEPS} of {N_STEPS}"):
        run_segment(start, output, SETTINGS, segment=1, block=slow, time_left_s=MARGIN_S + 0.5)
    assert State.load(tmp_path / "1.partial.npz").step == 2 * BLOCK_STEPS
    # It is no failure: a study that keeps going would else never run it to its end.
    monkeypatch.setenv(SWITCH, "1")
    with (
        pytest.raises(OutOfTime),
        keep_going("md", '{"name": "x"}', inputs=[], outputs=[output]),
    ):
        run_segment(start, output, SETTINGS, segment=1, block=slow, time_left_s=0.0)
    assert not output.exists()


def test_a_torn_checkpoint_is_named_and_the_segment_starts_anew(start, tmp_path):
    output, said = tmp_path / "1.npz", []
    run_segment(start, output, SETTINGS, segment=1, block=moving())
    whole = (tmp_path / "1.xtc").read_bytes()
    partial = tmp_path / "1.partial.npz"
    for torn in (output.read_bytes()[:-100], b""):
        said.clear()
        partial.write_bytes(torn)
        run_segment(start, output, SETTINGS, segment=1, block=moving(), say=said.append)
        assert "1.partial.npz: cannot be read as a checkpoint" in said[0]
        assert (tmp_path / "1.xtc").read_bytes() == whole


@pytest.mark.parametrize("notice", NOTICES)
def test_a_notice_ends_a_verb_with_a_line_and_what_it_had_opened_is_closed(tmp_path, notice):
    script = (
        "import tempfile, time\n"
        "from solvation.cli import app\n"
        "@app.app.command()\n"
        "def wait(folder: str) -> None:\n"
        "    with tempfile.TemporaryDirectory(dir=folder):\n"
        "        print('ready', flush=True)\n"
        "        time.sleep(60)\n"
        "app.main()\n"
    )
    command = [sys.executable, "-c", script, "wait", str(tmp_path)]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert run.stdout is not None
    assert run.stdout.readline() == "ready\n"
    run.send_signal(notice)
    _, told = run.communicate(timeout=20)
    assert run.returncode == 130
    assert told == "stopped\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", [8, 10])
def test_a_checkpoint_that_says_to_be_packed_otherwise_is_one_line(tmp_path, place):
    """Python's reader of archives has no way for some of what a damaged field asks, or no password."""
    np.savez_compressed(tmp_path / "1.npz", positions=np.zeros(3))
    data = bytearray((tmp_path / "1.npz").read_bytes())
    directory = data.index(b"PK\1\2")
    data[directory + place] ^= 0x41
    (tmp_path / "1.npz").write_bytes(data)
    with pytest.raises(TrajectoryError, match=r"1\.npz: cannot be read as a checkpoint \([^\n]*\); delete it"):
        load_arrays(tmp_path / "1.npz")
