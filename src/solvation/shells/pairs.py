"""The near pairs of a trajectory, kept on disk between the pass over the frames and the counts."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from solvation.trajectory.neighbours import Pairs

#: Pairs gathered in memory before they go to disk: 3 MB, which a core's cache holds when they are counted.
_CHUNK = 250_000


@dataclass(frozen=True, slots=True)
class PairChunk:
    """Near pairs of some frames in a row, ordered by frame, then by ion.

    Attributes
    ----------
    lengths
        Pairs in each frame, (n_frames,).
    ion, donor
        Positions in the arrays of ions and donors, (n_pairs,).
    distance_A
        (n_pairs,).
    image
        As in `Pairs`, (n_pairs, 3).
    """

    lengths: NDArray[np.int64]
    ion: NDArray[np.int32]
    donor: NDArray[np.int32]
    distance_A: NDArray[np.float32]
    image: NDArray[np.int8]


class PairSpool:
    """A temporary file of near pairs, 15 bytes each, so that the trajectory is read once.

    Without a path it has no name, lies in TMPDIR, and is gone when it is closed, or when the process dies.
    """

    def __init__(self, path: Path | None = None) -> None:
        """Open a spool, an empty one or what another process has put into `path`; use it in a `with` statement."""
        self._file = tempfile.TemporaryFile() if path is None else path.open("a+b")  # noqa: SIM115 - see __exit__
        self._waiting: list[Pairs] = []
        self._n_waiting = 0

    def __enter__(self) -> PairSpool:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file; a nameless one is deleted."""
        self._file.close()

    def add(self, pairs: Pairs) -> None:
        """Keep the pairs of the next frame."""
        self._waiting.append(pairs)
        self._n_waiting += len(pairs.ion)
        # Frames without pairs must not pile up either.
        if self._n_waiting >= _CHUNK or len(self._waiting) >= _CHUNK // 10:
            self.flush()

    def chunks(self) -> Iterator[PairChunk]:
        """Yield all that was kept, in order."""
        self.flush()
        self._file.seek(0, os.SEEK_END)
        size = self._file.tell()
        self._file.seek(0)
        while self._file.tell() < size:
            yield PairChunk(*(np.load(self._file, allow_pickle=False) for _ in range(5)))

    def flush(self) -> None:
        """Put on disk what waits in memory."""
        if self._waiting:
            np.save(self._file, np.array([len(pairs.ion) for pairs in self._waiting], dtype=np.int64))
            for column in ("ion", "donor", "distance_A", "image"):
                np.save(self._file, np.concatenate([getattr(pairs, column) for pairs in self._waiting]))
            self._file.flush()
        self._waiting, self._n_waiting = [], 0
