"""Every species of the library is what its SMILES, charge and checksum say."""

from __future__ import annotations

import re
import runpy
from collections import Counter

import numpy as np
import pytest
import yaml
from ase import Atoms
from ase.io import read
from ase.neighborlist import natural_cutoffs, neighbor_list
from MDAnalysis.lib.distances import distance_array
from rdkit import Chem

from solvation.errors import SpeciesError
from solvation.library import LibraryEntry, library
from solvation.provenance import sha256
from solvation.shipped import library_folder
from solvation.trajectory.frames import open_trajectory

ENTRIES = [pytest.param(entry, id=name) for name, entry in library().items()]
each_entry = pytest.mark.parametrize("entry", ENTRIES)
MOLECULES = [pytest.param(entry, id=name) for name, entry in library().items() if len(read(entry.path)) > 1]


def graph_of(entry: LibraryEntry) -> Chem.Mol:
    return Chem.AddHs(Chem.MolFromSmiles(entry.smiles))


def atoms_of(entry: LibraryEntry) -> Atoms:
    return read(entry.path)


@each_entry
def test_file_is_the_one_that_was_checked_in(entry):
    assert sha256(entry.path) == entry.sha256


@each_entry
def test_file_has_the_atoms_of_the_smiles_in_their_order(entry):
    assert atoms_of(entry).get_chemical_symbols() == [atom.GetSymbol() for atom in graph_of(entry).GetAtoms()]


@each_entry
def test_bonds_seen_from_the_distances_are_those_of_the_smiles(entry):
    atoms = atoms_of(entry)
    first, second = neighbor_list("ij", atoms, natural_cutoffs(atoms, mult=1.2))
    seen = {(int(i), int(j)) for i, j in zip(first, second, strict=True) if i < j}
    bonds = (sorted((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())) for bond in graph_of(entry).GetBonds())
    assert seen == {(i, j) for i, j in bonds}


@each_entry
def test_charge_and_multiplicity_fit_the_electrons(entry):
    graph = graph_of(entry)
    assert entry.charge == Chem.GetFormalCharge(graph)
    electrons = sum(atoms_of(entry).numbers) - entry.charge
    assert electrons > 0
    assert (electrons + entry.multiplicity) % 2 == 1
    comment = entry.path.read_text(encoding="utf-8").splitlines()[1]
    assert f'name="{entry.name}" charge={entry.charge} multiplicity={entry.multiplicity}' in comment


@each_entry
def test_no_radical_and_one_molecule(entry):
    graph = graph_of(entry)
    assert len(Chem.GetMolFrags(graph)) == 1
    assert not any(atom.GetNumRadicalElectrons() for atom in graph.GetAtoms())


@pytest.mark.parametrize(
    ("name", "formula"),
    {
        "EC": "C3H4O3", "DEC": "C5H10O3", "DMC": "C3H6O3", "EMC": "C4H8O3", "PC": "C4H6O3", "PF6-": "F6P",
        "TFSI-": "C2F6NO4S2", "TDA": "C15H36N4", "SOA": "C24H41N3O6", "TPA": "C18H26O6", "NMe3": "C3H9N",
        "PTPA1": "C6H12O2", "MeOAc": "C3H6O2", "Li+": "Li",
    }.items(),
)  # fmt: skip
def test_formulas_known_from_elsewhere(name, formula):
    counted = Counter(atoms_of(library()[name]).get_chemical_symbols())
    assert counted == {symbol: int(n or 1) for symbol, n in re.findall(r"([A-Z][a-z]?)(\d*)", formula)}


def test_two_repeat_units_of_ptpa_differ_from_one_by_one_monomer():
    def composition(smiles: str) -> Counter[str]:
        return Counter(atom.GetSymbol() for atom in Chem.AddHs(Chem.MolFromSmiles(smiles)).GetAtoms())

    # Addition loses nothing; the monomer is methyl methacrylate, one arm of TPA cut to a methyl ester.
    assert composition(library()["PTPA2"].smiles) - composition(library()["PTPA1"].smiles) == composition(
        "C=C(C)C(=O)OC"
    )


def test_opened_aziridines_are_tertiary_amines_two_carbons_apart_each_with_its_ester_arm():
    chain = Chem.MolFromSmarts("[CH3]N(CCC(=O)O[CH3])[CH2][CH]([CH3])N(CCC(=O)O[CH3])[CH3]")
    psoa2 = Chem.MolFromSmiles(library()["PSOA2"].smiles)
    assert psoa2.GetSubstructMatch(chain)
    assert chain.GetNumAtoms() == psoa2.GetNumAtoms()
    assert not psoa2.GetRingInfo().NumRings()
    soa = Chem.MolFromSmiles(library()["SOA"].smiles)
    assert len(soa.GetSubstructMatches(Chem.MolFromSmarts("C(=O)CCN1CC1[CH3]"))) == 3


def test_hexafluorophosphate_is_an_octahedron():
    atoms = atoms_of(library()["PF6-"])
    arms = atoms.positions[atoms.numbers == 9] - atoms.positions[atoms.numbers == 15]
    lengths = np.linalg.norm(arms, axis=1)
    assert np.ptp(lengths) < 0.005
    cosines = np.sort((arms @ arms.T / np.outer(lengths, lengths))[np.triu_indices(6, 1)])
    assert cosines[:3] == pytest.approx([-1, -1, -1], abs=0.002)
    assert cosines[3:] == pytest.approx(np.zeros(12), abs=0.01)


