"""The command `solvation`: verbs over public functions, and the one place where an error becomes a line."""

from __future__ import annotations

import os

# Before anything loads a linear-algebra library, and over what Snakemake sets: PySCF and tblite thread their
# own loops (OMP_NUM_THREADS), and a threaded BLAS inside them costs a factor of 1.7 (docs/engines.md).
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"

import sys

import click
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
    lineage,
    report,
    study,
    tables,
    transport,
)  # fmt: skip
from solvation.errors import SolvationError

app = typer.Typer(
    name="solvation",
    help="Which donor holds an ion, how strongly, and whether the liquid agrees.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for module in (
    study,
    engines,
    bind,
    clusters,
    energies,
    bonding,
    dynamics,
    analyze,
    transport,
    tables,
    report,
    lineage,
    archive,
):
    module.register(app)


def main() -> None:
    """Run the command; an error the user can mend is one line on stderr and exit code 2."""
    try:
        # Not standalone, so that our errors come here; click's own are shown as it would show them.
        status = app(standalone_mode=False)
    except SolvationError as error:
        if os.environ.get("SOLVATION_DEBUG"):
            raise
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        print("stopped", file=sys.stderr)
        sys.exit(130)
    sys.exit(status if isinstance(status, int) else 0)
