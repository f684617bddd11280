"""Which conclusions hold at every level, and which definition comes nearest to published numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from typing import Any

import pandas as pd

from solvation.report.numbers import plain
from solvation.study import Level

#: Columns of the ladder, in the order of the comparison's quantities.
_COLUMNS = {
    "energy[relaxed]": "electronic",
    "energy[relaxed_counterpoise]": "counterpoise",
    "energy[relaxed_ensemble]": "Boltzmann mean",
    "gibbs_energy[rrho]": "free energy, harmonic",
    "gibbs_energy[grimme]": "free energy, Grimme",
    "gibbs_energy[truhlar]": "free energy, Truhlar",
}
#: Smaller differences have no sign. The best levels here miss those of single donors by so much (docs/validation.md).
SAME_EV = 0.05
_CORRECTED = "relaxed_counterpoise"
#: So many clusters of one size are told in their order, not by all their pairs.
_MANY = 4
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
                "published": list(dict.fromkeys(map(float, published))),
                "conclusion": conclusion(cells),
            }
        )
    return found


@dataclass(frozen=True, slots=True)
class Order:
    """Clusters of one ion with equally many ligands in the order in which they hold it.

    Attributes
    ----------
    clusters
        The strongest at the first level first.
    levels
        The main level first; `with counterpoise` where every cluster has it.
    energy_eV
        Binding energy against relaxed ligands, by cluster and level.
    agreement
        By level: of the pairs that the main level tells apart, how many this level orders alike, and how many it knows.
    """

    ion: str
    n_ligands: int
    clusters: tuple[str, ...]
    levels: tuple[str, ...]
    energy_eV: Mapping[tuple[str, str], float]
    agreement: Mapping[str, tuple[int, int]]


def orders(binding: pd.DataFrame, main_level: str) -> list[Order]:
    """Order of all clusters of one ion and size, where there are at least four; fewer are told by their swaps."""
    rows = binding[binding["energy_eV"].notna()]
    peers = {
        cluster: (ion_of(composition), n_ligands(composition))
        for cluster, composition in zip(rows["cluster"], rows["composition"], strict=True)
    }
    levels = list(dict.fromkeys([main_level, *rows["level"]]))
    found = []
    for ion, size in sorted(dict.fromkeys(peer for peer in peers.values() if peer[1]), key=lambda peer: peer[1]):
        group = rows[[peers[cluster] == (ion, size) for cluster in rows["cluster"]]]
        columns = {}
        for level in levels:
            at = group[group["level"] == level]
            energies = {kind: _energies(at[at["definition"] == kind]) for kind in ("relaxed", _CORRECTED)}
            # Only where every cluster has its correction is it one order.
            corrected = bool(energies[_CORRECTED]) and len(energies[_CORRECTED]) == len(energies["relaxed"])
            columns[f"{level} with counterpoise" if corrected else level] = energies[
                _CORRECTED if corrected else "relaxed"
            ]
        main, *others = columns
        members = sorted(columns[main], key=columns[main].__getitem__)
        if len(members) < _MANY:
            continue
        energy_eV = {(name, level): value for level, column in columns.items() for name, value in column.items()}
        agreement = {level: _alike(members, columns[main], columns[level]) for level in others}
        found.append(Order(ion, size, tuple(members), tuple(columns), energy_eV, agreement))
    return found


def _energies(rows: pd.DataFrame) -> dict[str, float]:
    return {str(name): float(value) for name, value in zip(rows["cluster"], rows["energy_eV"], strict=True)}


def _alike(names: list[str], main: Mapping[str, float], other: Mapping[str, float]) -> tuple[int, int]:
    """Pairs that `main` tells apart and both know: how many `other` orders alike, and how many there are."""
    pairs = [
        other[one] < other[two]
        for one, two in combinations(names, 2)
        if one in other and two in other and main[two] - main[one] > SAME_EV
    ]
    return sum(pairs), len(pairs)


def ion_of(composition: str) -> str:
    """The ion of `Li+:1 EC:3 TDA:1`; nothing when the table does not say."""
    return str(composition).partition(":")[0] if n_ligands(composition) else ""


def n_ligands(composition: str) -> int:
    """Ligands in `Li+:1 EC:3 TDA:1`; 0 when the table does not say."""
    counts = [part.rpartition(":")[2] for part in str(composition).split()]
    return sum(map(int, counts)) - 1 if counts and all(count.isdecimal() for count in counts) else 0


@dataclass(frozen=True, slots=True)
class Group:
    """Values of one swap that say the same thing: energies or free energies, of one medium.

    Attributes
    ----------
    levels
        How many levels have a say; tight binding has none, because it errs in such differences by more than they are.
    values_eV
        Energies: one of each level, with counterpoise where it has it. Free energies: every treatment of soft modes.
    """

    what: str
    where: str
    levels: int
    values_eV: tuple[float, ...]

    @property
    def span(self) -> str:
        """`-0.10 to -0.02 eV`."""
        return _span(self.values_eV)

    @property
    def sign(self) -> int:
        """-1 or 1 where all of them have that sign, 0 where they do not."""
        return int(min(self.values_eV) > SAME_EV) - int(max(self.values_eV) < -SAME_EV)

    @property
    def of_levels(self) -> str:
        """`all 4 levels`, or that there is but one."""
        return {1: "the one level", 2: "both levels"}.get(self.levels, f"all {self.levels} levels")

    @property
    def sentence(self) -> str:
        """Whether the swap goes one way in all of them."""
        count = len(self.values_eV)
        treated = ", however soft modes are treated" if count > self.levels else ""
        begin = f"{self.what.capitalize()} {self.where}: "
        if self.sign:
            return begin + f"{'downhill' if self.sign < 0 else 'uphill'} at {self.of_levels}{treated}, {self.span}."
        down, up = (sum(way * value > SAME_EV for value in self.values_eV) for way in (-1, 1))
        counts = {"downhill": down, "uphill": up, f"within {SAME_EV:g} eV": count - down - up}
        parts = ", ".join(f"{where} in {number}" for where, number in counts.items() if number)
        over = f"{count} combinations of level and treatment" if treated else f"{count} level{'s' * (count > 1)}"
        return begin + f"NOT decided: {parts} of {over}, {self.span}."


def _span(values_eV: Sequence[float]) -> str:
    ends = dict.fromkeys(plain(end(values_eV), 2, signed=True) for end in (min, max))
    return f"{' to '.join(ends)} eV"


def groups(cells: Mapping[tuple[str, str], float]) -> list[Group]:
    """Values of one swap, by (level, kind), sorted into what can be compared: energies in the gas phase first.

    A level has one energy: what its basis set superposes, and its mean over an ensemble, are no further opinions.
    """
    votes = {key: value for key, value in cells.items() if not _is_tight_binding(key[0])} or cells
    found: dict[tuple[str, str], dict[str, list[float]]] = {}
    for (level, kind), value in votes.items():
        is_free = kind.startswith("gibbs")
        if not is_free and kind != _voting_kind(level, votes):
            continue
        where = "in a continuum" if _in_continuum(level) else "in the gas phase"
        group = found.setdefault(("free energies" if is_free else "energies", where), {})
        group.setdefault(level, []).append(value)
    order = sorted(found, key=lambda key: (key[0] != "energies", key[1] != "in the gas phase"))
    return [Group(*key, len(found[key]), tuple(chain.from_iterable(found[key].values()))) for key in order]


def _voting_kind(level: str, cells: Mapping[tuple[str, str], float]) -> str:
    """The energy that stands for a level: the corrected one, the plain one, or what there is."""
    kinds = [kind for known, kind in cells if known == level and not kind.startswith("gibbs")]
    return next((kind for kind in ("energy[relaxed_counterpoise]", "energy[relaxed]") if kind in kinds), kinds[0])


def conclusion(cells: Mapping[tuple[str, str], float]) -> str:
    """Whether a swap goes one way at every level, and how far its values spread; tight binding stands apart."""
    tight = [value for (level, kind), value in cells.items() if _is_tight_binding(level) and kind == "energy[relaxed]"]
    said = [group.sentence for group in groups(cells)]
    if tight and not all(_is_tight_binding(level) for level, _ in cells):
        said.append(f"Tight binding, which has no vote: {_span(tight)}.")
    return " ".join(said)


def _is_tight_binding(level: str) -> bool:
    known = _known(level)
    return known is not None and known.is_tight_binding


def _in_continuum(level: str) -> bool:
    known = _known(level)
    return known is not None and known.solvent_model is not None


def _known(level: str) -> Level | None:
    """A level as its table names it; None for a name that is no level of this version."""
    try:
        return Level.model_validate(level)
    except ValueError:
        return None


def definitions(table: pd.DataFrame) -> dict[str, Any] | None:
    """How far every definition and level lies from the published binding energies, the nearest first.

    None without published binding energies.
    """
    rows = table[table["quantity"].str.startswith("binding_") & table["value"].notna()]
    known = table[table["quantity"].str.startswith("binding_energy") & table["published"].notna()]
    pairs = zip(known["subject"].astype(str), known["published"].astype(float), strict=True)
    published = list(dict.fromkeys(pairs))
    if not published:
        return None
    lines: list[dict[str, Any]] = []
    for (quantity, level), group in rows.groupby(["quantity", "level"], sort=False):
        values = dict(zip(group["subject"], group["value"], strict=True))
        if not all(subject in values for subject, _ in published):
            continue
        off = [float(values[subject]) - value for subject, value in published]
        worst = max(map(abs, off))
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
