"""A record says whether it, and what stands beside it, is still what the step wrote."""

import json

import pytest
from ase import Atoms

from solvation.clusters.ensembles import Structure, read_structures, write_structures
from solvation.errors import ResultsError
from solvation.failures import keep_going, read_result
from solvation.study import Level


def step(folder, **result):
    """A step of two files: a structure, and the record with a result."""
    structure, made = folder / "W.extxyz", folder / "W.json"
    with keep_going("ligand", '{"name": "W"}', inputs=[], outputs=[structure, made]) as running:
        atoms = Atoms("OH2", [[0, 0, 0], [0, 0, 1], [0, 1, 0]])
        write_structures(structure, [Structure("s01", atoms, -5.0, 0.01, Level.model_validate("gfn2"))])
        running.write(made, result=result)
    return structure, made


def test_a_number_changed_by_hand_is_refused_and_named(tmp_path):
    _, made = step(tmp_path, energy_eV=-1.95, pairs=((1, 2.5),), shells={4: 0.5})
    assert read_result(made) == {"energy_eV": -1.95, "pairs": [[1, 2.5]], "shells": {"4": 0.5}}
    made.write_text(made.read_text().replace("-1.95", "-11.95"))
    with pytest.raises(ResultsError, match=r"W\.json: is not what its step wrote .*; remove it and run"):
        read_result(made)


def test_so_is_a_structure_beside_the_record(tmp_path):
    structure, _ = step(tmp_path)
    assert len(read_structures(structure)) == 1
    structure.write_text(structure.read_text().replace("-5.0", "-6.0"))
    with pytest.raises(ResultsError, match=r"W\.extxyz: is not what its step wrote"):
        read_structures(structure)


def test_records_of_older_versions_have_no_checksum_and_are_read(tmp_path):
    structure, made = step(tmp_path, energy_eV=-1.95)
    old = {key: value for key, value in json.loads(made.read_text()).items() if not key.endswith("_sha256")}
    made.write_text(json.dumps(old))
    structure.write_text(structure.read_text().replace("-5.0", "-6.0"))
    assert read_result(made) == {"energy_eV": -1.95}
    assert read_structures(structure)[0].geometry_eV == -6.0


def test_layout_is_no_damage(tmp_path):
    _, made = step(tmp_path, energy_eV=-1.95)
    made.write_text(json.dumps(json.loads(made.read_text())))
    assert read_result(made) == {"energy_eV": -1.95}
