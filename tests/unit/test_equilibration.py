"""Whether a series has settled: what noise may do, and what it may not hide."""

from __future__ import annotations

import math

import numpy as np
import pytest

from solvation.dynamics.equilibration import _at_density, density_g_cm3, drift_of
from solvation.dynamics.langevin import State


def correlated(rng, count, memory):
    noise, series = rng.standard_normal(count), np.empty(count)
    series[0] = noise[0]
    for index in range(1, count):
        series[index] = memory * series[index - 1] + math.sqrt(1 - memory**2) * noise[index]
    return series


@pytest.mark.parametrize("memory", [0.0, 0.9])
def test_noise_around_a_constant_settles_as_often_as_two_errors_say(memory):
    rng = np.random.default_rng(5)
    settled = [drift_of("x", correlated(rng, 4000, memory)).is_settled for _ in range(200)]
    # Two errors are 95 %; correlated errors are themselves uncertain.
    assert 0.90 < np.mean(settled) < 0.99


def test_a_creeping_density_is_not_settled_and_the_first_half_does_not_count():
    rng = np.random.default_rng(6)
    noise = 0.01 * rng.standard_normal(2000)
    assert not drift_of("x", noise + np.linspace(0, 0.1, 2000)).is_settled
    late = np.where(np.arange(2000) < 1000, 5.0, 1.0) + noise
    found = drift_of("x", late)
    assert found.is_settled
    assert found.mean == pytest.approx(1.0, abs=0.002)
    assert "settled" in found.verdict


def test_a_run_too_short_to_tell_is_not_called_settled():
    found = drift_of("x", np.linspace(1.0, 1.1, 8))
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
