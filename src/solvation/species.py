"""Molecules and ions: from SMILES or a file to atoms, bonds, charge and donor atoms."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, rdBase
from rdkit.Chem import rdDetermineBonds, rdDistGeom, rdMolDescriptors

from solvation.elements import usual_multiplicities
from solvation.errors import SpeciesError
from solvation.library import library
from solvation.molecule_files import molecule_of_file, perceive_bonds, unbonded
from solvation.stereo import is_isomer, unmark_no_centres
from solvation.study import Species

#: N with a lone pair of its own: not of an amide, a sulfonamide or a phosphoramide.
_AMINE = "NX3+0;!$(N~[#6]=[O,S,N]);!$(N-[#16]=O);!$(N-[#15])"
#: Donor kinds found by chemistry: name, SMARTS (the first atom binds), rank (1 = first choice for a cation).
#: The first match names an atom.
DONOR_KINDS: tuple[tuple[str, str, int], ...] = (
    ("carboxylate O", "[OX1;$([O-][#6]=O),$(O=[#6][O-])]", 1),
    ("carbonyl O", "[OX1]=[#6]", 1),
    ("sulfinyl O", "[OX1]=[#16X3]", 1),
    ("sulfonyl O", "[OX1]~[#16]", 1),
    ("phosphoryl O", "[OX1]~[#15]", 1),
    ("nitrate O", "[OX1;$(O~[#7+](~[OX1])~[OX1])]", 1),
    ("nitro O", "[OX1;$(O~[#7+]~[OX1])]", 1),
    ("N-oxide O", "[OX1;$([O-][#7+])]", 1),
    ("oxo O", "[O;X1;$(O=Cl),$([O-]Cl)]", 1),
    ("nitrile N", "[NX1]#[#6]", 1),
    ("oxide O", "[O-;X1]", 1),
    ("terminal N", f"[{_AMINE};$(N([CH3])[CH3])]", 1),
    ("amine N", f"[{_AMINE}]", 1),
    ("aromatic N", "[nX2]", 1),
    ("imine N", "[NX2]=[#6]", 1),
    ("imide N", "[N-]", 2),
    ("water O", "[OX2H2]", 1),
    ("hydroxyl O", "[OX2H1]", 1),
    ("ring O", "[#8X2;R;$([#8][#6]=O)]", 3),
    ("ester O", "[OX2;!R;$(O[#6]=O)]", 3),
    ("ether O", "[#8X2;!$([#8][#6]=O)]", 1),
    ("halide", "[F,Cl,Br,I;-;X0]", 1),
    ("fluorine", "[F;!$(F[#6])]", 1),
    ("thiocarbonyl S", "[SX1]=[#6]", 2),
    ("thiolate S", "[S-;X1]", 2),
    ("sulfide S", "[#16X2]", 3),
    ("phosphine P", "[PX3;!$(P~[!#6;!#1])]", 2),
    ("C-F", "[F;$(F[#6])]", 4),
)

#: Two of these are a triplet although their Lewis structure pairs all electrons: O2, SO, S2.
_TRIPLET_PAIRS = {"O", "S", "Se"}


@dataclass(frozen=True, slots=True)
class Donor:
    """An atom that can bind an ion."""

    index: int
    kind: str
    rank: int


@dataclass(frozen=True, slots=True)
class Molecule:
    """A species with its bonds known; hydrogens are explicit.

    Attributes
    ----------
    graph
        RDKit molecule with one conformer when it came from a file, without one when from SMILES.
    donors
        Atoms that can bind, in the order of their indices.
    acids
        Atoms that can hold an anion, in the order of their indices: hydrogens, and B and Al with three neighbours.
    """

    name: str
    graph: Any
    charge: int
    multiplicity: int
    donors: tuple[Donor, ...]
    acids: tuple[Donor, ...] = ()

    @property
    def symbols(self) -> list[str]:
        """Chemical symbols, (n_atoms,)."""
        return [atom.GetSymbol() for atom in self.graph.GetAtoms()]

    @property
    def smiles(self) -> str:
        """Canonical SMILES without hydrogens."""
        return str(Chem.MolToSmiles(Chem.RemoveHs(self.graph)))

    @property
    def formula(self) -> str:
        """In Hill's order, with the charge: `C3H4O3`, `F6P-`."""
        return str(rdMolDescriptors.CalcMolFormula(self.graph))

    @property
    def bonds(self) -> frozenset[tuple[int, int]]:
        """Covalent bonds as pairs of indices, the smaller first."""
        pairs = ((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in self.graph.GetBonds())
        return frozenset((min(pair), max(pair)) for pair in pairs)

    @property
    def is_ion(self) -> bool:
        """Whether it is a bare ion: one atom with a charge."""
        return bool(self.graph.GetNumAtoms() == 1 and self.charge != 0)

    @property
    def order(self) -> tuple[bool, bool, str]:
        """Place in a system, for sorting: bare cations first, then bare anions, then by name."""
        return (not self.is_ion, self.charge < 0, self.name)

    @property
    def positions_A(self) -> NDArray[np.float64]:
        """Coordinates read from the file, Å, (n_atoms, 3)."""
        return np.asarray(self.graph.GetConformer().GetPositions())

    def graph_at(self, positions_A: NDArray[np.float64]) -> Any:
        """A copy of the graph with one conformer: coordinates in Å, (n_atoms, 3)."""
        return _placed(self.graph, positions_A)

    def donors_of(self, kind: str) -> list[int]:
        """Indices of the donors of one kind."""
        return [donor.index for donor in self.donors if donor.kind == kind]


def build_molecule(name: str, species: Species) -> Molecule:
    """Turn a species of a study into a molecule, and check that it can exist.

    Raises
    ------
    SpeciesError
        When the SMILES or file cannot be read, when charge and multiplicity do not fit the number of electrons, when
        the multiplicity of an open shell is not given, or when a donor SMARTS is wrong or matches nothing.
    """
    where = f"species.{name}"
    with rdBase.BlockLogs():
        if species.smiles is not None:
            graph = _from_smiles(where, species.smiles)
        elif species.file is not None:
            graph = molecule_of_file(where, species.file, species.charge)
        else:
            entry = library()[species.library or name]
            graph = _from_smiles(where, entry.smiles)
    if not graph.GetNumAtoms() or any(atom.GetAtomicNum() == 0 for atom in graph.GetAtoms()):
        raise SpeciesError(
            f"{where}: holds {'an unknown atom (*)' if graph.GetNumAtoms() else 'no atom'}; give it whole"
        )
    formal = Chem.GetFormalCharge(graph)
    charge = formal if species.charge is None else species.charge
    if charge != formal:
        raise SpeciesError(f"{where}.charge: {charge:+d} does not fit the formal charges, which add up to {formal:+d}")
    _check_electrons(name, graph, charge, species.multiplicity)
    multiplicity = species.multiplicity or 1
    if species.donors:
        declared = _declared_donors(where, graph, species.donors)
        return Molecule(name, graph, charge, multiplicity, declared, declared)
    return Molecule(name, graph, charge, multiplicity, _chemical_donors(graph), _acids(graph))


def smiles_of_geometry(where: str, symbols: list[str], positions_A: NDArray[np.float64], charge: int) -> str:
    """SMILES of a molecule of which only the atoms' places are known, its stereoisomer marked.

    Raises
    ------
    SpeciesError
        When no Lewis structure of this charge fits.
    """
    with rdBase.BlockLogs():
        graph = perceive_bonds(where, Path("its atoms"), symbols, positions_A, charge)
        return str(Chem.MolToSmiles(Chem.RemoveHs(graph)))


def name_in_library(symbols: list[str], positions_A: NDArray[np.float64], charge: int | None = None) -> str | None:
    """Name of the library's species with these atoms, this skeleton and this charge; None when there is none.

    Without a charge the least charged is taken.

    Bond orders are not asked for: places alone tell neither those of PF6- nor which of TFSI-'s structures is meant.
    Where the library's SMILES has marks, the stereoisomer has to be the same, or its mirror image.
    """
    places = _skeleton_of_places(symbols, positions_A)
    for name, entry in sorted(library().items(), key=lambda item: abs(item[1].charge)):
        if charge not in (None, entry.charge):
            continue
        graph = _graph_in_library(name)
        match = same_skeleton(places, graph)
        if match and is_isomer(graph, _placed(graph, positions_A[match])):
            return name
    return None


def order_of_atoms(where: str, molecule: Molecule, symbols: list[str], positions_A: NDArray[np.float64]) -> list[int]:
    """Which atom of a geometry stands for each atom of `molecule`, (n_atoms,).

    Raises
    ------
    SpeciesError
        When the geometry is of another molecule.
    """
    return _matched(where, _skeleton_of_places(symbols, positions_A), molecule)


def order_of_bonded_atoms(
    where: str, molecule: Molecule, symbols: list[str], bonds: Iterable[tuple[int, int]]
) -> list[int]:
    """Which atom of a list of elements and bonds stands for each atom of `molecule`, (n_atoms,).

    Raises
    ------
    SpeciesError
        When elements and bonds are those of another molecule.
    """
    skeleton = Chem.RWMol()
    for symbol in symbols:
        skeleton.AddAtom(Chem.Atom(symbol if symbol != "?" else 0))
    for first, second in bonds:
        skeleton.AddBond(first, second, Chem.BondType.SINGLE)
    return _matched(where, skeleton, molecule)


def _matched(where: str, skeleton: Any, molecule: Molecule) -> list[int]:
    match = same_skeleton(skeleton, molecule.graph)
    if not match:
        raise SpeciesError(f"{where}: its atoms are not those of {molecule.name}")
    return match


def _placed(graph: Any, positions_A: NDArray[np.float64]) -> Any:
    placed = Chem.Mol(graph)
    placed.RemoveAllConformers()
    conformer = Chem.Conformer(placed.GetNumAtoms())
    conformer.SetPositions(np.asarray(positions_A, dtype=float))
    placed.AddConformer(conformer, assignId=True)
    return placed


@cache
def _graph_in_library(name: str) -> Any:
    return Chem.AddHs(Chem.MolFromSmiles(library()[name].smiles))


def same_skeleton(one: Any, other: Any) -> list[int]:
    """Atoms of graph `one` in the order of graph `other`, when elements and bonds are the same; else none.

    Bond orders and formal charges are not asked for: a molecule may be written by any of its Lewis structures.
    """
    if one.GetNumAtoms() != other.GetNumAtoms() or one.GetNumBonds() != other.GetNumBonds():
        return []
    return list(_bare(one).GetSubstructMatch(_bare(other)))


def _bare(graph: Any) -> Any:
    """The atoms of a graph and its bonds, all of them single."""
    bare = Chem.RWMol()
    for atom in graph.GetAtoms():
        bare.AddAtom(Chem.Atom(atom.GetAtomicNum()))
    for bond in graph.GetBonds():
        bare.AddBond(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), Chem.BondType.SINGLE)
    return bare


