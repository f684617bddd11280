"""`solvation report`: one page of a finished study; `solvation plot`: figures of whatever tables a folder holds."""

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


def plot(
    folder: Annotated[
        Path, typer.Argument(help="Folder with tables: --out of analyze, transport, ..., or of a study.")
    ],
) -> None:
    """Draw the figures of the tables in a folder as PNG and SVG, into its `figures/`."""
    from solvation.report import draw_figures

    for path in draw_figures(folder):
        typer.echo(path)


def register(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    for verb in (report, plot):
        app.command()(verb)
