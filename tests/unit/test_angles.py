"""Angles at ions whose shells were made: tetrahedra, random directions, and a carbonyl of a known bend."""

import MDAnalysis
import numpy as np
import pytest

from solvation.errors import TrajectoryError
from solvation.patterns.angles import AngleHistogram, analyze_angles
from solvation.trajectory.frames import open_trajectory

EDGE_A = 24.0
TETRAHEDRON = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)
BEND = np.radians(141.0)


def turns(rng, n):
    """Random rotations, (n, 3, 3)."""
    found, triangle = np.linalg.qr(rng.normal(size=(n, 3, 3)))
    found = found * np.sign(np.diagonal(triangle, axis1=1, axis2=2))[:, None, :]
    return found * np.sign(np.linalg.det(found))[:, None, None]


@pytest.fixture(scope="module")
def shells(tmp_path_factory):
    """Two Li+, each with four C=O at 1.95 Å in a tetrahedron, Li-O=C 141 degrees, wrapped atom by atom."""
    folder = tmp_path_factory.mktemp("shells")
    rng = np.random.default_rng(1)
    names, resindex = ["LI"] * 2 + ["O", "C"] * 8, [0, 1] + [2 + number // 2 for number in range(16)]
    universe = MDAnalysis.Universe.empty(18, 10, atom_resindex=resindex, trajectory=True)
    universe.add_TopologyAttr("names", names)
    universe.add_TopologyAttr("elements", [name.title() for name in names])
    universe.add_TopologyAttr("resnames", ["LI"] * 2 + ["CO"] * 8)
    universe.add_TopologyAttr("resids", np.arange(10) + 1)
    universe.dimensions = [EDGE_A] * 3 + [90] * 3
    frames = []
    for turn in turns(rng, 40):
        ions = np.array([[0.1, 0.2, 23.9], [12.0, 12.0, 12.0]])
        axis = TETRAHEDRON @ turn
        side = np.cross(axis, rng.normal(size=(4, 3)))
        side /= np.linalg.norm(side, axis=1)[:, None]
        # Seen from O the ion lies at -axis, the carbon at 141 degrees from it.
        carbon = 1.95 * axis + 1.2 * (-np.cos(BEND) * axis + np.sin(BEND) * side)
        both = np.stack([1.95 * axis, carbon], axis=1).reshape(8, 3)
        frames.append(np.concatenate([ions, *(ion + both for ion in ions)]) % EDGE_A)
    universe.atoms.positions = frames[0]
    universe.atoms.write(str(folder / "s.pdb"))
    with MDAnalysis.Writer(str(folder / "s.xtc"), 18, precision=5) as writer:
        for number, frame in enumerate(frames):
            universe.atoms.positions = frame
            universe.trajectory.ts.time = 1.0 * number
            universe.trajectory.ts.dimensions = [EDGE_A] * 3 + [90] * 3
            writer.write(universe.atoms)
    return folder / "s.pdb", folder / "s.xtc"


def test_a_tetrahedron_and_a_bent_carbonyl(shells):
    found = analyze_angles(open_trajectory(*shells), center="name LI", donors={"O(C=O)": "name O"}, n_bins=180)
    assert set(found) == {"O(C=O)-Li-O(C=O)", "Li-O(C=O)-C"}
    between, towards = found["O(C=O)-Li-O(C=O)"], found["Li-O(C=O)-C"]
    assert (between.n_angles, towards.n_angles) == (40 * 2 * 6, 40 * 2 * 4)
    assert between.mean_deg == pytest.approx(np.degrees(np.arccos(-1 / 3)), abs=0.05)
    assert towards.mean_deg == pytest.approx(141.0, abs=0.05)
    # Rigid shells: all angles in one bin, or in the two around an edge of them.
    for one, angle in ((between, 109.47), (towards, 141.0)):
        filled = one.theta_deg[one.density > 0]
        assert np.abs(filled - angle).max() < 1.01
        assert one.density.sum() * 1.0 == pytest.approx(1)


def test_two_kinds_of_donors_and_a_cutoff(shells):
    opened = open_trajectory(*shells)
    donors = {"first": "name O and resid 3 4 7 8", "second": "name O and resid 5 6 9 10"}
    found = analyze_angles(opened, center="name LI", donors=donors)
    counts = {name: one.n_angles for name, one in found.items() if not name.startswith("Li-")}
    assert counts == {"first-Li-first": 80, "first-Li-second": 320, "second-Li-second": 80}
    near = analyze_angles(opened, center="name LI", donors=donors, cutoffs_A={"second": 1.5})
    assert set(near) == {"first-Li-first", "Li-first-C"}
    with pytest.raises(TrajectoryError, match=r"no donor comes within 1\.50 Å"):
        analyze_angles(opened, center="name LI", donors=donors, cutoffs_A={"first": 1.5, "second": 1.5})
    with pytest.raises(TrajectoryError, match="share atoms"):
        analyze_angles(opened, center="name LI", donors={"one": "name O", "two": "name O"})


def test_donors_of_the_own_molecule_make_no_angles(shells):
    """Around a carbon the two O that are bonded to another carbon count, and its own O only where it is asked for."""
    opened = open_trajectory(*shells)
    near = []
    for frame in opened.frames():
        apart = frame.positions_A[3::2][:, None] - frame.positions_A[2::2][None]
        distance = np.linalg.norm(apart - EDGE_A * np.rint(apart / EDGE_A), axis=2)
        near += np.count_nonzero((distance < 4.0) & ~np.eye(8, dtype=bool), axis=1).tolist()
    told = {"center": "name C", "donors": {"O": "name O"}, "cutoffs_A": {"O": 4.0}}
    counted = [analyze_angles(opened, **told, own_molecule=own)["O-C-O"].n_angles for own in (False, True)]
    assert counted == [sum(k * (k - 1) // 2 for k in near), sum(k * (k + 1) // 2 for k in near)]
    assert counted[0] > 100


def test_random_directions_have_no_preferred_angle():
    rng = np.random.default_rng(2)
    histogram = AngleHistogram(["any"], 36)
    for block in range(8):
        one, other = rng.normal(size=(2, 40_000, 3))
        histogram.add(block, np.zeros(40_000, dtype=np.int64), one, other)
    found = histogram.result()["any"]
    expected = found.density / found.over_isotropic * 5 * 320_000
    off = (found.over_isotropic - 1) * np.sqrt(expected)
    assert np.all(np.abs(off) < 4)
    assert np.std((found.density / found.over_isotropic - found.density) / found.density_stderr) == pytest.approx(
        1, abs=0.5
    )
    assert found.mean_deg == pytest.approx(90, abs=4 * found.mean_stderr_deg)
