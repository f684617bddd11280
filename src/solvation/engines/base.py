"""What an engine is: a level of theory in, an ASE calculator out."""

from __future__ import annotations

from typing import Any, Protocol

from ase import Atoms

from solvation.study import Level

#: Share of the memory that calculations may take in all; one takes of it what its threads are of all cores.
MEMORY_SHARE = 0.8


class Engine(Protocol):
    """A program that computes energies and forces."""

    name: str
    #: Whether it takes atoms without nuclei and electrons that keep their basis functions (array `ghost`).
    has_ghosts: bool
    #: Whether it computes periodic boxes, and molecules.
    has_boxes: bool
    has_molecules: bool

    def missing(self) -> str | None:
        """Why it cannot run here, with the mend; None when it can."""

    def refuses(self, level: Level) -> str | None:
        """Why it cannot compute this level, with the mend; None when it can."""

    def identity(self) -> str | None:
        """What its numbers come from besides the level, for the cache; None where they are not worth keeping."""

    def memory_MB(self, level: Level, atoms: Atoms) -> float:
        """Memory with which one calculation runs at its full speed; zero where it does not matter."""

    def calculator(self, level: Level, *, charge: int, multiplicity: int) -> Any:
        """Return an ASE calculator; charge and multiplicity are its own, not those of the atoms' arrays."""
