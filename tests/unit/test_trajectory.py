"""Files of every kind: units, cells, times, molecules, and what is refused."""

import gzip
import math
import struct
from pathlib import Path

import ase.geometry
import ase.io
import MDAnalysis
import numpy as np
import pytest
from ase import Atoms
from ase.io import write

from solvation.errors import TrajectoryError
from solvation.shells.analysis import analyze_trajectory
from solvation.trajectory.frames import open_trajectory

N_ATOMS = 30
BOX = [20.0, 20.0, 20.0, 90.0, 90.0, 90.0]


@pytest.fixture
def frames():
    return np.random.default_rng(11).uniform(0, 20, (10, N_ATOMS, 3))


def write_mda(folder, frames, suffix, box=BOX):
    n_atoms = frames.shape[1]
    universe = MDAnalysis.Universe.empty(n_atoms, n_atoms, atom_resindex=np.arange(n_atoms), trajectory=True)
    universe.add_TopologyAttr("names", ["LI", *["O"] * (n_atoms - 1)])
    universe.add_TopologyAttr("elements", ["Li", *["O"] * (n_atoms - 1)])
    universe.dimensions = box
    universe.atoms.positions = frames[0]
    universe.atoms.write(str(folder / "top.pdb"))
    path = folder / f"a.{suffix}"
    with MDAnalysis.Writer(str(path), n_atoms) as writer:
        for number, positions in enumerate(frames):
            universe.atoms.positions = positions
            universe.trajectory.ts.time = 2.0 * number
            universe.trajectory.ts.dimensions = box
            writer.write(universe.atoms)
    return folder / "top.pdb", path


def test_xtc_stores_nanometres_and_gives_back_angstrom_picoseconds_and_the_box(tmp_path, frames):
    top, path = write_mda(tmp_path, frames, "xtc")
    # The file itself, bytes 16..20 of the header: the first edge, big-endian, in nm.
    assert struct.unpack(">f", path.read_bytes()[16:20])[0] == pytest.approx(2.0)
    read = list(open_trajectory(top, path).frames())
    assert np.abs(read[3].positions_A - frames[3]).max() < 0.006
    assert [frame.time_ps for frame in read] == pytest.approx([2.0 * number for number in range(10)])
    assert read[0].box_A == pytest.approx(BOX)


@pytest.mark.parametrize("suffix", ["xtc", "trr", "dcd", "xyz"])
@pytest.mark.parametrize("n_atoms", [5, N_ATOMS])
def test_a_file_cut_anywhere_in_its_second_half_is_refused_with_the_number_of_whole_frames(tmp_path, suffix, n_atoms):
    frames = np.random.default_rng(1).uniform(0, 20, (10, n_atoms, 3))
    sizes = []
    for count in range(1, 11):
        (tmp_path / f"whole{count}").mkdir()
        top, path = write_mda(tmp_path / f"whole{count}", frames[:count], suffix)
        sizes.append(path.stat().st_size)
        assert open_trajectory(top, path).n_frames == count
    data = path.read_bytes()
    for cut in (sizes[4] + 5, sizes[5] - 9, sizes[6] + 100, sizes[7] - 100, sizes[8] + 61, sizes[9] - 4):
        folder = tmp_path / f"cut{cut}"
        folder.mkdir()
        broken = folder / f"b.{suffix}"
        broken.write_bytes(data[:cut])
        whole = sum(size <= cut for size in sizes)
        with pytest.raises(TrajectoryError, match=rf"b\.\w+: truncated, {whole} whole frames can be read; [^\n]*$"):
            open_trajectory(top, broken)


def test_a_frame_damaged_in_the_middle_is_not_the_end(tmp_path, frames):
    """MDAnalysis stops at it without a word."""
    top, path = write_mda(tmp_path, frames, "xtc")
    opened = open_trajectory(top, path)
    data = bytearray(path.read_bytes())
    offset = int(opened.universe.trajectory._xdr.offsets[5])
    data[offset : offset + 4] = b"\0\0\0\0"
    path.write_bytes(data)
    with pytest.raises(TrajectoryError, match=r"a\.xtc.*(5 of 10|5 whole|damaged|cannot be read)"):
        list(open_trajectory(top, path).frames())


