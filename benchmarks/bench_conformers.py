"""How well a force field, and single points of the search level, foretell which conformers end lowest, in one run.

    python benchmarks/bench_conformers.py [LEVEL [NAME [COUNT]]]

Relaxes COUNT minima of the force field (60) of a molecule of the library (TDA) at a level (gfn1), and prints how both
kinds of energy before correlate with those after, what is the lowest of the twelve that each would have chosen, and
what a single point costs against a relaxation. Set OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import sys
import time

import numpy as np
from ase import Atoms

from solvation.clusters.placement import KCAL_MOL_EV, ForceField
from solvation.clusters.relaxation import relax
from solvation.clusters.shell import Shell
from solvation.engines import energy_eV
from solvation.species import build_molecule, embed_conformers
from solvation.study import Level, Species

CHOSEN = 12


def main() -> None:
    level, name, count = [*sys.argv[1:], *("gfn1", "TDA", "60")[len(sys.argv) - 1 :]]
    at = Level.model_validate(level)
    molecule = build_molecule(name, Species(library=name))
    field = ForceField(Shell((molecule,)))
    minima = [field.relax(one) for one in embed_conformers(molecule, int(count), 1)]
    places = [Atoms(molecule.symbols, one.positions_A) for one in minima]
    spin = {"charge": molecule.charge, "multiplicity": molecule.multiplicity}
    begin = time.process_time()
    single = np.array([energy_eV(one, at, **spin) for one in places])
    between = time.process_time()
    relaxed = np.array([relax(one, at, fmax_eV_A=0.02, max_steps=400, **spin).energy_eV for one in places])
    end = time.process_time()
    print(f"{name}, {level}, {len(places)} minima of {field.name}; lowest end {relaxed.min():.3f} eV")
    for way, before in (
        ("force field", np.array([one.energy_kcal_mol for one in minima]) * KCAL_MOL_EV),
        ("single points", single),
    ):
        lowest = relaxed[np.argsort(before)[:CHOSEN]].min()
        print(
            f"{way:14s} correlation {np.corrcoef(before, relaxed)[0, 1]:.2f}, lowest of its {CHOSEN}: {lowest:.3f} eV"
        )
    print(f"a single point costs {(between - begin) / (end - between):.3f} of a relaxation")


if __name__ == "__main__":
    main()
