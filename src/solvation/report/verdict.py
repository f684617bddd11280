"""The answer in plain words, computed from the tables and from nothing else."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import pandas as pd

from solvation.report import profiles
from solvation.report.boxes import boxes
from solvation.report.inputs import Inputs, number
from solvation.report.ladder import SAME_EV, Order, groups, ion_of, n_ligands, orders
from solvation.report.numbers import decimals, plain
from solvation.report.shells import LiquidShells, liquid_shells, listed
from solvation.study.trajectories import SAME_LIQUID

#: Clusters that a sentence names in their order; the table has all.
_NAMED = 24
#: Donors of fewer around an ion have no word on their sampling.
_HARDLY = 0.1
#: Pairs that have a sentence; the ladder has all.
_PAIRS = 4


def verdict(inputs: Inputs) -> list[str]:
    """Sentences for the head of the page; the first one is the answer."""
    shells = liquid_shells(inputs)
    ordered = orders(inputs.tables["binding"], inputs.main_level)
    found = [
        *_exchanges(inputs, ordered),
        *_orders(inputs, ordered),
        *_strongest(inputs),
        *_liquid(inputs),
        *_restless(inputs),
        *_shells(shells),
        *_starts(inputs, shells),
        *profiles.sentences(inputs),
        *_literature(inputs.tables["comparison"]),
    ]
    return found or ["No finished energy and no finished trajectory: there is nothing to compare yet."]


def _label(inputs: Inputs, cluster: str) -> str:
    rows = inputs.tables["binding"]
    labels = rows.loc[rows["cluster"] == cluster, "label"]
    return str(labels.iloc[0]) if len(labels) and labels.iloc[0] else cluster


def _exchanges(inputs: Inputs, ordered: Sequence[Order]) -> list[str]:
    """One sentence for each pair of clusters that differ by a ligand.

    The published pairs first, then those that bind by equally many donors, full shells before single ligands: a chelate
    against a single donor is another question.
    """
    table = inputs.tables["comparison"]
    told = table["quantity"].isin(["exchange_energy[relaxed]", "exchange_energy[relaxed_counterpoise]"])
    rows = table[told & table["value"].notna()]
    sentences: list[tuple[tuple[bool, bool, int], str, str]] = []
    sizes = dict(zip(inputs.tables["binding"]["cluster"], inputs.tables["binding"]["composition"], strict=True))
    told_in_order = {name for one in ordered for name in one.clusters}
    for subject, group in rows.groupby("subject", sort=False):
        new, arrow, old = str(subject).partition(" - ")
        if not arrow or (group["published"].isna().all() and {new, old} <= told_in_order):
            continue
        main, beside = group[group["level"] == inputs.main_level], group[group["published"].notna()]
        # The lowest structures; the last definition is the corrected one, where the study asked for it.
        row = next(rows for rows in (beside, main, group) if len(rows)).iloc[-1]
        corrected = str(row["quantity"]).endswith("counterpoise]")
        plain_rows = group[group["quantity"] == "exchange_energy[relaxed]"]
        value, level = float(row["value"]), str(row["level"]) or "the level of the study"
        text = ""
        for published in beside.loc[beside["quantity"] == row["quantity"], "published"]:
            order = "the same order" if (published < 0) == (value < 0) else "the OPPOSITE order"
            order = "no order here" if abs(value) < SAME_EV else order
            text += (
                f" The published difference is {plain(published, 2, signed=True)} eV, computed here "
                f"{plain(value, 2, signed=True)} eV: {order}."
            )
        if corrected:
            bare = float(plain_rows.loc[plain_rows["level"] == row["level"], "value"].iloc[0])
            text += f" Without counterpoise it is {plain(bare, 2, signed=True)} eV."
        text += _searches(value, number(row["stderr"]))
        text += _other_levels(plain_rows[plain_rows["level"] != row["level"]], value)
        text += _ion_alone(inputs, new, old, level, value)
        swap = table[(table["subject"] == subject) & table["quantity"].str.startswith("exchange_")]
        kinds = swap["quantity"].str.removeprefix("exchange_")
        known = zip(zip(swap["level"], kinds, strict=True), swap["value"], strict=True)
        cells = {key: float(other) for key, other in known if pd.notna(other)}
        level += " with counterpoise" if corrected else ""
        place = (beside.empty, _n_donors(inputs, new) != _n_donors(inputs, old), -n_ligands(str(sizes.get(new) or "")))
        sentences.append((place, f"At {level}, {_stronger(inputs, new, old, value)}{_how_sure(cells)}.", text.strip()))
    first = sorted(sentences, key=lambda item: item[0])[:_PAIRS]
    return [part for _, *parts in first for part in parts if part]


def _n_donors(inputs: Inputs, cluster: str) -> int | None:
    """Donors that hold the ion in the structure of the main level; None when the table does not say."""
    rows = inputs.tables["binding"]
    denticity = rows.loc[(rows["cluster"] == cluster) & (rows["level"] == inputs.main_level), "denticity"]
    counts = [part.rpartition(":")[2] for part in str(denticity.iloc[0] if len(denticity) else "").split()]
    return sum(map(int, counts)) if counts and all(count.isdecimal() for count in counts) else None


def _ion_alone(inputs: Inputs, new: str, old: str, level: str, exchange_eV: float) -> str:
    """End of the sentence: that the ion by itself is held more strongly in the shell that an exchange goes away from.

    An exchange counts what the ligands do to one another and what bending them costs; the ion out of the frozen shell
    does not.
    """
    rows = inputs.tables["binding"]
    rows = rows[(rows["definition"] == "frozen_shell") & (rows["level"] == level)]
    held = {name: rows.loc[rows["cluster"] == name, "energy_eV"].dropna() for name in (new, old)}
    if not all(map(len, held.values())):
        return ""
    difference = float(held[new].iloc[0] - held[old].iloc[0])
    if difference * exchange_eV >= 0 or abs(difference) < SAME_EV:
        return ""
    strong = _label(inputs, new if difference < 0 else old)
    return (
        f" The ion alone, pulled out of the frozen shell, is held more strongly by {strong}, by "
        f"{plain(abs(difference), 2)} eV: the rest is what the ligands do to one another, and what bending them costs."
    )


def _how_sure(cells: Mapping[tuple[str, str], float]) -> str:
    """Whether the energies of all levels say so, where there are several, and what motion and a continuum say."""
    first, *others = groups(cells)
    if len(first.values_eV) < 2 and not others:
        return ""
    ways = {-1: "downhill", 0: "NOT decided", 1: "uphill"}
    if first.levels < 2:
        told = [f"no other level {first.where} has a say"]
    else:
        many = f"{first.of_levels} {first.where} agree" if first.sign else f"the {first.levels} levels do NOT agree"
        told = [f"{many} ({first.span})"]
    told += [f"{one.what} {one.where}: {ways[one.sign]} ({one.span})" for one in others]
    return f"; {'; '.join(told)}"


def _searches(value: float, stderr_eV: float | None) -> str:
    """End of the sentence: what the searches of the structures err by, and whether that leaves the sign open."""
    if stderr_eV is None:
        return ""
    if stderr_eV < 0.005:
        return " Independent searches found the same structures."
    unsure = abs(value) < 2 * stderr_eV and abs(value) >= SAME_EV
    return f" Independent searches differ by ± {plain(stderr_eV, 2)} eV{', which leaves the sign open' * unsure}."


def _other_levels(rows: pd.DataFrame, value: float) -> str:
    """End of the sentence: which other levels have the same sign, and which the opposite one."""
    same = (rows["value"] < 0) == (value < 0)
    close = rows["value"].abs() < SAME_EV
    groups = {
        "the same order at": rows.loc[same & ~close, "level"],
        "the OPPOSITE order at": rows.loc[~same & ~close, "level"],
        "no difference at": rows.loc[close, "level"],
    }
    parts = [f"{words} {', '.join(map(str, levels))}" for words, levels in groups.items() if len(levels)]
    return f" Other levels: {'; '.join(parts)}." if parts else ""


def _stronger(inputs: Inputs, new: str, old: str, difference_eV: float) -> str:
    """Which of two clusters an exchange prefers, and what is exchanged where the study says so."""
    names = (_label(inputs, new), _label(inputs, old))
    if abs(difference_eV) < SAME_EV:
        return f"{names[0]} and {names[1]} are level (within {SAME_EV:g} eV)"
    strong, weak = names if difference_eV < 0 else names[::-1]
    rows = inputs.tables["binding"]
    sides = dict(zip(rows["cluster"], rows["composition"], strict=True))
    come, gone = _exchanged(*(str(sides.get(name) or "") for name in ((new, old) if difference_eV < 0 else (old, new))))
    swap = f": {come} replaces {gone}" if come and gone else ""
    return f"{strong} is preferred to {weak} by {plain(abs(difference_eV), 2)} eV{swap}"


def _exchanged(chosen: str, other: str) -> tuple[str, str]:
    """Ligands that the first composition has more of, and the second: `Li+:1 EC:3 TDA:1` and `Li+:1 EC:4`."""
    counts = []
    for composition in (chosen, other):
        parts = [part.rpartition(":") for part in composition.split()]
        counts.append(Counter({name: int(count) for name, _, count in parts if count.isdecimal()}))
    return tuple(" and ".join(one - two) for one, two in (counts, counts[::-1]))  # type: ignore[return-value]


def _orders(inputs: Inputs, ordered: Sequence[Order]) -> list[str]:
    """The order of all clusters of one size, where there are too many for their pairs."""
    found, ions = [], _ions(inputs)
    for one in ordered:
        first, *rest = one.clusters
        main = one.levels[0]
        size = _size(one.ion, one.n_ligands, ions)
        above = [one.energy_eV[name, main] - one.energy_eV[first, main] for name in rest]
        later = [
            f"{_label(inputs, name)} ({plain(value, 2, signed=True)})" for name, value in zip(rest, above, strict=True)
        ]
        if len(later) > _NAMED:
            later = [*later[:_NAMED], f"and {len(later) - _NAMED} more"]
        among = f"{len(one.clusters)} clusters{size}"
        found.append(f"At {main}, {_label(inputs, first)} holds the ion most strongly of {among}.")
        found.append(f"After it come, in eV: {', '.join(later)}.")
        alike = [f"{level} {same} of {pairs}" for level, (same, pairs) in one.agreement.items() if pairs]
        found += [f"Pairs of them that other levels order alike: {', '.join(alike)}."] if alike else []
    return found


def _strongest(inputs: Inputs) -> list[str]:
    """Name the strongest of the clusters with equally many ligands: more ligands always bind more."""
    rows = inputs.tables["binding"]
    rows = rows[(rows["level"] == inputs.main_level) & rows["energy_eV"].notna() & rows["status"].isin(["", "ok"])]
    found, ions = [], _ions(inputs)
    peers = [(ion_of(composition), n_ligands(composition)) for composition in rows["composition"]]
    for ion, size in sorted(set(peers), key=lambda peer: (ions.index(peer[0]), -peer[1])):
        members = rows[[peer == (ion, size) for peer in peers]]
        relaxed = members[members["definition"] == "relaxed"].sort_values("energy_eV")
        if len(relaxed) < 2:
            continue
        best = relaxed.iloc[0]
        text = (
            f"Of the {len(relaxed)} clusters{_size(ion, size, ions)}, {_label(inputs, str(best['cluster']))} is bound "
            f"most strongly: {plain(best['energy_eV'], 2)} eV against relaxed ligands at {best['level']}"
        )
        found.append(text + _other_definitions(inputs, members, str(best["cluster"])))
    return found


def _ions(inputs: Inputs) -> list[str]:
    """Ions of the clusters, in their order."""
    return list(dict.fromkeys(map(ion_of, inputs.tables["binding"]["composition"])))


def _size(ion: str, n_ligands: int, ions: Sequence[str]) -> str:
    """` of Na+ with 4 ligands`: the ion where there are several."""
    of = f" of {ion}" if len(ions) > 1 else ""
    return of + (f" with {n_ligands} ligand{'s' if n_ligands > 1 else ''}" if n_ligands else "")


def _other_definitions(inputs: Inputs, members: pd.DataFrame, best: str) -> str:
    """End of the sentence: whether the other definitions have the same winner."""
    winners = members.loc[members.groupby("definition")["energy_eV"].idxmin(), ["definition", "cluster"]]
    others = winners[winners["cluster"] != best]
    if len(winners) < 2:
        return "."
    if others.empty:
        return f", and also in the other {'definition' if len(winners) == 2 else 'definitions'}."
    named = [f"{_label(inputs, str(row['cluster']))} ({row['definition']})" for _, row in others.iterrows()]
    return f"; but another definition puts first {', '.join(named)}."


def _liquid(inputs: Inputs) -> list[str]:
    """One sentence for each trajectory: who surrounds the ion, and whether the sampling carries each of them."""
    sentences = []
    rows = inputs.tables["coordination"]
    rows = rows[rows["donor"].str.lower() != "total"]
    for trajectory, group in rows[rows["counted"] == "atom"].groupby("trajectory", sort=False):
        known = group[group["cn"].notna() & (group["cn"] > 0)].sort_values("cn", ascending=False).head(3)
        if known.empty:
            sentences.append(f"In trajectory {trajectory} no donor was found within its first shell.")
            continue
        parts = [f"{_count(row)} {row['donor']}{_peak(row)}" for _, row in known.iterrows()]
        text = f"In trajectory {trajectory} the ion has around it {', '.join(parts)}."
        # Errors of what is hardly ever there are large, and nobody asks for them.
        told = {str(row["donor"]): _sampling(row) for _, row in known[known["cn"] >= _HARDLY].iterrows()}
        said = [f"{donor}: {words}" for donor, words in told.items() if words]
        sentences.append(text + (f" Sampling: {'; '.join(said)}." if said else ""))
    return sentences


def _sampling(row: pd.Series) -> str:
    """What the verdict says of the error, without the other ways of counting that the table has."""
    parts = str(row["verdict"] or "").split("; ")
    return ", ".join(part for part in parts if "error" in part)


def _restless(inputs: Inputs) -> list[str]:
    """Which boxes had not come to rest before their frames were recorded."""
    return [
        f"The box of {box.trajectory} had not come to rest when its recording began: {', '.join(box.restless)}."
        for box in boxes(inputs)
        if box.restless
    ]


def _shells(shells: Sequence[LiquidShells]) -> list[str]:
    """Which shell is the most common in each trajectory, and whether those of the clusters occur there."""
    return [f"Shells in {one.trajectory}, {one.run}: {' '.join(one.answers)}" for one in shells if one.answers]


def _starts(inputs: Inputs, shells: Sequence[LiquidShells]) -> list[str]:
    """Whether runs of one liquid from different starts agree on its most common shell."""
    settings = inputs.study.get("trajectories") or {}
    liquids: dict[str, list[LiquidShells]] = defaultdict(list)
    for one in shells:
        own = settings.get(one.trajectory) or {}
        if (own.get("composition") or own.get("mixture")) and one.shells:
            liquid = json.dumps([own.get(name) for name in SAME_LIQUID], sort_keys=True)
            liquids[liquid].append(one)
    sentences = []
    for runs in liquids.values():
        if len(runs) < 2:
            continue
        text = f"{listed([one.trajectory for one in runs])} are one liquid from different starts and "
        common = [one.shells[0].composition for one in runs]
        unmoved = [name for name in runs[0].unmoved if all(name in one.unmoved for one in runs)]
        if len(set(common)) > 1:
            text += (
                f"do NOT agree on its most common shell ({' against '.join(common)}): none of them is long enough, and "
                "their errors are too small."
            )
        elif unmoved:
            text += (
                f"have the same most common shell, {common[0]}; but {listed(unmoved)} never left in any of them: "
                "each kept what it had when its recording began. That shell lasts; how common it is they do not tell."
            )
        else:
            text += "agree on its most common shell."
        sentences.append(text)
    return sentences


def _count(row: pd.Series) -> str:
    error = number(row["cn_stderr"])
    places = decimals(error)
    return plain(row["cn"], places) + (f" ± {plain(error, places)}" if error is not None else "")


def _peak(row: pd.Series) -> str:
    """Where they stand. A peak beyond the cutoff is another shell's, and not of those that were counted."""
    peak_A, cutoff_A = number(row["peak_A"]), number(row["cutoff_A"])
    if cutoff_A is not None and (peak_A is None or peak_A > cutoff_A):
        return f" within {plain(cutoff_A, 2)} Å"
    return f" at {plain(peak_A, 2)} Å" if peak_A is not None else ""


