"""A bias on the distance between an ion and the nearest of many donors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import units
from numpy.typing import NDArray

#: Sharpness of the smooth minimum, 1/Å: of two donors at one distance it lies 0.07 Å below it.
SHARPNESS_A = 10.0
#: Distances are counted from here inside the exponential, so that it stays in the range of single precision, Å.
_ORIGIN_A = 3.0
_KJ_MOL = units.kJ / units.mol


def nearest_A(distances_A: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smooth minimum of distances along the last axis, Å: -ln(sum exp(-s r)) / s with s = `SHARPNESS_A`.

    Parameters
    ----------
    distances_A
        (..., n_donors), Å.
    """
    least = distances_A.min(axis=-1, keepdims=True)
    summed = np.exp(-SHARPNESS_A * (distances_A - least)).sum(axis=-1)
    return np.asarray(least[..., 0] - np.log(summed) / SHARPNESS_A)


def biased(system: Any, ion: int, donors: Sequence[int], centre_A: float | None, stiffness_eV_A2: float) -> Any:
    """A copy of an OpenMM system with a harmonic bias on the smooth minimum of distances; None = without.

    0.5 k (x - c)^2, x = `nearest_A` of the distances of the donors from the ion, nearest images.
    """
    import openmm

    copy = openmm.XmlSerializer.clone(system)
    if centre_A is None:
        return copy
    sharpness_nm, origin_nm = 10 * SHARPNESS_A, _ORIGIN_A / 10
    inside = openmm.CustomBondForce(f"exp(-{sharpness_nm}*(r-{origin_nm}))")
    inside.setUsesPeriodicBoundaryConditions(True)
    for donor in donors:
        inside.addBond(ion, donor, [])
    stiffness = 100 * stiffness_eV_A2 / _KJ_MOL
    bias = openmm.CustomCVForce(
        f"0.5*{stiffness!r}*(nearest-{centre_A / 10!r})^2; nearest={origin_nm}-log(inside)/{sharpness_nm}"
    )
    bias.addCollectiveVariable("inside", inside)
    copy.addForce(bias)
    return copy
