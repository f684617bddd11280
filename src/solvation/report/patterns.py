"""Angles and structure factors on the page: a figure of each for every trajectory that has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from solvation.report.inputs import Inputs

#: Lines beyond which a figure of all angles, or of all pairs of elements, cannot be read.
_MOST_LINES = 7
#: Angles below which a distribution is a few spikes, higher than all others.
_FEWEST_ANGLES = 50
#: Neighbours show at wave vectors up to here, 1/Å.
_NEIGHBOURS_1_A = 6.0
_RADIATIONS = {"xray": "X-rays", "neutron": "neutrons"}


def angle_means(inputs: Inputs) -> dict[str, list[dict[str, Any]]]:
    """Mean of each kind of angle, and the angle that is the most frequent, by trajectory."""
    found: dict[str, list[dict[str, Any]]] = {}
    for (trajectory, angle), rows in inputs.tables["angles"].groupby(["trajectory", "angle"], sort=False):
        first = rows.iloc[0]
        most = rows["theta_deg"].iloc[int(rows["density_per_deg"].to_numpy().argmax())]
        told = {
            "angle": angle,
            "most_deg": most,
            **{key: first[key] for key in ("mean_deg", "mean_stderr_deg", "n_angles")},
        }
        found.setdefault(str(trajectory), []).append(told)
    return found


def angle_figure(angles: pd.DataFrame, colours: Sequence[str]) -> Figure:
    """Distributions of the angles of one trajectory with bands of one standard error: of those that were met most.

    Parameters
    ----------
    angles
        Rows of one trajectory.
    colours
        Taken in turn.
    """
    figure = Figure(figsize=(9.4, 3.9))
    axes = figure.subplots()
    counted = angles.groupby("angle", sort=False)["n_angles"].first()
    if (counted >= _FEWEST_ANGLES).any():
        counted = counted[counted >= _FEWEST_ANGLES]
    # The table has all; in their own order, so that those of the ion stay together.
    most = set(counted.sort_values(ascending=False, kind="stable").index[:_MOST_LINES])
    shown = [(name, rows) for name, rows in angles.groupby("angle", sort=False) if name in most]
    for place, (name, rows) in enumerate(shown):
        tint, density = colours[place % len(colours)], rows["density_per_deg"]
        axes.plot(rows["theta_deg"], density, color=tint, label=_literal(name))
        error = rows["density_stderr_per_deg"].fillna(0)
        axes.fill_between(rows["theta_deg"], density - error, density + error, color=tint, alpha=0.22, lw=0)
    axes.set(xlabel="angle / degrees", ylabel="share per degree", xlim=(0, 180), ylim=(0, None))
    axes.set_xticks(range(0, 181, 30))
    figure.legend(frameon=False, fontsize=8, loc="outside right upper")
    return figure


def scattering_figure(factors: pd.DataFrame, colours: Sequence[str]) -> Figure:
    """Totals of X-rays and neutrons beside the partial structure factors of one trajectory.

    Parameters
    ----------
    factors
        Rows of one trajectory.
    colours
        Taken in turn.
    """
    figure = Figure(figsize=(10.5, 3.9))
    totals, partials = figure.subplots(1, 2)
    for radiation, tint in zip(_RADIATIONS, colours, strict=False):
        rows = factors[factors["radiation"] == radiation]
        totals.plot(rows["q_1_A"], rows["s"], color=tint, label=_RADIATIONS[radiation], gid=f"s:{radiation}")
        error = rows["s_stderr"].fillna(0)
        totals.fill_between(rows["q_1_A"], rows["s"] - error, rows["s"] + error, color=tint, alpha=0.22, lw=0)
    partial = factors[factors["radiation"] == "partial"]
    # Those that stand out of their errors the most; the table has all, and rare elements scatter mostly noise.
    near = partial[partial["q_1_A"] < _NEIGHBOURS_1_A]
    height = ((near["s"] - 1).abs() / near["s_stderr"].fillna(1)).groupby(near["pair"], sort=False).mean()
    for place, name in enumerate(height.sort_values(ascending=False).index[:_MOST_LINES]):
        rows = partial[partial["pair"] == name]
        partials.plot(rows["q_1_A"], rows["s"], color=colours[place % len(colours)], lw=1.2, label=_literal(name))
    for axes, title in ((totals, "as seen"), (partials, "of pairs of elements")):
        axes.axhline(1, color="0.5", lw=0.6)
        axes.set(xlabel="q / 1/Å", ylabel="S(q)", title=title, xlim=(0, None))
        axes.legend(frameon=False, fontsize=8)
    return figure


def _literal(name: object) -> str:
    """Name of a donor or a pair, which is yours, without mathematics between dollars."""
    return str(name).replace("$", r"\$")
