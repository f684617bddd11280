"""Residence times and transitions of processes whose rates are known."""

import math
import tracemalloc

import numpy as np
import pytest

from solvation.shells.contacts import unmoved
from solvation.shells.exchange import NOTHING, Stays, mean_stay, residence, stays_of, survival, transitions, united
from solvation.shells.surroundings import Surroundings


def switching(rng, n_pairs, n_frames, off, on):
    """Stays of pairs that leave with probability `off` a frame and come with probability `on`, stationary."""
    state = rng.uniform(size=n_pairs) < on / (on + off)
    seen = np.empty((n_pairs, n_frames), dtype=bool)
    for frame in range(n_frames):
        seen[:, frame] = state
        draw = rng.uniform(size=n_pairs)
        state = np.where(state, draw >= off, draw < on)
    key, frame = np.nonzero(seen)
    return stays_of(key, frame, n_frames)


def test_stays_are_the_runs_of_frames():
    key, frame = np.array([3, 3, 3, 7, 3, 7, 8]), np.array([0, 1, 4, 9, 2, 8, 0])
    found = stays_of(key, frame, 10)
    assert list(zip(found.key, found.start, found.stop, strict=True)) == [(3, 0, 3), (3, 4, 5), (7, 8, 10), (8, 0, 1)]
    closed = united([found], gap=1)
    assert list(zip(closed.key, closed.start, closed.stop, strict=True)) == [(3, 0, 5), (7, 8, 10), (8, 0, 1)]


def test_a_last_frame_and_the_first_one_of_the_next_key_are_two_stays():
    found = stays_of(np.array([0, 1]), np.array([9, 0]), 10)
    assert found.key.tolist() == [0, 1]


def test_united_against_frames_drawn_one_by_one():
    rng = np.random.default_rng(1)
    start = rng.integers(0, 180, 300)
    stays = Stays(rng.integers(0, 9, 300), start, start + rng.integers(1, 20, 300))
    seen = np.zeros((9, 200), dtype=bool)
    for key, begin, end in zip(stays.key, stays.start, stays.stop, strict=True):
        seen[key, begin:end] = True
    exact, found = stays_of(*np.nonzero(seen), 200), united([stays])
    for field in ("key", "start", "stop"):
        assert np.array_equal(getattr(exact, field), getattr(found, field))


@pytest.mark.parametrize("every_origin", [True, False], ids=["correlation", "lifetimes"])
def test_censored_exponential_samples_give_the_known_mean(every_origin):
    """Lifetimes of mean 40 frames, watched for 60 at most: a third of them is cut off."""
    rng = np.random.default_rng(2)
    life = rng.geometric(1 / 40.0, 40_000)
    ended = life < 60
    length = np.minimum(life, 60)
    curve = survival(length, ended, every_origin=every_origin)
    exact = (1 - 1 / 40) ** np.arange(len(curve))
    assert curve == pytest.approx(exact, abs=0.01)
    rate = ended.sum() / (length - ~ended).sum()
    # A frame in contact lasts half a frame on average beyond the last one seen: 40 - 1/2.
    assert mean_stay(curve, rate) == pytest.approx(39.5, rel=0.02)


def test_a_two_state_process_gives_its_rate_within_the_error():
    off, on, frame_ps = 0.02, 0.01, 0.1
    misses = []
    for seed in range(12):
        stays = switching(np.random.default_rng(seed), 40, 3000, off, on)
        found = residence(
            stays, stays.key, n_ions=40, n_frames=3000, frame_ps=frame_ps, gap=0, rng=np.random.default_rng(seed)
        )
        exact = frame_ps * (1 / off - 0.5)
        misses.append((found.residence_ps - exact) / found.residence_stderr_ps)
        assert found.residence_ps == pytest.approx(exact, rel=0.15)
    # Standard scores of an honest error bar.
    assert 0.4 < np.sqrt(np.mean(np.square(misses))) < 1.8


def test_a_run_as_short_as_the_residence_time_is_not_biased():
    """Half of all stays are cut off; their plain average would be half of the truth."""
    off = 0.01
    found = []
    for seed in range(10):
        stays = switching(np.random.default_rng(100 + seed), 600, 100, off, 0.01)
        found.append(
            residence(stays, stays.key, n_ions=600, n_frames=100, frame_ps=1.0, gap=0, rng=np.random.default_rng(0))
        )
    assert np.mean([one.residence_ps for one in found]) == pytest.approx(99.5, rel=0.05)
    assert "outlive" in found[0].verdict


