"""Atoms of a trajectory: selections, elements and molecules."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solvation.errors import TrajectoryError, in_short
from solvation.trajectory.ase_frames import covalent_bonds
from solvation.trajectory.molecules import Molecules, molecules_of

#: Masses of one element in two tables differ by less, u.
_SAME_MASS_U = 0.012


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

        Residues where the topology tells them apart, or their parts where no bond links them (`molecules_of`); else
        fragments by its bonds, or by the distances in the first frame when it has none (metal atoms bind nothing
        there).
        """
        return self._molecules.of_atom

    @property
    def doubt_of_molecules(self) -> str:
        """Which residues hold several molecules, if molecules were asked for and there are such; else nothing."""
        return self._molecules.note if "_molecules" in vars(self) else ""

    @cached_property
    def _molecules(self) -> Molecules:
        atoms, residues = self.universe.atoms, self.universe.residues
        bonds = np.array(getattr(getattr(self.universe, "bonds", None), "indices", []), dtype=np.int64).reshape(-1, 2)
        if len(residues) > 1:
            return molecules_of(
                np.asarray(atoms.resindices), self._labels, bonds, symbols=lambda: self.symbols(np.arange(len(atoms))),
                first_frame=self.first_positions, no_molecule=self._no_molecule,
            )  # fmt: skip
        if not len(bonds):
            # A LAMMPS data file without bonds has an empty list of them.
            if hasattr(self.universe, "bonds"):
                self.universe.del_TopologyAttr("bonds")
            self.universe.add_TopologyAttr("bonds", covalent_bonds(self._first_frame_as_atoms()))
        of_atom = np.asarray(atoms.fragindices, dtype=np.int64)
        return Molecules(of_atom, np.zeros(int(of_atom.max()) + 1, dtype=np.int64))

    @property
    def _labels(self) -> list[str]:
        """What to call each residue."""
        residues = self.universe.residues
        numbers = [str(number) for number in residues.resids] if hasattr(residues, "resids") else []
        names = [str(name) for name in getattr(residues, "resnames", [])]
        told = [" ".join(filter(None, both)) for both in zip_longest(names, numbers, fillvalue="")]
        return told or [str(number + 1) for number in range(len(residues))]

    @property
    def _no_molecule(self) -> int:
        """The residue of LAMMPS' mol-ID 0, which stands for no molecule, or -1; its files name no residues."""
        residues = self.universe.residues
        if hasattr(residues, "resnames") or not hasattr(residues, "resids"):
            return -1
        (none,) = np.nonzero(np.asarray(residues.resids) == 0)
        return int(none[0]) if len(none) else -1

    def species_of(self, molecule_of: NDArray[np.int64]) -> list[str]:
        """Name of each molecule: of its residue where it has one and all molecules in it are alike, else its formula.

        Parameters
        ----------
        molecule_of
            As the property of that name.
        """
        residues, residue = self.universe.residues, self._molecules.residue
        names = [str(name) for name in getattr(residues, "resnames", [])]
        is_named = len(residues) > 1 and bool(names) and all(names) and set(names) != {"UNK"}
        if is_named and len(residue) == len(residues):
            return names
        symbols = self.symbols(np.arange(len(self.universe.atoms)))
        members: list[list[str]] = [[] for _ in range(int(molecule_of.max()) + 1)]
        for molecule, symbol in zip(molecule_of.tolist(), symbols, strict=True):
            members[molecule].append(symbol or "X")
        known: dict[tuple[str, ...], str] = {}
        formulas = [known.setdefault(tuple(sorted(one)), _formula(one)) for one in members]
        if not is_named:
            return formulas
        in_residue: dict[int, set[str]] = {}
        for one, formula in zip(residue.tolist(), formulas, strict=True):
            in_residue.setdefault(one, set()).add(formula)
        return [
            names[one] if len(in_residue[one]) == 1 else formula
            for one, formula in zip(residue.tolist(), formulas, strict=True)
        ]

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
        """Chemical elements of some atoms; none where the topology does not tell all of them."""
        found = set(self.symbols(indices))
        return found if all(found) else set()

    def symbols(self, indices: NDArray[np.int64]) -> list[str]:
        """Chemical symbol of each atom, empty where nothing tells.

        An atom without an element has a name (`CA`) and a type (`os`, `HGA2`, `opls_135`) that may stand for several:
        the one whose mass is nearest to the atom's is meant. Heavy hydrogen stays hydrogen, and what lost mass to it
        what it was, because only what name or type may mean is asked. Where they are numbers, as those of LAMMPS, the
        element is the one of just this mass.
        """
        atoms = self.universe.atoms[indices]
        told = [_texts(atoms, key) for key in ("elements", "types", "names")]
        masses_u = _masses_u(atoms)
        known: dict[tuple[str, str, str, float], str] = {}
        for one in zip(*told, masses_u.tolist(), strict=True):
            if one not in known:
                known[one] = _symbol(*one)
        return [known[one] for one in zip(*told, masses_u.tolist(), strict=True)]

    def masses_u(self) -> NDArray[np.float64] | None:
        """Masses of all atoms, as the topology has them or from their elements, u; None where one is not known."""
        from ase.data import atomic_masses, atomic_numbers

        atoms = self.universe.atoms
        masses_u: NDArray[np.float64] = _masses_u(atoms)
        # MDAnalysis knows no mass of `LI`, as GROMACS writes it.
        without = np.flatnonzero(~(masses_u > 0))
        for place, symbol in zip(without, self.symbols(without), strict=True):
            if not symbol:
                return None
            masses_u[place] = atomic_masses[atomic_numbers[symbol]]
        return masses_u

    def _first_frame_as_atoms(self) -> Any:
        from ase import Atoms

        symbols = self.symbols(np.arange(len(self.universe.atoms)))
        if "" in symbols:
            raise TrajectoryError(
                f"{self.source}: molecules cannot be told apart (no residues, no bonds, no element of atom "
                f"{symbols.index('') + 1}); give a topology with residues, e.g. a PDB"
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


def _texts(atoms: Any, key: str) -> list[str]:
    return [str(item).strip() for item in getattr(atoms, key, [""] * len(atoms))]


def _masses_u(atoms: Any) -> NDArray[np.float64]:
    """Masses as the topology has them, zero where it has none."""
    masses_u = np.nan_to_num(np.array(getattr(atoms, "masses", np.zeros(len(atoms))), dtype=float))
    if np.all(masses_u == 1.0) and not any(
        re.search("[A-Za-z]", text) for text in _texts(atoms.universe.atoms, "types")
    ):
        # What MDAnalysis fills in for a LAMMPS dump that has none.
        return np.zeros(len(atoms))
    return np.asarray(masses_u)


def _symbol(element: str, kind: str, name: str, mass_u: float) -> str:
    """The element that one atom is told to be, or that its name or type may mean; its mass decides between several."""
    from ase.data import atomic_masses, atomic_numbers, chemical_symbols

    if element.title() in atomic_numbers:
        return element.title()
    meant = []
    for text in (kind, name):
        # `1HB`, as old PDB files have it, is a hydrogen.
        letters = re.sub(r"^\d*([A-Za-z]*).*", r"\1", text).title()
        whole = [letters] if letters == text.title() else []
        meant += [part for part in (*whole, letters[:2], letters[:1]) if part in atomic_numbers and part != "X"]
    if not meant and mass_u > 0:
        nearest = int(np.abs(atomic_masses[1:] - mass_u).argmin()) + 1
        # Between nitrogen and CH2 lie 0.02 u.
        return chemical_symbols[nearest] if abs(atomic_masses[nearest] - mass_u) < _SAME_MASS_U else ""
    if mass_u > 0:
        meant.sort(key=lambda part: abs(atomic_masses[atomic_numbers[part]] - mass_u))
    return next(iter(meant), "")


def _formula(symbols: Sequence[str]) -> str:
    """Hill's order: carbon, hydrogen, then by letter."""
    count = Counter(symbols)
    first = ["C", "H"] if "C" in count else []
    ordered = [*first, *sorted(set(count) - set(first))]
    return "".join(f"{symbol}{count[symbol] if count[symbol] > 1 else ''}" for symbol in ordered if count[symbol])
