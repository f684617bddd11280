"""Styles of LAMMPS whose terms are ours as well: what the numbers of a type mean, out of units `real`.

Each reader takes the numbers in the order of the data file and returns them in the units of `Parameters`: kJ/mol, Å and
degrees, with k/2 (x - x0)2 where LAMMPS has K (x - x0)2. Numbers that the style does not allow raise a ValueError.

References
----------
https://docs.lammps.org, the page of each style.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from solvation.liquids.torsions import fourier_of_ryckaert_bellemans

_KJ = 4.184
_HIGHEST_PERIODICITY = 6

Pair = tuple[float, float]
#: (periodicity, phase in degrees, height in kJ/mol) of k (1 + cos(n phi - phase)), those that are not zero.
Waves = list[tuple[int, float, float]]
Kind = TypeVar("Kind")
#: How many numbers a type has, None for any, and what they mean.
Style = tuple[int | None, Callable[..., Kind]]


def meaning(styles: Mapping[str, Style[Kind]], style: str, numbers: Sequence[float]) -> Kind:
    """What the numbers of one type mean.

    Raises
    ------
    ValueError
        They are not those of the style.
    """
    count, read = styles[style]
    if count not in {None, len(numbers)}:
        raise ValueError(f"takes {count} numbers, not {len(numbers)}")
    return read(*numbers)


def _sphere(depth: float, sigma_A: float) -> Pair:
    if depth < 0 or sigma_A < 0 or (depth and not sigma_A):
        raise ValueError(f"epsilon {depth:g} and sigma {sigma_A:g} are no Lennard-Jones sphere")
    return (sigma_A, _KJ * depth) if depth else (1.0, 0.0)


def _bond(stiffness: float, length_A: float) -> Pair:
    if stiffness < 0 or length_A <= 0:
        raise ValueError(f"K {stiffness:g} and r0 {length_A:g} are no bond")
    return length_A, 2 * _KJ * stiffness


def _angle(stiffness: float, angle_deg: float) -> Pair:
    if stiffness < 0 or not 0 < angle_deg <= 180:
        raise ValueError(f"K {stiffness:g} and theta0 {angle_deg:g} are no angle")
    return angle_deg, 2 * _KJ * stiffness


def _wave(height: float, periodicity: float, phase_deg: float) -> Waves:
    if periodicity not in range(_HIGHEST_PERIODICITY + 1):
        raise ValueError(f"n is {periodicity:g}, no whole number from 0 to {_HIGHEST_PERIODICITY}")
    return [(int(periodicity), phase_deg, _KJ * height)] if periodicity and height else []


def _signed(height: float, sign: float, periodicity: float) -> Waves:
    """K (1 + d cos(n phi)) of dihedrals (harmonic) and of impropers (cvff)."""
    if sign not in {-1, 1}:
        raise ValueError(f"d is {sign:g}, neither 1 nor -1")
    return _wave(height, periodicity, 0.0 if sign > 0 else 180.0)


def _charmm(height: float, periodicity: float, phase_deg: float, weight: float) -> Waves:
    if weight:
        raise ValueError(f"weight {weight:g} of 1-4 pairs: those of CHARMM are not known here")
    return _wave(height, periodicity, phase_deg)


def _fourier(*numbers: float) -> Waves:
    if not numbers or len(numbers) != 1 + 3 * numbers[0]:
        raise ValueError("is not a number m and m times K, n and d")
    triples = (numbers[first : first + 3] for first in range(1, len(numbers), 3))
    return [wave for triple in triples for wave in _wave(*triple)]


def _opls(*heights: float) -> Waves:
    return [
        wave
        for number, height in enumerate(heights, start=1)
        for wave in _wave(height / 2, number, 0.0 if number % 2 else 180.0)
    ]


def _multi_harmonic(*powers: float) -> Waves:
    """Sum of A_m cos(phi)^(m-1); Ryckaert and Bellemans count the angle from the other side."""
    other_side = [height * (-1) ** power for power, height in enumerate(powers)]
    heights = fourier_of_ryckaert_bellemans([*other_side, 0.0])
    return [wave for number, height in enumerate(heights, start=1) for wave in _wave(float(height), number, 0.0)]


PAIRS: dict[str, Style[Pair]] = {
    "lj/cut/coul/long": (2, _sphere),
    "lj/cut/coul/cut": (2, _sphere),
    "lj/cut": (2, _sphere),
}
BONDS: dict[str, Style[Pair]] = {"harmonic": (2, _bond)}
ANGLES: dict[str, Style[Pair]] = {"harmonic": (2, _angle)}
DIHEDRALS: dict[str, Style[Waves]] = {
    "opls": (4, _opls),
    "fourier": (None, _fourier),
    "charmm": (4, _charmm),
    "harmonic": (3, _signed),
    "multi/harmonic": (5, _multi_harmonic),
}
IMPROPERS: dict[str, Style[Waves]] = {"cvff": (3, _signed)}
