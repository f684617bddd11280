"""Where a bond absorbs in the infrared, and how far an ion moves it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from solvation.energies.vibrations import Vibrations
from solvation.species import Molecule

_CARBONYL = Chem.MolFromSmarts("[CX3]=[OX1]")
#: A mode belongs to a bond when this share of its kinetic energy stretches it.
_SHARE = 0.35


@dataclass(frozen=True, slots=True)
class Stretch:
    """One normal mode that stretches the bonds asked for.

    Attributes
    ----------
    share
        Of the kinetic energy of the mode in those bonds.
    """

    wavenumber_cm: float
    intensity_km_mol: float
    share: float


def carbonyl_bonds(molecules: Sequence[Molecule]) -> list[tuple[int, int]]:
    """C=O bonds as (carbon, oxygen) in the numbering of all molecules one after the other."""
    found, offset = [], 0
    for molecule in molecules:
        found += [(offset + c, offset + o) for c, o in molecule.graph.GetSubstructMatches(_CARBONYL)]
        offset += molecule.graph.GetNumAtoms()
    return found


def stretches(modes: Vibrations, masses_u: NDArray[np.float64], bonds: Sequence[tuple[int, int]]) -> list[Stretch]:
    """Modes that stretch any of the bonds, ascending.

    Parameters
    ----------
    masses_u
        Of the atoms, u, (n_atoms,).
    """
    if not bonds or not len(modes.displacements):
        return []
    first, second = np.array(bonds).T
    along = modes.positions_A[second] - modes.positions_A[first]
    along /= np.linalg.norm(along, axis=1)[:, None]
    reduced = masses_u[first] * masses_u[second] / (masses_u[first] + masses_u[second])
    change = np.einsum("mbx,bx->mb", modes.displacements[:, second] - modes.displacements[:, first], along)
    whole = np.einsum("a,max,max->m", masses_u, modes.displacements, modes.displacements)
    shares = (change**2 @ reduced) / whole
    return [
        Stretch(float(modes.wavenumbers_cm[mode]), float(modes.intensities_km_mol[mode]), float(shares[mode]))
        for mode in np.flatnonzero(shares > _SHARE)
    ]


def band_cm(found: Sequence[Stretch]) -> float:
    """Centre of the band that these modes make together, weighted by intensity, cm-1; NaN without modes."""
    if not found:
        return float("nan")
    weights = np.array([item.intensity_km_mol for item in found])
    if not np.isfinite(weights).all() or not weights.sum():
        weights = np.array([item.share for item in found])
    return float(np.average([item.wavenumber_cm for item in found], weights=weights))
