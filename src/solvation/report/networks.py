"""Bridges and clusters of each trajectory, for the page; nothing where a single ion has no anion to meet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from solvation.report.inputs import Inputs, number

_LIGANDS, _ANIONS = "ligands", "anions"
#: Kinds of cluster on the page; networks.csv holds them all.
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Bridge:
    """Molecules of one species by the number of ions that they hold: rows of `networks.csv`.

    Attributes
    ----------
    holds
        By number of ions, from 0 on.
    bridged
        Ions that share such a molecule with another ion.
    """

    species: str
    holds: tuple[dict[str, Any], ...]
    bridged: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ClustersOf:
    """Clusters that one kind of link holds together.

    Attributes
    ----------
    clusters
        The most common kinds of cluster, smallest first, and shares of the ions in them.
    rest
        Share of the ions in the others.
    of_a_frame
        The other quantities by name.
    """

    linked_by: str
    clusters: tuple[dict[str, Any], ...]
    rest: float
    of_a_frame: dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class LiquidNetwork:
    """What the page shows of the bridges and clusters of one trajectory."""

    n_ions: int
    bridges: tuple[Bridge, ...]
    clusters: tuple[ClustersOf, ...]
    most_held: int


def liquid_networks(inputs: Inputs) -> dict[str, LiquidNetwork]:
    """Bridges and clusters by trajectory, of those with several ions, or with anions."""
    table = inputs.tables["networks"]
    found = {}
    for name, rows in table.groupby("trajectory", sort=False):
        liquid = _of(rows)
        if liquid.n_ions > 1 or len(liquid.clusters) > 1:
            found[str(name)] = liquid
    return found


def _of(table: pd.DataFrame) -> LiquidNetwork:
    rows = [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]
    species = dict.fromkeys(row["linked_by"] for row in rows if row["quantity"] == "holds")
    bridges = [
        Bridge(
            name,
            tuple(row for row in rows if row["linked_by"] == name and row["quantity"] == "holds"),
            next((row for row in rows if row["linked_by"] == name and row["quantity"] == "bridged"), {}),
        )
        for name in species
    ]
    clusters = [_clusters(by, [row for row in rows if row["linked_by"] == by]) for by in (_ANIONS, _LIGANDS)]
    present = [item for item in clusters if item.clusters]
    largest = present[0].of_a_frame if present else {}
    ions, share = (number(largest.get(key, {}).get("value")) for key in ("largest_ions", "largest_share"))
    return LiquidNetwork(
        round(ions / share) if ions and share else 0,
        tuple(bridges),
        tuple(present),
        max((len(item.holds) - 1 for item in bridges), default=0),
    )


def _clusters(linked_by: str, rows: list[dict[str, Any]]) -> ClustersOf:
    kinds = sorted((row for row in rows if row["quantity"] == "cluster"), key=lambda row: -row["value"])
    return ClustersOf(
        linked_by,
        tuple(row for row in rows if any(row is shown for shown in kinds[:_SHOWN])),
        sum(row["value"] for row in kinds[_SHOWN:]),
        {row["quantity"]: row for row in rows if row["quantity"] != "cluster"},
    )
