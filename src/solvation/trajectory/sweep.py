"""Loops over the pairs of one frame, compiled by numba when they run for the first time, and kept on disk.

They stand in one module because what numba keeps does not notice changes in others.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True)
def _wrapped(
    positions_A: NDArray[np.float64], points: NDArray[np.int64], rows: NDArray[np.float64], inverse: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fractional coordinates, from 0 to 1, of some points, and their places in the cell, (3, n_points) each."""
    fractional, inside = np.empty((3, len(points))), np.empty((3, len(points)))
    for number, point in enumerate(points):
        x, y, z = positions_A[point, 0], positions_A[point, 1], positions_A[point, 2]
        a = x * inverse[0, 0] + y * inverse[1, 0] + z * inverse[2, 0]
        b = y * inverse[1, 1] + z * inverse[2, 1]
        c = z * inverse[2, 2]
        a, b, c = a - np.floor(a), b - np.floor(b), c - np.floor(c)
        fractional[0, number], fractional[1, number], fractional[2, number] = a, b, c
        inside[0, number] = a * rows[0, 0] + b * rows[1, 0] + c * rows[2, 0]
        inside[1, number] = b * rows[1, 1] + c * rows[2, 1]
        inside[2, number] = c * rows[2, 2]
    return fractional, inside


@njit(cache=True)
def _into_cells(
    fractional: NDArray[np.float64], n_cells: tuple[int, int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Points ordered by cell, (n_points,), and where each cell begins in that order, (n_cells + 1,)."""
    n_a, n_b, n_c = n_cells
    n_points = fractional.shape[1]
    cell, begin = np.empty(n_points, np.int64), np.zeros(n_a * n_b * n_c + 1, np.int64)
    for point in range(n_points):
        # A coordinate just below 0 is wrapped to 1 by rounding.
        a = min(int(fractional[0, point] * n_a), n_a - 1)
        b = min(int(fractional[1, point] * n_b), n_b - 1)
        c = min(int(fractional[2, point] * n_c), n_c - 1)
        cell[point] = (a * n_b + b) * n_c + c
        begin[cell[point] + 1] += 1
    begin = np.cumsum(begin)
    place, order = begin.copy(), np.empty(n_points, np.int64)
    for point in range(n_points):
        order[place[cell[point]]] = point
        place[cell[point]] += 1
    return order, begin


@njit(cache=True)
def _within(
    ion: NDArray[np.float64],
    place: NDArray[np.float64],
    itself: int,
    donors: NDArray[np.float32],
    begin: NDArray[np.int64],
    rows: NDArray[np.float64],
    n_cells: tuple[int, int, int],
    reach: NDArray[np.float64],
    is_right_angled: bool,
    r_max_A: float,
    which: NDArray[np.uint32],
    squared: NDArray[np.float32],
) -> int:
    """Write places and squared distances of the donors within r_max of one ion; return how many.

    Writing every donor and stepping on only past the near ones spares a branch that no processor could foresee.
    """
    n_a, n_b, n_c = n_cells
    a, b, c = ion[0] * n_a, ion[1] * n_b, ion[2] * n_c
    range2 = np.float32(r_max_A * r_max_A)
    found = np.uint32(0)
    for i in range(int(np.floor(a - reach[0])), int(np.floor(a + reach[0])) + 1):
        # The range is at most half a width: no farther image than the next one.
        image_a = (i >= n_a) - (i < 0)
        gap_a = max(0.0, i - a, a - i - 1) / reach[0]
        for j in range(int(np.floor(b - reach[1])), int(np.floor(b + reach[1])) + 1):
            image_b = (j >= n_b) - (j < 0)
            gap_b = max(0.0, j - b, b - j - 1) / reach[1]
            # What is left of the sphere at this distance from its centre; in a slanted cell gaps do not add up so.
            left = 1 - gap_a * gap_a - gap_b * gap_b if is_right_angled else 1.0
            if left <= 0:
                continue
            row = ((i - image_a * n_a) * n_b + j - image_b * n_b) * n_c
            k, end = int(np.floor(c - reach[2] * np.sqrt(left))), int(np.floor(c + reach[2] * np.sqrt(left)))
            while k <= end:
                image_c = (k >= n_c) - (k < 0)
                last = min(end, image_c * n_c + n_c - 1)
                x = np.float32(place[0] - image_a * rows[0, 0] - image_b * rows[1, 0] - image_c * rows[2, 0])
                y = np.float32(place[1] - image_b * rows[1, 1] - image_c * rows[2, 1])
                z = np.float32(place[2] - image_c * rows[2, 2])
                for donor in range(begin[row + k - image_c * n_c], begin[row + last - image_c * n_c + 1]):
                    dx, dy, dz = donors[0, donor] - x, donors[1, donor] - y, donors[2, donor] - z
                    apart = dx * dx + dy * dy + dz * dz
                    which[found], squared[found] = donor, apart
                    found += np.uint32((apart < range2) & (donor != itself))
                k = last + 1
    return int(found)


@njit(cache=True)
def _others(
    found: int,
    itself: int,
    which: NDArray[np.uint32],
    squared: NDArray[np.float32],
    order: NDArray[np.int64],
    owner: NDArray[np.int64],
) -> int:
    """Leave out the donors of one molecule; return how many are left."""
    end = np.uint32(0)
    for number in range(found):
        which[end], squared[end] = which[number], squared[number]
        end += np.uint32(owner[order[which[number]]] != itself)
    return int(end)


@njit(cache=True)
def _keep(
    found: int,
    ion: int,
    which: NDArray[np.uint32],
    squared: NDArray[np.float32],
    order: NDArray[np.int64],
    reach2: NDArray[np.float32],
    begin: int,
    near: tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]],
) -> int:
    """Append the pairs within reach; return where the next ones go."""
    ions, donors, distances = near
    end = np.uint32(begin)
    for number in range(found):
        donor = order[which[number]]
        ions[end], donors[end], distances[end] = ion, donor, squared[number]
        end += np.uint32(squared[number] < reach2[donor])
    return int(end)


@njit(cache=True)
def _images(
    ion: NDArray[np.int32],
    donor: NDArray[np.int32],
    centers: NDArray[np.float64],
    fractional: NDArray[np.float64],
    before: NDArray[np.int64],
) -> NDArray[np.int8]:
    """Image of the molecule of each pair, (n_pairs, 3), from fractional coordinates; by way of its donors."""
    image, n_donors = np.empty((len(ion), 3), np.int8), len(before)
    # Cell of the molecule, counted from that of the donor, where it is known already.
    beyond, known, way = np.zeros((n_donors, 3), np.int8), np.zeros(n_donors, np.bool_), np.empty(n_donors, np.int64)
    for pair in range(len(ion)):
        one, length = donor[pair], 0
        while before[one] >= 0 and not known[one]:
            way[length] = one
            one, length = before[one], length + 1
        while length:
            length -= 1
            other, one = one, way[length]
            for axis in range(3):
                step = np.rint(fractional[axis, one] - fractional[axis, other])
                beyond[one, axis] = beyond[other, axis] + step
            known[one] = True
        for axis in range(3):
            image[pair, axis] = np.rint(centers[axis, ion[pair]] - fractional[axis, one]) + beyond[one, axis]
    return image


@njit(cache=True)
def _count_unblocked(
    ion: int,
    begin: int,
    end: int,
    donor: NDArray[np.int32],
    squared: NDArray[np.float32],
    reach2: NDArray[np.float64],
    centers: NDArray[np.float64],
    places: NDArray[np.float64],
    fractional: NDArray[np.float64],
    inside: NDArray[np.float64],
    rows: NDArray[np.float64],
    kind: NDArray[np.int64],
    near: NDArray[np.float64],
    kinds: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> None:
    r"""Count the donors in the shell of one ion by kind: those nearer than the first one that a nearer one blocks.

    Donor k blocks donor j where :math:`1/r_j^2 < \cos(\theta_{jk}) / r_k^2`, with the angle at the ion: the relative
    angular distance (RAD), closed. Distances and angles decide, and no cutoff.

    Parameters
    ----------
    begin, end
        Where in `donor` and `squared`, their squared distances, those around the ion stand.
    reach2
        Squared distance beyond which donors are not looked at, by kind.
    centers, places
        Fractional coordinates of the ions, and their places in the cell, (3, n_ions).
    fractional, inside
        The same of the donors, (3, n_donors).
    near, kinds
        Room to work in, (5, n_near + 1) and (n_near + 1,) or more.
    counts
        Added to, (n_kinds,).

    References
    ----------
    Higham & Henchman, J. Chem. Phys. 145, 084108 (2016).
    """
    size = 0
    for number in range(begin, end):
        one = donor[number]
        a, b, c = fractional[0, one], fractional[1, one], fractional[2, one]
        a, b, c = np.rint(centers[0, ion] - a), np.rint(centers[1, ion] - b), np.rint(centers[2, ion] - c)
        near[0, size] = inside[0, one] - places[0, ion] + a * rows[0, 0] + b * rows[1, 0] + c * rows[2, 0]
        near[1, size] = inside[1, one] - places[1, ion] + b * rows[1, 1] + c * rows[2, 1]
        near[2, size] = inside[2, one] - places[2, ion] + c * rows[2, 2]
        near[3, size], near[4, size] = squared[number], squared[number] * np.sqrt(squared[number])
        kinds[size] = kind[one]
        size += squared[number] < reach2[kind[one]]
    # The nearest blocked donor ends the shell; all that are nearer are in it, so that nothing need be sorted.
    nearest2 = np.inf
    for one in range(size):
        if near[3, one] < nearest2:
            x, y, z, distance = near[0, one], near[1, one], near[2, one], np.sqrt(near[3, one])
            for other in range(size):
                along = x * near[0, other] + y * near[1, other] + z * near[2, other]
                if along * distance > near[4, other] and other != one:
                    nearest2 = near[3, one]
                    break
    for one in range(size):
        counts[kinds[one]] += near[3, one] < nearest2


@njit(cache=True)
def sweep(
    positions_A: NDArray[np.float64],
    ions: NDArray[np.int64],
    donors: NDArray[np.int64],
    itself: NDArray[np.int64],
    molecule: NDArray[np.int64],
    owner: NDArray[np.int64],
    rows: NDArray[np.float64],
    inverse: NDArray[np.float64],
    n_cells: tuple[int, int, int],
    reach: NDArray[np.float64],
    is_right_angled: bool,
    r_max_A: float,
    n_bins: int,
    first_bin: NDArray[np.uint32],
    reach2: NDArray[np.float32],
    before: NDArray[np.int64],
    kind: NDArray[np.int64],
    shell_reach2: NDArray[np.float64],
    unblocked: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32], NDArray[np.int8]]:
    """Pairs within reach, with squared distances and images, of one frame; all within r_max are counted.

    Parameters
    ----------
    molecule
        Of each ion, whose other donors are left out; -1 where there are none, (n_ions,).
    owner
        Molecule of each donor; not looked at where no ion has one, (n_donors,) or (0,).
    """
    n_donors = len(donors)
    fractional, inside = _wrapped(positions_A, donors, rows, inverse)
    order, begin = _into_cells(fractional, n_cells)
    sorted_A, bins, place_of = np.empty((3, n_donors), np.float32), np.empty(n_donors, np.uint32), np.empty_like(order)
    for place in range(n_donors):
        donor = order[place]
        place_of[donor], bins[place] = place, first_bin[donor]
        for axis in range(3):
            sorted_A[axis, place] = inside[axis, donor]
    centers, places = _wrapped(positions_A, ions, rows, inverse)
    # Where r_max is half a width a donor may be seen through two images.
    which, squared = np.empty(2 * n_donors + 1, np.uint32), np.empty(2 * n_donors + 1, np.float32)
    near = (np.empty(1024, np.int32), np.empty(1024, np.int32), np.empty(1024, np.float32))
    n_near, per_A = 0, np.float32(n_bins / r_max_A)
    seen, kinds = np.empty((5, len(which))), np.empty(len(which), np.int64)
    for ion in range(len(ions)):
        own = place_of[itself[ion]] if itself[ion] < n_donors else -1
        found = _within(
            centers[:, ion], places[:, ion], own, sorted_A, begin, rows, n_cells, reach, is_right_angled, r_max_A,
            which, squared,
        )  # fmt: skip
        if molecule[ion] >= 0:
            found = _others(found, molecule[ion], which, squared, order, owner)
        for number in range(found):
            # Rounding may put what is just below r_max into the bin after the last.
            counts[bins[which[number]] + min(np.uint32(np.sqrt(squared[number]) * per_A), np.uint32(n_bins - 1))] += 1
        while n_near + found >= len(near[0]):
            near = (
                np.concatenate((near[0], np.empty_like(near[0]))),
                np.concatenate((near[1], np.empty_like(near[1]))),
                np.concatenate((near[2], np.empty_like(near[2]))),
            )
        first, n_near = n_near, _keep(found, ion, which, squared, order, reach2, n_near, near)
        if len(shell_reach2):
            _count_unblocked(
                ion, first, n_near, near[1], near[2], shell_reach2, centers, places, fractional, inside, rows, kind,
                seen, kinds, unblocked,
            )  # fmt: skip
    image = _images(near[0][:n_near], near[1][:n_near], centers, fractional, before)
    return near[0][:n_near], near[1][:n_near], near[2][:n_near], image
