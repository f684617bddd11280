"""Boxes of classical liquids for the page: what is in them, and whether they had come to rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from solvation.report.inputs import Inputs
from solvation.report.numbers import plain
from solvation.report.sections import records

_SETTLED = "settled"
_WORDS = {"density": "density", "potential_energy": "potential energy", "temperature": "temperature"}


@dataclass(frozen=True, slots=True)
class Box:
    """What the page shows of one box.

    Attributes
    ----------
    holds
        `48 EC (8.40 mol/L)` for every species, the rarest first.
    density, energy
        Rows of `boxes.csv`; the energy is empty where the box could not be packed.
    restless
        What had not settled, and how: `density NOT settled, run longer`.
    notes
        What an ion meets by mixed terms; the charge of a box that has one; why there is no box.
    """

    trajectory: str
    holds: tuple[str, ...]
    density: dict[str, Any]
    energy: dict[str, Any]
    restless: tuple[str, ...]
    notes: tuple[str, ...]


def boxes(inputs: Inputs) -> list[Box]:
    """Every box of `boxes.csv`, in its order."""
    table = inputs.tables["boxes"]
    found = []
    for trajectory, group in table.groupby("trajectory", sort=False):
        rows = records(group)
        stages = {row["quantity"]: row for row in rows if row["quantity"] in _WORDS}
        counts = {row["species"]: row["value"] for row in rows if row["quantity"] == "molecules"}
        moles = sorted(
            (row for row in rows if row["quantity"] == "molarity"), key=lambda row: counts.get(row["species"], 0)
        )
        found.append(
            Box(
                trajectory=str(trajectory),
                holds=tuple(
                    f"{plain(counts.get(row['species']), 0)} {row['species']} ({plain(row['value'], 2)} mol/L)"
                    for row in moles
                ),
                density=stages.get("density", {}),
                energy=stages.get("potential_energy", {}),
                restless=tuple(
                    f"{_WORDS[name]} {row['note']}"
                    for name, row in stages.items()
                    if moles and not row["note"].startswith(_SETTLED)
                ),
                notes=tuple(f"{row['species']} {row['note']}" for row in moles if row["note"])
                + tuple(
                    f"net charge {row['value']:+g} e, {row['note']}"
                    for row in rows
                    if row["quantity"] == "net_charge" and row["note"]
                )
                + tuple(row["note"] for row in stages.values() if not moles),
            )
        )
    return found