def test_closed_breaks_lengthen_the_residence():
    """A contact that flickers for one frame in ten and never leaves has no continuous residence beyond its flicker."""
    frame = np.arange(1000)
    frame = frame[frame % 10 != 9]
    flicker = stays_of(np.zeros(len(frame), dtype=int), frame, 1000)
    rng = np.random.default_rng(3)
    one = {"n_ions": 1, "n_frames": 1000, "frame_ps": 0.5, "rng": rng}
    short = residence(flicker, flicker.key, gap=0, **one)
    closed = united([flicker], gap=1)
    whole = residence(closed, closed.key, gap=1, **one)
    assert short.residence_ps < 4.5
    assert short.departures == 100
    assert math.isnan(whole.residence_ps)
    assert whole.longer_than_ps == pytest.approx(998 * 0.5 / 3, rel=0.01)
    assert "no exchange in 500 ps: the residence time is longer than 166 ps" in whole.verdict


def test_what_cannot_be_told_is_said():
    never = Stays(*(np.empty(0, dtype=int),) * 3)
    rng = np.random.default_rng(4)
    assert "no contact" in residence(never, never.key, n_ions=1, n_frames=9, frame_ps=1, gap=0, rng=rng).verdict
    stays = stays_of(np.zeros(5, dtype=int), np.arange(5), 9)
    few = residence(stays, stays.key, n_ions=1, n_frames=9, frame_ps=1.0, gap=0, rng=rng)
    assert few.departures == 1
    assert math.isnan(few.residence_stderr_ps)
    assert "no error" in few.verdict
    long = residence(stays, stays.key, n_ions=1, n_frames=9, frame_ps=1.0, gap=5, rng=rng)
    assert "shorter than twice the tolerance" in long.verdict
    untimed = residence(stays, stays.key, n_ions=1, n_frames=9, frame_ps=math.nan, gap=0, rng=rng)
    assert math.isnan(untimed.residence_ps)
    assert "frames" in untimed.verdict


def matrix(found, field="events"):
    return {(row.leaves, row.enters): getattr(row, field) for row in found}


def test_transitions_that_were_written_down():
    # Ion 0: O leaves at 100, N enters at 103. Ion 1: N enters at 200, O leaves at 205, and at 300 N leaves alone.
    ion = np.array([0, 0, 1, 1, 2])
    kind = np.array([0, 1, 1, 0, 1])
    stays = Stays(np.arange(5), np.array([0, 103, 200, 0, 400]), np.array([100, 1000, 300, 205, 1000]))
    found = transitions(stays, ion, kind, ["O", "N"], n_ions=3, n_frames=1000, frame_ps=0.5, gap=10)
    assert {pair: count for pair, count in matrix(found).items() if count} == {
        ("O", "N"): 2, ("N", NOTHING): 1, (NOTHING, "N"): 1,
    }  # fmt: skip
    assert matrix(found, "entered_first")["O", "N"] == 1
    assert matrix(found, "probability")["O", "N"] == 1
    # Three ions, watched from the frame 2 gap + 1 to the frame n - gap - 1, half a picosecond each.
    assert matrix(found, "per_ion_ns")["O", "N"] == pytest.approx(2 / (3 * 969 * 0.0005))
    assert matrix(found, "asymmetry")["O", "N"] == 1
    assert matrix(found, "asymmetry_stderr")["O", "N"] == pytest.approx(1 / math.sqrt(2))
    assert math.isnan(matrix(found, "probability")["N", "O"]) or matrix(found, "probability")["N", "O"] == 0


def test_each_arrival_takes_one_place():
    """Two leave, one comes: the nearer departure gets it."""
    stays = Stays(np.arange(3), np.array([0, 0, 502]), np.array([500, 495, 1000]))
    found = matrix(
        transitions(
            stays, np.zeros(3, int), np.array([0, 1, 0]), ["O", "N"], n_ions=1, n_frames=1000, frame_ps=0.5, gap=10
        )
    )
    assert found["O", "O"] == 1
    assert found["N", NOTHING] == 1


def test_exchange_at_equilibrium_is_symmetric_and_its_probabilities_are_those_drawn():
    """Successors drawn with O : N = 3 : 1, whatever left."""
    rng = np.random.default_rng(5)
    n_ions, n_stays = 200, 60
    length = 30 + rng.geometric(0.02, (n_ions, n_stays))
    stop = np.cumsum(length, axis=1)
    start = np.column_stack([np.zeros(n_ions, dtype=int), stop[:, :-1]])
    kind = (rng.uniform(size=stop.shape) < 0.25).astype(int)
    n_frames = int(stop[:, -1].min())
    seen = start < n_frames
    ion = np.broadcast_to(np.arange(n_ions)[:, None], stop.shape)[seen]
    stays = Stays(np.arange(seen.sum()), start[seen], np.minimum(stop[seen], n_frames))
    found = transitions(stays, ion, kind[seen], ["O", "N"], n_ions=n_ions, n_frames=n_frames, frame_ps=0.5, gap=5)
    # One ion is always held, 80 frames on average: so often something leaves.
    assert sum(matrix(found, "per_ion_ns").values()) == pytest.approx(1000 / 0.5 / 80, rel=0.02)
    probability = matrix(found, "probability")
    assert probability["O", "N"] == pytest.approx(0.25, abs=0.02)
    assert probability["N", "O"] == pytest.approx(0.75, abs=0.03)
    asymmetry, error = matrix(found, "asymmetry")["O", "N"], matrix(found, "asymmetry_stderr")["O", "N"]
    assert abs(asymmetry) < 3 * error
    assert matrix(found)["O", NOTHING] == 0


