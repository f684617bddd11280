"""Conformers of a free species: the reference of every binding energy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdMolAlign

from solvation.clusters.checks import broken_or_formed
from solvation.clusters.ensembles import Structure
from solvation.clusters.isomers import check_isomers
from solvation.clusters.placement import KCAL_MOL_EV, ForceField, Shell
from solvation.clusters.relaxation import Relaxed, off_saddle, relax
from solvation.clusters.shapes import diverse, fingerprint, unique
from solvation.errors import EngineFailed, StructureError
from solvation.progress import say, track
from solvation.species import Molecule, embed_conformers
from solvation.study import Level, Sampling

_SAME_ENERGY_EV = 0.005
_MAX_SYMMETRY_MATCHES = 5000


def search_conformers(
    molecule: Molecule, settings: Sampling, search: Sequence[Level], geometry: Level | None, seed: int
) -> list[Structure]:
    """Search the conformers of one species on every search surface.

    ETKDG embeds them, MMFF94 (or UFF) relaxes all of them, the diverse lowest are relaxed at each search level, shaken
    off saddles, and, where there is a geometry level besides, the lowest of those are relaxed again there; what agrees
    in energy (5 meV) and in symmetry-aware RMSD of heavy atoms is one conformer.

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
    shell = Shell((molecule,))
    starts = embed_conformers(molecule, settings.conformers, seed)
    if len(molecule.symbols) > 1:
        field = ForceField(shell)
        relaxed = [field.relax(start) for start in starts]
        # A force field without the right terms (UFF for PF6-) may lay atoms on one another, which is no start.
        relaxed = [item for item in relaxed if _bonds_kept(molecule, item.positions_A)] or relaxed
        energies = np.array([item.energy_kcal_mol for item in relaxed]) * KCAL_MOL_EV
        prints = [fingerprint(molecule.symbols, item.positions_A) for item in relaxed]
        chosen = unique(energies, prints, same_shape_A=0.05, same_energy_eV=_SAME_ENERGY_EV)
        picks = diverse(energies[chosen], [prints[i] for i in chosen], settings.relaxed)
        starts = [relaxed[chosen[i]].positions_A for i in picks]
    conformers = {
        level: _off_saddles(molecule, _relaxed(molecule, starts, settings, level), settings, level, seed)
        for level in search
    }
    if geometry is not None and tuple(search) != (geometry,):
        best = [end.positions_A for found in conformers.values() for end in found[: settings.ranked]]
        conformers = {geometry: _relaxed(molecule, best, settings, geometry)}
    kept = [(level, end) for level, found in conformers.items() for end in found]
    return [
        Structure(
            f"c{number:02d}",
            Atoms(molecule.symbols, end.positions_A),
            end.energy_eV,
            end.fmax_eV_A,
            level,
        )
        for number, (level, end) in enumerate(kept, start=1)
    ]


def _relaxed(
    molecule: Molecule, starts: Sequence[NDArray[np.float64]], settings: Sampling, level: Level
) -> list[Relaxed]:
    """Distinct conformers at one level, lowest first."""
    found: list[Relaxed] = []
    problems: list[EngineFailed] = []
    faults: list[str] = []
    for start in track(starts, f"{molecule.name}: conformers relaxed at {level}"):
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
            found.append(end)
        else:
            faults.append(fault)
    if len(problems) == len(starts):
        raise problems[-1]
    if not found:
        raise StructureError(
            f"species {molecule.name}: none of {len(starts)} conformers stays it at {level} "
            f"({'; '.join(dict.fromkeys(faults))}); check its charge, or take another level"
        )
    return _distinct(molecule, found, settings)


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
    return _distinct(molecule, ends, settings)


def _distinct(molecule: Molecule, found: Sequence[Relaxed], settings: Sampling) -> list[Relaxed]:
    ends = sorted(found, key=lambda end: end.energy_eV)
    kept = _deduplicate(molecule, [(end.energy_eV, end.positions_A) for end in ends], settings.same_rmsd_A)
    return [ends[index] for index in kept]


def _bonds_kept(molecule: Molecule, positions_A: NDArray[np.float64]) -> bool:
    return _bond_fault(molecule, positions_A) is None


def _bond_fault(molecule: Molecule, positions_A: NDArray[np.float64]) -> str | None:
    ghost = Molecule("", Chem.MolFromSmiles("[He]"), 0, 1, ())
    far = np.vstack([positions_A.max(axis=0) + 50.0, positions_A])
    return broken_or_formed(Shell((ghost, molecule)), far)


def _deduplicate(molecule: Molecule, found: list[tuple[float, NDArray[np.float64]]], same_rmsd_A: float) -> list[int]:
    kept: list[int] = []
    for index, (energy, positions) in enumerate(found):
        twin = any(
            energy - found[other][0] < _SAME_ENERGY_EV
            and best_rmsd_A(molecule, positions, found[other][1]) < same_rmsd_A
            for other in reversed(kept)
        )
        if not twin:
            kept.append(index)
    return kept


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
