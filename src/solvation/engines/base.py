"""What an engine is: a level of theory in, an ASE calculator out."""

from __future__ import annotations

from typing import Any, Protocol

from solvation.study import Level


class Engine(Protocol):
    """A program that computes energies and forces."""

    name: str
    #: Whether it takes atoms without nuclei and electrons that keep their basis functions (array `ghost`).
    has_ghosts: bool

    def missing(self) -> str | None:
        """Why it cannot run here, with the mend; None when it can."""

    def refuses(self, level: Level) -> str | None:
        """Why it cannot compute this level, with the mend; None when it can."""

    def calculator(self, level: Level, *, charge: int, multiplicity: int) -> Any:
        """Return an ASE calculator; charge and multiplicity are its own, not those of the atoms' arrays."""
