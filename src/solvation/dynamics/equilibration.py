"""A packed box finds its density and its temperature, and says whether it has."""

from __future__ import annotations

import csv
import hashlib
import io
import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from ase import units
from ase.data import atomic_masses
from ase.units import _amu, _Nav
from numpy.typing import NDArray

from solvation.dynamics.classical import BLOCK_STEPS, Mover, Place
from solvation.dynamics.drift import Drift, drift_of
from solvation.dynamics.langevin import Say, State, load_arrays, stored_generator
from solvation.errors import EngineFailed, OutOfTime, StructureError, TrajectoryError
from solvation.liquids.openmm_system import in_cell, write_system
from solvation.liquids.packing import PackedSystem
from solvation.provenance import write_text
from solvation.study import ClassicalDynamics
from solvation.tidy import read_rows
from solvation.walltime import MARGIN_S

Stage = Literal["npt", "nvt"]
_STAGES: tuple[Stage, ...] = ("npt", "nvt")
_SAMPLE_FS = 200.0
_MINIMISER_KJ_MOL_NM = 100.0
_MINIMISER_STEPS = 2000
_CHECKPOINT_SHARE, _PROGRESS_S = 0.01, 10.0
_G_CM3 = _amu * 1e3 / 1e-24


@dataclass(frozen=True, slots=True)
class Sample:
    """A row of `equilibration.csv`."""

    stage: str
    time_ps: float
    density_g_cm3: float
    potential_energy_eV: float
    temperature_K: float


COLUMNS = tuple(field.name for field in fields(Sample))


def read_drifts(path: Path) -> tuple[Drift, ...]:
    """Density, potential energy and temperature of a box, out of its `equilibration.csv`; as `Equilibrated.drifts`.

    Raises
    ------
    ResultsError
        The table is missing or cannot be read.
    """
    rows = read_rows(path, Sample)
    density = [row.density_g_cm3 for row in rows if row.stage == "npt"]
    energy = [row.potential_energy_eV for row in rows if row.stage == "nvt"]
    kelvin = [row.temperature_K for row in rows if row.stage == "nvt"]
    return _drifts(np.array(density), np.array(energy), np.array(kelvin))


