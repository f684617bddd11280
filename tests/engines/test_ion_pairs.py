"""A ligand with a charge: ion pairs and shells that hold an anion."""

import json

import numpy as np
import pytest
from ase import Atoms
from ase.units import Bohr, Hartree
from typer.testing import CliRunner

from solvation.cli.app import app
from solvation.engines import energy_eV
from solvation.errors import EngineFailed
from solvation.study import Level

GFN1 = Level.model_validate("gfn1")
PF6 = Atoms("PF6", 1.6 * np.vstack([np.zeros(3), np.eye(3), -np.eye(3)]))
pytestmark = pytest.mark.engine


def bound(*words):
    done = CliRunner().invoke(app, ["bind", *map(str, words), "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_a_distant_ion_pair_is_bound_by_coulombs_law(tmp_path):
    pair = PF6 + Atoms("Li", [[15.0, 0, 0]])
    pair.write(tmp_path / "pair.xyz")
    words = ("--structure", tmp_path / "pair.xyz", "--charges", "-1 1", "--level", "hf/sto-3g")
    found = bound(*words)
    assert found["composition"] == {"Li+": 1, "PF6-": 1}
    assert found["binding_energy_eV"]["frozen_ligands"] == pytest.approx(-Hartree * Bohr / 15.0, abs=0.002)


def test_a_state_above_the_lowest_is_refused_instead_of_its_energy():
    # PBE moves part of an electron between distant ions; DIIS fails, second-order SCF stops 90 eV too high.
    with pytest.raises(EngineFailed, match="ended in an excited state for FLi"):
        energy_eV(Atoms("LiF", [[0, 0, 0], [8.0, 0, 0]]), Level.model_validate("pbe/def2-svp"), charge=0)


def test_a_shell_with_an_anion_is_measured_against_a_separated_ion_pair(capfd):
    found = bound("Li+", "PF6-", "H2O", "--level", "gfn1", "--starts", 10, "--relaxed", 2)
    parts = found["parts"]
    assert found["denticity"].startswith("PF6-:")
    apart = parts["ion_eV"] + sum(parts["ligands_relaxed_eV"])
    assert found["binding_energy_eV"]["relaxed"] == pytest.approx(parts["complex_eV"] - apart, abs=1e-9)
    # More than one ion with one more dipole: Li+ and PF6- in contact are -14.4/2.8 eV by charge alone.
    assert found["binding_energy_eV"]["relaxed"] < -5.0
    charged = energy_eV(PF6, GFN1, charge=-1)
    assert parts["ligands_relaxed_eV"][0] == pytest.approx(charged, abs=0.5)
    assert "UFFTYPER" not in capfd.readouterr().err
