"""`solvation bonding`, `oxidation` and `shieldings`: why an ion is held, what an electron costs, what NMR would see."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from solvation.cli.steps import CardOption, JsonOutput
from solvation.study.cards import BondingCard, OxidationCard, ShieldingsCard, read_card

Ensemble = Annotated[Path, typer.Argument(help="Ensemble of the cluster or species, .extxyz.")]


def bonding(
    card: CardOption,
    ensemble: Ensemble,
    output: JsonOutput,
    density: Annotated[Path, typer.Option(help="Density difference to write, .cube.")],
) -> None:
    """Analyse the bond between an ion and its shell: charges, potentials, energy terms, density difference."""
    from solvation.clusters.ensembles import lowest_at, read_structures
    from solvation.clusters.shell import build_shell
    from solvation.energies import bonding as bond
    from solvation.failures import keep_going
    from solvation.progress import say
    from solvation.species import build_molecule

    read = read_card(card, BondingCard)
    say(f"{read.name}: the bond at {read.level}")
    molecules = {name: build_molecule(name, read.species[name]) for name in read.composition}
    with keep_going("bonding", card, inputs=[ensemble], outputs=[output, density]) as step:
        structure = lowest_at(read.level, read_structures(ensemble))
        found, fields = bond.bonding(structure, build_shell(read.composition, molecules), read.level)
        bond.write_density_difference(density, fields)
        step.write(output, result=bond.bonding_to_json(found))


def oxidation(card: CardOption, ensemble: Ensemble, output: JsonOutput) -> None:
    """Compute the vertical and adiabatic ionisation energy of a species or a complex."""
    from solvation.clusters.ensembles import lowest_at, read_structures
    from solvation.clusters.shell import Shell, build_shell
    from solvation.energies import oxidation as loss
    from solvation.energies.binding import reference
    from solvation.failures import keep_going
    from solvation.progress import say
    from solvation.species import build_molecule

    read = read_card(card, OxidationCard)
    say(f"{read.name}: ionisation energies at {read.level}")
    molecules = {name: build_molecule(name, read.species[name]) for name in read.composition}
    with keep_going("oxidation", card, inputs=[ensemble], outputs=[output]) as step:
        structures = read_structures(ensemble)
        if len(molecules) == 1:
            (molecule,) = molecules.values()
            chosen = reference(molecule, structures, read.level, read.geometries).conformer
            shell, structure = Shell((molecule,)), next(item for item in structures if item.name == chosen)
        else:
            shell, structure = build_shell(read.composition, molecules), lowest_at(read.level, structures)
        found = loss.oxidation(structure, shell, read.level)
        step.write(output, result=loss.oxidation_to_json(found))


def shieldings(
    card: CardOption,
    ensemble: Annotated[Path, typer.Option(help="Ensemble of the cluster, .extxyz.")],
    free: Annotated[list[Path], typer.Argument(help="Conformers of its species, <species>.extxyz.")],
    output: JsonOutput,
) -> None:
    """Compute the magnetic shieldings of a complex and of its free ligands."""
    from solvation.clusters.ensembles import lowest_at, read_structures
    from solvation.clusters.shell import build_shell
    from solvation.energies import shieldings as magnetic
    from solvation.failures import keep_going
    from solvation.progress import say
    from solvation.species import build_molecule

    read = read_card(card, ShieldingsCard)
    say(f"{read.name}: shieldings at {read.level}")
    molecules = {name: build_molecule(name, read.species[name]) for name in read.composition}
    with keep_going("shieldings", card, inputs=[ensemble, *free], outputs=[output]) as step:
        structure = lowest_at(read.level, read_structures(ensemble))
        conformers = {path.stem: read_structures(path) for path in free}
        shell = build_shell(read.composition, molecules)
        found = magnetic.shieldings(structure, shell, conformers, read.level)
        step.write(output, result=magnetic.shieldings_to_json(found))


def register(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    for verb in (bonding, oxidation, shieldings):
        app.command()(verb)
