"""Whether a series has settled: what noise may do, and what it may not hide."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.signal import lfilter

from solvation.dynamics.drift import drift_of
from solvation.dynamics.equilibration import _at_density, density_g_cm3
from solvation.dynamics.langevin import State
from solvation.uncertainty import standard_error


def correlated(rng, count, memory):
    noise = rng.standard_normal(count)
    noise[1:] *= math.sqrt(1 - memory**2)
    return lfilter([1.0], [1.0, -memory], noise)


def creeping(rng, samples=1000, tau=5.0, size=0.0, over=0.5):
    """Density in g/cm3 with correlated noise of 0.01, on its way down from `size` by exp(-t / (over of the run))."""
    late = np.arange(samples) / samples
    return 1.2 + 0.01 * correlated(rng, samples, math.exp(-1 / tau)) - size * np.exp(-late / over)


def is_settled_by_quarters(series):
    """The rule before this one: the quarters of the second half within two of their errors."""
    first, last = np.split(series[len(series) // 2 :], 2)
    error = math.hypot(standard_error(first, 5), standard_error(last, 5))
    return abs(last.mean() - first.mean()) <= 2 * error


@pytest.mark.parametrize(("memory", "samples"), [(0.0, 4000), (0.9, 4000), (0.9, 600), (0.96, 1000)])
def test_noise_around_a_constant_is_called_a_drift_in_one_run_of_twenty(memory, samples):
    """From 400 independent samples in the last two thirds down to 13, whose correlation time is a guess."""
    rng = np.random.default_rng(5)
    found = [drift_of("x", "m", correlated(rng, samples, memory)) for _ in range(400)]
    alarms = [not one.is_settled for one in found if not math.isnan(one.drift_stderr)]
    assert len(alarms) > 360
    # Four binomial errors of 5 % in 400 runs.
    assert 0.01 < np.mean(alarms) < 0.095


def test_a_density_on_its_way_is_seen_where_quarters_did_not_see_it():
    """0.8 % too low on average: the last two thirds know more of it than the quarters of the second half."""
    rng = np.random.default_rng(7)
    runs = [creeping(rng, size=0.04) for _ in range(200)]
    quiet = [creeping(rng) for _ in range(200)]
    line = np.mean([not drift_of("x", "m", run).is_settled for run in runs])
    quarters = np.mean([not is_settled_by_quarters(run) for run in runs])
    assert line > 0.8
    assert quarters < 0.5
    # Not because it cries wolf.
    assert np.mean([not drift_of("x", "m", run).is_settled for run in quiet]) < 0.1


@pytest.mark.parametrize("tau", [2.0, 5.0, 10.0])
def test_the_drift_that_may_be_missed_is_seen_nineteen_times_of_twenty(tau):
    rng = np.random.default_rng(8)
    quiet = [drift_of("x", "m", creeping(rng, tau=tau)) for _ in range(200)]
    unseen = float(np.mean([one.unseen for one in quiet]))
    line = unseen * 1.5 * np.linspace(0, 1, 1000)  # two thirds of it lie in the last two thirds
    for factor, least, most in ((1.0, 0.88, 1.0), (0.25, 0.0, 0.3)):
        seen = [not drift_of("x", "m", creeping(rng, tau=tau) + factor * line).is_settled for _ in range(200)]
        assert least <= np.mean(seen) <= most


def test_the_words_tell_the_drift_that_may_be_missed_in_the_unit_of_the_quantity():
    found = drift_of("density", "g/cm3", creeping(np.random.default_rng(9)))
    assert found.words == f"settled; a drift below {found.unseen:.2g} g/cm3 may be missed"
    assert found.words in found.verdict
    # Ten times longer: smaller by about the root of ten.
    longer = drift_of("density", "g/cm3", creeping(np.random.default_rng(9), samples=10_000))
    assert 2 < found.unseen / longer.unseen < 5


def test_a_creeping_density_is_not_settled_and_the_first_third_does_not_count():
    rng = np.random.default_rng(6)
    noise = 0.01 * rng.standard_normal(2000)
    assert drift_of("x", "m", noise + np.linspace(0, 0.1, 2000)).words == "NOT settled, run longer"
    late = np.where(np.arange(2000) < 660, 5.0, 1.0) + noise
    found = drift_of("x", "m", late)
    assert found.is_settled
    assert found.mean == pytest.approx(1.0, abs=0.002)


@pytest.mark.parametrize("samples", [1, 8])
def test_a_run_too_short_to_tell_is_not_called_settled(samples):
    found = drift_of("x", "m", np.linspace(1.0, 1.1, samples))
    assert math.isnan(found.drift_stderr)
    assert not found.is_settled
    assert "too short to tell" in found.verdict


def test_a_box_is_brought_to_a_density_with_its_molecules_whole():
    positions_A = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 1.74], [8.0, 2.0, 5.0], [8.0, 2.7, 5.0]])
    state = State(
        numbers=np.ones(4, dtype=int), masses_u=np.full(4, 3.0), residues=np.array([0, 0, 1, 1]),
        bonds=np.array([[0, 1], [2, 3]]), charge=0, multiplicity=1, wall_radius_A=np.inf, cell_A=np.full(3, 10.0),
        positions_A=positions_A, momenta=np.zeros((4, 3)), generator="{}", step=0,
    )  # fmt: skip
    # Four H of 1.008 u in 1000 Å3, not of the 3 u that the dynamics gives them.
    assert density_g_cm3(state) == pytest.approx(4 * 1.008 * 1.66054e-24 / 1e-21, rel=1e-5)
    moved = _at_density(state, density_g_cm3(state) / 8)
    assert moved.cell_A == pytest.approx([20.0] * 3)
    first, second = moved.positions_A[:2], moved.positions_A[2:]
    assert np.linalg.norm(first[1] - first[0]) == pytest.approx(0.74)
    assert second.mean(axis=0) == pytest.approx([16.0, 4.7, 10.0])
