"""`solvation label`, `fit` and `assess`: a machine-learned potential from frames of a study to weights and errors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from solvation.cli.steps import CardOption
from solvation.progress import say
from solvation.study.cards import AssessmentCard, FitCard, LabelCard, read_card

Frames = Annotated[list[Path], typer.Argument(help="Labelled frames of each trajectory of the potential, .extxyz.")]


def label(
    card: CardOption,
    frames: Annotated[Path, typer.Option(help="trajectory.xtc, or structures of your own as extxyz.")],
    output: Annotated[Path, typer.Option(help="File to write, .extxyz.")],
    start: Annotated[Path | None, typer.Option(help="start.npz of the trajectory; left out for structures.")] = None,
) -> None:
    """Compute energies and forces of frames of a trajectory, or of structures, at the level of the labels."""
    from solvation.failures import keep_going, refuse_failed
    from solvation.potentials.frames import choose, read_structures
    from solvation.potentials.frames import label as label_frames

    read = read_card(card, LabelCard)
    inputs = [*([start] if start else []), frames]
    with keep_going("label", card, inputs=inputs, outputs=[output, output.with_suffix(".json")]) as step:
        refuse_failed(*inputs)
        if start is None:
            chosen = read_structures(frames)
        else:
            chosen = choose(start, frames, read.trajectory, read.settings, read.skip_ps)
        label_frames(chosen, read.settings.level, output, say)
        step.write(output.with_suffix(".json"), result={"n_frames": len(chosen)})


def fit(
    card: CardOption, frames: Frames, output: Annotated[Path, typer.Option(help="Weights to write, .model.")]
) -> None:
    """Fit one model of a committee to labelled frames with mace."""
    from solvation.failures import keep_going
    from solvation.potentials.fitting import fit as fit_member
    from solvation.potentials.fitting import member_seed
    from solvation.potentials.frames import read_frames
    from solvation.provenance import sha256

    read = read_card(card, FitCard)
    with keep_going("fit", card, inputs=frames, outputs=[output, output.with_suffix(".json")]) as step:
        labelled = [atoms for path in frames for atoms in read_frames(path)]
        seed = member_seed(read.seed, read.name, read.member)
        result = fit_member(labelled, read.settings, seed, output)
        told = {**result, "seed": seed, "weights_sha256": sha256(output)}
        step.write(output.with_suffix(".json"), result=told)


def assess(
    card: CardOption,
    frames: Frames,
    member: Annotated[list[Path], typer.Option(help="Weights of each member, .model; repeat.")],
    output: Annotated[Path, typer.Option(help="Table to write, .csv.")],
) -> None:
    """Judge a potential by the frames that were held out of its fit: errors, and whether its committee knows them."""
    from solvation.failures import keep_going, refuse_failed
    from solvation.potentials.errors import PotentialRow
    from solvation.potentials.errors import assess as judge
    from solvation.potentials.frames import read_frames
    from solvation.study import Level
    from solvation.tidy import write_rows

    read = read_card(card, AssessmentCard)
    inputs = [*member, *frames]
    with keep_going("assess", card, inputs=inputs, outputs=[output, output.with_suffix(".json")]) as step:
        refuse_failed(*inputs)
        rows: list[PotentialRow] = []
        for path in frames:
            labelled = read_frames(path)
            charge = int(labelled[0].info["charge"])
            weights = [Level(engine="mace", method=str(file), charge=charge) for file in member]
            rows += judge(read.name, str(labelled[0].info["trajectory"]), labelled, weights)
        for row in rows:
            say(
                f"{row.potential}, {row.model} on {row.n_held_out} held-out frames of {row.trajectory}: forces "
                f"{row.force_rmse_meV_A:.0f} meV/Å ({row.force_rmse_percent:.1f} %), energies "
                f"{row.energy_rmse_meV_atom:.2f} meV/atom"
            )
        write_rows(output, PotentialRow, rows)
        step.write(output.with_suffix(".json"), result={"n_rows": len(rows)})


def register(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    for verb in (label, fit, assess):
        app.command()(verb)
