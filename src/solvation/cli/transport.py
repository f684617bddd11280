"""`solvation transport` for any trajectory, and `solvation liquid-transport` for those of a study."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from solvation.cli.frames import (
    Box,
    Every,
    Force,
    Format,
    Frames,
    OutputFolder,
    Reading,
    SkipPs,
    StudyFiles,
    TimestepPs,
    Topology,
    named,
    open_of_study,
    refuse_infinite,
    refuse_overwriting,
    warn_of_doubts,
)
from solvation.cli.steps import CardOption
from solvation.errors import StudyError
from solvation.study.cards import TransportCard, read_card

if TYPE_CHECKING:
    from solvation.transport.analysis import Transport


def transport(
    topology: Topology,
    trajectory: Frames = None,
    species: Annotated[list[str] | None, typer.Option(help="NAME=SELECTION; repeat for every species.")] = None,
    charge: Annotated[
        list[str] | None, typer.Option(help="NAME=NUMBER, charge of one particle; repeat for every ion.")
    ] = None,
    temperature_K: Annotated[
        float | None, typer.Option("--temperature-K", min=1, help="Temperature, for conductivities, K.")
    ] = None,
    viscosity: Annotated[
        float | None,
        typer.Option("--viscosity-mPa-s", min=1e-6, help="Viscosity, for Yeh and Hummer's correction, mPa s."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the tables.")] = Path("transport"),
    format: Format = None,
    box: Box = None,
    skip_ps: SkipPs = 0.0,
    timestep_ps: TimestepPs = None,
    every: Every = 1,
    keep_drift: Annotated[bool, typer.Option("--keep-drift", help="Keep the motion of the centre of mass.")] = False,
    least_move: Annotated[
        float,
        typer.Option("--least-move-A", min=0, help="Root mean square displacement that is needed, Å."),
    ] = 3.0,
    force: Force = False,
) -> None:
    """Write self-diffusion coefficients, and with charges conductivity and transference, of a trajectory."""
    from solvation.transport.analysis import TABLES, analyze_transport, write_tables

    if not species:
        raise StudyError("--species is missing; write NAME=SELECTION, e.g. --species 'Li=name LI'")
    refuse_overwriting(out / "transport.csv", force)
    refuse_infinite(
        {
            "--temperature-K": temperature_K, "--viscosity-mPa-s": viscosity, "--skip-ps": skip_ps,
            "--least-move-A": least_move,
        }
    )  # fmt: skip
    selections = named("--species", species, "species")
    charges = {name: _number(name, text) for name, text in named("--charge", charge, "species").items()}
    write = Reading("transport", topology, trajectory, format, box, timestep_ps)
    found = analyze_transport(
        write.opened, species=selections, charges=charges, temperature_K=temperature_K, viscosity_mPa_s=viscosity,
        skip_ps=skip_ps, every=every, keep_drift=keep_drift, least_move_A=least_move,
    )  # fmt: skip
    write_tables(found, out, write.name)
    settings = {
        "species": selections, "charges": charges, "temperature_K": temperature_K, "viscosity_mPa_s": viscosity,
        "skip_ps": skip_ps, "every": every, "keep_drift": keep_drift, "least_move_A": least_move,
    }  # fmt: skip
    typer.echo(_table(found))
    write(out / "transport.json", settings)
    typer.echo(f"{found.n_frames} frames, {found.frame_ps:g} ps apart; wrote {', '.join(TABLES)} to {out}")


def liquid_transport(
    card: CardOption,
    files: StudyFiles,
    output: OutputFolder,
) -> None:
    """Analyse diffusion and conductivity in one trajectory of a study."""
    from solvation.failures import keep_going, refuse_failed
    from solvation.transport.analysis import TABLES, transport_of_study, write_tables

    read = read_card(card, TransportCard)
    with keep_going(
        "transport", card, inputs=files, outputs=[output / name for name in (*TABLES, "transport.json")]
    ) as step:
        refuse_failed(*files)
        opened = open_of_study(read.own, files)
        found = transport_of_study(opened, read)
        write_tables(found, output, read.name)
        step.write(output / "transport.json")
        typer.echo(_table(found))
        warn_of_doubts(opened)


def _table(found: Transport) -> str:
    lines = [f"{'quantity':32s}{'species':>16s}{'value':>12s}{'±':>10s}  unit   verdict"]
    for row in found.rows:
        verdict = row.verdict + (f"; at most {row.at_most:.3g}" if row.at_most == row.at_most else "")
        lines.append(
            f"{row.quantity:32s}{row.species:>16s}{row.value:12.4g}{row.stderr:10.2g}  {row.unit:6s} {verdict}"
        )
    return "\n".join(lines).replace("nan", "  -")


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
        if not math.isfinite(value):
            raise ValueError(text)
        return value
    except ValueError as problem:
        raise StudyError(f"--charge '{name}={text}': not a number; write e.g. Li=1, PF6=-1") from problem


def register(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    for verb in (transport, liquid_transport):
        app.command()(verb)
