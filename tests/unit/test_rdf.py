"""g(r), n(r) and coordination numbers against exact cases and another program."""

import json
import math

import MDAnalysis
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write

from solvation.errors import StudyError, TrajectoryError
from solvation.shells.analysis import analyze_trajectory
from solvation.shells.coordination import coordination, first_shell
from solvation.shells.rdf import RadialDistribution, RdfAccumulator
from solvation.tables.shells import write_tables
from solvation.trajectory.frames import Frame, open_trajectory
from solvation.uncertainty import block_error, standard_error, statistical_inefficiency

CUBE = np.array([20.0, 20.0, 20.0, 90, 90, 90])


def rdf_of(frames, ions, donors, r_max_A=8.0, n_bins=80):
    accumulator = RdfAccumulator(
        np.asarray(ions), {"x": np.asarray(donors)}, r_max_A=r_max_A, n_bins=n_bins, n_frames=len(frames)
    )
    for frame in frames:
        accumulator.add(frame)
    return accumulator.result()["x"]


def universe_file(tmp_path, frames, *, names, resids, box=CUBE, suffix="xtc"):
    """Write frames, (n_frames, n_atoms, 3) in Å, through MDAnalysis; return (topology, trajectory)."""
    n_residues = max(resids) + 1
    universe = MDAnalysis.Universe.empty(len(names), n_residues, atom_resindex=resids, trajectory=True)
    universe.add_TopologyAttr("names", names)
    universe.add_TopologyAttr("elements", [name.rstrip("0123456789").title() for name in names])
    universe.add_TopologyAttr("resnames", [f"M{i % 10}" for i in range(n_residues)])
    universe.add_TopologyAttr("resids", list(range(1, n_residues + 1)))
    universe.atoms.positions = frames[0]
    universe.dimensions = box
    universe.atoms.write(str(tmp_path / "top.pdb"))
    path = tmp_path / f"traj.{suffix}"
    with MDAnalysis.Writer(str(path), len(names)) as writer:
        for number, frame in enumerate(frames):
            universe.atoms.positions = frame
            universe.dimensions = box
            universe.trajectory.ts.time = number * 1.0
            writer.write(universe.atoms)
    return tmp_path / "top.pdb", path


def test_g_of_an_ideal_gas_is_one():
    rng = np.random.default_rng(1)
    frames = [Frame(float(t), rng.uniform(0, 20, (1010, 3)), CUBE) for t in range(60)]
    found = rdf_of(frames, range(10), range(10, 1010))
    shells = 4 / 3 * np.pi * np.diff(np.linspace(0, 8, 81) ** 3)
    expected = shells * 1000 / 8000 * 10 * 60
    z = (found.g - 1) * np.sqrt(expected)
    assert np.all(np.abs(z[expected > 5]) < 4.5)
    assert found.n[-1] == pytest.approx(4 / 3 * np.pi * 8**3 * 1000 / 8000, rel=0.01)


def test_an_ion_is_not_its_own_neighbour_and_the_density_leaves_it_out():
    rng = np.random.default_rng(2)
    frames = [Frame(float(t), rng.uniform(0, 20, (60, 3)), CUBE) for t in range(2000)]
    found = rdf_of(frames, range(60), range(60), r_max_A=6, n_bins=6)
    assert found.g == pytest.approx(np.ones(6), abs=0.03)


def molecules_of_three(tmp_path, n=8, n_frames=400):
    """Anywhere and any way round in a cube: two H at 1 Å from their O, as PDB without bonds and XTC."""
    rng = np.random.default_rng(12)
    frames = []
    for _ in range(n_frames):
        arms = rng.normal(size=(n, 3))
        arms /= np.linalg.norm(arms, axis=1)[:, None]
        oxygen = rng.uniform(0, 20, (n, 3))
        frames.append(np.stack([oxygen, oxygen + arms, oxygen - arms], axis=1).reshape(-1, 3) % 20)
    resids = np.repeat(np.arange(n), 3).tolist()
    return universe_file(tmp_path, np.array(frames), names=["O", "H1", "H2"] * n, resids=resids)


def test_donors_of_the_own_molecule_are_no_neighbours(tmp_path):
    """An ideal gas of molecules: g is 1 from the first bin on, and the two H of each O are not in its shell."""
    opened = open_trajectory(*molecules_of_three(tmp_path))
    told = {"center": "name O", "donors": {"H": "name H*"}, "r_max_A": 8, "n_bins": 8}
    found = analyze_trajectory(opened, **told).rdf["H"]
    expected = 8 * 400 * 14 / 8000 * 4 / 3 * np.pi * np.diff(np.arange(9.0) ** 3)
    assert np.all(np.abs(found.g - 1) < 4.5 / np.sqrt(expected))
    assert found.n[-1] == pytest.approx(14 / 8000 * 4 / 3 * np.pi * 8**3, rel=0.03)
    whole = analyze_trajectory(opened, **told, own_molecule=True).rdf["H"]
    assert whole.n[1:] == pytest.approx(found.n[1:] + 2)


