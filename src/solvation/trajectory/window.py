"""The part of a trajectory that is analysed: what comes after the start that is left out; and what its atoms are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from solvation.errors import TrajectoryError
from solvation.trajectory.frames import Frame, Trajectory
from solvation.trajectory.neighbours import own_donors

#: Stretches of a run whose spread gives the error of its averages.
BLOCKS = 8


def frames_after(
    trajectory: Trajectory, skip_ps: float = 0.0, every: int = 1, atoms: NDArray[np.int64] | None = None
) -> Iterator[Frame]:
    """Yield every `every`-th frame from `skip_ps` after the first one on.

    Parameters
    ----------
    atoms
        Indices of the atoms whose positions are wanted, (n_wanted,); None for all.

    Raises
    ------
    TrajectoryError
        The file holds no times to skip by, or nothing is left; and as `Trajectory.frames`.
    """
    for _, frame in _numbered(trajectory, skip_ps, every, atoms):
        yield frame


def frames_in_blocks(
    trajectory: Trajectory, skip_ps: float = 0.0, every: int = 1, atoms: NDArray[np.int64] | None = None
) -> Iterator[tuple[int, Frame]]:
    """As `frames_after`, each frame with the number of the stretch it belongs to: `BLOCKS` of what is not skipped."""
    total, first = -(-trajectory.n_frames // every), 0
    for place, (number, frame) in enumerate(_numbered(trajectory, skip_ps, every, atoms)):
        first = number if place == 0 else first
        yield block_of(place, total - first), frame


def _numbered(
    trajectory: Trajectory, skip_ps: float, every: int, atoms: NDArray[np.int64] | None
) -> Iterator[tuple[int, Frame]]:
    """Frames that are not skipped, numbered as they stand among every `every`-th of the file."""
    begin_ps, left = math.nan, 0
    for number, frame in enumerate(trajectory.frames(every, atoms)):
        if number == 0:
            begin_ps = frame.time_ps
            if skip_ps > 0 and math.isnan(begin_ps):
                raise TrajectoryError(
                    f"{trajectory.source}: holds no times, so skip_ps {skip_ps:g} cannot be left out; "
                    "give the time between frames (timestep_ps, --timestep-ps)"
                )
        if skip_ps > 0 and frame.time_ps < begin_ps + skip_ps * (1 - 1e-6):
            continue
        left += 1
        yield number, frame
    if not left:
        raise TrajectoryError(f"{trajectory.source}: nothing is left after skip_ps {skip_ps:g}; lower it")


def block_of(number: int, n_frames: int, blocks: int = BLOCKS) -> int:
    """Which of the blocks the frame of this number belongs to, of frames that are as many or fewer than told."""
    return min(blocks - 1, number * blocks // max(n_frames, 1))


def refuse_own_donors(
    ions: NDArray[np.int64], donors: Mapping[str, NDArray[np.int64]], molecule_of: NDArray[np.int64]
) -> None:
    """Refuse donors that leave nothing to count: all of a kind in the molecule of each ion, as in a framework.

    Raises
    ------
    TrajectoryError
        With the kind.
    """
    for kind, atoms in donors.items():
        own = own_donors(molecule_of[ions], molecule_of[atoms])
        if own.min() == len(atoms) and not np.array_equal(atoms, ions):
            raise TrajectoryError(
                f"donors '{kind}': all belong to the molecule of each center, whose own donors are left out; count "
                "them (own_molecule, --own-molecule)"
            )


def symbols_of(trajectory: Trajectory, atoms: NDArray[np.int64]) -> NDArray[np.str_]:
    """Chemical symbols of some atoms, (n_atoms,), as `Topology.symbols` finds them.

    Raises
    ------
    TrajectoryError
        Nothing tells that of an atom.
    """
    symbols = trajectory.symbols(atoms)
    if "" in symbols:
        atom = int(atoms[symbols.index("")])
        name = str(getattr(trajectory.universe.atoms[atom], "name", "")) or str(
            getattr(trajectory.universe.atoms[atom], "type", "")
        )
        raise TrajectoryError(
            f"{trajectory.source}: atom {atom + 1} has no element ('{name}'); give a topology with elements"
        )
    return np.array(symbols)
