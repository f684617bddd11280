"""Tidy tables: rows of a frozen dataclass as CSV and back; the columns are its fields.

NaN and None are empty cells.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from solvation.errors import ResultsError
from solvation.provenance import refuse_large, write_text

Row = TypeVar("Row")


def write_rows(path: Path, kind: type[Row], rows: Iterable[Row]) -> None:
    """Write rows of one kind."""
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_cell(getattr(row, name)) for name in names] for row in rows)
    write_text(path, stream.getvalue())


def read_rows(path: Path, kind: type[Row]) -> list[Row]:
    """Read rows that `write_rows` wrote.

    Raises
    ------
    ResultsError
        The table is missing, cannot be read, or has other columns.
    """
    if not path.is_file():
        raise ResultsError(f"{path} is missing; run the study again to make it")
    refuse_large(path)
    parsers = {name: _parser(hint) for name, hint in get_type_hints(kind).items()}
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            reader = csv.reader(stream, strict=True)
            columns = next(reader, [])
            if sorted(columns) != sorted(parsers):
                raise ResultsError(
                    f"{path}: columns are {', '.join(columns)}, not those of this version "
                    f"({', '.join(parsers)}); remove it and run the study again"
                )
            return [kind(**_values(f"{path}: line {reader.line_num}", columns, row, parsers)) for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise ResultsError(f"{path}: not a table ({problem}); remove it and run the study again") from problem


def _values(where: str, columns: list[str], row: list[str], parsers: dict[str, Callable[[str], Any]]) -> dict[str, Any]:
    if len(row) != len(columns):
        raise ResultsError(f"{where} has {len(row)} cells, the head {len(columns)}; remove it and run the study again")
    found = {}
    for name, text in zip(columns, row, strict=True):
        try:
            found[name] = parsers[name](text)
        except ValueError as problem:
            raise ResultsError(f"{where}, {name}: '{text[:40]}' is not a number; run the study again") from problem
    return found


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _parser(hint: Any) -> Callable[[str], Any]:
    if hint is float:
        return lambda text: float(text) if text else math.nan
    if hint is int:
        return int
    if hint == (int | None):
        return lambda text: int(text) if text else None
    return str
