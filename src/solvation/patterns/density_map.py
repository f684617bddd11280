"""Where donors or ions stand around a molecule, or around an ion and its shell: spatial densities as cube files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from solvation.errors import TrajectoryError
from solvation.provenance import write_atomically
from solvation.trajectory.frames import Frame, Trajectory
from solvation.trajectory.neighbours import PairFinder, cells_A, own_donors, shortest_width_A
from solvation.trajectory.window import frames_after, symbols_of


@dataclass(frozen=True, slots=True)
class DensityMap:
    """Density of some atoms around molecules that are laid upon each other.

    Attributes
    ----------
    over_bulk
        Number density over the mean one in the box of the atoms of other molecules, (n, n, n); 1 far away.
    counts
        Atoms counted in each voxel, of all frames: the relative error of a voxel is at least 1 / sqrt(counts).
    spacing_A
        Edge of a voxel; the map is a cube around the origin.
    reference
        The molecule that all others are laid upon, its centre at the origin.
    n_views
        Molecules times frames.
    """

    over_bulk: NDArray[np.float64]
    counts: NDArray[np.int64]
    spacing_A: float
    reference: Atoms
    n_views: int

    @property
    def peak(self) -> tuple[NDArray[np.float64], float, float]:
        """Place of the densest voxel, (3,) in Å, its density and the error of counting."""
        where = np.unravel_index(int(self.over_bulk.argmax()), self.over_bulk.shape)
        place: NDArray[np.float64] = (np.array(where, dtype=float) + 0.5 - len(self.over_bulk) / 2) * self.spacing_A
        value, count = float(self.over_bulk[where]), int(self.counts[where])
        return place, value, value / float(np.sqrt(max(count, 1)))


def density_map(
    trajectory: Trajectory,
    *,
    around: str,
    of: str,
    extent_A: float = 6.0,
    spacing_A: float = 0.25,
    skip_ps: float = 0.0,
    every: int = 1,
) -> DensityMap:
    """Density of the atoms `of` around the molecules `around`, in the frame of the molecule.

    The selected atoms of each molecule are laid upon those of the first one (least squares of the distances); a
    molecule of one atom, an ion, has its nearest atom of `of` on the z axis and the second nearest in the xz plane.

    Parameters
    ----------
    around, of
        MDAnalysis selections; atoms of the molecule itself are not counted.
    extent_A
        Half the edge of the map.

    Raises
    ------
    TrajectoryError
        A selection matches nothing, the frames have no box, the map does not fit it, or the molecules differ.

    References
    ----------
    Kabsch, Acta Cryst. A 32, 922 (1976).
    """
    centre, other = trajectory.select(around), trajectory.select(of)
    molecule_of = trajectory.molecule_of
    groups = _groups(centre, molecule_of)
    symbols = symbols_of(trajectory, groups[0])
    for group in groups:
        if len(group) != len(groups[0]) or (symbols_of(trajectory, group) != symbols).any():
            raise TrajectoryError(
                f"selection '{around}' takes different atoms of different molecules; select one kind of molecule"
            )
    atoms = np.unique(np.concatenate([centre, other]))
    place = np.searchsorted(atoms, np.array(groups))
    targets = np.searchsorted(atoms, other)
    molecules = np.array([molecule_of[group[0]] for group in groups]), molecule_of[other]
    # Atoms of the molecule itself are no part of what surrounds it.
    foreign = len(other) - own_donors(*molecules)
    n = 2 * round(extent_A / spacing_A)
    counts, reference, views, density = np.zeros((n, n, n), dtype=np.int64), None, 0, 0.0
    finder: PairFinder | None = None
    for frame in frames_after(trajectory, skip_ps, every, atoms):
        if frame.box_A is None:
            raise TrajectoryError(f"{trajectory.source}: a droplet has no bulk to compare with; give the box (--box)")
        cell = cells_A(frame.box_A[None])[0]
        bodies = _whole(frame, place, cell)
        if reference is None:
            reference = _upright(bodies[0])
            # The corners of the cube lie farthest from the centre, which is not where the first atom is.
            reach_A = float(np.sqrt(3) * extent_A + np.linalg.norm(reference[0]))
            if reach_A > shortest_width_A(cell[None])[0] / 2:
                raise TrajectoryError(
                    f"{trajectory.source}: a map of {extent_A:g} Å needs a box of {2 * reach_A:.0f} Å; lower --extent-A"
                )
            finder = PairFinder(place[:, 0], targets, reach_A, molecules=molecules)
        assert finder is not None
        pairs = finder.find(frame)
        body, target = pairs.ion, targets[pairs.donor]
        apart = frame.positions_A[target] - frame.positions_A[place[body, 0]]
        fractional = apart @ np.linalg.inv(cell)
        apart = (fractional - np.rint(fractional)) @ cell
        if len(groups[0]) > 1:
            turn, middle = _laid_upon(bodies, reference)
            known = np.ones(len(bodies), dtype=bool)
        else:
            turn, known = _shell_frames(apart, body, pairs.distance_A, len(bodies))
            middle = np.zeros((len(bodies), 3))
        kept = known[body]
        local = np.einsum("nij,nj->ni", turn[body[kept]], apart[kept] - middle[body[kept]])
        bins = np.floor(local / spacing_A + n / 2).astype(np.int64)
        inside = bins[np.all((bins >= 0) & (bins < n), axis=1)]
        np.add.at(counts, tuple(inside.T), 1)
        views += int(known.sum())
        density += int(foreign[known].sum()) / abs(np.linalg.det(cell))
    if reference is None or not views:
        raise TrajectoryError(f"{trajectory.source}: nothing of '{of}' comes near '{around}'; raise --extent-A")
    over = counts / (density * spacing_A**3)
    return DensityMap(over, counts, spacing_A, Atoms(list(symbols), reference), views)


def write_cube(found: DensityMap, path: Path) -> None:
    """Write the map with its reference molecule as a Gaussian cube file (lengths in Bohr, values over the bulk)."""
    from ase.io.cube import write_cube as write

    edge = len(found.over_bulk) * found.spacing_A
    atoms = found.reference.copy()
    atoms.cell = [edge] * 3
    origin = np.full(3, (found.spacing_A - edge) / 2)

    def save(temporary: Path) -> None:
        with temporary.open("w", encoding="ascii") as stream:
            write(stream, atoms, data=found.over_bulk, origin=origin, comment="density over that of the bulk")

    write_atomically(path, save)


def _groups(atoms: NDArray[np.int64], molecule_of: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    owner = molecule_of[atoms]
    order = np.argsort(owner, kind="stable")
    return np.split(atoms[order], np.flatnonzero(np.diff(owner[order])) + 1)


def _whole(frame: Frame, place: NDArray[np.int64], cell: NDArray[np.float64]) -> NDArray[np.float64]:
    """Molecules from their first atom on, (n_molecules, n_atoms, 3); each reaches less than half a box."""
    body = frame.positions_A[place]
    fractional = (body - body[:, :1]) @ np.linalg.inv(cell)
    return np.asarray((fractional - np.rint(fractional)) @ cell)


def _upright(body: NDArray[np.float64]) -> NDArray[np.float64]:
    """A molecule with its centre at the origin and its longest axes along x and y."""
    centred = body - body.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=True)[2]
    axes[2] *= np.sign(np.linalg.det(axes))
    return np.asarray(centred @ axes.T)


def _laid_upon(
    bodies: NDArray[np.float64], reference: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rotations that lay each molecule upon the reference, (n, 3, 3), and the centres of the molecules, (n, 3)."""
    middle = bodies.mean(axis=1)
    left, _, right = np.linalg.svd(np.einsum("nai,aj->nij", bodies - middle[:, None], reference))
    mirror = np.sign(np.linalg.det(left @ right))
    right[:, 2] *= mirror[:, None]
    return np.asarray(np.transpose(left @ right, (0, 2, 1))), np.asarray(middle)


def _shell_frames(
    apart: NDArray[np.float64], ion: NDArray[np.int32], distance: NDArray[np.float32], n_ions: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Rotations into the frame of the two nearest atoms of each ion, and which ions have two that are not in line."""
    order = np.lexsort((distance, ion))
    first = np.searchsorted(ion[order], np.arange(n_ions))
    count = np.searchsorted(ion[order], np.arange(n_ions), side="right") - first
    turn, known = np.tile(np.eye(3), (n_ions, 1, 1)), count > 1
    one, two = (apart[order[first[known] + rank]] for rank in (0, 1))
    z = one / np.linalg.norm(one, axis=1, keepdims=True)
    x = two - np.sum(two * z, axis=1, keepdims=True) * z
    length = np.linalg.norm(x, axis=1, keepdims=True)
    x = x / np.maximum(length, 1e-12)
    turn[known] = np.stack([x, np.cross(z, x), z], axis=1)
    known[np.flatnonzero(known)[length[:, 0] < 1e-6]] = False
    return turn, known
