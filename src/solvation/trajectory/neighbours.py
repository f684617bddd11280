"""Pairs of ions and donors within a distance, in boxes of any shape and in droplets.

The loops are compiled by numba when they run for the first time, and kept on disk.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvation.errors import TrajectoryError
from solvation.trajectory.frames import Frame

#: Cells are as wide as the range, and so much thinner along the last edge: few long runs of donors in a row.
_THINNER = 4
#: Not more cells than so many for each donor, so that a dilute box costs no memory.
_CELLS_PER_DONOR = 4


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs in one frame, ordered by ion.

    Attributes
    ----------
    ion, donor
        Positions in the arrays of ions and donors, (n_pairs,).
    distance_A
        (n_pairs,).
    image
        With ions and donors put into the cell: in which cell, counted from that of the ion, the donor's molecule lies,
        (n_pairs, 3). A molecule lies where its first donor does.
    """

    ion: NDArray[np.int32]
    donor: NDArray[np.int32]
    distance_A: NDArray[np.float32]
    image: NDArray[np.int8]


class PairFinder:
    """Counts the pairs of ions and donors by distance, and returns the near ones.

    Donors are sorted into cells; each ion looks at the cells that its sphere touches, one image after another. The
    whole search is exact: no pair within r_max is left out, whichever images the file holds.

    Attributes
    ----------
    volume_A3
        Of the cell of the frame that was searched last.

    References
    ----------
    Allen & Tildesley, Computer Simulation of Liquids, 2nd ed., section 5.3.2 (2017).
    """

    def __init__(
        self,
        ions: NDArray[np.int64],
        donors: NDArray[np.int64],
        r_max_A: float,
        *,
        kind: NDArray[np.int64] | None = None,
        n_bins: int = 1,
        reach_A: NDArray[np.float64] | None = None,
        before: NDArray[np.int64] | None = None,
    ) -> None:
        """Take the atoms; an ion that is a donor as well is not its own neighbour.

        Parameters
        ----------
        ions, donors
            Indices of atoms, (n_ions,) and (n_donors,).
        kind
            Kind of each donor, from 0, (n_donors,); one for all where it is not given.
        n_bins
            Bins in which `find` counts.
        reach_A
            Pairs nearer than this are returned, by kind, (n_kinds,); r_max, which is the most, where it is not given.
        before
            The donor before each one in its molecule, at most half a width away, or -1, (n_donors,); each is a
            molecule of its own where it is not given.
        """
        kind = np.zeros(len(donors), dtype=np.int64) if kind is None else kind
        reach_A = np.full(int(kind.max(initial=0)) + 1, r_max_A) if reach_A is None else reach_A
        self._ions = ions
        self._donors = donors
        self._first_bin = (kind * n_bins).astype(np.uint32)
        self._n_bins = n_bins
        self._r_max_A = r_max_A
        self._reach2 = (reach_A[kind] ** 2).astype(np.float32)
        self._before = np.full(len(donors), -1) if before is None else before
        place = {int(donor): number for number, donor in enumerate(donors)}
        self._itself = np.array([place.get(int(ion), len(donors)) for ion in ions], dtype=np.int64)
        self._box_A: NDArray[np.float64] | None = None
        self._cell = _Cell(np.eye(3), r_max_A, 1)
        self.volume_A3 = math.nan

    def find(self, frame: Frame, counts: NDArray[np.int64] | None = None) -> Pairs:
        """Return the pairs within reach, and add all pairs within r_max to `counts` where it is given.

        Parameters
        ----------
        counts
            Pairs by kind and distance, (n_kinds, n_bins), C-contiguous; bins of equal width from 0 to r_max.

        Raises
        ------
        TrajectoryError
            r_max exceeds half of the shortest width of the box.
        """
        cell = self._cell_of(frame)
        counts = np.zeros(int(self._first_bin.max(initial=0)) + self._n_bins, np.int64) if counts is None else counts
        ion, donor, squared, image = _sweep(
            frame.positions_A, self._ions, self._donors, self._itself, cell.rows, cell.inverse, cell.n_cells,
            cell.reach, cell.is_right_angled, self._r_max_A, self._n_bins, self._first_bin, self._reach2, self._before,
            counts.reshape(-1),
        )  # fmt: skip
        self.volume_A3 = cell.volume_A3
        return Pairs(ion, donor, np.sqrt(squared), image)

    def _cell_of(self, frame: Frame) -> _Cell:
        """Cell of a frame, that of the frame before where the box stays as it is."""
        if frame.box_A is None:
            atoms_A = frame.positions_A[np.concatenate((self._ions, self._donors))]
            # No image of this cell comes within range.
            edges_A = np.ptp(atoms_A, axis=0) + 2.001 * self._r_max_A
            return _Cell(np.diag(edges_A), self._r_max_A, len(self._donors))
        if self._box_A is None or not np.array_equal(frame.box_A, self._box_A):
            rows = cells_A(frame.box_A[None])[0]
            width_A = float(shortest_width_A(rows[None])[0])
            if self._r_max_A > width_A / 2 * (1 + 1e-6):
                raise TrajectoryError(
                    f"r_max {self._r_max_A:g} Å exceeds half the shortest width of the box, {width_A / 2:.2f} Å; "
                    "lower analysis.r_max_A (--rmax)"
                )
            self._cell, self._box_A = _Cell(rows, self._r_max_A, len(self._donors)), frame.box_A
        return self._cell


