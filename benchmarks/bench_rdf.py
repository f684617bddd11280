"""Speed of the analysis of a liquid, beside reading its file alone and beside other programs.

Run `python benchmarks/bench_rdf.py [n_frames] [copies]`: 900 molecules of ten atoms and 80 ions, each held by four
donors that are exchanged now and then, times `copies` (11: 100,000 atoms). Absolute times depend on the machine; the
ratios are of one run, in seconds of the processor so that a busy machine does not enter. Each line is the best of
three rounds, the rounds interleaved. All tools use one thread, but for our two processes, which are measured by the
clock: run it on a machine with two idle cores.

gmx and travis take part where they are installed; TRAVIS needs real molecules, and gets those of
tests/engines/recorded in eight copies, as text.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import tempfile
import time
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path

import MDAnalysis
import numpy as np
from MDAnalysis.analysis.rdf import InterRDF

from solvation.shells.analysis import analyze_trajectory
from solvation.shells.exchange import residence, stays_of, transitions
from solvation.trajectory.frames import open_trajectory

NAMES = ("OC", "C1", "O1", "O2", "C2", "C3", "H1", "H2", "H3", "H4")
N_MOLECULES, N_IONS, EDGE_A = 900, 80, 46.5
R_MAX_A, N_BINS, ROUNDS = 12.0, 240, 3
LIQUID = Path(__file__).parents[1] / "tests" / "engines" / "recorded" / "li_ec70"


def make(folder: Path, n_frames: int, copies: int) -> tuple[Path, Path]:
    """Write ions with their shells, and other molecules that move a little from frame to frame; seeded."""
    rng = np.random.default_rng(1)
    n_molecules, n_ions, edge_A = N_MOLECULES * copies, N_IONS * copies, EDGE_A * copies ** (1 / 3)
    n_atoms = n_molecules * len(NAMES) + n_ions
    owner = np.r_[np.repeat(np.arange(n_molecules), len(NAMES)), n_molecules + np.arange(n_ions)]
    universe = MDAnalysis.Universe.empty(n_atoms, n_molecules + n_ions, atom_resindex=owner, trajectory=True)
    universe.add_TopologyAttr("names", [*NAMES * n_molecules, *["LI"] * n_ions])
    universe.add_TopologyAttr("resnames", ["EC"] * n_molecules + ["LI"] * n_ions)
    universe.add_TopologyAttr("resids", np.arange(n_molecules + n_ions) + 1)
    shape = rng.normal(0, 1.3, (n_molecules, len(NAMES), 3))
    shape[:, 0] = 0
    ions, donors = rng.uniform(0, edge_A, (n_ions, 3)), rng.uniform(0, edge_A, (n_molecules, 3))
    held = rng.permutation(n_molecules)[: 4 * n_ions].reshape(n_ions, 4)
    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / 3**0.5 * 2.0
    with MDAnalysis.Writer(str(folder / "t.xtc"), n_atoms) as writer:
        for number in range(n_frames):
            ions, donors = ions + rng.normal(0, 0.1, ions.shape), donors + rng.normal(0, 0.3, donors.shape)
            for ion in np.flatnonzero(rng.uniform(size=n_ions) < 0.02):
                held[ion, rng.integers(4)] = rng.choice(np.setdiff1d(np.arange(n_molecules), held))
            donors[held] = ions[:, None] + corners + rng.normal(0, 0.08, (n_ions, 4, 3))
            molecules = donors[:, None] + shape + rng.normal(0, 0.05, shape.shape)
            universe.atoms.positions = np.concatenate((molecules.reshape(-1, 3), ions)) % edge_A
            universe.dimensions = [edge_A, edge_A, edge_A, 90, 90, 90]
            universe.trajectory.ts.time = float(number)
            writer.write(universe.atoms)
    universe.atoms.write(str(folder / "t.gro"))
    return folder / "t.gro", folder / "t.xtc"


def tile(folder: Path) -> None:
    """Eight copies of the recorded liquid, as XTC and as the text that TRAVIS reads."""
    universe = MDAnalysis.Universe(str(LIQUID.with_suffix(".gro")), str(LIQUID.with_suffix(".xtc")))
    eight = MDAnalysis.Merge(*[universe.atoms] * 8)
    corners = np.indices((2, 2, 2)).reshape(3, 8).T
    symbols = [name.rstrip("0123456789").title() for name in eight.atoms.names]
    with (
        MDAnalysis.Writer(str(folder / "l.xtc"), len(eight.atoms)) as writer,
        (folder / "l.xyz").open("w") as text,
    ):
        for step in universe.trajectory:
            edge_A = step.dimensions[0]
            eight.atoms.positions = np.concatenate([step.positions + corner * edge_A for corner in corners])
            eight.dimensions = [2 * edge_A] * 3 + [90] * 3
            eight.trajectory.ts.time = step.time
            writer.write(eight.atoms)
            text.write(f"{len(symbols)}\n\n")
            text.writelines(
                f"{symbol} {x:.3f} {y:.3f} {z:.3f}\n"
                for symbol, (x, y, z) in zip(symbols, eight.atoms.positions, strict=True)
            )
    eight.atoms.write(str(folder / "l.gro"))
    words = ["n", "y", f"{200 * edge_A:.4f}", "y", "", "", "rdf", "n", "2", "1", "1", "", "", "O3", "1200", "240"]
    (folder / "answers").write_text("\n".join([*words, *[""] * 12]))


def freud_loop(universe: MDAnalysis.Universe, names: tuple[str, ...]) -> None:
    """What one writes by hand: a freud RDF for each donor kind, frame after frame."""
    import freud

    freud.parallel.set_num_threads(1)
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


def measured(job: Callable[[], object]) -> tuple[float, float, float]:
    """Seconds of this process, of its children, and of the clock."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu, clock = time.process_time(), time.perf_counter()
    job()
    cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return cpu, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, clock


