"""`solvation why` and `solvation status`: what a result was made from, and how far a study is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from solvation.errors import printable

AsJson = Annotated[bool, typer.Option("--json", help="Print data instead of text.")]


def why(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT", help="File, cluster, trajectory, species, or a row: 'binding Li_EC4 pbe-d4/def2-svp'."
        ),
    ],
    where: Annotated[Path, typer.Argument(metavar="STUDY|RESULTS", help="Study file, or results/<name>.")],
    as_json: AsJson = False,
) -> None:
    """Tell what a result was made from: steps, settings, checksums, versions, back to the species."""
    from solvation.archive import lineage, lineage_text

    answer = lineage.why(what, lineage.results_folder(where))
    text = json.dumps(lineage_text.as_data(answer), indent=1, ensure_ascii=False) if as_json else None
    typer.echo(text or printable("\n".join(lineage_text.as_lines(answer))))


def status(
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="Study file.")],
    as_json: AsJson = False,
    checksums: Annotated[
        bool,
        typer.Option("--checksums", help="Compare its files with those of the tables; exit code 1."),
    ] = False,
) -> None:
    """Tell what of a study is done, failed or left, and the hours it took so far."""
    from solvation.planning import status as progress
    from solvation.study import load_study

    asked = load_study(study)
    if checksums:
        _compare_files(asked.folder, as_json)
        return
    found = progress.status(asked)
    text = json.dumps(progress.as_data(found), indent=1, ensure_ascii=False) if as_json else None
    typer.echo(text or printable("\n".join(progress.as_lines(found, asked))))


def _compare_files(folder: Path, as_json: bool) -> None:
    from dataclasses import asdict

    from solvation.archive.checksums import altered

    found = altered(folder)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], indent=1, ensure_ascii=False))
    else:
        lines = [f"{one.file}: {one.reason}; {one.mend}" for one in found]
        lines.append(
            f"{len(found)} files differ" if found else f"all files of {folder} are what the tables were made from"
        )
        typer.echo(printable("\n".join(lines)))
    if found:
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    for verb in (why, status):
        app.command()(verb)
