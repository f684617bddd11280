"""`solvation umbrella` and `profile`: a molecule led to an ion and away, and what that costs in free energy."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from solvation import walltime
from solvation.cli.bind import finite
from solvation.cli.frames import packed_selections
from solvation.cli.steps import CardOption
from solvation.progress import say
from solvation.study import Profile
from solvation.study.cards import FreeEnergyCard, ProfileCard, read_card

if TYPE_CHECKING:
    from solvation.profiles.walk import Surroundings

BoxFolder = Annotated[Path, typer.Option(help="Folder of the box: topology.pdb, donors.json and system.xml.")]
Begin = Annotated[Path, typer.Option(help="Last checkpoint of the box, where the walk begins, .npz.")]


def umbrella(
    card: CardOption,
    window: Annotated[int, typer.Option(min=1, help="Number of the window, from 1.")],
    box: BoxFolder,
    begin: Begin,
    start: Annotated[Path, typer.Option(help="Checkpoint of the window before; of the first the same as --begin.")],
    output: Annotated[Path, typer.Option(help="Checkpoint to write, .npz; .xtc and .csv come beside it.")],
) -> None:
    """Run one window of a walk that leads a molecule to an ion; a killed one goes on where it stopped."""
    from solvation.dynamics import classical
    from solvation.dynamics.segments import run_segment
    from solvation.failures import keep_going, refuse_failed
    from solvation.liquids import openmm_system
    from solvation.profiles.umbrella import biased, check_windows
    from solvation.profiles.walk import beginning

    read = read_card(card, ProfileCard)
    settings, run = read.settings, read.settings.run_of(read.box)
    with keep_going("umbrella", card, inputs=[start, begin], outputs=[output]):
        refuse_failed(start, begin)
        check_windows(settings, run.timestep_fs)
        system, place = box / "system.xml", classical.fastest()
        found = _surroundings(box, begin, settings)
        donors, bias = found.donors[found.led].tolist(), settings.bias(window, out_first=found.out_first)
        forces = openmm_system.read_system(system)
        where = f"{'beyond' if bias.is_wall else 'at'} {bias.centre_A:g} Å"
        run_segment(
            start, output, run, segment=window, say=say, label=f"{read.name} {where} on {place.name}",
            block=classical.Mover(biased(forces, found.ion, donors, bias), place),
            block_steps=classical.BLOCK_STEPS, system=system, bias=f"{bias} {donors}",
            renew=lambda end: beginning(end, read.box, read.seed, read.name), time_left_s=walltime.seconds_left(),
        )  # fmt: skip


def profile(
    card: CardOption,
    windows: Annotated[list[Path], typer.Argument(help="Checkpoints of all windows, in order.")],
    box: BoxFolder,
    begin: Begin,
    output: Annotated[Path, typer.Option(help="Folder for the tables and profile.json.")],
) -> None:
    """Free energy of bringing one more molecule to an ion, by MBAR over the windows of a walk."""
    from solvation.dynamics.segments import cost_of
    from solvation.failures import keep_going, refuse_failed
    from solvation.profiles.free_energy import TABLES, About, estimate
    from solvation.profiles.walk import read_walk
    from solvation.tidy import write_rows

    read = read_card(card, FreeEnergyCard)
    settings = read.settings
    tables = [output / name for name in TABLES]
    inputs = [begin, *(part.with_suffix(".xtc") for part in windows)]
    with keep_going("profile", card, inputs=inputs, outputs=[*tables, output / "profile.json"]) as step:
        refuse_failed(begin, *windows)
        found = _surroundings(box, begin, settings)
        about = About(read.name, settings.box, settings.ligand, settings.held)
        made = estimate(
            *read_walk(windows, found, settings), about, contact_A=settings.contact_A,
            temperature_K=read.box.temperature_K,
        )  # fmt: skip
        for path, rows in zip(tables, (made.steps, made.curve, made.shells), strict=True):
            write_rows(path, TABLES[path.name], rows)
        for one in made.steps:
            say(
                f"{read.name}, {one.way}: one more {settings.ligand} beside {settings.held}: {one.free_energy_eV:+.3f} "
                f"± {one.stderr_eV:.3f} eV"
            )
        # A barrier that too few frames tell of is not known. The record tells what the windows took, next to which this
        # is nothing.
        known = [{key: finite(value) for key, value in asdict(one).items()} for one in made.steps]
        step.write(output / "profile.json", result=known, **cost_of(windows))


def _surroundings(box: Path, begin: Path, settings: Profile) -> Surroundings:
    from solvation.profiles.walk import surroundings

    return surroundings(box / "topology.pdb", *packed_selections(box / "donors.json"), begin, settings)


def register(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    for verb in (umbrella, profile):
        app.command()(verb)