def _literature(comparison: pd.DataFrame) -> list[str]:
    """Count published numbers, energies apart; one set beside several definitions counts once.

    It is met where each definition that was computed meets it: which of them was published is seldom said.
    """
    rows = comparison[comparison["published"].notna()]
    if rows.empty:
        return ["No published number is set beside these results."]
    states: dict[str, list[str]] = defaultdict(list)
    for _, group in rows.groupby(["subject", rows["quantity"].str.partition("[")[0], "published"], sort=False):
        judged = [str(note).rpartition("; ")[2] for note in group["note"]]
        met, missed = judged.count("reproduced"), sum(one.startswith("NOT reproduced") for one in judged)
        if group["value"].isna().all():
            state = "not computed here"
        elif any(one.startswith("too uncertain") for one in judged):
            state = "too uncertain to tell"
        elif met and missed:
            state = "met by some definitions only"
        else:
            state = "reproduced" if met else "not reproduced" if missed else "set beside without a judgement"
        states["energies" if (group["unit"] == "eV").all() else "other numbers"].append(state)
    told = []
    for what, found in states.items():
        counts = [f"{found.count(state)} {state}" for state in dict.fromkeys(sorted(found, key=len))]
        told.append(f"{len(found)} {what} ({', '.join(counts)})")
    return [f"Published: {'; '.join(told)}."]
