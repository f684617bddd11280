"""Errors of who holds an ion: they rest on exchanges, not on frames."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from solvation.shells.contacts import turnover
from solvation.shells.exchange import Stays, stays_of
from solvation.shells.turnover import Turnover, with_turnover
from solvation.uncertainty import average


def places(n_ions):
    """One place at each ion, held by a molecule of A or by one of B."""
    return SimpleNamespace(
        ions=np.arange(n_ions), donors={"A": np.arange(n_ions), "B": np.arange(n_ions)},
        kind=np.repeat([0, 1], n_ions), owner=np.arange(2 * n_ions), species=["A"] * n_ions + ["B"] * n_ions,
    )  # fmt: skip


def two_states(n_ions, n_frames, life, rng):
    """A and B take turns, each for `life` frames on average, and let go for single frames one time in ten."""
    ion, donor, frame = [], [], []
    for number in range(n_ions):
        ends = np.cumsum(rng.geometric(1 / life, n_frames))
        state = (np.searchsorted(ends, np.arange(n_frames), side="right") + rng.integers(2)) % 2
        seen = np.flatnonzero(rng.random(n_frames) > 0.1)
        ion.append(np.full(len(seen), number))
        donor.append(state[seen] * n_ions + number)
        frame.append(seen)
    ions, donors, frames = map(np.concatenate, (ion, donor, frame))
    counts = np.bincount(frames[donors < n_ions], minlength=n_frames) / n_ions
    return counts, stays_of(ions * 2 * n_ions + donors, frames, n_frames)


def found(n_ions, run_in_lives, rng, life=200):
    counts, stays = two_states(n_ions, int(run_in_lives * life), life, rng)
    exchanged = turnover(stays, places(n_ions), len(counts), 2)
    between = exchanged.between_ions["A", "atom"]
    return with_turnover(average(counts), n_ions * float(np.var(counts)), exchanged.samples(["A"]), between)


@pytest.mark.parametrize(("n_ions", "run_in_lives"), [(1, 40), (4, 5), (4, 20), (20, 2), (20, 20)])
def test_bounds_hold_the_truth_where_a_fast_flicker_hides_a_slow_exchange(n_ions, run_in_lives):
    rng = np.random.default_rng(1)
    runs = [found(n_ions, run_in_lives, rng) for _ in range(120)]
    known = [run for run in runs if math.isfinite(run.stderr)]
    assert len(known) > 40
    assert np.mean([abs(run.mean - 0.45) < 2 * run.stderr for run in known]) > 0.88


def test_too_few_exchanges_have_no_error_however_many_frames_there_are():
    rng = np.random.default_rng(2)
    runs = [found(4, 1, rng) for _ in range(30)]
    assert all(math.isnan(run.stderr) for run in runs)
    # Frames alone would have promised one.
    assert sum(math.isfinite(average(two_states(4, 200, 200, rng)[0]).stderr) for _ in range(30)) > 5


def test_visits_and_breaks_within_the_tolerance_are_no_exchange():
    # A stays but for a break of two frames, in which B looks in.
    stays = Stays(np.array([0, 0, 1]), np.array([0, 52, 50]), np.array([50, 100, 52]))
    assert turnover(stays, places(1), 100, 2).moves == {"A": 0}


def test_a_species_is_exchanged_no_oftener_than_the_others():
    exchanged = Turnover({"EC": 90, "TDA": 4}, n_ions=1, held=4.0, between_ions={})
    assert exchanged.samples(["EC"]) == exchanged.samples(["TDA"]) == exchanged.samples_of_all == 1.0
    assert exchanged.told == "molecules of TDA came or went 4 times"
    # Alone at the ion, nothing competes: the frames decide.
    assert Turnover({"EC": 90}, 1, 4.0, {}).samples(["EC"]) == math.inf
