"""Molecules out of files: with the bonds that the file tells, or those that distances and a charge leave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdDetermineBonds

from solvation.errors import SpeciesError, in_short
from solvation.stereo import mark_from_geometry

_FARTHEST_A = 1e5
#: Larger files hold no single molecule, and none of the complexes that can be computed.
_MOST_MB = 20.0


def molecule_of_file(where: str, path: Path, charge: int | None) -> Any:
    """Read one whole molecule with its bonds, its geometry and its stereoisomer, as RDKit's; XYZ, MOL, SDF or CIF.

    Parameters
    ----------
    where
        Key of the study file, for the message.
    charge
        Net charge, where the file tells no bonds; None for 0.

    Raises
    ------
    SpeciesError
        With the file and the mend.
    """
    if not path.is_file():
        raise SpeciesError(f"{where}.file: {path} does not exist; paths are relative to the study file")
    suffix = path.suffix.lower()
    try:
        if suffix in {".mol", ".sdf"}:
            graph = next(iter(Chem.SDMolSupplier(str(path), removeHs=False)), None)
            if graph is None:
                raise SpeciesError(f"{where}.file: {path} holds no molecule RDKit can read")
            return _complete(where, path, graph)
        if suffix == ".xyz":
            symbols, positions_A = _read_xyz(path)
        elif suffix == ".cif":
            symbols, positions_A = _molecule_of_crystal(where, path)
        else:
            raise SpeciesError(f"{where}.file: {path}: write it as .xyz, .mol, .sdf or .cif, not '{suffix}'")
    except SpeciesError:
        raise
    except Exception as problem:  # ASE's readers raise whatever their parsers meet
        raise SpeciesError(f"{where}.file: {path} cannot be read ({in_short(problem)}); check its format") from problem
    if not symbols or not np.isfinite(positions_A).all():
        raise SpeciesError(f"{where}.file: {path} holds no atom, or one without coordinates; check its format")
    return perceive_bonds(where, path, symbols, positions_A, charge)


def _complete(where: str, path: Path, graph: Any) -> Any:
    missing = sum(atom.GetNumImplicitHs() for atom in graph.GetAtoms())
    if missing:
        raise SpeciesError(f"{where}.file: {path} lacks {missing} hydrogen atoms; save it with explicit hydrogens")
    if len(Chem.GetMolFrags(graph)) > 1:
        raise SpeciesError(f"{where}.file: {path} holds several molecules; give each a file of its own")
    if not graph.GetConformer().Is3D() and graph.GetNumAtoms() > 1:
        raise SpeciesError(f"{where}.file: {path} is flat; save it with 3D coordinates or give its SMILES")
    mark_from_geometry(graph)
    return graph


def read_atoms(path: Path, index: int = 0) -> Any:
    """One structure of a file, the first unless another is asked for, as ASE's Atoms.

    Raises
    ------
    ValueError
        The file is too large for molecules, says that it holds more atoms than it has lines, or has one far away.
    Exception
        Whatever the parsers of ASE meet.
    """
    from ase.io import read

    size_MB = path.stat().st_size / 1e6
    if size_MB > _MOST_MB:
        raise ValueError(f"{size_MB:.0f} MB are no molecule")
    if path.suffix.lower() in {".xyz", ".extxyz"}:
        _refuse_promises(path.read_text(encoding="utf-8", errors="replace").splitlines())
    atoms = read(path, index=index)
    farthest_A = float(np.abs(atoms.positions).max(initial=0.0))
    if farthest_A > _FARTHEST_A:
        # The search for bonds would lay its grid over all that is between.
        raise ValueError(f"an atom stands at {farthest_A:.3g} Å")
    return atoms


def _refuse_promises(lines: list[str]) -> None:
    """Refuse XYZ in which a frame has more atoms than lines follow: a reader would look for all of them."""
    place = 0
    while place < len(lines) and (told := lines[place].strip()):
        left = len(lines) - place - 2
        if not told.isdecimal() or int(told[:18]) > left:
            raise ValueError(f"line {place + 1} is no number of atoms that follow ('{told[:18]}', {max(left, 0)} left)")
        place += int(told) + 2


def _read_xyz(path: Path) -> tuple[list[str], NDArray[np.float64]]:
    atoms = read_atoms(path)
    return atoms.get_chemical_symbols(), atoms.positions


def _molecule_of_crystal(where: str, path: Path) -> tuple[list[str], NDArray[np.float64]]:
    """Cut one whole molecule out of a molecular crystal.

    Raises
    ------
    SpeciesError
        When the crystal holds different molecules, or a framework without molecules.
    """
    from ase.neighborlist import natural_cutoffs, neighbor_list
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import breadth_first_order, connected_components

    atoms = read_atoms(path, index=-1)
    first, second, shift = neighbor_list("ijS", atoms, natural_cutoffs(atoms, mult=1.1))
    n_atoms = len(atoms)
    graph = coo_matrix((np.ones(len(first)), (first, second)), shape=(n_atoms, n_atoms)).tocsr()
    n_parts, labels = connected_components(graph, directed=False)
    members = [np.flatnonzero(labels == part) for part in range(n_parts)]
    formulas = {str(atoms[list(part)].symbols.formula.convert("hill")) for part in members}
    if len(formulas) > 1:
        raise SpeciesError(
            f"{where}.file: {path} holds {len(formulas)} different molecules ({', '.join(sorted(formulas))}); "
            "cut out the one you mean as .xyz"
        )
    offset = {(int(i), int(j)): s for i, j, s in zip(first, second, shift, strict=True)}
    order, parent = breadth_first_order(graph, members[0][0], directed=False)
    cell = np.zeros((n_atoms, 3))
    for index in order[1:]:
        cell[index] = cell[parent[index]] + offset[int(parent[index]), int(index)]
    inside = np.isin(first, order)
    if not np.array_equal((cell[first] + shift)[inside], cell[second][inside]):
        raise SpeciesError(f"{where}.file: {path} is a framework, not a molecular crystal; give the molecule as .xyz")
    chosen = np.sort(order)
    return list(atoms.symbols[chosen]), atoms.positions[chosen] + cell[chosen] @ atoms.cell.array


def perceive_bonds(
    where: str, path: Path, symbols: list[str], positions_A: NDArray[np.float64], charge: int | None
) -> Any:
    """Find the Lewis structure and the stereoisomer that fit the places of the atoms and their charge.

    Raises
    ------
    SpeciesError
        None fits, or hydrogens are missing.
    """
    graph = unbonded(symbols, positions_A)
    net = charge or 0
    if graph is not None and len(symbols) == 1:
        graph.GetAtomWithIdx(0).SetFormalCharge(net)
        graph.GetAtomWithIdx(0).SetNoImplicit(True)
        Chem.SanitizeMol(graph)
        return graph
    try:
        rdDetermineBonds.DetermineBonds(graph, charge=net, embedChiral=False)
    except (ValueError, RuntimeError) as problem:
        raise SpeciesError(
            f"{where}.file: no Lewis structure of charge {net:+d} fits {path}; set {where}.charge, "
            "or give the SMILES or a .mol with bonds"
        ) from problem
    Chem.SanitizeMol(graph)
    return _complete(where, path, graph)


def unbonded(symbols: list[str], positions_A: NDArray[np.float64]) -> Any:
    """Atoms in their places, (n_atoms, 3) in Å, without bonds."""
    block = f"{len(symbols)}\n\n" + "\n".join(
        f"{symbol} {x:.8f} {y:.8f} {z:.8f}" for symbol, (x, y, z) in zip(symbols, positions_A, strict=True)
    )
    return Chem.MolFromXYZBlock(block + "\n")
