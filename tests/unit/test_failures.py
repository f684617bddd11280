"""Failed results: written where the workflow asked for it, passed on, told by every table and the report."""

import json
import math
import re
from dataclasses import fields
from pathlib import Path

import pytest
from ase import Atoms

from solvation import load_results
from solvation.clusters.ensembles import Structure, read_structures, write_rejected, write_structures
from solvation.comparison import compare, write_comparison
from solvation.errors import EngineFailed, ResultsError, StepFailed, StudyError
from solvation.failures import SWITCH, failures, is_failed, keep_going, read_result, refuse_failed, retry
from solvation.provenance import read_steps
from solvation.report import write_report
from solvation.study import Level, load_study
from solvation.study.cards import ligand_card
from solvation.study.targets import LIQUID_TABLES, PATTERN_TABLES, TRANSPORT_TABLES, all_files, tables, unasked_tables
from solvation.tables.bonding import write_bonding_tables
from solvation.tables.energies import write_tables
from solvation.tables.liquids import TABLES, write_liquid_tables
from solvation.tidy import write_rows

STUDY = """
name: s
species: {Li+: , W: {smiles: O}, A: {smiles: N}}
clusters:
  found: {composition: {Li+: 1, W: 1}}
  lost: {composition: {Li+: 1, A: 1}}
levels: {search: [gfn2], rank: null, energy: [pbe/sto-3g], counterpoise: [pbe/sto-3g], bonding: [pbe/sto-3g],
         oxidation: [gfn2]}
thermochemistry: {}
trajectories: {drop: {composition: {Li+: 1, W: 5}}}
published:
  - {quantity: binding_energy_difference, subject: lost - found, value: 0.5, unit: eV, source: an invented value}
"""
WHY = "the SCF did not converge"


def fail(step: str, name: str, *outputs: Path, level: str | None = None, problem: Exception | None = None) -> None:
    card = {"name": name, **({"level": level} if level else {})}
    with keep_going(step, json.dumps(card), inputs=[], outputs=outputs):
        raise problem or EngineFailed(WHY)


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Cluster `found` was found and nothing else could be computed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(SWITCH, "1")
    Path("s.yaml").write_text(STUDY)
    read = load_study(Path("s.yaml"))
    folder = read.folder
    atoms = Atoms("LiOH2", [[0, 0, 0], [0, 0, 1.9], [0.8, 0, 2.5], [-0.8, 0, 2.5]])
    write_structures(
        folder / "clusters/found/ensemble.extxyz", [Structure("s01", atoms, -5.0, 0.01, Level.model_validate("gfn2"))]
    )
    write_rejected(folder / "clusters/found/rejected.extxyz", [])
    (folder / "clusters/found/record.json").write_text('{"n_starts": 4}')
    fail("cluster", "lost", *(folder / "clusters/lost" / name for name in ("ensemble.extxyz", "record.json")))
    for name in ("found", "lost"):
        ensemble = folder / f"clusters/{name}/ensemble.extxyz"
        problem = StepFailed("cluster of lost", WHY) if is_failed(ensemble) else None
        path = folder / "energies" / name
        fail("binding", name, path / "pbe_sto-3g.json", level="pbe/sto-3g", problem=problem)
        bound = StepFailed(f"binding of {name} at pbe/sto-3g", WHY) if problem is None else problem
        fail("counterpoise", name, path / "counterpoise/pbe_sto-3g.json", level="pbe/sto-3g", problem=bound)
        fail("thermochemistry", name, path / "thermochemistry/pbe_sto-3g.json", problem=bound)
        made = (folder / f"bonding/{name}/pbe_sto-3g.json", folder / f"bonding/{name}/pbe_sto-3g.cube")
        fail("bonding", name, *made, level="pbe/sto-3g", problem=problem)
        fail("oxidation", name, folder / f"oxidation/clusters/{name}/gfn2.json", level="gfn2", problem=problem)
    for name in ("W", "A"):
        fail("oxidation", name, folder / f"oxidation/species/{name}/gfn2.json", level="gfn2")
    fail("liquid", "drop", *(folder / "trajectories/drop" / name for name in LIQUID_TABLES))
    fail("patterns", "drop", *(folder / "trajectories/drop" / name for name in ("angles.csv", "structure_factor.csv")))
    fail("transport", "drop", *(folder / "trajectories/drop" / name for name in ("transport.csv", "msd.csv")))
    write_bonding_tables(read)
    write_tables(read)
    write_comparison(read)
    return read