def _drifts(
    density: NDArray[np.float64], energy: NDArray[np.float64], kelvin: NDArray[np.float64]
) -> tuple[Drift, ...]:
    return (
        drift_of("density", "g/cm3", density), drift_of("potential_energy", "eV", energy),
        drift_of("temperature", "K", kelvin),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Equilibrated:
    """A box with its density, ready to run.

    Attributes
    ----------
    rows
        Values of `COLUMNS` but the first, of both stages, (n, 4).
    n_npt
        How many rows are of the first stage.
    """

    state: State
    rows: NDArray[np.float64]
    n_npt: int

    @property
    def drifts(self) -> tuple[Drift, ...]:
        """Density at constant pressure, g/cm3; potential energy, eV, and temperature, K, at constant volume."""
        return _drifts(self.rows[: self.n_npt, 1], self.rows[self.n_npt :, 2], self.rows[self.n_npt :, 3])

    def table(self) -> str:
        """The rows as CSV."""
        stream = io.StringIO()
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(COLUMNS)
        for number, row in enumerate(self.rows):
            table.writerow([_STAGES[number >= self.n_npt], *(f"{value:.9g}" for value in row)])
        return stream.getvalue()


def equilibrate(
    state: State,
    system: Any,
    settings: ClassicalDynamics,
    place: Place,
    *,
    partial: Path,
    prepare: Callable[[State], State] | None = None,
    say: Say | None = None,
    block_steps: int = BLOCK_STEPS,
    time_left_s: float = math.inf,
) -> Equilibrated:
    """Minimise, run at constant pressure, take the mean volume of its second half, run at that volume.

    What was done so far waits in `partial`: the same call goes on from there. Interrupted (Ctrl-C, SIGTERM), it
    writes that file at once.

    Parameters
    ----------
    state
        The packed box at rest.
    system
        Its OpenMM system.
    prepare
        Called with the packed box before anything else is, unless something is there to go on from.
    time_left_s
        Wall time granted; a block that would not end in time is not begun.

    Raises
    ------
    OutOfTime
        The time ends first; the same call goes on.
    StructureError
        The box is too small for the cutoff.
    EngineFailed
        OpenMM failed.
    """
    import openmm

    _check_room(state, settings)
    identity = _identity(state, openmm.XmlSerializer.serialize(system), settings, block_steps)
    lengths = {stage: _steps(settings, stage) for stage in _STAGES}
    if (resumed := _resumed(partial, identity, say)) is None:
        state = prepare(state) if prepare else state
        state = at_temperature(minimised(state, system, place, say), settings)
        rows = np.zeros((0, len(COLUMNS) - 1))
    else:
        state, rows = resumed
    saver = _Saver(partial, identity)
    sample = _sample_steps(settings)
    n_npt = lengths["npt"] // sample
    ends, longest_s = time.monotonic() + time_left_s, 0.0
    try:
        for stage in _STAGES:
            mover = Mover(system, place, pressure_bar=settings.pressure_bar if stage == "npt" else None)
            first = 0 if stage == "npt" else lengths["npt"]
            if stage == "nvt" and state.step == first:
                state = _at_density(state, float(rows[n_npt // 2 : n_npt, 1].mean()))
            while state.step < first + lengths[stage]:
                began = time.monotonic()
                if began + longest_s + MARGIN_S > ends:
                    saver.save_now()
                    raise OutOfTime(f"equilibration: the time granted ends; kept up to step {state.step}")
                steps = min(block_steps, first + lengths[stage] - state.step)
                state, rows = _block(mover, state, settings, steps, rows)
                saver.save(state, rows)
                longest_s = max(longest_s, time.monotonic() - began)
                if say and saver.is_time_to_speak(state.step == first + lengths[stage]):
                    _, density, energy_eV, temperature_K = rows[-1]
                    say(
                        f"{stage}: step {state.step - first} of {lengths[stage]}, {density:.4f} g/cm3, "
                        f"{temperature_K:.0f} K, {energy_eV:.2f} eV"
                    )
    except KeyboardInterrupt:
        saver.save_now()
        raise
    # The run counts its own steps from 0.
    return Equilibrated(replace(state, step=0), rows, n_npt)


def _block(
    mover: Mover, state: State, settings: ClassicalDynamics, steps: int, rows: NDArray[np.float64]
) -> tuple[State, NDArray[np.float64]]:
    """One block, and a row of the log for each of its samples."""
    sample = _sample_steps(settings)
    volumes: list[float] = []
    piece = mover(state, settings, steps, sample, volumes=volumes.append)
    densities = [_density(state, volume) for volume in volumes]
    more = np.column_stack([piece.rows[:, 1], densities, piece.rows[:, 2], piece.rows[:, 4]])
    return piece.state, np.concatenate([rows, more])


def density_g_cm3(state: State) -> float:
    """Density of a box, g/cm3, with the true mass of H."""
    return _density(state, float(np.prod(state.cell_A)))


def _density(state: State, volume_A3: float) -> float:
    return float(atomic_masses[state.numbers].sum() * _G_CM3 / volume_A3)


def molarities(system: PackedSystem, state: State) -> dict[str, float]:
    """Concentration of each species, mol/L."""
    litres = float(np.prod(state.cell_A)) * 1e-27
    counts = Counter(molecule.name for molecule in system.molecules)
    return {name: count / _Nav / litres for name, count in counts.items()}


def _sample_steps(settings: ClassicalDynamics) -> int:
    return max(1, round(_SAMPLE_FS / settings.timestep_fs))


def _steps(settings: ClassicalDynamics, stage: Stage) -> int:
    """Whole number of samples in a stage, at least four."""
    length_fs = 1000 * (settings.npt_ps if stage == "npt" else settings.nvt_ps)
    sample = _sample_steps(settings)
    return sample * max(4, round(length_fs / settings.timestep_fs / sample))


def _check_room(state: State, settings: ClassicalDynamics) -> None:
    edge_A = float(state.cell_A[0])
    if 2 * settings.cutoff_A > edge_A:
        raise StructureError(
            f"cutoff_A {settings.cutoff_A:g} is more than half of the box of {edge_A:.1f} Å; "
            f"take more molecules or cutoff_A below {edge_A / 2:.1f}"
        )


def minimised(state: State, system: Any, place: Place, say: Say | None) -> State:
    """Go downhill from a packed box until no force is large.

    Raises
    ------
    EngineFailed
        OpenMM failed.
    """
    import openmm
    from openmm import unit

    try:
        context = place.context(system, openmm.VerletIntegrator(0.001))
        context.setPositions(state.positions_A / 10)
        openmm.LocalEnergyMinimizer.minimize(context, _MINIMISER_KJ_MOL_NM, _MINIMISER_STEPS)
        now = context.getState(positions=True, energy=True)
    except openmm.OpenMMException as problem:
        raise EngineFailed(f"OpenMM could not minimise the packed box: {problem}") from problem
    if say:
        energy = now.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)
        say(f"minimised on {place.name}: {energy:.1f} kJ/mol")
    return replace(state, positions_A=now.getPositions(asNumpy=True).value_in_unit(unit.angstrom))


def at_temperature(state: State, settings: ClassicalDynamics) -> State:
    """Velocities after Maxwell and Boltzmann; the first step takes out what is along constraints."""
    rng = state.rng()
    width = np.sqrt(state.masses_u * units.kB * settings.temperature_K)[:, None]
    momenta = width * rng.standard_normal(state.positions_A.shape)
    return replace(state, momenta=momenta, generator=stored_generator(rng))


def _at_density(state: State, wanted_g_cm3: float) -> State:
    """Move whole molecules apart or together until the cube has this density."""
    factor = (density_g_cm3(state) / wanted_g_cm3) ** (1 / 3)
    total = np.bincount(state.residues, weights=state.masses_u)
    centres = np.stack(
        [np.bincount(state.residues, weights=state.masses_u * x) / total for x in state.positions_A.T], axis=1
    )
    moved = state.positions_A + (factor - 1) * centres[state.residues]
    return replace(state, positions_A=moved, cell_A=state.cell_A * factor)


def _identity(state: State, system: str, settings: ClassicalDynamics, block_steps: int) -> str:
    parts = [
        state.generator, state.positions_A.tobytes().hex(), system, settings.model_dump_json(), str(settings.REVISION),
        str(block_steps),
    ]  # fmt: skip
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _resumed(partial: Path, identity: str, say: Say | None) -> tuple[State, NDArray[np.float64]] | None:
    if not partial.is_file():
        return None
    try:
        stored = load_arrays(partial)
    except TrajectoryError as problem:
        if say:
            say(f"{problem.args[0].partition(';')[0]}; the equilibration starts anew")
        return None
    if str(stored.get("identity")) != identity:
        if say:
            say(f"{partial.name} belongs to other settings and is not used")
        return None
    state = State.load(partial)
    if say:
        say(f"resumed from {partial.name} at step {state.step}")
    return state, stored["rows"]


class _Saver:
    """Keeps what was done so far, as often as a hundredth of the time allows."""

    def __init__(self, partial: Path, identity: str) -> None:
        self._partial, self._identity = partial, identity
        self._written = self._spoken = time.monotonic()
        self._cost = 0.0
        self._done: tuple[State, NDArray[np.float64]] | None = None

    def save(self, state: State, rows: NDArray[np.float64]) -> None:
        """Write when the last time is long enough ago."""
        self._done = (state, rows)
        if time.monotonic() - self._written > self._cost / _CHECKPOINT_SHARE:
            self.save_now()

    def save_now(self) -> None:
        """Write what was done, unless it is written."""
        if self._done is None:
            return
        began = time.monotonic()
        state, rows = self._done
        state.save(self._partial, rows=rows, identity=self._identity)
        self._done = None
        self._written = time.monotonic()
        self._cost = self._written - began

    def is_time_to_speak(self, at_the_end: bool) -> bool:
        """Whether the last line of progress is old."""
        now = time.monotonic()
        if not at_the_end and now - self._spoken < _PROGRESS_S:
            return False
        self._spoken = now
        return True


def verdict(found: Equilibrated, system: PackedSystem) -> dict[str, Any]:
    """Density, concentrations and drifts as plain data; errors that are not known are None."""
    drifts = found.drifts
    density = drifts[0]
    return {
        "density_g_cm3": density.mean,
        "density_stderr_g_cm3": None if math.isnan(density.stderr) else density.stderr,
        "molarity": molarities(system, found.state),
        "is_settled": all(drift.is_settled for drift in drifts),
        "verdicts": [drift.verdict for drift in drifts],
    }


def write_equilibrated(found: Equilibrated, system: Any, output: Path) -> None:
    """Write the checkpoint (`output`), and beside it `equilibration.csv` and `system.xml`; the checkpoint last.

    The system gets the cell of the checkpoint, with which scripts of the user and the grid of Ewald's sums begin.
    """
    write_text(output.with_name("equilibration.csv"), found.table())
    write_system(in_cell(system, found.state.cell_A), output.with_name("system.xml"))
    found.state.save(output)
