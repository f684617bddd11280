"""Recipes of solutions, by hand."""

from __future__ import annotations

import pytest

from solvation.errors import StudyError
from solvation.liquids.mixtures import numbers_from_recipe, numbers_of
from solvation.species import build_molecule
from solvation.study import ClassicalDynamics, Mixture, Species

# g/mol, rounded so that everything below can be done on paper.
MASSES = {"EC": 88.0, "DEC": 118.0, "Li+": 7.0, "PF6-": 145.0, "Mg": 24.0}


def recipe(**changes):
    return Mixture.model_validate({"solvents": {"EC": 1}, "solvent_molecules": 100} | changes)


def test_parts_by_volume_become_moles_through_density_and_mass():
    # 1 cm3 of each: 1.32 / 88 = 15 mmol of EC, 0.944 / 118 = 8 mmol of DEC.
    asked = recipe(
        solvents={"EC": 1, "DEC": 1}, solvent_density_g_cm3={"EC": 1.32, "DEC": 0.944}, solvent_molecules=230
    )
    assert numbers_from_recipe(asked, MASSES, 1.2) == {"EC": 150, "DEC": 80}


@pytest.mark.parametrize(
    ("parts", "wanted"), [("mole", {"EC": 75, "DEC": 25}), ("mass", {"EC": 80, "DEC": 20})], ids=str
)
def test_parts_by_mole_and_by_mass(parts, wanted):
    # By mass 3:1 is 3/88 to 1/118, that is 80.09 to 19.91 of a hundred.
    assert numbers_from_recipe(recipe(solvents={"EC": 3, "DEC": 1}, parts=parts), MASSES, 1.2) == wanted


def test_molality_counts_kilograms_of_solvent():
    # 1000 EC are 88 kg per 1000 mol: 1.25 mol/kg are 110 formula units.
    asked = recipe(solvent_molecules=1000, salt={"Li+": 1, "PF6-": 1}, molality=1.25)
    assert numbers_from_recipe(asked, MASSES, 1.2) == {"EC": 1000, "Li+": 110, "PF6-": 110}


def test_molarity_counts_litres_of_solution():
    # A litre weighs 1352 g, 152 g of them salt: 1200 g of EC are 13.636 mol, so 1000 EC take 73.3 formula units.
    asked = recipe(solvent_molecules=1000, salt={"Li+": 1, "PF6-": 1}, molarity=1.0)
    assert numbers_from_recipe(asked, MASSES, 1.352) == {"EC": 1000, "Li+": 73, "PF6-": 73}


def test_a_formula_unit_keeps_its_ions_together():
    asked = recipe(solvent_molecules=100, salt={"Mg": 1, "PF6-": 2}, molality=1.0)
    assert numbers_from_recipe(asked, MASSES, 1.2) == {"EC": 100, "Mg": 9, "PF6-": 18}


def test_the_largest_remainders_are_rounded_up():
    asked = recipe(solvents={"EC": 2, "DEC": 1}, parts="mole", solvent_molecules=100)
    assert numbers_from_recipe(asked, MASSES, 1.2) == {"EC": 67, "DEC": 33}


def test_what_leaves_no_molecule_is_refused():
    with pytest.raises(StudyError, match="leave no Li"):
        numbers_from_recipe(recipe(solvent_molecules=2, salt={"Li+": 1, "PF6-": 1}, molality=0.1), MASSES, 1.2)
    with pytest.raises(StudyError, match="weigh more than the solution"):
        numbers_from_recipe(recipe(salt={"Li+": 1, "PF6-": 1}, molarity=10), MASSES, 1.2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"solvents": {"EC": 1, "DEC": 1}}, "solvent_density_g_cm3 of EC"),
        ({"salt": {"Li+": 1}}, "one of molarity and molality"),
        ({"molarity": 1.0}, "need a salt"),
        ({"salt": {"Li+": 1}, "molarity": 1.0, "molality": 1.0}, "one of molarity and molality"),
        ({"salt": {"EC": 1}, "molarity": 1.0}, "EC is a solvent and an ion"),
    ],
)
def test_a_recipe_that_says_too_little_or_too_much_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        recipe(**changes)


def test_a_composition_is_taken_as_it_is_and_a_recipe_uses_the_density_of_the_trajectory():
    molecules = {name: build_molecule(name, Species(library=name)) for name in ("EC", "Li+", "PF6-")}
    plain = ClassicalDynamics(forcefield="gaff2", composition={"EC": 40, "Li+": 1})
    assert numbers_of(plain, molecules) == {"EC": 40, "Li+": 1}
    asked = recipe(solvent_molecules=1000, salt={"Li+": 1, "PF6-": 1}, molarity=1.0)
    thick = ClassicalDynamics(forcefield="gaff2", mixture=asked, density_g_cm3=1.352)
    # 88.06 and 151.90 instead of 88 and 152.
    assert numbers_of(thick, molecules)["Li+"] == 73
    assert thick.members == ("Li+", "PF6-", "EC")