def two_kinds_in_turn(rng, n_ions, drift=0.0):
    """Events of ions that hold one donor, O or N by turns of ten frames on average; a share of them ends with N."""
    n_frames, stays, ion, kind = 2000, [], [], []
    for number in range(n_ions):
        ends = np.cumsum(12 + rng.geometric(0.1, 100))
        ends = np.append(ends[ends < n_frames - 50], n_frames)
        if rng.uniform() < drift and len(ends) % 2:  # began with O: an odd number of stays ends with it
            ends = np.delete(ends, -2)
        begins = np.append(0, ends[:-1])
        kinds = np.arange(len(ends)) % 2 if drift else (np.arange(len(ends)) + rng.integers(2)) % 2
        stays += list(zip(begins, ends, strict=True))
        ion += [number] * len(ends)
        kind += kinds.tolist()
    start, stop = np.array(stays).T
    found = transitions(
        Stays(np.arange(len(start)), start, stop), np.array(ion), np.array(kind), ["O", "N"],
        n_ions=n_ions, n_frames=n_frames, frame_ps=0.5, gap=5,
    )  # fmt: skip
    return matrix(found, "asymmetry")["O", "N"], matrix(found, "asymmetry_stderr")["O", "N"]


@pytest.mark.parametrize("n_ions", [4, 40])
def test_the_error_of_an_asymmetry_is_that_of_turns_and_not_of_independent_events(n_ions):
    rng = np.random.default_rng(8)
    values, errors = np.array([two_kinds_in_turn(rng, n_ions) for _ in range(100)]).T
    spread = float(np.std(values))
    assert 0.8 < np.sqrt(np.mean(errors**2)) / spread < (1.2 if n_ions == 40 else 4)
    # Some ninety events of each ion: their root would say far more.
    assert np.sqrt(np.mean(errors**2)) < 0.4 / math.sqrt(n_ions * 90)


def test_a_drift_of_many_ions_is_seen():
    asymmetry, error = two_kinds_in_turn(np.random.default_rng(9), 40, drift=1.0)
    assert asymmetry > 3 * error


def test_many_frames_of_many_ions_take_the_memory_of_their_stays():
    """100 ions of four contacts each, 100,000 frames, a tenth of a million stays: no table of frames by contacts."""
    rng = np.random.default_rng(6)
    n_frames, n_ions = 100_000, 100
    start = np.sort(rng.integers(0, n_frames - 500, (n_ions * 4, 250)), axis=1)
    length = np.minimum(rng.geometric(1 / 300, start.shape), 400)
    stays = united([Stays(np.repeat(np.arange(n_ions * 4), 250), start.ravel(), (start + length).ravel())])
    tracemalloc.start()
    found = residence(
        stays, stays.key // 4, n_ions=n_ions, n_frames=n_frames, frame_ps=0.01, gap=0, rng=np.random.default_rng(0)
    )
    transitions(
        stays, stays.key // 4, stays.key % 2, ["O", "N"], n_ions=n_ions, n_frames=n_frames, frame_ps=0.01, gap=20
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < n_frames * n_ions * 4
    assert found.departures > 50_000


@pytest.mark.parametrize(
    ("gap", "stays", "expected"),
    [
        # A molecule that only changes the donor by which it binds has not left.
        (0, [(0, 0, 40), (1, 40, 100), (2, 0, 60)], ("TDA",)),
        (0, [(0, 0, 40), (2, 0, 100)], ("EC",)),
        # Nor has one that is back within the tolerance, or that goes too late to tell.
        (5, [(0, 0, 40), (0, 44, 97), (2, 0, 100)], ("TDA", "EC")),
        (5, [(0, 0, 40), (0, 60, 100), (2, 0, 100)], ("EC",)),
        # One of two that left is enough; what never held an ion has no say.
        (0, [(2, 0, 100), (3, 0, 50)], ()),
    ],
)
def test_ligands_that_never_left_are_told_whatever_donor_holds_them(gap, stays, expected):
    """Donors 0 and 1 are the two N of one TDA, 2 and 3 the C=O of two EC."""
    none = np.empty(0)
    around = Surroundings(
        np.arange(5), np.array([4]), {"N": np.arange(2), "O": np.arange(2, 4)}, np.array([0, 0, 1, 1]),
        np.array([0, 0, 1, 2]), np.array([3]), ["TDA", "EC", "EC", "LI"], {}, none, none,
    )  # fmt: skip
    key, start, stop = np.array(stays).T
    assert unmoved(Stays(key, start, stop), around, 100, gap) == expected
