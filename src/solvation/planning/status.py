"""How far a study is: what is done, changed, failed or left, and the hours spent."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from solvation.archive.lineage import inside, prefix_of, records_of
from solvation.errors import ResultsError, StepFailed
from solvation.failures import give_up as record_failure
from solvation.failures import refuse_failed
from solvation.planning.costs import read_past, work
from solvation.planning.outdated import outdated
from solvation.study import Study
from solvation.study.claim import LOCKS, locks_of, was_killed
from solvation.study.targets import Target, targets

State = Literal["done", "changed", "failed", "running", "left"]
STATES: tuple[State, ...] = ("done", "changed", "failed", "running", "left")
#: Where it marks the files that are being made; a mark that is left has its file made once more.
MARKS = Path(".snakemake/incomplete")


@dataclass(frozen=True, slots=True)
class Job:
    """One job of a study.

    Attributes
    ----------
    state
        `changed`: done, but not from what the study asks for now, or some step before it is; `failed`: its result is
        the record of a failure, or is missing and its log ends with an error; `running`: it has begun a log, its
        result is missing, and Snakemake works in this folder.
    reason
        Last words of a failed job; what became of what a changed one was made from.
    """

    target: Target
    state: State
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """All jobs of a study, in the order of the workflow, what the recorded ones took, and a guess for the others."""

    jobs: tuple[Job, ...]
    wall_h: float
    cpu_h: float
    left_cpu_h: float

    def of(self, *states: State) -> list[Job]:
        """Jobs in one of these states."""
        return [job for job in self.jobs if job.state in states]


def status(study: Study, logs: Path = Path("logs"), locks: Path = LOCKS) -> Status:
    """Compare what a study asks for with what lies in its results folder.

    Parameters
    ----------
    logs
        Folder of the logs of all studies; a missing result whose log ends with an error has failed.
    locks
        Folder of Snakemake's locks.

    Raises
    ------
    ResultsError
        A record is damaged.
    """
    asked = targets(study)
    records = records_of(study.folder, asked)
    stale = outdated(study, asked, records)
    runs = is_locked(study, locks)
    alone = [_job(target, study.folder, logs / study.name, stale, runs) for target in asked]
    jobs = _with_what_follows(alone, study.folder, records, stale)
    spent = [records[job.target.record] for job in jobs if job.target.record in records]
    wall_h, cpu_h = (sum(_seconds(item.get(key)) for item in spent) / 3600 for key in ("wall_s", "cpu_s"))
    past = read_past(study.results)
    to_do = [job.target for job in jobs if job.state in {"changed", "running", "left"}]
    left_s = sum(past.seconds(work(study, one.step, one.name, one.level)) for one in to_do)
    return Status(jobs, wall_h, cpu_h, left_s / 3600)


def as_lines(found: Status, study: Study, most: int = 12) -> list[str]:
    """The status as text; no more than `most` jobs of a kind are named."""
    lines = [f"{'step':22s}" + "".join(f"{state:>9s}" for state in STATES)]
    for rule in dict.fromkeys(job.target.rule for job in found.jobs):
        counts = Counter(job.state for job in found.jobs if job.target.rule == rule)
        lines.append(f"{rule:22s}" + "".join(f"{counts[state]:9d}" for state in STATES))
    lines.append(f"{'all':22s}" + "".join(f"{len(found.of(state)):9d}" for state in STATES))
    lines.append(f"recorded so far: {found.cpu_h:.2f} h of CPU time, {found.wall_h:.2f} h by the clock, added up")
    if found.left_cpu_h:
        lines.append(f"left: about {found.left_cpu_h:.2f} h of CPU time, a rough guess")
    lines += [f"failed: {job.target.rule} of {job.target.subject}: {job.reason}" for job in found.of("failed")]
    for state, meaning in (("running", "running"), ("changed", "to be made anew"), ("left", "left")):
        members = [
            f"{job.target.rule} of {job.target.subject}" + (f" ({job.reason})" if job.reason else "")
            for job in found.jobs
            if job.state == state
        ]
        lines += [f"{meaning}: {text}" for text in members[:most]]
        lines += [f"... and {len(members) - most} more (--json lists them)"] if len(members) > most else []
    if not found.of("changed", "failed", "running", "left"):
        lines.append(f"nothing is left to do; the report is {study.folder / 'report.html'}")
    return lines


def as_data(found: Status) -> dict[str, Any]:
    """The status as plain data."""
    return {
        "counts": {state: len(found.of(state)) for state in STATES},
        "wall_h": found.wall_h,
        "cpu_h": found.cpu_h,
        "left_cpu_h": found.left_cpu_h,
        "jobs": [
            {
                "rule": job.target.rule, "subject": job.target.subject, "state": job.state, "reason": job.reason,
                "files": list(job.target.files), "log": job.target.log,
            }
            for job in found.jobs
        ],
    }  # fmt: skip


def give_up(
    study: Study, logs: Path = Path("logs"), locks: Path = LOCKS, marks: Path = MARKS, *, rest: bool = False
) -> list[Job]:
    """Record as failed every job that has begun and left no result, so that the tables can be made without it.

    Parameters
    ----------
    rest
        Those that never began as well: tables and report of what is there so far.

    Returns
    -------
    list of Job
        Those jobs, with the reason that is recorded.

    Raises
    ------
    ResultsError
        Snakemake works on the study, or left its lock.
    """
    if is_locked(study, locks):
        raise ResultsError(
            f"{study.folder}: Snakemake works on it, or was killed elsewhere; wait, or: snakemake --unlock --config "
            "study=FILE"
        )
    given_up = []
    for job in status(study, logs, locks).of("failed", "left"):
        one, log = job.target, logs / study.name / job.target.log
        files = [study.folder / file for file in dict.fromkeys([*one.files, *filter(None, [one.record])])]
        begun = log.is_file()
        # A step that failed with a reason has all its files, though no record; its reason stays.
        if not one.card or not (begun or rest) or all((study.folder / file).is_file() for file in one.files):
            continue
        last = _last_line(log).removeprefix("error: ")
        ended = f"given up; it ended without a result, and the last line of its log is '{last}'"
        reason = ended if begun else "not computed so far"
        record_failure(one.step, one.card, reason, files)
        _forget_begun(files, marks)
        given_up.append(replace(job, state="failed", reason=reason))
    return given_up


def _forget_begun(files: Sequence[Path], marks: Path) -> None:
    """Remove the marks of files that were being made when Snakemake was killed, or it makes them once more."""
    wanted = {path.resolve() for path in files}
    for mark in marks.rglob("*"):
        # Long names lie in folders, with an @ before all parts but the last.
        name = "".join(part.removeprefix("@") for part in mark.relative_to(marks).parts)
        try:
            made = Path(urlsafe_b64decode(name).decode())
        except ValueError:
            continue
        if mark.is_file() and made.resolve() in wanted:
            mark.unlink()


def is_locked(study: Study, locks: Path = LOCKS) -> bool:
    """Whether Snakemake writes to this study's folder now, or was killed elsewhere while it did and left its lock."""
    return bool(locks_of(study, locks)) and not was_killed(study)


