"""Independent single points: one-thread jobs side by side against the same jobs one after the other with all threads.

    python benchmarks/bench_side_by_side.py [LEVEL [SMILES [NUMBER OF JOBS]]]

Ratios by the clock, both ways in turns in one run, the start of the workers counted; and by how much the energies
differ. The gain cannot exceed what the engine loses to its own threads.
"""

from __future__ import annotations

import os
import sys
import time

os.environ["OMP_NUM_THREADS"] = str(len(os.sched_getaffinity(0)))
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
from ase import Atoms

from solvation.engines import SinglePoint, energy_eV, single_points
from solvation.species import build_molecule, embed_conformers
from solvation.study import Level, Species

CORES = int(os.environ["OMP_NUM_THREADS"])
ROUNDS = 2


def jobs_of(smiles: str, count: int) -> list[SinglePoint]:
    """The molecule `count` times, its atoms moved a little, so that no two have the same energy."""
    molecule, rng = build_molecule("X", Species(smiles=smiles)), np.random.default_rng(0)
    free_A = embed_conformers(molecule, 1, seed=0)[0]
    return [
        SinglePoint(Atoms(molecule.symbols, free_A + rng.normal(scale=0.02, size=free_A.shape)), 0)
        for _ in range(count)
    ]


def main() -> None:
    words = dict(enumerate(sys.argv[1:]))
    level = Level.model_validate(words.get(0, "pbe-d4/def2-svp"))
    jobs = jobs_of(words.get(1, "O=C1OCCO1"), int(words.get(2, 8)))
    energy_eV(jobs[0].atoms, level, charge=0)  # what is loaded once is loaded
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        alone = [energy_eV(job.atoms, level, charge=job.charge) for job in jobs]
        alone_s, begin = time.perf_counter() - begin, time.perf_counter()
        beside = [found.energy_eV for found in single_points(jobs, level, "side by side")]
        beside_s = time.perf_counter() - begin
        error = np.abs(np.subtract(alone, beside)).max()
        print(
            f"{len(jobs)} jobs, {CORES} cores: one after the other {alone_s:.1f} s, side by side {beside_s:.1f} s, "
            f"{alone_s / beside_s:.2f} times as fast, energies differ by {error:.0e} eV"
        )


if __name__ == "__main__":
    main()