def test_a_framework_has_no_donors_of_other_molecules_and_says_so(tmp_path):
    """Quartz as one molecule: all O belong to the molecule of each Si."""
    atoms = Atoms("SiO2", [[0, 0, 0], [1.6, 0, 0], [-1.6, 0, 0]], cell=[12, 12, 12], pbc=True)
    write(tmp_path / "q.extxyz", atoms)
    opened = open_trajectory(tmp_path / "q.extxyz")
    told = {"center": "name Si", "donors": {"O": "name O"}, "r_max_A": 4, "n_bins": 80}
    with pytest.raises(TrajectoryError, match=r"donors 'O': all belong to the molecule of each center, .*--own-mol"):
        analyze_trajectory(opened, **told)
    assert analyze_trajectory(opened, **told, own_molecule=True).rdf["O"].n[-1] == 2


def test_shells_of_an_fcc_crystal():
    crystal = bulk("Ar", "fcc", a=5.0, cubic=True).repeat(4)
    found = rdf_of(
        [Frame(0.0, crystal.positions, crystal.cell.cellpar())], range(256), range(256), r_max_A=6.5, n_bins=650
    )
    for distance, count in ((5 / math.sqrt(2) + 0.02, 12), (5.02, 18), (5 * math.sqrt(1.5) + 0.02, 42)):
        assert found.n[found.r_A <= distance][-1] == pytest.approx(count)


def test_a_slanted_cell_gives_what_its_cube_gives():
    primitive = bulk("Ar", "fcc", a=5.0).repeat(8)
    cubic = bulk("Ar", "fcc", a=5.0, cubic=True).repeat(4)
    both = [
        rdf_of([Frame(0.0, _lower(atoms), atoms.cell.cellpar())], range(len(atoms)), range(len(atoms)), 6.5, 62)
        for atoms in (primitive, cubic)
    ]
    assert both[0].n == pytest.approx(both[1].n)
    assert both[0].g == pytest.approx(both[1].g, rel=0.01)  # (N - 1)/N differs


def _lower(atoms: Atoms) -> np.ndarray:
    from ase.geometry import cellpar_to_cell

    return atoms.get_scaled_positions() @ cellpar_to_cell(atoms.cell.cellpar())


def test_four_donors_at_two_angstrom_across_the_boundary():
    directions = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / math.sqrt(3)
    ion = np.array([[0.1, 0.1, 0.1]])
    positions = np.vstack([ion, (ion + 2.0 * directions) % 20])
    found = rdf_of([Frame(0.0, positions, CUBE)], [0], range(1, 5))
    assert found.n[found.r_A < 1.9][-1] == 0
    assert found.n[-1] == 4


def test_a_droplet_counts_the_same_and_its_mean_g_is_one():
    rng = np.random.default_rng(3)
    positions = np.vstack([np.zeros((1, 3)), rng.uniform(-4, 4, (200, 3))])
    found = rdf_of([Frame(0.0, positions, None)], [0], range(1, 201), r_max_A=3.0, n_bins=30)
    assert found.n[-1] == np.count_nonzero(np.linalg.norm(positions[1:], axis=1) < 3)
    shells = np.diff(np.linspace(0, 3, 31) ** 3)
    assert np.sum(found.g * shells) / np.sum(shells) == pytest.approx(1)


def test_a_range_beyond_half_the_box_is_refused():
    with pytest.raises(TrajectoryError, match=r"10\.00 Å; lower"):
        rdf_of([Frame(0.0, np.zeros((2, 3)), CUBE)], [0], [1], r_max_A=11)


def test_overlapping_donor_kinds_are_refused():
    with pytest.raises(TrajectoryError, match="overlap"):
        RdfAccumulator(np.array([0]), {"a": np.array([1, 2]), "b": np.array([2])}, r_max_A=5, n_bins=10, n_frames=1)


