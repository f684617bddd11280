"""A complex whose geometry the user brings: which atoms are which molecule, and which molecule that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.formula import Formula
from numpy.typing import NDArray

from solvation.clusters.checks import BONDED, denticity_label
from solvation.clusters.placement import Shell
from solvation.errors import SpeciesError, StructureError, in_short
from solvation.molecule_files import read_atoms
from solvation.species import build_molecule, name_in_library, order_of_atoms, smiles_of_geometry
from solvation.study import Species
from solvation.study.clusters import held_ions

#: Charges of bare ions by element; any other lone atom needs its charge told. Metals are bonded to nothing.
_METALS = {"Li": 1, "Na": 1, "K": 1, "Rb": 1, "Cs": 1, "Mg": 2, "Ca": 2, "Zn": 2, "Al": 3}
_ION_CHARGES = {**_METALS, "F": -1, "Cl": -1, "Br": -1, "I": -1}


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


def read_complex(path: Path, fragments: str | None = None, charges: Sequence[int] | None = None) -> GivenComplex:
    """Read a complex and find its molecules.

    Parameters
    ----------
    path
        Any structure file that ASE reads.
    fragments
        Atoms of each molecule, counted from 1, e.g. `1 2-11 12-21`; None finds them by the distances between atoms.
    charges
        Of the molecules in that order; None takes the usual charge of a lone metal and zero otherwise.

    Raises
    ------
    StructureError
        The file cannot be read, its atoms are not shared out, no Lewis structure of its charge fits a molecule, or
        there is not exactly one ion to be held.
    """
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
    members = _connected(atoms) if fragments is None else _parsed(path, fragments, len(atoms))
    if len(members) < 2:
        raise StructureError(f"{path}: holds one molecule; a complex is an ion and what holds it")
    if charges is not None and len(charges) != len(members):
        raise StructureError(f"--charges: {len(charges)} charges for {len(members)} molecules; give one for each")
    found: dict[str, list[tuple[list[int], Species]]] = {}
    ions: list[tuple[str, int]] = []
    for place, indices in enumerate(members):
        symbols = [atoms.symbols[i] for i in indices]
        usual = _ION_CHARGES.get(symbols[0], 0) if len(indices) == 1 else 0
        charge = usual if charges is None else charges[place]
        name, species = _identified(path, place, symbols, atoms.positions[indices], charge)
        ions += [(name, charge)] if len(indices) == 1 and charge else []
        found.setdefault(name, []).append((indices, species))
    held = held_ions(ions)
    if len(held) != 1:
        raise StructureError(f"{path}: {len(held)} bare ions ({', '.join(held) or 'none'}); one is what is bound")
    names = [held[0], *(name for name in found if name != held[0])]
    try:
        molecules = {name: build_molecule(name, found[name][0][1]) for name in names}
    except SpeciesError as problem:
        raise StructureError(f"{path}: {problem}") from problem
    order: list[int] = []
    for name in names:
        for indices, _ in found[name]:
            symbols = [atoms.symbols[i] for i in indices]
            own = order_of_atoms(f"{path}: {name}", molecules[name], symbols, atoms.positions[indices])
            order += [indices[i] for i in own]
    composition = {name: len(found[name]) for name in names}
    shell = Shell(tuple(molecules[name] for name in names for _ in found[name]))
    return GivenComplex(
        composition, {name: found[name][0][1] for name in names}, shell, shell.atoms(atoms.positions[order])
    )


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
    metal = np.isin(atoms.get_chemical_symbols(), list(_METALS))
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
