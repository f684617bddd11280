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

#: No liquid holds these as atoms on their own: where one stands alone, the file lacks what it is bonded to.
_NEVER_ALONE = frozenset(["H", "B", "C", "N", "O", "Si", "P", "S", "As", "Se"])
#: What a file holds of a molecule, where it lacks the rest, has no wider gaps: two N beside two C are 3.8 Å apart.
_GAP_A = 5.0


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
        Which residues hold several molecules, else empty.
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
    there steps of 5 Å have to lead through the residue.

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
    found, several = residue.copy(), []
    alike: dict[tuple[str, ...], bool] = {}
    for one in doubtful.tolist():
        atoms = members[one]
        kind = tuple(known[atoms])
        # One of a kind tells of all: looking at thousands of solvent molecules would cost seconds.
        if one != no_molecule and alike.get(kind, False):
            continue
        structure = Atoms(
            [symbol or "X" for symbol in kind], positions_A[atoms], cell=box_A, pbc=box_A is not None
        )  # fmt: skip
        parts = _parts_of(structure, part[atoms], has_bonds=len(bonds) > 0, is_none=one == no_molecule)
        if parts is None:
            raise TrajectoryError(
                f"residue {labels[one]}: nothing links its {len(atoms)} atoms, so its molecules are not known; give a "
                "topology with bonds, each molecule a residue, or the cell (--box) if molecules cross its faces"
            )
        alike[kind] = parts.max() == 0
        if parts.max():
            several.append(one)
            found[atoms] = len(labels) + len(residue) * len(several) + parts
    if not several:
        return Molecules(residue, np.arange(len(labels)))
    _, first, of_atom = np.unique(found, return_index=True, return_inverse=True)
    return Molecules(of_atom.astype(np.int64), residue[first], _note(several, labels, residue[first]))


def _parts_of(structure: Atoms, told: NDArray[np.int64], *, has_bonds: bool, is_none: bool) -> NDArray[np.int64] | None:
    """Number of the molecule of each atom of a residue, from 0; None where it cannot be told.

    Parameters
    ----------
    told
        Parts that the bonds of the topology leave.
    """
    n_atoms = len(structure)
    # Atoms of one part are linked to its first one.
    first = np.unique(told, return_index=True)[1]
    by_topology = np.stack([np.arange(n_atoms), first[np.unique(told, return_inverse=True)[1]]], axis=1)

    def parts(pairs: Any) -> NDArray[np.int64]:
        return _parts(n_atoms, np.concatenate([by_topology, np.array(pairs, dtype=np.int64).reshape(-1, 2)]))

    has_elements = "X" not in structure.get_chemical_symbols()
    found = parts(covalent_bonds(structure)) if has_elements else parts([])
    is_whole = found.max() == 0
    if not is_whole and not is_none and not has_bonds and has_elements:
        is_whole = parts(covalent_bonds(structure, metals=True)).max() == 0
    if is_whole:
        return np.zeros(n_atoms, dtype=np.int64)
    alone = np.bincount(found)[found] == 1
    symbols = np.array(structure.get_chemical_symbols())
    if is_none or (has_elements and not np.isin(symbols[alone], list(_NEVER_ALONE)).any()):
        return found
    if parts(np.stack(neighbor_list("ij", structure, _GAP_A), axis=1)).max() == 0:
        return np.zeros(n_atoms, dtype=np.int64)
    return found if has_bonds else None


def _parts(n_atoms: int, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Connected component of each atom, (n_atoms,)."""
    graph = coo_array((np.ones(len(pairs), dtype=bool), (pairs[:, 0], pairs[:, 1])), shape=(n_atoms, n_atoms))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _note(several: Sequence[int], labels: Sequence[str], residue: NDArray[np.int64]) -> str:
    number = np.bincount(residue, minlength=len(labels))
    example = f"residue {labels[several[0]]} holds {number[several[0]]} molecules that no bond links"
    more = f", and {len(several) - 1} more residues hold several" if len(several) > 1 else ""
    return f"{example}{more}: each is one of its own"
