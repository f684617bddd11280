"""Pairs against ASE's minimum images: any cell, any image, both methods."""

import numpy as np
import pytest
from ase import Atoms

from solvation import neighbours
from solvation.errors import TrajectoryError
from solvation.neighbours import PairFinder, cells_A, shortest_width_A
from solvation.trajectory import Frame

BOXES = {
    "cube": [14, 14, 14, 90, 90, 90],
    "flat": [30, 14, 18, 90, 90, 90],
    "slanted": [16, 17, 18, 70, 80, 65],
    "truncated octahedron": [18, 18, 18, 70.53, 109.47, 70.53],
}


def pairs_of(finder, frame):
    found = finder.find([frame])
    return found.ion, found.donor, found.distance_A


def exact_pairs(positions, box, n_ions, r_max):
    atoms = Atoms(positions=positions, numbers=np.ones(len(positions)), cell=box, pbc=box is not None)
    distances = atoms.get_all_distances(mic=box is not None)[:n_ions, n_ions:]
    ion, donor = np.nonzero(distances < r_max)
    return {(int(i), int(j)): distances[i, j] for i, j in zip(ion, donor, strict=True)}


@pytest.mark.parametrize("sifted_per_found", [1e9, 0.0], ids=["sieve", "tree"])
@pytest.mark.parametrize("images", [0, 3], ids=["wrapped", "unwrapped"])
@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES.keys())
def test_every_pair_and_no_other(monkeypatch, box, images, sifted_per_found):
    monkeypatch.setattr(neighbours, "_SIFTED_PER_FOUND", sifted_per_found)
    monkeypatch.setattr(neighbours, "_BLOCK", 700)  # several blocks, the last one short
    rng = np.random.default_rng(7)
    cell = cells_A(np.array([box], dtype=float))[0]
    inside = rng.uniform(0, 1, (310, 3)) @ cell
    moved = inside + rng.integers(-images, images + 1, (310, 3)) @ cell
    r_max = 0.999 * float(shortest_width_A(cell[None])[0]) / 2
    exact = exact_pairs(inside, box, 10, r_max)
    frame = Frame(0.0, moved, np.array(box, dtype=float))
    ion, donor, distance = pairs_of(PairFinder(np.arange(10), np.arange(10, 310), r_max), frame)
    found = {(int(i), int(j)): float(d) for i, j, d in zip(ion, donor, distance, strict=True)}
    assert len(found) == len(ion)
    assert found.keys() == exact.keys()
    assert [found[pair] for pair in exact] == pytest.approx(list(exact.values()), abs=2e-5)


def test_a_droplet_has_no_images_even_far_from_the_origin():
    positions = np.random.default_rng(8).uniform(-6, 6, (120, 3)) + np.array([500, -300, 0])
    exact = exact_pairs(positions, None, 3, 7.0)
    ion, donor, _ = pairs_of(PairFinder(np.arange(3), np.arange(3, 120), 7.0), Frame(0.0, positions, None))
    assert set(zip(ion.tolist(), donor.tolist(), strict=True)) == exact.keys()


def test_an_atom_is_no_neighbour_of_itself():
    positions = np.array([[1.0, 1, 1], [2, 1, 1], [1, 1, 1]])
    both = np.arange(3)
    ion, donor, _ = pairs_of(PairFinder(both, both, 3.0), Frame(0.0, positions, np.array([9.0, 9, 9, 90, 90, 90])))
    assert sorted(zip(ion.tolist(), donor.tolist(), strict=True)) == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]


def test_the_width_of_a_slanted_cell_is_less_than_its_edge():
    box = np.array([10.0, 10, 10, 90, 90, 60])
    assert shortest_width_A(cells_A(box[None])) == pytest.approx(10 * np.sin(np.pi / 3))
    with pytest.raises(TrajectoryError, match=r"4\.33 Å; lower"):
        PairFinder(np.array([0]), np.array([1]), 4.5).find([Frame(0.0, np.zeros((2, 3)), box)])


def test_frames_found_together_are_those_found_alone():
    """The cell breathes from frame to frame, and slants."""
    rng = np.random.default_rng(9)
    boxes = [np.array([15 + 0.3 * k, 16, 17 - 0.2 * k, 80, 95 + k, 100]) for k in range(5)]
    frames = [Frame(0.0, rng.uniform(-20, 20, (211, 3)), box) for box in boxes]
    finder = PairFinder(np.arange(11), np.arange(11, 211), 5.5)
    together, alone = finder.find(frames), [finder.find([frame]) for frame in frames]
    assert np.bincount(together.frame).tolist() == [len(item.ion) for item in alone]
    for field in ("ion", "donor", "distance_A"):
        assert np.array_equal(getattr(together, field), np.concatenate([getattr(item, field) for item in alone]))
    order = (together.frame * 11 + together.ion) * 200 + together.donor
    assert np.all(np.diff(order) > 0)


def test_the_sieve_lets_little_more_than_the_sphere_through():
    rng = np.random.default_rng(10)
    cells = cells_A(np.array([[40.0, 40, 40, 90, 90, 90]]))
    finder = PairFinder(np.arange(20), np.arange(20, 2020), 10.0)
    ions, donors = rng.uniform(0, 1, (1, 20, 3)), rng.uniform(0, 1, (1, 2000, 3))
    passed = len(finder._sieve(ions, donors, cells))
    assert passed < 1.2 * 20 * 2000 * 4 / 3 * np.pi * 10**3 / 40**3
