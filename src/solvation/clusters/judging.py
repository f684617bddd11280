"""The judge: single points at a dearer level that put structures of several searches and surfaces in one order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from solvation.clusters.ensembles import Rejected, Structure, lowest_first
from solvation.clusters.shapes import SAME_BASIN_EV, diverse, fingerprint, shape_distance_A
from solvation.clusters.shell import Shell
from solvation.engines import SinglePoint, single_points
from solvation.errors import EngineFailed
from solvation.study import Level, Sampling


def by_search(structures: Sequence[Structure]) -> list[list[Structure]]:
    """Structures of each surface and independent search, the lowest first; what several found is in each of them."""
    groups: dict[tuple[str, int], list[Structure]] = {}
    for item in sorted(structures, key=lambda item: item.geometry_eV):
        for number in item.searches or (0,):
            groups.setdefault((str(item.geometry_level), number), []).append(item)
    return list(groups.values())


def judged(
    found: Sequence[Structure], shell: Shell, settings: Sampling, level: Level
) -> tuple[list[Structure], list[Rejected]]:
    """Compute single points of the diverse best of every search at the rank level, and put all in order by them.

    Returns
    -------
    What is kept, the judge's lowest first, and what the engine failed at.

    Raises
    ------
    EngineFailed
        When not one of them converges.
    """
    chosen: dict[str, Structure] = {}
    for own in by_search(found):
        window = [item for item in own if item.geometry_eV <= own[0].geometry_eV + settings.window_eV]
        prints = [fingerprint(shell.symbols, item.atoms.positions) for item in window]
        energies = np.array([item.geometry_eV for item in window])
        picks = [window[index] for index in diverse(energies, prints, settings.ranked)]
        chosen.update({item.name: item for item in picks})
    kept = [item for item in found if item.name not in chosen]
    rejected = []
    jobs = [SinglePoint(item.atoms, shell.charge, shell.multiplicity) for item in chosen.values()]
    results = single_points(jobs, level, f"judged at {level}")
    for item, result in zip(chosen.values(), results, strict=True):
        if isinstance(result, EngineFailed):
            rejected.append(Rejected(item.name, "rank", str(result), item.atoms, item.geometry_level, item.geometry_eV))
        else:
            kept.append(replace(item, rank_eV=result.energy_eV))
    failed = [result for result in results if isinstance(result, EngineFailed)]
    if failed and not any(item.rank_eV is not None for item in kept):
        raise failed[-1]
    return _minima_before_shoulders(lowest_first(kept), settings.same_rmsd_A), rejected


def _minima_before_shoulders(judged: Sequence[Structure], same_shape_A: float) -> list[Structure]:
    """Put a minimum before the shoulder of another surface that has its shape and nearly its energy.

    They are one basin, seen by two surfaces. The judge cannot tell them apart, but only the minimum has normal modes.
    """
    order = list(judged)
    for shoulder in [item for item in judged if item.note and item.rank_eV is not None]:
        for minimum in [item for item in judged if not item.note and item.rank_eV is not None]:
            shapes = [
                fingerprint(item.atoms.get_chemical_symbols(), item.atoms.positions) for item in (shoulder, minimum)
            ]
            close = abs((minimum.rank_eV or 0.0) - (shoulder.rank_eV or 0.0)) < SAME_BASIN_EV
            if close and shape_distance_A(*shapes) < same_shape_A and order.index(shoulder) < order.index(minimum):
                order.remove(minimum)
                order.insert(order.index(shoulder), minimum)
    return order
