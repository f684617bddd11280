"""Pairs against ASE's minimum images: any cell, any image, both methods."""

import numpy as np
import pytest
from ase import Atoms

from solvation import neighbours
from solvation.errors import TrajectoryError
from solvation.neighbours import PairFinder, cell_A, shortest_width_A
from solvation.trajectory import Frame

BOXES = {
    "cube": [14, 14, 14, 90, 90, 90],
    "flat": [30, 14, 18, 90, 90, 90],
    "slanted": [16, 17, 18, 70, 80, 65],
    "truncated octahedron": [18, 18, 18, 70.53, 109.47, 70.53],
}


def exact_pairs(positions, box, n_ions, r_max):
    atoms = Atoms(positions=positions, numbers=np.ones(len(positions)), cell=box, pbc=box is not None)
    distances = atoms.get_all_distances(mic=box is not None)[:n_ions, n_ions:]
    ion, donor = np.nonzero(distances < r_max)
    return {(int(i), int(j)): distances[i, j] for i, j in zip(ion, donor, strict=True)}


@pytest.mark.parametrize("dense_per_found", [1e9, 0.0], ids=["all distances", "tree"])
@pytest.mark.parametrize("images", [0, 3], ids=["wrapped", "unwrapped"])
@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES.keys())
def test_every_pair_and_no_other(monkeypatch, box, images, dense_per_found):
    monkeypatch.setattr(neighbours, "_DENSE_PER_FOUND", dense_per_found)
    monkeypatch.setattr(neighbours, "_BLOCK", 700)  # several blocks, the last one short
    rng = np.random.default_rng(7)
    cell = cell_A(np.array(box, dtype=float))
    inside = rng.uniform(0, 1, (310, 3)) @ cell
    moved = inside + rng.integers(-images, images + 1, (310, 3)) @ cell
    r_max = 0.999 * shortest_width_A(cell) / 2
    exact = exact_pairs(inside, box, 10, r_max)
    frame = Frame(0.0, moved, np.array(box, dtype=float))
    ion, donor, distance = PairFinder(np.arange(10), np.arange(10, 310), r_max).find(frame)
    found = {(int(i), int(j)): float(d) for i, j, d in zip(ion, donor, distance, strict=True)}
    assert len(found) == len(ion)
    assert found.keys() == exact.keys()
    assert [found[pair] for pair in exact] == pytest.approx(list(exact.values()), abs=2e-5)


def test_a_droplet_has_no_images_even_far_from_the_origin():
    positions = np.random.default_rng(8).uniform(-6, 6, (120, 3)) + np.array([500, -300, 0])
    exact = exact_pairs(positions, None, 3, 7.0)
    ion, donor, _ = PairFinder(np.arange(3), np.arange(3, 120), 7.0).find(Frame(0.0, positions, None))
    assert set(zip(ion.tolist(), donor.tolist(), strict=True)) == exact.keys()


def test_an_atom_is_no_neighbour_of_itself():
    positions = np.array([[1.0, 1, 1], [2, 1, 1], [1, 1, 1]])
    both = np.arange(3)
    ion, donor, _ = PairFinder(both, both, 3.0).find(Frame(0.0, positions, np.array([9.0, 9, 9, 90, 90, 90])))
    assert sorted(zip(ion.tolist(), donor.tolist(), strict=True)) == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]


def test_the_width_of_a_slanted_cell_is_less_than_its_edge():
    box = np.array([10.0, 10, 10, 90, 90, 60])
    assert shortest_width_A(cell_A(box)) == pytest.approx(10 * np.sin(np.pi / 3))
    with pytest.raises(TrajectoryError, match=r"4\.33 Å; lower"):
        PairFinder(np.array([0]), np.array([1]), 4.5).find(Frame(0.0, np.zeros((2, 3)), box))
