"""Energy decomposition with absolutely localised orbitals: what holds fragments together, term by term.

First generation ALMO-EDA for closed shells. With E[.] the Kohn-Sham energy of the whole complex,

* electrostatics: classical Coulomb energy between the densities of the free fragments, frozen;
* exchange_repulsion: E[antisymmetrised product of the frozen fragments] - sum E(fragment) - electrostatics -
  dispersion: Pauli repulsion and the fragments' exchange and correlation with each other;
* dispersion: the empirical correction of the whole minus those of the fragments;
* polarisation: every fragment relaxes in the field of the others, its orbitals made of its own basis functions alone;
* charge_transfer: the full relaxation; what basis set superposition feigns of it is given apart.

The terms add up to E(complex) - sum E(fragment), to the last digit. Polarisation and charge transfer have no limit of
an infinite basis: with diffuse sets the first swallows the second, so use def2-svp to def2-tzvp.

References
----------
Khaliullin, Cobar, Lochan, Bell & Head-Gordon, J. Phys. Chem. A 111, 8753 (2007).
Locally projected equations: Khaliullin, Head-Gordon & Bell, J. Chem. Phys. 124, 204105 (2006), after Stoll, Wagenblast
& Preuss, Theor. Chim. Acta 57, 169 (1980).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
from ase import Atoms
from ase.units import Hartree
from numpy.typing import NDArray

from solvation.engines.electrons import converged_field, forget_integrals, total_density
from solvation.engines.pyscf import basis_functions, placed
from solvation.errors import EngineFailed, StudyError
from solvation.study import Level

_MOST_CYCLES = 100
_CONVERGED_EH = 1e-7
_CONVERGED_ERROR = 1e-4


@dataclass(frozen=True, slots=True)
class Decomposition:
    """Terms of an interaction energy, eV; negative binds.

    Attributes
    ----------
    superposition_eV
        Part of the charge transfer that is basis set superposition (negative); subtract it for what is real.
    """

    electrostatics_eV: float
    exchange_repulsion_eV: float
    dispersion_eV: float
    polarisation_eV: float
    charge_transfer_eV: float
    superposition_eV: float

    @property
    def frozen_eV(self) -> float:
        """Interaction of the frozen fragments: all that does not relax."""
        return self.electrostatics_eV + self.exchange_repulsion_eV + self.dispersion_eV

    @property
    def interaction_eV(self) -> float:
        """Sum of all terms: the complex minus its fragments as they stand."""
        return self.frozen_eV + self.polarisation_eV + self.charge_transfer_eV


@dataclass(frozen=True, slots=True, eq=False)
class Fragment:
    """Atoms that stay together, with their charge; closed shell."""

    atoms: NDArray[np.bool_]
    charge: int


@dataclass(frozen=True, slots=True, eq=False)
class Fields:
    """Converged fields of a complex and of its fragments as they stand, in the order of `fragments`."""

    atoms: Atoms
    level: Level
    fragments: tuple[Fragment, ...]
    whole: Any
    parts: tuple[Any, ...]

    def embedded(self, number: int) -> NDArray[np.float64]:
        """Density matrix of one free fragment in the basis of the whole, (n_basis, n_basis)."""
        functions = basis_functions(self.whole.mol, self.fragments[number].atoms)
        return placed(total_density(self.parts[number]), functions, self.whole.mol.nao)

    def difference(self) -> NDArray[np.float64]:
        """Density matrix of the whole minus those of its free fragments: where the electrons went."""
        return total_density(self.whole) - sum(self.embedded(number) for number in range(len(self.parts)))


def converged_fields(atoms: Atoms, level: Level, fragments: Sequence[Fragment]) -> Fields:
    """Converge a complex and its fragments, all closed shells.

    Raises
    ------
    StudyError
        A fragment has an odd number of electrons, an atom is in no fragment or in two, or the level has no density.
    EngineFailed
        One of them did not converge.
    """
    if (np.sum([one.atoms for one in fragments], axis=0) != 1).any():
        raise StudyError("every atom belongs to one fragment, and once")
    electrons = [int(atoms.numbers[one.atoms].sum()) - one.charge for one in fragments]
    if any(count % 2 or not count for count in electrons):
        raise StudyError(f"the decomposition is for closed shells; the fragments have {electrons} electrons")
    parts = tuple(converged_field(atoms[one.atoms], level, charge=one.charge) for one in fragments)
    for part in parts:
        forget_integrals(part)
    sizes = np.zeros(len(atoms), dtype=int)
    for one, part in zip(fragments, parts, strict=True):
        sizes[one.atoms] = np.diff(part.mol.aoslice_by_atom()[:, 2:], axis=1).ravel()
    embedded = [
        placed(total_density(part), np.flatnonzero(np.repeat(one.atoms, sizes)), int(sizes.sum()))
        for one, part in zip(fragments, parts, strict=True)
    ]
    whole = converged_field(atoms, level, charge=sum(one.charge for one in fragments), guess=np.sum(embedded, axis=0))
    return Fields(atoms, level, tuple(fragments), whole, parts)


def decompose(fields: Fields) -> Decomposition:
    """Split the interaction energy of the fragments of a complex.

    Raises
    ------
    StudyError
        The level has an implicit solvent: the terms would share one cavity.
    EngineFailed
        The localised orbitals did not converge.
    """
    if fields.level.solvent_model:
        raise StudyError(f"level '{fields.level}': the decomposition is one of the gas phase")
    whole, parts = fields.whole, fields.parts
    free = math.fsum(part.e_tot for part in parts)
    electrostatics = _electrostatics(fields)
    dispersion = _dispersion(whole) - math.fsum(map(_dispersion, parts))
    orbitals = _Orbitals(fields)
    frozen = float(whole.energy_tot(orbitals.density))
    polarised = orbitals.relax()
    forget_integrals(whole)
    return Decomposition(
        electrostatics_eV=electrostatics * Hartree,
        exchange_repulsion_eV=(frozen - free - electrostatics - dispersion) * Hartree,
        dispersion_eV=dispersion * Hartree,
        polarisation_eV=(polarised - frozen) * Hartree,
        charge_transfer_eV=(float(whole.e_tot) - polarised) * Hartree,
        superposition_eV=_superposition(fields) * Hartree,
    )


def _electrostatics(fields: Fields) -> float:
    """Coulomb energy between the frozen charge distributions, electrons and nuclei, Eh."""
    own = [fields.embedded(number) for number in range(len(fields.parts))]
    attraction = fields.whole.mol.intor("int1e_nuc")

    def classical(density: NDArray[np.float64], nuclear: NDArray[np.float64], repulsion: float) -> float:
        coulomb = fields.whole.get_j(fields.whole.mol, density)
        return float(np.vdot(density, nuclear + 0.5 * coulomb)) + float(repulsion)

    together = classical(np.sum(own, axis=0), attraction, fields.whole.mol.energy_nuc())
    apart = []
    for density, fragment, part in zip(own, fields.fragments, fields.parts, strict=True):
        functions = basis_functions(fields.whole.mol, fragment.atoms)
        nuclear = placed(part.mol.intor("int1e_nuc"), functions, len(density))
        apart.append(classical(density, nuclear, part.mol.energy_nuc()))
    return together - math.fsum(apart)


def _dispersion(field: Any) -> float:
    return float(field.get_dispersion()) if field.disp else 0.0


def _superposition(fields: Fields) -> float:
    """What the fragments gain from each other's basis functions, Eh, negative."""
    gains = []
    for number, (fragment, part) in enumerate(zip(fields.fragments, fields.parts, strict=True)):
        ghosts = fields.atoms.copy()
        ghosts.set_array("ghost", ~fragment.atoms)
        larger = converged_field(ghosts, fields.level, charge=fragment.charge, guess=fields.embedded(number))
        if larger.mol.nao != fields.whole.mol.nao:
            raise EngineFailed(f"{fields.level}: a fragment lost its ghosts ({larger.mol.nao} basis functions)")
        gains.append(float(larger.e_tot) - (float(part.e_tot) - _dispersion(part)))
    return math.fsum(gains)


