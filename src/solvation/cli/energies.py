"""`solvation reference` and `solvation binding`: energies at one level of theory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from solvation.cli.steps import CardOption, JsonOutput
from solvation.study.cards import BindingCard, CounterpoiseCard, ReferenceCard, ThermochemistryCard, read_card


def reference(
    card: CardOption, conformers: Annotated[Path, typer.Argument(help="Ensemble of the species.")], output: JsonOutput
) -> None:
    """Compute the energy of one free species at one level."""
    from solvation.clusters.ensembles import read_structures
    from solvation.energies import binding as electronic
    from solvation.failures import keep_going
    from solvation.species import build_molecule

    read = read_card(card, ReferenceCard)
    molecule = build_molecule(read.name, read.species)
    with keep_going("reference", card, inputs=[conformers], outputs=[output]) as step:
        found = electronic.reference(molecule, read_structures(conformers), read.level, read.geometries)
        step.write(output, result=electronic.reference_to_json(found))


def binding(
    card: CardOption,
    ensemble: Annotated[Path, typer.Option(help="Ensemble of the cluster.")],
    references: Annotated[list[Path], typer.Argument(help="Reference energies of its species.")],
    output: JsonOutput,
) -> None:
    """Compute the binding energy of the lowest structure of a cluster in all definitions."""
    from solvation.clusters.ensembles import lowest_at, read_structures
    from solvation.clusters.shell import build_shell
    from solvation.energies import binding as electronic
    from solvation.failures import keep_going, read_result
    from solvation.progress import say
    from solvation.species import build_molecule

    read = read_card(card, BindingCard)
    say(f"{read.name}: binding energies at {read.level}")
    molecules = {name: build_molecule(name, read.species[name]) for name in read.composition}
    with keep_going("binding", card, inputs=[ensemble, *references], outputs=[output]) as step:
        free = [electronic.reference_from_json(read_result(path)) for path in references]
        found = electronic.bind(
            lowest_at(read.level, read_structures(ensemble)),
            build_shell(read.composition, molecules),
            {item.species: item for item in free},
            read.level,
            read.geometries,
            read.rank,
        )
        step.write(output, result=electronic.binding_to_json(found))


def counterpoise(
    card: CardOption,
    ensemble: Annotated[Path, typer.Option(help="Ensemble of the cluster.")],
    binding: Annotated[Path, typer.Argument(metavar="BINDING", help="Its binding energy at this level.")],
    output: JsonOutput,
) -> None:
    """Compute what the fragments of a cluster gain from each other's basis functions."""
    from solvation.clusters.ensembles import read_structures
    from solvation.clusters.shell import build_shell
    from solvation.energies import counterpoise as correction
    from solvation.energies.binding import binding_from_json
    from solvation.failures import keep_going, read_result
    from solvation.progress import say
    from solvation.species import build_molecule

    read = read_card(card, CounterpoiseCard)
    say(f"{read.name}: counterpoise at {read.level}")
    molecules = {name: build_molecule(name, read.species[name]) for name in read.composition}
    with keep_going("counterpoise", card, inputs=[ensemble, binding], outputs=[output]) as step:
        bound = binding_from_json(read_result(binding))
        (structure,) = (item for item in read_structures(ensemble) if item.name == bound.structure)
        found = correction.counterpoise(structure, build_shell(read.composition, molecules), bound)
        step.write(output, result=correction.counterpoise_to_json(found))


def thermochemistry(
    card: CardOption,
    ensemble: Annotated[Path, typer.Option(help="Ensemble of the cluster.")],
    binding: Annotated[Path, typer.Option(help="Its binding energy at the level asked for.")],
    free: Annotated[
        list[Path], typer.Argument(help="Reference energies (.json) and ensembles (.extxyz) of its species.")
    ],
    output: JsonOutput,
) -> None:
    """Compute the free energy that motion adds to a binding energy, with three treatments of soft modes."""
    from solvation.clusters.ensembles import read_structures
    from solvation.clusters.shell import build_shell
    from solvation.energies import thermochemistry as motion
    from solvation.energies.binding import binding_from_json, reference_from_json
    from solvation.failures import keep_going, read_result
    from solvation.progress import say
    from solvation.species import build_molecule

    read = read_card(card, ThermochemistryCard)
    with keep_going("thermochemistry", card, inputs=[ensemble, binding, *free], outputs=[output]) as step:
        bound = binding_from_json(read_result(binding))
        say(f"{read.name}: normal modes of the structures of {bound.level}")
        molecules = {name: build_molecule(name, read.species[name]) for name in read.composition}
        ensembles = {path.stem: read_structures(path) for path in free if path.suffix == ".extxyz"}
        chosen = [reference_from_json(read_result(path)) for path in free if path.suffix == ".json"]
        conformers = {
            one.species: next(item for item in ensembles[one.species] if item.name == one.conformer) for one in chosen
        }
        (structure,) = (item for item in read_structures(ensemble) if item.name == bound.structure)
        found = motion.binding_thermochemistry(
            structure, build_shell(read.composition, molecules), conformers, read.settings
        )  # fmt: skip
        step.write(output, result=motion.thermochemistry_to_json(found))


def register(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    for verb in (reference, binding, counterpoise, thermochemistry):
        app.command()(verb)