@pytest.mark.parametrize("name", ["t.extxyz", "XDATCAR"])
def test_what_ase_reads_is_refused_when_cut(tmp_path, name):
    atoms = Atoms("LiO2", np.random.default_rng(2).uniform(0, 9, (3, 3)), cell=[10, 10, 10], pbc=True)
    path = tmp_path / name
    write(path, [atoms] * 4, format="vasp-xdatcar" if name == "XDATCAR" else "extxyz")
    assert open_trajectory(path).n_frames == 4
    text = path.read_text()
    lines = text.splitlines(keepends=True)
    for cut in ("".join(lines[:-1]), "".join(lines[:-2]), text[: -len(lines[-1]) // 2]):
        path.write_text(cut)
        with pytest.raises(TrajectoryError, match="truncated, 3 whole frames"):
            open_trajectory(path)


RECORDED = Path(__file__).parents[1] / "engines" / "recorded"


def vasprun(folder: Path) -> Path:
    """A relaxation of three steps that VASP 6.4 wrote."""
    path = folder / "vasprun.xml"
    path.write_bytes(gzip.decompress((RECORDED / "vasp_6.4_vasprun.xml.gz").read_bytes()))
    return path


def test_a_vasprun_is_read_as_ase_reads_it(tmp_path):
    path = vasprun(tmp_path)
    opened = open_trajectory(path)
    theirs = ase.io.read(path, index=":")
    assert opened.n_frames == len(theirs) == 3
    assert opened.universe.atoms.names.tolist() == theirs[0].get_chemical_symbols()
    for frame, atoms in zip(opened.frames(), theirs, strict=True):
        assert frame.box_A == pytest.approx(atoms.cell.cellpar())
        assert frame.positions_A == pytest.approx(atoms.get_scaled_positions(wrap=False) @ _lower(atoms), abs=1e-8)
        assert np.isnan(frame.time_ps)  # a relaxation has none
    assert len(list(opened.frames(begin=1))) == 2


def test_a_vasprun_of_dynamics_tells_its_times(tmp_path):
    path = vasprun(tmp_path)
    text = path.read_text().replace('name="IBRION">     2<', 'name="IBRION">     0<')
    path.write_text(text.replace('name="POTIM">      0.50000000<', 'name="POTIM">      2.00000000<'))
    assert [frame.time_ps for frame in open_trajectory(path).frames()] == pytest.approx([0, 0.002, 0.004])


def test_a_vasprun_of_a_run_that_goes_on_is_read_up_to_its_last_step(tmp_path):
    path = vasprun(tmp_path)
    text = path.read_text()
    path.write_text(text[: text.rindex("</calculation>")])
    with pytest.raises(TrajectoryError, match="truncated, 2 whole frames"):
        open_trajectory(path)
    opened = open_trajectory(path, until_damage=True)
    assert len(list(opened.frames())) == 2
    assert "2 whole frames" in opened.damage
    path.write_text("<modeling>")
    with pytest.raises(TrajectoryError, match=r"vasprun\.xml"):
        open_trajectory(path)


def _lower(atoms: Atoms) -> np.ndarray:
    return ase.geometry.cellpar_to_cell(atoms.cell.cellpar())


def test_an_xyz_that_tells_its_cell_keeps_it(tmp_path):
    atoms = Atoms("LiO", [[0.2, 5, 5], [9, 5, 5]], cell=[10, 11, 12, 90, 90, 60], pbc=True)
    write(tmp_path / "a.xyz", [atoms, atoms], format="extxyz")
    frame = next(open_trajectory(tmp_path / "a.xyz").frames())
    assert frame.box_A == pytest.approx([10, 11, 12, 90, 90, 60])
    write(tmp_path / "plain.xyz", atoms, format="xyz")
    assert next(open_trajectory(tmp_path / "plain.xyz").frames()).box_A is None
    given = next(open_trajectory(tmp_path / "plain.xyz", box_A=[10, 11, 12]).frames())
    assert given.box_A == pytest.approx([10, 11, 12, 90, 90, 90])


def test_frames_without_a_cell_or_with_another_one_than_was_given_are_told(tmp_path):
    (tmp_path / "plain.xyz").write_text("1\n\nO 0 0 0\n1\n\nO 0 0 1\n")
    assert "no cell: taken as a droplet" in open_trajectory(tmp_path / "plain.xyz").doubt_of_cell()
    assert open_trajectory(tmp_path / "plain.xyz", box_A=[10, 11, 12]).doubt_of_cell() == ""
    write(tmp_path / "a.extxyz", Atoms("O", cell=[8, 8, 8], pbc=True))
    assert open_trajectory(tmp_path / "a.extxyz").doubt_of_cell() == ""
    assert open_trajectory(tmp_path / "a.extxyz", box_A=[8, 8, 8]).doubt_of_cell() == ""
    other = open_trajectory(tmp_path / "a.extxyz", box_A=[9, 9, 9])
    assert other.doubt_of_cell() == (
        "the file has the cell 8 8 8 90 90 90 (Å, degrees); 9 9 9 90 90 90 takes its place in every frame"
    )
    assert next(other.frames()).box_A == pytest.approx([9, 9, 9, 90, 90, 90])


def test_atoms_of_a_dump_without_elements_and_masses_are_no_hydrogens(tmp_path):
    head = "ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n2\nITEM: BOX BOUNDS pp pp pp\n0 9\n0 9\n0 9\n"
    (tmp_path / "bare.lammpsdump").write_text(f"{head}ITEM: ATOMS id type x y z\n1 1 1 1 1\n2 2 3 1 1\n")
    bare = open_trajectory(tmp_path / "bare.lammpsdump")
    assert bare.symbols(np.arange(2)) == ["", ""]
    assert bare.masses_u() is None
    (tmp_path / "told.lammpsdump").write_text(
        f"{head}ITEM: ATOMS id type x y z mass\n1 1 1 1 1 6.94\n2 2 3 1 1 15.999\n"
    )
    assert open_trajectory(tmp_path / "told.lammpsdump").symbols(np.arange(2)) == ["Li", "O"]


def test_a_slab_is_no_droplet(tmp_path):
    atoms = Atoms("LiO", [[0.2, 5, 5], [9, 5, 5]], cell=[10, 10, 10], pbc=[True, True, False])
    write(tmp_path / "a.extxyz", [atoms])
    with pytest.raises(TrajectoryError, match="some directions only"):
        list(open_trajectory(tmp_path / "a.extxyz").frames())


def test_a_turned_cell_keeps_its_distances(tmp_path):
    atoms = Atoms("O40", np.random.default_rng(3).uniform(0, 8, (40, 3)), cell=[8, 9, 10, 80, 75, 65], pbc=True)
    exact = atoms.get_all_distances(mic=True)
    atoms.rotate(37, (1, 2, 3), rotate_cell=True)
    write(tmp_path / "a.extxyz", [atoms])
    frame = next(open_trajectory(tmp_path / "a.extxyz").frames())
    standard = Atoms("O40", frame.positions_A, cell=frame.box_A, pbc=True)
    assert standard.get_all_distances(mic=True) == pytest.approx(exact, abs=1e-5)


def test_times_that_a_file_does_not_hold_are_not_made_up(tmp_path, frames):
    top, path = write_mda(tmp_path, frames, "xyz")
    assert all(math.isnan(frame.time_ps) for frame in open_trajectory(top, path).frames())
    told = [frame.time_ps for frame in open_trajectory(top, path, timestep_ps=0.5).frames()]
    assert told == pytest.approx([0.5 * number for number in range(10)])


def dcd(folder, frames, title, delta, name):
    from MDAnalysis.lib.formats.libdcd import DCDFile

    top, _ = write_mda(folder, frames, "xyz")
    with DCDFile(str(folder / name), "w") as stream:
        stream.write_header(remarks=title, natoms=N_ATOMS, istart=0, nsavc=500, delta=delta, is_periodic=1)
        for positions in frames:
            stream.write(positions.astype(np.float32), np.array([20, 90, 20, 90, 90, 20], dtype=float))
    return top, folder / name


def test_times_of_a_dcd_of_lammps_are_in_fs_and_of_others_in_akma(tmp_path, frames):
    """500 steps of 2 fs between two frames; CHARMM counts in 48.88821 fs."""
    written = {
        "Written by LAMMPS": (2.0, "written by LAMMPS: times taken in fs"),
        "Created by OpenMM": (2.0 / 48.88821, ""),
        "REMARKS FILENAME=a.dcd CREATED BY NAMD": (2.0 / 48.88821, ""),
        "Created by DCD plugin": (2.0 / 48.88821, "does not tell what wrote it: times taken as those of CHARMM"),
    }
    for number, (title, (delta, doubt)) in enumerate(written.items()):
        opened = open_trajectory(*dcd(tmp_path, frames, title, delta, f"{number}.dcd"))
        assert [frame.time_ps for frame in opened.frames()] == pytest.approx(range(10), rel=1e-5)
        assert opened.doubt_of_times.startswith(doubt)
        assert bool(doubt) == bool(opened.doubt_of_times)
        assert "\n" not in opened.doubt_of_times
    given = open_trajectory(*dcd(tmp_path, frames, "Written by LAMMPS", 2.0, "l.dcd"), timestep_ps=0.5)
    assert [frame.time_ps for frame in given.frames()] == pytest.approx(0.5 * np.arange(10))
    assert given.doubt_of_times == ""
    told = open_trajectory(*dcd(tmp_path, frames, "", 2.0, "bare.dcd"), format="LAMMPS")
    assert [frame.time_ps for frame in told.frames()] == pytest.approx(range(10), rel=1e-5)


def test_the_verbs_say_how_times_of_a_dcd_were_taken(tmp_path, frames, solvation_in_process):
    files = dcd(tmp_path, frames, "Written by LAMMPS", 2.0, "l.dcd")
    words = ("--center", "name LI", "--donor", "O=name O", "--out", tmp_path / "out")
    done = solvation_in_process("analyze", *files, *words)
    assert done.code == 0, done.err
    assert "l.dcd: written by LAMMPS: times taken in fs (units real), frames every 1 ps" in done.err


def test_a_cut_dcd_of_lammps_is_told(tmp_path, frames):
    top, path = dcd(tmp_path, frames, "Written by LAMMPS", 2.0, "l.dcd")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(TrajectoryError, match="truncated, 9 whole frames"):
        open_trajectory(top, path)


def test_names_from_a_topology_frames_from_extxyz(tmp_path):
    atoms = Atoms("LiOC", [[0.2, 5, 5], [2, 5, 5], [3.2, 5, 5]], cell=[10, 10, 10], pbc=True)
    write(tmp_path / "a.extxyz", [atoms, atoms])
    write(tmp_path / "top.pdb", atoms)
    opened = open_trajectory(tmp_path / "top.pdb", tmp_path / "a.extxyz")
    assert opened.n_frames == 2
    assert len(list(opened.frames())) == 2
    write(tmp_path / "other.pdb", atoms[[0, 2, 1]])
    with pytest.raises(TrajectoryError, match=r"atom 2 is O, in topology .*other\.pdb C"):
        open_trajectory(tmp_path / "other.pdb", tmp_path / "a.extxyz")
    write(tmp_path / "short.pdb", atoms[:2])
    with pytest.raises(TrajectoryError, match=r"has 3 atoms, topology .*short\.pdb 2"):
        open_trajectory(tmp_path / "short.pdb", tmp_path / "a.extxyz")


@pytest.mark.parametrize("kind", ["xyz", "extxyz"])
def test_molecules_of_a_file_without_residues(tmp_path, kind):
    """Two waters and Li+ touching one of them; one water lies across the boundary."""
    water = np.array([[0, 0, 0], [0.6, 0.75, 0], [-0.6, 0.75, 0]])
    positions = np.vstack([water + np.array([0.1, 5, 5]), water + 5, [[5, 3.1, 5]]]) % 10
    atoms = Atoms("OH2OH2Li", positions, cell=[10, 10, 10], pbc=True)
    write(tmp_path / f"a.{kind}", atoms, format=kind)
    opened = open_trajectory(tmp_path / f"a.{kind}", box_A=[10, 10, 10] if kind == "xyz" else None)
    owner = opened.molecule_of
    assert len(set(owner)) == 3
    assert len(set(owner[:3])) == len(set(owner[3:6])) == 1
    assert list(opened.select("name LI")) == list(opened.select("name Li")) == [6]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: open_trajectory(folder / "no.pdb"), r"no\.pdb does not exist"),
        (
            lambda folder: open_trajectory(folder / "text.pdb", folder / "text.xtc"),
            r"text\.\w+.*cannot be read|holds no",
        ),
        (lambda folder: open_trajectory(folder / "empty.extxyz"), r"empty\.extxyz"),
        (lambda folder: open_trajectory(folder / "text.extxyz"), r"text\.extxyz"),
        (lambda folder: open_trajectory(folder / "ok.extxyz", box_A=[1, 2]), "three edges"),
        (lambda folder: open_trajectory(folder / "ok.extxyz").select("name XX"), r"no atom of .*ok\.extxyz.*Li O"),
        (lambda folder: open_trajectory(folder / "ok.extxyz").select("nmae Li"), "cannot be read"),
    ],
)
def test_bad_input_is_one_line_that_names_the_file(tmp_path, make, message):
    for name in ("text.pdb", "text.xtc", "text.extxyz"):
        (tmp_path / name).write_text("nothing of the kind\n")
    (tmp_path / "empty.extxyz").write_text("")
    write(tmp_path / "ok.extxyz", Atoms("LiO", [[0, 0, 0], [2, 0, 0]]))
    with pytest.raises(TrajectoryError, match=message) as refusal:
        make(tmp_path)
    assert "\n" not in str(refusal.value)


