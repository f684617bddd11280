"""Trajectories of any origin, read frame by frame.

MDAnalysis reads what it knows; extended XYZ and VASP's XDATCAR and vasprun.xml become ASE's Atoms, and selections work
on both.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solvation.errors import TrajectoryError
from solvation.trajectory.ase_frames import (
    ase_universe,
    count_ase,
    frames_of,
    is_extended,
    read_ase,
    rotated,
    whole_ase,
)
from solvation.trajectory.dcd import doubt_of_times
from solvation.trajectory.opening import DAMAGE, load_frames, universe_of, whole_of
from solvation.trajectory.topology import Topology

_ASE_FORMATS = {
    "extxyz": "extxyz", "xdatcar": "vasp-xdatcar", "vasp-xdatcar": "vasp-xdatcar", "vasprun": "vasp-xml",
    "vasp-xml": "vasp-xml",
}  # fmt: skip
#: A tenth of a millimetre: what lies beyond is damage, not a place.
_FARTHEST_A = 1e6


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


class Trajectory(Topology):
    """A topology with its frames; `frames()` streams, so memory does not grow with the length.

    Attributes
    ----------
    n_frames
        Frames that can be read.
    damage
        What is wrong with the file, where the whole frames before are used; else empty.
    doubt_of_times
        In which unit the times of a DCD were taken, where the user has to know; else empty.
    """

    def __init__(
        self,
        universe: Any,
        source: Path,
        *,
        ase_format: str | None = None,
        box_A: NDArray[np.float64] | None = None,
        timestep_ps: float | None = None,
        until_damage: bool = False,
        whole: int | None = None,
        damage: str = "",
    ) -> None:
        super().__init__(universe, source)
        self._ase_format = ase_format
        self._box_A = box_A
        self._timestep_ps = timestep_ps
        self._until_damage = until_damage
        self.n_frames = count_ase(source, ase_format) if ase_format else len(universe.trajectory)
        self.damage = (
            damage and f"the file is damaged at frame {self.n_frames + 1}: the {self.n_frames} before are used"
        )
        self.doubt_of_times = ""
        if whole is not None:
            self.n_frames = whole
            self.damage = f"the file is truncated: the {whole} whole frames before are used"

    @property
    def is_random_access(self) -> bool:
        """Whether reading may begin anywhere, so that several processes can share the file."""
        return self._ase_format is None

    def first_positions(self) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Positions of all atoms in the first frame, Å, (n_atoms, 3), and its box, (6,), or None."""
        frame = next(self.frames())
        return frame.positions_A, frame.box_A

    def doubt_of_cell(self) -> str:
        """What to know of the cell: that frames have none, or another one than was given; else nothing."""
        given, self._box_A = self._box_A, None
        try:
            told = next(self.frames()).box_A
        except TrajectoryError:
            # Periodic along some directions only: what is given mends that.
            return ""
        finally:
            self._box_A = given
        if given is None:
            return (
                "" if told is not None else "no cell: taken as a droplet; a periodic box needs its edges (--box, box_A)"
            )
        if told is None or np.allclose(told, given, atol=0.05):
            return ""
        shown = [" ".join(f"{number:.5g}" for number in cell) for cell in (told, given)]
        return f"the file has the cell {shown[0]} (Å, degrees); {shown[1]} takes its place in every frame"

    def frames(
        self, every: int = 1, atoms: NDArray[np.int64] | None = None, *, begin: int = 0, end: int | None = None
    ) -> Iterator[Frame]:
        """Yield the frames from `begin` on and before `end`, or every `every`-th of them.

        Parameters
        ----------
        atoms
            Indices of the atoms whose positions are wanted, (n_wanted,); None for all. Copying the others would
            cost a tenth of the reading.

        Raises
        ------
        TrajectoryError
            A frame is damaged, missing, or periodic along some directions only; the message tells how many came
            before it. Where the frames before the damage are to be used, they end there, and `damage` tells.
        """
        numbers = range(begin, self.n_frames if end is None else end, every)
        stream = self._ase_frames(numbers, atoms) if self._ase_format else self._mda_frames(numbers, atoms)
        done = 0
        reason = ""
        try:
            for frame in stream:
                # Also false where a position is no number.
                if not (np.abs(frame.positions_A) < _FARTHEST_A).all():
                    reason = " (a position is no number, or far beyond any box)"
                    break
                yield frame
                done += 1
        except DAMAGE as raised:
            if isinstance(raised, TrajectoryError):
                raise
            reason = f" ({' '.join(str(raised).split())[:200]})"
        if done == len(numbers):
            return
        whole = numbers[done]
        if self._until_damage and whole:
            self.damage = f"the file is damaged at frame {whole + 1} of {self.n_frames}: the {whole} before are used"
            return
        raise TrajectoryError(
            f"{self.source}: damaged, {whole} of {self.n_frames} frames can be read{reason}; "
            "cut it there with MDAnalysis or gmx trjconv, or copy it again"
        )

    def _mda_frames(self, numbers: range, wanted: NDArray[np.int64] | None) -> Iterator[Frame]:
        reader = self.universe.trajectory
        # Where a file has no times MDAnalysis makes them up, 1 ps apart; LAMMPS dumps hold steps only.
        told = reader.format != "LAMMPSDUMP" and {"time", "dt"} & set(reader.ts.data)
        for number, step in zip(numbers, _steps(reader, numbers), strict=False):
            box = self._box_A if self._box_A is not None else step.dimensions
            real = box is not None and bool(box[0] > 0 and box[1] > 0 and box[2] > 0)
            time_ps = self._time_ps(number, float(step.time) if told else math.nan)
            positions = step.positions if wanted is None else step.positions.take(wanted, axis=0)
            yield Frame(time_ps, positions.astype(float), np.array(box, dtype=float) if real else None)

    def _ase_frames(self, numbers: range, wanted: NDArray[np.int64] | None) -> Iterator[Frame]:
        n_atoms = len(self.universe.atoms)
        for number, atoms in zip(numbers, frames_of(self.source, str(self._ase_format), numbers), strict=False):
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


