"""Tables: what is written is what is read, typed, and unknown numbers stay unknown."""

import math
from dataclasses import dataclass

import pytest

import solvation
from solvation.errors import ResultsError
from solvation.tidy import read_rows, write_rows


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    count: int
    energy_eV: float
    rank: int | None


def test_rows_survive_their_file(tmp_path):
    rows = [Row('Li, "bare"', 3, -1.23456789, 1), Row("two\nlines", -4, 1e-12, None)]
    write_rows(tmp_path / "t.csv", Row, rows)
    assert read_rows(tmp_path / "t.csv", Row) == rows
    assert (tmp_path / "t.csv").read_text().splitlines()[0] == "name,count,energy_eV,rank"


def test_a_number_that_is_not_known_is_an_empty_cell(tmp_path):
    write_rows(tmp_path / "t.csv", Row, [Row("a", 1, math.nan, None)])
    assert (tmp_path / "t.csv").read_text().splitlines()[1] == "a,1,,"
    (again,) = read_rows(tmp_path / "t.csv", Row)
    assert math.isnan(again.energy_eV)
    assert again.rank is None


def test_a_table_of_another_version_is_refused(tmp_path):
    (tmp_path / "t.csv").write_text("name,count\na,1\n")
    with pytest.raises(ResultsError, match=r"t\.csv: columns are name, count, not those of this version"):
        read_rows(tmp_path / "t.csv", Row)
    with pytest.raises(ResultsError, match="is missing; run the study again"):
        read_rows(tmp_path / "none.csv", Row)


def test_every_public_name_can_be_had():
    for name in solvation.__all__:
        assert getattr(solvation, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = solvation.nonsense


def test_a_folder_without_results_is_named(tmp_path):
    with pytest.raises(ResultsError, match="is not the folder of a finished study"):
        solvation.load_results(tmp_path)


def test_a_table_that_no_study_writes_is_refused_before_it_is_read(tmp_path):
    with (tmp_path / "t.csv").open("wb") as stream:
        stream.truncate(600_000_000)
    with pytest.raises(ResultsError, match=r"t\.csv: 600 MB, more than 500; remove it and run the study again"):
        read_rows(tmp_path / "t.csv", Row)
