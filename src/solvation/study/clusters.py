"""Clusters of one ion and its ligands, and how their structures are searched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Discriminator, Field, PositiveInt, Tag, field_validator

from solvation.study.base import Section
from solvation.study.levels import Level


@dataclass(frozen=True, slots=True)
class Charged:
    """A species of a composition; `is_bare` is of one atom."""

    name: str
    charge: int
    is_bare: bool


def held_ions(species: Sequence[Charged]) -> list[str]:
    """Which ions a shell holds, of all species that are there.

    Cations come before anions, and bare ions before those of several atoms: beside Li+, PF6- is a ligand, as beside
    NH4+ a halide is. More than one name where it holds none of them by this rule alone.
    """
    for positive in (True, False):
        for bare in (True, False):
            found = [one.name for one in species if one.charge and (one.charge > 0) == positive and one.is_bare == bare]
            if found:
                return found
    return []


class Cluster(Section):
    """One ion with N ligands, as a composition."""

    composition: dict[str, PositiveInt] = Field(
        min_length=2, description="Copies of each species, the ion once: {Li+: 1, EC: 3, TDA: 1}."
    )
    denticity: dict[str, PositiveInt] = Field(
        default_factory=dict,
        description="Donor atoms through which every copy of a ligand binds; left out = free.",
    )
    levels: tuple[Level, ...] | None = Field(
        None, min_length=1, description="Levels of the energies of this cluster, instead of levels.energy."
    )
    bonding: bool = Field(True, description="Whether it is analysed at levels.bonding and levels.shieldings.")

    @field_validator("denticity")
    @classmethod
    def _only_members(cls, value: dict[str, int], info: object) -> dict[str, int]:
        composition = getattr(info, "data", {}).get("composition", {})
        for name in value:
            if composition and name not in composition:
                raise ValueError(f"'{name}' is not in the composition ({', '.join(composition)})")
        return value

    @property
    def ion(self) -> str:
        """The species that is held: the first one, wherever the study file has it."""
        return next(iter(self.composition))

    @property
    def n_ligands(self) -> int:
        """How many molecules hold it."""
        return sum(self.composition.values()) - 1

    def beginning_with(self, ion: str) -> Cluster:
        """The same cluster with its ion first, as formulas have it: Li+(EC)4."""
        rest = {name: count for name, count in self.composition.items() if name != ion}
        return self.model_copy(update={"composition": {ion: self.composition[ion], **rest}})


_Temperature = Annotated[float, Field(gt=0, le=2000)]
#: Tags of a value that may be one or a list; errors leave them out.
ONE_OR_LIST = ("<one>", "<list>")


def _is_list(value: object) -> str:
    return ONE_OR_LIST[isinstance(value, list | tuple)]


#: One temperature or several, K.
Temperatures_K = Annotated[
    Annotated[_Temperature, Tag(ONE_OR_LIST[0])]
    | Annotated[tuple[_Temperature, ...], Field(min_length=1), Tag(ONE_OR_LIST[1])],
    Discriminator(_is_list),
]


class Thermochemistry(Section):
    """Enthalpies and free energies of binding, from normal modes at the level that relaxed each structure."""

    temperature_K: Temperatures_K = Field(298.15, description="Temperature, K, or a list: modes are computed once.")
    standard_state: Literal["1 bar", "1 M"] = Field("1 M", description="Of the ion, the ligands and the complex alike.")

    @property
    def temperatures_K(self) -> tuple[float, ...]:
        """All temperatures, each once, as they were given."""
        given = self.temperature_K if isinstance(self.temperature_K, tuple) else (self.temperature_K,)
        return tuple(dict.fromkeys(given))


class Sampling(Section):
    """The funnel: starts, a force field, tight binding, DFT single points, the geometry level."""

    REVISION: ClassVar[int] = 1
    conformers: int = Field(50, ge=1, le=5000, description="RDKit conformers tried for each ligand.")
    searches: int = Field(2, ge=1, le=50, description="Independent searches; how far they differ is an error.")
    starts: int = Field(150, ge=1, le=100_000, description="Random shells of each search, half on a force field.")
    relaxed: int = Field(16, ge=1, le=5000, description="Diverse starts of each search relaxed at each search level.")
    rounds: int = Field(8, ge=0, le=100, description="Rounds of variations, of half as many; some in vain end them.")
    ranked: int = Field(4, ge=1, le=1000, description="Diverse survivors of each of them judged at levels.rank.")
    fmax_eV_A: float = Field(0.02, gt=0, le=0.5, description="Largest force at convergence, eV/Å.")
    max_steps: int = Field(400, ge=10, description="Geometry steps before a structure is rejected.")
    window_eV: float = Field(1.0, gt=0, description="Structures higher than this above the lowest are not judged, eV.")
    same_rmsd_A: float = Field(0.25, gt=0, description="Two structures closer than this (RMSD) are one, Å.")
    temperature_K: float | None = Field(
        None, gt=0, description="Temperature of the populations, K; left out: the first of thermochemistry, or 298.15."
    )