def test_outside_the_workflow_the_error_comes_as_it_is(tmp_path, monkeypatch):
    monkeypatch.delenv(SWITCH, raising=False)
    with pytest.raises(EngineFailed, match=WHY):
        fail("binding", "x", tmp_path / "x.json")
    assert not (tmp_path / "x.json").exists()


@pytest.mark.parametrize("problem", [StudyError("a mistake"), OSError("disk full")])
def test_what_has_to_be_mended_stops(tmp_path, monkeypatch, problem):
    monkeypatch.setenv(SWITCH, "1")
    with pytest.raises(type(problem)):
        fail("binding", "x", tmp_path / "x.json", problem=problem)
    assert not (tmp_path / "x.json").exists()


def test_a_step_fails_with_the_first_reason_although_files_that_it_reads_are_missing_for_it(tmp_path, monkeypatch):
    monkeypatch.setenv(SWITCH, "1")
    window, result = tmp_path / "window_1.npz", tmp_path / "profiles.csv"
    fail("umbrella", "p", window)
    with keep_going("profile", '{"name": "p"}', inputs=[window, window.with_suffix(".xtc")], outputs=[result]):
        refuse_failed(window)
    with pytest.raises(StepFailed, match=f"umbrella of p failed: {WHY}"):
        refuse_failed(result)
    assert list(json.loads(result.read_text())["inputs_sha256"]) == [str(window)]


def test_what_was_being_written_when_a_step_was_killed_is_neither_record_nor_failure(study):
    before = failures(study.folder, all_files(study)), dict(read_steps(study.folder))
    (study.folder / "energies/found/.pbe_sto-3g-a1b2.json").write_text("")
    whole = study.folder / "energies/lost/pbe_sto-3g.json"
    whole.with_name(".pbe_sto-3g-c3d4.json").write_text(whole.read_text())
    assert (failures(study.folder, all_files(study)), dict(read_steps(study.folder))) == before


def test_readers_refuse_a_failed_result_and_name_the_first_reason(study):
    for read, path in (
        (read_result, "energies/lost/counterpoise/pbe_sto-3g.json"),
        (read_structures, "clusters/lost/ensemble.extxyz"),
    ):
        with pytest.raises(StepFailed) as caught:
            read(study.folder / path)
        assert str(caught.value) == f"cluster of lost failed: {WHY}"


def test_every_table_says_what_failed_and_why(study):
    results = load_results_of(study)
    notes = {
        "binding": [(row.cluster, row.note) for row in results.binding],
        "thermochemistry": [(row.cluster, row.note) for row in results.thermochemistry],
        "bonding": [(row.cluster, row.note) for row in results.bonding],
        "oxidation": [(row.subject, row.note) for row in results.oxidation],
        "spectra": [(row.cluster, row.note) for row in results.spectra],
    }
    for name, rows in notes.items():
        assert {"found", "lost"} <= {subject for subject, _ in rows}, name
        assert all(WHY in note for _, note in rows), name
        assert all("cluster of lost failed" in note for subject, note in rows if subject == "lost"), name
    definitions = {"relaxed", "frozen_ligands", "frozen_shell", "relaxed_counterpoise"}
    assert {row.definition for row in results.binding if row.cluster == "found"} == definitions
    assert all(math.isnan(row.energy_eV) and row.status == "failed" for row in results.binding)
    assert [(row.structure, WHY in row.note) for row in results.ensemble] == [("s01", False), ("", True)]
    assert [WHY in row.verdict for row in (*results.coordination, *results.residence)] == [True, True]
    shells = (*results.speciation, *results.networks, *results.transitions)
    assert [(row.trajectory, WHY in row.note) for row in shells] == [("drop", True)] * 3
    assert results.rdf == ()
    assert results.structures["lost"] == ()


