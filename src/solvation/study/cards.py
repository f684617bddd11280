"""Cards: everything that can change the numbers of one step, as one line of JSON.

A rule hands its card to its verb and to Snakemake's `params`, so a step runs again when, and only when, a
setting it uses changes, or the revision of its method does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from solvation.errors import StudyError
from solvation.study.base import card_of
from solvation.study.clusters import Sampling, Thermochemistry
from solvation.study.file import Study
from solvation.study.levels import Level
from solvation.study.patterns import Patterns
from solvation.study.potentials import Potential
from solvation.study.profiles import Profile
from solvation.study.species import Species
from solvation.study.trajectories import (
    Analysis,
    Charges,
    ClassicalDynamics,
    MolecularDynamics,
    OwnForceField,
    OwnTrajectory,
)
from solvation.study.weights import checksums
from solvation.study.wording import in_words


class Card(BaseModel):
    """Base of all cards; `REVISION` is raised when the step, or an engine's settings, change its numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    REVISION: ClassVar[int] = 1
    name: str

    def text(self) -> str:
        """The card as one canonical line, revisions included, and checksums of the weights that its levels name."""
        parts = {key: getattr(self, key) for key in type(self).model_fields}
        if found := checksums(list(parts.values())):
            parts["weights"] = found
        return card_of(**parts, revision=self.REVISION)


class LigandCard(Card):
    """Conformers of one species."""

    REVISION: ClassVar[int] = 4  # 3: bonds are turned, several searches; 4: single points choose, more patience

    species: Species
    search: tuple[Level, ...]
    geometry: Level | None
    sampling: Sampling
    seed: int


class ClusterCard(Card):
    """Structures of one cluster."""

    REVISION: ClassVar[int] = 4  # 3: minima stand before shoulders; 4: rounds of variations have more patience

    composition: dict[str, int]
    denticity: dict[str, int]
    species: dict[str, Species]
    search: tuple[Level, ...]
    geometry: Level | None
    rank: Level | None
    sampling: Sampling
    seed: int


class ReferenceCard(Card):
    """Energy of one free species at one level."""

    REVISION: ClassVar[int] = 3  # 2: DFT energies are taken on a finer grid; 3: energies of all conformers are kept

    species: Species
    level: Level
    geometries: tuple[Level, ...]


class BindingCard(Card):
    """Binding energies of one cluster at one level."""

    REVISION: ClassVar[int] = 2  # 2: DFT energies are taken on a finer grid

    composition: dict[str, int]
    species: dict[str, Species]
    level: Level
    geometries: tuple[Level, ...]
    rank: Level | None


class CounterpoiseCard(Card):
    """Counterpoise correction of one cluster at one level."""

    REVISION: ClassVar[int] = 2  # 2: DFT energies are taken on a finer grid

    composition: dict[str, int]
    species: dict[str, Species]
    level: Level


class ThermochemistryCard(Card):
    """Free energy of binding of one cluster with the structure of one level."""

    # 2: free species at the level of the complex; 3: none for one that slid away; 4: C=O; 5: what is linear is so;
    # 6: symmetry numbers
    REVISION: ClassVar[int] = 6

    composition: dict[str, int]
    species: dict[str, Species]
    settings: Thermochemistry


class BondingCard(Card):
    """Why the ion of one cluster is held, at one level."""

    composition: dict[str, int]
    species: dict[str, Species]
    level: Level


class OxidationCard(Card):
    """Ionisation energies of the lowest structure of one species or cluster, at one level."""

    REVISION: ClassVar[int] = 2  # 2: a lower state of the cation is looked for

    composition: dict[str, int]
    species: dict[str, Species]
    level: Level
    geometries: tuple[Level, ...]


class ShieldingsCard(Card):
    """Magnetic shieldings of one cluster and of its free ligands, at one level."""

    composition: dict[str, int]
    species: dict[str, Species]
    level: Level


class ParametersCard(Card):
    """Classical force field of one species; `own` is set for parameters the user brings."""

    species: Species
    charges: Charges
    seed: int
    own: OwnForceField | None = None


class DynamicsCard(Card):
    """A computed trajectory."""

    settings: MolecularDynamics | ClassicalDynamics
    species: dict[str, Species]
    seed: int


class LabelCard(Card):
    """Frames for a potential, of a trajectory or of the user's structures; settings that decide which, and labels."""

    settings: Potential
    trajectory: str = ""
    skip_ps: float = 0.0


class FitCard(Card):
    """One model of a committee."""

    settings: Potential
    member: int
    seed: int


class AssessmentCard(Card):
    """Errors of a potential on held-out frames."""

    members: int


class ProfileCard(Card):
    """A walk that leads a molecule to an ion, in a box."""

    settings: Profile
    box: ClassicalDynamics
    seed: int


