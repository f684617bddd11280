"""Displacements of particles: paths that no periodic boundary has cut, and their mean squares at some lags.

Frames are evenly spaced everywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from solvation.errors import TrajectoryError
from solvation.trajectory.neighbours import cells_A

#: Of the run, the longest lag that is used: beyond it fewer than four windows do not overlap.
_LONGEST = 0.25
#: Lags of a fit.
_LAGS = 48
#: Particles from which their own spread gives the error.
ENOUGH = 8
#: Farther than this share of a box edge between two frames, a particle may have gone the other way.
_FARTHEST = 0.4
_AT_ONCE = 4_000_000


class NoDisplacements(TrajectoryError):
    """The frames are sound but tell no displacements: too few, too far apart, uneven, or without times."""


@dataclass(frozen=True, slots=True)
class MeanSquares:
    """Mean squared displacements at some lags.

    Attributes
    ----------
    lags
        In frames, (n_lags,).
    squares_A2
        Of each particle, averaged over all windows of that length, (n_lags, n_particles).
    overlap
        Covariance of the windows' averages, (n_lags, n_lags); see `window_overlap`.
    """

    lags: NDArray[np.int64]
    squares_A2: NDArray[np.float64]
    overlap: NDArray[np.float64]

    @property
    def mean_A2(self) -> NDArray[np.float64]:
        """Mean over particles, (n_lags,)."""
        return np.asarray(self.squares_A2.mean(axis=1))

    @property
    def stderr_A2(self) -> NDArray[np.float64]:
        """Standard error of the mean, (n_lags,): by the spread of the particles, or of free diffusion where few."""
        n = self.squares_A2.shape[1]
        if n >= ENOUGH:
            return np.asarray(self.squares_A2.std(axis=1, ddof=1) / math.sqrt(n))
        return np.asarray(self.mean_A2 / self.lags * np.sqrt(2 / 3 * np.diag(self.overlap) / n))


class Unwrapper:
    """Follows atoms across periodic boundaries, frame by frame.

    Each atom is put into the cell of its frame first, so that wrapped, whole and unwrapped molecules, and any
    mixture of them, give the same displacements; each displacement is the nearest image in the cell of the later frame.

    References
    ----------
    von Bülow, Bullerjahn & Hummer, J. Chem. Phys. 153, 021101 (2020), also for boxes that change.
    """

    def __init__(self) -> None:
        self._last: NDArray[np.float64] | None = None
        self._periodic = False
        self._frames = 0

    def step(self, positions_A: NDArray[np.float64], box_A: NDArray[np.float64] | None) -> NDArray[np.float64]:
        """Displacement since the frame before, (n_atoms, 3), Å; zero in the first one.

        Raises
        ------
        NoDisplacements
            A displacement of more than 0.4 box edges, which may as well be one of 0.6 the other way.
        TrajectoryError
            A frame without a box among frames with one.
        """
        periodic = box_A is not None
        if self._last is not None and periodic != self._periodic:
            raise TrajectoryError(f"frame {self._frames + 1}: some frames have a box and some do not; give it (--box)")
        self._periodic = periodic
        self._frames += 1
        if box_A is None:
            moved = np.zeros_like(positions_A) if self._last is None else positions_A - self._last
            self._last = positions_A
            return moved
        cell = cells_A(box_A[None])[0]
        inverse = np.linalg.inv(cell)
        fractional = positions_A @ inverse
        inside = (fractional - np.floor(fractional)) @ cell
        if self._last is None:
            self._last = inside
            return np.zeros_like(positions_A)
        apart = (inside - self._last) @ inverse
        apart -= np.round(apart)
        self._last = inside
        farthest = float(np.abs(apart).max(initial=0))
        if farthest > _FARTHEST:
            raise NoDisplacements(
                f"frame {self._frames}: an atom moved {farthest:.2f} box edges since the frame before, too close to "
                "one half to tell which way; save frames more often, or use every frame (--every 1)"
            )
        return np.asarray(apart @ cell)


def longest_lag(n_frames: int) -> int:
    """Longest lag that is used, frames."""
    return int((n_frames - 1) * _LONGEST)


def spaced_lags(n_frames: int) -> NDArray[np.int64]:
    """Lags of a fit, evenly spaced in their logarithm up to a quarter of the run."""
    return np.unique(np.geomspace(1, max(1, longest_lag(n_frames)), _LAGS).round().astype(np.int64))


def mean_squared_displacements(
    path_A: NDArray[np.floating], lags: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """Mean squared displacement of each particle at some lags, over all windows, (n_lags, n_particles), Å2.

    Parameters
    ----------
    path_A
        Unwrapped positions, (n_frames, n_particles, 3).
    lags
        In frames; all from 0 to n_frames - 1 when left out.

    References
    ----------
    By FFT: Calandrini et al., Collection SFN 12, 201 (2011).
    """
    n_frames, n_particles = path_A.shape[:2]
    kept = np.arange(n_frames) if lags is None else lags
    found = np.empty((len(kept), n_particles))
    # Numbers, and not particles, fill memory.
    step = max(1, _AT_ONCE // (6 * n_frames))
    windows = np.arange(n_frames, 0, -1)[:, None]
    for begin in range(0, n_particles, step):
        part = np.asarray(path_A[:, begin : begin + step], dtype=float)
        # Far from the origin the two terms below would cancel to noise.
        part = part - part.mean(axis=0)
        spectrum = np.fft.rfft(part, n=2 * n_frames, axis=0)
        products = np.fft.irfft(np.sum(spectrum.real**2 + spectrum.imag**2, axis=2), n=2 * n_frames, axis=0)[:n_frames]
        squares = np.sum(part**2, axis=2)
        ends = np.zeros((n_frames + 1, squares.shape[1]))
        np.cumsum(squares, axis=0, out=ends[1:])
        # Squares of the first and of the last position of every window.
        sums = ends[-1] - ends[:-1] + ends[n_frames:0:-1]
        found[:, begin : begin + step] = np.maximum((sums - 2 * products)[kept] / windows[kept], 0.0)
    found[kept == 0] = 0.0
    return found


def window_overlap(lags: NDArray[np.int64], n_frames: int) -> NDArray[np.float64]:
    r"""Covariance of window averages of a random walk, (n_lags, n_lags), frames squared.

    .. math:: K_{ij} = \frac{1}{n_i n_j} \sum_{k,l} o_{kl}^2

    with o the frames that window k of length i and window l of length j share. For a walk in three dimensions the mean
    squared displacements of N particles have :math:`\mathrm{cov}_{ij} = \tfrac{2}{3} (6 D \Delta t)^2 K_{ij} / N`.

    References
    ----------
    Bullerjahn, von Bülow & Hummer, J. Chem. Phys. 153, 024116 (2020); the same for windows that do not overlap:
    McCluskey, Coles & Morgan, J. Chem. Theory Comput. 21, 79 (2025).
    """
    found = np.empty((len(lags), len(lags)))
    for row, short in enumerate(lags.tolist()):
        for column in range(row, len(lags)):
            long = int(lags[column])
            shift = np.arange(1 - long, short)
            shared = np.minimum(short, shift + long) - np.maximum(0, shift)
            first, last = np.maximum(0, -shift), np.minimum(n_frames - short, n_frames - long - shift)
            pairs = np.maximum(0, last - first)
            total = float(np.sum(pairs * shared.astype(float) ** 2))
            found[row, column] = found[column, row] = total / ((n_frames - short) * (n_frames - long))
    return found


def mean_squares(path_A: NDArray[np.floating]) -> MeanSquares:
    """Mean squared displacements at the lags of a fit.

    Parameters
    ----------
    path_A
        Unwrapped positions, (n_frames, n_particles, 3).

    Raises
    ------
    NoDisplacements
        Fewer than 40 frames.
    """
    n_frames = len(path_A)
    if n_frames < 40:
        raise NoDisplacements(f"{n_frames} frames tell nothing of diffusion; give at least 40, better thousands")
    lags = spaced_lags(n_frames)
    return MeanSquares(lags, mean_squared_displacements(path_A, lags), window_overlap(lags, n_frames))


def cross_squares_A2(sums_A: NDArray[np.float64], lags: NDArray[np.int64]) -> NDArray[np.float64]:
    r"""Mean products :math:`\langle \Delta R_a \cdot \Delta R_b \rangle` of collective displacements.

    Parameters
    ----------
    sums_A
        Sums of the unwrapped positions of each species, (n_frames, n_species, 3).

    Returns
    -------
    ndarray
        (n_lags, n_species, n_species).
    """
    n = sums_A.shape[1]
    own = mean_squared_displacements(sums_A, lags)
    found = np.empty((len(lags), n, n))
    for one in range(n):
        for other in range(one, n):
            both = mean_squared_displacements(sums_A[:, [one]] + sums_A[:, [other]], lags)[:, 0]
            found[:, one, other] = found[:, other, one] = (both - own[:, one] - own[:, other]) / 2
    return found
