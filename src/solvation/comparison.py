"""The answer: donors and clusters ranked by coordination strength, computed beside published.

Computed numbers come from the tables of the study alone; published ones are joined to the finished rows and
fill only their own columns.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from solvation.energies.counterpoise import CORRECTED
from solvation.patterns.angles import AngleRow
from solvation.shells.contacts import TOTAL
from solvation.study import Published, Study
from solvation.tables.bonding import OxidationRow, ShieldingRow, SpectrumRow
from solvation.tables.boxes import BoxRow
from solvation.tables.energies import AVERAGED, BindingRow, ThermochemistryRow, label_of
from solvation.tables.shells import CoordinationRow
from solvation.tidy import read_rows, write_rows
from solvation.transport.analysis import TransportRow

_DEFINITION_MEANING = {
    "relaxed": "against relaxed separated ligands",
    CORRECTED: "against relaxed separated ligands, corrected for basis set superposition",
    "frozen_ligands": "against ligands frozen as in the complex",
    "frozen_shell": "ion out of the frozen shell",
    AVERAGED: "as relaxed, Boltzmann mean over structures and conformers",
}


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One figure of the study.

    Attributes
    ----------
    subject
        Cluster, pair of clusters, or trajectory and donor.
    quantity
        What it is, with its definition in brackets.
    value, stderr
        Computed here, in `unit`; NaN = not known. An error of sampling: a level of theory errs besides. Of energies
        what one search of the structures errs by (`search_error_eV`).
    spread
        Standard deviation of the ensemble behind an averaged energy, which is no error of it; NaN for everything else.
    published, difference
        From the literature, and value - published.
    rank
        Place among rows of the same quantity, level, ion and number of ligands, 1 = held most strongly.
    """

    subject: str
    quantity: str
    level: str
    value: float
    unit: str
    stderr: float
    spread: float
    published: float
    difference: float
    source: str
    rank: int | None
    note: str


def compare(study: Study) -> list[ComparisonRow]:
    """Rank donors and clusters from the tables of a finished study, and set published values beside.

    Raises
    ------
    ResultsError
        When a table is missing.
    """
    folder = study.folder
    rows: list[ComparisonRow] = []
    if study.clusters:
        bindings = read_rows(folder / "binding.csv", BindingRow)
        rows += _binding(study, bindings)
        rows += _exchanges(study, bindings)
        rows += _steps(study, bindings)
    if study.thermochemistry is not None:
        errors_eV = {(item.cluster, item.level): item.stderr_eV for item in bindings}
        rows += _free_energies(study, read_rows(folder / "thermochemistry.csv", ThermochemistryRow), errors_eV)
    if study.clusters and study.levels.shieldings:
        rows += _shifts(read_rows(folder / "shieldings.csv", ShieldingRow))
    if study.clusters and study.levels.oxidation:
        rows += _oxidation(read_rows(folder / "oxidation.csv", OxidationRow))
    if study.thermochemistry is not None:
        rows += _bands(read_rows(folder / "spectra.csv", SpectrumRow))
    if study.trajectories:
        rows += _liquid(read_rows(folder / "coordination.csv", CoordinationRow))
        rows += _transport(read_rows(folder / "transport.csv", TransportRow))
        rows += _angles(read_rows(folder / "angles.csv", AngleRow))
    if study.boxes:
        rows += _densities(read_rows(folder / "boxes.csv", BoxRow))
    return [each for row in rows for each in _beside(row, study)] + _not_computed(study, rows)


def write_comparison(study: Study) -> Path:
    """Write `comparison.csv`, and return its path."""
    path = study.folder / "comparison.csv"
    write_rows(path, ComparisonRow, compare(study))
    return path


def _row(
    subject: str,
    quantity: str,
    level: str,
    value: float,
    unit: str,
    *,
    stderr: float = math.nan,
    spread: float = math.nan,
    note: str = "",
) -> ComparisonRow:
    return ComparisonRow(subject, quantity, level, value, unit, stderr, spread, math.nan, math.nan, "", None, note)


def _binding(study: Study, bindings: Sequence[BindingRow]) -> list[ComparisonRow]:
    rows = [
        _row(
            item.cluster, f"binding_energy[{item.definition}]", item.level, item.energy_eV, "eV",
            stderr=item.stderr_eV, spread=item.spread_eV,
            note="; ".join(part for part in (_DEFINITION_MEANING[item.definition], item.note) if part),
        )
        for item in bindings
    ]  # fmt: skip
    return _ranked(rows, key=lambda row: _peers(study, row), lowest_first=True)


def _peers(study: Study, row: ComparisonRow) -> tuple[str, str, str, int]:
    """What rows have in common that are put in order: one more ligand, or another ion, always changes more."""
    cluster = study.clusters[row.subject]
    return row.quantity, row.level, cluster.ion, cluster.n_ligands


