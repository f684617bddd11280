"""A machine-learned potential on a real set: labelled by GFN1, fitted by mace, judged, and run until it goes astray."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from ase.io import read

from solvation.dynamics.langevin import State, prepare
from solvation.dynamics.segments import join, run_segment
from solvation.engines import ENGINES, calculator_for, energy_forces
from solvation.errors import EngineFailed, StudyError
from solvation.liquids.packing import pack
from solvation.potentials.errors import COMMITTEE, assess
from solvation.potentials.fitting import fit, member_seed
from solvation.potentials.frames import ENERGY, FORCES, choose, label, read_frames, write_frames
from solvation.species import build_molecule
from solvation.study import Level, MolecularDynamics, Potential, Species

pytestmark = [
    pytest.mark.engine,
    pytest.mark.slow,
    pytest.mark.skipif(ENGINES["mace"].missing() is not None, reason=str(ENGINES["mace"].missing())),
]
SPECIES = {"Li+": Species(smiles="[Li+]"), "water": Species(smiles="O")}
SETTINGS = Potential.model_validate(
    {"level": "gfn1", "frames": {"T": 40}, "gap_ps": 0.02, "epochs": 25, "batch": 2, "channels": 8, "cutoff_A": 4.0}
)
MOVED = {
    "composition": {"Li+": 1, "water": 3}, "length_ps": 0.45, "equilibration_ps": 0.05, "timestep_fs": 1, "segments": 1,
    "save_every_fs": 2, "density_g_cm3": 1.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A droplet of Li+ and three water at GFN1-xTB, its labelled frames, and two models of them."""
    here, rng = tmp_path_factory.mktemp("potential"), np.random.default_rng(5)
    settings = MolecularDynamics.model_validate({**MOVED, "level": "gfn1"})
    molecules = {name: build_molecule(name, species) for name, species in SPECIES.items()}
    system = pack(molecules, settings.composition, shape="droplet", density_g_cm3=1.0, rng=rng)
    prepare(system, settings, rng).save(here / "start.npz")
    run_segment(here / "start.npz", here / "1.npz", settings, segment=1)
    join([here / "1.npz"], settings, trajectory=here / "trajectory.xtc", log=here / "log.csv")
    frames = choose(here / "start.npz", here / "trajectory.xtc", "T", SETTINGS, settings.equilibration_ps)
    label(frames, SETTINGS.level, here / "T.extxyz", lambda line: None)
    for number in (1, 2):
        fit(read_frames(here / "T.extxyz"), SETTINGS, member_seed(1, "P", number), here / f"member_{number}.model")
    return here


def level_of(folder, *members: int) -> Level:
    return Level(engine="mace", method="+".join(str(folder / f"member_{n}.model") for n in members), charge=1)


def test_labels_are_the_energies_and_forces_of_their_level(folder):
    frames = read_frames(folder / "T.extxyz")
    assert [atoms.info["held_out"] for atoms in frames] == [False] * 32 + [True] * 8
    times = [atoms.info["time_ps"] for atoms in frames]
    assert min(times) >= 0.05
    assert times[32] - times[31] > 0.02
    for atoms in (frames[0], frames[-1]):
        energy, forces = energy_forces(atoms, Level.model_validate("gfn1"), charge=1)
        assert atoms.info[ENERGY] == pytest.approx(energy, abs=1e-6)
        assert atoms.arrays[FORCES] == pytest.approx(forces, abs=1e-5)


def test_labelling_goes_on_where_it_was_killed(folder, tmp_path):
    frames = read_frames(folder / "T.extxyz")
    marked = [atoms.copy() for atoms in frames[:10]]
    marked[3].info[ENERGY] = 1.25  # nobody would compute this
    partial = tmp_path / "T.partial.extxyz"
    write_frames(partial, marked)
    label(frames[:12], SETTINGS.level, tmp_path / "T.extxyz", lambda line: None)
    again = read_frames(tmp_path / "T.extxyz")
    assert again[3].info[ENERGY] == 1.25
    assert again[11].info[ENERGY] == pytest.approx(frames[11].info[ENERGY], abs=1e-6)
    assert not partial.exists()


def test_a_fitted_committee_predicts_frames_that_it_has_not_seen(folder):
    frames = read_frames(folder / "T.extxyz")
    rows = {row.model: row for row in assess("P", "T", frames, [level_of(folder, n) for n in (1, 2)])}
    together = rows[COMMITTEE]
    assert (together.n_fitted, together.n_held_out) == (32, 8)
    assert together.force_rmse_percent < 60  # of a model that says zero: 100
    assert together.force_rmse_meV_A <= max(rows[f"member {n}"].force_rmse_meV_A for n in (1, 2))
    assert together.disagreement_meV_A > 1  # members have seeds of their own
    assert list(folder.glob("*.fit-*")) == []


