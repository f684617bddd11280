"""Boxes of classical liquids: whether they have come to rest, and what they hold then: boxes.csv (docs/tables.md)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from solvation.dynamics.equilibration import read_drifts
from solvation.provenance import read_json

_UNKNOWN = math.nan


@dataclass(frozen=True, slots=True)
class BoxRow:
    """One number about a box at the end of its equilibration.

    Attributes
    ----------
    quantity
        `density` (constant pressure) and `potential_energy` (constant volume), means over the second half of their
        stage; `molarity` of one species, and `molecules` of it, in the box that is run.
    drift, drift_stderr
        Last quarter of the stage less the one before.
    note
        Whether it is settled; donors that an ion meets by mixed terms.
    """

    trajectory: str
    quantity: str
    species: str
    value: float
    unit: str
    stderr: float
    drift: float
    drift_stderr: float
    note: str


def box_rows(trajectory: str, folder: Path) -> Iterator[BoxRow]:
    """Rows of one classical trajectory, out of `equilibration.csv` and `equilibration.json` in its folder.

    Raises
    ------
    ResultsError
        One of them is missing or cannot be read.
    """
    stages = (("density", "g/cm3"), ("potential_energy", "eV"))
    for drift, (quantity, unit) in zip(read_drifts(folder / "equilibration.csv"), stages, strict=True):
        yield BoxRow(
            trajectory, quantity, "", drift.mean, unit, drift.stderr, drift.drift, drift.drift_stderr, drift.words
        )
    told = read_json(folder / "equilibration.json")
    mixed = told.get("mixed_terms", {})
    for species, molarity in told["result"]["molarity"].items():
        note = f"meets {', '.join(mixed[species])} by mixed terms" if species in mixed else ""
        yield BoxRow(trajectory, "molarity", species, molarity, "mol/L", *(_UNKNOWN,) * 3, note)
        yield BoxRow(trajectory, "molecules", species, told["numbers"][species], "1", *(_UNKNOWN,) * 3, "")


def failed_box(trajectory: str, why: str) -> BoxRow:
    """Row of a box that could not be packed."""
    return BoxRow(trajectory, "density", "", _UNKNOWN, "g/cm3", *(_UNKNOWN,) * 3, why)