def test_types_of_a_force_field_are_no_elements():
    from solvation.trajectory.topology import _symbol

    told = {
        # element, type, name, mass
        ("", "CG2O6", "C1", 12.011): "C", ("", "HGA2", "H11", 1.008): "H", ("", "OG311", "O1", 15.9994): "O",
        ("", "opls_135", "CT", 12.011): "C", ("", "os", "O2", 16.0): "O", ("", "ca", "CA", 12.01): "C",
        ("", "Cl", "CL", 35.45): "Cl", ("", "NA", "NA", 22.99): "Na", ("", "n", "NA", 14.007): "N",
        # Heavy hydrogen, and the oxygen that lost the mass.
        ("", "ho", "HO", 3.024): "H", ("", "oh", "OH", 13.984): "O",
        # Without masses what stands first; an element is taken at its word.
        ("", "", "LI", 0.0): "Li", ("", "1", "OW", 0.0): "O", ("CA", "c", "C", 12.0): "Ca", ("", "7", "7", 0.0): "",
        ("", "", "1HB", 0.0): "H",
    }  # fmt: skip
    assert {one: _symbol(*one) for one in told} == told


def test_smarts_tell_donors_apart_in_a_file_that_holds_symbols_only(tmp_path):
    """Ethylene carbonate without hydrogens' names: carbonyl and ring O differ by their bonds alone."""
    carbonate = np.array(
        [[0, 2.0, 0], [0, 0.8, 0], [1.1, 0, 0], [0.77, -1.38, 0], [-0.77, -1.38, 0], [-1.1, 0, 0],
         [1.17, -1.85, 0.9], [1.17, -1.85, -0.9], [-1.17, -1.85, 0.9], [-1.17, -1.85, -0.9]]
    )  # fmt: skip
    positions = np.vstack([carbonate + 4, [[4, 7.9, 4]]])
    write(tmp_path / "a.extxyz", Atoms("OCOCCOH4Li", positions, cell=[15, 15, 15], pbc=True))
    opened = open_trajectory(tmp_path / "a.extxyz")
    assert list(opened.select("smarts [#8X1]")) == [0]
    assert list(opened.select("smarts [#8X2]")) == [2, 5]
    assert len(set(opened.molecule_of[:10])) == 1
    assert opened.molecule_of[10] != opened.molecule_of[0]


