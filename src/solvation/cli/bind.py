"""`solvation bind`: binding energies of one complex, without a study file."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from solvation.errors import SpeciesError, StudyError
from solvation.study import Level, Sampling, Species


def parse_ligand(text: str) -> tuple[str, Species, int]:
    """Split `SMILES:4` or `EC:4` into a name, a species and a count.

    A name of the library wins over a SMILES that reads the same.

    Raises
    ------
    SpeciesError
        The count is not a positive number, or there is nothing before it.
    """
    from solvation.library import library

    name, colon, count = text.rpartition(":")
    if not colon or "]" in count:
        name, count = text, "1"
    if not name or not count.isdecimal() or int(count) < 1:
        raise SpeciesError(f"'{text}': write a ligand as SMILES, SMILES:COUNT or NAME:COUNT, e.g. 'O=C1OCCO1:4'")
    species = Species(library=name) if name in library() else Species(smiles=name)
    return name, species, int(count)


def bind(
    ion: Annotated[str, typer.Argument(help="Bare ion: Li+, Na+, or a SMILES such as '[K+]'.")],
    ligands: Annotated[list[str], typer.Argument(help="SMILES or library names, with a count: 'O=C1OCCO1:4' EC:3.")],
    level: Annotated[str, typer.Option(help="Level of theory: gfn2, gfn1, pbe-d4/def2-svp, ...")] = "gfn2",
    starts: Annotated[int, typer.Option(min=1, help="Random shells tried.")] = 100,
    relaxed: Annotated[int, typer.Option(min=1, help="Diverse survivors relaxed.")] = 8,
    counterpoise: Annotated[
        bool, typer.Option("--counterpoise", help="Correct basis set superposition (DFT).")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random number.")] = 2023,
    as_json: Annotated[bool, typer.Option("--json", help="Print data instead of a table.")] = False,
) -> None:
    """Print how strongly an ion is held: `solvation bind Li+ "O=C1OCCO1:4" --level gfn2`."""
    from solvation.binding_query import bind_composition

    composition: dict[str, int] = {}
    species: dict[str, Species] = {}
    for text in (ion, *ligands):
        name, kind, count = parse_ligand(text)
        composition[name] = composition.get(name, 0) + count
        species[name] = kind
    try:
        asked = Level.model_validate(level)
    except ValidationError as problem:
        raise StudyError(f"--level: {problem.errors()[0]['msg'].removeprefix('Value error, ')}") from problem
    sampling = Sampling(starts=starts, relaxed=relaxed, ranked=min(4, relaxed))
    answer = bind_composition(composition, species, asked, sampling=sampling, seed=seed, corrected=counterpoise)
    typer.echo(json.dumps(_data(answer), indent=1) if as_json else _table(answer))


def _data(answer: Any) -> dict[str, Any]:
    from solvation.energies import DEFINITIONS, binding_to_json

    found = answer.binding
    return {
        "composition": answer.composition,
        "level": str(found.level),
        "geometry_level": str(found.geometry_level),
        "binding_energy_eV": {definition: found.energy_eV(definition) for definition in DEFINITIONS},
        "counterpoise_eV": answer.counterpoise.correction_eV if answer.counterpoise else None,
        "deformation_energy_eV": found.deformation_eV,
        "ligand_ligand_energy_eV": found.ligand_ligand_eV,
        "denticity": answer.structure.denticity,
        "n_starts": answer.funnel.n_starts,
        "n_kept": len(answer.funnel.kept),
        "n_rejected": len(answer.funnel.rejected),
        "symbols": answer.structure.atoms.get_chemical_symbols(),
        "positions_A": answer.structure.atoms.positions.tolist(),
        "parts": binding_to_json(found),
    }


def _table(answer: Any) -> str:
    from solvation.tables import label_of

    found, best = answer.binding, answer.structure
    n_ligands = len(found.ligands_frozen_eV)
    rows = [
        ("against relaxed separated ligands", found.energy_eV("relaxed")),
        ("against ligands frozen as in the complex", found.energy_eV("frozen_ligands")),
        ("ion out of the frozen shell", found.energy_eV("frozen_shell")),
        ("deformation of the ligands", found.deformation_eV),
        ("ligands with each other", found.ligand_ligand_eV),
    ]
    if answer.counterpoise is not None:
        corrected = found.energy_eV("relaxed") + answer.counterpoise.correction_eV
        rows.insert(1, ("the same with counterpoise", corrected))
    lines = [f"{label_of(answer.composition)}, {found.level} // {found.geometry_level}"]
    lines += [f"{'':44s}{'eV':>9s}{'eV/ligand':>11s}"]
    lines += [f"{text:44s}{value:9.3f}{value / n_ligands:11.3f}" for text, value in rows]
    lines += [f"note: {best.note}"] if best.note else []
    lines += [f"bound through {best.denticity}; {len(answer.funnel.kept)} structures kept, "
              f"{len(answer.funnel.rejected)} rejected, of {answer.funnel.n_starts} starts"]  # fmt: skip
    return "\n".join(lines)


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command()(bind)
