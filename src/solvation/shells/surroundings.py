"""The one pass over a trajectory: donors counted around its ions, and the near pairs kept."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from solvation.errors import TrajectoryError
from solvation.shells.coordination import contact_distance_A, farthest_shell_A
from solvation.shells.pairs import PairSpool
from solvation.shells.rdf import RdfAccumulator
from solvation.trajectory.frames import Trajectory
from solvation.trajectory.neighbours import cells_A
from solvation.trajectory.window import refuse_own_donors

#: First shells end within this distance: of Li+ and Na+ at 3 Å, of Cs+ or of whole anions at 5 Å.
SHELL_REACH_A = 6.0
#: Diamond holds 0.18 atoms per Å³, and no bond is shorter than 0.7 Å.
_DENSEST_PER_A3, _NEAREST_A, _ATOMS_LOOKED_AT = 0.5, 0.3, 2000
#: A process is worth starting for this many frames.
_FRAMES_A_PROCESS = 50


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Who stands around whom.

    Attributes
    ----------
    atoms
        Indices in the file of all atoms that count, (n_atoms,); below, atoms are numbered among these.
    ions
        (n_ions,).
    donors
        By kind, (n_donors of the kind,).
    kind, owner
        Kind (its position in `donors`) and molecule of each donor, one kind after another, (n_donors,).
    ion_owner
        Molecule of each ion, (n_ions,).
    species
        Name of each molecule of the file.
    contact_A
        Farthest contact of an ion and a donor of each kind; NaN where the topology does not tell the elements.
    reach_A
        Distance up to which the pairs of each kind matter to first shells and ion pairs, (n_kinds,).
    shell_reach_A
        Distance beyond which no first shell of a kind ends, (n_kinds,).
    own_molecule
        Whether donors of the ion's own molecule count.
    """

    atoms: NDArray[np.int64]
    ions: NDArray[np.int64]
    donors: dict[str, NDArray[np.int64]]
    kind: NDArray[np.int64]
    owner: NDArray[np.int64]
    ion_owner: NDArray[np.int64]
    species: list[str]
    contact_A: dict[str, float]
    reach_A: NDArray[np.float64]
    shell_reach_A: NDArray[np.float64]
    own_molecule: bool = False

    @property
    def before(self) -> NDArray[np.int64]:
        """The donor before each one in its molecule, in the order of the file, or -1, (n_donors,)."""
        order = np.lexsort((np.concatenate(list(self.donors.values())), self.owner))
        found = np.full(len(order), -1)
        follows = self.owner[order[1:]] == self.owner[order[:-1]]
        found[order[1:][follows]] = order[:-1][follows]
        return found


def refuse_other_units(trajectory: Trajectory) -> None:
    """Refuse positions or a box that cannot be in Å, by the first frame.

    Raises
    ------
    TrajectoryError
        The box holds more atoms than any matter does, or half of the atoms touch their neighbours' nuclei.
    """
    positions_A, box_A = trajectory.first_positions()
    if box_A is not None:
        density = len(positions_A) / float(np.abs(np.linalg.det(cells_A(box_A[None])[0])))
        if density > _DENSEST_PER_A3:
            raise TrajectoryError(
                f"{trajectory.source}: {density:.3g} atoms in each Å³ of the box, more than matter holds; "
                "is it in nm? give the box in Å (box_A, --box), and the positions too"
            )
    if len(positions_A) > 1:
        nearest_A = float(np.median(cKDTree(positions_A).query(positions_A[:_ATOMS_LOOKED_AT], k=2)[0][:, 1]))
        if nearest_A < _NEAREST_A:
            raise TrajectoryError(
                f"{trajectory.source}: neighbouring atoms are {nearest_A:.2g} Å apart, less than any bond; "
                "are the positions in nm? write them in Å"
            )


