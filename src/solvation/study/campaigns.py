"""Campaigns: a grid of ions, shells, ligands, denticities and levels that stands for many ordinary clusters."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import product
from math import prod
from typing import Any, Literal

from pydantic import Field, PositiveInt, model_validator

from solvation.study.base import Name, Section
from solvation.study.clusters import Cluster
from solvation.study.levels import Level

#: More are refused before they are made.
MOST_CLUSTERS = 20_000
_LONGEST_NAME = 64

Bites = PositiveInt | Literal["free"]


class Exclusion(Section):
    """Clusters that a campaign leaves out: those to which everything said here applies."""

    ions: tuple[Name, ...] = Field((), description="Around one of these ions.")
    species: tuple[Name, ...] = Field((), description="With all of these species.")
    composition: dict[str, PositiveInt] = Field(default_factory=dict, description="With just so many of these.")
    denticity: dict[str, Bites] = Field(default_factory=dict, description="Bound so; 'free' is a denticity.")
    levels: tuple[Level, ...] = Field((), description="Leave out only these levels of such clusters.")

    @model_validator(mode="after")
    def _says_something(self) -> Exclusion:
        if not (self.ions or self.species or self.composition or self.denticity or self.levels):
            raise ValueError("says nothing; give ions, species, composition, denticity or levels")
        return self

    def applies(self, ion: str, shell: Mapping[str, int], denticity: Mapping[str, int]) -> bool:
        """Whether a cluster is meant; levels aside."""
        return (
            (not self.ions or ion in self.ions)
            and all(name in shell or name == ion for name in self.species)
            and all(shell.get(name) == count for name, count in self.composition.items())
            and all(name in shell and denticity.get(name, "free") == bites for name, bites in self.denticity.items())
        )


class Campaign(Section):
    """Every ion with every shell, of every ligand, at every denticity."""

    ions: tuple[Name, ...] = Field(min_length=1, description="Bare ions, each in turn: [Li+, Na+].")
    shells: tuple[dict[str, PositiveInt], ...] = Field(
        min_length=1,
        description="Ligands around the ion, by species or by letters of `ligands`: [{A: 4}, {A: 3, B: 1}].",
    )
    ligands: dict[Name, tuple[Name, ...]] = Field(
        default_factory=dict,
        description="What a letter stands for, each in turn: {A: [EC, PC]}; the letters of a shell differ.",
    )
    denticity: dict[str, tuple[Bites, ...]] = Field(
        default_factory=dict, description="Denticities of a species, each in turn: {TDA: [free, 1, 2]}."
    )
    levels: tuple[Level, ...] | None = Field(
        None, min_length=1, description="Levels of the energies of these clusters, instead of levels.energy."
    )
    bonding: bool = Field(True, description="Whether their bonds are analysed at levels.bonding.")
    exclude: tuple[Exclusion, ...] = Field((), description="What is left out of the grid.")

    @model_validator(mode="after")
    def _lists_are_full(self) -> Campaign:
        for where in ("ligands", "denticity"):
            for name, choices in getattr(self, where).items():
                if not choices:
                    raise ValueError(f"{where}.{name}: is empty; give a list")
        for number, shell in enumerate(self.shells):
            if not shell:
                raise ValueError(f"shells.{number}: is empty; give ligands, e.g. {{EC: 4}}")
        if self.size > MOST_CLUSTERS:
            raise ValueError(f"spans {self.size} clusters, more than {MOST_CLUSTERS}; split it into several studies")
        return self

    @property
    def size(self) -> int:
        """Points of the grid, before any are left out or found to be the same."""
        fills = sum(prod(len(self.ligands[key]) for key in shell if key in self.ligands) for shell in self.shells)
        return len(self.ions) * fills * prod(len(choices) for choices in self.denticity.values())


def expand(
    campaigns: tuple[Campaign, ...], species: Mapping[str, object], levels: tuple[Level, ...]
) -> dict[str, Cluster]:
    """Clusters of all campaigns by name, each once.

    Parameters
    ----------
    species
        Those of the study; keys only.
    levels
        Levels of the study's energies, for campaigns that leave theirs out.

    Raises
    ------
    ValueError
        A name that is not known, an exclusion that leaves nothing out, two clusters of one name; with the key.
    """
    found: dict[str, Cluster] = {}
    for number, campaign in enumerate(campaigns):
        where = f"campaigns.{number}"
        _check_names(campaign, species, where)
        idle = set(range(len(campaign.exclude)))
        for ion, shell, denticity in _grid(campaign):
            kept = _levels_left(campaign, ion, shell, denticity, levels, idle)
            if not kept:
                continue
            cluster = Cluster(
                composition={ion: 1, **shell}, denticity=denticity, bonding=campaign.bonding,
                levels=None if kept == levels else kept,
            )  # fmt: skip
            name = name_of(ion, shell, denticity)
            if len(name) > _LONGEST_NAME:
                raise ValueError(f"{where}: the name '{name}' is longer than {_LONGEST_NAME} letters; shorten species")
            if found.setdefault(name, cluster) != cluster:
                raise ValueError(f"{where}: gives '{name}' twice, with different settings; write one under clusters")
        if idle:
            raise ValueError(f"{where}.exclude.{min(idle)}: leaves nothing out; mend or remove it")
    return found


def one_of_each(trajectories: Mapping[Any, Any]) -> dict[Any, Any]:
    """Trajectories as they stand in a study file, those with a list of levels or temperatures once for each.

    `EC: {temperature_K: [298, 313], ...}` becomes `EC_298K` and `EC_313K`.

    Raises
    ------
    ValueError
        An empty list, or two trajectories of one name.
    """
    found: dict[Any, Any] = {}
    for name, settings in trajectories.items():
        spanned = [
            key
            for key in ("level", "temperature_K")
            if isinstance(settings, dict) and isinstance(settings.get(key), list)
        ]
        for key in spanned:
            if not settings[key]:
                raise ValueError(f"{name}.{key}: is empty; give one value or several")
        for values in product(*(settings[key] for key in spanned)):
            chosen = dict(zip(spanned, values, strict=True))
            label = "_".join([str(name), *(_part(key, value) for key, value in chosen.items())])
            if label in found or (spanned and label in trajectories):
                raise ValueError(f"{name}: gives '{label}' twice; rename one of them")
            found[label if spanned else name] = {**settings, **chosen} if spanned else settings
    return found


def _part(key: str, value: Any) -> str:
    return f"{value}K" if key == "temperature_K" else re.sub(r"[^A-Za-z0-9_.+-]", "_", str(value))


def name_of(ion: str, shell: Mapping[str, int], denticity: Mapping[str, int]) -> str:
    """Name of a cluster: `Li_EC3_TDA-k2` is Li+ with three EC and one TDA that binds through two donors (kappa 2)."""
    parts = [
        name + (str(count) if count > 1 else "") + (f"-k{denticity[name]}" if name in denticity else "")
        for name, count in shell.items()
    ]
    return "_".join([re.sub(r"\d*[+-]$", "", ion), *parts])


def _check_names(campaign: Campaign, species: Mapping[str, object], where: str) -> None:
    for letter in campaign.ligands:
        if letter in species:
            raise ValueError(f"{where}.ligands: '{letter}' is a species; take another letter")
    asked = [("ions", name) for name in campaign.ions]
    asked += [(f"ligands.{letter}", name) for letter, names in campaign.ligands.items() for name in names]
    asked += [
        (f"shells.{i}", key) for i, shell in enumerate(campaign.shells) for key in shell if key not in campaign.ligands
    ]
    asked += [("denticity", name) for name in campaign.denticity]
    for i, item in enumerate(campaign.exclude):
        asked += [(f"exclude.{i}", name) for name in (*item.ions, *item.species, *item.composition, *item.denticity)]
    for key, name in asked:
        if name not in species:
            raise ValueError(f"{where}.{key}: unknown species '{name}'; known: {', '.join(species)}")
    for i, shell in enumerate(campaign.shells):
        for key in shell:
            if key in campaign.ions:
                raise ValueError(f"{where}.shells.{i}: '{key}' is one of the ions; the shell holds ligands only")


def _grid(campaign: Campaign) -> Iterator[tuple[str, dict[str, int], dict[str, int]]]:
    """Every ion, shell and denticity of a campaign; what two points have in common comes once."""
    seen = set()
    for ion, pattern in product(campaign.ions, campaign.shells):
        letters = [key for key in pattern if key in campaign.ligands]
        for choice in product(*(campaign.ligands[letter] for letter in letters)):
            meant = dict(zip(letters, choice, strict=True))
            shell = {meant.get(key, key): count for key, count in pattern.items()}
            if len(shell) < len(pattern):
                continue  # two keys of the pattern are the same species
            bound = [name for name in shell if name in campaign.denticity]
            for bites in product(*(campaign.denticity[name] for name in bound)):
                denticity = {name: bite for name, bite in zip(bound, bites, strict=True) if bite != "free"}
                point = (ion, frozenset(shell.items()), frozenset(denticity.items()))
                if point not in seen:
                    seen.add(point)
                    yield ion, shell, denticity


def _levels_left(
    campaign: Campaign, ion: str, shell: dict[str, int], denticity: dict[str, int], levels: tuple[Level, ...],
    idle: set[int],
) -> tuple[Level, ...]:  # fmt: skip
    """Levels at which a cluster is wanted, none if it is not; exclusions that did something leave `idle`."""
    kept = campaign.levels or levels
    for number, item in enumerate(campaign.exclude):
        if not item.applies(ion, shell, denticity):
            continue
        left = tuple(level for level in kept if level not in item.levels) if item.levels else ()
        if left != kept:
            idle.discard(number)
        kept = left
    return kept
