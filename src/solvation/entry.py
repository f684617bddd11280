"""The command as it is started: at once, or by a process of this run that has the libraries in memory already.

Nothing heavy is imported here: a step that is handed over costs a twentieth of a second instead of a whole one.
"""

from __future__ import annotations

import os
import signal
import sys

#: Holds the socket of the process that waits (warm.py) and its Python, with a colon between; the Snakefile sets it for
#: steps on this machine.
SWITCH = "SOLVATION_WARM"


def main() -> None:
    """Run the command `solvation` with the words of this process."""
    socket, _, python = os.environ.get(SWITCH, "").rpartition(os.pathsep)
    # In another environment (`setup`, docs/cluster.md) the libraries are others too.
    if socket and python == sys.prefix and (status := _handed_over(socket)) is not None:
        sys.exit(status)
    from solvation.cli.app import main as run

    run()


def _handed_over(path: str) -> int | None:
    """Exit code of the same call in the process that waits; None where there is none, which costs time and no more."""
    import json
    from contextlib import suppress
    from socket import AF_UNIX, SOCK_STREAM, send_fds, socket

    # The step must not hand itself over again, nor what it starts.
    environment = {**os.environ, SWITCH: ""}
    call = {"words": sys.argv[1:], "folder": os.getcwd(), "environment": environment, "path": sys.path}
    text = json.dumps(call).encode() + b"\n"
    try:
        line = socket(AF_UNIX, SOCK_STREAM)
        line.connect(path)
        # The files go along with the first bytes.
        sent = send_fds(line, [text], [0, 1, 2])
        if sent < len(text):  # sending nothing to a step that has ended already is an error, and it would run again
            line.sendall(text[sent:])
        answers = line.makefile("r")
        worker = int(answers.readline())
    except (OSError, ValueError) as problem:
        print(f"no warm process at {path} ({problem or 'it ended'}); started by itself", file=sys.stderr)
        return None

    def pass_on(number: int, _: object) -> None:
        with suppress(ProcessLookupError):  # it ended just now
            os.kill(worker, number)

    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        signal.signal(number, pass_on)
    status = answers.readline()
    # The worker was killed, or the run that it belongs to.
    return int(status) if status else 128 + signal.SIGKILL
