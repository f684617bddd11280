"""The structure of a liquid around its ions: curves, coordination numbers, shells and how long they last."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solvation.coordination import Coordination, FirstShell, contact_distance_A, coordination, first_shell
from solvation.errors import TrajectoryError
from solvation.exchange import Residence, Stays, Transition, residence, stays_of, transitions, united
from solvation.rdf import RadialDistribution, RdfAccumulator
from solvation.shell_pairs import PairSpool
from solvation.speciation import Population, ShellCensus
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
    speciation
        Populations of the first shells, the most common first, and of ions by their anions where those are named.
    residence
        By donor kind, way of counting, and whether short breaks end a contact.
    transitions
        Which kind enters where which one leaves; empty where the file holds no times.
    cutoffs_A
        Where the first shell of each donor kind ends; NaN where no end was found.
    window_ps
        Tolerance of the intermittent residence times and window of the transitions, a whole number of frames.
    """

    center: str
    rdf: dict[str, RadialDistribution]
    coordination: tuple[Coordination, ...]
    n_frames: int
    length_ps: float
    speciation: tuple[Population, ...]
    residence: tuple[KindResidence, ...]
    transitions: tuple[Transition, ...]
    cutoffs_A: dict[str, float]
    window_ps: float


@dataclass(frozen=True, slots=True)
class KindResidence:
    """Residence time of one donor kind, counted one way.

    Attributes
    ----------
    measure
        `continuous`: a contact ends with the first frame without it; `intermittent`: breaks up to the tolerance are
        closed.
    """

    donor: str
    counted: str
    measure: str
    found: Residence


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


@dataclass(frozen=True, slots=True)
class SpeciationRow:
    """Population of one kind of shell; `cutoffs_A` says where the shells of the donor kinds end."""

    trajectory: str
    grouped: str
    shell: str
    population: float
    population_stderr: float
    n_frames: int
    statistical_inefficiency: float
    cutoffs_A: str


@dataclass(frozen=True, slots=True)
class ResidenceRow:
    """One residence time of one trajectory; the fields are those of `KindResidence` and `Residence`."""

    trajectory: str
    donor: str
    counted: str
    measure: str
    tolerance_ps: float
    cutoff_A: float
    residence_ps: float
    residence_stderr_ps: float
    longer_than_ps: float
    survived: float
    contacts: int
    departures: int
    verdict: str


@dataclass(frozen=True, slots=True)
class TransitionRow:
    """One pair of donor kinds of one trajectory; the fields are those of `Transition`."""

    trajectory: str
    window_ps: float
    leaves: str
    enters: str
    events: int
    entered_first: int
    probability: float
    probability_stderr: float
    reverse_events: int
    asymmetry: float
    asymmetry_stderr: float


#: What one analysis writes, and the rows of each table.
TABLES: dict[str, type[Any]] = {
    "rdf.csv": RdfRow,
    "coordination.csv": CoordinationRow,
    "speciation.csv": SpeciationRow,
    "residence.csv": ResidenceRow,
    "transitions.csv": TransitionRow,
}


