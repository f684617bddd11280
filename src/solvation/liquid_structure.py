"""The structure of a liquid around its ions: g(r), n(r) and coordination numbers of every donor kind."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from solvation.coordination import Coordination, FirstShell, contact_distance_A, coordination, first_shell
from solvation.errors import TrajectoryError
from solvation.provenance import write_text
from solvation.rdf import RadialDistribution, RdfAccumulator, neighbour_pairs
from solvation.trajectory import Frame, Trajectory

TOTAL = "total"


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

    Two passes over the file: the curves, then the counts within the shells that the curves define.

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
        A selection matches nothing, donor kinds overlap, r_max does not fit the box, the file is damaged, or
        nothing is left after `skip_ps`.
    """
    ions = trajectory.select(center)
    kinds = {kind: trajectory.select(selection) for kind, selection in donors.items()}
    times = np.array([frame.time_ps for frame in trajectory.frames(every)])
    used = int(np.count_nonzero(times >= times[0] + skip_ps))
    if not used:
        raise TrajectoryError(
            f"{trajectory.source}: nothing is left after skip_ps {skip_ps:g} of {np.ptp(times):g} ps; lower it"
        )
    skipped = len(times) - used
    accumulator = RdfAccumulator(ions, kinds, r_max_A=r_max_A, n_bins=n_bins, n_frames=used)
    for number, frame in enumerate(trajectory.frames(every)):
        if number >= skipped:
            accumulator.add(frame)
    curves = accumulator.result()
    ion_elements = trajectory.elements(ions)
    shells = {
        kind: first_shell(curve, contact_distance_A(ion_elements, trajectory.elements(kinds[kind])))
        for kind, curve in curves.items()
    }
    frame_ps = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    rows = _counts(trajectory, ions, kinds, shells, skipped, every, frame_ps)
    return LiquidStructure(center, curves, tuple(rows), used, used * frame_ps)


def _counts(
    trajectory: Trajectory,
    ions: NDArray[np.int64],
    kinds: Mapping[str, NDArray[np.int64]],
    shells: Mapping[str, FirstShell],
    skipped: int,
    every: int,
    frame_ps: float,
) -> list[Coordination]:
    counted = [kind for kind in kinds if math.isfinite(shells[kind].cutoff_A)]
    molecule_of = trajectory.molecule_of
    atoms: dict[str, list[float]] = {kind: [] for kind in (*kinds, TOTAL)}
    molecules: dict[str, list[float]] = {kind: [] for kind in (*kinds, TOTAL)}
    for number, frame in enumerate(trajectory.frames(every)):
        if number < skipped or not counted:
            continue
        together: set[tuple[int, int]] = set()
        total = 0
        for kind in counted:
            pairs, found = _in_shell(frame, ions, kinds[kind], shells[kind].cutoff_A, molecule_of)
            atoms[kind].append(pairs / len(ions))
            molecules[kind].append(len(found) / len(ions))
            together |= found
            total += pairs
        atoms[TOTAL].append(total / len(ions))
        molecules[TOTAL].append(len(together) / len(ions))
    whole = FirstShell(math.nan, max((shells[kind].cutoff_A for kind in counted), default=math.nan))
    rows = []
    for kind, shell in (*((kind, shells[kind]) for kind in kinds), (TOTAL, whole)):
        rows.append(coordination(kind, "atom", shell, np.array(atoms[kind]), frame_ps))
        rows.append(coordination(kind, "molecule", shell, np.array(molecules[kind]), frame_ps))
    return rows


def _in_shell(
    frame: Frame,
    ions: NDArray[np.int64],
    donors: NDArray[np.int64],
    cutoff_A: float,
    molecule_of: NDArray[np.int64],
) -> tuple[int, set[tuple[int, int]]]:
    """Number of donor atoms in the shells, and the (ion, molecule) pairs they belong to."""
    ion, donor, _ = neighbour_pairs(frame, ions, donors, cutoff_A)
    owners = molecule_of[donors[donor]]
    return len(ion), {(int(i), int(m)) for i, m in zip(ion, owners, strict=True)}


def write_tables(structure: LiquidStructure, folder: Path, name: str) -> None:
    """Write `rdf.csv` and `coordination.csv` (docs/tables.md); a number that is not known is an empty cell."""
    lines = ["trajectory,center,donor,r_A,g,n,g_stderr,n_stderr"]
    for kind, curve in structure.rdf.items():
        columns = (curve.r_A, curve.g, curve.n, curve.g_stderr, curve.n_stderr)
        lines += [
            ",".join([_text(name), _text(structure.center), _text(kind), *(_number(value) for value in row)])
            for row in zip(*columns, strict=True)
        ]
    write_text(folder / "rdf.csv", "\n".join(lines) + "\n")
    lines = [
        "trajectory,donor,counted,cutoff_A,cn,cn_stderr,n_frames,peak_A,statistical_inefficiency,verdict",
    ]
    lines += [
        ",".join(
            [
                _text(name), _text(row.donor), row.counted, _number(row.cutoff_A), _number(row.cn),
                _number(row.cn_stderr), str(row.n_frames), _number(row.peak_A), _number(row.statistical_inefficiency),
                _text(row.verdict),
            ]
        )
        for row in structure.coordination
    ]  # fmt: skip
    write_text(folder / "coordination.csv", "\n".join(lines) + "\n")


def _text(value: str) -> str:
    return '"' + value.replace('"', '""') + '"' if any(mark in value for mark in ',"\n') else value


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.8g}"
