"""Errors of averages over correlated frames."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Of fewer independent samples an error is a guess: of ten it is still an eighth too small.
FEWEST_SAMPLES = 10
#: Fewer blocks than this bound nothing; more than the other one say no more, and cost memory.
_FEWEST_BLOCKS, _MOST_BLOCKS = 10, 500
_RESAMPLES = 2000


def statistical_inefficiency(series: NDArray[np.float64]) -> float:
    """Frames per independent sample, at least 1; NaN for a series that never changes.

    g = 1 + 2 sum_t (1 - t/N) C(t), with the sum cut where the autocorrelation C first falls below zero.

    Parameters
    ----------
    series
        One number a frame, (n_frames,).

    References
    ----------
    Chodera et al., J. Chem. Theory Comput. 3, 26 (2007), eqs. 10-12.
    """
    count = len(series)
    centred = np.asarray(series, dtype=float) - np.mean(series)
    variance = float(np.mean(centred**2))
    if count < 2 or variance < 1e-24:
        return math.nan
    # Correlation by FFT: a trajectory of 100,000 frames takes milliseconds.
    transform = np.fft.rfft(centred, n=2 * count)
    raw = np.fft.irfft(transform * np.conj(transform), n=2 * count)[:count]
    correlation = raw / (np.arange(count, 0, -1) * variance)
    below = np.flatnonzero(correlation <= 0)
    stop = int(below[0]) if below.size else count
    lags = np.arange(1, stop)
    return float(max(1.0, 1 + 2 * np.sum((1 - lags / count) * correlation[1:stop])))


class Average(NamedTuple):
    """Mean of a correlated series, its standard error, length and statistical inefficiency.

    The error is NaN when the series never changes, or holds fewer than ten independent samples.
    """

    mean: float
    stderr: float
    n_frames: int
    statistical_inefficiency: float


def average(series: NDArray[np.float64], fewest: float = FEWEST_SAMPLES) -> Average:
    """Average one number a frame, (n_frames,).

    The square of the error is the variance of the samples over their number less one, of which N / g are independent:
    a mean of correlated frames takes more of their variance with it than one of as many independent ones.

    Parameters
    ----------
    fewest
        Independent samples below which there is no error.
    """
    inefficiency = statistical_inefficiency(series)
    count = len(series)
    error = math.nan
    if inefficiency <= count / fewest:
        error = float(np.std(series) / math.sqrt(count / inefficiency - 1))
    return Average(float(np.mean(series)), error, count, inefficiency)


def standard_error(series: NDArray[np.float64], fewest: float = FEWEST_SAMPLES) -> float:
    """Standard error of the mean, as in `average`."""
    return average(series, fewest).stderr


def interval(series: NDArray[np.float64], rng: np.random.Generator) -> tuple[float, float]:
    """Bounds of the mean of a correlated series at 95 %, by bootstrap over blocks of frames.

    Blocks are twice the statistical inefficiency long and are drawn with replacement; the percentiles need not lie the
    same way off the mean. Such blocks still know a quarter of their variance from each other, and percentiles know
    nothing of few samples, so both bounds are moved out until together they are as far apart as Student's t for
    N / g samples has them, but not beyond what was seen. NaN with fewer than ten blocks.

    Parameters
    ----------
    series
        One number a frame, (n_frames,).

    References
    ----------
    Carlstein, Ann. Stat. 14, 1171 (1986): blocks. Efron & Tibshirani, An Introduction to the Bootstrap (1993), ch. 13.
    """
    from scipy.stats import bootstrap, t

    inefficiency = statistical_inefficiency(series)
    n_blocks = min(_MOST_BLOCKS, int(len(series) / (2 * inefficiency))) if math.isfinite(inefficiency) else 0
    if n_blocks < _FEWEST_BLOCKS:
        return math.nan, math.nan
    means = np.array([block.mean() for block in np.array_split(np.asarray(series, dtype=float), n_blocks)])
    found = bootstrap(
        (means,), np.mean, n_resamples=_RESAMPLES, method="percentile", vectorized=True, rng=rng
    ).confidence_interval
    mean, error, count, _ = average(series)
    half_width = float(t.ppf(0.975, count / inefficiency - 1)) * error
    apart = float(found.high - found.low)
    wider = 2 * half_width / apart if apart > 0 else math.nan
    low, high = (mean + wider * (float(end) - float(means.mean())) for end in (found.low, found.high))
    return max(low, float(np.min(series))), min(high, float(np.max(series)))


def block_error(blocks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard error from the means of blocks along the first axis, (n_blocks, ...) -> (...).

    NaN with fewer than three blocks.

    References
    ----------
    Flyvbjerg & Petersen, J. Chem. Phys. 91, 461 (1989).
    """
    if len(blocks) < 3:
        return np.full(blocks.shape[1:], math.nan)
    return np.asarray(np.std(blocks, axis=0, ddof=1) / math.sqrt(len(blocks)))