def peak_MB(job: Callable[[], object]) -> float:
    tracemalloc.start()
    job()
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return peak


def main() -> None:
    warnings.simplefilter("ignore")
    n_frames = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    copies = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        top, traj = make(folder, n_frames, copies)
        universe = MDAnalysis.Universe(str(top), str(traj))
        opened = open_trajectory(top, traj)
        ions, one = universe.select_atoms("name LI"), universe.select_atoms("name OC")
        same = {
            str(part): f"name OC and resid {part * 90 * copies + 1}:{(part + 1) * 90 * copies}" for part in range(10)
        }
        ten = {item: f"name {item}" for item in NAMES}

        def read() -> None:
            for _ in universe.trajectory:
                pass

        def ours(donors: dict[str, str], **settings: float) -> None:
            analyze_trajectory(
                opened, center="name LI", donors=donors, r_max_A=R_MAX_A, n_bins=N_BINS, **settings
            )  # fmt: skip

        def run(*words: str) -> Callable[[], object]:
            return lambda: subprocess.run(words, cwd=folder, check=True, capture_output=True)

        single = {"OC": "name OC"}
        jobs: dict[str, Callable[[], object]] = {
            "reading the XTC alone": read,
            "ours, 1 kind (all tables)": lambda: ours(single),
            "ours, 1 kind, half of the frames": lambda: ours(single, skip_ps=n_frames // 2),
            "ours, 1 kind, two processes": lambda: ours(single, processes=2),
            "ours, the same donors as 10 kinds": lambda: ours(same),
            "ours, 10 kinds, ten times the donors": lambda: ours(ten),
            "freud in a loop, 1 kind (g)": lambda: freud_loop(universe, ("OC",)),
            "freud in a loop, 10 kinds (g)": lambda: freud_loop(universe, NAMES),
            "MDAnalysis InterRDF, 1 kind (g)": lambda: InterRDF(ions, one, nbins=N_BINS, range=(0, R_MAX_A)).run(),
        }
        rdf = ("-ref", "name LI", "-bin", "0.005", "-rmax", "1.2")
        if shutil.which("gmx"):
            jobs["gmx rdf, 1 kind (g, n)"] = run("gmx", "rdf", "-f", str(traj), "-s", str(top), *rdf, "-sel", "name OC")
        if shutil.which("travis") and copies == 1:
            tile(folder)
            liquid = {
                "O(C=O)": "resname EC and name O1", "O": "resname EC and name O2 O3", "C": "name C*", "H": "name H*"
            }  # fmt: skip
            tiled = open_trajectory(folder / "l.gro", folder / "l.xtc")
            jobs["liquid, ours, 4 kinds (all tables)"] = lambda: analyze_trajectory(
                tiled, center="name LI", donors=liquid, r_max_A=R_MAX_A, n_bins=N_BINS
            )
            jobs["liquid, TRAVIS, 1 kind (g, n)"] = run("travis", "-p", "l.xyz", "-i", "answers", "-nocolor")
        rounds: dict[str, list[tuple[float, float, float]]] = {what: [] for what in jobs}
        for _ in range(ROUNDS):
            for what, job in jobs.items():
                # The slow ones are measured once.
                if not rounds[what] or sum(rounds[what][0][:2]) < 60:
                    rounds[what].append(measured(job))
        peaks = [peak_MB(lambda: ours(single, skip_ps=n_frames // 2)), peak_MB(lambda: ours(single))]

    best = {what: min(sum(item[:2]) for item in found) for what, found in rounds.items()}
    for what, seconds in best.items():
        print(f"{what:40s}{(100 if what.startswith('liquid') else n_frames) / seconds:8.0f} frames/s")
    mine = best["ours, 1 kind (all tables)"]
    clock = {what: min(item[2] for item in found) for what, found in rounds.items()}
    two = clock["ours, 1 kind, two processes"]
    print(f"\nof the speed of reading alone           {best['reading the XTC alone'] / mine:8.2f}")
    print("by the clock, two processes:")
    print(f"  of the speed of reading alone         {clock['reading the XTC alone'] / two:8.2f}")
    print(f"  times the speed of one process        {clock['ours, 1 kind (all tables)'] / two:8.2f}")
    print(f"  times the speed of InterRDF, 1 kind   {clock['MDAnalysis InterRDF, 1 kind (g)'] / two:8.2f}\n")
    print(f"twice the frames                        {mine / best['ours, 1 kind, half of the frames']:8.2f}")
    print(f"cost of the same donors as ten kinds    {best['ours, the same donors as 10 kinds'] / mine:8.2f}")
    print(f"cost of ten kinds, ten times the donors {best['ours, 10 kinds, ten times the donors'] / mine:8.2f}")
    print(f"times the speed of InterRDF, 1 kind     {best['MDAnalysis InterRDF, 1 kind (g)'] / mine:8.2f}")
    print(f"times the speed of the loop, 1 kind     {best['freud in a loop, 1 kind (g)'] / mine:8.2f}")
    loop10 = best["freud in a loop, 10 kinds (g)"] / best["ours, 10 kinds, ten times the donors"]
    print(f"times the speed of the loop, 10 kinds   {loop10:8.2f}")
    if "gmx rdf, 1 kind (g, n)" in best:
        print(f"times the speed of gmx rdf              {best['gmx rdf, 1 kind (g, n)'] / mine:8.2f}")
    if "liquid, TRAVIS, 1 kind (g, n)" in best:
        travis = best["liquid, TRAVIS, 1 kind (g, n)"] / best["liquid, ours, 4 kinds (all tables)"]
        print(f"times the speed of TRAVIS, 4 kinds to 1 {travis:8.2f}")
    for frames, peak in zip((n_frames // 2, n_frames), peaks, strict=True):
        print(f"memory of the analysis, {frames:6d} frames   {peak:8.0f} MB")
    print(f"exchange, 100,000 frames x 100 ions     {exchange_seconds(100_000, 100):8.1f} s")


if __name__ == "__main__":
    main()