def test_forces_of_the_committee_are_the_slope_of_its_energy(folder):
    atoms, asked, step = read_frames(folder / "T.extxyz")[-1], level_of(folder, 1, 2), 1e-3
    _, forces = energy_forces(atoms, asked, charge=1)
    ends = []
    for sign in (1, -1):
        moved = atoms.copy()
        moved.positions[0, 1] += sign * step
        ends.append(energy_forces(moved, asked, charge=1)[0])
    assert forces[0, 1] == pytest.approx(-(ends[0] - ends[1]) / (2 * step), abs=1e-4)


def test_members_disagree_more_the_farther_a_geometry_is_from_what_they_saw(folder):
    calculator = calculator_for(level_of(folder, 1, 2), charge=1)
    seen = read_frames(folder / "T.extxyz")
    worst = []
    for scale in (1.0, 0.9, 0.8):
        largest = []
        for atoms in seen[-8:]:
            squeezed = atoms.copy()
            squeezed.positions *= scale
            calculator.get_forces(squeezed)
            largest.append(calculator.spread_eV_A.max())
        worst.append(float(np.median(largest)))
    assert worst[0] < worst[1] < worst[2]
    assert worst[2] > 5 * worst[0]


def test_a_run_on_the_committee_resumes_bit_for_bit_and_stops_when_it_goes_astray(folder, tmp_path):
    shutil.copy(folder / "1.npz", tmp_path / "last.npz")
    state = State.load(tmp_path / "last.npz")
    start = {name: getattr(state, name) for name in state.__slots__} | {"step": 0}
    State(**start).save(tmp_path / "start.npz")
    weights = [folder / f"member_{n}.model" for n in (1, 2)]
    moved = {**MOVED, "potential": "P", "length_ps": 0.1, "equilibration_ps": 0.0, "max_disagreement_eV_A": 50.0}
    uncut = MolecularDynamics.model_validate(moved).driven_by(weights, 1)
    run_segment(tmp_path / "start.npz", tmp_path / "uncut.npz", uncut, segment=1)
    cut = MolecularDynamics.model_validate({**moved, "segments": 2}).driven_by(weights, 1)
    run_segment(tmp_path / "start.npz", tmp_path / "a.npz", cut, segment=1)
    run_segment(tmp_path / "a.npz", tmp_path / "b.npz", cut, segment=2)
    whole, joined = State.load(tmp_path / "uncut.npz"), State.load(tmp_path / "b.npz")
    assert np.array_equal(whole.positions_A, joined.positions_A)
    assert np.array_equal(whole.momenta, joined.momenta)
    assert joined.generator == whole.generator
    strict = MolecularDynamics.model_validate({**moved, "max_disagreement_eV_A": 1e-3}).driven_by(weights, 1)
    with pytest.raises(EngineFailed, match=r"apart on the force of (Li|O|H)\d+ at step 1 "):
        run_segment(tmp_path / "start.npz", tmp_path / "strict.npz", strict, segment=1)
    assert len(read(tmp_path / "strict.stopped.extxyz")) == 10


def test_weights_without_an_element_and_files_that_are_no_weights_are_refused(folder, tmp_path):
    methane = read_frames(folder / "T.extxyz")[0].copy()
    methane.numbers[0] = 6
    with pytest.raises(StudyError, match="was fitted without C"):
        energy_forces(methane, level_of(folder, 1), charge=1)
    (tmp_path / "text.model").write_text("not weights")
    with pytest.raises(EngineFailed, match=r"text\.model: holds no model of mace"):
        calculator_for(Level.model_validate(f"mace:{tmp_path}/text.model"), charge=0)


def test_a_fit_that_fails_says_maces_last_words_and_where_its_output_is(folder, tmp_path):
    frames = read_frames(folder / "T.extxyz")
    broken = SETTINGS.model_copy(update={"correlation": 0})  # no model has it
    with pytest.raises(EngineFailed, match=r"mace failed: .+ \(see .*member_1\.fit-.*output\.txt\)") as caught:
        fit(frames, broken, 1, tmp_path / "member_1.model")
    assert not (tmp_path / "member_1.model").exists()
    told = str(caught.value).split("(see ")[1].rstrip(")")
    assert "Traceback" in Path(told).read_text()


def test_the_identity_of_weights_is_their_checksum(folder):
    one, two = (ENGINES["mace"].identity(level_of(folder, n)) for n in (1, 2))
    assert one != two
    assert json.dumps(one).count("mace-torch") == 1
