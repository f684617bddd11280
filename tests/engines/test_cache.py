"""Energies kept from study to study: the same question is asked once, another one never gets its answer."""

import gzip
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from solvation.energies import vibrations as modes
from solvation.energies.vibrations import vibrations
from solvation.engines import energy_eV, energy_with_ghosts_eV
from solvation.engines.cache import VARIABLE, kept
from solvation.engines.single_points import SinglePoint, energies_eV
from solvation.provenance import listening, noted_answers, output_of
from solvation.study import Level

WATER = molecule("H2O")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def ask(energy: float, atoms: Atoms = WATER, **changes) -> float:
    question = {"level": "pbe/def2-svp", "identity": "x 1", "charge": 0, "multiplicity": 1, **changes}
    level, identity = question.pop("level"), question.pop("identity")
    return kept(atoms, level, lambda: identity, compute=lambda: (energy, 24), **question)[0]


def entries(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.json"))


def test_a_question_is_computed_once(folder):
    assert ask(-1.25) == -1.25
    assert ask(-99.0) == -1.25
    assert len(entries(folder)) == 1


@pytest.mark.parametrize(
    "changes",
    [{"level": "pbe0/def2-svp"}, {"identity": "x 2"}, {"charge": 1}, {"multiplicity": 3}],
    ids=lambda item: next(iter(item)),
)
def test_another_question_is_another_entry(folder, changes):
    ask(-1.0)
    assert ask(-2.0, **changes) == -2.0
    assert ask(-3.0) == -1.0


def test_the_last_bit_of_a_position_a_ghost_and_a_cell_count(folder):
    ask(-1.0)
    moved = WATER.copy()
    moved.positions[0, 0] = np.nextafter(moved.positions[0, 0], 1)
    assert ask(-2.0, moved) == -2.0
    ghost = WATER.copy()
    ghost.set_array("ghost", np.array([True, False, False]))
    assert ask(-3.0, ghost) == -3.0
    boxed = WATER.copy()
    boxed.cell, boxed.pbc = [9, 9, 9], True
    assert ask(-4.0, boxed) == -4.0


def test_nothing_is_kept_where_nothing_was_asked_for(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert ask(-1.0) == -1.0
    assert ask(-2.0) == -2.0
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert ask(-1.0, identity=None) == -1.0
    assert not entries(tmp_path)


@pytest.mark.parametrize("damage", ["", "{", '{"energy_eV": null}', '{"question": {}, "energy_eV": -7, "n_basis": 1}'])
def test_a_damaged_entry_is_computed_again_and_mended(folder, damage, capsys):
    ask(-1.0)
    (path,) = entries(folder)
    path.write_text(damage)
    assert ask(-2.0) == -2.0
    assert "computed again" in capsys.readouterr().err
    assert json.loads(path.read_text())["energy_eV"] == -2.0


def signed(entry: dict) -> dict:
    """An entry with the checksum of its answer, whatever that is."""
    answer = {key: entry[key] for key in ("energy_eV", "n_basis")}
    return {**entry, "sha256": hashlib.sha256(json.dumps(answer, sort_keys=True).encode()).hexdigest()}


def nested(entry: dict) -> str:
    return json.dumps(entry)[:-1] + ', "more": ' + "[" * 100_000


@pytest.mark.parametrize(
    "change",
    [
        lambda entry: {**entry, "energy_eV": -2.0},
        # The first versions wrote no checksum; one that was taken away would hide a change.
        lambda entry: {key: value for key, value in {**entry, "energy_eV": -2.0}.items() if key != "sha256"},
        lambda entry: {key: value for key, value in entry.items() if key != "sha256"},
        lambda entry: signed({**entry, "energy_eV": int("9" * 400)}),
        lambda entry: signed({**entry, "energy_eV": "-2.0"}),
        lambda entry: signed({**entry, "energy_eV": [-2.0]}),
        lambda entry: signed({**entry, "n_basis": "many"}),
        lambda entry: [entry],
        nested,
    ],
)
def test_whatever_an_entry_holds_it_is_an_answer_or_computed_again(folder, change, capsys):
    ask(-1.0)
    (path,) = entries(folder)
    entry = change(json.loads(path.read_text()))
    path.write_text(entry if isinstance(entry, str) else json.dumps(entry))
    assert ask(-1.0) == -1.0
    told = capsys.readouterr().err
    assert "is damaged" in told
    assert told.count("\n") == 1
    assert ask(-99.0) == -1.0


def test_an_entry_too_large_or_no_file_is_not_read(folder, capsys):
    ask(-1.0)
    (path,) = entries(folder)
    with path.open("ab") as stream:
        stream.truncate(200_000_000)
    assert ask(-1.0) == -1.0
    assert "is damaged (it has 200 MB)" in capsys.readouterr().err
    path.unlink()
    os.mkfifo(path)
    assert ask(-1.0) == -1.0
    assert "is damaged (it is no file)" in capsys.readouterr().err
    assert ask(-99.0) == -1.0


def test_an_answer_that_was_changed_is_seen(folder, capsys):
    ask(-7.25)
    (path,) = entries(folder)
    path.write_text(path.read_text().replace("-7.25", "-9.25"))
    assert ask(-7.25) == -7.25
    assert "its answer is not what was written" in capsys.readouterr().err


@pytest.mark.engine
def test_a_step_remembers_what_it_was_answered_and_where_that_stands(folder):
    ask(-1.0)
    with listening():
        ask(-99.0)
        ask(-2.0, charge=1)
        ask(-99.0)
        told = noted_answers()
    assert [json.loads(Path(entry).read_text())["energy_eV"] for entry in told] == [-1.0, -2.0]
    assert noted_answers() == []


def test_what_a_program_printed_stays_beside_its_answer(folder):
    state = {"charge": 0, "multiplicity": 1, "compute": lambda: (-1.0, 24)}
    kept(WATER, "pbe/def2-svp", lambda: "x 1", **state, output=lambda: "it went well\n")
    (entry,) = entries(folder)
    assert gzip.decompress(output_of(entry).read_bytes()) == b"it went well\n"


def test_single_points_side_by_side_tell_their_answers_to_the_step(folder, monkeypatch):
    # By its path it would be the function of that name.
    module = sys.modules[SinglePoint.__module__]
    monkeypatch.setattr(module, "schedule", lambda costs, needs, **_: (0, 2))
    monkeypatch.setattr(module, "own_threads", lambda: 2)
    level, jobs = Level.model_validate("hf/sto-3g"), [SinglePoint(molecule(name), 0) for name in ("H2O", "NH3")]
    with listening():
        made = energies_eV(jobs, level, "both")
        told = {json.loads(Path(entry).read_text())["energy_eV"] for entry in noted_answers()}
    assert told == set(made)


def test_normal_modes_are_computed_once_and_are_the_same_to_the_last_bit(folder, monkeypatch):
    level = Level.model_validate("gfn2")
    first = vibrations(WATER, level, charge=0)
    assert len(entries(folder)) == 1
    monkeypatch.setattr(modes, "_computed", None)
    again = vibrations(WATER, level, charge=0)
    assert again.wavenumbers_cm.tolist() == first.wavenumbers_cm.tolist()
    assert again.displacements.tobytes() == first.displacements.tobytes()
    assert again.intensities_km_mol.tolist() == first.intensities_km_mol.tolist()
    assert (again.energy_eV, again.followed, again.level) == (first.energy_eV, first.followed, level)
    with pytest.raises(TypeError):
        vibrations(WATER, Level.model_validate("gfn1"), charge=0)


_WRITER = """
import sys
from ase.build import molecule
from solvation.engines.cache import kept
for charge in range(40):
    kept(molecule("H2O"), "pbe/x", lambda: "x", charge=charge, multiplicity=1, compute=lambda: (float(sys.argv[1]), 24))
"""


def test_many_writers_at_once_leave_whole_entries(folder):
    writers = [subprocess.Popen([sys.executable, "-c", _WRITER, f"-{number}"]) for number in (1, 2, 3, 4)]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0, 0, 0]
    assert len(entries(folder)) == 40
    assert all(json.loads(path.read_text())["energy_eV"] in {-1.0, -2.0, -3.0, -4.0} for path in entries(folder))
    assert not [path for path in folder.rglob(".*") if path.is_file()]


@pytest.mark.engine
def test_a_density_functional_is_kept_and_its_ghosts_apart(folder):
    pytest.importorskip("pyscf")
    level = Level.model_validate("pbe/sto-3g")
    first = energy_eV(WATER, level, charge=0)
    ghosts = np.array([False, True, True])
    oxygen = energy_with_ghosts_eV(WATER, ghosts, level, charge=0, multiplicity=1)
    assert len(entries(folder)) == 2
    assert energy_eV(WATER, level, charge=0) == first
    assert energy_with_ghosts_eV(WATER, ghosts, level, charge=0, multiplicity=1) == oxygen
    assert oxygen[1] == 7
    energy_eV(WATER, Level.model_validate("gfn2"), charge=0)
    assert len(entries(folder)) == 2  # tight binding is faster than a file
