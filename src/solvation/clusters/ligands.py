"""Conformers of a free species: the reference of every binding energy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdMolAlign

from solvation.clusters.checks import broken_or_formed
from solvation.clusters.ensembles import Structure, all_searches, search_error_eV
from solvation.clusters.isomers import check_isomers
from solvation.clusters.placement import KCAL_MOL_EV, ForceField
from solvation.clusters.relaxation import Relaxed, off_saddle, relax
from solvation.clusters.shapes import diverse, fingerprint, grouped, shape_distance_A, unique
from solvation.clusters.shell import Shell
from solvation.clusters.variation import rounds_over, turned, turning_bonds
from solvation.engines import SinglePoint, single_points
from solvation.errors import EngineFailed, StructureError
from solvation.progress import say, track
from solvation.species import Molecule, embed_conformers
from solvation.study import Level, Sampling

_SAME_ENERGY_EV, _SAME_SHAPE_A = 0.005, 0.05
_MAX_SYMMETRY_MATCHES = 5000
#: So many of the lowest have their bonds turned, and so many are made for one that is relaxed.
_PARENTS, _TRIED = 4, 7


def search_conformers(
    molecule: Molecule, settings: Sampling, search: Sequence[Level], geometry: Level | None, seed: int
) -> list[Structure]:
    """Search the conformers of one species on every search surface.

    ETKDG embeds them, MMFF94 (or UFF) relaxes all of them, of those the diverse lowest in single points at each search
    level are relaxed there, bonds of the lowest are turned in rounds, all are shaken off saddles, and, where there is a
    geometry level besides, the lowest of those are relaxed again there; what agrees in energy (5 meV) and in
    symmetry-aware RMSD of heavy atoms is one conformer. A flexible molecule is searched several times
    (`settings.searches`), from other embeddings.

    Returns
    -------
    list of Structure
        By geometry level, the lowest of each first.

    Raises
    ------
    SpeciesError
        When the molecule may be one of several stereoisomers.
    StructureError
        When no conformer stays the molecule it was.
    """
    check_isomers([molecule])
    first = _embedded(molecule, settings, seed, 1)
    # Of a rigid molecule every search embeds the same; rings may be flexible without a bond that turns.
    flexible = len(first) > 1 or turning_bonds(molecule)
    numbers = range(1, settings.searches + 1) if settings.searches > 1 and flexible else (0,)
    starts = {number: first if number < 2 else _embedded(molecule, settings, seed, number) for number in numbers}
    conformers = {level: _search(molecule, starts, settings, level, seed) for level in search}
    if geometry is not None and tuple(search) != (geometry,):
        best = [end for found in conformers.values() for number in numbers for end in _own(found, number, settings)]
        chosen = {end.positions_A.tobytes(): end for end in best}
        ends = _relaxed(molecule, [end.positions_A for end in chosen.values()], settings, geometry)
        told = [end.searches for end in chosen.values()]
        conformers = {geometry: _distinct(molecule, [_Found(end, told[index]) for index, end in ends], settings)}
    kept = [(level, item) for level, found in conformers.items() for item in found]
    return [
        Structure(
            f"c{number:02d}", Atoms(molecule.symbols, item.positions_A), item.end.energy_eV, item.end.fmax_eV_A, level,
            searches=item.searches,
        )
        for number, (level, item) in enumerate(kept, start=1)
    ]  # fmt: skip


def free_error_eV(level: Level, conformers: Sequence[Structure]) -> float:
    """What one search of a free molecule errs by, eV (`search_error_eV`): nothing of a rigid one."""
    return search_error_eV(level, conformers) if any(item.searches for item in conformers) else 0.0


@dataclass(frozen=True, slots=True)
class _Found:
    """An end, and the numbers of the independent searches that found it; none of a rigid molecule."""

    end: Relaxed
    searches: tuple[int, ...]

    @property
    def positions_A(self) -> NDArray[np.float64]:
        return self.end.positions_A


def _own(found: Sequence[_Found], number: int, settings: Sampling) -> list[_Found]:
    return [item for item in found if not number or number in item.searches][: settings.ranked]


def _embedded(molecule: Molecule, settings: Sampling, seed: int, number: int) -> list[NDArray[np.float64]]:
    """Conformers of the force field."""
    later = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    starts = embed_conformers(molecule, settings.conformers, later if number > 1 else seed)
    return _minima(molecule, starts) if len(molecule.symbols) > 1 else starts


def _minima(molecule: Molecule, starts: Sequence[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """Distinct minima of the force field, lowest first."""
    field = ForceField(Shell((molecule,)))
    relaxed = [field.relax(start) for start in starts]
    # A force field without the right terms (UFF for PF6-) may lay atoms on one another, which is no start.
    relaxed = [item for item in relaxed if _bonds_kept(molecule, item.positions_A)] or relaxed
    energies = np.array([item.energy_kcal_mol for item in relaxed]) * KCAL_MOL_EV
    prints = [fingerprint(molecule.symbols, item.positions_A) for item in relaxed]
    chosen = unique(energies, prints, same_shape_A=_SAME_SHAPE_A, same_energy_eV=_SAME_ENERGY_EV)
    return [relaxed[index].positions_A for index in chosen]


def promising(
    molecule: Molecule, minima: Sequence[NDArray[np.float64]], count: int, level: Level
) -> list[NDArray[np.float64]]:
    """The diverse lowest of these in single points: the force field knows too little of the order at the level.

    Raises
    ------
    EngineFailed
        When the level has an energy of none.
    """
    if len(minima) <= count:
        return list(minima)
    jobs = [SinglePoint(Atoms(molecule.symbols, one), molecule.charge, molecule.multiplicity) for one in minima]
    results = single_points(jobs, level, f"{molecule.name}: conformers compared at {level}")
    told = [(one, result) for one, result in zip(minima, results, strict=True) if not isinstance(result, EngineFailed)]
    failed = [result for result in results if isinstance(result, EngineFailed)]
    if not told:
        raise failed[-1]
    if failed:
        say(f"  {len(failed)} conformers of {molecule.name} failed at {level} and are left out: {failed[-1]}")
    energies = np.array([result.energy_eV for _, result in told])
    prints = [fingerprint(molecule.symbols, one) for one, _ in told]
    return [told[index][0] for index in diverse(energies, prints, count)]


def _search(
    molecule: Molecule,
    starts: Mapping[int, Sequence[NDArray[np.float64]]],
    settings: Sampling,
    level: Level,
    seed: int,
) -> list[_Found]:
    """Distinct conformers of all searches at one level, lowest first, off saddles."""
    found: list[_Found] = []
    for number, own in starts.items():
        first = promising(molecule, own, settings.relaxed, level)
        ends = _lowest(molecule, _ends(molecule, first, settings, level), settings)
        rng = np.random.default_rng([seed, number, *str(level).encode()])
        ends = _with_turns(molecule, first, ends, settings, level, rng)
        ends = _off_saddles(molecule, ends, settings, level, seed)
        found += [_Found(end, (number,) if number else ()) for end in ends]
    return _distinct(molecule, found, settings)


def _with_turns(
    molecule: Molecule,
    first: Sequence[NDArray[np.float64]],
    ends: list[Relaxed],
    settings: Sampling,
    level: Level,
    rng: np.random.Generator,
) -> list[Relaxed]:
    """Turn bonds of the lowest in rounds (`variation`), and keep the lowest; without anything new they end as well."""
    bonds = turning_bonds(molecule)
    count, lowest_eV = max(1, settings.relaxed // 2), [ends[0].energy_eV]
    before = [fingerprint(molecule.symbols, one) for one in first]
    for _ in range(settings.rounds if bonds else 0):
        parents = [end.positions_A for end in ends[:_PARENTS]]
        made = []
        for _ in range(_TRIED * count):
            parent, anchor = parents[int(rng.integers(len(parents)))], int(rng.integers(len(molecule.symbols)))
            made.append(turned(molecule, parent, bonds, anchor, rng))
        new = [one for one in _minima(molecule, made) if _is_new(molecule, one, before)]
        if not new:
            break
        try:
            chosen = promising(molecule, new, count, level)
            more = _ends(molecule, chosen, settings, level)
        except (EngineFailed, StructureError) as problem:
            say(f"  no turn of its bonds stays {molecule.name}: {problem}")
            break
        before += [fingerprint(molecule.symbols, one) for one in chosen]
        ends = _lowest(molecule, [*ends, *more], settings)[: max(settings.relaxed, len(ends))]
        lowest_eV.append(ends[0].energy_eV)
        if rounds_over([molecule], lowest_eV, _SAME_ENERGY_EV):
            break
    return ends


def _is_new(molecule: Molecule, positions_A: NDArray[np.float64], before: Sequence[NDArray[np.float64]]) -> bool:
    own = fingerprint(molecule.symbols, positions_A)
    return all(shape_distance_A(own, one) > _SAME_SHAPE_A for one in before)


def _ends(molecule: Molecule, starts: Sequence[NDArray[np.float64]], settings: Sampling, level: Level) -> list[Relaxed]:
    return [end for _, end in _relaxed(molecule, starts, settings, level)]


def _relaxed(
    molecule: Molecule, starts: Sequence[NDArray[np.float64]], settings: Sampling, level: Level
) -> list[tuple[int, Relaxed]]:
    """What stays the molecule of the starts, with their numbers."""
    found: list[tuple[int, Relaxed]] = []
    problems: list[EngineFailed] = []
    faults: list[str] = []
    for number, start in enumerate(track(starts, f"{molecule.name}: conformers relaxed at {level}")):
        try:
            end = relax(
                Atoms(molecule.symbols, start), level, charge=molecule.charge, multiplicity=molecule.multiplicity,
                fmax_eV_A=settings.fmax_eV_A, max_steps=settings.max_steps,
            )  # fmt: skip
        except EngineFailed as problem:
            say(f"  a conformer of {molecule.name} failed at {level} and is left out: {problem}")
            problems.append(problem)
            continue
        fault = _bond_fault(molecule, end.positions_A) if end.converged else "not converged; raise sampling.max_steps"
        if fault is None:
            found.append((number, end))
        else:
            faults.append(fault)
    if len(problems) == len(starts):
        raise problems[-1]
    if not found:
        raise StructureError(
            f"species {molecule.name}: none of {len(starts)} conformers stays it at {level} "
            f"({'; '.join(dict.fromkeys(faults))}); check its charge, or take another level"
        )
    return found


def _off_saddles(
    molecule: Molecule, found: Sequence[Relaxed], settings: Sampling, level: Level, seed: int
) -> list[Relaxed]:
    """Conformers without those that stood on the top of a barrier, where a relaxation stops as well; lowest first."""
    if len(molecule.symbols) == 1:
        return list(found)
    rng = np.random.default_rng([seed, *str(level).encode()])
    ends = [
        off_saddle(
            Atoms(molecule.symbols, end.positions_A), end, level, charge=molecule.charge,
            multiplicity=molecule.multiplicity, fmax_eV_A=settings.fmax_eV_A, max_steps=settings.max_steps, rng=rng,
            is_sound=lambda positions_A: _bonds_kept(molecule, positions_A),
        )
        for end in track(found, f"{molecule.name}: conformers shaken at {level}")
    ]  # fmt: skip
    return _lowest(molecule, ends, settings)


def _lowest(molecule: Molecule, ends: Sequence[Relaxed], settings: Sampling) -> list[Relaxed]:
    """Distinct ones, lowest first."""
    return [item.end for item in _distinct(molecule, [_Found(end, ()) for end in ends], settings)]


def _distinct(molecule: Molecule, found: Sequence[_Found], settings: Sampling) -> list[_Found]:
    """Distinct ones, lowest first, each with the searches of all that are the same."""
    ends = sorted(found, key=lambda item: item.end.energy_eV)

    def is_same(one: int, other: int) -> bool:
        close = ends[one].end.energy_eV - ends[other].end.energy_eV < _SAME_ENERGY_EV
        shapes = ends[one].positions_A, ends[other].positions_A
        return close and best_rmsd_A(molecule, *shapes) < settings.same_rmsd_A

    same = grouped(range(len(ends)), is_same)
    return [
        _Found(ends[first].end, all_searches(ends[one].searches for one in (first, *others)))
        for first, others in same.items()
    ]


def _bonds_kept(molecule: Molecule, positions_A: NDArray[np.float64]) -> bool:
    return _bond_fault(molecule, positions_A) is None


def _bond_fault(molecule: Molecule, positions_A: NDArray[np.float64]) -> str | None:
    ghost = Molecule("", Chem.MolFromSmiles("[He]"), 0, 1, ())
    far = np.vstack([positions_A.max(axis=0) + 50.0, positions_A])
    return broken_or_formed(Shell((ghost, molecule)), far)


def best_rmsd_A(molecule: Molecule, one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Lowest RMSD of the heavy atoms over the molecule's symmetry, Å; mirror images count as one.

    The wave function does not know left from right, so a conformer and its mirror image are one structure.
    """
    if len(molecule.symbols) < 3:
        return float(np.abs(_length(one) - _length(other)))
    return min(_rmsd(molecule, one, other), _rmsd(molecule, one, other * np.array([1.0, 1.0, -1.0])))


def _rmsd(molecule: Molecule, one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(
        rdMolAlign.GetBestRMS(_heavy(molecule, one), _heavy(molecule, other), maxMatches=_MAX_SYMMETRY_MATCHES)
    )


def _heavy(molecule: Molecule, positions_A: NDArray[np.float64]) -> Any:
    graph = molecule.graph_at(positions_A)
    bare = Chem.RemoveHs(graph, sanitize=False)
    return bare if bare.GetNumAtoms() > 1 else graph


def _length(positions_A: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(positions_A[-1] - positions_A[0]))
