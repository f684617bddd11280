"""Paths of the particles of a liquid: centres of molecules, unwrapped, without the drift of the whole."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from solvation.errors import TrajectoryError
from solvation.trajectory.frames import Trajectory
from solvation.trajectory.neighbours import cells_A
from solvation.transport.displacements import NoDisplacements, Unwrapper

#: Selected atoms of one molecule are neighbours where steps of at most this link them.
_LINKED_A = 2.8
#: A selection of MDAnalysis, or indices of atoms, (n_atoms,).
Atoms = str | NDArray[np.int64]
#: Edges of a box that counts as cubic differ by at most this share.
_CUBIC = 0.02


@dataclass(frozen=True, slots=True)
class Paths:
    """Unwrapped centres of the particles of each species.

    Attributes
    ----------
    path_A
        Species -> (n_frames, n_particles, 3), from 0 in the first frame.
    edges_A, volume_A3
        Mean edges, and mean volume, of the box; None for a droplet.
    cubic
        Whether all edges are alike and all angles right ones.
    """

    path_A: dict[str, NDArray[np.float32]]
    frame_ps: float
    edges_A: NDArray[np.float64] | None
    volume_A3: float | None
    cubic: bool


def atoms_of(trajectory: Trajectory, chosen: Atoms) -> NDArray[np.int64]:
    """Indices of what is chosen by a selection, or by indices already."""
    return trajectory.select(chosen) if isinstance(chosen, str) else chosen


def molecule_kinds(trajectory: Trajectory) -> dict[str, NDArray[np.int64]]:
    """Atoms of every kind of molecule in a trajectory, by the name of its residue or by its formula."""
    molecule_of = trajectory.molecule_of
    names = np.array(trajectory.species_of(molecule_of))
    return {str(name): np.flatnonzero((names == name)[molecule_of]) for name in dict.fromkeys(names.tolist())}


def read_paths(
    trajectory: Trajectory,
    species: Mapping[str, Atoms],
    *,
    skip_ps: float = 0.0,
    every: int = 1,
    keep_drift: bool = False,
) -> Paths:
    """Read the frames once and follow the centres of all particles; 12 bytes for each particle and frame.

    Raises
    ------
    NoDisplacements
        Frames are not evenly spaced, too far apart or without times; selected atoms of one molecule are no neighbours.
    TrajectoryError
        A selection matches nothing, masses are not known, or the file is damaged.
    """
    molecule_of, masses = trajectory.molecule_of, trajectory.masses_u()
    if masses is None and not keep_drift:
        raise TrajectoryError(
            f"{trajectory.source}: masses are not known, so the drift cannot be taken out; "
            "give a topology with elements, or keep it (keep_drift, --keep-drift)"
        )
    groups = {name: _Particles(atoms_of(trajectory, item), molecule_of, masses) for name, item in species.items()}
    needed = np.unique(np.concatenate([group.atoms for group in groups.values()]))
    # The drift is that of all atoms; without it the others need not be read.
    read = None if masses is not None and not keep_drift else needed
    for group in groups.values():
        group.place(np.arange(len(molecule_of)) if read is None else read)
    pull = None if read is not None or masses is None else masses / masses.sum()
    parts: dict[str, list[NDArray[np.float32]]] = {name: [] for name in species}
    where = {name: np.zeros((group.n_particles, 3)) for name, group in groups.items()}
    times: list[float] = []
    boxes: list[NDArray[np.float64]] = []
    unwrapper = Unwrapper()
    begin_ps = math.nan
    for number, frame in enumerate(trajectory.frames(every, read)):
        begin_ps = frame.time_ps if number == 0 else begin_ps
        if skip_ps > 0 and frame.time_ps < begin_ps + skip_ps * (1 - 1e-6):
            continue
        moved = unwrapper.step(frame.positions_A, frame.box_A)
        if not times:
            for name, group in groups.items():
                group.refuse_unlinked(name, frame.positions_A, frame.box_A)
        if pull is not None:
            moved -= pull @ moved
        for name, group in groups.items():
            where[name] += group.centres(moved)
            parts[name].append(where[name].astype(np.float32))
        times.append(frame.time_ps)
        if frame.box_A is not None:
            boxes.append(frame.box_A)
    frame_ps = _spacing(trajectory, times)
    paths = {name: np.stack(part) for name, part in parts.items()}
    if not boxes:
        return Paths(paths, frame_ps, None, None, cubic=False)
    volumes = np.abs(np.linalg.det(cells_A(np.stack(boxes))))
    mean = np.mean(boxes, axis=0)
    cubic = bool(np.ptp(mean[:3]) <= _CUBIC * mean[0] and np.all(np.abs(mean[3:] - 90) < 0.1))
    return Paths(paths, frame_ps, mean[:3], float(volumes.mean()), cubic)


class _Particles:
    """Selected atoms grouped by molecule."""

    def __init__(
        self, indices: NDArray[np.int64], molecule_of: NDArray[np.int64], masses: NDArray[np.float64] | None
    ) -> None:
        order = np.argsort(molecule_of[indices], kind="stable")
        self.atoms = indices[order]
        self._starts = np.flatnonzero(np.diff(molecule_of[self.atoms], prepend=-1))
        weight = np.ones(len(indices)) if masses is None else masses[self.atoms]
        total = np.add.reduceat(weight, self._starts)
        sizes = np.diff(np.append(self._starts, len(indices)))
        self._weight = (weight / np.repeat(total, sizes))[:, None]
        self._places = self.atoms
        self.n_particles = len(self._starts)

    def place(self, read: NDArray[np.int64]) -> None:
        """Find the atoms among those that are read."""
        self._places = np.searchsorted(read, self.atoms)

    def centres(self, moved: NDArray[np.float64]) -> NDArray[np.float64]:
        """Displacement of each centre of mass: the mean of the atoms', so that no molecule need be made whole."""
        return np.asarray(np.add.reduceat(moved[self._places] * self._weight, self._starts, axis=0))

    def refuse_unlinked(self, name: str, positions_A: NDArray[np.float64], box_A: NDArray[np.float64] | None) -> None:
        """Refuse to average over atoms of one molecule that are far from each other."""
        cell = None if box_A is None else cells_A(box_A[None])[0]
        for part in np.split(self._places, self._starts[1:]):
            if len(part) > 1 and not _linked(positions_A[part], cell):
                raise NoDisplacements(
                    f"species '{name}': {len(part)} selected atoms share a molecule (residue) but are not bonded to "
                    "each other; select one atom of each molecule or all, or give each molecule a residue"
                )


