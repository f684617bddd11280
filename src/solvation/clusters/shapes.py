"""Which structures are the same, and which are different enough to be worth their cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray

#: Geometries that two surfaces have of one basin differ by a few hundredths of an Å, and by this much at a third level.
SAME_BASIN_EV = 0.15


def fingerprint(symbols: Sequence[str], positions_A: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sorted distances between heavy atoms, one block for each pair of elements, Å, (n_pairs,).

    Turning, mirroring, or swapping two equal ligands leaves it as it is, which an RMSD does not without a
    search over permutations.
    """

    from scipy.spatial.distance import pdist

    heavy = [index for index, symbol in enumerate(symbols) if symbol != "H"]
    if len(heavy) < 2:
        heavy = list(range(len(symbols)))
    numbers = np.array([atomic_numbers[symbols[index]] for index in heavy])
    distances = pdist(positions_A[heavy])
    first, second = np.triu_indices(len(heavy), k=1)
    pair = np.minimum(numbers[first], numbers[second]) * 1000 + np.maximum(numbers[first], numbers[second])
    return np.asarray(distances[np.lexsort((distances, pair))])


def shape_distance_A(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Root mean square difference of two fingerprints of the same composition, Å."""
    return float(np.sqrt(np.mean((one - other) ** 2))) if one.size else 0.0


def twins(
    energies_eV: NDArray[np.float64],
    prints: Sequence[NDArray[np.float64]],
    *,
    same_shape_A: float,
    same_energy_eV: float,
) -> dict[int, list[int]]:
    """Indices of distinct structures, the lowest first, each with those of the others that are the same.

    Two structures are one when both their shapes and their energies agree.
    """

    def is_same(one: int, other: int) -> bool:
        close = abs(energies_eV[one] - energies_eV[other]) < same_energy_eV
        return bool(close) and shape_distance_A(prints[one], prints[other]) < same_shape_A

    return grouped(map(int, np.argsort(energies_eV, kind="stable")), is_same)


def grouped(indices: Iterable[int], is_same: Callable[[int, int], bool]) -> dict[int, list[int]]:
    """Each index that is like none before it, with the later ones that are like it; the nearest before comes first."""
    found: dict[int, list[int]] = {}
    for index in indices:
        twin = next((other for other in reversed(found) if is_same(index, other)), None)
        if twin is None:
            found[index] = []
        else:
            found[twin].append(index)
    return found


def unique(
    energies_eV: NDArray[np.float64],
    prints: Sequence[NDArray[np.float64]],
    *,
    same_shape_A: float,
    same_energy_eV: float,
) -> list[int]:
    """Indices of distinct structures, the lowest first (`twins`)."""
    return list(twins(energies_eV, prints, same_shape_A=same_shape_A, same_energy_eV=same_energy_eV))


def diverse(energies_eV: NDArray[np.float64], prints: Sequence[NDArray[np.float64]], count: int) -> list[int]:
    """Choose `count` structures: by energy and by shape in turn.

    The lowest goes first; then, alternately, the one whose shape is farthest from all chosen ones, and the
    lowest of the rest. A cheap energy alone would prune the right basin (docs/sampling.md).
    """
    order = [int(index) for index in np.argsort(energies_eV, kind="stable")]
    chosen: list[int] = []
    while order and len(chosen) < count:
        if len(chosen) % 2 == 0:
            pick = order[0]
        else:
            pick = max(order, key=lambda index: min(shape_distance_A(prints[index], prints[one]) for one in chosen))
        chosen.append(pick)
        order.remove(pick)
    return chosen
