"""The end of a job's time: what SLURM grants it, and the signal that announces the end."""

from __future__ import annotations

import math
import os
import re
import signal
import subprocess
import time
from types import FrameType

from solvation.progress import say

#: A job stops so long before its time ends: to write a checkpoint, and because SLURM looks at its limits now and then.
MARGIN_S = 30.0
_ASK_S = 30.0
_TIME_LEFT = re.compile(r"(?:(\d+)-)?(?:(?:(\d+):)?(\d+):)?(\d+)")


def seconds_left() -> float:
    """Seconds until SLURM ends this job; infinite outside SLURM, without a limit, and where SLURM does not tell.

    On other queues SOLVATION_END tells the end of the job, in seconds since 1970: `$(( $(date +%s) + 86400 ))`.

    SLURM's warning signal (`sbatch --signal`) reaches only the first process of a job step where control groups keep
    track of processes, and that is Snakemake: so the end is asked for.
    """
    if (end := os.environ.get("SOLVATION_END", "")).isdigit():
        return float(end) - time.time()
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        return math.inf
    if (end := os.environ.get("SLURM_JOB_END_TIME", "")).isdigit():  # newer than SLURM 22.05
        return float(end) - time.time()
    question = ["squeue", "--noheader", f"--job={job}", "--format=%L"]
    try:
        told = subprocess.run(question, capture_output=True, text=True, timeout=_ASK_S, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError) as problem:
        say(f"squeue does not tell when this job ends ({problem}); it goes on until a signal")
        return math.inf
    return parse_time_left(told)


def parse_time_left(text: str) -> float:
    """Seconds of SLURM's `days-hours:minutes:seconds`; infinite for `UNLIMITED`, `NOT_SET` and the like."""
    found = _TIME_LEFT.fullmatch(text)
    if found is None:
        return math.inf
    days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return seconds + 60 * (minutes + 60 * (hours + 24 * days))


#: Signals that announce the end: SIGTERM, and what `sbatch --signal=USR1@60` sends.
NOTICES = (signal.SIGTERM, signal.SIGUSR1)


def heed_termination() -> None:
    """Let a notice of the end stop this process as Ctrl-C does: its work is closed, written down and cleaned up first.

    A second one changes nothing: SLURM sends several, and the checkpoint is being written.
    """
    for number in NOTICES:
        signal.signal(number, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    for notice in NOTICES:
        signal.signal(notice, signal.SIG_IGN)
    raise KeyboardInterrupt
