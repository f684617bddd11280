"""Molecules: donors found by chemistry, and species that cannot be."""

from collections import Counter

import pytest
from ase import Atoms
from ase.io import write

from solvation.clusters.ligands import best_rmsd_A
from solvation.errors import SpeciesError
from solvation.species import build_molecule, embed_conformers
from solvation.study import Species

TDA = "CN(C)CCCN(CCCN(C)C)CCCN(C)C"


def kinds(smiles: str) -> Counter[str]:
    return Counter(donor.kind for donor in build_molecule("x", Species(smiles=smiles)).donors)


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("O=C1OCCO1", {"carbonyl O": 1, "ring O": 2}),
        (TDA, {"terminal N": 3, "central N": 1}),
        ("CN(C)C", {"amine N": 1}),
        ("CC(=O)OC", {"carbonyl O": 1, "ester O": 1}),
        ("CC#N", {"nitrile N": 1}),
        ("COCCOC", {"ether O": 2}),
        ("C1CCOC1", {"ether O": 1}),
        ("O", {"water O": 1}),
        ("F[P-](F)(F)(F)(F)F", {"fluorine": 6}),
        ("[I-]", {"halide": 1}),
        ("[Li+]", {}),
        ("[O-]Cl(=O)(=O)=O", {"oxo O": 4}),
        ("O=S(=O)([N-]S(=O)(=O)C(F)(F)F)C(F)(F)F", {"sulfonyl O": 4, "imide N": 1, "C-F": 6}),
        ("CC(=O)N(C)C", {"carbonyl O": 1}),
        ("CC(=O)[O-]", {"carboxylate O": 2}),
        ("O=[N+]([O-])[O-]", {"nitrate O": 3}),
        ("C[N+](=O)[O-]", {"nitro O": 2}),
        ("C[N+](C)(C)[O-]", {"N-oxide O": 1}),
        ("[O-]S(=O)(=O)C(F)(F)F", {"sulfonyl O": 3, "C-F": 3}),
        ("CS(C)=O", {"sulfinyl O": 1}),
        ("[O-]P(=O)(F)F", {"phosphoryl O": 2, "fluorine": 2}),
        ("C[O-]", {"oxide O": 1}),
        ("CN(C)S(=O)(=O)F", {"sulfonyl O": 2, "fluorine": 1}),
        ("CN(C)P(=O)(N(C)C)N(C)C", {"phosphoryl O": 1}),
        ("c1ccncc1", {"aromatic N": 1}),
        ("Cn1ccnc1", {"aromatic N": 1}),
        ("CC=NC", {"imine N": 1}),
        ("CSC", {"sulfide S": 1}),
        ("[S-]C#N", {"thiolate S": 1, "nitrile N": 1}),
        ("CP(C)C", {"phosphine P": 1}),
        # Rings that RDKit takes for aromatic.
        ("O=C1OC=CO1", {"carbonyl O": 1, "ring O": 2}),
        ("c1ccoc1", {"ether O": 1}),
        ("c1ccsc1", {"sulfide S": 1}),
        ("c1cocn1", {"ether O": 1, "aromatic N": 1}),
    ],
)
def test_donors_are_found_by_chemistry(smiles, expected):
    assert kinds(smiles) == expected


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("O", {"O-H": 2}),
        ("O=C1OCCO1", {"C-H": 4}),
        ("CCO", {"C-H": 5, "O-H": 1}),
        ("CB(C)C", {"C-H": 9, "B": 1}),
        ("O=C=O", {}),
        ("F[P-](F)(F)(F)(F)F", {}),
    ],
)
def test_an_anion_is_held_by_hydrogens_and_by_boron(smiles, expected):
    acids = build_molecule("x", Species(smiles=smiles)).acids
    assert Counter(one.kind for one in acids) == expected
    ranks = {one.kind: one.rank for one in acids}
    assert all(rank == (2 if kind == "C-H" else 1) for kind, rank in ranks.items())


def test_smarts_override_the_donors():
    molecule = build_molecule("EC", Species(smiles="O=C1OCCO1", donors={"mine": "[OX2]"}))
    assert [donor.kind for donor in molecule.donors] == ["mine", "mine"]
    assert len(molecule.donors_of("mine")) == 2
    assert molecule.acids == molecule.donors


