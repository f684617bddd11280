"""Free energies from the windows of a walk: MBAR over the way in, the way out, and both."""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from ase import units
from numpy.typing import NDArray

from solvation.errors import TrajectoryError
from solvation.study import Bias
from solvation.uncertainty import statistical_inefficiency

Way = Literal["in", "out", "both"]
#: Width of the bins of the curve, Å.
BIN_A = 0.1
#: Stands for infinity where a state does not allow a sample; exp(-this) is zero.
_NEVER = 1e4
_FEWEST = 5
#: Share of exchanges between two windows below which nothing connects them.
_FEWEST_EXCHANGES = 1e-5
#: A chain of windows that overlap less is weak.
LEAST_OVERLAP = 0.03


@dataclass(frozen=True, slots=True)
class Window:
    """Frames under one bias, those in which it settled left out.

    Attributes
    ----------
    bias
        Under which they were run.
    nearest_A
        x of each frame: the smooth minimum of the distances (`umbrella.nearest_A`), (n_frames,), Å.
    at_ion
        Copies of the ligand at the ion, (n_frames,).
    shells
        Shell of the ion in each frame, as `3 EC + 1 TDA`.
    """

    bias: Bias
    nearest_A: NDArray[np.float64]
    at_ion: NDArray[np.int64]
    shells: tuple[str, ...]

    def bias_eV(self, nearest_A: NDArray[np.float64]) -> NDArray[np.float64]:
        """The bias at these distances, eV."""
        beyond_A = nearest_A - self.bias.centre_A
        if self.bias.is_wall:
            beyond_A = np.minimum(beyond_A, 0.0)
        return np.asarray(0.5 * self.bias.stiffness_eV_A2 * beyond_A**2)

    def thinned(self) -> Window:
        """Those frames alone that lie so far apart that they are independent."""
        count = len(self.nearest_A)
        inefficiency = statistical_inefficiency(self.nearest_A)
        every = count if math.isnan(inefficiency) else inefficiency
        kept = np.unique(np.arange(0, count, every).astype(np.int64))
        return Window(self.bias, self.nearest_A[kept], self.at_ion[kept], tuple(self.shells[frame] for frame in kept))


@dataclass(frozen=True, slots=True)
class About:
    """What is led where: its profile, the box, the ligand, and how many copies of it stand at the ion already."""

    profile: str
    box: str
    ligand: str
    held: int


@dataclass(frozen=True, slots=True)
class CurveRow:
    """A row of `profile_curves.csv`: -kT ln of the density of the nearest donor's distance, lowest point at zero.

    `stderr_eV` is that of the difference from the lowest point.
    """

    profile: str
    way: str
    distance_A: float
    free_energy_eV: float
    stderr_eV: float
    samples: int


@dataclass(frozen=True, slots=True)
class ShellRow:
    """A row of `profile_shells.csv`: share of a shell, with `at_ion` copies of the ligand, in the liquid without bias.

    Attributes
    ----------
    share
        Among the shells with so many copies, which a walk sees as they are.
    population
        Among all, by the free energy; more copies than the walk leads are left to other profiles.
    """

    profile: str
    way: str
    at_ion: int
    shell: str
    share: float
    population: float


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """A row of `profiles.csv`: what one more copy of the ligand at the ion gains, at the composition of the box.

    Attributes
    ----------
    way
        `in`, `out`, or `both`.
    held
        Copies that stand at the ion before.
    free_energy_eV
        -kT ln p(held + 1) / p(held), where p is the share of the time with so many copies at the ion, whichever they
        are. In a walk certain copies are held, and any of the held + 1 could be the one that is not: kT ln (held + 1)
        is added to what its frames say.
    stderr_eV
        Of the samples alone; of `both`, with half the difference of the two ways besides.
    barrier_in_eV, barrier_out_eV
        From the lowest point far away and from the lowest near the ion to the highest between them.
    least_overlap
        Smallest overlap of a window with the next one, 0 to 1; below `LEAST_OVERLAP` the chain is weak.
    samples
        Independent ones.
    note
        What is wrong with it.
    """

    profile: str
    box: str
    ligand: str
    held: int
    way: str
    free_energy_eV: float
    stderr_eV: float
    barrier_in_eV: float
    barrier_out_eV: float
    least_overlap: float
    samples: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Estimate:
    """All of one profile; of each way, and of both together."""

    steps: tuple[ProfileRow, ...]
    curve: tuple[CurveRow, ...]
    shells: tuple[ShellRow, ...]