def surroundings(
    trajectory: Trajectory,
    center: str,
    donors: Mapping[str, str],
    anions: Sequence[str],
    r_max_A: float,
    *,
    own_molecule: bool = False,
) -> Surroundings:
    """Find ions and donors by their selections.

    Raises
    ------
    TrajectoryError
        A selection is not valid or matches nothing, or all donors of a kind belong to the molecule of the ion.
    """
    ions = trajectory.select(center)
    kinds = {kind: trajectory.select(selection) for kind, selection in donors.items()}
    atoms = np.unique(np.concatenate([ions, *kinds.values()]))
    elements = trajectory.elements(ions)
    contact_A = {
        kind: min(contact_distance_A(elements, trajectory.elements(indices)), r_max_A, SHELL_REACH_A)
        for kind, indices in kinds.items()
    }
    limit_A = min(r_max_A, SHELL_REACH_A)
    shell_reach_A = {kind: farthest_shell_A(contact, limit_A) for kind, contact in contact_A.items()}
    molecule_of = trajectory.molecule_of
    if not own_molecule:
        refuse_own_donors(ions, kinds, molecule_of)
    return Surroundings(
        atoms=atoms,
        ions=np.searchsorted(atoms, ions),
        donors={kind: np.searchsorted(atoms, indices) for kind, indices in kinds.items()},
        kind=np.repeat(np.arange(len(kinds)), [len(indices) for indices in kinds.values()]),
        owner=np.concatenate([molecule_of[indices] for indices in kinds.values()]),
        ion_owner=molecule_of[ions],
        species=trajectory.species_of(molecule_of),
        contact_A=contact_A,
        reach_A=np.array([limit_A if kind in anions else reach for kind, reach in shell_reach_A.items()]),
        shell_reach_A=np.array(list(shell_reach_A.values())),
        own_molecule=own_molecule,
    )


