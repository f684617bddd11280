"""The command `solvation`: verbs over public functions, and the one place where an error becomes a line."""

from __future__ import annotations

import os

# Before anything loads a linear-algebra library, and over what Snakemake sets: PySCF and tblite thread their
# own loops (OMP_NUM_THREADS), and a threaded BLAS inside them costs a factor of 1.7 (docs/engines.md).
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"

import sys
from functools import cache
from importlib import metadata
from typing import Annotated, Any

import typer

from solvation.cli import (
    analyze,
    archive,
    bind,
    bonding,
    clusters,
    dynamics,
    energies,
    engines,
    ion_pairs,
    lineage,
    patterns,
    potentials,
    profiles,
    rank,
    report,
    species,
    study,
    tables,
    transport,
    vasp,
)  # fmt: skip
from solvation.errors import OutOfTime, SolvationError, printable
from solvation.walltime import heed_termination

app = typer.Typer(
    name="solvation",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"solvation {metadata.version('solvation')}")
        raise typer.Exit


@app.callback()
def _whole(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Which donor holds an ion, how strongly, and whether the liquid agrees."""


for module in (
    study,
    species,
    engines,
    bind,
    rank,
    clusters,
    energies,
    bonding,
    dynamics,
    profiles,
    potentials,
    ion_pairs,
    analyze,
    transport,
    patterns,
    vasp,
    tables,
    report,
    lineage,
    archive,
):
    module.register(app)

#: Mistakes in the words of a call. Newer versions of typer bring a click of their own, which only this leads to.
_Misuse: type[Any] = typer.BadParameter.__mro__[2]

#: Exit code of a verb that did not end by itself; what it keeps, the same call goes on with.
_INTERRUPTED = 130


@cache
def command() -> Any:
    """All verbs with their options, put together once; `solvation.warm` does it for all steps of a run."""
    return typer.main.get_command(app)


def main() -> None:
    """Run the command; an error the user can mend, in a file or in the words, is one line on stderr and exit code 2."""
    heed_termination()
    try:
        # Not standalone, so that all errors come here.
        status = command()(standalone_mode=False, prog_name="solvation")
    except OutOfTime as error:
        print(f"stopped: {_line(str(error))}", file=sys.stderr)
        sys.exit(_INTERRUPTED)
    except SolvationError as error:
        if os.environ.get("SOLVATION_DEBUG"):
            raise
        print(f"error: {_line(str(error))}", file=sys.stderr)
        sys.exit(2)
    except _Misuse as error:
        told, context = error.format_message().rstrip("."), getattr(error, "ctx", None)
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()
            sys.exit(2)
        hint = f"; see '{context.command_path} --help'" if context is not None else ""
        print(f"error: {_line(told)}{hint}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if os.environ.get("SOLVATION_DEBUG") or not _is_of_the_machine(error):
            raise
        where = f"{error.filename}: " if error.filename else ""
        print(f"error: {_line(where)}{error.strerror}; mend that (TMPDIR names the scratch folder)", file=sys.stderr)
        sys.exit(2)
    except (typer.Abort, KeyboardInterrupt):
        status = _INTERRUPTED
    if status == _INTERRUPTED:  # typer returns it after Ctrl-C
        print("stopped", file=sys.stderr)
    sys.exit(status if isinstance(status, int) else 0)


def _is_of_the_machine(error: OSError) -> bool:
    """Whether a disk is full or gone, or the scratch folder is; other errors of the system are bugs."""
    import errno
    import tempfile

    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE}:
        return True
    return error.errno == errno.ENOENT and str(error.filename).startswith(tempfile.gettempdir())


def _line(text: str) -> str:
    """Text on one line, with what a terminal would obey made visible."""
    return printable(" ".join(text.split()))
