"""Record what a finished study found, for test_recorded.py.

    python tests/regression/record.py results/default

A recorded number that changes belongs into the CHANGELOG, under the revision that moved it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ase.io import write

import solvation

HERE = Path(__file__).parent
DEFINITIONS = ("frozen_ligands", "frozen_shell", "relaxed", "relaxed_counterpoise")


def record(folder: Path, output: Path = HERE) -> None:
    """Write the structure of every cluster and level with its energies, and where they come from."""
    results = solvation.load_results(folder)
    frames = []
    for cluster, structures in results.structures.items():
        rows = [row for row in results.binding if row.cluster == cluster]
        for level in dict.fromkeys(row.level for row in rows):
            energies = {row.definition: row for row in rows if row.level == level}
            atoms = next(one.atoms for one in structures if one.name == energies["relaxed"].structure).copy()
            known = {f"{name}_eV": energies[name].energy_eV for name in DEFINITIONS if name in energies}
            atoms.info = {"cluster": cluster, "level": level, **known}
            frames.append(atoms)
    write(output / "default.extxyz", frames, format="extxyz")
    made = results.provenance
    told = {"study": made["study"]["name"], "seed": made["seed"], "versions": made["versions"]}
    (output / "default.json").write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    record(Path(sys.argv[1]))
