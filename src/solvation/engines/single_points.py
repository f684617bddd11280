"""Many single points at one level: independent jobs of density functional theory, placed on the threads.

Small jobs do not fill several threads, so many of them run side by side, each on its share; few or large ones are done
sooner one after the other with all threads. Which job runs beside which changes no number: every one is a process of
its own.
"""

from __future__ import annotations

import heapq
import math
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from threading import Thread
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from solvation.engines import integrals
from solvation.engines.base import free_MB, own_threads
from solvation.engines.registry import ENGINES, check_level, energy_eV, energy_with_ghosts_eV
from solvation.errors import EngineFailed, Killed
from solvation.progress import track
from solvation.provenance import listening, note_answer, noted_answers
from solvation.study import Level

#: So much faster is a calculation on n threads than on one: n to this power. On two, PBE/def2-SVP: 1.5 times for EC,
#: 1.7 times for Li(EC)4+, 41 atoms.
_GAIN = 0.75
#: What the start of workers costs, in the unit of `SinglePoint.cost`: three seconds, half of one EC at PBE/def2-SVP.
_START = 50.0


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
    def cost(self) -> float:
        """Time that it takes beside others: square of its atoms (measured on 10 to 41), a little less with ghosts."""
        real = len(self.atoms) if self.ghost is None else int((~self.ghost).sum())
        return float(len(self.atoms) ** 1.7 * real**0.3)


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
    threads = own_threads()
    # The longest first, so that no long one is left alone at the end.
    order = sorted(range(len(jobs)), key=lambda index: -jobs[index].cost)
    ahead, workers = len(jobs), 0
    if min(threads, len(jobs)) > 1 and not level.is_tight_binding and not level.on_gpu:
        needs_MB = _needs_MB([jobs[index].atoms for index in order], level)
        ahead, workers = schedule([jobs[index].cost for index in order], needs_MB, threads=threads, free_MB=free_MB())

    def results() -> Iterator[tuple[int, Energy | EngineFailed]]:
        # As they came: those that follow one another may share their integrals.
        yield from ((index, _computed(jobs[index], level)) for index in sorted(order[:ahead]))
        if workers:
            yield from _side_by_side([(index, jobs[index]) for index in order[ahead:]], level, workers, threads)

    # As they end, so that the progress does not wait for the slowest; each knows its place.
    found = dict(track(results(), label, len(jobs)))
    return [found[index] for index in range(len(jobs))]


def schedule(costs: Sequence[float], needs_MB: Sequence[float], *, threads: int, free_MB: float) -> tuple[int, int]:
    """How to place independent jobs so that the last one ends soonest.

    Two that swap are slower than one after the other, so that as many stand side by side as find memory at once.

    Parameters
    ----------
    costs
        Time that each takes on one thread, as `SinglePoint.cost`, the longest first, (n_jobs,).
    needs_MB
        Memory of each, 0 where it does not matter, (n_jobs,).

    Returns
    -------
    How many of the longest have all threads to themselves, one after the other, and how many workers share the threads
    for the others after that (0 where none is left, else two or more).
    """
    best = math.fsum(costs) / threads**_GAIN, len(costs), 0
    for ahead in range(len(costs) - 1):
        need_MB = max(needs_MB[ahead:])
        workers = min(threads, len(costs) - ahead, int(free_MB / need_MB) if need_MB else threads)
        if workers < 2:
            continue
        ends = [0.0] * workers
        for cost in costs[ahead:]:
            heapq.heapreplace(ends, ends[0] + cost)
        beside = _START + max(ends) / (threads // workers) ** _GAIN
        best = min(best, (math.fsum(costs[:ahead]) / threads**_GAIN + beside, ahead, workers))
    return best[1:]


def _side_by_side(
    jobs: Sequence[tuple[int, SinglePoint]], level: Level, workers: int, threads: int
) -> Iterator[tuple[int, Energy | EngineFailed]]:
    """Results in the order in which they end."""
    from joblib import Parallel, delayed, parallel_config
    from joblib.externals.loky import get_reusable_executor
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    # Of calculations that were made here; the workers need the memory.
    integrals.forget()
    with _inherited(threads // workers), parallel_config(backend="loky", n_jobs=workers):
        made = Parallel(return_as="generator_unordered")(
            delayed(_in_place)(index, job, level, os.getpid()) for index, job in jobs
        )
        try:
            for index, found, answers in made:
                for entry in answers:
                    note_answer(entry)
                yield index, found
        except TerminatedWorkerError as problem:
            raise Killed(f"{level}: a process of this step") from problem
    # Ended, so that the time they took counts in the provenance of the step.
    get_reusable_executor().shutdown(wait=True)


@contextmanager
def _inherited(threads: int) -> Iterator[None]:
    """Threads of the workers that are started meanwhile: of PySCF's loops, while linear algebra runs on one."""
    wanted = {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _needs_MB(structures: Sequence[Atoms], level: Level) -> list[float]:
    """Memory with which each runs at its full speed, asked once for those of one formula."""
    by_formula = {one.get_chemical_formula(): one for one in structures}
    needs = {formula: ENGINES[level.engine].memory_MB(level, one) for formula, one in by_formula.items()}
    return [needs[one.get_chemical_formula()] for one in structures]


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


def _in_place(index: int, job: SinglePoint, level: Level, parent: int) -> tuple[int, Energy | EngineFailed, list[str]]:
    _end_with(parent)
    with listening():
        found = _computed(job, level)
        return index, found, noted_answers()


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
