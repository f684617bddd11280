"""Rows of each section of the page, out of the tables: grouping and sorting, no formatting."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Any

import pandas as pd

from solvation.report.inputs import Inputs, number

#: Titles of the quantities of the comparison; the definition stands in brackets in the table.
_TITLES = {
    "exchange_energy": "Exchange energies: the difference of two clusters, free of the reference of the ion",
    "exchange_gibbs_energy": "Exchange free energies",
    "stepwise_energy": "Energy of the last ligand",
    "binding_energy": "Binding energies, lowest first",
    "binding_gibbs_energy": "Free energies of binding, lowest first",
    "first_peak": "First peak of g(r)",
    "coordination_number": "Coordination numbers",
    "peak_difference": "Differences of peak positions",
}
_DEFINITIONS = {
    "relaxed": "against relaxed separated ligands",
    "relaxed_counterpoise": "against relaxed separated ligands, counterpoise",
    "frozen_ligands": "against the ligands frozen as in the complex",
    "frozen_shell": "ion taken out of the frozen shell",
    "relaxed_ensemble": "Boltzmann mean over structures and free conformers",
    "rrho": "soft modes harmonic",
    "grimme": "soft modes by Grimme",
    "truhlar": "soft modes by Truhlar",
    "atom": "counted per donor atom",
    "molecule": "counted per molecule",
}


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dictionaries; numbers stay numbers, NaN where there is none."""
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]


def comparison(table: pd.DataFrame, main_level: str) -> dict[str, list[dict[str, Any]]] | None:
    """Comparison in groups of one quantity and definition, exchange first; in each the main level first, by rank.

    Returns
    -------
    All `groups`, and those with rows that stand beside `published` values, with these rows alone.
    """
    order = {quantity: place for place, quantity in enumerate(_TITLES)}
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in records(table):
        groups.setdefault(str(row["quantity"]), []).append(row)
    found: list[dict[str, Any]] = []
    for quantity, rows in groups.items():
        base, _, definition = quantity.rstrip("]").partition("[")
        levels = list(dict.fromkeys([main_level, *(row["level"] for row in rows)]))
        rows.sort(key=lambda row: (levels.index(row["level"]), _or(row["rank"], math.inf)))
        title = _TITLES.get(base, base.replace("_", " ").capitalize())
        meaning = _DEFINITIONS.get(definition, definition.replace("_", " "))
        found.append(
            {
                "place": order.get(base, len(order)),
                "quantity": quantity,
                "title": f"{title} ({meaning})" if meaning else title,
                "rows": rows,
            }
        )
    ranked = sorted(found, key=lambda group: group["place"])
    beside = [{**one, "rows": [row for row in one["rows"] if number(row["published"]) is not None]} for one in ranked]
    return {"groups": ranked, "published": [one for one in beside if one["rows"]]} if ranked else None


def binding(table: pd.DataFrame) -> dict[str, Any]:
    """Binding energies with a line for each cluster and level, and a column for each definition."""
    definitions = list(dict.fromkeys(table["definition"]))
    lines: dict[tuple[str, str], dict[str, Any]] = {}
    for row in records(table):
        line = lines.setdefault((row["cluster"], row["level"]), {**row, "cells": {}, "notes": []})
        line["cells"][row["definition"]] = row
        if row["note"] and row["note"] not in line["notes"]:
            line["notes"].append(row["note"])
    return {
        "definitions": [(item, _DEFINITIONS.get(item, item.replace("_", " "))) for item in definitions],
        "lines": list(lines.values()),
        "has_parts": bool(table["deformation_eV"].notna().any()),
    }