def test_the_same_curve_as_mdanalysis(tmp_path):
    from MDAnalysis.analysis.rdf import InterRDF

    rng = np.random.default_rng(4)
    frames = rng.uniform(0, 20, (20, 205, 3))
    names = ["LI"] * 5 + ["O"] * 200
    top, traj = universe_file(tmp_path, frames, names=names, resids=list(range(205)))
    ours = analyze_trajectory(
        open_trajectory(top, traj), center="name LI", donors={"O": "name O"}, r_max_A=8, n_bins=40
    ).rdf["O"]
    universe = MDAnalysis.Universe(str(top), str(traj))
    theirs = InterRDF(universe.select_atoms("name LI"), universe.select_atoms("name O"), nbins=40, range=(0, 8)).run()
    assert ours.r_A == pytest.approx(theirs.results.bins)
    assert ours.g == pytest.approx(theirs.results.rdf, rel=1e-4, abs=1e-6)


def shell_files(tmp_path, n_frames=40):
    """Li with one TDA-like molecule bound by four N at 2.1 Å and two EC-like O at 2.0 Å, each its own molecule."""
    rng = np.random.default_rng(5)
    directions = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1], [1, 0, 0], [-1, 0, 0]], dtype=float)
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    frames = []
    for number in range(n_frames):
        positions = np.vstack([np.zeros((1, 3)), directions[:4] * 2.1, directions[4:] * 2.0])
        positions[1:] += rng.normal(scale=0.02, size=(6, 3))
        if number % 2:
            positions[6] *= 2.5  # the second O comes and goes
        frames.append(positions + 10)
    names = ["LI", "N1", "N2", "N3", "N4", "O1", "O1"]
    return universe_file(tmp_path, np.array(frames), names=names, resids=[0, 1, 1, 1, 1, 2, 3])


def test_donor_atoms_and_molecules_are_counted_apart(tmp_path):
    found = analyze_trajectory(
        open_trajectory(*shell_files(tmp_path)), center="name LI", donors={"N": "name N*", "O": "name O1"},
        r_max_A=6, n_bins=120,
    )  # fmt: skip
    cn = {(row.donor, row.counted): row.cn for row in found.coordination}
    assert cn["N", "atom"] == 4
    assert cn["N", "molecule"] == 1
    assert cn["O", "atom"] == pytest.approx(1.5)
    assert cn["O", "molecule"] == pytest.approx(1.5)
    assert cn["total", "atom"] == pytest.approx(5.5)
    assert cn["total", "molecule"] == pytest.approx(2.5)
    peaks = {row.donor: row.peak_A for row in found.coordination if row.counted == "atom"}
    assert peaks["N"] == pytest.approx(2.1, abs=0.05)
    assert peaks["O"] == pytest.approx(2.0, abs=0.05)
    verdicts = {row.donor: row.verdict for row in found.coordination if row.counted == "atom"}
    assert "never changed" in verdicts["N"]


def test_shells_and_exchange_of_a_donor_that_comes_and_goes(tmp_path):
    """The second O is away in every other frame: two shells of one half each, and stays of one frame."""
    found = analyze_trajectory(
        open_trajectory(*shell_files(tmp_path)), center="name LI", donors={"N": "name N*", "O": "name O1"},
        r_max_A=6, n_bins=120, tolerance_ps=1.0,
    )  # fmt: skip
    assert {row.shell: row.population for row in found.speciation if row.grouped == "shell"} == {
        "1 M1(4) + 1 M2(1) + 1 M3(1)": 0.5, "1 M1(4) + 1 M2(1)": 0.5,
    }  # fmt: skip
    times = {(row.donor, row.counted, row.measure): row.found for row in found.residence}
    assert times["N", "molecule", "continuous"].departures == 0
    assert times["N", "molecule", "continuous"].contacts == 1
    assert times["N", "atom", "continuous"].contacts == 4
    assert times["O", "atom", "continuous"].departures == 20
    # Breaks of one frame are closed: nothing leaves.
    assert times["O", "atom", "intermittent"].departures == 0
    # One of the two O is always there, the other one is gone in the next frame: two of three contacts are left then.
    curve = times["O", "atom", "continuous"].survival
    assert curve.lag_ps[:2] == pytest.approx([0, curve.lag_ps[1]])
    assert curve.probability[:2] == pytest.approx([1, 1 - 20 / 59])
    assert len(curve.lag_ps) == len(curve.probability) == len(curve.stderr)
    held = {row.shell: row.population for row in found.speciation if row.grouped == "species"}
    assert held == {"M1": 1, "M2": 1, "M3": 0.5}


