"""`solvation rank`: several ligands in the order in which they hold an ion, without a study file."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from solvation.cli.bind import (
    AsJson,
    CounterpoiseFlag,
    Multiplicities,
    Relaxed,
    Searches,
    Seed,
    Solvent,
    StandardState,
    Starts,
    TemperatureK,
    as_data,
    effort,
    finite,
    held_by,
    parse_level,
    parse_ligand,
    parse_motion,
    parse_multiplicities,
    parse_solvent,
    with_multiplicities,
)
from solvation.errors import EngineFailed, StudyError
from solvation.study import Species

if TYPE_CHECKING:
    from solvation.energies.ranking import Ranked


def rank(
    ion: Annotated[str, typer.Argument(help="Ion: Li+, Mg2+, PF6-, or a SMILES such as '[K+]'.")],
    ligands: Annotated[list[str], typer.Argument(help="SMILES or library names: EC DMSO 'COCCOC' NMe3.")],
    beside: Annotated[
        list[str] | None, typer.Option(help="What stands beside each of them, with a count: EC:3; repeat.")
    ] = None,
    level: Annotated[str, typer.Option(help="Level of theory: r2scan-3c, gfn2, pbe-d4/def2-svp, ...")] = "r2scan-3c",
    multiplicity: Multiplicities = None,
    geometry: Annotated[str | None, typer.Option(help="Level that relaxes what tight binding found.")] = None,
    solvent: Solvent = None,
    counterpoise: CounterpoiseFlag = False,
    thermo: Annotated[bool, typer.Option("--thermo", help="Order by free energies, from normal modes.")] = False,
    temperature_K: TemperatureK = 298.15,
    standard_state: StandardState = "1 M",
    searches: Searches = 2,
    starts: Starts = 100,
    relaxed: Relaxed = 8,
    seed: Seed = 2023,
    as_json: AsJson = False,
) -> None:
    """Rank ligands by how strongly each holds an ion: `solvation rank Li+ EC DMSO NMe3 --beside EC:3`."""
    asked = parse_level("--level", parse_solvent(level, solvent))
    motion = parse_motion(thermo, temperature_K, standard_state)
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
    known = with_multiplicities({**species, **members}, parse_multiplicities(multiplicity))
    from solvation.energies.query import Wanted
    from solvation.energies.ranking import rank_ligands

    ranked = rank_ligands(
        name, {one: known[one] for one in members}, asked, beside=others, species=known, seed=seed,
        sampling=effort(searches, starts, relaxed),
        geometry=parse_level("--geometry", geometry) if geometry else None,
        wanted=Wanted(counterpoise=counterpoise, motion=motion),
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
            "binding_energy_eV": finite(one.energy_eV),
            "search_stderr_eV": finite(one.answer.search_stderr_eV) if one.answer else None,
            "exchange_energy_eV": finite(one.energy_eV - best.energy_eV),
            "binding_gibbs_energy_eV": finite(one.gibbs_eV),
            "exchange_gibbs_energy_eV": finite(one.gibbs_eV - best.gibbs_eV),
            "contacts": [asdict(contact) for contact in one.answer.contacts] if one.answer else [],
            "reason": one.reason,
            "complex": as_data(one.answer) if one.answer else None,
        }
        for one in ranked
    ]


def _table(ranked: list[Ranked], temperature_K: float | None) -> str:
    best = ranked[0]
    width = max(10, *(len(one.ligand) for one in ranked)) + 2
    free = f"{f'G {temperature_K:g} K':>12s}{'exchange':>10s}" if temperature_K else ""
    many = any(one.answer and math.isfinite(one.answer.search_stderr_eV) for one in ranked)
    errs = f"{'searches ±':>12s}" if many else ""
    lines = [f"{'':{width}s}{'eV':>9s}{errs}{'exchange':>10s}{free}  bound through"]
    for one in ranked:
        if one.answer is None:
            lines.append(f"{one.ligand:{width}s}{'-':>9s}  failed: {one.reason}")
            continue
        if not temperature_K:
            free = ""
        elif math.isnan(one.gibbs_eV):
            free = f"{'-':>12s}{'-':>10s}"
        else:
            free = f"{one.gibbs_eV:12.3f}{one.gibbs_eV - best.gibbs_eV:10.3f}"
        exchange = one.energy_eV - best.energy_eV
        if many:
            stderr_eV = one.answer.search_stderr_eV
            errs = f"{'-':>12s}" if math.isnan(stderr_eV) else f"{stderr_eV:12.3f}"
        lines.append(f"{one.ligand:{width}s}{one.energy_eV:9.3f}{errs}{exchange:10.3f}{free}  {held_by(one.answer)}")
        if one.answer.thermochemistry is not None and one.answer.thermochemistry.note:
            lines.append(f"{'':{width}s}note: {one.answer.thermochemistry.note}")
    lines.append(f"exchange: what it costs to put this one in the place of {best.ligand}")
    return "\n".join(lines)


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command()(rank)
