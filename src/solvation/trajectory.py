"""Trajectories of any origin, read frame by frame.

MDAnalysis reads what it knows; extended XYZ and VASP's XDATCAR go through ASE, and selections work on both.
"""

from __future__ import annotations

import math
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solvation.ase_frames import ase_universe, count_ase, covalent_bonds, is_extended, read_ase, rotated
from solvation.errors import TrajectoryError
from solvation.whole_files import refuse_truncated

_ASE_FORMATS = {"extxyz": "extxyz", "xdatcar": "vasp-xdatcar", "vasp-xdatcar": "vasp-xdatcar"}
_LAYOUT = {"extxyz": "XYZ", "vasp-xdatcar": "XDATCAR"}


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame.

    Attributes
    ----------
    time_ps
        NaN when the file does not tell.
    positions_A
        (n_atoms, 3), of all atoms or of those that were asked for.
    box_A
        Edges in Å and angles in degrees, (6,); None for a droplet without a cell.
    """

    time_ps: float
    positions_A: NDArray[np.float64]
    box_A: NDArray[np.float64] | None


class Trajectory:
    """A topology with its frames; `frames()` streams, so memory does not grow with the length.

    Attributes
    ----------
    universe
        MDAnalysis' universe of the topology.
    source
        The file that holds the frames.
    n_frames
        Frames in it.
    """

    def __init__(
        self,
        universe: Any,
        source: Path,
        *,
        ase_format: str | None = None,
        box_A: NDArray[np.float64] | None = None,
        timestep_ps: float | None = None,
    ) -> None:
        self.universe = universe
        self.source = source
        self._ase_format = ase_format
        self._box_A = box_A
        self._timestep_ps = timestep_ps
        self.n_frames = count_ase(source, ase_format) if ase_format else len(universe.trajectory)

    @property
    def molecule_of(self) -> NDArray[np.int64]:
        """Number of the molecule of each atom, (n_atoms,).

        Residues where the topology tells them apart; else fragments by its bonds, or by the distances in the first
        frame when it has none (metal atoms bind nothing there).
        """
        atoms = self.universe.atoms
        if len(self.universe.residues) > 1:
            return np.asarray(atoms.resindices)
        if not hasattr(self.universe, "bonds"):
            self.universe.add_TopologyAttr("bonds", covalent_bonds(self._first_frame_as_atoms()))
        return np.asarray(atoms.fragindices)

    def species_of(self, molecule_of: NDArray[np.int64]) -> list[str]:
        """Name of each molecule: of its residue where residues are molecules and have names, else its formula.

        Parameters
        ----------
        molecule_of
            As the property of that name.
        """
        atoms, residues = self.universe.atoms, self.universe.residues
        names = [str(name) for name in getattr(residues, "resnames", [])]
        if len(residues) > 1 and all(names) and set(names) != {"UNK"}:
            return names
        told = ([str(item) for item in getattr(atoms, key, [""])] for key in ("elements", "types", "names"))
        symbols = next((found for found in told if all(found)), ["X"] * len(atoms))
        members: list[list[str]] = [[] for _ in range(int(molecule_of.max()) + 1)]
        for molecule, symbol in zip(molecule_of.tolist(), symbols, strict=True):
            members[molecule].append(symbol.strip().rstrip("0123456789").title())
        known: dict[tuple[str, ...], str] = {}
        return [known.setdefault(tuple(sorted(one)), _formula(one)) for one in members]

    def select(self, selection: str) -> NDArray[np.int64]:
        """Indices of the atoms of an MDAnalysis selection.

        In files whose atom names are symbols (XYZ, XDATCAR) `LI` means `Li`, as it would in a PDB.

        Raises
        ------
        TrajectoryError
            The selection is not valid, or matches nothing; the message lists what there is to select.
        """
        try:
            indices = np.asarray(self.universe.select_atoms(self._with_symbols(selection)).indices)
        except Exception as problem:
            # MDAnalysis raises whatever its parser stumbles on; all of it is the user's selection.
            reason = " ".join(str(problem).split())
            raise TrajectoryError(
                f"selection '{selection}' cannot be read ({reason}); see MDAnalysis selections"
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

    def frames(self, every: int = 1, atoms: NDArray[np.int64] | None = None) -> Iterator[Frame]:
        """Yield every `every`-th frame.

        Parameters
        ----------
        atoms
            Indices of the atoms whose positions are wanted, (n_wanted,); None for all. Copying the others would
            cost a tenth of the reading.

        Raises
        ------
        TrajectoryError
            A frame is damaged, missing, or periodic along some directions only; the message tells how many came
            before it.
        """
        stream = self._ase_frames(atoms) if self._ase_format else self._mda_frames(atoms)
        done = 0
        problem: Exception | None = None
        try:
            for frame in stream:
                if not np.isfinite(frame.positions_A).all():
                    raise TrajectoryError(
                        f"{self.source}: frame {done + 1} has a position that is no number; cut it there"
                    )
                if done % every == 0:
                    yield frame
                done += 1
        except (OSError, ValueError, EOFError, IndexError) as raised:
            if isinstance(raised, TrajectoryError):
                raise
            problem = raised
        # MDAnalysis ends quietly at a frame of XTC or TRR that it cannot unpack.
        if problem is not None or done != self.n_frames:
            reason = f" ({' '.join(str(problem).split())[:200]})" if problem else ""
            raise TrajectoryError(
                f"{self.source}: damaged, {done} of {self.n_frames} frames can be read{reason}; "
                "cut it there with MDAnalysis or gmx trjconv, or copy it again"
            ) from problem

    def _mda_frames(self, wanted: NDArray[np.int64] | None) -> Iterator[Frame]:
        reader = self.universe.trajectory
        # Where a file has no times MDAnalysis makes them up, 1 ps apart; LAMMPS dumps hold steps only.
        told = reader.format != "LAMMPSDUMP" and {"time", "dt"} & set(reader.ts.data)
        for number, step in enumerate(reader):
            box = self._box_A if self._box_A is not None else step.dimensions
            real = box is not None and bool(box[0] > 0 and box[1] > 0 and box[2] > 0)
            time_ps = self._time_ps(number, float(step.time) if told else math.nan)
            positions = step.positions if wanted is None else step.positions.take(wanted, axis=0)
            yield Frame(time_ps, positions.astype(float), np.array(box, dtype=float) if real else None)

    def _ase_frames(self, wanted: NDArray[np.int64] | None) -> Iterator[Frame]:
        from ase.io import iread

        n_atoms = len(self.universe.atoms)
        for number, atoms in enumerate(iread(self.source, index=":", format=self._ase_format)):
            if len(atoms) != n_atoms:
                raise TrajectoryError(
                    f"{self.source}: frame {number + 1} has {len(atoms)} atoms, the topology {n_atoms}; "
                    "give the topology of these frames"
                )
            box = self._box_A
            if box is None and atoms.pbc.any():
                if not atoms.pbc.all() or atoms.cell.rank < 3:
                    raise TrajectoryError(
                        f"{self.source}: frame {number + 1} is periodic along some directions only; "
                        "a density needs all three: give the box (box_A, --box), or set pbc to F F F for a droplet"
                    )
                box = np.asarray(atoms.cell.cellpar())
            time_ps = self._time_ps(number, float(atoms.info.get("time_ps", math.nan)))
            positions = rotated(atoms, box)
            yield Frame(time_ps, positions if wanted is None else positions[wanted], box)

    def _time_ps(self, number: int, told: float) -> float:
        return told if self._timestep_ps is None else number * self._timestep_ps

    def _first_frame_as_atoms(self) -> Any:
        from ase import Atoms
        from ase.data import atomic_numbers

        names = [str(name).rstrip("0123456789").title() for name in self.universe.atoms.names]
        symbols = [name if name in atomic_numbers else name[:1] for name in names]
        unknown = next((symbol for symbol in symbols if symbol not in atomic_numbers), None)
        if unknown is not None:
            raise TrajectoryError(
                f"{self.source}: molecules cannot be told apart (no residues, no bonds, no element '{unknown}'); "
                "give a topology with residues, e.g. a PDB"
            )
        frame = next(self.frames())
        cell = None if frame.box_A is None else frame.box_A
        return Atoms(symbols, frame.positions_A, cell=cell, pbc=cell is not None)

    def _with_symbols(self, selection: str) -> str:
        names = {str(name) for name in getattr(self.universe.atoms, "names", ())}
        for name in names:
            if len(name) == 2 and name.istitle() and name.upper() not in names:
                selection = re.sub(rf"\b{name.upper()}\b", name, selection)
        return selection

    def _what_there_is(self) -> str:
        told = []
        for attribute in ("resnames", "names", "elements"):
            if hasattr(self.universe.atoms, attribute):
                values = sorted({str(item) for item in getattr(self.universe.atoms, attribute)})
                told.append(f"{attribute}: {' '.join(values[:12])}{' ...' if len(values) > 12 else ''}")
        return "; ".join(told)


def _formula(symbols: Sequence[str]) -> str:
    """Hill's order: carbon, hydrogen, then by letter."""
    count = Counter(symbols)
    first = ["C", "H"] if "C" in count else []
    ordered = [*first, *sorted(set(count) - set(first))]
    return "".join(f"{symbol}{count[symbol] if count[symbol] > 1 else ''}" for symbol in ordered if count[symbol])


