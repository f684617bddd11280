"""Diffusion and conductivity from displacements: which part of the current the ion carries, and how sure that is.

Everything here works on paths, positions that no periodic boundary has cut, of evenly spaced frames.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase.units import _e, _k
from numpy.typing import NDArray

from solvation.errors import TrajectoryError
from solvation.neighbours import cells_A

#: 1 Å2/ps in cm2/s.
CM2_S = 1e-4
#: Hasimoto's sum over the images of a cubic box.
_IMAGES = 2.837297
#: Of the run, the longest lag that is used: beyond it fewer than four windows do not overlap.
_LONGEST = 0.25
#: Lags of a fit, and the shortest stretch of lags that tells an exponent, as a ratio.
_LAGS, _STRETCH = 48, 3.0
#: A displacement is diffusive where its exponent is within so many errors and this of 1, and known to the last.
_ERRORS, _TOLERANCE, _VAGUE = 2.0, 0.05, 0.15
#: Particles from which their own spread gives the error.
_ENOUGH = 8
#: Farther than this share of a box edge between two frames, a particle may have gone the other way.
_FARTHEST = 0.4
_AT_ONCE = 4_000_000


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
        if n >= _ENOUGH:
            return np.asarray(self.squares_A2.std(axis=1, ddof=1) / math.sqrt(n))
        return np.asarray(self.mean_A2 / self.lags * np.sqrt(2 / 3 * np.diag(self.overlap) / n))


@dataclass(frozen=True, slots=True)
class Slope:
    """Slope of a mean squared displacement where it is diffusive.

    Attributes
    ----------
    value, stderr
        Å2 per frame; NaN where no lag is diffusive, and the verdict says so.
    at_most
        Upper bound at 95 % where the displacement grows more slowly than diffusion, Å2 per frame; NaN otherwise.
    relative
        Model error as a share of the value, for quantities that are fitted with the same weights.
    weights
        The slope is their sum with the mean squared displacements, (n_lags,); 0 outside the window.
    begin, end
        Window of the fit, frames.
    exponent, exponent_stderr
        Of the power law from a third of `begin` on; where none is diffusive, at the longest lags.
    """

    value: float
    stderr: float
    at_most: float
    relative: float
    weights: NDArray[np.float64]
    begin: int
    end: int
    exponent: float
    exponent_stderr: float
    verdict: str


@dataclass(frozen=True, slots=True)
class Ratio:
    """A number with its standard error."""

    value: float
    stderr: float


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
        TrajectoryError
            A displacement of more than 0.4 box edges, which may as well be one of 0.6 the other way; or a frame
            without a box among frames with one.
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
            raise TrajectoryError(
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
    TrajectoryError
        Fewer than 40 frames.
    """
    n_frames = len(path_A)
    if n_frames < 40:
        raise TrajectoryError(f"{n_frames} frames tell nothing of diffusion; give at least 40, better thousands")
    lags = spaced_lags(n_frames)
    return MeanSquares(lags, mean_squared_displacements(path_A, lags), window_overlap(lags, n_frames))


