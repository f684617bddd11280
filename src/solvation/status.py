"""How far a study is: what is done, changed, failed or left, and the hours spent."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from solvation.errors import StepFailed
from solvation.failures import refuse_failed
from solvation.lineage import read_records
from solvation.study import Study
from solvation.study.targets import Target, targets

State = Literal["done", "changed", "failed", "left"]
STATES: tuple[State, ...] = ("done", "changed", "failed", "left")


@dataclass(frozen=True, slots=True)
class Job:
    """One job of a study.

    Attributes
    ----------
    state
        `changed`: done, but with other settings than the study asks for now; `failed`: its result is
        the record of a failure, or is missing and its log ends with an error.
    reason
        Last words of a failed job.
    """

    target: Target
    state: State
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """All jobs of a study, in the order of the workflow, and what the recorded ones took."""

    jobs: tuple[Job, ...]
    wall_h: float
    cpu_h: float

    def of(self, *states: State) -> list[Job]:
        """Jobs in one of these states."""
        return [job for job in self.jobs if job.state in states]


def status(study: Study, logs: Path = Path("logs")) -> Status:
    """Compare what a study asks for with what lies in its results folder.

    Parameters
    ----------
    logs
        Folder of the logs of all studies; a missing result whose log ends with an error has failed.

    Raises
    ------
    ResultsError
        A record is damaged.
    """
    records = read_records(study.folder) if study.folder.is_dir() else {}
    jobs = tuple(_job(target, study.folder, logs / study.name, records) for target in targets(study))
    spent = [records[job.target.record] for job in jobs if job.target.record in records]
    return Status(jobs, *(sum(_seconds(item.get(key)) for item in spent) / 3600 for key in ("wall_s", "cpu_s")))


def as_lines(found: Status, study: Study, most: int = 12) -> list[str]:
    """The status as text; no more than `most` jobs of a kind are named."""
    lines = [f"{'step':22s}" + "".join(f"{state:>9s}" for state in STATES)]
    for rule in dict.fromkeys(job.target.rule for job in found.jobs):
        counts = Counter(job.state for job in found.jobs if job.target.rule == rule)
        lines.append(f"{rule:22s}" + "".join(f"{counts[state]:9d}" for state in STATES))
    lines.append(f"{'all':22s}" + "".join(f"{len(found.of(state)):9d}" for state in STATES))
    lines.append(f"recorded so far: {found.cpu_h:.2f} h of CPU time, {found.wall_h:.2f} h by the clock, added up")
    lines += [f"failed: {job.target.rule} of {job.target.subject}: {job.reason}" for job in found.of("failed")]
    for state, meaning in (("changed", "done with other settings"), ("left", "left")):
        members = [f"{job.target.rule} of {job.target.subject}" for job in found.jobs if job.state == state]
        lines += [f"{meaning}: {text}" for text in members[:most]]
        lines += [f"... and {len(members) - most} more (--json lists them)"] if len(members) > most else []
    if not found.of("changed", "failed", "left"):
        lines.append(f"nothing is left to do; the report is {study.folder / 'report.html'}")
    return lines


def as_data(found: Status) -> dict[str, Any]:
    """The status as plain data."""
    return {
        "counts": {state: len(found.of(state)) for state in STATES},
        "wall_h": found.wall_h,
        "cpu_h": found.cpu_h,
        "jobs": [
            {
                "rule": job.target.rule, "subject": job.target.subject, "state": job.state, "reason": job.reason,
                "files": list(job.target.files), "log": job.target.log,
            }
            for job in found.jobs
        ],
    }  # fmt: skip


def _job(target: Target, folder: Path, logs: Path, records: dict[str, dict[str, Any]]) -> Job:
    if not all((folder / file).is_file() for file in target.files):
        reason = _last_error(logs / target.log)
        return Job(target, "failed" if reason else "left", reason)
    try:
        refuse_failed(*(folder / file for file in target.files))
    except StepFailed as problem:
        return Job(target, "failed", str(problem))
    made = records.get(target.record)
    if made is not None and made["card"] != json.loads(target.card):
        return Job(target, "changed")
    return Job(target, "done")


def _last_error(log: Path) -> str:
    """The last line of a log where it is that of an error; a running job has not ended with one."""
    if not log.is_file():
        return ""
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    last = lines[-1] if lines else ""
    return last.removeprefix("error: ") if last.startswith("error: ") else ""


def _seconds(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
