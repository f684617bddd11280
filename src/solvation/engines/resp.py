"""Restrained charges from electrostatic potentials, for force fields: RESP on several conformers at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase.units import Bohr, Hartree
from numpy.typing import NDArray

from solvation.engines.electrons import points_around, potential_V

#: Strength of the restraint in atomic units, in the first stage and for CH2 and CH3 in the second, and its width in e.
_FIRST, _SECOND, _WIDTH = 0.0005, 0.001, 0.1
_ROUNDS, _CONVERGED_E = 200, 1e-10


def restrained_charges(
    fields: Sequence[Any], classes: NDArray[np.int64], alkyl: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], float]:
    """Charges in e, (n_atoms,), and what they miss: root mean square over that of the potential itself.

    Two stages: first all atoms, with equal charges within a class but for the hydrogens of CH2 and CH3; then CH2
    and CH3 alone, with equal hydrogens. A hyperbola draws the charges of heavy atoms towards zero where the potential
    hardly sees them. The total is exact.

    Parameters
    ----------
    fields
        Converged mean fields of one molecule in several conformations.
    classes
        Number of the class of equivalent atoms of each atom, (n_atoms,).
    alkyl
        Carbon and hydrogen of CH2 and CH3, (n_atoms,).

    References
    ----------
    Bayly, Cieplak, Cornell & Kollman, J. Phys. Chem. 97, 10269 (1993).
    """
    molecule = fields[0].mol
    heavy = np.asarray(molecule.atom_charges()) > 1
    pairs = [_equations(field) for field in fields]
    matrix, wanted = (
        sum(inverse.T @ inverse for inverse, _ in pairs),
        sum(inverse.T @ value for inverse, value in pairs),
    )
    total = float(molecule.charge)
    # Numbers beyond those of the classes keep the hydrogens of CH2 and CH3 apart in the first stage.
    own = np.where(alkyl & ~heavy, classes.max() + 1 + np.arange(len(classes)), classes)
    every = np.ones(len(classes), dtype=bool)
    nothing = np.zeros(len(classes))
    charges = _fitted(matrix, wanted, total, _spread(own, every), nothing, heavy * _FIRST)
    if alkyl.any():
        held = np.where(alkyl, 0.0, charges)
        charges = _fitted(matrix, wanted, total, _spread(classes, alkyl), held, (heavy & alkyl) * _SECOND)
    missed = np.concatenate([inverse @ charges - value for inverse, value in pairs])
    values = np.concatenate([value for _, value in pairs])
    return charges, float(np.sqrt((missed**2).mean() / (values**2).mean()))


def _equations(field: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Inverse distances, 1/Bohr, (n_points, n_atoms), and the potential, Eh/e, (n_points,)."""
    points = points_around(field.mol)
    distance = np.linalg.norm(points[:, None] - field.mol.atom_coords()[None], axis=-1)
    return 1 / distance, potential_V(field, points * Bohr) / Hartree


def _spread(classes: NDArray[np.int64], free: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Which atoms share each unknown, (n_atoms, n_unknown)."""
    kinds = np.unique(classes[free])
    return np.asarray((classes[:, None] == kinds[None]) & free[:, None], dtype=float)


def _fitted(
    matrix: Any, wanted: Any, total: float, spread: NDArray[np.float64], held: NDArray[np.float64], pull: Any
) -> NDArray[np.float64]:
    """Solve the restrained least squares by iteration, the total held by a Lagrange multiplier."""
    count = spread.shape[1]
    charges = held
    for _ in range(_ROUNDS):
        weight = pull / np.sqrt(charges**2 + _WIDTH**2)
        full = np.zeros((count + 1, count + 1))
        full[:count, :count] = spread.T @ (matrix + np.diag(weight)) @ spread
        full[:count, count] = full[count, :count] = spread.sum(axis=0)
        right = np.append(spread.T @ (wanted - matrix @ held), total - held.sum())
        before, charges = charges, held + spread @ np.linalg.lstsq(full, right, rcond=1e-12)[0][:count]
        if np.abs(charges - before).max() < _CONVERGED_E:
            break
    return charges
