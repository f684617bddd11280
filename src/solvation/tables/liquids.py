"""Tables of all trajectories of a study, out of those that each analysis wrote (docs/tables.md)."""

from __future__ import annotations

import math
from typing import Any

from solvation.errors import StepFailed
from solvation.failures import refuse_failed
from solvation.shells.contacts import TOTAL
from solvation.study import Study
from solvation.tables.patterns import write_pattern_tables
from solvation.tables.shells import TABLES, CoordinationRow, ResidenceRow
from solvation.tables.transport import write_transport_tables
from solvation.tidy import read_rows, write_rows


def write_liquid_tables(study: Study) -> None:
    """Put the tables of all trajectories into one each; a study without trajectories has none.

    Raises
    ------
    ResultsError
        A table of a trajectory is missing, or has other columns.
    """
    for table, kind in TABLES.items():
        output = study.folder / table
        if study.trajectories:
            write_rows(output, kind, [row for name in study.trajectories for row in _rows(study, name, table, kind)])
        else:
            output.unlink(missing_ok=True)
    write_pattern_tables(study)
    write_transport_tables(study)


def _rows(study: Study, trajectory: str, table: str, kind: type[Any]) -> list[Any]:
    """Rows of one trajectory; one that failed stands in the tables with a verdict."""
    path = study.folder / "trajectories" / trajectory / table
    unknown = math.nan
    try:
        refuse_failed(path)
        return read_rows(path, kind)
    except StepFailed as problem:
        if kind is CoordinationRow:
            return [CoordinationRow(trajectory, TOTAL, "atom", *(unknown,) * 3, 0, *(unknown,) * 2, str(problem))]
        if kind is ResidenceRow:
            why = str(problem)
            return [ResidenceRow(trajectory, TOTAL, "molecule", "continuous", *(unknown,) * 6, 0, 0, why)]
        return []
