"""A process that has the libraries in memory and lends them to the steps of one run on this machine.

Every step is a process of its own, forked from this one (`entry.py` hands it over), with the words, the folder, the
environment, the input and the outputs of the command that asked for it. It ends with that command, and this process
ends with the run that started it, however they end. Libraries that start threads are not loaded here: each step loads
them as it would by itself, with the threads that it is given.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import importlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from socket import AF_UNIX, SOCK_STREAM, recv_fds, socket
from types import FrameType
from typing import Any, NoReturn

from solvation.entry import SWITCH

#: What most steps import, and none of what reads the number of threads when it is loaded or starts some of its own.
_LOADED = (
    "solvation.cli.app", "solvation.clusters.sampling", "solvation.clusters.ligands", "solvation.energies.counterpoise",
    "solvation.energies.thermochemistry", "solvation.dynamics.segments", "solvation.liquids.packing",
    "solvation.tables", "solvation.failures", "ase.io.extxyz", "scipy.optimize", "scipy.interpolate", "pandas",
)  # fmt: skip
_LONGEST_CALL = 1 << 22
#: What prctl calls these: PR_SET_PDEATHSIG, PR_SET_NAME.
_DIES_WITH_PARENT, _NAME = 1, 15


def start() -> None:
    """Start the process for this run, which ends with it, and tell the steps where it is (`SOLVATION_WARM`).

    Steps that ask before its libraries are loaded wait for it. Where that variable is set already, and empty, or the
    system is not Linux, nothing is started, and every step starts by itself.
    """
    if SWITCH in os.environ or not hasattr(os, "pidfd_open"):
        return
    folder = tempfile.mkdtemp(prefix="solvation-warm-")  # for this user only
    place = Path(folder) / "socket"
    listener = socket(AF_UNIX, SOCK_STREAM)
    listener.bind(str(place))
    listener.listen(256)
    command = [sys.executable, "-m", "solvation.warm", str(os.getpid()), folder]
    process = subprocess.Popen(
        command, stdin=listener.fileno(), stdout=subprocess.DEVNULL, start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    listener.close()
    os.environ[SWITCH] = str(place)
    atexit.register(_stop, process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait()


def serve(run: int, folder: Path) -> NoReturn:
    """Wait for steps on standard input, a listening socket, until the run ends."""
    _end_with(run)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGCHLD, _count)
    for name in _LOADED:
        importlib.import_module(name)
    own = os.getpid()
    # What is here already is nothing to be looked through, and so copied, in every step.
    gc.freeze()
    try:
        with socket(fileno=os.dup(0)) as listener:
            while True:
                line, _ = listener.accept()
                if os.fork() == 0:
                    listener.close()
                    _look_after(line, own)
                line.close()
    except SystemExit:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _count(number: int, frame: FrameType | None) -> None:
    """Take note of the processes that ended, and so of their CPU time."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _look_after(line: socket, parent: int) -> NoReturn:
    """Start the step that `line` asks for and tell its end, or end it with the command that asked."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _end_with(parent)
    own = os.getpid()
    text, files, *_ = recv_fds(line, _LONGEST_CALL, 3)
    while text and not text.endswith(b"\n"):
        text += line.recv(_LONGEST_CALL)
    if not text:
        os._exit(0)
    if (worker := os.fork()) == 0:
        line.close()
        _end_with(own)
        _step(json.loads(text), files)
    for file in files:
        os.close(file)
    watched = os.pidfd_open(worker)
    status = None
    with contextlib.suppress(OSError):  # the command may be gone at any time
        line.sendall(f"{worker}\n".encode())
        ready = select.select([line.fileno(), watched], [], [])[0]
        if watched in ready:
            _, status = os.waitpid(worker, 0)
            line.sendall(f"{_as_a_shell_tells(status)}\n".encode())
    if status is None:
        os.kill(worker, signal.SIGKILL)
        os.waitpid(worker, 0)
    os._exit(0)


def _as_a_shell_tells(status: int) -> int:
    """Exit code of a process, 128 and the number of the signal that killed it."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _step(call: dict[str, Any], files: list[int]) -> NoReturn:
    """Become the process that was asked for."""
    for place, file in enumerate(files):
        os.dup2(file, place)
        os.close(file)
    os.environ.clear()
    os.environ.update(call["environment"])
    os.chdir(call["folder"])
    sys.argv = ["solvation", *call["words"]]
    os.environ["OPENBLAS_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"
    # What `ps` and `top` call it.
    ctypes.CDLL(None).prctl(_NAME, f"solvation {sys.argv[1] if len(sys.argv) > 1 else ''}".encode()[:15])
    from solvation.cli.app import main

    signal.signal(signal.SIGINT, signal.default_int_handler)
    code = 0
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    except BaseException:
        traceback.print_exc()
        code = 1
    # As Python ends, but for the half second in which it would take every library in this copy of memory apart.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _end_with(parent: int) -> None:
    """Let the kernel kill this process when its parent ends."""
    ctypes.CDLL(None).prctl(_DIES_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before
        os._exit(1)


if __name__ == "__main__":
    serve(int(sys.argv[1]), Path(sys.argv[2]))
