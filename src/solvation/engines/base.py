"""What an engine is: a level of theory in, an ASE calculator out."""

from __future__ import annotations

import os
from typing import Any, Protocol

from ase import Atoms

from solvation.study import Level

#: Share of the memory that calculations may take in all; one takes of it what its threads are of all cores.
MEMORY_SHARE = 0.8


def free_MB() -> float:
    """Memory that calculations may take in all, MB: of the machine, or of the job where SLURM grants less."""
    import psutil

    return float(MEMORY_SHARE * min(psutil.virtual_memory().available / 1e6, _granted()[0]))


def share_MB(threads: int) -> float:
    """Memory that one calculation may take, MB: as large a part of it as its threads are of the cores."""
    import psutil

    total_MB, cores = _granted()
    total_MB, cores = min(total_MB, float(psutil.virtual_memory().total) / 1e6), cores or os.cpu_count() or 1
    return min(free_MB(), MEMORY_SHARE * total_MB * min(1.0, threads / cores))


def _granted() -> tuple[float, int]:
    """Memory, MB, and cores of the SLURM job this runs in; no bound and no number outside of one."""
    told = os.environ
    cores = int(told.get("SLURM_CPUS_ON_NODE", "0"))
    whole, each = float(told.get("SLURM_MEM_PER_NODE", "0")), float(told.get("SLURM_MEM_PER_CPU", "0"))
    return whole or each * cores or float("inf"), cores


class Engine(Protocol):
    """A program that computes energies and forces."""

    name: str
    #: Whether it takes atoms without nuclei and electrons that keep their basis functions (array `ghost`).
    has_ghosts: bool
    #: Whether it computes periodic boxes, and molecules.
    has_boxes: bool
    has_molecules: bool

    def missing(self) -> str | None:
        """Why it cannot run here, with the mend; None when it can."""

    def refuses(self, level: Level) -> str | None:
        """Why it cannot compute this level, with the mend; None when it can."""

    def identity(self) -> str | None:
        """What its numbers come from besides the level, for the cache; None where they are not worth keeping."""

    def memory_MB(self, level: Level, atoms: Atoms) -> float:
        """Memory with which one calculation runs at its full speed; zero where it does not matter."""

    def calculator(self, level: Level, *, charge: int, multiplicity: int) -> Any:
        """Return an ASE calculator; charge and multiplicity are its own, not those of the atoms' arrays."""
