"""What an engine is: a level of theory in, an ASE calculator out."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from ase import Atoms

from solvation.study import Level

#: Share of the memory that calculations may take in all; one takes of it what its threads are of all cores.
MEMORY_SHARE = 0.8


def own_threads() -> int:
    """Threads of this process: as OpenMP reads OMP_NUM_THREADS, else one for each core that it may run on."""
    told = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(told) if told.isdecimal() and int(told) else own_cores()


def own_cores() -> int:
    """Cores that this process may run on: a queue may have given it some of a machine."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


#: Of malloc.h of the GNU C library.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


@cache
def keep_memory() -> None:
    """Let this process keep the memory that it frees, for the next array of its size, where the C library is GNU's.

    Otherwise arrays of megabytes go back to the system each time, which hands them out again page by page and zeroed: a
    sixth of the time of a density functional on fifty atoms. It costs a sixth more memory.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)


def free_MB() -> float:
    """Memory that calculations may take in all, MB: of the machine, or of the job where a queue grants less."""
    import psutil

    return float(MEMORY_SHARE * min(psutil.virtual_memory().available / 1e6, granted()[0]))


def share_MB(threads: int) -> float:
    """Memory that one calculation may take, MB: as large a part of it as its threads are of the cores."""
    total_MB, cores = granted()
    return min(free_MB(), MEMORY_SHARE * total_MB * min(1.0, threads / cores))


def granted(cgroups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> tuple[float, int]:
    """Memory, MB, and cores: those of the machine, or of the job where SLURM or its control group grants less."""
    import psutil

    machine_MB, cores = float(psutil.virtual_memory().total) / 1e6, int(os.environ.get("SLURM_CPUS_ON_NODE", "0"))
    # The SLURM plugin of Snakemake takes the variables of memory away from its steps; the control group stays.
    told = [float(os.environ.get("SLURM_MEM_PER_NODE", "0")), cores * float(os.environ.get("SLURM_MEM_PER_CPU", "0"))]
    limits_MB = [limit for limit in (*told, *_limits_MB(cgroups, own)) if limit > 0]
    memory_MB = min([machine_MB, *limits_MB])
    return memory_MB, cores if cores and memory_MB < machine_MB else os.cpu_count() or 1


def _limits_MB(cgroups: Path, own: Path) -> list[float]:
    """Limits of memory of the control group of this process and of those above it, versions 1 and 2."""
    found = []
    for line in own.read_text().splitlines() if own.is_file() else []:
        _, controllers, path = line.split(":", 2)
        if controllers in {"", "memory"}:
            root = cgroups / controllers
            here = root / path.lstrip("/")
            files = [
                folder / name
                for folder in (here, *here.parents)
                if folder.is_relative_to(root)
                for name in ("memory.max", "memory.limit_in_bytes")
            ]
            texts = [file.read_text().strip() for file in files if file.is_file()]
            found += [float(text) / 1e6 for text in texts if text.isdecimal()]
    return found


class Engine(Protocol):
    """A program that computes energies and forces."""

    name: str
    #: Whether it takes atoms without nuclei and electrons that keep their basis functions (array `ghost`).
    has_ghosts: bool
    #: Whether it computes periodic boxes, and molecules.
    has_boxes: bool
    has_molecules: bool
    #: What else it tells: charges, densities, shieldings, and the stability of its electronic states.
    analyses: tuple[str, ...]

    def missing(self) -> str | None:
        """Why it cannot run here, with the mend; None when it can."""

    def refuses(self, level: Level) -> str | None:
        """Why it cannot compute this level, with the mend; None when it can."""

    def lacks(self, level: Level, symbols: Collection[str], *, charge: int, multiplicity: int) -> str | None:
        """Why it cannot compute these elements in this state at the level, as far as that is known before it runs."""

    def identity(self, level: Level) -> str | None:
        """What its numbers come from besides the level, for the cache; None where they are not worth keeping."""

    def memory_MB(self, level: Level, atoms: Atoms) -> float:
        """Memory with which one calculation runs at its full speed; zero where it does not matter."""

    def calculator(self, level: Level, *, charge: int, multiplicity: int) -> Any:
        """Return an ASE calculator; charge and multiplicity are its own, not those of the atoms' arrays."""
