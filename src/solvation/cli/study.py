"""`solvation init`, `check` and `schema`: everything about a study file before anything is computed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from solvation.errors import StudyError


def init(
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="File to write, e.g. mine.yaml.")] = Path("study.yaml"),
) -> None:
    """Write a commented study to start from; an existing file is left alone."""
    from solvation.provenance import write_text
    from solvation.study.template import TEMPLATE

    if study.exists():
        raise StudyError(f"{study} exists and is left as it is; give another name")
    write_text(study, TEMPLATE)
    typer.echo(f"wrote {study}; then: solvation check {study}; snakemake --cores all --config study={study}")


def check(study: Annotated[Path, typer.Argument(metavar="STUDY", help="Study file.")]) -> None:
    """Find what is wrong with a study before computing starts, and estimate what it costs."""
    from solvation.planning.preflight import examine
    from solvation.study import load_study
    from solvation.study.claim import refuse_foreign

    asked = load_study(study)
    refuse_foreign(asked, study)
    report = examine(asked, study)
    for line in report.lines:
        typer.echo(line)
    typer.echo(
        f"{study}: nothing wrong; about {report.cpu_minutes:.0f} min of CPU time, "
        f"{report.wall_minutes:.0f} min on 2 cores"
    )


def schema(
    output: Annotated[Path | None, typer.Option(help="File to write; printed when left out.")] = None,
) -> None:
    """Export the JSON Schema of study files, for editors."""
    from solvation.provenance import write_text
    from solvation.study.schema import study_schema

    if output is None:
        typer.echo(study_schema(), nl=False)
    else:
        write_text(output, study_schema())


def register(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    for verb in (init, check, schema):
        app.command()(verb)
