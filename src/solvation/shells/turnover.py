"""How often what holds an ion was exchanged: errors rest on that, however many frames there are.

Where several species hold ions, which of them an ion holds is forgotten only as molecules come and go. A series that
also flickers fast looks uncorrelated long before: its own inefficiency then promises an error that is far too small.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from solvation.uncertainty import FEWEST_SAMPLES, Average

_NO_FLOOR = 0.0


@dataclass(frozen=True, slots=True)
class Turnover:
    """Comings and goings of molecules at all ions of a run.

    Attributes
    ----------
    moves
        By species that was seen to stay at an ion: how often one of its molecules came to stay, or left for good.
    n_ions, held
        Ions, and molecules that one of them holds on average.
    between_ions
        Standard error of a coordination number from the averages of single ions, by kind and `atom` or `molecule`; 0
        with fewer than ten ions, which bound nothing.
    """

    moves: dict[str, int]
    n_ions: int
    held: float
    between_ions: dict[tuple[str, str], float]

    def samples(self, species: Iterable[str]) -> float:
        """Independent samples of how many molecules of these species an ion holds.

        One for each exchange against another species, over the places of a shell: all of them have to be exchanged
        before it is another one. (Of two states with equal rates there are as many samples as hops; twice the
        correlation time is the run over them.) Infinite where one species alone holds ions.
        """
        if len(self.moves) < 2:
            return math.inf
        every = sum(self.moves.values())
        counts = [min(self.moves[name], every - self.moves[name]) for name in species if name in self.moves]
        return min(counts, default=math.inf) / max(1.0, self.held)

    @property
    def samples_of_all(self) -> float:
        """The fewest of all species, for what depends on all of them."""
        return self.samples(self.moves)

    @property
    def told(self) -> str:
        """How often the species came or went that did so least."""
        rarest = min(self.moves, key=lambda name: self.moves[name])
        return f"molecules of {rarest} came or went {self.moves[rarest]} times"


def with_turnover(found: Average, variance: float, samples: float, between: float = _NO_FLOOR) -> Average:
    """An average whose error is no less than what the exchanges allow, and NaN where they are fewer than ten.

    Parameters
    ----------
    variance
        Of one ion.
    samples
        Independent ones, as `Turnover.samples`.
    between
        Standard error from the averages of single ions.
    """
    if samples < FEWEST_SAMPLES:
        return found._replace(stderr=math.nan)
    floor = math.sqrt(variance / samples) if math.isfinite(samples) else _NO_FLOOR
    return found._replace(stderr=max(found.stderr, floor, between)) if found.stderr > 0 else found
