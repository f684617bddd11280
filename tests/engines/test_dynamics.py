"""Molecular dynamics: forces, ensemble and units, and runs that do not depend on where they were cut.

Model potentials appear only where the integrator is tested; everything about energies runs tblite.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from ase import units
from ase.calculators.calculator import Calculator, all_changes

from solvation.dynamics import langevin
from solvation.dynamics.forces import Walled, wall
from solvation.dynamics.langevin import BLOCK_STEPS, COLUMNS, State, advance, prepare, schedule
from solvation.dynamics.segments import join, run_segment
from solvation.engines import calculator_for
from solvation.errors import EngineFailed, ResultsError, StudyError, TrajectoryError
from solvation.liquids.packing import PackedSystem, pack
from solvation.species import build_molecule
from solvation.study import Level, MolecularDynamics, Species, card_of

pytestmark = pytest.mark.engine

SPECIES = {"Li+": Species(smiles="[Li+]"), "water": Species(smiles="O")}
MOLECULES = {name: build_molecule(name, species) for name, species in SPECIES.items()}
COMPOSITION = {"Li+": 1, "water": 2}
GFN1 = Level.model_validate("gfn1")
CLI = "import typer; from solvation.cli.dynamics import register; app = typer.Typer(); register(app); app()"


def settings_of(**changes):
    values = {
        "composition": COMPOSITION, "length_ps": 0.05, "equilibration_ps": 0.0, "timestep_fs": 0.5, "segments": 1,
        "save_every_fs": 1.0, "density_g_cm3": 1.0,
    }  # fmt: skip
    return MolecularDynamics.model_validate(values | changes)


def start_of(settings, seed=1):
    rng = np.random.default_rng(seed)
    system = pack(MOLECULES, settings.composition, shape="droplet", density_g_cm3=1.0, rng=rng)
    return prepare(system, settings, rng)


@pytest.fixture(scope="module")
def start():
    return start_of(settings_of())


def verb(*arguments):
    """Start a verb in a process of its own, with the one thread for which bit-identity is promised."""
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", CLI, *map(str, arguments)],
        env=os.environ | one_thread,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    _, told = process.communicate(timeout=300)
    assert process.returncode == 0, told
    return told


def card(segments):
    settings = settings_of(length_ps=0.1, segments=segments)
    return card_of(settings=settings, species=SPECIES, seed=7, name="tiny")


@pytest.fixture(scope="module")
def chains(tmp_path_factory):
    """One run of 200 steps uncut, and the same run in three segments; by the verbs of the command."""
    folders = {}
    for segments in (1, 3):
        folder = folders[segments] = tmp_path_factory.mktemp(f"cut{segments}")
        finish(verb("pack", "--card", card(segments), "--output", folder))
        previous, parts = folder / "start.npz", []
        for number in range(1, segments + 1):
            parts.append(folder / "parts" / f"{number}.npz")
            finish(
                verb("md", "--card", card(segments), "--segment", number, "--start", previous, "--output", parts[-1])
            )
            previous = parts[-1]
        finish(verb("join", "--card", card(segments), "--output", folder, *parts))
    return folders


def test_packing_tells_what_it_packed_and_what_that_took(chains):
    made = json.loads((chains[1] / "packing.json").read_text())
    assert (made["step"], made["card"]["name"]) == ("pack", "tiny")
    assert made["cpu_s"] > 0
    assert made["result"]["molecules"] == sum(settings_of(length_ps=0.1).composition.values())


# --- forces -----------------------------------------------------------------------------------------------------


def test_wall_is_the_gradient_of_its_energy_and_pushes_nothing_as_a_whole():
    rng = np.random.default_rng(5)
    positions_A, masses_u = rng.normal(size=(9, 3)) * 4, rng.uniform(1, 20, 9)
    residues = np.repeat([0, 1, 2], 3)
    energy_eV, forces = wall(positions_A, masses_u, residues, 1.5)
    assert energy_eV > 0.05
    for atom, axis in np.ndindex(9, 3):
        moved = [positions_A.copy(), positions_A.copy()]
        moved[0][atom, axis] += 1e-4
        moved[1][atom, axis] -= 1e-4
        up, down = (wall(item, masses_u, residues, 1.5)[0] for item in moved)
        assert forces[atom, axis] == pytest.approx(-(up - down) / 2e-4, abs=1e-7)
    assert forces.sum(axis=0) == pytest.approx(np.zeros(3), abs=1e-12)


def test_wall_pulls_an_escaped_molecule_back_and_leaves_the_others_alone():
    positions_A = np.array([[0.0, 0, 0], [1, 0, 0], [20, 0, 0]])
    masses_u, residues = np.array([1000.0, 1, 1]), np.array([0, 1, 2])
    _, forces = wall(positions_A, masses_u, residues, 10.0)
    assert forces[2, 0] < -0.9
    assert abs(forces[1, 0]) < 0.01
    assert wall(positions_A, masses_u, residues, 25.0)[0] == 0
    assert not wall(positions_A, masses_u, residues, np.inf)[1].any()


def test_forces_of_engine_and_wall_together_are_the_gradient(start):
    atoms = start.atoms()
    squeezed = State(**{name: getattr(start, name) for name in start.__slots__} | {"wall_radius_A": 1.0})
    wall_of = (squeezed.masses_u, squeezed.residues, squeezed.wall_radius_A)
    atoms.calc = Walled(calculator_for(GFN1, charge=1), *wall_of)
    forces = atoms.get_forces()
    assert atoms.calc.wall_energy_eV > 0
    for atom, axis in ((0, 0), (1, 2), (3, 1)):
        energies = []
        for shift in (0.005, -0.005):
            moved = atoms.copy()
            moved.positions[atom, axis] += shift
            moved.calc = Walled(
                calculator_for(GFN1, charge=1), squeezed.masses_u, squeezed.residues, squeezed.wall_radius_A
            )
            energies.append(moved.get_potential_energy())
        assert forces[atom, axis] == pytest.approx(-(energies[0] - energies[1]) / 0.01, abs=2e-3)


def test_the_run_has_charge_plus_one(start):
    from tblite.interface import Calculator as Interface

    piece = advance(start, settings_of(), steps=4, save_steps=4)
    energies_eV = []
    for charge in (1.0, 0.0):
        engine = Interface(
            "GFN1-xTB", start.numbers, piece.state.positions_A / units.Bohr, charge=charge, uhf=int(charge == 0)
        )
        engine.set("verbosity", 0)
        energies_eV.append(float(engine.singlepoint().get("energy")) * units.Hartree)
    assert piece.rows[0][COLUMNS.index("potential_energy_eV")] == pytest.approx(energies_eV[0], abs=1e-5)
    assert abs(energies_eV[0] - energies_eV[1]) > 1


# --- ensemble and units -----------------------------------------------------------------------------------------


class Springs(Calculator):
    """Each atom on a spring of its own; only for the integrator."""

    implemented_properties = ["energy", "free_energy", "forces"]  # noqa: RUF012
    stiffness_eV_A2 = 60.0

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        x = self.atoms.positions
        self.results = {
            "energy": 0.5 * self.stiffness_eV_A2 * float(np.sum(x**2)),
            "free_energy": 0.5 * self.stiffness_eV_A2 * float(np.sum(x**2)),
            "forces": -self.stiffness_eV_A2 * x,
        }


def free_state(n_atoms, seed):
    rng = np.random.default_rng(seed)
    zeros = np.zeros((n_atoms, 3))
    return State(
        numbers=np.full(n_atoms, 18), masses_u=np.full(n_atoms, 12.0), residues=np.arange(n_atoms),
        bonds=np.zeros((0, 2), int), charge=0, multiplicity=1, wall_radius_A=np.inf, cell_A=np.zeros(3),
        positions_A=zeros, momenta=zeros, generator=json.dumps(rng.bit_generator.state), step=0,
    )  # fmt: skip


@pytest.mark.parametrize("phase", [0.1, 0.8])
def test_langevin_reaches_temperature_and_width_of_a_harmonic_well(monkeypatch, phase):
    """<x^2> is kT/k and <v^2> of half steps kT/m even where omega dt = 0.8; at full steps BAOAB lacks a known part.

    Each of 150 coordinates is an independent sample; its error is that of the mean over coordinates.
    """
    monkeypatch.setattr(langevin, "calculator_for", lambda *_, **__: Springs())
    omega_per_fs = np.sqrt(Springs.stiffness_eV_A2 / 12.0) / (1e15 * 1.0180505e-14)
    timestep_fs = phase / omega_per_fs
    settings = settings_of(
        timestep_fs=timestep_fs, save_every_fs=timestep_fs, friction_per_ps=200 * omega_per_fs, temperature_K=313.0,
        hydrogen_mass_u=3.0, length_ps=1000,
    )  # fmt: skip
    state = advance(free_state(50, seed=8), settings, steps=round(100 / phase), save_steps=10**9).state
    piece = advance(state, settings, steps=3000, save_steps=1)
    kT_eV = 8.617333262e-5 * 313.0
    squares = np.mean(piece.frames_A.astype(float) ** 2, axis=0).ravel()
    error = squares.std(ddof=1) / np.sqrt(squares.size)
    assert error < 0.05 * kT_eV / Springs.stiffness_eV_A2
    assert abs(squares.mean() - kT_eV / Springs.stiffness_eV_A2) < 4 * error
    temperatures_K = piece.rows[:, COLUMNS.index("temperature_K")].reshape(15, -1).mean(axis=1)
    assert abs(temperatures_K.mean() - 313.0) < 4 * temperatures_K.std(ddof=1) / np.sqrt(15)
    kinetic_eV = piece.rows[:, COLUMNS.index("kinetic_energy_eV")].reshape(15, -1).mean(axis=1) / 75
    expected_eV = kT_eV * (1 - phase**2 / 4)
    assert abs(kinetic_eV.mean() - expected_eV) < 4 * kinetic_eV.std(ddof=1) / np.sqrt(15)


def test_start_has_the_temperature_and_every_block_new_noise(monkeypatch):
    monkeypatch.setattr(langevin, "calculator_for", lambda *_, **__: Springs())
    rng = np.random.default_rng(2)
    ions = PackedSystem((MOLECULES["Li+"],) * 400, rng.uniform(0, 1, (400, 3)), 50.0, None)
    first = prepare(ions, settings_of(temperature_K=313.0), rng)
    temperature_K = float(np.mean(first.momenta**2 / first.masses_u[:, None])) / 8.617333262e-5
    assert temperature_K == pytest.approx(313.0, abs=4 * 313 * np.sqrt(2 / 1200))
    assert first.momenta.std() > 0
    second = advance(first, settings_of(), steps=1, save_steps=1).state
    third = advance(second, settings_of(), steps=1, save_steps=1).state
    assert len({first.generator, second.generator, third.generator}) == 3


def test_friction_per_ps_stops_free_particles_in_picoseconds(monkeypatch):
    """The mean velocity of free particles decays as exp(-friction t)."""
    monkeypatch.setattr(langevin, "calculator_for", lambda *_, **__: Springs())
    monkeypatch.setattr(Springs, "stiffness_eV_A2", 0.0)
    state = free_state(500, seed=3)
    thermal = np.sqrt(12.0 * 8.617333262e-5 * 313.0)
    moving = State(
        **{name: getattr(state, name) for name in state.__slots__} | {"momenta": np.full((500, 3), 2 * thermal)}
    )
    end = advance(moving, settings_of(friction_per_ps=5.0, timestep_fs=1.0), steps=200, save_steps=10**9).state
    assert end.momenta.mean() / thermal == pytest.approx(2 * np.exp(-1.0), abs=4 / np.sqrt(1500))


def test_period_of_h2_is_that_of_its_curvature():
    """Time in fs, masses in u, forces in eV/Å: one wrong factor moves the period."""
    molecule = build_molecule("H2", Species(smiles="[H][H]"))
    separations_A = np.linspace(0.74, 0.82, 9)
    energies_eV = []
    for separation_A in separations_A:
        atoms = PackedSystem((molecule,), np.array([[0, 0, 0], [separation_A, 0, 0]]), None, None).atoms
        atoms.calc = calculator_for(GFN1, charge=0)
        energies_eV.append(atoms.get_potential_energy())
    cubic = np.polyfit(separations_A, energies_eV, 4)
    rest_A = min(np.roots(np.polyder(cubic)).real, key=lambda root: abs(root - 0.775))
    curvature_J_m2 = np.polyval(np.polyder(cubic, 2), rest_A) * 1.602176634e-19 / 1e-20
    period_fs = 2 * np.pi * np.sqrt(0.504 * 1.66053907e-27 / curvature_J_m2) * 1e15

    state = State(
        numbers=np.array([1, 1]), masses_u=np.full(2, 1.008), residues=np.array([0, 0]), bonds=np.array([[0, 1]]),
        charge=0, multiplicity=1, wall_radius_A=np.inf, cell_A=np.zeros(3),
        positions_A=np.array([[0, 0, 0], [rest_A + 0.005, 0, 0]]), momenta=np.zeros((2, 3)),
        generator=json.dumps(np.random.default_rng(1).bit_generator.state), step=0,
    )  # fmt: skip
    settings = settings_of(timestep_fs=0.2, save_every_fs=0.2, friction_per_ps=1e-9)
    frames = advance(state, settings, steps=200, save_steps=1).frames_A
    stretch = np.linalg.norm(frames[:, 1] - frames[:, 0], axis=1) - rest_A
    down = np.flatnonzero((stretch[:-1] > 0) & (stretch[1:] <= 0))
    crossings = down + stretch[down] / (stretch[down] - stretch[down + 1])
    assert len(crossings) >= 4
    measured_fs = 0.2 * np.diff(crossings).mean()
    assert measured_fs == pytest.approx(period_fs, rel=0.01)


def test_energy_is_kept_without_friction(start):
    settings = settings_of(friction_per_ps=1e-9)
    state, rows = start, []
    for _ in range(6):
        piece = advance(state, settings, steps=BLOCK_STEPS, save_steps=1)
        state = piece.state
        rows.append(piece.rows)
    table = np.vstack(rows)
    potential, kinetic = table[:, 2] + table[:, 5], table[:, 3]
    total = potential + kinetic
    assert kinetic.std() > 0.01
    assert total.std() < 0.05 * kinetic.std()
    assert abs(np.polyfit(table[:, 1], total, 1)[0]) < 0.05  # eV/ps


def test_heavy_hydrogens_are_heavy_and_slow():
    state = start_of(settings_of(hydrogen_mass_u=3.0))
    assert sorted(set(state.masses_u[state.numbers == 1])) == [3.0]
    assert state.masses_u[state.numbers == 8] == pytest.approx(15.999, abs=1e-3)


# --- segments ---------------------------------------------------------------------------------------------------


def test_cut_run_equals_uncut_run_bit_for_bit(chains):
    whole, cut = chains[1], chains[3]
    for name in ("start.npz", "parts/{}.npz"):
        one, other = State.load(whole / name.format(1)), State.load(cut / name.format(3))
        for field in State.__slots__:
            assert np.array_equal(getattr(one, field), getattr(other, field)), field
    for name in ("trajectory.xtc", "log.csv", "topology.pdb", "donors.json"):
        assert (whole / name).read_bytes() == (cut / name).read_bytes(), name


def test_killed_segment_goes_on_to_the_same_end(chains, tmp_path):
    folder, output = chains[1], tmp_path / "1.npz"
    call = ("md", "--card", card(1), "--segment", 1, "--start", folder / "start.npz", "--output", output)
    partial = output.with_suffix(".partial.npz")
    process = verb(*call)
    deadline = time.monotonic() + 120
    while not partial.is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert 0 < State.load(partial).step < 200
    assert not output.is_file()
    assert "resumed" in finish(verb(*call))
    assert not partial.is_file()
    for suffix in (".xtc", ".csv"):
        assert output.with_suffix(suffix).read_bytes() == (folder / "parts" / "1").with_suffix(suffix).read_bytes()
    assert np.array_equal(State.load(output).positions_A, State.load(folder / "parts" / "1.npz").positions_A)


def test_what_the_chain_leaves_is_read_by_mdanalysis(chains):
    import MDAnalysis as mda

    folder = chains[3]
    universe = mda.Universe(str(folder / "topology.pdb"), str(folder / "trajectory.xtc"))
    times_ps = [frame.time for frame in universe.trajectory]
    assert times_ps == pytest.approx(np.arange(1, 101) * 0.001, abs=1e-6)
    assert universe.dimensions is None
    universe.trajectory[-1]
    assert universe.atoms.positions == pytest.approx(State.load(folder / "parts" / "3.npz").positions_A, abs=6e-4)
    with (folder / "log.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == COLUMNS
    assert [int(row["step"]) for row in rows] == list(range(2, 201, 2))
    record = json.loads((folder / "record.json").read_text())
    assert record["seed"] == 7
    assert record["n_frames"] == 100
    assert any(name.endswith("topology.pdb") for name in record["inputs_sha256"])


def test_partial_of_other_settings_is_not_used(start, tmp_path):
    start.save(tmp_path / "start.npz")
    output = tmp_path / "1.npz"
    start.save(output.with_suffix(".partial.npz"), identity="another run")
    told = []
    run_segment(tmp_path / "start.npz", output, settings_of(length_ps=0.0125), segment=1, say=told.append)
    assert any("other settings" in line for line in told)
    assert State.load(output).step == 25


def test_wrong_or_torn_start_is_refused(start, tmp_path):
    settings = settings_of(segments=2, length_ps=0.025)
    path = tmp_path / "start.npz"
    with pytest.raises(TrajectoryError, match="does not exist"):
        run_segment(path, tmp_path / "1.npz", settings, segment=1)
    start.save(path)
    with pytest.raises(TrajectoryError, match="stands at step 0, but the segment runs from 25 to 50"):
        run_segment(path, tmp_path / "2.npz", settings, segment=2)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(TrajectoryError, match=r"start\.npz"):
        run_segment(path, tmp_path / "1.npz", settings, segment=1)


def test_join_refuses_a_missing_segment(chains, tmp_path):
    parts = [chains[3] / "parts" / "1.npz", chains[3] / "parts" / "3.npz"]
    with pytest.raises(TrajectoryError, match="run the missing ones"):
        join(parts, settings_of(length_ps=0.1, segments=3), trajectory=tmp_path / "t.xtc", log=tmp_path / "l.csv")
    assert not list(tmp_path.iterdir())


def copied(chains, tmp_path):
    """The three segments of the cut run, to be damaged."""
    parts = shutil.copytree(chains[3] / "parts", tmp_path / "parts")
    return [parts / f"{number}.npz" for number in (1, 2, 3)]


def joined(parts, tmp_path):
    join(parts, settings_of(length_ps=0.1, segments=3), trajectory=tmp_path / "t.xtc", log=tmp_path / "l.csv")


@pytest.mark.parametrize("suffix", [".xtc", ".csv"])
def test_a_damaged_segment_is_named_and_made_anew(chains, tmp_path, suffix):
    parts = copied(chains, tmp_path)
    file = parts[1].with_suffix(suffix)
    whole = file.read_bytes()
    # One bit of a coordinate, which the format does not notice; the end of a log; and all of it.
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for damaged, told in ((bytes(flipped), "checksum differs"), (whole[:-40], "checksum differs"), (None, "is gone")):
        file.unlink() if damaged is None else file.write_bytes(damaged)
        checkpoint = parts[1].read_bytes()
        with pytest.raises(ResultsError, match=rf"2\{suffix}: .*{told}.*; run the study again, which makes 2 anew"):
            joined(parts, tmp_path)
        assert [part.is_file() for part in parts] == [True, False, True]
        assert not (tmp_path / "t.xtc").exists()
        file.write_bytes(whole)
        parts[1].write_bytes(checkpoint)
    joined(parts, tmp_path)
    assert (tmp_path / "t.xtc").read_bytes() == (chains[3] / "trajectory.xtc").read_bytes()


def test_a_torn_checkpoint_is_a_damaged_segment(chains, tmp_path):
    parts = copied(chains, tmp_path)
    parts[2].write_bytes(parts[2].read_bytes()[:900])
    with pytest.raises(ResultsError, match=r"3\.npz: cannot be read .*makes 3 anew"):
        joined(parts, tmp_path)
    assert not parts[2].exists()


def test_segments_of_older_versions_have_no_checksums_and_are_joined_where_frames_and_log_agree(chains, tmp_path):
    parts = copied(chains, tmp_path)
    for part in parts:
        stored = dict(langevin.load_arrays(part))
        del stored["sha256"]
        np.savez(part, **stored)
    joined(parts, tmp_path)
    assert (tmp_path / "t.xtc").read_bytes() == (chains[3] / "trajectory.xtc").read_bytes()
    assert (tmp_path / "l.csv").read_bytes() == (chains[3] / "log.csv").read_bytes()
    log = parts[1].with_suffix(".csv")
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:-3]))
    with pytest.raises(ResultsError, match=r"2\.csv: has other steps than the frames beside it"):
        joined(parts, tmp_path)
    frames = parts[2].with_suffix(".xtc")
    frames.write_bytes(frames.read_bytes()[:-8])
    stored = langevin.load_arrays(chains[3] / "parts" / "2.npz")
    del stored["sha256"]
    np.savez(parts[1], **stored)
    log.write_text(chains[3].joinpath("parts", "2.csv").read_text())
    with pytest.raises(ResultsError, match=r"3\.xtc: cannot be read .*makes 3 anew"):
        joined(parts, tmp_path)


def test_a_run_that_blows_up_says_when(start):
    with pytest.raises(EngineFailed, match=r"at step \d+ \(0\.\d+ ps\)"):
        advance(start, settings_of(temperature_K=2e5, friction_per_ps=1000), steps=25, save_steps=1)


def test_broken_bond_is_named(start):
    positions_A = start.positions_A.copy()
    positions_A[2] += [3.0, 0, 0]
    with pytest.raises(EngineFailed, match="bond O2-H3 broke"):
        langevin.check_bonds(start, positions_A, "in a test")


def test_schedule_counts_steps_and_refuses_what_does_not_fit():
    plan = schedule(settings_of(length_ps=1.0, timestep_fs=1.0, segments=3, save_every_fs=10))
    assert (plan.steps, plan.save_steps, plan.ends) == (1000, 10, (325, 675, 1000))
    assert plan.bounds(2) == (325, 675)
    with pytest.raises(StudyError, match="save_every_fs: 3 is no multiple of timestep_fs 2"):
        schedule(settings_of(timestep_fs=2.0, hydrogen_mass_u=3, save_every_fs=3, length_ps=1))
    with pytest.raises(StudyError, match="set segments: 2"):
        schedule(settings_of(length_ps=0.025, segments=9))
