"""What a study will have written when it is done: every job with its files, its log and its card.

The rules of the workflow and `solvation status` both ask here, so that there is one truth.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

from solvation.study import cards
from solvation.study.file import Study
from solvation.study.levels import Level
from solvation.study.trajectories import ClassicalDynamics, ComputedTrajectory

#: What the packing of a droplet or box leaves for its run, and for the analysis of it.
PACKED = ("start.npz", "topology.pdb", "donors.json")
LIQUID_TABLES = (
    "rdf.csv", "coordination.csv", "speciation.csv", "networks.csv", "residence.csv", "survival.csv", "transitions.csv",
)  # fmt: skip
PATTERN_TABLES = ("angles.csv", "structure_factor.csv")
TRANSPORT_TABLES = ("transport.csv", "msd.csv")
PROFILE_TABLES = ("profiles.csv", "profile_curves.csv", "profile_shells.csv")
POPULATIONS = "profile_populations.csv"
#: Jobs whose results the tables are gathered from.
_GATHERED = {
    "cluster", "binding", "counterpoise", "thermochemistry", "bonding", "oxidation_of_cluster",
    "oxidation_of_species", "shieldings", "liquid", "patterns", "transport", "profile", "assess",
}  # fmt: skip


#: Verbs of the rules that have other names.
_VERBS = {
    "segment": "md",
    "window": "umbrella",
    "label_structures": "label",
    "oxidation_of_cluster": "oxidation",
    "oxidation_of_species": "oxidation",
}


@dataclass(frozen=True, slots=True)
class Target:
    """One job.

    Attributes
    ----------
    rule
        Its rule in the workflow.
    files
        What it writes, relative to `results/<study>/`.
    log
        Relative to `logs/<study>/`.
    record
        The JSON among its results that holds its card, relative as `files`; empty where there is none.
    card
        Its settings as the study asks for them now; empty for the summaries of the whole study.
    name
        Species, cluster or trajectory; the study itself for its summaries.
    level
        Of a job that has one.
    subject
        What it is of, for people; no two jobs of a rule have the same.
    """

    rule: str
    subject: str
    files: tuple[str, ...]
    log: str
    record: str = ""
    card: str = ""
    name: str = ""
    level: Level | None = None

    @property
    def step(self) -> str:
        """The verb of the rule."""
        return _VERBS.get(self.rule, self.rule)

    @property
    def is_asked(self) -> bool:
        """Whether a run makes it when its files are gone from a finished study, not only where something needs them."""
        return not self.card or self.rule in {*_GATHERED, "ligand", "reference"}


def targets(study: Study) -> tuple[Target, ...]:
    """Every job of a study, in the order of the workflow."""
    return (
        *_structures(study),
        *_energies(study),
        *_bonds(study),
        *_potentials(study),
        *_liquids(study),
        *_profiles(study),
        *_study(study),
    )


def settings_sha256(study: Study) -> str:
    """Checksum of everything that a study asks for: what is in no card, tables and report use all the same."""
    return sha256(study.model_dump_json(exclude={"results"}).encode()).hexdigest()


def gathered_files(study: Study) -> list[str]:
    """Files that the tables wait for, relative to `results/<study>/`."""
    return [file for target in targets(study) if target.rule in _GATHERED for file in target.files]


def asked_files(study: Study) -> list[str]:
    """Those files, and what they were made from short of trajectories: all that a run looks for in a finished study."""
    return [file for target in targets(study) if target.is_asked and target.card for file in target.files]


def all_files(study: Study) -> list[str]:
    """Files and records of all jobs; what else lies in `results/<study>/` is of what it asked for before."""
    return [file for target in targets(study) for file in (*target.files, target.record) if file]


def tables(study: Study) -> tuple[str, ...]:
    """What the tables of a study are, `provenance.json` first, relative to `results/<study>/` (docs/tables.md)."""
    return ("provenance.json", *(name for names, asked in _tables(study) if asked for name in names))


def unasked_tables(study: Study) -> tuple[str, ...]:
    """Tables that the study does not ask for; those in its folder are of what it asked for before."""
    return tuple(name for names, asked in _tables(study) if not asked for name in names)


def _tables(study: Study) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Every table there is, and whether the study asks for it."""
    has_clusters, has_trajectories = bool(study.clusters), bool(study.trajectories)
    yield ("binding.csv", "ensemble.csv", "rejected.csv"), True
    yield ("thermochemistry.csv",), study.thermochemistry is not None
    yield ("spectra.csv",), has_clusters and study.thermochemistry is not None
    yield ("bonding.csv",), has_clusters and bool(study.levels.bonding)
    yield ("oxidation.csv",), has_clusters and bool(study.levels.oxidation)
    yield ("shieldings.csv",), has_clusters and bool(study.levels.shieldings)
    yield (*LIQUID_TABLES, *PATTERN_TABLES, *TRANSPORT_TABLES), has_trajectories
    yield ("boxes.csv",), bool(study.boxes)
    yield ("arrhenius.csv",), has_trajectories and bool(study.transport.series)
    yield (*PROFILE_TABLES, POPULATIONS), bool(study.profiles)
    yield ("potentials.csv",), bool(study.potentials)


