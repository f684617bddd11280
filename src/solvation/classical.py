"""Classical force fields on OpenMM: systems from parameters, and blocks of dynamics that begin from a state alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from ase import units
from numpy.typing import NDArray

from solvation.dynamics import COLUMNS, HOTTEST_K, Piece, State, check_bonds, stored_generator
from solvation.errors import EngineFailed, EngineMissing, TrajectoryError
from solvation.forcefield import Parameters
from solvation.packing import PackedSystem
from solvation.provenance import write_text
from solvation.study import ClassicalDynamics

#: Steps between two fresh contexts: the grid on which a run can be cut without changing it.
BLOCK_STEPS = 5000
#: A line of progress is possible at least this often.
_TICK_STEPS = 500
_EWALD_ERROR = 5e-4
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


def check_openmm() -> None:
    """Refuse when OpenMM is not here.

    Raises
    ------
    EngineMissing
        With the mend.
    """
    if find_spec("openmm") is None:
        raise EngineMissing("OpenMM is not installed; pip install 'solvation[liquids]'")


def build_system(
    system: PackedSystem,
    parameters: Mapping[str, Parameters],
    *,
    cutoff_A: float,
    charge_scale: float,
    hydrogen_mass_u: float | None = None,
) -> Any:
    """OpenMM system of a packed box, or of molecules in vacuum (without cutoff) where it has no cell.

    Bonds to hydrogen are constrained. Pairs mix after Lorentz and Berthelot; beyond the cutoff Lennard-Jones
    dispersion is a mean field, and charges are summed by smooth particle mesh Ewald. A net charge is neutralised by a
    uniform background. The order of atoms is that of `system`.

    Parameters
    ----------
    parameters
        By the names of the molecules.
    charge_scale
        Factor of all charges of species that carry a net charge.
    hydrogen_mass_u
        Mass of H in the dynamics, atomic mass units; None for its own.

    Raises
    ------
    EngineMissing
        OpenMM is not installed.
    """
    check_openmm()
    import openmm

    made = openmm.System()
    bonds, angles = openmm.HarmonicBondForce(), openmm.HarmonicAngleForce()
    torsions, pairs = openmm.PeriodicTorsionForce(), openmm.NonbondedForce()
    pairs.setNonbondedMethod(openmm.NonbondedForce.NoCutoff)
    if system.cell_A is not None:
        edge_nm = system.cell_A / 10
        made.setDefaultPeriodicBoxVectors((edge_nm, 0, 0), (0, edge_nm, 0), (0, 0, edge_nm))
        pairs.setNonbondedMethod(openmm.NonbondedForce.PME)
        pairs.setCutoffDistance(cutoff_A / 10)
        pairs.setEwaldErrorTolerance(_EWALD_ERROR)
        pairs.setUseDispersionCorrection(True)
        for force in (bonds, angles, torsions):
            force.setUsesPeriodicBoundaryConditions(True)
    masses_u = masses(system, hydrogen_mass_u)
    close: dict[str, dict[tuple[int, int], int]] = {}
    for molecule in system.molecules:
        terms, first = parameters[molecule.name], made.getNumParticles()
        factor = charge_scale if terms.charge else 1.0
        for index in range(len(terms.symbols)):
            made.addParticle(masses_u[first + index])
            pairs.addParticle(
                terms.charges_e[index] * factor, terms.sigma_A[index] / 10, terms.epsilon_kJ_mol[index]
            )  # fmt: skip
        for one, other, length_A, stiffness in terms.bonds:
            if "H" in (terms.symbols[one], terms.symbols[other]):
                made.addConstraint(first + one, first + other, length_A / 10)
            else:
                bonds.addBond(first + one, first + other, length_A / 10, stiffness * 100)
        for *atoms, angle_deg, stiffness in terms.angles:
            angles.addAngle(*(first + index for index in atoms), np.radians(angle_deg), stiffness)
        for *atoms, periodicity, phase_deg, height in terms.torsions:
            torsions.addTorsion(*(first + index for index in atoms), periodicity, np.radians(phase_deg), height)
        if molecule.name not in close:
            close[molecule.name] = bonds_apart(terms)
        for (one, other), apart in close[molecule.name].items():
            charge, sigma_nm, depth = _exception(terms, one, other, apart, factor)
            pairs.addException(first + one, first + other, charge, sigma_nm, depth)
    for force in (bonds, angles, torsions, pairs):
        made.addForce(force)
    return made


def masses(system: PackedSystem, hydrogen_mass_u: float | None = None) -> NDArray[np.float64]:
    """Atomic masses, u, (n_atoms,); those of H may be raised."""
    atoms = system.atoms
    own: NDArray[np.float64] = atoms.get_masses()
    return own if hydrogen_mass_u is None else np.where(atoms.numbers == 1, hydrogen_mass_u, own)


def bonds_apart(terms: Parameters) -> dict[tuple[int, int], int]:
    """Pairs of atoms one to three bonds apart by the shortest way, the smaller index first."""
    count = len(terms.symbols)
    near = np.zeros((count, count), dtype=bool)
    for one, other, *_ in terms.bonds:
        near[one, other] = near[other, one] = True
    found: dict[tuple[int, int], int] = {}
    reach = np.eye(count, dtype=bool)
    for apart in (1, 2, 3):
        reach = reach @ near
        for one, other in np.argwhere(np.triu(reach, k=1)).tolist():
            found.setdefault((one, other), apart)
    return found


def _exception(terms: Parameters, one: int, other: int, apart: int, factor: float) -> tuple[float, float, float]:
    """Product of charges, sigma in nm and depth of a pair within a molecule."""
    if apart < 3:
        return 0.0, 0.1, 0.0
    scale_charge, scale_depth = terms.scale_14
    first, second = terms.sigma_A[one] / 10, terms.sigma_A[other] / 10
    sigma_nm = np.sqrt(first * second) if terms.is_geometric else (first + second) / 2
    depth = np.sqrt(terms.epsilon_kJ_mol[one] * terms.epsilon_kJ_mol[other])
    charge = scale_charge * factor**2 * terms.charges_e[one] * terms.charges_e[other]
    return charge, sigma_nm, scale_depth * depth


def write_system(system: Any, path: Path) -> None:
    """Write an OpenMM system as its XML."""
    import openmm

    write_text(path, openmm.XmlSerializer.serialize(system))


def read_system(path: Path) -> Any:
    """Read an OpenMM system.

    Raises
    ------
    EngineMissing
        OpenMM is not installed.
    TrajectoryError
        The file is missing or no system.
    """
    check_openmm()
    import openmm

    try:
        return openmm.XmlSerializer.deserialize(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError, openmm.OpenMMException) as problem:
        raise TrajectoryError(f"{path}: holds no OpenMM system ({problem}); run 'solvation equilibrate'") from problem


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

    Forces are summed in a fixed order where the platform can. On the CPU it takes OMP_NUM_THREADS threads.

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
        properties = dict(_PRECISE.get(name, {}))
        if name == "CPU" and "OMP_NUM_THREADS" in os.environ:
            properties["Threads"] = os.environ["OMP_NUM_THREADS"]
        place = Place(name, properties)
        probe = openmm.System()
        probe.addParticle(1.0)
        try:
            place.context(probe, openmm.VerletIntegrator(0.001))
        except openmm.OpenMMException as problem:
            reasons.append(f"{name}: {problem}")
        else:
            return place
    raise EngineFailed(f"no platform of OpenMM works here ({'; '.join(reasons)})")


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