def _skeleton_of_places(symbols: list[str], positions_A: NDArray[np.float64]) -> Any:
    graph = unbonded(symbols, positions_A)
    with rdBase.BlockLogs():
        rdDetermineBonds.DetermineConnectivity(graph)
    return graph


def is_smiles(text: str) -> bool:
    """Whether RDKit can read it."""
    with rdBase.BlockLogs():
        return Chem.MolFromSmiles(text) is not None


def _from_smiles(where: str, smiles: str) -> Any:
    graph = Chem.MolFromSmiles(smiles)
    if graph is None:
        raise SpeciesError(f"{where}.smiles: '{smiles}' is not a SMILES that RDKit can read; {_smiles_reason(smiles)}")
    if len(Chem.GetMolFrags(graph)) > 1:
        raise SpeciesError(f"{where}.smiles: '{smiles}' holds several molecules; declare each as a species of its own")
    graph = Chem.AddHs(graph)
    unmark_no_centres(graph)
    return graph


def _smiles_reason(smiles: str) -> str:
    unsanitised = Chem.MolFromSmiles(smiles, sanitize=False)
    if unsanitised is None:
        return "check its brackets, ring closures and element symbols"
    problems = Chem.DetectChemistryProblems(unsanitised)
    return problems[0].Message() if problems else "check its valences"