def _structures(study: Study) -> Iterator[Target]:
    members = {name for cluster in study.clusters.values() for name in cluster.composition}
    for name in study.species:
        if name in members:
            path, card = f"ligands/{name}", cards.ligand_card(study, name).text()
            yield Target("ligand", name, (f"{path}.extxyz",), f"ligand/{name}.log", f"{path}.json", card, name)
    for name in study.clusters:
        files = tuple(f"clusters/{name}/{file}" for file in ("ensemble.extxyz", "rejected.extxyz", "record.json"))
        yield Target(
            "cluster", name, files, f"cluster/{name}.log", files[-1], cards.cluster_card(study, name).text(), name
        )  # fmt: skip


def _energies(study: Study) -> Iterator[Target]:
    pairs = {
        (species, level): None
        for name, cluster in study.clusters.items()
        for species in cluster.composition
        for level in study.levels_of(name)
    }
    for name, level in pairs:
        reference = cards.reference_card(study, name, level)
        yield _at_level("reference", name, level, f"energies/references/{name}", reference)
    for name in study.clusters:
        folder = f"energies/{name}"
        for level in study.levels_of(name):
            yield _at_level("binding", name, level, folder, cards.binding_card(study, name, level))
        for level in study.corrected_levels_of(name):
            corrected = cards.counterpoise_card(study, name, level)
            yield _at_level("counterpoise", name, level, f"{folder}/counterpoise", corrected)
        for level in study.levels_of(name) if study.thermochemistry is not None else ():
            moving = cards.thermochemistry_card(study, name)
            yield _at_level("thermochemistry", name, level, f"{folder}/thermochemistry", moving)


def _bonds(study: Study) -> Iterator[Target]:
    for name in study.clusters:
        for level in study.bonding_levels_of(name):
            path, card = f"bonding/{name}/{level.slug}", cards.bonding_card(study, name, level).text()
            files = (f"{path}.json", f"{path}.cube")
            log = f"bonding/{name}_{level.slug}.log"
            yield Target("bonding", f"{name} {level}", files, log, files[0], card, name, level)
        for level in study.shielding_levels_of(name):
            shielded = cards.shieldings_card(study, name, level)
            yield _at_level("shieldings", name, level, f"shieldings/{name}", shielded)
    for level in study.levels.oxidation:
        alone = {name: {name: 1} for name in study.ligands}
        clusters = {name: dict(cluster.composition) for name, cluster in study.clusters.items()}
        for kind, members in (("cluster", clusters), ("species", alone)):
            folder = "clusters" if kind == "cluster" else kind
            for name, composition in members.items():
                path = f"oxidation/{folder}/{name}"
                card = cards.oxidation_card(study, name, composition, level).text()
                file, log = f"{path}/{level.slug}.json", f"{path}_{level.slug}.log"
                yield Target(f"oxidation_of_{kind}", f"{name} {level}", (file,), log, file, card, name, level)