def ensembles(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Structures of each cluster, lowest first at the judging level, with both levels side by side."""
    found: dict[str, dict[str, Any]] = {}
    for cluster, rows in table[table["structure"] != ""].groupby("cluster", sort=False):
        levels = {role: ", ".join(part["level"].unique()) for role, part in rows.groupby("role")}
        members: dict[str, dict[str, Any]] = {}
        for row in records(rows):
            member = members.setdefault(
                row["structure"],
                {
                    "structure": row["structure"],
                    "denticity": row["denticity"],
                    "surface": row["geometry_level"] or "",
                    "searches": str(row["searches"] or ""),
                    "note": row["note"] or "",
                },
            )
            member[row["role"]] = row
        found[str(cluster)] = {
            "levels": levels,
            "members": sorted(members.values(), key=_height),
            "reversed": _reversed(rows),
        }
    return found


def convergence(inputs: Inputs) -> list[dict[str, Any]]:
    """How the search of each cluster went: how sure it is, starts, kept, rejected, the largest force left."""
    tables, found = inputs.tables, []
    for cluster in inputs.names("clusters"):
        binding_rows = tables["binding"][tables["binding"]["cluster"] == cluster]
        force = tables["ensemble"].loc[tables["ensemble"]["cluster"] == cluster, "fmax_eV_A"].max()
        lost = tables["rejected"][tables["rejected"]["cluster"] == cluster]
        kept = number(binding_rows["n_kept"].max())
        found.append(
            {
                "cluster": cluster,
                "stderr_eV": number(binding_rows.loc[binding_rows["level"] == inputs.main_level, "stderr_eV"].max()),
                "n_starts": number(binding_rows["n_starts"].max()),
                "n_kept": kept if kept is not None else float(len(inputs.structures.get(cluster, []))),
                "n_rejected": len(lost),
                "fmax_eV_A": number(force),
                "stages": ", ".join(f"{count} {stage}" for stage, count in lost["stage"].value_counts().items()),
            }
        )
    return found


def rejected(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Rejected structures of each cluster, with the reasons counted by kind."""
    return {
        str(cluster): {
            "reasons": Counter(kind_of_reason(text) for text in rows["reason"]).most_common(),
            "rows": records(rows),
        }
        for cluster, rows in table.groupby("cluster", sort=False)
    }


def kind_of_reason(reason: str) -> str:
    """Return a reason without its numbers: `bond C–O broke`, whichever carbon it was."""
    text = re.sub(r"\s*\([^)]*\)", "", reason)
    text = re.sub(r"\b([A-Z][a-z]?)\d+\b", r"\1", text)
    text = re.sub(r"\d+\.\d+", "…", text)
    return text.strip() or "no reason given"


def potential_runs(study: dict[str, Any]) -> dict[str, list[str]]:
    """Trajectories that each fitted potential moves."""
    found: dict[str, list[str]] = {}
    for name, settings in (study.get("trajectories") or {}).items():
        if isinstance(settings, dict) and settings.get("potential"):
            found.setdefault(str(settings["potential"]), []).append(str(name))
    return found


def timings(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Wall and CPU seconds summed by step, the dearest first."""
    total: dict[str, dict[str, Any]] = {}
    for step in steps:
        line = total.setdefault(str(step.get("step", "?")), {"count": 0, "wall_s": 0.0, "cpu_s": 0.0})
        line["count"] += 1
        for key in ("wall_s", "cpu_s"):
            line[key] += _or(step.get(key), 0.0)
    return [{"step": name, **line} for name, line in sorted(total.items(), key=lambda item: -item[1]["wall_s"])]


def _or(value: Any, otherwise: float) -> float:
    found = number(value)
    return otherwise if found is None else found


def _height(member: dict[str, Any]) -> tuple[float, float]:
    energies = [_or(member.get(role, {}).get("relative_energy_eV"), math.inf) for role in ("rank", "geometry")]
    return energies[0], energies[1]


def _reversed(rows: pd.DataFrame) -> bool:
    """Whether the judge and a surface disagree on which of that surface's structures is lowest."""
    columns = {"geometry": "relaxed_eV", "rank": "judged_eV"}
    both = rows.pivot_table(
        index=["geometry_level", "structure"], columns="role", values="relative_energy_eV", aggfunc="first"
    ).rename(columns=columns)
    if not set(columns.values()) <= set(both.columns):
        return False
    both = both.dropna()
    lowest = both.groupby(level="geometry_level").idxmin()
    return bool((lowest["relaxed_eV"] != lowest["judged_eV"]).any())
