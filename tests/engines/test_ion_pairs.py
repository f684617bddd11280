"""A ligand with a charge: ion pairs and shells that hold an anion."""

import json

import numpy as np
import pytest
from ase import Atoms
from ase.units import Bohr, Hartree
from typer.testing import CliRunner

from solvation.cli.app import app
from solvation.engines import energy_eV
from solvation.engines.pyscf import PySCFCalculator, _fills_the_lowest, _Lowest
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


@pytest.mark.parametrize("anion", ["FSI-", "PF6-"])
def test_anions_whose_atoms_lie_close_across_a_third_one_are_found(anion):
    """S and S across N in FSI- are 1.2 covalent radii apart; UFF lays F on F in PF6-."""
    found = bound("Li+", anion, "--level", "gfn2", "--starts", 10, "--relaxed", 2)
    assert -9 < found["binding_energy_eV"]["relaxed"] < -5


def test_a_molecule_that_the_force_field_cannot_relax_is_left_to_the_engine():
    found = bound("Li+", "F", "--level", "gfn2", "--starts", 5, "--relaxed", 1)
    assert -2.5 < found["binding_energy_eV"]["relaxed"] < -1


def test_a_free_ligand_is_shaken_off_the_top_of_a_barrier():
    """Twisted H2N-BH2 is the top of one, on which a relaxation stops."""
    told = CliRunner().invoke(app, ["bind", "Li+", "NB", "--level", "gfn2", "--starts", "5", "--relaxed", "1"]).output
    deformation_eV = float(told.split("deformation of the ligands")[1].split()[0])
    assert deformation_eV > -0.01
    assert "it is not its lowest" not in told


def test_a_state_above_the_lowest_is_no_energy():
    # PBE moves part of an electron between distant ions: DIIS fails, and second-order SCF may stop 90 eV too high.
    level = Level.model_validate("pbe/def2-svp")
    ions = energy_eV(Atoms("Li"), level, charge=1) + energy_eV(Atoms("F"), level, charge=-1) - Hartree * Bohr / 8.0
    found, refused = np.nan, ""
    try:
        found = energy_eV(Atoms("LiF", [[0, 0, 0], [8.0, 0, 0]]), level, charge=0)
    except EngineFailed as problem:
        refused = str(problem)
    assert "ended in an excited state for FLi" in refused or ions - 5.0 < found < ions + 0.01


def test_a_deep_hole_is_seen_and_a_lower_energy_on_the_way_as_well():
    field = PySCFCalculator(Level.model_validate("pbe/sto-3g"), charge=0, multiplicity=1).converged(
        Atoms("OHH", [[0, 0, 0], [0, 0.76, 0.58], [0, -0.76, 0.58]])
    )
    assert _fills_the_lowest(field)
    seen = _Lowest()
    seen({"e_tot": field.e_tot})
    assert not seen.is_below(field)
    field.mo_occ = np.roll(field.mo_occ, 1)
    field.e_tot += 1.0
    assert not _fills_the_lowest(field)
    assert seen.is_below(field)


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
