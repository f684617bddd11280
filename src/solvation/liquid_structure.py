"""The structure of a liquid around its ions: g(r), n(r) and coordination numbers of every donor kind."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from solvation.coordination import Coordination, FirstShell, contact_distance_A, coordination, first_shell
from solvation.errors import TrajectoryError
from solvation.rdf import RadialDistribution, RdfAccumulator
from solvation.shell_pairs import PairSpool
from solvation.tidy import write_rows
from solvation.trajectory import Frame, Trajectory

TOTAL = "total"
#: First shells end within this distance: of Li+ and Na+ at 3 Å, of Cs+ or of whole anions at 5 Å.
SHELL_REACH_A = 6.0
#: Frames are counted together until they hold so many pairs of ions and donors: one call of numpy then serves many
#: frames, and its arrays still fit into a core's cache.
_BATCH_PAIRS, _MOST_FRAMES = 500_000, 64


@dataclass(frozen=True, slots=True)
class LiquidStructure:
    """Radial distributions and coordination numbers of one trajectory.

    Attributes
    ----------
    coordination
        Two rows for each donor kind, by atom and by molecule, and two for all kinds together (`total`).
    """

    center: str
    rdf: dict[str, RadialDistribution]
    coordination: tuple[Coordination, ...]
    n_frames: int
    length_ps: float


@dataclass(frozen=True, slots=True)
class RdfRow:
    """One bin of one curve: `r_A` is its centre, `n` counts the donors within its outer edge."""

    trajectory: str
    center: str
    donor: str
    r_A: float
    g: float
    n: float
    g_stderr: float
    n_stderr: float


@dataclass(frozen=True, slots=True)
class CoordinationRow:
    """One coordination number of one trajectory; the fields are those of `Coordination`."""

    trajectory: str
    donor: str
    counted: str
    cutoff_A: float
    cn: float
    cn_stderr: float
    n_frames: int
    peak_A: float
    statistical_inefficiency: float
    verdict: str


def analyze_trajectory(
    trajectory: Trajectory,
    *,
    center: str,
    donors: Mapping[str, str],
    r_max_A: float,
    n_bins: int,
    skip_ps: float = 0.0,
    every: int = 1,
) -> LiquidStructure:
    """Analyse the donors around the ions of a trajectory.

    One pass over the file: the curves, and on the way the pairs within 6 Å go to a temporary file (12 bytes each),
    from which they are counted once the curves have told where the shells end.

    Parameters
    ----------
    center
        MDAnalysis selection of the ions.
    donors
        Donor kind -> MDAnalysis selection.
    skip_ps
        Left out at the start.

    Raises
    ------
    TrajectoryError
        A selection matches nothing, donor kinds overlap, a donor kind is named `total`, r_max does not fit the box,
        the file is damaged, nothing is left after `skip_ps`, or the file holds no times to skip by.
    """
    if TOTAL in donors:
        raise TrajectoryError(f"donor name '{TOTAL}' stands for all kinds together; choose another")
    if not donors:
        raise TrajectoryError("no donors are named; give at least one as name: selection")
    chosen = trajectory.select(center)
    all_kinds = {kind: trajectory.select(selection) for kind, selection in donors.items()}
    # Only these atoms are taken from each frame; from here on atoms are counted among them.
    atoms = np.unique(np.concatenate([chosen, *all_kinds.values()]))
    ions = np.searchsorted(atoms, chosen)
    kinds = {kind: np.searchsorted(atoms, indices) for kind, indices in all_kinds.items()}
    reach_A = min(r_max_A, SHELL_REACH_A)
    with PairSpool() as near:
        accumulator, times = _stream(
            trajectory, atoms, ions, kinds, near, r_max_A=r_max_A, n_bins=n_bins, reach_A=reach_A, skip_ps=skip_ps,
            every=every,
        )  # fmt: skip
        curves = accumulator.result()
        ion_elements = trajectory.elements(chosen)
        shells = {
            kind: first_shell(
                curve,
                min(contact_distance_A(ion_elements, trajectory.elements(all_kinds[kind])), reach_A),
                n_samples=len(ions) * len(times),
                limit_A=reach_A,
            )
            for kind, curve in curves.items()
        }
        frame_ps = float(np.median(np.diff(times))) if len(times) > 1 else math.nan
        counts = _counts(near, accumulator, len(ions), shells, trajectory.molecule_of[atoms])
    rows = _rows(counts, shells, frame_ps)
    return LiquidStructure(center, curves, tuple(rows), len(times), len(times) * frame_ps)


def _stream(
    trajectory: Trajectory,
    atoms: NDArray[np.int64],
    ions: NDArray[np.int64],
    kinds: Mapping[str, NDArray[np.int64]],
    near: PairSpool,
    *,
    r_max_A: float,
    n_bins: int,
    reach_A: float,
    skip_ps: float,
    every: int,
) -> tuple[RdfAccumulator, list[float]]:
    """Read the frames once: the curves, the pairs within reach of a shell, and the times."""
    in_all = -(-trajectory.n_frames // every)
    batch = min(_MOST_FRAMES, max(1, _BATCH_PAIRS // (len(ions) * sum(len(item) for item in kinds.values()))))
    waiting: list[Frame] = []

    def count(into: RdfAccumulator) -> None:
        near.add(len(waiting), into.add(waiting), reach_A)
        waiting.clear()

    accumulator: RdfAccumulator | None = None
    times: list[float] = []
    begin_ps = last_ps = math.nan
    for number, frame in enumerate(trajectory.frames(every, atoms)):
        last_ps = frame.time_ps
        if number == 0:
            begin_ps = frame.time_ps
            if skip_ps > 0 and math.isnan(begin_ps):
                raise TrajectoryError(
                    f"{trajectory.source}: holds no times, so skip_ps {skip_ps:g} cannot be left out; "
                    "give the time between frames (timestep_ps, --timestep-ps)"
                )
        if accumulator is None:
            if skip_ps > 0 and frame.time_ps < begin_ps + skip_ps * (1 - 1e-6):
                continue
            accumulator = RdfAccumulator(ions, kinds, r_max_A=r_max_A, n_bins=n_bins, n_frames=in_all - number)
        waiting.append(frame)
        times.append(frame.time_ps)
        if len(waiting) == batch:
            count(accumulator)
    if accumulator is None:
        raise TrajectoryError(
            f"{trajectory.source}: nothing is left after skip_ps {skip_ps:g} of {last_ps - begin_ps:g} ps; lower it"
        )
    if waiting:
        count(accumulator)
    return accumulator, times


def _counts(
    near: PairSpool,
    accumulator: RdfAccumulator,
    n_ions: int,
    shells: Mapping[str, FirstShell],
    molecule_of: NDArray[np.int64],
) -> dict[tuple[str, str], NDArray[np.float64]]:
    """Donors per ion in each frame, (n_frames,), by (kind, atom or molecule)."""
    cutoffs_A = np.array([shells[kind].cutoff_A for kind in accumulator.kinds])
    owner = molecule_of[accumulator.donors]
    n_molecules = int(molecule_of.max()) + 1
    parts: dict[tuple[str, str], list[NDArray[np.int64]]] = {
        (kind, counted): [] for kind in (*accumulator.kinds, TOTAL) for counted in ("atom", "molecule")
    }
    for chunk in near.chunks():
        kind_of = accumulator.kind[chunk.donor]
        # A comparison with a cutoff that is NaN is false: such a kind counts nothing.
        inside = chunk.distance_A < cutoffs_A[kind_of]
        frame, kind_of = chunk.frame[inside], kind_of[inside]
        # One number for each ion and molecule that meet in a frame, so that a molecule counts once.
        meeting = (frame * n_ions + chunk.ion[inside]) * n_molecules + owner[chunk.donor[inside]]
        for number, kind in enumerate((*accumulator.kinds, TOTAL)):
            mine = kind_of == number if kind != TOTAL else np.full(len(frame), True)
            whole = np.unique(meeting[mine]) // (n_ions * n_molecules)
            parts[kind, "atom"].append(np.bincount(frame[mine], minlength=chunk.n_frames))
            parts[kind, "molecule"].append(np.bincount(whole, minlength=chunk.n_frames))
    return {key: np.concatenate(found) / n_ions for key, found in parts.items()}


def _rows(
    counts: Mapping[tuple[str, str], NDArray[np.float64]], shells: Mapping[str, FirstShell], frame_ps: float
) -> list[Coordination]:
    without = [kind for kind, shell in shells.items() if math.isnan(shell.cutoff_A)]
    ends = [shell.cutoff_A for shell in shells.values() if math.isfinite(shell.cutoff_A)]
    note = f"without {', '.join(without)}" if without else ""
    whole = FirstShell(math.nan, max(ends, default=math.nan), note)
    return [
        coordination(kind, counted, shell, counts[kind, counted], frame_ps)
        for kind, shell in (*shells.items(), (TOTAL, whole))
        for counted in ("atom", "molecule")
    ]


def write_tables(structure: LiquidStructure, folder: Path, name: str) -> None:
    """Write `rdf.csv` and `coordination.csv` (docs/tables.md)."""
    curves = [
        RdfRow(name, structure.center, kind, *(float(value) for value in row))
        for kind, curve in structure.rdf.items()
        for row in zip(curve.r_A, curve.g, curve.n, curve.g_stderr, curve.n_stderr, strict=True)
    ]
    write_rows(folder / "rdf.csv", RdfRow, curves)
    numbers = [CoordinationRow(name, *astuple(row)) for row in structure.coordination]
    write_rows(folder / "coordination.csv", CoordinationRow, numbers)
