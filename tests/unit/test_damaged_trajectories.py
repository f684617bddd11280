"""What becomes of files that are cut, damaged, uneven, in other units or in several images: used, or refused."""

import gc
import json
import math
import multiprocessing
from collections import Counter
from dataclasses import replace

import MDAnalysis
import numpy as np
import pytest
import scipy.io

from solvation.errors import TrajectoryError
from solvation.shells.analysis import analyze_trajectory, time_step_ps
from solvation.trajectory.frames import open_trajectory
from solvation.trajectory.window import frames_after
from solvation.transport.analysis import analyze_transport

N_FRAMES, N_IONS, EDGE_A = 120, 4, 15.0


def positions(number):
    """Four ions on a grid, each with three donors at 2 Å that another one joins now and then, and a gas around them."""
    rng = np.random.default_rng(number)
    ions = np.array([[3.5, 3.5, 3.5], [11, 3.5, 3.5], [3.5, 11, 3.5], [11, 11, 11]])
    directions = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [-1, 0, 0]])
    joined = 2.0 if number % 7 < 3 else 3.4
    near = ions[:, None] + directions * np.array([2, 2, 2, joined])[:, None] + rng.normal(0, 0.05, (4, 4, 3))
    return np.concatenate((ions, near.reshape(-1, 3), rng.uniform(0, EDGE_A, (40, 3))))


def written(folder, numbers=range(N_FRAMES), *, name="t.xtc", times_ps=None, images=False, scale=(1, 1)):
    """Topology and frames; positions and box are multiplied by `scale`."""
    n_atoms = len(positions(0))
    universe = MDAnalysis.Universe.empty(n_atoms, n_atoms, atom_resindex=np.arange(n_atoms), trajectory=True)
    universe.add_TopologyAttr("names", ["LI"] * N_IONS + ["O"] * (n_atoms - N_IONS))
    universe.add_TopologyAttr("resnames", ["LI"] * N_IONS + ["W"] * (n_atoms - N_IONS))
    rng = np.random.default_rng(99)
    with MDAnalysis.Writer(str(folder / name), n_atoms) as writer:
        for number in numbers:
            moved = positions(number) + images * EDGE_A * rng.integers(-3, 4, (n_atoms, 3))
            universe.atoms.positions = moved * scale[0]
            universe.dimensions = [EDGE_A * scale[1]] * 3 + [90] * 3
            universe.trajectory.ts.time = float(number if times_ps is None else times_ps[number])
            writer.write(universe.atoms)
    universe.dimensions = [EDGE_A] * 3 + [90] * 3
    universe.atoms.write(str(folder / "t.gro"))
    return folder / "t.gro", folder / name


def analysed(files, *, r_max_A=7.0, processes=1, **settings):
    opened = open_trajectory(*files, until_damage=True)
    return analyze_trajectory(
        opened, center="name LI", donors={"O": "name O"}, r_max_A=r_max_A, n_bins=70, processes=processes, **settings
    )


def numbers_of(found):
    """All that the tables hold, but for the words."""
    return (
        [(row.cn, row.cn_stderr) for row in found.coordination],
        found.rdf["O"].g.tolist(),
        found.speciation,
        [row.found.residence_ps for row in found.residence],
        [(row.leaves, row.enters, row.events) for row in found.transitions],
    )


