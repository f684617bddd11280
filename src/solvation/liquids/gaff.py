"""Tables of force-field parameters in Amber's two text formats, and which of their terms a molecule takes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path
from typing import TypeVar

from solvation.errors import EngineFailed

Types = tuple[str, ...]
#: (periodicity, phase in degrees, barrier in kcal/mol) of E = barrier (1 + cos(n phi - phase)).
Wave = tuple[int, float, float]
_SECTIONS = ("MASS", "BOND", "ANGL", "DIHE", "IMPR", "NONB")
_NUMBER = re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$")
_PENALTY = re.compile(r"penalty score=\s*([\d.]+)")
_ANY = "X"
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Table:
    """Parameters by atom types, in the units of their file.

    Attributes
    ----------
    bonds
        (force constant, kcal/mol/Å2, of E = K (r - r0)2; length, Å).
    angles
        (force constant, kcal/mol/rad2, of E = K (theta - theta0)2; angle, degrees).
    torsions
        Waves about a bond; `X` stands for any type.
    impropers
        One wave; the central atom stands third.
    spheres
        (half the distance of the minimum, Å; depth, kcal/mol) of the Lennard-Jones potential.
    penalties
        How far an analogy was stretched, for what parmchk2 made up; the larger the worse.
    """

    bonds: dict[Types, tuple[float, float]] = field(default_factory=dict)
    angles: dict[Types, tuple[float, float]] = field(default_factory=dict)
    torsions: dict[Types, tuple[Wave, ...]] = field(default_factory=dict)
    impropers: dict[Types, Wave] = field(default_factory=dict)
    spheres: dict[Types, tuple[float, float]] = field(default_factory=dict)
    penalties: dict[str, float] = field(default_factory=dict)

    def under(self, other: Table) -> Table:
        """Both tables as one; where both have a term it is that of `other`."""
        names = self.__slots__
        return Table(**{name: getattr(self, name) | getattr(other, name) for name in names})

    def bond(self, types: Sequence[str]) -> tuple[float, float]:
        """Force constant and length of a bond."""
        return self._found("bond", self.bonds, types)

    def angle(self, types: Sequence[str]) -> tuple[float, float]:
        """Force constant and angle."""
        return self._found("angle", self.angles, types)

    def torsion(self, types: Sequence[str]) -> tuple[Wave, ...]:
        """Waves of a dihedral; one that names all four types comes before one that names the bond only."""
        exact = self.torsions.get(_key(types))
        if exact is not None:
            return exact
        return self._found("torsion", self.torsions, (_ANY, types[1], types[2], _ANY))

    def sphere(self, kind: str) -> tuple[float, float]:
        """Lennard-Jones parameters of one type."""
        return self._found("Lennard-Jones term", self.spheres, (kind,))

    def improper(self, centre: str, around: Sequence[str]) -> tuple[tuple[int, ...], Wave] | None:
        """Order of the three neighbours, and the wave; None where the table has none for this centre.

        The entry with the fewest wildcards is taken.
        """
        for wildcards in range(3):
            for order in permutations(range(3)):
                first, second, last = (around[index] for index in order)
                types = (*((_ANY,) * wildcards), *(first, second)[wildcards:], centre, last)
                if types in self.impropers:
                    return order, self.impropers[types]
        return None

    def _found(self, what: str, table: dict[Types, Value], types: Sequence[str]) -> Value:
        try:
            return table[_key(types)]
        except KeyError:
            raise EngineFailed(f"GAFF2 and parmchk2 have no {what} {'-'.join(types)}") from None


def read_parm(path: Path) -> Table:
    """Read a whole force field (parm.dat, gaff2.dat): sections in fixed order, each ended by an empty line."""
    lines = iter(path.read_text(encoding="utf-8", errors="replace").splitlines()[1:])
    if not list(_until_empty(lines)):  # masses
        raise EngineFailed(f"{path}: is no Amber parameter file")
    next(lines)  # hydrophilic types
    table = Table()
    for section in ("BOND", "ANGL", "DIHE", "IMPR"):
        _read_section(table, section, list(_until_empty(lines)))
    for line in lines:
        if line.startswith("MOD4"):
            break
    _read_section(table, "NONB", list(_until_empty(lines)))
    return table


def read_frcmod(text: str) -> Table:
    """Read a set of additions (frcmod): sections begin with their name.

    Raises
    ------
    EngineFailed
        A term is marked as not known.
    """
    table = Table()
    lines = iter(text.splitlines()[1:])
    for line in lines:
        section = line.strip()[:4]
        if section in _SECTIONS and section != "MASS":
            _read_section(table, section, list(_until_empty(lines)))
    return table


def _until_empty(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        if not line.strip() or line.startswith("END"):
            return
        yield line


def _read_section(table: Table, section: str, lines: list[str]) -> None:
    unfinished: Types = ()
    for line in lines:
        if "ATTN" in line:
            raise EngineFailed(f"parmchk2 knows no analogy for '{line.split('ATTN')[0].strip()}'")
        count = {"BOND": 2, "ANGL": 3, "DIHE": 4, "IMPR": 4, "NONB": 0}[section]
        types = tuple(line[3 * index : 3 * index + 2].strip() for index in range(count))
        numbers = _numbers(line[max(0, 3 * count - 1) :] if count else line.split(maxsplit=1)[1])
        if penalty := _PENALTY.search(line):
            table.penalties["-".join(types) or line.split()[0]] = float(penalty[1])
        if section == "BOND":
            table.bonds[_key(types)] = (numbers[0], numbers[1])
        elif section == "ANGL":
            table.angles[_key(types)] = (numbers[0], numbers[1])
        elif section == "DIHE":
            parts, barrier, phase, periodicity = numbers[:4]
            wave = (round(abs(periodicity)), phase, barrier / parts)
            key = _key(types)
            # A negative periodicity says that the next line adds to this one; else a later line replaces it.
            table.torsions[key] = (*table.torsions[key], wave) if key == unfinished else (wave,)
            unfinished = key if periodicity < 0 else ()
        elif section == "IMPR":
            table.impropers[types] = (round(abs(numbers[2])), numbers[1], numbers[0])
        else:
            table.spheres[(line.split()[0],)] = (numbers[0], numbers[1])


def _numbers(text: str) -> list[float]:
    found = []
    for word in text.split():
        if not _NUMBER.match(word):
            break
        found.append(float(word))
    return found


def _key(types: Sequence[str]) -> Types:
    """A sequence of types and its reverse are the same term."""
    return min(tuple(types), tuple(reversed(types)))
