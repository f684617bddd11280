"""`solvation rank`: several ligands in the order in which they hold an ion, without a study file."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from solvation.cli.bind import as_data, held_by, parse_level, parse_ligand, parse_solvent
from solvation.errors import EngineFailed, StudyError
from solvation.study import Sampling, Species, Thermochemistry

if TYPE_CHECKING:
    from solvation.energies.ranking import Ranked


def rank(
    ion: Annotated[str, typer.Argument(help="Bare ion: Li+, Na+, or a SMILES such as '[K+]'.")],
    ligands: Annotated[list[str], typer.Argument(help="SMILES or library names: EC DMSO 'COCCOC' NMe3.")],
    beside: Annotated[
        list[str] | None, typer.Option(help="What stands beside each of them, with a count: EC:3; repeat.")
    ] = None,
    level: Annotated[str, typer.Option(help="Level of theory: r2scan-3c, gfn2, pbe-d4/def2-svp, ...")] = "r2scan-3c",
    geometry: Annotated[str | None, typer.Option(help="Level that relaxes what tight binding found.")] = None,
    solvent: Annotated[
        str | None, typer.Option(help="Continuum: eps=40 or ec, ec-dec, ... (DFT); acetone, water, ... (gfn2).")
    ] = None,
    counterpoise: Annotated[
        bool, typer.Option("--counterpoise", help="Correct basis set superposition (DFT).")
    ] = False,
    thermo: Annotated[bool, typer.Option("--thermo", help="Order by free energies, from normal modes.")] = False,
    temperature_K: Annotated[float, typer.Option("--temperature-K", min=1.0, max=2000.0, help="Of --thermo.")] = 298.15,
    starts: Annotated[int, typer.Option(min=1, max=100_000, help="Random shells tried for each.")] = 100,
    relaxed: Annotated[int, typer.Option(min=1, max=5000, help="Diverse survivors relaxed.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random number.")] = 2023,
    as_json: Annotated[bool, typer.Option("--json", help="Print data instead of a table.")] = False,
) -> None:
    """Rank ligands by how strongly each holds an ion: `solvation rank Li+ EC DMSO NMe3 --beside EC:3`."""
    asked = parse_level("--level", parse_solvent(level, solvent))
    if not math.isfinite(temperature_K):
        raise StudyError(f"--temperature-K {temperature_K}: give a number")
    species: dict[str, Species] = {}
    others: dict[str, int] = {}
    name, species_of_ion, count = parse_ligand(ion)
    if count != 1:
        raise StudyError(f"'{ion}': one ion, without a count")
    species[name] = species_of_ion
    for text in beside or []:
        other, kind, number = parse_ligand(text)
        species[other], others[other] = kind, others.get(other, 0) + number
    members: dict[str, Species] = {}
    for text in ligands:
        ligand, kind, number = parse_ligand(text)
        if number != 1:
            raise StudyError(f"'{text}': ligands are ranked one of each; what they stand beside is --beside NAME:COUNT")
        if ligand in members:
            raise StudyError(f"'{ligand}' is named twice")
        members[ligand] = kind
    from solvation.energies.ranking import rank_ligands

    ranked = rank_ligands(
        name, members, asked, beside=others, species=species, corrected=counterpoise, seed=seed,
        geometry=parse_level("--geometry", geometry) if geometry else None,
        sampling=Sampling(starts=starts, relaxed=relaxed, ranked=min(4, relaxed)),
        motion=Thermochemistry(temperature_K=temperature_K) if thermo else None,
    )  # fmt: skip
    if all(one.answer is None for one in ranked):
        raise EngineFailed(f"none of them could be bound; {ranked[0].ligand}: {ranked[0].reason}")
    if as_json:
        typer.echo(json.dumps(_data(ranked), indent=1))
    else:
        around = [f"{number} {other}" for other, number in others.items()]
        corrected = " with counterpoise" if counterpoise else ""
        found = next(one.answer.binding.geometry_level for one in ranked if one.answer)
        surface = found if geometry or asked.is_tight_binding else "tight binding"
        typer.echo(f"{name} with {', '.join([*around, 'one of each'])}; {asked}{corrected} // {surface}")
        typer.echo(_table(ranked, temperature_K if thermo else None))


def _data(ranked: list[Ranked]) -> list[dict[str, Any]]:
    best = ranked[0]
    return [
        {
            "ligand": one.ligand,
            "binding_energy_eV": _finite(one.energy_eV),
            "exchange_energy_eV": _finite(one.energy_eV - best.energy_eV),
            "binding_gibbs_energy_eV": _finite(one.gibbs_eV),
            "exchange_gibbs_energy_eV": _finite(one.gibbs_eV - best.gibbs_eV),
            "contacts": [asdict(contact) for contact in one.answer.contacts] if one.answer else [],
            "reason": one.reason,
            "complex": as_data(one.answer) if one.answer else None,
        }
        for one in ranked
    ]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _table(ranked: list[Ranked], temperature_K: float | None) -> str:
    best = ranked[0]
    width = max(10, *(len(one.ligand) for one in ranked)) + 2
    free = f"{f'G {temperature_K:g} K':>12s}{'exchange':>10s}" if temperature_K else ""
    lines = [f"{'':{width}s}{'eV':>9s}{'exchange':>10s}{free}  bound through"]
    for one in ranked:
        if one.answer is None:
            lines.append(f"{one.ligand:{width}s}{'-':>9s}  failed: {one.reason}")
            continue
        free = f"{one.gibbs_eV:12.3f}{one.gibbs_eV - best.gibbs_eV:10.3f}" if temperature_K else ""
        exchange = one.energy_eV - best.energy_eV
        lines.append(f"{one.ligand:{width}s}{one.energy_eV:9.3f}{exchange:10.3f}{free}  {held_by(one.answer)}")
    lines.append(f"exchange: what it costs to put this one in the place of {best.ligand}")
    return "\n".join(lines)


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command()(rank)