def _reaction(study: Study, old: str, new: str) -> str:
    """From one cluster to another, in formulas, with what comes in and what leaves."""
    ends = [study.clusters[name].composition for name in (old, new)]
    labels = [label_of(end) for end in ends]
    if labels[0] == labels[1]:
        return f"{labels[0]} ({old}) -> {labels[1]} ({new})"
    come, gone = map(_counted, _change(study, old, new))
    return f"{' + '.join([labels[0], *come])} -> {' + '.join([labels[1], *gone])}"


def _change(study: Study, old: str, new: str) -> tuple[Counter[str], Counter[str]]:
    """Molecules that come in and that leave from one cluster to another."""
    before, after = (Counter(study.clusters[name].composition) for name in (old, new))
    return after - before, before - after


def _counted(molecules: Counter[str]) -> list[str]:
    return [f"{count} {name}" if count > 1 else name for name, count in molecules.items()]


def _exchanges(study: Study, bindings: Sequence[BindingRow]) -> list[ComparisonRow]:
    """Swap one ligand for another: the free ligands and the ion's reference leave the difference unchanged."""
    found = {(item.definition, item.cluster, item.level): item for item in bindings}
    rows = []
    for new, old in _swaps(study):
        come, gone = map(_counted, _change(study, old, new))
        meaning = f"that {' and '.join(come)} replaces {' and '.join(gone)}" if come and gone else "downhill"
        meaning = f"{_reaction(study, old, new)}; negative means {meaning}"
        rows += _differences(study, found, (new, old), "exchange_energy", meaning)
    return rows


def _steps(study: Study, bindings: Sequence[BindingRow]) -> list[ComparisonRow]:
    """Energy of the last ligand, for every pair of clusters of which one has one ligand more."""
    found = {(item.definition, item.cluster, item.level): item for item in bindings}
    rows = []
    for larger in study.clusters:
        for smaller in study.clusters:
            last, gone = _change(study, smaller, larger)
            if sum(last.values()) != 1 or gone:
                continue
            meaning = _reaction(study, smaller, larger)
            rows += _differences(study, found, (larger, smaller), "stepwise_energy", meaning)
    return rows


def _differences(
    study: Study, found: Mapping[tuple[str, str, str], BindingRow], pair: tuple[str, str], quantity: str, meaning: str
) -> list[ComparisonRow]:
    """Binding energy of the first cluster less that of the second, wherever both have one of the same kind.

    Between averages the spread joins those of both ensembles. It is no less than that of the difference: free molecules
    of a kind that both sides hold vary together, and each side counts them.
    """
    rows = []
    for definition in ("relaxed", CORRECTED, AVERAGED):
        for level in map(str, study.levels_of(pair[0])):
            first, second = (found.get((definition, name, level)) for name in pair)
            if first is None or second is None:
                continue
            averaged = ["between Boltzmann means; the spread joins those of both"] if definition == AVERAGED else []
            notes = [f"{end.cluster}: {end.note}" for end in (first, second) if end.note]
            rows.append(
                _row(
                    " - ".join(pair), f"{quantity}[{definition}]", level, first.energy_eV - second.energy_eV, "eV",
                    stderr=math.hypot(first.stderr_eV, second.stderr_eV),
                    spread=math.hypot(first.spread_eV, second.spread_eV),
                    note="; ".join([meaning, *averaged, *notes]),
                )
            )  # fmt: skip
    return rows


def _kind(study: Study, item: ThermochemistryRow) -> str:
    """Treatment of the soft modes, with the temperature where it is not the first one of the study."""
    first = study.thermochemistry is None or item.temperature_K == study.thermochemistry.temperatures_K[0]
    return item.treatment if first else f"{item.treatment}, {item.temperature_K:g} K"


def _free_energies(
    study: Study, found: Sequence[ThermochemistryRow], errors_eV: Mapping[tuple[str, str], float]
) -> list[ComparisonRow]:
    """Free energies of binding, and of swapping one ligand for another, by treatment of the soft modes."""
    known = {(_kind(study, item), item.cluster, item.level): item for item in found}
    rows = [
        _row(
            item.cluster, f"binding_gibbs_energy[{_kind(study, item)}]", item.level, item.gibbs_eV, "eV",
            stderr=errors_eV.get((item.cluster, item.level), math.nan),
            note="; ".join(part for part in (_conditions(item), item.note) if part),
        )
        for item in found
    ]  # fmt: skip
    rows = _ranked(rows, key=lambda row: _peers(study, row), lowest_first=True)
    for new, old in _swaps(study):
        for kind, cluster, level in known:
            if cluster == new and (kind, old, level) in known:
                ends = [known[kind, name, level] for name in (new, old)]
                value = ends[0].gibbs_eV - ends[1].gibbs_eV
                note = "; ".join(f"{end.cluster}: {end.note}" for end in ends if math.isnan(end.gibbs_eV))
                subject = f"{new} - {old}"
                stderr = math.hypot(*(errors_eV.get((name, level), math.nan) for name in (new, old)))
                quantity = f"exchange_gibbs_energy[{kind}]"
                rows.append(_row(subject, quantity, level, value, "eV", stderr=stderr, note=note))
    return rows


