"""Angles at an ion: between two of its donors, and between the ion, a donor and what the donor is bonded to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from solvation.errors import TrajectoryError
from solvation.shells.coordination import contact_distance_A
from solvation.tidy import write_rows
from solvation.trajectory.frames import Frame, Trajectory
from solvation.trajectory.neighbours import PairFinder, cells_A
from solvation.trajectory.window import BLOCKS, frames_in_blocks, refuse_own_donors, symbols_of
from solvation.uncertainty import block_error


class NoShell(TrajectoryError):
    """No donor ever comes near an ion, so that there are no angles."""


@dataclass(frozen=True, slots=True)
class AngleRow:
    """One bin of the distribution of one kind of angle."""

    trajectory: str
    angle: str
    theta_deg: float
    density_per_deg: float
    density_stderr_per_deg: float
    over_isotropic: float
    mean_deg: float
    mean_stderr_deg: float
    n_angles: int


@dataclass(frozen=True, slots=True)
class AngleDistribution:
    """Distribution of one kind of angle; all arrays share the bin axis, (n_bins,).

    Attributes
    ----------
    theta_deg
        Bin centres.
    density
        Share of the angles per degree; integrates to 1.
    density_stderr
        Standard error from blocks of frames, NaN with fewer than three blocks that hold any.
    over_isotropic
        `density` over that of random directions, sin(theta) / 2: 1 where nothing is preferred.
    mean_deg, mean_stderr_deg
        Mean angle; error from the same blocks.
    n_angles
        Angles counted, of all frames.
    """

    theta_deg: NDArray[np.float64]
    density: NDArray[np.float64]
    density_stderr: NDArray[np.float64]
    over_isotropic: NDArray[np.float64]
    mean_deg: float
    mean_stderr_deg: float
    n_angles: int


class AngleHistogram:
    """Counts angles of several kinds by block of frames."""

    def __init__(self, names: list[str], n_bins: int) -> None:
        """Take the names of the kinds, and the number of bins from 0 to 180 degrees."""
        self.names = names
        self._edges = np.linspace(0.0, np.pi, n_bins + 1)
        self._counts = np.zeros((BLOCKS, len(names), n_bins))
        self._sums = np.zeros((BLOCKS, len(names)))

    def add(self, block: int, kind: NDArray[np.int64], one: NDArray[np.float64], other: NDArray[np.float64]) -> None:
        """Count the angles between vectors, (n, 3) each, of kinds, (n,)."""
        cosine = np.sum(one * other, axis=1) / (np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1))
        theta = np.arccos(np.clip(cosine, -1.0, 1.0))
        n_bins = len(self._edges) - 1
        bins = np.minimum((theta / np.pi * n_bins).astype(np.int64), n_bins - 1)
        flat = np.bincount(kind * n_bins + bins, minlength=len(self.names) * n_bins)
        self._counts[block] += flat.reshape(len(self.names), n_bins)
        self._sums[block] += np.bincount(kind, weights=np.degrees(theta), minlength=len(self.names))

    def result(self) -> dict[str, AngleDistribution]:
        """Distributions of the kinds that were met."""
        centres = np.degrees((self._edges[:-1] + self._edges[1:]) / 2)
        width = float(np.degrees(self._edges[1]))
        # Of random directions: the share of the sphere in the ring of each bin.
        random = (np.cos(self._edges[:-1]) - np.cos(self._edges[1:])) / 2 / width
        found = {}
        for number, name in enumerate(self.names):
            counts, total = self._counts[:, number], self._counts[:, number].sum()
            if not total:
                continue
            density = counts.sum(axis=0) / total / width
            met = counts.sum(axis=1) > 0
            blocks = counts[met] / counts[met].sum(axis=1, keepdims=True) / width
            means = self._sums[met, number] / counts[met].sum(axis=1)
            found[name] = AngleDistribution(
                centres, density, block_error(blocks), density / random, float(self._sums[:, number].sum() / total),
                float(block_error(means[:, None])[0]), int(total),
            )  # fmt: skip
        return found


def analyze_angles(
    trajectory: Trajectory,
    *,
    center: str,
    donors: Mapping[str, str],
    cutoffs_A: Mapping[str, float] | None = None,
    n_bins: int = 90,
    skip_ps: float = 0.0,
    every: int = 1,
    own_molecule: bool = False,
) -> dict[str, AngleDistribution]:
    """Angles of the first shells: `A-Li-B` between two donors, and `Li-A-C` at a donor towards a bonded C.

    Parameters
    ----------
    center
        MDAnalysis selection of the ions.
    donors
        Donor kind -> MDAnalysis selection.
    cutoffs_A
        Donor kind -> end of its first shell; where it is missing, the farthest contact of the two elements (1.4 times
        the sum of their covalent radii).
    n_bins
        From 0 to 180 degrees.
    own_molecule
        Count donors of the ion's own molecule, which otherwise are left out.

    Raises
    ------
    NoShell
        No donor comes near.
    TrajectoryError
        A selection matches nothing, all donors of a kind are in the molecule of the ion, elements are not known
        where a cutoff is missing, or a cutoff does not fit the box.
    """
    ions = trajectory.select(center)
    kinds = {kind: trajectory.select(text) for kind, text in donors.items()}
    named = np.concatenate(list(kinds.values()))
    if len(np.unique(named)) != len(named) or np.intersect1d(named, ions).size:
        raise TrajectoryError("donors and ions share atoms; let each atom belong to one selection")
    molecule_of = trajectory.molecule_of
    if not own_molecule:
        refuse_own_donors(ions, kinds, molecule_of)
    ion = "/".join(sorted(trajectory.elements(ions))) or "ion"
    reach_A = np.array([_cutoff_A(trajectory, ions, kind, kinds[kind], cutoffs_A or {}) for kind in kinds])
    kind_of = np.repeat(np.arange(len(kinds)), [len(item) for item in kinds.values()])
    bonded = _bonded(trajectory, named)
    partners = np.array([other for _, other in bonded], dtype=np.int64)
    atoms = np.unique(np.concatenate([ions, named, partners]))
    place = {int(atom): number for number, atom in enumerate(atoms)}
    shell = _Shell(
        ions=np.searchsorted(atoms, ions), donors=np.searchsorted(atoms, named), kind=kind_of, n_kinds=len(reach_A),
        bond_donor=np.array([number for number, _ in bonded], dtype=np.int64),
        bond_atom=np.array([place[int(atom)] for atom in partners], dtype=np.int64),
    )  # fmt: skip
    names = list(kinds)
    between = [f"{one}-{ion}-{other}" for at, one in enumerate(names) for other in names[at:]]
    symbols = symbols_of(trajectory, partners).tolist() if bonded else []
    at_donor = [f"{ion}-{names[kind_of[number]]}-{end}" for (number, _), end in zip(bonded, symbols, strict=True)]
    towards = list(dict.fromkeys(at_donor))
    histogram = AngleHistogram([*between, *towards], n_bins)
    toward_of = np.array([len(between) + towards.index(item) for item in at_donor], dtype=np.int64)
    finder = PairFinder(
        shell.ions, shell.donors, float(reach_A.max()), kind=kind_of, reach_A=reach_A,
        molecules=None if own_molecule else (molecule_of[ions], molecule_of[named]),
    )  # fmt: skip
    for block, frame in frames_in_blocks(trajectory, skip_ps, every, atoms):
        _count(histogram, block, frame, shell, finder, toward_of)
    found = histogram.result()
    if not found:
        raise NoShell(f"{trajectory.source}: no donor comes within {reach_A.max():.2f} Å of an ion")
    return found


@dataclass(frozen=True, slots=True)
class _Shell:
    """Atoms of the shells, as places among the atoms that are read.

    Attributes
    ----------
    kind
        Kind of each donor, (n_donors,).
    bond_donor, bond_atom
        Number of a donor and place of an atom bonded to it, (n_bonds,), ordered by donor.
    """

    ions: NDArray[np.int64]
    donors: NDArray[np.int64]
    kind: NDArray[np.int64]
    n_kinds: int
    bond_donor: NDArray[np.int64]
    bond_atom: NDArray[np.int64]


def _count(
    histogram: AngleHistogram, block: int, frame: Frame, shell: _Shell, finder: PairFinder, toward: NDArray[np.int64]
) -> None:
    pairs = finder.find(frame)
    ion, donor = pairs.ion, pairs.donor
    position, n_kinds = frame.positions_A, shell.n_kinds
    arm = _nearest(position[shell.donors[donor]] - position[shell.ions[ion]], frame.box_A)
    kind = shell.kind[donor]
    # Pairs stand by ion: those that are `shift` rows apart and share the ion are two of its donors.
    for shift in range(1, len(ion)):
        same = np.flatnonzero(ion[shift:] == ion[:-shift])
        if not len(same):
            break
        low, high = np.sort([kind[same], kind[same + shift]], axis=0)
        number = low * n_kinds - low * (low - 1) // 2 + high - low
        histogram.add(block, number, arm[same], arm[same + shift])
    first = np.searchsorted(shell.bond_donor, donor)
    count = np.searchsorted(shell.bond_donor, donor, side="right") - first
    row = np.repeat(np.arange(len(donor)), count)
    bond = np.repeat(first - np.cumsum(count) + count, count) + np.arange(count.sum())
    away = _nearest(position[shell.bond_atom[bond]] - position[shell.donors[donor[row]]], frame.box_A)
    histogram.add(block, toward[bond], -arm[row], away)


def _nearest(apart_A: NDArray[np.float64], box_A: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Nearest images of short vectors, (n, 3)."""
    if box_A is None:
        return apart_A
    cell = cells_A(box_A[None])[0]
    fractional = apart_A @ np.linalg.inv(cell)
    return np.asarray((fractional - np.rint(fractional)) @ cell)


