"""Boxes of classical liquids: whether they have come to rest, and what they hold then: boxes.csv (docs/tables.md)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from solvation.dynamics.drift import Drift
from solvation.dynamics.equilibration import read_drifts
from solvation.errors import ResultsError
from solvation.provenance import read_json

_UNKNOWN = math.nan


@dataclass(frozen=True, slots=True)
class BoxRow:
    """One number about a box at the end of its equilibration.

    Attributes
    ----------
    quantity
        `density` (constant pressure), `potential_energy` and `temperature` (constant volume), means over the second
        half of their stage; `net_charge` of the box; `molarity` of one species, and `molecules` of it, in the box that
        is run.
    drift, drift_stderr
        Change along a straight line through the last two thirds of the stage.
    note
        Whether it is settled and what drift may be missed, and whether at the temperature that was asked for; donors
        that an ion meets by mixed terms.
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
        One of them is missing or damaged; with the mend.
    """
    table, record = folder / "equilibration.csv", folder / "equilibration.json"
    # Snakemake knows only the checkpoint: what stands beside it is made again together with it.
    mend = f"remove {folder / 'start.npz'} and run the study again"
    try:
        drifts, told = read_drifts(table), read_json(record)
        molarities, numbers, mixed = told["result"]["molarity"], told["numbers"], told["mixed_terms"]
    except ResultsError as problem:
        raise ResultsError(f"{str(problem).partition(';')[0]}; {mend}") from problem
    except (KeyError, TypeError) as problem:
        raise ResultsError(f"{record}: not the record of a box; {mend}") from problem
    asked_K = told["card"].get("settings", {}).get("temperature_K")
    for drift in drifts:
        off = drift.quantity == "temperature" and asked_K is not None and _is_off(drift, float(asked_K))
        note = f"NOT at the {asked_K:g} K that were asked for" if off else drift.words
        yield BoxRow(
            trajectory, drift.quantity, "", drift.mean, drift.unit, drift.stderr, drift.drift, drift.drift_stderr, note
        )
    if (charge := told.get("net_charge")) is not None:
        note = "neutralised by a uniform background" if charge else ""
        yield BoxRow(trajectory, "net_charge", "", float(charge), "e", *(_UNKNOWN,) * 3, note)
    for species, molarity in molarities.items():
        note = f"meets {', '.join(mixed[species])} by mixed terms" if species in mixed else ""
        yield BoxRow(trajectory, "molarity", species, molarity, "mol/L", *(_UNKNOWN,) * 3, note)
        yield BoxRow(trajectory, "molecules", species, numbers[species], "1", *(_UNKNOWN,) * 3, "")


def _is_off(kelvin: Drift, asked_K: float) -> bool:
    """Whether a mean temperature is another one than the thermostat's, by more than its errors and a hundredth."""
    error_K = 0.0 if math.isnan(kelvin.stderr) else kelvin.stderr
    return abs(kelvin.mean - asked_K) > 3 * error_K + 0.01 * asked_K


def failed_box(trajectory: str, why: str) -> BoxRow:
    """Row of a box that could not be packed."""
    return BoxRow(trajectory, "density", "", _UNKNOWN, "g/cm3", *(_UNKNOWN,) * 3, why)
