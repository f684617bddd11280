"""Published ions, equivalent atoms, and what no force field describes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from solvation.errors import SpeciesError
from solvation.liquids.forcefield import (
    alkyl_atoms,
    check_gaff2,
    parameters_of,
    parametrise,
    published_name,
    symmetry_classes,
)
from solvation.liquids.ions import published_ions
from solvation.species import build_molecule
from solvation.study import Level, Species

ROOT = Path(__file__).parents[2]
HF = Level.model_validate("hf/6-31g*")


def molecule(smiles, name="mine"):
    return build_molecule(name, Species(smiles=smiles))


def published(smiles):
    return parametrise(molecule(smiles), level=HF, conformers=1, seed=1)


@pytest.mark.parametrize("name", list(published_ions()))
def test_every_published_ion_has_the_charge_of_its_entry_in_the_library(name):
    ion = build_molecule(name, Species(library=name))
    made = parametrise(ion, level=HF, conformers=1, seed=1)
    assert sum(made.charges_e) == pytest.approx(ion.charge, abs=1e-12)
    assert len(made.sigma_A) == len(made.epsilon_kJ_mol) == len(made.geometries()[0]) == len(ion.symbols)
    assert {(one, other) for one, other, *_ in made.bonds} == set(ion.bonds)
    # Nothing in the geometry is far from what the terms want.
    place = made.geometries()[0]
    for one, other, length_A, _ in made.bonds:
        assert np.linalg.norm(place[one] - place[other]) == pytest.approx(length_A, abs=0.1)


@pytest.mark.parametrize(
    ("name", "species"),
    [
        ("TFSI-", Species(file=ROOT / "structures/TFSI.xyz", charge=-1)),
        ("FSI-", Species(file=ROOT / "structures/FSI.xyz", charge=-1)),
        ("TFSI-", Species(smiles="O=S([O-])(=NS(=O)(=O)C(F)(F)F)C(F)(F)F")),
        (None, Species(smiles="O=S(=O)(NS(=O)(=O)C(F)(F)F)C(F)(F)F")),
    ],
)
def test_a_published_ion_is_known_by_any_of_its_lewis_structures(name, species):
    molecule = build_molecule("mine", species)
    assert published_name(molecule) == name
    if name:
        made, library = (
            parametrise(one, level=HF, conformers=1, seed=1)
            for one in (molecule, build_molecule(name, Species(library=name)))
        )
        assert made.origin == library.origin
        assert sorted(made.charges_e) == pytest.approx(sorted(library.charges_e))
        assert len(made.torsions) == len(library.torsions)


def test_an_octahedron_has_angles_between_neighbours_only():
    made = published("[P-](F)(F)(F)(F)(F)F")
    assert made.symbols[0] == "P"
    assert len(made.angles) == 12
    across = {tuple(sorted((one, other))) for one, _, other, *_ in made.angles}
    # Each F has four neighbours and one partner across, which is the same both ways.
    assert all(sum(index in pair for pair in across) == 4 for index in range(1, 7))


def test_an_ion_is_known_by_its_bonds_and_its_atoms_are_put_in_order():
    made = published("FC(F)(F)S(=O)(=O)[N-]S(=O)(=O)C(F)(F)F")
    assert published_name(molecule("FC(F)(F)S(=O)(=O)[N-]S(=O)(=O)C(F)(F)F", "anion")) == "TFSI-"
    place = made.geometries()[0]
    for one, other, length_A, _ in made.bonds:
        assert np.linalg.norm(place[one] - place[other]) == pytest.approx(length_A, abs=0.1)
    charges = dict(zip(made.symbols, made.charges_e, strict=True))
    assert charges == pytest.approx({"F": -0.16, "C": 0.35, "S": 1.02, "O": -0.53, "N": -0.66})


def test_torsions_of_opls_become_waves():
    made = published("O=S(=O)([N-]S(=O)(=O)C(F)(F)F)C(F)(F)F")
    chain = next(
        index for index in made.torsions if [made.symbols[i] for i in index[:4]] in (list("SNSC"), list("CSNS"))
    )
    waves = [item[4:] for item in made.torsions if item[:4] == chain[:4]]
    phi = np.linspace(0, 2 * np.pi, 7)
    ours = sum(height * (1 + np.cos(n * phi - np.radians(phase))) for n, phase, height in waves)
    v1, v2, v3 = 32.773, -10.42, -3.195
    theirs = v1 / 2 * (1 + np.cos(phi)) + v2 / 2 * (1 - np.cos(2 * phi)) + v3 / 2 * (1 + np.cos(3 * phi))
    assert ours == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize(
    ("smiles", "wanted"),
    [
        ("CC(=O)[O-]", [1, 1, 2, 3]),  # both O, three H
        ("O=C1OCCO1", [1, 1, 2, 2, 4]),  # O=, C=O, ring O, CH2, H
        ("COC(=O)OC", [1, 1, 2, 2, 6]),
        ("c1ccncc1", [1, 1, 2, 2, 1, 2, 2]),  # N, C4, C2 and C3; H4, H2 and H3
    ],
)
def test_equivalent_atoms_share_a_class(smiles, wanted):
    _, counts = np.unique(symmetry_classes(molecule(smiles)), return_counts=True)
    assert sorted(counts.tolist()) == sorted(wanted)


def test_alkyl_groups_are_those_of_the_second_stage():
    symbols = np.array(molecule("CC(C)C(=O)N").symbols)
    chosen = alkyl_atoms(molecule("CC(C)C(=O)N"))
    # Two CH3, but neither CH nor NH2.
    assert (symbols[chosen] == "C").sum() == 2
    assert (symbols[chosen] == "H").sum() == 6


@pytest.mark.parametrize(("smiles", "message"), [("[K+]", "no single atoms"), ("C[Si](C)(C)C", "no Si")])
def test_what_gaff2_does_not_know_is_refused(smiles, message):
    with pytest.raises(SpeciesError, match=message):
        check_gaff2(molecule(smiles))


def test_missing_foreign_and_damaged_parameters_are_named(tmp_path):
    with pytest.raises(SpeciesError, match="has no --parameters"):
        parameters_of({"EC": molecule("O=C1OCCO1", "EC")}, [])
    damaged = tmp_path / "EC.json"
    damaged.write_text('{"card": {"name": "EC"}, "result": {}}')
    with pytest.raises(SpeciesError, match="holds no parameters"):
        parameters_of({}, [damaged])
    made = published("F[P-](F)(F)(F)(F)F")
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"card": {"name": "EC"}, "result": ' + made.model_dump_json() + "}")
    with pytest.raises(SpeciesError, match="are those of"):
        parameters_of({"EC": molecule("O=C1OCCO1", "EC")}, [wrong])
    assert parameters_of({"EC": molecule("F[P-](F)(F)(F)(F)F", "EC")}, [wrong])["EC"] == made
