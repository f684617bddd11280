"""Training sets: frames of a computed trajectory with energies and forces of a level of theory (extxyz)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read, write
from numpy.typing import NDArray

from solvation.dynamics.langevin import Say, State
from solvation.engines import energy_forces
from solvation.errors import ResultsError, StudyError, TrajectoryError
from solvation.failures import refuse_failed
from solvation.provenance import write_atomically
from solvation.study import Level, Potential

#: Keys of the labels; plain `energy` and `forces` would be taken by ASE for results of a calculator.
ENERGY, FORCES = "REF_energy", "REF_forces"


@dataclass(frozen=True, slots=True)
class Split:
    """Numbers of the frames that are fitted and of those that are held out, in order."""

    fitted: NDArray[np.int64]
    held_out: NDArray[np.int64]


def split(n_frames: int, count: int, held_out: float, gap: int) -> Split:
    """Choose frames of a run: the early part is fitted, the last part held out, with a gap between them.

    Neighbours in time are nearly the same frame: chosen at random, each held-out one would lie beside a fitted one,
    and errors would look smaller than they are.

    Parameters
    ----------
    n_frames
        Frames of the run after its equilibration.
    count
        Frames to take, evenly spaced within either part.
    held_out
        Share of them that is held out.
    gap
        Frames between the parts that are not taken.

    Raises
    ------
    TrajectoryError
        The run has too few frames.
    """
    n_out = round(count * held_out)
    available = n_frames - gap
    first = round(available * (1 - held_out))
    if first < count - n_out or available - first < n_out:
        raise TrajectoryError(
            f"{n_frames} frames after the equilibration are too few to take {count} of them and leave {gap} out "
            "between those fitted and those held out; take fewer, or run longer"
        )
    return Split(_spaced(0, first, count - n_out), _spaced(first + gap, n_frames, n_out))


def _spaced(first: int, end: int, count: int) -> NDArray[np.int64]:
    """Evenly spaced whole numbers from `first` to `end` - 1, each once."""
    return np.round(np.linspace(first, end - 1, count)).astype(np.int64)


def choose(start: Path, trajectory: Path, name: str, settings: Potential, skip_ps: float) -> list[Atoms]:
    """Take the frames of one trajectory that a potential is to learn from or to be judged by.

    Parameters
    ----------
    start
        Checkpoint with elements, charge and cell.
    trajectory
        XTC.
    name
        Of the trajectory, which the frames carry.
    skip_ps
        Equilibration.

    Returns
    -------
    list of Atoms
        With `info`: trajectory, frame, time_ps, held_out, charge, multiplicity.
    """
    from MDAnalysis.lib.formats.libmdaxdr import XTCFile

    state = State.load(start)
    with XTCFile(str(trajectory)) as stream:
        times_ps = np.array([frame.time for frame in stream])
        usable = np.flatnonzero(times_ps > skip_ps - 1e-6)
        if len(usable) < 2:
            raise TrajectoryError(f"{trajectory}: holds {len(usable)} frames after {skip_ps:g} ps; run longer")
        gap = int(np.ceil(settings.gap_ps / float(times_ps[usable[1]] - times_ps[usable[0]]) - 1e-6))
        parts = split(len(usable), settings.frames[name], settings.held_out, gap)
        taken = {}
        for number in (*parts.fitted, *parts.held_out):
            stream.seek(int(usable[number]))
            taken[number] = stream.read().x * 10.0
    found = []
    for number, positions_A in taken.items():
        time_ps = float(times_ps[usable[number]])
        # Rounded as the file rounds them: what is labelled is what is read again.
        atoms = Atoms(state.numbers, np.round(positions_A.astype(float), 3), pbc=bool(state.cell_A.any()))
        if state.cell_A.any():
            atoms.set_cell(state.cell_A)
        atoms.info = {
            "trajectory": name, "frame": int(number), "time_ps": round(time_ps, 6),
            "held_out": bool(number in parts.held_out), "charge": state.charge, "multiplicity": state.multiplicity,
        }  # fmt: skip
        found.append(atoms)
    return found


def read_structures(path: Path) -> list[Atoms]:
    """Read structures of the user's, all of which are fitted; `charge` in the head of each is 0 where it is missing.

    Raises
    ------
    StudyError
        The file cannot be read, or holds nothing.
    """
    try:
        stored: list[Atoms] = read(path, index=":", format="extxyz")
    except Exception as problem:  # the reader raises whatever it stumbles over
        raise StudyError(f"{path}: cannot be read as extxyz ({problem}); mend or replace it") from problem
    if not stored:
        raise StudyError(f"{path}: holds no structure; leave it out")
    found = []
    for number, given in enumerate(stored):
        atoms = Atoms(given.numbers, np.round(given.positions, 3), cell=given.cell, pbc=given.pbc)
        state = {key: int(given.info.get(key, plain)) for key, plain in (("charge", 0), ("multiplicity", 1))}
        atoms.info = {"trajectory": path.name, "frame": number, "held_out": False, **state}
        found.append(atoms)
    return found


def label(frames: Sequence[Atoms], level: Level, output: Path, say: Say) -> None:
    """Compute energies and forces of frames and write them as extxyz.

    What was labelled stands in `*.partial.extxyz` until all are: the same call goes on from there.

    Raises
    ------
    EngineFailed
        With the number of the frame and the engine's own last words.
    """
    partial = output.with_suffix(".partial.extxyz")
    known = {
        _key(atoms): (float(atoms.info[ENERGY]), atoms.arrays[FORCES])
        for atoms in (read_frames(partial) if partial.is_file() else [])
    }
    done = []
    for number, bare in enumerate(frames, start=1):
        atoms = bare.copy()
        atoms.info["level"] = str(level)
        if (found := known.get(_key(atoms))) is None:
            state = {key: int(atoms.info[key]) for key in ("charge", "multiplicity")}
            found = energy_forces(bare, level, **state)
        # Everything else, such as which frames are held out, is as it is asked for now.
        atoms.info[ENERGY], atoms.arrays[FORCES] = found
        done.append(atoms)
        if number % 10 == 0 or number == len(frames):
            write_frames(partial, done)
            say(f"labelled {number} of {len(frames)} frames at {level}")
    write_frames(output, done)
    partial.unlink(missing_ok=True)


def _key(atoms: Atoms) -> tuple[str | bytes | int, ...]:
    """What energy and forces depend on."""
    info = atoms.info
    cell = atoms.cell.array if atoms.pbc.any() else np.zeros((3, 3))
    places = [np.round(table * 1000).astype(np.int64).tobytes() for table in (atoms.positions, cell)]
    return str(info["level"]), int(info["charge"]), int(info["multiplicity"]), atoms.numbers.tobytes(), *places


def write_frames(path: Path, frames: Sequence[Atoms]) -> None:
    """Write labelled frames as extxyz, to the last digit that counts."""
    write_atomically(path, lambda temporary: write(temporary, list(frames), format="extxyz"))


def read_frames(path: Path) -> list[Atoms]:
    """Read labelled frames.

    Raises
    ------
    StepFailed
        The labelling failed.
    ResultsError
        The file is damaged.
    """
    refuse_failed(path)
    try:
        frames: list[Atoms] = read(path, index=":", format="extxyz")
    except Exception as problem:  # the reader raises whatever it stumbles over
        raise ResultsError(f"{path}: cannot be read ({problem}); remove it and run the study again") from problem
    for atoms in frames:
        if ENERGY not in atoms.info or FORCES not in atoms.arrays:
            raise ResultsError(f"{path}: a frame has no {ENERGY} or {FORCES}; remove it and run the study again")
    return frames
