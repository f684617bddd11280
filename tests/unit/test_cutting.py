"""A droplet cut out of a box: the nearest molecules, whole, unchanged, across the faces of the cell too."""

from __future__ import annotations

import numpy as np
import pytest

from solvation.dynamics.cutting import cut_droplet, whole_box
from solvation.dynamics.langevin import State, stored_generator
from solvation.errors import StructureError
from solvation.liquids.packing import PackedSystem
from solvation.species import build_molecule, embed_conformers
from solvation.study import Species

MOLECULES = {name: build_molecule(name, Species(library=name)) for name in ("Li+", "EC", "NMe3", "PF6-")}
EDGE_A = 24.0


@pytest.fixture(scope="module")
def box():
    """Molecules at random places, the ion beside a face, all moved by whole cells at random."""
    rng = np.random.default_rng(5)
    names = ["Li+", "Li+", *["EC"] * 20, *["NMe3"] * 6]
    places = []
    for number, name in enumerate(names):
        geometry = embed_conformers(MOLECULES[name], 1, number + 1)[0]
        centre = np.array([0.3, 0.2, 23.9]) if number == 0 else rng.uniform(0, EDGE_A, 3)
        places.append(geometry - geometry.mean(axis=0) + centre + EDGE_A * rng.integers(-2, 3, 3))
    system = PackedSystem(tuple(MOLECULES[name] for name in names), np.concatenate(places), EDGE_A, None)
    atoms = system.atoms
    return State(
        numbers=atoms.numbers, masses_u=atoms.get_masses(), residues=system.residue_ids, bonds=system.bonds,
        charge=2, multiplicity=1, wall_radius_A=np.inf, cell_A=np.full(3, EDGE_A), positions_A=system.positions_A,
        momenta=np.zeros_like(system.positions_A), generator=stored_generator(rng), step=7,
    )  # fmt: skip


def nearest_images_A(box):
    """Distance of each molecule's closest atom to the first ion over all 125 images: no shared code."""
    grid = np.array(np.meshgrid(*[np.arange(-5, 6)] * 3)).reshape(3, -1).T * EDGE_A
    found = []
    for residue in range(box.residues[-1] + 1):
        place = box.positions_A[box.residues == residue] - box.positions_A[0]
        found.append(np.linalg.norm(place[:, None] + grid, axis=-1).min())
    return np.array(found)


def test_the_nearest_copies_are_taken_whole(box):
    droplet = cut_droplet(box, MOLECULES, {"EC": 5, "Li+": 1, "NMe3": 2}, density_g_cm3=1.2)
    assert [molecule.name for molecule in droplet.molecules] == ["Li+", *["EC"] * 5, *["NMe3"] * 2]
    assert droplet.positions_A[0] == pytest.approx(np.zeros(3))
    wanted = nearest_images_A(box)
    own = droplet.residue_ids
    for name, first, count in (("EC", 1, 5), ("NMe3", 6, 2)):
        places = [droplet.positions_A[own == first + index] for index in range(count)]
        distances = [np.linalg.norm(place, axis=1).min() for place in places]
        copies = slice(2, 22) if name == "EC" else slice(22, 28)
        assert distances == pytest.approx(np.sort(wanted[copies])[:count])
        # Not a bond has changed: the inner distances are those of one of the copies.
        for place in places:
            inner = np.linalg.norm(place[0] - place, axis=1)
            originals = [box.positions_A[box.residues == residue] for residue in range(28)[copies]]
            assert min(np.abs(np.linalg.norm(one[0] - one, axis=1) - inner).max() for one in originals) < 1e-9


def test_no_molecule_begins_outside_the_wall(box):
    droplet = cut_droplet(box, MOLECULES, {"Li+": 1, "EC": 2, "NMe3": 6}, density_g_cm3=5.0)
    masses = droplet.atoms.get_masses()
    middle = masses @ droplet.positions_A / masses.sum()
    for residue in range(9):
        own = droplet.residue_ids == residue
        centre = masses[own] @ droplet.positions_A[own] / masses[own].sum()
        assert np.linalg.norm(centre - middle) <= droplet.radius_A + 1e-9


@pytest.mark.parametrize("composition", [{"Li+": 1, "EC": 21}, {"Li+": 1, "PF6-": 1}, {"EC": 3}])
def test_what_the_box_does_not_hold_is_refused(box, composition):
    with pytest.raises(StructureError):
        cut_droplet(box, MOLECULES, composition, density_g_cm3=1.2)


def test_a_box_goes_on_as_it_stands(box):
    found = whole_box(box, MOLECULES, {"EC": 20, "NMe3": 6, "Li+": 2})
    assert found.cell_A == EDGE_A
    assert found.radius_A is None
    assert [molecule.name for molecule in found.molecules] == ["Li+"] * 2 + ["EC"] * 20 + ["NMe3"] * 6
    assert found.positions_A == pytest.approx(box.positions_A)
    assert found.charge == 2


@pytest.mark.parametrize(
    ("composition", "message"),
    [
        ({"Li+": 2, "EC": 19, "NMe3": 6}, "19 EC, but the box holds 20"),
        ({"Li+": 2, "EC": 20}, "22 molecules of the 28 in the box"),
    ],
)
def test_a_box_goes_on_whole_or_not_at_all(box, composition, message):
    with pytest.raises(StructureError, match=message):
        whole_box(box, MOLECULES, composition)
