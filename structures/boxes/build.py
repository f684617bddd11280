"""Write the last frames of the classical boxes of a study as PDB: python structures/boxes/build.py results/default"""

import gzip
import json
import sys
import warnings
from pathlib import Path

import MDAnalysis
import numpy as np
from MDAnalysis.transformations import wrap


def last_frame(folder: Path, target: Path) -> str:
    """Write the last frame of one trajectory, molecules whole, their centres in the cell; return what it is."""
    warnings.simplefilter("ignore")
    segments = sorted(folder.glob("segment_*.xtc"), key=lambda path: int(path.stem.split("_")[1]))
    universe = MDAnalysis.Universe(folder / "topology.pdb", segments[-1])
    universe.trajectory[-1]
    wrap(universe.atoms, compound="residues")(universe.trajectory.ts)
    plain = target.with_suffix("")
    universe.atoms.write(plain)
    text = plain.read_text().splitlines(keepends=True)
    plain.unlink()
    # One file for one system: no date, no time within.
    with gzip.GzipFile(target, "wb", mtime=0) as stream:
        stream.write("".join(line for line in text if not line.startswith(("REMARK", "HEADER"))).encode())
    names, counts = np.unique(universe.residues.resnames, return_counts=True)
    edge_A = float(universe.dimensions[0])
    told = json.loads((folder / "equilibration.json").read_text())["result"]
    names_of = {"density_g_cm3": "density", "potential_energy_eV": "energy", "temperature_K": "temperature"}
    drifts = [
        words for name, words in names_of.items() for line in told["verdicts"] if f"{name} " in line and "NOT" in line
    ]
    held = ", ".join(f"{count} {name}" for name, count in zip(names, counts, strict=True))
    return f"| `{target.name}` | {held} | {edge_A:.2f} | {told['density_g_cm3']:.3f} | {', '.join(drifts) or '-'} |"


if __name__ == "__main__":
    results = Path(sys.argv[1])
    here = Path(__file__).parent
    for record in sorted(results.glob("trajectories/*/equilibration.json")):
        if not list(record.parent.glob("segment_*.xtc")):
            continue
        print(last_frame(record.parent, here / f"{record.parent.name}.pdb.gz"))
