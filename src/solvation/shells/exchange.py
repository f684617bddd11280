"""How long donors stay at an ion, and which kind follows which: residence times and exchange events.

Everything here works on contacts as runs of frames. It is told what is in contact, not how that was decided.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

NOTHING = "nothing"
#: Groups of ions (or of stretches of the run, where ions are few) that errors rest on.
_UNITS = 32
_RESAMPLES = 200
#: Fewer departures than this give no error.
_FEWEST = 5
#: Numbers that the bootstrap holds at once: 16 MB.
_AT_ONCE = 2_000_000
#: The bootstrap takes so many lags one by one, and those beyond in groups that are wider by this factor each.
_SINGLE_LAGS, _WIDER = 100, 1.02


@dataclass(frozen=True, slots=True)
class Stays:
    """Runs of frames in contact, sorted by key, then by start.

    Attributes
    ----------
    key
        Which contact, (n_stays,).
    start, stop
        First frame in contact, and first one after it that is not, (n_stays,).
    """

    key: NDArray[np.int64]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Survival:
    """Probability that a contact met at any time is still there, by lag.

    Attributes
    ----------
    lag_ps, probability, stderr
        (n_lags,) each: the first lags one by one, later ones farther and farther apart; NaN as error with fewer than
        five departures.
    """

    lag_ps: NDArray[np.float64]
    probability: NDArray[np.float64]
    stderr: NDArray[np.float64]


def _unseen() -> Survival:
    nothing = np.empty(0)
    return Survival(nothing, nothing, nothing)


@dataclass(frozen=True, slots=True)
class Residence:
    """Residence time of one donor kind.

    Attributes
    ----------
    residence_ps
        Integral of the survival of a contact that is met at any time; NaN when nothing left.
    residence_stderr_ps
        By bootstrap over ions; NaN with fewer than five departures.
    longer_than_ps
        Lower bound at 95 % where nothing left, else NaN.
    survived
        Survival at the longest lag; beyond it the mean rate of departure is taken.
    contacts, departures
        Stays seen, and those that ended within the run.
    survival
        The curve, level where nothing left; empty where frames have no times.
    """

    residence_ps: float
    residence_stderr_ps: float
    longer_than_ps: float
    survived: float
    contacts: int
    departures: int
    verdict: str
    survival: Survival = field(default_factory=_unseen, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Transition:
    """How often one kind entered where another one left.

    Attributes
    ----------
    leaves, enters
        Donor kinds, or `nothing` where no partner was found within the window.
    entered_first
        Those of the events in which the new contact was made before the old one broke.
    probability, probability_stderr
        Share of the departures of `leaves`; binomial error.
    per_ion_ns
        Events of one ion in a nanosecond.
    asymmetry, asymmetry_stderr
        (n_ab - n_ba) / (n_ab + n_ba), 0 at equilibrium, and its standard deviation there: the root of the sum of the
        squares of n_ab - n_ba of single ions (groups of them where they are many, stretches of the run where they are
        few), over n_ab + n_ba. It is far less than 1 / sqrt(n_ab + n_ba) where two kinds take turns at an ion: what
        left has to come back before it leaves again.
    """

    leaves: str
    enters: str
    events: int
    entered_first: int
    probability: float
    probability_stderr: float
    per_ion_ns: float
    reverse_events: int
    asymmetry: float
    asymmetry_stderr: float


def stays_of(key: NDArray[np.int64], frame: NDArray[np.int64], n_frames: int) -> Stays:
    """Runs of consecutive frames of each key, from its observations in any order, (n,) each; no pair occurs twice."""
    code = np.sort(key * n_frames + frame)
    if not len(code):
        return Stays(code, code, code)
    opens = np.append(True, np.diff(code) != 1)
    # The last frame of one key and the first of the next one follow each other as well.
    opens |= code % n_frames == 0
    first = np.flatnonzero(opens)
    last = np.append(first[1:], len(code)) - 1
    return Stays(code[first] // n_frames, code[first] % n_frames, code[last] % n_frames + 1)


def united(parts: Sequence[Stays], gap: int = 0) -> Stays:
    """Union of stays of equal key; breaks of at most `gap` frames count as contact."""
    key, start, stop = (
        np.concatenate([getattr(part, name) for part in parts] or [np.empty(0, np.int64)])
        for name in ("key", "start", "stop")
    )
    if not len(key):
        return Stays(key, start, stop)
    order = np.lexsort((start, key))
    key, start, stop = key[order], start[order], stop[order]
    # The latest stop so far, within one key: every key gets a range of its own.
    span = int(stop.max()) + gap + 1
    rank = np.cumsum(np.append(0, np.diff(key) != 0))
    latest = np.maximum.accumulate(rank * span + stop)
    opens = np.append(True, (rank * span + start)[1:] > latest[:-1] + gap)
    opens |= np.append(True, np.diff(key) != 0)
    first = np.flatnonzero(opens)
    last = np.append(first[1:], len(key)) - 1
    return Stays(key[first], start[first], latest[last] - rank[last] * span)


def survival(length: NDArray[np.int64], ended: NDArray[np.bool_], *, every_origin: bool = True) -> NDArray[np.float64]:
    r"""Kaplan-Meier estimate of the probability that a contact is still there, by lag in frames, (n_lags,).

    .. math:: S(t) = \prod_{u \le t} (1 - d_u / n_u)

    with d the departures at lag u and n the contacts still watched. `every_origin` makes each frame of a stay a time
    origin: that is the survival correlation :math:`\langle h(0) \ldots h(t)\rangle / \langle h \rangle`, corrected
    for the end of the run; a stay whose beginning lies before the run counts as much as any other. Without it each
    stay counts once, from its beginning: the distribution of lifetimes.

    Parameters
    ----------
    length
        Frames in contact, (n_stays,).
    ended
        False where the run ended first, (n_stays,).

    References
    ----------
    Kaplan & Meier, J. Am. Stat. Assoc. 53, 457 (1958); Impey, Madden & McDonald, J. Phys. Chem. 87, 5071 (1983).
    """
    departures, watched = _table(length, ended, np.zeros(len(length), dtype=np.int64), 1, every_origin=every_origin)
    return np.asarray(_product(departures, watched)[0])


def mean_stay(curve: NDArray[np.float64], rate: float, widths: NDArray[np.int64] | None = None) -> float:
    """Integral of a survival curve, in frames; what survives the last lag leaves at `rate` a frame.

    By trapezoids, which is exact to second order of the time between frames.

    Parameters
    ----------
    widths
        Frames from each point of the curve to the next, (n_points - 1,); one where it is not given.
    """
    tail = curve[-1] * (1 / rate - 0.5) if curve[-1] > 0 else 0.0
    steps = (curve[:-1] + curve[1:]) / 2
    return float(np.sum(steps if widths is None else steps * widths) + tail)


def residence(
    stays: Stays,
    ion: NDArray[np.int64],
    *,
    n_ions: int,
    n_frames: int,
    frame_ps: float,
    gap: int,
    rng: np.random.Generator,
) -> Residence:
    """Residence time of contacts, with error and verdict.

    Parameters
    ----------
    stays
        Of one donor kind, with breaks of at most `gap` frames already closed.
    ion
        Ion of each stay, (n_stays,).
    gap
        What ends so few frames before the run does may go on, so that all stays are watched until then and no longer.
    rng
        Draws the ions of the bootstrap.

    References
    ----------
    Zero departures: Hanley & Lippman-Hand, J. Am. Med. Assoc. 249, 1743 (1983).
    """
    end = n_frames - gap
    seen = stays.start < end
    stays, ion = Stays(stays.key[seen], stays.start[seen], np.minimum(stays.stop[seen], end)), ion[seen]
    length, ended = stays.stop - stays.start, stays.stop < end
    # Of a stay cut off by the end, the last frame tells nothing of the next one.
    exposure = int(np.sum(length - ~ended))
    departures, contacts = int(ended.sum()), len(length)
    timed = math.isfinite(frame_ps) and frame_ps > 0
    run, unit = (n_frames * frame_ps, "ps") if timed else (float(n_frames), "frames")
    if n_frames <= 2 * gap:
        verdict = f"the run of {run:.3g} {unit} is shorter than twice the tolerance"
        return Residence(math.nan, math.nan, math.nan, math.nan, contacts, departures, verdict)
    if not contacts:
        return Residence(math.nan, math.nan, math.nan, math.nan, 0, 0, f"no contact in {run:.3g} {unit}")
    if not departures:
        # With no departure in an exposure E the rate is below 3/E in 95 of 100 cases.
        bound = exposure / 3.0 * (frame_ps if timed else 1.0)
        verdict = f"no exchange in {run:.3g} {unit}: the residence time is longer than {bound:.3g} {unit}"
        ends = np.array([0.0, float(length.max())]) * frame_ps
        level = Survival(ends, np.ones(2), np.full(2, math.nan)) if timed else _unseen()
        return Residence(math.nan, math.nan, bound if timed else math.nan, 1.0, contacts, 0, verdict, level)
    unit_of, n_units = _units(ion, (stays.start + stays.stop) // 2, n_ions, n_frames)
    table = _table(length, ended, unit_of, n_units, every_origin=True)
    curve = _product(*(part.sum(axis=0, keepdims=True) for part in table))[0]
    frames = mean_stay(curve, departures / exposure)
    error, spread = _bootstrap(*table, rng) if departures >= _FEWEST else (math.nan, np.empty(0))
    words = [] if departures >= _FEWEST else [f"{departures} departures in {run:.3g} {unit}: no error can be given"]
    if curve[-1] > 1 / math.e:
        words.append(f"{100 * curve[-1]:.0f} % outlive the longest lag: extrapolated with the mean rate")
    if not timed:
        words.append(f"{frames:.3g} frames; the time between frames is not known")
    scale = frame_ps if timed else math.nan
    lags = np.append(0, np.append(_groups(len(curve) - 1)[1:], len(curve) - 1))
    seen_spread = spread if len(spread) == len(lags) else np.full(len(lags), math.nan)
    shown = Survival(lags * frame_ps, curve[lags], seen_spread) if timed else _unseen()
    return Residence(
        frames * scale, error * scale, math.nan, float(curve[-1]), contacts, departures, "; ".join(words), shown
    )


def transitions(
    stays: Stays,
    ion: NDArray[np.int64],
    kind: NDArray[np.int64],
    kinds: Sequence[str],
    *,
    n_ions: int,
    n_frames: int,
    frame_ps: float,
    gap: int,
) -> list[Transition]:
    """Which kind enters where which one leaves: the nearest arrival at the same ion within `gap` frames, either way.

    Each arrival is given to one departure. Because breaks of `gap` frames are closed in `stays`, a molecule that
    comes back through the same kind within the window has never left. Near the ends of the run, where a partner
    could lie outside of it, no events are counted.

    Parameters
    ----------
    stays
        One molecule at one ion through one donor kind, breaks of at most `gap` frames closed.
    ion, kind
        Of each stay, (n_stays,).
    """
    # An arrival so early may be a return, a departure so late may be followed by one.
    out, into = np.flatnonzero(stays.stop < n_frames - gap), np.flatnonzero(stays.start > gap)
    span = n_frames + 2 * gap + 2
    left, came = ion[out] * span + stays.stop[out], ion[into] * span + stays.start[into]
    order_left, order_came = np.argsort(left, kind="stable"), np.argsort(came, kind="stable")
    left, came = left[order_left], came[order_came]
    partner = _matched(left, came, gap)
    n = len(kinds)
    leaves, enters = kind[out][order_left], kind[into][order_came]
    alone = stays.start[into][order_came] < n_frames - 2 * gap
    alone[partner[partner >= 0]] = False
    counted = stays.stop[out][order_left] > 2 * gap
    left, leaves, partner = left[counted], leaves[counted], partner[counted]
    paired = partner >= 0
    entered = np.full(len(leaves), n)
    entered[paired] = enters[partner[paired]]
    before = paired.copy()
    before[paired] = came[partner[paired]] < left[paired]
    pair = leaves * (n + 1) + entered
    came_alone = n * (n + 1) + enters[alone]
    when = np.concatenate((left, came[alone]))
    unit, n_units = _units(when // span, when % span, n_ions, n_frames)
    code = unit * (n + 1) ** 2 + np.concatenate((pair, came_alone))
    by_unit = np.bincount(code, minlength=n_units * (n + 1) ** 2).reshape(n_units, n + 1, n + 1)
    events = by_unit.sum(axis=0)
    uneven = np.sqrt(((by_unit - by_unit.transpose(0, 2, 1)) ** 2).sum(axis=0))
    first = np.bincount(pair[before], minlength=(n + 1) ** 2).reshape(n + 1, n + 1)
    names = [*kinds, NOTHING]
    watched_ns = n_ions * max(n_frames - 3 * gap - 1, 0) * frame_ps / 1000
    return [
        _transition(names, events, first, uneven, one, other, watched_ns)
        for one in range(n + 1)
        for other in range(n + 1)
        if one < n or other < n
    ]


def _transition(
    names: Sequence[str],
    events: NDArray[np.int64],
    first: NDArray[np.int64],
    uneven: NDArray[np.float64],
    one: int,
    other: int,
    watched_ns: float,
) -> Transition:
    count, back, all_left = int(events[one, other]), int(events[other, one]), int(events[one].sum())
    share = count / all_left if all_left and one < len(names) - 1 else math.nan
    both = count + back
    known = both > 0 and one != other
    return Transition(
        names[one],
        names[other],
        count,
        int(first[one, other]),
        share,
        math.sqrt(share * (1 - share) / all_left) if math.isfinite(share) else math.nan,
        count / watched_ns if watched_ns > 0 else math.nan,
        back,
        (count - back) / both if known else math.nan,
        float(uneven[one, other]) / both if known else math.nan,
    )


def _matched(left: NDArray[np.int64], came: NDArray[np.int64], gap: int) -> NDArray[np.int64]:
    """Arrival nearest to each departure, or -1; both sorted. Of several departures the nearest one gets it."""
    partner = np.full(len(left), -1, dtype=np.int64)
    waiting, free = np.arange(len(left)), np.arange(len(came))
    while len(waiting) and len(free):
        times = came[free]
        after = np.searchsorted(times, left[waiting])
        sides = np.stack([np.minimum(after, len(free) - 1), np.maximum(after - 1, 0)])
        apart = np.abs(times[sides] - left[waiting])
        side = np.argmin(apart, axis=0)
        nearest, apart = np.take_along_axis(sides, side[None], 0)[0], apart.min(axis=0)
        near = np.flatnonzero(apart <= gap)
        if not len(near):
            break
        best = near[np.lexsort((apart[near], nearest[near]))]
        best = best[np.append(True, np.diff(nearest[best]) != 0)]
        partner[waiting[best]] = free[nearest[best]]
        free = np.delete(free, nearest[best])
        waiting = np.setdiff1d(waiting[near], waiting[best], assume_unique=True)
    return partner


def _units(
    ion: NDArray[np.int64], frame: NDArray[np.int64], n_ions: int, n_frames: int
) -> tuple[NDArray[np.int64], int]:
    """Unit of what happens at an ion in a frame: the ion, several ions together, or an ion in a stretch of the run."""
    if n_ions >= _UNITS:
        return ion % _UNITS, _UNITS
    stretches = -(-_UNITS // n_ions)
    return ion * stretches + frame * stretches // (n_frames + 1), n_ions * stretches


def _table(
    length: NDArray[np.int64], ended: NDArray[np.bool_], unit: NDArray[np.int64], n_units: int, *, every_origin: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Departures at each lag, and contacts watched until then, (n_units, n_lags) each; lags from one frame on."""
    watched = length - ~ended
    n_lags = max(1, int(length.max()))
    shape, size = (n_units, n_lags + 1), n_units * (n_lags + 1)
    gone = np.bincount(unit[ended] * (n_lags + 1) + length[ended], minlength=size).reshape(shape)[:, 1:]
    seen = np.bincount(unit * (n_lags + 1) + watched, minlength=size).reshape(shape)[:, 1:]
    # Stays at least that long; with every frame an origin, of each of them one origin leaves at each lag.
    at_risk = _from_the_end(seen)
    if not every_origin:
        return gone.astype(float), at_risk.astype(float)
    return _from_the_end(gone).astype(float), _from_the_end(at_risk).astype(float)


