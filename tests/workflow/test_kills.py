"""`kill -9` at random moments: nothing is lost, nothing finished is made again, nothing half written is a result."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.workflow
ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_study_killed_five_times_ends_as_one_left_alone():
    study = ROOT / "tests/workflow/studies/smallest.yaml"
    command = [sys.executable, ROOT / "benchmarks/soak.py", study, "--kills", "5", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    told = json.loads(done.stdout)
    assert told["kills"] == 5
    # Of each round: two ligands, a cluster, two references, a binding energy, tables, comparison, report, all.
    assert 9 * told["rounds"] <= told["steps"] <= 10 * told["rounds"]
