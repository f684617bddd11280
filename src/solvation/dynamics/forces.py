"""Forces of a run: those of its level, the wall of a droplet, and what the members of a potential think of them."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from numpy.typing import NDArray

from solvation.errors import EngineFailed

WALL_STIFFNESS_EV_A2 = 0.1


class Astray(EngineFailed):
    """The members of a potential disagree too much on a geometry.

    Attributes
    ----------
    atoms
        The geometry, which is one to label next.
    """

    def __init__(self, message: str, atoms: Atoms) -> None:
        """Say where, and keep the geometry."""
        super().__init__(message)
        self.atoms = atoms


def wall(
    positions_A: NDArray[np.float64], masses_u: NDArray[np.float64], residues: NDArray[np.int64], radius_A: float
) -> tuple[float, NDArray[np.float64]]:
    """Energy (eV) and forces (eV/Å, (n_atoms, 3)) of the soft wall that keeps a droplet together.

    .. math:: E = \\tfrac{k}{2} \\sum_m \\max(0, |c_m - C| - R)^2

    with the centres of mass c of every molecule and C of the droplet. It acts on molecules as a whole and
    neither bends them nor pushes the droplet.
    """
    forces = np.zeros_like(positions_A)
    if not np.isfinite(radius_A):
        return 0.0, forces
    total = np.bincount(residues, weights=masses_u)
    centers = np.stack([np.bincount(residues, weights=masses_u * x) for x in positions_A.T], axis=1) / total[:, None]
    arm = centers - masses_u @ positions_A / masses_u.sum()
    distance = np.linalg.norm(arm, axis=1)
    excess = np.maximum(0.0, distance - radius_A)
    if not excess.any():
        return 0.0, forces
    pull = -WALL_STIFFNESS_EV_A2 * (excess / np.maximum(distance, 1e-12))[:, None] * arm
    forces += pull[residues] * (masses_u / total[residues])[:, None]
    forces -= pull.sum(axis=0) * (masses_u / masses_u.sum())[:, None]
    return float(0.5 * WALL_STIFFNESS_EV_A2 * np.sum(excess**2)), forces


class Walled(Calculator):  # type: ignore[misc]
    """An engine's calculator plus the wall; `level_energy_eV` and `wall_energy_eV` keep the two parts.

    `spread_eV_A` is the disagreement of a committee on the force of each atom, (n_atoms,); empty for other engines.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces"]

    def __init__(self, inner: Any, masses_u: NDArray[np.float64], residues: NDArray[np.int64], radius_A: float) -> None:
        """Put a wall, as of `wall`, around the calculator `inner`."""
        super().__init__()
        self._inner = inner
        self._wall = (masses_u, residues, radius_A)
        self.level_energy_eV = np.nan
        self.wall_energy_eV = np.nan
        self.spread_eV_A: NDArray[np.float64] = np.zeros(0)

    def calculate(
        self, atoms: Any = None, properties: list[str] | None = None, system_changes: list[str] = all_changes
    ) -> None:
        """Compute energy (eV) and forces (eV/Å)."""
        super().calculate(atoms, properties, system_changes)
        # Forces first: an engine then makes energy and forces in one go.
        forces = self._inner.get_forces(self.atoms)
        self.level_energy_eV = float(self._inner.get_potential_energy(self.atoms))
        self.spread_eV_A = getattr(self._inner, "spread_eV_A", self.spread_eV_A)
        self.wall_energy_eV, push = wall(self.atoms.positions, *self._wall)
        energy = self.level_energy_eV + self.wall_energy_eV
        self.results = {"energy": energy, "free_energy": energy, "forces": forces + push}


def largest_disagreement_eV_A(spread_eV_A: NDArray[np.float64], atoms: Atoms, most_eV_A: float, when: str) -> float:
    """Find the largest disagreement of the members on the force of an atom, eV/Å; zero where there are no members.

    Parameters
    ----------
    spread_eV_A
        Of each atom, (n_atoms,); empty for engines that are no committee.

    Raises
    ------
    Astray
        It is larger than `most_eV_A`, or no number: the run left what the members know.
    """
    if not spread_eV_A.size:
        return 0.0
    worst = int(np.argmax(spread_eV_A))
    if not spread_eV_A[worst] <= most_eV_A:
        geometry = Atoms(atoms.numbers, atoms.positions, pbc=atoms.pbc, cell=atoms.cell)
        raise Astray(
            f"the members of the potential are {spread_eV_A[worst]:.2f} eV/Å apart on the force of "
            f"{atoms.symbols[worst]}{worst + 1} {when}, more than max_disagreement_eV_A {most_eV_A:g}",
            geometry,
        )
    return float(spread_eV_A[worst])
