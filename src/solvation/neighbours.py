"""Pairs of ions and donors within a distance, in boxes of any shape and in droplets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from solvation.errors import TrajectoryError
from solvation.trajectory import Frame

#: Pairs that are sifted at once: their array stays in a core's cache.
_BLOCK = 131_072
#: A tree of freud costs as much for one pair found as this many pairs sifted (measured, bench_rdf.py).
_SIFTED_PER_FOUND = 150
#: Single precision of the sieve's sums of three cosines is 1e-6; a wider margin lets a few more pairs through.
_MARGIN = 1e-5


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs in some frames, ordered by frame, then by ion, then by donor.

    Attributes
    ----------
    frame
        Which of the frames, (n_pairs,).
    ion, donor
        Positions in the arrays of ions and donors, (n_pairs,).
    distance_A
        (n_pairs,).
    """

    frame: NDArray[np.int64]
    ion: NDArray[np.int64]
    donor: NDArray[np.int64]
    distance_A: NDArray[np.float32]


class PairFinder:
    r"""Finds the pairs of ions and donors, several frames at once.

    All pairs of a periodic cell go through a sieve that one matrix product makes. With fractional differences s and
    the lengths :math:`L_k` of the edges,

    .. math:: F = \sum_k L_k^2 \cos 2\pi s_k
              = \sum_k L_k^2 (\cos 2\pi a_k \cos 2\pi b_k + \sin 2\pi a_k \sin 2\pi b_k)

    is the same for every image, and it is at least :math:`\cos\theta \sum_k L_k^2` for every pair nearer than r, with
    :math:`\theta = 2\pi r / (\sigma \sqrt{\sum_k L_k^2})`: :math:`\cos\sqrt u` is convex, so that F is least where all
    three angles are equal. :math:`\sigma` is the least singular value of the cell with its rows divided by
    :math:`L_k`, 1 in a right-angled cell. What passes is little more than the sphere, and only its distances are
    computed. In a box so large that nearly nothing would pass, freud's tree takes the place of the sieve. All ways
    give the same pairs and the same distances.
    """

    def __init__(self, ions: NDArray[np.int64], donors: NDArray[np.int64], r_max_A: float) -> None:
        """Take the indices of ions, (n_ions,), and donors, (n_donors,); self pairs are left out."""
        self._ions = ions
        self._donors = donors
        self._r_max_A = r_max_A
        self._shares_atoms = bool(np.intersect1d(ions, donors).size)
        self._sums = np.empty(0, dtype=np.float32)

    def find(self, frames: Sequence[Frame]) -> Pairs:
        """Pairs closer than r_max in frames that either all have a box or all have none.

        Raises
        ------
        TrajectoryError
            r_max exceeds half of the shortest width of the box.
        """
        ions = np.stack([frame.positions_A[self._ions] for frame in frames])
        donors = np.stack([frame.positions_A[self._donors] for frame in frames])
        boxes = [frame.box_A for frame in frames if frame.box_A is not None]
        if not boxes:
            middle = ions.mean(axis=1, keepdims=True)
            ions, donors = ions - middle, donors - middle
            near = np.arange(ions.shape[0] * ions.shape[1] * donors.shape[1])
            return self._measured(near, ions, donors, None)
        box_A = np.stack(boxes)
        cells = cells_A(box_A)
        self._refuse_small(cells)
        inverse = np.linalg.inv(cells)
        # Molecules may be whole or spread over many images: only the place within the cell counts, and single
        # precision is kept for numbers below 1.
        ions, donors = ions @ inverse, donors @ inverse
        ions -= np.floor(ions)
        donors -= np.floor(donors)
        sphere = 4 / 3 * np.pi * self._r_max_A**3 / np.abs(np.linalg.det(cells)).max()
        if sphere * _SIFTED_PER_FOUND < 1:
            near = self._tree(ions, donors, box_A, cells)
        else:
            near = self._sieve(ions, donors, cells)
        return self._measured(near, ions, donors, cells)

    def _refuse_small(self, cells: NDArray[np.float64]) -> None:
        width_A = float(shortest_width_A(cells).min())
        if self._r_max_A > width_A / 2 * (1 + 1e-6):
            raise TrajectoryError(
                f"r_max {self._r_max_A:g} Å exceeds half the shortest width of the box, {width_A / 2:.2f} Å; "
                "lower analysis.r_max_A (--rmax)"
            )

    def _sieve(
        self, ions: NDArray[np.float64], donors: NDArray[np.float64], cells: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        """Places in the array (frame, ion, donor), taken as one line, of all near pairs and some farther ones."""
        edges = np.linalg.norm(cells, axis=2)
        weights = edges**2 / np.sum(edges**2, axis=1, keepdims=True)
        least = np.linalg.svd(cells / edges[:, :, None], compute_uv=False).min(axis=1)
        angle = 2 * np.pi * self._r_max_A / (least * np.sqrt(np.sum(edges**2, axis=1)))
        # Beyond pi no pair of a cell so slanted could be told apart, and all pass.
        bounds = np.where(angle < np.pi, np.cos(np.minimum(angle, np.pi)), -2.0) - _MARGIN
        first = _waves(ions)
        first *= np.tile(weights, 2)[:, None, :].astype(np.float32)
        second = np.ascontiguousarray(_waves(donors).transpose(0, 2, 1))
        n_frames, n_ions, n_donors = len(ions), ions.shape[1], donors.shape[1]
        step = max(1, _BLOCK // n_donors)
        if self._sums.size < step * n_donors:
            # One array for all blocks: fresh ones of this size cost more than the arithmetic.
            self._sums = np.empty(step * n_donors, dtype=np.float32)
        passed = np.empty((n_frames, n_ions, n_donors), dtype=bool)
        for frame in range(n_frames):
            for begin in range(0, n_ions, step):
                part = passed[frame, begin : begin + step]
                sums = self._sums[: part.size].reshape(part.shape)
                np.matmul(first[frame, begin : begin + step], second[frame], out=sums)
                np.greater(sums, np.float32(bounds[frame]), out=part)
        return _places(passed.ravel())

    def _measured(
        self,
        near: NDArray[np.int64],
        ions: NDArray[np.float64],
        donors: NDArray[np.float64],
        cells: NDArray[np.float64] | None,
    ) -> Pairs:
        """Distances of these pairs, of fractional coordinates where there are cells; those beyond r_max are dropped.

        Rounding fractional differences gives the nearest image of every pair closer than half of the shortest
        width, in a slanted cell as well: such a pair lies within half an edge along each fractional axis.
        """
        n_ions, n_donors = ions.shape[1], donors.shape[1]
        row = near // n_donors  # frame and ion
        donor = near - row * n_donors
        frame = row // n_ions
        apart = _rows(ions, row)
        apart -= _rows(donors, frame * n_donors + donor)
        if cells is not None:
            apart -= np.rint(apart)
            _to_cartesian(apart, cells.astype(np.float32), frame)
        apart *= apart
        squared = apart[:, 0] + apart[:, 1]
        squared += apart[:, 2]
        inside = squared < np.float32(self._r_max_A**2)
        if self._shares_atoms:
            inside &= self._ions[row - frame * n_ions] != self._donors[donor]
        kept = np.flatnonzero(inside)
        frame, row = frame[kept], row[kept]
        return Pairs(frame, row - frame * n_ions, donor[kept], np.sqrt(squared[kept]))

    def _tree(
        self,
        ions: NDArray[np.float64],
        donors: NDArray[np.float64],
        box_A: NDArray[np.float64],
        cells: NDArray[np.float64],
    ) -> NDArray[np.int64]:
        import freud

        n_ions, n_donors = ions.shape[1], donors.shape[1]
        # A little more than r_max, so that the tree's own rounding loses no pair; it refuses half the width itself.
        reach_A = min(self._r_max_A * (1 + 1e-5), shortest_width_A(cells).min() / 2 * (1 - 1e-7))
        query = {"mode": "ball", "r_max": reach_A}
        found = []
        for number, cell in enumerate(cells):
            box = freud.box.Box.from_box_lengths_and_angles(*box_A[number, :3], *np.radians(box_A[number, 3:]))
            # freud's cell has its centre at the origin, and its tree looks no farther than the next image.
            points, queries = ((fractional[number] - 0.5) @ cell for fractional in (donors, ions))
            near = freud.locality.AABBQuery(box, points).query(queries, query).toNeighborList()
            ion, donor = (np.asarray(item).astype(np.int64) for item in (near.query_point_indices, near.point_indices))
            found.append((number * n_ions + ion) * n_donors + donor)
        return np.sort(np.concatenate(found))


def _waves(fractional: NDArray[np.float64]) -> NDArray[np.float32]:
    """Cosines and sines of fractional coordinates, (n_frames, n, 3) -> (n_frames, n, 6)."""
    angles = (2 * np.pi * fractional).astype(np.float32)
    return np.concatenate((np.cos(angles), np.sin(angles)), axis=2)


def _places(passed: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Places of the true elements of a line, in order.

    numpy steps through all elements one by one; looking at eight at a time first saves a third.
    """
    whole = len(passed) // 8 * 8
    eights = passed[:whole].view(np.uint64)
    words = np.flatnonzero(eights)
    within = np.flatnonzero(eights[words].view(bool))
    rest = np.flatnonzero(passed[whole:]) + whole
    return np.concatenate((words[within >> 3] * 8 + (within & 7), rest))


def _rows(coordinates: NDArray[np.float64], which: NDArray[np.int64]) -> NDArray[np.float32]:
    """Some points of all frames in single precision, (n_frames, n, 3) -> (n_which, 4); the last column is 0."""
    padded = np.zeros((coordinates.shape[0] * coordinates.shape[1], 4), dtype=np.float32)
    padded[:, :3] = coordinates.reshape(-1, 3)
    # Sixteen bytes as one element: taken three times as fast as three numbers.
    return padded.view(np.complex128).ravel().take(which).view(np.float32).reshape(-1, 4)


def _to_cartesian(apart: NDArray[np.float32], cells: NDArray[np.float32], frame: NDArray[np.int64]) -> None:
    """Turn fractional into Cartesian components in place; the cells have a along x and b in the xy plane.

    Parameters
    ----------
    apart
        (n_pairs, 4).
    cells
        (n_frames, 3, 3).
    frame
        Frame of each pair, (n_pairs,).
    """
    fixed = bool(np.all(cells == cells[0]))
    for axis in range(3):
        apart[:, axis] *= cells[0, axis, axis] if fixed else cells[:, axis, axis][frame]
        for later in range(axis + 1, 3):
            slant = cells[:, later, axis]
            if np.abs(slant).max() > 1e-5:
                apart[:, axis] += apart[:, later] * (slant[0] if fixed else slant[frame])


def cells_A(box_A: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cell vectors as rows, (n_frames, 3, 3) in Å, of edges and angles, (n_frames, 6).

    The first vector lies along x and the second in the xy plane.
    """
    if np.all(box_A[:, 3:] == 90.0):
        cells = np.zeros((len(box_A), 3, 3))
        cells[:, range(3), range(3)] = box_A[:, :3]
        return cells
    from ase.geometry import cellpar_to_cell

    return np.stack([cellpar_to_cell(box) for box in box_A])


def shortest_width_A(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shortest distance between opposite faces of each cell, (n_frames,): the edge in a right-angled box.

    In a slanted cell it is less than the edge.
    """
    return np.asarray(1 / np.linalg.norm(np.linalg.inv(cells), axis=1).max(axis=1))
