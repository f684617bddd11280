"""Everything that can be found wrong with a study before computing, and what the study will cost."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from solvation.clusters.isomers import check_isomers, mixed_hands
from solvation.clusters.shell import build_shell
from solvation.energies.binding import check_ion, check_parts, doubt_of_spins, doubts
from solvation.engines import ENGINES, check_ghosts, check_level, check_shieldings
from solvation.errors import EngineMissing, SolvationError, SpeciesError, StructureError, StudyError
from solvation.liquids.ions import check_charge_scale, fitted_pairs
from solvation.planning.costs import OF_POTENTIALS, OF_PROFILES, OF_TRAJECTORIES, read_past, work
from solvation.species import Molecule, build_molecule
from solvation.stereo import open_isomers
from solvation.study import ClassicalDynamics, ComputedTrajectory, Level, MolecularDynamics, OwnTrajectory, Study
from solvation.study.targets import targets


@dataclass(frozen=True, slots=True)
class Examination:
    """What `solvation check` tells.

    Attributes
    ----------
    lines
        One line for each cluster and trajectory, and warnings.
    cpu_minutes, wall_minutes
        Estimate for the whole study, the latter on two cores; corrected by what earlier studies in its folder took.
    """

    lines: tuple[str, ...]
    cpu_minutes: float
    wall_minutes: float


def examine(study: Study, path: Path) -> Examination:
    """Build every species, cluster and level of a study without computing anything.

    Raises
    ------
    SolvationError
        The first thing found wrong, with the study file, the key and the mend.
    """
    molecules = {}
    for name, species in study.species.items():
        try:
            molecules[name] = build_molecule(name, species)
        except SolvationError as problem:
            raise type(problem)(f"{path}: {problem}") from problem
    _check_levels(study, path)
    for name in study.clusters:
        _check_cluster(study, path, name, molecules)
    _check_isomers(study, path, molecules)
    lines = [*_doubts(study, molecules), *mixed_hands([one.composition for one in study.clusters.values()], molecules)]
    for name, settings in study.trajectories.items():
        if isinstance(settings, OwnTrajectory):
            _check_own(path, name, settings, study.analysis.r_max_A)
            lines.append(f"trajectory {name}: can be read, and its selections match")
            continue
        if isinstance(settings, ClassicalDynamics):
            lines += _check_classical(study, path, name, settings, molecules)
        else:
            _check_dynamics(path, name, settings, molecules)
        level = settings.level if isinstance(settings, MolecularDynamics) and settings.shape == "box" else None
        if level is not None and level.engine == "tblite":
            lines.append(
                f"warning: trajectories.{name}: tblite's electrostatics of periodic boxes is doubtful "
                f"(docs/engines.md); take a droplet, or cp2k:{level.method}"
            )
    for name in study.profiles:
        _check_profile(study, path, name)
    for name in study.potentials:
        _check_potential(study, path, name)
    costs_s = step_costs_s(study)
    lines += [
        f"{kind} {name}: about {cost / 60:.1f} min of CPU time"
        for (kind, name), cost in costs_s.items()
        if kind in {"cluster", "trajectory", "profile", "potential"}
    ]
    cpu_s, longest_s = sum(costs_s.values()), max(costs_s.values())
    return Examination(tuple(lines), cpu_s / 60, max(cpu_s / 2, longest_s) / 60)


def step_costs_s(study: Study) -> dict[tuple[str, str], float]:
    """CPU seconds of all steps of each species, cluster, trajectory and of the study, as past runs suggest."""
    past = read_past(study.results)
    costs_s: dict[tuple[str, str], float] = defaultdict(float)
    for target in targets(study):
        if target.step in OF_TRAJECTORIES:
            kind = "trajectory"
        elif target.step in OF_PROFILES:
            kind = "profile"
        elif target.step in OF_POTENTIALS:
            kind = "potential"
        else:
            kind = "cluster" if target.name in study.clusters else "species"
        costs_s[kind, target.name] += past.seconds(work(study, target.step, target.name, target.level))
    return dict(costs_s)


def _check_levels(study: Study, path: Path) -> None:
    asked: list[tuple[str, Level | None]] = [
        *(("levels.search", level) for level in study.levels.search),
        ("levels.geometry", study.levels.geometry), ("levels.rank", study.levels.rank),
    ]  # fmt: skip
    asked += [("levels.counterpoise", level) for level in study.levels.counterpoise]
    asked += [("levels.bonding", level) for level in study.levels.bonding]
    asked += [("levels.oxidation", level) for level in study.levels.oxidation]
    asked += [("levels.shieldings", level) for level in study.levels.shieldings]
    asked += [(f"levels of cluster {name}", level) for name in study.clusters for level in study.levels_of(name)]
    asked += [
        (f"trajectories.{name}.level", item.level)
        for name, item in study.trajectories.items()
        if isinstance(item, MolecularDynamics)
    ]
    asked += [(f"potentials.{name}.level", item.level) for name, item in study.potentials.items()]
    if study.boxes:
        asked.append(("charges.level", study.charges.level))
    for where, level in asked:
        if level is None:
            continue
        try:
            check_level(level)
            if where == "levels.counterpoise":
                check_ghosts(level)
            if where == "levels.shieldings":
                check_shieldings(level)
        except SolvationError as problem:
            raise type(problem)(f"{path}: {where}: {problem}") from problem
    for level in study.levels.search:
        if not (level.is_tight_binding or level.is_own):
            raise StudyError(
                f"{path}: levels.search: '{level}' is too dear to search with; use gfn1, gfn2 or a potential "
                "(ase:, mace:)"
            )


def _check_cluster(study: Study, path: Path, name: str, molecules: Mapping[str, Molecule]) -> None:
    asked = study.clusters[name]
    where = f"{path}: clusters.{name}"
    try:
        shell = build_shell(asked.composition, molecules)
    except StructureError as problem:
        raise StructureError(f"{where}.composition: {problem}") from problem
    if shell.ion.name != asked.ion:
        # The charge of a MOL file is not known before it is read.
        raise StructureError(f"{where}.composition: the ion, {shell.ion.name}, comes first; name it before {asked.ion}")
    levels, measured = study.levels, study.levels_of(name)
    others = [*levels.geometries, levels.rank, *levels.bonding, *levels.oxidation, *levels.shieldings]
    try:
        for level in measured:
            check_ion(level, shell.ion)
        for level in filter(None, dict.fromkeys([*measured, *others])):
            check_parts(level, shell)
    except StudyError as problem:
        raise StudyError(f"{where}: {problem}") from problem
    for species, wanted in asked.denticity.items():
        have = len(shell.sites_of(molecules[species]))
        if wanted > have:
            raise StructureError(f"{where}.denticity.{species}: {wanted} donors asked for, {species} has {have}")


def _check_isomers(study: Study, path: Path, molecules: Mapping[str, Molecule]) -> None:
    """Of a species of a cluster the free conformers are its reference, so that it has to be one stereoisomer."""
    try:
        held = dict.fromkeys(name for cluster in study.clusters.values() for name in cluster.composition)
        check_isomers(molecules[name] for name in held)
    except SpeciesError as problem:
        raise SpeciesError(f"{path}: {problem}") from problem


def _doubts(study: Study, molecules: Mapping[str, Molecule]) -> list[str]:
    held: dict[Level, list[Molecule]] = defaultdict(list)
    for name, cluster in study.clusters.items():
        for level in study.levels_of(name):
            held[level] += [molecules[one] for one in cluster.composition]
    spins = [(name, doubt_of_spins(cluster.composition, molecules)) for name, cluster in study.clusters.items()]
    return [
        *(doubt for level, some in held.items() for doubt in doubts(level, some)),
        *(f"warning: clusters.{name}: {doubt.removeprefix('warning: ')}" for name, doubt in spins if doubt),
    ]


def _check_dynamics(path: Path, name: str, settings: MolecularDynamics, molecules: Mapping[str, Molecule]) -> None:
    from solvation.liquids.packmol import program

    program()
    if not any(molecules[species].is_ion for species in settings.composition):
        raise StudyError(f"{path}: trajectories.{name}.composition: holds no bare ion to look at, e.g. Li+: 1")


def _check_profile(study: Study, path: Path, name: str) -> None:
    """Refuse a walk whose windows are no whole number of blocks, or whose solver is not here."""
    from solvation.dynamics.classical import BLOCK_STEPS
    from solvation.dynamics.langevin import schedule
    from solvation.profiles.umbrella import check_windows

    where, settings = f"{path}: profiles.{name}", study.profiles[name]
    if find_spec("pymbar") is None:
        raise EngineMissing(f"{where}: pymbar is not installed; pip install 'solvation[liquids]'")
    run = settings.run_of(study.boxes[settings.box])
    try:
        check_windows(settings, run.timestep_fs)
        schedule(run, BLOCK_STEPS)
    except StudyError as problem:
        raise StudyError(f"{where}.{problem}") from problem


def _check_potential(study: Study, path: Path, name: str) -> None:
    """Refuse a potential that cannot be fitted here, or asks for more frames than its runs will have."""
    # Loaded for the few studies with potentials alone: every ./run waits for this examination.
    from solvation.potentials.frames import read_structures, split

    where = f"{path}: potentials.{name}"
    if (reason := ENGINES["mace"].missing()) is not None:
        raise EngineMissing(f"{where}: {reason}")
    settings = study.potentials[name]
    if settings.structures is not None:
        try:
            read_structures(settings.structures)
        except StudyError as problem:
            raise StudyError(f"{where}.structures: {problem}") from problem
    for trajectory, count in settings.frames.items():
        run = study.trajectories[trajectory]
        assert isinstance(run, ComputedTrajectory)  # the study was validated
        n_frames = int((run.length_ps - run.equilibration_ps) * 1000 / run.save_every_fs + 1e-6)
        try:
            split(n_frames, count, settings.held_out, math.ceil(settings.gap_ps * 1000 / run.save_every_fs - 1e-6))
        except SolvationError as problem:
            raise StudyError(f"{where}.frames.{trajectory}: {problem}") from problem


def _check_classical(
    study: Study, path: Path, name: str, settings: ClassicalDynamics, molecules: Mapping[str, Molecule]
) -> list[str]:
    from solvation.dynamics import classical
    from solvation.dynamics.langevin import schedule
    from solvation.liquids import antechamber, forcefield, openmm_system
    from solvation.liquids.mixtures import numbers_of
    from solvation.liquids.packing import edge_A, mass_u
    from solvation.liquids.packmol import program

    where = f"{path}: trajectories.{name}"
    program()
    openmm_system.check_openmm()
    read = [
        f"forcefields.{species}: {line}"
        for species in study.forcefields
        if species in settings.members
        for line in _check_forcefield(study, path, where, species, settings, molecules[species])
    ]
    others = [species for species in settings.members if species not in study.forcefields]
    published = [forcefield.published_name(molecules[species]) for species in others]
    for species, ion in zip(others, published, strict=True):
        if ion is None:
            forcefield.check_gaff2(molecules[species])
        elif study.charges.ion_pairs == "fitted" and ion in fitted_pairs():
            try:
                check_charge_scale(species, fitted_pairs()[ion].charge_scale, settings.charge_scale)
            except StudyError as problem:
                raise StudyError(f"{where}.{problem}") from problem
    if None in published:
        antechamber.home()
    if not any(molecules[species].is_ion for species in settings.members):
        raise StudyError(f"{where}: holds no bare ion to look at, e.g. Li+: 1")
    try:
        schedule(settings, classical.BLOCK_STEPS)
        numbers = numbers_of(settings, molecules)
    except StudyError as problem:
        raise StudyError(f"{where}.{problem}") from problem
    edge = edge_A(sum(mass_u(molecules[one]) * count for one, count in numbers.items()), settings.density_g_cm3)
    if 2 * settings.cutoff_A > 0.9 * edge:
        raise StudyError(
            f"{where}.cutoff_A: {settings.cutoff_A:g} is too long for a box of {edge:.0f} Å, which may still shrink; "
            "take more molecules"
        )
    box = f"{', '.join(f'{count} {one}' for one, count in numbers.items())}, box of {edge:.0f} Å"
    told = [*read, f"trajectory {name}: {box}"]
    told += [
        f"trajectory {name}: the SMILES of {species} leaves its stereoisomer open; its copies are packed as a mixture"
        for species in numbers
        if len(open_isomers(molecules[species].graph)) > 1
    ]
    charge = sum(molecules[one].charge * count for one, count in numbers.items())
    if charge:
        told.append(f"warning: trajectories.{name}: net charge {charge:+d}, neutralised by a uniform background")
    return told


def _check_forcefield(
    study: Study, path: Path, where: str, name: str, settings: ClassicalDynamics, molecule: Molecule
) -> tuple[str, ...]:
    """What the user's file does not say, and how it is read."""
    from solvation.liquids.openmm_system import check_mixing
    from solvation.liquids.own_forcefield import read_terms

    own = study.forcefields[name]
    try:
        terms = read_terms(molecule, own)
    except SpeciesError as problem:
        raise SpeciesError(f"{path}: {problem}") from problem
    try:
        check_mixing(str(own.file), terms["mixing"], settings.mixing)
    except StudyError as problem:
        raise StudyError(f"{where}.{problem}") from problem
    return tuple(terms["origin"][1:])


def _check_own(path: Path, name: str, settings: OwnTrajectory, r_max_A: float) -> None:
    from solvation.trajectory.frames import open_trajectory

    try:
        opened = open_trajectory(
            settings.topology,
            settings.trajectory,
            format=settings.format,
            box_A=settings.box_A,
            timestep_ps=settings.timestep_ps,
            until_damage=True,
        )
        for selection in (settings.center, *settings.donors.values()):
            opened.select(selection)
    except SolvationError as problem:
        raise type(problem)(f"{path}: trajectories.{name}: {problem}") from problem