class FreeEnergyCard(ProfileCard):
    """What the windows of a walk say; its revisions leave them as they are."""

    REVISION: ClassVar[int] = 2  # 2: any copy at the ion may be the held one


class AnalysisCard(Card):
    """The analysis of one trajectory; `own` is set for a trajectory the user brings, `species` for others."""

    analysis: Analysis
    skip_ps: float
    seed: int
    species: dict[str, Species] = {}
    own: OwnTrajectory | None = None


class PatternsCard(Card):
    """Angles and structure factors of one trajectory; `own` is set for a trajectory the user brings."""

    REVISION: ClassVar[int] = 2  # 2: donors of the centre's own molecule make no angles, times of LAMMPS' DCD

    patterns: Patterns
    skip_ps: float
    seed: int
    own_molecule: bool = False
    own: OwnTrajectory | None = None


class TransportCard(Card):
    """Transport in one trajectory; `own` is set for one the user brings, `species` and `friction_per_ps` for others."""

    REVISION: ClassVar[int] = 2  # 2: residues that are several molecules, times of LAMMPS' DCD

    least_move_A: float
    viscosity_mPa_s: float | None
    temperature_K: float | None
    skip_ps: float
    species: dict[str, Species]
    friction_per_ps: float | None = None
    own: OwnTrajectory | None = None


AnyCard = TypeVar("AnyCard", bound=Card)


def read_card(text: str, kind: type[AnyCard]) -> AnyCard:
    """Parse a card that `Card.text` wrote.

    Raises
    ------
    StudyError
        It is not a card of that kind.
    """
    try:
        told = _without_revisions(json.loads(text))
        if isinstance(told, dict):
            told.pop("weights", None)  # says that the files changed; the levels name them
        return kind.model_validate(told)
    except (json.JSONDecodeError, RecursionError) as problem:
        raise StudyError(f"--card: not JSON ({problem})") from problem
    except ValidationError as problem:
        first = problem.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise StudyError(f"--card: {where}: {in_words(first)}" if where else f"--card: {in_words(first)}") from problem


def _without_revisions(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_revisions(item) for key, item in value.items() if key != "revision"}
    if isinstance(value, list):
        return [_without_revisions(item) for item in value]
    return value


def _shell(study: Study, cluster: str) -> dict[str, Any]:
    """What the cards of all steps of one cluster share."""
    composition = study.clusters[cluster].composition
    return {
        "name": cluster,
        "composition": dict(composition),
        "species": {name: study.species[name] for name in composition},
    }


def _search(study: Study) -> Sampling:
    """How structures are searched; the temperature only weighs what is found."""
    return study.sampling.model_copy(update={"temperature_K": None})


def ligand_card(study: Study, species: str) -> LigandCard:
    """Card of the conformer search of one species."""
    return LigandCard(
        name=species,
        species=study.species[species],
        search=study.levels.search,
        geometry=study.levels.geometry,
        sampling=_search(study),
        seed=study.seed,
    )


def cluster_card(study: Study, cluster: str) -> ClusterCard:
    """Card of the structure search of one cluster."""
    return ClusterCard(
        **_shell(study, cluster),
        denticity=dict(study.clusters[cluster].denticity),
        search=study.levels.search,
        geometry=study.levels.geometry,
        rank=study.levels.rank,
        sampling=_search(study),
        seed=study.seed,
    )


def reference_card(study: Study, species: str, level: Level) -> ReferenceCard:
    """Card of the reference energy of one species."""
    return ReferenceCard(name=species, species=study.species[species], level=level, geometries=study.levels.geometries)


def binding_card(study: Study, cluster: str, level: Level) -> BindingCard:
    """Card of the binding energies of one cluster."""
    return BindingCard(
        **_shell(study, cluster),
        level=level,
        geometries=study.levels.geometries,
        rank=study.levels.rank,
    )


def counterpoise_card(study: Study, cluster: str, level: Level) -> CounterpoiseCard:
    """Card of the counterpoise correction of one cluster."""
    return CounterpoiseCard(
        **_shell(study, cluster),
        level=level,
    )


def thermochemistry_card(study: Study, cluster: str) -> ThermochemistryCard:
    """Card of the free energy of binding of one cluster."""
    if study.thermochemistry is None:
        raise StudyError("the study asks for no thermochemistry")
    return ThermochemistryCard(
        **_shell(study, cluster),
        settings=study.thermochemistry,
    )


def bonding_card(study: Study, cluster: str, level: Level) -> BondingCard:
    """Card of the analysis of the bond of one cluster."""
    return BondingCard(
        **_shell(study, cluster),
        level=level,
    )


