"""Angles and structure factors of all trajectories of a study in one table each."""

from __future__ import annotations

from typing import Any

from solvation.errors import StepFailed
from solvation.failures import refuse_failed
from solvation.patterns.angles import AngleRow
from solvation.patterns.scattering import StructureFactorRow
from solvation.study import Study
from solvation.tidy import read_rows, write_rows

#: What the patterns of one trajectory are, and the rows of each table.
TABLES: dict[str, type[Any]] = {"angles.csv": AngleRow, "structure_factor.csv": StructureFactorRow}


def write_pattern_tables(study: Study) -> None:
    """Write both; a study without trajectories has none.

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


def _rows(study: Study, trajectory: str, table: str, kind: type[Any]) -> list[Any]:
    path = study.folder / "trajectories" / trajectory / table
    try:
        refuse_failed(path)
        return read_rows(path, kind)
    except StepFailed:
        # Why stands in failures.csv.
        return []
