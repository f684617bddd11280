"""Magnetic shielding of nuclei, by density functionals with London (gauge-including) orbitals.

PySCF's own module for it left the package with version 2 and was not released since; what it was made of, the
integrals over London orbitals, is still there. NWChem, a program, has shieldings of its own and checks these.

In a field B every basis function carries the phase exp(-i/2 (B x R) . r) of its centre R, so that no result depends on
the origin. All first-order matrices are imaginary and antisymmetric; their imaginary parts stand here, one for each
direction of the field. An antisymmetric density has no Coulomb potential and, in the usual approximation that leaves
out the dependence of the functional on the current, changes no local functional: only exact exchange responds.

References
----------
Wolinski, Hinton & Pulay, J. Am. Chem. Soc. 112, 8251 (1990): shieldings with London orbitals.
Cheeseman, Trucks, Keith & Frisch, J. Chem. Phys. 104, 5497 (1996): the same for density functionals.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.linalg
from ase import Atoms
from ase.units import alpha as FINE_STRUCTURE
from numpy.typing import NDArray

from solvation.engines.basis_sets import effective_cores
from solvation.engines.electrons import converged_field
from solvation.engines.nwchem import NWChemEngine
from solvation.engines.registry import check_shieldings
from solvation.errors import EngineFailed
from solvation.study import Level

#: A shielding is of first order in the error of the density, an energy of second: hence finer than for energies.
GRID_LEVEL = 3
CONVERGENCE_EH = 1e-9
_PPM = FINE_STRUCTURE**2 * 1e6
_RESPONSE_CONVERGED = 1e-7
_POINTS_AT_ONCE = 2000
#: Of integrals at a time; share of the memory for orbitals that wait for them.
_BLOCK_MB, _MEMORY_SHARE = 300.0, 0.25

Matrix = NDArray[np.float64]


def shieldings_ppm(atoms: Atoms, level: Level, *, charge: int) -> NDArray[np.float64]:
    """Isotropic shielding of every nucleus of a closed shell in ppm, (n_atoms,); a larger one resonates at lower shift.

    Raises
    ------
    StudyError, EngineMissing
        As `check_shieldings`.
    EngineFailed
        The density or its response did not converge.
    """
    check_shieldings(level)
    if level.engine == "nwchem":
        return NWChemEngine().calculator(level, charge=charge, multiplicity=1).shieldings_ppm(atoms)
    if cores := effective_cores(atoms.get_chemical_symbols(), level.basis or ""):
        raise EngineFailed(
            f"{level}: the inner shells of {', '.join(cores)} are an effective core, whose part in the shieldings is "
            "not computed; take a basis set with all electrons, or leave the cluster out (bonding: false)"
        )
    field = converged_field(atoms, level, charge=charge)
    field.grids.level = GRID_LEVEL
    field.grids.reset()
    field.conv_tol = CONVERGENCE_EH
    field.kernel(dm0=field.make_rdm1())
    if not field.converged:
        raise EngineFailed(
            f"PySCF ({level}) did not converge to {CONVERGENCE_EH:g} Eh for {atoms.get_chemical_formula()}, which a "
            "shielding needs"
        )
    return np.asarray(np.trace(shielding_tensors_ppm(field), axis1=1, axis2=2) / 3)


def shielding_tensors_ppm(field: Any) -> NDArray[np.float64]:
    """Shielding tensors in ppm, (n_atoms, 3, 3): direction of the field, then of the nuclear moment.

    Parameters
    ----------
    field
        Converged, restricted, density-fitted Kohn-Sham field of PySCF, with or without a continuum.

    Raises
    ------
    EngineFailed
        The response did not converge.
    """
    molecule, density = field.mol, np.asarray(field.make_rdm1())
    changed = _changed_density(field, _fock(field, density))
    tensors = []
    for place in molecule.atom_coords():
        with molecule.with_rinv_origin(place):
            diamagnetic = np.einsum("xij,ij->x", molecule.intor("int1e_giao_a11part", 9), density).reshape(3, 3)
            tensor = diamagnetic - np.eye(3) * np.trace(diamagnetic)
            tensor += np.einsum("xij,ij->x", molecule.intor("int1e_a01gp", 9), density).reshape(3, 3)
            moment = molecule.intor_asymmetric("int1e_prinvxp", 3)
            tensors.append(tensor + 2 * np.einsum("xij,yji->xy", changed, moment))
    return np.asarray(np.array(tensors) * _PPM)


def _fock(field: Any, density: Matrix) -> Matrix:
    """Derivative of the Fock matrix in the field at the unchanged orbitals, (3, n_basis, n_basis)."""
    molecule = field.mol
    found: Matrix = -0.5 * molecule.intor("int1e_giao_irjxp", 3)
    found -= molecule.intor_asymmetric("int1e_ignuc", 3) + molecule.intor("int1e_igkin", 3)
    found -= _functional(field, density) + _two_electrons(field, density)
    if solvent := getattr(field, "with_solvent", None):
        found += _continuum(molecule, solvent)
    return found


def _functional(field: Any, density: Matrix) -> Matrix:
    """Exchange and correlation between London orbitals."""
    molecule, numint, grids = field.mol, field._numint, field.grids
    kind, size = numint._xc_type(field.xc), molecule.nao
    found = np.zeros((3, size, size))
    for first in range(0, len(grids.weights), _POINTS_AT_ONCE):
        some = slice(first, first + _POINTS_AT_ONCE)
        points, weights = grids.coords[some], grids.weights[some]
        values = numint.eval_ao(molecule, points, deriv=int(kind == "GGA")).reshape(-1, len(points), size)
        rho = numint.eval_rho(molecule, values if kind == "GGA" else values[0], density, xctype=kind, hermi=1)
        # Of the density and of its gradient, (1 or 4, n_points).
        potential = numint.eval_xc_eff(field.xc, rho, deriv=1)[1] * weights
        london = molecule.eval_gto("GTOval_ig", points, comp=3)
        weighted = np.einsum("cpi,cp->pi", values, potential)
        found += weighted.T @ london
        if kind == "GGA":
            slopes = molecule.eval_gto("GTOval_ipig", points, comp=9).reshape(3, 3, len(points), size)
            for direction in range(3):
                found += (values[0] * potential[1 + direction][:, None]).T @ slopes[direction]
    return np.asarray(found - found.transpose(0, 2, 1))


def _two_electrons(field: Any, density: Matrix) -> Matrix:
    """Coulomb and exact exchange between London orbitals, density-fitted: the fitting functions carry no phase."""
    from pyscf.df import addons

    molecule, share = field.mol, _exact_exchange(field)
    fitting = addons.make_auxmol(molecule, field.with_df.auxbasis)
    metric = fitting.intor("int2c2e")
    coulomb = np.zeros(len(metric))
    for own, block in _three_centre(molecule, fitting, "int3c2e", 1):
        coulomb[own] = np.tensordot(density, block[0], 2)
    fitted = scipy.linalg.solve(metric, coulomb, assume_a="sym")
    found = np.zeros((3, molecule.nao, molecule.nao))
    for own, block in _three_centre(molecule, fitting, "int3c2e_ig1", 3):
        found += block @ fitted[own]
    if share:
        orbitals = field.mo_coeff[:, field.mo_occ > 0]
        needed_MB = orbitals.size * len(metric) * 8e-6
        parts = min(orbitals.shape[1], math.ceil(needed_MB / (_MEMORY_SHARE * molecule.max_memory)))
        for some in np.array_split(orbitals, parts, axis=1):
            found -= 0.5 * share * _exchange(molecule, fitting, metric, some)
    return found


def _exchange(molecule: Any, fitting: Any, metric: Matrix, filled: Matrix) -> Matrix:
    """Exchange of some occupied orbitals, (n_basis, some), between London orbitals."""
    half = np.zeros((len(metric), molecule.nao, filled.shape[1]))
    for own, block in _three_centre(molecule, fitting, "int3c2e", 1):
        half[own] = np.einsum("ijp,ja->pia", block[0], filled, optimize=True)
    fitted = scipy.linalg.solve(metric, half.reshape(len(metric), -1), assume_a="sym", overwrite_b=True)
    fitted = fitted.reshape(half.shape)
    found = np.zeros((3, molecule.nao, molecule.nao))
    for own, block in _three_centre(molecule, fitting, "int3c2e_ig1", 3):
        found += 2 * np.einsum("xijp,ja,pka->xik", block, filled, fitted[own], optimize=True)
    return found - found.transpose(0, 2, 1)


def _three_centre(molecule: Any, fitting: Any, name: str, components: int) -> Iterator[tuple[slice, Matrix]]:
    """Integrals of pairs of basis functions with some fitting functions at a time, (components, n, n, some)."""
    from pyscf.df import incore

    places, first = fitting.ao_loc, 0
    at_once = _BLOCK_MB / (components * molecule.nao**2 * 8e-6)
    while first < fitting.nbas:
        last = max(first + 1, int(np.searchsorted(places, places[first] + at_once, side="right")) - 1)
        shells = (0, molecule.nbas, 0, molecule.nbas, first, last)
        block = incore.aux_e2(molecule, fitting, name, aosym="s1", comp=components, shls_slice=shells)
        yield slice(places[first], places[last]), block.reshape(components, molecule.nao, molecule.nao, -1)
        first = last


def _continuum(molecule: Any, solvent: Any) -> Matrix:
    """Potential of the charges on the cavity between London orbitals; they do not answer to the field themselves."""
    from pyscf import gto

    surface = gto.fakemol_for_charges(solvent.surface["grid_coords"], expnt=solvent.surface["charge_exp"] ** 2)
    charges = solvent._intermediates["q_sym"]
    found = np.zeros((3, molecule.nao, molecule.nao))
    for own, block in _three_centre(molecule, surface, "int3c2e_ig1", 3):
        found += block @ charges[own]
    return found


def _changed_density(field: Any, fock: Matrix) -> Matrix:
    """Half of the change of the density in the field (the other half is its transpose), (3, n_basis, n_basis)."""
    orbitals, energies, full = field.mo_coeff, field.mo_energy, field.mo_occ > 0
    filled, empty = orbitals[:, full], orbitals[:, ~full]
    overlap = np.einsum("xij,ip,jq->xpq", -field.mol.intor_asymmetric("int1e_igovlp", 3), orbitals, filled)
    force = np.einsum("xij,ip,jq->xpq", fock, empty, filled, optimize=True) - overlap[:, ~full] * energies[full]
    gap = energies[~full][:, None] - energies[full]
    # The orbitals stay orthonormal: this part of their change is known.
    known = -0.5 * np.einsum("ip,xpq,jq->xij", filled, overlap[:, full], filled, optimize=True)
    exchange = field.gen_response(singlet=True, hermi=2) if _exact_exchange(field) else None

    def answer(half: Matrix) -> Matrix:
        """How exact exchange answers to a change of the density."""
        if exchange is None:
            return np.zeros_like(force)
        change = 2 * (half - half.transpose(0, 2, 1))
        return np.asarray(np.einsum("xij,ip,jq->xpq", exchange(change), empty, filled, optimize=True))

    def placed(mixing: Matrix) -> Matrix:
        return np.asarray(np.einsum("ip,xpq,jq->xij", empty, mixing, filled, optimize=True))

    first = -(force + answer(known)) / gap
    mixing = first if exchange is None else _solved(lambda trial: trial + answer(placed(trial)) / gap, first)
    return np.asarray(2 * (known + placed(mixing)))


def _solved(apply: Any, wanted: Matrix) -> Matrix:
    """Solve the linear equations of the response by iteration.

    Raises
    ------
    EngineFailed
        They did not converge.
    """
    from scipy.sparse.linalg import LinearOperator, gmres

    matrix = LinearOperator((wanted.size, wanted.size), matvec=lambda flat: apply(flat.reshape(wanted.shape)).ravel())
    found, failed = gmres(matrix, wanted.ravel(), rtol=_RESPONSE_CONVERGED, restart=40, maxiter=3)
    if failed:
        raise EngineFailed("the response of the density to a magnetic field did not converge; look at the structure")
    return np.asarray(found).reshape(wanted.shape)


def _exact_exchange(field: Any) -> float:
    """Share of exact exchange of the functional."""
    return float(field._numint.rsh_and_hybrid_coeff(field.xc, field.mol.spin)[2])
