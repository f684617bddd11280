"""`solvation export` and `solvation reproduce`: a study as one archive, and a rerun beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from solvation.errors import StudyError, printable


def export(
    where: Annotated[Path, typer.Argument(metavar="STUDY|RESULTS", help="Study file, or results/<name>.")],
    output: Annotated[Path, typer.Option(help="Archive to write, .zip.")],
    license: Annotated[str | None, typer.Option(help="Terms under which it may be used: a name or an address.")] = None,
) -> None:
    """Pack a finished study with its inputs, steps and citations: an RO-Crate with checksums."""
    from solvation.archive import crate
    from solvation.archive.lineage import results_folder

    if output.suffix != ".zip":
        raise StudyError(f"--output {output}: an archive is a .zip file; name it e.g. {output.stem or 'study'}.zip")
    if output.exists():
        raise StudyError(f"--output {output}: exists and is left as it is; give another name")
    study_file = where if where.is_file() else None
    count, weights = crate.export(results_folder(where), output, study_file=study_file, license=license)
    typer.echo(f"wrote {count} files to {output}; whoever has it can call: solvation reproduce {output} --output DIR")
    for path, place in weights.items():
        typer.echo(f"the study names weights by their path: before a rerun, copy DIR/{place} to {path}")


def reproduce(
    archive: Annotated[Path, typer.Argument(metavar="ARCHIVE", help="Archive that 'solvation export' wrote.")],
    output: Annotated[Path | None, typer.Option(help="New folder to unpack it into.")] = None,
    run: Annotated[
        bool, typer.Option("--run", help="Run it again, in a folder `rerun` of --output, and compare.")
    ] = False,
    against: Annotated[Path | None, typer.Option(help="Results folder of a rerun, to be compared.")] = None,
    snakefile: Annotated[
        Path | None,
        typer.Option(help="Snakefile of a checkout of solvation for --run; left out: the one of this command."),
    ] = None,
    cores: Annotated[int | None, typer.Option(min=1, help="Cores for --run; left out: all.")] = None,
    max_GB: Annotated[float, typer.Option("--max-GB", min=0, help="Largest size unpacked that is accepted.")] = 8.0,
) -> None:
    """Check an archive, unpack it, run it again and compare; exit code 1 for a difference beyond tolerance."""
    from solvation.archive import reproduction, unpacking

    if run and (output is None or against is not None):
        raise StudyError("--run: name the folder to run in by --output, and leave out --against")
    checked = unpacking.check(archive, max_GB=max_GB)
    typer.echo(f"{archive}: {len(checked.names)} files, all as their checksums say")
    other = reproduction.other_versions(checked)
    typer.echo(printable(f"other versions: {'; '.join(other)}") if other else "the same versions of all programs")
    if output is not None and not (run and unpacking.is_unpacked(checked, output)):
        unpacking.unpack(checked, output)
        typer.echo(f"unpacked to {output}")
    if output is not None and run:
        own = Path(__file__).resolve().parents[3] / "Snakefile"
        against = reproduction.rerun(checked, output, snakefile=snakefile or own, cores=cores)
    elif output is not None:
        typer.echo("run it again by `solvation reproduce --run`, or beside the Snakefile of a checkout of solvation by")
        typer.echo(f"  snakemake --cores all --config study={reproduction.study_to_run(output)}")
        typer.echo(f"  solvation reproduce {archive} --against results/{checked.study}")
    if against is None:
        return
    found = reproduction.compare(checked, against)
    typer.echo(printable("\n".join(reproduction.as_lines(found))))
    if any(item.differences for item in found):
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    for verb in (export, reproduce):
        app.command()(verb)