def test_ten_kinds_are_ten_passes_of_one(tmp_path):
    rng = np.random.default_rng(9)
    names = ["LI"] * 6 + [f"O{number % 10}" for number in range(400)]
    files = universe_file(tmp_path, rng.uniform(0, 20, (12, 406, 3)), names=names, resids=list(range(406)))
    kinds = {f"O{number}": f"name O{number}" for number in range(10)}
    common = {"center": "name LI", "r_max_A": 8, "n_bins": 80}
    together = analyze_trajectory(open_trajectory(*files), donors=kinds, **common)
    for kind, selection in kinds.items():
        alone = analyze_trajectory(open_trajectory(*files), donors={kind: selection}, **common)
        for field in ("g", "n", "g_stderr", "n_stderr"):
            assert getattr(together.rdf[kind], field) == pytest.approx(getattr(alone.rdf[kind], field), rel=1e-12)
        both = [
            [value for row in found.coordination if row.donor == kind for value in (row.cn, row.cutoff_A)]
            for found in (together, alone)
        ]
        assert both[0] == pytest.approx(both[1], rel=1e-12, nan_ok=True)


def test_frames_before_skip_are_left_out(tmp_path):
    opened = open_trajectory(*shell_files(tmp_path))
    found = analyze_trajectory(opened, center="name LI", donors={"O": "name O1"}, r_max_A=6, n_bins=60, skip_ps=30)
    assert found.n_frames == 10
    with pytest.raises(TrajectoryError, match="lower it"):
        analyze_trajectory(opened, center="name LI", donors={"O": "name O1"}, r_max_A=6, n_bins=60, skip_ps=100)


def test_a_first_peak_far_away_is_no_coordination():
    r = np.linspace(0.025, 5.975, 120)
    curve = RadialDistribution(r, np.exp(-(((r - 4.2) / 0.3) ** 2)), np.zeros(120), np.zeros(120), np.zeros(120))
    shell = first_shell(curve, contact_A=2.7)
    assert shell.cutoff_A == 2.7
    assert "no contact" in shell.note
    assert first_shell(curve).peak_A == pytest.approx(4.2, abs=0.05)


def test_the_cutoff_is_the_middle_of_an_empty_gap():
    r = np.linspace(0.025, 5.975, 120)
    g = np.exp(-(((r - 2.0) / 0.1) ** 2)) * 10 + (r > 4) * np.exp(-(((r - 4.5) / 0.2) ** 2)) * 3
    shell = first_shell(RadialDistribution(r, g, *(np.zeros(120),) * 3))
    assert shell.peak_A == pytest.approx(2.0, abs=0.05)
    assert 2.9 < shell.cutoff_A < 3.6


def test_a_curve_that_never_falls_again_has_no_cutoff():
    r = np.linspace(0.025, 2.975, 60)
    shell = first_shell(RadialDistribution(r, np.where(r > 2.8, 5.0, 0.0), *(np.zeros(60),) * 3))
    assert math.isnan(shell.cutoff_A)
    row = coordination("O", "atom", shell, np.ones(10), 1.0, np.random.default_rng(0))
    assert math.isnan(row.cn)
    assert row.verdict


def test_the_error_of_a_correlated_series():
    """AR(1) with coefficient a has inefficiency (1 + a)/(1 - a)."""
    rng = np.random.default_rng(6)
    series, a = np.zeros(200_000), 0.9
    for step in range(1, len(series)):
        series[step] = a * series[step - 1] + rng.normal()
    assert statistical_inefficiency(series) == pytest.approx(19, rel=0.1)
    exact = math.sqrt(1 / (1 - a**2)) * math.sqrt(19 / len(series))
    assert standard_error(series) == pytest.approx(exact, rel=0.1)
    assert statistical_inefficiency(rng.normal(size=50_000)) == pytest.approx(1, abs=0.1)


def test_no_error_is_invented():
    assert math.isnan(standard_error(np.full(100, 4.0)))
    assert math.isnan(standard_error(np.repeat([3.0, 4.0], 50)))
    assert np.isnan(block_error(np.zeros((2, 3)))).all()
    assert block_error(np.array([[1.0], [2.0], [3.0]])) == pytest.approx(1 / math.sqrt(3))


@pytest.mark.parametrize("name", ["t.extxyz", "XDATCAR"])
def test_frames_that_ase_reads_keep_their_cell_and_molecules(tmp_path, name):
    atoms = Atoms("LiOH2", [[0.2, 5, 5], [9.2, 5, 5], [8.6, 5.7, 5], [8.6, 4.3, 5]], cell=[10, 10, 10], pbc=True)
    write(tmp_path / name, [atoms, atoms], format="vasp-xdatcar" if name == "XDATCAR" else "extxyz")
    opened = open_trajectory(tmp_path / name)
    found = analyze_trajectory(opened, center="name Li", donors={"O": "element O"}, r_max_A=4, n_bins=80)
    assert opened.n_frames == 2
    assert found.rdf["O"].n[found.rdf["O"].r_A < 1.1][-1] == 1
    owner = opened.molecule_of
    assert owner[1] == owner[2] == owner[3] != owner[0]