def _potentials(study: Study) -> Iterator[Target]:
    for name, settings in study.potentials.items():
        folder = f"potentials/{name}"
        for run in settings.frames:
            path, card = f"{folder}/frames/{run}", cards.label_card(study, name, run).text()
            log = f"label/{name}_{run}.log"
            yield Target("label", f"{name} {run}", (f"{path}.extxyz",), log, f"{path}.json", card, name)
        if settings.structures is not None:
            path, card = f"{folder}/structures", cards.label_card(study, name).text()
            log = f"label/{name}.log"
            yield Target("label_structures", name, (f"{path}.extxyz",), log, f"{path}.json", card, name)
        for number in range(1, settings.members + 1):
            path, card = f"{folder}/member_{number}", cards.fit_card(study, name, number).text()
            log = f"fit/{name}_{number}.log"
            yield Target("fit", f"{name} {number}", (f"{path}.model",), log, f"{path}.json", card, name)
        card = cards.assessment_card(study, name).text()
        yield Target(
            "assess", name, (f"{folder}/errors.csv",), f"assess/{name}.log", f"{folder}/errors.json", card, name
        )


def _liquids(study: Study) -> Iterator[Target]:
    for name in dict.fromkeys(name for settings in study.boxes.values() for name in settings.members):
        path, card = f"parameters/{name}", cards.parameters_card(study, name).text()
        yield Target("parameters", name, (f"{path}.json",), f"{path}.log", f"{path}.json", card, name)
    for name, settings in study.trajectories.items():
        folder = f"trajectories/{name}"
        if isinstance(settings, ComputedTrajectory):
            packed = tuple(f"{folder}/{file}" for file in PACKED)
            card = cards.dynamics_card(study, name).text()
            record = "equilibration.json" if isinstance(settings, ClassicalDynamics) else "packing.json"
            yield Target("pack", name, packed, f"pack/{name}.log", f"{folder}/{record}", card, name)
            for number in range(1, settings.segments + 1):
                parts, log = (f"{folder}/segment_{number}.npz",), f"segment/{name}_{number}.log"
                yield Target("segment", f"{name} {number}", parts, log, card=card, name=name)
            joined = (f"{folder}/trajectory.xtc",)
            yield Target("join", name, joined, f"join/{name}.log", f"{folder}/record.json", card, name)
        files = tuple(f"{folder}/{table}" for table in LIQUID_TABLES)
        card = cards.analysis_card(study, name).text()
        yield Target("liquid", name, files, f"liquid/{name}.log", f"{folder}/liquid.json", card, name)
        files = tuple(f"{folder}/{table}" for table in PATTERN_TABLES)
        card = cards.patterns_card(study, name).text()
        yield Target("patterns", name, files, f"patterns/{name}.log", f"{folder}/patterns.json", card, name)
        files = tuple(f"{folder}/{table}" for table in TRANSPORT_TABLES)
        card = cards.transport_card(study, name).text()
        yield Target("transport", name, files, f"transport/{name}.log", f"{folder}/transport.json", card, name)


def _profiles(study: Study) -> Iterator[Target]:
    for name, settings in study.profiles.items():
        folder, card = f"profiles/{name}", cards.profile_card(study, name).text()
        for number in range(1, settings.n_windows + 1):
            part, log = (f"{folder}/window_{number}.npz",), f"window/{name}_{number}.log"
            yield Target("window", f"{name} {number}", part, log, card=card, name=name)
        files = tuple(f"{folder}/{table}" for table in PROFILE_TABLES)
        card = cards.free_energy_card(study, name).text()
        yield Target("profile", name, files, f"profile/{name}.log", f"{folder}/profile.json", card, name)


def _study(study: Study) -> Iterator[Target]:
    for rule, files in (("tables", tables(study)), ("compare", ("comparison.csv",)), ("report", ("report.html",))):
        yield Target(rule, study.name, files, f"{rule}.log", name=study.name)


def _at_level(rule: str, name: str, level: Level, folder: str, card: cards.Card) -> Target:
    file, log = f"{folder}/{level.slug}.json", f"{rule}/{name}_{level.slug}.log"
    return Target(rule, f"{name} {level}", (file,), log, file, card.text(), name, level)
