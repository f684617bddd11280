"""`solvation pack`, `md` and `join`: a trajectory from a card to files an analysis reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from solvation.progress import say
from solvation.study.cards import DynamicsCard, read_card

Card = Annotated[str, typer.Option(help="Settings as one line of JSON: settings, species, seed, name.")]


def pack(card: Card, output: Annotated[Path, typer.Option(help="Folder of the trajectory.")]) -> None:
    """Pack a droplet or box, minimise it and draw velocities: topology.pdb, donors.json, start.npz."""
    import numpy as np

    from solvation.dynamics import prepare
    from solvation.failures import keep_going
    from solvation.packing import pack as pack_system
    from solvation.packing import write_topology
    from solvation.species import build_molecule

    read = read_card(card, DynamicsCard)
    settings = read.settings
    # The name is part of the seed: two trajectories of a study must not share their random numbers.
    rng = np.random.default_rng([read.seed, *read.name.encode()])
    molecules = {name: build_molecule(name, read.species[name]) for name in settings.composition}
    outputs = [output / name for name in ("start.npz", "topology.pdb", "donors.json")]
    with keep_going("pack", card, inputs=[], outputs=outputs):
        system = pack_system(
            molecules, settings.composition, shape=settings.shape, density_g_cm3=settings.density_g_cm3, rng=rng
        )
        say(f"{read.name}: packed {len(system.molecules)} molecules, net charge {system.charge:+d}")
        state = prepare(system, settings, rng, say)
        write_topology(system.moved(state.positions_A), output / "topology.pdb")
        state.save(output / "start.npz")


def md(
    card: Card,
    segment: Annotated[int, typer.Option(min=1, help="Number of the segment, from 1.")],
    start: Annotated[Path, typer.Option(help="start.npz, or the checkpoint of the segment before.")],
    output: Annotated[Path, typer.Option(help="Checkpoint to write, .npz; .xtc and .csv come beside it.")],
) -> None:
    """Run one segment of a trajectory; a killed one goes on where it stopped."""
    from solvation.failures import keep_going, refuse_failed
    from solvation.segments import run_segment

    read = read_card(card, DynamicsCard)
    with keep_going("md", card, inputs=[start], outputs=[output]):
        refuse_failed(start)
        run_segment(start, output, read.settings, segment=segment, say=say, label=read.name)


def join(
    card: Card,
    parts: Annotated[list[Path], typer.Argument(help="Checkpoints of all segments, in order.")],
    output: Annotated[Path, typer.Option(help="Folder with topology.pdb.")],
) -> None:
    """Join the segments: trajectory.xtc, log.csv, record.json."""
    from solvation.failures import keep_going, refuse_failed
    from solvation.provenance import Stopwatch, record, write_json
    from solvation.segments import join as join_segments

    read = read_card(card, DynamicsCard)
    watch = Stopwatch()
    outputs = [output / "trajectory.xtc", output / "record.json"]
    with keep_going("join", card, inputs=parts, outputs=outputs):
        refuse_failed(*parts)
        cost = join_segments(parts, read.settings, trajectory=output / "trajectory.xtc", log=output / "log.csv")
        inputs = [output / "topology.pdb", output / "donors.json", output / "trajectory.xtc", *parts]
        made = record(step="md", card=json.loads(card), inputs=inputs, stopwatch=watch, seed=read.seed)
        write_json(output / "record.json", {**made, **cost})


def register(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    for verb in (pack, md, join):
        app.command()(verb)
