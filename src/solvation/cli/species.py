"""`solvation species`: the molecules that a study can name, and what of them may hold an ion."""

from __future__ import annotations

import json
from collections import Counter
from typing import Annotated, Any

import typer

from solvation.cli.bind import Multiplicities, parse_ligand, parse_multiplicities, with_multiplicities
from solvation.study import Species


def species(
    names: Annotated[
        list[str] | None, typer.Argument(help="Names of the library, or SMILES; the whole library when left out.")
    ] = None,
    multiplicity: Multiplicities = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print data instead of a table.")] = False,
) -> None:
    """List the library of species, or look some up: formula, charge, donors, and what each is."""
    from solvation.library import library
    from solvation.progress import say

    named = (
        dict(parse_ligand(text)[:2] for text in names) if names else {name: Species(library=name) for name in library()}
    )
    asked = with_multiplicities(named, parse_multiplicities(multiplicity))
    rows = [_row(name, kind) for name, kind in asked.items()]
    for warning in (_open(name, kind) for name, kind in asked.items()):
        if warning:
            say(warning)
    if as_json:
        typer.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        donors = ", ".join(f"{count} {kind}" for kind, count in row["donors"].items()) or "no donors"
        about = f"  {row['about']}" if row["about"] else ""
        typer.echo(f"{row['name']:{width}s}  {row['formula']:14s} {donors:40s}{about}")


def _row(name: str, kind: Species) -> dict[str, Any]:
    from solvation.library import library
    from solvation.species import build_molecule

    molecule = build_molecule(name, kind)
    return {
        "name": name,
        "formula": molecule.formula,
        "charge": molecule.charge,
        "multiplicity": molecule.multiplicity,
        "smiles": library()[name].smiles if kind.library else kind.smiles,
        "donors": dict(Counter(donor.kind for donor in molecule.donors)),
        "about": library()[name].about if kind.library else "",
    }


def _open(name: str, kind: Species) -> str:
    """A warning where it stands for several stereoisomers, which no cluster can hold."""
    from solvation.errors import SpeciesError
    from solvation.species import build_molecule
    from solvation.stereo import check_one_isomer

    try:
        check_one_isomer(name, build_molecule(name, kind).graph)
    except SpeciesError as problem:
        return f"warning: {problem}"
    return ""


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command()(species)
