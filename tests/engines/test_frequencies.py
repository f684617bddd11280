"""Normal modes by differences of forces are those of an engine's own second derivatives."""

import numpy as np
import pytest
from ase import Atoms

from solvation.energies.vibrations import vibrations
from solvation.study import Level

COMPLEX = Atoms("LiOH2", [[0, 0, 0], [0, 0, 1.84], [0.77, 0, 2.44], [-0.77, 0, 2.44]])


def test_wavenumbers_are_those_of_pyscfs_analytic_hessian():
    """At the same geometry, without density fitting there and on a finer grid: a few wavenumbers are theirs."""
    from pyscf import gto
    from pyscf.hessian import thermo

    found = vibrations(COMPLEX, Level.model_validate("pbe/def2-svp"), charge=1)
    places = list(zip(COMPLEX.get_chemical_symbols(), found.positions_A, strict=True))
    field = gto.M(atom=places, basis="def2-svp", charge=1, verbose=0).RKS(xc="pbe")
    field.conv_tol, field.grids.level = 1e-11, 5
    field.kernel()
    analytic = thermo.harmonic_analysis(field.mol, field.Hessian().kernel())["freq_wavenumber"]
    assert found.wavenumbers_cm == pytest.approx(np.real(analytic), abs=5.0)
    # Ion against water, its rocking and wagging, and the three of water.
    assert len(found.wavenumbers_cm) == 6