def _job(target: Target, folder: Path, logs: Path, stale: Mapping[str, str], runs: bool) -> Job:
    if not all((folder / file).is_file() for file in target.files):
        reason = _last_error(logs / target.log)
        begun = runs and (logs / target.log).is_file()
        return Job(target, "failed" if reason else "running" if begun else "left", reason)
    if target.files[0] in stale:
        return Job(target, "changed", stale[target.files[0]])
    try:
        refuse_failed(*(folder / file for file in target.files))
    except StepFailed as problem:
        return Job(target, "failed", str(problem))
    return Job(target, "done")


def _with_what_follows(
    alone: Sequence[Job], folder: Path, records: Mapping[str, dict[str, Any]], stale: Mapping[str, str]
) -> tuple[Job, ...]:
    """Finished jobs are changed where one that they were made from is not finished."""
    prefix = prefix_of(folder)
    jobs = {job.target.files[0]: job for job in alone}
    makers = {file: job.target.files[0] for job in alone for file in (*job.target.files, job.target.record) if file}
    runs: dict[str, list[str]] = {}
    for name, job in jobs.items():
        if job.target.rule in {"pack", "segment"}:
            runs.setdefault(job.target.name, []).append(name)
    waits: dict[str, list[str]] = {}
    for name, job in jobs.items():
        read = records.get(job.target.record, {}).get("inputs_sha256", {})
        own = [makers.get(inside(file, folder, prefix) or "", name) for file in read]
        # Segments keep no record, and the summaries, which come last, are made from all before them.
        own += runs.get(job.target.name, []) if job.target.rule in {"segment", "join"} else []
        own += list(jobs)[: list(jobs).index(name)] if not job.target.card else []
        for before in own:
            waits.setdefault(before, []).append(name)
    # Who removed checkpoints from a finished study has nothing to be made.
    due = [
        name
        for name, job in jobs.items()
        if name in stale or (job.state in {"left", "running"} and job.target.is_asked)
    ]
    for before in due:  # grows meanwhile
        for name in waits.get(before, ()):
            job = jobs[name]
            if job.state not in {"done", "failed"} or not all((folder / file).is_file() for file in job.target.files):
                continue
            cause = jobs[before].target
            jobs[name] = Job(job.target, "changed", f"after {cause.rule} of {cause.subject}")
            due.append(name)
    return tuple(jobs.values())


def _last_line(log: Path) -> str:
    if not log.is_file():
        return ""
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _last_error(log: Path) -> str:
    """The last line of a log where it is that of an error; a running job has not ended with one."""
    last = _last_line(log)
    return last.removeprefix("error: ") if last.startswith("error: ") else ""


def _seconds(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
