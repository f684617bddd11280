"""Speed of g(r) and coordination numbers on a synthetic electrolyte: 900 molecules of ten atoms and 80 ions.

Run `python benchmarks/bench_rdf.py [n_frames]`; absolute times depend on the machine, the ratios printed at the end
are of one run. Each line is the best of three rounds, the rounds interleaved so that a busy machine hits all alike.
"""

from __future__ import annotations

import sys
import tempfile
import time
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path

import freud
import MDAnalysis
import numpy as np
from MDAnalysis.analysis.rdf import InterRDF

from solvation.liquid_structure import analyze_trajectory
from solvation.trajectory import open_trajectory

NAMES = ("C1", "O1", "O2", "OC", "C2", "C3", "H1", "H2", "H3", "H4")
N_MOLECULES, N_IONS, EDGE_A = 900, 80, 46.5
R_MAX_A, N_BINS, ROUNDS = 12.0, 240, 3


def make(folder: Path, n_frames: int) -> tuple[Path, Path]:
    """Write molecules of random atoms that move a little from frame to frame; seeded."""
    rng = np.random.default_rng(1)
    n_atoms = N_MOLECULES * len(NAMES) + N_IONS
    owner = np.r_[np.repeat(np.arange(N_MOLECULES), len(NAMES)), N_MOLECULES + np.arange(N_IONS)]
    universe = MDAnalysis.Universe.empty(n_atoms, N_MOLECULES + N_IONS, atom_resindex=owner, trajectory=True)
    universe.add_TopologyAttr("names", [*NAMES * N_MOLECULES, *["LI"] * N_IONS])
    universe.add_TopologyAttr("resnames", ["EC"] * N_MOLECULES + ["LI"] * N_IONS)
    universe.add_TopologyAttr("resids", np.arange(N_MOLECULES + N_IONS) + 1)
    positions = rng.uniform(0, EDGE_A, (n_atoms, 3))
    with MDAnalysis.Writer(str(folder / "t.xtc"), n_atoms) as writer:
        for number in range(n_frames):
            positions = (positions + rng.normal(0, 0.3, positions.shape)) % EDGE_A
            universe.atoms.positions = positions
            universe.dimensions = [EDGE_A, EDGE_A, EDGE_A, 90, 90, 90]
            universe.trajectory.ts.time = float(number)
            writer.write(universe.atoms)
    universe.atoms.write(str(folder / "t.gro"))
    return folder / "t.gro", folder / "t.xtc"


def freud_loop(universe: MDAnalysis.Universe, names: tuple[str, ...]) -> None:
    """What one writes by hand: a freud RDF for each donor kind, frame after frame."""
    ions = universe.select_atoms("name LI").indices
    kinds = [universe.select_atoms(f"name {name}").indices for name in names]
    curves = [freud.density.RDF(N_BINS, R_MAX_A) for _ in kinds]
    for step in universe.trajectory:
        box = freud.box.Box.from_box(step.dimensions[:3])
        for curve, kind in zip(curves, kinds, strict=True):
            points = box.wrap(step.positions[kind])
            curve.compute((box, points), query_points=box.wrap(step.positions[ions]), reset=False)


def main() -> None:
    warnings.simplefilter("ignore")
    n_frames = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as name:
        top, traj = make(Path(name), n_frames)
        universe = MDAnalysis.Universe(str(top), str(traj))
        opened = open_trajectory(top, traj)
        ions, one = universe.select_atoms("name LI"), universe.select_atoms("name OC")

        def read() -> None:
            for _ in universe.trajectory:
                pass

        def ours(names: tuple[str, ...]) -> None:
            donors = {item: f"name {item}" for item in names}
            analyze_trajectory(opened, center="name LI", donors=donors, r_max_A=R_MAX_A, n_bins=N_BINS)

        jobs: dict[str, Callable[[], object]] = {
            "reading the XTC alone": read,
            "ours, 1 donor kind (g, n, CN, errors)": lambda: ours(("OC",)),
            "ours, 10 donor kinds": lambda: ours(NAMES),
            "MDAnalysis InterRDF, 1 kind (g)": lambda: InterRDF(ions, one, nbins=N_BINS, range=(0, R_MAX_A)).run(),
            "freud in a loop, 1 kind (g)": lambda: freud_loop(universe, ("OC",)),
            "freud in a loop, 10 kinds (g)": lambda: freud_loop(universe, NAMES),
        }
        best = dict.fromkeys(jobs, float("inf"))
        for _ in range(ROUNDS):
            for what, job in jobs.items():
                begin = time.perf_counter()
                job()
                best[what] = min(best[what], time.perf_counter() - begin)
        tracemalloc.start()
        ours(("OC",))
        peak_mb = tracemalloc.get_traced_memory()[1] / 1e6
        tracemalloc.stop()

    for what, seconds in best.items():
        print(f"{what:40s}{n_frames / seconds:8.0f} frames/s")
    reading, single, ten, theirs, loop, loop10 = best.values()
    print(f"\nof the speed of reading alone, 1 kind   {reading / single:8.2f}")
    print(f"cost of ten kinds over one              {ten / single:8.2f}")
    print(f"times the speed of InterRDF, 1 kind     {theirs / single:8.2f}")
    print(f"times the speed of the loop, 1 kind     {loop / single:8.2f}")
    print(f"times the speed of the loop, 10 kinds   {loop10 / ten:8.2f}")
    print(f"memory of the analysis, {n_frames} frames      {peak_mb:8.0f} MB")


if __name__ == "__main__":
    main()
