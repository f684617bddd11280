"""A study of a classical box: what it would run, and what is found wrong with it before it does."""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from solvation import load_results

ROOT = Path(__file__).parents[2]
STUDY = ROOT / "tests" / "workflow" / "studies" / "liquid.yaml"
pytestmark = pytest.mark.workflow
needs_programs = pytest.mark.skipif(
    find_spec("openmm") is None or not (find_spec("acpype") or shutil.which("antechamber")),
    reason="OpenMM or antechamber is not installed; pip install 'solvation[liquids]'",
)


def call(*arguments, cwd):
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(arguments, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_parameters_are_made_once_for_each_species_and_before_the_box(tmp_path):
    shutil.copy(ROOT / "Snakefile", tmp_path)
    shutil.copytree(ROOT / "workflow", tmp_path / "workflow")
    data = yaml.safe_load(STUDY.read_text())
    data["trajectories"]["second"] = {**data["trajectories"]["box"], "temperature_K": 330}
    (tmp_path / "liquid.yaml").write_text(yaml.safe_dump(data))
    done = call("snakemake", "-n", "--cores", "1", "--config", "study=liquid.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rules = Counter(re.findall(r"^(?:local)?rule (\w+):", done.stdout + done.stderr, flags=re.MULTILINE))
    assert rules["parameters"] == 3
    assert rules["pack"] == rules["segment"] == rules["join"] == rules["liquid"] == 2
    block = next(part for part in (done.stdout + done.stderr).split("\n\n") if "rule pack:" in part)
    assert all(f"parameters/{name}.json" in block for name in ("Li+", "PF6-", "MeCN"))


@needs_programs
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "60 MeCN, 2 Li+, 2 PF6-, box of 19 Å"),
        ({"cutoff_A": 10}, "trajectories.box.cutoff_A: 10 is too long for a box of 19 Å"),
        ({"segments": 2}, "trajectories.box.segments: 2 segments of 5000 steps are shorter"),
        ({"mixture": None, "composition": {"MeCN": 60, "Li+": 1}}, "net charge +1, neutralised"),
        ({"mixture": None, "composition": {"MeCN": 60}}, "holds no bare ion"),
        ({"mixture": None, "composition": {"MeCN": 60, "Ag+": 1}}, "species.Ag+: GAFF2 has no single atoms"),
        ({"composition": {"MeCN": 60}}, "trajectories.box: give one of composition and mixture"),
        ({"charge_scale": 0.7}, "trajectories.box.charge_scale: 0.7, but the pair terms of Li+ were fitted with 0.8"),
        ({"profile": {"ligand": "Li+"}}, "profiles.P.ligand: Li+ is a bare ion and has no donors"),
        ({"profile": {"ligand": "EC"}}, "profiles.P.ligand: box holds no EC; did you mean"),
        (
            {"profile": {"ligand": "MeCN", "window_ps": 9, "settle_ps": 1}},
            "profiles.P.window_ps: 9 is no whole number of blocks of 5000 steps; set it to 10",
        ),
        ({"profile": {"ligand": "MeCN", "window_ps": 25}}, "profiles.P.window_ps: 25 is no whole number of blocks"),
        ({"profile": {"ligand": "MeCN", "save_every_fs": 205}}, "profiles.P.save_every_fs: 205 is no multiple"),
        ({"profile": {"ligand": "MeCN"}}, "profile P: about"),
        ({"charge_scal": 0.7}, "trajectories.box.charge_scal: unknown key; did you mean 'charge_scale'?"),
    ],
)
def test_check_says_what_it_would_make_or_what_is_wrong(tmp_path, changes, message):
    data = yaml.safe_load(STUDY.read_text())
    data["species"]["Ag+"] = {"smiles": "[Ag+]"}
    if profile := changes.get("profile"):
        data["profiles"] = {"P": {"box": "box", **profile}}
    box = data["trajectories"]["box"] | {key: value for key, value in changes.items() if key != "profile"}
    data["trajectories"]["box"] = {key: value for key, value in box.items() if value is not None}
    (tmp_path / "liquid.yaml").write_text(yaml.safe_dump(data))
    done = call("solvation", "check", "liquid.yaml", cwd=tmp_path)
    assert message in " ".join((done.stdout + done.stderr).split())


