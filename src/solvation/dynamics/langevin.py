"""Langevin molecular dynamics in segments that resume bit for bit.

A run is a chain of blocks of `BLOCK_STEPS` steps. Each block starts from nothing but a `State` (positions,
momenta, generator) with a fresh calculator, because a self-consistent field started from the last density gives
other last digits than one started cold. So it does not matter where a run was cut or killed (docs/dynamics.md).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.data import atomic_masses, chemical_symbols, covalent_radii
from numpy.typing import NDArray

from solvation.dynamics.forces import Walled, largest_disagreement_eV_A
from solvation.engines import calculator_for
from solvation.errors import EngineFailed, StudyError, TrajectoryError
from solvation.liquids.packing import PackedSystem, settled
from solvation.provenance import write_atomically
from solvation.study import ComputedTrajectory, MolecularDynamics

Say = Callable[[str], None]

#: Steps between two fresh calculators: the grid on which a run can be cut without changing a bit.
BLOCK_STEPS = 25
#: The wall stands this far outside the radius of the packing; a molecule with kT goes 0.7 Å into it.
WALL_MARGIN_A = 2.0
MINIMISED_FMAX_EV_A = 0.25
MINIMISER_STEPS = 80
HOTTEST_K = 5000.0
#: A bond longer than this multiple of the sum of the covalent radii is broken.
BROKEN = 1.5
#: Columns of the log, and the one more of a run whose forces come from a committee (docs/potentials.md).
COLUMNS = ("step", "time_ps", "potential_energy_eV", "kinetic_energy_eV", "temperature_K", "wall_energy_eV")
DISAGREEMENT = "disagreement_eV_A"
_PROGRESS_S = 10.0


def columns(settings: ComputedTrajectory) -> tuple[str, ...]:
    """Columns of the log of a run."""
    return (*COLUMNS, DISAGREEMENT) if settings.has_committee else COLUMNS


@dataclass(frozen=True, slots=True)
class Schedule:
    """Whole numbers of steps: of the run, between frames, and at the end of each segment."""

    steps: int
    save_steps: int
    ends: tuple[int, ...]

    def bounds(self, segment: int) -> tuple[int, int]:
        """First and last step of a segment, counted from 1."""
        return (0, *self.ends)[segment - 1], self.ends[segment - 1]


def schedule(settings: ComputedTrajectory, block_steps: int = BLOCK_STEPS) -> Schedule:
    """Turn times into steps; segments end on the grid of blocks.

    Raises
    ------
    StudyError
        `save_every_fs` is no multiple of `timestep_fs`, or there are more segments than blocks.
    """
    steps = round(settings.length_ps * 1000 / settings.timestep_fs)
    save_steps = round(settings.save_every_fs / settings.timestep_fs)
    if abs(save_steps * settings.timestep_fs - settings.save_every_fs) > 1e-9:
        raise StudyError(
            f"save_every_fs: {settings.save_every_fs:g} is no multiple of timestep_fs {settings.timestep_fs:g}; "
            f"set {save_steps * settings.timestep_fs:g}"
        )
    if save_steps > steps:
        raise StudyError(f"save_every_fs: {settings.save_every_fs:g} is longer than length_ps {settings.length_ps:g}")
    blocks = max(1, round(steps / block_steps))
    if settings.segments > blocks:
        raise StudyError(
            f"segments: {settings.segments} segments of {steps} steps are shorter than {block_steps} steps each; "
            f"set segments: {blocks}"
        )
    ends = [block_steps * round(number * blocks / settings.segments) for number in range(1, settings.segments)]
    return Schedule(steps, save_steps, (*ends, steps))


@dataclass(frozen=True, slots=True)
class State:
    """Everything that decides how a run goes on.

    Attributes
    ----------
    masses_u
        Masses of the dynamics, atomic mass units, (n_atoms,); those of H may be raised.
    residues
        Number of the molecule of each atom, (n_atoms,).
    bonds
        Pairs of bonded atoms, (n_bonds, 2).
    wall_radius_A
        Distance from the centre of mass at which a molecule meets the wall, Å; inf for a box.
    cell_A
        Edges of the periodic cell, Å, (3,); zeros for a droplet.
    momenta
        In ASE's units, (n_atoms, 3).
    generator
        State of the random generator as JSON.
    """

    numbers: NDArray[np.int64]
    masses_u: NDArray[np.float64]
    residues: NDArray[np.int64]
    bonds: NDArray[np.int64]
    charge: int
    multiplicity: int
    wall_radius_A: float
    cell_A: NDArray[np.float64]
    positions_A: NDArray[np.float64]
    momenta: NDArray[np.float64]
    generator: str
    step: int

    def atoms(self) -> Atoms:
        """The system as ASE moves it."""
        periodic = bool(self.cell_A.any())
        return Atoms(
            self.numbers, self.positions_A, masses=self.masses_u, momenta=self.momenta, pbc=periodic,
            cell=self.cell_A if periodic else None,
        )  # fmt: skip

    def rng(self) -> np.random.Generator:
        """The random generator as it stood."""
        stored = json.loads(self.generator)
        bits = getattr(np.random, stored["bit_generator"])()
        bits.state = stored
        return np.random.Generator(bits)

    def save(self, path: Path, **more: Any) -> None:
        """Write atomically, with further arrays beside the state."""
        arrays: dict[str, Any] = {name: np.asarray(getattr(self, name)) for name in self.__slots__} | more
        write_atomically(path, lambda temporary: np.savez(temporary, **arrays))

    @classmethod
    def load(cls, path: Path) -> State:
        """Read what `save` wrote.

        Raises
        ------
        TrajectoryError
            The file is missing, torn, or no checkpoint.
        """
        stored = load_arrays(path)
        try:
            values: dict[str, Any] = {name: stored[name] for name in cls.__slots__}
        except KeyError as problem:
            raise TrajectoryError(f"{path}: is no checkpoint of 'solvation md' ({problem} is missing)") from problem
        return cls(**{name: value.item() if value.ndim == 0 else value for name, value in values.items()})


def load_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Arrays of a checkpoint by name.

    Raises
    ------
    TrajectoryError
        The file is missing or torn.
    """
    import struct
    import zipfile
    import zlib

    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (
        OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, struct.error,
        # An unknown way of packing, and encryption.
        NotImplementedError, RuntimeError,
    ) as problem:  # fmt: skip
        raise TrajectoryError(
            f"{path}: cannot be read as a checkpoint ({problem}); delete it and run again"
        ) from problem


