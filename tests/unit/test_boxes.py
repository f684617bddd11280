"""Boxes of classical liquids in the tables, beside measured densities and on the page."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

from solvation.archive import lineage
from solvation.comparison import compare
from solvation.dynamics.equilibration import Equilibrated
from solvation.errors import ResultsError
from solvation.failures import keep_going
from solvation.provenance import Stopwatch, record, write_json, write_text
from solvation.report.boxes import boxes
from solvation.report.inputs import load
from solvation.report.verdict import verdict
from solvation.study import load_study
from solvation.tables.boxes import BoxRow
from solvation.tables.liquids import TABLES, write_liquid_tables
from solvation.tidy import read_rows, write_rows

STUDY = """
name: s
species: {Li+: , PF6-: , MeCN: }
trajectories:
  still: &box
    {forcefield: gaff2, composition: {Li+: 2, PF6-: 2, MeCN: 60}, density_g_cm3: 0.7, cutoff_A: 7, length_ps: 10}
  creeping: *box
  burst: *box
published:
  - {quantity: density, subject: still, value: 800, unit: kg/m3, source: somebody}
  - {quantity: density, subject: creeping, value: 0.9, unit: g/cm3, source: somebody}
"""
RESULT = {"molarity": {"Li+": 0.75, "PF6-": 0.75, "MeCN": 22.5}}
CARD = {"name": "still", "settings": {"temperature_K": 298}}


def series(end_g_cm3: float) -> str:
    """Equilibration of 400 samples at either stage around 0.8 g/cm3, whose density creeps to `end_g_cm3`."""
    rng = np.random.default_rng(3)
    time_ps = np.arange(1, 801) * 0.2
    density = 0.8 + 0.004 * rng.standard_normal(800) + np.linspace(0, end_g_cm3 - 0.8, 800)
    energy, kelvin = -20 + rng.standard_normal(800), 298 + 5 * rng.standard_normal(800)
    rows = np.column_stack([time_ps, density, energy, kelvin])
    return Equilibrated(None, rows, 400).table()  # type: ignore[arg-type]


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(STUDY)
    read = load_study(Path("s.yaml"))
    for name, end in (("still", 0.8), ("creeping", 0.82)):
        folder = read.folder / "trajectories" / name
        write_text(folder / "equilibration.csv", series(end))
        made = record(step="pack", card=CARD | {"name": name}, inputs=[], stopwatch=Stopwatch(), seed=1)
        numbers = {"Li+": 2, "PF6-": 2, "MeCN": 60}
        told = {
            "numbers": numbers,
            "net_charge": int(name == "creeping"),
            "mixed_terms": {"Li+": ["PF6- fluorine"]},
            "result": RESULT,
        }
        write_json(folder / "equilibration.json", {**made, **told})
        (folder / "start.npz").write_bytes(b"a state")
    monkeypatch.setenv("SOLVATION_KEEP_GOING", "1")
    burst = read.folder / "trajectories" / "burst"
    with keep_going("pack", '{"name": "burst"}', inputs=[], outputs=[burst / "start.npz"]):
        raise RuntimeError("the box blew up")
    write_boxes(read)
    return read


def write_boxes(study) -> None:
    """`boxes.csv` alone: the other tables of the trajectories are there, without rows."""
    for name in study.trajectories:
        for table, kind in TABLES.items():
            write_rows(study.folder / "trajectories" / name / table, kind, [])
    write_liquid_tables(study)


def test_each_box_tells_its_density_its_drift_and_what_it_holds(study) -> None:
    rows = {(row.trajectory, row.quantity, row.species): row for row in read_rows(study.folder / "boxes.csv", BoxRow)}
    still, creeping = (rows[name, "density", ""] for name in ("still", "creeping"))
    assert still.value == pytest.approx(0.8, abs=0.001)
    assert 0 < still.stderr < 0.002
    assert abs(still.drift) < 2 * still.drift_stderr
    # Noise of 0.004 in 267 independent samples: a line through them is known to 0.0008 from end to end.
    told = re.fullmatch(r"settled; a drift below ([\d.]+) g/cm3 may be missed", still.note)
    assert told
    assert float(told[1]) == pytest.approx(0.004 * math.sqrt(12 / 267) * (1.99 + 1.66), rel=0.2)
    # From 0.8 by 0.02 over 800 samples: two thirds of the first 400 hold a third of that.
    assert creeping.drift == pytest.approx(0.02 / 3, abs=0.002)
    assert creeping.note == "NOT settled, run longer"
    assert rows["still", "potential_energy", ""].note.startswith("settled; a drift below ")
    assert rows["still", "temperature", ""].note.endswith(" K may be missed")
    assert rows["still", "temperature", ""].value == pytest.approx(298, abs=1.5)
    assert (rows["still", "net_charge", ""].value, rows["still", "net_charge", ""].note) == (0, "")
    assert rows["creeping", "net_charge", ""].note == "neutralised by a uniform background"
    assert rows["still", "molarity", "Li+"].value == 0.75
    assert rows["still", "molarity", "Li+"].note == "meets PF6- fluorine by mixed terms"
    assert rows["still", "molecules", "MeCN"].value == 60


def test_a_box_at_another_temperature_than_its_thermostat_is_told(study) -> None:
    path = study.folder / "trajectories" / "still" / "equilibration.json"
    path.write_text(path.read_text().replace('"temperature_K": 298', '"temperature_K": 313'))
    write_boxes(study)
    rows = {(row.trajectory, row.quantity): row for row in read_rows(study.folder / "boxes.csv", BoxRow)}
    assert rows["still", "temperature"].note == "NOT at the 313 K that were asked for"
    still, *_ = boxes(load(study.folder))
    assert still.restless == ("temperature NOT at the 313 K that were asked for",)


def test_a_box_that_could_not_be_packed_is_there_with_the_reason(study) -> None:
    rows = [row for row in read_rows(study.folder / "boxes.csv", BoxRow) if row.trajectory == "burst"]
    assert [row.quantity for row in rows] == ["density"]
    assert math.isnan(rows[0].value)
    assert "the box blew up" in rows[0].note


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("equilibration.json", None),
        ("equilibration.json", '{"step": "pack"}'),
        ("equilibration.json", '{"result": 3, "numbers": {}, "mixed_terms": {}}'),
        ("equilibration.csv", None),
        ("equilibration.csv", "stage,time_ps\nnpt,1\n"),
    ],
)
def test_a_damaged_box_is_named_with_the_mend(study, file, damage) -> None:
    path = study.folder / "trajectories" / "still" / file
    path.unlink()
    if damage:
        path.write_text(damage)
    with pytest.raises(ResultsError) as caught:
        write_liquid_tables(study)
    assert str(caught.value).startswith(f"{path}")
    assert str(caught.value).endswith("remove results/s/trajectories/still/start.npz and run the study again")
    assert str(caught.value).count("; ") == 1


def test_a_measured_density_stands_beside_and_three_percent_is_the_same(study) -> None:
    found = {row.subject: row for row in compare(study) if row.quantity == "density"}
    assert found["still"].published == pytest.approx(0.8)
    assert re.fullmatch(r"settled; a drift below .* may be missed; reproduced", found["still"].note)
    assert "NOT reproduced: off by -0.0" in found["creeping"].note
    assert math.isnan(found["burst"].value)


def test_the_page_shows_every_box_and_says_which_did_not_come_to_rest(study) -> None:
    inputs = load(study.folder)
    still, creeping, burst = boxes(inputs)
    assert still.holds == ("2 Li+ (0.75 mol/L)", "2 PF6- (0.75 mol/L)", "60 MeCN (22.50 mol/L)")
    assert still.restless == ()
    assert still.notes == ("Li+ meets PF6- fluorine by mixed terms",)
    assert creeping.restless == ("density NOT settled, run longer",)
    assert "net charge +1 e, neutralised by a uniform background" in creeping.notes
    assert "the box blew up" in burst.notes[0]
    said = [sentence for sentence in verdict(inputs) if "come to rest" in sentence]
    assert said == [
        "The box of creeping had not come to rest when its recording began: density NOT settled, run longer."
    ]


def test_a_density_is_followed_to_the_packing_of_its_box(study) -> None:
    assert lineage.why("boxes still density", study.folder).asked == ("trajectories/still/equilibration.json",)
    (study.folder / "comparison.csv").write_text("subject,quantity,level\nstill,density,\n")
    assert lineage.why("comparison still", study.folder).asked == ("trajectories/still/equilibration.json",)