class _Cell:
    """A periodic cell, and how it is cut.

    Attributes
    ----------
    rows, inverse
        Cell vectors, a along x and b in the xy plane, and their inverse, (3, 3).
    n_cells
        Small cells along each edge.
    reach
        How many small cells the range spans along each edge, (3,).
    volume_A3
        Of the whole cell.
    """

    def __init__(self, rows: NDArray[np.float64], r_max_A: float, n_donors: int) -> None:
        self.rows = rows
        self.inverse = np.linalg.inv(rows)
        widths_A = 1 / np.linalg.norm(self.inverse, axis=0)
        finest = np.maximum(widths_A / r_max_A * (1, 1, _THINNER), 1)
        crowding = max(1.0, float(np.prod(finest)) / (_CELLS_PER_DONOR * n_donors))
        n_cells = np.maximum(finest / np.cbrt(crowding), 1).astype(np.int64)
        self.n_cells = tuple(int(number) for number in n_cells)
        self.reach = r_max_A * n_cells / widths_A
        self.is_right_angled = bool(np.count_nonzero(rows) == 3)
        self.volume_A3 = float(rows.diagonal().prod())


@njit(cache=True)
def _wrapped(
    positions_A: NDArray[np.float64], points: NDArray[np.int64], rows: NDArray[np.float64], inverse: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fractional coordinates, from 0 to 1, of some points, and their places in the cell, (3, n_points) each."""
    fractional, inside = np.empty((3, len(points))), np.empty((3, len(points)))
    for number, point in enumerate(points):
        x, y, z = positions_A[point, 0], positions_A[point, 1], positions_A[point, 2]
        a = x * inverse[0, 0] + y * inverse[1, 0] + z * inverse[2, 0]
        b = y * inverse[1, 1] + z * inverse[2, 1]
        c = z * inverse[2, 2]
        a, b, c = a - np.floor(a), b - np.floor(b), c - np.floor(c)
        fractional[0, number], fractional[1, number], fractional[2, number] = a, b, c
        inside[0, number] = a * rows[0, 0] + b * rows[1, 0] + c * rows[2, 0]
        inside[1, number] = b * rows[1, 1] + c * rows[2, 1]
        inside[2, number] = c * rows[2, 2]
    return fractional, inside


@njit(cache=True)
def _into_cells(
    fractional: NDArray[np.float64], n_cells: tuple[int, int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Points ordered by cell, (n_points,), and where each cell begins in that order, (n_cells + 1,)."""
    n_a, n_b, n_c = n_cells
    n_points = fractional.shape[1]
    cell, begin = np.empty(n_points, np.int64), np.zeros(n_a * n_b * n_c + 1, np.int64)
    for point in range(n_points):
        # A coordinate just below 0 is wrapped to 1 by rounding.
        a = min(int(fractional[0, point] * n_a), n_a - 1)
        b = min(int(fractional[1, point] * n_b), n_b - 1)
        c = min(int(fractional[2, point] * n_c), n_c - 1)
        cell[point] = (a * n_b + b) * n_c + c
        begin[cell[point] + 1] += 1
    begin = np.cumsum(begin)
    place, order = begin.copy(), np.empty(n_points, np.int64)
    for point in range(n_points):
        order[place[cell[point]]] = point
        place[cell[point]] += 1
    return order, begin


@njit(cache=True)
def _within(
    ion: NDArray[np.float64],
    place: NDArray[np.float64],
    itself: int,
    donors: NDArray[np.float32],
    begin: NDArray[np.int64],
    rows: NDArray[np.float64],
    n_cells: tuple[int, int, int],
    reach: NDArray[np.float64],
    is_right_angled: bool,
    r_max_A: float,
    which: NDArray[np.uint32],
    squared: NDArray[np.float32],
) -> int:
    """Write places and squared distances of the donors within r_max of one ion; return how many.

    Writing every donor and stepping on only past the near ones spares a branch that no processor could foresee.
    """
    n_a, n_b, n_c = n_cells
    a, b, c = ion[0] * n_a, ion[1] * n_b, ion[2] * n_c
    range2 = np.float32(r_max_A * r_max_A)
    found = np.uint32(0)
    for i in range(int(np.floor(a - reach[0])), int(np.floor(a + reach[0])) + 1):
        # The range is at most half a width: no farther image than the next one.
        image_a = (i >= n_a) - (i < 0)
        gap_a = max(0.0, i - a, a - i - 1) / reach[0]
        for j in range(int(np.floor(b - reach[1])), int(np.floor(b + reach[1])) + 1):
            image_b = (j >= n_b) - (j < 0)
            gap_b = max(0.0, j - b, b - j - 1) / reach[1]
            # What is left of the sphere at this distance from its centre; in a slanted cell gaps do not add up so.
            left = 1 - gap_a * gap_a - gap_b * gap_b if is_right_angled else 1.0
            if left <= 0:
                continue
            row = ((i - image_a * n_a) * n_b + j - image_b * n_b) * n_c
            k, end = int(np.floor(c - reach[2] * np.sqrt(left))), int(np.floor(c + reach[2] * np.sqrt(left)))
            while k <= end:
                image_c = (k >= n_c) - (k < 0)
                last = min(end, image_c * n_c + n_c - 1)
                x = np.float32(place[0] - image_a * rows[0, 0] - image_b * rows[1, 0] - image_c * rows[2, 0])
                y = np.float32(place[1] - image_b * rows[1, 1] - image_c * rows[2, 1])
                z = np.float32(place[2] - image_c * rows[2, 2])
                for donor in range(begin[row + k - image_c * n_c], begin[row + last - image_c * n_c + 1]):
                    dx, dy, dz = donors[0, donor] - x, donors[1, donor] - y, donors[2, donor] - z
                    apart = dx * dx + dy * dy + dz * dz
                    which[found], squared[found] = donor, apart
                    found += np.uint32((apart < range2) & (donor != itself))
                k = last + 1
    return int(found)


@njit(cache=True)
def _keep(
    found: int,
    ion: int,
    which: NDArray[np.uint32],
    squared: NDArray[np.float32],
    order: NDArray[np.int64],
    reach2: NDArray[np.float32],
    begin: int,
    near: tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]],
) -> int:
    """Append the pairs within reach; return where the next ones go."""
    ions, donors, distances = near
    end = np.uint32(begin)
    for number in range(found):
        donor = order[which[number]]
        ions[end], donors[end], distances[end] = ion, donor, squared[number]
        end += np.uint32(squared[number] < reach2[donor])
    return int(end)


