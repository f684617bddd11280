"""Fragments of a shell in the basis of the whole: what sharing their integrals is worth.

    python benchmarks/bench_fragments.py [NUMBER OF LIGANDS]

The jobs of a counterpoise correction, one after the other in one thread, as ratios of CPU time measured in one run:
each with integrals of its own, and with shared integrals; and by how much their energies differ.
"""

from __future__ import annotations

import os
import sys
import time

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from ase.units import Hartree

from solvation.clusters.placement import ForceField, random_start
from solvation.clusters.shell import build_shell
from solvation.engines import energy_with_ghosts_eV, integrals
from solvation.species import build_molecule, embed_conformers
from solvation.study import Level, Species

LEVEL = Level.model_validate("pbe-d4/def2-svp")


def structure(count: int):
    """Li+ with `count` EC from the force field."""
    molecules = {
        "Li+": build_molecule("Li+", Species(smiles="[Li+]")),
        "EC": build_molecule("EC", Species(smiles="O=C1OCCO1")),
    }
    shell = build_shell({"Li+": 1, "EC": count}, molecules)
    free = embed_conformers(molecules["EC"], 1, seed=0)
    geometries = [[np.zeros((1, 3))], *[free] * count]
    rng = np.random.default_rng(0)
    start = random_start(shell, ForceField(shell), geometries, [None] * (count + 1), rng, fully=True)
    return shell.atoms(start.positions_A)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    atoms = structure(count)
    fragment = atoms.arrays["fragment"]
    energies, spent = {}, {}
    for label, shared in (("apart", False), ("shared", True)):
        integrals.forget()
        begin, found = time.process_time(), []
        for number in range(count + 1):
            if not shared:
                integrals.forget()
            found.append(energy_with_ghosts_eV(atoms, fragment != number, LEVEL, charge=int(number == 0))[0] / Hartree)
        energies[label], spent[label] = np.array(found), time.process_time() - begin
        ratio, error = spent["apart"] / spent[label], np.abs(energies[label] - energies["apart"]).max()
        print(f"{label:7s} {spent[label]:7.1f} s of CPU, {ratio:.2f} times as fast, energies differ by {error:.0e} Eh")


if __name__ == "__main__":
    main()
