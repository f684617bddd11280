"""What the steps of a study cost: CPU time for its check, and time and memory to ask a queue for (docs/cluster.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from solvation.mixtures import numbers_of
from solvation.species import build_molecule
from solvation.study import ClassicalDynamics, Level, MolecularDynamics, Species, Study

#: CPU seconds of one energy and gradient of 40 atoms, and the exponent of its growth with the number of atoms,
#: measured on one slow core. A cost is a rough guide: a factor of two either way is normal.
_COST = {"gfn1": (0.035, 2.1), "gfn2": (0.035, 2.1)}
_DFT_COST = {"def2-svp": (110.0, 1.8), "def2-svpd": (250.0, 1.9), "def2-tzvp": (500.0, 2.1)}
#: CPU seconds of one step of a classical force field and one atom, on one core; a graphics card takes a hundredth.
_CLASSICAL_COST = 5e-6
_STEPS_LOOSE, _STEPS_FULL, _STEPS_TIGHT = 40, 60, 150
#: Basis functions of an atom, hydrogens counted in; fitting functions of a basis function.
_PER_ATOM = {"sto-3g": 3.0, "def2-svp": 10.0, "def2-svpd": 14.0, "def2-tzvp": 21.0}
_FITTING = 3.5
#: Python with its libraries, MB; and more than this is not asked for: the integrals are then made anew.
_BASE_MB, _MOST_MB = 1500.0, 64_000.0
#: Of a wave function the amplitudes are kept as well.
_WAVE_FUNCTION = 4.0
#: The queue kills at the limit, and a study is done on better and worse nodes.
_TIME_MARGIN, _START_MIN = 4.0, 10.0


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
    else:
        base, power = _DFT_COST.get(level.basis or "", _DFT_COST["def2-tzvp"])
    return float(base * (n_atoms / 40) ** power)


def memory_MB(level: Level, n_atoms: int) -> float:
    """Memory of one single point that keeps its integrals, a rough guide."""
    if level.is_tight_binding or level.is_own:
        return _BASE_MB + 0.02 * n_atoms**2
    functions = n_atoms * _PER_ATOM.get(level.basis or "", 1.3 * _PER_ATOM["def2-tzvp"])
    kept = 1.3 * _FITTING * functions**3 / 2 * 8e-6 * (_WAVE_FUNCTION if level.is_wave_function else 1.0)
    # The engines fill four fifths of what they are given (engines/base.py).
    return min(_MOST_MB, _BASE_MB + kept / 0.8)


def search_s(study: Study, n_atoms: int) -> float:
    """CPU seconds of the structure search of one cluster."""
    sampling, surfaces = study.sampling, study.levels.search
    steps = sampling.relaxed * _STEPS_LOOSE + max(sampling.ranked, sampling.relaxed // 2) * _STEPS_FULL
    cost = 1.3 * sum(steps * cost_s(level, n_atoms) for level in surfaces)
    if study.levels.rank is not None:
        cost += len(surfaces) * sampling.ranked * cost_s(study.levels.rank, n_atoms)
    if study.levels.geometry is not None and surfaces != (study.levels.geometry,):
        cost += len(surfaces) * sampling.ranked * _STEPS_FULL * 1.5 * cost_s(study.levels.geometry, n_atoms)
    return cost


def step_s(study: Study, step: str, level: Level, n_atoms: int, n_fragments: int) -> float:
    """CPU seconds of one step that follows the search, at one level."""
    if step == "thermochemistry":
        return (6 * n_atoms + _STEPS_TIGHT) * max(cost_s(one, n_atoms) for one in study.levels.geometries)
    # Binding: the complex and its parts. A bond: its shell, its ligands, the localised orbitals and the ghosts.
    # An ionisation: three single points. Shieldings: a finer field, and its response. A reference: every conformer;
    # one that is judged.
    points = {
        "binding": 2.2, "counterpoise": 0.5 * n_fragments, "bonding": 6.0, "oxidation": 4.0, "reference": 4.0,
        "shieldings": 8.0,
    }  # fmt: skip
    return points[step] * cost_s(level, n_atoms)


def dynamics_s(settings: MolecularDynamics, n_atoms: int) -> float:
    """CPU seconds of a whole trajectory."""
    return settings.length_ps * 1000 / settings.timestep_fs * cost_s(settings.level, n_atoms)


def classical_s(settings: ClassicalDynamics, n_atoms: int, time_ps: float) -> float:
    """CPU seconds of a time of classical dynamics."""
    return time_ps * 1000 / settings.timestep_fs * n_atoms * _CLASSICAL_COST


def need(study: Study, step: str, name: str, level: Level | None = None) -> Need:
    """Time and memory that one step asks for.

    Parameters
    ----------
    step
        The verb: ligand, cluster, reference, binding, counterpoise, thermochemistry, bonding, oxidation, shieldings,
        parameters, pack, md, join, liquid, transport.
    name
        Species, cluster or trajectory.
    level
        Of a step that has one.
    """
    if name in study.trajectories:
        return _need_of_trajectory(study, step, name)
    composition = study.clusters[name].composition if name in study.clusters else {name: 1}
    n_atoms = count_atoms(study, composition)
    if step == "parameters":
        levels: list[Level | None] = [study.charges.level]
        seconds = 2 * study.charges.conformers * cost_s(study.charges.level, n_atoms)
    elif step in {"ligand", "cluster"}:
        levels = [*study.levels.search, study.levels.geometry, study.levels.rank]
        seconds = search_s(study, n_atoms)
    else:
        levels = [*study.levels.geometries] if step == "thermochemistry" else [level]
        seconds = step_s(study, step, level or study.levels.search[0], n_atoms, sum(composition.values()))
    return _asked(max(memory_MB(one, n_atoms) for one in levels if one is not None), seconds)


def count_atoms(study: Study, composition: Mapping[str, int]) -> int:
    """Atoms of a composition, hydrogens included."""
    return sum(count * _size(name, study.species[name]) for name, count in composition.items())


def _need_of_trajectory(study: Study, step: str, name: str) -> Need:
    settings = study.trajectories[name]
    if isinstance(settings, ClassicalDynamics) and step in {"pack", "md"}:
        return _need_of_classical(study, step, settings)
    if not isinstance(settings, MolecularDynamics) or step in {"join", "liquid", "transport"}:
        return _asked(2 * _BASE_MB, 600.0)
    n_atoms = count_atoms(study, settings.composition)
    seconds = (
        dynamics_s(settings, n_atoms) / settings.segments if step == "md" else 300 * cost_s(settings.level, n_atoms)
    )
    return _asked(memory_MB(settings.level, n_atoms), seconds)


def _need_of_classical(study: Study, step: str, settings: ClassicalDynamics) -> Need:
    molecules = {name: build_molecule(name, study.species[name]) for name in settings.members}
    n_atoms = count_atoms(study, numbers_of(settings, molecules))
    time_ps = settings.npt_ps + settings.nvt_ps if step == "pack" else settings.length_ps / settings.segments
    # The frames of a segment wait in memory, 12 bytes an atom, and are written from a copy.
    frames_MB = 24e-6 * n_atoms * time_ps * 1000 / settings.save_every_fs
    return _asked(_BASE_MB + frames_MB, classical_s(settings, n_atoms, time_ps))


def _asked(megabytes: float, seconds: float) -> Need:
    return Need(round(megabytes), round(_START_MIN + _TIME_MARGIN * seconds / 60))


@cache
def _atoms_of(name: str, text: str) -> int:
    return len(build_molecule(name, Species.model_validate_json(text)).symbols)


def _size(name: str, species: Species) -> int:
    return _atoms_of(name, species.model_dump_json())
