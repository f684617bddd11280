"""Spins and charges of bare ions, against the ground states of NIST's Atomic Spectra Database; metals by one list."""

import math

import numpy as np
import pytest
from ase import Atoms

from solvation.clusters.shell import Shell
from solvation.elements import USUAL_CHARGES, is_metal, usual_multiplicities
from solvation.energies.binding import doubt_of_spins
from solvation.errors import SpeciesError
from solvation.planning.preflight import examine
from solvation.shells.coordination import contact_distance_A
from solvation.species import build_molecule
from solvation.study import Species, load_study
from solvation.trajectory.ase_frames import covalent_bonds


@pytest.mark.parametrize(
    ("symbol", "charge", "multiplicity"),
    [
        ("Ti", 3, 2), ("V", 3, 3), ("Cr", 3, 4), ("Cr", 2, 5), ("Mn", 2, 6), ("Fe", 3, 6), ("Fe", 2, 5), ("Co", 2, 4),
        ("Ni", 2, 3), ("Cu", 2, 2), ("Zn", 2, 1), ("Ti", 4, 1), ("Ru", 2, 5), ("Pd", 2, 3), ("Pt", 2, 3), ("Ag", 1, 1),
        ("Mn", 1, 7), ("Fe", 1, 6), ("Co", 1, 3), ("Cu", 1, 1), ("Au", 1, 1), ("Hg", 2, 1),
        ("La", 3, 1), ("Ce", 3, 2), ("Eu", 2, 8), ("Eu", 3, 7), ("Gd", 3, 8), ("Yb", 2, 1), ("Lu", 3, 1), ("U", 4, 3),
        ("O", 0, 3), ("C", 0, 3), ("O", -1, 2), ("O", -2, 1), ("N", 1, 3), ("I", -1, 1), ("Se", -2, 1), ("H", -1, 1),
        ("Ga", 3, 1), ("Sn", 2, 1), ("Pb", 2, 1), ("Tl", 1, 1), ("Bi", 3, 1),
    ],
)  # fmt: skip
def test_the_ground_state_of_a_bare_ion_is_known(symbol, charge, multiplicity):
    assert usual_multiplicities(symbol, charge)[0] == multiplicity


def test_ions_with_one_usual_charge_are_closed_shells():
    assert {usual_multiplicities(symbol, charge) for symbol, charge in USUAL_CHARGES.items()} == {(1,)}


@pytest.mark.parametrize("smiles", ["[Fe+2]", "[Ni+2]", "[Cr+2]", "[Pr+3]", "O=O", "[O][O]", "[O]", "[CH2]"])
def test_an_open_shell_with_an_even_number_of_electrons_is_no_singlet_unless_told_so(smiles):
    with pytest.raises(SpeciesError, match=r"species\.x\.multiplicity: is not given, .* --multiplicity '?x=\d"):
        build_molecule("x", Species(smiles=smiles))
    assert build_molecule("x", Species(smiles=smiles, multiplicity=1)).multiplicity == 1


def test_what_is_usual_stands_in_the_message():
    with pytest.raises(SpeciesError, match=r"usually 5, or 1 in a strong field; .* --multiplicity '\[Fe\+2\]=5'"):
        build_molecule("[Fe+2]", Species(smiles="[Fe+2]"))
    with pytest.raises(SpeciesError, match=r"1 is impossible for 23 electrons .* even multiplicity \(usually 6"):
        build_molecule("Mn", Species(smiles="[Mn+2]"))


@pytest.mark.parametrize(
    "smiles", ["[Li+]", "[Zn+2]", "[Cu+]", "[La+3]", "[C-]#[O+]", "O=S=O", "[Pb+2]", "F[P-](F)(F)(F)(F)F"]
)
def test_closed_shells_need_no_multiplicity(smiles):
    assert build_molecule("x", Species(smiles=smiles)).multiplicity == 1


def test_one_open_shell_gives_its_spin_to_the_complex_and_several_are_parallel_and_said_to_be():
    iron = build_molecule("Fe", Species(smiles="[Fe+2]", multiplicity=5))
    oxide, water = (
        build_molecule("NO", Species(smiles="[N]=O", multiplicity=2)),
        build_molecule("W", Species(smiles="O")),
    )
    molecules = {"Fe": iron, "NO": oxide, "W": water}
    assert Shell((iron, water, water)).multiplicity == 5
    assert doubt_of_spins({"Fe": 1, "W": 2}, molecules) == ""
    assert Shell((iron, oxide, oxide)).multiplicity == 7
    assert "1 Fe of multiplicity 5, 2 NO of multiplicity 2: all" in doubt_of_spins({"Fe": 1, "NO": 2}, molecules)


def test_check_says_how_several_open_shells_are_coupled(tmp_path):
    species = (
        "{Fe: {smiles: '[Fe+2]', multiplicity: 5}, Nitric: {smiles: '[N]=O', multiplicity: 2, donors: {n: '[N]'}}}"
    )
    (tmp_path / "s.yaml").write_text(
        f"species: {species}\nclusters: {{A: {{composition: {{Fe: 1, Nitric: 1}}}}}}\n"
        "levels: {search: gfn1, rank: pbe/def2-svp, energy: [pbe/def2-svp]}\n"
    )
    lines = examine(load_study(tmp_path / "s.yaml"), tmp_path / "s.yaml").lines
    assert any(line.startswith("warning: clusters.A: 1 Fe of multiplicity 5, 1 Nitric of") for line in lines)


@pytest.mark.parametrize("metal", ["Li", "Ca", "Fe", "Ni", "Cd", "La", "Pb"])
def test_every_metal_is_bonded_to_nothing_and_has_contacts(metal):
    water = [[0, 0, 1.9], [0, 0.76, 2.5], [0, -0.76, 2.5]]
    assert is_metal(metal)
    assert sorted(covalent_bonds(Atoms(f"{metal}OH2", np.array([[0, 0, 0], *water])))) == [(1, 2), (1, 3)]
    assert contact_distance_A({metal}, {"O"}) > 2


def test_antimony_of_its_fluoride_and_anions_are_no_metals():
    assert covalent_bonds(Atoms("SbF", [[0, 0, 0], [0, 0, 1.9]])) == [(0, 1)]
    assert math.isnan(contact_distance_A({"Cl"}, {"H"}))
