"""The part of a trajectory that is analysed: what comes after the start that is left out; and what its atoms are."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from solvation.errors import TrajectoryError
from solvation.trajectory.frames import Frame, Trajectory

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
        yield frame
    if not left:
        raise TrajectoryError(f"{trajectory.source}: nothing is left after skip_ps {skip_ps:g}; lower it")


def block_of(number: int, n_frames: int, blocks: int = BLOCKS) -> int:
    """Which of the blocks the frame of this number belongs to, of frames that are as many or fewer than told."""
    return min(blocks - 1, number * blocks // max(n_frames, 1))


def symbols_of(trajectory: Trajectory, atoms: NDArray[np.int64]) -> NDArray[np.str_]:
    """Chemical symbols of some atoms, (n_atoms,), from their elements, types or names.

    Raises
    ------
    TrajectoryError
        None of them tells.
    """
    group = trajectory.universe.atoms[atoms]
    told = ([str(item).strip() for item in getattr(group, key, [""])] for key in ("elements", "types", "names"))
    texts = next((item for item in told if all(item)), [""])
    known = {text: _symbol(text) for text in set(texts)}
    for atom, text in zip(atoms.tolist(), texts, strict=False):
        if not known[text]:
            raise TrajectoryError(
                f"{trajectory.source}: atom {atom + 1} has no element ('{text}'); give a topology with elements"
            )
    return np.array([known[text] for text in texts])


def _symbol(text: str) -> str:
    from ase.data import atomic_numbers

    letters = text.rstrip("0123456789+-*").title()
    return next((part for part in (letters, letters[:2], letters[:1]) if part in atomic_numbers), "")
