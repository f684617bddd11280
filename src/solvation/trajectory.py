"""Trajectories of any origin, read frame by frame.

MDAnalysis reads what it knows; extended XYZ and VASP's XDATCAR go through ASE, and selections work on both.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solvation.errors import TrajectoryError

_ASE_FORMATS = {"extxyz": "extxyz", "xdatcar": "vasp-xdatcar", "vasp-xdatcar": "vasp-xdatcar"}


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame.

    Attributes
    ----------
    positions_A
        (n_atoms, 3).
    box_A
        Edges in Å and angles in degrees, (6,); None for a droplet without a cell.
    """

    time_ps: float
    positions_A: NDArray[np.float64]
    box_A: NDArray[np.float64] | None


class Trajectory:
    """A topology with its frames; `frames()` streams, so memory does not grow with the length."""

    def __init__(self, universe: Any, source: Path, ase_format: str | None, box_A: NDArray[np.float64] | None) -> None:
        self.universe = universe
        self.source = source
        self._ase_format = ase_format
        self._box_A = box_A
        self.n_frames = _count_ase(source, ase_format) if ase_format else len(universe.trajectory)

    @property
    def molecule_of(self) -> NDArray[np.int64]:
        """Number of the molecule (residue, or bonded fragment) of each atom, (n_atoms,)."""
        atoms = self.universe.atoms
        if len(self.universe.residues) == 1 and len(getattr(self.universe, "bonds", ())):
            return np.asarray(atoms.fragindices)
        return np.asarray(atoms.resindices)

    def select(self, selection: str) -> NDArray[np.int64]:
        """Indices of the atoms of an MDAnalysis selection.

        Raises
        ------
        TrajectoryError
            The selection is not valid, or matches nothing; the message lists what there is to select.
        """
        try:
            indices = np.asarray(self.universe.select_atoms(selection).indices)
        except Exception as problem:
            # MDAnalysis raises whatever its parser stumbles on; all of it is the user's selection.
            raise TrajectoryError(
                f"selection '{selection}' cannot be read ({problem}); see MDAnalysis selections"
            ) from problem
        if not indices.size:
            raise TrajectoryError(f"selection '{selection}' matches no atom of {self.source}; {self._what_there_is()}")
        return indices

    def elements(self, indices: NDArray[np.int64]) -> set[str]:
        """Chemical elements of some atoms, as far as the topology tells."""
        atoms = self.universe.atoms[indices]
        for attribute in ("elements", "types", "names"):
            if hasattr(atoms, attribute):
                found = {str(item).strip().title() for item in getattr(atoms, attribute)}
                if all(found):
                    return found
        return set()

    def frames(self, every: int = 1) -> Iterator[Frame]:
        """Yield every `every`-th frame.

        Raises
        ------
        TrajectoryError
            A frame is damaged; the message tells how many came before it.
        """
        stream = self._ase_frames() if self._ase_format else self._mda_frames()
        number = 0
        try:
            for number, frame in enumerate(stream):
                if number % every == 0:
                    yield frame
        except (OSError, ValueError, EOFError, IndexError) as problem:
            raise TrajectoryError(
                f"{self.source}: damaged after frame {number + 1} of {self.n_frames} ({problem}); "
                "cut it there with MDAnalysis or gmx trjconv, or copy it again"
            ) from problem

    def _mda_frames(self) -> Iterator[Frame]:
        for step in self.universe.trajectory:
            box = self._box_A if self._box_A is not None else step.dimensions
            real = box is not None and bool(np.all(np.asarray(box[:3]) > 0))
            yield Frame(float(step.time), np.asarray(step.positions, dtype=float), np.array(box) if real else None)

    def _ase_frames(self) -> Iterator[Frame]:
        from ase.io import iread

        for number, atoms in enumerate(iread(self.source, index=":", format=self._ase_format)):
            box = self._box_A
            if box is None and atoms.pbc.all() and atoms.cell.rank == 3:
                box = np.asarray(atoms.cell.cellpar())
            time_ps = float(atoms.info.get("time_ps", atoms.info.get("time", number)))
            yield Frame(time_ps, _rotated(atoms, box), box)

    def _what_there_is(self) -> str:
        told = []
        for attribute in ("resnames", "names", "elements"):
            if hasattr(self.universe.atoms, attribute):
                values = sorted({str(item) for item in getattr(self.universe.atoms, attribute)})
                told.append(f"{attribute}: {' '.join(values[:12])}{' ...' if len(values) > 12 else ''}")
        return "; ".join(told)


def open_trajectory(
    topology: Path, trajectory: Path | None = None, *, format: str | None = None, box_A: Sequence[float] | None = None
) -> Trajectory:
    """Open a topology and its frames.

    Parameters
    ----------
    topology
        Names of the atoms; with extxyz and XDATCAR, and with multi-frame PDB, the frames as well.
    format
        Format of the frames when the suffix does not tell, in MDAnalysis' words, or extxyz, XDATCAR.
    box_A
        Edges in Å, and angles in degrees, when the file has none; (3,) or (6,).

    Raises
    ------
    TrajectoryError
        A file is missing, unreadable, empty or truncated, or the two do not fit each other.
    """
    for path in (topology, *([trajectory] if trajectory else [])):
        if not path.is_file():
            raise TrajectoryError(f"{path} does not exist; check the path (relative to the study file or this folder)")
    box = _box(box_A)
    source = trajectory or topology
    ase_format = _ase_format(source, format)
    universe = _ase_universe(topology, ase_format) if ase_format else _universe(topology, trajectory, format)
    opened = Trajectory(universe, source, ase_format, box)
    if opened.n_frames == 0:
        raise TrajectoryError(f"{source} holds no frame; give the file that holds the trajectory")
    return opened