def estimate(
    inwards: Sequence[Window], outwards: Sequence[Window], about: About, *, contact_A: float, temperature_K: float
) -> Estimate:
    """Free energies of a walk, in and out again.

    Every window is thinned by the statistical inefficiency of its distance, and all windows of a way go into one
    solution of the equations of MBAR. What a window has not forgotten is the other end on the two ways: where they
    differ by more than their errors, the windows are too short.

    Parameters
    ----------
    inwards, outwards
        Windows in the order in which they were run.
    about
        What the rows are of.
    contact_A
        Donors nearer than this are at the ion; divides near from far for the barriers.

    Raises
    ------
    TrajectoryError
        A way has no frame with `held` copies, or none with one more; or neighbouring windows share no distances, so
        that there is no chain of free energies between them.

    References
    ----------
    Shirts & Chodera, J. Chem. Phys. 129, 124105 (2008): MBAR.
    Klimovich, Shirts & Mobley, J. Comput. Aided Mol. Des. 29, 397 (2015): the overlap matrix and its 0.03.
    """
    kT_eV = units.kB * temperature_K
    there, back = ([window.thinned() for window in windows] for windows in (inwards, outwards))
    for windows in (there, back):
        _refuse_gaps(windows, kT_eV)
    ways: dict[Way, Sequence[Window]] = {"in": there, "out": back, "both": [*there, *back]}
    found = {way: _solved(way, chosen, about, contact_A, kT_eV) for way, chosen in ways.items()}
    steps = {way: step for way, (step, _, _) in found.items()}
    apart_eV = 0.5 * abs(steps["in"].free_energy_eV - steps["out"].free_energy_eV)
    both = steps["both"]
    overlap = min(steps["in"].least_overlap, steps["out"].least_overlap)
    stderr_eV = math.hypot(both.stderr_eV, apart_eV)
    notes = [step.note for step in (steps["in"], steps["out"]) if step.note]
    if apart_eV > math.hypot(steps["in"].stderr_eV, steps["out"].stderr_eV):
        notes.append("the ways in and out disagree: lengthen window_ps")
    note = "; ".join(dict.fromkeys(notes))
    widened = replace(both, stderr_eV=stderr_eV, least_overlap=overlap, note=note)
    return Estimate(
        (steps["in"], steps["out"], widened),
        tuple(row for _, curve, _ in found.values() for row in curve),
        tuple(row for _, _, shells in found.values() for row in shells),
    )


def _solved(
    way: Way, windows: Sequence[Window], about: About, contact_A: float, kT_eV: float
) -> tuple[ProfileRow, list[CurveRow], list[ShellRow]]:
    """One solution of MBAR over independent frames, and what follows from it."""
    nearest_A = np.concatenate([window.nearest_A for window in windows])
    at_ion = np.concatenate([window.at_ion for window in windows])
    shells = [shell for window in windows for shell in window.shells]
    held = about.held
    away, near = at_ion == held, at_ion == held + 1
    for frames, count in ((away, held), (near, held + 1)):
        if not frames.any():
            raise TrajectoryError(
                f"the way {way} has no frame with {count} of the ligand at the ion; lengthen window_ps, or set far_A "
                "beyond and near_A within the first peak of g(r)"
            )
    first, edges_A = _bins(nearest_A)
    states = [away, near, *(first == number for number in range(len(edges_A) - 1))]
    counts = np.array([state.sum() for state in states])
    kept = [number for number, count in enumerate(counts) if count > 0]
    biases_eV = [*(window.bias_eV(nearest_A) for window in windows), np.zeros_like(nearest_A)]
    solved = _mbar(np.array(biases_eV) / kT_eV, [*(len(window.nearest_A) for window in windows), 0])
    gaps, errors = _free_energies(solved, [states[number] for number in kept], kT_eV)
    bins = [place for place, number in enumerate(kept) if number >= 2]
    # The bins are of one width, so differences of their free energies are those of the density.
    lowest = min(bins, key=lambda place: gaps[0, place])
    curve = [
        CurveRow(
            about.profile, way, round(float(edges_A[kept[place] - 2] + BIN_A / 2), 4), float(gaps[lowest, place]),
            float(errors[lowest, place]), int(counts[kept[place]]),
        )
        for place in bins
    ]  # fmt: skip
    inwards_eV, outwards_eV = _barriers(curve, contact_A)
    neighbours = np.diagonal(solved.compute_overlap()["matrix"], offset=1)[: len(windows) - 1]
    overlap, place = float(neighbours.min()), int(neighbours.argmin())
    step = ProfileRow(
        **asdict(about), way=way,
        free_energy_eV=float(gaps[0, 1]) + kT_eV * math.log(held + 1), stderr_eV=float(errors[0, 1]),
        barrier_in_eV=inwards_eV, barrier_out_eV=outwards_eV, least_overlap=overlap, samples=len(nearest_A),
        note=_broken(overlap, place, windows),
    )  # fmt: skip
    # The last state is the liquid without a bias, of which there are no samples. There any of the copies at the ion may
    # be the held ones: a shell is met in as many walks, and counts once.
    choices = np.array([max(1, math.comb(copies, held)) for copies in at_ion.tolist()])
    weights = solved.weights()[:, -1] / choices
    return step, curve, _shell_rows(about, way, weights / weights.sum(), shells, at_ion)


