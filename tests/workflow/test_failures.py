"""One cluster, one level and one trajectory that fail: the others finish, every table says why, and retry mends it."""

import csv
import json
import math
from pathlib import Path

import pytest

import solvation

pytestmark = pytest.mark.workflow
#: No bite of cyanogen holds one ion with both ends; `fragile` computes atoms and molecules, but nothing with lithium.
STUDY = """
name: s
seed: 1
species:
  Li+:
  W: {smiles: O}
  NN: {smiles: "N#CC#N"}
clusters:
  good: {composition: {Li+: 1, W: 1}}
  bad: {composition: {Li+: 1, NN: 1}, denticity: {NN: 2}}
levels:
  search: [gfn2]
  rank: null
  energy: [gfn2, "ase:fragile.calculator"]
  bonding: [pbe/sto-3g]
  oxidation: [gfn2]
thermochemistry: {}
sampling: {conformers: 1, starts: 4, relaxed: 2, ranked: 2}
trajectories:
  drop:
    composition: {Li+: 1, W: 3}
    level: "ase:fragile.calculator"
    length_ps: 0.02
    equilibration_ps: 0.005
    segments: 1
    save_every_fs: 5
analysis: {r_max_A: 4.0, n_bins: 40}
published:
  - {quantity: binding_energy_difference, subject: bad - good, value: 0.5, unit: eV, source: an invented value}
"""
FRAGILE = """
import numpy as np
from ase.calculators.calculator import Calculator, all_changes


class Fragile(Calculator):
    implemented_properties = ["energy", "forces"]

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        alone = "Li" not in atoms.symbols or len(atoms) == 1
        if not alone and not WHOLE:
            raise RuntimeError("no parameters for lithium")
        self.results = {"energy": -float(sum(atoms.numbers)) - len(atoms), "forces": np.zeros((len(atoms), 3))}


def calculator(charge=0):
    return Fragile()


WHOLE = False
"""


def table(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / "results" / "s" / name).open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def done(workflow, run, tmp_path_factory):
    folder = workflow(tmp_path_factory.mktemp("failures"), STUDY)
    (folder / "fragile.py").write_text(FRAGILE)
    ran = run(folder, "snakemake", "--cores", "2", "--config", "study=s.yaml")
    assert ran.returncode == 0, ran.stderr[-4000:] + ran.stdout[-2000:]
    return folder, ran


def test_what_does_not_depend_on_a_failure_is_computed(done):
    rows = {(row["cluster"], row["level"], row["definition"]): row for row in table(done[0], "binding.csv")}
    good = rows["good", "gfn2", "relaxed"]
    assert good["status"] == "ok"
    assert float(good["energy_eV"]) < -1
    oxidised = {row["subject"]: row["vertical_eV"] for row in table(done[0], "oxidation.csv")}
    assert float(oxidised["W"]) > 5
    assert float(oxidised["good"]) > 5


def test_every_table_has_the_failures_with_their_reasons(done):
    folder, _ = done
    lost = {(row["cluster"], row["level"]): row for row in table(folder, "binding.csv") if row["status"] == "failed"}
    level = "ase:fragile.calculator"
    assert set(lost) == {("bad", "gfn2"), ("bad", level), ("good", level)}
    assert all(row["energy_eV"] == "" for row in lost.values())
    assert "none of 4 starts became the cluster asked for" in lost["bad", "gfn2"]["note"]
    assert "none of 4 starts" in lost["bad", level]["note"]
    assert "no parameters for lithium" in lost["good", level]["note"]
    for name in ("thermochemistry", "ensemble", "bonding"):
        notes = [row["note"] for row in table(folder, f"{name}.csv") if row["cluster"] == "bad"]
        assert notes, name
        assert all("cluster of bad failed" in note for note in notes), name
    (oxidation,) = [row for row in table(folder, "oxidation.csv") if row["subject"] == "bad"]
    assert (oxidation["vertical_eV"], "cluster of bad failed" in oxidation["note"]) == ("", True)
    for name in ("coordination", "residence"):
        (row,) = table(folder, f"{name}.csv")
        assert row["trajectory"] == "drop"
        assert "no parameters for lithium" in row["verdict"]
    assert table(folder, "rdf.csv") == []


