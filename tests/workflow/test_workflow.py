"""The Snakefile on a tiny study: it runs, it resumes, it recomputes what changed and nothing else."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import solvation

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.workflow


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = ["snakemake", "--cores", "2", "--config", "study=tiny.yaml", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def rules_to_run(folder: Path) -> set[str]:
    """Names and wildcards of the jobs a dry run would start."""
    done = snakemake(folder, "-n")
    names = set()
    for block in re.split(r"\n(?=(?:local)?rule \w+:)", done.stdout + done.stderr)[1:]:
        name = re.match(r"(?:local)?rule (\w+):", block)
        wildcards = re.search(r"wildcards: (.*)", block)
        assert name
        names.add(name[1] + (f" {wildcards[1]}" if wildcards else ""))
    return names


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("workflow")
    for name in ("Snakefile", "workflow"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    shutil.copy(ROOT / "tests" / "workflow" / "studies" / "tiny.yaml", folder / "tiny.yaml")
    done = snakemake(folder)
    assert done.returncode == 0, done.stderr[-4000:] + done.stdout[-2000:]
    return folder


def table(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / "results" / "tiny" / name).open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_table_and_the_report_are_there(finished):
    results = finished / "results" / "tiny"
    liquid = ("rdf", "coordination", "speciation", "networks", "residence", "survival", "transitions")
    bond = ("bonding", "oxidation", "spectra", "shieldings")
    for name in ("binding", "ensemble", "rejected", *bond, *liquid, "comparison"):
        assert (results / f"{name}.csv").is_file()
    page = (results / "report.html").read_text()
    assert "Li_W2" in page
    assert "Why the ion is held" in page
    assert (results / "figures" / "density_Li_W2.png").is_file()


def test_the_terms_of_a_bond_add_up_to_the_binding_energy_of_the_frozen_shell(finished):
    frozen = {
        (row["cluster"], row["level"]): float(row["energy_eV"])
        for row in table(finished, "binding.csv")
        if row["definition"] == "frozen_shell"
    }
    rows = table(finished, "bonding.csv")
    for cluster in ("Li_W2", "Li_W_NH3"):
        found = {row["quantity"]: float(row["value"]) for row in rows if row["cluster"] == cluster}
        terms = ("electrostatics", "exchange_repulsion", "dispersion", "polarisation", "charge_transfer")
        assert sum(found[f"energy[{term}]"] for term in terms) == pytest.approx(found["energy[interaction]"], abs=1e-9)
        assert found["energy[interaction]"] == pytest.approx(frozen[cluster, "pbe/sto-3g"], abs=1e-3)


def test_ligands_and_clusters_are_oxidised_and_a_cation_is_the_harder(finished):
    rows = {row["subject"]: row for row in table(finished, "oxidation.csv")}
    assert set(rows) == {"W", "NH3", "Li_W2", "Li_W_NH3"}
    assert float(rows["Li_W2"]["vertical_eV"]) > float(rows["W"]["vertical_eV"]) > float(rows["NH3"]["vertical_eV"])
    for row in rows.values():
        assert float(row["vertical_V"]) == pytest.approx(float(row["vertical_eV"]) - 1.40)


def test_shieldings_stand_in_their_table_and_beside_the_published_shift(finished):
    rows = [row for row in table(finished, "shieldings.csv") if row["cluster"] == "Li_W2"]
    assert [row["isotope"] for row in rows] == ["7Li", "17O", "17O"]
    for row in rows:
        assert float(row["shift_ppm"]) == pytest.approx(float(row["free_ppm"]) - float(row["complex_ppm"]), abs=1e-6)
    (compared,) = (
        row
        for row in table(finished, "comparison.csv")
        if row["quantity"] == "nmr_shift" and row["subject"] == "Li_W2 / water O"
    )
    assert float(compared["value"]) == pytest.approx(sum(float(row["shift_ppm"]) for row in rows[1:]) / 2, abs=1e-6)
    assert float(compared["published"]) == 444.4
    page = (finished / "results" / "tiny" / "report.html").read_text()
    assert "Magnetic shieldings" in page
    assert "+444.4" in page


def test_an_energy_is_kept_for_the_next_study(finished):
    asked = [json.loads(path.read_text())["question"] for path in (finished / "results" / "cache").rglob("*.json")]
    assert {one["level"] for one in asked if "asked" not in one} == {"pbe/sto-3g"}
    # Normal modes at the level that relaxed the structures, tight binding too.
    assert {one["level"] for one in asked if "asked" in one} == {"gfn1", "gfn2"}


def test_the_tables_agree_with_each_other(finished):
    rows = table(finished, "binding.csv")
    # gfn1 searched, so it has an ensemble; its minimal basis has no counterpoise.
    assert {row["definition"] for row in rows if row["level"] == "gfn1"} == {
        "relaxed",
        "frozen_ligands",
        "frozen_shell",
        "relaxed_ensemble",
    }
    for row in rows:
        assert (row["spread_eV"] != "") == (row["definition"] == "relaxed_ensemble")
        if row["definition"] == "relaxed_ensemble":
            assert 0 <= float(row["spread_eV"]) < 0.2
    assert {row["level"] for row in rows} == {"gfn1", "gfn2", "pbe/sto-3g"}
    assert all(-8 < float(row["energy_eV"]) < -1 for row in rows)
    energy = {(row["cluster"], row["level"]): float(row["energy_eV"]) for row in rows if row["definition"] == "relaxed"}
    exchange = [row for row in table(finished, "comparison.csv") if row["quantity"] == "exchange_energy[relaxed]"]
    assert {row["level"] for row in exchange} == {"gfn1", "gfn2", "pbe/sto-3g"}
    for row in exchange:
        difference = energy["Li_W_NH3", row["level"]] - energy["Li_W2", row["level"]]
        assert float(row["value"]) == pytest.approx(difference, abs=1e-8)


def test_published_values_stand_beside_and_never_inside(finished):
    rows = table(finished, "comparison.csv")
    beside = [row for row in rows if row["published"]]
    assert {float(row["published"]) for row in beside} == {-123.456, 77.7, 444.4}
    for row in beside:
        assert float(row["difference"]) == pytest.approx(float(row["value"]) - float(row["published"]))
        assert "NOT reproduced" in row["note"]
    for name in ("binding", "ensemble", "rdf", "coordination"):
        text = (finished / "results" / "tiny" / f"{name}.csv").read_text()
        assert "123.456" not in text
        assert "77.7" not in text
        assert "444.4" not in text


def test_provenance_names_versions_seed_and_the_cost_of_each_step(finished):
    told = json.loads((finished / "results" / "tiny" / "provenance.json").read_text())
    assert told["seed"] == 1
    assert re.match(r"\d", told["versions"]["tblite"])
    steps = {step["step"] for step in told["steps"]}
    assert {"ligand", "cluster", "reference", "binding", "md", "liquid"} <= steps
    assert all(step["wall_s"] >= 0 for step in told["steps"])


def test_python_sees_typed_rows_and_structures(finished):
    results = solvation.load_results(finished / "results" / "tiny")
    assert len(results.binding) == len(table(finished, "binding.csv"))
    for row in results.binding:
        best = next(item for item in results.structures[row.cluster] if item.name == row.structure)
        assert str(best.geometry_level) == row.geometry_level
        assert best.denticity == row.denticity
    assert {item.geometry_level.method for item in results.structures["Li_W2"]} == {"gfn1", "gfn2"}
    assert all(isinstance(row.r_A, float) for row in results.rdf)
    assert results.provenance["seed"] == 1


def test_a_level_that_searched_is_measured_on_its_own_structure(finished):
    rows = [row for row in table(finished, "binding.csv") if row["definition"] == "relaxed"]
    assert all(row["geometry_level"] == row["level"] for row in rows if row["level"] != "pbe/sto-3g")


def test_counterpoise_weakens_the_bond_where_it_was_asked_for(finished):
    energy = {(row["cluster"], row["level"], row["definition"]): row for row in table(finished, "binding.csv")}
    corrected = [key for key in energy if key[2] == "relaxed_counterpoise"]
    assert {key[1] for key in corrected} == {"pbe/sto-3g"}
    for cluster, level, _ in corrected:
        made = finished / "results" / "tiny" / "energies" / cluster / "counterpoise" / "pbe_sto-3g.json"
        told = json.loads(made.read_text())["result"]
        gain = float(energy[cluster, level, "relaxed_counterpoise"]["energy_eV"])
        gain -= float(energy[cluster, level, "relaxed"]["energy_eV"])
        assert gain == pytest.approx(told["correction_eV"], abs=1e-6)
        assert gain > 0.05


def test_free_energies_are_the_electronic_ones_and_motion(finished):
    rows = table(finished, "thermochemistry.csv")
    electronic = {(row["cluster"], row["level"], row["definition"]): row for row in table(finished, "binding.csv")}
    assert {row["treatment"] for row in rows} == {"rrho", "grimme", "truhlar"}
    for row in rows:
        bound = electronic[row["cluster"], row["level"], row["definition"]]
        assert float(row["energy_eV"]) == pytest.approx(float(bound["energy_eV"]))
        assert float(row["temperature_K"]) == 313
        assert float(row["softest_cm"]) > -20  # the twist of two waters is as soft as noise
        # Two ligands lose their translation: binding is weaker by some tenths of an eV, and zero-point energy grows.
        assert 0.2 < float(row["gibbs_eV"]) - float(row["energy_eV"]) < 1.2
        assert 0.02 < float(row["zero_point_eV"]) < 0.4
    corrected = {row["level"] for row in rows if row["definition"] == "relaxed_counterpoise"}
    assert corrected == {"pbe/sto-3g"}


def test_a_second_run_has_nothing_to_do(finished):
    done = snakemake(finished)
    assert "Nothing to be done" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("lost", "jobs"),
    [
        ("provenance.json", {"tables", "compare", "report", "all"}),
        ("binding.csv", {"tables", "compare", "report", "all"}),
        ("comparison.csv", {"compare", "report", "all"}),
        ("trajectories/drop/speciation.csv", {"liquid trajectory=drop", "tables", "compare", "report", "all"}),
        ("energies/Li_W2/gfn1.json", {"binding cluster=Li_W2, level=gfn1", "tables", "compare", "report", "all"}),
    ],
)
def test_what_was_taken_away_from_a_finished_study_is_made_again(finished, lost, jobs):
    """As the messages about a damaged file say: remove it and run again. A step that fails takes its files away."""
    path = finished / "results" / "tiny" / lost
    path.rename(path.with_suffix(".away"))
    try:
        assert jobs <= rules_to_run(finished)
    finally:
        path.with_suffix(".away").rename(path)
    assert "Nothing to be done" in snakemake(finished, "-n").stdout


def test_a_change_in_one_cluster_recomputes_what_depends_on_it(finished):
    study = finished / "tiny.yaml"
    before = study.read_text()
    study.write_text(before.replace("{Li+: 1, W: 1, NH3: 1}}", "{Li+: 1, W: 1, NH3: 1}, denticity: {NH3: 1}}"))
    try:
        jobs = rules_to_run(finished)
    finally:
        study.write_text(before)
    assert "cluster cluster=Li_W_NH3" in jobs
    assert not any("Li_W2" in job for job in jobs)
    assert not any(job.startswith(("ligand", "reference", "segment", "pack", "liquid")) for job in jobs)


def test_a_changed_range_of_g_recomputes_no_dynamics(finished):
    study = finished / "tiny.yaml"
    before = study.read_text()
    study.write_text(before.replace("n_bins: 40", "n_bins: 20"))
    try:
        jobs = rules_to_run(finished)
    finally:
        study.write_text(before)
    assert "liquid trajectory=drop" in jobs
    assert not any(job.startswith(("segment", "cluster", "binding")) for job in jobs)


def test_another_study_of_the_same_name_is_refused(finished):
    other = finished / "other.yaml"
    other.write_text((finished / "tiny.yaml").read_text())
    done = snakemake(finished, "-n", "--config", "study=other.yaml")
    other.unlink()
    assert done.returncode != 0
    assert "belongs to" in done.stdout + done.stderr


def test_a_result_at_a_level_that_the_study_does_not_name_is_no_target(finished):
    done = snakemake(finished, "-n", "--", "results/tiny/energies/Li_W_NH3/r2scan-3c.json")
    assert done.returncode != 0
    told = done.stdout + done.stderr
    assert "No rule to produce results/tiny/energies/Li_W_NH3/r2scan-3c.json" in told
    assert "Traceback" not in told


@pytest.mark.slow
def test_the_same_seed_gives_the_same_tables(finished, tmp_path):
    for name in ("Snakefile", "workflow", "tiny.yaml"):
        source = finished / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    done = snakemake(tmp_path, "--until", "binding", "liquid")
    assert done.returncode == 0, done.stderr[-2000:]
    for path in (
        "clusters/Li_W_NH3/ensemble.extxyz",
        "trajectories/drop/rdf.csv",
        "trajectories/drop/coordination.csv",
    ):
        assert (tmp_path / "results/tiny" / path).read_bytes() == (finished / "results/tiny" / path).read_bytes()
