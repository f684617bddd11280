"""Constructed shells: what is bound, what broke, what is too close."""

import numpy as np
import pytest

from solvation.clusters.checks import (
    bound_donors,
    broken_or_formed,
    denticity_label,
    fault,
    fell_apart,
    ion_on_hydrogen,
    too_close_to_ion,
    wrong_denticity,
)
from solvation.clusters.shapes import diverse, fingerprint, shape_distance_A, unique
from solvation.clusters.shell import Shell
from solvation.species import build_molecule, embed_conformers
from solvation.study import Species

LI = build_molecule("Li+", Species(smiles="[Li+]"))
WATER = build_molecule("W", Species(smiles="O"))
EN = build_molecule("EN", Species(smiles="NCCN"))
TETRAHEDRON = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)


def four_waters(distance_A: float = 2.0) -> tuple[Shell, np.ndarray]:
    """Four waters with O on a tetrahedron and H pointing away from Li."""
    positions = [np.zeros((1, 3))]
    for direction in TETRAHEDRON:
        side = np.cross(direction, [0.3, 0.5, 0.8])
        side /= np.linalg.norm(side)
        oxygen = distance_A * direction
        positions += [[oxygen], [oxygen + 0.59 * direction + 0.76 * side], [oxygen + 0.59 * direction - 0.76 * side]]
    return Shell((LI, WATER, WATER, WATER, WATER)), np.vstack(positions)


def test_four_waters_at_two_angstrom_are_four_donors():
    shell, positions = four_waters()
    assert {number: len(donors) for number, donors in bound_donors(shell, positions).items()} == {
        1: 1,
        2: 1,
        3: 1,
        4: 1,
    }
    assert denticity_label(shell, positions) == "W:1 W:1 W:1 W:1"
    assert fault(shell, positions, {}) is None
    assert shell.charge == 1


def test_a_water_at_four_angstrom_is_outside_the_shell():
    shell, positions = four_waters()
    positions[10:13] += 2.0 * TETRAHEDRON[3]
    assert wrong_denticity(shell, positions, {}) == "W 4 is outside the first shell"


def test_a_ligand_that_left_is_gone_and_a_second_shell_is_not():
    shell, positions = four_waters()
    assert not fell_apart(shell, positions)
    positions[10:13] += 7.0 * TETRAHEDRON[3]
    assert not fell_apart(shell, positions)
    positions[10:13] += 10.0 * TETRAHEDRON[3]
    assert fell_apart(shell, positions)
    # The ion alone far away, as a force field may leave it between ions.
    positions[0] = 50.0
    positions[10:13] -= 17.0 * TETRAHEDRON[3]
    assert fell_apart(shell, positions)


def test_a_chelate_counts_each_of_its_donors():
    shell = Shell((LI, EN))
    positions = np.vstack([np.zeros(3), embed_conformers(EN, 1, 3)[0] + [50, 0, 0]])
    first, second = (index for _, index, _ in shell.donors)
    assert denticity_label(shell, positions) == "EN:0"
    middle = (positions[first] + positions[second]) / 2
    axis = positions[second] - positions[first]
    normal = np.cross(axis, [0.1, 0.2, 1.0])
    half = np.linalg.norm(axis) / 2
    if half < 2.1:
        positions[0] = middle + normal / np.linalg.norm(normal) * np.sqrt(2.1**2 - half**2)
        assert denticity_label(shell, positions) == "EN:2"
        assert "declared to bind by 1" in str(wrong_denticity(shell, positions, {"EN": 1}))
        assert wrong_denticity(shell, positions, {"EN": 2}) is None
    else:
        pytest.fail("the conformer of this seed is no longer a gauche one; choose another seed")


def test_a_proton_that_moved_to_a_neighbour_is_seen():
    shell, positions = four_waters()
    positions[2] = positions[4] + 0.97 * (positions[1] - positions[4]) / np.linalg.norm(positions[1] - positions[4])
    assert "broke" in str(broken_or_formed(shell, positions)) or "apart" in str(broken_or_formed(shell, positions))


def test_a_stretched_bond_is_broken_and_a_thermal_one_is_not():
    shell, positions = four_waters()
    stretched = positions.copy()
    stretched[2] += 0.1 * (stretched[2] - stretched[1]) / np.linalg.norm(stretched[2] - stretched[1])
    assert broken_or_formed(shell, stretched) is None
    stretched[2] += 0.6 * (stretched[2] - stretched[1]) / np.linalg.norm(stretched[2] - stretched[1])
    assert str(broken_or_formed(shell, stretched)).startswith("bond O1-H2 broke")


def test_an_atom_on_top_of_the_ion_is_seen():
    shell, positions = four_waters(distance_A=1.2)
    assert "1.20 Å from the ion" in str(too_close_to_ion(shell, positions))
    assert too_close_to_ion(*four_waters(1.8)) is None


def test_an_ion_on_a_hydrogen_is_told_and_a_usual_shell_is_not():
    shell, positions = four_waters()
    assert ion_on_hydrogen(shell.atoms(positions)) is None
    positions[2] = 1.87 * positions[2] / np.linalg.norm(positions[2])
    assert "1.87 Å from the ion" in str(ion_on_hydrogen(shell.atoms(positions)))


def test_a_fingerprint_does_not_see_turns_mirrors_or_swapped_ligands():
    shell, positions = four_waters()
    rng = np.random.default_rng(0)
    positions = positions + rng.normal(scale=0.3, size=positions.shape)
    print_ = fingerprint(shell.symbols, positions)
    swapped = positions.copy()
    swapped[1:4], swapped[4:7] = positions[4:7], positions[1:4]
    for same in (positions * [-1, 1, 1], positions[:, [2, 0, 1]] + 5.0, swapped):
        assert shape_distance_A(print_, fingerprint(shell.symbols, same)) == pytest.approx(0, abs=1e-12)
    moved = positions.copy()
    moved[1] += [0.5, 0, 0]
    assert shape_distance_A(print_, fingerprint(shell.symbols, moved)) > 0.05


def test_unique_keeps_the_lowest_of_twins_and_both_of_equal_energy_with_other_shapes():
    prints = [np.array([2.0, 3.0]), np.array([2.01, 3.0]), np.array([2.0, 5.0])]
    assert unique(np.array([0.002, 0.0, 0.0]), prints, same_shape_A=0.1, same_energy_eV=0.01) == [1, 2]


def test_diverse_takes_the_lowest_then_the_farthest_then_the_next_lowest():
    energies = np.array([0.0, 0.1, 0.2, 0.9])
    prints = [np.array([2.0]), np.array([2.1]), np.array([2.2]), np.array([9.0])]
    assert diverse(energies, prints, 3) == [0, 3, 1]
    assert diverse(energies, prints, 9) == [0, 3, 1, 2]