@njit(cache=True)
def _images(
    ion: NDArray[np.int32],
    donor: NDArray[np.int32],
    centers: NDArray[np.float64],
    fractional: NDArray[np.float64],
    before: NDArray[np.int64],
) -> NDArray[np.int8]:
    """Image of the molecule of each pair, (n_pairs, 3), from fractional coordinates; by way of its donors."""
    image = np.empty((len(ion), 3), np.int8)
    for pair in range(len(ion)):
        one = donor[pair]
        for axis in range(3):
            image[pair, axis] = np.rint(centers[axis, ion[pair]] - fractional[axis, one])
        while before[one] >= 0:
            other = before[one]
            for axis in range(3):
                image[pair, axis] += np.rint(fractional[axis, one] - fractional[axis, other])
            one = other
    return image


@njit(cache=True)
def _sweep(
    positions_A: NDArray[np.float64],
    ions: NDArray[np.int64],
    donors: NDArray[np.int64],
    itself: NDArray[np.int64],
    rows: NDArray[np.float64],
    inverse: NDArray[np.float64],
    n_cells: tuple[int, int, int],
    reach: NDArray[np.float64],
    is_right_angled: bool,
    r_max_A: float,
    n_bins: int,
    first_bin: NDArray[np.uint32],
    reach2: NDArray[np.float32],
    before: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32], NDArray[np.int8]]:
    """Pairs within reach, with squared distances and images, of one frame; all within r_max are counted."""
    n_donors = len(donors)
    fractional, inside = _wrapped(positions_A, donors, rows, inverse)
    order, begin = _into_cells(fractional, n_cells)
    sorted_A, bins, place_of = np.empty((3, n_donors), np.float32), np.empty(n_donors, np.uint32), np.empty_like(order)
    for place in range(n_donors):
        donor = order[place]
        place_of[donor], bins[place] = place, first_bin[donor]
        for axis in range(3):
            sorted_A[axis, place] = inside[axis, donor]
    centers, places = _wrapped(positions_A, ions, rows, inverse)
    # Where r_max is half a width a donor may be seen through two images.
    which, squared = np.empty(2 * n_donors + 1, np.uint32), np.empty(2 * n_donors + 1, np.float32)
    near = (np.empty(1024, np.int32), np.empty(1024, np.int32), np.empty(1024, np.float32))
    n_near, per_A = 0, np.float32(n_bins / r_max_A)
    for ion in range(len(ions)):
        own = place_of[itself[ion]] if itself[ion] < n_donors else -1
        found = _within(
            centers[:, ion], places[:, ion], own, sorted_A, begin, rows, n_cells, reach, is_right_angled, r_max_A,
            which, squared,
        )  # fmt: skip
        for number in range(found):
            # Rounding may put what is just below r_max into the bin after the last.
            counts[bins[which[number]] + min(np.uint32(np.sqrt(squared[number]) * per_A), np.uint32(n_bins - 1))] += 1
        while n_near + found >= len(near[0]):
            near = (
                np.concatenate((near[0], np.empty_like(near[0]))),
                np.concatenate((near[1], np.empty_like(near[1]))),
                np.concatenate((near[2], np.empty_like(near[2]))),
            )
        n_near = _keep(found, ion, which, squared, order, reach2, n_near, near)
    image = _images(near[0][:n_near], near[1][:n_near], centers, fractional, before)
    return near[0][:n_near], near[1][:n_near], near[2][:n_near], image


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
