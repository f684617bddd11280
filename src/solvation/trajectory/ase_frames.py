"""Extended XYZ and the files of VASP as ASE's Atoms, dressed so that MDAnalysis' selections work on them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solvation.elements import is_metal
from solvation.errors import TrajectoryError, in_short
from solvation.trajectory.vasprun import count_vasprun, vasprun_frames
from solvation.trajectory.whole_files import count_xdatcar, count_xyz

#: Formats that do not go through MDAnalysis: what counts their frames, and tells whether the last one is whole.
_COUNTS = {"extxyz": count_xyz, "vasp-xdatcar": count_xdatcar, "vasp-xml": count_vasprun}


def is_extended(path: Path) -> bool:
    """Whether an XYZ file tells its cell or its columns, which a plain reader would lose."""
    with path.open(encoding="utf-8", errors="replace") as stream:
        stream.readline()
        comment = stream.readline(10_000)
    return "Lattice=" in comment or "Properties=" in comment


def read_ase(path: Path, ase_format: str) -> Any:
    """First frame of a file, as ASE's Atoms."""
    try:
        atoms = next(frames_of(path, ase_format, range(1)))
    except TrajectoryError:
        raise
    except Exception as problem:
        # ASE's readers raise every kind of exception; each one means that this file cannot be used.
        raise TrajectoryError(f"{path}: not a readable {ase_format} file ({in_short(problem)})") from problem
    if not np.isfinite(atoms.positions).all() or not np.isfinite(atoms.cell.array).all():
        raise TrajectoryError(f"{path}: frame 1 has a position or a cell that is no number; cut it there")
    return atoms


def frames_of(path: Path, ase_format: str, numbers: range) -> Iterator[Any]:
    """Frames of these numbers as ASE's Atoms, as they are read."""
    from ase.io import iread

    if ase_format == "vasp-xml":
        return islice(vasprun_frames(path), numbers.start, numbers.stop, numbers.step)
    index = slice(numbers.start, numbers.stop, numbers.step)
    found: Iterator[Any] = iread(path, index=index, format=ase_format)
    return found


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


def covalent_bonds(atoms: Any, *, metals: bool = False) -> list[tuple[int, int]]:
    """Bonds by distance, so that molecules can be counted; metals bind nothing here unless asked to."""
    from ase.neighborlist import natural_cutoffs, neighbor_list

    metal = [is_metal(symbol) for symbol in atoms.get_chemical_symbols()]
    first, second = neighbor_list("ij", atoms, natural_cutoffs(atoms, mult=1.15))
    return [
        (int(i), int(j)) for i, j in zip(first, second, strict=True) if i < j and (metals or not (metal[i] or metal[j]))
    ]


def count_ase(path: Path, ase_format: str) -> int:
    """Frames by their lines, which costs less than to parse them."""
    return _COUNTS[ase_format](path)[0]


def whole_ase(path: Path, ase_format: str) -> int | None:
    """How many whole frames a file holds that does not end at the end of a frame; None for one that does."""
    count, is_whole = _COUNTS[ase_format](path)
    return None if is_whole else count


def rotated(atoms: Any, box: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Return the positions in the frame where a lies along x, which edges and angles stand for."""
    if box is None or atoms.cell.rank < 3:
        return np.asarray(atoms.positions)
    from ase.geometry import cellpar_to_cell

    return np.asarray(atoms.get_scaled_positions(wrap=False) @ cellpar_to_cell(atoms.cell.cellpar()))
