"""Random first shells around an ion, relaxed by a force field: the wide mouth of the sampling funnel.

A start costs milliseconds here against seconds of tight binding, so hundreds are made and only those of
different shape go on. MMFF94 holds Li-O and Li-N distances within 0.1 Å of DFT (docs/sampling.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.units import kcal, mol
from numpy.typing import NDArray
from rdkit import Chem, rdBase
from rdkit.Chem import rdForceFieldHelpers
from rdkit.Geometry import Point3D

from solvation.clusters.shell import BOUND, Shell
from solvation.errors import StructureError
from solvation.species import Molecule

KCAL_MOL_EV = kcal / mol
_CONTACT_A = 1.9
#: A donor starts so far from a bare cation; what holds another ion, at this share of the distance at which it touches.
_FIRST_A, _FIRST_SHARE = 2.0, 0.8
#: Within these shares of it the pair is kept while clashes relax.
_NEAR, _FAR = 0.65, 0.95
_RESTRAINT_KCAL_MOL_A2 = 100.0
_TRIES = 60
_SOFT_STEPS = 8
#: Bare ions that MMFF94 and UFF both have.
_WITH_PARAMETERS = {"Li", "Na", "K", "F", "Cl", "Br"}


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
    while what overlaps is parted, and no more is done: a minimum around another ion is none of this shell. No more is
    done either by UFF for an anion or an ion of several atoms, which charges hold that it does not have.

    Attributes
    ----------
    has_minima
        Whether all atoms have parameters, and it knows what holds the ion, so that a relaxation to the end means
        something.

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
        self._shell, self._reach_A = shell, shell.reach_A
        graphs = [molecule.graph for molecule in shell.molecules]
        self._stands_in = not self._takes(graphs)
        if self._stands_in and not self._takes([_stand_in(molecule) for molecule in shell.molecules]):
            elements = sorted({one for part in shell.molecules if not part.is_ion for one in part.symbols})
            raise StructureError(
                f"neither MMFF94 nor UFF has parameters for {', '.join(elements)}; bind a --structure of your own"
            )
        # UFF has no charges, and they are what holds an anion or an ion of several atoms.
        holds = self._mmff is not None or shell.holds_bare_cation or len(shell.molecules) == 1
        self.has_minima = holds and not self._stands_in

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
        if self._stands_in:
            return f"{name} (clashes alone, by Na+ and Br- for bare ions without parameters)"
        return name if self.has_minima else f"{name} (clashes alone, for it has no charges)"

    def relax(
        self, positions_A: NDArray[np.float64], held: Sequence[tuple[int, int]] = (), *, fully: bool = True
    ) -> Start:
        """Relax with the pairs `held` (atom of the ion, atom that holds it) kept close, then, when `fully`, freely.

        Not fully is a handful of steps: enough to part atoms that overlap, too few to forget the shape. A force field
        without minima never goes further. A donor is kept near 2 Å from a bare cation, near the sum of their covalent
        radii without minima; what holds another ion is kept where it touches it.
        """
        fully = fully and self.has_minima
        conformer = self._whole.GetConformer()
        for index, (x, y, z) in enumerate(positions_A):
            conformer.SetAtomPosition(index, Point3D(float(x), float(y), float(z)))
        field = self._field()
        for first, second in held:
            add = field.MMFFAddDistanceConstraint if self._mmff is not None else field.UFFAddDistanceConstraint
            add(first, second, False, *self._bounds_A(first, second), _RESTRAINT_KCAL_MOL_A2)
        try:
            field.Minimize(maxIts=300 if fully else _SOFT_STEPS)
            field = self._field()
            if fully:
                field.Minimize(maxIts=3000)
        except RuntimeError:
            # A search along a line that leads nowhere (HF): an engine goes on from where it has got.
            field = self._field()
        return Start(np.array(conformer.GetPositions()), float(field.CalcEnergy()))

    def _bounds_A(self, ion_atom: int, site: int) -> tuple[float, float]:
        reach_A = float(self._reach_A[ion_atom, site])
        if not self._shell.holds_bare_cation:
            return _NEAR * reach_A, _FAR * reach_A
        return (1.8, 2.3) if self.has_minima else (0.9 / BOUND * reach_A, 1.15 / BOUND * reach_A)

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
        if self._mmff is None and self._shell.n_ion > 1:
            # UFF has no P with six neighbours: PF6- would lose its shape.
            for index in range(self._shell.n_ion):
                field.AddFixedPoint(index)
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
    free; one of them, where the ion is no bare cation), a random direction and a random turn about the donor; the
    chosen donors are held near the ion while the clashes relax, then everything is free. An ion of several atoms has a
    random conformer as well, and each ligand begins at one of its atoms.

    Parameters
    ----------
    conformers
        For each molecule, coordinates in Å, each (n_atoms, 3); a bare ion's entry is not used.
    denticity
        For each molecule, the donors it must bind through, or None; the ion's entry is not used.
    """
    placed = np.zeros((1, 3))
    if shell.n_ion > 1:
        placed = conformers[0][int(rng.integers(len(conformers[0])))]
    held: list[tuple[int, int]] = []
    for number, offset in list(enumerate(shell.offsets))[1:]:
        chosen = choose_donors(shell, number, denticity[number], rng)
        choices = conformers[number]
        geometry = choices[int(rng.integers(len(choices)))]
        beside, ion_atom = place(shell, geometry, offset, chosen[0], placed, rng)
        placed = np.vstack([placed, beside])
        held += [(ion_atom, offset + donor) for donor in chosen]
    return field.relax(placed, held, fully=fully)


