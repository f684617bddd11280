"""Radial distribution functions of several donor kinds around one kind of ion, from one neighbour search a frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from solvation.errors import TrajectoryError
from solvation.trajectory import Frame
from solvation.uncertainty import block_error

MAX_BLOCKS = 10


@dataclass(frozen=True, slots=True)
class RadialDistribution:
    """g(r) and n(r) of one donor kind; all arrays share the bin axis, (n_bins,).

    Attributes
    ----------
    r_A
        Bin centres.
    g
        Tends to 1 far away in a liquid; in a droplet see `RdfAccumulator`.
    n
        Donors within the outer edge of the bin, averaged over ions.
    g_stderr, n_stderr
        Standard errors from blocks of frames, NaN with fewer than three blocks.
    """

    r_A: NDArray[np.float64]
    g: NDArray[np.float64]
    n: NDArray[np.float64]
    g_stderr: NDArray[np.float64]
    n_stderr: NDArray[np.float64]


class RdfAccumulator:
    r"""Accumulates pair distances frame by frame; memory does not grow with the number of frames.

    In a periodic box

    .. math:: g(r) = \frac{\langle N(r, r + dr) \rangle}{N_\mathrm{ion}\,\rho\,V_\mathrm{shell}},
       \qquad \rho = N_\mathrm{donor} / V

    with one donor less where the ions are donors themselves. A droplet has no volume: there :math:`\rho` is the mean
    density of the donors inside the sphere of radius r_max around the ions, so that the mean of g over that sphere
    is 1. n(r) needs no normalisation.

    References
    ----------
    Levine, Stone & Kohlmeyer, J. Comput. Phys. 230, 3556 (2011).
    """

    def __init__(
        self,
        ions: NDArray[np.int64],
        donors: Mapping[str, NDArray[np.int64]],
        *,
        r_max_A: float,
        n_bins: int,
        n_frames: int,
    ) -> None:
        """Take the indices of ions, (n_ions,), and of each donor kind, (n_donors,).

        Raises
        ------
        TrajectoryError
            Two donor kinds share an atom.
        """
        self.kinds = list(donors)
        self._ions = ions
        self._donors, self._kind = _concatenated(donors)
        self.edges_A = np.linspace(0.0, r_max_A, n_bins + 1)
        self._r_max_A = r_max_A
        self._blocks = max(1, min(MAX_BLOCKS, n_frames))
        self._n_frames = n_frames
        self._counts = np.zeros((self._blocks, len(self.kinds), n_bins))
        self._inverse_volume = np.zeros(self._blocks)
        self._frames = np.zeros(self._blocks)
        self._periodic: bool | None = None

    def add(self, frame: Frame) -> None:
        """Count the pairs of one frame.

        Raises
        ------
        TrajectoryError
            r_max exceeds half of the shortest width of the box, or some frames have a box and others have none.
        """
        periodic = frame.box_A is not None
        if self._periodic is not None and periodic != self._periodic:
            raise TrajectoryError(f"at {frame.time_ps:g} ps the box appears or vanishes; give it with box_A (--box)")
        self._periodic = periodic
        done = int(self._frames.sum())
        block = min(done * self._blocks // self._n_frames, self._blocks - 1)
        _, donor, distance = neighbour_pairs(frame, self._ions, self._donors, self._r_max_A)
        bins = np.minimum((distance / self._r_max_A * (len(self.edges_A) - 1)).astype(int), len(self.edges_A) - 2)
        flat = self._kind[donor] * (len(self.edges_A) - 1) + bins
        self._counts[block] += np.bincount(flat, minlength=self._counts[block].size).reshape(self._counts[block].shape)
        self._frames[block] += 1
        if frame.box_A is not None:
            self._inverse_volume[block] += 1.0 / _volume_A3(frame.box_A)

    def result(self) -> dict[str, RadialDistribution]:
        """Averages and errors of what was added.

        Raises
        ------
        TrajectoryError
            Nothing was added.
        """
        if not self._frames.sum():
            raise TrajectoryError("no frame is left to analyse; lower skip_ps")
        used = self._frames > 0
        frames = self._frames[used][:, None]
        shells = 4 / 3 * np.pi * np.diff(self.edges_A**3)
        found = {}
        for number, kind in enumerate(self.kinds):
            per_ion = self._counts[used, number] / frames / len(self._ions)
            blocks_n = np.cumsum(per_ion, axis=1)
            members = np.count_nonzero(self._kind == number)
            shared = np.isin(self._ions, self._donors[self._kind == number]).mean()
            if self._periodic:
                density = (members - shared) * self._inverse_volume[used] / self._frames[used]
            else:
                density = np.full(len(frames), np.average(blocks_n[:, -1], weights=frames[:, 0]) / shells.sum())
            with np.errstate(divide="ignore", invalid="ignore"):
                blocks_g = np.where(density[:, None] > 0, per_ion / (density[:, None] * shells), 0.0)
            found[kind] = RadialDistribution(
                r_A=(self.edges_A[:-1] + self.edges_A[1:]) / 2,
                g=np.average(blocks_g, axis=0, weights=frames[:, 0]),
                n=np.average(blocks_n, axis=0, weights=frames[:, 0]),
                g_stderr=block_error(blocks_g),
                n_stderr=block_error(blocks_n),
            )
        return found


def neighbour_pairs(
    frame: Frame, ions: NDArray[np.int64], donors: NDArray[np.int64], r_max_A: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Pairs closer than `r_max_A`: (index into ions, index into donors, distance in Å), self pairs left out.

    Raises
    ------
    TrajectoryError
        r_max exceeds half of the shortest width of the box.
    """
    import freud

    points, queries = frame.positions_A[donors], frame.positions_A[ions]
    if frame.box_A is None:
        # A droplet: a box so large that no image comes near.
        middle = frame.positions_A.mean(axis=0)
        extent = float(np.ptp(frame.positions_A, axis=0).max()) + 4 * r_max_A
        box = freud.box.Box.cube(2 * extent)
        points, queries = points - middle, queries - middle
    else:
        box = freud.box.Box.from_box_lengths_and_angles(*frame.box_A[:3], *np.radians(frame.box_A[3:]))
        width = _shortest_width_A(frame.box_A)
        if r_max_A > width / 2 * (1 + 1e-6):
            raise TrajectoryError(
                f"r_max {r_max_A:g} Å exceeds half the shortest width of the box, {width / 2:.2f} Å; "
                "lower analysis.r_max_A (--rmax)"
            )
    found = freud.locality.AABBQuery(box, points).query(queries, {"r_max": r_max_A * (1 - 1e-7)}).toNeighborList()
    ion, donor = np.asarray(found.query_point_indices), np.asarray(found.point_indices)
    other = ions[ion] != donors[donor]
    return ion[other], donor[other], np.asarray(found.distances, dtype=float)[other]


def _concatenated(donors: Mapping[str, NDArray[np.int64]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    indices = np.concatenate(list(donors.values()))
    if len(np.unique(indices)) != len(indices):
        raise TrajectoryError(f"donor selections overlap ({', '.join(donors)}); let each atom belong to one kind")
    kind = np.repeat(np.arange(len(donors)), [len(item) for item in donors.values()])
    return indices, kind


def _cell(box_A: NDArray[np.float64]) -> NDArray[np.float64]:
    from ase.geometry import cellpar_to_cell

    return np.asarray(cellpar_to_cell(box_A))


def _volume_A3(box_A: NDArray[np.float64]) -> float:
    return float(abs(np.linalg.det(_cell(box_A))))


def _shortest_width_A(box_A: NDArray[np.float64]) -> float:
    """Shortest distance between opposite faces: the edge in a right-angled box, less in a slanted one."""
    cell = _cell(box_A)
    areas = [np.linalg.norm(np.cross(cell[(i + 1) % 3], cell[(i + 2) % 3])) for i in range(3)]
    return float(_volume_A3(box_A) / max(areas))
