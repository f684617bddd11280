"""A complex whose geometry the user brings: which atoms are which molecule, and which molecule that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.formula import Formula
from numpy.typing import NDArray

from solvation.clusters.checks import BONDED, denticity_label
from solvation.clusters.shell import Shell
from solvation.elements import USUAL_CHARGES, is_metal
from solvation.errors import SpeciesError, StructureError, in_short
from solvation.library import library
from solvation.molecule_files import read_atoms
from solvation.species import build_molecule, name_in_library, order_of_atoms, smiles_of_geometry
from solvation.study import Species
from solvation.study.clusters import Charged, held_ions


@dataclass(frozen=True, slots=True)
class GivenComplex:
    """An ion in its shell as the user's file has it, in the order of `shell`."""

    composition: dict[str, int]
    species: dict[str, Species]
    shell: Shell
    atoms: Atoms

    @property
    def denticity(self) -> str:
        """Donors through which each ligand binds."""
        return denticity_label(self.shell, self.atoms.positions)


def read_complex(
    path: Path,
    fragments: str | None = None,
    charges: Sequence[int] | None = None,
    multiplicities: Mapping[str, int] | None = None,
) -> GivenComplex:
    """Read a complex and find its molecules.

    Parameters
    ----------
    path
        Any structure file that ASE reads.
    fragments
        Atoms of each molecule, counted from 1, e.g. `1 2-11 12-21`; None finds them by the distances between atoms.
    charges
        Of the molecules in that order; None takes the usual charge of a lone atom, that of the library where it has
        the molecule (PF6-), and zero otherwise.
    multiplicities
        Of molecules with open shells, by their names or by their numbers in that order; copies share one.

    Raises
    ------
    StructureError
        The file cannot be read, its atoms are not shared out, no Lewis structure of its charge fits a molecule, the
        charge or the multiplicity of one is not known, or there is not exactly one ion to be held.
    """
    atoms = _read(path)
    members = _connected(atoms) if fragments is None else _parsed(path, fragments, len(atoms))
    if len(members) < 2:
        raise StructureError(
            f"{path}: holds one molecule; a complex is an ion and what holds it. Name its molecules by --fragments "
            "where distances do not part them"
        )
    parts = [[atoms.symbols[i] for i in indices] for indices in members]
    known = _charges(path, parts, [atoms.positions[indices] for indices in members], charges)
    kinds = [
        _identified(path, place, symbols, atoms.positions[indices], charge)
        for place, (indices, symbols, charge) in enumerate(zip(members, parts, known, strict=True))
    ]
    spins = _spins(path, [name for name, _ in kinds], multiplicities or {})
    found: dict[str, list[list[int]]] = {}
    for (name, _), indices in zip(kinds, members, strict=True):
        found.setdefault(name, []).append(indices)
    species = {name: kind.model_copy(update={"multiplicity": spins.get(name)}) for name, kind in kinds}
    charged = [
        Charged(name, charge, len(part) == 1) for (name, _), part, charge in zip(kinds, parts, known, strict=True)
    ]
    held = held_ions(charged)
    if len(held) != 1:
        raise StructureError(
            f"{path}: {len(held)} ions ({', '.join(held) or 'none'}) to be held; one is what is bound: an atom or a "
            "molecule whose charge is not 0 (--charges)"
        )
    return _arranged(path, atoms, {name: found[name] for name in (*held, *found)}, species)


def _arranged(
    path: Path, atoms: Atoms, found: Mapping[str, Sequence[Sequence[int]]], species: Mapping[str, Species]
) -> GivenComplex:
    """The molecules in the order of `found`, the ion first, and the atoms of each as its species has them."""
    names = list(found)
    try:
        molecules = {name: build_molecule(name, species[name]) for name in names}
    except SpeciesError as problem:
        raise StructureError(f"{path}: {problem}") from problem
    order: list[int] = []
    for name in names:
        for indices in found[name]:
            symbols = [atoms.symbols[i] for i in indices]
            own = order_of_atoms(f"{path}: {name}", molecules[name], symbols, atoms.positions[indices])
            order += [indices[i] for i in own]
    composition = {name: len(found[name]) for name in names}
    shell = Shell(tuple(molecules[name] for name in names for _ in found[name]))
    return GivenComplex(
        composition, {name: species[name] for name in names}, shell, shell.atoms(atoms.positions[order])
    )


