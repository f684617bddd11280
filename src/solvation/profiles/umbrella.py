"""A bias on the distance between an ion and the nearest of many donors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import units
from numpy.typing import NDArray
from scipy.special import logsumexp

from solvation.dynamics.classical import BLOCK_STEPS
from solvation.errors import StudyError
from solvation.study import Bias, Profile

#: Sharpness of the smooth minimum, 1/Å: of two donors at one distance it lies 0.07 Å below it.
SHARPNESS_A = 10.0
#: Distances are counted from here inside the exponential, so that it stays in the range of single precision, Å.
_ORIGIN_A = 3.0
_KJ_MOL = units.kJ / units.mol


def check_windows(settings: Profile, timestep_fs: float) -> None:
    """Refuse windows that are no whole number of blocks of the dynamics: they would not all have one length.

    Raises
    ------
    StudyError
        With the lengths that are near.
    """
    block_ps = BLOCK_STEPS * timestep_fs / 1000
    blocks = settings.window_ps / block_ps
    if abs(blocks - round(blocks)) > 1e-6 or round(blocks) < 1:
        near_ps = sorted({max(1, number) * block_ps for number in (math.floor(blocks), math.ceil(blocks))})
        raise StudyError(
            f"window_ps: {settings.window_ps:g} is no whole number of blocks of {BLOCK_STEPS} steps; set it to "
            f"{' or '.join(f'{length_ps:g}' for length_ps in near_ps)}"
        )


def nearest_A(distances_A: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smooth minimum of distances along the last axis, Å: -ln(sum exp(-s r)) / s with s = `SHARPNESS_A`.

    Parameters
    ----------
    distances_A
        (..., n_donors), Å.
    """
    return np.asarray(-logsumexp(-SHARPNESS_A * distances_A, axis=-1) / SHARPNESS_A)


def biased(system: Any, ion: int, donors: Sequence[int], bias: Bias) -> Any:
    """A copy of an OpenMM system with a bias on `nearest_A` of the distances of the donors from the ion, by images."""
    import openmm

    copy = openmm.XmlSerializer.clone(system)
    sharpness_nm, origin_nm = 10 * SHARPNESS_A, _ORIGIN_A / 10
    inside = openmm.CustomBondForce(f"exp(-{sharpness_nm}*(r-{origin_nm}))")
    inside.setUsesPeriodicBoundaryConditions(True)
    for donor in donors:
        inside.addBond(ion, donor, [])
    stiffness = 100 * bias.stiffness_eV_A2 / _KJ_MOL
    force = openmm.CustomCVForce(
        f"0.5*{stiffness!r}*{'min(0, beyond)' if bias.is_wall else 'beyond'}^2; "
        f"beyond={origin_nm}-log(inside)/{sharpness_nm}-{bias.centre_A / 10!r}"
    )
    force.addCollectiveVariable("inside", inside)
    copy.addForce(force)
    return copy
