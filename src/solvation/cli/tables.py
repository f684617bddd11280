"""`solvation tables`, `compare`, `retry` and `give-up`: from finished steps to the tables of a study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from solvation.errors import printable
from solvation.study import load_study

StudyArgument = Annotated[Path, typer.Argument(metavar="STUDY", help="Study file.")]


def tables(study: StudyArgument) -> None:
    """Gather finished steps into binding.csv, ensemble.csv, rdf.csv and the others, and provenance.json."""
    from solvation.archive.checksums import refuse_unsound
    from solvation.planning.costs import write_took
    from solvation.tables.bonding import write_bonding_tables
    from solvation.tables.energies import write_tables

    read = load_study(study)
    refuse_unsound(read)
    write_bonding_tables(read)
    write_took(read)
    write_tables(read)


def compare(study: StudyArgument) -> None:
    """Rank donors and clusters, with published values beside: comparison.csv."""
    from solvation.comparison import write_comparison

    typer.echo(write_comparison(load_study(study)))


def retry(study: StudyArgument) -> None:
    """Remove what failed steps left, and name them; the next run of the study computes them again."""
    from solvation.failures import retry as forget
    from solvation.study.claim import refuse_running
    from solvation.study.targets import all_files

    asked = load_study(study)
    # It takes away files that a run reads.
    refuse_running(asked)
    rows = forget(asked.folder, all_files(asked))
    for row in rows:
        level = f" at {row.level}" if row.level else ""
        because = f"needs {row.needs}, which failed" if row.needs else row.reason
        # Words of another program, or of a file of somebody else's.
        typer.echo(printable(f"{row.step} of {row.subject}{level} ({row.file}): {because}"))
    typer.echo(f"{len(rows)} failed; run the study again to compute them" if rows else "nothing failed")


def give_up(
    study: StudyArgument,
    rest: Annotated[
        bool, typer.Option("--rest", help="Those that never began as well: a report of what is there so far.")
    ] = False,
) -> None:
    """Record jobs that began and left no result as failed, so that tables and report are made without them."""
    from solvation.planning import status

    jobs = status.give_up(load_study(study), rest=rest)
    for job in jobs:
        typer.echo(printable(f"{job.target.rule} of {job.target.subject}: {job.reason}"))
    typer.echo(
        f"{len(jobs)} given up; run the study again to make the tables, or try them again: solvation retry {study}"
        if jobs
        else "no job began and left nothing"
    )


def register(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    for verb in (tables, compare, retry, give_up):
        app.command()(verb)