@dataclass(frozen=True, slots=True)
class Watch:
    """What one pass has seen.

    Attributes
    ----------
    curves
        Pairs by kind and distance.
    times_ps
        Of the frames that were used, (n_frames,); NaN where the file does not tell.
    unblocked
        Donors of each kind in the parameter-free shells of all ions, (n_frames, n_kinds).
    damage
        What is wrong with the file, if anything.
    n_read
        Frames that were read, those before the time to begin at included.
    """

    curves: RdfAccumulator
    times_ps: NDArray[np.float64]
    unblocked: NDArray[np.int32]
    damage: str
    n_read: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some of the frames to be used.

    Attributes
    ----------
    numbers
        Of these frames in the file.
    before, in_all
        Frames to be used before them, and of the whole run.
    after_ps
        What is earlier than this is left out: a file may hold several runs, one after another.
    """

    numbers: range
    before: int
    in_all: int
    after_ps: float


def watch(
    trajectory: Trajectory,
    around: Surroundings,
    stack: ExitStack,
    *,
    r_max_A: float,
    n_bins: int,
    skip_ps: float,
    every: int,
    processes: int,
) -> tuple[Watch, list[PairSpool]]:
    """Read the frames once, several processes each a stretch of them where the file can be read from anywhere.

    Parameters
    ----------
    stack
        Closes the spools of near pairs, and deletes their files.

    Raises
    ------
    TrajectoryError
        Nothing is left after `skip_ps`, or the file holds no times to skip by; otherwise as `RdfAccumulator` and
        `Trajectory.frames`.
    """
    numbers, after_ps = _used(trajectory, skip_ps, every)
    shares = min(processes, len(numbers) // _FRAMES_A_PROCESS) if trajectory.is_random_access else 1
    if shares < 2:
        spool = stack.enter_context(PairSpool())
        return _watch_part(trajectory, around, Stretch(numbers, 0, len(numbers), after_ps), spool, r_max_A, n_bins), [
            spool
        ]
    bounds = [len(numbers) * share // shares for share in range(shares + 1)]
    folder = Path(stack.enter_context(TemporaryDirectory(prefix="solvation-")))
    paths = [folder / f"{share}.pairs" for share in range(shares)]
    with ProcessPoolExecutor(shares) as pool:
        jobs = [
            pool.submit(
                _watch_apart,
                trajectory,
                around,
                Stretch(numbers[begin:end], begin, len(numbers), after_ps),
                path,
                r_max_A,
                n_bins,
            )
            for begin, end, path in zip(bounds[:-1], bounds[1:], paths, strict=True)
        ]
        parts = [job.result() for job in jobs]
    # What comes after a damage is not used.
    asked = [end - begin for begin, end in pairwise(bounds)]
    early = (share for share, part in enumerate(parts) if part.n_read < asked[share])
    sound = next(early, shares - 1)
    for part in parts[1 : sound + 1]:
        parts[0].curves.merge(part.curves)
    times_ps = np.concatenate([part.times_ps for part in parts[: sound + 1]])
    unblocked = np.concatenate([part.unblocked for part in parts[: sound + 1]])
    spools = [stack.enter_context(PairSpool(path)) for path in paths[: sound + 1]]
    # Each process found it in a copy of its own.
    trajectory.damage = parts[sound].damage
    n_read = sum(part.n_read for part in parts[: sound + 1])
    return Watch(parts[0].curves, times_ps, unblocked, trajectory.damage, n_read), spools


def _watch_part(
    trajectory: Trajectory, around: Surroundings, stretch: Stretch, near: PairSpool, r_max_A: float, n_bins: int
) -> Watch:
    curves = RdfAccumulator(
        around.ions, around.donors, r_max_A=r_max_A, n_bins=n_bins, n_frames=stretch.in_all, begin=stretch.before,
        reach_A=around.reach_A, before=around.before, shell_reach_A=around.shell_reach_A,
        molecules=None if around.own_molecule else (around.ion_owner, around.owner),
    )  # fmt: skip
    times_ps = np.empty(len(stretch.numbers))
    unblocked = np.empty((len(times_ps), len(around.donors)), dtype=np.int32)
    done, n_read = 0, 0
    numbers = stretch.numbers
    for frame in trajectory.frames(numbers.step, around.atoms, begin=numbers.start, end=numbers.stop):
        n_read += 1
        if frame.time_ps < stretch.after_ps:
            curves.leave_out()
            continue
        pairs = curves.add(frame)
        near.add(pairs)
        times_ps[done], unblocked[done] = frame.time_ps, pairs.unblocked
        done += 1
    return Watch(curves, times_ps[:done], unblocked[:done], trajectory.damage, n_read)


def _watch_apart(
    trajectory: Trajectory, around: Surroundings, stretch: Stretch, path: Path, r_max_A: float, n_bins: int
) -> Watch:
    """As `_watch_part`, in a process of its own: the pairs go to a file that the first process reads."""
    with PairSpool(path) as near:
        found = _watch_part(trajectory, around, stretch, near, r_max_A, n_bins)
        near.flush()
    return found


def _used(trajectory: Trajectory, skip_ps: float, every: int) -> tuple[range, float]:
    """Numbers of the frames from the first one to be used on, and the time before which none of them is."""
    numbers = range(0, trajectory.n_frames, every)
    if skip_ps <= 0:
        return numbers, -math.inf
    begin_ps = time_ps = next(trajectory.frames()).time_ps
    if math.isnan(begin_ps):
        raise TrajectoryError(
            f"{trajectory.source}: holds no times, so skip_ps {skip_ps:g} cannot be left out; "
            "give the time between frames (timestep_ps, --timestep-ps)"
        )
    after_ps = begin_ps + skip_ps * (1 - 1e-6)
    known, number = trajectory.damage, 0
    while number < len(numbers):
        for frame in trajectory.frames(every, np.arange(1), begin=numbers[number]):
            time_ps = frame.time_ps
            if time_ps >= after_ps:
                return numbers[number:], after_ps
            number += 1
        # It ended at a damage: in what is skipped that does not matter.
        trajectory.damage = known
        number += 1
    raise TrajectoryError(
        f"{trajectory.source}: nothing is left after skip_ps {skip_ps:g} of {time_ps - begin_ps:g} ps; lower it"
    )
