"""Where a first shell ends, and what its coordination number is worth."""

import math

import numpy as np
import pytest

from solvation.errors import TrajectoryError
from solvation.shells.analysis import analyze_trajectory
from solvation.shells.contacts import contacts
from solvation.shells.coordination import contact_distance_A, coordination, first_shell
from solvation.shells.pairs import PairSpool
from solvation.shells.rdf import RadialDistribution, RdfAccumulator
from solvation.shells.surroundings import Surroundings
from solvation.trajectory.frames import Frame, open_trajectory
from solvation.trajectory.neighbours import Pairs

WIDTH_A = 0.05
R_A = np.arange(WIDTH_A / 2, 8, WIDTH_A)


def drawn(g, samples, rng, density=0.01):
    """A curve as so many ions times frames would count it: Poisson in every bin."""
    volume = 4 / 3 * np.pi * ((R_A + WIDTH_A / 2) ** 3 - (R_A - WIDTH_A / 2) ** 3)
    expected = g * samples * density * volume
    counts = rng.poisson(expected)
    nothing = np.full(len(R_A), np.nan)
    return RadialDistribution(R_A, counts / (samples * density * volume), np.cumsum(counts) / samples, nothing, nothing)


def liquid_g(minimum=0.3):
    """First peak at 2.0 Å, minimum near 3.0 Å, second shell at 4.2 Å, then 1."""
    far = 1 / (1 + np.exp(-(R_A - 3.6) / 0.15))
    gap = minimum * np.exp(-(((R_A - 3.0) / 0.5) ** 2)) * (R_A > 1.8)
    return 12 * np.exp(-(((R_A - 2.0) / 0.18) ** 2)) + gap + far * (1 + 0.6 * np.exp(-(((R_A - 4.2) / 0.4) ** 2)))


@pytest.mark.parametrize("samples", [500, 20_000])
@pytest.mark.parametrize("seed", range(12))
def test_noise_of_counting_moves_neither_peak_nor_minimum(samples, seed):
    exact = first_shell(drawn(liquid_g(), 10**9, np.random.default_rng(0)), n_samples=10**9)
    assert exact.peak_A == pytest.approx(2.0, abs=0.03)
    found = first_shell(drawn(liquid_g(), samples, np.random.default_rng(seed)), n_samples=samples)
    assert found.peak_A == pytest.approx(exact.peak_A, abs=0.1)
    assert found.cutoff_A == pytest.approx(exact.cutoff_A, abs=0.4)
    n = drawn(liquid_g(), 10**9, np.random.default_rng(0)).n
    # The number that rests on it moves by less than a twentieth.
    assert np.interp(found.cutoff_A, R_A, n) == pytest.approx(np.interp(exact.cutoff_A, R_A, n), rel=0.05)


@pytest.mark.parametrize("seed", range(40))
def test_an_ideal_gas_has_no_shell(seed):
    found = first_shell(drawn(np.ones_like(R_A), 2000, np.random.default_rng(seed)), n_samples=2000)
    assert math.isnan(found.peak_A)
    assert math.isnan(found.cutoff_A)
    assert "no peak" in found.note


def test_the_end_of_a_droplet_is_not_the_end_of_its_first_shell():
    """Beyond the droplet g is lower than in the first minimum."""
    g = liquid_g() * (R_A < 6.5)
    found = first_shell(drawn(g, 20_000, np.random.default_rng(1)), n_samples=20_000)
    assert 2.5 < found.cutoff_A < 3.4


def test_a_shell_that_nothing_follows_ends_near_it():
    g = 12 * np.exp(-(((R_A - 2.0) / 0.1) ** 2))
    found = first_shell(drawn(g, 5000, np.random.default_rng(2)), n_samples=5000)
    assert 2.3 < found.cutoff_A < 3.3


def test_a_donor_smeared_far_beyond_contact_is_counted_within_contact():
    g = 4 * np.exp(-(((R_A - 2.7) / 0.35) ** 2)) + 1.2 * (R_A > 2.8) * (R_A < 4.5) + 1.0 * (R_A > 5.2)
    found = first_shell(drawn(g, 300, np.random.default_rng(3)), contact_A=2.79, n_samples=300)
    assert found.cutoff_A == pytest.approx(2.79)
    assert "counted within 2.79" in found.note


def test_contacts_of_lithium():
    assert contact_distance_A({"Li"}, {"O"}) == pytest.approx(2.7, abs=0.05)
    assert math.isnan(contact_distance_A({"Li"}, {"O", "N"}))
    assert math.isnan(contact_distance_A({"LI9"}, {"O"}))


def test_the_shell_of_an_anion_ends_at_its_minimum_however_far_from_covalent_radii():
    """Water around chloride as it is known: first peak at 3.15 Å, minimum at 3.8 Å, some six molecules."""
    contact_A = contact_distance_A({"Cl"}, {"O"})
    assert math.isnan(contact_A)
    far = 1 / (1 + np.exp(-(R_A - 4.2) / 0.2))
    g = 4 * np.exp(-(((R_A - 3.15) / 0.25) ** 2)) + 0.5 * (R_A > 3.0) * (1 - far) + far
    curve = drawn(g, 20_000, np.random.default_rng(4), density=0.0333)
    found = first_shell(curve, contact_A, n_samples=20_000, limit_A=6.0)
    assert found.peak_A == pytest.approx(3.15, abs=0.1)
    assert found.cutoff_A == pytest.approx(3.8, abs=0.2)
    assert np.interp(found.cutoff_A, R_A, curve.n) > 5


