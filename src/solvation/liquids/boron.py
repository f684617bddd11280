"""Terms of boron, which GAFF2 does not have: lengths and angles of a relaxed geometry, stiffness of UFF.

parmchk2 takes sp2 carbon for boron, at a penalty of zero: B-O of bis(oxalato)borate 0.1 Å too short, six angles of 115°
around a tetrahedral atom, and torsions of double bonds about its bonds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from ase.geometry import get_angles
from numpy.typing import NDArray
from rdkit import rdBase
from rdkit.Chem import rdForceFieldHelpers

from solvation.errors import SpeciesError
from solvation.species import Molecule

_KJ = 4.184
#: Where the terms come from, for `Parameters.origin`.
SOURCE = "bonds and angles of B: as relaxed, UFF's stiffness; no torsions about bonds of B with four neighbours"


def with_boron(
    molecule: Molecule,
    parts: Mapping[str, Any],
    geometries_A: Sequence[NDArray[np.float64]],
    classes: NDArray[np.int64],
) -> dict[str, Any]:
    """The same valence terms, with those of boron.

    Each bond and angle that boron has a part in, at the middle or at an end, is as long and as wide as it is in the
    geometries, on average over them and over those that the bonds do not tell apart (angles of a ring for themselves).
    UFF's bonds and angles are as stiff as E = k/2 (x - x0)2 at their minimum. What turns about a bond of boron with
    four neighbours meets no barrier but that of the spheres; about one with three, parmchk2's stays (`boron_doubts`).

    Parameters
    ----------
    parts
        `bonds`, `angles` and `torsions` as in `Parameters`, and more, which stays.
    geometries_A
        Relaxed conformers, Å, each (n_atoms, 3).
    classes
        Equal for atoms that the bonds do not tell apart, (n_atoms,).

    Raises
    ------
    SpeciesError
        UFF does not know what boron is bound to.

    References
    ----------
    Rappé et al., J. Am. Chem. Soc. 114, 10024 (1992): UFF, as RDKit has it.
    """
    boron = {number for number, symbol in enumerate(molecule.symbols) if symbol == "B"}
    rings = [set(ring) for ring in molecule.graph.GetRingInfo().AtomRings()]
    bonds = [tuple(term[:2]) for term in parts["bonds"]]
    angles = [tuple(term[:3]) for term in parts["angles"]]
    lengths_A = _means(geometries_A, bonds, [_unordered(classes, bond) for bond in bonds], _length_A)
    kinds = [(*_unordered(classes, path), _smallest(rings, path)) for path in angles]
    angles_deg = _means(geometries_A, angles, kinds, _angle_deg)
    stiff = _Stiffness(molecule)
    four = {atom for atom in boron if molecule.graph.GetAtomWithIdx(atom).GetDegree() == 4}
    return {
        **parts,
        "bonds": tuple(
            (*bond, lengths_A[number], stiff.of_bond(bond)) if boron & set(bond) else parts["bonds"][number]
            for number, bond in enumerate(bonds)
        ),
        "angles": tuple(
            (*path, angles_deg[number], stiff.of_angle(path)) if boron & set(path) else parts["angles"][number]
            for number, path in enumerate(angles)
        ),
        "torsions": tuple(term for term in parts["torsions"] if not _turns_about(molecule, term[:4], four)),
    }


def boron_doubts(molecule: Molecule, penalties: Mapping[str, float]) -> tuple[str, ...]:
    """What boron still takes over from carbon, whatever parmchk2's penalty: all of it is doubtful.

    Parameters
    ----------
    penalties
        Of the terms that parmchk2 made up, by their types.
    """
    degrees = {atom.GetDegree() for atom in molecule.graph.GetAtoms() if atom.GetSymbol() == "B"}
    torsions = [term.split("-") for term in penalties if term.count("-") == 3]
    left = ["-".join(types) for types in torsions if "B" in types and ("B" not in types[1:3] or degrees != {4})]
    return tuple(f"{term} (as sp2 carbon)" for term in ("Lennard-Jones of B", *left))


class _Stiffness:
    """Force constants of UFF for a molecule, in the units of `Parameters`."""

    def __init__(self, molecule: Molecule) -> None:
        self._molecule = molecule

    def of_bond(self, bond: tuple[int, ...]) -> float:
        """kJ/mol/Å2."""
        with rdBase.BlockLogs():
            found = rdForceFieldHelpers.GetUFFBondStretchParams(self._molecule.graph, *bond)
        return self._known(found, bond)

    def of_angle(self, path: tuple[int, ...]) -> float:
        """kJ/mol/rad2."""
        with rdBase.BlockLogs():
            found = rdForceFieldHelpers.GetUFFAngleBendParams(self._molecule.graph, *path)
        return self._known(found, path)

    def _known(self, found: tuple[float, float] | None, atoms: tuple[int, ...]) -> float:
        if found is None:
            names = "-".join(self._molecule.symbols[atom] for atom in atoms)
            raise SpeciesError(
                f"species.{self._molecule.name}: UFF has no {names} of boron; give its parameters in forcefields"
            )
        return _KJ * found[0]


def _means(
    geometries_A: Sequence[NDArray[np.float64]],
    terms: Sequence[tuple[int, ...]],
    kinds: Sequence[Hashable],
    measure: Callable[[NDArray[np.float64]], float],
) -> list[float]:
    """Mean of each term over the geometries and over the terms of its kind."""
    seen: dict[Hashable, list[float]] = defaultdict(list)
    for term, kind in zip(terms, kinds, strict=True):
        seen[kind] += [measure(place[list(term)]) for place in geometries_A]
    return [float(np.mean(seen[kind])) for kind in kinds]


def _length_A(points_A: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(points_A[0] - points_A[1]))


def _angle_deg(points_A: NDArray[np.float64]) -> float:
    return float(get_angles([points_A[0] - points_A[1]], [points_A[2] - points_A[1]])[0])


def _unordered(classes: NDArray[np.int64], atoms: tuple[int, ...]) -> tuple[int, ...]:
    """Classes of the atoms of a bond or an angle, the same from either end."""
    found = tuple(int(classes[atom]) for atom in atoms)
    return min(found, found[::-1])


def _smallest(rings: list[set[int]], path: tuple[int, ...]) -> int:
    """Size of the smallest ring that holds all of these atoms, 0 without one."""
    return min((len(ring) for ring in rings if ring >= set(path)), default=0)


def _turns_about(molecule: Molecule, chain: tuple[int, ...], atoms: set[int]) -> bool:
    """Whether this is a torsion about a bond of one of these atoms; an improper one has no chain of bonds."""
    is_chain = all(tuple(sorted(pair)) in molecule.bonds for pair in pairwise(chain))
    return is_chain and bool(set(chain[1:3]) & atoms)
