"""What varying the lowest shells finds, against as many relaxations of random ones, in one run.

    python benchmarks/bench_variation.py [LEVEL [SEED ...]]

Li(EC)3(TDA)+, TDA through one N (86 atoms). Prints the lowest energy of each way and its CPU time; both relax equally
many shells, so that rounds which end early are paid for by as many random starts. Set OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import sys
import time

import numpy as np

from solvation.clusters.sampling import search
from solvation.clusters.shell import build_shell
from solvation.species import build_molecule, embed_conformers
from solvation.study import Level, Sampling, Species

COMPOSITION = {"Li+": 1, "EC": 3, "TDA": 1}


def main() -> None:
    level = Level.model_validate((sys.argv[1:] or ["gfn1"])[0])
    molecules = {name: build_molecule(name, Species(library=name)) for name in COMPOSITION}
    shell = build_shell(COMPOSITION, molecules)
    free = {name: embed_conformers(molecule, 40, 1) for name, molecule in molecules.items()}
    print(f"{level}: seed  way        relaxed  lowest, eV  CPU time, s")
    for seed in map(int, sys.argv[2:] or ["1", "2"]):
        relaxed = 12
        for way, rounds in (("variations", 8), ("random", 0)):
            settings = Sampling(starts=150, relaxed=relaxed, ranked=6, rounds=rounds)
            begin = time.process_time()
            found = search(shell, free, settings, level, {"TDA": 1}, np.random.default_rng(seed))
            lowest = min(item.geometry_eV for item in found.kept if not item.note)
            spent = time.process_time() - begin
            print(f"{seed:10d}  {way:10s} {found.n_relaxed:7d} {lowest:12.3f} {spent:11.0f}", flush=True)
            relaxed = found.n_relaxed


if __name__ == "__main__":
    main()
