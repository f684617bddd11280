"""Counts of many kinds, frame by frame: what most frames hold none of costs no memory."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Kind = TypeVar("Kind", bound=Hashable)
#: Numbers below this are counted in an array of that length.
_DENSE = 2**20


class Tally(Generic[Kind]):
    """How many of each kind there are in each frame; 12 bytes for each kind that a frame holds."""

    def __init__(self) -> None:
        self._known: dict[Kind, int] = {}
        self._frames: list[NDArray[np.int32]] = []
        self._kinds: list[NDArray[np.int32]] = []
        self._counts: list[NDArray[np.int32]] = []
        self.n_frames = 0

    def add(self, n_frames: int, kinds: Sequence[Kind], frame: NDArray[np.int64], which: NDArray[np.int64],
            weight: NDArray[np.int64] | None = None) -> None:  # fmt: skip
        """Count the next frames.

        Parameters
        ----------
        kinds
            Those that occur.
        frame, which
            Frame, from 0, and position in `kinds` of each thing to be counted, (n,) each.
        weight
            What each counts for, (n,); 1 where it is not given.
        """
        numbers = np.array([self._known.setdefault(kind, len(self._known)) for kind in kinds], dtype=np.int32)
        codes, place = distinct(frame * len(kinds) + which)
        counts = np.bincount(place, weights=weight, minlength=len(codes))
        self._frames.append((codes // max(len(kinds), 1) + self.n_frames).astype(np.int32))
        self._kinds.append(numbers[codes % max(len(kinds), 1)])
        self._counts.append(np.rint(counts).astype(np.int32))
        self.n_frames += n_frames

    def series(self) -> Iterator[tuple[Kind, NDArray[np.float64]]]:
        """Each kind that was met, with its count in each frame, (n_frames,)."""
        frames, kinds, counts = (
            np.concatenate(parts) if parts else np.empty(0, np.int32)
            for parts in (self._frames, self._kinds, self._counts)
        )
        order = np.argsort(kinds, kind="stable")
        ends = np.searchsorted(kinds[order], np.arange(len(self._known) + 1))
        for kind, number in self._known.items():
            mine = order[ends[number] : ends[number + 1]]
            found = np.zeros(self.n_frames)
            found[frames[mine]] = counts[mine]
            yield kind, found


def distinct(codes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Distinct values in order, and which of them each code is; small codes are counted, which spares the sorting."""
    if int(codes.max(initial=0)) > _DENSE:
        values, which = np.unique(codes, return_inverse=True)
        return values, which.astype(np.int64)
    occurs = np.bincount(codes) > 0
    return np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[codes]


def alike(columns: Sequence[NDArray[np.int64]], n_rows: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows that are equal in all columns of counts: an example of each kind, and the kind of each row, (n_rows,)."""
    code = np.zeros(n_rows, dtype=np.int64)
    for column in columns:
        most = int(column.max(initial=0)) + 1
        if int(code.max(initial=0)) + 1 > _DENSE // most:
            code = np.unique(code, return_inverse=True)[1].astype(np.int64)
        code = code * most + column
    kinds, kind = distinct(code)
    example = np.empty(len(kinds), dtype=np.int64)
    example[kind] = np.arange(n_rows)
    return example, kind