def analyze_trajectory(
    trajectory: Trajectory,
    *,
    center: str,
    donors: Mapping[str, str],
    r_max_A: float,
    n_bins: int,
    skip_ps: float = 0.0,
    every: int = 1,
    anions: Sequence[str] = (),
    tolerance_ps: float = 2.0,
    rng: np.random.Generator | None = None,
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
    anions
        Donor kinds that belong to anions: ions are then sorted into free, SSIP, CIP and AGG as well.
    tolerance_ps
        Longest break of a contact that an intermittent residence time closes, and window within which a donor takes
        the place of another one. 2 ps is customary since Impey, Madden & McDonald (1983).
    rng
        Draws the bootstrap of the residence times; seeded with 0 where it is not given.

    Raises
    ------
    TrajectoryError
        A selection matches nothing, donor kinds overlap, a donor kind is named `total`, r_max does not fit the box,
        the file is damaged, nothing is left after `skip_ps`, or the file holds no times to skip by.
    """
    if TOTAL in donors:
        raise TrajectoryError(f"donor name '{TOTAL}' stands for all kinds together; choose another")
    for name in anions:
        if name not in donors:
            raise TrajectoryError(f"anion '{name}' is none of the donors ({', '.join(donors)}); name one of them")
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
        molecule_of = trajectory.molecule_of
        counts = _counts(near, accumulator, len(ions), shells, molecule_of[atoms])
        around = _Surroundings(
            n_ions=len(ions),
            kinds=list(kinds),
            kind=accumulator.kind,
            owner=molecule_of[atoms][accumulator.donors],
            cutoffs_A=np.array([shells[kind].cutoff_A for kind in kinds]),
        )
        census = ShellCensus(len(ions), trajectory.species_of(molecule_of), anions=bool(anions))
        stays = _follow(near, around, census, anions)
    rows = _rows(counts, shells, frame_ps)
    gap = max(1, round(tolerance_ps / frame_ps)) if frame_ps > 0 else 0
    return LiquidStructure(
        center=center,
        rdf=curves,
        coordination=tuple(rows),
        n_frames=len(times),
        length_ps=len(times) * frame_ps,
        speciation=tuple(census.populations()),
        residence=tuple(_residences(stays, around, shells, len(times), frame_ps, gap, rng or np.random.default_rng(0))),
        transitions=tuple(_transitions(stays, around, len(times), gap)) if gap else (),
        cutoffs_A={kind: shell.cutoff_A for kind, shell in shells.items()},
        window_ps=gap * frame_ps if gap else math.nan,
    )


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
    n_kinds = len(accumulator.kinds)
    atoms: list[NDArray[np.int64]] = []
    molecules: list[NDArray[np.int64]] = []
    for chunk in near.chunks():
        kind_of = accumulator.kind[chunk.donor]
        # A comparison with a cutoff that is NaN is false: such a kind counts nothing.
        inside = np.flatnonzero(chunk.distance_A < cutoffs_A[kind_of])
        frame, kind_of = chunk.frame[inside], kind_of[inside]
        # One number for each ion and molecule that meet in a frame through a kind, so that a molecule counts once.
        meeting = (frame * n_ions + chunk.ion[inside]) * n_molecules + owner[chunk.donor[inside]]
        through = np.sort(meeting * n_kinds + kind_of)
        through = through[np.append(True, np.diff(through) != 0)] if len(through) else through
        meeting = through // n_kinds
        whole = meeting[np.append(True, np.diff(meeting) != 0)] if len(through) else meeting
        per_frame = n_ions * n_molecules
        atoms.append(_by_kind(frame, kind_of, chunk.n_frames, n_kinds))
        met = _by_kind(meeting // per_frame, through % n_kinds, chunk.n_frames, n_kinds)
        total = np.bincount(whole // per_frame, minlength=chunk.n_frames)
        molecules.append(np.column_stack((met[:, :-1], total)))
    found: dict[tuple[str, str], NDArray[np.float64]] = {}
    for counted, parts in (("atom", atoms), ("molecule", molecules)):
        table = np.concatenate(parts) / n_ions
        found |= {(kind, counted): table[:, place] for place, kind in enumerate((*accumulator.kinds, TOTAL))}
    return found


def _by_kind(frame: NDArray[np.int64], kind: NDArray[np.int64], n_frames: int, n_kinds: int) -> NDArray[np.int64]:
    """Counts by frame and kind, and of all kinds in the last column, (n_frames, n_kinds + 1)."""
    counts = np.bincount(frame * n_kinds + kind, minlength=n_frames * n_kinds).reshape(n_frames, n_kinds)
    return np.column_stack((counts, counts.sum(axis=1)))


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


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """Who the donors are.

    Attributes
    ----------
    kind, owner
        Kind and molecule of each donor, (n_donors,).
    cutoffs_A
        End of the first shell of each kind, (n_kinds,).
    """

    n_ions: int
    kinds: list[str]
    kind: NDArray[np.int64]
    owner: NDArray[np.int64]
    cutoffs_A: NDArray[np.float64]


def _follow(near: PairSpool, around: _Surroundings, census: ShellCensus, anions: Sequence[str]) -> Stays:
    """Count the shells, and find the stays of every donor at every ion: key = ion * n_donors + donor."""
    n_donors = len(around.kind)
    anionic = np.isin(around.kind, [number for number, kind in enumerate(around.kinds) if kind in anions])
    parts: list[Stays] = []
    for chunk in near.chunks():
        begin = census.n_frames
        inside = np.flatnonzero(chunk.distance_A < around.cutoffs_A[around.kind[chunk.donor]])
        frame, ion, donor = chunk.frame[inside], chunk.ion[inside], chunk.donor[inside]
        reach = anionic[chunk.donor]
        near_anion = chunk.frame[reach] * around.n_ions + chunk.ion[reach]
        census.add(chunk.n_frames, frame, ion, around.owner[donor], anionic[donor], near_anion)
        found = stays_of(ion * n_donors + donor, frame, chunk.n_frames)
        parts.append(Stays(found.key, found.start + begin, found.stop + begin))
    return united(parts)


def _residences(
    stays: Stays,
    around: _Surroundings,
    shells: Mapping[str, FirstShell],
    n_frames: int,
    frame_ps: float,
    gap: int,
    rng: np.random.Generator,
) -> list[KindResidence]:
    """Rows by donor kind: each donor atom, each molecule through this kind, and each molecule through any kind."""
    n_donors, n_molecules = len(around.kind), int(around.owner.max()) + 1
    ion, donor = stays.key // n_donors, stays.key % n_donors
    molecules = Stays(ion * n_molecules + around.owner[donor], stays.start, stays.stop)
    rows = []
    for number, kind in enumerate((*around.kinds, TOTAL)):
        mine = np.flatnonzero(around.kind[donor] == number) if kind != TOTAL else np.arange(len(donor))
        ways = [("atom", stays, n_donors), ("molecule", molecules, n_molecules)]
        for counted, of, per_ion in ways if kind != TOTAL else ways[1:]:
            part = Stays(of.key[mine], of.start[mine], of.stop[mine])
            for measure, breaks in (("continuous", 0), ("intermittent", gap)):
                if kind != TOTAL and math.isnan(shells[kind].cutoff_A):
                    found = Residence(*(math.nan,) * 4, 0, 0, shells[kind].note)
                elif measure == "intermittent" and not gap:
                    verdict = "the file holds no times, so no tolerance can be kept; give the time between frames"
                    found = Residence(*(math.nan,) * 4, 0, 0, verdict)
                else:
                    closed = united([part], breaks)
                    found = residence(
                        closed, closed.key // per_ion, n_ions=around.n_ions, n_frames=n_frames, frame_ps=frame_ps,
                        gap=breaks, rng=rng,
                    )  # fmt: skip
                rows.append(KindResidence(kind, counted, measure, found))
    return rows


def _transitions(stays: Stays, around: _Surroundings, n_frames: int, gap: int) -> list[Transition]:
    """Exchange of molecules, each one seen through the kinds of donors that it binds with."""
    n_donors, n_kinds = len(around.kind), len(around.kinds)
    n_molecules = int(around.owner.max()) + 1
    ion, donor = stays.key // n_donors, stays.key % n_donors
    key = (ion * n_molecules + around.owner[donor]) * n_kinds + around.kind[donor]
    closed = united([Stays(key, stays.start, stays.stop)], gap)
    return transitions(
        closed, closed.key // (n_molecules * n_kinds), closed.key % n_kinds, around.kinds, n_frames=n_frames, gap=gap
    )


def write_tables(structure: LiquidStructure, folder: Path, name: str) -> None:
    """Write `TABLES` (docs/tables.md)."""
    curves = [
        RdfRow(name, structure.center, kind, *(float(value) for value in row))
        for kind, curve in structure.rdf.items()
        for row in zip(curve.r_A, curve.g, curve.n, curve.g_stderr, curve.n_stderr, strict=True)
    ]
    write_rows(folder / "rdf.csv", RdfRow, curves)
    numbers = [CoordinationRow(name, *astuple(row)) for row in structure.coordination]
    write_rows(folder / "coordination.csv", CoordinationRow, numbers)
    ends = "; ".join(
        f"{kind} {cutoff_A:.3f}" if math.isfinite(cutoff_A) else f"{kind} none"
        for kind, cutoff_A in structure.cutoffs_A.items()
    )
    shells = [
        SpeciationRow(
            name, row.grouped, row.shell, row.population, row.population_stderr, row.n_frames,
            row.statistical_inefficiency, ends,
        )
        for row in structure.speciation
    ]  # fmt: skip
    write_rows(folder / "speciation.csv", SpeciationRow, shells)
    times = [
        ResidenceRow(
            name, row.donor, row.counted, row.measure, structure.window_ps if row.measure == "intermittent" else 0.0,
            structure.cutoffs_A.get(row.donor, math.nan), *astuple(row.found),
        )
        for row in structure.residence
    ]  # fmt: skip
    write_rows(folder / "residence.csv", ResidenceRow, times)
    events = [TransitionRow(name, structure.window_ps, *astuple(row)) for row in structure.transitions]
    write_rows(folder / "transitions.csv", TransitionRow, events)
