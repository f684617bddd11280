"""How far a fitted potential is from its level on frames that it has not seen, and whether its committee knows that."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from solvation.engines import energy_forces
from solvation.engines.mace import disagreement_eV_A
from solvation.potentials.frames import ENERGY, FORCES
from solvation.study import Level

#: The model that is the mean of all members.
COMMITTEE = "committee"


@dataclass(frozen=True, slots=True)
class PotentialRow:
    """Errors of one model on the held-out frames of one trajectory.

    Attributes
    ----------
    model
        `member 1`, ..., or `committee`: the mean of all members.
    level
        Of the labels.
    energy_offset_meV_atom
        Mean of (model - label) over the held-out frames. It moves no atom.
    energy_rmse_meV_atom
        Root mean square of (model - label) after that offset is taken off.
    energy_spread_meV_atom
        Standard deviation of the labels themselves: what an error has to be small against.
    force_rmse_meV_A
        Root mean square over the components of the forces of all atoms.
    force_rmse_percent
        Of the root mean square of the labels' forces.
    disagreement_meV_A
        Root mean square over atoms of the spread of the committee; NaN for its members.
    largest_disagreement_eV_A
        Of an atom in any of these frames: a run has to be allowed this much.
    error_over_disagreement
        Root mean square error of the force vectors of atoms over that of their spread: 1 for a committee that knows
        its error, more for one that is too sure.
    correlation
        Of error and spread over atoms and frames (Pearson).
    note
        Why there is no number.
    """

    potential: str
    trajectory: str
    model: str
    level: str
    n_fitted: int
    n_held_out: int
    energy_offset_meV_atom: float
    energy_rmse_meV_atom: float
    energy_spread_meV_atom: float
    force_rmse_meV_A: float
    force_rmse_percent: float
    disagreement_meV_A: float
    largest_disagreement_eV_A: float
    error_over_disagreement: float
    correlation: float
    note: str


@dataclass(frozen=True, slots=True)
class Predicted:
    """What models say of frames, or what a level labelled them with.

    Attributes
    ----------
    energies_eV
        (..., n_frames).
    forces_eV_A
        (..., n_frames, n_atoms, 3).
    """

    energies_eV: NDArray[np.float64]
    forces_eV_A: NDArray[np.float64]


def assess(potential: str, trajectory: str, frames: Sequence[Atoms], weights: Sequence[Level]) -> list[PotentialRow]:
    """Judge a potential by the held-out frames of one trajectory.

    Parameters
    ----------
    frames
        All labelled frames of the trajectory.
    weights
        Level of each member.

    Raises
    ------
    EngineFailed
        With the last words of the member that failed.
    """
    unseen = [atoms for atoms in frames if atoms.info["held_out"]]
    labels = Predicted(
        np.array([atoms.info[ENERGY] for atoms in unseen]), np.array([atoms.arrays[FORCES] for atoms in unseen])
    )
    told = [[energy_forces(atoms, level, charge=int(atoms.info["charge"])) for atoms in unseen] for level in weights]
    members = Predicted(
        np.array([[energy for energy, _ in one] for one in told]),
        np.array([[forces for _, forces in one] for one in told]),
    )
    counts = (len(frames) - len(unseen), len(unseen))
    return list(rows(potential, trajectory, str(frames[0].info["level"]), counts, labels, members))


def rows(
    potential: str, trajectory: str, level: str, counts: tuple[int, int], labels: Predicted, members: Predicted
) -> Iterator[PotentialRow]:
    """Errors of each member and of their mean; `members` has an axis of members before those of `labels`."""
    n_members, _, n_atoms = members.forces_eV_A.shape[:3]
    spread_meV = 1000 * float(np.std(labels.energies_eV)) / n_atoms
    for number in range(n_members + 1):
        together = number == n_members
        energies = members.energies_eV.mean(axis=0) if together else members.energies_eV[number]
        forces = members.forces_eV_A.mean(axis=0) if together else members.forces_eV_A[number]
        wrong_meV = 1000 * (energies - labels.energies_eV) / n_atoms
        wrong = forces - labels.forces_eV_A
        known = _calibration(np.linalg.norm(wrong, axis=2), members.forces_eV_A if together else None)
        yield PotentialRow(
            potential, trajectory, COMMITTEE if together else f"member {number + 1}", level, *counts,
            energy_offset_meV_atom=float(wrong_meV.mean()), energy_rmse_meV_atom=float(wrong_meV.std()),
            energy_spread_meV_atom=spread_meV, force_rmse_meV_A=1000 * _rms(wrong),
            force_rmse_percent=100 * _rms(wrong) / _rms(labels.forces_eV_A), disagreement_meV_A=1000 * known[0],
            largest_disagreement_eV_A=known[1], error_over_disagreement=known[2], correlation=known[3], note="",
        )  # fmt: skip


def _calibration(
    wrong_eV_A: NDArray[np.float64], members_eV_A: NDArray[np.float64] | None
) -> tuple[float, float, float, float]:
    """Spread (rms and largest, eV/Å), error over spread, and their correlation; NaN where there is no spread."""
    if members_eV_A is None or len(members_eV_A) < 2:
        return (math.nan,) * 4
    n_members, n_frames, n_atoms = members_eV_A.shape[:3]
    spread = disagreement_eV_A(members_eV_A.reshape(n_members, n_frames * n_atoms, 3)).reshape(n_frames, n_atoms)
    if not spread.any():
        return 0.0, 0.0, math.nan, math.nan
    alike = float(np.corrcoef(spread.ravel(), wrong_eV_A.ravel())[0, 1])
    return _rms(spread), float(spread.max()), _rms(wrong_eV_A) / _rms(spread), alike


def _rms(values: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(values**2)))