def _calculator(state: State, settings: MolecularDynamics) -> Walled:
    if settings.level is None:
        raise StudyError(f"potential: the weights of '{settings.potential}' are not given; add --weights")
    inner = calculator_for(settings.level, charge=state.charge, multiplicity=state.multiplicity)
    return Walled(inner, state.masses_u, state.residues, state.wall_radius_A)


def prepare(
    system: PackedSystem, settings: MolecularDynamics, rng: np.random.Generator, say: Say | None = None
) -> State:
    """Minimise a packed system, give it velocities, and return the state at step 0.

    A droplet that was packed at random settles in MMFF94 first (`packing.settled`): after that, tight binding starts
    with a filled first shell and 4 eV lower. One that was cut out of a box, and a box that goes on, keep theirs. FIRE
    at the level of the run takes off the rest (at most `MINIMISER_STEPS` steps; it need not converge). Velocities are
    drawn from Maxwell and Boltzmann's distribution for the masses of the dynamics.

    Raises
    ------
    EngineFailed
        The engine failed, or the minimisation broke a bond.
    """
    from ase.optimize import FIRE

    if settings.cut_from is None:
        system = settled(system)
    numbers = system.atoms.numbers
    masses_u = np.where(numbers == 1, settings.hydrogen_mass_u, atomic_masses[numbers])
    state = State(
        numbers=numbers, masses_u=masses_u, residues=system.residue_ids, bonds=system.bonds, charge=system.charge,
        multiplicity=system.multiplicity,
        wall_radius_A=np.inf if system.radius_A is None else system.radius_A + WALL_MARGIN_A,
        cell_A=np.full(3, system.cell_A or 0.0), positions_A=system.positions_A,
        momenta=np.zeros_like(system.positions_A), generator=stored_generator(rng), step=0,
    )  # fmt: skip
    atoms = state.atoms()
    atoms.calc = _calculator(state, settings)
    descent = FIRE(atoms, logfile=None)
    spoken = time.monotonic()
    for _ in descent.irun(fmax=MINIMISED_FMAX_EV_A, steps=MINIMISER_STEPS):
        if say and time.monotonic() - spoken > _PROGRESS_S:
            spoken = time.monotonic()
            fmax = float(np.linalg.norm(atoms.get_forces(), axis=1).max())
            say(f"minimise: step {descent.nsteps} of at most {MINIMISER_STEPS}, largest force {fmax:.2f} eV/Å")
    check_bonds(state, atoms.positions, "while it was minimised")
    width = np.sqrt(masses_u * units.kB * settings.temperature_K)[:, None]
    momenta = width * rng.standard_normal(atoms.positions.shape)
    return replace(state, positions_A=atoms.positions, momenta=momenta, generator=stored_generator(rng))


def stored_generator(rng: np.random.Generator) -> str:
    """State of a random generator as JSON."""
    return json.dumps(rng.bit_generator.state)