@pytest.fixture
def damaged(tmp_path):
    """Files that hold 101 sound frames: cut in the 102nd, without its header, and with garbage in its coordinates."""
    files = written(tmp_path)
    offsets = open_trajectory(*files).universe.trajectory._xdr.offsets
    data, begin, end = files[1].read_bytes(), int(offsets[101]), int(offsets[102])
    (tmp_path / "cut.xtc").write_bytes(data[: (begin + end) // 2])
    (tmp_path / "header.xtc").write_bytes(data[:begin] + b"\0" * 40 + data[begin + 40 :])
    (tmp_path / "whole.xtc").write_bytes(data[:begin])
    trr = written(tmp_path, name="t.trr")[1].read_bytes()
    size = len(trr) // N_FRAMES
    place = 102 * size - 40
    far = np.array([1e9, math.nan], dtype=">f4").tobytes()
    (tmp_path / "garbage.trr").write_bytes(trr[:place] + far + trr[place + 8 :])
    (tmp_path / "whole.trr").write_bytes(trr[: 101 * size])
    return tmp_path


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize(
    ("name", "words"), [("cut.xtc", "truncated"), ("header.xtc", "frame 102"), ("garbage.trr", "frame 102")]
)
def test_all_before_the_damage_is_used_and_every_verdict_says_so(damaged, name, words, processes):
    top = damaged / "t.gro"
    found = analysed((top, damaged / name), processes=processes)
    whole = analysed((top, damaged / f"whole{name[-4:]}"))
    assert found.n_frames == whole.n_frames == 101
    assert words in found.damage
    assert "101" in found.damage
    assert all(row.verdict.startswith(found.damage) for row in found.coordination)
    assert whole.damage == ""
    ours, theirs = numbers_of(found), numbers_of(whole)
    assert ours[0] == theirs[0]
    # Blocks are cut for the length that the file promises; their mean is the same but for rounding.
    assert ours[1] == pytest.approx(theirs[1], rel=1e-9)
    assert ours[2:] == theirs[2:]


def test_a_dcd_whose_title_has_no_end_is_damaged(tmp_path):
    top, path = written(tmp_path, range(5), name="t.dcd")
    data = bytearray(path.read_bytes())
    data[92:96] = (2**30).to_bytes(4, "little")  # the length of its title
    path.write_bytes(data)
    with pytest.raises(TrajectoryError, match=r"t\.dcd: "):
        open_trajectory(top, path)


def test_a_dcd_with_a_damaged_cell_is_damaged(tmp_path):
    """MDAnalysis' reader raises StopIteration there, as if the file had ended."""
    top, path = written(tmp_path, range(5), name="t.dcd")
    data = bytearray(path.read_bytes())
    frame = (len(data) - 276) // 5
    data[19 - frame] = 128  # the sign of an angle of the last cell, after the marker of its record
    path.write_bytes(data)
    with pytest.raises(TrajectoryError, match=r"t\.dcd: truncated, 4 "):
        open_trajectory(top, path)


def test_a_netcdf_with_a_cell_of_zeros_is_damaged(tmp_path):
    """MDAnalysis raises a TypeError there."""
    files = written(tmp_path, range(5), name="t.nc")
    with scipy.io.netcdf_file(files[1], "a", mmap=False) as held:
        held.variables["cell_lengths"][3] = 0
    with pytest.raises(TrajectoryError, match=r"t\.nc: damaged, 3 of 5 frames"):
        list(open_trajectory(*files).frames())


@pytest.mark.parametrize("name", ["t.dcd", "t.nc"])
def test_a_reader_that_could_not_open_its_file_is_dropped_in_silence(tmp_path, name, monkeypatch):
    """It fails again where Python drops it, and Python would print that with a traceback."""
    top, _ = written(tmp_path, range(2))
    (tmp_path / name).write_text("nonsense")
    printed = []
    monkeypatch.setattr("sys.unraisablehook", printed.append)
    with pytest.raises(TrajectoryError, match=f"{name}: cannot be read"):
        open_trajectory(top, tmp_path / name)
    gc.collect()
    assert not printed


@pytest.fixture
def walks(tmp_path):
    """Twelve free walkers, 120 frames; the file as it is, cut in its 102nd frame, damaged there, and cut before it."""
    walk_A = 5 + np.cumsum(np.random.default_rng(5).normal(0, 0.4, (N_FRAMES, 12, 3)), axis=0)
    universe = MDAnalysis.Universe.empty(12, 12, atom_resindex=np.arange(12), trajectory=True)
    universe.add_TopologyAttr("names", ["O"] * 12)
    universe.add_TopologyAttr("resnames", ["W"] * 12)
    universe.add_TopologyAttr("resids", np.arange(1, 13))
    universe.dimensions = [EDGE_A] * 3 + [90] * 3
    with MDAnalysis.Writer(str(tmp_path / "t.trr"), 12) as writer:
        for number, positions_A in enumerate(walk_A):
            universe.atoms.positions = positions_A % EDGE_A
            universe.dimensions = [EDGE_A] * 3 + [90] * 3
            universe.trajectory.ts.time = float(number)
            writer.write(universe.atoms)
    universe.atoms.write(str(tmp_path / "t.gro"))
    data = (tmp_path / "t.trr").read_bytes()
    size = len(data) // N_FRAMES
    far = np.array([1e9, math.nan], dtype=">f4").tobytes()
    (tmp_path / "cut.trr").write_bytes(data[: 101 * size + size // 2])
    (tmp_path / "garbage.trr").write_bytes(data[: 102 * size - 40] + far + data[102 * size - 32 :])
    (tmp_path / "whole.trr").write_bytes(data[: 101 * size])
    return tmp_path


@pytest.mark.parametrize(("name", "words"), [("cut.trr", "truncated"), ("garbage.trr", "frame 102 of 120")])
def test_diffusion_before_the_damage_is_that_of_a_file_that_ends_there(walks, name, words):
    found, whole = (
        analyze_transport(
            open_trajectory(walks / "t.gro", walks / file, until_damage=True), species={"W": "all"}, keep_drift=True
        )
        for file in (name, "whole.trr")
    )
    assert found.n_frames == whole.n_frames == 101
    for ours, theirs in zip(found.rows, whole.rows, strict=True):
        damage, _, rest = ours.verdict.partition("used")
        assert words in damage
        assert rest.removeprefix("; ") == theirs.verdict
        assert repr(replace(ours, verdict="")) == repr(replace(theirs, verdict=""))
    assert found.rows[0].value > 0


@pytest.mark.parametrize(
    ("verb", "words", "record"),
    [
        ("transport", ("--species", "W=all", "--keep-drift"), None),
        ("scattering", ("--q-max", "3"), "structure_factor.json"),
        ("angles", ("--center", "index 0", "--donor", "O=index 1:11", "--cutoff", "O=7"), "angles.json"),
        ("vibrations", ("--timestep-ps", "0.002", "--resolution-cm", "500"), "vibrations.json"),
        ("density-map", ("--around", "index 0", "--of", "index 1:11", "--extent-A", "3"), "density.json"),
    ],
)
def test_every_verb_says_where_the_file_is_damaged(walks, solvation_in_process, verb, words, record):
    done = solvation_in_process(verb, walks / "t.gro", walks / "cut.trr", *words, "--out", walks / "out")
    assert done.code == 0, done.err
    assert "truncated: the 101 whole frames before are used" in done.err
    if record:
        told = json.loads((walks / "out" / record).read_text())["result"]["damage"]
        assert "101 whole frames" in told
    else:
        assert "101 whole frames" in (walks / "out" / "transport.csv").read_text()


def test_the_verdict_tells_what_the_cutoff_is_worth(tmp_path):
    found = analysed(written(tmp_path, range(20)))
    row = next(row for row in found.coordination if (row.donor, row.counted) == ("O", "atom"))
    curve = found.rdf["O"]
    low, high = np.interp([row.cutoff_A - 0.2, row.cutoff_A + 0.2], curve.r_A + 0.05, curve.n)
    assert row.verdict.endswith(f"{low:.2f} to {high:.2f} for cutoffs within 0.2 Å")
    assert low <= row.cn <= high


@pytest.mark.parametrize("processes", [1, 2])
def test_time_is_skipped_in_a_damaged_file_as_in_a_whole_one(damaged, processes):
    files = damaged / "t.gro", damaged / "garbage.trr"
    opened = open_trajectory(*files, until_damage=True)
    settings = {"center": "name LI", "donors": {"O": "name O"}, "r_max_A": 7.0, "n_bins": 70, "skip_ps": 20}
    found = analyze_trajectory(opened, **settings, processes=processes)
    whole = analyze_trajectory(open_trajectory(damaged / "t.gro", damaged / "whole.trr"), **settings)
    ours, theirs = numbers_of(found), numbers_of(whole)
    assert (found.n_frames, ours[0], ours[2:]) == (81, theirs[0], theirs[2:])
    assert ours[1] == pytest.approx(theirs[1], rel=1e-9)  # its blocks are cut elsewhere
    # The verbs warn of it and record it.
    assert opened.damage == found.damage == "the file is damaged at frame 102 of 120: the 101 before are used"
    # The same file once more: what comes after the damage is not used then either, unless all before it is skipped.
    assert analyze_trajectory(opened, **settings, processes=processes).n_frames == 81
    assert analyze_trajectory(opened, **(settings | {"skip_ps": 110})).n_frames == 10
    with pytest.raises(TrajectoryError, match="nothing is left after skip_ps 200 of 119 ps"):
        analyze_trajectory(opened, **(settings | {"skip_ps": 200}))


@pytest.mark.parametrize("processes", [1, 2])
def test_time_is_skipped_frame_by_frame_in_a_file_of_several_runs(tmp_path, processes):
    """Three runs of 100 ps in one file: the first 50 ps of each are left out, as the other verbs do."""
    runs = written(tmp_path, range(300), times_ps=[*range(100)] * 3)
    left = written(tmp_path, [number for number in range(300) if number % 100 >= 50], name="left.xtc")
    assert len(list(frames_after(open_trajectory(*runs), 50))) == 150
    found, alone = analysed(runs, skip_ps=50, processes=processes), analysed(left)
    assert found.n_frames == 150
    assert "not evenly spaced (frame 51 at 50 ps after 99 ps)" in found.coordination[0].verdict
    assert found.rdf["O"].n == pytest.approx(alone.rdf["O"].n, rel=1e-12)
    assert [row.cn for row in found.coordination] == [row.cn for row in alone.coordination]


def test_no_break_longer_than_the_tolerance_is_closed(tmp_path):
    # Frames 1 ps apart: 2.9 ps are two of them, 0.9 ps none.
    files = written(tmp_path)
    windows = {asked: analysed(files, tolerance_ps=asked).window_ps for asked in (0.0, 0.9, 2.9, 3.0)}
    assert windows == {0.0: 0.0, 0.9: 0.0, 2.9: 2.0, 3.0: 3.0}
    rows = {(row.counted, row.measure): row.found for row in analysed(files, tolerance_ps=0.0).residence}
    assert rows["atom", "intermittent"].residence_ps == rows["atom", "continuous"].residence_ps


@pytest.mark.parametrize("name", ["t.xtc", "t.trr"])
def test_no_flipped_bit_ends_the_process(tmp_path, name):
    """MDAnalysis' library trusts lengths, and leaves its memory where they are wrong: in a process of its own."""
    topology, path = written(tmp_path, range(4), name=name)
    good = path.read_bytes()
    offsets = [int(one) for one in open_trajectory(topology, path).universe.trajectory._xdr.offsets]
    heads = [place + byte for place in offsets[:3] for byte in range(92)]

    def read_all():
        seen = Counter()
        for byte in [*heads, *range(0, len(good), 11)]:
            for bit in (0x01, 0x10, 0x80):
                data = bytearray(good)
                data[byte] ^= bit
                (tmp_path / f"bad{name}").write_bytes(data)
                try:
                    opened = open_trajectory(topology, tmp_path / f"bad{name}", until_damage=True)
                    seen[sum(1 for _ in opened.frames())] += 1
                except TrajectoryError:
                    seen["refused"] += 1
        # The first frame is refused, those before a later one are used; bits of a place or a time are not seen.
        assert min(seen["refused"], seen[1], seen[2], seen[4]) > 10, seen

    reader = multiprocessing.get_context("fork").Process(target=read_all)
    reader.start()
    reader.join()
    assert reader.exitcode == 0


def test_a_head_that_is_none_is_told_in_one_line(damaged, solvation_in_process):
    data = bytearray((damaged / "t.xtc").read_bytes())
    begin = int(open_trajectory(damaged / "t.gro", damaged / "t.xtc").universe.trajectory._xdr.offsets[101])
    data[begin + 85] ^= 0x10
    (damaged / "late.xtc").write_bytes(data)
    found = analysed((damaged / "t.gro", damaged / "late.xtc"))
    assert (found.n_frames, found.damage) == (101, "the file is damaged at frame 102: the 101 before are used")
    with pytest.raises(
        TrajectoryError, match=r"late\.xtc: damaged, 101 frames can be read \(a range of coordinates that"
    ):
        open_trajectory(damaged / "t.gro", damaged / "late.xtc")
    data[85] ^= 0x10
    (damaged / "first.xtc").write_bytes(data)
    call = ("analyze", damaged / "t.gro", damaged / "first.xtc", "--center", "name LI", "--donor", "O=name O")
    solvation_in_process(*call).refused_by("its first frame is damaged: a range of coordinates that is none")


def test_frames_are_found_in_the_file_and_not_in_what_lies_beside_it(tmp_path):
    """MDAnalysis keeps where frames begin in a hidden file; a wrong one leads it astray, and the file is not ours."""
    files = written(tmp_path, range(5))
    expected = [frame.positions_A for frame in open_trajectory(*files).frames()]
    np.savez(tmp_path / ".t.xtc_offsets.npz", offsets=np.full(5, 8))
    assert np.array_equal([frame.positions_A for frame in open_trajectory(*files).frames()], expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".t.xtc_offsets.npz", "t.gro", "t.xtc"]


@pytest.mark.parametrize("name", ["t.xtc", "t.trr"])
def test_frames_without_a_topology_are_atoms_without_names(tmp_path, name):
    files = written(tmp_path, range(5), name=name)
    expected = [frame.positions_A for frame in open_trajectory(*files).frames()]
    assert np.array_equal([frame.positions_A for frame in open_trajectory(files[1]).frames()], expected)
    data = bytearray(files[1].read_bytes())
    data[11] ^= 1
    data[85] ^= 0x10
    files[1].write_bytes(data)
    with pytest.raises(TrajectoryError, match="its first frame is damaged"):
        open_trajectory(files[1])


@pytest.mark.parametrize(("n_atoms", "edge_A"), [(3, 20), (10, 5), (11, 20), (300, 2e5), (2000, 9)])
def test_every_sound_frame_is_as_mdanalysis_reads_it(tmp_path, n_atoms, edge_A):
    """Few atoms are not packed, those of a wide range one by one, and neighbours in runs."""
    rng = np.random.default_rng(n_atoms)
    universe = MDAnalysis.Universe.empty(n_atoms, trajectory=True)
    places = [np.cumsum(rng.normal(0, 0.3, (n_atoms, 3)), axis=0) + rng.uniform(0, edge_A, 3) for _ in range(3)]
    places += [rng.uniform(0, edge_A, (n_atoms, 3)), np.zeros((n_atoms, 3))]
    with MDAnalysis.Writer(str(tmp_path / "t.xtc"), n_atoms) as writer:
        for place in places:
            universe.atoms.positions = place
            writer.write(universe.atoms)
    universe.add_TopologyAttr("names", ["O"] * n_atoms)
    universe.atoms.write(str(tmp_path / "t.gro"))
    opened = open_trajectory(tmp_path / "t.gro", tmp_path / "t.xtc")
    theirs = MDAnalysis.Universe(str(tmp_path / "t.gro"), str(tmp_path / "t.xtc")).trajectory
    assert opened.n_frames == len(theirs) == len(places)
    for ours, step in zip(opened.frames(), theirs, strict=True):
        assert np.array_equal(ours.positions_A, step.positions.astype(float))


def test_a_damaged_file_is_refused_where_that_is_not_asked_for(damaged):
    with pytest.raises(TrajectoryError, match="truncated, 101 whole frames"):
        open_trajectory(damaged / "t.gro", damaged / "cut.xtc")
    with pytest.raises(TrajectoryError, match="damaged, 101 of 120 frames can be read"):
        list(open_trajectory(damaged / "t.gro", damaged / "garbage.trr").frames())


def test_a_file_without_one_whole_frame_is_refused(damaged):
    data = (damaged / "t.xtc").read_bytes()
    (damaged / "stump.xtc").write_bytes(data[:150])
    with pytest.raises(TrajectoryError, match=r"stump\.xtc"):
        analysed((damaged / "t.gro", damaged / "stump.xtc"))


def test_two_processes_give_what_one_gives(tmp_path):
    files = written(tmp_path)
    one, two = analysed(files, skip_ps=7), analysed(files, skip_ps=7, processes=2)
    assert one.n_frames == two.n_frames == N_FRAMES - 7
    assert numbers_of(one) == numbers_of(two)
    assert one.rdf["O"].g_stderr.tolist() == two.rdf["O"].g_stderr.tolist()


def test_a_mixture_of_wrapped_and_unwrapped_atoms_is_the_same_liquid(tmp_path):
    plain, mixed = written(tmp_path, name="a.trr"), written(tmp_path, name="b.trr", images=True)
    one, other = analysed(plain), analysed(mixed)
    assert numbers_of(other)[0] == numbers_of(one)[0]
    assert numbers_of(other)[2:] == numbers_of(one)[2:]
    # Single precision of a place 45 Å away puts a pair in hundreds of thousands into the next bin.
    assert other.rdf["O"].n == pytest.approx(one.rdf["O"].n, abs=0.01)


def test_frames_that_are_not_evenly_spaced_have_numbers_but_no_times(tmp_path):
    times_ps = [number + 50.0 * (number > 59) for number in range(N_FRAMES)]
    even, found = analysed(written(tmp_path)), analysed(written(tmp_path, name="u.xtc", times_ps=times_ps))
    said = "frames are not evenly spaced (frame 61 at 110 ps after 59 ps)"
    assert all(said in row.verdict for row in found.coordination)
    assert [row.cn for row in found.coordination] == [row.cn for row in even.coordination]
    assert all(math.isnan(row.found.residence_ps) for row in found.residence)
    assert found.transitions == ()
    assert any(row.found.residence_ps > 0 for row in even.residence)


def test_times_of_single_precision_are_even():
    times_ps = np.float32(1e6) + np.arange(1000, dtype=np.float32) * np.float32(0.3)
    assert time_step_ps(times_ps.astype(float))[0] == pytest.approx(0.3, abs=0.1)
    assert math.isnan(time_step_ps(np.zeros(5))[0])


@pytest.mark.parametrize(("begin_ps", "step_ps"), [(0, 1.0), (1e6, 1.0), (5e5, 0.5)])
def test_one_missing_frame_is_noticed_however_late(begin_ps, step_ps):
    times_ps = np.delete(begin_ps + step_ps * np.arange(1000.0), 500)
    frame_ps, said = time_step_ps(times_ps)
    assert math.isnan(frame_ps)
    assert "not evenly spaced (frame 501" in said


def test_frames_without_times_have_no_step():
    assert time_step_ps(np.array([math.nan, math.nan])) == (pytest.approx(math.nan, nan_ok=True), "")


@pytest.mark.parametrize(
    ("scale", "message"),
    [((1, 0.1), "atoms in each Å³"), ((0.1, 0.1), "is it in nm"), ((0.1, 1), "are the positions in nm")],
    ids=["box in nm", "both in nm", "positions in nm"],
)
def test_nanometres_are_told_from_angstroms(tmp_path, scale, message):
    files = written(tmp_path, range(3), name="t.trr", scale=scale)
    with pytest.raises(TrajectoryError, match=message):
        analysed(files, r_max_A=0.5)


def test_a_range_beyond_half_the_box_is_refused_with_the_half(tmp_path):
    with pytest.raises(TrajectoryError, match=r"8 Å exceeds half the shortest width of the box, 7\.50 Å"):
        analysed(written(tmp_path, range(3)), r_max_A=8.0)
