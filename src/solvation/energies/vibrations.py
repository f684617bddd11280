"""Normal modes of a structure, by finite differences of the forces of any engine."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase import Atoms
from ase.units import Debye, invcm
from numpy.typing import NDArray

from solvation.engines import calculator_for
from solvation.engines.cache import kept_answer
from solvation.engines.registry import identity_of
from solvation.errors import EngineFailed
from solvation.progress import say
from solvation.study import Level

#: Raised when anything here changes the modes of a structure.
_REVISION = 1
_KEPT = ("positions_A", "energy_eV", "wavenumbers_cm", "followed", "displacements", "intensities_km_mol")
#: Imaginary modes softer than this are noise of the finite differences; harder ones are followed.
NOISE_CM = 20.0
_TIGHT_FMAX_EV_A = 0.003
_BEARABLE_FMAX_EV_A = 0.01
#: A dear level whose forces are too rough for the tight criterion must not search for ever.
_STEPS_CHEAP, _STEPS_DEAR = 2000, 200
_STEP_A = 0.005
_FOLLOW_A = 0.2
_MOST_FOLLOWED = 3
#: A molecule whose smallest moment of inertia has a lower root than this is linear, u^½ Å; that of water is 0.8.
_LINEAR_U_A = 0.1
#: Of (D/Å)²/u: N_A / (12 epsilon_0 c²).
_KM_MOL = 42.2561


@dataclass(frozen=True, slots=True)
class Vibrations:
    """Normal modes of a minimum.

    Attributes
    ----------
    positions_A
        Where the modes were computed, (n_atoms, 3): relaxed on to 0.003 eV/Å, and down any imaginary mode.
    energy_eV
        Total energy there.
    wavenumbers_cm
        Without translations and rotations, ascending; imaginary ones are negative, (3 n_atoms - 6,).
    followed
        Imaginary modes that were followed downhill.
    displacements
        Cartesian, of one unit of mass-weighted length (u^1/2 Å), (n_modes, n_atoms, 3).
    intensities_km_mol
        Infrared, double-harmonic; NaN where the engine gives no dipole, (n_modes,).
    """

    level: Level
    positions_A: NDArray[np.float64]
    energy_eV: float
    wavenumbers_cm: NDArray[np.float64]
    followed: int
    displacements: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0, 3)))
    intensities_km_mol: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    @property
    def n_imaginary(self) -> int:
        """Imaginary modes that are left, noise included."""
        return int(np.count_nonzero(self.wavenumbers_cm < 0))

    @property
    def is_minimum(self) -> bool:
        """Whether no mode is imaginary beyond noise."""
        return not self.wavenumbers_cm.size or bool(self.wavenumbers_cm[0] > -NOISE_CM)


def vibrations(atoms: Atoms, level: Level, *, charge: int, multiplicity: int = 1) -> Vibrations:
    """Relax a structure tightly, compute its normal modes, and follow imaginary ones to a minimum.

    Modes that were computed before are found again, as energies are (docs/engines.md): a ligand stands in many
    clusters, and one structure of a cluster is measured at many levels.

    Raises
    ------
    EngineFailed
        The engine failed, or the structure does not become stationary.
    """
    return kept_answer(
        atoms, str(level), lambda: identity_of(level), charge=charge, multiplicity=multiplicity,
        compute=lambda: _to_json(_computed(atoms, level, charge=charge, multiplicity=multiplicity)),
        needs=_KEPT, read=lambda found: _from_json(level, len(atoms), found), asked=f"normal modes {_REVISION}",
    )  # fmt: skip


def _to_json(found: Vibrations) -> dict[str, Any]:
    intensities: list[float] = found.intensities_km_mol.tolist()
    return {
        "positions_A": found.positions_A.tolist(), "energy_eV": found.energy_eV,
        "wavenumbers_cm": found.wavenumbers_cm.tolist(), "followed": found.followed,
        "displacements": found.displacements.tolist(),
        "intensities_km_mol": [value if math.isfinite(value) else None for value in intensities],
    }  # fmt: skip


def _from_json(level: Level, n_atoms: int, data: Mapping[str, Any]) -> Vibrations:
    intensities = [math.nan if value is None else value for value in data["intensities_km_mol"]]
    return Vibrations(
        level, np.array(data["positions_A"], dtype=float).reshape(n_atoms, 3), float(data["energy_eV"]),
        np.array(data["wavenumbers_cm"], dtype=float), int(data["followed"]),
        np.array(data["displacements"], dtype=float).reshape(-1, n_atoms, 3), np.array(intensities, dtype=float),
    )  # fmt: skip


def _computed(atoms: Atoms, level: Level, *, charge: int, multiplicity: int) -> Vibrations:
    from solvation.clusters.relaxation import relax

    system = atoms.copy()
    for followed in range(_MOST_FOLLOWED + 1):
        end = relax(
            system, level, charge=charge, multiplicity=multiplicity, fmax_eV_A=_TIGHT_FMAX_EV_A,
            max_steps=_STEPS_CHEAP if level.is_tight_binding else _STEPS_DEAR,
        )  # fmt: skip
        if end.fmax_eV_A > _BEARABLE_FMAX_EV_A:
            raise EngineFailed(
                f"{level}: {system.get_chemical_formula()} is not stationary after {end.steps} steps (largest force "
                f"{end.fmax_eV_A:.3f} eV/Å), so it has no normal modes"
            )
        system.positions = end.positions_A
        if len(system) == 1:
            return Vibrations(level, end.positions_A, end.energy_eV, np.empty(0), 0)
        hessian, slopes = numerical_hessian(system, level, charge=charge, multiplicity=multiplicity)
        wavenumbers, modes = normal_modes(system, hessian)
        found = Vibrations(
            level, end.positions_A, end.energy_eV, wavenumbers, followed, modes, infrared_intensities(modes, slopes)
        )
        if found.is_minimum or followed == _MOST_FOLLOWED:
            break
        say(f"  {system.get_chemical_formula()}: imaginary mode {wavenumbers[0]:.0f} cm-1 is followed")
        push = modes[0] * _FOLLOW_A / np.linalg.norm(modes[0], axis=1).max()
        system.positions = system.positions + push
    return found


def numerical_hessian(
    atoms: Atoms, level: Level, *, charge: int, multiplicity: int = 1
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Second derivatives of the energy by central differences of the forces, and first ones of the dipole.

    Returns
    -------
    hessian
        eV/Å², (3 n_atoms, 3 n_atoms).
    dipole_slopes
        e, (3 n_atoms, 3); NaN where the engine gives no dipole.
    """
    system = atoms.copy()
    system.calc = calculator_for(level, charge=charge, multiplicity=multiplicity)
    rest = system.positions.copy()
    columns, dipole_slopes = [], []
    for number in range(rest.size):
        slopes, dipoles = [], []
        for sign in (1, -1):
            moved = rest.copy()
            moved.flat[number] += sign * _STEP_A
            system.positions = moved
            slopes.append(-system.get_forces().ravel())
            dipoles.append(np.asarray(system.calc.results.get("dipole", np.full(3, np.nan))))
        columns.append((slopes[0] - slopes[1]) / (2 * _STEP_A))
        dipole_slopes.append((dipoles[0] - dipoles[1]) / (2 * _STEP_A))
    hessian = np.array(columns)
    return np.asarray((hessian + hessian.T) / 2), np.array(dipole_slopes)


