"""Radial distribution functions of several donor kinds around one kind of ion, from one neighbour search a frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from solvation.errors import TrajectoryError
from solvation.trajectory.frames import Frame
from solvation.trajectory.neighbours import PairFinder, Pairs, own_donors
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

    with as many donors less as an ion has in its own molecule, itself included: these are no neighbours. A droplet has
    no volume: there :math:`\rho` is the mean density of the donors inside the sphere of radius r_max around the ions,
    so that the mean of g over that sphere is 1. n(r) needs no normalisation.

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
        begin: int = 0,
        reach_A: Sequence[float] | NDArray[np.float64] | None = None,
        before: NDArray[np.int64] | None = None,
        shell_reach_A: NDArray[np.float64] | None = None,
        molecules: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None,
    ) -> None:
        """Take the indices of ions, (n_ions,), and of each donor kind, (n_donors,).

        Parameters
        ----------
        n_frames
            Frames of the whole run, which is cut into blocks.
        begin
            How many of them come before the first one that is added here.
        reach_A
            Pairs nearer than this are handed back, by kind; r_max where it is not given.
        before, shell_reach_A, molecules
            As `PairFinder` takes them.

        Raises
        ------
        TrajectoryError
            Two donor kinds share an atom, or a kind holds some of the ions and not all (each is one or the other).
        """
        self.kinds = list(donors)
        self._ions = ions
        self._donors, self._kind = _concatenated(donors)
        _refuse_partly_ions(ions, donors)
        self.edges_A = np.linspace(0.0, r_max_A, n_bins + 1)
        reach = np.full(len(donors), r_max_A) if reach_A is None else np.minimum(reach_A, r_max_A)
        self._finder = PairFinder(
            ions, self._donors, r_max_A, kind=self._kind, n_bins=n_bins, reach_A=reach, before=before,
            shell_reach_A=shell_reach_A, molecules=molecules,
        )  # fmt: skip
        # Without molecules each atom is its own one.
        self._of_ion, self._of_donor = molecules or (ions, self._donors)
        self._blocks = max(1, min(MAX_BLOCKS, n_frames))
        self._n_frames = n_frames
        self._next = begin
        self._counts = np.zeros((self._blocks, len(self.kinds), n_bins), dtype=np.int64)
        self._inverse_volume = np.zeros(self._blocks)
        self._frames = np.zeros(self._blocks, dtype=np.int64)
        self._periodic: bool | None = None

    @property
    def donors(self) -> NDArray[np.int64]:
        """Indices of the donors of all kinds, (n_donors,)."""
        return self._donors

    @property
    def kind(self) -> NDArray[np.int64]:
        """Position in `kinds` of each donor, (n_donors,)."""
        return self._kind

    @property
    def periodic(self) -> bool:
        """Whether the frames that were added have a box."""
        return bool(self._periodic)

    def add(self, frame: Frame) -> Pairs:
        """Count the pairs of the next frame; return those within reach: positions in `ions` and in `donors`.

        Raises
        ------
        TrajectoryError
            r_max exceeds half of the shortest width of the box, or some frames have a box and others have none.
        """
        periodic = frame.box_A is not None
        if self._periodic is not None and periodic != self._periodic:
            raise TrajectoryError(f"at {frame.time_ps:g} ps the box appears or vanishes; give it with box_A (--box)")
        self._periodic = periodic
        block = min(self._next * self._blocks // self._n_frames, self._blocks - 1)
        pairs = self._finder.find(frame, self._counts[block])
        if frame.box_A is not None:
            self._inverse_volume[block] += 1.0 / self._finder.volume_A3
        self._frames[block] += 1
        self._next += 1
        return pairs

    def leave_out(self) -> None:
        """Pass over the next frame, which belongs to its block all the same."""
        self._next += 1

    def merge(self, later: RdfAccumulator) -> None:
        """Take over what another one has counted in the frames that follow.

        Raises
        ------
        TrajectoryError
            Frames of one have a box, those of the other none.
        """
        if self._periodic is not None and later._periodic is not None and later._periodic != self._periodic:
            raise TrajectoryError("the box appears or vanishes in the middle of the run; give it with box_A (--box)")
        self._periodic = later._periodic if self._periodic is None else self._periodic
        self._counts += later._counts
        self._inverse_volume += later._inverse_volume
        self._frames += later._frames
        self._next = later._next

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
            shared = own_donors(self._of_ion, self._of_donor[self._kind == number]).mean()
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


def _concatenated(donors: Mapping[str, NDArray[np.int64]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    indices = np.concatenate(list(donors.values()))
    if len(np.unique(indices)) != len(indices):
        raise TrajectoryError(f"donor selections overlap ({', '.join(donors)}); let each atom belong to one kind")
    kind = np.repeat(np.arange(len(donors)), [len(item) for item in donors.values()])
    return indices, kind


def _refuse_partly_ions(ions: NDArray[np.int64], donors: Mapping[str, NDArray[np.int64]]) -> None:
    for kind, atoms in donors.items():
        shared = len(np.intersect1d(ions, atoms))
        if shared and not shared == len(ions) == len(atoms):
            raise TrajectoryError(
                f"donors '{kind}' hold {shared} of the {len(ions)} centers; let the selections share no atom "
                "(or be the same, for ions around ions)"
            )
