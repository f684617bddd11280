"""`solvation ligand` and `solvation cluster`: searches for structures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from solvation.cli.steps import CardOption
from solvation.study.cards import ClusterCard, LigandCard, read_card


def ligand(card: CardOption, output: Annotated[Path, typer.Option(help="Ensemble to write, .extxyz.")]) -> None:
    """Search the conformers of one species and relax them: the references of the binding energies."""
    from solvation.clusters.ensembles import write_structures
    from solvation.clusters.ligands import search_conformers
    from solvation.failures import keep_going
    from solvation.progress import say
    from solvation.species import build_molecule

    read = read_card(card, LigandCard)
    molecule = build_molecule(read.name, read.species)
    say(f"{read.name}: conformers")
    inputs = [read.species.file] if read.species.file else []
    with keep_going("ligand", card, inputs=inputs, outputs=[output, output.with_suffix(".json")]) as step:
        found = search_conformers(molecule, read.sampling, read.search, read.geometry, read.seed)
        write_structures(output, found)
        step.write(output.with_suffix(".json"), n_kept=len(found))


def cluster(
    card: CardOption,
    ligands: Annotated[list[Path], typer.Argument(help="Ensembles of the species, NAME.extxyz.")],
    output: Annotated[Path, typer.Option(help="Folder to write: ensemble.extxyz, rejected.extxyz, record.json.")],
) -> None:
    """Search the structures of one cluster, judge them, and relax what survives."""
    from solvation.clusters.ensembles import read_structures, write_rejected, write_structures
    from solvation.clusters.sampling import find_structures
    from solvation.clusters.shell import build_shell
    from solvation.failures import keep_going
    from solvation.progress import say
    from solvation.species import build_molecule

    read = read_card(card, ClusterCard)
    say(f"{read.name}: {' + '.join(f'{count} {name}' for name, count in read.composition.items())}")
    molecules = {name: build_molecule(name, read.species[name]) for name in read.composition}
    shell = build_shell(read.composition, molecules)
    outputs = [output / name for name in ("ensemble.extxyz", "rejected.extxyz", "record.json")]
    with keep_going("cluster", card, inputs=ligands, outputs=outputs) as step:
        free = {path.stem: [item.atoms.positions for item in read_structures(path)] for path in ligands}
        funnel = find_structures(shell, free, read)
        write_structures(output / "ensemble.extxyz", funnel.kept)
        write_rejected(output / "rejected.extxyz", funnel.rejected)
        counts = {"n_starts": funnel.n_starts, "n_relaxed": funnel.n_relaxed, "force_field": funnel.force_field}
        step.write(output / "record.json", **counts, n_kept=len(funnel.kept))


def register(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    for verb in (ligand, cluster):
        app.command()(verb)
