"""What the steps of a study cost: a model, corrected by what past runs took, and what to ask a queue for.

docs/cluster.md tells how good it is.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from solvation.engines import composite
from solvation.errors import ResultsError, in_short
from solvation.liquids.mixtures import numbers_of
from solvation.progress import say
from solvation.provenance import read_json, write_json
from solvation.species import build_molecule
from solvation.study import (
    ClassicalDynamics,
    ComputedTrajectory,
    Level,
    MolecularDynamics,
    OwnTrajectory,
    Potential,
    Sampling,
    Species,
    Study,
)
from solvation.study.targets import Target, targets

#: CPU seconds of one energy and gradient of 40 atoms, and the exponent of its growth with the number of atoms,
#: measured on one slow core. A cost is a rough guide: a factor of two either way is normal.
_COST = {"gfn1": (0.035, 2.1), "gfn2": (0.035, 2.1)}
_DFT_COST = {"def2-svp": (65.0, 1.8), "def2-svpd": (150.0, 1.9), "def2-tzvp": (300.0, 2.1)}
#: Exact exchange costs as much again (PBE0 against PBE, Li(EC)4+ in def2-TZVP); names of functionals that have it.
_HYBRID = 2.0
_HYBRIDS = re.compile(
    r"pbe0|[bxo]3lyp|bhandhlyp|m0[56]|mn15|pw6b95|wb97|cam-|hse|lc-|tpssh|r2scan0|scan0|b1lyp|revpbe0"
)
#: CPU seconds of a wave function in 231 basis functions, those of Li+ and EC in def2-TZVP, and the exponent of its
#: growth with their number: MP2 takes seconds there, coupled cluster hours.
_WAVE_FUNCTION_COST = {"mp2": (15.0, 3.8), "ccsd": (5000.0, 6.0), "ccsd(t)": (20000.0, 6.5)}
#: CPU seconds of one step of a classical force field and one atom, on one core; a graphics card takes a hundredth.
_CLASSICAL_COST = 5e-6
#: CPU seconds of one pass of a fit through one atom of one frame, and of the forces of one model on one atom, with
#: 16 channels, two layers and 4.5 Å; both grow with the neighbours. A graphics card takes a hundredth.
_FIT_COST, _MODEL_COST = 4e-4, 3e-4
_STEPS_LOOSE, _STEPS_FULL, _STEPS_TIGHT = 40, 60, 150
#: Basis functions of an atom, hydrogens counted in; fitting functions of a basis function.
_PER_ATOM = {"sto-3g": 3.0, "def2-svp": 10.0, "def2-svpd": 14.0, "def2-mtzvpp": 15.0, "def2-tzvp": 21.0}
_FITTING = 3.5
#: Python with its libraries, MB; and more than this is not asked for: the integrals are then made anew.
_BASE_MB, _MOST_MB = 1500.0, 64_000.0
#: Python with torch and mace, and what one atom of a batch takes while it is differentiated, MB.
_TORCH_MB, _BATCH_MB = 2500.0, 2.0
#: Of a wave function the amplitudes are kept as well.
_WAVE_FUNCTION = 4.0
#: CPU seconds of a step before it computes: Python and its libraries. Of reading a trajectory of unknown length.
_START_S, _UNREAD_S = 1.5, 600.0
#: Of the equations of MBAR.
_SOLVER_S = 30.0
#: The same with torch and mace.
_LOAD_S = 15.0
_SUMMARY_S = {"tables": 3.0, "compare": 3.0, "report": 10.0}
#: Conformers of a ligand that a search relaxes, more of a flexible one;
#: energies and gradients of a packed droplet on its way to rest.
_CONFORMERS, _STEPS_PACKED = 8, 300
#: Past runs lower what a queue is asked for to half of the model's at most: some found their energies in the cache.
_LEAST_FACTOR = 0.5
#: Memory above the largest that a step of its kind took.
_MEMORY_MARGIN = 1.3
#: Name of the file in the results of a study that holds what its steps took.
FILE = "costs.json"
#: Times of three hundred years, a hundred times the model's memory, a million atoms, and a thousand times the model's
#: time: what a `costs.json` says beyond is no measurement.
_MOST_TOOK, _MOST_RATIO = (1e10, 1e10, 100.0, 1e6), 1000.0
#: The queue kills at the limit, and a study is done on better and worse nodes.
_TIME_MARGIN, _START_MIN = 4.0, 10.0


#: Steps that read a finished trajectory, with CPU seconds for one atom of one frame; and those that make it.
_ANALYSES = {"join": 2e-6, "liquid": 3e-6, "patterns": 4e-6, "transport": 1e-6}
OF_TRAJECTORIES = {"pack", "md", *_ANALYSES}
OF_PROFILES = {"umbrella", "profile"}
OF_POTENTIALS = {"label", "fit", "assess"}


@dataclass(frozen=True, slots=True)
class Need:
    """What to ask a queue for at the first attempt."""

    memory_MB: int
    minutes: int


def cost_s(level: Level, n_atoms: int) -> float:
    """CPU seconds of one single point, a rough guide."""
    if level.is_tight_binding or level.is_own:
        # Potentials of one's own cost what they cost; they are named to be cheap.
        base, power = _COST.get(level.method, _COST["gfn2"])
    elif level.method in _WAVE_FUNCTION_COST:
        base, power = _WAVE_FUNCTION_COST[level.method]
        return float(base * (_functions(level, n_atoms) / 231) ** power)
    else:
        base, power = _DFT_COST.get(level.basis or "", _DFT_COST["def2-tzvp"])
        base *= _HYBRID if _HYBRIDS.match(level.method) else 1.0
    return float(base * (n_atoms / 40) ** power)


def _functions(level: Level, n_atoms: int) -> float:
    """Basis functions, about; a basis set that is not known here counts as a large one."""
    basis = composite.BASIS if level.method == composite.NAME else level.basis
    return n_atoms * _PER_ATOM.get(basis or "", 1.3 * _PER_ATOM["def2-tzvp"])


def memory_MB(level: Level, n_atoms: int) -> float:
    """Memory of one single point that keeps its integrals, a rough guide."""
    if level.is_tight_binding or level.is_own:
        return _BASE_MB + 0.02 * n_atoms**2
    functions = _functions(level, n_atoms)
    kept = 1.3 * _FITTING * functions**3 / 2 * 8e-6 * (_WAVE_FUNCTION if level.is_wave_function else 1.0)
    # The engines fill four fifths of what they are given (engines/base.py).
    return min(_MOST_MB, _BASE_MB + kept / 0.8)


@dataclass(frozen=True, slots=True)
class Work:
    """What decides the cost of one step.

    Attributes
    ----------
    step
        The verb.
    levels
        Those at which it computes: of a search its surfaces, then the geometry level and the rank, where there are any.
    seconds
        CPU time by the model, a rough guide.
    """

    step: str
    levels: tuple[Level, ...]
    n_atoms: int
    seconds: float

    @property
    def kind(self) -> str:
        """Steps of one kind err alike: `binding pbe-d4/def2-svp`."""
        return " ".join([self.step, *map(str, self.levels)])


@dataclass(frozen=True, slots=True)
class Took:
    """What finished steps of one kind took, and what the model says of them.

    Attributes
    ----------
    measured_s, estimated_s
        CPU time of all of them.
    memory_factor
        Largest ratio of measured to estimated memory; 0 = not measured.
    largest_atoms
        Atoms of the largest of those whose memory was measured.
    """

    measured_s: float
    estimated_s: float
    memory_factor: float = 0.0
    largest_atoms: int = 0


@dataclass(frozen=True, slots=True)
class Past:
    """What finished steps took, by their kind."""

    took: Mapping[str, Took]

    def factor(self, asked: Work) -> float:
        """Measured over estimated time of steps of this kind; else of the same verb at other levels; else 1."""
        alike = [self.took[asked.kind]] if asked.kind in self.took else []
        alike = alike or [took for kind, took in self.took.items() if kind.split()[0] == asked.step]
        estimated = sum(took.estimated_s for took in alike)
        return sum(took.measured_s for took in alike) / estimated if estimated else 1.0

    def seconds(self, asked: Work) -> float:
        """CPU time of a step, as past runs suggest."""
        return asked.seconds * self.factor(asked)

    def memory_factor(self, asked: Work) -> float:
        """What to multiply the memory of a step by: steps of its kind alone tell, and small ones of no large one that
        it takes less."""
        took = self.took.get(asked.kind)
        if took is None or not took.memory_factor:
            return 1.0
        factor = max(_LEAST_FACTOR, _MEMORY_MARGIN * took.memory_factor)
        return factor if asked.n_atoms <= took.largest_atoms else max(1.0, factor)


def read_past(results: Path) -> Past:
    """What all studies of a folder took, from their `costs.json`; nothing is known of a folder without any.

    They are hints: one that is damaged, or says what no step takes, is named and left out, and stops no study.
    """
    found: dict[str, Took] = {}
    for path in sorted(results.glob(f"*/{FILE}")):
        try:
            told_of_all = read_json(path)
        except (ResultsError, OSError) as problem:
            say(f"{path} is not used: {str(problem).removeprefix(f'{path}: ')}")
            continue
        for kind, told in told_of_all.items():
            took = _took(told) if kind.split() else None
            if took is None:
                say(f"{path} is not used for '{in_short(ValueError(kind))}': these are no times that a step takes")
                continue
            before = found.get(kind, Took(0.0, 0.0))
            found[kind] = Took(
                before.measured_s + took.measured_s,
                before.estimated_s + took.estimated_s,
                max(before.memory_factor, took.memory_factor),
                max(before.largest_atoms, took.largest_atoms),
            )
    return Past(found)


def _took(told: Any) -> Took | None:
    """One entry of a `costs.json`; None for what cannot have been measured."""
    try:
        # Files of versions that measured no memory have none.
        numbers = [float(told["measured_s"]), float(told["estimated_s"])]
        numbers += [float(told.get("memory_factor", 0.0)), float(told.get("largest_atoms", 0))]
    except (TypeError, KeyError, ValueError, AttributeError, OverflowError):
        return None
    # Also false for what is no number.
    if not all(0 <= number <= most for number, most in zip(numbers, _MOST_TOOK, strict=True)):
        return None
    if numbers[0] > _MOST_RATIO * numbers[1]:
        return None
    return Took(numbers[0], numbers[1], numbers[2], int(numbers[3]))


def write_took(study: Study) -> None:
    """Write `costs.json`: what the finished steps of a study took, as their records say, against the model."""
    sums: dict[str, dict[str, float]] = defaultdict(
        lambda: {"measured_s": 0.0, "estimated_s": 0.0, "steps": 0, "memory_factor": 0.0, "largest_atoms": 0}
    )
    for target in targets(study):
        path = study.folder / target.record
        if not target.record or not path.is_file():
            continue
        made: dict[str, Any] = read_json(path)
        if made.get("status") == "failed" or made.get("card") != json.loads(target.card) or "cpu_s" not in made:
            continue
        step, parts = _made_of(study, target)
        asked = work(study, step, target.name, target.level)
        entry = sums[asked.kind]
        entry["measured_s"] += float(made["cpu_s"]) + parts * _START_S  # which a step cannot see
        entry["estimated_s"] += parts * asked.seconds
        entry["steps"] += 1
        if "peak_MB" in made and step == target.step:
            estimated_MB = _memory_MB(study, step, target.name, asked)
            entry["memory_factor"] = max(entry["memory_factor"], float(made["peak_MB"]) / estimated_MB)
            entry["largest_atoms"] = max(entry["largest_atoms"], asked.n_atoms)
    write_json(study.folder / FILE, dict(sums))


def _made_of(study: Study, target: Target) -> tuple[str, int]:
    """The step whose time the record of a target tells, and how many of them: a trajectory tells its segments."""
    trajectory = study.trajectories.get(target.name)
    if target.rule == "join" and isinstance(trajectory, ComputedTrajectory):
        return "md", trajectory.segments
    if target.rule == "profile":
        return "umbrella", study.profiles[target.name].n_windows
    return target.step, 1


def search(
    step: str, sampling: Sampling, surfaces: Sequence[Level], geometry: Level | None, rank: Level | None, n_atoms: int
) -> Work:
    """Search of the structures of a cluster, or of the conformers of a species."""
    if step == "ligand":
        steps, judged = sampling.searches * min(sampling.conformers, _CONFORMERS) * _STEPS_FULL, 0
    else:
        # Half of the rounds of variations, as nothing lower ends them sooner where little turns.
        loose = sampling.relaxed * (1 + 0.25 * sampling.rounds)
        full = max(sampling.ranked, sampling.relaxed // 2)
        steps = round(sampling.searches * (loose * _STEPS_LOOSE + full * _STEPS_FULL))
        judged = len(surfaces) * sampling.ranked * sampling.searches
    cost = 1.3 * sum(steps * cost_s(level, n_atoms) for level in surfaces)
    if rank is not None:
        cost += judged * cost_s(rank, n_atoms)
    if geometry is not None and tuple(surfaces) != (geometry,):
        cost += max(judged, 1) * _STEPS_FULL * 1.5 * cost_s(geometry, n_atoms)
    levels = tuple(level for level in (*surfaces, geometry, rank) if level is not None)
    return Work(step, levels, n_atoms, _START_S + cost)


def after_search(step: str, level: Level, n_atoms: int, n_fragments: int) -> Work:
    """One step at one level on structures that were found; of thermochemistry the level that relaxed them."""
    # Binding: the complex and its parts. A bond: its shell, its ligands, the localised orbitals and the ghosts.
    # An ionisation: three single points. Shieldings: a finer field, and its response. A reference: every conformer;
    # one that is judged.
    points = {
        "binding": 2.2, "counterpoise": 0.5 * n_fragments, "bonding": 15.0, "oxidation": 4.0, "reference": 4.0,
        "shieldings": 8.0, "thermochemistry": 6.0 * n_atoms + _STEPS_TIGHT,
    }  # fmt: skip
    return Work(step, (level,), n_atoms, _START_S + points[step] * cost_s(level, n_atoms))


def work(study: Study, step: str, name: str, level: Level | None = None) -> Work:
    """Work of one step of a study.

    Parameters
    ----------
    step
        The verb: ligand, cluster, reference, binding, counterpoise, thermochemistry, bonding, oxidation, shieldings,
        parameters, pack, md (one segment), join, liquid, patterns, transport, label (the dearest), fit (one model),
        assess, umbrella (one window), profile, tables, compare, report.
    name
        Species, cluster, trajectory, potential or profile.
    level
        Of a step that has one.
    """
    if step in _SUMMARY_S:
        return Work(step, (), 0, _SUMMARY_S[step])
    if name in study.trajectories and step in OF_TRAJECTORIES:
        return _work_of_trajectory(study, step, name)
    if step in OF_PROFILES | OF_POTENTIALS:
        return (_work_of_profile if step in OF_PROFILES else _work_of_potential)(study, step, name)
    composition = study.clusters[name].composition if name in study.clusters else {name: 1}
    n_atoms, levels = count_atoms(study, composition), study.levels
    if step == "parameters":
        seconds = 2 * study.charges.conformers * cost_s(study.charges.level, n_atoms)
        return Work(step, (study.charges.level,), n_atoms, _START_S + seconds)
    if step in {"ligand", "cluster"}:
        rank = levels.rank if step == "cluster" else None
        return search(step, study.sampling, levels.search, levels.geometry, rank, n_atoms)
    if step == "thermochemistry":
        level = max(levels.geometries, key=lambda one: cost_s(one, n_atoms))
    return after_search(step, level or levels.search[0], n_atoms, sum(composition.values()))


def need(study: Study, step: str, name: str, level: Level | None = None, past: Past | None = None) -> Need:
    """Time and memory that one step asks for; arguments as of `work`, and what past runs took."""
    asked = work(study, step, name, level)
    megabytes = _memory_MB(study, step, name, asked) * (past.memory_factor(asked) if past else 1.0)
    factor = max(_LEAST_FACTOR, past.factor(asked)) if past else 1.0
    return Need(round(megabytes), round(_START_MIN + _TIME_MARGIN * factor * asked.seconds / 60))


def _memory_MB(study: Study, step: str, name: str, asked: Work) -> float:
    """Memory of one step by the model."""
    if name in study.trajectories and step in OF_TRAJECTORIES:
        return _memory_of_trajectory(study, step, name, asked.n_atoms)
    if step in OF_PROFILES:
        return _BASE_MB
    if step in OF_POTENTIALS:
        settings = study.potentials[name]
        if step == "label":
            return memory_MB(settings.level, asked.n_atoms)
        return _TORCH_MB + _BATCH_MB * settings.batch * asked.n_atoms * _size_of(settings)
    return max((memory_MB(one, asked.n_atoms) for one in asked.levels), default=_BASE_MB)


def count_atoms(study: Study, composition: Mapping[str, int]) -> int:
    """Atoms of a composition, hydrogens included."""
    return sum(count * _size(name, study.species[name]) for name, count in composition.items())


def _work_of_trajectory(study: Study, step: str, name: str) -> Work:
    settings = study.trajectories[name]
    if isinstance(settings, OwnTrajectory):
        return Work(step, (), 0, _UNREAD_S)
    numbers: Mapping[str, int] = settings.composition
    if isinstance(settings, ClassicalDynamics):
        numbers = numbers_of(settings, {one: build_molecule(one, study.species[one]) for one in settings.members})
    n_atoms = count_atoms(study, numbers)
    if step in _ANALYSES:
        n_frames = settings.length_ps * 1000 / settings.save_every_fs
        return Work(step, (), 0, _START_S + n_frames * n_atoms * _ANALYSES[step])
    if isinstance(settings, ClassicalDynamics):
        steps = _time_ps(settings, step) * 1000 / settings.timestep_fs
        return Work(step, (), n_atoms, _START_S + steps * n_atoms * _CLASSICAL_COST)
    steps = settings.length_ps * 1000 / settings.timestep_fs / settings.segments if step == "md" else _STEPS_PACKED
    if settings.level is None:
        potential = study.potentials[settings.potential or ""]
        return Work(step, (), n_atoms, _LOAD_S + steps * potential.members * _model_s(potential, n_atoms))
    return Work(step, (settings.level,), n_atoms, _START_S + steps * cost_s(settings.level, n_atoms))


def _work_of_profile(study: Study, step: str, name: str) -> Work:
    settings = study.profiles[name]
    run, n_atoms = settings.run_of(study.boxes[settings.box]), _atoms_in(study, settings.box)
    if step == "profile":
        return Work(step, (), 0, _SOLVER_S + run.length_ps * 1000 / run.save_every_fs * n_atoms * _ANALYSES["liquid"])
    steps = settings.window_ps * 1000 / run.timestep_fs
    return Work(step, (), n_atoms, _START_S + steps * n_atoms * _CLASSICAL_COST)


def _work_of_potential(study: Study, step: str, name: str) -> Work:
    settings = study.potentials[name]
    atoms = {run: _atoms_in(study, run) for run in settings.frames}
    n_atoms = max(atoms.values())
    if step == "label":
        seconds = max(count * cost_s(settings.level, atoms[run]) for run, count in settings.frames.items())
        return Work(step, (settings.level,), n_atoms, _START_S + seconds)
    total = sum(count * atoms[run] for run, count in settings.frames.items())
    if step == "fit":
        seconds = settings.epochs * total * (1 - settings.held_out) * _size_of(settings) * _FIT_COST
    else:
        seconds = settings.members * _model_s(settings, round(settings.held_out * total))
    return Work(step, (), n_atoms, _LOAD_S + seconds)


def _model_s(potential: Potential, n_atoms: int) -> float:
    """CPU seconds of the forces of one model."""
    return _MODEL_COST * n_atoms * _size_of(potential)


def _size_of(potential: Potential) -> float:
    """Cost of a model over that of the one that was measured."""
    width = (potential.channels / 16) ** 0.7 * (potential.max_L + 1) ** 1.5
    return max(float(width) * (potential.cutoff_A / 4.5) ** 3 * potential.layers / 2, 0.3)


def _atoms_in(study: Study, trajectory: str) -> int:
    settings = study.trajectories[trajectory]
    if isinstance(settings, ClassicalDynamics):
        molecules = {one: build_molecule(one, study.species[one]) for one in settings.members}
        return count_atoms(study, numbers_of(settings, molecules))
    return count_atoms(study, settings.composition) if isinstance(settings, MolecularDynamics) else 0


def _memory_of_trajectory(study: Study, step: str, name: str, n_atoms: int) -> float:
    settings = study.trajectories[name]
    if isinstance(settings, OwnTrajectory) or step in _ANALYSES:
        return 2 * _BASE_MB
    if isinstance(settings, MolecularDynamics):
        return _TORCH_MB + _BATCH_MB * n_atoms if settings.level is None else memory_MB(settings.level, n_atoms)
    # The frames of a segment wait in memory, 12 bytes an atom, and are written from a copy.
    return _BASE_MB + 24e-6 * n_atoms * _time_ps(settings, step) * 1000 / settings.save_every_fs


def _time_ps(settings: ClassicalDynamics, step: str) -> float:
    return settings.npt_ps + settings.nvt_ps if step == "pack" else settings.length_ps / settings.segments


@cache
def _atoms_of(name: str, text: str) -> int:
    return len(build_molecule(name, Species.model_validate_json(text)).symbols)


def _size(name: str, species: Species) -> int:
    return _atoms_of(name, species.model_dump_json())
