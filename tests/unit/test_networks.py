"""Ions bridged by molecules, chains through the walls of the box, and clusters that are placed by hand."""

import math

import MDAnalysis
import numpy as np
import pytest
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from solvation.shells.analysis import analyze_trajectory
from solvation.shells.networks import ANIONS, LIGANDS, NetworkCensus, clusters
from solvation.trajectory.frames import open_trajectory

EDGE_A = 20.0


def census_of(frames, species, n_ions, *, anion=(), periodic=True):
    """Rows by (linked_by, quantity, kind or ions) of frames given as lists of contacts (ion, molecule)."""
    is_anion = np.isin(np.arange(len(species)), anion)
    n_of = {name: float(species.count(name)) for name in dict.fromkeys(species)}
    census = NetworkCensus(["LI"] * n_ions, species, n_of, is_anion, periodic=periodic)
    found = np.array([(f, *pair) for f, pairs in enumerate(frames) for pair in pairs], dtype=int).reshape(-1, 3)
    frame, ion, molecule = (column.copy() for column in found[np.lexsort(found.T[::-1])].T)
    census.add(len(frames), frame, ion, molecule, np.zeros((len(frame), 3), np.int8))
    return {(row.linked_by, row.quantity, row.kind or row.n_ions): row for row in census.networks()}


def test_two_ions_bridged_by_one_dimer():
    """Ions 0 and 1 share the dimer, 2 has one EC; one EC and one PF6 hold nothing."""
    rows = census_of([[(0, 0), (1, 0), (2, 1)]] * 10, ["D", "EC", "EC", "PF6"], 3, anion=[3])
    share = {key: row.value for key, row in rows.items()}
    assert [share["D", "holds", count] for count in (0, 1, 2)] == [0, 0, 1]
    assert [share["EC", "holds", count] for count in (0, 1, 2)] == [0.5, 0.5, 0]
    assert [share["PF6", "holds", count] for count in (0, 1, 2)] == [1, 0, 0]
    bridged = {by: share[by, "bridged", None] for by in ("D", "EC", "PF6", LIGANDS, ANIONS)}
    assert bridged == pytest.approx({"D": 2 / 3, "EC": 0, "PF6": 0, LIGANDS: 2 / 3, ANIONS: 0})
    assert [share[LIGANDS, "cluster", size] for size in (1, 2)] == pytest.approx([1 / 3, 2 / 3])
    assert share[LIGANDS, "mean_ions", None] == 1.5
    assert share[LIGANDS, "largest_ions", None] == 2
    assert share[LIGANDS, "largest_share", None] == pytest.approx(2 / 3)
    # Anions alone hold nothing together: every ion is by itself, and the other kinds stand there with zero.
    found = {key[2]: value for key, value in share.items() if key[:2] == (ANIONS, "cluster")}
    assert found == {"1 LI": 1, "1 LI + 1 PF6": 0, "1 LI + 2 PF6": 0, "2 LI + 1 PF6": 0}
    assert share[ANIONS, "largest_ions", None] == 1


def test_clusters_of_ions_and_anions_by_composition():
    """LI-A-LI-A: a cluster of four; LI-A; a bare ion; ligands hold nothing of it together."""
    contacts = [(0, 0), (1, 0), (1, 1), (2, 2), (2, 4), (3, 4)]
    rows = census_of([contacts] * 4, ["A", "A", "A", "A", "EC"], 4, anion=[0, 1, 2, 3], periodic=False)
    found = {key[2]: row.value for key, row in rows.items() if key[:2] == (ANIONS, "cluster")}
    expected = {"1 LI": 0.25, "1 LI + 1 A": 0.25, "1 LI + 2 A": 0, "2 LI + 1 A": 0, "2 LI + 2 A": 0.5}
    assert found == expected
    assert rows[ANIONS, "cluster", "2 LI + 2 A"].n_ions == 2
    assert [rows["A", "holds", count].value for count in (0, 1, 2)] == [0.25, 0.5, 0.25]
    # With the EC between 2 and 3 there are two pairs.
    assert rows[LIGANDS, "cluster", 2].value == 1
    # A droplet has no walls to go through.
    assert (LIGANDS, "spanning", None) not in rows


def test_an_ion_bridged_twice_counts_once_and_three_ions_at_one_molecule_are_listed():
    rows = census_of([[(0, 0), (0, 1), (1, 0), (1, 1), (2, 2)], [(0, 2), (1, 2), (2, 2)]], ["M"] * 3, 3)
    assert rows["M", "bridged", None].value == pytest.approx((2 / 3 + 1) / 2)
    assert rows["M", "holds", 3].value == pytest.approx(1 / 6)
    assert rows["M", "holds", 0].value == pytest.approx(1 / 3)
    assert rows[LIGANDS, "mean_ions", None].value == pytest.approx((1.5 + 3) / 2)


