"""Programs that a step starts: they end with it, however it ends, and what they leave behind is cleared away."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from solvation.errors import Killed

#: What prctl calls this: PR_SET_PDEATHSIG.
_DIES_WITH_PARENT = 1
#: Exit codes of a program that was ended from outside: as Python tells it, and as a shell or a launcher passes it on.
_KILLED = {code: number.name for number in (signal.SIGKILL, signal.SIGTERM) for code in (-number, 128 + number)}
#: Loaded before any fork: between that and the start of the program nothing should be.
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def run(command: Sequence[str], *, cwd: Path, stdout: IO[str], **settings: Any) -> subprocess.CompletedProcess[bytes]:
    """Run a program, as `subprocess.run` does, that does not outlive this process.

    One whose step was killed (SIGKILL, memory) would otherwise go on for hours, on a core that belongs to another job.
    Elsewhere than on Linux it does.

    Raises
    ------
    Killed
        Somebody ended it (SIGKILL, SIGTERM), or one of those that a launcher such as mpirun started.
    """
    parent = os.getpid()
    done = subprocess.run(
        command, cwd=cwd, stdout=stdout, stderr=subprocess.STDOUT, check=False,
        preexec_fn=(lambda: end_with(parent)) if _libc is not None else None, **settings,
    )  # fmt: skip
    if (name := _KILLED.get(done.returncode)) is not None:
        raise Killed(f"{Path(command[0]).name} ({name})")
    return done


def end_with(parent: int) -> None:
    """Let the kernel (Linux) kill this process when its parent ends."""
    assert _libc is not None
    _libc.prctl(_DIES_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before
        os._exit(1)


@contextmanager
def scratch_folder(program: str) -> Iterator[Path]:
    """Make a folder for the files of a program, in TMPDIR; it stays when something failed, so that they can be read.

    It is removed when all went well, and when the work is interrupted (Ctrl-C, SIGTERM) or the program killed.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"solvation-{program}-"))
    try:
        yield folder
    except (KeyboardInterrupt, SystemExit, Killed):
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder)
