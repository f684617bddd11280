"""Lindh's model Hessian: what a quasi-Newton optimiser knows of a molecule before its first step.

Every pair, angle and torsion of atoms gets a force constant that fades with distance, so no list of bonds is needed
and the contacts of a shell count as much as its bonds.

References
----------
Lindh, Bernhardsson, Karlström & Malmqvist, Chem. Phys. Lett. 241, 423 (1995), eqs 1-5 and table 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from ase.data import atomic_numbers
from ase.units import Bohr, Hartree
from numpy.typing import NDArray

_STRETCH, _BEND, _TORSION = 0.45, 0.15, 0.005  # Eh/Bohr², Eh/rad², Eh/rad²
# Range (1/Bohr²) and reference distance (Bohr) of a pair, by the rows of its two elements.
_RANGE = np.array([[1.0, 0.3949, 0.3949], [0.3949, 0.28, 0.28], [0.3949, 0.28, 0.28]])
_DISTANCE = np.array([[1.35, 2.10, 2.53], [2.10, 2.87, 3.40], [2.53, 3.40, 3.40]])
_WEAKEST_STRETCH, _WEAKEST_BEND, _WEAKEST_TORSION = 1e-6, 3e-3, 1e-2
_NEIGHBOUR = 1e-3
# Angles closer to 0 or 180 degrees than this have no well-defined plane.
_SMALLEST_SINE = 0.3


def lindh_hessian(symbols: Sequence[str], positions_A: NDArray[np.float64]) -> NDArray[np.float64]:
    """Model Hessian in Cartesian coordinates, eV/Å², (3 n_atoms, 3 n_atoms); never negative.

    Elements of the fourth and later rows count as the third, which the paper's table ends with.
    """
    positions = positions_A / Bohr
    row = np.digitize([atomic_numbers[symbol] for symbol in symbols], [2.5, 10.5])
    steps = positions[:, None] - positions[None]
    distance = np.linalg.norm(steps, axis=-1)
    strength = np.exp(_RANGE[np.ix_(row, row)] * (_DISTANCE[np.ix_(row, row)] ** 2 - distance**2))
    np.fill_diagonal(strength, 0.0)
    hessian = np.zeros((3 * len(row), 3 * len(row)))
    for indices, gradients, constants in (
        _stretches(positions, strength),
        _bends(positions, strength),
        _torsions(positions, strength),
    ):
        wilson = np.zeros((len(constants), len(row), 3))
        for column, gradient in zip(indices, gradients, strict=True):
            wilson[np.arange(len(constants)), column] = gradient
        flat = wilson.reshape(len(constants), 3 * len(row))
        hessian += flat.T @ (flat * constants[:, None])
    return np.asarray(hessian * Hartree / Bohr**2)


Terms = tuple[list[NDArray[np.int64]], list[NDArray[np.float64]], NDArray[np.float64]]


def _stretches(positions: NDArray[np.float64], strength: NDArray[np.float64]) -> Terms:
    i, j = np.nonzero(np.triu(strength > _WEAKEST_STRETCH, 1))
    step = positions[i] - positions[j]
    unit = step / np.linalg.norm(step, axis=1, keepdims=True)
    return [i, j], [unit, -unit], _STRETCH * strength[i, j]


def _bends(positions: NDArray[np.float64], strength: NDArray[np.float64]) -> Terms:
    near = [np.nonzero(row > _NEIGHBOUR)[0].tolist() for row in strength]
    i, j, k = _columns(3, ((a, b, c) for b, around in enumerate(near) for a in around for c in around if a < c))
    weight = strength[i, j] * strength[j, k]
    one, other = positions[i] - positions[j], positions[k] - positions[j]
    length, other_length = np.linalg.norm(one, axis=1), np.linalg.norm(other, axis=1)
    one, other = one / length[:, None], other / other_length[:, None]
    cosine = np.sum(one * other, axis=1)
    sine = np.sqrt(np.clip(1 - cosine**2, 0, 1))
    use = (weight > _WEAKEST_BEND) & (sine > _SMALLEST_SINE)
    i, j, k = (item[use] for item in (i, j, k))
    one, other, cosine, sine = (item[use] for item in (one, other, cosine, sine))
    first = (cosine[:, None] * one - other) / (sine * length[use])[:, None]
    third = (cosine[:, None] * other - one) / (sine * other_length[use])[:, None]
    return [i, j, k], [first, -first - third, third], _BEND * weight[use]


def _torsions(positions: NDArray[np.float64], strength: NDArray[np.float64]) -> Terms:
    near = [np.nonzero(row > _NEIGHBOUR)[0].tolist() for row in strength]
    i, j, k, m = _columns(
        4,
        (
            (a, b, c, d)
            for b, around in enumerate(near)
            for c in around
            if b < c
            for a in around
            for d in near[c]
            if len({a, b, c, d}) == 4
        ),
    )
    weight = strength[i, j] * strength[j, k] * strength[k, m]
    use = weight > _WEAKEST_TORSION
    i, j, k, m = (item[use] for item in (i, j, k, m))
    weight = weight[use]
    before, axis, after = positions[j] - positions[i], positions[k] - positions[j], positions[m] - positions[k]
    length = np.linalg.norm(axis, axis=1)
    normal, other_normal = np.cross(before, axis), np.cross(axis, after)
    area, other_area = np.linalg.norm(normal, axis=1), np.linalg.norm(other_normal, axis=1)
    use = (area > _SMALLEST_SINE * np.linalg.norm(before, axis=1) * length) & (
        other_area > _SMALLEST_SINE * np.linalg.norm(after, axis=1) * length
    )
    i, j, k, m = (item[use] for item in (i, j, k, m))
    weight, length = weight[use], length[use]
    before, axis, after = before[use], axis[use], after[use]
    first = -(length / area[use] ** 2)[:, None] * normal[use]
    fourth = (length / other_area[use] ** 2)[:, None] * other_normal[use]
    along = (np.sum(before * axis, axis=1) / length**2)[:, None]
    other_along = (np.sum(after * axis, axis=1) / length**2)[:, None]
    second = -(1 + along) * first + other_along * fourth
    third = along * first - (1 + other_along) * fourth
    return [i, j, k, m], [first, second, third, fourth], _TORSION * weight


def _columns(width: int, tuples: Iterable[tuple[int, ...]]) -> tuple[NDArray[np.int64], ...]:
    table = np.array(list(tuples), dtype=np.int64).reshape(-1, width)
    return tuple(table.T)
