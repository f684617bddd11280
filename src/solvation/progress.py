"""Telling a waiting user which step runs and how long it still takes."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from solvation.errors import printable

Item = TypeVar("Item")


def say(message: str) -> None:
    """Print one line to stderr at once."""
    print(printable(message), file=sys.stderr, flush=True)


def track(items: Iterable[Item], what: str, total: int | None = None) -> Iterator[Item]:
    """Yield the items; after each one tell how many are done and how long the rest takes at this pace.

    `total` is their number where they do not know it themselves.
    """
    total = len(items) if isinstance(items, Sized) else total
    begin = told = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if total and (now - told > 2 or done == total):
            left = (now - begin) / done * (total - done)
            tail = f", {left:.0f} s left" if done < total else f" in {now - begin:.0f} s"
            say(f"  {what}: {done}/{total}{tail}")
            told = now
