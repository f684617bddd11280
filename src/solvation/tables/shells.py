"""What the analysis of one liquid writes: curves, coordination numbers, shells and how long they last."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from solvation.shells.analysis import LiquidStructure
from solvation.tidy import write_rows


@dataclass(frozen=True, slots=True)
class RdfRow:
    """One bin of one curve: `r_A` is its centre, `n` counts the donors within its outer edge."""

    trajectory: str
    center: str
    donor: str
    r_A: float
    g: float
    n: float
    g_stderr: float
    n_stderr: float


@dataclass(frozen=True, slots=True)
class CoordinationRow:
    """One coordination number of one trajectory; the fields are those of `Coordination`."""

    trajectory: str
    donor: str
    counted: str
    cutoff_A: float
    cn: float
    cn_stderr: float
    cn_low: float
    cn_high: float
    cn_integral: float
    cn_shorter: float
    cn_longer: float
    n_frames: int
    peak_A: float
    statistical_inefficiency: float
    cn_rad: float
    verdict: str


@dataclass(frozen=True, slots=True)
class SpeciationRow:
    """Population of one kind of shell.

    `cutoffs_A` says where the shells of the donor kinds end, `unmoved` which ligands never left an ion: how common
    shells with more or less of them are is then one sample, whatever `population_stderr` says. `note` is why there are
    no populations, the only row then.
    """

    trajectory: str
    grouped: str
    shell: str
    population: float
    population_stderr: float
    n_frames: int
    statistical_inefficiency: float
    cutoffs_A: str
    unmoved: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class NetworkRow:
    """One number about bridges or clusters of one trajectory; the fields are those of `Network`.

    `note` is why there are none, the only row then.
    """

    trajectory: str
    linked_by: str
    quantity: str
    kind: str
    n_ions: int | None
    value: float
    stderr: float
    n_frames: int
    statistical_inefficiency: float
    cutoffs_A: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class ResidenceRow:
    """One residence time of one trajectory; the fields are those of `KindResidence` and `Residence`."""

    trajectory: str
    donor: str
    counted: str
    measure: str
    tolerance_ps: float
    cutoff_A: float
    residence_ps: float
    residence_stderr_ps: float
    longer_than_ps: float
    survived: float
    contacts: int
    departures: int
    verdict: str


@dataclass(frozen=True, slots=True)
class SurvivalRow:
    """One lag of the curve behind one residence time."""

    trajectory: str
    donor: str
    counted: str
    measure: str
    lag_ps: float
    survival: float
    survival_stderr: float


@dataclass(frozen=True, slots=True)
class TransitionRow:
    """One pair of donor kinds of one trajectory; the fields are those of `Transition`.

    `note` is why there are none, the only row then.
    """

    trajectory: str
    window_ps: float
    leaves: str
    enters: str
    events: int
    entered_first: int
    probability: float
    probability_stderr: float
    per_ion_ns: float
    reverse_events: int
    asymmetry: float
    asymmetry_stderr: float
    note: str = ""


#: What one analysis writes, and the rows of each table.
TABLES: dict[str, type[Any]] = {
    "rdf.csv": RdfRow,
    "coordination.csv": CoordinationRow,
    "speciation.csv": SpeciationRow,
    "networks.csv": NetworkRow,
    "residence.csv": ResidenceRow,
    "survival.csv": SurvivalRow,
    "transitions.csv": TransitionRow,
}


def write_tables(structure: LiquidStructure, folder: Path, name: str) -> None:
    """Write `TABLES` (docs/tables.md)."""
    curves = [
        RdfRow(name, structure.center, kind, *(float(value) for value in row))
        for kind, curve in structure.rdf.items()
        for row in zip(curve.r_A, curve.g, curve.n, curve.g_stderr, curve.n_stderr, strict=True)
    ]
    write_rows(folder / "rdf.csv", RdfRow, curves)
    numbers = [CoordinationRow(name, *astuple(row)) for row in structure.coordination]
    write_rows(folder / "coordination.csv", CoordinationRow, numbers)
    ends = "; ".join(
        f"{kind} {cutoff_A:.3f}" if math.isfinite(cutoff_A) else f"{kind} none"
        for kind, cutoff_A in structure.cutoffs_A.items()
    )
    shells = [
        SpeciationRow(
            name, row.grouped, row.shell, row.population, row.population_stderr, row.n_frames,
            row.statistical_inefficiency, ends, "; ".join(structure.unmoved),
        )
        for row in structure.speciation
    ]  # fmt: skip
    write_rows(folder / "speciation.csv", SpeciationRow, shells)
    links = [
        NetworkRow(
            name, row.linked_by, row.quantity, row.kind, row.n_ions, row.value, row.stderr, row.n_frames,
            row.statistical_inefficiency, ends,
        )
        for row in structure.networks
    ]  # fmt: skip
    write_rows(folder / "networks.csv", NetworkRow, links)
    times = [
        ResidenceRow(
            name, row.donor, row.counted, row.measure, structure.window_ps if row.measure == "intermittent" else 0.0,
            structure.cutoffs_A.get(row.donor, math.nan), row.found.residence_ps, row.found.residence_stderr_ps,
            row.found.longer_than_ps, row.found.survived, row.found.contacts, row.found.departures, row.found.verdict,
        )
        for row in structure.residence
    ]  # fmt: skip
    write_rows(folder / "residence.csv", ResidenceRow, times)
    stays = [
        SurvivalRow(name, row.donor, row.counted, row.measure, *(float(value) for value in point))
        for row in structure.residence
        for point in zip(
            row.found.survival.lag_ps, row.found.survival.probability, row.found.survival.stderr, strict=True
        )
    ]
    write_rows(folder / "survival.csv", SurvivalRow, stays)
    events = [TransitionRow(name, structure.window_ps, *astuple(row)) for row in structure.transitions]
    write_rows(folder / "transitions.csv", TransitionRow, events)
