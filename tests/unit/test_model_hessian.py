"""Lindh's model Hessian: against numerical derivatives of its coordinates, and its exact symmetries."""

import numpy as np
import pytest
from ase.build import molecule
from ase.units import Bohr, Hartree

from solvation.clusters import model_hessian
from solvation.clusters.model_hessian import lindh_hessian


@pytest.mark.parametrize("name", ["H2O", "CH3CH2OH", "C6H6", "Si2H6"])
def test_moving_or_turning_the_whole_costs_nothing(name):
    atoms = molecule(name)
    values = np.linalg.eigvalsh(lindh_hessian(atoms.get_chemical_symbols(), atoms.positions))
    assert values.min() > -1e-10
    assert np.count_nonzero(values < 1e-8) == 6


def test_the_stretch_of_a_diatomic_is_the_papers_force_constant():
    bond = 0.74
    hessian = lindh_hessian(["H", "H"], np.array([[0, 0, 0], [0, 0, bond]]))
    constant = 0.45 * np.exp(1.0 * (1.35**2 - (bond / Bohr) ** 2)) * Hartree / Bohr**2
    assert hessian[2, 2] == pytest.approx(constant)
    assert hessian[2, 5] == pytest.approx(-constant)
    assert np.count_nonzero(np.abs(hessian) > 1e-12) == 4


@pytest.mark.parametrize(("terms", "width"), [("_stretches", 2), ("_bends", 3), ("_torsions", 4)])
def test_gradients_of_the_coordinates_are_their_derivatives(terms, width):
    atoms = molecule("CH3CH2OH")
    positions = atoms.positions / Bohr
    row = np.digitize(atoms.numbers, [2.5, 10.5])
    distance = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    strength = np.exp(
        model_hessian._RANGE[np.ix_(row, row)] * (model_hessian._DISTANCE[np.ix_(row, row)] ** 2 - distance**2)
    )
    np.fill_diagonal(strength, 0.0)
    indices, gradients, constants = getattr(model_hessian, terms)(positions, strength)
    assert len(indices) == width
    assert len(constants) > 5
    step = 1e-5
    for term in range(len(constants)):
        chosen = [int(column[term]) for column in indices]
        for place in range(width):
            for axis in range(3):
                ends = []
                for sign in (1, -1):
                    moved = positions[chosen].copy()
                    moved[place, axis] += sign * step
                    ends.append(coordinate(moved))
                change = (ends[0] - ends[1] + np.pi) % (2 * np.pi) - np.pi  # a torsion may pass 180 degrees
                numerical = change / (2 * step)
                # Only the square enters the Hessian, so the sign of a coordinate is free.
                assert abs(gradients[place][term][axis]) == pytest.approx(abs(numerical), abs=1e-7)


def coordinate(points: np.ndarray) -> float:
    """Length, angle or torsion of two, three or four points."""
    steps = np.diff(points, axis=0)
    if len(points) == 2:
        return float(np.linalg.norm(steps[0]))
    if len(points) == 3:
        one, other = -steps[0], steps[1]
        return float(np.arccos(one @ other / np.linalg.norm(one) / np.linalg.norm(other)))
    first, second = np.cross(steps[0], steps[1]), np.cross(steps[1], steps[2])
    return float(np.arctan2(np.linalg.norm(steps[1]) * (steps[0] @ second), first @ second))
