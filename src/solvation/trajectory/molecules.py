"""Which atoms are one molecule: those of a residue, or of its parts where no bond links them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from solvation.errors import TrajectoryError
from solvation.trajectory.ase_frames import covalent_bonds

#: No liquid holds these as atoms on their own: where one stands alone, the file lacks what it is bonded to. X stands
#: for an atom without element.
_NEVER_ALONE = ["H", "B", "C", "N", "O", "Si", "P", "S", "As", "Se", "X"]
#: What a file holds of a molecule, where it lacks the rest, has no wider gaps: N-C-C-N is 3.8 Å long, bonds of coarse
#: models 5 Å.
_GAP_A = 6.0


@dataclass(frozen=True, slots=True)
class Molecules:
    """Molecules of a topology.

    Attributes
    ----------
    of_atom
        Number of the molecule of each atom, (n_atoms,).
    residue
        Residue of each molecule, (n_molecules,).
    note
        Which residues hold several molecules, or are taken for one without bonds; else empty.
    """

    of_atom: NDArray[np.int64]
    residue: NDArray[np.int64]
    note: str = ""


def molecules_of(
    residue: NDArray[np.int64],
    labels: Sequence[str],
    bonds: NDArray[np.int64],
    *,
    symbols: Callable[[], Sequence[str]],
    first_frame: Callable[[], tuple[NDArray[np.float64], NDArray[np.float64] | None]],
    no_molecule: int = -1,
) -> Molecules:
    """Take residues for molecules where bonds link their atoms, and their parts where none do.

    Bonds are those of the topology and, where they leave a residue in parts, those that covalent radii tell in the
    first frame. Metals bind there only where the topology has no bonds, and where the residue is one molecule with
    them (AlCl4-). A file that lacks atoms (donors alone) is seen by atoms that are never alone, or of no element:
    there a residue is one molecule if steps of 6 Å lead through it.

    Parameters
    ----------
    residue, labels
        Residue of each atom, (n_atoms,), and what to call each residue in messages.
    bonds
        Of the topology, (n_bonds, 2); none where it holds none.
    symbols, first_frame
        Chemical symbols of all atoms, empty where not known; positions of all atoms, Å, (n_atoms, 3), and cell.
    no_molecule
        The residue that stands for none (LAMMPS' mol-ID 0): nothing but bonds makes molecules in it.

    Raises
    ------
    TrajectoryError
        Nothing tells the molecules of a residue.
    """
    inside = bonds[residue[bonds[:, 0]] == residue[bonds[:, 1]]]
    part = _parts(len(residue), inside)
    n_parts = np.bincount(residue[np.unique(part, return_index=True)[1]], minlength=len(labels))
    order = np.argsort(residue, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(residue, minlength=len(labels)))[:-1])
    doubtful = np.flatnonzero(n_parts > 1)
    if not len(doubtful):
        return Molecules(residue, np.arange(len(labels)))
    known, (positions_A, box_A) = np.array(symbols()), first_frame()
    found = residue.copy()
    several: list[int] = []
    guessed: list[int] = []
    alike: dict[tuple[str, ...], bool] = {}
    for one in doubtful.tolist():
        atoms = members[one]
        kind = tuple(known[atoms])
        # One of a kind tells of all: looking at thousands of solvent molecules would cost seconds.
        if one != no_molecule and alike.get(kind, False):
            continue
        symbols_of = [symbol or "X" for symbol in kind]
        structure = Atoms(symbols_of, positions_A[atoms], cell=box_A, pbc=box_A is not None)
        parts, is_known = _parts_of(structure, part[atoms], has_bonds=len(bonds) > 0, is_none=one == no_molecule)
        if not is_known and parts.max():
            raise TrajectoryError(
                f"residue {labels[one]}: nothing links its {len(atoms)} atoms, so its molecules are not known; give a "
                "topology with bonds, each molecule a residue, or the cell (--box) if molecules cross its faces"
            )
        alike[kind] = parts.max() == 0
        if not is_known:
            guessed.append(one)
        if parts.max():
            several.append(one)
            found[atoms] = len(labels) + len(residue) * len(several) + parts
    _, first, of_atom = np.unique(found, return_index=True, return_inverse=True)
    return Molecules(of_atom.astype(np.int64), residue[first], _note(several, guessed, labels, residue[first]))


def _parts_of(
    structure: Atoms, told: NDArray[np.int64], *, has_bonds: bool, is_none: bool
) -> tuple[NDArray[np.int64], bool]:
    """Number of the molecule of each atom of a residue, from 0, and whether bonds tell it.

    Parameters
    ----------
    told
        Parts that the bonds of the topology leave.
    """
    n_atoms, symbols = len(structure), np.array(structure.get_chemical_symbols())
    # Atoms of one part are linked to its first one.
    _, first, which = np.unique(told, return_index=True, return_inverse=True)
    by_topology = np.stack([np.arange(n_atoms), first[which]], axis=1)

    def parts(pairs: Any) -> NDArray[np.int64]:
        return _parts(n_atoms, np.concatenate([by_topology, np.array(pairs, dtype=np.int64).reshape(-1, 2)]))

    found = parts(covalent_bonds(structure))
    if found.max() == 0 or is_none:
        return found, True
    if not has_bonds and parts(covalent_bonds(structure, metals=True)).max() == 0:
        return np.zeros(n_atoms, dtype=np.int64), True
    alone = np.bincount(found)[found] == 1
    if not np.isin(symbols[alone], _NEVER_ALONE).any():
        return found, True
    near = parts(np.stack(neighbor_list("ij", structure, _GAP_A), axis=1))
    return (found, True) if near.max() and has_bonds else (near, False)


def _parts(n_atoms: int, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Connected component of each atom, (n_atoms,)."""
    graph = coo_array((np.ones(len(pairs), dtype=bool), (pairs[:, 0], pairs[:, 1])), shape=(n_atoms, n_atoms))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _note(several: Sequence[int], guessed: Sequence[int], labels: Sequence[str], residue: NDArray[np.int64]) -> str:
    number = np.bincount(residue, minlength=len(labels))
    words = []
    if several:
        more = f", and {len(several) - 1} more residues hold several" if len(several) > 1 else ""
        first = several[0]
        words.append(
            f"residue {labels[first]} holds {number[first]} molecules that no bond links{more}: each is one of its own"
        )
    if guessed:
        words.append(
            f"residue {labels[guessed[0]]} is taken for one molecule, although no bonds lead through it: the file "
            "lacks atoms, or their elements"
        )
    return "; ".join(words)
