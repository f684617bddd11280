"""Tables of all trajectories of a study, out of those that each analysis wrote (docs/tables.md)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from solvation.errors import StepFailed
from solvation.failures import read_table, refuse_failed
from solvation.patterns.angles import AngleRow
from solvation.patterns.scattering import StructureFactorRow
from solvation.shells.contacts import TOTAL
from solvation.study import Study
from solvation.tables import shells
from solvation.tables.boxes import BoxRow, box_rows, failed_box
from solvation.tables.shells import CoordinationRow, NetworkRow, ResidenceRow, SpeciationRow, TransitionRow
from solvation.tables.transport import ArrheniusRow, activation
from solvation.tidy import write_rows
from solvation.transport import analysis as transport
from solvation.transport.analysis import TransportRow

#: What the analyses of one trajectory write, and the rows of each table.
TABLES: dict[str, type[Any]] = {
    **shells.TABLES,
    "angles.csv": AngleRow,
    "structure_factor.csv": StructureFactorRow,
    **transport.TABLES,
}
_UNKNOWN = math.nan
#: The row of a trajectory whose analysis failed, from its name and the reason; curves have none (failures.csv).
_FAILED: dict[str, Callable[[str, str], Any]] = {
    "coordination.csv": lambda name, why: CoordinationRow(
        name, TOTAL, "atom", *(_UNKNOWN,) * 8, 0, *(_UNKNOWN,) * 3, why
    ),
    "speciation.csv": lambda name, why: SpeciationRow(name, "shell", "", *(_UNKNOWN,) * 2, 0, _UNKNOWN, "", "", why),
    "networks.csv": lambda name, why: NetworkRow(name, "", "", "", None, *(_UNKNOWN,) * 2, 0, _UNKNOWN, "", why),
    "transitions.csv": lambda name, why: TransitionRow(
        name, _UNKNOWN, "", "", 0, 0, *(_UNKNOWN,) * 3, 0, *(_UNKNOWN,) * 2, why
    ),
    "residence.csv": lambda name, why: ResidenceRow(name, TOTAL, "molecule", "continuous", *(_UNKNOWN,) * 6, 0, 0, why),
    "transport.csv": lambda name, why: TransportRow(
        name, "self_diffusion", "", _UNKNOWN, "cm2/s", *(_UNKNOWN,) * 6, n_particles=0, verdict=why
    ),
}


def write_liquid_tables(study: Study) -> None:
    """Put the tables of all trajectories into one each; tell how classical boxes came to rest, and fit series.

    The latter two are `boxes.csv` and `arrhenius.csv`, of studies that have such trajectories.

    Raises
    ------
    ResultsError
        A table of a trajectory is missing, or has other columns.
    """
    if not study.trajectories:
        return
    for table, kind in TABLES.items():
        rows = [row for name in study.trajectories for row in _rows(study, name, table)]
        write_rows(study.folder / table, kind, rows)
    if study.boxes:
        write_rows(study.folder / "boxes.csv", BoxRow, [row for name in study.boxes for row in _box(study, name)])
    if study.transport.series:
        fits = [row for series, names in study.transport.series.items() for row in _fits(study, series, names)]
        write_rows(study.folder / "arrhenius.csv", ArrheniusRow, fits)


def _rows(study: Study, trajectory: str, table: str) -> list[Any]:
    path = study.folder / "trajectories" / trajectory / table
    try:
        return read_table(path, TABLES[table])
    except StepFailed as problem:
        return [_FAILED[table](trajectory, str(problem))] if table in _FAILED else []


def _box(study: Study, trajectory: str) -> list[BoxRow]:
    folder = study.folder / "trajectories" / trajectory
    try:
        refuse_failed(folder / "start.npz")
    except StepFailed as problem:
        return [failed_box(trajectory, str(problem))]
    return list(box_rows(trajectory, folder))


def _fits(study: Study, series: str, names: tuple[str, ...]) -> list[ArrheniusRow]:
    points = [
        (float(study.trajectories[name].temperature_K or math.nan), _rows(study, name, "transport.csv"))
        for name in names
    ]
    return list(activation(series, points))