def diffusive_slope(found: MeanSquares, frame_ps: float = math.nan) -> Slope:
    """Slope by generalised least squares, from three times the first lag from which the displacement is diffusive.

    The model is a line with an intercept, because cages and bonds add a constant; the covariance that of a random
    walk. The error is the larger of the model's and that of the spread of the particles, where they are eight or more.

    Parameters
    ----------
    frame_ps
        Time between frames, for the words of the verdict.

    References
    ----------
    McCluskey, Coles & Morgan, J. Chem. Theory Comput. 21, 79 (2025); the exact covariance is that of
    `window_overlap`.
    """
    lags, mean = found.lags, found.mean_A2
    nothing = np.zeros(len(lags))
    longest = int(lags[-1])
    if not mean[-1] > 0 or not mean[0] > 0:
        verdict = "nothing moves"
        return Slope(math.nan, math.nan, math.nan, math.nan, nothing, 0, longest, math.nan, math.nan, verdict)
    exponent, error = math.nan, math.nan
    latest = int(np.searchsorted(lags, longest / _STRETCH, side="right")) - 1
    for first in range(latest + 1):
        exponent, error = _exponent(found, first, len(lags))
        if not (error < _VAGUE and _diffusive(exponent, error)):
            continue
        if not _steady(found, first, *_line(found, first)):
            continue
        # A bend that just escaped notice biases by as much as the error; one stretch later it has faded.
        begin = min(latest, int(np.searchsorted(lags, lags[first] * _STRETCH)))
        weights, variance = _line(found, begin)
        slope, stderr, relative = _with_error(found, weights, variance)
        if slope > 0:
            verdict = "" if stderr < slope / 4 else f"error {100 * stderr / slope:.0f} %: run longer"
            return Slope(
                slope, stderr, math.nan, relative, weights, int(lags[begin]), longest, exponent, error, verdict
            )  # fmt: skip
    begin = max(0, min(int(np.searchsorted(lags, longest / _STRETCH)), len(lags) - 3))
    exponent, error = _exponent(found, begin, len(lags))
    bound = math.nan
    if exponent < 1:
        bound = float(mean[-1] + 1.645 * found.stderr_A2[-1]) / longest
    verdict = _refusal(exponent, error, longest * frame_ps, longest)
    return Slope(math.nan, math.nan, bound, math.nan, nothing, int(lags[begin]), longest, exponent, error, verdict)


def _with_error(
    found: MeanSquares, weights: NDArray[np.float64], variance: float, slope: float = math.nan
) -> tuple[float, float, float]:
    """Value of a weighted sum, its error, and the model's error as a share of the slope (of the value if NaN)."""
    n_particles = found.squares_A2.shape[1]
    value = float(weights @ found.mean_A2)
    relative = math.sqrt(2 / 3 * variance / n_particles)
    stderr = relative * abs(value if math.isnan(slope) else slope)
    if n_particles >= _ENOUGH:
        stderr = max(stderr, float(np.std(weights @ found.squares_A2, ddof=1)) / math.sqrt(n_particles))
    return value, stderr, relative


def _steady(found: MeanSquares, begin: int, weights: NDArray[np.float64], variance: float) -> bool:
    """Whether later windows have the same slope: the best estimate rests on the first lags and hides a slow bend.

    References
    ----------
    Hausman, Econometrica 46, 1251 (1978): the variance of the difference is that of the variances.
    """
    slope, lags = float(weights @ found.mean_A2), found.lags
    later = int(np.searchsorted(lags, lags[begin] * _STRETCH))
    while lags[later] * _STRETCH <= lags[-1]:
        others, larger = _line(found, later)
        apart, error, _ = _with_error(found, others - weights, max(larger - variance, 0.0), slope)
        if abs(apart) > _ERRORS * error:
            return False
        later = int(np.searchsorted(lags, lags[later] * _STRETCH))
    return True


def _diffusive(exponent: float, error: float) -> bool:
    return abs(exponent - 1) <= _ERRORS * error + _TOLERANCE


def _refusal(exponent: float, error: float, lag_ps: float, lag: int) -> str:
    where = f"{lag_ps:.3g} ps" if math.isfinite(lag_ps) else f"{lag} frames"
    told = f"MSD exponent {exponent:.2f} ± {error:.2f} at the longest usable lag, {where}"
    if exponent - 2 * error > 1:
        return f"not diffusive: {told}; the particles drift, or still fly"
    if exponent - 2 * error < 0.1 and exponent + 2 * error < 0.5:
        return f"not diffusive: {told}; it levels off, as of what is held"
    return f"too short: {told}"


