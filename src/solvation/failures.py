"""A step that could not be computed leaves the reason where its result would stand, and the study goes on.

Such a file, whatever its suffix, is one line of JSON that begins with `MARK`. Whoever reads it as a result raises
`StepFailed`, so a step that needs it fails with the first reason, and the tables say it.
"""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from solvation import provenance
from solvation.errors import (
    EngineFailed,
    EngineMissing,
    Killed,
    OutOfTime,
    ResultsError,
    SolvationError,
    SpeciesError,
    StepFailed,
    StudyError,
)
from solvation.progress import say
from solvation.provenance import Stopwatch, listening, record, write_record, write_text
from solvation.tidy import read_rows, write_rows

Row = TypeVar("Row")

#: First characters of a failed result; no format of a result begins so.
MARK = '{"status": "failed"'
#: Set by the workflow: steps that fail leave a failed result and exit 0.
SWITCH = "SOLVATION_KEEP_GOING"
#: What has to be mended before anything can go on: mistakes of the user, a full disk, too little memory or time.
_STOPS = (StudyError, SpeciesError, EngineMissing, ResultsError, OutOfTime, Killed, OSError, MemoryError)
#: Made of all steps; they have to be made again when a step is.
_SUMMARIES = ("provenance.json", "comparison.csv", "report.html")