def test_bad_files_and_selections_are_named(tmp_path):
    top, traj = shell_files(tmp_path)
    with pytest.raises(TrajectoryError, match=r"no\.xtc does not exist"):
        open_trajectory(top, tmp_path / "no.xtc")
    with pytest.raises(TrajectoryError, match=r"matches no atom .*LI N1 N2"):
        open_trajectory(top, traj).select("name XX")
    with pytest.raises(TrajectoryError, match="cannot be read"):
        open_trajectory(top, traj).select("nmae LI")
    other = tmp_path / "other"
    other.mkdir()
    _, wrong = universe_file(other, np.zeros((2, 3, 3)), names=["LI", "O", "O"], resids=[0, 1, 2])
    with pytest.raises(TrajectoryError, match="same atoms"):
        open_trajectory(top, wrong)
    (tmp_path / "text.xtc").write_text("not a trajectory")
    with pytest.raises(TrajectoryError, match=r"text\.xtc"):
        open_trajectory(top, tmp_path / "text.xtc")


def _analyze_whole(top, traj):
    return analyze_trajectory(
        open_trajectory(top, traj), center="name LI", donors={"O": "name O"}, r_max_A=5, n_bins=50
    )


@pytest.mark.parametrize("cut", [30, 100])
def test_a_truncated_trajectory_is_not_used_silently(tmp_path, cut):
    rng = np.random.default_rng(8)
    names, resids = ["LI"] + ["O"] * 60, list(range(61))
    top, traj = universe_file(tmp_path, rng.uniform(0, 20, (10, 61, 3)), names=names, resids=resids)
    broken = tmp_path / "broken.xtc"
    broken.write_bytes(traj.read_bytes()[:-cut])
    with pytest.raises(TrajectoryError, match="broken"):
        _analyze_whole(top, broken)


def test_tables_hold_the_documented_columns(tmp_path):
    found = analyze_trajectory(
        open_trajectory(*shell_files(tmp_path)), center="name LI", donors={"N": "name N*"}, r_max_A=6, n_bins=120
    )
    write_tables(found, tmp_path, 'a "name", with marks')
    import pandas as pd

    rdf = pd.read_csv(tmp_path / "rdf.csv")
    assert list(rdf.columns) == ["trajectory", "center", "donor", "r_A", "g", "n", "g_stderr", "n_stderr"]
    assert rdf["trajectory"].unique().tolist() == ['a "name", with marks']
    assert rdf["n"].iloc[-1] == 4
    cn = pd.read_csv(tmp_path / "coordination.csv")
    documented = (
        "trajectory donor counted cutoff_A cn cn_stderr cn_low cn_high cn_integral cn_shorter cn_longer n_frames "
        "peak_A statistical_inefficiency cn_rad verdict"
    )
    assert list(cn.columns) == documented.split()


def test_the_donor_option_splits_outside_parentheses():
    from solvation.cli.frames import split_name

    assert split_name("--donor", "O(C=O)=name OC") == ("O(C=O)", "name OC")
    assert split_name("--donor", "N=name N") == ("N", "name N")
    for bad in ("name N", "=name N", "N=", "(a=b)"):
        with pytest.raises(StudyError, match="NAME=SELECTION"):
            split_name("--donor", bad)


def test_the_analyze_verb_writes_where_it_says_and_never_overwrites(tmp_path):
    import typer
    from typer.testing import CliRunner

    from solvation.cli import analyze

    app = typer.Typer()
    analyze.register(app)
    top, traj = shell_files(tmp_path)
    command = [
        "analyze",
        str(top),
        str(traj),
        "--center",
        "name LI",
        "--donor",
        "N=name N*",
        "--donor",
        "O(C=O)=name O1",
    ]
    command += ["--rmax", "8", "--bins", "160", "--out", str(tmp_path / "out")]
    first = CliRunner().invoke(app, command)
    assert first.exit_code == 0, first.output
    assert "O(C=O)" in first.output
    made = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert made["card"]["donors"] == {"N": "name N*", "O(C=O)": "name O1"}
    again = CliRunner().invoke(app, command)
    assert isinstance(again.exception, TrajectoryError)
    assert "left as it is" in str(again.exception)
    assert CliRunner().invoke(app, [*command, "--force"]).exit_code == 0
