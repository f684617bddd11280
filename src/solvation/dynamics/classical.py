"""Classical force fields on OpenMM: systems from parameters, and blocks of dynamics that begin from a state alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from ase import units

from solvation.dynamics.langevin import COLUMNS, HOTTEST_K, Piece, State, check_bonds, stored_generator
from solvation.engines.base import own_threads
from solvation.errors import EngineFailed
from solvation.liquids.openmm_system import check_openmm, masses
from solvation.liquids.packing import PackedSystem
from solvation.study import ClassicalDynamics

#: Steps between two fresh contexts: the grid on which a run can be cut without changing it.
BLOCK_STEPS = 5000
#: A line of progress is possible at least this often.
_TICK_STEPS = 500
_CONSTRAINT_ERROR = 1e-6
_KJ_MOL = units.kJ / units.mol
#: 1 nm/ps in ASE's unit of velocity.
_NM_PS = 0.01 / units.fs
_PRECISE = {
    "CPU": {"DeterministicForces": "true"},
    "CUDA": {"Precision": "mixed", "DeterministicForces": "true"},
    "HIP": {"Precision": "mixed", "DeterministicForces": "true"},
    "OpenCL": {"Precision": "mixed"},
}


@dataclass(frozen=True, slots=True)
class Place:
    """The platform that computes, and its properties."""

    name: str
    properties: dict[str, str]

    def context(self, system: Any, integrator: Any) -> Any:
        """Return a new context there."""
        import openmm

        return openmm.Context(system, integrator, openmm.Platform.getPlatformByName(self.name), self.properties)


def fastest() -> Place:
    """The fastest platform that works here; OpenMM's own OPENMM_DEFAULT_PLATFORM decides where it is set.

    Raises
    ------
    EngineMissing, EngineFailed
        OpenMM is not installed, or none of its platforms works.
    """
    check_openmm()
    import openmm

    known = [openmm.Platform.getPlatform(number) for number in range(openmm.Platform.getNumPlatforms())]
    names = [one.getName() for one in sorted(known, key=lambda one: -one.getSpeed())]
    wanted = os.environ.get("OPENMM_DEFAULT_PLATFORM")
    reasons = []
    for name in [wanted] if wanted else names:
        try:
            return working(name)
        except EngineFailed as problem:
            reasons.append(str(problem))
    raise EngineFailed(f"no platform of OpenMM works here ({'; '.join(reasons)})")


def working(name: str) -> Place:
    """One platform of OpenMM; forces are summed in a fixed order where it can. A CPU takes OMP_NUM_THREADS threads.

    Raises
    ------
    EngineFailed
        It does not work here.
    """
    import openmm

    properties = dict(_PRECISE.get(name, {}))
    if name == "CPU":
        properties["Threads"] = str(own_threads())
    place = Place(name, properties)
    probe = openmm.System()
    probe.addParticle(1.0)
    try:
        place.context(probe, openmm.VerletIntegrator(0.001))
    except openmm.OpenMMException as problem:
        raise EngineFailed(f"{name}: {problem}") from problem
    return place


def first_state(system: PackedSystem, settings: ClassicalDynamics, rng: np.random.Generator) -> State:
    """A packed box at rest, at step 0."""
    positions_A = system.positions_A
    return State(
        numbers=system.atoms.numbers, masses_u=masses(system, settings.hydrogen_mass_u), residues=system.residue_ids,
        bonds=system.bonds, charge=system.charge, multiplicity=system.multiplicity, wall_radius_A=np.inf,
        cell_A=np.full(3, system.cell_A), positions_A=positions_A, momenta=np.zeros_like(positions_A),
        generator=stored_generator(rng), step=0,
    )  # fmt: skip


class Mover:
    """Blocks of Langevin dynamics of one OpenMM system.

    The integrator is the same splitting as in `dynamics.advance`, in the variant that OpenMM calls LangevinMiddle.

    Attributes
    ----------
    place
        Where it computes.

    References
    ----------
    Zhang, Liu, Yan, Tuckerman & Liu, J. Phys. Chem. A 123, 6056 (2019): LangevinMiddle.
    Eastman et al., J. Phys. Chem. B 128, 109 (2024): OpenMM 8.
    """

    def __init__(self, system: Any, place: Place, *, pressure_bar: float | None = None) -> None:
        """Move `system`; with a pressure, its volume as well."""
        self._system = system
        self._pressure_bar = pressure_bar
        self.place = place

    def __call__(
        self,
        state: State,
        settings: ClassicalDynamics,
        steps: int,
        save_steps: int,
        tick: Callable[[int, float], None] | None = None,
        *,
        volumes: Callable[[float], None] | None = None,
    ) -> Piece:
        """Run one block from `state` with a fresh context, whose random numbers follow from those of `state`.

        Parameters
        ----------
        tick
            Called now and then with the step and the temperature, K.
        volumes
            Called with the volume of each frame, Å3.

        Raises
        ------
        EngineFailed
            OpenMM failed or the run blew up; the message names step and time.
        """
        from openmm import unit

        rng = state.rng()
        context, integrator = self._context(state, settings, rng)
        frames, rows = [], []
        for step in _stops(state.step, steps, save_steps):
            when = f"at step {step} ({step * settings.timestep_fs / 1000:.4f} ps)"
            now = self._stepped(context, integrator, step, when)
            kinetic_eV = now.getKineticEnergy().value_in_unit(unit.kilojoule_per_mole) * _KJ_MOL
            temperature_K = 2 * kinetic_eV / (units.kB * self.degrees)
            positions_A = now.getPositions(asNumpy=True).value_in_unit(unit.angstrom)
            if not np.isfinite(positions_A).all() or not temperature_K < HOTTEST_K:
                raise EngineFailed(f"the run blew up {when}: {temperature_K:.0f} K; shorten timestep_fs")
            check_bonds(state, positions_A, when)
            if step % save_steps == 0:
                frames.append(positions_A.astype(np.float32))
                potential_eV = now.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole) * _KJ_MOL
                time_ps = step * settings.timestep_fs / 1000
                rows.append((step, time_ps, potential_eV, kinetic_eV, temperature_K, 0.0))
                if volumes:
                    volumes(now.getPeriodicBoxVolume().value_in_unit(unit.angstrom**3))
            if tick:
                tick(step, temperature_K)
        velocities_nm_ps = now.getVelocities(asNumpy=True).value_in_unit(unit.nanometer / unit.picosecond)
        end = replace(
            state, positions_A=positions_A, step=state.step + steps, generator=stored_generator(rng),
            momenta=velocities_nm_ps * _NM_PS * state.masses_u[:, None],
            cell_A=np.diag(now.getPeriodicBoxVectors(asNumpy=True).value_in_unit(unit.angstrom)),
        )  # fmt: skip
        return Piece(
            end, np.array(frames, np.float32).reshape(-1, len(positions_A), 3),
            np.array(rows).reshape(-1, len(COLUMNS)),
        )  # fmt: skip

    @property
    def degrees(self) -> int:
        """Degrees of freedom: three an atom less the constraints; the centre of mass is not held."""
        return 3 * int(self._system.getNumParticles()) - int(self._system.getNumConstraints())

    def _context(self, state: State, settings: ClassicalDynamics, rng: np.random.Generator) -> tuple[Any, Any]:
        import openmm

        system, place = self._system, self.place
        thermostat, barostat = (int(seed) for seed in rng.integers(1, 2**31 - 1, size=2))
        if self._pressure_bar is not None:
            system = openmm.XmlSerializer.clone(system)
            pressure = openmm.MonteCarloBarostat(self._pressure_bar, settings.temperature_K)
            pressure.setRandomNumberSeed(barostat)
            system.addForce(pressure)
        integrator = openmm.LangevinMiddleIntegrator(
            settings.temperature_K, settings.friction_per_ps, settings.timestep_fs / 1000
        )
        integrator.setRandomNumberSeed(thermostat)
        integrator.setConstraintTolerance(_CONSTRAINT_ERROR)
        context = place.context(system, integrator)
        edges_nm = np.diag(state.cell_A / 10)
        if state.cell_A.any():
            context.setPeriodicBoxVectors(*edges_nm.tolist())
        context.setPositions(state.positions_A / 10)
        context.setVelocities(state.momenta / state.masses_u[:, None] / _NM_PS)
        context.setStepCount(state.step)
        return context, integrator

    def _stepped(self, context: Any, integrator: Any, step: int, when: str) -> Any:
        import openmm

        try:
            integrator.step(step - context.getStepCount())
            return context.getState(positions=True, velocities=True, energy=True)
        except openmm.OpenMMException as problem:
            raise EngineFailed(f"OpenMM stopped {when}: {problem}") from problem


def _stops(first: int, steps: int, save_steps: int) -> list[int]:
    """Steps at which a block is looked at: frames, lines of progress, and its end."""
    last = first + steps
    saved = range(save_steps * (first // save_steps + 1), last + 1, save_steps)
    return sorted({*saved, *range(first + _TICK_STEPS, last + 1, _TICK_STEPS), last})