def _read(path: Path) -> Atoms:
    if not path.is_file():
        raise StructureError(f"{path}: no such file; check the path")
    try:
        atoms = read_atoms(path)
    except Exception as problem:  # ASE's readers raise whatever their parsers meet
        raise StructureError(
            f"{path}: cannot be read as a structure ({in_short(problem)}); write it as XYZ"
        ) from problem
    if not len(atoms) or not np.isfinite(atoms.positions).all() or not atoms.numbers.all():
        raise StructureError(f"{path}: holds an atom without element or place, or none at all; write it as XYZ")
    return atoms


def _charges(
    path: Path, parts: Sequence[list[str]], positions_A: Sequence[NDArray[np.float64]], told: Sequence[int] | None
) -> Sequence[int]:
    """Charge of each molecule: what was told, else the usual one of a lone atom, and the library's of any other."""
    if told is not None:
        if len(told) != len(parts):
            raise StructureError(f"--charges: {len(told)} charges for {len(parts)} molecules; give one for each")
        return told
    strange = [part[0] for part in parts if len(part) == 1 and is_metal(part[0]) and part[0] not in USUAL_CHARGES]
    if strange:
        listed = ", ".join(f"{Formula.from_list(list(part)):hill}" for part in parts)
        example = " ".join("2" if list(part) == strange[:1] else "0" for part in parts)
        raise StructureError(
            f"{path}: {strange[0]} has no usual charge; give those of its molecules ({listed}) by --charges, "
            f"e.g. '{example}'"
        )
    return [
        USUAL_CHARGES.get(part[0], 0) if len(part) == 1 else _charge_in_library(part, places)
        for part, places in zip(parts, positions_A, strict=True)
    ]


def _charge_in_library(symbols: list[str], positions_A: NDArray[np.float64]) -> int:
    """Zero for a molecule that the library does not have."""
    name = name_in_library(symbols, positions_A)
    return library()[name].charge if name else 0


def _spins(path: Path, names: Sequence[str], told: Mapping[str, int]) -> dict[str, int]:
    """Multiplicities by name, of what was told by names and by numbers of molecules."""
    found: dict[str, int] = {}
    for key, value in told.items():
        name = names[int(key) - 1] if key.isdecimal() and 0 < int(key) <= len(names) else key
        if name not in names:
            listed = ", ".join(f"{number} {one}" for number, one in enumerate(names, start=1))
            raise StructureError(f"--multiplicity: '{key}' is none of the molecules of {path}; they are {listed}")
        if found.setdefault(name, value) != value:
            raise StructureError(f"--multiplicity: {name} has {found[name]} and {value}; its copies share one")
    return found


def _parsed(path: Path, text: str, n_atoms: int) -> list[list[int]]:
    members = []
    for word in text.replace(";", " ").split():
        indices: list[int] = []
        for part in word.split(","):
            first, _, last = part.partition("-")
            if not first.isdecimal() or not (last or first).isdecimal() or len(part) > 20:
                raise StructureError(f"--fragments: '{word}' is no list of atoms; write it like '1 2-11 12-21'")
            # One more than there are tells that there are too many.
            indices += range(int(first) - 1, min(int(last or first), n_atoms + 1))
        members.append(indices)
    if sorted(index for part in members for index in part) != list(range(n_atoms)):
        raise StructureError(f"--fragments: every atom of {path} (1 to {n_atoms}) belongs to one molecule, and once")
    return members


def _connected(atoms: Atoms) -> list[list[int]]:
    """Molecules by distance; a metal is bonded to nothing."""

    from scipy.sparse.csgraph import connected_components
    from scipy.spatial.distance import cdist

    radii = covalent_radii[atoms.numbers]
    bonded = cdist(atoms.positions, atoms.positions) < BONDED * (radii[:, None] + radii[None])
    metal = np.array([is_metal(symbol) for symbol in atoms.get_chemical_symbols()])
    bonded[metal, :] = bonded[:, metal] = False
    count, labels = connected_components(bonded, directed=False)
    return [np.flatnonzero(labels == part).tolist() for part in range(count)]


def _identified(
    path: Path, place: int, symbols: list[str], positions_A: NDArray[np.float64], charge: int
) -> tuple[str, Species]:
    """Name and species of one molecule: of the library where it has it, else by its SMILES."""
    name = name_in_library(symbols, positions_A, charge)
    if name is not None:
        return name, Species(library=name)
    try:
        smiles = smiles_of_geometry(str(path), symbols, positions_A, charge)
    except SpeciesError as problem:
        raise StructureError(
            f"{path}: molecule {place + 1} ({Formula.from_list(symbols):hill}) is not one molecule of charge "
            f"{charge:+d}; name its atoms by --fragments and its charge by --charges"
        ) from problem
    return smiles, Species(smiles=smiles)
