"""The near pairs of a trajectory, kept on disk between the pass over the frames and the counts."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from solvation.neighbours import Pairs

#: Pairs gathered in memory before they go to disk: 12 MB.
_CHUNK = 1_000_000


@dataclass(frozen=True, slots=True)
class PairChunk:
    """Near pairs of some frames in a row.

    Attributes
    ----------
    n_frames
        How many frames.
    frame
        Which of them each pair is in, from 0, (n_pairs,).
    ion, donor
        Positions in the arrays of ions and donors, (n_pairs,).
    distance_A
        (n_pairs,).
    """

    n_frames: int
    frame: NDArray[np.int64]
    ion: NDArray[np.int64]
    donor: NDArray[np.int64]
    distance_A: NDArray[np.float32]


class PairSpool:
    """A nameless temporary file of near pairs, 12 bytes each, so that the trajectory is read once.

    It lies in TMPDIR and is gone when it is closed, or when the process dies.
    """

    def __init__(self) -> None:
        """Open an empty spool; use it in a `with` statement."""
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._waiting: list[tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]] = []
        self._n_waiting = 0
        self._n_chunks = 0

    def __enter__(self) -> PairSpool:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Delete the file."""
        self._file.close()

    def add(self, n_frames: int, pairs: Pairs, reach_A: float) -> None:
        """Keep the pairs of the next frames that are nearer than `reach_A`."""
        near = np.flatnonzero(pairs.distance_A < reach_A)
        lengths = np.bincount(pairs.frame[near], minlength=n_frames)
        self._waiting.append(
            (lengths, pairs.ion[near].astype(np.int32), pairs.donor[near].astype(np.int32), pairs.distance_A[near])
        )
        self._n_waiting += len(near)
        # Frames without pairs must not pile up either.
        if self._n_waiting >= _CHUNK or len(self._waiting) >= _CHUNK // 10:
            self._flush()

    def chunks(self) -> Iterator[PairChunk]:
        """Yield all that was kept, in order."""
        self._flush()
        self._file.seek(0)
        for _ in range(self._n_chunks):
            lengths, ion, donor, distance = (np.load(self._file, allow_pickle=False) for _ in range(4))
            frame = np.repeat(np.arange(len(lengths)), lengths)
            yield PairChunk(len(lengths), frame, ion.astype(np.int64), donor.astype(np.int64), distance)

    def _flush(self) -> None:
        if not self._waiting:
            return
        for column in range(4):
            np.save(self._file, np.concatenate([item[column] for item in self._waiting]))
        self._waiting, self._n_waiting = [], 0
        self._n_chunks += 1
