"""Variations of a shell: one ligand changes, the others stay."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from solvation.clusters.placement import Start
from solvation.clusters.shell import build_shell
from solvation.clusters.variation import patience, rounds_over, turned, turning_bonds, varied
from solvation.species import build_molecule, embed_conformers
from solvation.study import Species

KINDS = {"Li+": "[Li+]", "EC": "O=C1OCCO1", "DME": "COCCOC", "W": "O"}


class NoForce:
    """Leaves atoms where they are, and tells what was to be held."""

    def relax(self, positions_A, held=(), *, fully=True):
        self.held = list(held)
        return Start(positions_A, 0.0)


def made(composition):
    molecules = {name: build_molecule(name, Species(smiles=KINDS[name])) for name in composition}
    return build_shell(composition, molecules), molecules


@pytest.mark.parametrize(("smiles", "count"), [("O", 0), ("O=C1OCCO1", 0), ("COCCOC", 3), ("CN(C)C", 0), ("CC#N", 0)])
def test_bonds_that_turn_are_those_between_chains(smiles, count):
    bonds = turning_bonds(build_molecule("X", Species(smiles=smiles)))
    assert len(bonds) == count
    assert all(len(set(chain)) == 4 for chain in bonds)


@pytest.mark.parametrize(
    ("composition", "rounds"), [({"Li+": 1, "EC": 4}, 1), ({"Li+": 1, "DME": 1}, 2), ({"Li+": 1, "EC": 1, "DME": 3}, 4)]
)
def test_what_turns_is_varied_longer(composition, rounds):
    shell, _ = made(composition)
    assert patience(shell.molecules) == rounds


@pytest.mark.parametrize(
    ("lowest_eV", "over"),
    [([0.0], False), ([0, -1], False), ([0, 0], False), ([0, 0, 0], True), ([0, 0, -1, -1], False),
     ([0, -1, -1, -1], True), ([0, -0.006, -0.012], True)],
)  # fmt: skip
def test_rounds_end_after_as_many_in_vain_in_a_row(lowest_eV, over):
    molecules = [build_molecule("DME", Species(smiles=KINDS["DME"]))]
    assert patience(molecules) == 2
    assert rounds_over(molecules, lowest_eV, 0.01) is over


@pytest.mark.parametrize("anchor", [1, 4])
def test_a_turn_keeps_bonds_and_angles_and_the_side_of_the_anchor(anchor):
    molecule = build_molecule("DME", Species(smiles="COCCOC"))
    before = embed_conformers(molecule, 1, 1)[0]
    after = turned(molecule, before, turning_bonds(molecule)[:1], anchor, np.random.default_rng(3))
    apart = [np.linalg.norm(place[list(molecule.bonds)][:, 0] - place[list(molecule.bonds)][:, 1], axis=1)
             for place in (before, after)]  # fmt: skip
    assert apart[0] == pytest.approx(apart[1], abs=1e-6)
    stayed = np.linalg.norm(after - before, axis=1) < 1e-6
    assert stayed[anchor]
    assert not stayed.all()


@pytest.mark.parametrize("seed", range(8))
def test_one_ligand_changes_and_keeps_its_shape_or_its_donor(seed):
    shell, molecules = made({"Li+": 1, "EC": 2, "DME": 1})
    rng = np.random.default_rng(seed)
    rings, chains = embed_conformers(molecules["EC"], 2, 1), embed_conformers(molecules["DME"], 9, 1)
    free = [[np.zeros((1, 3))], rings, rings, chains]
    # Far from one another, with one donor of each 2 Å from the ion.
    places, held = [np.zeros((1, 3))], {1: 0, 2: 0, 3: 1}
    for number, way in enumerate(np.eye(3), start=1):
        geometry = free[number][0] - free[number][0][held[number]]
        out = geometry.mean(axis=0) / np.linalg.norm(geometry.mean(axis=0))
        axis = np.cross(out, way)
        turn = np.eye(3) + (k := np.cross(np.eye(3), axis)) + k @ k / (1 + out @ way)
        places.append(geometry @ turn.T + 2.0 * way)
    before = np.vstack(places) + 5.0
    field = NoForce()
    after = varied(shell, field, before, free, [None, 1, 1, 1], rng, fully=True).positions_A
    assert after[0] == pytest.approx([0, 0, 0])
    moved = np.linalg.norm(after - (before - before[0]), axis=1) > 1e-6
    (changed,) = set(shell.fragment[moved])
    own = shell.fragment == changed
    shapes = [np.sort(cdist(one, one)[np.triu_indices(one.shape[0], 1)]) for one in free[changed]]
    shape = np.sort(cdist(after[own], after[own])[np.triu_indices(own.sum(), 1)])
    as_embedded = any(np.allclose(shape, one) for one in shapes)
    donor = shell.offsets[changed] + held[changed]
    assert as_embedded or not moved[donor]
    assert {shell.fragment[atom] for _, atom in field.held} == {1, 2, 3}


def test_without_a_flexible_ligand_one_is_placed_anew():
    shell, molecules = made({"Li+": 1, "W": 1})
    water = embed_conformers(molecules["W"], 1, 1)[0]
    before = np.vstack([np.zeros((1, 3)), water - water[0] + [0, 0, 2.0]])
    after = varied(
        shell, NoForce(), before, [[np.zeros((1, 3))], [water]], [None, 1], np.random.default_rng(1), fully=False
    ).positions_A  # fmt: skip
    assert np.linalg.norm(after[1]) == pytest.approx(2.0)
    assert not np.allclose(after, before)
