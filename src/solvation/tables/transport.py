"""Activation energies of transport over a series of temperatures: arrhenius.csv (docs/tables.md)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from solvation.transport.analysis import TransportRow
from solvation.transport.diffusion import Arrhenius, arrhenius

#: What periodic images take is known where the viscosity is.
_CORRECTED = "self_diffusion[yeh-hummer]"
#: Quantities that a barrier slows down; shares and ratios have none.
_ACTIVATED = ("self_diffusion", _CORRECTED, "conductivity[nernst-einstein]", "conductivity[einstein]")


@dataclass(frozen=True, slots=True)
class ArrheniusRow:
    """Activation energy of one quantity over a series of temperatures; the fields are those of `Arrhenius`.

    Attributes
    ----------
    unit
        Of the quantity, whose logarithm at infinite temperature is `log_prefactor`.
    temperatures_K
        Those that have a value, joined by spaces.
    """

    series: str
    quantity: str
    species: str
    unit: str
    energy_kJ_mol: float
    energy_stderr_kJ_mol: float
    log_prefactor: float
    log_prefactor_stderr: float
    chi2_per_point: float
    temperatures_K: str
    verdict: str


def activation(series: str, points: Sequence[tuple[float, Sequence[TransportRow]]]) -> Iterator[ArrheniusRow]:
    """Fit each quantity that transport activates over the temperatures that have a value and an error.

    Self-diffusion corrected for periodic images is fitted as well where all temperatures have it; over fewer of them it
    could not be set beside the plain one.

    Parameters
    ----------
    points
        Temperature in K, and the rows of `transport.csv` at it.
    """
    asked = dict.fromkeys(
        (row.quantity, row.species, row.unit) for _, rows in points for row in rows if row.quantity in _ACTIVATED
    )
    for quantity, species, unit in asked:
        known = [
            (kelvin, row.value, row.stderr)
            for kelvin, rows in points
            for row in rows
            if (row.quantity, row.species) == (quantity, species) and row.value > 0 and row.stderr > 0
        ]
        if quantity == _CORRECTED and len(known) < len(points):
            continue
        told = " ".join(f"{kelvin:g}" for kelvin in sorted({kelvin for kelvin, _, _ in known}))
        distinct = len(told.split())
        found = Arrhenius(*(math.nan,) * 5)
        if distinct < 3:
            verdict = f"{distinct} of {len(points)} temperatures have a value; a fit needs three"
        else:
            found = arrhenius(*(list(column) for column in zip(*known, strict=True)))
            bent = found.chi2_per_point > 4
            verdict = "the points lie on no line: not one activation energy" if bent else ""
        yield ArrheniusRow(
            series, quantity, species, unit, found.energy_kJ_mol, found.energy_stderr_kJ_mol, found.log_prefactor,
            found.log_prefactor_stderr, found.chi2_per_point, told, verdict,
        )  # fmt: skip
