"""Which conclusions hold at every level, and which definition comes nearest to published numbers."""

from __future__ import annotations

from typing import Any

import pandas as pd

from solvation.report.numbers import plain

#: Columns of the ladder, in the order of the comparison's quantities.
_COLUMNS = {
    "energy[relaxed]": "electronic",
    "energy[relaxed_counterpoise]": "counterpoise",
    "gibbs_energy[rrho]": "free energy, harmonic",
    "gibbs_energy[grimme]": "free energy, Grimme",
    "gibbs_energy[truhlar]": "free energy, Truhlar",
}
#: Smaller differences have no sign: no level here orders them reliably.
SAME_EV = 0.02
#: A published number is met within this.
_MET_EV = 0.1


def exchanges(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Every swap of a ligand by level and correction, with the sentence that sums it up."""
    rows = table[table["quantity"].str.startswith("exchange_") & table["value"].notna()]
    columns = [kind for kind in _COLUMNS if f"exchange_{kind}" in set(rows["quantity"])]
    found = []
    for subject, group in rows.groupby("subject", sort=False):
        kinds = group["quantity"].str.removeprefix("exchange_")
        cells = {
            (level, kind): float(value)
            for level, kind, value in zip(group["level"], kinds, group["value"], strict=True)
        }
        levels = list(dict.fromkeys(group["level"]))
        published = group.loc[kinds.str.startswith("energy"), "published"].dropna()
        reaction = next((str(note).split(";")[0] for note in group["note"] if "->" in str(note)), str(subject))
        found.append(
            {
                "subject": str(subject),
                "reaction": reaction,
                "columns": [(kind, _COLUMNS[kind]) for kind in columns],
                "levels": levels,
                "cells": cells,
                "published": float(published.iloc[0]) if len(published) else None,
                "conclusion": conclusion(list(cells.values())),
            }
        )
    return found


def conclusion(values_eV: list[float]) -> str:
    """Whether a difference has the same sign everywhere, and how far it spreads."""
    low, high = min(values_eV), max(values_eV)
    span = f"{plain(low, 2, signed=True)} to {plain(high, 2, signed=True)} eV"
    every = f"in all {len(values_eV)} combinations of level and correction"
    if high < -SAME_EV:
        return f"The swap is downhill {every}: {span}."
    if low > SAME_EV:
        return f"The swap is uphill {every}: {span}."
    down, up = (sum(sign * value > SAME_EV for value in values_eV) for sign in (-1, 1))
    return (
        f"NOT decided: downhill in {down}, uphill in {up} and within {SAME_EV:g} eV in {len(values_eV) - down - up} of "
        f"{len(values_eV)} combinations of level and correction, {span}."
    )


def definitions(table: pd.DataFrame) -> dict[str, Any] | None:
    """How far every definition and level lies from the published binding energies, the nearest first.

    None without published binding energies.
    """
    rows = table[table["quantity"].str.startswith("binding_") & table["value"].notna()]
    known = table[table["quantity"].str.startswith("binding_energy") & table["published"].notna()]
    published = {
        str(subject): float(group["published"].iloc[0]) for subject, group in known.groupby("subject", sort=False)
    }
    if not published:
        return None
    lines: list[dict[str, Any]] = []
    for (quantity, level), group in rows.groupby(["quantity", "level"], sort=False):
        values = dict(zip(group["subject"], group["value"], strict=True))
        if not all(subject in values for subject in published):
            continue
        off = {subject: float(values[subject]) - value for subject, value in published.items()}
        worst = max(map(abs, off.values()))
        lines.append({"quantity": quantity, "level": level, "values": values, "off": off, "worst": worst})
    lines.sort(key=lambda line: line["worst"])
    return {"published": published, "lines": lines, "conclusion": _nearest(lines)}


def _nearest(lines: list[dict[str, Any]]) -> str:
    if not lines:
        return "No definition was computed for all clusters with a published energy."
    best = lines[0]
    name = f"{best['quantity'].partition('[')[2].rstrip(']')} at {best['level']}"
    if best["worst"] <= _MET_EV:
        met = sum(line["worst"] <= _MET_EV for line in lines)
        return f"{met} of {len(lines)} come within {_MET_EV:g} eV of all published values; the nearest is {name}."
    return (
        f"None of the {len(lines)} definitions and levels computed here gives the published values: the nearest, "
        f"{name}, is off by up to {plain(best['worst'], 2)} eV."
    )