def _cutoff_A(
    trajectory: Trajectory,
    ions: NDArray[np.int64],
    kind: str,
    atoms: NDArray[np.int64],
    told: Mapping[str, float],
) -> float:
    reach_A = told.get(kind, np.nan)
    if not np.isfinite(reach_A):
        reach_A = contact_distance_A(trajectory.elements(ions), trajectory.elements(atoms))
    if not np.isfinite(reach_A):
        raise TrajectoryError(
            f"donor '{kind}': no contact distance is known here, so its shell has no end; give it (--cutoff)"
        )
    return float(reach_A)


def _bonded(trajectory: Trajectory, donors: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Number of each donor with the atoms bonded to it: by the topology, else by the distances of the first frame."""
    universe = trajectory.universe
    if not len(getattr(universe, "bonds", ())):
        # LAMMPS data files without bonds have an empty list of them.
        if hasattr(universe, "bonds"):
            universe.del_TopologyAttr("bonds")
        from solvation.trajectory.ase_frames import covalent_bonds

        universe.add_TopologyAttr("bonds", covalent_bonds(_first_atoms(trajectory)))
    number = {int(atom): place for place, atom in enumerate(donors)}
    found = []
    for one, other in np.asarray(universe.bonds.indices).tolist():
        found += [(number[atom], partner) for atom, partner in ((one, other), (other, one)) if atom in number]
    return sorted(found)


def _first_atoms(trajectory: Trajectory) -> object:
    from ase import Atoms

    frame = next(trajectory.frames())
    symbols = symbols_of(trajectory, np.arange(len(trajectory.universe.atoms)))
    return Atoms(list(symbols), frame.positions_A, cell=frame.box_A, pbc=frame.box_A is not None)


def write_angles(found: Mapping[str, AngleDistribution], path: Path, trajectory: str) -> None:
    """Write `angles.csv` (docs/scattering.md)."""
    rows = [
        AngleRow(
            trajectory, name, float(theta), float(density), float(error), float(over), one.mean_deg,
            one.mean_stderr_deg, one.n_angles,
        )
        for name, one in found.items()
        for theta, density, error, over in zip(
            one.theta_deg, one.density, one.density_stderr, one.over_isotropic, strict=True
        )
    ]  # fmt: skip
    write_rows(path, AngleRow, rows)
