"""r2SCAN-3c: a meta-GGA in a small triple-zeta basis, with corrections that make up for the basis.

References
----------
Grimme, Hansen, Ehlert & Mewes, J. Chem. Phys. 154, 064103 (2021): r2SCAN, def2-mTZVPP, D4 (s6 1, s8 0, s9 2, a1 0.42,
a2 5.65, charge scaling ga 2, gc 1) and geometric counterpoise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

NAME = "r2scan-3c"
FUNCTIONAL = "r2scan"
BASIS = "def2-mtzvpp"


def corrections(molecule: Any) -> tuple[float, NDArray[np.float64]]:
    """Dispersion and geometric counterpoise of a PySCF molecule.

    Returns
    -------
    Energy in Eh and gradient in Eh/Bohr, (n_atoms, 3).
    """
    from pyscf.dispersion.dftd4 import DFTD4Dispersion
    from pyscf.dispersion.gcp import GCP

    dispersion = DFTD4Dispersion(molecule, xc=FUNCTIONAL, ga=2.0, gc=1.0)
    dispersion.set_param(s8=0.0, a1=0.42, a2=5.65, s6=1.0, s9=2.0)
    parts = [dispersion.get_dispersion(grad=True), GCP(molecule, method="r2scan3c").get_counterpoise(grad=True)]
    energy = sum(float(part["energy"]) for part in parts)
    return energy, np.sum([np.asarray(part["gradient"]) for part in parts], axis=0)
