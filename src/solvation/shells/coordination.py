"""The first shell: where it ends, how many donors and molecules it holds, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from ase.data import atomic_numbers, covalent_radii
from numpy.typing import NDArray

from solvation.elements import is_metal
from solvation.shells.rdf import RadialDistribution
from solvation.shells.turnover import Turnover, with_turnover
from solvation.uncertainty import FEWEST_SAMPLES, Average, average, interval

_SMOOTHING_A = 0.08
#: A peak must stand out by this part of the highest one, and by so many times the noise of counting.
_PROMINENCE = 0.1
_PEAK_SIGMAS = 5.0
#: g must rise after a minimum by this part of the peak, and by so many times the noise, to end the shell there.
_RISE = 0.005
_RISE_SIGMAS = 4.0
#: Below this part of the peak a shell that nothing follows counts as closed.
_EMPTY = 0.02
#: A first peak farther than this multiple of the covalent radii is no contact: 2.7 Å for Li-O.
CONTACT = 1.4
#: How far the cutoff is moved to see what the coordination number owes to it.
CUTOFF_BAND_A = 0.2
#: Standard errors within which 95 % of a normal distribution lie.
_TWO_SIDED = 1.96
#: A minimum farther than this multiple of the contact distance ends no shell of contacts: 3.8 Å for Li-O.
_FARTHEST_MINIMUM = 1.4


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


def first_shell(
    curve: RadialDistribution, contact_A: float = math.nan, *, n_samples: int = 0, limit_A: float = math.inf
) -> FirstShell:
    """Find the first peak of g(r) and the first minimum after it.

    g(r) is smoothed by a Gaussian of 0.08 Å. A peak stands out by a tenth of the highest one and five times the
    noise of counting. The shell ends where g, past the peak, is lowest before it rises for the first time by more
    than four times that noise; where g is flat there (zero over a stretch), in the middle of the flat part, which is
    taken to be at most half a peak distance long where nothing follows. A minimum beyond 1.4 contact distances is
    none: a donor that wanders slowly smears g until far beyond its contact. A first peak beyond `contact_A` is no
    coordination: there, and where there is no peak or no minimum, the shell ends at the contact distance, and the
    note says so.

    Parameters
    ----------
    contact_A
        Farthest contact of the two elements; NaN when they are not known.
    n_samples
        Ions times frames, from which the noise of counting follows; 0 leaves it out.
    limit_A
        Look no farther than this.
    """
    smooth, noise = _smooth(curve, n_samples)
    within = max(2, int(np.searchsorted(curve.r_A, limit_A, side="right")))
    first = _first_peak(smooth, noise)
    if first is None or first >= within:
        note = "no donor comes within range" if smooth.max() <= 0 else "g(r) has no peak within range"
        return FirstShell(math.nan, contact_A, _with_contact(note, contact_A))
    peak_A = float(curve.r_A[first])
    if math.isfinite(contact_A) and peak_A > contact_A:
        return FirstShell(
            peak_A, contact_A, f"first peak at {peak_A:.2f} Å is no contact: counted within {contact_A:.2f} Å"
        )
    reach_A = farthest_shell_A(contact_A, limit_A)
    within = max(first + 2, int(np.searchsorted(curve.r_A, reach_A, side="right")))
    end = _first_minimum(smooth[:within], noise[:within], first, peak_A / 2 / float(curve.r_A[1] - curve.r_A[0]))
    if end is None:
        if math.isfinite(contact_A):
            note = "g(r) has no clear minimum after its first peak"
        else:
            note = "g(r) has no minimum after its first peak within range; raise r_max_A"
        return FirstShell(peak_A, contact_A, _with_contact(note, contact_A))
    return FirstShell(peak_A, float(curve.r_A[end]))


def _with_contact(note: str, contact_A: float) -> str:
    return f"{note}: counted within {contact_A:.2f} Å" if math.isfinite(contact_A) else note


def _smooth(curve: RadialDistribution, n_samples: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Smoothed g and its noise from counting, (n_bins,) each."""

    from scipy.ndimage import gaussian_filter1d

    width_A = float(curve.r_A[1] - curve.r_A[0])
    sigma = _SMOOTHING_A / width_A
    smooth = gaussian_filter1d(curve.g, sigma, mode="nearest")
    shells = 4 / 3 * np.pi * ((curve.r_A + width_A / 2) ** 3 - (curve.r_A - width_A / 2) ** 3)
    volume_g = float(np.sum(curve.g * shells))
    if not n_samples or volume_g <= 0 or curve.n[-1] <= 0:
        return smooth, np.zeros_like(smooth)
    # n counts one donor where g integrates to one; a bin without counts is as uncertain as one count.
    per_count = volume_g / (n_samples * float(curve.n[-1]) * shells)
    counts = np.maximum(curve.g / per_count, 1.0)
    kernel = gaussian_filter1d(np.eye(1, 2 * int(4 * sigma + 1) + 1, int(4 * sigma + 1))[0], sigma, mode="constant")
    variance = np.convolve(np.pad(counts * per_count**2, len(kernel) // 2, mode="edge"), kernel**2, mode="valid")
    return smooth, np.sqrt(variance)


def _first_peak(smooth: NDArray[np.float64], noise: NDArray[np.float64]) -> int | None:
    from scipy.signal import find_peaks

    peaks, told = find_peaks(smooth, prominence=0.0)
    clear = told["prominences"] > np.maximum(_PEAK_SIGMAS * noise[peaks], 1e-12)
    if not np.any(clear):
        return None
    high = told["prominences"] >= _PROMINENCE * float(smooth[peaks[clear]].max())
    return int(peaks[clear & high][0]) if np.any(clear & high) else None


def _first_minimum(smooth: NDArray[np.float64], noise: NDArray[np.float64], peak: int, longest: float) -> int | None:
    """Bin of the first minimum after a peak; `longest` bounds the flat part (bins) that nothing follows."""
    height = float(smooth[peak])
    after, sigma = smooth[peak:], noise[peak:]
    lowest = np.minimum.accumulate(after)
    where = np.maximum.accumulate(np.where(after <= lowest, np.arange(len(after)), 0))
    rises = after - lowest > np.maximum(_RISE * height, _RISE_SIGMAS * np.hypot(sigma, sigma[where]))
    risen = bool(np.any(rises))
    stop = int(np.argmax(rises)) if risen else len(after)
    if not risen and float(after.min()) > _EMPTY * height:
        return None
    low = np.flatnonzero(after[:stop] <= after[:stop].min() + 1e-3 * height)
    run = low[: int(np.argmax(np.diff(low, append=low[-1] + 2) > 1)) + 1]
    if not risen:
        run = run[run <= run[0] + longest]
    return peak + int(run[len(run) // 2])


def farthest_shell_A(contact_A: float, limit_A: float) -> float:
    """Distance beyond which no first shell ends."""
    return min(limit_A, _FARTHEST_MINIMUM * contact_A) if math.isfinite(contact_A) else limit_A


def contact_distance_A(ion: set[str], donor: set[str]) -> float:
    """Farthest distance of a contact between a metal and a donor, Å.

    NaN when the topology does not tell the elements, and around an anion or an ion of several atoms: what surrounds
    these touches them by its hydrogens, or at distances that no covalent radii tell.
    """
    if len(ion) != 1 or len(donor) != 1 or not any(map(is_metal, ion)):
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
    cn_low, cn_high
        Bounds of the mean at 95 %, by bootstrap over blocks; NaN with fewer than twenty independent samples.
    cn_integral, cn_shorter, cn_longer
        Integral of g(r) to the cutoff, and to 0.2 Å less and more; by atom, NaN for molecules and for all kinds
        together, and where the curve ends before.
    statistical_inefficiency
        Frames per independent sample.
    cn_rad
        What it would be without a cutoff: donors that no nearer donor hides from the ion; NaN for molecules.
    verdict
        In words: what the number is worth, and how much more sampling it needs.
    """

    donor: str
    counted: str
    cutoff_A: float
    cn: float
    cn_stderr: float
    cn_low: float
    cn_high: float
    cn_integral: float
    cn_shorter: float
    cn_longer: float
    n_frames: int
    peak_A: float
    statistical_inefficiency: float
    cn_rad: float
    verdict: str


def coordination(
    donor: str,
    counted: str,
    shell: FirstShell,
    counts: NDArray[np.float64],
    frame_ps: float,
    rng: np.random.Generator,
    exchanged: Turnover | None = None,
    species: Iterable[str] | None = None,
    *,
    cn_rad: float = math.nan,
    curve: RadialDistribution | None = None,
) -> Coordination:
    """Average the counts of each frame, with error and verdict.

    Parameters
    ----------
    counts
        Donors (or molecules) per ion in each frame, (n_frames,).
    frame_ps
        Time between frames, ps; NaN when it is not known, and the verdict is given in frames.
    rng
        Draws the blocks of the bootstrap.
    exchanged
        How often molecules came and went, which bounds the error from below; not asked where it is not given.
    species
        Those that have this kind of donor; all where it is not given.
    cn_rad
        Of the parameter-free shell, with which the verdict compares.
    curve
        Whose integral is set beside the counts; None where counts of molecules have none.
    """
    other = f"{cn_rad:.2f} without a cutoff (RAD)"
    if math.isnan(shell.cutoff_A) or not counts.size:
        verdict = "; ".join(filter(None, (shell.note, other if math.isfinite(cn_rad) else "")))
        unknown = (math.nan,) * 8
        return Coordination(donor, counted, *unknown, len(counts), shell.peak_A, math.nan, cn_rad, verdict)
    found = frames = average(counts)
    samples = math.inf
    if exchanged is not None:
        samples = exchanged.samples_of_all if species is None else exchanged.samples(species)
        # What the ions hold together varies by so much less than what one of them holds.
        variance = exchanged.n_ions * float(np.var(counts))
        found = with_turnover(found, variance, samples, exchanged.between_ions[donor, counted])
    mean, error, n_frames, inefficiency = found
    differs = abs(cn_rad - mean) > (error if error > 0 else 0.005)
    whole, shorter, longer = _integrals(curve, shell.cutoff_A)
    moved = f"{shorter:.2f} to {longer:.2f} for cutoffs within {CUTOFF_BAND_A:g} Å" if longer > 0 else ""
    seldom = exchanged.told if exchanged is not None and samples < FEWEST_SAMPLES else ""
    words = (shell.note, _verdict(counts, mean, error, frame_ps, seldom), other if differs else "", moved)
    verdict = "; ".join(filter(None, words))
    return Coordination(
        donor,
        counted,
        shell.cutoff_A,
        mean,
        error,
        *_bounds(counts, frames, found, rng),
        whole,
        shorter,
        longer,
        n_frames,
        shell.peak_A,
        inefficiency,
        cn_rad,
        verdict,
    )


def _integrals(curve: RadialDistribution | None, cutoff_A: float) -> tuple[float, float, float]:
    """Integral of g to the cutoff, to one a little shorter and to one a little longer."""
    if curve is None:
        return math.nan, math.nan, math.nan
    half_A = float(curve.r_A[1] - curve.r_A[0]) / 2
    ends_A = cutoff_A + CUTOFF_BAND_A * np.array([0.0, -1.0, 1.0])
    # n counts to the outer edge of each bin.
    whole, shorter, longer = np.interp(ends_A, curve.r_A + half_A, curve.n, right=math.nan).tolist()
    return whole, shorter, longer


def _bounds(
    counts: NDArray[np.float64], frames: Average, found: Average, rng: np.random.Generator
) -> tuple[float, float]:
    """Bounds at 95 %: those of the frames, or of the exchanges where these say less."""
    low, high = interval(counts, rng)
    if math.isnan(found.stderr):
        return math.nan, math.nan
    if found.stderr > frames.stderr:
        half_width = _TWO_SIDED * found.stderr
        low, high = max(0.0, found.mean - half_width), found.mean + half_width
    return low, high


def _verdict(counts: NDArray[np.float64], mean: float, error: float, frame_ps: float, seldom: str) -> str:
    timed = math.isfinite(frame_ps) and frame_ps > 0
    length = len(counts) * frame_ps if timed else len(counts)
    unit = "ps" if timed else "frames"
    if np.ptp(counts) == 0:
        if mean == 0:
            return f"never in the shell in {length:.3g} {unit}"
        return f"the shell never changed in {length:.3g} {unit}: no error can be given, run until donors exchange"
    if seldom:
        return f"{seldom} in {length:.3g} {unit}: no error can be given, run until species exchange"
    if math.isnan(error):
        return f"fewer than ten independent samples in {length:.3g} {unit}: no error can be given, run ten times longer"
    relative = error / mean
    if relative <= 0.05:
        return f"error {100 * relative:.1f} %: enough, for the shells that this run has visited"
    more = length * ((relative / 0.05) ** 2 - 1)
    return f"error {100 * relative:.0f} %: run {more:.2g} {unit} more for 5 %"
