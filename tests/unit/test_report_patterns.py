"""Angles and structure factors on the page: means with errors, figures for those that have them."""

from __future__ import annotations

import io
import json
import math
import re
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from solvation.patterns.angles import AngleRow
from solvation.patterns.scattering import StructureFactorRow
from solvation.report import write_report
from solvation.report.inputs import load
from solvation.report.patterns import angle_figure, angle_means, scattering_figure
from solvation.tidy import write_rows


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "demo"
    folder.mkdir()
    angles = [
        AngleRow(
            name, kind, float(theta), math.exp(-(((theta - peak) / 9) ** 2)) / 16, 0.004, 1.0, peak - 2.0, 0.6, 480
        )
        for name in ("box", "drop")
        for kind, peak in (("O-Li-O", 109.0), ("Li-O-C", 141.0))
        for theta in np.arange(1, 180, 2)
    ]
    write_rows(folder / "angles.csv", AngleRow, angles)
    factors = [
        StructureFactorRow("box", radiation, pair, float(q), 1 + math.sin(2 * q) / q, 0.02, 40.0, 1.0, "", 60)
        for radiation, pair in (("partial", "Li-O"), ("partial", "O-O"), ("xray", ""), ("neutron", ""))
        for q in np.arange(0.5, 8, 0.1)
    ]
    write_rows(folder / "structure_factor.csv", StructureFactorRow, factors)
    study = {"name": "demo", "clusters": {}, "trajectories": {"box": {}, "drop": {}}}
    (folder / "provenance.json").write_text(json.dumps({"study": study}))
    return folder


def section(results: Path) -> str:
    page = write_report(results).read_text(encoding="utf-8")
    part = page[page.index('<section id="patterns">') : page.index('<section id="structures">')]
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", re.sub(r"<svg.*?</svg>", "", part, flags=re.DOTALL))))


def test_means_and_most_frequent_angles_stand_in_a_table(results: Path) -> None:
    found = angle_means(load(results))
    assert [(row["angle"], row["most_deg"]) for row in found["drop"]] == [("O-Li-O", 109.0), ("Li-O-C", 141.0)]
    assert "O-Li-O 107.0 ± 0.6 109 480" in section(results)


def test_only_trajectories_that_have_them_are_drawn(results: Path) -> None:
    text = section(results)
    assert "Structure factors of box" in text
    assert "Structure factors of drop" not in text
    drawn = (results / "figures" / "scattering_box.svg").read_text()
    assert 'id="s:xray"' in drawn
    assert 'id="s:neutron"' in drawn
    assert (results / "figures" / "angles_drop.png").exists()


def test_without_boxes_the_page_says_so(results: Path) -> None:
    (results / "structure_factor.csv").unlink()
    (results / "angles.csv").write_text("trajectory,angle,theta_deg,density_per_deg,mean_deg\n")
    (results / "rdf.csv").write_text("trajectory,center,donor,r_A,g,n\nbox,Li+,O,1,0,0\n")
    text = section(results)
    assert "No structure factors: only periodic boxes have them." in text
    assert "No angles" in text


def test_kinds_of_a_handful_of_angles_are_not_drawn() -> None:
    """Eight angles of a ring O, all in four bins, stood three times as high as the carbonyls."""
    columns = ["angle", "theta_deg", "density_per_deg", "density_stderr_per_deg", "n_angles"]
    rows = [(kind, theta, 0.01, 0.001, n) for kind, n in (("O-Li-O", 900), ("ring O-Li-N", 8), ("N-Li-N", 50))
            for theta in range(1, 180, 2)]  # fmt: skip
    (axes,) = angle_figure(pd.DataFrame(rows, columns=columns), ["k"] * 7).axes
    assert [line.get_label() for line in axes.lines] == ["O-Li-O", "N-Li-N"]
    few = [row for row in rows if row[-1] == 8]
    (axes,) = angle_figure(pd.DataFrame(few, columns=columns), ["k"] * 7).axes
    assert [line.get_label() for line in axes.lines] == ["ring O-Li-N"]


def test_of_many_kinds_of_angles_the_figure_shows_those_that_were_met_most() -> None:
    """Eight donors make 36 pairs around an ion: their legend pushed the axes out of the figure."""
    rows = [(f"O{kind}-Li-N", theta, 0.005, 0.001, 100 * kind) for kind in range(30) for theta in range(1, 180, 2)]
    columns = ["angle", "theta_deg", "density_per_deg", "density_stderr_per_deg", "n_angles"]
    figure = angle_figure(pd.DataFrame(rows, columns=columns), ["k"] * 7)
    (axes,) = figure.axes
    assert [line.get_label() for line in axes.lines] == [f"O{kind}-Li-N" for kind in range(23, 30)]
    (legend,) = figure.legends
    assert not axes.get_legend()
    assert len(legend.get_texts()) == 7


def test_a_donor_with_dollars_in_its_name_is_no_mathematics():
    kinds = [r"O$\frac-Li-O$\frac", "O$x-Li-O$x"]
    rows = [
        AngleRow("box", kind, float(theta), 0.01, 0.004, 1.0, 90.0, 0.6, 480)
        for kind in kinds
        for theta in range(1, 180, 2)
    ]
    figure = angle_figure(pd.DataFrame(rows), ["k", "b"])
    figure.savefig(io.StringIO(), format="svg")
    factors = pd.DataFrame(
        StructureFactorRow("box", radiation, pair, q / 10, 1.1, 0.02, 40.0, 1.0, "", 60)
        for radiation, pair in (("partial", kinds[0]), ("partial", kinds[1]), ("xray", ""), ("neutron", ""))
        for q in range(5, 80)
    )
    scattering_figure(factors, ["k"] * 7).savefig(io.StringIO(), format="svg")