def _universe(topology: Path, trajectory: Path | None, format: str | None) -> Any:
    import MDAnalysis

    files = [str(topology), *([str(trajectory)] if trajectory else [])]
    try:
        with warnings.catch_warnings():
            # Missing masses, elements and unit cells are normal; what matters is checked when it is used.
            warnings.simplefilter("ignore")
            universe = MDAnalysis.Universe(*files, **({"format": format} if format else {}))
            len(universe.trajectory)
    except Exception as problem:
        # Its readers raise every kind of exception; each one means that these files cannot be used.
        reason = " ".join(str(problem).split())[:200]
        raise TrajectoryError(
            f"{files[-1]}: cannot be read with topology {topology} ({reason}); check that both hold the same atoms, "
            "that the file is whole, and name its format if the suffix does not"
        ) from problem
    _refuse_truncated(universe, trajectory)
    return universe


def _refuse_truncated(universe: Any, trajectory: Path | None) -> None:
    """Read the last frame: offsets of XTC and DCD count a frame that is only half there."""
    if trajectory is None or len(universe.trajectory) < 2:
        return
    frames = len(universe.trajectory)
    try:
        universe.trajectory[frames - 1]
    except (OSError, EOFError, ValueError, IndexError) as problem:
        raise TrajectoryError(
            f"{trajectory}: truncated, {frames - 1} whole frames can be read; cut it there, or copy it again"
        ) from problem
    universe.trajectory[0]


def _ase_format(path: Path, format: str | None) -> str | None:
    asked = (format or "").lower()
    if asked:
        return _ASE_FORMATS.get(asked)
    if path.suffix.lower() == ".extxyz":
        return "extxyz"
    return "vasp-xdatcar" if path.name.upper().startswith("XDATCAR") else None


def _ase_universe(path: Path, ase_format: str | None) -> Any:
    import MDAnalysis
    from ase.io import read

    try:
        atoms = read(path, index=0, format=ase_format if path.suffix != ".xyz" else None)
    except Exception as problem:
        # ASE's readers raise every kind of exception; each one means that this file cannot be used.
        raise TrajectoryError(f"{path}: not a readable {ase_format} file ({problem})") from problem
    symbols = atoms.get_chemical_symbols()
    residues = np.asarray(atoms.arrays.get("residue", np.zeros(len(atoms), dtype=int)))
    _, index = np.unique(residues, return_inverse=True)
    universe = MDAnalysis.Universe.empty(len(atoms), int(index.max()) + 1, atom_resindex=index, trajectory=True)
    universe.add_TopologyAttr("names", symbols)
    universe.add_TopologyAttr("types", symbols)
    universe.add_TopologyAttr("elements", symbols)
    if "residue" not in atoms.arrays:
        universe.add_TopologyAttr("bonds", _covalent_bonds(atoms))
    return universe


def _covalent_bonds(atoms: Any) -> list[tuple[int, int]]:
    """Bonds by distance, so that molecules can be counted; metals bind nothing here."""
    from ase.neighborlist import natural_cutoffs, neighbor_list

    metals = {"Li", "Na", "K", "Mg", "Ca", "Zn", "Al"}
    symbols = atoms.get_chemical_symbols()
    first, second = neighbor_list("ij", atoms, natural_cutoffs(atoms, mult=1.15))
    return [
        (int(i), int(j)) for i, j in zip(first, second, strict=True) if i < j and not {symbols[i], symbols[j]} & metals
    ]


def _count_ase(path: Path, ase_format: str | None) -> int:
    from ase.io import iread

    count = 0
    try:
        for _ in iread(path, index=":", format=ase_format):
            count += 1
    except Exception as problem:
        # As above: whatever ASE raises here, the file breaks off after `count` frames.
        raise TrajectoryError(
            f"{path}: truncated or damaged, {count} whole frames can be read; cut it there, or copy it again"
        ) from problem
    return count


def _rotated(atoms: Any, box: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Positions in the frame where a lies along x, which edges and angles stand for."""
    if box is None or atoms.cell.rank < 3:
        return np.asarray(atoms.positions)
    from ase.geometry import cellpar_to_cell

    return np.asarray(atoms.get_scaled_positions(wrap=False) @ cellpar_to_cell(atoms.cell.cellpar()))


def _box(box_A: Sequence[float] | None) -> NDArray[np.float64] | None:
    if box_A is None:
        return None
    box = np.asarray(box_A, dtype=float)
    if box.shape == (3,):
        box = np.concatenate([box, [90.0, 90.0, 90.0]])
    if box.shape != (6,) or np.any(box <= 0):
        raise TrajectoryError(f"box {list(box_A)}: give three edges in Å, or three edges and three angles in degrees")
    return box
