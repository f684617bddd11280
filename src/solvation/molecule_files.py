"""Molecules out of files: with the bonds that the file tells, or those that distances and a charge leave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdDetermineBonds

from solvation.errors import SpeciesError, in_short


def molecule_of_file(where: str, path: Path, charge: int | None) -> Any:
    """Read one whole molecule with its bonds and its geometry, as RDKit's; XYZ, MOL, SDF or CIF.

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
    return graph


def _read_xyz(path: Path) -> tuple[list[str], NDArray[np.float64]]:
    from ase.io import read

    atoms = read(path, index=0)
    return atoms.get_chemical_symbols(), atoms.positions


def _molecule_of_crystal(where: str, path: Path) -> tuple[list[str], NDArray[np.float64]]:
    """Cut one whole molecule out of a molecular crystal.

    Raises
    ------
    SpeciesError
        When the crystal holds different molecules, or a framework without molecules.
    """
    from ase.io import read
    from ase.neighborlist import natural_cutoffs, neighbor_list
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import breadth_first_order, connected_components

    atoms = read(path)
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
    """Find the Lewis structure that fits the places of the atoms and their charge.

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
