"""Lennard-Jones terms of molecules: the last rule that matches an atom, in the units of the package."""

import pytest
from pydantic import ValidationError

from solvation.liquids.spheres import _Rule, published_spheres
from solvation.species import build_molecule
from solvation.study import Species
from solvation.study.trajectories import Charges

KCAL = 4.184


def spheres(smiles):
    molecule = build_molecule("mine", Species(smiles=smiles))
    source, found = published_spheres(molecule)
    assert source.startswith("openff-2.2.1")
    return list(zip(molecule.symbols, found, strict=True))


def minimum(sphere):
    """Half the distance of the minimum, Å, and the depth, kcal/mol: as the source has them."""
    sigma_A, epsilon_kJ_mol = sphere
    return sigma_A * 2 ** (1 / 6) / 2, epsilon_kJ_mol / KCAL


def test_atoms_of_ethylene_carbonate_take_the_rules_that_a_reader_of_the_source_finds():
    found = spheres("O=C1OCCO1")
    wanted = {"=O": (1.706036917087, 0.2102061007896), "c": (1.953447017081, 0.0868793154488),
              "-O": (1.697783613804, 0.1684651402602), "CH2": (1.896698071741, 0.1088406109251),
              "H": (1.449786411317, 0.01640924602775)}  # fmt: skip
    order = ["=O", "c", "-O", "CH2", "CH2", "-O", *["H"] * 4]
    for (_, sphere), name in zip(found, order, strict=True):
        assert minimum(sphere) == pytest.approx(wanted[name], rel=1e-12)


def test_water_is_that_of_tip3p():
    (_, oxygen), *hydrogens = spheres("O")
    assert oxygen == pytest.approx((3.1507, 0.1521 * KCAL))
    assert [sphere[1] for _, sphere in hydrogens] == [0.0, 0.0]


def test_an_element_without_a_rule_has_none():
    assert [symbol for symbol, sphere in spheres("CB(C)C") if sphere is None] == ["B"]


def test_a_rule_marks_one_atom_and_has_one_size():
    for wrong in (
        {"smarts": "[#8]"},
        {"smarts": "[#8:1]-[#6:1]"},
        {"smarts": "[#8:1"},
        {"sigma": 3.0},
        {"rmin_half": None},
    ):
        with pytest.raises(ValidationError):
            _Rule.model_validate({"id": "x", "smarts": "[#8:1]", "epsilon": 0.1, "rmin_half": 1.7} | wrong)


def test_pair_terms_of_lithium_are_refused_beside_spheres_that_they_were_not_fitted_to():
    with pytest.raises(ValidationError, match="set ion_pairs: published"):
        Charges(lennard_jones="gaff2")
    assert Charges(lennard_jones="gaff2", ion_pairs="published").lennard_jones == "gaff2"
