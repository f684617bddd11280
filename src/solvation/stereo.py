"""Stereochemistry: which isomer a geometry is, which ones a SMILES leaves open, and whether a molecule is still itself.

Counted are tetrahedral centres and double bonds, as marked in a graph of RDKit. N with three neighbours inverts, and
so does N-H of an imine; O and O- on one S or P are one kind: there are no centres here. Axes and planes (allenes,
biaryls, helices) are not seen.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, rdBase
from rdkit.Chem import rdDistGeom
from rdkit.Chem.EnumerateStereoisomers import EnumerateStereoisomers, StereoEnumerationOptions

from solvation.errors import SpeciesError

_TURNS = {Chem.ChiralType.CHI_TETRAHEDRAL_CCW: 1.0, Chem.ChiralType.CHI_TETRAHEDRAL_CW: -1.0}
_CIS = {Chem.BondStereo.STEREOZ, Chem.BondStereo.STEREOCIS}
_TRANS = {Chem.BondStereo.STEREOE, Chem.BondStereo.STEREOTRANS}
#: Of more isomers than this only some are made; two of them are enough to say that a SMILES is open.
_MOST_ISOMERS = 64
_MOST_SHOWN = 4


def unmark_no_centres(graph: Any) -> None:
    """Take the marks off what inverts, off S and P whose O are equal but on paper, and off what is not tetrahedral."""
    unfit = [
        atom
        for atom in graph.GetAtoms()
        if atom.GetChiralTag() != Chem.ChiralType.CHI_UNSPECIFIED and (_is_no_centre(atom) or not _turn(atom))
    ]
    for atom in unfit:
        atom.SetChiralTag(Chem.ChiralType.CHI_UNSPECIFIED)
    if unfit:
        # What was a centre only beside another one is none any more.
        Chem.AssignStereochemistry(graph, cleanIt=True, force=True)
    for bond in graph.GetBonds():
        imines = [end for end in (bond.GetBeginAtom(), bond.GetEndAtom()) if _is_imine(end)]
        if bond.GetStereo() in _CIS | _TRANS and imines:
            bond.SetStereo(Chem.BondStereo.STEREONONE)
            for side in (side for end in imines for side in end.GetBonds()):
                side.SetBondDir(Chem.BondDir.NONE)


def mark_from_geometry(graph: Any) -> None:
    """Mark the centres and double bonds of a graph as its conformer has them."""
    Chem.AssignStereochemistryFrom3D(graph, replaceExistingTags=True)
    unmark_no_centres(graph)


def is_isomer(graph: Any, placed: Any) -> bool:
    """Whether a copy of the graph with a conformer is its stereoisomer, or the mirror image of it.

    Of a graph without marks every geometry is.
    """
    marked = any(map(_turn, graph.GetAtoms())) or any(bond.GetStereo() in _CIS | _TRANS for bond in graph.GetBonds())
    if not marked:
        return True
    there = Chem.Mol(placed)
    mark_from_geometry(there)
    return _smiles(there) in {_smiles(graph), _mirrored(_smiles(graph))}


def turned_over(graph: Any, positions_A: NDArray[np.float64]) -> str | None:
    """Name the first marked centre or double bond that is not as marked; None when all are, or none is marked.

    Parameters
    ----------
    positions_A
        Coordinates in Å, (n_atoms, 3).
    """
    for atom in graph.GetAtoms():
        if turn := _turn(atom):
            one, two, three = (positions_A[other.GetIdx()] for other in list(atom.GetNeighbors())[:3])
            centre = positions_A[atom.GetIdx()]
            # Seen from the first neighbour, the others go round counterclockwise where this volume is positive.
            if turn * np.dot(one - centre, np.cross(two - centre, three - centre)) < 0:
                return f"centre {atom.GetSymbol()}{atom.GetIdx()} turned over"
    for bond in graph.GetBonds():
        if bond.GetStereo() in _CIS | _TRANS:
            first, second = bond.GetBeginAtom(), bond.GetEndAtom()
            one, two = (positions_A[index] for index in bond.GetStereoAtoms())
            here, there = positions_A[first.GetIdx()], positions_A[second.GetIdx()]
            axis = (there - here) / np.linalg.norm(there - here)
            sides = [arm - np.dot(arm, axis) * axis for arm in (one - here, two - there)]
            if (np.dot(*sides) > 0) != (bond.GetStereo() in _CIS):
                pair = f"{first.GetSymbol()}{first.GetIdx()}={second.GetSymbol()}{second.GetIdx()}"
                return f"double bond {pair} turned over"
    return None


def open_isomers(graph: Any) -> tuple[str, ...]:
    """SMILES of the stereoisomers that differ in energy among those that a graph may be, one of two mirror images each.

    One when only the hand is open; none when nothing is.
    """
    return _open_isomers(_smiles(graph))


def check_one_isomer(where: str, graph: Any) -> None:
    """Refuse a graph that stands for several stereoisomers of different energies.

    Raises
    ------
    SpeciesError
        With the SMILES to choose from.
    """
    if len(found := open_isomers(graph)) > 1:
        shown = ", ".join(found[:_MOST_SHOWN]) + (", ..." if len(found) > _MOST_SHOWN else "")
        mirrored = " or a mirror image" if any(_mirrored(one) != one for one in found) else ""
        raise SpeciesError(
            f"{where}: '{_smiles(graph)}' leaves open which of its stereoisomers is meant, which differ in energy; "
            f"write one of {shown}{mirrored}"
        )


def is_chiral(graph: Any) -> bool:
    """Whether a molecule differs from its mirror image, whether or not its hand is marked."""
    smiles = next(iter(open_isomers(graph)), _smiles(graph))
    return _mirrored(smiles) != smiles


def _turn(atom: Any) -> float:
    return _TURNS.get(atom.GetChiralTag(), 0.0)


def _is_no_centre(atom: Any) -> bool:
    """Whether it is N that inverts, or has two bare ends of one element: a Lewis structure alone tells O from O-."""
    ends = [
        other.GetAtomicNum()
        for other in atom.GetNeighbors()
        if other.GetDegree() == 1 and other.GetAtomicNum() != 1 and not other.GetTotalNumHs(includeNeighbors=True)
    ]
    inverts = atom.GetAtomicNum() == 7 and atom.GetFormalCharge() == 0 and atom.GetTotalDegree() == 3
    return bool(inverts or len(ends) > len(set(ends)))


def _is_imine(atom: Any) -> bool:
    return bool(atom.GetAtomicNum() == 7 and atom.GetTotalNumHs(includeNeighbors=True))


def _smiles(graph: Any) -> str:
    return str(Chem.MolToSmiles(Chem.RemoveHs(graph)))


def _mirrored(smiles: str) -> str:
    graph = Chem.MolFromSmiles(smiles)
    for atom in graph.GetAtoms():
        atom.InvertChirality()
    return str(Chem.MolToSmiles(graph))


@cache
def _open_isomers(smiles: str) -> tuple[str, ...]:
    graph = Chem.MolFromSmiles(smiles)
    if not any(_is_open(graph, element) for element in Chem.FindPotentialStereo(graph)):
        return ()
    for atom in graph.GetAtoms():
        if _is_no_centre(atom):  # any mark: what is marked is not enumerated, and it is taken off again
            atom.SetChiralTag(Chem.ChiralType.CHI_TETRAHEDRAL_CW)
    found: list[str] = []
    most = StereoEnumerationOptions(maxIsomers=_MOST_ISOMERS)  # type: ignore[no-untyped-call]
    for isomer in EnumerateStereoisomers(graph, options=most):  # type: ignore[no-untyped-call]
        unmark_no_centres(isomer)
        own = _smiles(isomer)
        if own not in found and _mirrored(own) not in found:
            found.append(own)
    if len(found) > 1 and any(graph.GetRingInfo().NumAtomRings(atom.GetIdx()) > 1 for atom in graph.GetAtoms()):
        # Norbornane with one bridgehead inside is a SMILES, and no molecule.
        found = list(filter(_can_be, found)) or found
    return tuple(found)


def _is_open(graph: Any, element: Any) -> bool:
    if element.specified == Chem.StereoSpecified.Specified:
        return False
    if element.type == Chem.StereoType.Atom_Tetrahedral:
        return not _is_no_centre(graph.GetAtomWithIdx(element.centeredOn))
    if element.type == Chem.StereoType.Bond_Double:
        bond = graph.GetBondWithIdx(element.centeredOn)
        return not any(map(_is_imine, (bond.GetBeginAtom(), bond.GetEndAtom())))
    return False


def _can_be(smiles: str) -> bool:
    graph = Chem.AddHs(Chem.MolFromSmiles(smiles))
    parameters: Any = rdDistGeom.ETKDGv3()
    parameters.randomSeed = 1
    parameters.maxIterations = 30
    parameters.useRandomCoords = True
    with rdBase.BlockLogs():
        return int(rdDistGeom.EmbedMolecule(graph, parameters)) >= 0
