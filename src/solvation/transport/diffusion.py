"""Self-diffusion from mean squared displacements, where they are diffusive; a refusal in words where they are not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase.units import _amu, _k
from numpy.typing import NDArray

from solvation.errors import TrajectoryError
from solvation.transport.displacements import ENOUGH, MeanSquares

#: 1 Å2/ps in cm2/s.
CM2_S = 1e-4
#: Hasimoto's sum over the images of a cubic box.
_IMAGES = 2.837297
#: Shortest stretch of lags that tells an exponent, as a ratio.
_STRETCH = 3.0
#: A displacement is diffusive where its exponent is within so many errors and this of 1, and known to the last.
_ERRORS, _TOLERANCE, _VAGUE = 2.0, 0.05, 0.15


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
    if n_particles >= ENOUGH:
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
    # In quadrature: added up, poor data would pass more easily than good ones.
    return abs(exponent - 1) <= math.hypot(_ERRORS * error, _TOLERANCE)


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
    if n_particles >= ENOUGH:
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


def share_of_friction(value_cm2_s: float, *, mass_u: float, friction_per_ps: float, temperature_K: float) -> float:
    r"""What the friction of a Langevin thermostat takes from a self-diffusion D, as a share of that without it.

    .. math:: 1 - D / D_0 = \gamma m D / k_B T

    by Einstein's relation, with the frictions of the liquid and of the thermostat added. The least that it takes: a
    molecule that drags its shell along has more mass than its own, and friction on all atoms screens the flow that
    molecules carry each other with (Brinkman), which takes the same from every species.

    References
    ----------
    Basconi & Shirts, J. Chem. Theory Comput. 9, 2887 (2013): measured for several thermostats.
    """
    return float(friction_per_ps * 1e12 * mass_u * _amu * value_cm2_s * 1e-4 / (_k * temperature_K))


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