@dataclass(frozen=True, slots=True)
class FailureRow:
    """One step without a result.

    Attributes
    ----------
    needs
        The step that failed first, where it is not this one.
    reason
        Why the first one failed.
    file
        Where the result would stand, in the folder of the study.
    """

    step: str
    subject: str
    level: str
    needs: str
    reason: str
    file: str


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a study while it runs: what it was given, and since when."""

    name: str
    card: dict[str, Any]
    inputs: Sequence[Path]
    watch: Stopwatch
    outputs: Sequence[Path] = ()

    def write(self, path: Path, **fields: Any) -> None:
        """Write JSON atomically, after all other results: how they were made, their checksums, and `fields`."""
        write_record(path, {**self.record(), **fields}, self.outputs)

    def record(self) -> dict[str, Any]:
        """How its result was made."""
        return record(
            step=self.name, card=self.card, inputs=self.inputs, stopwatch=self.watch, seed=self.card.get("seed")
        )

    def record_of_failure(self) -> dict[str, Any]:
        """How it came to fail: what it needs may be missing for that very reason."""
        return replace(self, inputs=[path for path in self.inputs if path.is_file()]).record()


@contextmanager
def keep_going(step: str, card: str, *, inputs: Sequence[Path], outputs: Sequence[Path]) -> Iterator[Step]:
    """Run one step of a study; one that fails leaves failed results, where the workflow asked for it.

    Parameters
    ----------
    card
        Settings of the step as one line of JSON.
    inputs, outputs
        Files that the step reads, and all that it writes.

    Raises
    ------
    Exception
        As it came: outside the workflow, and for what has to be mended first.
    """
    running = Step(step, json.loads(card), inputs, Stopwatch(), outputs)
    try:
        with listening():
            yield running
    except Exception as problem:
        if isinstance(problem, _STOPS) or os.environ.get(SWITCH, "0") == "0":
            raise
        if not isinstance(problem, SolvationError):
            traceback.print_exc()  # a bug, here or in an engine: the log keeps where it is
        told = _origin(problem, running)
        _write_failed(told, running, outputs)
        say(f"failed: {told['origin']}: {told['reason']}; the study goes on without it")


def give_up(step: str, card: str, reason: str, outputs: Sequence[Path]) -> None:
    """Let failed results stand for a step that ended without saying why, such as one that a queue killed each time."""
    ended = Step(step, json.loads(card), (), Stopwatch())
    _write_failed(_origin(EngineFailed(reason), ended), ended, outputs)


def refuse_failed(*paths: Path) -> None:
    """Raise when one of the files stands for a step that failed.

    Raises
    ------
    StepFailed
        With the first reason.
    """
    for path in paths:
        told = _failed(path)
        if told is not None:
            raise StepFailed(told["origin"], told["reason"])


def record_of_failure(path: Path) -> dict[str, Any] | None:
    """What a failed result says of how it came about; None for any other file. Raises as `failures`."""
    return _failed(path)


def is_failed(path: Path) -> bool:
    """Whether the file stands for a step that failed."""
    return _failed(path) is not None


def read_result(path: Path) -> dict[str, Any]:
    """Read what a step computed.

    Raises
    ------
    ResultsError
        The file is missing or damaged.
    StepFailed
        The step, or one that it needs, failed.
    """
    refuse_failed(path)
    return provenance.read_result(path)


def read_table(path: Path, kind: type[Row]) -> list[Row]:
    """Read a table that a step wrote; raises as `read_result`."""
    refuse_failed(path)
    return read_rows(path, kind)


def failures(folder: Path, asked: Iterable[str]) -> list[FailureRow]:
    """Steps of a study without a result, those that failed themselves before those that need them.

    Parameters
    ----------
    asked
        Files that the study asks for, relative to its folder.

    Raises
    ------
    ResultsError
        A failed result is damaged.
    """
    told = ((path, _failed(path)) for path in _paths(folder, asked))
    return _rows(folder, {path: failed for path, failed in told if failed is not None})


def _rows(folder: Path, failed: Mapping[Path, dict[str, Any]]) -> list[FailureRow]:
    rows = [
        FailureRow(
            step=told["step"],
            subject=told["card"]["name"],
            level=told["card"].get("level") or "",
            needs="" if told["first"] else told["origin"],
            reason=told["reason"],
            file=str(path.relative_to(folder)),
        )
        for path, told in failed.items()
        if path.name == told["file"]  # a step with several files counts once
    ]
    return sorted(rows, key=lambda row: (row.needs != "", row.file))


def write_failures(folder: Path, asked: Iterable[str]) -> None:
    """Write `failures.csv`; a study without failures has none. Raises as `failures`."""
    rows = failures(folder, asked)
    if rows:
        write_rows(folder / "failures.csv", FailureRow, rows)
    else:
        (folder / "failures.csv").unlink(missing_ok=True)


def retry(folder: Path, asked: Iterable[str]) -> list[FailureRow]:
    """Remove every failed result, damaged ones too, and the summaries; the next run computes them again."""
    failed, damaged = {}, []
    for path in _paths(folder, asked):
        try:
            told = _failed(path)
        except ResultsError:
            name = str(path.relative_to(folder))
            damaged.append(FailureRow("unknown step", "unknown", "", "", "its failed result was damaged", name))
            path.unlink()
            continue
        if told is not None:
            failed[path] = told
    for path in failed:
        path.unlink()
    rows = [*_rows(folder, failed), *damaged]
    if rows:
        # Else Snakemake would take the summaries for finished and never ask for what they were made from.
        for name in _SUMMARIES:
            (folder / name).unlink(missing_ok=True)
    return rows


def _write_failed(told: dict[str, Any], step: Step, outputs: Sequence[Path]) -> None:
    text = json.dumps({"status": "failed", **told, "file": outputs[0].name, **step.record_of_failure()})
    for path in outputs:
        write_text(path, text + "\n")


def _origin(problem: Exception, step: Step) -> dict[str, Any]:
    if isinstance(problem, StepFailed):
        return {"origin": problem.origin, "reason": problem.reason, "first": False}
    level = f" at {step.card['level']}" if step.card.get("level") else ""
    kind = "" if isinstance(problem, SolvationError) else f"{type(problem).__name__}: "
    reason = kind + " ".join(str(problem).split())
    return {"origin": f"{step.name} of {step.card['name']}{level}", "reason": reason, "first": True}


def _paths(folder: Path, asked: Iterable[str]) -> list[Path]:
    return [folder / file for file in sorted(set(asked))]


def _failed(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    with path.open("rb") as stream:
        if stream.read(len(MARK)) != MARK.encode():
            return None
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        texts = (told["step"], told["origin"], told["reason"], told["file"], told["card"]["name"])
        if not isinstance(told["first"], bool) or not all(isinstance(text, str) for text in texts):
            raise ValueError("of other kinds")
    except (ValueError, KeyError, TypeError, RecursionError) as problem:
        raise ResultsError(f"{path}: a failed result, and damaged; solvation retry STUDY removes it") from problem
    return dict(told)