def _check_electrons(name: str, graph: Any, charge: int, given: int | None) -> None:
    """Refuse a multiplicity that does not fit, and to take for a singlet what is none: Fe2+ as one is 4.2 eV higher."""
    where, multiplicity = f"species.{name}", given or 1
    electrons = sum(atom.GetAtomicNum() for atom in graph.GetAtoms()) - charge
    unpaired = multiplicity - 1
    usual = () if given else _usual_multiplicities(graph, charge, electrons)
    hint = ""
    if usual:
        others = "".join(f", or {other} in a strong field" for other in usual[1:])
        told = shlex.quote(f"{name}={usual[0]}")
        hint = f" (usually {usual[0]}{others}; on the command line --multiplicity {told})"
    if electrons <= 0 and charge > 0 and graph.GetNumAtoms() > 1:
        raise SpeciesError(f"{where}.charge: {charge:+d} leaves no electron")
    if unpaired > electrons or (electrons - unpaired) % 2:
        raise SpeciesError(
            f"{where}.multiplicity: {multiplicity} is impossible for {electrons} electrons (charge {charge:+d}); "
            f"use {'an odd' if electrons % 2 == 0 else 'an even'} multiplicity{hint} or another charge"
        )
    if usual and usual[0] != 1:
        raise SpeciesError(f"{where}.multiplicity: is not given, and the ground state is no singlet; give it{hint}")


