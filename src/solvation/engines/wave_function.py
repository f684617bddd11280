"""Correlation energies on top of Hartree-Fock: the references that density functionals are measured against.

The 1s core of B to F and the cores of heavier atoms are frozen, the 1s of lithium is not: in Li+ it is all there is,
and its polarisation is part of the binding. A basis without core functions on Li (cc-pVTZ) then lets Li+ borrow those
of its ligands: use def2 or cc-pCVXZ sets, and counterpoise.
"""

from __future__ import annotations

from typing import Any

from solvation.engines.basis_sets import nuclear_charges
from solvation.errors import EngineFailed

#: Electronic structure methods that are no density functional.
METHODS = ("hf", "mp2", "ccsd", "ccsd(t)")


def correlation_Eh(field: Any, method: str) -> float:
    """Correlation energy of a converged, density-fitted mean field of PySCF, Eh; zero for `hf`.

    Parameters
    ----------
    method
        One of `METHODS`. Density fitting also for the amplitudes; the triples are exact given the amplitudes.

    Raises
    ------
    EngineFailed
        The amplitudes did not converge.
    """
    electrons = field.mol.nelectron
    if method == "hf" or electrons < 2:
        return 0.0
    frozen = core_orbitals(field.mol)
    if 2 * frozen >= electrons:
        return 0.0
    if method == "mp2":
        return _mp2_Eh(field, frozen)
    from pyscf import cc

    solver = cc.CCSD(field, frozen=frozen or None)
    solver.verbose = 0
    solver.conv_tol, solver.max_cycle = 1e-7, 100
    energy, *_ = solver.kernel()
    if not solver.converged:
        raise EngineFailed(
            f"PySCF ({method}) did not converge after {solver.max_cycle} cycles: last correlation energy "
            f"{energy:.6f} Eh"
        )
    return float(energy) + (float(solver.ccsd_t()) if method == "ccsd(t)" else 0.0)


def _mp2_Eh(field: Any, frozen: int) -> float:
    from pyscf.mp import dfmp2, dfump2

    solver = (dfump2.DFUMP2 if field.mol.spin else dfmp2.DFMP2)(field, frozen=frozen or None)
    solver.verbose = 0
    return float(solver.kernel()[0])


def core_orbitals(molecule: Any) -> int:
    """Number of core orbitals of the atoms that are there, less those in effective cores; ghosts have none."""
    from pyscf.data.elements import chemcore_atm

    return sum(
        max(0, chemcore_atm[charge] - molecule.atom_nelec_core(atom) // 2)
        for atom, charge in enumerate(nuclear_charges(molecule))
        if charge
    )