class _Orbitals:
    """Occupied orbitals, each made of the basis functions of its own fragment; not orthogonal between fragments."""

    def __init__(self, fields: Fields) -> None:
        self._field = fields.whole
        self._overlap = np.asarray(self._field.get_ovlp())
        self._functions = [basis_functions(self._field.mol, one.atoms) for one in fields.fragments]
        self._blocks = [np.asarray(part.mo_coeff)[:, np.asarray(part.mo_occ) > 0] for part in fields.parts]

    def _occupied(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Coefficients of all orbitals, (n_basis, n_orbitals), and the inverse of their overlap."""
        found = np.zeros((len(self._overlap), sum(block.shape[1] for block in self._blocks)))
        column = 0
        for functions, block in zip(self._functions, self._blocks, strict=True):
            found[functions, column : column + block.shape[1]] = block
            column += block.shape[1]
        return found, np.linalg.inv(found.T @ self._overlap @ found)

    @property
    def density(self) -> NDArray[np.float64]:
        """Density matrix of the determinant of all these orbitals, two electrons in each."""
        occupied, inverse = self._occupied()
        return np.asarray(2 * occupied @ inverse @ occupied.T)

    def relax(self) -> float:
        """Relax them in the field of each other without mixing fragments, and return the energy, Eh."""
        from pyscf import lib

        mixing = lib.diis.DIIS()
        mixing.verbose, mixing.space = 0, 10
        last = math.inf
        for _ in range(_MOST_CYCLES):
            density = self.density
            potential = self._field.get_veff(self._field.mol, density)
            energy = float(self._field.energy_tot(density, vhf=potential))
            fock = np.asarray(self._field.get_hcore() + potential)
            projected = self._projected(fock)
            error = self._error(projected)
            if abs(energy - last) < _CONVERGED_EH and np.abs(error).max() < _CONVERGED_ERROR:
                return energy
            last = energy
            flat = mixing.update(np.concatenate([one.ravel() for one in projected]), xerr=error)
            self._diagonalise(flat)
        raise EngineFailed(
            f"the localised orbitals did not converge in {_MOST_CYCLES} cycles: last energy {last:.6f} Eh"
        )

    def _projected(self, fock: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """Fock matrix of each fragment in the space that the orbitals of the others leave."""
        occupied, inverse = self._occupied()
        whole = occupied @ inverse @ occupied.T
        found, column = [], 0
        for functions, block in zip(self._functions, self._blocks, strict=True):
            own = slice(column, column + block.shape[1])
            column += block.shape[1]
            kept = occupied[:, own] @ inverse[own] @ occupied.T
            view = np.eye(len(whole)) - (whole - kept) @ self._overlap
            found.append((view.T @ fock @ view)[np.ix_(functions, functions)])
        return found

    def _error(self, projected: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        """What is left of the coupling between occupied and empty orbitals within each fragment."""
        errors = []
        for functions, fock, block in zip(self._functions, projected, self._blocks, strict=True):
            overlap = self._overlap[np.ix_(functions, functions)]
            inverse = np.linalg.inv(block.T @ overlap @ block)
            product = fock @ block @ inverse @ block.T @ overlap
            errors.append((product - product.T).ravel())
        return np.concatenate(errors)

    def _diagonalise(self, flat: NDArray[np.float64]) -> None:
        start = 0
        for number, (functions, block) in enumerate(zip(self._functions, self._blocks, strict=True)):
            size = len(functions)
            fock = flat[start : start + size * size].reshape(size, size)
            start += size * size
            overlap = self._overlap[np.ix_(functions, functions)]
            _, vectors = scipy.linalg.eigh((fock + fock.T) / 2, overlap)
            self._blocks[number] = vectors[:, : block.shape[1]]
