"""CPU time of a search for Li(EC)4+ on the GFN2 surface against eight `xtb --opt` runs, in one run.

    python benchmarks/bench_sampling.py [SEED ...]

Prints, for each number of starts and seed, the lowest GFN2 energy, whether the open tetrahedron that DFT prefers was
kept, and the
ratio of CPU times. Needs Debian's xtb. Set OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from ase.io import write

from solvation.clusters.placement import ForceField, random_start
from solvation.clusters.sampling import search
from solvation.clusters.shell import build_shell
from solvation.species import build_molecule, embed_conformers
from solvation.study import Level, Sampling, Species

GFN2 = Level.model_validate("gfn2")
COMPOSITION = {"Li+": 1, "EC": 4}


def eight_xtb_optimisations(shell, free) -> tuple[float, float]:
    """CPU seconds and lowest energy (eV) of eight `xtb --opt` from random starts."""
    rng = np.random.default_rng(0)
    field = ForceField(shell)
    geometries = [free[molecule.name] for molecule in shell.molecules]
    lowest = np.inf
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    for _ in range(8):
        start = random_start(shell, field, geometries, [None] * 5, rng, fully=False)
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder) / "in.xyz", shell.atoms(start.positions_A), format="xyz")
            done = subprocess.run(
                ["xtb", "in.xyz", "--opt", "--chrg", "1"], cwd=folder, capture_output=True, text=True, check=False
            )
            energies = [float(line.split()[3]) for line in done.stdout.splitlines() if "TOTAL ENERGY" in line]
            lowest = min([lowest, *energies])
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before, lowest * 27.211386


def main() -> None:
    seeds = [int(word) for word in sys.argv[1:]] or [0, 1]
    molecules = {
        "Li+": build_molecule("Li+", Species(smiles="[Li+]")),
        "EC": build_molecule("EC", Species(smiles="O=C1OCCO1")),
    }
    shell = build_shell(COMPOSITION, molecules)
    free = {name: embed_conformers(molecule, 5, 1) for name, molecule in molecules.items()}
    peer_s, peer_eV = eight_xtb_optimisations(shell, free)
    print(f"8 x xtb --opt: {peer_s:.1f} s CPU, lowest {peer_eV:.3f} eV")
    print("relaxed  seed  CPU ratio  lowest GFN2 eV  open tetrahedron kept")
    for relaxed in (4, 8, 16):
        for seed in seeds:
            settings = Sampling(starts=100, relaxed=relaxed, ranked=4, rounds=0)
            begin = time.process_time()
            found = search(shell, free, settings, GFN2, {}, np.random.default_rng(seed))
            spent = time.process_time() - begin
            opened = any(np.sort(item.atoms.get_distances(0, range(1, 41)))[4] > 2.9 for item in found.kept)
            lowest = min(item.geometry_eV for item in found.kept)
            print(
                f"{relaxed:7d} {seed:5d} {spent / peer_s:10.2f} {lowest:15.3f}  {'yes' if opened else 'no'}", flush=True
            )


if __name__ == "__main__":
    main()
