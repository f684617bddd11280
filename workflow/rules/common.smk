"""Names, cards and sizes that the rules share. No numbers are made here, and nothing heavy is imported."""

from functools import cache

from snakemake.settings.enums import RerunTrigger

from solvation.errors import StudyError
from solvation.study import ClassicalDynamics, ComputedTrajectory, cards, targets

MOST = {}
for limit in ("most_mem_mb", "most_minutes"):
    if limit in config:
        if not str(config[limit]).isdecimal() or int(config[limit]) < 1:
            raise StudyError(f"--config {limit}={config[limit]}: must be a whole number above 0")
        MOST[limit] = int(config[limit])

LEVELS = {level.slug: level for name in study.clusters for level in study.levels_of(name)}
LEVELS |= {level.slug: level for level in (*study.levels.bonding, *study.levels.oxidation, *study.levels.shieldings)}


def card_ligand(wildcards):
    return cards.ligand_card(study, wildcards.species).text()


def card_cluster(wildcards):
    return cards.cluster_card(study, wildcards.cluster).text()


def card_reference(wildcards):
    return cards.reference_card(study, wildcards.species, LEVELS[wildcards.level]).text()


def card_binding(wildcards):
    return cards.binding_card(study, wildcards.cluster, LEVELS[wildcards.level]).text()


def card_counterpoise(wildcards):
    return cards.counterpoise_card(study, wildcards.cluster, LEVELS[wildcards.level]).text()


def card_thermochemistry(wildcards):
    return cards.thermochemistry_card(study, wildcards.cluster).text()


def card_bonding(wildcards):
    return cards.bonding_card(study, wildcards.cluster, LEVELS[wildcards.level]).text()


def card_oxidation_of_cluster(wildcards):
    name = wildcards.cluster
    return cards.oxidation_card(study, name, study.clusters[name].composition, LEVELS[wildcards.level]).text()


def card_oxidation_of_species(wildcards):
    name = wildcards.species
    return cards.oxidation_card(study, name, {name: 1}, LEVELS[wildcards.level]).text()


def card_shieldings(wildcards):
    return cards.shieldings_card(study, wildcards.cluster, LEVELS[wildcards.level]).text()


def card_dynamics(wildcards):
    return cards.dynamics_card(study, wildcards.trajectory).text()


def card_profile(wildcards):
    return cards.profile_card(study, wildcards.profile).text()


def card_free_energy(wildcards):
    return cards.free_energy_card(study, wildcards.profile).text()


def card_label(wildcards):
    return cards.label_card(study, wildcards.potential, wildcards.trajectory).text()


def card_structures(wildcards):
    return cards.label_card(study, wildcards.potential).text()


def card_fit(wildcards):
    return cards.fit_card(study, wildcards.potential, int(wildcards.member)).text()


def card_assess(wildcards):
    return cards.assessment_card(study, wildcards.potential).text()


def card_parameters(wildcards):
    return cards.parameters_card(study, wildcards.species).text()


def card_analysis(wildcards):
    return cards.analysis_card(study, wildcards.trajectory).text()


def card_patterns(wildcards):
    return cards.patterns_card(study, wildcards.trajectory).text()


def card_transport(wildcards):
    return cards.transport_card(study, wildcards.trajectory).text()


def input_species(wildcards):
    file = study.species[wildcards.species].file
    return [str(file)] if file else []


def input_molecules(wildcards):
    """Files of the molecules of a droplet; a box knows of its own through their parameters."""
    settings = study.trajectories[wildcards.trajectory]
    if isinstance(settings, ClassicalDynamics):
        return []
    return [str(study.species[name].file) for name in settings.members if study.species[name].file]


def input_own_forcefield(wildcards):
    own = study.forcefields.get(wildcards.species)
    return [str(own.file)] if own else []


def input_conformers(wildcards):
    return [f"{RESULTS}/ligands/{name}.extxyz" for name in study.clusters[wildcards.cluster].composition]


def input_references(wildcards):
    names = study.clusters[wildcards.cluster].composition
    return [f"{RESULTS}/energies/references/{name}/{wildcards.level}.json" for name in names]


