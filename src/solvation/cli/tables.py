"""`solvation tables` and `solvation compare`: from finished steps to the tables of a study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from solvation.study import load_study

StudyArgument = Annotated[Path, typer.Argument(metavar="STUDY", help="Study file.")]


def tables(study: StudyArgument) -> None:
    """Gather finished steps into binding.csv, ensemble.csv, rdf.csv and the others, and provenance.json."""
    from solvation.bonding_tables import write_bonding_tables
    from solvation.tables import write_tables

    read = load_study(study)
    write_bonding_tables(read)
    write_tables(read)


def compare(study: StudyArgument) -> None:
    """Rank donors and clusters, with published values beside: comparison.csv."""
    from solvation.comparison import write_comparison

    typer.echo(write_comparison(load_study(study)))


def register(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    for verb in (tables, compare):
        app.command()(verb)
