"""Diffusion against programs that others wrote, on one file: kinisi and gmx msd."""

import re
import shutil
import subprocess

import MDAnalysis
import numpy as np
import pytest

from solvation.trajectory.frames import open_trajectory
from solvation.transport.analysis import analyze_transport
from solvation.transport.diffusion import CM2_S

EDGE_A, FRAME_PS, N = 30.0, 2.0, 24
#: Å2/ps
EXACT = 0.05


@pytest.fixture(scope="module")
def walkers(tmp_path_factory):
    """Brownian ions of known diffusion, wrapped into their box: topology and frames."""
    folder = tmp_path_factory.mktemp("walkers")
    rng = np.random.default_rng(7)
    path = rng.uniform(0, EDGE_A, (N, 3)) + np.cumsum(
        rng.normal(0, np.sqrt(2 * EXACT * FRAME_PS), (400, N, 3)), axis=0
    )  # fmt: skip
    universe = MDAnalysis.Universe.empty(N, N, atom_resindex=np.arange(N), trajectory=True)
    for name, values in {"names": ["LI"] * N, "resnames": ["LI"] * N, "elements": ["Li"] * N}.items():
        universe.add_TopologyAttr(name, values)
    universe.add_TopologyAttr("resids", np.arange(N) + 1)
    universe.dimensions = [EDGE_A, EDGE_A, EDGE_A, 90, 90, 90]
    universe.atoms.positions = path[0] % EDGE_A
    universe.atoms.write(str(folder / "w.gro"))
    with MDAnalysis.Writer(str(folder / "w.xtc"), N) as writer:
        for number, frame in enumerate(path):
            universe.atoms.positions = frame % EDGE_A
            universe.trajectory.ts.time = FRAME_PS * number
            universe.trajectory.ts.dimensions = [EDGE_A, EDGE_A, EDGE_A, 90, 90, 90]
            writer.write(universe.atoms)
    return folder / "w.gro", folder / "w.xtc"


@pytest.fixture(scope="module")
def ours(walkers):
    found = analyze_transport(open_trajectory(*walkers), species={"Li": "name LI"}, keep_drift=True)
    return found


@pytest.mark.skipif(shutil.which("gmx") is None, reason="gmx is not installed (apt install gromacs)")
def test_displacements_and_diffusion_are_those_of_gromacs(walkers, ours, tmp_path):
    topology, frames = walkers
    lag_ps = 100.0
    command = ["gmx", "msd", "-s", topology, "-f", frames, "-sel", "all", "-o", "msd.xvg", "-trestart", FRAME_PS]
    command += ["-maxtau", lag_ps, "-beginfit", 2, "-endfit", lag_ps, "-nobackup"]
    done = subprocess.run([str(word) for word in command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-500:]
    rows = [line.split() for line in (tmp_path / "msd.xvg").read_text().splitlines() if line[0] not in "#@"]
    theirs = {round(float(time), 3): 100 * float(nm2) for time, nm2 in rows}
    squares = ours.squares["Li"]
    shared = [at for at, lag in enumerate(squares.lags) if lag * FRAME_PS in theirs]
    assert len(shared) > 20
    # Both average over every window; the file keeps 0.01 Å, gmx single precision.
    for at in shared:
        assert squares.mean_A2[at] == pytest.approx(theirs[squares.lags[at] * FRAME_PS], rel=2e-3)
    told = re.search(r"D\[.*?\] = (\S+) \(\+/- (\S+)\) \(1e-5", (tmp_path / "msd.xvg").read_text())
    value, spread = (1e-5 * float(number) for number in told.groups())
    (row,) = ours.rows
    # Their line weighs all lags alike, so that it is worse by some multiple of our error.
    assert value == pytest.approx(row.value, abs=4 * row.stderr + spread)
    assert row.value == pytest.approx(EXACT * CM2_S, abs=3 * row.stderr)
    print(f"\nsolvation {row.value:.3e} +- {row.stderr:.1e}, gmx msd {value:.3e} +- {spread:.1e} cm2/s")


def test_diffusion_and_its_error_are_those_of_kinisi(walkers, ours):
    analyze = pytest.importorskip("kinisi.analyze", reason="kinisi is not installed (pip install kinisi)")
    sc = pytest.importorskip("scipp")
    universe = MDAnalysis.Universe(*map(str, walkers))
    universe.atoms.types = ["Li"] * N
    theirs = analyze.DiffusionAnalyzer.from_universe(
        universe, specie="Li", time_step=sc.scalar(FRAME_PS, unit="ps"), step_skip=sc.scalar(1), progress=False,
    )  # fmt: skip
    (row,) = ours.rows
    theirs.diffusion(sc.scalar(row.fit_from_ps, unit="ps"), random_state=np.random.RandomState(1), progress=False)
    drawn = theirs.D.to(unit="cm^2/s").values
    both = np.hypot(row.stderr, drawn.std())
    assert drawn.mean() == pytest.approx(row.value, abs=2 * both)
    assert drawn.mean() == pytest.approx(EXACT * CM2_S, abs=3 * drawn.std())
    assert 0.3 < row.stderr / drawn.std() < 1.5
    print(f"\nsolvation {row.value:.3e} +- {row.stderr:.1e}, kinisi {drawn.mean():.3e} +- {drawn.std():.1e} cm2/s")
