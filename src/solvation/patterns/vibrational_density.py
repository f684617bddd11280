"""Vibrational density of states, from velocities or from displacements between frames that are close enough."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase.data import atomic_masses, atomic_numbers
from ase.units import _amu, _k
from numpy.typing import NDArray

from solvation.errors import TrajectoryError
from solvation.tidy import write_rows
from solvation.trajectory.frames import Trajectory
from solvation.trajectory.window import BLOCKS, frames_in_blocks, symbols_of
from solvation.transport.displacements import Unwrapper
from solvation.uncertainty import block_error

TOTAL = "total"
#: Speed of light, cm/ps.
_C_CM_PS = 0.0299792458
#: Files of single precision round the difference of two times by up to this share of them, and so does the one before.
_ROUNDED = 2.5e-7
#: Fastest vibrations, 1/cm: of O-H and C-H; of C=N and C=O where there is no hydrogen.
_WITH_H, _WITHOUT_H = 4000.0, 2400.0
#: Windows that a run has to hold: with fewer there is no error.
_LEAST_WINDOWS = 3


@dataclass(frozen=True, slots=True)
class VibrationRow:
    """Density of states of one element, or of all, at one wavenumber."""

    trajectory: str
    part: str
    wavenumber_cm: float
    density_cm: float
    density_stderr_cm: float


@dataclass(frozen=True, slots=True)
class VibrationalDensity:
    """Density of states; all arrays share the axis of wavenumbers, (n_bins,).

    Attributes
    ----------
    density
        Element, or `total` -> share of the kinetic energy per 1/cm; that of `total` integrates to 1 and is the sum of
        the others. In the harmonic limit every mode has the same share.
    stderr
        Standard errors from stretches of the run, NaN with fewer than three.
    source
        `velocities` of the file, or `displacements`.
    temperature_K
        Of all that moves, with three degrees of freedom an atom: low by their share where bonds are rigid.
    """

    wavenumber_cm: NDArray[np.float64]
    density: dict[str, NDArray[np.float64]]
    stderr: dict[str, NDArray[np.float64]]
    source: str
    temperature_K: float
    frame_ps: float
    n_windows: int


def vibrational_density(
    trajectory: Trajectory,
    *,
    selection: str = "all",
    resolution_cm: float = 15.0,
    skip_ps: float = 0.0,
    every: int = 1,
) -> VibrationalDensity:
    r"""Power spectrum of the velocities, weighted with the masses.

    .. math:: D(\nu) \propto \sum_j m_j \left| \int v_j(t) w(t) e^{-2\pi i \nu c t} dt \right|^2

    with Hann's window w, averaged over windows that overlap by half (Welch). Without velocities in the file they are
    the displacements from frame to frame (as with LAMMPS dumps, which do not tell the unit of velocities), whose
    spectrum is divided by :math:`(\sin x / x)^2, x = \pi \nu c \Delta t`:
    what a difference loses of a harmonic motion.

    Parameters
    ----------
    resolution_cm
        Distance of the wavenumbers, 1/cm; a window lasts 1 / (c resolution): 2.2 ps for 15.

    Raises
    ------
    TrajectoryError
        The file holds no times, frames are too far apart for the fastest vibrations, not evenly spaced, or too few.

    References
    ----------
    Welch, IEEE Trans. Audio Electroacoust. 15, 70 (1967).
    """
    atoms = trajectory.select(selection)
    symbols = symbols_of(trajectory, atoms)
    known = trajectory.masses_u()
    masses = atomic_masses[[atomic_numbers[symbol] for symbol in symbols]] if known is None else known[atoms]
    elements = sorted(set(symbols))
    member = np.array([symbols == element for element in elements])
    fastest_cm = _WITH_H if "H" in elements else _WITHOUT_H
    source, moving = _moving(trajectory, atoms, skip_ps, every, fastest_cm=fastest_cm)
    welch = _Welch(moving, resolution_cm, masses, member)
    if welch.n_windows < _LEAST_WINDOWS:
        lasts = f"{welch.length_ps:.3g} ps" if welch.n_steps else "nothing"
        raise TrajectoryError(
            f"{trajectory.source}: {lasts} hold fewer than {_LEAST_WINDOWS} windows of "
            f"{1 / (_C_CM_PS * resolution_cm):.3g} ps; run longer, or ask for less resolution (--resolution-cm)"
        )
    size, weights, spectra = welch.size, welch.weights, welch.spectra
    # Files of single precision round the times of a long run: one step tells less than all of them.
    frame_ps = welch.length_ps / welch.n_steps
    _refuse_sparse(trajectory, frame_ps, fastest_cm)
    frequency: NDArray[np.float64] = np.fft.rfftfreq(size, frame_ps).astype(float)
    spectra *= np.where((frequency > 0) & (2 * frequency * frame_ps < 1), 2.0, 1.0)[:, None]
    if source == "displacements":
        spectra /= (frame_ps * np.sinc(frequency * frame_ps)[:, None]) ** 2
    used = weights > 0
    # Sum of m v2 over atoms, u Å2/ps2, of each stretch of the run.
    blocks = spectra[used] / weights[used][:, None, None] / (size * np.sum(_hann(size) ** 2))
    mean = np.average(blocks, axis=0, weights=weights[used])
    kinetic = float(mean.sum())
    kelvin = kinetic * _amu * 1e4 / (3 * len(atoms) * _k)
    width = 1 / (_C_CM_PS * size * frame_ps)
    parts = {TOTAL: blocks.sum(axis=2)} | {name: blocks[:, :, place] for place, name in enumerate(elements)}
    shares = {name: part / blocks.sum(axis=(1, 2))[:, None] / width for name, part in parts.items()}
    density = {name: np.average(part, axis=0, weights=weights[used]) for name, part in parts.items()}
    return VibrationalDensity(
        frequency / _C_CM_PS, {name: part / kinetic / width for name, part in density.items()},
        {name: block_error(share) for name, share in shares.items()}, source, kelvin, frame_ps, welch.n_windows,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Step:
    """What moved since the frame before.

    Attributes
    ----------
    motion
        Velocities, Å/ps, or displacements, Å, (n_atoms, 3).
    frame_ps
        Time between the first two frames, as the file has it.
    block
        Number of the stretch of the run.
    """

    motion: NDArray[np.float64]
    time_ps: float
    frame_ps: float
    block: int


class _Welch:
    """Sums of the spectra of windows that overlap by half, for each stretch of the run.

    Attributes
    ----------
    size
        Steps of a window; 0 where nothing moved.
    spectra
        (n_blocks, n_frequencies, n_elements), weighted with the masses.
    weights
        Windows of each stretch, (n_blocks,).
    n_steps, length_ps
        How many steps there were, and the time from the first frame to the last.
    """

    def __init__(
        self,
        moving: Iterator[_Step],
        resolution_cm: float,
        masses: NDArray[np.float64],
        member: NDArray[np.bool_],
    ) -> None:
        self.size = self.n_steps = self.n_windows = 0
        self.length_ps = 0.0
        self.spectra, self.weights = np.zeros(0), np.zeros(BLOCKS)
        waiting: list[_Step] = []
        begin_ps = math.nan
        for step in moving:
            if not self.size:
                begin_ps = step.time_ps - step.frame_ps
                self.size = 2 * max(8, round(1 / (_C_CM_PS * resolution_cm * step.frame_ps) / 2))
                self.spectra = np.zeros((BLOCKS, self.size // 2 + 1, len(member)))
            waiting.append(step)
            self.n_steps += 1
            self.length_ps = step.time_ps - begin_ps
            if len(waiting) < self.size:
                continue
            motion = np.stack([one.motion for one in waiting])
            power = np.abs(np.fft.rfft(motion * _hann(self.size)[:, None, None], axis=0)) ** 2
            block = waiting[self.size // 2].block
            self.spectra[block] += np.einsum("fax,a,ea->fe", power, masses, member)
            self.weights[block] += 1
            self.n_windows += 1
            waiting = waiting[self.size // 2 :]


def _hann(size: int) -> NDArray[np.float64]:
    return np.asarray(np.hanning(size + 1)[:-1])


def _moving(
    trajectory: Trajectory, atoms: NDArray[np.int64], skip_ps: float, every: int, *, fastest_cm: float
) -> tuple[str, Iterator[_Step]]:
    """Where the motion comes from, and the motion by frame."""
    reader = trajectory.universe.trajectory
    told = trajectory.is_random_access and bool(getattr(reader.ts, "has_velocities", False))
    # A LAMMPS dump does not tell their unit: Å/fs in units real, Å/ps in units metal.
    told = told and reader.format != "LAMMPSDUMP"
    return ("velocities" if told else "displacements"), _steps(trajectory, atoms, skip_ps, every, told, fastest_cm)


def _steps(
    trajectory: Trajectory, atoms: NDArray[np.int64], skip_ps: float, every: int, told: bool, fastest_cm: float
) -> Iterator[_Step]:
    unwrapper, last_ps, frame_ps = Unwrapper(), math.nan, math.nan
    for number, (block, frame) in enumerate(frames_in_blocks(trajectory, skip_ps, every, atoms)):
        # The reader stands at the frame that it just gave.
        ts = trajectory.universe.trajectory.ts
        if told and not ts.has_velocities:
            raise TrajectoryError(
                f"{trajectory.source}: the frame at {frame.time_ps:g} ps has no velocities, others have; write them "
                "with every frame, or leave them out"
            )
        motion = ts.velocities[atoms].astype(float) if told else unwrapper.step(frame.positions_A, frame.box_A)
        rounded_ps = _ROUNDED * abs(frame.time_ps)
        if number == 1:
            frame_ps = frame.time_ps - last_ps
            _refuse_sparse(trajectory, frame_ps - rounded_ps, fastest_cm)
        elif number > 1 and abs(frame.time_ps - last_ps - frame_ps) > 0.1 * frame_ps + rounded_ps:
            raise TrajectoryError(
                f"{trajectory.source}: frames are not evenly spaced at {frame.time_ps:g} ps; write them at one interval"
            )
        last_ps = frame.time_ps
        if number:
            yield _Step(motion, frame.time_ps, frame_ps, block)


def _refuse_sparse(trajectory: Trajectory, frame_ps: float, fastest_cm: float) -> None:
    if not frame_ps > 0:
        raise TrajectoryError(
            f"{trajectory.source}: holds no times; give the time between frames (timestep_ps, --timestep-ps)"
        )
    seen_cm = 1 / (2 * frame_ps * _C_CM_PS)
    if seen_cm < fastest_cm:
        raise TrajectoryError(
            f"{trajectory.source}: frames every {1000 * frame_ps:.3g} fs show vibrations up to {seen_cm:.0f} 1/cm, and "
            f"faster ones, to {fastest_cm:.0f}, would pass for slow ones; save a frame every "
            f"{1000 / (2 * fastest_cm * _C_CM_PS):.1f} fs or more often"
        )


def write_vibrations(found: VibrationalDensity, path: Path, trajectory: str) -> None:
    """Write `vibrations.csv` (docs/scattering.md)."""
    rows = [
        VibrationRow(trajectory, part, *(float(value) for value in row))
        for part, density in found.density.items()
        for row in zip(found.wavenumber_cm, density, found.stderr[part], strict=True)
    ]
    write_rows(path, VibrationRow, rows)