def _linked(positions_A: NDArray[np.float64], cell: NDArray[np.float64] | None) -> bool:
    """Whether steps of at most 2.8 Å lead from each atom to each other one."""
    reached = np.zeros(len(positions_A), dtype=bool)
    front = np.array([0])
    while len(front):
        reached[front] = True
        apart = positions_A[None, ~reached] - positions_A[front][:, None]
        if cell is not None:
            fractional = apart @ np.linalg.inv(cell)
            apart = (fractional - np.round(fractional)) @ cell
        near = np.any(np.sum(apart**2, axis=2) <= _LINKED_A**2, axis=0)
        front = np.flatnonzero(~reached)[near]
    return bool(reached.all())


def _spacing(trajectory: Trajectory, times: Sequence[float]) -> float:
    """Time between frames, ps."""
    if len(times) < 2:
        raise NoDisplacements(
            f"{trajectory.source}: one frame is left; displacements take two or more (lower skip_ps or every)"
        )
    step = (times[-1] - times[0]) / (len(times) - 1)
    if not step > 0:
        raise NoDisplacements(
            f"{trajectory.source}: holds no times; give the time between frames (timestep_ps, --timestep-ps)"
        )
    expected = times[0] + step * np.arange(len(times))
    off = np.abs(np.asarray(times) - expected)
    if off.max() > 0.1 * step:
        raise NoDisplacements(
            f"{trajectory.source}: frames are not evenly spaced (frame {int(off.argmax()) + 1} at "
            f"{times[int(off.argmax())]:g} ps); a lag then has no meaning: write them at one interval"
        )
    return step
