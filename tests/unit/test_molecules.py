"""Residues that are no molecules: ions that share one, LAMMPS' mol-ID 0, a liquid in one piece; and what is refused."""

import MDAnalysis
import numpy as np
import pytest
from ase.build import molecule

from solvation.errors import TrajectoryError
from solvation.shells.analysis import analyze_trajectory
from solvation.trajectory.frames import open_trajectory
from solvation.trajectory.molecules import molecules_of

EDGE_A = 40.0
CELL = np.array([EDGE_A] * 3 + [90.0] * 3)
#: Na+ with two Cl-, with one, and two alone; a Cl- alone.
SODIUM_A = np.array([[5, 5, 5], [25, 5, 5], [5, 25, 5], [25, 25, 25]], dtype=float)
CHLORIDE_A = np.array([[7.7, 5, 5], [5, 7.7, 5], [27.7, 5, 5], [15, 35, 35]])
WATER_A = molecule("H2O").positions


def found_in(symbols, positions_A, residue, bonds=(), no_molecule=-1):
    """Sets of the atoms of each molecule, and the note."""
    labels = [f"R{number}" for number in range(max(residue) + 1)]
    pairs = np.array(bonds, dtype=np.int64).reshape(-1, 2)
    found = molecules_of(
        np.array(residue), labels, pairs, symbols=lambda: symbols, no_molecule=no_molecule,
        first_frame=lambda: (np.asarray(positions_A, dtype=float), CELL),
    )  # fmt: skip
    assert (found.residue[found.of_atom] == residue).all()
    return [set(np.flatnonzero(found.of_atom == one).tolist()) for one in range(len(found.residue))], found.note


def salt(folder, shared):
    """Sodium chloride in ten O; the Cl- have residues of their own, or share one."""
    rng = np.random.default_rng(1)
    oxygen = 10 + 10 * rng.random((10, 3))
    residue = [0, 1, 2, 3, *([4] * 4 if shared else range(4, 8))]
    residue += list(range(residue[-1] + 1, residue[-1] + 11))
    universe = MDAnalysis.Universe.empty(18, residue[-1] + 1, atom_resindex=residue, trajectory=True)
    universe.add_TopologyAttr("names", ["NA"] * 4 + ["CL"] * 4 + ["O"] * 10)
    universe.add_TopologyAttr("elements", ["Na"] * 4 + ["Cl"] * 4 + ["O"] * 10)
    universe.add_TopologyAttr("resnames", ["NA"] * 4 + ["CL"] * (1 if shared else 4) + ["SOL"] * 10)
    universe.add_TopologyAttr("resids", np.arange(residue[-1] + 1) + 1)
    name = folder / f"shared{int(shared)}.xtc"
    with MDAnalysis.Writer(str(name), 18) as writer:
        for number in range(60):
            chloride = CHLORIDE_A + 0.05 * np.random.default_rng(number).standard_normal((4, 3))
            universe.atoms.positions = np.vstack([SODIUM_A, chloride, oxygen])
            universe.dimensions = CELL
            universe.trajectory.ts.time = float(number)
            writer.write(universe.atoms)
    universe.atoms.write(str(name.with_suffix(".pdb")))
    return name.with_suffix(".pdb"), name


def test_ions_that_share_a_residue_are_counted_as_those_with_one_each(tmp_path):
    told = {"center": "name NA", "donors": {"Cl": "name CL"}, "r_max_A": 8, "n_bins": 160, "anions": ["Cl"]}
    apart, shared = (open_trajectory(*salt(tmp_path, together)) for together in (False, True))
    one, other = analyze_trajectory(apart, **told), analyze_trajectory(shared, **told)
    assert shared.species_of(shared.molecule_of).count("CL") == 4
    pairing = {row.shell: row.population for row in other.speciation if row.grouped == "anions"}
    assert pairing == {"free": 0.5, "SSIP": 0, "CIP": 0.25, "AGG": 0.25}
    assert repr(one) == repr(other)
    assert apart.doubt_of_molecules == ""
    assert shared.doubt_of_molecules == ("residue CL 5 holds 4 molecules that no bond links: each is one of its own")


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        ("analyze", ("--center", "name NA", "--donor", "Cl=name CL", "--rmax", "8")),
        ("transport", ("--species", "Cl=name CL", "--keep-drift", "--least-move-A", "0")),
        ("angles", ("--center", "name NA", "--donor", "Cl=name CL")),
        ("density-map", ("--around", "name NA", "--of", "name CL", "--extent-A", "5")),
    ],
)
def test_every_verb_that_counts_molecules_takes_them_apart_and_says_so(tmp_path, solvation_in_process, verb, words):
    done = solvation_in_process(verb, *salt(tmp_path, shared=True), *words, "--out", tmp_path / "out")
    assert done.code == 0, done.err
    (line,) = (line for line in done.err.splitlines() if "residue" in line)
    assert line.startswith("warning: ")
    assert line.endswith("shared1.xtc: residue CL 5 holds 4 molecules that no bond links: each is one of its own")