def _conditions(item: ThermochemistryRow) -> str:
    return f"{item.temperature_K:g} K" + ("" if math.isnan(item.pressure_bar) else f", {item.pressure_bar:.3g} bar")


def _swaps(study: Study) -> list[tuple[str, str]]:
    """Pairs of clusters of one ion that differ by one ligand swapped, and the pairs that published values name."""
    asked = [
        tuple(part.strip() for part in item.subject.split(" - "))
        for item in study.published
        if item.quantity.endswith("_difference")
    ]
    pairs = [(pair[0], pair[1]) for pair in asked if len(pair) == 2]
    names = list(study.clusters)
    for position, old in enumerate(names):
        for new in names[position + 1 :]:
            come, gone = _change(study, old, new)
            same_ion = study.clusters[old].ion == study.clusters[new].ion
            swap = same_ion and sum(gone.values()) == sum(come.values()) == 1
            if swap and (new, old) not in pairs and (old, new) not in pairs:
                pairs.append((new, old))
    return pairs


def _shifts(found: Sequence[ShieldingRow]) -> list[ComparisonRow]:
    """Mean magnetic shift of the donors of one kind that bind, in each cluster at each level."""
    groups: dict[tuple[str, str, str, str], list[float]] = {}
    for item in found:
        if item.note:
            groups[item.cluster, item.level, "all donors", item.note] = [math.nan]
        elif item.kind and item.binds:
            key = (item.cluster, item.level, item.kind, f"{item.isotope}; one complex, not the average of a liquid")
            groups.setdefault(key, []).append(item.shift_ppm)
    return [
        _row(f"{cluster} / {kind}", "nmr_shift", level, sum(shifts) / len(shifts), "ppm", note=note)
        for (cluster, level, kind, note), shifts in groups.items()
    ]


def _oxidation(found: Sequence[OxidationRow]) -> list[ComparisonRow]:
    """Oxidation potentials against Li+/Li, species and clusters each in an order: rank 1 is the hardest to oxidise."""
    rows: list[ComparisonRow] = []
    for kind in dict.fromkeys(item.kind for item in found):
        own = [
            _row(item.subject, f"oxidation_potential[{way}]", item.level, value, "V", note=item.note)
            for item in found
            if item.kind == kind
            for way, value in (("adiabatic", item.adiabatic_V), ("vertical", item.vertical_V))
        ]
        rows += _ranked(own, key=lambda row: (row.quantity, row.level), lowest_first=False)
    return rows


def _bands(found: Sequence[SpectrumRow]) -> list[ComparisonRow]:
    """Shift of the C=O band of every complex from that of its free ligand."""
    return [
        _row(
            item.cluster, "carbonyl_shift", item.geometry_level, item.shift_cm, "1/cm",
            note=item.note or "complex - free ligand",
        )
        for item in found
        if item.note or math.isfinite(item.shift_cm)
    ]  # fmt: skip


def _liquid(coordination: Sequence[CoordinationRow]) -> list[ComparisonRow]:
    rows = []
    for item in coordination:
        subject = f"{item.trajectory} / {'all donors' if item.donor == TOTAL else item.donor}"
        rows.append(
            _row(
                subject, f"coordination_number[{item.counted}]", "", item.cn, "1",
                stderr=item.cn_stderr, note=item.verdict,
            )
        )  # fmt: skip
        if item.counted == "atom" and math.isfinite(item.peak_A):
            rows.append(_row(subject, "first_peak", "", item.peak_A, "Å"))
    strengths = [row for row in rows if row.quantity.startswith("coordination") and "all donors" not in row.subject]
    ranked = _ranked(strengths, key=lambda row: (row.quantity, row.subject.split(" / ")[0]), lowest_first=False)
    places = {(row.subject, row.quantity): row.rank for row in ranked}
    return [replace(row, rank=places.get((row.subject, row.quantity))) for row in rows]


def _transport(found: Sequence[TransportRow]) -> list[ComparisonRow]:
    """Diffusion and conductivity where the run tells them; what it is too short for stands in transport.csv."""
    return [
        _row(
            f"{item.trajectory} / {item.species}" if item.species else item.trajectory, item.quantity, "",
            item.value * factor, unit, stderr=item.stderr * factor, note=item.verdict,
        )
        for item in found
        for factor, unit in [(1e6, "1e-6 cm2/s") if item.unit == "cm2/s" else (1.0, item.unit)]
        if item.quantity.startswith(("self_diffusion", "conductivity[")) and math.isfinite(item.value)
    ]  # fmt: skip