def test_the_verdict_asks_for_as_much_as_the_error_needs():
    """White noise of 10 % relative error needs four times the length for 5 %: three lengths more."""
    rng = np.random.default_rng(4)
    noise = rng.normal(size=400)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    counts = 4 + noise * 0.1 * 4 * math.sqrt(400)
    shell = first_shell(drawn(liquid_g(), 10**6, rng), n_samples=10**6)
    row = coordination("O", "atom", shell, counts, 0.5, np.random.default_rng(0))
    more = 400 * 0.5 * ((row.cn_stderr / row.cn / 0.05) ** 2 - 1)
    assert row.cn_stderr / row.cn == pytest.approx(0.1, rel=0.3)
    assert f"run {more:.2g} ps more for 5 %" in row.verdict
    untimed = coordination("O", "atom", shell, counts, math.nan, np.random.default_rng(0))
    assert f"run {more / 0.5:.2g} frames more for 5 %" in untimed.verdict


def test_the_count_equals_the_curve_at_the_cutoff_bin_edge():
    """CN by count in frames and n(r) by histogram are two paths to one number."""
    rng = np.random.default_rng(5)
    box = np.array([20.0, 20, 20, 90, 90, 90])
    ions, donors = np.arange(4), {"a": np.arange(4, 300), "b": np.arange(300, 404)}
    accumulator = RdfAccumulator(ions, donors, r_max_A=6, n_bins=60, n_frames=25)
    kind, owner = np.repeat([0, 1], [296, 104]), np.arange(4, 404) // 2
    # Pairs of atoms make molecules here.
    own = np.arange(202, 206)
    around = Surroundings(
        np.arange(404), ions, donors, kind, owner, own, ["M"] * 202 + ["I"] * 4, {}, *np.full((2, 2), 6.0)
    )
    with PairSpool() as near:
        for number in range(25):
            near.add(accumulator.add(Frame(float(number), rng.uniform(0, 20, (404, 3)), box)))
        curves = accumulator.result()
        counts = contacts(near.chunks(), around, np.array([3.0, 4.5]), []).counts
    assert counts["a", "atom"].mean() == pytest.approx(curves["a"].n[29], rel=1e-12)
    assert counts["b", "atom"].mean() == pytest.approx(curves["b"].n[44], rel=1e-12)
    assert counts["total", "atom"] == pytest.approx(counts["a", "atom"] + counts["b", "atom"])
    assert len(counts["a", "atom"]) == 25
    # Some molecules are met twice, none is lost.
    assert np.all(counts["a", "molecule"] <= counts["a", "atom"])
    assert np.all(counts["a", "molecule"] >= counts["a", "atom"] / 2)


def test_the_spool_gives_back_frames_without_pairs_and_frames_across_chunks(monkeypatch):
    monkeypatch.setattr("solvation.shells.pairs._CHUNK", 50)
    rng = np.random.default_rng(6)
    lengths = rng.integers(0, 20, 40)
    lengths[[0, 7, 39]] = 0
    with PairSpool() as spool:
        for length in lengths:
            distance_A = rng.uniform(0, 5, length).astype(np.float32)
            spool.add(
                Pairs(*rng.integers(0, 9, (2, length)), distance_A, np.zeros((length, 3), np.int8), np.zeros(1, int))
            )
        chunks = list(spool.chunks())
    assert len(chunks) > 3
    assert np.concatenate([chunk.lengths for chunk in chunks]).tolist() == lengths.tolist()


def test_names_and_selections_that_cannot_be(tmp_path):
    from ase import Atoms
    from ase.io import write

    write(tmp_path / "a.extxyz", Atoms("Li2O2", np.random.default_rng(7).uniform(0, 5, (4, 3))))
    opened = open_trajectory(tmp_path / "a.extxyz")
    for center, donors, message in (
        ("name Li", {"total": "name O"}, "total"),
        ("name Li", {}, "at least one"),
        ("name Li", {"x": "name O or index 0"}, "hold 1 of the 2 centers"),
        ("name Li", {"x": "name O", "y": "index 2"}, "overlap"),
    ):
        with pytest.raises(TrajectoryError, match=message):
            analyze_trajectory(opened, center=center, donors=donors, r_max_A=4, n_bins=40)
    with pytest.raises(TrajectoryError, match=r"holds no times.*timestep"):
        analyze_trajectory(opened, center="name Li", donors={"O": "name O"}, r_max_A=4, n_bins=40, skip_ps=1)
    around = analyze_trajectory(opened, center="name Li", donors={"Li": "name Li"}, r_max_A=20, n_bins=40)
    assert around.rdf["Li"].n[-1] == 1
