"""Speed of g(r) and coordination numbers on a synthetic electrolyte: 900 molecules of ten atoms and 80 ions.

Run `python benchmarks/bench_rdf.py [n_frames]`; absolute times depend on the machine, the ratios printed at the end
are of one run, in seconds of the processor so that a busy machine does not enter. Each line is the best of three
rounds, the rounds interleaved. The tools compared use one thread each; the cost of "ten kinds" is given twice, for the
same 900 donors under ten names and for ten times as many donors.
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

from solvation.exchange import residence, stays_of, transitions
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


def exchange_seconds(n_frames: int, n_ions: int) -> float:
    """Residence times and transitions of four contacts an ion that come and go; the contacts are made before."""
    rng = np.random.default_rng(2)
    key = np.repeat(np.arange(4 * n_ions), n_frames)
    frame = np.tile(np.arange(n_frames), 4 * n_ions)
    seen = np.cumsum(rng.uniform(size=len(key)) < 0.005) % 2 == 0
    begin = time.process_time()
    stays = stays_of(key[seen], frame[seen], n_frames)
    residence(stays, stays.key // 4, n_ions=n_ions, n_frames=n_frames, frame_ps=0.01, gap=0, rng=rng)
    transitions(stays, stays.key // 4, stays.key % 2, ["O", "N"], n_frames=n_frames, gap=20)
    return time.process_time() - begin


def main() -> None:
    warnings.simplefilter("ignore")
    freud.parallel.set_num_threads(1)
    n_frames = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as name:
        top, traj = make(Path(name), n_frames)
        universe = MDAnalysis.Universe(str(top), str(traj))
        opened = open_trajectory(top, traj)
        ions, one = universe.select_atoms("name LI"), universe.select_atoms("name OC")

        def read() -> None:
            for _ in universe.trajectory:
                pass

        def ours(names: tuple[str, ...], every: int = 1) -> None:
            analyse({item: f"name {item}" for item in names}, every)

        def split() -> None:
            """The 900 donors of one kind under ten names."""
            analyse({str(part): f"name OC and resid {part * 90 + 1}:{part * 90 + 90}" for part in range(10)})

        def analyse(donors: dict[str, str], every: int = 1) -> None:
            analyze_trajectory(opened, center="name LI", donors=donors, r_max_A=R_MAX_A, n_bins=N_BINS, every=every)

        jobs: dict[str, Callable[[], object]] = {
            "reading the XTC alone": read,
            "ours, 1 donor kind (all tables)": lambda: ours(("OC",)),
            "ours, the same donors as 10 kinds": split,
            "ours, 10 donor kinds, 9,000 donors": lambda: ours(NAMES),
            "MDAnalysis InterRDF, 1 kind (g)": lambda: InterRDF(ions, one, nbins=N_BINS, range=(0, R_MAX_A)).run(),
            "freud in a loop, 1 kind (g)": lambda: freud_loop(universe, ("OC",)),
            "freud in a loop, 10 kinds (g)": lambda: freud_loop(universe, NAMES),
        }
        best = dict.fromkeys(jobs, float("inf"))
        for _ in range(ROUNDS):
            for what, job in jobs.items():
                begin = time.process_time()
                job()
                best[what] = min(best[what], time.process_time() - begin)
        peaks_mb = []
        for every in (2, 1):
            tracemalloc.start()
            ours(("OC",), every)
            peaks_mb.append(tracemalloc.get_traced_memory()[1] / 1e6)
            tracemalloc.stop()

    for what, seconds in best.items():
        print(f"{what:40s}{n_frames / seconds:8.0f} frames/s")
    reading, single, same, ten, theirs, loop, loop10 = best.values()
    print(f"\nof the speed of reading alone, 1 kind   {reading / single:8.2f}")
    print(f"cost of the same donors as ten kinds    {same / single:8.2f}")
    print(f"cost of ten kinds, ten times the donors {ten / single:8.2f}")
    print(f"times the speed of InterRDF, 1 kind     {theirs / single:8.2f}")
    print(f"times the speed of the loop, 1 kind     {loop / single:8.2f}")
    print(f"times the speed of the loop, 10 kinds   {loop10 / ten:8.2f}")
    for frames, peak_mb in zip((n_frames // 2, n_frames), peaks_mb, strict=True):
        print(f"memory of the analysis, {frames:6d} frames   {peak_mb:8.0f} MB")
    print(f"exchange, 100,000 frames x 100 ions     {exchange_seconds(100_000, 100):8.1f} s")


if __name__ == "__main__":
    main()