@pytest.mark.parametrize(
    ("species", "message"),
    [
        (Species(smiles="C1CC"), "is not a SMILES"),
        (Species(smiles="C(C)(C)(C)(C)C"), "valence"),
        (Species(smiles="O.O"), "several molecules"),
        (Species(smiles="[Li+]", charge=0), "does not fit the formal charges"),
        (Species(smiles="O", multiplicity=2), "impossible for 10 electrons"),
        (Species(smiles="O", donors={"d": "[OX"}), "is not a SMARTS"),
        (Species(smiles="O", donors={"d": "N"}), "matches no atom"),
        (Species(library="ECC"), "did you mean 'EC'"),
        (Species(file="no.xyz"), "does not exist"),
    ],
)
def test_what_cannot_be_is_refused(species, message):
    with pytest.raises(SpeciesError, match=message):
        build_molecule("x", species)


def test_a_radical_needs_its_multiplicity():
    assert build_molecule("NO2", Species(smiles="[O]N=O", multiplicity=2)).multiplicity == 2
    with pytest.raises(SpeciesError, match="even multiplicity"):
        build_molecule("NO2", Species(smiles="[O]N=O"))


def test_an_xyz_file_gives_the_same_molecule_as_its_smiles(tmp_path):
    from_smiles = build_molecule("EC", Species(smiles="O=C1OCCO1"))
    positions = embed_conformers(from_smiles, 1, 1)[0]
    write(tmp_path / "ec.xyz", Atoms(from_smiles.symbols, positions), format="xyz")
    from_file = build_molecule("EC", Species(file=tmp_path / "ec.xyz"))
    assert from_file.bonds == from_smiles.bonds
    assert from_file.donors == from_smiles.donors
    assert from_file.positions_A == pytest.approx(positions, abs=1e-5)


def test_a_charged_xyz_needs_its_charge(tmp_path):
    write(tmp_path / "li.xyz", Atoms("Li"), format="xyz")
    assert build_molecule("Li+", Species(file=tmp_path / "li.xyz", charge=1)).is_ion
    with pytest.raises(SpeciesError, match="multiplicity"):
        build_molecule("Li", Species(file=tmp_path / "li.xyz"))


def test_a_molecule_is_cut_whole_out_of_a_crystal(tmp_path):
    water = Atoms("OH2", [[0, 0, 0], [0.76, 0.59, 0], [-0.76, 0.59, 0]], cell=[6, 6, 6], pbc=True)
    write(tmp_path / "ice.cif", water)  # across the boundary: one H is wrapped to the far side
    molecule = build_molecule("ice", Species(file=tmp_path / "ice.cif"))
    assert sorted(molecule.symbols) == ["H", "H", "O"]
    assert len(molecule.bonds) == 2
    salt = Atoms("NaCl", [[0, 0, 0], [2.8, 0, 0]], cell=[5.6, 5.6, 5.6], pbc=True)
    write(tmp_path / "salt.cif", salt)
    with pytest.raises(SpeciesError, match="framework"):
        build_molecule("salt", Species(file=tmp_path / "salt.cif"))


def test_conformers_repeat_with_their_seed():
    molecule = build_molecule("TDA", Species(smiles=TDA))
    one, again, other = (embed_conformers(molecule, 3, seed) for seed in (1, 1, 2))
    assert all((a == b).all() for a, b in zip(one, again, strict=True))
    assert not (one[0] == other[0]).all()


def test_a_mirror_image_and_a_turned_copy_are_the_same_conformer():
    molecule = build_molecule("DEC", Species(smiles="CCOC(=O)OCC"))
    positions = embed_conformers(molecule, 1, 5)[0]
    mirrored = positions * [-1, 1, 1]
    assert best_rmsd_A(molecule, positions, mirrored) == pytest.approx(0, abs=1e-3)
    assert best_rmsd_A(molecule, positions, positions[:, [1, 2, 0]] + 3) == pytest.approx(0, abs=1e-3)
