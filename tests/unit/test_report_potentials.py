"""Fitted potentials on the page: errors of members and committee, what runs on them, and why one has none."""

import json
import math
import re
from html import unescape
from pathlib import Path

import pytest

from solvation.potentials.errors import PotentialRow
from solvation.report import write_report
from solvation.tidy import write_rows

NO = math.nan


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "demo"
    folder.mkdir()
    rows = [
        PotentialRow("P", "T", "member 1", "gfn1", 120, 30, -3.0, 0.7, 4.4, 91.0, 10.2, NO, NO, NO, NO, ""),
        PotentialRow("P", "T", "committee", "gfn1", 120, 30, -3.0, 0.61, 4.4, 83.0, 9.3, 41.0, 0.37, 1.9, 0.55, ""),
        PotentialRow("Q", "T", "committee", "gfn2", 0, 0, *(NO,) * 9, "fit of Q failed: mace failed: killed"),
    ]
    write_rows(folder / "potentials.csv", PotentialRow, rows)
    runs = {"T": {"level": "gfn1"}, "U": {"level": None, "potential": "P"}, "V": {"level": None, "potential": "P"}}
    study = {"name": "demo", "clusters": {}, "trajectories": runs, "potentials": {"P": {}, "Q": {}}}
    (folder / "provenance.json").write_text(json.dumps({"study": study}))
    return folder


def section(results: Path) -> str:
    page = write_report(results).read_text(encoding="utf-8")
    part = page[page.index('<section id="potentials">') : page.index('<section id="patterns">')]
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", part)))


def test_errors_of_members_and_committee_stand_in_a_row_each(results: Path) -> None:
    text = section(results)
    assert "P T member 1 gfn1 120 30 0.70 4.40 91 10.2 – – – – " in text
    assert "P T committee gfn1 120 30 0.61 4.40 83 9.3 41 0.37 1.90 0.55" in text
    assert "fit of Q failed: mace failed: killed" in text


def test_runs_on_a_potential_are_named(results: Path) -> None:
    assert "On P run U, V: their liquid is that of the potential." in section(results)


def test_a_study_without_potentials_has_no_such_section(results: Path) -> None:
    (results / "potentials.csv").unlink()
    (results / "rdf.csv").write_text("trajectory,center,donor,r_A,g,n\nT,Li+,O,1,0,0\n")
    assert 'id="potentials"' not in write_report(results).read_text(encoding="utf-8")
