"""Which of the ready steps go first: those with the longest chain of work behind them.

Otherwise all cores but one wait at the end for a chain that began late: conformers, the search of their shell, its
energies. (Critical-path list scheduling: Kwok & Ahmad, ACM Comput. Surv. 31, 406 (1999).)
"""

from __future__ import annotations

from graphlib import TopologicalSorter

from solvation.planning.costs import Past, work
from solvation.study import ClassicalDynamics, ComputedTrajectory, Study
from solvation.study.targets import Target, targets

#: Rule and subject of a job.
Job = tuple[str, str]
_OF_RUNS = frozenset(
    ["pack", "segment", "join", "liquid", "patterns", "transport", "window", "profile", "label", "fit", "assess"]
)  # fmt: skip


def chains_s(study: Study, past: Past) -> dict[Job, float]:
    """CPU seconds from the start of each job to the end of the longest chain that it begins, itself included.

    Parameters
    ----------
    past
        What finished steps took.
    """
    jobs = {(target.rule, target.subject): target for target in targets(study) if target.card}
    graph = {job: [one for one in needs(study, target) if one in jobs] for job, target in jobs.items()}
    found = dict.fromkeys(jobs, 0.0)
    for job in reversed(list(TopologicalSorter(graph).static_order())):
        target = jobs[job]
        found[job] += past.seconds(work(study, target.step, target.name, target.level))
        for needed in graph[job]:
            found[needed] = max(found[needed], found[job])
    return found


def needs(study: Study, target: Target) -> list[Job]:
    """The jobs whose results a job reads, as in workflow/rules."""
    name, level = target.name, str(target.level or "")
    if target.rule in _OF_RUNS:
        return _needs_of_run(study, target.rule, name, target.subject.rpartition(" ")[2])
    members = study.clusters[name].composition if name in study.clusters else {name: 1}
    ligands: list[Job] = [("ligand", member) for member in members]
    references: list[Job] = [("reference", f"{member} {level}") for member in members]
    found: dict[str, list[Job]] = {
        "cluster": ligands,
        "reference": [("ligand", name)],
        "binding": [("cluster", name), *references],
        "counterpoise": [("binding", f"{name} {level}")],
        "thermochemistry": [("binding", f"{name} {level}"), *ligands],
        "oxidation_of_species": [("ligand", name)],
        **{rule: [("cluster", name)] for rule in ("bonding", "shieldings", "oxidation_of_cluster")},
    }
    return found.get(target.rule, [])


def _needs_of_run(study: Study, rule: str, name: str, number: str) -> list[Job]:
    found: list[Job]
    match rule:
        case "pack":
            found = _before_packing(study, name)
        case "segment":
            found = [("segment", f"{name} {int(number) - 1}") if int(number) > 1 else ("pack", name)]
        case "join":
            found = [_end_of(study, name)]
        case "window":
            is_first = int(number) == 1
            found = [_end_of(study, study.profiles[name].box) if is_first else ("window", f"{name} {int(number) - 1}")]
        case "profile":
            found = [("window", f"{name} {study.profiles[name].n_windows}")]
        case "label":
            found = [("join", number)]
        case "fit":
            found = [("label_structures", name), *(("label", f"{name} {run}") for run in study.potentials[name].frames)]
        case "patterns":
            found = [("liquid", name)]
        case "assess":
            found = [("fit", f"{name} {one}") for one in range(1, study.potentials[name].members + 1)]
        case _:
            found = [("join", name)]
    return found


def _before_packing(study: Study, name: str) -> list[Job]:
    settings = study.trajectories[name]
    found: list[Job] = []
    if isinstance(settings, ClassicalDynamics):
        found += [("parameters", member) for member in settings.members]
    if box := getattr(settings, "cut_from", None):
        found.append(_end_of(study, box))
    if potential := getattr(settings, "potential", None):
        found += [("fit", f"{potential} {one}") for one in range(1, study.potentials[potential].members + 1)]
    return found


def _end_of(study: Study, trajectory: str) -> Job:
    settings = study.trajectories[trajectory]
    assert isinstance(settings, ComputedTrajectory)
    return "segment", f"{trajectory} {settings.segments}"
