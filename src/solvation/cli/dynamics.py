"""`solvation parameters`, `pack`, `md` and `join`: a trajectory from a card to files an analysis reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from solvation import walltime
from solvation.cli.steps import CardOption, JsonOutput
from solvation.errors import StudyError
from solvation.progress import say
from solvation.study import ClassicalDynamics
from solvation.study.cards import DynamicsCard, ParametersCard, read_card
from solvation.study.targets import PACKED

Weights = Annotated[
    list[Path] | None, typer.Option(help="Weights of the fitted potential, by 'solvation fit'; repeat.")
]


if TYPE_CHECKING:
    from solvation.failures import Step


def parameters(card: CardOption, output: JsonOutput) -> None:
    """Classical force field of one species: GAFF2 with RESP charges, the published one of an ion, or the user's."""
    from solvation.failures import keep_going
    from solvation.liquids.forcefield import parametrise
    from solvation.liquids.own_forcefield import own_parameters
    from solvation.species import build_molecule

    read = read_card(card, ParametersCard)
    molecule, settings = build_molecule(read.name, read.species), read.charges
    inputs = [file for file in (read.own.file if read.own else None, read.species.file) if file]
    with keep_going("parameters", card, inputs=inputs, outputs=[output]) as step:
        if read.own is not None:
            made = own_parameters(molecule, read.own, seed=read.seed)
        else:
            made = parametrise(
                molecule, level=settings.level, conformers=settings.conformers, seed=read.seed,
                lennard_jones=settings.lennard_jones, with_pairs=settings.ion_pairs == "fitted",
            )  # fmt: skip
        say(f"{read.name}: {'; '.join(made.origin)}")
        for term in made.doubtful:
            say(f"{read.name}: by a far analogy (penalty): {term}")
        step.write(output, result=made.model_dump(mode="json"))


def pack(
    card: CardOption,
    output: Annotated[Path, typer.Option(help="Folder of the trajectory.")],
    parameters: Annotated[
        list[Path] | None, typer.Option(help="Force field of each species, by 'solvation parameters'; repeat.")
    ] = None,
    start: Annotated[Path | None, typer.Option(help="Last checkpoint of the box that cut_from names, .npz.")] = None,
    weights: Weights = None,
) -> None:
    """Pack a droplet or box, bring it to rest or to equilibrium: topology.pdb, donors.json, start.npz, a record."""
    import numpy as np

    from solvation.dynamics.cutting import cut_droplet, whole_box
    from solvation.dynamics.langevin import State, prepare
    from solvation.failures import keep_going, refuse_failed
    from solvation.liquids.packing import pack as pack_system
    from solvation.liquids.packing import write_topology
    from solvation.species import build_molecule

    read = read_card(card, DynamicsCard)
    settings = read.settings
    # The name is part of the seed: two trajectories of a study must not share their random numbers.
    rng = np.random.default_rng([read.seed, *read.name.encode()])
    molecules = {name: build_molecule(name, read.species[name]) for name in settings.members}
    outputs = [output / name for name in PACKED]
    inputs = [*(parameters or []), *([start] if start else []), *(weights or [])]
    if not isinstance(settings, ClassicalDynamics):
        inputs += [file for name in settings.members if (file := read.species[name].file)]
    with keep_going("pack", card, inputs=inputs, outputs=outputs) as step:
        if isinstance(settings, ClassicalDynamics):
            refuse_failed(*(parameters or []))
            _pack_classical(step, read, molecules, parameters or [], output, rng)
            return
        refuse_failed(*(weights or []))
        density = settings.density_g_cm3
        if settings.cut_from is None:
            system = pack_system(molecules, settings.composition, shape=settings.shape, density_g_cm3=density, rng=rng)
        elif start is None:
            raise StudyError(f"cut_from: give --start, the last checkpoint of {settings.cut_from}")
        else:
            refuse_failed(start)
            state, held = State.load(start), settings.composition
            if settings.shape == "box":
                system = whole_box(state, molecules, held)
            else:
                system = cut_droplet(state, molecules, held, density_g_cm3=density)
        taken = "goes on from" if settings.shape == "box" else "cut out of"
        how = "packed" if settings.cut_from is None else f"{taken} {settings.cut_from}:"
        count = len(system.molecules)
        say(f"{read.name}: {how} {count} molecules, net charge {system.charge:+d}")
        state = prepare(system, settings.driven_by(weights or [], system.charge), rng, say)
        write_topology(system.moved(state.positions_A), output / "topology.pdb")
        told = {"molecules": count, "charge": system.charge, "cut_from": settings.cut_from}
        step.write(output / "packing.json", result=told)
        state.save(output / "start.npz")


