"""Pairs against ASE's minimum images: any cell, any image."""

import numpy as np
import pytest
from ase import Atoms

from solvation.errors import TrajectoryError
from solvation.trajectory.frames import Frame
from solvation.trajectory.neighbours import PairFinder, cells_A, shortest_width_A

BOXES = {
    "cube": [14, 14, 14, 90, 90, 90],
    "flat": [30, 14, 18, 90, 90, 90],
    "slanted": [16, 17, 18, 70, 80, 65],
    "truncated octahedron": [18, 18, 18, 70.53, 109.47, 70.53],
}


def pairs_of(ions, donors, r_max_A, frame, n_bins=20):
    """All pairs within r_max, and how many of them each bin counts."""
    ions, donors = np.asarray(ions), np.asarray(donors)
    counts = np.zeros((1, n_bins), dtype=np.int64)
    found = PairFinder(ions, donors, r_max_A, n_bins=n_bins).find(frame, counts)
    assert np.array_equal(counts[0], np.histogram(found.distance_A, n_bins, (0, r_max_A))[0])
    return found.ion, found.donor, found.distance_A


def exact_pairs(positions, box, n_ions, r_max):
    atoms = Atoms(positions=positions, numbers=np.ones(len(positions)), cell=box, pbc=box is not None)
    distances = atoms.get_all_distances(mic=box is not None)[:n_ions, n_ions:]
    ion, donor = np.nonzero(distances < r_max)
    return {(int(i), int(j)): distances[i, j] for i, j in zip(ion, donor, strict=True)}


@pytest.mark.parametrize("images", [0, 3], ids=["wrapped", "unwrapped"])
@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES.keys())
@pytest.mark.parametrize("share", [0.999, 0.2], ids=["half the width", "many cells"])
def test_every_pair_and_no_other(box, images, share):
    rng = np.random.default_rng(7)
    cell = cells_A(np.array([box], dtype=float))[0]
    inside = rng.uniform(0, 1, (310, 3)) @ cell
    moved = inside + rng.integers(-images, images + 1, (310, 3)) @ cell
    r_max = share * float(shortest_width_A(cell[None])[0]) / 2
    exact = exact_pairs(inside, box, 10, r_max)
    frame = Frame(0.0, moved, np.array(box, dtype=float))
    ion, donor, distance = pairs_of(np.arange(10), np.arange(10, 310), r_max, frame)
    found = {(int(i), int(j)): float(d) for i, j, d in zip(ion, donor, distance, strict=True)}
    assert len(found) == len(ion)
    assert found.keys() == exact.keys()
    assert [found[pair] for pair in exact] == pytest.approx(list(exact.values()), abs=2e-5)


def test_a_droplet_has_no_images_even_far_from_the_origin():
    positions = np.random.default_rng(8).uniform(-6, 6, (120, 3)) + np.array([500, -300, 0])
    exact = exact_pairs(positions, None, 3, 7.0)
    ion, donor, _ = pairs_of(range(3), range(3, 120), 7.0, Frame(0.0, positions, None))
    assert set(zip(ion.tolist(), donor.tolist(), strict=True)) == exact.keys()


def test_an_atom_is_no_neighbour_of_itself():
    positions = np.array([[1.0, 1, 1], [2, 1, 1], [1, 1, 1]])
    both = np.arange(3)
    ion, donor, _ = pairs_of(both, both, 3.0, Frame(0.0, positions, np.array([9.0, 9, 9, 90, 90, 90])))
    assert sorted(zip(ion.tolist(), donor.tolist(), strict=True)) == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES.keys())
def test_donors_of_the_own_molecule_are_left_out(box):
    """Ions 0 to 9 among 300 donors in molecules of three atoms, some of which hold an ion; ion 9 is a donor itself."""
    rng = np.random.default_rng(10)
    inside = rng.uniform(0, 1, (310, 3)) @ cells_A(np.array([box], dtype=float))[0]
    exact = exact_pairs(inside, box, 10, 6.0)
    of_ion = np.arange(10) * 5
    donors, of_donor = np.arange(9, 310), np.append(of_ion[9], np.repeat(np.arange(100), 3))
    counts = np.zeros((1, 20), dtype=np.int64)
    finder = PairFinder(np.arange(10), donors, 6.0, n_bins=20, molecules=(of_ion, of_donor))
    found = finder.find(Frame(0.0, inside, np.array(box, dtype=float)), counts)
    atoms = np.stack([found.ion, donors[found.donor]], axis=1).tolist()
    others = [[ion, donor + 10] for ion, donor in exact if donor // 3 != of_ion[ion]]
    assert len(others) < len(exact)
    assert sorted(pair for pair in atoms if pair[1] != 9) == sorted(others)
    assert [9, 9] not in atoms
    assert counts.sum() == len(atoms)


def test_the_width_of_a_slanted_cell_is_less_than_its_edge():
    box = np.array([10.0, 10, 10, 90, 90, 60])
    assert shortest_width_A(cells_A(box[None])) == pytest.approx(10 * np.sin(np.pi / 3))
    with pytest.raises(TrajectoryError, match=r"4\.33 Å; lower"):
        pairs_of([0], [1], 4.5, Frame(0.0, np.zeros((2, 3)), box))


def test_only_pairs_within_reach_of_their_kind_are_returned_and_all_are_counted():
    """The cell breathes from frame to frame, and slants."""
    rng = np.random.default_rng(9)
    kind = np.repeat([0, 1, 2], [50, 100, 50])
    finder = PairFinder(np.arange(11), np.arange(11, 211), 5.5, kind=kind, n_bins=11, reach_A=np.array([2.0, 5.5, 0.0]))
    counts = np.zeros((3, 11), dtype=np.int64)
    for k in range(5):
        box = np.array([15 + 0.3 * k, 16, 17 - 0.2 * k, 80, 95 + k, 100])
        inside = rng.uniform(0, 1, (211, 3)) @ cells_A(box[None])[0]
        exact = exact_pairs(inside, box, 11, 5.5)
        before = counts.copy()
        found = finder.find(Frame(0.0, inside, box), counts)
        of = np.array([kind[donor] for _, donor in exact])
        distances = np.array(list(exact.values()))
        by_hand = np.array([np.histogram(distances[of == one], 11, (0, 5.5))[0] for one in range(3)])
        assert np.array_equal(counts - before, by_hand)
        assert finder.volume_A3 == pytest.approx(np.linalg.det(cells_A(box[None])[0]))
        near = {pair for pair, distance in exact.items() if distance < (2.0, 5.5, 0.0)[kind[pair[1]]]}
        assert set(zip(found.ion.tolist(), found.donor.tolist(), strict=True)) == near
        assert np.all(np.diff(found.ion) >= 0)


def test_a_dilute_box_is_not_cut_into_more_cells_than_memory_holds():
    positions = np.array([[1.0, 1, 1], [2.5, 1, 1], [9_999.0, 1, 1], [5_000.0, 1, 1]])
    _, donor, distance = pairs_of([0], [1, 2, 3], 2.5, Frame(0.0, positions, np.array([1e4, 1e4, 1e4, 90, 90, 90])))
    found = dict(zip(donor.tolist(), distance.tolist(), strict=True))
    assert found == pytest.approx({0: 1.5, 1: 2.0}, abs=1e-3)
