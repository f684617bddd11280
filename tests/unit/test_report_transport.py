"""Transport on the page: numbers with their units, bounds as bounds, and one sentence where nothing can be told."""

from __future__ import annotations

import json
import math
import re
from html import unescape
from pathlib import Path

import pytest

from solvation.report import write_report
from solvation.report.inputs import load
from solvation.report.transport import activations, movements
from solvation.tables.transport import ArrheniusRow
from solvation.tidy import write_rows
from solvation.transport.analysis import MsdRow, TransportRow

NO = math.nan
SHORT = "too short: MSD exponent 0.60 ± 0.10 at the longest usable lag, 100 ps"


def row(trajectory, quantity, species, value, unit, stderr=NO, at_most=NO, verdict=""):
    window = (30.0, 250.0) if value == value else (NO, NO)
    return TransportRow(trajectory, quantity, species, value, unit, stderr, at_most, *window, NO, NO, 20, verdict)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "demo"
    folder.mkdir()
    rows = [
        row("box", "self_diffusion", "Li+", 1.28745e-6, "cm2/s", 3e-8),
        row("box", "self_diffusion", "PF6-", NO, "cm2/s", at_most=5e-7, verdict=SHORT),
        row("box", "conductivity[einstein]", "", 3.69, "mS/cm", 0.4),
        row("drop", "self_diffusion", "Li+", NO, "cm2/s", verdict="a droplet: it has no volume to conduct in"),
        row("drop", "self_diffusion", "EC", NO, "cm2/s", verdict="a droplet: it has no volume to conduct in"),
    ]
    write_rows(folder / "transport.csv", TransportRow, rows)
    curve = [MsdRow("box", name, lag, 6 * lag, lag) for name in ("Li+", "PF6-", "charge") for lag in (1.0, 50.0, 200.0)]
    write_rows(folder / "msd.csv", MsdRow, curve)
    fit = ArrheniusRow("mine", "self_diffusion", "Li+", "cm2/s", 21.4, 1.1, NO, NO, 0.8, "290 310 330", "")
    write_rows(folder / "arrhenius.csv", ArrheniusRow, [fit])
    study = {"name": "demo", "clusters": {}, "trajectories": {"box": {}, "drop": {}}}
    (folder / "provenance.json").write_text(json.dumps({"study": study}))
    return folder


def section(results: Path) -> str:
    page = write_report(results).read_text(encoding="utf-8")
    part = page[page.index('<section id="transport">') : page.index('<section id="structures">')]
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", part)))


def test_numbers_stand_with_their_errors_and_units(results: Path) -> None:
    box, drop = movements(load(results))
    assert (box.lines[0].value, box.lines[0].unit) == (pytest.approx(1.28745), "10⁻⁶ cm²/s")
    assert box.lines[0].window == "30 to 250"
    assert (drop.lines, drop.refusal) == ((), "a droplet: it has no volume to conduct in")
    text = section(results)
    assert "self-diffusion Li+ 1.29 ± 0.03 10⁻⁶ cm²/s" in text
    assert "conductivity of all charges together (Einstein) all ions 3.7 ± 0.4 mS/cm" in text


def test_what_is_not_known_is_a_bound_or_a_sentence(results: Path) -> None:
    text = section(results)
    assert f"self-diffusion PF6- at most 0.50 10⁻⁶ cm²/s {SHORT}" in text
    assert "drop No diffusion and no conductivity: a droplet: it has no volume to conduct in." in text


def test_activation_energies_name_their_temperatures(results: Path) -> None:
    (found,) = activations(load(results))
    assert found["words"] == "self-diffusion"
    assert "mine self-diffusion Li+ 21.4 ± 1.1 290 310 330" in section(results)


def test_displacements_are_drawn_with_the_window_of_each_fit(results: Path) -> None:
    write_report(results)
    drawn = (results / "figures" / "msd_box.svg").read_text()
    assert 'id="fit:Li+"' in drawn
    assert 'id="fit:charge"' in drawn
    assert 'id="fit:PF6-"' not in drawn
    assert not (results / "figures" / "msd_drop.svg").exists()


def test_a_study_without_transport_says_so(results: Path) -> None:
    for name in ("transport", "msd", "arrhenius"):
        (results / f"{name}.csv").unlink()
    (results / "rdf.csv").write_text("trajectory,center,donor,r_A,g,n\nbox,Li+,O,1,0,0\n")
    assert "No transport: the study has no trajectories" in section(results)