def _exponent(found: MeanSquares, begin: int, end: int) -> tuple[float, float]:
    """Exponent of the power law between two lags, and its error, by generalised least squares of the logarithms."""
    part = slice(begin, end)
    lags, n_particles = found.lags[part].astype(float), found.squares_A2.shape[1]
    covariance = 2 / 3 * found.overlap[part, part] / np.outer(lags, lags) / n_particles
    mean = found.mean_A2[part]
    weights, variance = _gls(np.log(lags), covariance)
    error = math.sqrt(variance)
    if n_particles >= _ENOUGH:
        # Linearised: the particles' own contributions to the exponent.
        own = weights @ (found.squares_A2[part] / mean[:, None])
        error = max(error, float(np.std(own, ddof=1)) / math.sqrt(n_particles))
    return float(weights @ np.log(mean)), error


def _line(found: MeanSquares, begin: int) -> tuple[NDArray[np.float64], float]:
    """Weights of the slope of a line with intercept from lag number `begin` on, and its variance in units of K."""
    weights = np.zeros(len(found.lags))
    weights[begin:], variance = _gls(found.lags[begin:].astype(float), found.overlap[begin:, begin:])
    return weights, variance


def _gls(x: NDArray[np.float64], covariance: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Weights of the slope of y = a + b x, and the variance of b."""
    scale = np.sqrt(np.diag(covariance))
    inverse = np.linalg.pinv(covariance / np.outer(scale, scale), rcond=1e-12, hermitian=True)
    design = np.column_stack((x, np.ones_like(x))) / scale[:, None]
    normal = np.linalg.inv(design.T @ inverse @ design)
    return np.asarray((normal @ design.T @ inverse)[0] / scale), float(normal[0, 0])


def diffusion_cm2_s(slope_A2: float, frame_ps: float) -> float:
    """Self-diffusion coefficient of a slope of Å2 per frame in three dimensions, cm2/s."""
    return slope_A2 / (6 * frame_ps) * CM2_S


def yeh_hummer_cm2_s(*, temperature_K: float, viscosity_mPa_s: float, edge_A: float) -> float:
    r"""What periodic images take from a self-diffusion coefficient in a cubic box; to be added, cm2/s.

    .. math:: \Delta D = \frac{2.837297\, k_B T}{6 \pi \eta L}

    References
    ----------
    Yeh & Hummer, J. Phys. Chem. B 108, 15873 (2004).
    """
    return float(1e4 * _IMAGES * _k * temperature_K / (6 * math.pi * viscosity_mPa_s * 1e-3 * edge_A * 1e-10))


def conductivity_mS_cm(diffusion_A2_ps: float, *, volume_A3: float, temperature_K: float) -> float:
    r"""Conductivity of the diffusion coefficient of the dipole of all charges, mS/cm.

    .. math:: \sigma = \frac{e^2}{6 V k_B T} \frac{d}{dt} \langle |\Delta \sum_i z_i r_i|^2 \rangle

    Parameters
    ----------
    diffusion_A2_ps
        The derivative over six, or :math:`\sum_i z_i^2 D_i` for Nernst and Einstein's, Å2/ps.

    References
    ----------
    Helfand, Phys. Rev. 119, 1 (1960).
    """
    siemens_m = float(_e**2 * diffusion_A2_ps * 1e-8 / (volume_A3 * 1e-30 * _k * temperature_K))
    return 10 * siemens_m


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


def bilinear(
    onsager: NDArray[np.float64], relative: float, left: NDArray[np.float64], right: NDArray[np.float64]
) -> Ratio:
    """a L b with its error, for L measured from Gaussian displacements.

    Parameters
    ----------
    onsager
        Collective coefficients, (n_species, n_species), any unit.
    relative
        Error of a diagonal coefficient as a share of it, `Slope.relative`.
    """
    value = float(left @ onsager @ right)
    variance = _covariance(onsager, relative, left, right, left, right)
    return Ratio(value, math.sqrt(max(variance, 0.0)))


def onsager_transference(
    onsager: NDArray[np.float64], relative: float, charges: NDArray[np.float64], which: int
) -> Ratio:
    r"""Share of the current that one species carries, :math:`t_a = z_a \sum_b L_{ab} z_b / \sum_{bc} z_b L_{bc} z_c`.

    In the frame that the displacements are in; no polarisation of electrodes, which a t+ of Bruce and Vincent has.

    References
    ----------
    Fong, Bergstrom, McCloskey & Mandadapu, AIChE J. 66, e17091 (2020); errors by linear propagation of those of
    Gaussian displacements (Wick).
    """
    own = np.zeros_like(charges)
    own[which] = charges[which]
    above, below = float(own @ onsager @ charges), float(charges @ onsager @ charges)
    share = above / below
    terms = (
        _covariance(onsager, relative, own, charges, own, charges)
        - 2 * share * _covariance(onsager, relative, own, charges, charges, charges)
        + share**2 * _covariance(onsager, relative, charges, charges, charges, charges)
    )
    return Ratio(share, math.sqrt(max(terms, 0.0)) / abs(below))


def _covariance(
    onsager: NDArray[np.float64],
    relative: float,
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    c: NDArray[np.float64],
    d: NDArray[np.float64],
) -> float:
    """Covariance of a L b and c L d; that of a L a with itself is (relative * a L a)^2."""
    return relative**2 / 2 * float((a @ onsager @ c) * (b @ onsager @ d) + (a @ onsager @ d) * (b @ onsager @ c))


def ideal_transference(weights: Sequence[float], stderr: Sequence[float], which: int) -> Ratio:
    """Share of one species in a sum of independent terms :math:`N z^2 D`, with error."""
    total = math.fsum(weights)
    share = weights[which] / total
    terms = [(((place == which) - share) / total * error) ** 2 for place, error in enumerate(stderr)]
    return Ratio(share, math.sqrt(math.fsum(terms)))


def quotient(above: Ratio, below: Ratio) -> Ratio:
    """Ratio of two numbers with independent errors."""
    value = above.value / below.value
    return Ratio(value, abs(value) * math.hypot(above.stderr / above.value, below.stderr / below.value))


@dataclass(frozen=True, slots=True)
class Arrhenius:
    """Activation of a rate or diffusion coefficient.

    Attributes
    ----------
    energy_kJ_mol, energy_stderr_kJ_mol
        Activation energy.
    log_prefactor, log_prefactor_stderr
        Natural logarithm of the value at infinite temperature, in the unit of the values.
    chi2_per_point
        Squared residuals over errors per degree of freedom; far above 1 the points lie on no line.
    """

    energy_kJ_mol: float
    energy_stderr_kJ_mol: float
    log_prefactor: float
    log_prefactor_stderr: float
    chi2_per_point: float


def arrhenius(temperatures_K: Sequence[float], values: Sequence[float], stderr: Sequence[float]) -> Arrhenius:
    """Fit ln(value) = ln(A) - E / RT by least squares weighted with the errors.

    The errors grow by the root of `chi2_per_point` where that is above 1.

    Raises
    ------
    TrajectoryError
        Fewer than three temperatures, or values or errors that are not positive.
    """
    kelvin, value, error = (np.asarray(item, dtype=float) for item in (temperatures_K, values, stderr))
    if len(set(kelvin.tolist())) < 3:
        raise TrajectoryError(f"{len(set(kelvin.tolist()))} temperatures always lie on a line; give three or more")
    if not (np.all(kelvin > 0) and np.all(value > 0) and np.all(error > 0)):
        raise TrajectoryError("an Arrhenius fit needs positive temperatures, values and errors; leave out the others")
    relative = error / value
    design = np.column_stack((-1 / (8.31446261815324e-3 * kelvin), np.ones_like(kelvin))) / relative[:, None]
    covariance = np.linalg.inv(design.T @ design)
    found = covariance @ design.T @ (np.log(value) / relative)
    residual = np.log(value) / relative - design @ found
    chi2 = float(residual @ residual) / (len(kelvin) - 2)
    errors = np.sqrt(np.diag(covariance) * max(1.0, chi2))
    return Arrhenius(float(found[0]), float(errors[0]), float(found[1]), float(errors[1]), chi2)
