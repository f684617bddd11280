"""Random first shells around an ion, relaxed by a force field: the wide mouth of the sampling funnel.

A start costs milliseconds here against seconds of tight binding, so hundreds are made and only those of
different shape go on. MMFF94 holds Li-O and Li-N distances within 0.1 Å of DFT (docs/sampling.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from ase.units import kcal, mol
from numpy.typing import NDArray
from rdkit import Chem, rdBase
from rdkit.Chem import rdForceFieldHelpers
from rdkit.Geometry import Point3D

from solvation.errors import StructureError
from solvation.species import Donor, Molecule
from solvation.study.clusters import held_ions

KCAL_MOL_EV = kcal / mol
_CONTACT_A = 1.9
_RESTRAINT_KCAL_MOL_A2 = 100.0
_TRIES = 60
_SOFT_STEPS = 8
#: Bare ions that MMFF94 and UFF both have.
_WITH_PARAMETERS = {"Li", "Na", "K", "F", "Cl", "Br"}
#: No ion touches more donors; each ligand has to bind through one at least.
_MOST_LIGANDS = 20


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

    @property
    def donors(self) -> list[tuple[int, int, Donor]]:
        """(molecule number, atom index in the whole, donor), ligands only."""
        return [
            (number, offset + donor.index, donor)
            for number, (molecule, offset) in enumerate(zip(self.molecules, self.offsets, strict=True))
            if number
            for donor in molecule.donors
        ]

    def atoms(self, positions_A: NDArray[np.float64]) -> Atoms:
        """The structure, with the array `fragment`."""
        atoms = Atoms(self.symbols, positions_A)
        atoms.set_array("fragment", self.fragment)
        return atoms


def build_shell(composition: Mapping[str, int], molecules: Mapping[str, Molecule]) -> Shell:
    """Put the ion first and every copy of every ligand after it; beside a cation a halide is a ligand.

    Raises
    ------
    StructureError
        Without exactly one cation to be held, or with a ligand that has no donor atom.
    """
    held = held_ions([(name, molecules[name].charge) for name in composition if molecules[name].is_ion])
    if len(held) != 1 or composition[held[0]] != 1:
        raise StructureError(f"a cluster holds one bare ion such as Li+ exactly once, this one: {dict(composition)}")
    if molecules[held[0]].charge < 0:
        raise StructureError(
            f"{held[0]}: an anion is held by hydrogens, which are no donors here; bring the complex as "
            "--structure of bind, or add the cation whose shell it joins"
        )
    ligands = [molecules[name] for name, count in composition.items() if name not in held for _ in range(count)]
    if len(ligands) > _MOST_LIGANDS:
        raise StructureError(
            f"{len(ligands)} ligands do not fit into a first shell (at most {_MOST_LIGANDS}); for more take a droplet "
            "(trajectories)"
        )
    for ligand in ligands:
        if not ligand.donors:
            raise StructureError(
                f"species {ligand.name} has no donor atom; name them in a study, as species.{ligand.name}.donors"
            )
    return Shell((molecules[held[0]], *ligands))


@dataclass(frozen=True, slots=True)
class Start:
    """A force-field minimum.

    Attributes
    ----------
    energy_kcal_mol
        Energy of the force field; comparable within one shell only.
    """

    positions_A: NDArray[np.float64]
    energy_kcal_mol: float


class ForceField:
    """MMFF94 for a shell, or UFF where MMFF94 has no parameters (PF6-, for one).

    Where neither has any for a bare ion (Ni2+, Ba2+, I- beside Zn2+), Na+ and Br- stand in the places of the bare ions
    while what overlaps is parted, and no more is done: a minimum around another ion is none of this shell.

    Attributes
    ----------
    has_minima
        Whether all atoms have parameters, so that a relaxation to the end means something.

    Raises
    ------
    StructureError
        When a molecule has no parameters.

    References
    ----------
    Halgren, J. Comput. Chem. 17, 490 (1996): MMFF94.
    Rappé et al., J. Am. Chem. Soc. 114, 10024 (1992): UFF.
    """

    def __init__(self, shell: Shell) -> None:
        self._radii_A = [float(covalent_radii[atomic_numbers[symbol]]) for symbol in shell.symbols]
        graphs = [molecule.graph for molecule in shell.molecules]
        self.has_minima = self._takes(graphs)
        if self.has_minima:
            return
        if not self._takes([_stand_in(molecule) for molecule in shell.molecules]):
            elements = sorted({one for part in shell.molecules if not part.is_ion for one in part.symbols})
            raise StructureError(
                f"neither MMFF94 nor UFF has parameters for {', '.join(elements)}; bind a --structure of your own"
            )

    def _takes(self, graphs: Sequence[Any]) -> bool:
        """Take these molecules, if one of the force fields has parameters for them."""
        whole = Chem.Mol()
        for graph in graphs:
            bare = Chem.Mol(graph)
            bare.RemoveAllConformers()
            whole = Chem.CombineMols(whole, bare)
        Chem.SanitizeMol(whole)
        whole.AddConformer(Chem.Conformer(whole.GetNumAtoms()), assignId=True)
        self._whole = whole
        with rdBase.BlockLogs():
            self._mmff = rdForceFieldHelpers.MMFFGetMoleculeProperties(whole)
            return self._mmff is not None or bool(rdForceFieldHelpers.UFFHasAllMoleculeParams(whole))

    @property
    def name(self) -> str:
        """MMFF94 or UFF, and what it did without."""
        name = "UFF" if self._mmff is None else "MMFF94"
        return name if self.has_minima else f"{name} (clashes alone, by Na+ and Br- for bare ions without parameters)"

    def relax(
        self, positions_A: NDArray[np.float64], held: Sequence[tuple[int, int]] = (), *, fully: bool = True
    ) -> Start:
        """Relax with the pairs `held` kept near 2 Å, then, when `fully`, freely to the minimum.

        Not fully is a handful of steps: enough to part atoms that overlap, too few to forget the shape. A force field
        without minima never goes further, and keeps the pairs near the sum of their covalent radii.
        """
        fully = fully and self.has_minima
        conformer = self._whole.GetConformer()
        for index, (x, y, z) in enumerate(positions_A):
            conformer.SetAtomPosition(index, Point3D(float(x), float(y), float(z)))
        field = self._field()
        for first, second in held:
            add = field.MMFFAddDistanceConstraint if self._mmff is not None else field.UFFAddDistanceConstraint
            radii_A = self._radii_A[first] + self._radii_A[second]
            bounds_A = (1.8, 2.3) if self.has_minima else (0.9 * radii_A, 1.15 * radii_A)
            add(first, second, False, *bounds_A, _RESTRAINT_KCAL_MOL_A2)
        try:
            field.Minimize(maxIts=300 if fully else _SOFT_STEPS)
            field = self._field()
            if fully:
                field.Minimize(maxIts=3000)
        except RuntimeError:
            # A search along a line that leads nowhere (HF): an engine goes on from where it has got.
            field = self._field()
        return Start(np.array(conformer.GetPositions()), float(field.CalcEnergy()))

    def _field(self) -> Any:
        if self._mmff is not None:
            field = rdForceFieldHelpers.MMFFGetMoleculeForceField(
                self._whole, self._mmff, ignoreInterfragInteractions=False
            )
        else:
            # UFF warns of the P in PF6- at every start; the record says once that it was used.
            with rdBase.BlockLogs():
                field = rdForceFieldHelpers.UFFGetMoleculeForceField(self._whole, ignoreInterfragInteractions=False)
        field.Initialize()
        return field


def _stand_in(molecule: Molecule) -> Any:
    """The graph of a molecule, but of one that both force fields have where it is a bare ion."""
    if not molecule.is_ion or molecule.symbols[0] in _WITH_PARAMETERS:
        return molecule.graph
    return Chem.MolFromSmiles("[Na+]" if molecule.charge > 0 else "[Br-]")


def random_start(
    shell: Shell,
    field: ForceField,
    conformers: Sequence[Sequence[NDArray[np.float64]]],
    denticity: Sequence[int | None],
    rng: np.random.Generator,
    *,
    fully: bool,
) -> Start:
    """Place every ligand at random around the ion and relax with the force field.

    Each ligand gets a random conformer, a random set of donors (its denticity, or a random number of them when
    free), a random direction and a random turn about the donor; the chosen donors are held near 2 Å while the
    clashes relax, then everything is free.

    Parameters
    ----------
    conformers
        For each molecule, coordinates in Å, each (n_atoms, 3); the ion's entry is not used.
    denticity
        For each molecule, the donors it must bind through, or None; the ion's entry is not used.
    """
    placed = np.zeros((1, 3))
    held: list[tuple[int, int]] = []
    for number, (molecule, offset) in enumerate(zip(shell.molecules, shell.offsets, strict=True)):
        if number == 0:
            continue
        chosen = choose_donors(molecule, denticity[number], rng)
        choices = conformers[number]
        geometry = choices[int(rng.integers(len(choices)))]
        placed = np.vstack([placed, place(geometry, chosen[0], placed, rng)])
        held += [(0, offset + donor) for donor in chosen]
    return field.relax(placed, held, fully=fully)


def choose_donors(molecule: Molecule, denticity: int | None, rng: np.random.Generator) -> list[int]:
    """Donors that start at the ion: of the first rank the molecule has, more only when asked for."""
    ranks = sorted({donor.rank for donor in molecule.donors})
    first = [donor.index for donor in molecule.donors if donor.rank == ranks[0]]
    if denticity is None:
        count = int(rng.integers(1, min(len(first), 4) + 1))
    else:
        count = denticity
        if count > len(first):
            first = [donor.index for donor in molecule.donors]
    return [int(index) for index in rng.choice(first, size=count, replace=False)]


def place(
    geometry_A: NDArray[np.float64], donor: int, placed_A: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Turn a ligand so that its donor sits 2 Å from the ion; keep the roomiest of many random turns."""

    from scipy.spatial.transform import Rotation

    best, room = geometry_A, -np.inf
    for _ in range(_TRIES):
        turned = (geometry_A - geometry_A[donor]) @ Rotation.random(rng=rng).as_matrix().T
        direction = rng.normal(size=3)
        turned += 2.0 * direction / np.linalg.norm(direction)
        distances = np.linalg.norm(turned[:, None] - placed_A[None], axis=-1)
        others = np.delete(distances[:, 0], donor)
        clearance = min(
            float(others.min(initial=np.inf)) - _CONTACT_A,
            float(distances[:, 1:].min(initial=np.inf)) - _CONTACT_A,
        )
        if clearance > room:
            best, room = turned, clearance
        if room > 0:
            break
    return best