def _angles(found: Sequence[AngleRow]) -> list[ComparisonRow]:
    """Mean of every kind of angle."""
    kinds = {(item.trajectory, item.angle): item for item in found}
    return [
        _row(f"{trajectory} / {angle}", "angle", "", item.mean_deg, "degrees", stderr=item.mean_stderr_deg)
        for (trajectory, angle), item in kinds.items()
    ]


def _densities(found: Sequence[BoxRow]) -> list[ComparisonRow]:
    """Density of every box that was brought to a pressure."""
    return [
        _row(item.trajectory, item.quantity, "", item.value, item.unit, stderr=item.stderr, note=item.note)
        for item in found
        if item.quantity == "density"
    ]


def _ranked(
    rows: Sequence[ComparisonRow], key: Callable[[ComparisonRow], object], *, lowest_first: bool
) -> list[ComparisonRow]:
    groups: dict[object, list[ComparisonRow]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    done = []
    for members in groups.values():
        # What is not known stands last, without a place.
        ordered = sorted(
            members, key=lambda row: (math.isnan(row.value), row.value if lowest_first else -row.value)
        )  # fmt: skip
        done += [
            replace(row, rank=place if math.isfinite(row.value) else None) for place, row in enumerate(ordered, start=1)
        ]
    return done


def _beside(row: ComparisonRow, study: Study) -> list[ComparisonRow]:
    """A finished row once beside every published value of it, or as it is."""
    found = []
    for item in study.published:
        if not _matches(item, row, study):
            continue
        note = "; ".join(part for part in (row.note, item.definition or "") if part)
        difference = row.value - item.in_table_unit
        judged = _agreement(difference, row.stderr, row.unit, item.in_table_unit)
        found.append(
            replace(
                row, published=item.in_table_unit, difference=difference, source=_source(item),
                note=f"{note}; {judged}" if note else judged,
            )
        )  # fmt: skip
    return found or [row]


def _matches(item: Published, row: ComparisonRow, study: Study) -> bool:
    quantity = {
        "binding_energy": "binding_energy",
        "binding_energy_difference": "exchange_energy",
        "binding_gibbs_energy": "binding_gibbs_energy",
        "binding_gibbs_energy_difference": "exchange_gibbs_energy",
        "first_peak": "first_peak",
        "coordination_number": "coordination_number[atom]",
        "nmr_shift": "nmr_shift",
        "oxidation_potential": "oxidation_potential[adiabatic]",
        "carbonyl_shift": "carbonyl_shift",
        "conductivity": "conductivity[einstein]",
        "self_diffusion": "self_diffusion",
        "angle": "angle",
        "density": "density",
    }[item.quantity]
    if not row.quantity.startswith(quantity) or row.subject != item.subject:
        return False
    if item.quantity.startswith("binding"):
        return row.level == str(study.levels_of(row.subject.split(" - ")[0])[0])
    if item.quantity == "nmr_shift":
        return row.level == str(study.levels.shieldings[0])
    if item.quantity == "oxidation_potential":
        return row.level == str(study.levels.oxidation[0])
    return True


def _source(item: Published) -> str:
    converted = "" if item.unit == item.table_unit else f" (given as {item.value:g} {item.unit})"
    return item.source + converted


def _agreement(difference: float, stderr: float, unit: str, published: float) -> str:
    """Whether a published value is met; an error beyond what we ask for makes it no easier to meet."""
    if math.isnan(difference):
        return "not found here"
    size = abs(published)
    known = {"eV": 0.1, "Å": 0.05, "ppm": 1.0, "degrees": 3.0, "mS/cm": 0.1 * size, "1e-6 cm2/s": 0.1 * size}
    known |= {"g/cm3": 0.03 * size, "V": 0.3, "1/cm": 5.0}
    tolerance = known.get(unit, 0.3)
    error = 0.0 if math.isnan(stderr) else 2 * stderr
    if abs(difference) > max(tolerance, error):
        return f"NOT reproduced: off by {difference:+.2f}{'' if unit == '1' else f' {unit}'}"
    return "reproduced" if error <= tolerance else "too uncertain to tell: within two standard errors"


def _not_computed(study: Study, rows: Iterable[ComparisonRow]) -> list[ComparisonRow]:
    """Published values that nothing here can be set beside: they say so instead of vanishing."""
    found = list(rows)
    return [
        replace(
            _row(
                item.subject, item.quantity, "", math.nan, item.table_unit, note="published, not computed in this study"
            ),
            published=item.in_table_unit, source=_source(item),
        )
        for item in study.published
        if not any(_matches(item, row, study) for row in found)
    ]  # fmt: skip
