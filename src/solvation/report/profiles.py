"""Free-energy profiles for the page: what one more molecule at the ion gains, and how many of them stand there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from solvation.report.inputs import Inputs, number
from solvation.report.numbers import decimals, plain
from solvation.report.sections import records

_WAYS = {"in": "way in", "out": "way out", "both": "both"}
_LINES = {"in": (0, (6, 2)), "out": (0, (2, 1.4)), "both": "-"}
#: Shells of one number of copies that the page shows.
_SHOWN = 3
#: Of a free energy this many errors are a sign.
_SURE = 2.0


@dataclass(frozen=True, slots=True)
class Profile:
    """What the page shows of one profile.

    Attributes
    ----------
    rows
        Of `profiles.csv`: the way in, the way out, both.
    shells
        Number of copies at the ion -> the most common shells with so many, of both ways.
    """

    profile: str
    box: str
    ligand: str
    held: int
    rows: tuple[dict[str, Any], ...]
    shells: dict[int, tuple[dict[str, Any], ...]]


def profiles(inputs: Inputs) -> list[Profile]:
    """Every profile of `profiles.csv`, in its order."""
    found = []
    shells = inputs.tables["profile_shells"]
    for name, group in inputs.tables["profiles"].groupby("profile", sort=False):
        rows = [{**row, "words": _WAYS.get(row["way"], row["way"])} for row in records(group)]
        first, own = rows[0], shells[(shells["profile"] == name) & (shells["way"] == "both")]
        held = int(first["held"])
        common = {
            copies: tuple(records(own[own["at_ion"] == copies].nlargest(_SHOWN, "share")))
            for copies in (held, held + 1)
        }
        found.append(Profile(str(name), first["box"], first["ligand"], held, tuple(rows), common))
    return found


def sentences(inputs: Inputs) -> list[str]:
    """What the profiles say: how many copies stand at the ion, and in which shell."""
    shown = profiles(inputs)
    found = []
    for chain, group in inputs.tables["profile_populations"].groupby("profiles", sort=False):
        rows = records(group)
        own = [one for one in shown if one.profile in str(chain).split()]
        most = max(rows, key=lambda row: float(row["population"]))
        ligand, box = str(most["ligand"]), own[0].box
        shares = [f"{int(row['at_ion'])} in {_percent(row)}" for row in rows]
        text = f"By free energy, the ion in the liquid of {box} has {ligand} around it: {', '.join(shares)}"
        shell = _shell_with(own, int(most["at_ion"]))
        if shell:
            text += f"; with {int(most['at_ion'])} of them mostly {shell['shell']} ({plain(100 * shell['share'], 0)} %)"
        steps = "; ".join(map(_step, own))
        doubtful = [one.profile for one in own if one.rows[-1]["note"]]
        doubts = f" What is wrong with {', '.join(doubtful)} stands in their notes." if doubtful else ""
        found += [f"{text}.", f"At the ion {steps}.{doubts}"]
    return found


def profile_figure(curves: pd.DataFrame, colours: Sequence[str]) -> Figure:
    """Free energy against the distance of the nearest donor: the way in, the way out, and both.

    Parameters
    ----------
    curves
        Rows of one profile.
    """
    figure = Figure(figsize=(6.4, 3.9))
    axes = figure.subplots()
    for (way, rows), tint in zip(curves.groupby("way", sort=False), colours, strict=False):
        axes.plot(
            rows["distance_A"], rows["free_energy_eV"], color=tint, ls=_LINES.get(str(way), "-"),
            lw=2.2 if way == "both" else 1.3, label=_WAYS.get(str(way), str(way)), gid=f"way:{way}",
        )  # fmt: skip
        if way == "both":
            low, high = (rows["free_energy_eV"] + sign * rows["stderr_eV"] for sign in (-1, 1))
            axes.fill_between(rows["distance_A"], low, high, color=tint, alpha=0.22, lw=0)
    axes.set(xlabel="nearest donor to the ion / Å", ylabel="free energy / eV", ylim=(0, None))
    axes.legend(frameon=False)
    return figure


def _step(one: Profile) -> str:
    both = one.rows[-1]
    value, stderr = number(both["free_energy_eV"]), number(both["stderr_eV"])
    if value is None or stderr is None:
        return f"profile {one.profile} has no result"
    places = max(2, decimals(stderr))
    which = f"a first {one.ligand}" if one.held == 0 else f"one more {one.ligand} beside {one.held}"
    sure = "" if abs(value) > _SURE * stderr else ", a sign that is not sure"
    gain = "gains" if value < 0 else "costs"
    return f"{which} {gain} {plain(abs(value), places)} ± {plain(stderr, places)} eV{sure} ({one.profile})"


def _shell_with(own: Sequence[Profile], copies: int) -> dict[str, Any] | None:
    return next((one.shells[copies][0] for one in own if one.shells.get(copies)), None)


def _percent(row: Mapping[str, Any]) -> str:
    """`4 % (1 to 17 %)`: one standard error either way."""
    share, low, high = (100 * float(row[key]) for key in ("population", "low", "high"))
    places = 0 if high - low > 2 else 1
    return f"{plain(share, places)} % ({plain(low, places)} to {plain(high, places)} %)"
