"""Whether a quantity of a run still drifts, and how large a drift the run would not have shown."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from solvation.uncertainty import standard_error, statistical_inefficiency

#: Of independent samples: under a line through the last two thirds, and in the second half for an error of its mean.
_FEWEST, _FEWEST_OF_MEAN = 10, 5
#: A drift is one where noise alone would show it in 5 % of runs; one that is not told is seen in 95 %.
_TWO_SIDED, _ONE_SIDED = 0.975, 0.95
#: Samples that the mean and the slope have used up: as many in the variance, and as many in its correlations.
_USED_UP = 4
#: The error of a correlated mean is itself known as from so many fewer samples: its correlation time is estimated too.
_SAMPLES_PER_DEGREE = 3


@dataclass(frozen=True, slots=True)
class Drift:
    """Whether a quantity still moves at the end of a run.

    Attributes
    ----------
    mean, stderr
        Over the second half.
    drift, drift_stderr
        Change along a straight line through the last two thirds; a NaN error means fewer than ten independent samples.
    samples
        Independent samples in the last two thirds.
    """

    quantity: str
    unit: str
    mean: float
    stderr: float
    drift: float
    drift_stderr: float
    samples: float

    @property
    def is_settled(self) -> bool:
        """Whether the drift is known and no larger than noise makes it in 95 % of runs; too short is not settled."""
        return abs(self.drift) <= self._errors(_TWO_SIDED) * self.drift_stderr

    @property
    def unseen(self) -> float:
        """Smallest drift that would have been seen in 95 % of such runs."""
        return (self._errors(_TWO_SIDED) + self._errors(_ONE_SIDED)) * self.drift_stderr

    @property
    def words(self) -> str:
        """Whether it is settled, in words, and what drift may hide behind that."""
        if self.is_settled:
            return f"settled; a drift below {self.unseen:.2g} {self.unit} may be missed"
        if math.isnan(self.drift_stderr):
            return "too short to tell, fewer than ten independent samples"
        return "NOT settled, run longer"

    @property
    def verdict(self) -> str:
        """One line with the numbers."""
        told = f"{self.quantity} {self.mean:.6g} ± {self.stderr:.2g} {self.unit}"
        return f"{told}, drift {self.drift:+.2g} ± {self.drift_stderr:.2g}: {self.words}"

    def _errors(self, probability: float) -> float:
        """So many errors hold this share of noise: Student's t."""
        from scipy.stats import t

        return float(t.ppf(probability, self.samples / _SAMPLES_PER_DEGREE))


def drift_of(quantity: str, unit: str, series: NDArray[np.float64]) -> Drift:
    """Change along a straight line through the last two thirds of a series, and its error.

    The error takes the correlation of what lies off the line. Two thirds show slopes half as steep as those that the
    quarters of the second half show, at equal false alarms (tests/unit/test_equilibration.py).
    """
    half, late = series[len(series) // 2 :], series[len(series) // 3 :]
    count = len(late)
    place = (np.arange(count) - (count - 1) / 2) / count
    spread = float(place @ place) or math.nan  # of a single sample nothing is told
    drift = float(place @ late) / spread
    off = late - late.mean() - drift * place
    samples = count / statistical_inefficiency(off)
    error = math.sqrt(float(off @ off) / spread / (samples - _USED_UP)) if samples >= _FEWEST else math.nan
    return Drift(quantity, unit, float(half.mean()), standard_error(half, _FEWEST_OF_MEAN), drift, error, samples)