def lammps_salt(folder, *, bonds):
    """Three Na+ and three Cl- of mol-ID 0, two in contact, in two waters with mol-IDs."""
    ions = np.array([[5, 5, 5], [15, 5, 5], [5, 15, 5], [7.7, 5, 5], [17.7, 5, 5], [30, 30, 30]])
    rows = [f"{n + 1} 0 {1 + n // 3} 0 {x} {y} {z}" for n, (x, y, z) in enumerate(ions)]
    for number, place in enumerate(([5, 5, 20], [6.9, 5, 20]), start=1):
        for kind, (x, y, z) in zip((3, 4, 4), WATER_A + place, strict=True):
            rows.append(f"{len(rows) + 1} {number} {kind} 0 {x:.4f} {y:.4f} {z:.4f}")
    head = f"LAMMPS\n\n{len(rows)} atoms\n4 atom types\n{'4 bonds' if bonds else ''}\n1 bond types\n\n"
    box = "".join(f"0 {EDGE_A} {axis}lo {axis}hi\n" for axis in "xyz")
    masses = "\nMasses\n\n1 22.99\n2 35.453\n3 15.9994\n4 1.008\n\nAtoms # full\n\n"
    told = "\n\nBonds\n\n1 1 7 8\n2 1 7 9\n3 1 10 11\n4 1 10 12\n" if bonds else "\n"
    path = folder / "s.data"
    path.write_text(head + box + masses + "\n".join(rows) + told)
    return path


@pytest.mark.parametrize("bonds", [True, False])
def test_ions_of_mol_id_0_are_no_molecule(tmp_path, bonds):
    opened = open_trajectory(lammps_salt(tmp_path, bonds=bonds))
    assert sorted(opened.species_of(opened.molecule_of)) == ["Cl"] * 3 + ["H2O"] * 2 + ["Na"] * 3
    assert "residue 0 holds 6 molecules" in opened.doubt_of_molecules


def test_a_lammps_file_of_one_residue_without_bonds_is_bonded_by_its_distances(tmp_path):
    path = lammps_salt(tmp_path, bonds=False)
    head, atoms = path.read_text().split("Atoms # full\n")
    rows = [line.split() for line in atoms.strip().splitlines()]
    path.write_text(head + "Atoms # full\n\n" + "\n".join(" ".join([row[0], "0", *row[2:]]) for row in rows) + "\n")
    opened = open_trajectory(path)
    assert sorted(opened.species_of(opened.molecule_of)) == ["Cl"] * 3 + ["H2O"] * 2 + ["Na"] * 3


def test_waters_of_one_residue_are_told_apart_although_hydrogen_bonds_link_them():
    chain = np.concatenate([WATER_A + np.array([0, 2.8 * number, 0]) for number in range(3)])
    symbols = ["O", "H", "H"] * 3
    separate = [{0, 1, 2}, {3, 4, 5}, {6, 7, 8}]
    bonds = [(0, 1), (0, 2), (3, 4), (3, 5), (6, 7), (6, 8)]
    for told in ((), bonds):
        found, note = found_in([*symbols, "Li"], [*chain, [20, 20, 20]], [0] * 9 + [1], told)
        assert sorted(found, key=min) == [*separate, {9}]
        assert note == "residue R0 holds 3 molecules that no bond links: each is one of its own"


def test_bonds_that_a_topology_tells_of_some_molecules_only_split_no_other():
    """CONECT records of the solute alone: a water without them is one molecule all the same."""
    found, note = found_in(
        ["C", "O", "O", "H", "H"], [[20, 20, 20], [21.2, 20, 20], *WATER_A], [0, 0, 1, 1, 1], [(0, 1)]
    )
    assert (found, note) == ([{0, 1}, {2, 3, 4}], "")


def test_a_complex_of_a_metal_stays_one_molecule():
    legs = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)
    found, note = found_in(["Al", *["Cl"] * 4, "Na"], [[5, 5, 5], *(5 + 2.13 * legs), [20, 20, 20]], [0] * 5 + [1])
    assert (found, note) == ([{0, 1, 2, 3, 4}, {5}], "")
    # Several in one residue are several; without bonds what a metal holds is not known then.
    both = [[5, 5, 5], [7.3, 5, 5], [25, 5, 5], [27.3, 5, 5]]
    found, note = found_in(["Na", "Cl", "Na", "Cl", "O"], [*both, [30, 30, 30]], [0] * 4 + [1])
    assert len(found) == 5
    assert "4 molecules" in note


def test_a_molecule_of_which_the_file_holds_the_donors_alone_stays_whole():
    legs = 2.1 * np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)
    for symbols in (["N"] * 4, [""] * 4):
        found, note = found_in([*symbols, "Li"], [*(5 + legs), [5, 5, 5]], [0] * 4 + [1])
        assert found == [{0, 1, 2, 3}, {4}]
        assert note.startswith("residue R0 is taken for one molecule, although no bonds lead through it")


def test_a_site_without_element_belongs_to_the_atom_it_sits_on():
    """Water of four sites."""
    water = [WATER_A[0] - [0, 0, 0.15], *WATER_A]
    found, note = found_in(["", "O", "H", "H", "Li"], [*water, [20, 20, 20]], [0] * 4 + [1])
    assert (found, note) == ([{0, 1, 2, 3}, {4}], "")


def test_what_nothing_tells_apart_is_refused():
    for symbol in ("O", ""):
        with pytest.raises(TrajectoryError, match=r"residue R0: nothing links its 3 atoms, .* give a topology with"):
            found_in([symbol] * 3 + ["Li"], [[0, 0, 0], [9, 0, 0], [0, 9, 0], [5, 5, 5]], [0] * 3 + [1])


def test_of_thousands_of_equal_residues_one_is_looked_at(monkeypatch):
    from solvation.trajectory import molecules

    looked = []
    parts_of = molecules._parts_of
    monkeypatch.setattr(molecules, "_parts_of", lambda *told, **words: looked.append(1) or parts_of(*told, **words))
    positions = np.tile(WATER_A, (2000, 1))
    found, _ = found_in(["O", "H", "H"] * 2000, positions, np.repeat(np.arange(2000), 3).tolist())
    assert (len(found), len(looked)) == (2000, 1)
