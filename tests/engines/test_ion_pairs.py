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


def test_beside_a_cation_a_halide_is_a_ligand(tmp_path):
    found = bound("[Cl-]", "Li+", "H2O:2", "--level", "gfn2", "--starts", 10, "--relaxed", 2)
    assert found["denticity"] == "[Cl-]:1 H2O:1 H2O:1"
    pair = Atoms("ClLi", [[0, 0, 0], [0, 0, 2.05]])
    pair.write(tmp_path / "pair.xyz")
    given = bound("--structure", tmp_path / "pair.xyz", "--level", "pbe0-d4/def2-tzvpd")
    assert given["composition"] == {"Li+": 1, "Cl-": 1}
    # LiCl into its ions: 4.84 eV into atoms, 5.39 to ionise Li, 3.61 back from Cl (CRC Handbook).
    assert given["binding_energy_eV"]["frozen_ligands"] == pytest.approx(-6.62, abs=0.15)


@pytest.mark.slow
def test_without_diffuse_functions_an_anion_is_held_too_strongly_and_bind_says_so(tmp_path):
    pair = PF6 + Atoms("Li", [[1.36, 1.36, 1.36]])
    pair.write(tmp_path / "pair.xyz")

    def energy_and_words(level):
        words = ["bind", "--structure", tmp_path / "pair.xyz", "--charges", "-1 1", "--level", level, "--json"]
        done = CliRunner().invoke(app, list(map(str, words)))
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)["binding_energy_eV"]["frozen_ligands"], done.stderr

    poor, warned = energy_and_words("pbe-d4/def2-svp")
    good, quiet = energy_and_words("pbe-d4/def2-svpd")
    best, _ = energy_and_words("pbe-d4/def2-tzvpd")
    assert good == pytest.approx(best, abs=0.05)
    assert poor < best - 0.4
    assert "pbe-d4/def2-svp has no diffuse functions, and holds PF6-" in warned
    assert "diffuse" not in quiet
