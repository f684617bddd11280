"""Gradients and CPU seconds to a relaxed shell: this package against ASE's L-BFGS, geomeTRIC and xtb's own optimiser.

    python benchmarks/bench_relaxation.py [STARTS]

The same random starts of Li(EC)3+ on the GFN2 surface for all, to 0.02 eV/Å on any atom; xtb stops by its own criteria
(`--opt normal`), so its end is looked at with the same ruler. Needs Debian's xtb. Set OMP_NUM_THREADS=1.
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
from ase import Atoms
from ase.io import read, write
from ase.optimize import LBFGS

from solvation.clusters.placement import ForceField, random_start
from solvation.clusters.relaxation import _in_internals, _Surface, relax
from solvation.clusters.shell import build_shell
from solvation.engines import calculator_for, energy_forces
from solvation.species import build_molecule, embed_conformers
from solvation.study import Level, Species

GFN2 = Level.model_validate("gfn2")
FMAX_EV_A, MOST = 0.02, 1000


def ours(atoms: Atoms) -> tuple[int, float]:
    end = relax(atoms, GFN2, charge=1, fmax_eV_A=FMAX_EV_A, max_steps=MOST)
    return end.steps, end.energy_eV


def lbfgs(atoms: Atoms) -> tuple[int, float]:
    system = atoms.copy()
    system.calc = calculator_for(GFN2, charge=1)
    optimiser = LBFGS(system, logfile=None)
    optimiser.run(fmax=FMAX_EV_A, steps=MOST)
    return optimiser.get_number_of_steps() + 1, float(system.get_potential_energy())


def geometric(atoms: Atoms) -> tuple[int, float]:
    system = atoms.copy()
    system.calc = calculator_for(GFN2, charge=1)
    surface = _Surface(system, FMAX_EV_A, MOST)
    try:
        _in_internals(surface)
    except Exception as end:  # the surface ends the optimiser by an exception of its own
        if type(end).__name__ != "_Enough":
            raise
    return surface.end.steps, surface.end.energy_eV


def xtb(atoms: Atoms) -> tuple[int, float]:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "in.xyz", atoms, format="xyz")
        done = subprocess.run(
            ["xtb", "in.xyz", "--opt", "--chrg", "1"], cwd=folder, capture_output=True, text=True, check=True
        )
        steps = sum("CYCLE" in line for line in done.stdout.splitlines())
        return steps, energy_forces(read(Path(folder) / "xtbopt.xyz"), GFN2, charge=1)[0]


def cpu_s() -> float:
    return time.process_time() + resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    species = {
        "Li+": build_molecule("Li+", Species(smiles="[Li+]")),
        "EC": build_molecule("EC", Species(smiles="O=C1OCCO1")),
    }
    shell = build_shell({"Li+": 1, "EC": 3}, species)
    free = {name: embed_conformers(molecule, 5, 1) for name, molecule in species.items()}
    geometries = [free[molecule.name] for molecule in shell.molecules]
    rng, field = np.random.default_rng(0), ForceField(shell)
    starts = [
        shell.atoms(random_start(shell, field, geometries, [None] * 4, rng, fully=False).positions_A)
        for _ in range(count)
    ]
    spent: dict[str, list[float]] = {}
    lowest = [np.inf] * count
    ends: dict[str, list[float]] = {}
    for name, method in (("this package", ours), ("ASE L-BFGS", lbfgs), ("geomeTRIC", geometric), ("xtb --opt", xtb)):
        gradients, begin = 0, cpu_s()
        ends[name] = []
        for place, atoms in enumerate(starts):
            steps, energy = method(atoms)
            gradients += steps
            ends[name].append(energy)
            lowest[place] = min(lowest[place], energy)
        spent[name] = [gradients, cpu_s() - begin]
    print(f"{count} starts of Li(EC)3+, GFN2\n{'':14} gradients  CPU s  ratio to ours  mean above the lowest end, meV")
    for name, (gradients, seconds) in spent.items():
        above = 1000 * float(np.mean([end - low for end, low in zip(ends[name], lowest, strict=True)]))
        print(f"{name:14} {gradients:9.0f} {seconds:6.1f} {seconds / spent['this package'][1]:14.2f} {above:12.1f}")


if __name__ == "__main__":
    main()
