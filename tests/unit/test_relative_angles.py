"""Shells without a cutoff: crystals and polyhedra whose neighbours are known, random points beside freud, Li+ in EC."""

from pathlib import Path

import numpy as np
import pytest

from solvation.shells.analysis import analyze_trajectory
from solvation.trajectory.frames import Frame, open_trajectory
from solvation.trajectory.neighbours import PairFinder, cells_A

LIQUID = Path(__file__).parents[1] / "engines" / "recorded" / "li_ec70"
CENTRINGS = {
    "simple cubic": ([[0, 0, 0]], 6),
    "body-centred": ([[0, 0, 0], [0.5, 0.5, 0.5]], 14),
    "face-centred": ([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]], 12),
    "diamond": ([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]], 4),
}
TETRAHEDRON = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)


def unblocked(ions_A, donors_A, box_A, kind=None):
    """Donors of each kind in the shells of all ions."""
    positions_A = np.concatenate((ions_A, donors_A))
    indices = np.arange(len(positions_A))
    finder = PairFinder(
        indices[: len(ions_A)], indices[len(ions_A) :], 6.0, kind=kind, shell_reach_A=np.array([6.0, 6.0])
    )  # fmt: skip
    return finder.find(Frame(0.0, positions_A, box_A)).unblocked.tolist()


@pytest.mark.parametrize("crystal", CENTRINGS)
def test_neighbours_in_crystals_are_those_of_their_faces(crystal):
    """Every atom of the crystal in turn is the ion: 12 in a face-centred one, 14 in a body-centred one."""
    basis, neighbours = CENTRINGS[crystal]
    corners = np.indices((4, 4, 4)).reshape(3, -1).T
    points = np.concatenate([corners + np.array(one) for one in basis])
    if crystal == "diamond":
        points = np.concatenate((points, points + 0.25))
    indices, box_A = np.arange(len(points)), np.array([16.0] * 3 + [90.0] * 3)
    finder = PairFinder(indices, indices, 7.0, shell_reach_A=np.array([6.0]))
    assert finder.find(Frame(0.0, points * 4.0 + 0.3, box_A)).unblocked.tolist() == [neighbours * len(points)]


@pytest.mark.parametrize("second_A", [3.5, 4.5])
def test_a_tetrahedral_shell_hides_what_is_behind_it(second_A):
    """Four donors at 2 Å, a second shell behind its corners and in its holes; across the walls of the box.

    A hole is 70.5 degrees from its corners: what is farther than 2 Å / sqrt(1/3) = 3.46 Å is hidden there as well.
    """
    ion_A, box_A = np.array([[0.5, 19.7, 0.1]]), np.array([20.0] * 3 + [90.0] * 3)
    outer_A = np.concatenate((second_A * TETRAHEDRON, -second_A * TETRAHEDRON))
    donors_A = ion_A + np.concatenate((2.0 * TETRAHEDRON, outer_A))
    kind = np.repeat([0, 1], [4, 8])
    assert unblocked(ion_A, donors_A % 20, box_A, kind) == [4, 0]
    # In a hole, and nearer than that, is no second shell.
    donors_A[8] = ion_A - 3.4 * TETRAHEDRON[0]
    assert unblocked(ion_A, donors_A % 20, box_A, kind) == [4, 1]


def test_donors_of_all_kinds_block_each_other():
    """A ring O behind the carbonyl O of its molecule is hidden by it, and no neighbour where it is asked for alone."""
    ion_A = np.zeros((1, 3))
    donors_A = np.concatenate((2.0 * TETRAHEDRON, 4.0 * TETRAHEDRON))
    box_A = np.array([20.0] * 3 + [90.0] * 3)
    assert unblocked(ion_A, donors_A, box_A, np.repeat([0, 1], 4)) == [4, 0]
    assert unblocked(ion_A, donors_A[4:], box_A) == [4]


@pytest.mark.parametrize("angles_deg", [(90, 90, 90), (70, 80, 100)])
def test_the_same_shells_as_freud(angles_deg):
    freud = pytest.importorskip("freud")
    rng = np.random.default_rng(8)
    box_A = np.array([18.0, 19.0, 20.0, *angles_deg])
    points_A = (rng.uniform(size=(420, 3)) @ cells_A(box_A[None])[0]).astype(np.float32).astype(float)
    box = freud.box.Box.from_matrix(cells_A(box_A[None])[0].T)
    near = freud.locality.AABBQuery(box, box.wrap(points_A[20:])).query(
        box.wrap(points_A[:20]), {"mode": "ball", "r_max": 6.0}
    )
    radial = freud.locality.FilterRAD(allow_incomplete_shell=True, terminate_after_blocked=True)
    radial.compute((box, box.wrap(points_A[20:])), near.toNeighborList(), box.wrap(points_A[:20]))
    (ours,) = unblocked(points_A[:20], points_A[20:], box_A)
    assert ours == len(radial.filtered_nlist)
    assert 20 < ours < 20 * 20


def test_lithium_in_ethylene_carbonate_has_the_same_shell_with_a_cutoff_and_without():
    """Carbonyl O alone or beside the ring O: RAD stays within a tenth of the cutoff's number."""
    opened = open_trajectory(LIQUID.with_suffix(".gro"), LIQUID.with_suffix(".xtc"))
    carbonyl, ring = "resname EC and name O1", "resname EC and name O2 O3"
    for donors in ({"O(C=O)": carbonyl}, {"O(C=O)": carbonyl, "O": ring}):
        found = analyze_trajectory(opened, center="name LI", donors=donors, r_max_A=8, n_bins=160)
        row = next(row for row in found.coordination if (row.donor, row.counted) == ("O(C=O)", "atom"))
        assert row.cn_rad == pytest.approx(row.cn, abs=0.1 * row.cn)
        said = f"{row.cn_rad:.2f} without a cutoff (RAD)" in row.verdict
        assert said is (abs(row.cn_rad - row.cn) > row.cn_stderr)
        molecule = next(row for row in found.coordination if (row.donor, row.counted) == ("O(C=O)", "molecule"))
        assert np.isnan(molecule.cn_rad)
