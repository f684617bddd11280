"""Transport of all trajectories of a study in one table each, and the activation energies of its temperature series."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from solvation.errors import StepFailed
from solvation.failures import refuse_failed
from solvation.study import Study
from solvation.tidy import read_rows, write_rows
from solvation.transport.analysis import TABLES, MsdRow, TransportRow
from solvation.transport.diffusion import Arrhenius, arrhenius

#: Quantities that a barrier slows down; shares and ratios have none.
_ACTIVATED = ("self_diffusion", "conductivity[nernst-einstein]", "conductivity[einstein]")


@dataclass(frozen=True, slots=True)
class ArrheniusRow:
    """Activation energy of one quantity over a series of temperatures; the fields are those of `Arrhenius`.

    Attributes
    ----------
    unit
        Of the quantity, whose logarithm at infinite temperature is `log_prefactor`.
    temperatures_K
        Those that have a value, joined by spaces.
    """

    series: str
    quantity: str
    species: str
    unit: str
    energy_kJ_mol: float
    energy_stderr_kJ_mol: float
    log_prefactor: float
    log_prefactor_stderr: float
    chi2_per_point: float
    temperatures_K: str
    verdict: str


def write_transport_tables(study: Study) -> None:
    """Write `transport.csv`, `msd.csv`, and `arrhenius.csv` where the study names a series of temperatures.

    Raises
    ------
    ResultsError
        A table of a trajectory is missing, or has other columns.
    """
    folder = study.folder
    for table in (*TABLES, "arrhenius.csv"):
        (folder / table).unlink(missing_ok=True)
    if not study.trajectories:
        return
    rows = {name: _rows(study, name) for name in study.trajectories}
    write_rows(folder / "transport.csv", TransportRow, [row for own in rows.values() for row in own])
    write_rows(folder / "msd.csv", MsdRow, [row for name in study.trajectories for row in _curves(study, name)])
    if study.transport.series:
        fits = [
            row
            for series, names in study.transport.series.items()
            for row in activation(
                series, [(float(study.trajectories[name].temperature_K or math.nan), rows[name]) for name in names]
            )
        ]
        write_rows(folder / "arrhenius.csv", ArrheniusRow, fits)


def activation(series: str, points: Sequence[tuple[float, Sequence[TransportRow]]]) -> Iterator[ArrheniusRow]:
    """Fit each quantity that transport activates over the temperatures that have a value and an error.

    Parameters
    ----------
    points
        Temperature in K, and the rows of `transport.csv` at it.
    """
    asked = dict.fromkeys(
        (row.quantity, row.species, row.unit) for _, rows in points for row in rows if row.quantity in _ACTIVATED
    )
    for quantity, species, unit in asked:
        known = [
            (kelvin, row.value, row.stderr)
            for kelvin, rows in points
            for row in rows
            if (row.quantity, row.species) == (quantity, species) and row.value > 0 and row.stderr > 0
        ]
        told = " ".join(f"{kelvin:g}" for kelvin in sorted({kelvin for kelvin, _, _ in known}))
        distinct = len(told.split())
        found = Arrhenius(*(math.nan,) * 5)
        if distinct < 3:
            verdict = f"{distinct} of {len(points)} temperatures have a value; a fit needs three"
        else:
            found = arrhenius(*(list(column) for column in zip(*known, strict=True)))
            bent = found.chi2_per_point > 4
            verdict = "the points lie on no line: not one activation energy" if bent else ""
        yield ArrheniusRow(
            series, quantity, species, unit, found.energy_kJ_mol, found.energy_stderr_kJ_mol, found.log_prefactor,
            found.log_prefactor_stderr, found.chi2_per_point, told, verdict,
        )  # fmt: skip


def _rows(study: Study, trajectory: str) -> list[TransportRow]:
    """Rows of one trajectory; one that failed stands in the table with a verdict."""
    path = study.folder / "trajectories" / trajectory / "transport.csv"
    try:
        refuse_failed(path)
        return read_rows(path, TransportRow)
    except StepFailed as problem:
        unknown = math.nan
        return [
            TransportRow(
                trajectory, "self_diffusion", "", unknown, "cm2/s", *(unknown,) * 6, n_particles=0, verdict=str(problem)
            )
        ]


def _curves(study: Study, trajectory: str) -> list[MsdRow]:
    path = study.folder / "trajectories" / trajectory / "msd.csv"
    try:
        refuse_failed(path)
        return read_rows(path, MsdRow)
    except StepFailed:
        # Why stands in transport.csv.
        return []
