"""D3(BJ) and D4 beside programs that have none, or would give them to ghost atoms."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from solvation.study import Level


def missing() -> str | None:
    """Why there is no dispersion here; None when there is."""
    if find_spec("pyscf") and find_spec("pyscf.dispersion"):
        return None
    return "dispersion needs pyscf-dispersion; pip install 'solvation[compute]'"


def correction(level: Level, atoms: Atoms, *, charge: int) -> tuple[float, NDArray[np.float64]]:
    """Dispersion of a molecule without ghosts, by the parameters of the functional.

    Returns
    -------
    Energy in Eh and gradient in Eh/Bohr, (n_atoms, 3).

    References
    ----------
    D3(BJ): Grimme, Ehrlich & Goerigk, J. Comput. Chem. 32, 1456 (2011).
    D4: Caldeweyher et al., J. Chem. Phys. 150, 154122 (2019).
    """
    from pyscf import gto
    from pyscf.dispersion.dftd3 import DFTD3Dispersion
    from pyscf.dispersion.dftd4 import DFTD4Dispersion

    places = list(zip(atoms.get_chemical_symbols(), atoms.positions, strict=True))
    # The basis and the spin do not enter; PySCF's small sets leave out K and heavier elements.
    any_basis = {symbol: [[0, [1.0, 1.0]]] for symbol in set(atoms.get_chemical_symbols())}
    molecule = gto.M(atom=places, basis=any_basis, charge=charge, spin=None, verbose=0)
    made: Any
    if level.dispersion == "d4":
        made = DFTD4Dispersion(molecule, xc=level.method)
    else:
        made = DFTD3Dispersion(molecule, xc=level.method, version=level.dispersion)
    found = made.get_dispersion(grad=True)
    return float(found["energy"]), np.asarray(found["gradient"])
