"""Terms of boron: as long and as wide as it is relaxed, equal where atoms are, and nothing of sp2 carbon unsaid."""

from __future__ import annotations

import numpy as np
import pytest
from ase.geometry import get_angles

from solvation.errors import SpeciesError
from solvation.liquids.boron import boron_doubts, with_boron
from solvation.liquids.forcefield import _angles, _torsions, neighbours, symmetry_classes
from solvation.species import build_molecule, embed_conformers
from solvation.study import Species

OXALATE = "O=C1O[B-](F)(F)OC1=O"
PHENYL = "[B-](F)(F)(F)c1ccccc1"


def molecule(smiles):
    return build_molecule("mine", Species(smiles=smiles))


def carbon_like(asked):
    """All terms of a molecule with numbers that are nobody's, an improper one at each flat carbon."""
    near = neighbours(asked)
    flat = [number for number, around in enumerate(near) if len(around) == 3 and asked.symbols[number] == "C"]
    return {
        "bonds": tuple((*bond, 9.0, 1.0) for bond in sorted(asked.bonds)),
        "angles": tuple((*path, 9.0, 1.0) for path in _angles(near)),
        "torsions": (
            *((*chain, 2, 180.0, 26.6) for chain in _torsions(asked, near)),
            *((near[atom][0], near[atom][1], atom, near[atom][2], 2, 180.0, 1.1) for atom in flat),
        ),
        "sigma_A": (),
    }


def made(smiles, geometries=1):
    asked = molecule(smiles)
    places = embed_conformers(asked, geometries, 3)
    return asked, places, with_boron(asked, carbon_like(asked), places, symmetry_classes(asked))


def test_lengths_and_angles_of_boron_are_those_of_the_geometry_and_no_others_change():
    asked, (place,), terms = made(OXALATE)
    symbols = asked.symbols
    lengths = {frozenset((symbols[one], symbols[other])): length for one, other, length, _ in terms["bonds"]}
    boron, fluorine = symbols.index("B"), [number for number, symbol in enumerate(symbols) if symbol == "F"]
    # Both F are one kind: each bond has the mean of the two.
    wanted = np.mean([np.linalg.norm(place[boron] - place[other]) for other in fluorine])
    assert lengths[frozenset("BF")] == pytest.approx(wanted)
    assert lengths[frozenset("CO")] == 9.0
    for *path, angle_deg, stiffness in terms["angles"]:
        assert ("B" in [symbols[atom] for atom in path]) == (angle_deg != 9.0) == (stiffness != 1.0)


def test_angles_of_a_ring_are_a_kind_of_their_own():
    """Bis(oxalato)borate: O-B-O is 104° in its rings of five and wider across, though all four O are alike."""
    asked, (place,), terms = made("O=C1O[B-]2(OC1=O)OC(=O)C(=O)O2")
    boron = asked.symbols.index("B")
    found = {(one, other): angle_deg for one, at, other, angle_deg, _ in terms["angles"] if at == boron}
    assert len(found) == 6
    assert len(set(found.values())) == 2
    in_ring, across = min(found.values()), max(found.values())
    assert sorted(found.values()) == [in_ring] * 2 + [across] * 4
    for kind in (in_ring, across):
        pairs = [pair for pair, angle_deg in found.items() if angle_deg == kind]
        own = [get_angles([place[one] - place[boron]], [place[other] - place[boron]])[0] for one, other in pairs]
        assert kind == pytest.approx(np.mean(own))


def test_terms_are_means_over_the_conformers():
    asked, places, terms = made("COB(OC)OC", geometries=3)
    boron = asked.symbols.index("B")
    oxygen = [number for number, symbol in enumerate(asked.symbols) if symbol == "O"]
    wanted = np.mean([np.linalg.norm(place[boron] - place[other]) for place in places for other in oxygen])
    found = {length for one, other, length, _ in terms["bonds"] if boron in (one, other)}
    assert list(found) == pytest.approx([wanted])


def test_uff_gives_the_stiffness():
    """k = 664.12 Z Z' / r3 kcal/mol/Å2 of E = k/2 (r - r0)2, Z of B 1.755 and of F 1.735 (Rappé et al., Table 1)."""
    asked, _, terms = made(OXALATE)
    named = {"".join(sorted(asked.symbols[atom] for atom in (one, other))): k for one, other, _, k in terms["bonds"]}
    natural_A = 1.454
    assert named["BF"] == pytest.approx(4.184 * 664.12 * 1.755 * 1.735 / natural_A**3, rel=0.01)


@pytest.mark.parametrize(("smiles", "stay"), [(OXALATE, False), (PHENYL, False), ("COB(OC)OC", True)])
def test_nothing_hinders_rotation_about_bonds_of_boron_with_four_neighbours(smiles, stay):
    asked, _, terms = made(smiles)
    boron = asked.symbols.index("B")
    before = carbon_like(asked)["torsions"]
    about = [term for term in before if boron in term[1:3] and tuple(sorted(term[1:3])) in asked.bonds]
    proper = [term for term in about if tuple(sorted(term[:2])) in asked.bonds]
    assert proper
    left = set(terms["torsions"])
    assert all((term in left) == stay for term in proper)
    # All others stay, the improper one that keeps boron in the plane of a ring as well.
    assert left >= set(before) - set(proper)


def test_whatever_boron_has_of_carbon_is_doubtful_though_parmchk2_sees_no_penalty():
    sphere = "Lennard-Jones of B (as sp2 carbon)"
    penalties = {"B-os": 0.0, "os-B-os": 0.0, "os-B-os-c3": 0.0, "c -o-c-os": 60.0}
    assert boron_doubts(molecule(OXALATE), penalties) == (sphere,)
    assert boron_doubts(molecule("COB(OC)OC"), penalties) == (sphere, "os-B-os-c3 (as sp2 carbon)")


def test_what_uff_does_not_know_is_refused_with_the_mend(monkeypatch):
    monkeypatch.setattr("rdkit.Chem.rdForceFieldHelpers.GetUFFBondStretchParams", lambda *_: None)
    with pytest.raises(SpeciesError, match=r"species\.mine: UFF has no .*; give its parameters in forcefields"):
        made(OXALATE)