def oxidation_card(study: Study, name: str, composition: Mapping[str, int], level: Level) -> OxidationCard:
    """Card of the ionisation energies of one cluster, or of one species on its own."""
    return OxidationCard(
        name=name,
        composition=dict(composition),
        species={member: study.species[member] for member in composition},
        level=level,
        geometries=study.levels.geometries,
    )


def shieldings_card(study: Study, cluster: str, level: Level) -> ShieldingsCard:
    """Card of the magnetic shieldings of one cluster."""
    return ShieldingsCard(
        **_shell(study, cluster),
        level=level,
    )


def dynamics_card(study: Study, trajectory: str) -> DynamicsCard:
    """Card of a computed trajectory."""
    settings = study.trajectories[trajectory]
    if isinstance(settings, OwnTrajectory):
        raise StudyError(f"trajectories.{trajectory} is the user's own; it is not computed")
    return DynamicsCard(
        name=trajectory,
        settings=settings,
        species={name: study.species[name] for name in settings.members},
        seed=study.seed,
    )


def profile_card(study: Study, profile: str) -> ProfileCard:
    """Card of a walk."""
    settings = study.profiles[profile]
    return ProfileCard(name=profile, settings=settings, box=study.boxes[settings.box], seed=study.seed)


def free_energy_card(study: Study, profile: str) -> FreeEnergyCard:
    """Card of the free energies along a walk."""
    return FreeEnergyCard(**dict(profile_card(study, profile)))


def parameters_card(study: Study, species: str) -> ParametersCard:
    """Card of the classical force field of one species."""
    own = study.forcefields.get(species)
    charges = study.charges if own is None else Charges()
    return ParametersCard(name=species, species=study.species[species], charges=charges, seed=study.seed, own=own)


def label_card(study: Study, potential: str, trajectory: str = "") -> LabelCard:
    """Card of the labelled frames of one trajectory, or of the structures that are fitted besides."""
    settings = study.potentials[potential]
    # What decides only the fit, or other frames, is left at its defaults: it labels nothing anew.
    asked = Potential(
        level=settings.level, frames={trajectory or "none": settings.frames.get(trajectory, 20)},
        held_out=settings.held_out, gap_ps=settings.gap_ps, structures=None if trajectory else settings.structures,
    )  # fmt: skip
    skip_ps = getattr(study.trajectories.get(trajectory), "equilibration_ps", 0.0)
    return LabelCard(name=potential, settings=asked, trajectory=trajectory, skip_ps=skip_ps)


def fit_card(study: Study, potential: str, member: int) -> FitCard:
    """Card of one model of a committee."""
    # The number of members changes none of them.
    settings = study.potentials[potential].model_copy(update={"members": 1})
    return FitCard(name=potential, settings=settings, member=member, seed=study.seed)


def assessment_card(study: Study, potential: str) -> AssessmentCard:
    """Card of the errors of a potential on held-out frames."""
    return AssessmentCard(name=potential, members=study.potentials[potential].members)


def analysis_card(study: Study, trajectory: str) -> AnalysisCard:
    """Card of the analysis of one trajectory."""
    settings = study.trajectories[trajectory]
    if isinstance(settings, OwnTrajectory):
        # What only the transport asks for changes nothing here.
        own = settings.model_copy(update={"species": {}, "charges": {}, "temperature_K": None})
        return AnalysisCard(
            name=trajectory, analysis=study.analysis, skip_ps=settings.skip_ps, seed=study.seed, own=own
        )
    return AnalysisCard(
        name=trajectory, analysis=study.analysis, skip_ps=settings.equilibration_ps, seed=study.seed,
        species={name: study.species[name] for name in settings.members},
    )  # fmt: skip


def patterns_card(study: Study, trajectory: str) -> PatternsCard:
    """Card of the angles and structure factors of one trajectory."""
    like = analysis_card(study, trajectory)
    return PatternsCard(
        name=trajectory, patterns=study.patterns, skip_ps=like.skip_ps, seed=study.seed,
        own_molecule=study.analysis.own_molecule, own=like.own,
    )  # fmt: skip


def transport_card(study: Study, trajectory: str) -> TransportCard:
    """Card of the transport in one trajectory."""
    settings = study.trajectories[trajectory]
    return TransportCard(
        name=trajectory,
        least_move_A=study.transport.least_move_A,
        viscosity_mPa_s=study.transport.viscosity_mPa_s.get(trajectory),
        temperature_K=settings.temperature_K,
        skip_ps=settings.skip_ps if isinstance(settings, OwnTrajectory) else settings.equilibration_ps,
        species={} if isinstance(settings, OwnTrajectory) else {name: study.species[name] for name in settings.members},
        friction_per_ps=None if isinstance(settings, OwnTrajectory) else settings.friction_per_ps,
        own=settings if isinstance(settings, OwnTrajectory) else None,
    )