def _steps(reader: Any, numbers: range) -> Iterator[Any]:
    """Frames of MDAnalysis; one after another where none is left out, for looking each one up costs a sixth more."""
    if numbers.step > 1:
        yield from reader[numbers.start : numbers.stop : numbers.step]
        return
    step = reader[numbers.start] if numbers else None
    while step is not None:
        yield step
        step = next(reader, None)


def open_trajectory(
    topology: Path,
    trajectory: Path | None = None,
    *,
    format: str | None = None,
    box_A: Sequence[float] | None = None,
    timestep_ps: float | None = None,
    until_damage: bool = False,
) -> Trajectory:
    """Open a topology and its frames.

    Parameters
    ----------
    topology
        Names of the atoms; with extxyz, XDATCAR and vasprun.xml, and with multi-frame PDB, the frames as well.
    format
        Format of the frames when the suffix does not tell, in MDAnalysis' words, or extxyz, XDATCAR, vasprun. A DCD of
        LAMMPS is known by its title, and read as LAMMPS.
    box_A
        Edges in Å, and angles in degrees; (3,) or (6,). Takes the place of what the file says.
    timestep_ps
        Time between frames, for files that hold none (XYZ, PDB, LAMMPS dumps, XDATCAR). Takes the place of what
        the file says.
    until_damage
        Use the whole frames of a truncated or damaged file instead of refusing it; `Trajectory.damage` tells.

    Raises
    ------
    TrajectoryError
        A file is missing, unreadable, empty or truncated, or the two do not fit each other.
    """
    for path in (topology, *([trajectory] if trajectory else [])):
        if not path.is_file():
            raise TrajectoryError(f"{path} does not exist; check the path (relative to the study file or this folder)")
    box = _box(box_A)
    # What MDAnalysis makes up where a file has no times is not used here.
    warnings.filterwarnings("ignore", message="Reader has no dt information")
    if timestep_ps is not None and not 0 < timestep_ps < math.inf:
        raise TrajectoryError(
            f"timestep_ps {timestep_ps:g} is no time between frames; give one above 0 (--timestep-ps)"
        )
    source = trajectory or topology
    ase_format = _ase_format(source, format)
    names_format = _ase_format(topology, None if trajectory else format)
    whole: int | None = None
    damage = ""
    if ase_format and count_ase(source, ase_format) > 0:
        # Before ASE sees it: its own words on a file that breaks off are of array shapes.
        whole = whole_ase(source, ase_format)
        _allow(source, whole, until_damage)
    universe = ase_universe(topology, names_format) if names_format else universe_of(topology, trajectory, format)
    if ase_format:
        _allow(source, whole_ase(source, ase_format), until_damage)
        if trajectory:
            _refuse_other_elements(universe, topology, trajectory, ase_format)
    else:
        if trajectory:
            load_frames(universe, topology, trajectory, format)
        whole, damage = whole_of(universe, source)
        _allow(source, whole, until_damage)
        if damage and not until_damage:
            raise TrajectoryError(
                f"{source}: damaged, {len(universe.trajectory)} frames can be read ({damage}); cut it there with "
                "gmx trjconv, or copy it again"
            )
    opened = Trajectory(
        universe, source, ase_format=ase_format, box_A=box, timestep_ps=timestep_ps, until_damage=until_damage,
        whole=whole, damage=damage,
    )  # fmt: skip
    if opened.n_frames == 0:
        raise TrajectoryError(f"{source} holds no frame; give the file that holds the trajectory")
    if not ase_format and format is None and timestep_ps is None:
        opened.doubt_of_times = doubt_of_times(universe.trajectory, source)
    return opened


def _allow(path: Path, whole: int | None, until_damage: bool) -> None:
    """Refuse a truncated file, unless its whole frames are to be used and there are any."""
    if whole is not None and not (until_damage and whole):
        raise TrajectoryError(
            f"{path}: truncated, {whole} whole frames can be read; cut it there (e.g. gmx trjconv), or copy it again"
        )


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
    if path.name.lower().startswith("vasprun") and path.suffix.lower() == ".xml":
        return "vasp-xml"
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
