"""Vibrations of oscillators whose frequencies, masses and temperature are known."""

import MDAnalysis
import numpy as np
import pytest
from ase import Atoms
from ase.data import atomic_masses
from ase.io import write
from ase.units import _amu, _k

from solvation.errors import TrajectoryError
from solvation.patterns.vibrational_density import TOTAL, vibrational_density
from solvation.trajectory.frames import open_trajectory

KELVIN, FRAME_PS, N = 300.0, 0.003, 60
#: Wavenumbers of the oscillators, 1/cm.
SLOW, FAST = 500.0, 1700.0
C_CM_PS = 0.0299792458


def oscillators(rng, n_frames):
    """Carbon and oxygen on springs, thermal amplitudes and random phases: positions and velocities, Å and ps."""
    time = FRAME_PS * np.arange(n_frames)[:, None, None]
    parts = []
    for symbol, wavenumber in (("C", SLOW), ("O", FAST)):
        omega = 2 * np.pi * C_CM_PS * wavenumber
        mass = atomic_masses[{"C": 6, "O": 8}[symbol]] * _amu
        # Energy kT in each mode: amplitudes of both quadratures are Gaussian.
        speed_A_ps = np.sqrt(_k * KELVIN / mass) / 100
        a, b = rng.normal(0, speed_A_ps, (2, 1, N // 2, 3))
        parts.append(((a * np.sin(omega * time) - b * np.cos(omega * time)) / omega,
                      a * np.cos(omega * time) + b * np.sin(omega * time)))  # fmt: skip
    rest = rng.uniform(0, 12, (1, N, 3))
    return rest + np.concatenate([item[0] for item in parts], 1), np.concatenate([item[1] for item in parts], 1)


def write_trr(folder, positions, velocities, *, begin_ps=0.0, every=1):
    """A run with velocities in every `every`-th frame, its topology beside it."""
    universe = MDAnalysis.Universe.empty(N, 1, atom_resindex=[0] * N, trajectory=True, velocities=True)
    universe.add_TopologyAttr("elements", ["C"] * (N // 2) + ["O"] * (N // 2))
    universe.add_TopologyAttr("names", ["C"] * (N // 2) + ["O"] * (N // 2))
    universe.dimensions = [12, 12, 12, 90, 90, 90]
    universe.atoms.positions = positions[0]
    universe.atoms.write(str(folder / "v.pdb"))
    with MDAnalysis.Writer(str(folder / "v.trr"), N) as writer:
        for number in range(len(positions)):
            ts = universe.trajectory.ts
            ts.has_velocities = number % every == 0
            universe.atoms.positions = positions[number] % 12
            if ts.has_velocities:
                universe.atoms.velocities = velocities[number]
            ts.time = begin_ps + FRAME_PS * number
            ts.dimensions = [12, 12, 12, 90, 90, 90]
            writer.write(universe.atoms)
    return folder / "v.pdb", folder / "v.trr"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The same run as positions (extended XYZ), and with velocities (TRR)."""
    folder = tmp_path_factory.mktemp("vibrations")
    positions, velocities = oscillators(np.random.default_rng(5), 3000)
    symbols = f"C{N // 2}O{N // 2}"
    frames = []
    for number, frame in enumerate(positions):
        atoms = Atoms(symbols, frame, cell=[12] * 3, pbc=True)
        atoms.info["time_ps"] = FRAME_PS * number
        frames.append(atoms)
    write(folder / "p.extxyz", frames, columns=["symbols", "positions"])
    return {"displacements": (folder / "p.extxyz",), "velocities": write_trr(folder, positions, velocities)}


@pytest.mark.parametrize("source", ["displacements", "velocities"])
def test_each_oscillator_stands_at_its_wavenumber_with_its_share(files, source):
    found = vibrational_density(open_trajectory(*files[source]), resolution_cm=20)
    assert found.source == source
    width = found.wavenumber_cm[1]
    assert width == pytest.approx(20, rel=0.02)
    assert found.density[TOTAL].sum() * width == pytest.approx(1)
    assert found.density[TOTAL] == pytest.approx(found.density["C"] + found.density["O"])
    for element, wavenumber in (("C", SLOW), ("O", FAST)):
        density = found.density[element]
        assert found.wavenumber_cm[density.argmax()] == pytest.approx(wavenumber, abs=width)
        near = np.abs(found.wavenumber_cm - wavenumber) < 3 * width
        assert density[near].sum() / density.sum() > 0.99
        # Equipartition: half of the kinetic energy each, as well as 90 Gaussian amplitudes of both kinds tell.
        assert density.sum() * width == pytest.approx(0.5, abs=4 * 0.5 * np.sqrt(1 / 180))
    assert found.temperature_K == pytest.approx(KELVIN, rel=4 * np.sqrt(1 / 180))


def test_velocities_of_a_lammps_dump_are_not_taken_for_those_of_another_unit(tmp_path):
    """Å/fs in units real and Å/ps in units metal: the displacements know the temperature without either."""
    positions, velocities = oscillators(np.random.default_rng(5), 1200)
    lines = []
    for number, (place, speed) in enumerate(zip(positions, velocities / 1000, strict=True)):
        lines.append(f"ITEM: TIMESTEP\n{number}\nITEM: NUMBER OF ATOMS\n{N}\n")
        lines.append("ITEM: BOX BOUNDS pp pp pp\n" + "0 12\n" * 3 + "ITEM: ATOMS id type element x y z vx vy vz\n")
        lines += [
            f"{atom + 1} 1 {'CO'[atom >= N // 2]} "
            + " ".join(f"{value:.7f}" for value in (*place[atom], *speed[atom]))
            + "\n"
            for atom in range(N)
        ]
    (tmp_path / "v.lammpstrj").write_text("".join(lines))
    opened = open_trajectory(tmp_path / "v.lammpstrj", timestep_ps=FRAME_PS)
    assert opened.universe.trajectory.ts.has_velocities
    found = vibrational_density(opened, resolution_cm=40)
    assert found.source == "displacements"
    assert found.temperature_K == pytest.approx(KELVIN, rel=4 * np.sqrt(1 / 180))


def test_displacements_and_velocities_tell_the_same(files):
    one, other = (vibrational_density(open_trajectory(*names), resolution_cm=40) for names in files.values())
    highest = one.density[TOTAL].max()
    assert one.density[TOTAL] == pytest.approx(other.density[TOTAL], abs=0.01 * highest)
    assert one.temperature_K == pytest.approx(other.temperature_K, rel=0.01)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"every": 3}, r"frames every 9 fs show vibrations up to 1853 1/cm, .* save a frame every 6\.9 fs"),
        ({"resolution_cm": 1.0}, r"hold fewer than 3 windows of 33\.4 ps"),
    ],
)
def test_frames_that_cannot_tell_are_refused(files, changes, message):
    with pytest.raises(TrajectoryError, match=message):
        vibrational_density(open_trajectory(*files["displacements"]), **changes)


def test_hydrogen_asks_for_closer_frames(tmp_path):
    frames = [Atoms("H2", [[0.01 * n, 0, 0], [0.7, 0, 0]]) for n in range(5)]
    write(tmp_path / "h.extxyz", frames)
    with pytest.raises(TrajectoryError, match=r"up to 3336 1/cm, .* to 4000"):
        vibrational_density(open_trajectory(tmp_path / "h.extxyz", timestep_ps=0.005))
    with pytest.raises(TrajectoryError, match="holds no times"):
        vibrational_density(open_trajectory(tmp_path / "h.extxyz"))


def test_a_late_start_changes_no_wavenumber(tmp_path):
    # Times of single precision: between 8192 and 16384 ps they are whole numbers of 0.98 fs, and steps of 3 fs read so.
    moved = oscillators(np.random.default_rng(6), 2000)
    late = vibrational_density(open_trajectory(*write_trr(tmp_path, *moved, begin_ps=10000.0)), resolution_cm=40)
    soon = vibrational_density(open_trajectory(*write_trr(tmp_path, *moved)), resolution_cm=40)
    assert late.frame_ps == pytest.approx(FRAME_PS, rel=5e-4)
    for element in ("C", "O"):
        means = [found.wavenumber_cm @ found.density[element] / found.density[element].sum() for found in (late, soon)]
        assert means[0] == pytest.approx(means[1], rel=2e-3)


def test_what_is_skipped_takes_no_errors_away(files):
    trajectory = open_trajectory(*files["velocities"])
    found = vibrational_density(trajectory, resolution_cm=60, skip_ps=0.8 * 3000 * FRAME_PS)
    assert np.isfinite(found.stderr[TOTAL]).all()


def test_heavy_atoms_weigh_what_the_topology_says(files):
    trajectory = open_trajectory(*files["velocities"])
    trajectory.universe.atoms[: N // 2].masses = 3 * atomic_masses[6]
    heavy = vibrational_density(trajectory, resolution_cm=40)
    # Three times the mass at the same speed: three times the kinetic energy of C, whose share goes from 1/2 to 3/4.
    assert heavy.density["C"].sum() * heavy.wavenumber_cm[1] == pytest.approx(0.75, abs=0.07)


def test_velocities_in_some_frames_only_are_refused(tmp_path):
    files = write_trr(tmp_path, *oscillators(np.random.default_rng(6), 60), every=10)
    with pytest.raises(TrajectoryError, match=r"the frame at 0\.003 ps has no velocities, others have"):
        vibrational_density(open_trajectory(*files))