def test_the_error_of_a_cluster_is_that_of_its_series():
    """Two ions bridged by the throw of a fair coin: sqrt(0.25 / n); what never changes has no error."""
    heads = np.random.default_rng(2).uniform(size=4000) < 0.5
    rows = census_of([[(0, 0), (1, 0)] if head else [(0, 0)] for head in heads], ["M"], 2)
    assert rows[LIGANDS, "cluster", 2].stderr == pytest.approx(np.sqrt(0.25 / 4000), rel=0.2)
    assert math.isnan(rows["M", "holds", 0].stderr)


def test_clusters_are_the_connected_components_of_the_graph():
    """Random contacts in 30 frames, beside SciPy's components of the same graph."""
    rng = np.random.default_rng(3)
    n_frames, n_ions, n_molecules = 30, 12, 25
    found = np.unique(rng.integers(0, [n_frames, n_ions, n_molecules], (900, 3)), axis=0)
    found = found[found[:, 0] % 7 != 3]
    frame, ion, molecule = (column.copy() for column in found.T)
    sizes = {"n_frames": n_frames, "n_ions": n_ions, "n_molecules": n_molecules}
    ours = clusters(frame, ion, molecule, np.zeros((len(frame), 3), np.int8), **sizes)
    per_frame = n_ions + n_molecules
    edges = (frame * per_frame + ion, frame * per_frame + n_ions + molecule)
    graph = coo_matrix((np.ones(len(frame)), edges), shape=(n_frames * per_frame,) * 2)
    _, label = connected_components(graph, directed=False)
    theirs = label.reshape(n_frames, per_frame)[:, :n_ions].reshape(-1)
    assert np.array_equal(ours.of_ion[:, None] == ours.of_ion, theirs[:, None] == theirs)
    assert np.array_equal(
        ours.of_molecule[:, None] == ours.of_ion,
        label[ours.frame * per_frame + n_ions + ours.molecule][:, None] == theirs,
    )
    degree = np.zeros((n_frames, n_molecules), int)
    np.add.at(degree, (frame, molecule), 1)
    assert np.array_equal(ours.n_held, degree[ours.frame, ours.molecule])
    assert np.array_equal(ours.molecule[ours.holder], molecule)
    assert not ours.endless.any()


@pytest.mark.parametrize("changed", [0, 1])
def test_a_cluster_is_endless_only_where_the_ways_to_an_atom_disagree(changed):
    """Random graphs whose nodes lie in random cells; where one step is changed, a walk over the graph tells."""
    rng = np.random.default_rng(5)
    told = []
    for _ in range(200):
        contacts = np.unique(rng.integers(0, [9, 9], (14, 2)), axis=0)
        cells = rng.integers(-3, 4, (18, 3))
        image = (cells[contacts[:, 1] + 9] - cells[contacts[:, 0]]).astype(np.int8)
        image[rng.integers(len(image))] += np.int8(changed) * np.array([0, 2, 0], np.int8)
        ion, molecule = (column.copy() for column in contacts.T)
        found = clusters(
            np.zeros(len(ion), int), ion, molecule, image, n_frames=1, n_ions=9, n_molecules=9
        )  # fmt: skip
        expected = [walked(start, contacts, image) for start in range(9)]
        assert found.endless[found.of_ion].tolist() == expected
        told.append(any(expected))
    assert any(told) is bool(changed)
    assert not all(told)


def walked(start, contacts, image):
    """Whether a walk from an ion comes to one node in two cells."""
    at, front = {start: np.zeros(3, int)}, [start]
    while front:
        node = front.pop()
        for (ion, molecule), step in zip(contacts, image, strict=True):
            for one, other, sign in ((ion, molecule + 9, 1), (molecule + 9, ion, -1)):
                if one == node and other not in at:
                    at[other] = at[node] + sign * step
                    front.append(other)
    return any(
        ion in at and np.any(at[ion] + step != at[molecule + 9])
        for (ion, molecule), step in zip(contacts, image, strict=True)
    )


@pytest.mark.parametrize("winding", [1, 2, 3])
def test_a_loop_with_any_translation_is_endless_and_one_that_closes_is_not(winding):
    """A ring of six ions and six molecules whose steps through the walls add up to `winding` boxes, or cancel."""
    ion, molecule = np.repeat(np.arange(6), 2), np.array([m % 6 for i in range(6) for m in (i - 1, i)])
    for back in (0, winding):
        image = np.zeros((12, 3), np.int8)
        image[1 : 2 * winding : 2, 2] = 1
        image[2 * winding + 1, 2] = -back
        found = clusters(
            np.zeros(12, int), ion, molecule, image, n_frames=1, n_ions=6, n_molecules=6
        )  # fmt: skip
        assert found.endless.tolist() == [back == 0]