def _pack_classical(
    step: Step, read: DynamicsCard, molecules: dict[str, Any], files: list[Path], output: Path, rng: Any
) -> None:
    """Pack a box, find its density and temperature, and tell in equilibration.json whether it has."""
    from solvation.dynamics import classical
    from solvation.dynamics import equilibration as rest
    from solvation.dynamics.drawing import draw_in
    from solvation.dynamics.langevin import schedule
    from solvation.liquids import openmm_system
    from solvation.liquids.forcefield import parameters_of
    from solvation.liquids.mixtures import numbers_of
    from solvation.liquids.packing import pack as pack_system
    from solvation.liquids.packing import write_topology

    settings = read.settings
    assert isinstance(settings, ClassicalDynamics)
    schedule(settings, classical.BLOCK_STEPS)  # refuses now what would fail after the equilibration
    place, terms, numbers = classical.fastest(), parameters_of(molecules, files), numbers_of(settings, molecules)
    system = pack_system(
        molecules, numbers, shape="box", density_g_cm3=settings.density_g_cm3, rng=rng,
        geometries={name: item.geometries() for name, item in terms.items()},
    )  # fmt: skip
    counts = ", ".join(f"{count} {name}" for name, count in numbers.items())
    say(f"{read.name}: packed {counts}; net charge {system.charge:+d}; {place.name}")
    mixed = openmm_system.donors_without_terms(molecules, terms)
    for ion, donors in mixed.items():
        say(f"{read.name}: {ion} meets {', '.join(donors)} by mixed terms: do not weigh them against fitted ones")
    forces = openmm_system.build_system(
        system, terms, cutoff_A=settings.cutoff_A, charge_scale=settings.charge_scale,
        hydrogen_mass_u=settings.hydrogen_mass_u, mixing=settings.mixing,
    )  # fmt: skip
    start = output / "start.npz"
    partial = start.with_suffix(".partial.npz")
    wanted = settings.draw_in
    found = rest.equilibrate(
        classical.first_state(system, settings, rng), forces, settings, place, partial=partial, say=say,
        prepare=(lambda state: draw_in(state, system, forces, settings, place, wanted, say)) if wanted else None,
        time_left_s=walltime.seconds_left(),
    )  # fmt: skip
    write_topology(system.at(found.state.positions_A, float(found.state.cell_A[0])), output / "topology.pdb")
    verdict = rest.verdict(found, system)
    for line in verdict["verdicts"]:
        say(f"{read.name}: {line}")
    step.write(
        output / "equilibration.json", platform=place.name, numbers=numbers, net_charge=system.charge,
        mixed_terms=mixed, result=verdict,
    )  # fmt: skip
    rest.write_equilibrated(found, forces, start)
    partial.unlink(missing_ok=True)


def md(
    card: CardOption,
    segment: Annotated[int, typer.Option(min=1, help="Number of the segment, from 1.")],
    start: Annotated[Path, typer.Option(help="start.npz, or the checkpoint of the segment before.")],
    output: Annotated[Path, typer.Option(help="Checkpoint to write, .npz; .xtc and .csv come beside it.")],
    weights: Weights = None,
) -> None:
    """Run one segment of a trajectory; a killed one goes on where it stopped."""
    from solvation.dynamics.langevin import State
    from solvation.dynamics.segments import run_segment
    from solvation.failures import keep_going, refuse_failed

    read = read_card(card, DynamicsCard)
    with keep_going("md", card, inputs=[start, *(weights or [])], outputs=[output]):
        refuse_failed(start, *(weights or []))
        if not isinstance(read.settings, ClassicalDynamics):
            settings = read.settings.driven_by(weights or [], State.load(start).charge)
            run_segment(
                start, output, settings, segment=segment, say=say, label=read.name,
                time_left_s=walltime.seconds_left(),
            )  # fmt: skip
            return
        from solvation.dynamics import classical
        from solvation.liquids import openmm_system

        system, place = start.with_name("system.xml"), classical.fastest()
        mover = classical.Mover(openmm_system.read_system(system), place)
        run_segment(
            start, output, read.settings, segment=segment, say=say, label=f"{read.name} on {place.name}",
            block=mover, block_steps=classical.BLOCK_STEPS, system=system, time_left_s=walltime.seconds_left(),
        )  # fmt: skip


def join(
    card: CardOption,
    parts: Annotated[list[Path], typer.Argument(help="Checkpoints of all segments, in order.")],
    output: Annotated[Path, typer.Option(help="Folder with topology.pdb.")],
    weights: Weights = None,
) -> None:
    """Join the segments: trajectory.xtc, log.csv, record.json."""
    from solvation.dynamics.segments import join as join_segments
    from solvation.failures import keep_going, refuse_failed
    from solvation.provenance import Stopwatch, record, write_record

    read = read_card(card, DynamicsCard)
    watch = Stopwatch()
    outputs = [output / "trajectory.xtc", output / "record.json"]
    with keep_going("join", card, inputs=parts, outputs=outputs):
        refuse_failed(*parts)
        cost = join_segments(parts, read.settings, trajectory=output / "trajectory.xtc", log=output / "log.csv")
        inputs = [output / name for name in ("topology.pdb", "donors.json", "trajectory.xtc")]
        inputs += [*parts, *(weights or [])]
        made = record(step="md", card=json.loads(card), inputs=inputs, stopwatch=watch, seed=read.seed)
        write_record(output / "record.json", {**made, **cost}, [output / "log.csv"])


def register(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    for verb in (parameters, pack, md, join):
        app.command()(verb)