@needs_programs
@pytest.mark.parametrize(
    ("study", "told"),
    [
        ("liquid", "323 EC, 177 DEC, 45 Li+, 45 PF6-"),
        ("polymers", "30 Li+, 30 PF6-, 215 EC, 118 DEC, 9 PSOA5"),
        ("default", "1 Li+, 48 EC, 6 TDA"),
        ("exchange", "profile second_TDA: about"),
    ],
)
def test_the_studies_with_liquids_are_sound(study, told):
    done = call("solvation", "check", f"config/{study}.yaml", cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert told in done.stdout


@needs_programs
@pytest.mark.slow
def test_a_classical_box_goes_from_its_recipe_to_the_tables_and_the_page(tmp_path):
    shutil.copy(ROOT / "Snakefile", tmp_path)
    shutil.copytree(ROOT / "workflow", tmp_path / "workflow")
    data = yaml.safe_load(STUDY.read_text())
    data["published"] = [
        {
            "quantity": "density",
            "subject": "box",
            "value": 786,
            "unit": "kg/m3",
            "source": "acetonitrile without a salt",
        }
    ]
    # A few picoseconds in each of a few wide windows: the way through the workflow, not a free energy.
    walk = {
        "near_A": 2.0,
        "far_A": 5.0,
        "step_A": 0.75,
        "wide_step_A": 0.75,
        "stiffness_eV_A2": 0.4,
        "window_ps": 10,
        "settle_ps": 2,
    }
    data["profiles"] = {"pairing": {"box": "box", "ligand": "PF6-", "save_every_fs": 100, **walk}}
    (tmp_path / "liquid.yaml").write_text(yaml.safe_dump(data))
    profile = ("--workflow-profile", "workflow/profiles/default")
    done = call("snakemake", "--cores", "2", *profile, "--config", "study=liquid.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    found = load_results(tmp_path / "results" / "liquid")
    rows = {(row.quantity, row.species): row for row in found.boxes}
    # Two picoseconds from a loose packing are on their way to 0.8 g/cm3, and the table says that it cannot tell.
    assert 0.65 < rows["density", ""].value < 0.85
    assert rows["density", ""].note.startswith("too short to tell")
    assert rows["molecules", "MeCN"].value == 60
    assert rows["molarity", "Li+"].note == "meets PF6- fluorine by mixed terms"
    (density,) = (row for row in found.comparison if row.quantity == "density")
    assert density.published == pytest.approx(0.786)
    assert {row.donor for row in found.coordination} >= {"MeCN nitrile N", "PF6- fluorine"}
    page = (tmp_path / "results" / "liquid" / "report.html").read_text()
    assert "The box of box had not come to rest when its recording began" in page
    # Li+ with PF6- at 2 Å and at 5 Å: both have been seen, and the tables and the page tell of them.
    assert [row.way for row in found.profiles] == ["in", "out", "both"]
    both = found.profiles[-1]
    assert (both.profile, both.ligand, both.held) == ("pairing", "PF6-", 0)
    assert math.isfinite(both.free_energy_eV)
    distances_A = [row.distance_A for row in found.profile_curves if row.way == "both"]
    assert min(distances_A) < 2.3
    assert max(distances_A) > 4.5
    assert sum(row.population for row in found.profile_populations) == pytest.approx(1)
    assert any("PF6-" in row.shell for row in found.profile_shells if row.at_ion == 1)
    assert "By free energy, the ion in the liquid of box has PF6- around it" in page
    why = call("solvation", "why", "profiles.csv", "results/liquid", cwd=tmp_path)
    assert "profiles/pairing/window_1.xtc" in why.stdout, why.stdout + why.stderr
