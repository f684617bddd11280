"""A results folder belongs to one study file; another one of the same name is refused."""

from __future__ import annotations

import json
import os
import platform
import stat
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from solvation.errors import StudyError
from solvation.provenance import files_under, write_text
from solvation.study.file import Study

_STAMP = "study-file.txt"
#: Which process of which machine runs the study, or ran it last.
_RUN = ".run.json"
#: Where Snakemake lists the files that a run reads and writes, while it runs.
LOCKS = Path(".snakemake/locks")
#: Clocks of a file server and of this machine differ by less, seconds.
_SKEW_S = 60.0
#: The second of January 1970, everywhere; some file systems know nothing before.
_LONG_AGO = 86_400.0


def refuse_foreign(study: Study, path: Path) -> None:
    """Raise when the results folder was made by another study file.

    Raises
    ------
    StudyError
        With the file it belongs to.
    """
    owner = owner_of(study.folder)
    if owner is not None:
        if owner != (mine := _relative(study, path)):
            if not (study.folder / owner).exists():
                raise StudyError(
                    f"{path}: name: '{study.name}' would write into {study.folder}, which belongs to "
                    f"{os.path.normpath(study.folder / owner)}, and that is gone; if this is the same study, renamed "
                    f"or moved, write '{mine}' into {study.folder / _STAMP}, else give it another name"
                )
            raise StudyError(
                f"{path}: name: '{study.name}' would write into {study.folder}, which belongs to "
                f"{os.path.normpath(study.folder / owner)}; give the study another name, or remove the folder"
            )
    elif (study.folder / "provenance.json").exists():
        raise StudyError(f"{path}: name: {study.folder} holds results of unknown origin; give the study another name")


def owner_of(folder: Path) -> str | None:
    """The study file that a results folder was made by, as seen from there; None where it does not say.

    Raises
    ------
    StudyError
        What it says is damaged.
    """
    stamp = folder / _STAMP
    if not stamp.is_file():
        return None
    try:
        return stamp.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError as problem:
        raise StudyError(
            f"{stamp}: is damaged ({problem.reason}); write the path of the study file into it, as seen from {folder}"
        ) from problem


def claim(study: Study, path: Path) -> None:
    """Mark the results folder as made by this study file."""
    refuse_foreign(study, path)
    write_text(study.folder / _STAMP, _relative(study, path) + "\n")


def begin_run(study: Study) -> None:
    """Say that this process runs the study.

    Raises
    ------
    StudyError
        Another one of this machine does: Snakemake's locks lie in the working directory and tell nothing of a run that
        began in another one.
    """
    refuse_running(study, locks=None)
    mine = {"host": platform.node(), "pid": os.getpid(), "started": psutil.Process().create_time()}
    write_text(study.folder / _RUN, json.dumps(mine) + "\n")


def refuse_running(study: Study, locks: Path | None = LOCKS) -> None:
    """Raise while Snakemake works on a study, as far as its locks in the working directory (None: not asked) and the
    processes of this machine tell.

    Raises
    ------
    StudyError
        With what to wait for.
    """
    last = _last_run(study)
    if last is not None and last.host == platform.node() and last.pid != os.getpid() and last.is_alive:
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(last.started))
        raise StudyError(
            f"{study.folder}: process {last.pid} of this machine runs the study since {since}; wait for it, or end it"
        )
    if locks is not None and locks_of(study, locks) and not was_killed(study, locks):
        raise StudyError(
            f"{study.folder}: Snakemake works on it, or was killed elsewhere; wait, or: snakemake --unlock --config "
            "study=FILE"
        )


def was_killed(study: Study, locks: Path = LOCKS) -> bool:
    """Whether the last run of this study was on this machine and is gone; False where nobody knows.

    A run takes its lock seconds before it says who it is: a lock that is newer than that may be of one which has begun.
    """
    last = _last_run(study)
    if last is None or last.host != platform.node() or last.is_alive:
        return False
    told = (study.folder / _RUN).stat().st_mtime
    newer = any(lock.stat().st_mtime > told for lock in locks_of(study, locks) if lock.exists())
    return not (newer and _another_snakemake())


def _another_snakemake() -> bool:
    """Whether a Snakemake that is not this process, nor what started it, lives in the working directory."""
    here, own = os.getcwd(), {os.getpid(), *(one.pid for one in psutil.Process().parents())}
    return any(
        process.info["cwd"] == here and any(Path(word).name == "snakemake" for word in process.info["cmdline"] or ())
        for process in psutil.process_iter(["cwd", "cmdline"])
        if process.pid not in own
    )


@dataclass(frozen=True, slots=True)
class _Run:
    """The process that ran a study last."""

    host: str
    pid: int
    started: float

    @property
    def is_alive(self) -> bool:
        """Whether it still does; asked on its own machine."""
        try:
            # Another process may have the number by now.
            return abs(float(psutil.Process(self.pid).create_time()) - self.started) <= 1.0
        except (psutil.Error, ValueError, OverflowError):
            return False


def _last_run(study: Study) -> _Run | None:
    try:
        last = json.loads((study.folder / _RUN).read_text(encoding="utf-8"))
        return _Run(str(last["host"]), int(last["pid"]), float(last["started"]))
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None


def locks_of(study: Study, locks: Path = LOCKS) -> list[Path]:
    """Snakemake's locks on the files of a study: of a run that goes on, or of one that was killed."""
    return [
        lock
        for lock in sorted(locks.glob("*.lock"))
        if any(
            line.startswith(f"{study.folder}/")
            for line in lock.read_text(encoding="utf-8", errors="replace").splitlines()
        )
    ]


def heal(study: Study, locks: Path = LOCKS) -> list[Path]:
    """Remove the locks that a run of this study left which was killed on this machine, and return them.

    A run that goes on, here or on another machine, keeps its own.
    """
    own = locks_of(study, locks) if was_killed(study, locks) else []
    for lock in own:
        lock.unlink(missing_ok=True)
    return own


def heal_dates(study: Study) -> list[Path]:
    """Date results back that lie in the future, since a clock was wrong when they were made, and return them.

    When they were made nobody knows, and Snakemake would not see what was edited since. So they become older than
    anything; Snakemake then compares what they were made from with its checksums, and makes no finished step again.
    """
    latest = time.time() + _SKEW_S
    found = []
    for path in files_under(study.folder):
        # One look at each, at the start of every run; links are left alone.
        told = path.lstat()
        if stat.S_ISREG(told.st_mode) and told.st_mtime > latest:
            found.append(path)
    for path in found:
        os.utime(path, (_LONG_AGO, _LONG_AGO))
    return found


def _relative(study: Study, path: Path) -> str:
    return os.path.relpath(path.resolve(), study.folder.resolve())
