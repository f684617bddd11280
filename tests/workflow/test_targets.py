"""One truth about what a study makes: the rules of the workflow, and the list that `solvation status` goes by."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from solvation.study import load_study
from solvation.study.targets import targets

ROOT = Path(__file__).parents[2]
STUDIES = (
    "config/default.yaml", "config/exchange.yaml", "config/liquid.yaml", "config/polymers.yaml",
    "config/potential.yaml", "config/reference.yaml", "tests/workflow/studies/tiny.yaml",
)  # fmt: skip
pytestmark = pytest.mark.workflow


def planned(folder: Path, study: str) -> dict[tuple[str, str], set[str]]:
    """Outputs of every job of a dry run in an empty folder, by rule and log."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = ["snakemake", "-n", "--cores", "1", "--config", f"study={study}"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
    found = {}
    for block in re.split(r"\n(?=(?:local)?rule \w+:)", done.stdout + done.stderr)[1:]:
        rule = re.match(r"(?:local)?rule (\w+):", block)
        output, log = (re.search(rf"\n    {key}: (.*)", block) for key in ("output", "log"))
        if rule and output and log:
            found[rule[1], log[1]] = set(output[1].split(", "))
    return found


@pytest.mark.parametrize("path", STUDIES)
def test_the_rules_make_what_the_list_says_and_nothing_else(tmp_path, path):
    for name in ("Snakefile", "workflow"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    shutil.copy(ROOT / path, tmp_path / "study.yaml")
    study = load_study(tmp_path / "study.yaml")
    listed = {
        (target.rule, f"logs/{study.name}/{target.log}"): {f"results/{study.name}/{file}" for file in target.files}
        for target in targets(study)
    }
    assert planned(tmp_path, "study.yaml") == listed


def test_steps_of_a_licensed_program_take_seats(workflow, run, tmp_path):
    """As many as calculations may run side by side, at its levels only."""
    study = (ROOT / "tests" / "workflow" / "studies" / "tiny.yaml").read_text()
    folder = workflow(tmp_path, study.replace("energy: [", "energy: [orca:pbe0/def2-svp, "))
    done = run(folder, "snakemake", "-n", "--cores", "2", "--config", "study=s.yaml")
    assert done.returncode == 0, done.stderr
    jobs = re.findall(r"rule (\w+):(?:\n    .*)*?\n    log: (.*)(?:\n    .*)*?\n    resources: (.*)", done.stdout)
    seats = {(rule, log): re.findall(r"licences=(\d)", resources) for rule, log, resources in jobs}
    # Modes are those of the levels that relaxed the structures.
    of_orca = [key for key in seats if "orca" in key[1] and key[0] != "thermochemistry"]
    assert {rule for rule, _ in of_orca} == {"reference", "binding"}
    assert all(seats[key] == ["2"] for key in of_orca)
    assert not [key for key, found in seats.items() if key not in of_orca and set(found) - {"0"}]