def _usual_multiplicities(graph: Any, charge: int, electrons: int) -> tuple[int, ...]:
    """Of a molecule that has nothing to tell them by but the electrons its Lewis structure leaves alone."""
    symbols = [atom.GetSymbol() for atom in graph.GetAtoms()]
    if len(symbols) == 1:
        return usual_multiplicities(symbols[0], charge)
    if len(symbols) == 2 and set(symbols) <= _TRIPLET_PAIRS and charge == 0:
        return (3,)
    unpaired = sum(atom.GetNumRadicalElectrons() for atom in graph.GetAtoms())
    return (1 + (unpaired if (electrons - unpaired) % 2 == 0 else electrons % 2),)


def _chemical_donors(graph: Any) -> tuple[Donor, ...]:
    found: dict[int, Donor] = {}
    for kind, smarts, rank in DONOR_KINDS:
        for index, *_ in graph.GetSubstructMatches(Chem.MolFromSmarts(smarts), maxMatches=100_000):
            found.setdefault(index, Donor(index, kind, rank))
    kinds = Counter(donor.kind for donor in found.values())
    if kinds["terminal N"] and kinds["amine N"]:
        # Beside dimethylamino ends, the other amines of a chain are its branching points.
        found = {
            index: Donor(index, "central N", donor.rank) if donor.kind == "amine N" else donor
            for index, donor in found.items()
        }
    elif kinds["terminal N"]:
        found = {
            index: Donor(index, "amine N", donor.rank) if donor.kind == "terminal N" else donor
            for index, donor in found.items()
        }
    return tuple(found[index] for index in sorted(found))


def _acids(graph: Any) -> tuple[Donor, ...]:
    """What holds an anion: `O-H`, `N-H`, ... before `C-H`, whose hydrogens are less positive; `B` and `Al`."""
    found = []
    for atom in graph.GetAtoms():
        beside = [one.GetSymbol() for one in atom.GetNeighbors()]
        if atom.GetAtomicNum() == 1 and len(beside) == 1:
            found.append(Donor(atom.GetIdx(), f"{beside[0]}-H", 2 if beside[0] == "C" else 1))
        elif atom.GetSymbol() in {"B", "Al"} and len(beside) == 3:
            found.append(Donor(atom.GetIdx(), atom.GetSymbol(), 1))
    return tuple(found)


def _declared_donors(where: str, graph: Any, declared: dict[str, str]) -> tuple[Donor, ...]:
    found: dict[int, Donor] = {}
    for kind, smarts in declared.items():
        pattern = Chem.MolFromSmarts(smarts)
        if pattern is None:
            raise SpeciesError(f"{where}.donors.{kind}: '{smarts}' is not a SMARTS; check its brackets")
        matches = graph.GetSubstructMatches(pattern)
        if not matches:
            raise SpeciesError(
                f"{where}.donors.{kind}: '{smarts}' matches no atom of {Chem.MolToSmiles(Chem.RemoveHs(graph))}"
            )
        for index, *_ in matches:
            found.setdefault(index, Donor(index, kind, 1))
    return tuple(found[index] for index in sorted(found))


def embed_conformers(molecule: Molecule, n: int, seed: int) -> list[NDArray[np.float64]]:
    """Embed up to `n` conformers with ETKDGv3, coordinates in Å, each (n_atoms, 3), of the stereoisomer that is marked.

    Raises
    ------
    SpeciesError
        When RDKit cannot embed the molecule in three dimensions.

    References
    ----------
    Wang, Witek, Landrum & Riniker, J. Chem. Inf. Model. 60, 2044 (2020): ETKDGv3.
    """
    if molecule.graph.GetNumAtoms() == 1:
        return [np.zeros((1, 3))]
    graph = Chem.Mol(molecule.graph)
    parameters: Any = rdDistGeom.ETKDGv3()
    parameters.randomSeed = seed % (2**31)
    parameters.pruneRmsThresh = 0.1
    with rdBase.BlockLogs():
        ids = list(rdDistGeom.EmbedMultipleConfs(graph, n, parameters))
    if not ids:
        parameters.useRandomCoords = True
        ids = list(rdDistGeom.EmbedMultipleConfs(graph, n, parameters))
    if not ids:
        raise SpeciesError(f"species.{molecule.name}: RDKit cannot embed it; give a 3D structure as file")
    return [np.asarray(graph.GetConformer(i).GetPositions()) for i in ids]