def _refuse_gaps(windows: Sequence[Window], kT_eV: float) -> None:
    """Raise where two windows in a row would exchange next to no frames; MBAR would take minutes to find nothing."""
    for one, other in pairwise(windows):
        mine = (one.bias_eV(other.nearest_A) - other.bias_eV(other.nearest_A))[:, None]
        theirs = (other.bias_eV(one.nearest_A) - one.bias_eV(one.nearest_A))[None, :]
        accepted = float(np.exp(-np.maximum(mine + theirs, 0.0) / kT_eV).mean())
        if accepted < _FEWEST_EXCHANGES:
            raise TrajectoryError(
                f"windows at {one.bias.centre_A:g} and {other.bias.centre_A:g} Å share no distances (an exchange would "
                f"be accepted {accepted:.1g} times); shorten step_A or wide_step_A"
            )


def _bins(nearest_A: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Number of the bin of each distance, and the edges."""
    low = math.floor(nearest_A.min() / BIN_A)
    high = math.floor(nearest_A.max() / BIN_A) + 1
    edges_A = np.arange(low, high + 1) * BIN_A
    return np.clip(np.digitize(nearest_A, edges_A) - 1, 0, high - low - 1), edges_A


def _mbar(reduced: NDArray[np.float64], counts: Sequence[int]) -> Any:
    # pymbar advises about JAX on import, on a logger of its own.
    logging.getLogger("pymbar").setLevel(logging.ERROR)
    from pymbar import MBAR

    return MBAR(reduced, np.array(counts), relative_tolerance=1e-9)


def _free_energies(
    solved: Any, states: Sequence[NDArray[np.bool_]], kT_eV: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Differences of free energy of regions without bias, [i, j] = j - i, eV, and their errors."""
    reduced = np.where(np.array(states), 0.0, _NEVER)
    told = solved.compute_perturbed_free_energies(reduced, compute_uncertainty=True)
    return np.asarray(told["Delta_f"]) * kT_eV, np.asarray(told["dDelta_f"]) * kT_eV


def _barriers(curve: Sequence[CurveRow], contact_A: float) -> tuple[float, float]:
    """Height of the highest point between the lowest near and the lowest far, from the far and from the near one."""
    known = [row for row in curve if row.samples >= _FEWEST]
    near = [row for row in known if row.distance_A < contact_A]
    far = [row for row in known if row.distance_A >= contact_A]
    if not near or not far:
        return math.nan, math.nan
    bottom = min(near, key=lambda row: row.free_energy_eV)
    plain = min(far, key=lambda row: row.free_energy_eV)
    top_eV = max(row.free_energy_eV for row in known if bottom.distance_A <= row.distance_A <= plain.distance_A)
    return top_eV - plain.free_energy_eV, top_eV - bottom.free_energy_eV


def _broken(overlap: float, place: int, windows: Sequence[Window]) -> str:
    """What to mend where the windows `place` and `place + 1` overlap too little."""
    if overlap >= LEAST_OVERLAP:
        return ""
    one, other = windows[place].bias, windows[place + 1].bias
    return f"windows at {one.centre_A:g} and {other.centre_A:g} Å hardly overlap: shorten step_A or wide_step_A"


def _shell_rows(
    about: About, way: Way, weights: NDArray[np.float64], shells: Sequence[str], at_ion: NDArray[np.int64]
) -> list[ShellRow]:
    """Shares of shells without bias, the most common first."""
    shares: dict[tuple[int, str], float] = defaultdict(float)
    alike: dict[int, float] = defaultdict(float)
    for copies, shell, weight in zip(at_ion.tolist(), shells, weights.tolist(), strict=True):
        shares[copies, shell] += weight
        alike[copies] += weight
    ordered = sorted(shares.items(), key=lambda item: (-item[1], item[0]))
    return [
        ShellRow(about.profile, way, copies, shell, share / alike[copies], share)
        for (copies, shell), share in ordered
        if share > 0
    ]


#: What the analysis of one profile writes.
TABLES: dict[str, type[Any]] = {
    "profiles.csv": ProfileRow,
    "profile_curves.csv": CurveRow,
    "profile_shells.csv": ShellRow,
}