def written(folder, frames, names, residues, resids, box_A=(EDGE_A,) * 3 + (90,) * 3):
    """A PDB and a TRR of atoms that are placed by hand."""
    number = {resid: place for place, resid in enumerate(dict.fromkeys(resids))}
    universe = MDAnalysis.Universe.empty(
        len(names), len(number), atom_resindex=[number[resid] for resid in resids], trajectory=True
    )
    universe.add_TopologyAttr("names", names)
    universe.add_TopologyAttr("elements", ["Li" if name == "LI" else "O" for name in names])
    universe.add_TopologyAttr("resnames", residues)
    universe.add_TopologyAttr("resids", list(number))
    with MDAnalysis.Writer(str(folder / "t.trr"), len(names)) as writer:
        for time, positions in enumerate(frames):
            universe.atoms.positions = positions
            universe.dimensions = box_A
            universe.trajectory.ts.time = float(time)
            writer.write(universe.atoms)
    universe.atoms.write(str(folder / "t.pdb"))
    return folder / "t.pdb", folder / "t.trr"


def chain(closed, rng):
    """Ions 5 Å apart along a row of the box, each two linked by a molecule with two O; the last link may be away."""
    along = np.array([1.0, 1.0, 0.0]) if closed == "slanted" else np.array([1.0, 0.0, 0.0])
    ions = 2.0 + np.arange(4)[:, None] * 5.0 * along
    donors = (ions[:, None] + np.array([1.9, 3.1])[:, None] * along / np.linalg.norm(along)).reshape(-1, 3)
    if closed == "slanted":
        donors[1::2] = ions + 5.0 * along - 1.9 * along / np.linalg.norm(along)
    if closed == "open":
        donors[7] = ions[3] + [1.9, 0, 0] + [0, 3.0, 0]
    return np.concatenate((ions, donors)) + rng.integers(-2, 3, (12, 3)) * EDGE_A


@pytest.mark.parametrize(("closed", "spans"), [("row", 1), ("open", 0), ("slanted", 1)])
def test_a_chain_through_the_wall_spans_the_box(tmp_path, closed, spans):
    """All four ions are one cluster; it is endless where the last molecule reaches the image of the first ion.

    Every atom stands in some other image, so that the molecules are broken.
    """
    rng = np.random.default_rng(4)
    names, residues = ["LI"] * 4 + ["O"] * 8, ["LI"] * 4 + ["BR"] * 4
    resids = [1, 2, 3, 4, *np.repeat([5, 6, 7, 8], 2)]
    files = written(tmp_path, [chain(closed, rng) for _ in range(5)], names, residues, resids)
    found = analyze_trajectory(
        open_trajectory(*files), center="name LI", donors={"O": "name O"}, r_max_A=6, n_bins=60
    )  # fmt: skip
    rows = {(row.linked_by, row.quantity, row.n_ions): row.value for row in found.networks}
    assert rows[LIGANDS, "largest_ions", None] == 4
    assert rows[LIGANDS, "cluster", 4] == 1
    assert rows[LIGANDS, "cluster", 1] == 0
    assert rows[LIGANDS, "spanning", None] == spans
    assert rows["BR", "holds", 2] == (1 if spans else 0.75)
    assert rows["BR", "bridged", None] == 1


def test_a_molecule_without_an_end_of_its_shell_has_no_share(tmp_path):
    """Elements are not told and no donor comes near: nobody knows what would be a contact."""
    positions = np.array([[1.0, 1, 1], [9, 9, 9]])
    files = written(tmp_path, [positions] * 3, ["LI", "O"], ["LI", "EC"], [1, 2])
    opened = open_trajectory(*files)
    opened.universe.atoms.elements = ["", ""]
    opened.universe.atoms.names = ["Q", "D"]
    opened.universe.atoms.types = ["", ""]
    opened.universe.atoms.masses = [0.0, 0.0]
    found = analyze_trajectory(opened, center="name Q", donors={"O": "name D"}, r_max_A=6, n_bins=60)
    rows = {(row.linked_by, row.quantity, row.n_ions): row.value for row in found.networks}
    assert math.isnan(rows["EC", "holds", 0])
    assert math.isnan(rows["EC", "bridged", None])


def test_ions_around_ions_are_no_bridges(tmp_path):
    """Three ions in a row, 3 Å apart, that are donors to each other: no molecule holds them."""
    files = written(tmp_path, [np.arange(3)[:, None] * [3.0, 0, 0]] * 3, ["LI"] * 3, ["LI"] * 3, [1, 2, 3])
    found = analyze_trajectory(
        open_trajectory(*files), center="name LI", donors={"Li": "name LI"}, r_max_A=6, n_bins=60
    )  # fmt: skip
    assert any(row.cn > 1 for row in found.coordination)
    rows = {(row.linked_by, row.quantity, row.n_ions): row.value for row in found.networks}
    assert rows[LIGANDS, "largest_ions", None] == 1
