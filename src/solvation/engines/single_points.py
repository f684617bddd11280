"""Many single points at one level: independent jobs of density functional theory stand side by side.

A fragment of a complex is too small to fill several threads, so as many jobs run at once as there are threads,
each on its share of them. Which job runs beside which changes no number: every one is a process of its own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from threading import Thread
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from solvation.engines.base import free_MB
from solvation.engines.registry import ENGINES, check_level, energy_eV, energy_with_ghosts_eV
from solvation.errors import EngineFailed
from solvation.progress import track
from solvation.study import Level


@dataclass(frozen=True, slots=True, eq=False)
class SinglePoint:
    """One structure in one electronic state.

    Attributes
    ----------
    ghost
        Atoms that keep their basis functions and nothing else, (n_atoms,); None without counterpoise.
    """

    atoms: Atoms
    charge: int
    multiplicity: int = 1
    ghost: NDArray[np.bool_] | None = None

    @property
    def cost(self) -> int:
        """What orders jobs by their length: cube of the basis, roughly, times the electrons that are there."""
        real = len(self.atoms) if self.ghost is None else int((~self.ghost).sum())
        return len(self.atoms) ** 2 * real


@dataclass(frozen=True, slots=True)
class Energy:
    """Total energy of a single point, and its number of basis functions where ghosts were asked for, else zero."""

    energy_eV: float
    n_basis: int = 0


def single_points(jobs: Sequence[SinglePoint], level: Level, label: str) -> list[Energy | EngineFailed]:
    """Compute single points, those of density functional theory side by side.

    Parameters
    ----------
    label
        What the progress is told of.

    Returns
    -------
    One result per job in their order; a failure is returned, so that the others are not lost.

    Raises
    ------
    StudyError, EngineMissing
        The level cannot be computed here, or not with ghosts.
    """
    check_level(level)
    threads = int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1))
    workers = 1 if level.is_tight_binding or level.on_gpu else min(threads, len(jobs), _that_fit(jobs, level))
    if workers < 2:
        return [_computed(job, level) for job in track(jobs, label)]
    from joblib import Parallel, delayed, parallel_config
    from joblib.externals.loky import get_reusable_executor

    # The longest first, so that no long one is left alone at the end.
    order = sorted(range(len(jobs)), key=lambda index: -jobs[index].cost)
    with parallel_config(backend="loky", n_jobs=workers, inner_max_num_threads=threads // workers):
        # As they end, so that the progress does not wait for the slowest; each knows its place.
        running = Parallel(return_as="generator_unordered")(
            delayed(_in_place)(index, jobs[index], level, os.getpid()) for index in order
        )
        found = dict(track(running, label, len(jobs)))
    # Ended, so that the time they took counts in the provenance of the step.
    get_reusable_executor().shutdown(wait=True)
    return [found[index] for index in range(len(jobs))]


def _that_fit(jobs: Sequence[SinglePoint], level: Level) -> int:
    """How many of the largest job find memory at once: two that swap are slower than one after the other."""
    largest = max(jobs, key=lambda job: len(job.atoms))
    need = ENGINES[level.engine].memory_MB(level, largest.atoms)
    return int(free_MB() / need) if need else len(jobs)


def energies_eV(jobs: Sequence[SinglePoint], level: Level, label: str) -> list[float]:
    """Total energies of `jobs` in eV, all of them or an error.

    Raises
    ------
    EngineFailed
        The first failure, with the engine's own last words.
    """
    return [item.energy_eV for item in all_or_nothing(single_points(jobs, level, label))]


def all_or_nothing(results: Sequence[Energy | EngineFailed]) -> list[Energy]:
    """Return the results when none of them failed.

    Raises
    ------
    EngineFailed
        The first failure.
    """
    found = []
    for item in results:
        if isinstance(item, EngineFailed):
            raise item
        found.append(item)
    return found


def _in_place(index: int, job: SinglePoint, level: Level, parent: int) -> tuple[int, Energy | EngineFailed]:
    _end_with(parent)
    return index, _computed(job, level)


@cache
def _end_with(parent: int) -> None:
    """End this worker soon after the process it works for, which cannot tell it when it is killed."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def _computed(job: SinglePoint, level: Level) -> Energy | EngineFailed:
    state: dict[str, Any] = {"charge": job.charge, "multiplicity": job.multiplicity}
    try:
        if job.ghost is None:
            return Energy(energy_eV(job.atoms, level, **state))
        return Energy(*energy_with_ghosts_eV(job.atoms, job.ghost, level, **state))
    except EngineFailed as problem:
        return problem