def load_results_of(study):
    results = load_results(study.folder)
    assert {row.subject for row in results.failures} == {"found", "lost", "W", "A", "drop"}
    return results


def test_tables_of_what_the_study_no_longer_asks_for_are_removed(study):
    assert (study.folder / "thermochemistry.csv").is_file()
    (study.folder / "potentials.csv").write_text("of a study before\n")
    less = study.model_copy(update={"thermochemistry": None, "trajectories": {}})
    assert {"thermochemistry.csv", "rdf.csv", "msd.csv"} < set(unasked_tables(less))
    write_tables(less)
    left = {file.name for file in study.folder.glob("*.csv")}
    assert left.isdisjoint(unasked_tables(less))
    assert set(tables(less)) - {"provenance.json"} <= left


def test_comparisons_that_need_it_say_so_instead_of_vanishing(study):
    rows = {(row.subject, row.quantity): row for row in compare(study)}
    for quantity in (
        "exchange_energy[relaxed]",
        "exchange_energy[relaxed_counterpoise]",
        "exchange_gibbs_energy[rrho]",
    ):
        row = rows["lost - found", quantity]
        assert math.isnan(row.value), quantity
        assert f"lost: cluster of lost failed: {WHY}" in row.note, quantity
        assert f"found: binding of found at pbe/sto-3g failed: {WHY}" in row.note, quantity
    assert rows["lost - found", "exchange_energy[relaxed]"].published == 0.5
    assert all(row.rank is None for row in rows.values())
    assert WHY in rows["drop / all donors", "coordination_number[atom]"].note


def test_the_report_of_nothing_but_failures_is_a_page_that_names_them(study):
    page = write_report(study.folder).read_text()
    assert f"cluster of lost failed: {WHY}" in page
    assert "without it there is no binding of lost" in page
    assert f"liquid of drop failed: {WHY}" in page
    assert re.search(r"\bnan\b", re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL), re.IGNORECASE) is None
    assert "solvation retry STUDY" in page


def test_retry_removes_failed_results_and_summaries_and_nothing_else(study):
    (study.folder / "report.html").write_text("old")
    first = [row for row in failures(study.folder, all_files(study)) if not row.needs]
    assert {(row.step, row.subject) for row in first} >= {("cluster", "lost"), ("binding", "found"), ("liquid", "drop")}
    retry(study.folder, all_files(study))
    assert failures(study.folder, all_files(study)) == []
    assert not any(is_failed(path) for path in study.folder.rglob("*"))
    assert not (study.folder / "report.html").exists()
    assert not (study.folder / "provenance.json").exists()
    assert (study.folder / "clusters/found/ensemble.extxyz").is_file()
    assert retry(study.folder, all_files(study)) == []


def test_failures_of_what_the_study_no_longer_asks_for_are_not_told(study):
    less = study.model_copy(
        update={"clusters": {"found": study.clusters["found"]}, "trajectories": {}, "published": ()}
    )
    assert {row.subject for row in failures(study.folder, all_files(less))} == {"found", "W"}
    write_bonding_tables(less)
    write_tables(less)
    write_comparison(less)
    told = (study.folder / "failures.csv").read_text() + (study.folder / "provenance.json").read_text()
    page = write_report(study.folder).read_text()
    assert "cluster of lost" not in told + page
    assert "clusters/lost" not in told + page


