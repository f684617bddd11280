"""Geometry optimisation with any engine: few gradients where they are dear, cheap steps where they are not.

Density functionals are relaxed in internal coordinates by geomeTRIC. A tight-binding gradient of a shell costs a
fifth of what geomeTRIC spends between two of them, so there a quasi-Newton search in Cartesians from a model Hessian
takes over: more gradients, a third of the time (docs/sampling.md).
"""

from __future__ import annotations

import contextlib
import logging
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
from ase import Atoms
from ase.units import Bohr, Hartree
from geometric.engine import Engine
from geometric.errors import Error as GeometricError
from geometric.internal import DelocalizedInternalCoordinates
from geometric.molecule import Molecule
from geometric.optimize import Optimize, OptParams
from numpy.typing import NDArray

from solvation.clusters.model_hessian import lindh_hessian
from solvation.engines import calculator_for
from solvation.errors import EngineFailed
from solvation.progress import say
from solvation.study import Level

_RADIUS_A, _SHORTEST_A, _LONGEST_A = 0.25, 0.02, 0.5
_UPHILL_EV = 0.02
# Softer, and a step jumps over the rim of a shallow basin: Li(EC)4+ then loses its tetrahedron at GFN2.
_SOFTEST_EV_A2 = 1.0
_FORGET_AFTER = 20
_SHAKE_A = 0.05
_SADDLE_EV = 0.005


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

    An optimiser that gives up is followed by the other one. Not converging is no error: the result tells it, and the
    caller rejects the structure with that reason.

    Raises
    ------
    EngineFailed
        The engine failed.

    References
    ----------
    Wang & Song, J. Chem. Phys. 144, 214108 (2016): geomeTRIC.
    Nocedal & Wright, Numerical Optimization (2006), chapters 4 and 6: trust radius, BFGS.
    """
    system = atoms.copy()
    system.calc = calculator_for(level, charge=charge, multiplicity=multiplicity)
    surface = _Surface(system, fmax_eV_A, max_steps)
    if len(system) == 1:
        return Relaxed(system.positions, float(system.get_potential_energy()), 0.0, 1, True)
    ways = (_in_cartesians, _in_internals) if level.is_tight_binding else (_in_internals, _in_cartesians)
    with contextlib.suppress(_Enough):
        for way in ways:
            # One that gives up (straight angles, a Hessian that is none) leaves the rest of the steps to the other.
            with contextlib.suppress(GeometricError, scipy.linalg.LinAlgError):
                way(surface)
            surface.go_on()
    return surface.end


def off_saddle(
    atoms: Atoms,
    end: Relaxed,
    level: Level,
    *,
    charge: int,
    multiplicity: int,
    fmax_eV_A: float,
    max_steps: int,
    rng: np.random.Generator,
    is_sound: Callable[[NDArray[np.float64]], bool],
) -> Relaxed:
    """Shake every atom by about 0.05 Å and relax again: off a saddle the energy falls, out of a minimum it does not.

    Where it falls, and `is_sound` says of the new positions that this is still the same molecule, the lower end is
    taken; the cost is a few steps where it does not.
    """
    moved = atoms.copy()
    moved.positions = end.positions_A + rng.normal(scale=_SHAKE_A, size=end.positions_A.shape)
    try:
        again = relax(
            moved, level, charge=charge, multiplicity=multiplicity, fmax_eV_A=fmax_eV_A, max_steps=max_steps
        )  # fmt: skip
    except EngineFailed as problem:
        say(f"  shaken, a structure failed at {level} and stays as it was: {problem}")
        return end
    lower = again.converged and again.energy_eV < end.energy_eV - _SADDLE_EV
    return again if lower and is_sound(again.positions_A) else end


def _in_internals(surface: _Surface) -> None:
    """Run geomeTRIC until the surface has enough."""
    with _quiet(), tempfile.TemporaryDirectory() as scratch:
        # Its own criteria are out of reach on purpose: the surface stops the optimiser by the largest force.
        coordinates = DelocalizedInternalCoordinates(surface.M, build=True, connect=False, addcart=False)
        parameters = OptParams(maxiter=sys.maxsize, convergence_energy=1e-12)
        Optimize(surface.positions_A.ravel() / Bohr, surface.M, coordinates, surface, scratch, parameters)


def _in_cartesians(surface: _Surface) -> None:
    """Newton steps on a BFGS Hessian, begun anew from the model Hessian every few steps.

    What BFGS has learnt of a soft shell is soon out of date: beginning anew takes a quarter of the gradients off.
    """
    positions = surface.positions_A
    energy, gradient = surface.energy_gradient(positions)
    radius, age, hessian = _RADIUS_A, 0, _first_hessian(surface.symbols, positions)
    while True:
        step = -scipy.linalg.solve(hessian, gradient, assume_a="pos")
        length = np.linalg.norm(step.reshape(-1, 3), axis=1).max()
        step *= min(1.0, radius / length)
        there, slope = surface.energy_gradient(positions + step.reshape(-1, 3))
        expected = gradient @ step + 0.5 * step @ hessian @ step
        hessian = _bfgs(hessian, step, slope - gradient)
        if there - energy > _UPHILL_EV:
            radius = max(_SHORTEST_A, 0.5 * min(length, radius))
            continue
        quality = (there - energy) / expected
        if quality > 0.5 and length > 0.99 * radius:
            radius = min(1.5 * radius, _LONGEST_A)
        elif quality < 0.1:
            radius = max(_SHORTEST_A, 0.5 * radius)
        positions, energy, gradient, age = positions + step.reshape(-1, 3), there, slope, age + 1
        if age % _FORGET_AFTER == 0:
            hessian = _first_hessian(surface.symbols, positions)


def _first_hessian(symbols: Sequence[str], positions_A: NDArray[np.float64]) -> NDArray[np.float64]:
    values, vectors = np.linalg.eigh(lindh_hessian(symbols, positions_A))
    stiff: NDArray[np.float64] = vectors * np.maximum(values, _SOFTEST_EV_A2) @ vectors.T
    return stiff


def _bfgs(hessian: NDArray[np.float64], step: NDArray[np.float64], change: NDArray[np.float64]) -> NDArray[np.float64]:
    """Update that keeps the Hessian positive: nothing is learnt from a step along which the force did not fall."""
    curvature = change @ step
    if curvature <= 0:
        return hessian
    pushed = hessian @ step
    updated: NDArray[np.float64] = (
        hessian + np.outer(change, change) / curvature - np.outer(pushed, pushed) / (step @ pushed)
    )
    return updated


class _Enough(Exception):
    """Ends the optimiser: converged, or out of steps."""


class _Surface(Engine):  # type: ignore[misc]
    """An ASE calculator as geomeTRIC sees it."""

    def __init__(self, system: Atoms, fmax_eV_A: float, max_steps: int) -> None:
        molecule = Molecule()
        molecule.elem = system.get_chemical_symbols()
        molecule.xyzs = [system.positions.copy()]
        super().__init__(molecule)
        self.symbols: list[str] = molecule.elem
        self.positions_A: NDArray[np.float64] = system.positions.copy()
        self._system = system
        self._fmax = fmax_eV_A
        self._max_steps = max_steps
        self._steps = 0
        self.end: Relaxed

    def energy_gradient(self, positions_A: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Energy in eV and gradient in eV/Å, (3 n_atoms,); ends the optimiser when that was enough."""
        self._system.positions = positions_A
        # Forces first: they bring the energy along, which without them would be computed by itself and again.
        forces = self._system.get_forces()
        energy = float(self._system.get_potential_energy())
        self._steps += 1
        fmax = float(np.linalg.norm(forces, axis=1).max())
        self.end = Relaxed(self._system.positions.copy(), energy, fmax, self._steps, fmax <= self._fmax)
        if self.end.converged or self._steps >= self._max_steps:
            raise _Enough
        return energy, -forces.ravel()

    def go_on(self) -> None:
        """Let the next optimiser begin where the last one stopped."""
        if self._steps == 0:  # it could not even begin
            return
        self.positions_A = self.end.positions_A
        self.M.xyzs = [self.positions_A.copy()]

    def calc_new(self, coords: NDArray[np.float64], dirname: str) -> dict[str, Any]:
        """What geomeTRIC asks for: energy in Eh and gradient in Eh/Bohr at coordinates in Bohr."""
        energy, gradient = self.energy_gradient(coords.reshape(-1, 3) * Bohr)
        return {"energy": energy / Hartree, "gradient": gradient * Bohr / Hartree}


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
