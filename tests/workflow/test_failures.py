"""A cluster that cannot be found and a level that fails: the others finish, the tables say why, retry mends it."""

import csv
import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.workflow
#: No bite of cyanogen holds one ion with both ends.
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
levels: {search: ["ase:toy.flat"], rank: null, energy: ["ase:toy.flat", "ase:toy.fragile"]}
sampling: {searches: 1, conformers: 1, starts: 4, relaxed: 2, ranked: 2}
"""
#: A flat surface, so that the starts are the structures, and the same one without parameters for lithium in company.
TOY = """
import numpy as np
from ase.calculators.calculator import Calculator, all_changes


class Flat(Calculator):
    implemented_properties = ["energy", "forces"]

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        bond = -2.0 if "Li" in atoms.symbols and len(atoms) > 1 else 0.0
        self.results = {"energy": bond - float(sum(atoms.numbers)), "forces": np.zeros((len(atoms), 3))}


class Fragile(Flat):
    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        if "Li" in atoms.symbols and len(atoms) > 1 and not WHOLE:
            raise RuntimeError("no parameters for lithium")
        super().calculate(atoms, properties, system_changes)


def flat(charge=0):
    return Flat()


def fragile(charge=0):
    return Fragile()


WHOLE = False
"""
FLAT, FRAGILE = "ase:toy.flat", "ase:toy.fragile"


def table(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / "results" / "s" / name).open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def done(workflow, run, tmp_path_factory):
    folder = workflow(tmp_path_factory.mktemp("failures"), STUDY)
    (folder / "toy.py").write_text(TOY)
    ran = run(folder, "snakemake", "--cores", "2", "--config", "study=s.yaml")
    assert ran.returncode == 0, ran.stderr[-4000:] + ran.stdout[-2000:]
    return folder, ran


def test_the_tables_hold_what_was_computed_and_why_the_rest_was_not(done):
    rows = {(row["cluster"], row["level"], row["definition"]): row for row in table(done[0], "binding.csv")}
    assert {key[:2]: row["status"] for key, row in rows.items()} == {
        ("good", FLAT): "ok", ("good", FRAGILE): "failed", ("bad", FLAT): "failed", ("bad", FRAGILE): "failed",
    }  # fmt: skip
    assert float(rows["good", FLAT, "relaxed"]["energy_eV"]) == pytest.approx(-2.0)
    lost = {key: row for key, row in rows.items() if row["status"] == "failed"}
    assert all(row["energy_eV"] == "" for row in lost.values())
    assert all("none of 4 starts became" in row["note"] for key, row in lost.items() if key[0] == "bad")
    assert "no parameters for lithium" in rows["good", FRAGILE, "relaxed"]["note"]


def test_comparisons_with_a_failure_say_so(done):
    rows = {(row["subject"], row["quantity"], row["level"]): row for row in table(done[0], "comparison.csv")}
    swap = rows["bad - good", "exchange_energy[relaxed]", FLAT]
    assert swap["value"] == ""
    assert "bad: cluster of bad failed: none of 4 starts" in swap["note"]
    assert rows["good", "binding_energy[relaxed]", FLAT]["rank"] == "1"
    assert rows["bad", "binding_energy[relaxed]", FLAT]["rank"] == ""


def test_the_report_and_the_last_words_name_what_failed_first(done):
    folder, ran = done
    page = (folder / "results/s/report.html").read_text()
    for text in ("cluster of bad failed: none of 4 starts", "RuntimeError: no parameters for lithium"):
        assert text in page
    first = {(row["step"], row["subject"], row["level"]) for row in table(folder, "failures.csv") if not row["needs"]}
    assert first == {("cluster", "bad", ""), ("binding", "good", FRAGILE)}
    assert "solvation retry s.yaml" in ran.stderr + ran.stdout
    assert "Traceback" in (folder / "logs/s/binding/good_ase_toy.fragile.log").read_text()


def test_failed_steps_wait_for_retry_and_finished_ones_are_left_alone(done, run):
    folder, _ = done
    again = run(folder, "snakemake", "--cores", "2", "--config", "study=s.yaml")
    assert "Nothing to be done" in again.stdout + again.stderr
    (folder / "toy.py").write_text(TOY.replace("WHOLE = False", "WHOLE = True"))
    told = run(folder, "solvation", "retry", "s.yaml")
    assert told.returncode == 0, told.stderr
    assert "cluster of bad (clusters/bad/ensemble.extxyz): none of 4 starts" in told.stdout
    assert f"binding of bad at {FLAT} (energies/bad/ase_toy.flat.json): needs cluster of bad" in told.stdout
    kept = [
        *folder.glob("results/s/energies/references/*/*.json"),
        folder / "results/s/energies/good/ase_toy.flat.json",
    ]
    old = [path.stat().st_mtime_ns for path in kept]
    ran = run(folder, "snakemake", "--cores", "2", "--config", "study=s.yaml")
    assert ran.returncode == 0, ran.stderr[-4000:]
    assert [path.stat().st_mtime_ns for path in kept] == old
    status = {(row["cluster"], row["level"]): row["status"] for row in table(folder, "binding.csv")}
    assert status == {
        ("good", FLAT): "ok",
        ("good", FRAGILE): "ok",
        ("bad", FLAT): "failed",
        ("bad", FRAGILE): "failed",
    }


def test_a_mistake_of_the_user_stops(run, tmp_path):
    card = {"name": "x", "species": {"smiles": "O(O"}, "search": ["gfn2"], "geometry": None, "sampling": {}, "seed": 1}
    words = ("solvation", "ligand", "--card", json.dumps(card), "--output", "x.extxyz")
    tried = run(tmp_path, *words, SOLVATION_KEEP_GOING="1")
    assert tried.returncode == 2
    assert "not a SMILES" in tried.stderr
    assert not (tmp_path / "x.extxyz").exists()


@pytest.mark.slow
def test_a_job_that_is_killed_each_time_can_be_given_up(workflow, run, tmp_path):
    folder = workflow(tmp_path, STUDY.replace("  bad: {composition: {Li+: 1, NN: 1}, denticity: {NN: 2}}", ""))
    killer = "import os, signal\n" + TOY.replace(
        'raise RuntimeError("no parameters for lithium")', "os.kill(os.getpid(), signal.SIGKILL)"
    )
    (folder / "toy.py").write_text(killer)
    command = (
        "snakemake",
        "--cores",
        "2",
        "--workflow-profile",
        "workflow/profiles/default",
        "--config",
        "study=s.yaml",
    )
    killed = run(folder, *command, "--retries", "2")
    assert killed.returncode != 0
    # The exit code of the step counts, not that of `tee`.
    assert "command exited with non-zero exit code" in killed.stderr
    assert "MissingOutputException" not in killed.stderr
    assert not (folder / "results/s/report.html").exists()
    told = run(folder, "solvation", "give-up", "s.yaml")
    assert told.returncode == 0, told.stderr
    assert f"binding of good {FRAGILE}: given up; it ended without a result" in told.stdout
    ran = run(folder, *command)
    assert ran.returncode == 0, ran.stderr[-4000:]
    status = {row["level"]: row for row in table(folder, "binding.csv")}
    assert status[FLAT]["status"] == "ok"
    assert status[FRAGILE]["status"] == "failed"
    assert "given up; it ended without a result" in status[FRAGILE]["note"]


@pytest.mark.slow
def test_what_is_there_so_far_has_a_report_and_then_the_study_goes_on(workflow, run, tmp_path):
    folder = workflow(tmp_path, STUDY.replace("  bad: {composition: {Li+: 1, NN: 1}, denticity: {NN: 2}}", ""))
    (folder / "toy.py").write_text(TOY)
    command = (
        "snakemake",
        "--cores",
        "2",
        "--workflow-profile",
        "workflow/profiles/default",
        "--config",
        "study=s.yaml",
    )
    first = run(folder, *command, "--until", "cluster")
    assert first.returncode == 0, first.stderr[-4000:]
    told = run(folder, "solvation", "give-up", "s.yaml", "--rest")
    assert "binding of good" in told.stdout
    ran = run(folder, *command)
    assert ran.returncode == 0, ran.stderr[-4000:]
    assert (folder / "results/s/report.html").exists()
    assert {row["status"] for row in table(folder, "binding.csv")} == {"failed"}
    assert {row["note"].rpartition(": ")[2] for row in table(folder, "binding.csv")} == {"not computed so far"}
    searched = (folder / "results/s/clusters/good/ensemble.extxyz").stat().st_mtime_ns
    assert run(folder, "solvation", "retry", "s.yaml").returncode == 0
    ran = run(folder, *command)
    assert ran.returncode == 0, ran.stderr[-4000:]
    assert {row["level"]: row["status"] for row in table(folder, "binding.csv")}[FLAT] == "ok"
    assert (folder / "results/s/clusters/good/ensemble.extxyz").stat().st_mtime_ns == searched
