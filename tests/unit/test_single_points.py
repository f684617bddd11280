"""How independent single points are placed on the threads."""

import ctypes
import os
import subprocess
import sys

import pytest
from ase import Atoms

from solvation.engines import ENGINES
from solvation.engines.base import own_threads
from solvation.engines.single_points import schedule
from solvation.study import Level

#: EC and Li(EC)4+, as costs.
SMALL, LARGE = 100.0, 1681.0


@pytest.mark.parametrize(
    ("costs", "threads", "expected"),
    [
        ([], 2, (0, 0)),
        ([LARGE], 2, (1, 0)),
        ([LARGE] * 8, 1, (8, 0)),
        # Many jobs fill the threads; one too many goes before the others.
        ([LARGE] * 8, 2, (0, 2)),
        ([LARGE] * 9, 2, (1, 2)),
        ([SMALL] * 20, 2, (0, 2)),
        # Workers that take longer to start than they save are not started.
        ([SMALL] * 2, 2, (2, 0)),
        # A complex outlasts its few fragments by far.
        ([LARGE, *[SMALL] * 4], 2, (5, 0)),
        ([LARGE, *[SMALL] * 10], 2, (1, 2)),
        ([LARGE, *[SMALL] * 20], 2, (0, 2)),
        # More threads than jobs: each has its share.
        ([LARGE] * 4, 16, (0, 4)),
    ],
)
def test_jobs_stand_side_by_side_where_the_last_one_ends_sooner(costs, threads, expected):
    assert schedule(costs, [0.0] * len(costs), threads=threads, free_MB=1.0) == expected


def test_jobs_that_do_not_find_memory_together_go_one_by_one():
    assert schedule([LARGE] * 4, [5.0] * 4, threads=2, free_MB=9.0) == (4, 0)
    mixed = [LARGE, LARGE, *[SMALL] * 20]
    assert schedule(mixed, [5.0, 5.0, *[0.4] * 20], threads=2, free_MB=9.0) == (2, 2)
    # Three fit where four threads wait.
    assert schedule([LARGE] * 6, [3.0] * 6, threads=4, free_MB=9.0) == (0, 3)


@pytest.mark.parametrize(
    ("told", "threads"), [("3", 3), ("4,2", 4), (" 2 ", 2), ("", None), ("0", None), ("many", None)]
)
def test_threads_are_those_that_openmp_would_take(monkeypatch, told, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    assert own_threads() == (threads or len(os.sched_getaffinity(0)))


def test_what_a_queue_gives_of_a_machine_is_what_there_is(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 7, 9})
    assert own_threads() == 3


def test_a_program_that_a_launcher_spreads_over_the_cores_stands_beside_no_other(monkeypatch):
    engine, atoms = ENGINES["nwchem"], Atoms("He")
    level = Level.model_validate("nwchem:pbe/def2-svp")
    for command, alone in (("mpirun -np 16 nwchem", True), ("/opt/nwchem", False), ("", False)):
        monkeypatch.setenv("SOLVATION_NWCHEM", command)
        needs_MB = [engine.memory_MB(level, atoms)] * 5
        assert (schedule([LARGE] * 5, needs_MB, threads=16, free_MB=1e5) == (5, 0)) is alone


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="needs the C library of GNU")
def test_an_array_takes_the_memory_of_the_one_before():
    """Twenty arrays of 64 MB, of 16,384 pages each: a page that the system hands out is a fault, one kept is none."""
    script = """
import resource
import numpy as np
from solvation.engines.base import keep_memory
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
{keep}
np.ones(1 << 23)
before = faults()
for _ in range(20):
    np.ones(1 << 23)
print(faults() - before)
"""
    counted = [
        int(subprocess.run([sys.executable, "-c", script.format(keep=keep)], capture_output=True, check=True).stdout)
        for keep in ("", "keep_memory()")
    ]
    assert counted[1] < counted[0] / 10