def input_segment(wildcards):
    number = int(wildcards.segment)
    before = "start" if number == 1 else f"segment_{number - 1}"
    return f"{RESULTS}/trajectories/{wildcards.trajectory}/{before}.npz"


def input_segments(wildcards):
    count = study.trajectories[wildcards.trajectory].segments
    return [f"{RESULTS}/trajectories/{wildcards.trajectory}/segment_{n}.npz" for n in range(1, count + 1)]


def input_parameters(wildcards):
    settings = study.trajectories[wildcards.trajectory]
    if not isinstance(settings, ClassicalDynamics):
        return []
    return [f"{RESULTS}/parameters/{name}.json" for name in settings.members]


def end_of(trajectory):
    """The last checkpoint of a computed trajectory."""
    return f"{RESULTS}/trajectories/{trajectory}/segment_{study.trajectories[trajectory].segments}.npz"


def input_cut(wildcards):
    settings = study.trajectories[wildcards.trajectory]
    box = getattr(settings, "cut_from", None)
    return [end_of(box)] if box else []


def input_box(wildcards):
    """The end of the box that a walk begins in."""
    return end_of(study.profiles[wildcards.profile].box)


def input_window(wildcards):
    number = int(wildcards.window)
    if number == 1:
        return input_box(wildcards)
    return f"{RESULTS}/profiles/{wildcards.profile}/window_{number - 1}.npz"


def input_windows(wildcards):
    count = study.profiles[wildcards.profile].n_windows
    return [f"{RESULTS}/profiles/{wildcards.profile}/window_{n}.npz" for n in range(1, count + 1)]


def folder_box(wildcards):
    return f"{RESULTS}/trajectories/{study.profiles[wildcards.profile].box}"


def members_of(potential):
    """Weights of a potential, one file for each member."""
    count = study.potentials[potential].members if potential else 0
    return [f"{RESULTS}/potentials/{potential}/member_{n}.model" for n in range(1, count + 1)]


def input_members(wildcards):
    return members_of(wildcards.potential)


def input_frames_labelled(wildcards):
    folder = f"{RESULTS}/potentials/{wildcards.potential}/frames"
    return [f"{folder}/{name}.extxyz" for name in study.potentials[wildcards.potential].frames]


def input_labelled(wildcards):
    """All that a potential is fitted to."""
    has_more = study.potentials[wildcards.potential].structures is not None
    more = [f"{RESULTS}/potentials/{wildcards.potential}/structures.extxyz"] if has_more else []
    return [*input_frames_labelled(wildcards), *more]


def input_structures(wildcards):
    return [str(study.potentials[wildcards.potential].structures)]


def input_weights(wildcards):
    """Weights that move a trajectory."""
    return members_of(getattr(study.trajectories[wildcards.trajectory], "potential", None))


def input_frames(wildcards):
    settings = study.trajectories[wildcards.trajectory]
    if isinstance(settings, ComputedTrajectory):
        folder = f"{RESULTS}/trajectories/{wildcards.trajectory}"
        return [f"{folder}/topology.pdb", f"{folder}/trajectory.xtc", f"{folder}/donors.json"]
    return [str(settings.topology), *([str(settings.trajectory)] if settings.trajectory else [])]


def settings_of_study(wildcards):
    return targets.settings_sha256(study)


def input_results(wildcards):
    return [f"{RESULTS}/{name}" for name in targets.gathered_files(study)]


def input_everything(wildcards):
    """All results that can be made anew without the long runs, so that Snakemake misses one that was taken away.

    Snakemake asks for them when it plans the whole study, before it looks at dates, and is told here what is outdated in
    spite of them. Who leaves settings out of account (--rerun-triggers mtime) is stopped by the tables.
    """
    if RerunTrigger.PARAMS in workflow.rerun_triggers and not workflow.dag.forcefiles.issuperset(OUTDATED):
        first, reason = next(iter(OUTDATED.items()))
        more = f", and {len(OUTDATED) - 1} more" if len(OUTDATED) > 1 else ""
        print(f"made anew: {first} ({reason}){more}; solvation status {STUDY_FILE} names all", file=sys.stderr)
        workflow.dag.forcefiles.update(OUTDATED)
    return [f"{RESULTS}/{name}" for name in targets.asked_files(study)]


