"""Pairs of ions and donors within a distance, in boxes of any shape and in droplets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from solvation.errors import TrajectoryError
from solvation.trajectory import Frame

#: Elements of a block of distances: its arrays stay in a core's cache.
_BLOCK = 32_768
#: A tree of freud costs as much for one pair found as this many distances computed outright (measured, bench_rdf.py).
_DENSE_PER_FOUND = 150

Pairs = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]


class PairFinder:
    """Finds the pairs of ions and donors frame by frame.

    Around a few ions, all distances at once cost less than any tree (numpy, one block of ions at a time); in a box
    so large that most of them would be thrown away, freud's tree takes over. Both give the same pairs.
    """

    def __init__(self, ions: NDArray[np.int64], donors: NDArray[np.int64], r_max_A: float) -> None:
        """Take the indices of ions, (n_ions,), and donors, (n_donors,); self pairs are left out."""
        self._ions = ions
        self._donors = donors
        self._r_max_A = r_max_A
        self._shares_atoms = bool(np.intersect1d(ions, donors).size)

    def find(self, frame: Frame) -> Pairs:
        """Pairs closer than r_max: (index into ions, index into donors, distance in Å), each (n_pairs,).

        Raises
        ------
        TrajectoryError
            r_max exceeds half of the shortest width of the box.
        """
        ions, donors = frame.positions_A[self._ions], frame.positions_A[self._donors]
        if frame.box_A is None:
            middle = ions.mean(axis=0)
            found = self._all_distances(ions - middle, donors - middle, None)
        else:
            cell = cell_A(frame.box_A)
            self._refuse_small(cell)
            inverse = np.linalg.inv(cell)
            # Molecules may be whole or spread over many images: only the place within the cell counts, and single
            # precision is kept for numbers below 1.
            ions, donors = ions @ inverse, donors @ inverse
            ions, donors = ions - np.floor(ions), donors - np.floor(donors)
            sphere = 4 / 3 * np.pi * self._r_max_A**3 / abs(np.linalg.det(cell))
            if sphere * _DENSE_PER_FOUND < 1:
                found = self._tree(ions, donors, frame.box_A, cell)
            else:
                found = self._all_distances(ions, donors, cell)
        if not self._shares_atoms:
            return found
        other = self._ions[found[0]] != self._donors[found[1]]
        return found[0][other], found[1][other], found[2][other]

    def _refuse_small(self, cell: NDArray[np.float64]) -> None:
        width_A = shortest_width_A(cell)
        if self._r_max_A > width_A / 2 * (1 + 1e-6):
            raise TrajectoryError(
                f"r_max {self._r_max_A:g} Å exceeds half the shortest width of the box, {width_A / 2:.2f} Å; "
                "lower analysis.r_max_A (--rmax)"
            )

    def _all_distances(
        self, ions: NDArray[np.float64], donors: NDArray[np.float64], cell: NDArray[np.float64] | None
    ) -> Pairs:
        """Every distance, of fractional coordinates where there is a cell.

        Rounding fractional differences gives the nearest image of every pair closer than half of the shortest
        width, in a slanted cell as well: such a pair lies within half an edge along each fractional axis.
        """
        first, second = ions.astype(np.float32), np.ascontiguousarray(donors.T, dtype=np.float32)
        step = max(1, _BLOCK // max(1, len(donors)))
        limit = np.float32(self._r_max_A**2)
        single = None if cell is None else cell.astype(np.float32)
        # Written into the same arrays again and again: fresh ones of this size cost more than the arithmetic.
        space = np.empty((4, min(step, len(ions)), len(donors)), dtype=np.float32)
        found: list[Pairs] = []
        for begin in range(0, len(ions), step):
            block = first[begin : begin + step]
            apart, spare = space[:3, : len(block)], space[3, : len(block)]
            for axis in range(3):
                np.subtract(block[:, axis, None], second[axis], out=apart[axis])
                if single is not None:
                    np.rint(apart[axis], out=spare)
                    apart[axis] -= spare
            if single is not None:
                _to_cartesian(apart, spare, single)
            squared = np.multiply(apart[0], apart[0], out=apart[0])
            for axis in (1, 2):
                squared += np.multiply(apart[axis], apart[axis], out=spare)
            near = np.flatnonzero(squared < limit)
            ion = near // len(donors)
            found.append((ion + begin, near - ion * len(donors), np.sqrt(squared.ravel()[near])))
        if len(found) == 1:
            return found[0]
        ion, donor, distance = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return ion, donor, distance

    def _tree(
        self,
        ions: NDArray[np.float64],
        donors: NDArray[np.float64],
        box_A: NDArray[np.float64],
        cell: NDArray[np.float64],
    ) -> Pairs:
        import freud

        box = freud.box.Box.from_box_lengths_and_angles(*box_A[:3], *np.radians(box_A[3:]))
        # freud's cell has its centre at the origin, and its tree looks no farther than the next image.
        points, queries = ((fractional - 0.5) @ cell for fractional in (donors, ions))
        query = {"mode": "ball", "r_max": self._r_max_A * (1 - 1e-7)}
        found = freud.locality.AABBQuery(box, points).query(queries, query).toNeighborList()
        ion, donor = np.asarray(found.query_point_indices), np.asarray(found.point_indices)
        return ion.astype(np.int64), donor.astype(np.int64), np.asarray(found.distances)


def _to_cartesian(apart: NDArray[np.float32], spare: NDArray[np.float32], cell: NDArray[np.float32]) -> None:
    """Turn fractional into Cartesian components in place; the cell has a along x and b in the xy plane."""
    for axis in range(3):
        apart[axis] *= cell[axis, axis]
        for later in range(axis + 1, 3):
            if abs(cell[later, axis]) > 1e-5:
                apart[axis] += np.multiply(apart[later], cell[later, axis], out=spare)


def cell_A(box_A: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cell vectors as rows, (3, 3) in Å, of edges and angles, (6,); a lies along x and b in the xy plane."""
    if np.all(box_A[3:] == 90.0):
        return np.diag(box_A[:3]).astype(float)
    from ase.geometry import cellpar_to_cell

    return np.asarray(cellpar_to_cell(box_A))


def shortest_width_A(cell: NDArray[np.float64]) -> float:
    """Shortest distance between opposite faces: the edge in a right-angled box, less in a slanted one."""
    return float(1 / np.linalg.norm(np.linalg.inv(cell), axis=0).max())
