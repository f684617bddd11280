"""Free-energy profiles of a study, and how many copies of a ligand stand at the ion by them (docs/tables.md)."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import units
from scipy.special import expit, logit

from solvation.errors import StepFailed
from solvation.failures import read_table
from solvation.profiles.free_energy import TABLES, ProfileRow
from solvation.study import Study
from solvation.study.targets import POPULATIONS
from solvation.study.trajectories import SAME_LIQUID
from solvation.tidy import write_rows

_UNKNOWN = math.nan


@dataclass(frozen=True, slots=True)
class PopulationRow:
    """A row of `profile_populations.csv`: share of the ions with so many copies of a ligand, at the box's composition.

    Attributes
    ----------
    profiles
        Those whose free energies make it up, joined by spaces.
    population, low, high
        Among the numbers that the profiles reach, with one standard error either way.
    """

    ligand: str
    profiles: str
    at_ion: int
    population: float
    low: float
    high: float


def write_profile_tables(study: Study) -> None:
    """Put the tables of all profiles into one each, and the populations that follow; none without profiles.

    Raises
    ------
    ResultsError
        A table of a profile is missing, or has other columns.
    """
    if not study.profiles:
        return
    for table, kind in TABLES.items():
        write_rows(study.folder / table, kind, [row for name in study.profiles for row in _rows(study, name, table)])
    write_rows(study.folder / POPULATIONS, PopulationRow, _populations(study))


def _rows(study: Study, profile: str, table: str) -> list[Any]:
    path = study.folder / "profiles" / profile / table
    try:
        return read_table(path, TABLES[table])
    except StepFailed as problem:
        settings = study.profiles[profile]
        if TABLES[table] is not ProfileRow:
            return []
        about = (profile, settings.box, settings.ligand, settings.held)
        return [ProfileRow(*about, "both", *(_UNKNOWN,) * 5, 0, note=str(problem))]


def _populations(study: Study) -> Iterator[PopulationRow]:
    """Ladders of profiles of one ligand in one liquid: none to one copy, one to two, ..."""
    liquids: dict[str, list[ProfileRow]] = defaultdict(list)
    for name, settings in study.profiles.items():
        box = study.boxes[settings.box].model_dump(mode="json")
        key = json.dumps([settings.ligand, *(box.get(part) for part in SAME_LIQUID)], sort_keys=True)
        rows: list[ProfileRow] = _rows(study, name, "profiles.csv")
        liquids[key] += [row for row in rows if row.way == "both" and math.isfinite(row.free_energy_eV)]
    for steps in liquids.values():
        ladder = _ladder(steps)
        if not ladder:
            continue
        kT_eV = units.kB * float(study.boxes[steps[0].box].temperature_K)
        shares = populations([rung.free_energy_eV for rung in ladder], [rung.stderr_eV for rung in ladder], kT_eV)
        names = " ".join(name for rung in ladder for name in rung.profiles)
        for more, share in enumerate(shares):
            yield PopulationRow(steps[0].ligand, names, ladder[0].held + more, *share)


@dataclass(frozen=True, slots=True)
class _Rung:
    """One more copy at the ion, by all profiles that ask for it."""

    held: int
    profiles: tuple[str, ...]
    free_energy_eV: float
    stderr_eV: float


def _ladder(steps: Sequence[ProfileRow]) -> list[_Rung]:
    """From the fewest copies on, as long as each rung begins where the one before ended."""
    by_held: dict[int, list[ProfileRow]] = defaultdict(list)
    for row in steps:
        by_held[row.held].append(row)
    ladder: list[_Rung] = []
    for held in sorted(by_held):
        if ladder and held != ladder[-1].held + 1:
            break
        names = tuple(row.profile for row in by_held[held])
        values = [(row.free_energy_eV, row.stderr_eV) for row in by_held[held]]
        ladder.append(_Rung(held, names, *mean_of_repeats(values)))
    return ladder


def mean_of_repeats(values: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Mean of independent results (value, stderr), and its error: their own, or that of their spread if it is more.

    They weigh the same: an error that is too small would else decide.
    """
    found, errors = np.array(values).T
    count = len(found)
    own = float(np.sqrt((errors**2).sum())) / count
    spread = float(found.std(ddof=1)) / math.sqrt(count) if count > 1 else 0.0
    return float(found.mean()), max(own, spread)


def populations(
    free_energies_eV: Sequence[float], stderrs_eV: Sequence[float], kT_eV: float
) -> list[tuple[float, float, float]]:
    """Shares of a ladder of states from the free energies of its steps, and one standard error either way.

    p_n = exp(-G_n / kT) / sum, G_n the sum of the first n steps; dp_n / dG_k = -p_n ((n >= k) - sum_(m >= k) p_m) / kT.
    The errors are of first order in ln(p / (1 - p)), which has no ends: a free energy is known to so many eV, and a
    share to a factor.

    Returns
    -------
    list of (population, low, high)
        One more than there are steps.
    """
    heights = np.cumsum([0.0, *free_energies_eV]) / kT_eV
    shares = np.exp(-(heights - heights.min()))
    shares /= shares.sum()
    count = len(shares)
    beyond = np.array([[float(state >= step) for step in range(1, count)] for state in range(count)])
    slopes = shares[:, None] * (beyond - shares @ beyond) / kT_eV
    errors = np.sqrt(((slopes * np.asarray(stderrs_eV)) ** 2).sum(axis=1)) / (shares * (1 - shares))
    places = logit(shares)
    low, high = expit(places - errors), expit(places + errors)
    return [(float(one), float(least), float(most)) for one, least, most in zip(shares, low, high, strict=True)]
