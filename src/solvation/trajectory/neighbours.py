"""Pairs of ions and donors within a distance, in boxes of any shape and in droplets."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from solvation.errors import TrajectoryError
from solvation.trajectory.frames import Frame
from solvation.trajectory.sweep import sweep

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
    unblocked
        Donors of each kind in the parameter-free shells of all ions, (n_kinds,); see `solvation.trajectory.sweep`.
    """

    ion: NDArray[np.int32]
    donor: NDArray[np.int32]
    distance_A: NDArray[np.float32]
    image: NDArray[np.int8]
    unblocked: NDArray[np.int64]


class PairFinder:
    """Counts the pairs of ions and donors by distance, and returns the near ones.

    Donors are sorted into cells; each ion looks at the cells that its sphere touches, one image after another. The
    search is exact: no pair within r_max is left out, whichever images the file holds.

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
        shell_reach_A: NDArray[np.float64] | None = None,
        molecules: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None,
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
        shell_reach_A
            Donors nearer than this may belong to a parameter-free shell, by kind, (n_kinds,), at most `reach_A`; none
            are counted where it is not given.
        molecules
            Molecule of each ion, (n_ions,), and of each donor, (n_donors,): donors of the ion's own molecule are no
            neighbours. All are, where it is not given.
        """
        kind = np.zeros(len(donors), dtype=np.int64) if kind is None else kind
        reach_A = np.full(int(kind.max(initial=0)) + 1, r_max_A) if reach_A is None else reach_A
        self._ions = ions
        self._donors = donors
        self._kind = kind.astype(np.int64)
        self._first_bin = (kind * n_bins).astype(np.uint32)
        self._n_bins = n_bins
        self._r_max_A = r_max_A
        self._reach2 = (reach_A[kind] ** 2).astype(np.float32)
        self._shell_reach2 = np.empty(0) if shell_reach_A is None else shell_reach_A**2
        self._before = np.full(len(donors), -1) if before is None else before
        place = {int(donor): number for number, donor in enumerate(donors)}
        self._itself = np.array([place.get(int(ion), len(donors)) for ion in ions], dtype=np.int64)
        of_ion, of_donor = molecules or (np.full(len(ions), -1), np.empty(0, dtype=np.int64))
        self._owner = of_donor
        # An ion on its own leaves out itself alone, which costs nothing.
        others = own_donors(of_ion, self._owner) - (self._itself < len(donors))
        self._molecule = np.where(others > 0, of_ion, -1)
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
        counts = np.zeros((int(self._kind.max(initial=0)) + 1, self._n_bins), np.int64) if counts is None else counts
        unblocked = np.zeros(len(counts), dtype=np.int64)
        ion, donor, squared, image = sweep(
            frame.positions_A, self._ions, self._donors, self._itself, self._molecule, self._owner, cell.rows,
            cell.inverse, cell.n_cells, cell.reach, cell.is_right_angled, self._r_max_A, self._n_bins, self._first_bin,
            self._reach2, self._before, self._kind, self._shell_reach2, unblocked, counts.reshape(-1),
        )  # fmt: skip
        self.volume_A3 = cell.volume_A3
        return Pairs(ion, donor, np.sqrt(squared), image, unblocked)

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


def own_donors(molecule: NDArray[np.int64], owner: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many donors the molecule of each ion holds, (n_ions,), from the molecules of the ions and of the donors."""
    ordered = np.sort(owner)
    return np.searchsorted(ordered, molecule, side="right") - np.searchsorted(ordered, molecule)


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