def check_bonds(state: State, positions_A: NDArray[np.float64], when: str) -> None:
    """Refuse a structure in which a covalent bond of the molecules is broken.

    Raises
    ------
    EngineFailed
        With the atoms, the distance, and `when`.
    """
    first, second = state.bonds.T
    lengths = np.linalg.norm(positions_A[first] - positions_A[second], axis=1)
    radii = covalent_radii[state.numbers]
    broken = np.flatnonzero(~(lengths < BROKEN * (radii[first] + radii[second])))
    if broken.size:
        worst = int(broken[0])
        one, other = int(first[worst]), int(second[worst])
        names = [f"{chemical_symbols[state.numbers[index]]}{index + 1}" for index in (one, other)]
        raise EngineFailed(
            f"the bond {names[0]}-{names[1]} broke {when}: {lengths[worst]:.2f} Å; "
            "shorten timestep_fs, lower density_g_cm3, or choose another level"
        )


@dataclass(frozen=True, slots=True)
class Piece:
    """A state, and the frames and rows of the log since the start of its segment.

    Attributes
    ----------
    frames_A
        Å, (n_frames, n_atoms, 3).
    rows
        Values of `COLUMNS`, (n_frames, 6).
    """

    state: State
    frames_A: NDArray[np.float32]
    rows: NDArray[np.float64]


#: Runs a block from a state: settings, steps, steps between frames, and what is called with step and temperature.
Advance = Callable[[State, Any, int, int, Callable[[int, float], None] | None], Piece]


def advance(
    state: State,
    settings: MolecularDynamics,
    steps: int,
    save_steps: int,
    tick: Callable[[int, float], None] | None = None,
) -> Piece:
    """Run one block from `state` with a fresh calculator.

    The integrator is BAOAB: its averages of the structure stay right at time steps at which others heat the bonds.

    Parameters
    ----------
    tick
        Called after every step with its number and the temperature, K.

    Raises
    ------
    EngineFailed
        The engine failed or the run blew up; the message names step and time.
    Astray
        The members of its potential disagree more than `max_disagreement_eV_A`.

    References
    ----------
    Leimkuhler & Matthews, J. Chem. Phys. 138, 174102 (2013).
    """
    from ase.md.langevinbaoab import LangevinBAOAB

    atoms, rng = state.atoms(), state.rng()
    atoms.calc = calculator = _calculator(state, settings)
    frames, rows = [], []
    motion = None
    for step in range(state.step + 1, state.step + steps + 1):
        when = f"at step {step} ({step * settings.timestep_fs / 1000:.4f} ps)"
        try:
            motion = motion or LangevinBAOAB(
                atoms, settings.timestep_fs * units.fs, temperature_K=settings.temperature_K,
                T_tau=1000 * units.fs / settings.friction_per_ps, rng=rng,
            )  # fmt: skip
            motion.step()
        except EngineFailed as problem:
            raise EngineFailed(f"{problem}; md stopped {when}") from problem
        temperature_K = _temperature_K(state, atoms, settings.timestep_fs, when)
        apart = largest_disagreement_eV_A(calculator.spread_eV_A, atoms, settings.max_disagreement_eV_A, when)
        if step % save_steps == 0:
            frames.append(atoms.positions.astype(np.float32))
            row = (step, step * settings.timestep_fs / 1000, calculator.level_energy_eV, atoms.get_kinetic_energy(),
                   temperature_K, calculator.wall_energy_eV, apart)  # fmt: skip
            rows.append(row[: len(columns(settings))])
        if tick:
            tick(step, temperature_K)
    end = replace(
        state,
        positions_A=atoms.positions,
        momenta=atoms.get_momenta(),
        generator=stored_generator(rng),
        step=state.step + steps,
    )
    return Piece(
        end, np.array(frames, np.float32).reshape(-1, len(atoms), 3), np.array(rows).reshape(-1, len(columns(settings)))
    )


def _temperature_K(state: State, atoms: Atoms, timestep_fs: float, when: str) -> float:
    """Kinetic temperature of all 3N degrees of freedom, K; refuses a run that blew up.

    Of the momenta before the last half kick: at full steps those of BAOAB are too small by (omega dt)2 / 4.
    """
    middle = atoms.get_momenta() - timestep_fs * units.fs / 2 * atoms.get_forces()
    temperature_K: float = float(np.mean(middle**2 / state.masses_u[:, None])) / units.kB
    if not np.isfinite(atoms.positions).all() or not temperature_K < HOTTEST_K:
        raise EngineFailed(f"the run blew up {when}: {temperature_K:.0f} K; shorten timestep_fs")
    check_bonds(state, atoms.positions, when)
    return temperature_K
