"""Kill a study at random moments, start it again, and see whether anything is lost, made twice or half written.

    python benchmarks/soak.py tests/workflow/studies/smallest.yaml --kills 20 --seed 1
    python benchmarks/soak.py tests/workflow/studies/program.yaml --kills 20 --victims run step engine

The study runs once undisturbed, and then again and again, each time in a new folder and killed (SIGKILL) until it is
done, until N kills have met a run: Snakemake and all that it started (`run`), one step of those that run (`step`), or
one program that a step has started (`engine`). It prints what it saw as JSON and exits with 1 where tables differ, a
finished step ran again, or a half-written file was left.
"""

from __future__ import annotations

import argparse
import contextlib
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
from collections.abc import Iterator
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
    parser.add_argument("--victims", nargs="+", choices=("run", "step", "engine"), default=["run"])
    asked = parser.parse_args()
    name = yaml.safe_load(asked.study.read_text())["name"]
    with tempfile.TemporaryDirectory(prefix="soak-") as scratch:
        calm = folder_of(Path(scratch) / "calm", asked.study)
        began = time.monotonic()
        subprocess.run(SNAKEMAKE, cwd=calm, env=environment(), check=True, capture_output=True)
        whole_s = time.monotonic() - began
        told: dict[str, Any] = {"kills": 0, "victims": [], "rounds": 0, "steps": 0, **{fault: [] for fault in FAULTS}}
        dice = random.Random(asked.seed)
        while told["kills"] < asked.kills:
            told["rounds"] += 1
            wild = folder_of(Path(scratch) / f"wild{told['rounds']}", asked.study)
            found = soak(wild, name, asked.kills - told["kills"], whole_s, dice, asked.victims)
            found["tables_that_differ"] = [
                f"{path.name}: {line}"
                for path in sorted((calm / "results" / name).glob("*.csv"))
                for line in other_lines(path, wild / "results" / name / path.name)
            ]
            for key, value in found.items():
                told[key] += value
            shutil.rmtree(wild)
    told["victims"] = Counter(told["victims"])
    told["undisturbed_s"] = round(whole_s, 1)
    print(json.dumps(told, indent=1))
    return int(any(told[fault] for fault in FAULTS))


def other_lines(table: Path, other: Path) -> list[str]:
    """The first line of another table that this one does not have, and the first that is missing there as `-LINE`."""
    mine, theirs = (path.read_text().splitlines() for path in (table, other))
    added, lost = ([line for line in one if line not in two] for one, two in ((theirs, mine), (mine, theirs)))
    return [*added[:1], *(f"-{line}" for line in lost[:1])]


def folder_of(folder: Path, study: Path) -> Path:
    folder.mkdir()
    shutil.copy(ROOT / "Snakefile", folder)
    shutil.copytree(ROOT / "workflow", folder / "workflow")
    shutil.copy(study, folder / "s.yaml")
    return folder


def environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def soak(
    folder: Path, name: str, kills: int, whole_s: float, dice: random.Random, victims: list[str]
) -> dict[str, Any]:
    """Run a study to its end; up to `kills` of its runs are met by a kill, each after a random part of a whole one."""
    finished: Counter[str] = Counter()
    half_written: list[str] = []
    killed: list[str] = []
    number, done = 0, False
    while not done:
        log = folder / f"run{number}.log"
        number += 1
        victim = dice.choice(victims) if len(killed) < kills else ""
        with log.open("w") as stream:
            run = subprocess.Popen(SNAKEMAKE, cwd=folder, env=environment(), stdout=stream, stderr=stream)
            met = bool(victim) and kill(run, victim, dice.uniform(0.1, 0.5) * whole_s, dice)
            run.wait()
        done = run.returncode == 0
        if not done and not met:
            raise SystemExit(log.read_text())
        killed += [victim] if met else []
        finished.update(finished_in(log.read_text()))
        half_written += [str(path.relative_to(folder)) for path in unreadable(folder / "results" / name)]
    made_twice = [step for step, count in finished.items() if count > 1]
    return {
        "kills": len(killed),
        "victims": killed,
        "steps": len(finished),
        "made_twice": made_twice,
        "half_written": half_written,
    }


def kill(run: subprocess.Popen[bytes], victim: str, after_s: float, dice: random.Random) -> bool:
    """Kill a run and all that it started, or one of its steps or programs; whether there was one."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        run.wait(after_s)
        return False
    if victim == "run":
        kill_all(run)
        return True
    # There may be no such process just now.
    end = time.monotonic() + 5
    while run.poll() is None and time.monotonic() < end:
        if found := list(candidates(run.pid, victim)):
            with contextlib.suppress(psutil.NoSuchProcess):
                dice.choice(found).kill()
                return True
        time.sleep(0.02)
    return False


def candidates(run: int, victim: str) -> Iterator[psutil.Process]:
    """Steps of a run (processes that `solvation.warm` has become, named by their verb), or what those have started."""
    for process in psutil.Process(run).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            is_step = process.name().startswith("solvation ")
            parents = process.parents()
            if is_step if victim == "step" else any(one.name().startswith("solvation ") for one in parents[:3]):
                yield process


def kill_all(run: subprocess.Popen[bytes]) -> None:
    """Kill a run and all that it started at once."""
    everyone = [psutil.Process(run.pid), *psutil.Process(run.pid).children(recursive=True)]
    # Stopped first, so that none starts another one meanwhile.
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for process in everyone:
            if process.is_running():
                process.send_signal(number)
    run.wait()
    psutil.wait_procs(everyone, timeout=10)


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