@pytest.mark.parametrize("rest", ["", "}", ', "card": 1}', ', "\xff'])
def test_a_damaged_failed_result_is_named_and_removed_by_retry(study, rest):
    path = study.folder / "energies/found/pbe_sto-3g.json"
    path.write_bytes(f'{{"status": "failed"{rest}'.encode("latin-1"))
    for read in (read_result, refuse_failed, is_failed):
        with pytest.raises(
            ResultsError, match=r"pbe_sto-3g\.json: a failed result, and damaged; solvation retry STUDY"
        ):
            read(path)
    rows = {row.file: row.reason for row in retry(study.folder, all_files(study))}
    assert rows["energies/found/pbe_sto-3g.json"] == "its failed result was damaged"
    assert not path.exists()
    assert retry(study.folder, all_files(study)) == []


def test_results_on_another_disk_are_found_through_the_link(study, tmp_path):
    before = failures(study.folder, all_files(study)), dict(read_steps(study.folder))
    for name in ("clusters", "energies/lost"):
        (study.folder / name).rename(tmp_path / Path(name).name)
        (study.folder / name).symlink_to(tmp_path / Path(name).name)
    (study.folder / "clusters" / "round").symlink_to(study.folder)
    assert (failures(study.folder, all_files(study)), dict(read_steps(study.folder))) == before


def test_what_a_terminal_would_obey_is_shown_instead(tmp_path, monkeypatch, solvation_in_process, capsys):
    """A reason holds the last words of another program."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(SWITCH, "1")
    Path("s.yaml").write_text("species: {Li+: , W: {smiles: O}}\nclusters: {one: {composition: {Li+: 1, W: 1}}}\n")
    card = ligand_card(load_study(Path("s.yaml")), "W").text()
    with keep_going("ligand", card, inputs=[], outputs=[Path("results/s/ligands/W.extxyz")]):
        raise EngineFailed("the end \x1b[2J\x1b]0;mine\x07")
    told = capsys.readouterr().err
    for verb in ("status", "retry"):
        told += solvation_in_process(verb, "s.yaml").out
    assert told.count("the end \\x1b[2J\\x1b]0;mine\\x07") == 3
    assert not set(told) & {"\x1b", "\x07"}


def test_an_unexpected_error_keeps_its_traceback_in_the_log(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(SWITCH, "1")
    fail("binding", "x", tmp_path / "x.json", problem=ZeroDivisionError("division by zero"))
    assert "Traceback" in capsys.readouterr().err
    with pytest.raises(StepFailed, match="binding of x failed: ZeroDivisionError: division by zero"):
        read_result(tmp_path / "x.json")


def test_a_failed_trajectory_leaves_the_rows_of_another_as_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(SWITCH, "1")
    drop = "{composition: {Li+: 1, W: 5}}"
    Path("s.yaml").write_text(
        f"name: s\nspecies: {{Li+: , W: {{smiles: O}}}}\ntrajectories: {{a: {drop}, b: {drop}}}\n"
    )
    study = load_study(Path("s.yaml"))
    folder = study.folder / "trajectories"
    for table, kind in TABLES.items():
        values = [{"float": 1 / 3, "int": 7, "int | None": 7}.get(str(field.type), "x") for field in fields(kind)]
        write_rows(folder / "a" / table, kind, [kind(*values), kind(*values)])
    for step, names in (("liquid", LIQUID_TABLES), ("patterns", PATTERN_TABLES), ("transport", TRANSPORT_TABLES)):
        fail(step, "b", *(folder / "b" / table for table in names))
    write_liquid_tables(study)
    for table in TABLES:
        made, own = ((place / table).read_text().splitlines() for place in (study.folder, folder / "a"))
        assert made[:3] == own, table
        assert all(line.startswith("b,") and WHY in line for line in made[3:]), table
        curves = {"rdf.csv", "survival.csv", "msd.csv", "angles.csv", "structure_factor.csv"}
        assert len(made) == (3 if table in curves else 4), table