def lammps(folder):
    """Li+ in six waters, as LAMMPS writes it: types are numbers, names and residues' names there are none."""
    rng, rows, bonds = np.random.default_rng(1), ["1 1 1 1.0 5 5 5"], []
    for number, axis in enumerate(np.vstack([np.eye(3), -np.eye(3)]), start=2):
        oxygen, tilt = 5 + 2 * axis, np.full(3, 0.3)
        for kind, place in ((2, oxygen), (3, oxygen + 0.7 * axis + tilt), (3, oxygen + 0.7 * axis - tilt)):
            rows.append(f"{len(rows) + 1} {number} {kind} 0.0 {place[0]} {place[1]} {place[2]}")
        bonds += [(len(rows) - 2, len(rows) - 1), (len(rows) - 2, len(rows))]
    head = f"LAMMPS\n\n{len(rows)} atoms\n{len(bonds)} bonds\n3 atom types\n1 bond types\n\n"
    box = "".join(f"0 15 {axis}lo {axis}hi\n" for axis in "xyz")
    masses = "\nMasses\n\n1 6.94\n2 15.9994\n3 1.008\n\nAtoms # full\n\n"
    bonded = "\n\nBonds\n\n" + "\n".join(f"{n} 1 {one} {two}" for n, (one, two) in enumerate(bonds, start=1)) + "\n"
    (folder / "s.data").write_text(head + box + masses + "\n".join(rows) + bonded)
    frames = []
    for step in range(5):
        frames.append(f"ITEM: TIMESTEP\n{100 * step}\nITEM: NUMBER OF ATOMS\n{len(rows)}\n")
        frames.append("ITEM: BOX BOUNDS pp pp pp\n" + "0 15\n" * 3 + "ITEM: ATOMS id type x y z\n")
        for row in rows:
            number, _, kind, _, *place = row.split()
            x, y, z = np.array(place, float) + rng.normal(0, 0.02, 3)
            frames.append(f"{number} {kind} {x:.4f} {y:.4f} {z:.4f}\n")
    (folder / "t.lammpstrj").write_text("".join(frames))
    return folder / "s.data", folder / "t.lammpstrj"


def test_a_lammps_run_is_read_by_its_masses_and_bonds(tmp_path):
    files = lammps(tmp_path)
    opened = open_trajectory(*files, timestep_ps=0.1)
    assert opened.symbols(np.arange(4)) == ["Li", "O", "H", "H"]
    assert opened.species_of(opened.molecule_of) == ["Li", *["H2O"] * 6]
    found = analyze_trajectory(opened, center="type 1", donors={"O": "type 2"}, r_max_A=6.0, n_bins=60)
    assert found.coordination[0].cn == 6.0
    assert found.speciation[0].shell == "6 H2O(1)"


def test_a_lammps_dump_that_is_cut_is_told(tmp_path):
    topology, frames = lammps(tmp_path)
    lines = frames.read_text().splitlines(keepends=True)
    for cut in (7, 20, 27):
        frames.write_text("".join(lines[:-cut]))
        with pytest.raises(TrajectoryError, match="truncated, 4 whole frames"):
            open_trajectory(topology, frames)
        assert open_trajectory(topology, frames, until_damage=True).n_frames == 4
