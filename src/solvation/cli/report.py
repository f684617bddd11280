"""`solvation report`: one page of a finished study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    results: Annotated[Path, typer.Argument(metavar="RESULTS", help="Results folder of a study: results/<name>.")],
    output: Annotated[Path | None, typer.Option(help="Page to write; RESULTS/report.html when left out.")] = None,
) -> None:
    """Write one self-contained HTML page and the figures of a finished study."""
    from solvation.report import write_report

    typer.echo(write_report(results, output))


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command()(report)
