"""One truth about what a study makes: the rules of the workflow, and the list that `solvation status` goes by."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from solvation.planning.chains import needs
from solvation.study import load_study
from solvation.study.targets import targets

ROOT = Path(__file__).parents[2]
STUDIES = (
    "config/default.yaml", "config/exchange.yaml", "config/liquid.yaml", "config/polymers.yaml",
    "config/potential.yaml", "config/reference.yaml", "tests/workflow/studies/tiny.yaml",
)  # fmt: skip
pytestmark = pytest.mark.workflow


@dataclass(frozen=True)
class Planned:
    inputs: set[str]
    outputs: set[str]
    priority: int


def planned(folder: Path, study: str) -> dict[tuple[str, str], Planned]:
    """Every job of a dry run in an empty folder, by rule and log."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = ["snakemake", "-n", "--cores", "1", "--config", f"study={study}"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
    found = {}
    for block in re.split(r"\n(?=(?:local)?rule \w+:)", done.stdout + done.stderr)[1:]:
        rule = re.match(r"(?:local)?rule (\w+):", block)
        told = {key: re.search(rf"\n    {key}: (.*)", block) for key in ("input", "output", "log", "priority")}
        words = {key: match[1] for key, match in told.items() if match}
        if rule and {"output", "log"} <= set(words):
            files = [set(words.get(key, "").split(", ")) for key in ("input", "output")]
            found[rule[1], words["log"]] = Planned(*files, int(words.get("priority", 0)))
    return found


@pytest.fixture(scope="session", params=STUDIES)
def plan(request, tmp_path_factory):
    """A study, and the jobs that Snakemake makes of it."""
    folder = tmp_path_factory.mktemp("plan")
    for name in ("Snakefile", "workflow"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    shutil.copy(ROOT / request.param, folder / "study.yaml")
    return load_study(folder / "study.yaml"), planned(folder, "study.yaml")


def test_the_rules_make_what_the_list_says_and_nothing_else(plan):
    study, jobs = plan
    listed = {
        (target.rule, f"logs/{study.name}/{target.log}"): {f"results/{study.name}/{file}" for file in target.files}
        for target in targets(study)
    }
    assert {job: found.outputs for job, found in jobs.items()} == listed


def test_the_longest_chain_goes_first(plan):
    """Chains are those of the rules, and no job has a chain behind it that is longer than its own."""
    study, jobs = plan
    named = {(target.rule, f"logs/{study.name}/{target.log}"): target for target in targets(study) if target.card}
    maker = {file: job for job, found in jobs.items() for file in found.outputs}
    keys = {(target.rule, target.subject): job for job, target in named.items()}
    told = {job: {keys[one] for one in needs(study, target) if one in keys} for job, target in named.items()}
    for job, target in named.items():
        read = {maker[file] for file in jobs[job].inputs if file in maker}
        assert told[job] <= read, target
        behind, waiting = set(), list(told[job])
        while waiting:
            one = waiting.pop()
            behind.add(one)
            waiting += told[one] - behind
        assert read <= behind, target
        assert all(jobs[one].priority > jobs[job].priority for one in read), target
    assert min(found.priority for job, found in jobs.items() if job in named) > 0


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
