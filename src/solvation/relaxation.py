"""Geometry optimisation in internal coordinates by geomeTRIC, with any engine."""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.units import Bohr, Hartree
from geometric.engine import Engine
from geometric.errors import Error as GeometricError
from geometric.internal import DelocalizedInternalCoordinates
from geometric.molecule import Molecule
from geometric.optimize import Optimize, OptParams
from numpy.typing import NDArray

from solvation.engines import calculator_for
from solvation.study import Level


@dataclass(frozen=True, slots=True)
class Relaxed:
    """The end of a relaxation.

    Attributes
    ----------
    positions_A
        Coordinates of the lowest-force end point, Å, (n_atoms, 3).
    energy_eV
        Total energy there.
    fmax_eV_A
        Largest force on an atom there.
    steps
        Energies and gradients that were computed.
    """

    positions_A: NDArray[np.float64]
    energy_eV: float
    fmax_eV_A: float
    steps: int
    converged: bool


def relax(
    atoms: Atoms, level: Level, *, charge: int, multiplicity: int = 1, fmax_eV_A: float = 0.03, max_steps: int = 300
) -> Relaxed:
    """Relax one structure until no atom feels more than `fmax_eV_A`.

    Delocalised internal coordinates (translations and rotations of every molecule among them) need a third of
    the steps of L-BFGS on Cartesians for a shell of eighty atoms (docs/sampling.md). Not converging is no error:
    the result tells it, and the caller rejects the structure with that reason.

    Raises
    ------
    EngineFailed
        The engine failed.

    References
    ----------
    Wang & Song, J. Chem. Phys. 144, 214108 (2016): geomeTRIC.
    """
    system = atoms.copy()
    system.calc = calculator_for(level, charge=charge, multiplicity=multiplicity)
    surface = _Surface(system, fmax_eV_A, max_steps)
    if len(system) == 1:
        return Relaxed(system.positions, float(system.get_potential_energy()), 0.0, 1, True)
    with _quiet(), tempfile.TemporaryDirectory() as scratch, contextlib.suppress(_Enough, GeometricError):
        # Its own criteria are out of reach on purpose: the surface stops the optimiser by the largest force.
        coordinates = DelocalizedInternalCoordinates(surface.M, build=True, connect=False, addcart=False)
        parameters = OptParams(maxiter=10 * max_steps, convergence_energy=1e-12)
        Optimize(system.positions.ravel() / Bohr, surface.M, coordinates, surface, scratch, parameters)
    return surface.end


class _Enough(Exception):
    """Ends the optimiser: converged, or out of steps."""


class _Surface(Engine):  # type: ignore[misc]
    """An ASE calculator as geomeTRIC sees it."""

    def __init__(self, system: Atoms, fmax_eV_A: float, max_steps: int) -> None:
        molecule = Molecule()
        molecule.elem = system.get_chemical_symbols()
        molecule.xyzs = [system.positions.copy()]
        super().__init__(molecule)
        self._system = system
        self._fmax = fmax_eV_A
        self._max_steps = max_steps
        self._steps = 0
        self.end: Relaxed

    def calc_new(self, coords: NDArray[np.float64], dirname: str) -> dict[str, Any]:
        """Energy in Eh and gradient in Eh/Bohr at coordinates in Bohr."""
        self._system.positions = coords.reshape(-1, 3) * Bohr
        energy = float(self._system.get_potential_energy())
        forces = self._system.get_forces()
        self._steps += 1
        fmax = float(np.linalg.norm(forces, axis=1).max())
        self.end = Relaxed(self._system.positions.copy(), energy, fmax, self._steps, fmax <= self._fmax)
        if self.end.converged or self._steps >= self._max_steps:
            raise _Enough
        return {"energy": energy / Hartree, "gradient": -forces.ravel() * Bohr / Hartree}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep geomeTRIC's step-by-step account out of ours."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith("geometric")]
    loggers = [logging.getLogger(name) for name in {"geometric", *names}]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
