"""Reading a study file, and its errors in one line."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Discriminator, Field, Tag, ValidationError, field_validator, model_validator

from solvation.errors import StudyError
from solvation.study.base import Name, PlainPath, Section
from solvation.study.campaigns import Campaign, Exclusion, expand, one_of_each
from solvation.study.clusters import ONE_OR_LIST, Charged, Cluster, Sampling, Thermochemistry, held_ions
from solvation.study.levels import Level, Levels
from solvation.study.patterns import Patterns
from solvation.study.potentials import Potential
from solvation.study.profiles import Profile
from solvation.study.published import Published
from solvation.study.reading import read_mapping
from solvation.study.species import Species
from solvation.study.trajectories import (
    Analysis,
    Charges,
    ClassicalDynamics,
    ComputedTrajectory,
    MolecularDynamics,
    OwnForceField,
    OwnTrajectory,
)
from solvation.study.transport import Transport
from solvation.study.wording import in_words


def _kind_of_trajectory(value: Any) -> str:
    if not isinstance(value, dict):
        # Whatever is no trajectory at all is refused as a computed one.
        return next((tag for tag, kind in _KINDS.items() if isinstance(value, kind)), "computed")
    if "topology" in value:
        return "own"
    return "classical" if "forcefield" in value else "computed"


_KINDS: dict[str, type[Section]] = {
    "own": OwnTrajectory, "classical": ClassicalDynamics, "computed": MolecularDynamics,
}  # fmt: skip


Trajectory = Annotated[
    Annotated[MolecularDynamics, Tag("computed")]
    | Annotated[ClassicalDynamics, Tag("classical")]
    | Annotated[OwnTrajectory, Tag("own")],
    Discriminator(_kind_of_trajectory),
]


class Study(Section):
    """Everything a study asks for."""

    name: Name = Field(description="Name of the results folder.")
    description: str = Field("", description="One paragraph for the head of the report.")
    seed: int = Field(2023, ge=0, lt=2**32, description="Every random number follows from it.")
    results: PlainPath = Field(Path("results"), description="Folder that holds results/<name>/.")
    species: dict[Name, Species] = Field(min_length=1)
    clusters: dict[Name, Cluster] = Field(default_factory=dict)
    campaigns: tuple[Campaign, ...] = Field((), description="Grids of clusters, which stand for as many entries of it.")
    sampling: Sampling = Field(default_factory=Sampling)
    levels: Levels = Field(default_factory=Levels)
    thermochemistry: Thermochemistry | None = Field(
        None, description="Free energies of binding besides the electronic ones; left out = none."
    )
    trajectories: dict[Name, Trajectory] = Field(default_factory=dict)
    potentials: dict[Name, Potential] = Field(
        default_factory=dict, description="Machine-learned potentials, fitted to frames of the trajectories."
    )
    profiles: dict[Name, Profile] = Field(
        default_factory=dict, description="Free energies of bringing one more molecule to the ion of a classical box."
    )
    charges: Charges = Field(default_factory=Charges)
    forcefields: dict[Name, OwnForceField] = Field(
        default_factory=dict, description="Species -> classical parameters of your own, for every classical trajectory."
    )
    analysis: Analysis = Field(default_factory=Analysis)
    transport: Transport = Field(default_factory=Transport)
    patterns: Patterns = Field(default_factory=Patterns)
    published: tuple[Published, ...] = ()

    @field_validator("species", mode="before")
    @classmethod
    def _empty_means_library(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {key: {"library": key} if item is None else item for key, item in value.items()}

    @field_validator("trajectories", mode="before")
    @classmethod
    def _lists_are_trajectories(cls, value: Any) -> Any:
        return one_of_each(value) if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _campaigns_are_clusters(self) -> Study:
        clusters = dict(self.clusters)
        for name, cluster in expand(self.campaigns, self.species, self.levels.energy).items():
            if clusters.setdefault(name, cluster) != cluster:
                raise ValueError(f"campaigns: give '{name}', which clusters.{name} has with other settings; rename it")
        ordered = {name: cluster.beginning_with(self._held_by(cluster)) for name, cluster in clusters.items()}
        return self.model_copy(update={"clusters": ordered})

    def _held_by(self, cluster: Cluster) -> str:
        """The ion that a cluster holds."""
        known = [(name, self.species[name]) for name in cluster.composition if name in self.species]
        charged = [Charged(name, one.written_charge, one.is_bare_ion) for name, one in known]
        return next(iter([*held_ions(charged), *cluster.composition]))

    @model_validator(mode="after")
    def _names_are_known(self) -> Study:
        if not self.clusters and not self.trajectories:
            raise ValueError("nothing to do: declare clusters, campaigns or trajectories")
        members = [(f"clusters.{key}", tuple(item.composition)) for key, item in self.clusters.items()]
        members += [
            (f"trajectories.{key}", item.members)
            for key, item in self.trajectories.items()
            if isinstance(item, ComputedTrajectory)
        ]
        for where, composition in members:
            for name in composition:
                if name not in self.species:
                    raise ValueError(f"{where}.composition: unknown species '{name}'{nearest(name, self.species)}")
        self._only_energies_are_corrected()
        self._forcefields_are_used()
        self._cuts_are_known()
        self._profiles_are_known()
        self._potentials_are_known()
        self._published_subjects_are_known()
        self._series_are_known()
        return self

    def _only_energies_are_corrected(self) -> None:
        computed = {*self.levels.energy, *(level for name in self.clusters for level in self.levels_of(name))}
        for level in self.levels.counterpoise:
            if level not in computed:
                raise ValueError(
                    f"levels.counterpoise: '{level}' is not among the energy levels of the study or of a cluster"
                )

    def _forcefields_are_used(self) -> None:
        for name in self.forcefields:
            if name not in self.species:
                raise ValueError(f"forcefields: unknown species '{name}'{nearest(name, self.species)}")
            if not any(name in box.members for box in self.boxes.values()):
                raise ValueError(f"forcefields.{name}: no classical trajectory holds {name}; take it out")

    def _cuts_are_known(self) -> None:
        for key, item in self.trajectories.items():
            if not isinstance(item, MolecularDynamics) or item.cut_from is None:
                continue
            boxes = self.boxes
            where = f"trajectories.{key}.cut_from"
            if item.cut_from not in boxes:
                raise ValueError(f"{where}: no classical trajectory '{item.cut_from}'{nearest(item.cut_from, boxes)}")
            box = boxes[item.cut_from]
            for name, count in item.composition.items():
                if name not in box.members or (box.composition and count > box.composition[name]):
                    raise ValueError(f"{where}: {item.cut_from} does not hold {count} {name}; take fewer")
            if item.shape == "box" and box.composition and item.composition != box.composition:
                held = ", ".join(f"{name}: {count}" for name, count in box.composition.items())
                raise ValueError(
                    f"{where}: a box goes on as a whole; write composition: {{{held}}}, or leave out shape"
                )

    def _profiles_are_known(self) -> None:
        for key, item in self.profiles.items():
            where, boxes = f"profiles.{key}", self.boxes
            if item.box not in boxes:
                raise ValueError(f"{where}.box: no classical trajectory '{item.box}'{nearest(item.box, boxes)}")
            if item.ligand not in boxes[item.box].members:
                members = boxes[item.box].members
                raise ValueError(f"{where}.ligand: {item.box} holds no {item.ligand}{nearest(item.ligand, members)}")
            if self.species[item.ligand].is_bare_ion:
                raise ValueError(f"{where}.ligand: {item.ligand} is a bare ion and has no donors; name a molecule")

    def _potentials_are_known(self) -> None:
        for key, run in self.trajectories.items():
            fitted = getattr(run, "potential", None)
            if fitted is not None and fitted not in self.potentials:
                raise ValueError(f"trajectories.{key}.potential: unknown '{fitted}'{nearest(fitted, self.potentials)}")
        for key, item in self.potentials.items():
            for name in item.frames:
                where = f"potentials.{key}.frames"
                if name not in self.trajectories:
                    raise ValueError(f"{where}: unknown trajectory '{name}'{nearest(name, self.trajectories)}")
                if not isinstance(self.trajectories[name], ComputedTrajectory):
                    raise ValueError(f"{where}: {name} is your own trajectory, whose charge is not known; compute one")
            if key in self._learns_from(key, set()):
                raise ValueError(f"potentials.{key}.frames: a trajectory of it runs on the potential itself")

    def _learns_from(self, potential: str, seen: set[str]) -> set[str]:
        """Potentials that the frames of one come from, those behind them included."""
        for name in self.potentials[potential].frames:
            other = getattr(self.trajectories.get(name), "potential", None)
            if other in self.potentials and other not in seen:
                seen.add(other)
                self._learns_from(other, seen)
        return seen

    def _published_subjects_are_known(self) -> None:
        for number, item in enumerate(self.published):
            of_cluster = item.quantity.startswith("binding") or item.quantity in {"nmr_shift", "carbonyl_shift"}
            known: Iterable[str] = self.clusters if of_cluster else self.trajectories
            known = [*self.clusters, *self.species] if item.quantity == "oxidation_potential" else known
            parts = item.subject.split(" - ") if item.quantity.startswith("binding") else [item.subject.split(" / ")[0]]
            for part in parts:
                if part.strip() not in known:
                    raise ValueError(f"published.{number}.subject: unknown '{part.strip()}'{nearest(part, known)}")

    def _series_are_known(self) -> None:
        named = [("viscosity_mPa_s", name) for name in self.transport.viscosity_mPa_s]
        named += [(f"series.{key}", name) for key, names in self.transport.series.items() for name in names]
        for where, name in named:
            if name not in self.trajectories:
                raise ValueError(f"transport.{where}: unknown '{name}'{nearest(name, self.trajectories)}")
            if self.trajectories[name].temperature_K is None:
                raise ValueError(f"transport.{where}: trajectories.{name} has no temperature_K; give it")

    @property
    def boxes(self) -> dict[str, ClassicalDynamics]:
        """Trajectories of classical boxes, by name."""
        return {name: item for name, item in self.trajectories.items() if isinstance(item, ClassicalDynamics)}

    @property
    def folder(self) -> Path:
        """`results/<name>/`."""
        return self.results / self.name

    @property
    def own_files(self) -> dict[tuple[str, str, str], Path]:
        """Files of the user's, by section, name and key of the study file."""
        found: dict[tuple[str, str, str], Path | None] = {
            ("species", name, "file"): item.file for name, item in self.species.items()
        }
        found |= {("forcefields", name, "file"): item.file for name, item in self.forcefields.items()}
        for name, item in self.trajectories.items():
            if isinstance(item, OwnTrajectory):
                found["trajectories", name, "topology"] = item.topology
                found["trajectories", name, "trajectory"] = item.trajectory
        found |= {("potentials", name, "structures"): item.structures for name, item in self.potentials.items()}
        return {key: path for key, path in found.items() if path is not None}

    @property
    def all_levels(self) -> tuple[Level, ...]:
        """Levels at which anything is computed, each once."""
        asked = self.levels
        found: list[Level | None] = []
        if self.clusters:
            found += [*asked.search, asked.rank, asked.geometry, *asked.bonding, *asked.oxidation, *asked.shieldings]
            found += [level for name in self.clusters for level in self.levels_of(name)]
        found += [item.level for item in self.trajectories.values() if isinstance(item, MolecularDynamics)]
        found += [item.level for item in self.potentials.values()]
        found += [self.charges.level] if self.boxes else []
        return tuple(dict.fromkeys(level for level in found if level is not None))

    @property
    def ensemble_temperature_K(self) -> float:
        """Temperature of the populations: the one asked for, else that of the free energies, else 298.15 K."""
        first = self.thermochemistry.temperatures_K[0] if self.thermochemistry else 298.15
        return self.sampling.temperature_K or first

    @property
    def weights(self) -> tuple[Path, ...]:
        """Files of weights that its levels name, as they name them: from where the study is run."""
        return tuple(dict.fromkeys(path for level in self.all_levels for path in level.weights))

    def levels_of(self, cluster: str) -> tuple[Level, ...]:
        """Levels at which the energies of one cluster are computed."""
        return self.clusters[cluster].levels or self.levels.energy

    def corrected_levels_of(self, cluster: str) -> tuple[Level, ...]:
        """Levels of one cluster whose basis set superposition is corrected."""
        return tuple(level for level in self.levels_of(cluster) if level in self.levels.counterpoise)

    def bonding_levels_of(self, cluster: str) -> tuple[Level, ...]:
        """Levels at which the bond of one cluster is analysed."""
        return self.levels.bonding if self.clusters[cluster].bonding else ()

    def shielding_levels_of(self, cluster: str) -> tuple[Level, ...]:
        """Levels of the magnetic shieldings of one cluster."""
        return self.levels.shieldings if self.clusters[cluster].bonding else ()

    @property
    def ligands(self) -> tuple[str, ...]:
        """Species that stand in a cluster around its ion, in the order of the study."""
        members = {name for cluster in self.clusters.values() for name in cluster.composition}
        return tuple(name for name in self.species if name in members and not self.species[name].is_bare_ion)


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'EC'?`, or the known names, or nothing when there are none."""
    names = sorted(known)
    lowered = {item.lower(): item for item in names}
    close = difflib.get_close_matches(name.strip().lower(), lowered, n=1, cutoff=0.5)
    if close:
        return f"; did you mean '{lowered[close[0]]}'?"
    return f"; known: {', '.join(names)}" if names else ""


def load_study(path: Path) -> Study:
    """Read and validate a study file.

    Paths inside the study are taken relative to the study file, except `results`, which is relative to the
    working directory. Without a `name`, the file's stem is the name.

    Raises
    ------
    StudyError
        One line with the file, the key and the mend.
    """
    if set("{}") & set(str(path)):
        raise StudyError(f"{path}: the workflow takes no braces in the path of a study; rename the file or its folder")
    data = read_mapping(path)
    data.setdefault("name", path.stem)
    try:
        study = Study.model_validate(data)
    except ValidationError as problem:
        raise StudyError(f"{path}: {_first_reason(problem)}") from problem
    _refuse_outside(study, path)
    return _placed(study, path.parent)


def _refuse_outside(study: Study, path: Path) -> None:
    """A relative path that leaves the folder of the study would mean another file wherever the study is copied to.

    So would a link; and of a study of somebody else's it would bring files of this machine into an archive.
    """
    home = path.parent.resolve()
    for where, file in study.own_files.items():
        if _climbs(file):
            raise StudyError(f"{path}: {'.'.join(where)}: {file} leaves the folder of the study; give an absolute path")
        target = (home / file).resolve()
        if not file.is_absolute() and not target.is_relative_to(home):
            raise StudyError(
                f"{path}: {'.'.join(where)}: {file} is a link to {target}, out of the folder of the study; "
                "give that path"
            )
    if set("{}") & set(str(study.results)):
        raise StudyError(f"{path}: results: {study.results}: the workflow takes no braces there; give another folder")
    if _climbs(study.results):
        raise StudyError(f"{path}: results: {study.results} leaves the working directory; give an absolute path")


def _climbs(path: Path) -> bool:
    return os.path.normpath(path).split(os.sep)[0] == os.pardir


def _placed(study: Study, folder: Path) -> Study:
    """The study with its files as seen from the working directory, or by their whole path where they lie elsewhere.

    Cards hold these paths, so they must not depend on how the study itself was named.
    """
    here = Path.cwd()
    changed: dict[str, dict[str, Any]] = {}
    for (section, name, key), path in study.own_files.items():
        if not path.is_absolute():
            members = changed.setdefault(section, dict(getattr(study, section)))
            whole = folder.resolve() / path
            seen = whole.relative_to(here) if whole.is_relative_to(here) else whole
            members[name] = members[name].model_copy(update={key: seen})
    return study.model_copy(update=changed)


def _first_reason(problem: ValidationError) -> str:
    """One line: key, what is wrong, the nearest known key."""
    # An unknown key is the cause of a missing one more often than the other way round.
    errors = sorted(problem.errors(include_url=False), key=lambda error: error["type"] != "extra_forbidden")
    first = errors[0]
    where = ".".join(str(part) for part in first["loc"] if part not in {*_KINDS, *ONE_OR_LIST, "[key]"})
    if first["type"] == "extra_forbidden":
        known = _fields_at(first["loc"])
        return f"{where}: unknown key{nearest(str(first['loc'][-1]), known)}"
    message = in_words(first)
    more = f" ({len(errors) - 1} more)" if len(errors) > 1 else ""
    return (f"{where}: {message}" if where else message) + more


def _fields_at(loc: tuple[int | str, ...]) -> list[str]:
    """Keys that are known where an unknown one was found."""
    sections: dict[str, type[BaseModel]] = {
        "species": Species, "clusters": Cluster, "sampling": Sampling, "levels": Levels, "charges": Charges,
        "thermochemistry": Thermochemistry, "analysis": Analysis, "published": Published, "transport": Transport,
        "patterns": Patterns, "campaigns": Campaign, "forcefields": OwnForceField, "potentials": Potential,
        "profiles": Profile,
    }  # fmt: skip
    if len(loc) == 1:
        return list(Study.model_fields)
    if loc[0] == "trajectories":
        return list(next((kind for tag, kind in _KINDS.items() if tag in loc), MolecularDynamics).model_fields)
    if loc[0] == "campaigns" and "exclude" in loc:
        return list(Exclusion.model_fields)
    model = sections.get(str(loc[0]))
    return list(model.model_fields) if model else []
