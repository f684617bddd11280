"""An ion and the molecules that hold it as one system: whose atoms are whose, and when one of them touches the ion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from ase.data.vdw_alvarez import vdw_radii
from numpy.typing import NDArray

from solvation.errors import StructureError
from solvation.species import Donor, Molecule
from solvation.study.clusters import Charged, held_ions

#: A donor binds a bare cation below this multiple of the sum of their covalent radii: 2.43 Å for Li-O, 2.49 Å for Li-N.
BOUND = 1.25
#: No ion touches more donors; each ligand has to bind through one at least.
_MOST_LIGANDS = 20


def reach_A(numbers: NDArray[np.int64], n_ion: int, *, of_bare_cation: bool) -> NDArray[np.float64]:
    """Distance below which an atom touches each atom of the ion, which come first, Å, (n_ion, n_atoms).

    Of a bare cation `BOUND` times the sum of the covalent radii. An anion, or an ion of several atoms, is held by
    hydrogen bonds and by contacts: there it is the sum of the van der Waals radii, 2.66 Å for F with H.

    Parameters
    ----------
    numbers
        Atomic numbers, (n_atoms,).

    References
    ----------
    Alvarez, Dalton Trans. 42, 8617 (2013): van der Waals radii.
    """
    radii, scale = (covalent_radii[numbers], BOUND) if of_bare_cation else (vdw_radii[numbers], 1.0)
    return np.asarray(scale * (radii[:n_ion, None] + radii[None]))


@dataclass(frozen=True, slots=True)
class Shell:
    """An ion and its ligands as one system.

    Attributes
    ----------
    molecules
        The ion first, then every copy of every ligand.
    """

    molecules: tuple[Molecule, ...]

    @property
    def ion(self) -> Molecule:
        """What is held: one atom, or several."""
        return self.molecules[0]

    @property
    def n_ion(self) -> int:
        """How many atoms the ion has; they come first."""
        return int(self.ion.graph.GetNumAtoms())

    @property
    def holds_bare_cation(self) -> bool:
        """Whether the ion is one atom with a positive charge, as Li+ is."""
        return self.ion.is_ion and self.ion.charge > 0

    @property
    def charge(self) -> int:
        """Net charge."""
        return sum(molecule.charge for molecule in self.molecules)

    @property
    def multiplicity(self) -> int:
        """Spin multiplicity: the unpaired electrons of the fragments, all parallel."""
        return 1 + sum(molecule.multiplicity - 1 for molecule in self.molecules)

    @property
    def symbols(self) -> list[str]:
        """Chemical symbols, the ion first, (n_atoms,)."""
        return [symbol for molecule in self.molecules for symbol in molecule.symbols]

    @property
    def fragment(self) -> NDArray[np.int64]:
        """Number of the molecule each atom belongs to, 0 is the ion, (n_atoms,)."""
        sizes = [molecule.graph.GetNumAtoms() for molecule in self.molecules]
        return np.repeat(np.arange(len(sizes)), sizes)

    @property
    def offsets(self) -> list[int]:
        """Index of the first atom of each molecule, (n_molecules,)."""
        sizes = [molecule.graph.GetNumAtoms() for molecule in self.molecules]
        return [int(value) for value in np.concatenate([[0], np.cumsum(sizes)[:-1]])]

    @property
    def bonds(self) -> frozenset[tuple[int, int]]:
        """Covalent bonds of all molecules in the numbering of the whole."""
        return frozenset(
            (i + offset, j + offset)
            for molecule, offset in zip(self.molecules, self.offsets, strict=True)
            for i, j in molecule.bonds
        )

    def sites_of(self, molecule: Molecule) -> tuple[Donor, ...]:
        """Atoms by which a ligand can hold this ion: its donors, or what it has for an anion (`Molecule.acids`)."""
        return molecule.acids if self.ion.charge < 0 else molecule.donors

    @property
    def donors(self) -> list[tuple[int, int, Donor]]:
        """(molecule number, atom index in the whole, donor) of all atoms by which the ligands can hold the ion."""
        return [
            (number, offset + donor.index, donor)
            for number, (molecule, offset) in enumerate(zip(self.molecules, self.offsets, strict=True))
            if number
            for donor in self.sites_of(molecule)
        ]

    @property
    def reach_A(self) -> NDArray[np.float64]:
        """Distance below which an atom touches each atom of the ion, Å, (n_ion, n_atoms)."""
        numbers = np.array([atomic_numbers[symbol] for symbol in self.symbols])
        return reach_A(numbers, self.n_ion, of_bare_cation=self.holds_bare_cation)

    def touched(self, positions_A: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Which atom of the ion each atom touches, or comes nearest to touching, and their distance in Å, (n_atoms,).

        Parameters
        ----------
        positions_A
            Coordinates, Å, (n_atoms, 3), the ion first.
        """
        distance_A = np.linalg.norm(positions_A[None] - positions_A[: self.n_ion, None], axis=-1)
        which = np.argmin(distance_A / self.reach_A, axis=0)
        return which, distance_A[which, np.arange(len(positions_A))]

    def atoms(self, positions_A: NDArray[np.float64]) -> Atoms:
        """The structure, with the array `fragment`."""
        atoms = Atoms(self.symbols, positions_A)
        atoms.set_array("fragment", self.fragment)
        return atoms


def build_shell(composition: Mapping[str, int], molecules: Mapping[str, Molecule]) -> Shell:
    """Put the ion first (`held_ions`) and every copy of every ligand after it.

    Raises
    ------
    StructureError
        Without exactly one ion to be held, or with a ligand that has no atom to hold it by.
    """
    charged = [Charged(name, molecules[name].charge, molecules[name].is_ion) for name in composition]
    held = held_ions(charged)
    if len(held) != 1 or composition[held[0]] != 1:
        raise StructureError(f"a cluster holds one ion such as Li+ or PF6- exactly once, this one: {dict(composition)}")
    ion = molecules[held[0]]
    ligands = [molecules[name] for name, count in composition.items() if name not in held for _ in range(count)]
    if len(ligands) > _MOST_LIGANDS:
        raise StructureError(
            f"{len(ligands)} ligands do not fit into a first shell (at most {_MOST_LIGANDS}); for more take a droplet "
            "(trajectories)"
        )
    shell = Shell((ion, *ligands))
    for ligand in ligands:
        if not shell.sites_of(ligand):
            sought = "hydrogen to hold an anion, nor B or Al with three neighbours" if ion.charge < 0 else "donor atom"
            raise StructureError(
                f"species {ligand.name} has no {sought}; name them in a study, as species.{ligand.name}.donors"
            )
    return shell
