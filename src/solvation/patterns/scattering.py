r"""Structure factors of a liquid, partial and as X-rays and neutrons see them.

They come from the positions themselves, at the wave vectors that fit into the box: no g(r) has to be cut off. Below
the shortest of them, 2 pi over the longest edge, a box holds nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from solvation.errors import TrajectoryError
from solvation.tidy import write_rows
from solvation.trajectory.frames import Trajectory
from solvation.trajectory.neighbours import cells_A
from solvation.trajectory.window import BLOCKS, frames_in_blocks, symbols_of
from solvation.uncertainty import block_error

XRAY, NEUTRON, PARTIAL = "xray", "neutron", "partial"
#: Electrons squared; and barn a steradian, of scattering lengths in fm.
UNITS = {XRAY: "e2", NEUTRON: "barn/sr", PARTIAL: ""}
_FM2_BARN = 0.01
#: Wave vectors and atoms whose phases are held at once.
_AT_ONCE = 4_000_000
#: Below this share of the mean square the square of the mean is no norm: light and heavy hydrogen can cancel.
_NULL = 0.05


class NoBox(TrajectoryError):
    """The frames are of a droplet."""


@dataclass(frozen=True, slots=True)
class StructureFactorRow:
    """One bin of one structure factor; the fields are those of `StructureFactor`, `unit` is that of the intensity."""

    trajectory: str
    radiation: str
    pair: str
    q_1_A: float
    s: float
    s_stderr: float
    intensity: float
    intensity_stderr: float
    unit: str
    n_vectors: int


@dataclass(frozen=True, slots=True)
class StructureFactor:
    """One structure factor; all arrays share the axis of q, (n_q,).

    Attributes
    ----------
    pair
        `Li-O` of a partial one, empty of a total.
    q_1_A
        Mean length of the wave vectors of each bin, 1/Å.
    s, s_stderr
        After Faber and Ziman: tends to 1 at large q. NaN where the mean scattering length nearly vanishes.
    intensity, intensity_stderr
        Of one atom, self part included: electrons squared (X-rays), barn/sr (neutrons); NaN of a partial one.
    n_vectors
        Wave vectors in each bin; each one counts for its opposite as well.
    """

    radiation: str
    pair: str
    q_1_A: NDArray[np.float64]
    s: NDArray[np.float64]
    s_stderr: NDArray[np.float64]
    intensity: NDArray[np.float64]
    intensity_stderr: NDArray[np.float64]
    n_vectors: NDArray[np.int64]


def wave_vectors(
    cell_A: NDArray[np.float64], q_max_1_A: float, width_1_A: float, per_bin: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Miller indices of half of the wave vectors of a cell, and the bin of each one.

    Parameters
    ----------
    cell_A
        Cell vectors as rows, (3, 3).
    per_bin
        Of a bin that holds more, so many are drawn.

    Returns
    -------
    indices, bins
        (n_vectors, 3) and (n_vectors,), ordered by bin; (0, 0, 0) is left out.
    """
    reciprocal = 2 * np.pi * np.linalg.inv(cell_A).T
    most = np.floor(q_max_1_A * np.linalg.norm(cell_A, axis=1) / (2 * np.pi)).astype(int)
    axes = [np.arange(-limit, limit + 1) for limit in most]
    axes[0] = axes[0][axes[0] >= 0]
    kept: list[NDArray[np.int64]] = []
    for first in axes[0]:
        plane = np.stack(np.meshgrid([first], axes[1], axes[2], indexing="ij"), axis=-1).reshape(-1, 3)
        _, second, third = plane.T
        half = (first > 0) | (second > 0) | ((second == 0) & (third > 0))
        kept.append(plane[half & (np.linalg.norm(plane @ reciprocal, axis=1) < q_max_1_A)])
    indices = np.concatenate(kept)
    if not len(indices):
        return indices, np.zeros(0, dtype=np.int64)
    bins = (np.linalg.norm(indices @ reciprocal, axis=1) / width_1_A).astype(np.int64)
    chosen = []
    for number in np.unique(bins):
        members = np.flatnonzero(bins == number)
        chosen.append(members if len(members) <= per_bin else rng.choice(members, per_bin, replace=False))
    order = np.concatenate(chosen)
    return indices[order], bins[order]


