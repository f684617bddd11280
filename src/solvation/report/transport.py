"""Transport on the page: what moves and conducts in each trajectory, and what the runs are too short to say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from solvation.report.inputs import Inputs, number

#: Factor, unit on the page, and words of each quantity; diffusion coefficients of liquids are a few of this unit.
_WORDS = {
    "self_diffusion": (1e6, "10⁻⁶ cm²/s", "self-diffusion"),
    "self_diffusion[yeh-hummer]": (1e6, "10⁻⁶ cm²/s", "self-diffusion, corrected for the size of the box"),
    "conductivity[nernst-einstein]": (1.0, "mS/cm", "conductivity of independent ions (Nernst-Einstein)"),
    "conductivity[einstein]": (1.0, "mS/cm", "conductivity of all charges together (Einstein)"),
    "conductivity_part": (1.0, "mS/cm", "of it, by"),
    "ionicity": (1.0, "", "ionicity, the second over the first"),
    "transference[self]": (1.0, "", "share of the current, independent ions"),
    "transference[onsager]": (1.0, "", "share of the current, all charges together"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One number with its words; `value` is NaN where the run does not tell it, and `verdict` says why."""

    words: str
    species: str
    value: float
    stderr: float
    at_most: float
    unit: str
    window: str
    verdict: str


@dataclass(frozen=True, slots=True)
class Movement:
    """What the page shows of one trajectory.

    Attributes
    ----------
    lines
        Empty where nothing can be told; `refusal` then says why, once for all species.
    """

    trajectory: str
    lines: tuple[Line, ...]
    refusal: str


def movements(inputs: Inputs) -> list[Movement]:
    """Transport of each trajectory that was asked for it."""
    table = inputs.tables["transport"]
    return [_of(str(name), rows) for name, rows in table.groupby("trajectory", sort=False)]


def activations(inputs: Inputs) -> list[dict[str, Any]]:
    """Rows of `arrhenius.csv` with the words of their quantities."""
    rows = inputs.tables["arrhenius"].to_dict("records")
    return [{**{str(key): value for key, value in row.items()}, "words": _words(row["quantity"])[2]} for row in rows]


def msd_figure(msd: pd.DataFrame, transport: pd.DataFrame, colours: Sequence[str]) -> Figure:
    """Mean squared displacements of one trajectory on logarithmic axes; the window of each fit is thick.

    Parameters
    ----------
    msd, transport
        Rows of one trajectory.
    colours
        Taken in turn.
    """
    figure = Figure(figsize=(6.4, 3.9))
    axes = figure.subplots()
    windows = transport.set_index(["quantity", "species"])
    for place, (species, rows) in enumerate(msd.groupby("species", sort=False)):
        tint, lag, mean = colours[place % len(colours)], rows["lag_ps"].to_numpy(), rows["msd_A2"].to_numpy()
        label = "all charges together" if species == "charge" else str(species)
        axes.plot(lag, mean, color=tint, lw=1.2, label=label)
        axes.fill_between(
            lag, np.maximum(mean - rows["msd_stderr_A2"], mean / 10), mean + rows["msd_stderr_A2"], color=tint,
            alpha=0.2, lw=0,
        )  # fmt: skip
        key = ("conductivity[einstein]", "") if species == "charge" else ("self_diffusion", species)
        if key in windows.index and number(windows.loc[key, "value"]) is not None:
            fitted = (lag >= windows.loc[key, "fit_from_ps"]) & (lag <= windows.loc[key, "fit_to_ps"])
            axes.plot(lag[fitted], mean[fitted], color=tint, lw=3.4, gid=f"fit:{species}")
    axes.set(xscale="log", yscale="log", xlabel="lag / ps", ylabel="mean squared displacement / Å²")
    first = msd["lag_ps"].min(), msd["msd_A2"][msd["msd_A2"] > 0].min()
    longest = msd["lag_ps"].max()
    axes.plot([first[0], longest], [first[1], first[1] * longest / first[0]], color="0.5", lw=0.8, ls=":",
              label="slope 1")  # fmt: skip
    axes.legend(frameon=False)
    return figure


def _of(trajectory: str, rows: pd.DataFrame) -> Movement:
    reasons = {str(row["verdict"]) for _, row in rows.iterrows()}
    if rows["value"].isna().all() and len(reasons) == 1 and rows["at_most"].isna().all():
        return Movement(trajectory, (), reasons.pop())
    return Movement(trajectory, tuple(_line(row) for _, row in rows.iterrows()), "")


def _line(row: pd.Series[Any]) -> Line:
    factor, unit, words = _words(row["quantity"], row["unit"])
    window = ""
    if number(row["fit_from_ps"]) is not None and number(row["value"]) is not None:
        window = f"{row['fit_from_ps']:.3g} to {row['fit_to_ps']:.3g}"
    value, stderr, at_most = (factor * row[key] for key in ("value", "stderr", "at_most"))
    return Line(words, str(row["species"]), value, stderr, at_most, unit, window, str(row["verdict"]))


def _words(quantity: str, unit: str = "") -> tuple[float, str, str]:
    return _WORDS.get(quantity, (1.0, unit, quantity))
