"""The structure of a liquid around its ions: curves, coordination numbers, shells and how long they last."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from solvation.errors import TrajectoryError
from solvation.liquids.packing import residue_names
from solvation.shells.contacts import TOTAL, KindResidence, contacts, kind_transitions, residences, turnover, unmoved
from solvation.shells.coordination import Coordination, FirstShell, coordination, first_shell
from solvation.shells.exchange import Transition
from solvation.shells.networks import Network
from solvation.shells.rdf import RadialDistribution
from solvation.shells.speciation import Population
from solvation.shells.surroundings import SHELL_REACH_A, Surroundings, refuse_other_units, surroundings, watch
from solvation.shells.turnover import Turnover
from solvation.species import build_molecule
from solvation.study.species import Species
from solvation.trajectory.frames import Trajectory

#: Share of the time between frames by which rounding may move one of them, at most.
_MOST_ROUNDED = 0.3


@dataclass(frozen=True, slots=True)
class LiquidStructure:
    """Radial distributions and coordination numbers of one trajectory.

    Attributes
    ----------
    coordination
        Two rows for each donor kind, by atom and by molecule, and two for all kinds together (`total`).
    speciation
        Populations of the first shells, the most common first, and of ions by their anions where those are named.
    networks
        Molecules by the ions that they hold, and clusters of ions.
    residence
        By donor kind, way of counting, and whether short breaks end a contact.
    transitions
        Which kind enters where which one leaves; empty where the file holds no times.
    unmoved
        Species that hold ions and never left one: the populations of shells with more or less of them are one sample.
    cutoffs_A
        Where the first shell of each donor kind ends; NaN where no end was found.
    window_ps
        Tolerance of the intermittent residence times and window of the transitions, a whole number of frames.
    damage
        What is wrong with the file where the frames before are used, else empty.
    """

    center: str
    rdf: dict[str, RadialDistribution]
    coordination: tuple[Coordination, ...]
    n_frames: int
    length_ps: float
    speciation: tuple[Population, ...]
    networks: tuple[Network, ...]
    residence: tuple[KindResidence, ...]
    transitions: tuple[Transition, ...]
    unmoved: tuple[str, ...]
    cutoffs_A: dict[str, float]
    window_ps: float
    damage: str = ""


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
    own_molecule: bool = False,
    rng: np.random.Generator | None = None,
    processes: int = 1,
) -> LiquidStructure:
    """Analyse the donors around the ions of a trajectory.

    One pass over the file: the curves, and on the way the pairs that a first shell could hold go to a temporary file
    (15 bytes each), from which they are counted once the curves have told where the shells end.

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
    own_molecule
        Count donors of the ion's own molecule, which otherwise are left out.
    rng
        Draws the bootstrap of the residence times; seeded with 0 where it is not given.
    processes
        Read the file together, where it can be read from anywhere (not extended XYZ, not files of VASP); the result
        is the same.

    Raises
    ------
    TrajectoryError
        A selection matches nothing, donor kinds overlap, a donor kind is named `total` or is all in the molecule of
        the ion, r_max does not fit the box,
        the file is not in Å or is damaged (where that is to be refused), nothing is left after `skip_ps`, or the file
        holds no times to skip by.
    """
    if TOTAL in donors:
        raise TrajectoryError(f"donor name '{TOTAL}' stands for all kinds together; choose another")
    for name in anions:
        if name not in donors:
            raise TrajectoryError(f"anion '{name}' is none of the donors ({', '.join(donors)}); name one of them")
    if not donors:
        raise TrajectoryError("no donors are named; give at least one as name: selection")
    refuse_other_units(trajectory)
    around = surroundings(trajectory, center, donors, anions, r_max_A, own_molecule=own_molecule)
    limit_A = min(r_max_A, SHELL_REACH_A)
    with ExitStack() as stack:
        seen, spools = watch(
            trajectory, around, stack, r_max_A=r_max_A, n_bins=n_bins, skip_ps=skip_ps, every=every, processes=processes
        )
        curves = seen.curves.result()
        n_frames = len(seen.times_ps)
        n_samples = len(around.ions) * n_frames
        shells = {
            kind: first_shell(curve, around.contact_A[kind], n_samples=n_samples, limit_A=limit_A)
            for kind, curve in curves.items()
        }
        cutoffs_A = {kind: shell.cutoff_A for kind, shell in shells.items()}
        near = chain.from_iterable(spool.chunks() for spool in spools)
        ends_A = np.array(list(cutoffs_A.values()))
        found = contacts(near, around, ends_A, anions, periodic=seen.curves.periodic)
    unblocked = dict(zip(curves, (seen.unblocked.mean(axis=0) / len(around.ions)).tolist(), strict=True))
    frame_ps, uneven = time_step_ps(seen.times_ps)
    is_timed = frame_ps > 0
    # A hundredth of a frame is rounding of the times.
    gap = math.floor(tolerance_ps / frame_ps + 0.01) if is_timed else 0
    rng = rng or np.random.default_rng(0)
    exchanged = turnover(found.stays, around, n_frames, gap)
    return LiquidStructure(
        center=center,
        rdf=curves,
        coordination=tuple(
            _rows(found.counts, shells, curves, unblocked, frame_ps, (seen.damage, uneven), rng, around, exchanged)
        ),
        n_frames=n_frames,
        length_ps=n_frames * frame_ps,
        speciation=tuple(found.census.populations(exchanged)),
        networks=tuple(found.network.networks()),
        residence=tuple(residences(found.stays, around, shells, n_frames, frame_ps, gap, rng)),
        transitions=tuple(kind_transitions(found.stays, around, n_frames, frame_ps, gap)) if is_timed else (),
        unmoved=unmoved(found.stays, around, n_frames, gap),
        cutoffs_A=cutoffs_A,
        window_ps=gap * frame_ps if is_timed else math.nan,
        damage=seen.damage,
    )


def anion_donors(species: Mapping[str, Species], center: str, donors: Mapping[str, str]) -> list[str]:
    """Donor kinds of the negative species of a packed system; none where its centre is negative itself.

    Parameters
    ----------
    species
        Of its molecules; none for a trajectory of the user's.
    center, donors
        Selections as `donors.json` has them: `resname LI`, and `"<species> <kind>"` -> selection.
    """
    charge = {name: build_molecule(name, one).charge for name, one in species.items()}
    residue = residue_names(list(species))
    if any(charge[name] < 0 for name in species if center == f"resname {residue[name]}"):
        return []
    return [kind for kind in donors if charge.get(kind.split(" ")[0], 0) < 0]


def time_step_ps(times_ps: NDArray[np.float64]) -> tuple[float, str]:
    """Time between frames, and what is wrong with it: NaN where frames have no times or are not evenly spaced."""
    if len(times_ps) < 2 or np.isnan(times_ps).any():
        return math.nan, ""
    steps_ps = np.diff(times_ps)
    usual_ps = float(np.median(steps_ps))
    # Files of single precision round the times of a long run; a frame that is missing is a whole step off.
    slack_ps = min(0.05 * usual_ps + 1e-6 * float(np.abs(times_ps).max()), _MOST_ROUNDED * usual_ps)
    off = np.abs(steps_ps - usual_ps) > slack_ps
    if usual_ps > 0 and not off.any():
        # All of them together tell the step to more digits than any of them.
        return float(times_ps[-1] - times_ps[0]) / len(steps_ps), ""
    at = int(np.argmax(off)) + 1
    return math.nan, (
        f"frames are not evenly spaced (frame {at + 1} at {times_ps[at]:g} ps after {times_ps[at - 1]:g} ps), "
        "so there are no times"
    )


def _species(around: Surroundings, kind: int) -> set[str]:
    """Species whose molecules have donors of one kind."""
    return {around.species[molecule] for molecule in np.unique(around.owner[around.kind == kind])}


def _rows(
    counts: Mapping[tuple[str, str], NDArray[np.float64]],
    shells: Mapping[str, FirstShell],
    curves: Mapping[str, RadialDistribution],
    unblocked: Mapping[str, float],
    frame_ps: float,
    notes: Sequence[str],
    rng: np.random.Generator,
    around: Surroundings,
    exchanged: Turnover,
) -> list[Coordination]:
    without = [kind for kind, shell in shells.items() if math.isnan(shell.cutoff_A)]
    ends = [shell.cutoff_A for shell in shells.values() if math.isfinite(shell.cutoff_A)]
    note = f"without {', '.join(without)}" if without else ""
    whole = FirstShell(math.nan, max(ends, default=math.nan), note)
    free = {(kind, "atom"): number for kind, number in (*unblocked.items(), (TOTAL, math.fsum(unblocked.values())))}
    species = {kind: _species(around, number) for number, kind in enumerate(shells)}
    rows = [
        coordination(
            kind, counted, shell, counts[kind, counted], frame_ps, rng, exchanged, species.get(kind),
            cn_rad=free.get((kind, counted), math.nan), curve=curves.get(kind) if counted == "atom" else None,
        )
        for kind, shell in (*shells.items(), (TOTAL, whole))
        for counted in ("atom", "molecule")
    ]  # fmt: skip
    return [replace(row, verdict="; ".join(filter(None, (*notes, row.verdict)))) for row in rows]
