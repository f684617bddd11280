"""Density functional theory of a shell of Li+, as ratios measured in one run.

    python benchmarks/bench_dft.py [NUMBER OF LIGANDS]

1. One shell: our settings against PySCF's own defaults, both in the same number of threads, with the difference of
   their final energies per atom.
2. Its fragments in the basis of the whole (the jobs of a counterpoise correction), and the shell together with its bare
   fragments (those of a binding energy): placed by `single_points` against one after the other with all threads.
"""

from __future__ import annotations

import os
import sys
import time

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np

from solvation.clusters.placement import ForceField, random_start
from solvation.clusters.shell import build_shell
from solvation.engines import SinglePoint, all_or_nothing, energy_eV, single_points
from solvation.species import build_molecule, embed_conformers
from solvation.study import Level, Species

LEVEL = Level.model_validate("pbe-d4/def2-svp")
THREADS = os.cpu_count() or 1


def shell_of(count: int):
    """Li+ with `count` EC from the force field: shell and structure."""
    molecules = {
        "Li+": build_molecule("Li+", Species(smiles="[Li+]")),
        "EC": build_molecule("EC", Species(smiles="O=C1OCCO1")),
    }
    shell = build_shell({"Li+": 1, "EC": count}, molecules)
    rng = np.random.default_rng(0)
    free = embed_conformers(molecules["EC"], 1, seed=0)
    geometries = [[np.zeros((1, 3))], *[free] * count]
    start = random_start(shell, ForceField(shell), geometries, [None] * (count + 1), rng, fully=True)
    return shell, shell.atoms(start.positions_A)


def default_pyscf_eV(atoms, *, grid: int | None = None, conv_tol: float | None = None) -> float:
    """PySCF as it comes: density fitting, D4, and nothing else said."""
    from ase.units import Hartree
    from pyscf import dft, gto, lib

    lib.num_threads(THREADS)
    molecule = gto.M(
        atom=list(zip(atoms.get_chemical_symbols(), atoms.positions, strict=True)),
        basis="def2-svp",
        charge=1,
        verbose=0,
    )
    field = dft.RKS(molecule, xc="pbe").density_fit()
    field.disp = "d4"
    if grid:
        field.grids.level = grid
    if conv_tol:
        field.conv_tol = conv_tol
    return float(field.kernel()) * Hartree


def timed(call, *arguments, **keywords):
    begin = time.perf_counter()
    found = call(*arguments, **keywords)
    return found, time.perf_counter() - begin


def one_by_one(jobs):
    return [single_points([job], LEVEL, "one by one")[0] for job in jobs]


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    shell, atoms = shell_of(count)
    os.environ["OMP_NUM_THREADS"] = str(THREADS)
    energy_eV(atoms[[0]], LEVEL, charge=1)  # imports
    print(f"Li(EC){count}+, {len(atoms)} atoms, {LEVEL}, {THREADS} threads")
    for _ in range(2):
        ours, ours_s = timed(energy_eV, atoms, LEVEL, charge=1)
        theirs, theirs_s = timed(default_pyscf_eV, atoms)
        print(
            f"  settings: PySCF's defaults / ours = {theirs_s / ours_s:.2f} ({theirs_s:.1f} / {ours_s:.1f} s), "
            f"{abs(ours - theirs) / len(atoms) * 1e3:.3f} meV per atom apart"
        )
        parts = list(enumerate(shell.molecules))
        whole = SinglePoint(atoms, 1)
        bare = [SinglePoint(atoms[shell.fragment == n], one.charge, one.multiplicity) for n, one in parts]
        ghosts = [SinglePoint(atoms, one.charge, one.multiplicity, ghost=shell.fragment != n) for n, one in parts]
        compare("fragments with ghosts", ghosts)
        compare("shell and its fragments", [whole, *bare])


def compare(label: str, jobs: list[SinglePoint]) -> None:
    """Time both ways, and see that their energies are the same."""
    placed, placed_s = timed(single_points, jobs, LEVEL, label)
    row, row_s = timed(one_by_one, jobs)
    same = np.allclose(
        [item.energy_eV for item in all_or_nothing(placed)], [item.energy_eV for item in all_or_nothing(row)], atol=1e-6
    )
    print(
        f"  {label}: one after the other / placed = {row_s / placed_s:.2f} ({row_s:.1f} / {placed_s:.1f} s), "
        f"energies {'equal' if same else 'NOT EQUAL'}"
    )


if __name__ == "__main__":
    main()
