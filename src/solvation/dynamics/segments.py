"""A long run in segments: one job each, killed and resumed at no cost but the last seconds, joined at the end."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solvation.dynamics.forces import Astray
from solvation.dynamics.langevin import (
    BLOCK_STEPS,
    Advance,
    Piece,
    Say,
    State,
    advance,
    columns,
    load_arrays,
    schedule,
)
from solvation.errors import EngineFailed, OutOfTime, ResultsError, TrajectoryError, in_short
from solvation.provenance import Stopwatch, sha256, write_atomically, write_text
from solvation.study import ComputedTrajectory
from solvation.walltime import MARGIN_S

XTC_PRECISION_PER_NM = 10_000.0
#: What a segment leaves beside its checkpoint, which holds their checksums: frames and log.
BESIDE = (".xtc", ".csv")
_PROGRESS_S = 10.0
#: Share of the time that may go into checkpoints inside a segment.
_CHECKPOINT_SHARE = 0.01


def run_segment(
    start: Path,
    output: Path,
    settings: ComputedTrajectory,
    *,
    segment: int,
    say: Say | None = None,
    label: str = "md",
    block_steps: int = BLOCK_STEPS,
    block: Advance = advance,
    system: Path | None = None,
    bias: str | None = None,
    renew: Callable[[State], State] | None = None,
    time_left_s: float = math.inf,
) -> None:
    """Run segment number `segment` (from 1) of `settings.segments`.

    Writes `output` (a checkpoint, .npz) and beside it the frames (.xtc) and the log (.csv); the checkpoint comes
    last. While it runs, `*.partial.npz` holds all it has done so far: the same call goes on from there. Interrupted
    (Ctrl-C, SIGTERM), it writes that file at once, up to the end of the last whole block.

    Parameters
    ----------
    start
        Checkpoint of the segment before, or of the preparation.
    say
        Gets a line of progress every few seconds.
    block
        Runs one block.
    system
        File with the forces that `block` computes; what was done with another one is not gone on with.
    bias
        What `block` adds to them, in words that differ where it differs.
    renew
        Makes the beginning of this run out of `start` of the first segment, where that is the end of another run.
    time_left_s
        Wall time granted; a block that would not end in time is not begun.

    Raises
    ------
    OutOfTime
        The time ends before the segment does; the same call goes on.
    TrajectoryError
        `start` cannot be read or is not where this segment begins.
    StudyError, EngineFailed
        As `schedule` and `advance`. Where the members of a potential disagree too much, the frame is left beside
        `output`, .stopped.extxyz.
    """
    plan = schedule(settings, block_steps)
    if not 1 <= segment <= len(plan.ends):
        raise TrajectoryError(f"segment {segment} of a run of {len(plan.ends)}; count from 1")
    first, last = plan.bounds(segment)
    watch = Stopwatch()
    partial = output.with_suffix(".partial.npz")
    identity = _identity(start, settings, segment, block_steps, system, bias)
    fresh = State.load(start)
    if renew is not None and segment == 1:
        fresh = renew(fresh)
    piece, spent = _resumed(partial, identity, fresh, len(columns(settings)), say)
    if segment > 1 or piece.state.step:
        _check_start(start, piece.state.step, first, last)
    name = f"{label} segment {segment}/{len(plan.ends)}"
    pace = Pace(name, piece.state.step, last, settings.timestep_fs, say)
    keeper = _Keeper(partial, identity, spent, watch, kept=piece.state.step)
    ends, longest_s = time.monotonic() + time_left_s, 0.0
    try:
        while piece.state.step < last:
            began = time.monotonic()
            if began + longest_s + MARGIN_S > ends:
                keeper.keep(piece)
                raise OutOfTime(f"{name}: the time granted ends; kept up to step {piece.state.step} of {last}")
            steps = min(block_steps, last - piece.state.step)
            piece = _longer(piece, block(piece.state, settings, steps, plan.save_steps, pace.tick))
            longest_s = max(longest_s, time.monotonic() - began)
            if piece.state.step < last:
                keeper.keep_now_and_then(piece)
    except KeyboardInterrupt:
        keeper.keep(piece)
        raise
    except Astray as problem:
        stopped, frame = output.with_suffix(".stopped.extxyz"), problem.atoms
        frame.info = {"charge": piece.state.charge, "multiplicity": piece.state.multiplicity}
        write_atomically(stopped, lambda temporary: frame.write(temporary, format="extxyz"))
        raise EngineFailed(f"{problem}; its frame is in {stopped} to be labelled (docs/potentials.md)") from problem
    write_frames(output.with_suffix(".xtc"), piece, settings.timestep_fs)
    write_text(output.with_suffix(".csv"), _log_text(piece.rows, columns(settings)))
    sums = {suffix: sha256(output.with_suffix(suffix)) for suffix in BESIDE}
    piece.state.save(output, spent=json.dumps(_added(spent, watch)), sha256=json.dumps(sums))
    partial.unlink(missing_ok=True)


def join(parts: Sequence[Path], settings: ComputedTrajectory, *, trajectory: Path, log: Path) -> dict[str, Any]:
    """Join finished segments into one trajectory and one log; return what they cost.

    Parameters
    ----------
    parts
        Checkpoints of the segments in order; their frames and logs are read beside them.

    Returns
    -------
    dict
        `wall_s`, `cpu_s`, `steps`, `n_frames`, `seconds_per_step`.

    Raises
    ------
    TrajectoryError
        A segment is missing, or does not follow the one before.
    ResultsError
        As `refuse_damaged`.
    """
    from MDAnalysis.lib.formats.libmdaxdr import XTCFile

    plan = schedule(settings)
    refuse_damaged(parts)
    ends = tuple(State.load(part).step for part in parts)
    if len(ends) != len(plan.ends) or ends[-1] != plan.steps or any(np.diff(ends) <= 0):
        raise TrajectoryError(
            f"{parts[0].parent}: segments end at steps {', '.join(map(str, ends))}, but the run has {len(plan.ends)} "
            f"segments and {plan.steps} steps; run the missing ones"
        )
    steps: list[int] = []
    lines: list[str] = []

    def write(temporary: Path) -> None:
        with XTCFile(str(temporary), "w") as joined:
            for part in parts:
                first = len(steps)
                for frame in _frames_of(part):
                    steps.append(int(frame.step))
                    joined.write(frame.x, frame.box, frame.step, frame.time, XTC_PRECISION_PER_NM)
                head, *rows = part.with_suffix(".csv").read_text(encoding="utf-8").splitlines(keepends=True)
                if [row.partition(",")[0] for row in rows] != [str(step) for step in steps[first:]]:
                    raise _to_be_made_anew(part, part.with_suffix(".csv"), "has other steps than the frames beside it")
                lines.extend(rows if lines else (head, *rows))
        if steps != list(range(plan.save_steps, plan.steps + 1, plan.save_steps)):
            raise TrajectoryError(f"{parts[0].parent}: frames are missing or stand twice; run its segments again")

    write_atomically(trajectory, write)
    write_text(log, "".join(lines))
    spent = cost_of(parts)
    return {
        **spent, "steps": plan.steps, "n_frames": len(steps),
        "seconds_per_step": round(spent["wall_s"] / plan.steps, 4),
    }  # fmt: skip


def refuse_damaged(parts: Sequence[Path]) -> None:
    """Refuse segments whose frames or log are not what they wrote; their checkpoints go, so that they are made anew.

    Checkpoints of older versions hold no checksums: of theirs only what is missing is found.

    Raises
    ------
    ResultsError
        Naming the first damaged file.
    """
    problems = [
        _to_be_made_anew(part, *damage) for part in parts if part.is_file() and (damage := _damage(part)) is not None
    ]
    if problems:
        raise problems[0]


def _frames_of(part: Path) -> Iterator[Any]:
    file = part.with_suffix(".xtc")
    try:
        with opened_frames(file) as frames:
            yield from frames
    except (OSError, TrajectoryError) as problem:
        raise _to_be_made_anew(part, file, f"cannot be read ({in_short(problem)})") from problem


def _damage(part: Path) -> tuple[Path, str] | None:
    try:
        stored = load_arrays(part)
    except TrajectoryError:
        return part, "cannot be read as a checkpoint"
    told = json.loads(str(stored["sha256"])) if "sha256" in stored else {}
    for suffix in BESIDE:
        file = part.with_suffix(suffix)
        if not file.is_file():
            return file, "is gone"
        if suffix in told and sha256(file) != told[suffix]:
            return file, "is not what the segment wrote (its checksum differs)"
    return None


def _to_be_made_anew(part: Path, file: Path, reason: str) -> ResultsError:
    """Take away the checkpoint of a damaged segment, which Snakemake then misses."""
    part.unlink(missing_ok=True)
    return ResultsError(f"{file}: {reason}; run the study again, which makes {part.stem} anew")


def cost_of(parts: Sequence[Path]) -> dict[str, float]:
    """Time that segments took, those that were killed included: `wall_s`, `cpu_s`."""
    spent = [json.loads(str(load_arrays(part)["spent"])) for part in parts]
    return {key: round(sum(item[key] for item in spent), 2) for key in ("wall_s", "cpu_s")}


def write_frames(path: Path, piece: Piece, timestep_fs: float) -> None:
    """Write frames as XTC, rounded to 0.001 Å, with step, time (ps) and box (zeros for a droplet)."""
    from MDAnalysis.lib.formats.libmdaxdr import XTCFile

    box_nm = np.diag(piece.state.cell_A / 10).astype(np.float32)

    def write(temporary: Path) -> None:
        with XTCFile(str(temporary), "w") as stream:
            for frame_A, row in zip(piece.frames_A, piece.rows, strict=True):
                step = int(row[0])
                stream.write(frame_A / np.float32(10), box_nm, step, step * timestep_fs / 1000, XTC_PRECISION_PER_NM)

    write_atomically(path, write)


def opened_frames(path: Path) -> Any:
    """The frames of a segment, lengths in nm, to be read one by one and closed.

    Raises
    ------
    TrajectoryError
        They cannot be read.
    """
    from MDAnalysis.lib.formats.libmdaxdr import XTCFile

    try:
        return XTCFile(str(path))
    except OSError as problem:
        raise TrajectoryError(f"{path}: cannot be read as XTC ({problem}); run its segment again") from problem


class _Keeper:
    """Writes what a segment has done so far: now and then, so that it costs next to nothing, or at once."""

    def __init__(self, partial: Path, identity: str, spent: dict[str, float], watch: Stopwatch, kept: int) -> None:
        self._partial, self._identity, self._spent, self._watch = partial, identity, spent, watch
        self._kept, self._written, self._cost_s = kept, time.monotonic(), 0.0

    def keep_now_and_then(self, piece: Piece) -> None:
        began = time.monotonic()
        if began - self._written > self._cost_s / _CHECKPOINT_SHARE:
            self.keep(piece)
            self._written = time.monotonic()
            self._cost_s = self._written - began

    def keep(self, piece: Piece) -> None:
        """Write, unless nothing was done since the last time."""
        if piece.state.step > self._kept:
            spent = json.dumps(_added(self._spent, self._watch))
            piece.state.save(
                self._partial, frames_A=piece.frames_A, rows=piece.rows, identity=self._identity, spent=spent
            )
            self._kept = piece.state.step


class Pace:
    """Says how far a segment is, how fast it goes and when it will end."""

    def __init__(self, label: str, step: int, last: int, timestep_fs: float, say: Say | None) -> None:
        """Start the clock at `step`, on the way to `last`."""
        self._label, self._last, self._timestep_fs, self._say = label, last, timestep_fs, say
        self._first = step
        self._began = self._spoken = time.monotonic()

    def tick(self, step: int, temperature_K: float) -> None:
        """Count a step; say a line when the last one is old or the segment is over."""
        now = time.monotonic()
        if self._say is None or (now - self._spoken < _PROGRESS_S and step < self._last):
            return
        self._spoken = now
        pace_s = (now - self._began) / (step - self._first)
        left_s = pace_s * (self._last - step)
        self._say(
            f"{self._label}: step {step} of {self._last}, {step * self._timestep_fs / 1000:.3f} ps, "
            f"{temperature_K:.0f} K, {pace_s:.2f} s/step, {self._timestep_fs * 0.0864 / pace_s:.3g} ns/day, "
            f"{left_s / 60:.0f} min left (until {time.strftime('%H:%M', time.localtime(time.time() + left_s))})"
        )


def _identity(
    start: Path, settings: ComputedTrajectory, segment: int, block_steps: int, system: Path | None, bias: str | None
) -> str:
    """What a partial segment must have been made from to be gone on with."""
    if not start.is_file():
        raise TrajectoryError(f"{start}: does not exist; run the segment before (or 'solvation pack') first")
    parts = [sha256(start), settings.model_dump_json(), str(settings.REVISION), str(segment), str(block_steps)]
    parts += [sha256(system)] if system else []
    parts += [bias] if bias is not None else []
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _resumed(
    partial: Path, identity: str, fresh: State, n_columns: int, say: Say | None
) -> tuple[Piece, dict[str, float]]:
    """What a killed job left, when it was the same job; else the beginning of the segment."""
    n_atoms = len(fresh.numbers)
    nothing = Piece(fresh, np.zeros((0, n_atoms, 3), np.float32), np.zeros((0, n_columns)))
    if not partial.is_file():
        return nothing, {}
    try:
        stored = load_arrays(partial)
    except TrajectoryError as problem:
        if say:
            say(f"{problem.args[0].partition(';')[0]}; the segment starts anew")
        return nothing, {}
    if str(stored.get("identity")) != identity:
        if say:
            say(f"{partial.name} belongs to other settings and is not used")
        return nothing, {}
    piece = Piece(State.load(partial), stored["frames_A"], stored["rows"])
    if say:
        say(f"resumed from {partial.name} at step {piece.state.step}")
    return piece, json.loads(str(stored["spent"]))


def _check_start(start: Path, step: int, first: int, last: int) -> None:
    if not first <= step <= last:
        raise TrajectoryError(f"{start}: stands at step {step}, but the segment runs from {first} to {last}")


def _longer(piece: Piece, more: Piece) -> Piece:
    return Piece(more.state, np.concatenate([piece.frames_A, more.frames_A]), np.concatenate([piece.rows, more.rows]))


def _added(spent: dict[str, float], watch: Stopwatch) -> dict[str, float]:
    """Time of this job and of those that were killed before it, s."""
    return {key: value + spent.get(key, 0.0) for key, value in watch.read().items()}


def _log_text(rows: NDArray[np.float64], names: Sequence[str]) -> str:
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(names)
    table.writerows([int(row[0]), *(f"{value:.9g}" for value in row[1:])] for row in rows)
    return stream.getvalue()
