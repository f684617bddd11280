"""Machine-learned potentials without mace: the split of frames, what a committee knows, and what a study may ask."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lj import LennardJones
from ase.io import read

from solvation.dynamics import langevin
from solvation.dynamics.langevin import DISAGREEMENT, State
from solvation.dynamics.segments import run_segment
from solvation.engines import check_level
from solvation.engines.mace import Committee, MACEEngine, disagreement_eV_A
from solvation.errors import EngineFailed, EngineMissing, StudyError, TrajectoryError
from solvation.failures import keep_going
from solvation.planning.preflight import examine
from solvation.potentials import frames
from solvation.potentials.errors import PotentialRow, Predicted, rows
from solvation.potentials.fitting import member_seed
from solvation.potentials.frames import read_structures, split
from solvation.study import Level, MolecularDynamics, cards, load_study
from solvation.tables.potentials import write_potential_table
from solvation.tidy import read_rows

GOOD = """
species: {Li+: , EC: }
trajectories:
  T: {composition: {Li+: 1, EC: 6}, level: gfn1, length_ps: 2, equilibration_ps: 0.5}
  U: {composition: {Li+: 1, EC: 6}, potential: P}
  O: {topology: own.pdb, center: name LI, donors: {O: name O}}
potentials:
  P: {level: gfn1, frames: {T: 50}}