def open_trajectory(
    topology: Path,
    trajectory: Path | None = None,
    *,
    format: str | None = None,
    box_A: Sequence[float] | None = None,
    timestep_ps: float | None = None,
) -> Trajectory:
    """Open a topology and its frames.

    Parameters
    ----------
    topology
        Names of the atoms; with extxyz and XDATCAR, and with multi-frame PDB, the frames as well.
    format
        Format of the frames when the suffix does not tell, in MDAnalysis' words, or extxyz, XDATCAR.
    box_A
        Edges in Å, and angles in degrees; (3,) or (6,). Takes the place of what the file says.
    timestep_ps
        Time between frames, for files that hold none (XYZ, PDB, LAMMPS dumps, XDATCAR). Takes the place of what
        the file says.

    Raises
    ------
    TrajectoryError
        A file is missing, unreadable, empty or truncated, or the two do not fit each other.
    """
    for path in (topology, *([trajectory] if trajectory else [])):
        if not path.is_file():
            raise TrajectoryError(f"{path} does not exist; check the path (relative to the study file or this folder)")
    box = _box(box_A)
    if timestep_ps is not None and not 0 < timestep_ps < math.inf:
        raise TrajectoryError(
            f"timestep_ps {timestep_ps:g} is no time between frames; give one above 0 (--timestep-ps)"
        )
    source = trajectory or topology
    ase_format = _ase_format(source, format)
    names_format = _ase_format(topology, None if trajectory else format)
    if ase_format and count_ase(source, ase_format) > 0:
        # Before ASE sees it: its own words on a file that breaks off are of array shapes.
        refuse_truncated(source, _LAYOUT[ase_format])
    universe = ase_universe(topology, names_format) if names_format else _universe(topology, trajectory, format)
    if ase_format:
        refuse_truncated(source, _LAYOUT[ase_format])
        if trajectory:
            _refuse_other_elements(universe, topology, trajectory, ase_format)
    elif names_format and trajectory:
        _load(universe, topology, trajectory, format)
    opened = Trajectory(universe, source, ase_format=ase_format, box_A=box, timestep_ps=timestep_ps)
    if opened.n_frames == 0:
        raise TrajectoryError(f"{source} holds no frame; give the file that holds the trajectory")
    return opened