def _from_the_end(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.cumsum(counts[:, ::-1], axis=1)[:, ::-1]


def _product(
    departures: NDArray[np.float64], watched: NDArray[np.float64], widths: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """Kaplan and Meier's product along the last axis, 1 in front; ends at the last lag that anything was watched.

    With widths, (n_lags,), each entry stands for so many lags of one hazard.
    """
    last = int(np.flatnonzero(watched.max(axis=0) > 0).max(initial=-1)) + 1
    with np.errstate(invalid="ignore", divide="ignore"):
        stay = 1.0 - np.where(watched[:, :last] > 0, departures[:, :last] / watched[:, :last], 0.0)
    if widths is not None:
        stay **= widths[:last]
    return np.concatenate((np.ones((len(stay), 1)), np.cumprod(stay, axis=1)), axis=1)


def _bootstrap(
    departures: NDArray[np.float64], watched: NDArray[np.float64], rng: np.random.Generator
) -> tuple[float, NDArray[np.float64]]:
    """Standard deviations when units are drawn with replacement: of the mean stay, in frames, and of the survival.

    The latter at lag 0 and at the last lag of each group that a contact was watched to; empty where units are few.

    References
    ----------
    Efron, Ann. Stat. 7, 1 (1979).
    """
    # Units that never saw a contact say nothing, and drawing them would only blur.
    used = watched.sum(axis=1) > 0
    departures, watched = departures[used], watched[used]
    n_units = len(watched)
    if n_units < 3:
        return math.nan, np.empty(0)
    begins = _groups(watched.shape[1])
    widths = np.diff(begins, append=watched.shape[1])
    departures, watched = (np.add.reduceat(part, begins, axis=1) for part in (departures, watched))
    draws = rng.multinomial(n_units, np.full(n_units, 1 / n_units), size=_RESAMPLES).astype(float)
    means, drawn = [], []
    n_seen = int(np.flatnonzero(watched.max(axis=0) > 0).max(initial=-1)) + 1
    step = max(1, _AT_ONCE // watched.shape[1])
    for begin in range(0, _RESAMPLES, step):
        gone, seen = (draws[begin : begin + step] @ part for part in (departures, watched))
        exposure, left = seen[:, 0], gone[:, 0]
        curves = _product(gone, seen, widths)
        rates = np.where(left > 0, left, 0.5) / np.maximum(exposure, 1.0)
        reached = widths[: curves.shape[1] - 1]
        means += [mean_stay(curve, float(rate), reached) for curve, rate in zip(curves, rates, strict=True)]
        # What a draw has not watched stays as it was last seen.
        drawn.append(np.pad(curves, ((0, 0), (0, n_seen + 1 - curves.shape[1])), mode="edge"))
    return float(np.std(means, ddof=1)), np.std(np.concatenate(drawn), axis=0, ddof=1)


def _groups(n_lags: int) -> NDArray[np.int64]:
    """First lag of each group of lags: the spread of resamples needs no finer curve, and long runs have many lags."""
    wider = _SINGLE_LAGS * _WIDER ** np.arange(0, math.log(max(n_lags / _SINGLE_LAGS, 1)) / math.log(_WIDER))
    return np.unique(np.concatenate((np.arange(min(_SINGLE_LAGS, n_lags)), wider[wider < n_lags].astype(np.int64))))