def has_few_cores():
    """Whether clusters fill the cores of this machine by themselves: a thread each then wastes none of them.

    A step of two threads would wait, on two cores, until the last step of one thread beside it ends.
    """
    return workflow.is_main_process and workflow.local_exec and len(study.clusters) >= 2 * (workflow.cores or 1)


def threads_of(level):
    """Tight binding of a shell gains nothing from a second thread; density functionals do, where one is free."""
    return 1 if level is None or level.is_tight_binding or has_few_cores() else 2


def threads_moving(trajectory):
    """Tight binding of a droplet takes one thread, and so does a small box; a large one gains from several."""
    settings = study.trajectories[trajectory]
    if not isinstance(settings, ClassicalDynamics):
        return 1
    molecules = settings.mixture.solvent_molecules if settings.mixture else sum(settings.composition.values())
    return 8 if molecules > 200 else 1


def threads_dynamics(wildcards):
    return threads_moving(wildcards.trajectory)


def threads_window(wildcards):
    return threads_moving(study.profiles[wildcards.profile].box)


def threads_label(wildcards):
    return threads_of(study.potentials[wildcards.potential].level)


def threads_ligand(wildcards):
    return max(threads_of(level) for level in study.levels.geometries)


def threads_cluster(wildcards):
    return max(threads_of(level) for level in (*study.levels.geometries, study.levels.rank))


def threads_modes(wildcards):
    return max(threads_of(level) for level in study.levels.geometries)


def threads_level(wildcards):
    return threads_of(LEVELS[wildcards.level])


def gpus_of(*levels):
    """Graphics cards that a job takes: one, when one of its levels runs there."""
    return int(any(level is not None and level.on_gpu for level in levels))


def gpu_level(wildcards):
    return gpus_of(LEVELS[wildcards.level])


def gpu_ligand(wildcards):
    return gpus_of(*study.levels.geometries)


def gpu_cluster(wildcards):
    return gpus_of(*study.levels.geometries, study.levels.rank)


def gpu_label(wildcards):
    return gpus_of(study.potentials[wildcards.potential].level)


def licences_of(*levels):
    """Seats that a job takes of programs that are licensed: one for each calculation that may run side by side."""
    owned = [level for level in levels if level is not None and level.is_licensed]
    return max(map(threads_of, owned), default=0)


def licences_level(wildcards):
    return licences_of(LEVELS[wildcards.level])


def licences_ligand(wildcards):
    return licences_of(*study.levels.geometries)


def licences_cluster(wildcards):
    return licences_of(*study.levels.geometries, study.levels.rank)


def licences_label(wildcards):
    return licences_of(study.potentials[wildcards.potential].level)


@cache
def past():
    """What finished steps took."""
    from solvation.planning.costs import read_past

    return read_past(study.results)


@cache
def chains():
    """Seconds of the longest chain of work that each job begins."""
    from solvation.planning.chains import chains_s

    return chains_s(study, past())


def longest_first(rule):
    """The ready jobs with the longest chain behind them start first; one job by itself has nothing to wait for."""

    def seconds(wildcards):
        if not workflow.is_main_process:
            return 0
        words = [str(LEVELS[word]) if kind == "level" else word for kind, word in wildcards.items()]
        return round(chains().get((rule, " ".join(words)), 0))

    return seconds


def need(step, wildcards):
    """Time and memory of one job; molecules are counted, so it is asked for only when a job is made."""
    from solvation.planning import costs

    found = dict(wildcards.items())
    name = next(found[kind] for kind in ("cluster", "species", "potential", "trajectory", "profile") if kind in found)
    return costs.need(study, step, name, LEVELS.get(found.get("level")), past())


def memory(step):
    """Memory to ask for, MB; every attempt asks for more (`retries` of the profile)."""
    return lambda wildcards, attempt: within("most_mem_mb", attempt * need(step, wildcards).memory_MB)


def minutes(step):
    """Time to ask for, minutes; every attempt asks for more."""
    return lambda wildcards, attempt: within("most_minutes", attempt * need(step, wildcards).minutes)


def within(limit, asked):
    """What a job asks for, and no more than the cluster grants: it would be refused, however short it is."""
    return min(asked, MOST.get(limit, asked))
