"""Errors of all fitted potentials of a study: potentials.csv (docs/tables.md)."""

from __future__ import annotations

import math

from solvation.errors import StepFailed
from solvation.failures import read_table
from solvation.potentials.errors import COMMITTEE, PotentialRow
from solvation.study import Study
from solvation.tidy import write_rows


def write_potential_table(study: Study) -> None:
    """Put the errors of all potentials into one table; a study without potentials has none.

    Raises
    ------
    ResultsError
        The table of a potential is missing, or has other columns.
    """
    if study.potentials:
        rows = [row for name in study.potentials for row in _rows(study, name)]
        write_rows(study.folder / "potentials.csv", PotentialRow, rows)


def _rows(study: Study, potential: str) -> list[PotentialRow]:
    path = study.folder / "potentials" / potential / "errors.csv"
    try:
        return read_table(path, PotentialRow)
    except StepFailed as problem:
        level = str(study.potentials[potential].level)
        unknown = (math.nan,) * 9
        return [
            PotentialRow(potential, run, COMMITTEE, level, 0, 0, *unknown, note=str(problem))
            for run in study.potentials[potential].frames
        ]
