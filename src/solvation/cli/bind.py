"""`solvation bind`: binding energies of one complex, without a study file."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import ValidationError

from solvation.errors import SpeciesError, StudyError
from solvation.study import Level, Sampling, Species, Thermochemistry
from solvation.study.file import nearest
from solvation.study.levels import PERMITTIVITIES
from solvation.study.wording import in_words

# Options that `bind` and `rank` share.
Solvent = Annotated[
    str | None, typer.Option(help="Continuum: eps=40 or ec, ec-dec, ... (C-PCM, GBε); acetone, water, ... (SMD, ALPB).")
]
CounterpoiseFlag = Annotated[bool, typer.Option("--counterpoise", help="Correct basis set superposition (DFT).")]
TemperatureK = Annotated[float, typer.Option("--temperature-K", min=1.0, max=2000.0, help="Of --thermo.")]
StandardState = Annotated[Literal["1 bar", "1 M"], typer.Option(help="Of --thermo: of ion, ligands and complex alike.")]
Searches = Annotated[int, typer.Option(min=1, max=50, help="Independent searches; how far they differ is an error.")]
Starts = Annotated[int, typer.Option(min=1, max=100_000, help="Random shells tried by each search.")]
Relaxed = Annotated[int, typer.Option(min=1, max=5000, help="Diverse survivors that each search relaxes.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of every random number.")]
Multiplicities = Annotated[
    list[str] | None,
    typer.Option("--multiplicity", metavar="NAME=M", help="2S+1 of an open shell: '[Fe+2]=5', 'O=O=3'; repeat it."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print data instead of a table.")]


def parse_ligand(text: str) -> tuple[str, Species, int]:
    """Split `SMILES:4` or `EC:4` into a name, a species and a count.

    A name of the library wins over a SMILES that reads the same.

    Raises
    ------
    SpeciesError
        The count is not a positive number, or there is nothing before it.
    """
    from solvation.library import library
    from solvation.species import is_smiles

    name, colon, count = text.rpartition(":")
    if not colon or "]" in count:
        name, count = text, "1"
    if not name or not count.isdecimal() or int(count) < 1:
        raise SpeciesError(f"'{text}': write a ligand as SMILES, SMILES:COUNT or NAME:COUNT, e.g. 'O=C1OCCO1:4'")
    if name not in library() and not is_smiles(name):
        raise SpeciesError(
            f"'{name}' is not a SMILES that RDKit can read, nor a name of the library{nearest(name, library())} "
            "(solvation species lists them)"
        )
    species = Species(library=name) if name in library() else Species(smiles=name)
    return name, species, int(count)


def parse_multiplicities(texts: Sequence[str] | None) -> dict[str, int]:
    """Split `[Fe+2]=5` into a name and a multiplicity; a SMILES has equals signs of its own.

    Raises
    ------
    StudyError
        Without a name or a number, or with a name twice.
    """
    found: dict[str, int] = {}
    for text in texts or []:
        name, _, value = text.rpartition("=")
        if not name or not re.fullmatch(r"[1-9]\d?", value, re.ASCII):
            raise StudyError(f"--multiplicity: '{text}' is no name and its 2S+1; write it like '[Fe+2]=5'")
        if name in found:
            raise StudyError(f"--multiplicity: '{name}' is given twice")
        found[name] = int(value)
    return found


def with_multiplicities(species: Mapping[str, Species], told: Mapping[str, int]) -> dict[str, Species]:
    """Put multiplicities into the species that were named on the command line.

    Raises
    ------
    StudyError
        For a name that is none of them.
    """
    for name in told:
        if name not in species:
            raise StudyError(f"--multiplicity: '{name}' is none of the species{nearest(name, species)}")
    return {name: one.model_copy(update={"multiplicity": told.get(name)}) for name, one in species.items()}


def parse_solvent(level: str, solvent: str | None) -> str:
    """Put the solvent asked for into a level: `gfn2` and `acetone` give `gfn2@alpb=acetone`, `eps=40` `gfn2@gbe=40`."""
    if solvent is None:
        return level
    if "@" in level:
        raise StudyError(f"--solvent: level '{level}' names a solvent already")
    medium = solvent.removeprefix("eps=")
    by_permittivity = medium != solvent or medium.lower() in PERMITTIVITIES
    by_permittivity |= re.fullmatch(r"[\d.+-]*", medium) is not None
    if level.strip().lower() in {"gfn1", "gfn2"}:
        return f"{level}@{'gbe' if by_permittivity else 'alpb'}={medium}"
    # Of a name that has no permittivity here SMD may know more.
    return f"{level}@{'cpcm' if by_permittivity else 'smd'}={medium}"


def parse_motion(thermo: bool, temperature_K: float, standard_state: Literal["1 bar", "1 M"]) -> Thermochemistry | None:
    """Settings of the free energy; None where it was not asked for."""
    if not math.isfinite(temperature_K):
        raise StudyError(f"--temperature-K {temperature_K}: give a number")
    return Thermochemistry(temperature_K=temperature_K, standard_state=standard_state) if thermo else None


def effort(searches: int, starts: int, relaxed: int) -> Sampling:
    """How long a search without a study takes."""
    return Sampling(searches=searches, starts=starts, relaxed=relaxed, ranked=min(4, relaxed))


def bind(
    ion: Annotated[str | None, typer.Argument(help="Ion: Li+, Mg2+, PF6-, or a SMILES such as '[K+]'.")] = None,
    ligands: Annotated[
        list[str] | None, typer.Argument(help="SMILES or library names, with a count: 'O=C1OCCO1:4' EC:3.")
    ] = None,
    level: Annotated[
        list[str] | None,
        typer.Option(
            help="Level of theory: gfn2, gfn1, pbe-d4/def2-svp, ...; repeat it: the first finds the structure, "
            "the others measure it as well.",
            show_default="gfn2",
        ),
    ] = None,
    solvent: Solvent = None,
    counterpoise: CounterpoiseFlag = False,
    thermo: Annotated[bool, typer.Option("--thermo", help="Free energy of binding, from normal modes.")] = False,
    temperature_K: TemperatureK = 298.15,
    standard_state: StandardState = "1 M",
    shieldings: Annotated[
        str | None, typer.Option(help="Level of magnetic shieldings (NMR): pbe0/def2-tzvp, ...")
    ] = None,
    stability: Annotated[
        bool, typer.Option("--stability", help="Look for lower electronic states of complex and parts (DFT).")
    ] = False,
    stepwise: Annotated[
        bool, typer.Option("--stepwise", help="Energy of the last ligand of each kind: searches with one less of it.")
    ] = False,
    structure: Annotated[
        Path | None, typer.Option(help="Take this complex (XYZ, ...) instead of searching one.")
    ] = None,
    fragments: Annotated[
        str | None, typer.Option(help="Its molecules by their atoms, '1 2-11 12-21'; found by distance otherwise.")
    ] = None,
    charges: Annotated[str | None, typer.Option(help="Charges of those molecules, '1 0 0'.")] = None,
    multiplicity: Multiplicities = None,
    geometry: Annotated[
        str | None, typer.Option(help="Level that relaxes what is found; of a --structure, the level that did.")
    ] = None,
    searches: Searches = 2,
    starts: Starts = 100,
    relaxed: Relaxed = 8,
    seed: Seed = 2023,
    as_json: AsJson = False,
) -> None:
    """Print how strongly an ion is held: `solvation bind Li+ "O=C1OCCO1:4" --level gfn2`."""
    from solvation.energies.query import FreeMolecule, LastLigand, Wanted, bind_composition, bind_given, last_ligands

    first, *others = (parse_level("--level", parse_solvent(text, solvent)) for text in level or ["gfn2"])
    sampling = effort(searches, starts, relaxed)
    surface = parse_level("--geometry", geometry) if geometry else None
    spins = parse_multiplicities(multiplicity)
    wanted = Wanted(
        levels=tuple(others),
        counterpoise=counterpoise,
        motion=parse_motion(thermo, temperature_K, standard_state),
        shieldings=parse_level("--shieldings", shieldings) if shieldings else None,
        stability=stability,
    )
    steps: list[LastLigand] = []
    if structure is not None:
        if stepwise:
            raise StudyError("--stepwise searches the smaller complexes, so it wants an ion and its ligands by name")
        if ion or ligands:
            raise StudyError(f"--structure: {structure} says what is bound; leave out {ion}")
        from solvation.clusters.given_complex import read_complex

        answer = bind_given(
            read_complex(structure, fragments, _integers("--charges", charges), spins), first,
            relaxed_at=surface, sampling=sampling, seed=seed, wanted=wanted,
        )  # fmt: skip
    else:
        if not ion or not ligands:
            raise StudyError("name an ion and its ligands, e.g. solvation bind Li+ EC:4, or give a --structure")
        for option, value in (("--fragments", fragments), ("--charges", charges)):
            if value is not None:
                raise StudyError(f"{option} belongs to --structure, which is not given")
        composition: dict[str, int] = {}
        species: dict[str, Species] = {}
        for text in (ion, *ligands):
            name, kind, count = parse_ligand(text)
            composition[name] = composition.get(name, 0) + count
            species[name] = kind
        if stepwise and sum(composition.values()) < 3:
            raise StudyError("--stepwise: of one ligand the last one gains the binding energy; name two or more")
        species = with_multiplicities(species, spins)
        free: dict[str, FreeMolecule] = {}
        answer = bind_composition(
            composition, species, first, sampling=sampling, seed=seed, geometry=surface, wanted=wanted, free=free
        )
        if stepwise:
            steps = last_ligands(
                answer, species, first, sampling=sampling, seed=seed, geometry=surface, wanted=wanted, free=free
            )
    if as_json:
        typer.echo(json.dumps({**as_data(answer), "stepwise": [_step(one) for one in steps] or None}, indent=1))
    else:
        typer.echo("\n".join([_table(answer), *_steps(steps)]))


def parse_level(option: str, text: str) -> Level:
    """Read a level of theory; an error names the option."""
    try:
        return Level.model_validate(text)
    except ValidationError as problem:
        raise StudyError(f"{option}: {in_words(problem.errors()[0])}") from problem


def _integers(option: str, text: str | None) -> list[int] | None:
    try:
        return [int(word) for word in text.replace(",", " ").split()] if text is not None else None
    except ValueError as problem:
        raise StudyError(f"{option}: '{text}' is no list of charges; write it like '1 0 0'") from problem


def as_data(answer: Any) -> dict[str, Any]:
    """An answer as plain data; what is not a number is None."""
    from solvation.energies.binding import binding_to_json

    found, ladder = answer.binding, [_rung(answer, rung) for rung in answer.ladder]
    return {
        "composition": answer.composition,
        "multiplicity": answer.multiplicity,
        "level": str(found.level),
        "geometry_level": None if answer.geometry_level is None else str(answer.geometry_level),
        "binding_energy_eV": ladder[0]["binding_energy_eV"],
        "counterpoise_eV": ladder[0]["counterpoise_eV"],
        "deformation_energy_eV": finite(found.deformation_eV),
        "ladder": ladder,
        "thermochemistry": _motion(answer),
        "shieldings": _shieldings(answer),
        "stability": {part: asdict(state) for part, state in answer.stability.items()} or None,
        "ligand_ligand_energy_eV": found.ligand_ligand_eV,
        "denticity": answer.structure.denticity,
        "contacts": [asdict(one) for one in answer.contacts],
        "nearest": asdict(answer.nearest),
        "search_stderr_eV": finite(answer.search_stderr_eV),
        "n_starts": answer.funnel.n_starts if answer.funnel else 0,
        "n_kept": len(answer.funnel.kept) if answer.funnel else 1,
        "n_rejected": len(answer.funnel.rejected) if answer.funnel else 0,
        "symbols": answer.structure.atoms.get_chemical_symbols(),
        "positions_A": answer.structure.atoms.positions.tolist(),
        "parts": {
            key: [finite(item) for item in value] if isinstance(value, tuple) else finite(value)
            for key, value in binding_to_json(found).items()
        },
    }


def _step(step: Any) -> dict[str, Any]:
    from solvation.energies.thermochemistry import TREATMENTS

    gibbs = {str(key): finite(step.gibbs_eV(key)) for key in TREATMENTS} if step.whole.thermochemistry else None
    return {
        "ligand": step.ligand,
        "without": as_data(step.smaller),
        "energy_eV": {level: finite(energy) for level, energy in step.energies_eV.items()},
        "gibbs_eV": gibbs,
    }


def _steps(steps: Sequence[Any]) -> list[str]:
    """A line for the last ligand of each kind at each level, and its free energies."""
    from solvation.energies.thermochemistry import TREATMENTS
    from solvation.tables.energies import label_of

    lines = []
    for step in steps:
        smaller = label_of(step.smaller.composition)
        for rung, energy in zip(step.whole.ladder, step.energies_eV.values(), strict=True):
            corrected = " with counterpoise" if rung.counterpoise else ""
            lines.append(f"{f'last {step.ligand}, onto {smaller}':44s}{energy:9.3f}  {rung.binding.level}{corrected}")
        if step.whole.thermochemistry:
            lines += [f"{f'  free energy, {key}':44s}{step.gibbs_eV(key):9.3f}" for key in TREATMENTS]
    return lines


def _rung(answer: Any, rung: Any) -> dict[str, Any]:
    from solvation.energies.binding import DEFINITIONS
    from solvation.energies.ranking import TREATMENT

    added = answer.thermochemistry
    energies = {str(definition): rung.binding.energy_eV(definition) for definition in DEFINITIONS}
    if rung.counterpoise:
        energies |= {f"{name}_counterpoise": rung.energy_eV(name) for name in ("relaxed", "frozen_ligands")}
    return {
        "level": str(rung.binding.level),
        "binding_energy_eV": {definition: finite(energy) for definition, energy in energies.items()},
        "counterpoise_eV": rung.counterpoise.correction_eV if rung.counterpoise else None,
        "gibbs_eV": finite(rung.energy_eV() + added.gibbs_eV(TREATMENT)) if added else None,
    }


def _motion(answer: Any) -> dict[str, Any] | None:
    from solvation.energies.thermochemistry import TREATMENTS

    added, bound = answer.thermochemistry, answer.energy_eV()
    if added is None:
        return None
    return {
        "temperature_K": added.complex.temperature_K,
        "pressure_bar": added.complex.pressure_bar,
        # What the enthalpy and the free energies are counted from.
        "binding_energy_eV": finite(bound),
        "definition": "relaxed_counterpoise" if answer.counterpoise else "relaxed",
        "standard_state": "1 bar" if added.complex.pressure_bar == 1.0 else "1 M",
        "zero_point_eV": finite(added.zero_point_eV),
        "enthalpy_eV": finite(bound + added.enthalpy_eV),
        "gibbs_eV": {str(key): finite(bound + added.gibbs_eV(key)) for key in TREATMENTS},
        "n_imaginary": added.complex.n_imaginary,
        "symmetry_numbers": added.symmetry_numbers,
        "wavenumbers_cm": list(added.complex.wavenumbers_cm),
        "wavenumbers_free_cm": {one.name: list(one.wavenumbers_cm) for one in added.free},
        "note": added.note,
    }


def _shieldings(answer: Any) -> dict[str, Any] | None:
    from solvation.energies.shieldings import shieldings_to_json

    found = answer.shieldings
    if found is None:
        return None
    shifts = [one.shift_ppm for one in found.nuclei]
    data = shieldings_to_json(found)
    nuclei = [{**one, "shift_ppm": shift} for one, shift in zip(data["nuclei"], shifts, strict=True)]
    return {**data, "nuclei": nuclei}


def finite(value: Any) -> Any:
    """What JSON can hold: None for a number that is none."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _table(answer: Any) -> str:
    from solvation.tables.energies import label_of

    found, best = answer.binding, answer.structure
    n_ligands = len(found.ligands_frozen_eV)
    bent = "ligands" if found.ion_frozen_eV == found.ion_eV else "ion and ligands"
    rows = [
        ("against relaxed separated ligands", found.energy_eV("relaxed")),
        ("against ligands frozen as in the complex", found.energy_eV("frozen_ligands")),
        ("ion out of the frozen shell", found.energy_eV("frozen_shell")),
        (f"deformation of the {bent}", found.deformation_eV),
        ("ligands with each other", found.ligand_ligand_eV),
    ]
    if answer.counterpoise is not None:
        # The shell without its ion is not computed in the basis of the whole.
        rows[2:3] = [("ion out of the frozen shell, uncorrected", found.energy_eV("frozen_shell"))]
        rows[4:5] = [("ligands with each other, uncorrected", found.ligand_ligand_eV)]
        rows.insert(1, ("the same with counterpoise", answer.energy_eV()))
        rows.insert(3, ("the same with counterpoise", answer.energy_eV("frozen_ligands")))
    motion = _motion(answer)
    if motion is not None:
        corrected = " with counterpoise" if answer.counterpoise else ""
        rows.append((f"enthalpy, {motion['temperature_K']:g} K{corrected}", motion["enthalpy_eV"]))
        rows += [
            (f"free energy, {motion['standard_state']}, {name}", value) for name, value in motion["gibbs_eV"].items()
        ]
    spin = f", multiplicity {answer.multiplicity}" if answer.multiplicity > 1 else ""
    lines = [f"{label_of(answer.composition)}, {found.level} // {answer.geometry_level or 'as given'}{spin}"]
    lines += [f"{'':44s}{'eV':>9s}{'eV/ligand':>11s}"]
    lines += [
        f"{text:44s}{value:9.3f}{value / n_ligands:11.3f}" if finite(value) is not None else f"{text:44s}{'-':>9s}"
        for text, value in rows
    ]
    if len(answer.ladder) > 1:
        lines += _ladder(answer)
    if answer.shieldings is not None:
        lines += [f"{f'shieldings, {answer.shieldings.level}, ppm':44s}{'free':>9s}{'complex':>11s}{'shift':>9s}"]
        lines += [
            f"  {f'{one.isotope} of {answer.shieldings.molecules[one.molecule]}, {one.kind or one.atom}':42s}"
            f"{one.free_ppm:9.1f}{one.complex_ppm:11.1f}{one.shift_ppm:+9.1f}"
            for one in answer.shieldings.nuclei
        ]
    lines += [f"electronic state of {part}: {state.words}" for part, state in answer.stability.items()]
    lines += [f"note: {part}" for part in (best.note, found.doubt) if part]
    lines += [f"note: {motion['note']}"] if motion and motion["note"] else []
    lines += [f"bound through {held_by(answer)}{_searched(answer)}"]
    return "\n".join(lines)


