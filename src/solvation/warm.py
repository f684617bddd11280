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
from typing import NamedTuple, NoReturn

from solvation.children import end_with
from solvation.entry import SWITCH

#: What most steps import, and none of what reads the number of threads when it is loaded or starts some of its own.
_LOADED = (
    "solvation.cli.app", "solvation.clusters.sampling", "solvation.clusters.ligands", "solvation.energies.counterpoise",
    "solvation.energies.thermochemistry", "solvation.dynamics.segments", "solvation.liquids.packing",
    "solvation.shells.analysis", "solvation.patterns.scattering", "solvation.transport.analysis",
    "solvation.tables.energies", "solvation.comparison", "ase.io.extxyz", "scipy.optimize", "scipy.interpolate",
)  # fmt: skip
_LONGEST_CALL = 1 << 22
#: What prctl calls this: PR_SET_NAME.
_NAME = 15


class _Step(NamedTuple):
    """A step that runs: its process, what becomes readable at its end, and the line to the command that asked."""

    process: int
    end: int
    line: socket


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
    # -P: a file of the working folder is not taken for a library, as the command does not take it for one.
    command = [sys.executable, "-P", "-m", "solvation.warm", str(os.getpid())]
    process = subprocess.Popen(
        command, stdin=listener.fileno(), stdout=subprocess.DEVNULL, start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    listener.close()
    os.environ[SWITCH] = f"{place}{os.pathsep}{sys.prefix}"
    atexit.register(_stop, process, folder)


def _stop(process: subprocess.Popen[bytes], folder: str) -> None:
    process.kill()
    process.wait()
    shutil.rmtree(folder, ignore_errors=True)


def serve(run: int) -> NoReturn:
    """Wait for steps on standard input, a listening socket, until the run ends and takes this process along."""
    end_with(run)
    # Where they are sent to all that a run started, steps write their checkpoints, for which this process has to stay.
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    for name in _LOADED:
        importlib.import_module(name)
    from solvation.cli.app import command
    from solvation.library import library
    from solvation.provenance import sources_sha256

    # Read once for all steps, a twentieth of a second.
    command()
    library()
    sources_sha256()
    # What is here already is nothing to be looked through, and so copied, in every step.
    gc.freeze()
    own = os.getpid()
    steps: list[_Step] = []
    with socket(fileno=os.dup(0)) as listener:
        while True:
            watch = select.poll()
            watch.register(listener, select.POLLIN)
            for step in steps:
                watch.register(step.end, select.POLLIN)
                watch.register(step.line, 0)  # for its end: what the command says is for the step
            ready = dict(watch.poll())
            for step in list(steps):
                if step.end in ready:
                    steps.remove(step)
                    _tell_end(step)
                elif step.line.fileno() in ready:  # the command was killed
                    os.kill(step.process, signal.SIGKILL)
            if listener.fileno() in ready:
                line, _ = listener.accept()
                try:
                    process = os.fork()
                except OSError:  # no room for one more: the command starts by itself
                    line.close()
                    continue
                if process == 0:
                    _be_step(line, own)
                steps.append(_Step(process, os.pidfd_open(process), line))
                with contextlib.suppress(OSError):
                    line.sendall(f"{process}\n".encode())


def _tell_end(step: _Step) -> None:
    """Tell the command the exit code of its step as a shell does: 128 and the signal, where one ended it."""
    code = os.waitstatus_to_exitcode(os.waitpid(step.process, 0)[1])
    os.close(step.end)
    with step.line, contextlib.suppress(OSError):
        step.line.sendall(f"{code if code >= 0 else 128 - code}\n".encode())


def _be_step(line: socket, parent: int) -> NoReturn:
    """Become the process that the command at the other end of `line` asks for."""
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        end_with(parent)
        text, files, *_ = recv_fds(line, _LONGEST_CALL, 3)
        while not text.endswith(b"\n"):
            text += line.recv(_LONGEST_CALL) or b"\n"
        line.close()
        for place, file in enumerate(files):
            os.dup2(file, place)
            os.close(file)
        call = json.loads(text)
        os.environ.clear()
        os.environ.update(call["environment"])
        os.environ["OPENBLAS_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"
        os.chdir(call["folder"])
        # The user's own modules, of `ase:` levels, may lie where only the command looks.
        sys.path[:] = call["path"]
        sys.argv = ["solvation", *call["words"]]
        # What `ps` and `top` call it.
        ctypes.CDLL(None).prctl(_NAME, f"solvation {sys.argv[1] if len(sys.argv) > 1 else ''}".encode()[:15])
        code = _run()
        # As Python ends, but for the half second in which it would take every library in this copy of memory apart.
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _run() -> int:
    """Exit code of the command, as Python gives it."""
    from solvation.cli.app import main

    try:
        main()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    serve(int(sys.argv[1]))
