"""`solvation species`: what the library has, and what a name or a SMILES stands for."""

import json

import pytest
from typer.testing import CliRunner

from solvation.cli.app import app
from solvation.library import library


def told(*words):
    done = CliRunner().invoke(app, ["species", *words])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_every_species_of_the_library_has_a_line():
    assert [line.split()[0] for line in told().splitlines()] == list(library())


def test_an_open_shell_is_told_with_its_multiplicity():
    (row,) = json.loads(told("[Fe+2]", "--multiplicity", "[Fe+2]=5", "--json"))
    assert (row["charge"], row["multiplicity"]) == (2, 5)


@pytest.mark.parametrize(
    ("asked", "formula", "charge", "donors"),
    [
        ("EC", "C3H4O3", 0, {"carbonyl O": 1, "ring O": 2}),
        ("PF6-", "F6P-", -1, {"fluorine": 6}),
        ("CN(C)C", "C3H9N", 0, {"amine N": 1}),
        ("PS", "H3PS", 0, {}),
    ],
)
def test_a_name_or_a_smiles_is_told_with_its_donors(asked, formula, charge, donors):
    (row,) = json.loads(told(asked, "--json"))
    assert (row["formula"], row["charge"]) == (formula, charge)
    assert donors.items() <= row["donors"].items()