def _universe(topology: Path, trajectory: Path | None, format: str | None) -> Any:
    """Universe of what MDAnalysis reads; frames that ASE reads are left to it."""
    import MDAnalysis

    try:
        with warnings.catch_warnings():
            # Missing masses, elements and unit cells are normal; what matters is checked when it is used.
            warnings.simplefilter("ignore")
            universe = MDAnalysis.Universe(str(topology), **({"format": format} if format and not trajectory else {}))
    except Exception as problem:
        # Its readers raise every kind of exception; each one means that this file cannot be used.
        raise TrajectoryError(
            f"{topology}: cannot be read ({_in_short(problem)}); give a topology that MDAnalysis reads, or extxyz"
        ) from problem
    if trajectory is not None and not _ase_format(trajectory, format):
        _load(universe, topology, trajectory, format)
    elif trajectory is None and hasattr(universe, "trajectory"):
        refuse_truncated(topology, str(universe.trajectory.format))
    if trajectory is None and not hasattr(universe, "trajectory"):
        raise TrajectoryError(f"{topology} holds no frame; give the file that holds the trajectory")
    return universe


def _load(universe: Any, topology: Path, trajectory: Path, format: str | None) -> None:
    """Load the frames, and read the last one: its offset tells nothing of its end."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            universe.load_new(str(trajectory), **({"format": format} if format else {}))
            frames = len(universe.trajectory)
    except Exception as problem:
        # As above: every kind of exception means that the two files cannot be used together.
        raise TrajectoryError(
            f"{trajectory}: cannot be read with topology {topology} ({_in_short(problem)}); check that both hold the "
            "same atoms, that the file is whole, and name its format if the suffix does not"
        ) from problem
    reader = universe.trajectory
    refuse_truncated(trajectory, str(reader.format), getattr(getattr(reader, "_xdr", None), "offsets", None))
    try:
        if frames:
            reader[frames - 1]
            reader[0]
    except (OSError, EOFError, ValueError, IndexError) as problem:
        raise TrajectoryError(
            f"{trajectory}: truncated, {frames - 1} whole frames can be read; cut it there, or copy it again"
        ) from problem


def _in_short(problem: Exception) -> str:
    return " ".join(str(problem).split())[:200]


def _refuse_other_elements(universe: Any, topology: Path, trajectory: Path, ase_format: str) -> None:
    """A topology and frames that list their atoms in another order would give wrong curves without a word."""
    atoms = read_ase(trajectory, ase_format)
    if len(atoms) != len(universe.atoms):
        raise TrajectoryError(
            f"{trajectory}: has {len(atoms)} atoms, topology {topology} {len(universe.atoms)}; "
            "check that both hold the same atoms"
        )
    told = [str(item).title() for item in getattr(universe.atoms, "elements", ())]
    for number, (theirs, ours) in enumerate(zip(told, atoms.get_chemical_symbols(), strict=False), start=1):
        if theirs and theirs != ours:
            raise TrajectoryError(
                f"{trajectory}: atom {number} is {ours}, in topology {topology} {theirs}; "
                "check that both hold the same atoms in the same order"
            )


def _ase_format(path: Path, format: str | None) -> str | None:
    asked = (format or "").lower()
    if asked:
        return _ASE_FORMATS.get(asked)
    if path.suffix.lower() == ".extxyz" or (path.suffix.lower() == ".xyz" and is_extended(path)):
        return "extxyz"
    return "vasp-xdatcar" if path.name.upper().startswith("XDATCAR") else None


def _spans_a_volume(angles_deg: NDArray[np.float64]) -> bool:
    cosines = np.cos(np.radians(angles_deg))
    return bool(np.all(angles_deg < 180) and 1 - cosines @ cosines + 2 * cosines.prod() > 1e-6)


def _box(box_A: Sequence[float] | None) -> NDArray[np.float64] | None:
    if box_A is None:
        return None
    box = np.asarray(box_A, dtype=float)
    if box.shape == (3,):
        box = np.concatenate([box, [90.0, 90.0, 90.0]])
    if box.shape != (6,) or not np.all((box > 0) & np.isfinite(box)) or not _spans_a_volume(box[3:]):
        raise TrajectoryError(f"box {list(box_A)}: give three edges in Å, or three edges and three angles in degrees")
    return box
