"""Bridges and clusters on the page: shares with their errors, and nothing of a single ion among neutral molecules."""

from __future__ import annotations

import json
import math
import re
from html import unescape
from pathlib import Path

import pytest

from solvation.report import write_report
from solvation.report.inputs import load
from solvation.report.networks import liquid_networks
from solvation.tables.shells import NetworkRow, SpeciationRow
from solvation.tidy import write_rows

NO = math.nan


def row(trajectory, linked_by, quantity, value, stderr=NO, kind="", n_ions=None):
    return NetworkRow(trajectory, linked_by, quantity, kind, n_ions, value, stderr, 100, NO, "")


def clusters(trajectory, linked_by, shares, largest, n_ions):
    """Shares by label and number of ions."""
    return [
        *(row(trajectory, linked_by, "cluster", share, 0.02, kind, ions) for (kind, ions), share in shares.items()),
        row(trajectory, linked_by, "mean_ions", 1.34, 0.05),
        row(trajectory, linked_by, "largest_ions", largest, 0.1),
        row(trajectory, linked_by, "largest_share", largest / n_ions, 0.01),
        row(trajectory, linked_by, "spanning", 0.25, 0.04),
    ]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "demo"
    folder.mkdir()
    shares = {("1 LI", 1): 0.4, ("1 LI + 1 PF6", 1): 0.35, ("1 LI + 2 PF6", 1): 0.0, ("2 LI + 1 PF6", 2): 0.25}
    many = {("", size): 0.1 for size in range(1, 11)}
    rows = [
        *(row("salt", "PF6", "holds", share, 0.01, "", n) for n, share in enumerate((0.7, 0.2, 0.1))),
        row("salt", "PF6", "bridged", 0.25, 0.03),
        *clusters("salt", "ligands", many, 10, 20),
        *clusters("salt", "anions", shares, 4, 20),
        row("lone", "EC", "holds", 0.9, NO, "", 0),
        *clusters("lone", "ligands", {("", 1): 1.0}, 1, 1),
    ]
    write_rows(folder / "networks.csv", NetworkRow, rows)
    shells = [SpeciationRow(name, "shell", "4 EC(1)", 1.0, NO, 100, NO, "", "") for name in ("salt", "lone")]
    write_rows(folder / "speciation.csv", SpeciationRow, shells)
    study = {"name": "demo", "clusters": {}, "trajectories": {"salt": {}, "lone": {}}}
    (folder / "provenance.json").write_text(json.dumps({"study": study}))
    return folder


def test_only_liquids_with_several_ions_or_anions_have_a_network(results: Path) -> None:
    found = liquid_networks(load(results))
    assert list(found) == ["salt"]
    assert found["salt"].n_ions == 20
    assert [item.linked_by for item in found["salt"].clusters] == ["anions", "ligands"]


def test_rare_kinds_are_summed_up(results: Path) -> None:
    by_anions, by_any = liquid_networks(load(results))["salt"].clusters
    assert [item["kind"] for item in by_anions.clusters] == ["1 LI", "1 LI + 1 PF6", "1 LI + 2 PF6", "2 LI + 1 PF6"]
    assert by_anions.rest == 0
    assert [item["n_ions"] for item in by_any.clusters] == list(range(1, 9))
    assert by_any.rest == pytest.approx(0.2)


def test_bridges_and_clusters_stand_in_the_page_with_errors(results: Path) -> None:
    page = write_report(results).read_text(encoding="utf-8")
    section = page[page.index('<section id="shells">') : page.index('<section id="structures">')]
    text = re.sub(r" (?=[,;])", "", re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", section))))
    assert "that hold so many of the 20 ions at once" in text
    assert "PF6 0.700 ± 0.010 0.200 ± 0.010 0.100 ± 0.010 0.25 ± 0.03" in text
    assert "the largest 4.00 ± 0.10, which is 0.200 ± 0.010 of all; it spans the box in 0.25 ± 0.04 of" in text
    assert "1 LI 1 LI + 1 PF6 1 LI + 2 PF6 2 LI + 1 PF6 0.40 ± 0.02" in text
    assert "8 ions others" in text


def test_results_of_before_have_no_networks(results: Path) -> None:
    (results / "networks.csv").unlink()
    found = load(results)
    assert liquid_networks(found) == {}
    assert not any("networks" in problem for problem in found.problems)
