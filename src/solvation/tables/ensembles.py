"""Tables of the structures of a study: those that were kept, with their populations, and those that failed a check."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from solvation.clusters.ensembles import Rejected, Structure, lowest_at, populations
from solvation.clusters.shapes import SAME_BASIN_EV, fingerprint, unique
from solvation.study import Level, Study


@dataclass(frozen=True, slots=True)
class EnsembleRow:
    """One structure at one level; `role` says whether the level relaxed (geometry) or judged (rank) it.

    `searches` are the numbers of the independent searches that ended there: `1+2`.
    """

    cluster: str
    structure: str
    denticity: str
    level: str
    role: str
    geometry_level: str
    energy_eV: float
    relative_energy_eV: float
    population: float
    fmax_eV_A: float
    searches: str
    note: str


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """One structure that failed a check."""

    cluster: str
    start: str
    stage: str
    reason: str
    level: str
    relative_energy_eV: float


def ensemble_rows(study: Study, cluster: str, kept: Sequence[Structure]) -> list[EnsembleRow]:
    """Structures of one cluster at each level that relaxed or judged them."""
    rows = []
    for level in dict.fromkeys(item.geometry_level for item in kept):
        own = [item for item in kept if item.geometry_level == level]
        rows += _rows_at(study, cluster, "geometry", level, own, [item.geometry_eV for item in own])
    judged = [item for item in kept if item.rank_eV is not None]
    if study.levels.rank is not None and judged:
        energies = [item.rank_eV or 0.0 for item in judged]
        rows += _rows_at(study, cluster, "rank", study.levels.rank, judged, energies)
    return rows


def failed_ensembles(study: Study, cluster: str, why: str) -> list[EnsembleRow]:
    """Rows of a cluster without structures, and why it has none."""
    unknown = math.nan
    return [
        EnsembleRow(cluster, "", "", str(level), "geometry", str(level), unknown, unknown, unknown, unknown, "", why)
        for level in study.levels.geometries
    ]


def rejected_rows(cluster: str, kept: Sequence[Structure], lost: Sequence[Rejected]) -> list[RejectedRow]:
    """Structures of one cluster that failed a check, by how far they lie above the lowest that was kept."""
    floors = floors_eV(kept)
    return [
        RejectedRow(
            cluster, one.start, one.stage, one.reason, str(one.geometry_level),
            math.nan if one.energy_eV is None else one.energy_eV - floors.get(one.geometry_level, math.nan),
        )
        for one in lost
    ]  # fmt: skip


def floors_eV(kept: Sequence[Structure]) -> dict[Level, float]:
    """Lowest energy on each surface, eV."""
    levels = {item.geometry_level for item in kept}
    return {level: min(one.geometry_eV for one in kept if one.geometry_level == level) for level in levels}


def _rows_at(
    study: Study, cluster: str, role: str, level: Level, members: Sequence[Structure], energies: Sequence[float]
) -> list[EnsembleRow]:
    """Rows of one level; a basin that two surfaces found counts once, so the population of its second row is empty.

    So is that of a structure that is no minimum of its surface, unless it is the one that stands for the cluster.
    """
    stands = members[0] if role == "rank" else lowest_at(level, members)
    counted = [index for index, item in enumerate(members) if not item.note or item is stands]
    prints = [fingerprint(members[index].atoms.get_chemical_symbols(), members[index].atoms.positions)
              for index in counted]  # fmt: skip
    same_eV = SAME_BASIN_EV if len({members[index].geometry_level for index in counted}) > 1 else 0.0
    distinct = [
        counted[place]
        for place in unique(
            np.array([energies[index] for index in counted]), prints,
            same_shape_A=study.sampling.same_rmsd_A, same_energy_eV=same_eV,
        )
    ]  # fmt: skip
    weights = populations([energies[index] for index in distinct], study.ensemble_temperature_K)
    shares = dict(zip(distinct, weights, strict=True))
    return [
        EnsembleRow(
            cluster=cluster,
            structure=item.name,
            denticity=item.denticity,
            level=str(level),
            role=role,
            geometry_level=str(item.geometry_level),
            energy_eV=energies[index],
            relative_energy_eV=energies[index] - min(energies),
            population=float(shares.get(index, math.nan)),
            fmax_eV_A=item.fmax_eV_A,
            searches="+".join(map(str, item.searches)),
            note=item.note,
        )
        for index, item in enumerate(members)
    ]
