"""Shells of the liquid: populations, residence times and hops of each trajectory, and what the run cannot say."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from scipy.special import gammaincinv

from solvation.report.inputs import Inputs, number
from solvation.report.numbers import decimals, plain

_TOTAL, _NOTHING, _BARE = "total", "nothing", "bare"
_LIGAND = re.compile(r"(\d+) (.+?)\((\d+)\)(?: \+ |$)")
#: Of what leaves at a constant rate so much is left after its residence time: more means that the run is shorter.
_OUTLIVES = 1 / math.e
#: Errors beyond which an imbalance of hops is no chance.
_DRIFTS = 2.0
#: Fewer hops than this tell nothing of who follows whom: the asymmetry then has an error above 0.3.
_FEW_HOPS = 10


@dataclass(frozen=True, slots=True)
class Shell:
    """Share of the ions whose shell has one composition, whatever the denticity.

    Attributes
    ----------
    parts
        The shells of this composition by denticity, as in `speciation.csv`.
    stderr
        Of the sum: that of its only part, or of all others; NaN where none is known.
    at_most
        Whether `stderr` is a bound: errors of several parts that may move together, added up.
    cluster
        Clusters of the study that have this composition.
    """

    composition: str
    population: float
    stderr: float
    at_most: bool
    cluster: str
    parts: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Stay:
    """Residence time of one donor kind, counted one way.

    Attributes
    ----------
    bound_ps
        Lower bound at 95 % where nothing left, or where the contacts outlive the run; then there is no `value_ps`.
    extrapolated_ps
        What the mean rate of departure would give beyond the end of the run; NaN where the run is long enough.
    """

    value_ps: float
    stderr_ps: float
    bound_ps: float
    extrapolated_ps: float
    contacts: int
    departures: int
    verdict: str


@dataclass(frozen=True, slots=True)
class Balance:
    """Hops there and back between two donor kinds, and in words which way they drift."""

    one: str
    other: str
    there: int
    back: int
    asymmetry: float
    stderr: float
    words: str


@dataclass(frozen=True, slots=True)
class LiquidShells:
    """What the page shows of one trajectory.

    Attributes
    ----------
    holders
        Rows of `speciation.csv` that tell which share of the ions each species holds.
    stays
        (donor, counted) -> measure -> residence time.
    hops
        (leaves, enters) -> row of `transitions.csv`; empty where nothing hopped.
    unmoved
        Species of which no molecule left its ion: the run has one sample of them, whatever its errors say.
    limits
        What the run is too short to say, a sentence each.
    """

    trajectory: str
    run: str
    cutoffs: str
    shells: tuple[Shell, ...]
    answers: tuple[str, ...]
    holders: tuple[dict[str, Any], ...]
    pairing: tuple[dict[str, Any], ...]
    stays: dict[tuple[str, str], dict[str, Stay]]
    kinds: tuple[str, ...]
    partners: tuple[str, ...]
    hops: dict[tuple[str, str], dict[str, Any]]
    window_ps: float
    balances: tuple[Balance, ...]
    unmoved: tuple[str, ...]
    limits: tuple[str, ...]


def liquid_shells(inputs: Inputs) -> list[LiquidShells]:
    """Shells, residence times and hops of each trajectory that has any."""
    # Rows of analyses that failed are no shells; `residence` has one too, and its verdict is on the page.
    tables = [
        table[table["note"] == ""] if "note" in table else table
        for table in (inputs.tables[name] for name in ("speciation", "residence", "transitions"))
    ]
    names = dict.fromkeys(name for table in tables for name in table["trajectory"])
    return [_of(inputs, str(name), *(table[table["trajectory"] == name] for table in tables)) for name in names]


def _of(
    inputs: Inputs, trajectory: str, speciation: pd.DataFrame, residence: pd.DataFrame, transitions: pd.DataFrame
) -> LiquidShells:
    asked = _asked(inputs, trajectory, speciation)
    shells = _shells(speciation[speciation["grouped"] == "shell"], asked)
    n_frames = int(number(speciation["n_frames"].max()) or 0)
    run = _run(inputs, trajectory, n_frames)
    stays: dict[tuple[str, str], dict[str, Stay]] = defaultdict(dict)
    for row in _rows(residence):
        stays[row["donor"], row["counted"]][row["measure"]] = _stay(row)
    kinds, partners, hops = _hops(transitions)
    balances = _balances(hops)
    unmoved = tuple(str(speciation["unmoved"].iloc[0]).split("; ")) if speciation["unmoved"].any() else ()
    return LiquidShells(
        trajectory,
        run,
        str(speciation["cutoffs_A"].iloc[0]) if len(speciation) else "",
        shells,
        _answers(shells, run),
        tuple(_rows(speciation[speciation["grouped"] == "species"])),
        tuple(_rows(speciation[speciation["grouped"] == "anions"])),
        dict(stays),
        kinds,
        partners,
        hops if any(row["events"] for row in hops.values()) else {},
        float(transitions["window_ps"].max()),
        balances,
        unmoved,
        (*_limit_of_shells(shells, speciation, run, unmoved), *_limit_of_stays(stays, run), *_limit_of_hops(hops, run)),
    )


def survival_figure(survival: pd.DataFrame, colours: Sequence[str]) -> Figure:
    """Survival of the contacts of one trajectory, whole molecules by the donors they bind through.

    Left without a break, right with short breaks closed; logarithmic, so that one constant rate is a straight line.

    Parameters
    ----------
    survival
        Rows of one trajectory.
    colours
        Taken in turn.
    """
    figure = Figure(figsize=(10.5, 3.9))
    panels = figure.subplots(1, 2, sharey=True)
    rows = survival[survival["counted"] == "molecule"]
    donors = [donor for donor in dict.fromkeys(rows["donor"]) if donor != _TOTAL]
    titles = {"continuous": "without a break", "intermittent": "short breaks closed"}
    for axes, (measure, title) in zip(panels, titles.items(), strict=True):
        for place, donor in enumerate(donors):
            curve = rows[(rows["donor"] == donor) & (rows["measure"] == measure) & (rows["survival"] > 0)]
            lag_ps, left, error = (curve[key].to_numpy(float) for key in ("lag_ps", "survival", "survival_stderr"))
            tint = colours[place % len(colours)]
            axes.plot(lag_ps, left, color=tint, label=str(donor).replace("$", r"\$"), gid=f"{measure}:{donor}")
            axes.fill_between(lag_ps, (left - error).clip(min=left / 10), left + error, color=tint, alpha=0.2, lw=0)
        axes.axhline(1 / math.e, color="0.5", lw=0.8, ls=":")
        axes.set(yscale="log", xlabel="lag / ps", title=title)
        axes.set_xlim(left=0)
    lowest = max(1e-3, min(0.3, float(rows["survival"][rows["survival"] > 0].min())))
    panels[0].set(ylabel="share of the contacts still there", ylim=(lowest, 1.1))
    panels[0].yaxis.set_major_formatter("{x:g}")
    # Within one decade the powers of ten alone are too few numbers, and over several the others too many.
    panels[0].yaxis.set_minor_formatter("{x:g}" if lowest > 0.1 else NullFormatter())
    panels[0].legend(frameon=False)
    return figure


def composition_of(shell: str) -> tuple[tuple[str, int], ...]:
    """Ligands of `2 EC(1) + 1 EC(2) + 1 TDA(2)` without denticity, most copies first: EC 3, TDA 1.

    A shell that is not written so keeps its text as the only name.
    """
    count: dict[str, int] = defaultdict(int)
    for copies, name, _ in _LIGAND.findall(shell):
        count[name] += int(copies)
    if not count and shell != _BARE:
        return ((shell, 1),)
    return tuple(sorted(count.items(), key=lambda item: (-item[1], item[0])))


def composition_label(ligands: Sequence[tuple[str, int]]) -> str:
    """`3 EC + 1 TDA` of ((EC, 3), (TDA, 1)), whatever their order."""
    ordered = sorted(ligands, key=lambda item: (-item[1], item[0]))
    return " + ".join(f"{copies} {name}" for name, copies in ordered) or _BARE


def _asked(inputs: Inputs, trajectory: str, speciation: pd.DataFrame) -> dict[str, str]:
    """Composition -> clusters of the study whose ligands this trajectory holds."""
    settings = (inputs.study.get("trajectories") or {}).get(trajectory)
    held = settings.get("composition") if isinstance(settings, dict) else None
    # A trajectory of the user's own tells its species only through the shells that they are in.
    present = set(held or ()) | {name for shell in speciation["shell"] for name, _ in composition_of(str(shell))}
    found: dict[str, list[str]] = defaultdict(list)
    for cluster, text in dict(
        zip(inputs.tables["binding"]["cluster"], inputs.tables["binding"]["composition"], strict=True)
    ).items():
        pairs = [part.rpartition(":") for part in str(text).split()[1:]]
        if pairs and all(name in present and copies.isdecimal() for name, _, copies in pairs):
            found[composition_label([(name, int(copies)) for name, _, copies in pairs])].append(str(cluster))
    return {label: ", ".join(clusters) for label, clusters in found.items()}


def _shells(rows: pd.DataFrame, asked: Mapping[str, str]) -> tuple[Shell, ...]:
    """Populations by composition, the most common first; those the study asked for at 0 where none was seen."""
    parts: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in _rows(rows):
        parts[composition_label(composition_of(str(row["shell"])))].append(row)
    found = []
    for label, own in parts.items():
        others = [row for name, rest in parts.items() if name != label for row in rest]
        error, at_most = _error_of_sum(own, others)
        population = math.fsum(row["population"] for row in own)
        found.append(Shell(label, population, error, at_most, asked.get(label, ""), tuple(own)))
    if parts:
        absent = (label for label in asked if label not in parts)
        found += [Shell(label, 0.0, math.nan, False, asked[label], ()) for label in absent]
    return tuple(sorted(found, key=lambda item: (-item.population, -_size(item.composition), item.composition)))


def _size(composition: str) -> int:
    """Molecules in `3 EC + 1 TDA`; full shells are asked for first."""
    return sum(int(copies) for copies in re.findall(r"(?:^| \+ )(\d+) ", composition))


def _error_of_sum(own: Sequence[dict[str, Any]], others: Sequence[dict[str, Any]]) -> tuple[float, bool]:
    """Error of a sum of populations, and whether it is a bound.

    All populations sum to 1, so that this sum and that of all others have one error. Of several rows the errors
    added up are a bound, reached where the rows move together. A sum of all rows is 1 and has no error.
    """
    known: list[tuple[float, bool]] = []
    if not others:
        return math.nan, False
    for rows in (own, others):
        errors = [number(row["population_stderr"]) for row in rows]
        if rows and None not in errors:
            known.append((math.fsum(error for error in errors if error is not None), len(rows) > 1))
    return min(known, key=lambda item: (item[1], item[0]), default=(math.nan, False))


def _answers(shells: Sequence[Shell], run: str) -> tuple[str, ...]:
    """Which shell is the most common, and whether those the study computed occur."""
    if not shells:
        return ()
    first, *rest = [shell for shell in shells if shell.population > 0]
    text = f"The most common shell is {first.composition}: {_share(first)}"
    if not rest:
        text += ". No other composition was seen"
    else:
        second = rest[0]
        errors = [error for error in (first.stderr, second.stderr) if math.isfinite(error)]
        apart = first.population - second.population
        # Two shells compete for the same ions: their errors add up, not their squares.
        if len(errors) < 2:
            text += f", before {second.composition}: {_share(second)}; without an error of both this order is not sure"
        elif apart <= 2 * math.fsum(errors):
            text += f", not told apart from {second.composition}: {_share(second)}"
        else:
            text += f", before {second.composition}: {_share(second)}"
    sentences = [f"{text}."]
    if first.cluster:
        sentences.append(f"It is the shell of the cluster {first.cluster}.")
    sentences += [f"{one.composition} (cluster {one.cluster}) occurs: {_share(one)}." for one in rest if one.cluster]
    absent = [shell for shell in shells if shell.population == 0]
    if absent:
        named = [one.composition + (f" (cluster {one.cluster})" if one.cluster else "") for one in absent]
        sentences.append(f"NOT seen in {run}: {listed(named)}.")
    return tuple(sentences)


def _share(shell: Shell) -> str:
    places = decimals(shell.stderr)
    text = plain(shell.population, places)
    if not math.isfinite(shell.stderr):
        return f"{text} (no error known)"
    return f"{text} ± {'at most ' if shell.at_most else ''}{plain(shell.stderr, places)}"


def _stay(row: Mapping[str, Any]) -> Stay:
    value, stderr = (number(row[key]) for key in ("residence_ps", "residence_stderr_ps"))
    departures = int(number(row["departures"]) or 0)
    bound, survived = (number(row[key]) for key in ("longer_than_ps", "survived"))
    outlives = value is not None and survived is not None and survived > _OUTLIVES
    if outlives and value is not None:
        # Limit of a constant rate from so many departures: half a quantile of chi-squared, without scipy.stats, which
        # takes a second to import. Without any departure it is the one of the table, exposure / 3.
        bound = value * departures / float(gammaincinv(departures + 1, 0.95))
    return Stay(
        math.nan if outlives or value is None else value,
        math.nan if outlives or stderr is None else stderr,
        math.nan if bound is None else bound,
        value if outlives and value is not None else math.nan,
        int(number(row["contacts"]) or 0),
        departures,
        str(row["verdict"]),
    )


def _hops(
    table: pd.DataFrame,
) -> tuple[tuple[str, ...], tuple[str, ...], dict[tuple[str, str], dict[str, Any]]]:
    """Donor kinds that leave, what enters, and the row of each pair."""
    hops = {(row["leaves"], row["enters"]): row for row in _rows(table)}
    return tuple(dict.fromkeys(table["leaves"])), tuple(dict.fromkeys(table["enters"])), hops


def _balances(hops: Mapping[tuple[str, str], dict[str, Any]]) -> tuple[Balance, ...]:
    """Each pair of kinds between which anything hopped, once, in the direction of the more hops."""
    found = []
    for (one, other), row in hops.items():
        there, back = int(row["events"]), int(row["reverse_events"])
        asymmetry, stderr = (number(row[key]) for key in ("asymmetry", "asymmetry_stderr"))
        both_listed = (other, one) in hops and list(hops).index((other, one)) < list(hops).index((one, other))
        if one == other or asymmetry is None or stderr is None or there < back or (there == back and both_listed):
            continue
        if asymmetry > _DRIFTS * stderr:
            words = f"more than {_DRIFTS:g} errors: {_drift(one, other)}"
        else:
            words = "no drift beyond its error"
        found.append(Balance(one, other, there, back, asymmetry, stderr, words))
    return tuple(sorted(found, key=lambda item: -(item.there + item.back)))


def _drift(one: str, other: str) -> str:
    if other == _NOTHING:
        return f"the shells still lose {one}"
    if one == _NOTHING:
        return f"the shells still gain {other}"
    return f"the shells still drift from {one} to {other}"


def _limit_of_shells(shells: Sequence[Shell], speciation: pd.DataFrame, run: str, unmoved: Sequence[str]) -> list[str]:
    if not shells:
        return ["No populations: speciation.csv has no shell of this trajectory."]
    seen, absent = ([item for item in shells if (item.population > 0) is state] for state in (True, False))
    if len(seen) == 1:
        text = f"{run} are too short to say how common any shell but {seen[0].composition} is: it never changed"
    elif unmoved:
        text = (
            f"{listed(unmoved)} never left in {run}: how common shells with more or less of "
            f"{'it' if len(unmoved) == 1 else 'them'} are is not known, whatever the errors say"
        )
    else:
        vague = [item.composition for item in seen if not item.stderr < item.population / 2]
        rows = speciation[(speciation["grouped"] == "shell") & speciation["statistical_inefficiency"].notna()]
        worst = rows["n_frames"].div(rows["statistical_inefficiency"]).min()
        views = f" ({plain(worst, 0)} independent views of the slowest shell)" if number(worst) is not None else ""
        text = f"every shell seen in {run} is known to better than half of its population{views}"
        if vague:
            text = f"{run}{views} are too short to say how common {listed(vague)} {'is' if len(vague) == 1 else 'are'}"
    if absent:
        were, they_are = ("was", "it is") if len(absent) == 1 else ("were", "they are")
        names = listed([item.composition for item in absent])
        text += f"; that {names} {were} not seen does not tell how rare {they_are}"
    return [f"{text[0].upper()}{text[1:]}."]


def _limit_of_stays(stays: Mapping[tuple[str, str], Mapping[str, Stay]], run: str) -> list[str]:
    donors = {donor: measures["continuous"] for (donor, counted), measures in stays.items()
              if counted == "molecule" and donor != _TOTAL and "continuous" in measures}  # fmt: skip
    if not donors:
        return ["No residence times: residence.csv has none of this trajectory."]
    bounds = [donor for donor, stay in donors.items() if math.isfinite(stay.bound_ps)]
    loose = [donor for donor, stay in donors.items()
             if math.isfinite(stay.value_ps) and not math.isfinite(stay.stderr_ps)]  # fmt: skip
    never = [donor for donor, stay in donors.items() if not stay.contacts]
    untimed = [donor for donor, stay in donors.items()
               if stay.contacts and not math.isfinite(stay.value_ps) and not math.isfinite(stay.bound_ps)]  # fmt: skip
    parts = []
    if bounds:
        parts.append(f"how long molecules stay through {listed(bounds)} (lower bounds only)")
    if loose:
        parts.append(f"how sure the time of {listed(loose)} is (too few departures for an error)")
    if never:
        parts.append(f"anything of {listed(never)} (never in a shell)")
    if untimed:
        why = donors[untimed[0]].verdict or "the frames have no times, or are not evenly spaced"
        unknown = f"How long molecules stay through {listed(untimed)} is not known: {why}."
        return [unknown, *([f"{run} are too short to say {'; '.join(parts)}."] if parts else [])]
    if not parts:
        return [f"Every residence time is shorter than {run} and has an error."]
    return [f"{run} are too short to say {'; '.join(parts)}."]


def _limit_of_hops(hops: Mapping[tuple[str, str], Mapping[str, Any]], run: str) -> list[str]:
    events = sum(int(row["events"]) for row in hops.values())
    if not hops:
        return ["No hops are counted: the file holds no times, or transitions.csv has no rows of this trajectory."]
    if events == 0:
        return [f"{run} are too short to say who replaces whom: no hop lies clear of both ends of the run."]
    if events < _FEW_HOPS:
        return [f"{events} hop{'s' if events > 1 else ''} in {run} are too few to say who replaces whom."]
    return [f"{events} hops in {run}: shares and asymmetries are known as well as their errors say, no better."]


def _run(inputs: Inputs, trajectory: str, n_frames: int) -> str:
    """Length of what was analysed, in ps where the study tells the time between frames."""
    if not n_frames:
        return "its frames"
    settings = (inputs.study.get("trajectories") or {}).get(trajectory)
    frame_ps = None
    if isinstance(settings, dict):
        every_fs = number(settings.get("save_every_fs"))
        frame_ps = number(settings.get("timestep_ps")) if every_fs is None else every_fs / 1000
    return f"{n_frames} frames" + (f" ({n_frames * frame_ps:.3g} ps)" if frame_ps else "")


def listed(names: Sequence[str]) -> str:
    """`A`, `A and B`, `A, B and C`."""
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]