def infrared_intensities(displacements: NDArray[np.float64], dipole_slopes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Integrated infrared absorption of each mode, km/mol, (n_modes,): Porezag & Pederson, PRB 54, 7830 (1996)."""
    slopes = displacements.reshape(len(displacements), -1) @ dipole_slopes / Debye
    return np.asarray((slopes**2).sum(axis=1) * _KM_MOL)


def normal_modes(atoms: Atoms, hessian: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Wavenumbers and displacements of the vibrations alone.

    Returns
    -------
    wavenumbers_cm
        Ascending, imaginary ones negative, (n_modes,).
    displacements
        Cartesian, not mass-weighted, (n_modes, n_atoms, 3).
    """

    from ase.vibrations import VibrationsData

    root_mass = np.repeat(np.sqrt(atoms.get_masses()), 3)
    centred = atoms.positions - atoms.get_center_of_mass()
    whole = [np.tile(axis, (len(atoms), 1)) for axis in np.eye(3)] + [np.cross(axis, centred) for axis in np.eye(3)]
    moves = np.array([root_mass * move.ravel() for move in whole])
    # Singular values of rotations are roots of moments of inertia. Of a linear molecule one is zero but for what the
    # relaxation left of a bend.
    _, sizes, rigid = np.linalg.svd(moves, full_matrices=False)
    rigid = rigid[sizes > _LINEAR_U_A]
    keep = np.eye(len(root_mass)) - rigid.T @ rigid
    shifted = keep @ (hessian / np.outer(root_mass, root_mass)) @ keep
    # Rigid moves go far above everything else, so that what is below them is vibration.
    far = 10 * np.abs(shifted).max() * len(root_mass)
    pushed = (shifted + far * rigid.T @ rigid) * np.outer(root_mass, root_mass)
    energies, displacements = VibrationsData.from_2d(atoms, pushed).get_energies_and_modes()
    wavenumbers = (energies.real - energies.imag) / invcm  # ASE writes i x for an imaginary mode
    order = np.argsort(wavenumbers)[: len(root_mass) - len(rigid)]
    return wavenumbers[order], displacements[order]
