"""Speed of mean squared displacements against MDAnalysis, and of a whole `solvation transport`.

Run `python benchmarks/bench_transport.py [n_frames]`; absolute times depend on the machine, the ratios printed at
the end are of one run, in seconds of the processor. Each line is the best of three rounds, the rounds interleaved.
EinsteinMSD runs without its FFT where tidynamics, which that needs, is not installed.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import MDAnalysis
import numpy as np
from MDAnalysis.analysis.msd import EinsteinMSD

from solvation.trajectory.frames import open_trajectory
from solvation.transport.analysis import analyze_transport
from solvation.transport.displacements import mean_squared_displacements
from solvation.transport.paths import read_paths

N_IONS, EDGE_A, ROUNDS = 200, 46.5, 3


def make(folder: Path, n_frames: int) -> tuple[Path, Path]:
    """Write ions that walk freely, half of them cations; seeded and wrapped."""
    rng = np.random.default_rng(1)
    universe = MDAnalysis.Universe.empty(N_IONS, N_IONS, atom_resindex=np.arange(N_IONS), trajectory=True)
    universe.add_TopologyAttr("names", ["LI", "CL"] * (N_IONS // 2))
    universe.add_TopologyAttr("resnames", ["LI", "CL"] * (N_IONS // 2))
    universe.add_TopologyAttr("resids", np.arange(N_IONS) + 1)
    positions = rng.uniform(0, EDGE_A, (N_IONS, 3))
    with MDAnalysis.Writer(str(folder / "t.xtc"), N_IONS) as writer:
        for number in range(n_frames):
            positions = (positions + rng.normal(0, 0.5, positions.shape)) % EDGE_A
            universe.atoms.positions = positions
            universe.dimensions = [EDGE_A, EDGE_A, EDGE_A, 90, 90, 90]
            universe.trajectory.ts.time = float(number)
            writer.write(universe.atoms)
    universe.atoms.write(str(folder / "t.gro"))
    return folder / "t.gro", folder / "t.xtc"


def main() -> None:
    warnings.simplefilter("ignore")
    n_frames = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    fft = importlib.util.find_spec("tidynamics") is not None
    with tempfile.TemporaryDirectory() as name:
        top, traj = make(Path(name), n_frames)
        opened = open_trajectory(top, traj)
        path = read_paths(opened, {"all": "all"}).path_A["all"]
        universe = MDAnalysis.Universe.empty(N_IONS, trajectory=True)
        universe.load_new(path)
        species = {"Li": "name LI", "Cl": "name CL"}
        charges = {"Li": 1.0, "Cl": -1.0}

        jobs: dict[str, Callable[[], object]] = {
            "ours, all lags": lambda: mean_squared_displacements(path),
            "MDAnalysis EinsteinMSD, all lags": lambda: EinsteinMSD(universe, msd_type="xyz", fft=fft).run(),
            "ours, from the file to all tables": lambda: analyze_transport(
                opened, species=species, charges=charges, temperature_K=300.0
            ),
        }
        best = dict.fromkeys(jobs, float("inf"))
        for _ in range(ROUNDS):
            for what, job in jobs.items():
                begin = time.process_time()
                job()
                best[what] = min(best[what], time.process_time() - begin)
        ours = mean_squared_displacements(path).mean(axis=1)
        theirs = EinsteinMSD(universe, msd_type="xyz", fft=fft).run().results.timeseries

    for what, seconds in best.items():
        print(f"{what:40s}{seconds:8.2f} s")
    mine, einstein, whole = best.values()
    how = "with" if fft else "without"
    print(f"\ntimes the speed of EinsteinMSD, {how} FFT {einstein / mine:8.1f}")
    print(f"share of the displacements in the whole {mine / whole:8.2f}")
    print(f"largest relative difference             {np.max(np.abs(ours[1:] / theirs[1:] - 1)):8.1e}")


if __name__ == "__main__":
    main()
