"""Error bars against series of known correlation, and how often they hold the truth."""

import math

import numpy as np
import pytest
from scipy.signal import lfilter

from solvation.uncertainty import block_error, interval, standard_error, statistical_inefficiency


def ar1(coefficient, shape, rng):
    """Stationary AR(1) series of unit variance and mean 0, along the last axis."""
    noise = rng.normal(size=shape) * math.sqrt(1 - coefficient**2)
    noise[..., 0] /= math.sqrt(1 - coefficient**2)
    return lfilter([1.0], [1.0, -coefficient], noise)


@pytest.mark.parametrize("coefficient", [0.0, 0.5, 0.9, 0.98])
def test_inefficiency_of_an_ar1_series(coefficient):
    rng = np.random.default_rng(1)
    found = [statistical_inefficiency(series) for series in ar1(coefficient, (20, 200_000), rng)]
    assert np.mean(found) == pytest.approx((1 + coefficient) / (1 - coefficient), rel=0.08)


@pytest.mark.parametrize("coefficient", [0.0, 0.9])
def test_the_error_bar_holds_the_truth_as_often_as_it_says(coefficient):
    """Two standard errors hold the true mean in 95 of 100 runs of 100 correlation times; a few less is a known bias."""
    length = int(100 * (1 + coefficient) / (1 - coefficient))
    runs = ar1(coefficient, (600, length), np.random.default_rng(2))
    errors = np.array([standard_error(run) for run in runs])
    held = np.mean(np.abs(runs.mean(axis=1)) < 2 * errors)
    assert 0.90 <= held <= 0.985


@pytest.mark.parametrize("coefficient", [0.0, 0.9])
def test_the_bounds_of_the_bootstrap_hold_the_truth_as_often_as_they_say(coefficient):
    """95 of 100; blocks that still know a little of each other cost some."""
    length = int(200 * (1 + coefficient) / (1 - coefficient))
    rng = np.random.default_rng(7)
    bounds = np.array([interval(run, rng) for run in ar1(coefficient, (200, length), rng)])
    assert 0.87 <= np.mean((bounds[:, 0] < 0) & (bounds[:, 1] > 0)) <= 0.985


def test_the_bounds_of_what_never_changes_or_is_short_are_not_known():
    rng = np.random.default_rng(8)
    assert np.isnan(interval(np.ones(100), rng)).all()
    assert np.isnan(interval(np.repeat([0.0, 1.0, 0.0, 1.0], 100), rng)).all()


def test_a_two_state_process_of_known_rates():
    """A donor that leaves and returns with probability p a frame has correlation (1 - 2p)^t."""
    p = 0.05
    flips = np.random.default_rng(3).uniform(size=200_000) < p
    state = np.cumsum(flips) % 2
    exact = (1 + (1 - 2 * p)) / (1 - (1 - 2 * p))
    assert statistical_inefficiency(3.0 + state) == pytest.approx(exact, rel=0.1)
    assert standard_error(3.0 + state) == pytest.approx(math.sqrt(0.25 * exact / 200_000), rel=0.1)


def test_repeating_every_frame_changes_no_error():
    """Writing frames ten times as often adds no information."""
    series = np.random.default_rng(4).normal(size=2000)
    assert standard_error(np.repeat(series, 10)) == pytest.approx(standard_error(series), rel=0.15)


def test_blocks_of_a_correlated_series_agree_with_its_inefficiency():
    series = ar1(0.9, (300, 10_000), np.random.default_rng(5))
    blocks = np.sqrt(np.mean([block_error(run.reshape(10, -1).mean(axis=1)) ** 2 for run in series]))
    assert blocks == pytest.approx(math.sqrt(19 / 10_000), rel=0.1)


@pytest.mark.parametrize("series", [[4.0], [4.0, 4.0, 4.0], [3.0] * 60 + [4.0] * 60])
def test_no_error_from_a_series_that_holds_no_information_on_it(series):
    assert math.isnan(standard_error(np.array(series)))