"""


def load(folder: Path, text: str = GOOD):
    path = folder / "s.yaml"
    path.write_text(text)
    return load_study(path)


# --- frames -----------------------------------------------------------------------------------------------------


def test_held_out_frames_are_the_last_ones_and_lie_a_gap_away_from_the_fitted():
    found = split(360, 150, 0.2, gap=10)
    assert (len(found.fitted), len(found.held_out)) == (120, 30)
    assert found.held_out.min() - found.fitted.max() > 10
    assert found.fitted.min() == 0
    assert found.held_out.max() == 359
    for part in (found.fitted, found.held_out):
        steps = np.diff(part)
        assert steps.min() >= 1  # none twice
        assert steps.max() - steps.min() <= 1  # evenly spaced


def test_all_frames_can_be_taken_and_no_more():
    whole = split(100, 100, 0.2, gap=0)
    assert np.concatenate([whole.fitted, whole.held_out]).tolist() == list(range(100))
    with pytest.raises(TrajectoryError, match="too few to take 100"):
        split(100, 100, 0.2, gap=1)


def test_members_have_seeds_of_their_own_which_torch_takes():
    seeds = {member_seed(7, name, number) for name in ("P", "Q") for number in range(1, 5)}
    assert len(seeds) == 8
    assert max(seeds) < 2**31


def test_structures_of_ones_own_are_all_fitted_and_tell_their_charge(tmp_path):
    path = tmp_path / "stopped.extxyz"
    path.write_text("1\ncharge=1\nLi 0 0 0.12345\n1\n\nAr 0 0 0\n")
    first, second = read_structures(path)
    assert [(atoms.info["charge"], atoms.info["held_out"]) for atoms in (first, second)] == [(1, False), (0, False)]
    assert first.positions[0, 2] == 0.123  # what is labelled is what is read again
    for text in ("", "not a structure"):
        path.write_text(text)
        with pytest.raises(StudyError, match=r"stopped\.extxyz"):
            read_structures(path)


# --- committees -------------------------------------------------------------------------------------------------


def test_a_labelling_that_goes_on_takes_energies_from_before_and_everything_else_from_now(tmp_path, monkeypatch):
    called = []

    def some(atoms, level, charge, multiplicity):
        if len(called) == 12:
            raise EngineFailed("gfn1: SCF did not converge")
        called.append(charge)
        return float(charge), np.zeros((len(atoms), 3))

    monkeypatch.setattr(frames, "energy_forces", some)
    level, rng = Level.model_validate("gfn1"), np.random.default_rng(1)
    asked = [Atoms("LiO", np.round(rng.normal(size=(2, 3)), 3)) for _ in range(15)]
    for number, atoms in enumerate(asked):
        atoms.info = {"frame": number, "held_out": False, "charge": 0, "multiplicity": 1}
    with pytest.raises(EngineFailed):
        frames.label(asked, level, tmp_path / "x.extxyz", print)
    for atoms in asked:
        atoms.info["held_out"] = atoms.info["frame"] > 4
    asked[3].info["charge"] = 2
    called.clear()
    frames.label(asked, level, tmp_path / "x.extxyz", print)
    # Ten were kept; the one with another charge and the five that were missing are computed.
    assert called == [2, 0, 0, 0, 0, 0]
    made = frames.read_frames(tmp_path / "x.extxyz")
    assert [bool(atoms.info["held_out"]) for atoms in made] == [False] * 5 + [True] * 10
    assert [float(atoms.info[frames.ENERGY]) for atoms in made] == [0, 0, 0, 2] + [0] * 11


def test_disagreement_is_the_deviation_of_the_force_vectors():
    forces = np.zeros((3, 2, 3))
    forces[:, 0, 0] = 1.0, 2.0, 3.0  # one axis: deviation sqrt(2/3)
    forces[0, 1], forces[1, 1] = (3.0, 4.0, 0.0), (-3.0, -4.0, 0.0)  # |F| = 5, 5 and 0 around 0
    assert disagreement_eV_A(forces) == pytest.approx([np.sqrt(2 / 3), np.sqrt(50 / 3)])


def test_a_committee_is_the_mean_of_its_members_and_knows_how_far_they_are_apart():
    rng = np.random.default_rng(4)
    atoms = state_of(5).atoms()
    atoms.positions += rng.normal(scale=0.1, size=(5, 3))
    weak, strong = LennardJones(sigma=3.4, epsilon=0.010, rc=20.0), LennardJones(sigma=3.4, epsilon=0.014, rc=20.0)
    both = Committee([weak, strong])
    middle = LennardJones(sigma=3.4, epsilon=0.012, rc=20.0)
    assert both.get_potential_energy(atoms) == pytest.approx(middle.get_potential_energy(atoms))
    assert both.get_forces(atoms) == pytest.approx(middle.get_forces(atoms))
    # Forces are proportional to epsilon, so either member is a sixth of the mean force away from it.
    assert both.spread_eV_A == pytest.approx(np.linalg.norm(middle.get_forces(atoms), axis=1) / 6)


def test_one_member_agrees_with_itself():
    alone = Committee([LennardJones(sigma=3.4, epsilon=0.01, rc=20.0)])
    alone.get_forces(state_of(4).atoms())
    assert alone.spread_eV_A.tolist() == [0.0] * 4


def state_of(n_atoms: int) -> State:
    """Argon on a line, 3.8 Å apart, at rest."""
    positions_A = np.zeros((n_atoms, 3))
    positions_A[:, 0] = 3.8 * np.arange(n_atoms)
    return State(
        numbers=np.full(n_atoms, 18), masses_u=np.full(n_atoms, 39.9), residues=np.arange(n_atoms),
        bonds=np.zeros((0, 2), int), charge=0, multiplicity=1, wall_radius_A=np.inf, cell_A=np.zeros(3),
        positions_A=positions_A, momenta=np.zeros((n_atoms, 3)),
        generator=json.dumps(np.random.default_rng(1).bit_generator.state), step=0,
    )  # fmt: skip


@pytest.fixture
def argon(tmp_path, monkeypatch):
    """Five argon atoms and a committee that disagrees by a tenth of each force."""

    def committee(*_, **__):
        return Committee([LennardJones(sigma=3.4, epsilon=scale * 0.0103, rc=20.0) for scale in (0.9, 1.1)])

    monkeypatch.setattr(langevin, "calculator_for", committee)
    state_of(5).save(tmp_path / "start.npz")
    return tmp_path


def running(most_eV_A: float) -> MolecularDynamics:
    return MolecularDynamics(
        composition={"Li+": 1, "EC": 4}, potential="P", max_disagreement_eV_A=most_eV_A, length_ps=1,
        equilibration_ps=0, timestep_fs=1, save_every_fs=10, segments=1,
    ).driven_by([Path("a.model"), Path("b.model")], 0)  # fmt: skip


def test_a_run_within_bounds_logs_the_disagreement(argon):
    run_segment(argon / "start.npz", argon / "segment_1.npz", running(1.0), segment=1)
    with (argon / "segment_1.csv").open() as stream:
        logged = [float(row[DISAGREEMENT]) for row in csv.DictReader(stream)]
    assert len(logged) == 100
    assert 0 < min(logged) < max(logged) < 0.1
    assert not (argon / "segment_1.stopped.extxyz").exists()


def test_a_run_gone_astray_stops_and_leaves_its_frame(argon):
    run_segment(argon / "start.npz", argon / "free.npz", running(1.0), segment=1)
    with (argon / "free.csv").open() as stream:
        logged = {int(row["step"]): float(row[DISAGREEMENT]) for row in csv.DictReader(stream)}
    most = 0.5 * max(logged.values())
    first = min(step for step, value in logged.items() if value > most)
    with pytest.raises(EngineFailed) as caught:
        run_segment(argon / "start.npz", argon / "segment_1.npz", running(most), segment=1)
    told = str(caught.value)
    assert f"more than max_disagreement_eV_A {most:g}" in told
    step = int(told.split("at step ")[1].split(maxsplit=1)[0])
    assert first - 10 < step <= first  # logged every ten steps, heeded at every one
    assert not (argon / "segment_1.npz").exists()
    frame = read(argon / "segment_1.stopped.extxyz")
    assert (frame.info["charge"], frame.info["multiplicity"]) == (0, 1)
    members = [LennardJones(sigma=3.4, epsilon=scale * 0.0103, rc=20.0).get_forces(frame) for scale in (0.9, 1.1)]
    spread = disagreement_eV_A(np.array(members))
    assert spread.max() > most * (1 - 1e-6)
    assert f"on the force of Ar{int(np.argmax(spread)) + 1} " in told


def test_without_weights_a_run_on_a_potential_says_what_is_missing():
    bare = running(1.0).model_copy(update={"level": None})
    with pytest.raises(StudyError, match="weights of 'P' are not given"):
        langevin.advance(state_of(3), bare, 1, 1)


# --- errors -----------------------------------------------------------------------------------------------------


def test_errors_and_calibration_of_known_predictions():
    """Two members a distance d either side of a mean that is e off: error over spread is e / d."""
    rng = np.random.default_rng(2)
    forces, size = rng.normal(size=(6, 4, 3)), rng.uniform(0.5, 1.5, size=(6, 4, 1))
    away, apart = size * np.array([0.3, 0.0, 0.0]), size * np.array([0.0, 0.1, 0.0])
    energies = rng.normal(size=6)
    labels = Predicted(energies, forces)
    drift = np.array([0.1, -0.1, 0.1, -0.1, 0.1, -0.1])
    members = Predicted(
        np.array([energies + 4.0 + drift, energies + 2.0 + drift]),
        np.array([forces + away + apart, forces + away - apart]),
    )
    first, second, committee = rows("P", "T", "gfn1", (24, 6), labels, members)
    assert [row.model for row in (first, second, committee)] == ["member 1", "member 2", "committee"]
    assert committee.energy_offset_meV_atom == pytest.approx(1000 * 3.0 / 4)
    assert committee.energy_rmse_meV_atom == pytest.approx(1000 * 0.1 / 4)  # the offset is no error
    mean_square = float(np.mean(size**2))
    assert committee.force_rmse_meV_A == pytest.approx(1000 * 0.3 * np.sqrt(mean_square / 3))
    assert committee.force_rmse_percent == pytest.approx(committee.force_rmse_meV_A / 10 / np.sqrt(np.mean(forces**2)))
    assert first.force_rmse_meV_A == pytest.approx(1000 * np.sqrt((0.3**2 + 0.1**2) * mean_square / 3))
    assert committee.disagreement_meV_A == pytest.approx(100 * np.sqrt(mean_square))
    assert committee.largest_disagreement_eV_A == pytest.approx(0.1 * size.max())
    assert committee.error_over_disagreement == pytest.approx(3.0)
    assert committee.correlation == pytest.approx(1.0)
    assert np.isnan(first.disagreement_meV_A)


def test_a_potential_that_failed_has_a_row_that_says_why(tmp_path, monkeypatch):
    monkeypatch.setenv("SOLVATION_KEEP_GOING", "1")
    study = load(tmp_path, GOOD.replace("species", f"results: {tmp_path}\nspecies", 1))
    table, card = study.folder / "potentials/P/errors.csv", cards.assessment_card(study, "P").text()
    with keep_going("assess", card, inputs=[], outputs=[table, table.with_suffix(".json")]):
        raise EngineFailed("mace failed: out of memory")
    write_potential_table(study)
    (row,) = read_rows(study.folder / "potentials.csv", PotentialRow)
    assert (row.potential, row.trajectory, row.level) == ("P", "T", "gfn1")
    assert "mace failed: out of memory" in row.note
    assert np.isnan(row.force_rmse_meV_A)


# --- studies ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("potential: P}", "potential: Q}", "trajectories.U.potential: unknown 'Q'; known: P"),
        ("potential: P}", "potential: P, level: gfn1}", "trajectories.U: give one of level and potential"),
        ("{T: 50}", "{X: 50}", "potentials.P.frames: unknown trajectory 'X'"),
        ("{T: 50}", "{O: 50}", "potentials.P.frames: O is your own trajectory, whose charge is not known"),
        ("{T: 50}", "{U: 50}", "potentials.P.frames: a trajectory of it runs on the potential itself"),
        ("{T: 50}", "{T: 11}", "potentials.P: frames.T: 11 frames are too few to fit and to hold out"),
        ("level: gfn1, frames", "level: mp2/def2-svp, frames", "potentials.P: level: mp2/def2-svp has no forces"),
        ("level: gfn1, frames", "frames", "potentials.P.level: is required"),
        ("{T: 50}}", "{T: 50}, epoch: 5}", "potentials.P.epoch: unknown key; did you mean 'epochs'?"),
        ("{T: 50}}", "{T: 50}, structures: ../x.extxyz}", "potentials.P.structures: ../x.extxyz leaves the folder"),
        ("{T: 50}}", "{T: 50}, members: 0}", "potentials.P.members:"),
        ("{T: 50}}", "{T: 50}, held_out: 0.9}", "potentials.P.held_out:"),
        ("{T: 50}}", "{T: 50}}\n  Q: {level: gfn1, frames: {V: 50}}", "potentials.Q.frames: unknown trajectory 'V'"),
        ("level: gfn1, length", "level: 'mace:a.pt', length", "is not a level of theory"),
        ("level: gfn1, length", "level: 'mace:a.model@alpb=water', length", "is not a level of theory"),
    ],
)  # fmt: skip
def test_a_study_that_cannot_be_is_refused_in_one_line(tmp_path, old, new, message):
    assert old in GOOD
    with pytest.raises(StudyError, match=r"s\.yaml") as caught:
        load(tmp_path, GOOD.replace(old, new, 1))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_potentials_that_learn_from_each_other_are_a_circle(tmp_path):
    text = GOOD.replace("{T: 50}}", "{V: 50}}\n  Q: {level: gfn1, frames: {U: 50}}")
    text = text.replace("potentials:", "  V: {composition: {Li+: 1, EC: 6}, potential: Q}\npotentials:")
    with pytest.raises(StudyError, match="runs on the potential itself"):
        load(tmp_path, text)


def test_a_potential_may_learn_from_a_run_on_another(tmp_path):
    text = GOOD.replace("{T: 50}}", "{T: 50}}\n  Q: {level: gfn2, frames: {T: 50, U: 50}}")
    assert set(load(tmp_path, text).potentials) == {"P", "Q"}


def test_check_says_that_mace_is_missing_and_that_frames_are_too_few(tmp_path, monkeypatch):
    text = GOOD.replace("  O: {topology: own.pdb, center: name LI, donors: {O: name O}}\n", "")
    study = load(tmp_path, text)
    monkeypatch.setattr(MACEEngine, "missing", lambda self: None)
    assert any("potential P" in line for line in examine(study, tmp_path / "s.yaml").lines)
    greedy = load(tmp_path, text.replace("{T: 50}", "{T: 150}"))  # 150 frames of 10 fs, and a gap of 10
    with pytest.raises(StudyError, match=r"potentials\.P\.frames\.T: 150 frames .* too few to take 150"):
        examine(greedy, tmp_path / "s.yaml")
    monkeypatch.undo()
    monkeypatch.setattr("solvation.engines.mace.find_spec", lambda name: None)
    with pytest.raises(
        EngineMissing, match=r"potentials\.P: mace-torch is not installed; pip install 'solvation\[mlp\]"
    ):
        examine(study, tmp_path / "s.yaml")


def test_settings_of_a_potential_leave_the_cards_of_other_runs_as_they_were(tmp_path):
    study = load(tmp_path)
    assert not {"potential", "max_disagreement_eV_A"} & set(
        json.loads(cards.dynamics_card(study, "T").text())["settings"]
    )
    moved = json.loads(cards.dynamics_card(study, "U").text())["settings"]
    assert (moved["potential"], moved["level"]) == ("P", None)
    assert cards.read_card(cards.dynamics_card(study, "U").text(), cards.DynamicsCard).settings.potential == "P"


def test_labels_are_not_made_anew_when_only_the_fit_changes(tmp_path):
    before, after = load(tmp_path), load(tmp_path, GOOD.replace("{T: 50}}", "{T: 50}, epochs: 7, members: 4}"))
    assert cards.label_card(before, "P", "T").text() == cards.label_card(after, "P", "T").text()
    assert cards.fit_card(before, "P", 1).text() != cards.fit_card(after, "P", 1).text()
    more = load(tmp_path, GOOD.replace("{T: 50}}", "{T: 50}, members: 4}"))
    assert cards.fit_card(before, "P", 1).text() == cards.fit_card(more, "P", 1).text()


# --- weights of one's own -----------------------------------------------------------------------------------------


def test_a_level_names_its_weights_and_keeps_their_case():
    text = "mace:Weights/Li+.model+other/b.model@charge=1"
    level = Level.model_validate(text)
    assert str(level) == text
    assert [str(path) for path in level.weights] == ["Weights/Li+.model", "other/b.model"]
    assert Level.model_validate("mace:a.model").slug != Level.model_validate("mace:b/a.model").slug
    assert len(Level.model_validate(f"mace:{'x/' * 200}a.model").slug) < 100


def test_a_card_changes_with_the_weights_behind_its_level(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = load(tmp_path, GOOD.replace("level: gfn1, length", "level: 'mace:own.model@charge=1', length"))
    with pytest.raises(StudyError, match=r"there is no file own\.model"):
        cards.dynamics_card(study, "T").text()
    (tmp_path / "own.model").write_bytes(b"first")
    before = cards.dynamics_card(study, "T").text()
    (tmp_path / "own.model").write_bytes(b"second")
    assert cards.dynamics_card(study, "T").text() != before
    assert cards.read_card(before, cards.DynamicsCard).settings == study.trajectories["T"]


def test_weights_that_are_not_there_are_refused_early(tmp_path, monkeypatch):
    monkeypatch.setattr(MACEEngine, "missing", lambda self: None)
    with pytest.raises(StudyError, match="there is no file"):
        check_level(Level.model_validate(f"mace:{tmp_path}/none.model"))


def test_a_charge_that_the_weights_do_not_stand_for_is_refused():
    with pytest.raises(
        StudyError, match=r"stand for charge \+0 and multiplicity 1, this system has \+1 and 1.*@charge=1"
    ):
        MACEEngine().calculator(Level.model_validate("mace:a.model"), charge=1, multiplicity=1)
    with pytest.raises(StudyError, match="multiplicity 1, this system has"):
        MACEEngine().calculator(Level.model_validate("mace:a.model"), charge=0, multiplicity=2)
