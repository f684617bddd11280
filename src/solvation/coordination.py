"""The first shell: where it ends, how many donors and molecules it holds, and how sure that is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from ase.data import atomic_numbers, covalent_radii
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

from solvation.rdf import RadialDistribution
from solvation.uncertainty import standard_error, statistical_inefficiency

_SMOOTHING_A = 0.08
_PROMINENCE = 0.1
#: A first peak farther than this multiple of the covalent radii is no contact: 2.7 Å for Li-O.
CONTACT = 1.4


@dataclass(frozen=True, slots=True)
class FirstShell:
    """First peak and end of the first shell of one donor kind.

    Attributes
    ----------
    peak_A
        Maximum of the smoothed g(r), NaN when there is none.
    cutoff_A
        First minimum after it; NaN when there is none within range.
    note
        Why a number is missing, or the cutoff another one.
    """

    peak_A: float
    cutoff_A: float
    note: str = ""


def first_shell(curve: RadialDistribution, contact_A: float = math.nan) -> FirstShell:
    """Find the first peak of g(r) and the first minimum after it.

    g(r) is smoothed by a Gaussian of 0.08 Å; a peak must stand out by a tenth of the highest one. Where g is zero
    over a stretch after the peak, the cutoff is its middle. A first peak beyond `contact_A` is no coordination:
    there the shell ends at the contact distance itself.
    """
    width = curve.r_A[1] - curve.r_A[0]
    smooth = gaussian_filter1d(curve.g, _SMOOTHING_A / width, mode="nearest")
    if smooth.max() <= 0:
        end = contact_A if math.isfinite(contact_A) else math.nan
        return FirstShell(math.nan, end, "no donor comes within range")
    # Padded, so that a peak at the edge counts as one that is cut off and not as a peak.
    peaks, _ = find_peaks(smooth, prominence=_PROMINENCE * float(smooth.max()))
    if not peaks.size:
        end = contact_A if math.isfinite(contact_A) else math.nan
        return FirstShell(math.nan, end, "g(r) has no peak within range")
    first = int(peaks[0])
    peak_A = float(curve.r_A[first])
    if math.isfinite(contact_A) and peak_A > contact_A:
        return FirstShell(peak_A, contact_A, f"first peak at {peak_A:.2f} Å is no contact")
    stop = int(peaks[1]) if len(peaks) > 1 else len(smooth)
    after = smooth[first:stop]
    low = np.flatnonzero(after <= after.min() + 1e-3 * float(smooth.max()))
    run = low[: int(np.argmax(np.diff(low, append=low[-1] + 2) > 1)) + 1]
    middle = first + int(run[len(run) // 2])
    if middle >= len(smooth) - 1:
        return FirstShell(peak_A, math.nan, "g(r) has no minimum after its first peak within range; raise r_max_A")
    return FirstShell(peak_A, float(curve.r_A[middle]))


def contact_distance_A(ion: set[str], donor: set[str]) -> float:
    """Farthest distance of a contact between two elements, Å; NaN when the topology does not tell them."""
    if len(ion) != 1 or len(donor) != 1:
        return math.nan
    numbers = [atomic_numbers.get(next(iter(item))) for item in (ion, donor)]
    if None in numbers:
        return math.nan
    return float(CONTACT * sum(covalent_radii[number] for number in numbers))


@dataclass(frozen=True, slots=True)
class Coordination:
    """Coordination number of one donor kind, counted by atoms or by molecules.

    Attributes
    ----------
    counted
        `atom`: TDA bound through four N counts four; `molecule`: it counts one.
    cn_stderr
        Standard error with the correlation of frames; NaN when the shell never changed or the run is too short.
    statistical_inefficiency
        Frames per independent sample.
    verdict
        In words: what the number is worth, and how much more sampling it needs.
    """

    donor: str
    counted: str
    cutoff_A: float
    cn: float
    cn_stderr: float
    n_frames: int
    peak_A: float
    statistical_inefficiency: float
    verdict: str


def coordination(
    donor: str, counted: str, shell: FirstShell, counts: NDArray[np.float64], frame_ps: float
) -> Coordination:
    """Average the counts of each frame, with error and verdict.

    Parameters
    ----------
    counts
        Donors (or molecules) per ion in each frame, (n_frames,).
    frame_ps
        Time between frames, ps.
    """
    if math.isnan(shell.cutoff_A) or not counts.size:
        return Coordination(
            donor, counted, math.nan, math.nan, math.nan, len(counts), shell.peak_A, math.nan, shell.note
        )
    mean, error = float(counts.mean()), standard_error(counts)
    verdict = "; ".join(part for part in (shell.note, _verdict(counts, mean, error, frame_ps)) if part)
    return Coordination(
        donor,
        counted,
        shell.cutoff_A,
        mean,
        error,
        len(counts),
        shell.peak_A,
        statistical_inefficiency(counts),
        verdict,
    )


def _verdict(counts: NDArray[np.float64], mean: float, error: float, frame_ps: float) -> str:
    length_ps = len(counts) * frame_ps
    if np.ptp(counts) == 0:
        if mean == 0:
            return f"never in the shell in {length_ps:.3g} ps"
        return f"the shell never changed in {length_ps:.3g} ps: no error can be given, run until donors exchange"
    if math.isnan(error):
        return f"fewer than five independent samples in {length_ps:.3g} ps: no error can be given, run ten times longer"
    relative = error / mean
    if relative <= 0.05:
        return f"error {100 * relative:.1f} %: enough, for the shells that this run has visited"
    more = length_ps * ((relative / 0.05) ** 2 - 1)
    return f"error {100 * relative:.0f} %: run {more:.2g} ps more for 5 %"
