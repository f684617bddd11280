"""Energies of the default study's structures are those that were recorded with it (default.json says with what).

Frozen parts: nothing is searched or relaxed, so that only engines, settings and the energy cycle can move a number.
"""

import json
from pathlib import Path

import pytest
from ase.io import read, write

RECORDED = read(Path(__file__).with_name("default.extxyz"), index=":")
#: Tight binding of everything; DFT where it takes seconds.
CHEAP = [atoms for atoms in RECORDED if atoms.info["level"] in {"gfn1", "gfn2"} or len(atoms) < 20]


def named(atoms) -> str:
    return f"{atoms.info['cluster']} {atoms.info['level']}"


def test_every_cluster_of_the_default_study_is_recorded_at_every_level():
    assert len({atoms.info["cluster"] for atoms in RECORDED}) == 6
    assert len(RECORDED) == 18


@pytest.mark.engine
@pytest.mark.parametrize("atoms", CHEAP, ids=named)
def test_the_energy_is_the_recorded_one(atoms, tmp_path, solvation_in_process):
    path = tmp_path / "complex.extxyz"
    write(path, atoms, format="extxyz")
    level = atoms.info["level"]
    corrected = ["--counterpoise"] if "relaxed_counterpoise_eV" in atoms.info else []
    found = json.loads(solvation_in_process("bind", "--structure", path, "--level", level, *corrected, "--json").out)
    # SCF on several threads adds up in another order.
    within_eV = 1e-5 if level.startswith("gfn") else 2e-4
    for name in ("frozen_ligands", "frozen_shell"):
        assert found["binding_energy_eV"][name] == pytest.approx(atoms.info[f"{name}_eV"], abs=within_eV)
    if corrected:
        recorded_eV = atoms.info["relaxed_counterpoise_eV"] - atoms.info["relaxed_eV"]
        assert found["counterpoise_eV"] == pytest.approx(recorded_eV, abs=within_eV)
