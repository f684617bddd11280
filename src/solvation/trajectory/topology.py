"""Atoms of a trajectory: selections, elements and molecules."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solvation.errors import TrajectoryError, in_short
from solvation.trajectory.ase_frames import covalent_bonds


class Topology(ABC):
    """The atoms, as the topology names them.

    Attributes
    ----------
    universe
        MDAnalysis' universe of the topology.
    source
        The file that holds the frames.
    """

    def __init__(self, universe: Any, source: Path) -> None:
        self.universe = universe
        self.source = source

    @abstractmethod
    def first_positions(self) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Positions of all atoms in the first frame, Å, (n_atoms, 3), and its box, (6,), or None."""

    @property
    def molecule_of(self) -> NDArray[np.int64]:
        """Number of the molecule of each atom, (n_atoms,).

        Residues where the topology tells them apart; else fragments by its bonds, or by the distances in the first
        frame when it has none (metal atoms bind nothing there).
        """
        atoms = self.universe.atoms
        if len(self.universe.residues) > 1:
            return np.asarray(atoms.resindices)
        if not hasattr(self.universe, "bonds"):
            self.universe.add_TopologyAttr("bonds", covalent_bonds(self._first_frame_as_atoms()))
        return np.asarray(atoms.fragindices)

    def species_of(self, molecule_of: NDArray[np.int64]) -> list[str]:
        """Name of each molecule: of its residue where residues are molecules and have names, else its formula.

        Parameters
        ----------
        molecule_of
            As the property of that name.
        """
        atoms, residues = self.universe.atoms, self.universe.residues
        names = [str(name) for name in getattr(residues, "resnames", [])]
        if len(residues) > 1 and all(names) and set(names) != {"UNK"}:
            return names
        told = ([str(item) for item in getattr(atoms, key, [""])] for key in ("elements", "types", "names"))
        symbols = next((found for found in told if all(found)), ["X"] * len(atoms))
        members: list[list[str]] = [[] for _ in range(int(molecule_of.max()) + 1)]
        for molecule, symbol in zip(molecule_of.tolist(), symbols, strict=True):
            members[molecule].append(symbol.strip().rstrip("0123456789").title())
        known: dict[tuple[str, ...], str] = {}
        return [known.setdefault(tuple(sorted(one)), _formula(one)) for one in members]

    def select(self, selection: str) -> NDArray[np.int64]:
        """Indices of the atoms of an MDAnalysis selection.

        In files whose atom names are symbols (XYZ, XDATCAR) `LI` means `Li`, as it would in a PDB.

        Raises
        ------
        TrajectoryError
            The selection is not valid, or matches nothing; the message lists what there is to select.
        """
        try:
            indices = np.asarray(self.universe.select_atoms(self._with_symbols(selection)).indices)
        except Exception as problem:
            # MDAnalysis raises whatever its parser stumbles on; all of it is the user's selection.
            raise TrajectoryError(
                f"selection '{selection}' cannot be read ({in_short(problem)}); see MDAnalysis selections"
            ) from problem
        if not indices.size:
            raise TrajectoryError(f"selection '{selection}' matches no atom of {self.source}; {self._what_there_is()}")
        return indices

    def elements(self, indices: NDArray[np.int64]) -> set[str]:
        """Chemical elements of some atoms, as far as the topology tells."""
        atoms = self.universe.atoms[indices]
        for attribute in ("elements", "types", "names"):
            if hasattr(atoms, attribute):
                found = {str(item).strip().title() for item in getattr(atoms, attribute)}
                if all(found):
                    return found
        return set()

    def _first_frame_as_atoms(self) -> Any:
        from ase import Atoms
        from ase.data import atomic_numbers

        names = [str(name).rstrip("0123456789").title() for name in self.universe.atoms.names]
        symbols = [name if name in atomic_numbers else name[:1] for name in names]
        unknown = next((symbol for symbol in symbols if symbol not in atomic_numbers), None)
        if unknown is not None:
            raise TrajectoryError(
                f"{self.source}: molecules cannot be told apart (no residues, no bonds, no element '{unknown}'); "
                "give a topology with residues, e.g. a PDB"
            )
        positions_A, box_A = self.first_positions()
        return Atoms(symbols, positions_A, cell=box_A, pbc=box_A is not None)

    def _with_symbols(self, selection: str) -> str:
        names = {str(name) for name in getattr(self.universe.atoms, "names", ())}
        for name in names:
            if len(name) == 2 and name.istitle() and name.upper() not in names:
                selection = re.sub(rf"\b{name.upper()}\b", name, selection)
        return selection

    def _what_there_is(self) -> str:
        told = []
        for attribute in ("resnames", "names", "elements"):
            if hasattr(self.universe.atoms, attribute):
                values = sorted({str(item) for item in getattr(self.universe.atoms, attribute)})
                told.append(f"{attribute}: {' '.join(values[:12])}{' ...' if len(values) > 12 else ''}")
        return "; ".join(told)


def _formula(symbols: Sequence[str]) -> str:
    """Hill's order: carbon, hydrogen, then by letter."""
    count = Counter(symbols)
    first = ["C", "H"] if "C" in count else []
    ordered = [*first, *sorted(set(count) - set(first))]
    return "".join(f"{symbol}{count[symbol] if count[symbol] > 1 else ''}" for symbol in ordered if count[symbol])
