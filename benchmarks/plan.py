"""Play a study through a queue without computing anything: makespan, what queueing costs, and the time of the DAG.

    python benchmarks/plan.py benchmarks/campaign.yaml --nodes 4 16 --cores 32

Every job takes what the cost model says, times a random factor (a factor of two either way), on whole cores. It is sent
when its inputs are there and fewer than `--jobs` are under way, is looked at by the queue after `--queue-s`, starts
when cores are free (those with the longest chain behind them first), starts Python for `--start-s`, and is seen as
finished at the next look of Snakemake. Nothing is measured but the time that Snakemake takes to build the DAG
(`--dag`, CPU seconds of `snakemake -n`).
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import random
import resource
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from solvation.planning.chains import Job, needs
from solvation.planning.costs import read_past, work
from solvation.study import Study, load_study
from solvation.study.targets import targets

ROOT = Path(__file__).parents[1]
#: As in workflow/profiles/slurm: so many references go in one job.
GROUP = 10


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--nodes", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--cores", type=int, default=32, help="of a node")
    parser.add_argument("--jobs", type=int, default=500, help="in the queue at most")
    parser.add_argument("--queue-s", type=float, default=60, help="from sbatch to start where cores are free")
    parser.add_argument("--start-s", type=float, default=10, help="srun, Snakemake and Python of each job")
    parser.add_argument("--look-s", type=float, default=40, help="between two looks of Snakemake")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dag", action="store_true", help="time the DAG as well")
    asked = parser.parse_args()
    study = load_study(asked.study)
    jobs = jobs_of(study, random.Random(asked.seed))
    cpu_h = sum(job["cores"] * job["seconds"] for job in jobs.values()) / 3600
    told: dict[str, object] = {"clusters": len(study.clusters), "steps": len(targets(study)), "jobs": len(jobs)}
    told |= {"core_hours": round(cpu_h), "longest_chain_h": round(max(chains(jobs).values()) / 3600, 1), "plans": []}
    for nodes in asked.nodes:
        cores = nodes * asked.cores
        real = makespan_s(jobs, cores, asked.jobs, asked.queue_s, asked.start_s, asked.look_s, asked.seed)
        bare = makespan_s(jobs, cores, len(jobs), 0, 0, 0, asked.seed)
        told["plans"] += [  # type: ignore[operator]
            {
                "nodes": nodes,
                "makespan_h": round(real / 3600, 2),
                "without_queue_h": round(bare / 3600, 2),
                "overhead_percent": round(100 * (real / bare - 1), 1),
                "cores_busy_percent": round(360000 * cpu_h / real / cores),
            }
        ]
    if asked.dag:
        told["dag_cpu_s"] = round(dag_cpu_s(asked.study), 1)
    print(json.dumps(told, indent=1))
    return 0


def jobs_of(study: Study, dice: random.Random) -> dict[str, dict]:
    """Jobs by name: cores, seconds, and the names of those that they wait for."""
    past = read_past(study.results)
    jobs: dict[str, dict] = {}
    where: dict[Job, str] = {}
    groups: dict[str, int] = defaultdict(int)
    for target in targets(study):
        name = f"{target.rule} {target.subject}"
        if target.rule == "reference":
            name = f"references {groups['reference'] // GROUP}"
            groups["reference"] += 1
        if target.rule in {"tables", "compare", "report"}:
            name = "summary"
        cores = 1 if target.level is None or target.level.is_tight_binding else 2
        seconds = past.seconds(work(study, target.step, target.name, target.level))
        seconds *= math.exp(dice.gauss(0, math.log(2) / 2)) / cores
        job = jobs.setdefault(name, {"cores": cores, "seconds": 0.0, "needs": set()})
        job["cores"], job["seconds"] = max(job["cores"], cores), job["seconds"] + seconds
        job["needs"] |= {where[key] for key in needs(study, target) if key in where} - {name}
        if name == "summary":
            job["needs"] |= set(jobs) - {name}
        where[target.rule, target.subject] = name
    return jobs


def chains(jobs: dict[str, dict]) -> dict[str, float]:
    """Seconds from the start of each job to the end of all that follows from it."""
    found: dict[str, float] = defaultdict(float)
    for name, job in reversed(jobs.items()):  # whoever needs a job stands after it
        found[name] += job["seconds"]
        for needed in job["needs"]:
            found[needed] = max(found[needed], found[name])
    return dict(found)


def makespan_s(
    jobs: dict[str, dict], cores: int, most: int, queue_s: float, start_s: float, look_s: float, seed: int
) -> float:
    """Seconds until the last job is seen as finished."""
    dice, urgency = random.Random(seed), chains(jobs)
    waits = {name: len(job["needs"]) for name, job in jobs.items()}
    followers: dict[str, list[str]] = defaultdict(list)
    for name, job in jobs.items():
        for needed in job["needs"]:
            followers[needed].append(name)
    ready = [(-urgency[name], name) for name, count in waits.items() if not count]
    heapq.heapify(ready)
    queued: list[tuple[float, str]] = []
    events: list[tuple[float, str, str]] = []
    now, free, sent = 0.0, cores, 0
    while ready or queued or events:
        while ready and sent < most:
            sent += 1
            heapq.heappush(events, (now + queue_s, "queued", heapq.heappop(ready)[1]))
        while queued and free >= min(jobs[queued[0][1]]["cores"], cores):
            name = heapq.heappop(queued)[1]
            free -= min(jobs[name]["cores"], cores)
            heapq.heappush(events, (now + start_s + jobs[name]["seconds"], "ends", name))
        now, kind, name = heapq.heappop(events)
        if kind == "queued":
            heapq.heappush(queued, (-urgency[name], name))
            continue
        if kind == "ends":
            free += min(jobs[name]["cores"], cores)
            heapq.heappush(events, (now + dice.uniform(0, look_s), "seen", name))
            continue
        sent -= 1
        for follower in followers[name]:
            waits[follower] -= 1
            if not waits[follower]:
                heapq.heappush(ready, (-urgency[follower], follower))
    return now


def dag_cpu_s(study: Path) -> float:
    """CPU seconds of `snakemake -n` in an empty folder."""
    with tempfile.TemporaryDirectory() as scratch:
        shutil.copy(ROOT / "Snakefile", scratch)
        shutil.copytree(ROOT / "workflow", Path(scratch) / "workflow")
        shutil.copy(study, Path(scratch) / "s.yaml")
        command = [str(Path(sys.executable).with_name("snakemake")), "-n", "--quiet", "--config", "study=s.yaml"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, cwd=scratch, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    sys.exit(main())