def choose_donors(shell: Shell, number: int, denticity: int | None, rng: np.random.Generator) -> list[int]:
    """Donors of one molecule that start at the ion: of the first rank that it has, more only when asked for."""
    sites = shell.sites_of(shell.molecules[number])
    ranks = sorted({site.rank for site in sites})
    first = [site.index for site in sites if site.rank == ranks[0]]
    if denticity is not None:
        count = denticity
        if count > len(first):
            first = [site.index for site in sites]
    elif shell.holds_bare_cation:
        count = int(rng.integers(1, min(len(first), 4) + 1))
    else:
        # Hydrogens sit all around a molecule: which of them reach the ion together, its relaxation tells.
        count = 1
    return [int(index) for index in rng.choice(first, size=count, replace=False)]


def place(
    shell: Shell,
    geometry_A: NDArray[np.float64],
    offset: int,
    donor: int,
    placed_A: NDArray[np.float64],
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], int]:
    """Turn a ligand so that its donor sits at an atom of the ion; keep the roomiest of many random turns.

    Parameters
    ----------
    offset
        Of the ligand's first atom in the shell.
    placed_A
        What is there already, the ion first.

    Returns
    -------
    Coordinates of the ligand, Å, (n_atoms, 3), and the atom of the ion.
    """

    from scipy.spatial.transform import Rotation

    reach_A = shell.reach_A[:, offset + donor]
    best, room, beside = geometry_A, -np.inf, 0
    for _ in range(_TRIES):
        turned = (geometry_A - geometry_A[donor]) @ Rotation.random(rng=rng).as_matrix().T
        direction = rng.normal(size=3)
        at = int(rng.integers(shell.n_ion)) if shell.n_ion > 1 else 0
        away_A = _FIRST_A if shell.holds_bare_cation else _FIRST_SHARE * reach_A[at]
        turned += placed_A[at] + away_A * direction / np.linalg.norm(direction)
        distances = np.linalg.norm(turned[:, None] - placed_A[None], axis=-1)
        # The pair that is to touch is no clash.
        distances[donor, at] = np.inf
        clearance = float(distances.min()) - _CONTACT_A
        if clearance > room:
            best, room, beside = turned, clearance, at
        if room > 0:
            break
    return best, beside