def _ladder(answer: Any) -> list[str]:
    """The same structure at all levels, eV; what a level does not have is a dash."""
    rungs = [_rung(answer, rung) for rung in answer.ladder]
    free = f"{'free energy':>13s}" if answer.thermochemistry else ""
    lines = [f"{'the same structure at every level, eV':44s}{'relaxed':>9s}{'frozen':>9s}{'counterpoise':>14s}{free}"]
    for rung in rungs:
        values = [rung["binding_energy_eV"]["relaxed"], rung["binding_energy_eV"]["frozen_ligands"]]
        cells = [*zip(values, (9, 9), strict=True), (rung["counterpoise_eV"], 14)]
        cells += [(rung["gibbs_eV"], 13)] if free else []
        shown = "".join(f"{'-':>{width}s}" if value is None else f"{value:{width}.3f}" for value, width in cells)
        lines.append(f"  {rung['level']:42s}{shown}")
    return lines


def held_by(answer: Any) -> str:
    """`EC carbonyl O 1.84, 1.85; NMe3 amine N 2.05 Å`: the donors in the first shell with their distances.

    Without any, the atom nearest to the ion.
    """
    if not answer.contacts:
        near = answer.nearest
        return f"no donor; nearest is {near.ligand} {near.kind}, {near.distance_A:.2f} Å"
    groups: dict[str, list[str]] = {}
    for one in answer.contacts:
        groups.setdefault(f"{one.ligand} {one.kind}", []).append(f"{one.distance_A:.2f}")
    return "; ".join(f"{donor} {', '.join(found)}" for donor, found in groups.items()) + " Å"


def _searched(answer: Any) -> str:
    funnel, stderr_eV = answer.funnel, answer.search_stderr_eV
    if funnel is None:
        return ", as given"
    told = f"; {len(funnel.kept)} structures kept, {len(funnel.rejected)} rejected, of {funnel.n_starts} starts"
    return told if finite(stderr_eV) is None else f"{told}; searches differ by ± {stderr_eV:.3f} eV"


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command()(bind)