def amplitudes(fractional: NDArray[np.float64], indices: NDArray[np.int64]) -> NDArray[np.complex128]:
    r"""Sums of phases :math:`\sum_j \exp(2 \pi i\, h \cdot s_j)` of one kind of atoms, (n_vectors,).

    Parameters
    ----------
    fractional
        (n_atoms, 3).
    indices
        Miller indices, (n_vectors, 3).
    """
    tables = []
    for axis in range(3):
        low, high = int(indices[:, axis].min()), int(indices[:, axis].max())
        powers = np.arange(low, high + 1)[:, None] * fractional[:, axis]
        tables.append((np.exp(2j * np.pi * powers).astype(np.complex64), indices[:, axis] - low))
    found = np.empty(len(indices), dtype=np.complex128)
    step = max(1, _AT_ONCE // max(1, len(fractional)))
    for begin in range(0, len(indices), step):
        part = slice(begin, begin + step)
        first, second, third = (table[rows[part]] for table, rows in tables)
        first *= second
        found[part] = np.einsum("qn,qn->q", first, third)
    return found


def structure_factors(
    trajectory: Trajectory,
    *,
    selection: str = "all",
    q_max_1_A: float = 12.0,
    width_1_A: float = 0.1,
    per_bin: int = 60,
    deuterated: bool = False,
    skip_ps: float = 0.0,
    every: int = 1,
    rng: np.random.Generator | None = None,
) -> list[StructureFactor]:
    r"""Partial structure factors of all pairs of elements, and the totals of X-rays and of neutrons.

    With :math:`\rho_a(q) = \sum_{j \in a} e^{i q r_j}`, concentrations c and N atoms

    .. math:: A_{ab}(q) = 1 + \frac{\langle \mathrm{Re}\,\rho_a \rho_b^* \rangle / N - c_a \delta_{ab}}{c_a c_b},
       \qquad I(q) = \frac{1}{N} \Big\langle \Big| \sum_a f_a \rho_a \Big|^2 \Big\rangle,
       \qquad S(q) = \frac{I(q) - \langle f^2 \rangle + \langle f \rangle^2}{\langle f \rangle^2}

    with form factors f of neutral atoms for X-rays, and coherent scattering lengths for neutrons.

    Parameters
    ----------
    per_bin
        Most wave vectors of a bin; more lower the error and cost time.
    deuterated
        Take H for D, as neutron experiments do.
    rng
        Draws the wave vectors; seeded with 0 where it is not given.

    Raises
    ------
    NoBox
        The frames are of a droplet.
    TrajectoryError
        An element has no scattering data.

    References
    ----------
    Faber & Ziman, Philos. Mag. 11, 153 (1965). Data: Waasmaier & Kirfel, Acta Cryst. A 51, 416 (1995), and the
    scattering lengths of NIST, through periodictable.
    """
    atoms = trajectory.select(selection)
    symbols = symbols_of(trajectory, atoms)
    elements = list(dict.fromkeys(sorted(symbols)))
    members = [np.flatnonzero(symbols == element) for element in elements]
    share = np.array([len(item) for item in members]) / len(atoms)
    vectors: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None
    sums = lengths = frames_in = np.zeros(0)
    for block, frame in frames_in_blocks(trajectory, skip_ps, every, atoms):
        if frame.box_A is None:
            raise NoBox(
                f"{trajectory.source}: a droplet has no structure factor of a liquid: what its surface scatters "
                "covers it; give a periodic box (--box)"
            )
        cell = cells_A(frame.box_A[None])[0]
        if vectors is None:
            vectors = wave_vectors(cell, q_max_1_A, width_1_A, per_bin, rng or np.random.default_rng(0))
            if not len(vectors[0]):
                least = 2 * np.pi / float(np.linalg.norm(cell, axis=1).max())
                raise TrajectoryError(
                    f"{trajectory.source}: no wave vector of this box is shorter than {q_max_1_A:g} 1/Å; raise q_max "
                    f"(--q-max) beyond {least:.2g}"
                )
            pairs = len(elements) * (len(elements) + 1) // 2
            sums, lengths = np.zeros((BLOCKS, pairs, len(vectors[0]))), np.zeros(len(vectors[0]))
            frames_in = np.zeros(BLOCKS)
        indices = vectors[0]
        fractional = frame.positions_A @ np.linalg.inv(cell)
        waves = [amplitudes(fractional[item], indices) for item in members]
        for place, (one, other) in enumerate(_pairs(len(elements))):
            sums[block, place] += (waves[one] * waves[other].conj()).real / len(atoms)
        lengths += np.linalg.norm(indices @ (2 * np.pi * np.linalg.inv(cell).T), axis=1)
        frames_in[block] += 1
    if vectors is None:
        raise TrajectoryError(f"{trajectory.source}: no frame is left")
    used = frames_in > 0
    bins, count = np.unique(vectors[1], return_counts=True)
    place_of = np.searchsorted(bins, vectors[1])

    def by_bin(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(place_of, weights=values, minlength=len(bins)) / count

    q = by_bin(lengths / frames_in.sum())
    blocks = np.array(
        [[by_bin(row / n) for row in block] for block, n in zip(sums[used], frames_in[used], strict=True)]
    )
    return list(_factors(elements, share, q, blocks, frames_in[used], count, deuterated=deuterated))


def _pairs(n: int) -> Iterator[tuple[int, int]]:
    yield from ((one, other) for one in range(n) for other in range(one, n))


def _factors(
    elements: Sequence[str],
    share: NDArray[np.float64],
    q: NDArray[np.float64],
    blocks: NDArray[np.float64],
    weights: NDArray[np.float64],
    count: NDArray[np.int64],
    *,
    deuterated: bool,
) -> Iterator[StructureFactor]:
    """Turn mean products of amplitudes, (n_blocks, n_pairs, n_q), into structure factors."""

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.average(values, axis=0, weights=weights))

    empty = np.full(len(q), np.nan)
    for place, (one, other) in enumerate(_pairs(len(elements))):
        own = share[one] if one == other else 0.0
        s = 1 + (blocks[:, place] - own) / (share[one] * share[other])
        pair = f"{elements[one]}-{elements[other]}"
        yield StructureFactor(PARTIAL, pair, q, mean(s), block_error(s), empty, empty, count)
    for radiation in (XRAY, NEUTRON):
        strength = scattering_strengths(radiation, elements, q, deuterated=deuterated)
        square, norm = share @ strength**2, (share @ strength) ** 2
        parts = np.array(
            [(1 if one == other else 2) * strength[one] * strength[other] for one, other in _pairs(len(elements))]
        )
        intensity = np.sum(blocks * parts, axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            s = np.where(norm > _NULL * square, (intensity - square + norm) / norm, np.nan)
        unit = _FM2_BARN if radiation == NEUTRON else 1.0
        yield StructureFactor(
            radiation, "", q, mean(s), block_error(s), unit * mean(intensity), unit * block_error(intensity), count
        )


def scattering_strengths(
    radiation: str, elements: Sequence[str], q_1_A: NDArray[np.float64], *, deuterated: bool = False
) -> NDArray[np.float64]:
    """Form factors in electrons, or coherent scattering lengths in fm, (n_elements, n_q).

    Raises
    ------
    TrajectoryError
        periodictable is not installed, or has no data of an element.
    """
    try:
        import periodictable
        from periodictable import cromermann
    except ImportError as problem:
        raise TrajectoryError("periodictable is not installed; pip install 'solvation[scattering]'") from problem
    found = []
    for element in elements:
        if radiation == XRAY:
            values = cromermann.fxrayatq(element, q_1_A)
        else:
            isotope = periodictable.D if deuterated and element == "H" else getattr(periodictable, element)
            values = np.full(len(q_1_A), isotope.neutron.b_c, dtype=object)
        if any(value is None for value in values):
            raise TrajectoryError(f"element {element}: no scattering length is known; leave it out (--selection)")
        found.append(np.asarray(values, dtype=float))
    return np.array(found)


def write_structure_factors(found: Sequence[StructureFactor], path: Path, trajectory: str) -> None:
    """Write `structure_factor.csv` (docs/scattering.md)."""
    rows = [
        StructureFactorRow(
            trajectory, one.radiation, one.pair, float(q), float(s), float(s_stderr), float(intensity),
            float(stderr), UNITS[one.radiation], int(count),
        )
        for one in found
        for q, s, s_stderr, intensity, stderr, count in zip(
            one.q_1_A, one.s, one.s_stderr, one.intensity, one.intensity_stderr, one.n_vectors, strict=True
        )
    ]  # fmt: skip
    write_rows(path, StructureFactorRow, rows)