def test_comparisons_with_a_failure_say_so(done):
    rows = {(row["subject"], row["quantity"], row["level"]): row for row in table(done[0], "comparison.csv")}
    swap = rows["bad - good", "exchange_energy[relaxed]", "gfn2"]
    assert swap["value"] == ""
    assert "none of 4 starts" in swap["note"]
    assert "not found here" in swap["note"]
    assert float(swap["published"]) == 0.5
    assert rows["good", "binding_energy[relaxed]", "gfn2"]["rank"] == "1"
    assert rows["bad", "binding_energy[relaxed]", "gfn2"]["rank"] == ""
    assert "no parameters" in rows["drop / all donors", "coordination_number[atom]", ""]["note"]
    free = rows["bad - good", "exchange_gibbs_energy[grimme]", "gfn2"]
    assert (free["value"], "none of 4 starts" in free["note"]) == ("", True)


def test_failures_are_listed_with_the_step_that_failed_first(done):
    folder, ran = done
    rows = table(folder, "failures.csv")
    first = {(row["step"], row["subject"], row["level"]) for row in rows if not row["needs"]}
    assert first == {("cluster", "bad", ""), ("binding", "good", "ase:fragile.calculator"), ("pack", "drop", "")}
    assert {row["needs"] for row in rows if row["step"] == "oxidation"} == {"cluster of bad"}
    assert "solvation retry s.yaml" in ran.stderr + ran.stdout
    steps = json.loads((folder / "results/s/provenance.json").read_text())["steps"]
    assert {step["status"] for step in steps} == {"ok", "failed"}


def test_the_report_shows_them(done):
    page = (done[0] / "results/s/report.html").read_text()
    assert "cluster of bad failed: none of 4 starts" in page
    assert "binding of good at ase:fragile.calculator failed: RuntimeError: no parameters for lithium" in page
    assert "solvation retry STUDY" in page


def test_python_sees_them(done):
    results = solvation.load_results(done[0] / "results" / "s")
    assert results.structures["bad"] == ()
    assert len(results.structures["good"]) >= 1
    assert "cluster" in {row.step for row in results.failures}
    assert all(math.isnan(row.energy_eV) for row in results.binding if row.status == "failed")


def test_by_hand_a_failure_is_an_error(done, run):
    card = {"name": "bad", "composition": {"Li+": 1, "NN": 1}, "level": "gfn2", "geometries": ["gfn2"]}
    card["species"] = {"Li+": {}, "NN": {"smiles": "N#CC#N"}}
    ensemble = "results/s/clusters/bad/ensemble.extxyz"
    tried = run(done[0], "solvation", "oxidation", "--card", json.dumps(card), "--output", "no.json", ensemble)
    assert tried.returncode == 2
    assert tried.stderr.splitlines()[-1].startswith("error: cluster of bad failed: none of 4 starts")
    assert not (done[0] / "no.json").exists()


def test_a_second_run_has_nothing_to_do_until_retry(done, run):
    folder, _ = done
    again = run(folder, "snakemake", "--cores", "2", "--config", "study=s.yaml")
    assert "Nothing to be done" in again.stdout + again.stderr
    (folder / "fragile.py").write_text(FRAGILE.replace("WHOLE = False", "WHOLE = True"))
    told = run(folder, "solvation", "retry", "s.yaml")
    assert told.returncode == 0, told.stderr
    assert "cluster of bad (clusters/bad/ensemble.extxyz): none of 4 starts" in told.stdout
    assert "needs cluster of bad, which failed" in told.stdout
    assert "nothing failed" in run(folder, "solvation", "retry", "s.yaml").stdout
    old = (folder / "results/s/energies/good/gfn2.json").stat().st_mtime_ns
    ran = run(folder, "snakemake", "--cores", "2", "--config", "study=s.yaml")
    assert ran.returncode == 0, ran.stderr[-4000:]
    assert (folder / "results/s/energies/good/gfn2.json").stat().st_mtime_ns == old
    status = {(row["cluster"], row["level"]): row["status"] for row in table(folder, "binding.csv")}
    assert status == {
        ("good", "gfn2"): "ok", ("good", "ase:fragile.calculator"): "ok",
        ("bad", "gfn2"): "failed", ("bad", "ase:fragile.calculator"): "failed",
    }  # fmt: skip
    assert float(table(folder, "coordination.csv")[0]["n_frames"]) > 0


def test_a_mistake_of_the_user_stops(done, run):
    card = {"name": "x", "species": {"smiles": "O(O"}, "search": ["gfn2"], "geometry": None, "sampling": {}, "seed": 1}
    tried = run(
        done[0], "solvation", "ligand", "--card", json.dumps(card), "--output", "x.extxyz", SOLVATION_KEEP_GOING="1"
    )
    assert tried.returncode == 2
    assert "not a SMILES" in tried.stderr
    assert not (done[0] / "x.extxyz").exists()
