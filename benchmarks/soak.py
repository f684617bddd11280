"""Kill a study at random moments, start it again, and see whether anything is lost, made twice or half written.

    python benchmarks/soak.py tests/workflow/studies/smallest.yaml --kills 20 --seed 1

The study runs once undisturbed, and then again and again, each time in a new folder and killed (SIGKILL, Snakemake and
all that it started) until it is done, until N kills have met a run. It prints what it saw as JSON and exits with 1
where tables differ, a finished step ran again, or a half-written file was left.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import yaml
from ase.io import read

ROOT = Path(__file__).parents[1]
FAULTS = ("made_twice", "half_written", "tables_that_differ")
SNAKEMAKE = ("snakemake", "--cores", "2", "--workflow-profile", "workflow/profiles/default", "--config", "study=s.yaml")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    name = yaml.safe_load(asked.study.read_text())["name"]
    with tempfile.TemporaryDirectory(prefix="soak-") as scratch:
        calm = folder_of(Path(scratch) / "calm", asked.study)
        began = time.monotonic()
        subprocess.run(SNAKEMAKE, cwd=calm, env=environment(), check=True, capture_output=True)
        whole_s = time.monotonic() - began
        told: dict[str, Any] = {"kills": 0, "rounds": 0, "steps": 0, **{fault: [] for fault in FAULTS}}
        dice = random.Random(asked.seed)
        while told["kills"] < asked.kills:
            told["rounds"] += 1
            wild = folder_of(Path(scratch) / f"wild{told['rounds']}", asked.study)
            found = soak(wild, name, asked.kills - told["kills"], whole_s, dice)
            found["tables_that_differ"] = [
                path.name
                for path in sorted((calm / "results" / name).glob("*.csv"))
                if path.read_bytes() != (wild / "results" / name / path.name).read_bytes()
            ]
            for key, value in found.items():
                told[key] += value
            shutil.rmtree(wild)
    told["undisturbed_s"] = round(whole_s, 1)
    print(json.dumps(told, indent=1))
    return int(any(told[fault] for fault in FAULTS))


def folder_of(folder: Path, study: Path) -> Path:
    folder.mkdir()
    shutil.copy(ROOT / "Snakefile", folder)
    shutil.copytree(ROOT / "workflow", folder / "workflow")
    shutil.copy(study, folder / "s.yaml")
    return folder


def environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def soak(folder: Path, name: str, kills: int, whole_s: float, dice: random.Random) -> dict[str, Any]:
    """Run a study to its end; up to `kills` of its runs are killed, each after a random part of a whole one."""
    finished: Counter[str] = Counter()
    half_written: list[str] = []
    killed, done = 0, False
    while not done:
        log = folder / f"run{killed}.log"
        with log.open("w") as stream:
            run = subprocess.Popen(SNAKEMAKE, cwd=folder, env=environment(), stdout=stream, stderr=stream)
            if killed < kills:
                time.sleep(dice.uniform(0.1, 0.5) * whole_s)
                done = not kill(run)
            else:
                run.wait()
                done = True
        if done and run.returncode != 0:
            raise SystemExit(log.read_text())
        killed += not done
        finished.update(finished_in(log.read_text()))
        half_written += [str(path.relative_to(folder)) for path in unreadable(folder / "results" / name)]
    made_twice = [step for step, count in finished.items() if count > 1]
    return {"kills": killed, "steps": len(finished), "made_twice": made_twice, "half_written": half_written}


def kill(run: subprocess.Popen[bytes]) -> bool:
    """Kill a run and all that it started at once; whether it still ran."""
    if run.poll() is not None:
        return False
    everyone = [psutil.Process(run.pid), *psutil.Process(run.pid).children(recursive=True)]
    # Stopped first, so that none starts another one meanwhile.
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for process in everyone:
            if process.is_running():
                process.send_signal(number)
    run.wait()
    psutil.wait_procs(everyone, timeout=10)
    return True


def finished_in(log: str) -> list[str]:
    """Steps that Snakemake saw finished in one run, with their wildcards."""
    names = {}
    for block in re.split(r"\n(?=(?:local)?rule \w+:)", log)[1:]:
        rule = re.match(r"(?:local)?rule (\w+):", block)
        number, wildcards = re.search(r"jobid: (\d+)", block), re.search(r"wildcards: (.*)", block)
        if rule and number:
            names[number[1]] = f"{rule[1]} {wildcards[1] if wildcards else ''}".strip()
    return [names[number] for number in re.findall(r"Finished jobid: (\d+)", log) if number in names]


def unreadable(results: Path) -> list[Path]:
    """Results that cannot be read whole; temporary files (a dot first) are none."""
    return [
        path
        for path in sorted(results.rglob("*"))
        if path.is_file() and not path.name.startswith(".") and not is_whole(path)
    ]


def is_whole(path: Path) -> bool:
    try:
        if path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".csv":
            with path.open(newline="") as stream:
                head, *rows = list(csv.reader(stream))
            return all(len(row) == len(head) for row in rows)
        elif path.suffix == ".extxyz" and path.stat().st_size:
            read(path, index=":", format="extxyz")
        elif path.suffix == ".npz":
            with np.load(path) as arrays:
                return all(arrays[name].size >= 0 for name in arrays.files)
        elif path.suffix == ".html":
            return path.read_text().rstrip().endswith("</html>")
    except (ValueError, IndexError, KeyError, zipfile.BadZipFile):
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
