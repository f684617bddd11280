"""Metals are bare ions wherever molecules are found by distances: by one list."""

import math

import numpy as np
import pytest
from ase import Atoms

from solvation.elements import is_metal
from solvation.shells.coordination import contact_distance_A
from solvation.trajectory.ase_frames import covalent_bonds


@pytest.mark.parametrize("metal", ["Li", "Ca", "Fe", "Ni", "Cd", "La", "Pb"])
def test_every_metal_is_bonded_to_nothing_and_has_contacts(metal):
    water = [[0, 0, 1.9], [0, 0.76, 2.5], [0, -0.76, 2.5]]
    assert is_metal(metal)
    assert sorted(covalent_bonds(Atoms(f"{metal}OH2", np.array([[0, 0, 0], *water])))) == [(1, 2), (1, 3)]
    assert contact_distance_A({metal}, {"O"}) > 2


def test_antimony_of_its_fluoride_and_anions_are_no_metals():
    assert covalent_bonds(Atoms("SbF", [[0, 0, 0], [0, 0, 1.9]])) == [(0, 1)]
    assert math.isnan(contact_distance_A({"Cl"}, {"H"}))
