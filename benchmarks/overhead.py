"""What a study costs beside its computing, and how long a second call takes that has nothing to do.

    python benchmarks/overhead.py config/quick.yaml
    python benchmarks/overhead.py config/quick.yaml --finished FOLDER     of a run that this script left with --keep

The study runs in a folder of its own. Overhead is the CPU time of Snakemake and of all that it started, less what was
computed, as a share of the whole: it does not depend on what else the machine does. Computed is what the steps
recorded (`cpu_s`, from the end of their imports) and what tables, comparison and report take, which record nothing,
when they are made once more in a process that has made them before. `--cold` starts every step by itself
(docs/cluster.md). The second call is that of ./run: `solvation check`, then Snakemake.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from solvation.archive.lineage import read_records
from solvation.entry import SWITCH

ROOT = Path(__file__).parents[1]
#: Every call twice; the time of the second round.
AGAIN = """
import json, sys, time
from solvation.cli.app import main
calls = json.loads(sys.argv[1])
for _ in range(2):
    began = time.process_time()
    for words in calls:
        sys.argv = ["solvation", *words]
        try:
            main()
        except SystemExit as end:
            assert not end.code, words
print(time.process_time() - began)
"""
SNAKEMAKE = ("snakemake", "--cores", "2", "--workflow-profile", "workflow/profiles/default", "--config", "study=s.yaml")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--keep", type=Path, help="folder to run in; a new one, which stays")
    parser.add_argument("--finished", type=Path, help="only the second call, in this folder")
    parser.add_argument("--cold", action="store_true", help="every step starts by itself")
    asked = parser.parse_args()
    if asked.cold:
        os.environ[SWITCH] = ""
    told: dict[str, float] = {}
    if asked.finished:
        told = warm(asked.finished)
    else:
        with tempfile.TemporaryDirectory(prefix="overhead-") as scratch:
            folder = asked.keep or Path(scratch) / "run"
            folder.mkdir()
            shutil.copy(ROOT / "Snakefile", folder)
            shutil.copytree(ROOT / "workflow", folder / "workflow")
            shutil.copy(asked.study, folder / "s.yaml")
            told = cold(folder) | warm(folder)
    print(json.dumps(told, indent=1))
    return 0


def timed(folder: Path, *words: str) -> tuple[float, float]:
    """Seconds of a command by the clock, and of CPU time with all that it started."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(words, cwd=folder, env=environment, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.monotonic() - began, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def cold(folder: Path) -> dict[str, float]:
    """The whole study."""
    wall_s, cpu_s = timed(folder, *SNAKEMAKE)
    (results,) = (path.parent for path in folder.glob("results/*/provenance.json"))
    records = read_records(results)
    recorded_s = sum(float(item["cpu_s"]) for item in records.values())
    summary_s = summary_cpu_s(folder, results)
    return {
        "wall_s": round(wall_s, 1),
        "cpu_s": round(cpu_s, 1),
        "recorded_cpu_s": round(recorded_s, 1),
        "summary_cpu_s": round(summary_s, 1),
        "overhead_cpu_s": round(cpu_s - recorded_s - summary_s, 1),
        "overhead_percent": round(100 * (1 - (recorded_s + summary_s) / cpu_s), 1),
    }


def summary_cpu_s(folder: Path, results: Path) -> float:
    """CPU time of tables, comparison and report, without imports."""
    calls = [
        ["tables", "s.yaml"],
        ["compare", "s.yaml"],
        ["report", str(results), "--output", str(folder / "again.html")],
    ]
    done = subprocess.run(
        [sys.executable, "-c", AGAIN, json.dumps(calls)], cwd=folder, check=True, capture_output=True, text=True
    )
    return float(done.stdout.split()[-1])


def warm(folder: Path) -> dict[str, float]:
    """A call with nothing to do."""
    check_s, check_cpu_s = timed(folder, "solvation", "check", "s.yaml")
    run_s, run_cpu_s = timed(folder, *SNAKEMAKE)
    return {"second_call_s": round(check_s + run_s, 1), "second_call_cpu_s": round(check_cpu_s + run_cpu_s, 1)}


if __name__ == "__main__":
    sys.exit(main())
