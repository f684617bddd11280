"""Free energies in the liquid on the page: what one more molecule gains, how many stand at the ion, and what failed."""

import json
import math
import re
from html import unescape
from pathlib import Path

import pytest

from solvation.profiles.free_energy import CurveRow, ProfileRow, ShellRow
from solvation.report import write_report
from solvation.tables.profiles import PopulationRow
from solvation.tidy import write_rows

NO = math.nan


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "demo"
    folder.mkdir()
    rows = [
        ProfileRow("first", "BOX", "TDA", 0, "in", -0.12, 0.01, 0.21, 0.33, 0.12, 900, ""),
        ProfileRow("first", "BOX", "TDA", 0, "out", -0.10, 0.01, 0.22, 0.32, 0.11, 800, ""),
        ProfileRow("first", "BOX", "TDA", 0, "both", -0.11, 0.013, 0.21, 0.32, 0.11, 1700, ""),
        ProfileRow("second", "BOX", "TDA", 1, "both", 0.002, 0.02, 0.3, 0.3, 0.02, 700, "raise far_A"),
        ProfileRow("third", "BOX", "TDA", 0, "both", *(NO,) * 5, 0, "umbrella of third failed: the run blew up"),
    ]
    write_rows(folder / "profiles.csv", ProfileRow, rows)
    curve = [CurveRow("first", way, r_A, g_eV, 0.01, 90) for way in ("in", "out", "both") for r_A, g_eV in
             ((2.1, 0.0), (3.0, 0.33), (4.8, 0.11))]  # fmt: skip
    write_rows(folder / "profile_curves.csv", CurveRow, curve)
    shells = [
        ShellRow("first", "both", 1, "3 EC + 1 TDA", 0.9, 0.88), ShellRow("first", "both", 1, "2 EC + 1 TDA", 0.1, 0.1),
        ShellRow("first", "both", 0, "4 EC", 1.0, 0.02), ShellRow("first", "in", 1, "9 EC", 1.0, 1.0),
    ]  # fmt: skip
    write_rows(folder / "profile_shells.csv", ShellRow, shells)
    populations = [
        PopulationRow("TDA", "first second", 0, 0.008, 0.004, 0.014),
        PopulationRow("TDA", "first second", 1, 0.51, 0.33, 0.69),
        PopulationRow("TDA", "first second", 2, 0.482, 0.31, 0.66),
    ]
    write_rows(folder / "profile_populations.csv", PopulationRow, populations)
    study = {"name": "demo", "clusters": {}, "trajectories": {"BOX": {"forcefield": "gaff2"}}, "profiles": {}}
    (folder / "provenance.json").write_text(json.dumps({"study": study}))
    (folder / "rdf.csv").write_text("trajectory,center,donor,r_A,g,n\nBOX,Li+,O,1,0,0\n")
    return folder


def plain_text(html: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


def section(results: Path) -> str:
    page = write_report(results).read_text(encoding="utf-8")
    return plain_text(page[page.index('<section id="profiles">') : page.index('<section id="transport">')])


def test_each_way_has_a_row_with_its_error_and_what_is_wrong_with_it(results: Path) -> None:
    text = section(results)
    assert "first BOX TDA way in −0.120 ± 0.010 0.21 0.33 0.12 900" in text
    assert "first BOX TDA both −0.110 ± 0.013 0.21 0.32 0.11 1700" in text
    assert "second BOX TDA beside 1 both 0.00 ± 0.02 0.30 0.30 0.02 700 raise far_A" in text
    assert "umbrella of third failed: the run blew up" in text


def test_shells_are_those_of_both_ways_with_so_many_at_the_ion(results: Path) -> None:
    text = section(results)
    assert "with 0 TDA: 4 EC 100 %; with 1 TDA: 3 EC + 1 TDA 90 %, 2 EC + 1 TDA 10 %" in text
    assert "9 EC" not in text


def test_the_head_says_how_many_stand_at_the_ion_and_how_sure_that_is(results: Path) -> None:
    page = plain_text(write_report(results).read_text(encoding="utf-8"))
    assert (
        "By free energy, the ion in the liquid of BOX has TDA around it: 0 in 0.8 % (0.4 to 1.4 %), "
        "1 in 51 % (33 to 69 %), 2 in 48 % (31 to 66 %); with 1 of them mostly 3 EC + 1 TDA (90 %)." in page
    )
    assert (
        "At the ion a first TDA gains 0.110 ± 0.013 eV (first); one more TDA beside 1 costs 0.00 ± 0.02 eV, a sign "
        "that is not sure (second). What is wrong with second stands in their notes." in page
    )


def test_curves_are_drawn_and_their_figure_is_kept(results: Path) -> None:
    section(results)
    assert (results / "figures" / "profile_first.svg").is_file()
    assert (results / "figures" / "profile_first.png").stat().st_size > 5000


def test_a_study_without_profiles_has_no_such_section(results: Path) -> None:
    for path in results.glob("profile*.csv"):
        path.unlink()
    assert 'id="profiles"' not in write_report(results).read_text(encoding="utf-8")