@pytest.mark.parametrize("entry", MOLECULES)
def test_no_two_atoms_without_a_bond_are_closer_than_the_two_bonds_of_an_angle_allow(entry):
    graph, atoms = graph_of(entry), atoms_of(entry)
    paths = Chem.GetDistanceMatrix(graph)
    distances_A = atoms.get_all_distances()
    assert distances_A[paths == 1].min() > 0.9
    assert distances_A[paths == 1].max() < 1.95  # S-C in TFSI-
    if (paths == 2).any():
        assert distances_A[paths == 2].min() > 1.5  # H-H in water
    if (paths > 3).any():
        assert distances_A[paths > 3].min() > 1.75


@pytest.mark.engine
@pytest.mark.parametrize("entry", MOLECULES)
def test_structures_are_stationary_points_of_gfn2(entry):
    tblite = pytest.importorskip("tblite.ase")
    atoms = atoms_of(entry)
    atoms.calc = tblite.TBLite(method="GFN2-xTB", charge=entry.charge, multiplicity=entry.multiplicity, verbosity=0)
    assert np.abs(atoms.get_forces()).max() < 0.01  # eV/Å
    assert atoms.get_potential_energy() == pytest.approx(atoms.info["gfn2_energy_eV"], abs=1e-3)


def test_every_file_of_the_folder_is_in_the_library():
    assert {path.name for path in library_folder().glob("*.xyz")} == {entry.file for entry in library().values()}


def test_build_starts_from_the_same_seed_twice():
    pytest.importorskip("geometric")
    candidates = runpy.run_path(str(library_folder() / "build.py"))["candidates"]
    first, second = (candidates(graph_of(library()["DEC"])) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_unknown_name_offers_the_nearest_one():
    with pytest.raises(SpeciesError, match=r"^'Tda' is not in structures/library.yaml; did you mean 'TDA'\?$"):
        library()["Tda"]
    assert library().get("Tda") is None
    assert "Tda" not in library()
    assert "TDA" in library()


def test_entries_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        library()["EC"].charge = 1


def published() -> list[dict[str, object]]:
    return yaml.safe_load((library_folder() / "published.yaml").read_text(encoding="utf-8"))


def test_published_numbers_have_one_value_a_unit_and_a_source():
    entries = published()
    assert len({entry["id"] for entry in entries}) == len(entries)
    for entry in entries:
        required = {"id", "quantity", "subject", "unit", "source"}
        number = {"low", "high"} if "low" in entry else {"value"}
        assert required | number <= set(entry)
        assert set(entry) <= required | number | {"stderr", "conditions", "doi", "note", "where", "bound_is"}
        assert all(isinstance(entry[key], (int, float)) for key in number)


def test_published_difference_is_that_of_the_published_energies():
    value = {entry["id"]: entry.get("value") for entry in published()}
    assert value["zhang2023-li-ec4"] == -3.61
    assert value["zhang2023-li-ec3-tda"] == -4.29
    assert value["zhang2023-difference"] == pytest.approx(-4.29 + 3.61, abs=1e-9)


BOXES = sorted((library_folder() / "boxes").glob("*.pdb.gz"))


@pytest.mark.parametrize("path", BOXES, ids=lambda path: path.name.partition(".")[0])
def test_a_ready_box_is_a_liquid_of_whole_molecules(path):
    """Its density is that of its README, no bond crosses the cell, and every Li+ has its shell."""
    opened = open_trajectory(path)
    atoms, box_A = opened.universe.atoms, opened.universe.dimensions
    told = re.search(rf"`{re.escape(path.name)}` \|[^|]*\|[^|]*\| ([\d.]+) \|", (path.parent / "README.md").read_text())
    assert told
    assert atoms.masses.sum() / 0.602214 / box_A[:3].prod() == pytest.approx(float(told[1]), rel=0.005)
    counts = Counter(opened.universe.residues.resnames)
    assert counts["LI"] == max(counts["PF6"], 1)
    ends = opened.universe.bonds.indices
    assert len(ends) > len(atoms) - len(opened.universe.residues) - 1
    assert np.linalg.norm(atoms.positions[ends[:, 0]] - atoms.positions[ends[:, 1]], axis=1).max() < 2.0
    ions, donors = atoms.select_atoms("resname LI"), atoms.select_atoms("element O N F")
    shells = (distance_array(ions.positions, donors.positions, box=box_A) < 2.8).sum(axis=1)
    assert ((shells >= 3) & (shells <= 8)).all()
    assert distance_array(ions.positions, donors.positions, box=box_A).min() > 1.7


def test_there_are_ready_boxes():
    """Those of the paper, the liquid electrolyte, TDA in it, and pieces of both polymers."""
    named = {path.name.partition(".")[0] for path in BOXES}
    assert {"EC", "TDA_EC", "TDA_EC_bound", "LiPF6_EC_DEC"} <= named
    assert {f"LiPF6_EC_DEC_TDA_{share}" for share in ("half", "one", "two")} <= named
    assert {f"{polymer}{end}" for polymer in ("PSOA", "PTPA") for end in ("3", "5", "_junction")} <= named
