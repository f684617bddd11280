"""Extended XYZ and XDATCAR through ASE, dressed so that MDAnalysis' selections work on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solvation.errors import TrajectoryError, in_short
from solvation.trajectory.whole_files import count_xdatcar, count_xyz

_METALS = frozenset(["Li", "Na", "K", "Rb", "Cs", "Be", "Mg", "Ca", "Sr", "Ba", "Zn", "Al"])


def is_extended(path: Path) -> bool:
    """Whether an XYZ file tells its cell or its columns, which a plain reader would lose."""
    with path.open(encoding="utf-8", errors="replace") as stream:
        stream.readline()
        comment = stream.readline(10_000)
    return "Lattice=" in comment or "Properties=" in comment


def read_ase(path: Path, ase_format: str) -> Any:
    """First frame of a file, as ASE's Atoms."""
    from ase.io import read

    try:
        atoms = read(path, index=0, format=ase_format)
    except Exception as problem:
        # ASE's readers raise every kind of exception; each one means that this file cannot be used.
        raise TrajectoryError(f"{path}: not a readable {ase_format} file ({in_short(problem)})") from problem
    if not np.isfinite(atoms.positions).all() or not np.isfinite(atoms.cell.array).all():
        raise TrajectoryError(f"{path}: frame 1 has a position or a cell that is no number; cut it there")
    return atoms


def ase_universe(path: Path, ase_format: str) -> Any:
    """Universe of MDAnalysis with the atoms of the first frame, so that selections work; names are symbols."""
    import MDAnalysis

    atoms = read_ase(path, ase_format)
    symbols = atoms.get_chemical_symbols()
    residues = np.asarray(atoms.arrays.get("residue", np.zeros(len(atoms), dtype=int)))
    _, index = np.unique(residues, return_inverse=True)
    universe = MDAnalysis.Universe.empty(len(atoms), int(index.max()) + 1, atom_resindex=index, trajectory=True)
    universe.add_TopologyAttr("names", symbols)
    universe.add_TopologyAttr("types", symbols)
    universe.add_TopologyAttr("elements", symbols)
    if "residue" not in atoms.arrays:
        universe.add_TopologyAttr("bonds", covalent_bonds(atoms))
    return universe


def covalent_bonds(atoms: Any) -> list[tuple[int, int]]:
    """Bonds by distance, so that molecules can be counted; metals bind nothing here."""
    from ase.neighborlist import natural_cutoffs, neighbor_list

    symbols = atoms.get_chemical_symbols()
    first, second = neighbor_list("ij", atoms, natural_cutoffs(atoms, mult=1.15))
    return [
        (int(i), int(j)) for i, j in zip(first, second, strict=True) if i < j and not {symbols[i], symbols[j]} & _METALS
    ]


def count_ase(path: Path, ase_format: str) -> int:
    """Frames by their lines, which costs less than to parse them."""
    return (count_xyz(path) if ase_format == "extxyz" else count_xdatcar(path))[0]


def rotated(atoms: Any, box: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Return the positions in the frame where a lies along x, which edges and angles stand for."""
    if box is None or atoms.cell.rank < 3:
        return np.asarray(atoms.positions)
    from ase.geometry import cellpar_to_cell

    return np.asarray(atoms.get_scaled_positions(wrap=False) @ cellpar_to_cell(atoms.cell.cellpar()))
