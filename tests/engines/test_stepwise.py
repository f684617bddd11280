"""What the last ligand of a complex gains, without a study file."""

import json

import pytest
from typer.testing import CliRunner

from solvation.cli.app import app

LITTLE = ("--starts", "8", "--relaxed", "2")


def called(*words):
    return CliRunner().invoke(app, ["bind", *words])


def test_the_last_ligand_is_the_difference_of_two_complexes_at_every_level():
    words = ("--level", "gfn2", "--level", "gfn1", "--thermo", *LITTLE)
    found = json.loads(called("Li+", "O:2", *words, "--stepwise", "--json").stdout)
    alone = json.loads(called("Li+", "O", *words, "--json").stdout)
    (step,) = found["stepwise"]
    assert step["ligand"] == "O"
    assert step["without"]["composition"] == {"Li+": 1, "O": 1}
    for rung, less in zip(found["ladder"], alone["ladder"], strict=True):
        gained = rung["binding_energy_eV"]["relaxed"] - less["binding_energy_eV"]["relaxed"]
        assert step["energy_eV"][rung["level"]] == pytest.approx(gained, abs=1e-6)
    motion = [one["thermochemistry"]["gibbs_eV"]["grimme"] for one in (found, alone)]
    assert step["gibbs_eV"]["grimme"] == pytest.approx(motion[0] - motion[1], abs=1e-6)
    # A second water is held less strongly than the first.
    assert alone["binding_energy_eV"]["relaxed"] < step["energy_eV"]["gfn2"] < -1.0


def test_there_is_a_step_for_each_kind_of_ligand():
    told = called("Li+", "O", "N", "--level", "gfn2", *LITTLE, "--stepwise").output
    assert "last O, onto Li+(N)" in told
    assert "last N, onto Li+(O)" in told


@pytest.mark.parametrize(
    ("words", "said"),
    [(("Li+", "O"), "name two or more"), (("--structure", "none.xyz"), "wants an ion and its ligands by name")],
)
def test_what_has_no_step_is_refused(words, said):
    assert said in str(called(*words, "--level", "gfn2", "--stepwise").exception)
