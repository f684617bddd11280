"""Densities around molecules that turn: what sits at one place of the molecule is found there, a gas is flat."""

import numpy as np
import pytest
from ase import Atoms
from ase.io import write
from ase.io.cube import read_cube

from solvation.errors import TrajectoryError
from solvation.patterns.density_map import density_map, write_cube
from solvation.trajectory.frames import open_trajectory

EDGE_A = 26.0
#: A planar ring of three unlike atoms, and where an ion sits beside it.
RING = np.array([[1.4, 0.0, 0.0], [-0.6, 1.1, 0.0], [-0.5, -1.2, 0.0]])
BESIDE = np.array([3.0, 0.4, 1.0])


def turned(rng):
    found, triangle = np.linalg.qr(rng.normal(size=(3, 3)))
    found = found * np.sign(np.diag(triangle))
    return found * np.sign(np.linalg.det(found))


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """Three rings, each with its Li+, anywhere and any way round in a periodic box, and twelve Na+ at random."""
    folder = tmp_path_factory.mktemp("map")
    rng, frames = np.random.default_rng(6), []
    for _ in range(300):
        rings, ions = [], []
        for centre in rng.random((3, 3)) * EDGE_A:
            turn = turned(rng)
            rings.append(centre + RING @ turn.T)
            ions.append(centre + turn @ BESIDE)
        gas = rng.random((12, 3)) * EDGE_A
        positions = np.concatenate([*rings, ions, gas]) % EDGE_A
        frames.append(Atoms("NOS" * 3 + "Li3" + "Na12", positions, cell=[EDGE_A] * 3, pbc=True))
        frames[-1].arrays["residue"] = np.array([0] * 3 + [1] * 3 + [2] * 3 + list(range(3, 18)))
    write(folder / "m.extxyz", frames)
    return open_trajectory(folder / "m.extxyz")


def test_an_ion_beside_a_molecule_is_found_where_it_sits(opened, tmp_path):
    found = density_map(opened, around="name N O S", of="name Li", extent_A=5, spacing_A=0.5)
    place, value, error = found.peak
    assert found.n_views == 900
    # Distances to the three atoms do not depend on how the reference lies; mirror images would not fit.
    expected = np.linalg.norm(RING - BESIDE, axis=1)
    assert np.linalg.norm(found.reference.positions - place, axis=1) == pytest.approx(expected, abs=0.5)
    # 900 ions in at most eight voxels, over a bulk of three in the box.
    assert value * 8 > 0.7 * EDGE_A**3 / 3 / 0.5**3
    assert error < 0.1 * value
    write_cube(found, tmp_path / "d.cube")
    with (tmp_path / "d.cube").open() as stream:
        read = read_cube(stream)
    assert read["data"] == pytest.approx(found.over_bulk, rel=1e-4)
    assert read["atoms"].positions == pytest.approx(found.reference.positions, abs=1e-4)
    corner = np.unravel_index(int(read["data"].argmax()), read["data"].shape)
    assert read["origin"] + np.array(corner) * 0.5 == pytest.approx(place, abs=1e-3)


def test_a_gas_is_as_dense_as_the_bulk_everywhere(opened):
    found = density_map(opened, around="name N O S", of="name Na", extent_A=5, spacing_A=2.5)
    expected = 900 * 12 / EDGE_A**3 * 2.5**3
    assert found.counts.shape == (4, 4, 4)
    off = (found.over_bulk - 1) * np.sqrt(expected)
    assert np.abs(off).max() < 4.5
    assert np.std(off) == pytest.approx(1, abs=0.3)


def test_a_gas_of_few_molecules_is_as_dense_as_the_others_in_the_box(tmp_path):
    """Of four molecules three surround each one: their density is 1, not three quarters."""
    rng, frames = np.random.default_rng(7), []
    for _ in range(1000):
        bodies = [centre + RING @ turned(rng).T for centre in rng.random((4, 3)) * EDGE_A]
        frames.append(Atoms("NOS" * 4, np.concatenate(bodies) % EDGE_A, cell=[EDGE_A] * 3, pbc=True))
        frames[-1].arrays["residue"] = np.repeat(np.arange(4), 3)
    write(tmp_path / "few.extxyz", frames)
    found = density_map(open_trajectory(tmp_path / "few.extxyz"), around="all", of="name N", extent_A=6, spacing_A=1.5)
    assert found.n_views == 4000
    assert found.over_bulk.mean() == pytest.approx(1, abs=4 / np.sqrt(found.counts.sum()))


def test_around_an_ion_its_nearest_neighbour_is_on_the_axis(opened):
    found = density_map(opened, around="name Li", of="name N O S", extent_A=5, spacing_A=0.5)
    nearest = np.sort(np.linalg.norm(RING - BESIDE, axis=1))
    place, _, _ = found.peak
    on_axis = found.counts[9:11, 9:11].sum(axis=(0, 1))
    at = (on_axis.argmax() + 0.5 - 10) * 0.5
    assert at == pytest.approx(nearest[0], abs=0.3)
    assert abs(place[1]) < 0.51


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"around": "name N O S", "of": "name Li", "extent_A": 9}, r"a map of 9 Å needs a box of"),
        ({"around": "name N Na", "of": "name Li"}, "takes different atoms of different molecules"),
        ({"around": "name N", "of": "name K"}, "matches no atom"),
    ],
)
def test_what_cannot_be_laid_upon_each_other_is_refused(opened, words, message):
    with pytest.raises(TrajectoryError, match=message):
        density_map(opened, **words)
