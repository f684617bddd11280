"""A walk of windows in a box: which donors are led to the ion, and what the frames of each window hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solvation.dynamics.equilibration import at_temperature
from solvation.dynamics.images import nearest_images_A
from solvation.dynamics.langevin import State, stored_generator
from solvation.dynamics.segments import opened_frames, refuse_damaged
from solvation.errors import StudyError, TrajectoryError
from solvation.profiles.free_energy import Window
from solvation.profiles.umbrella import nearest_A
from solvation.study import Bias, ClassicalDynamics, Profile


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The first ion of a box and everything that could hold it.

    Attributes
    ----------
    ion
        Its atom.
    donors
        All donor atoms, (n_donors,).
    molecules
        Number of the molecule of each donor, (n_donors,).
    species
        Of each molecule with donors.
    led
        Those of the donors that the bias acts on, (n_donors,).
    out_first
        Whether one that is led stands at the ion where the walk begins.
    """

    ion: int
    donors: NDArray[np.int64]
    molecules: NDArray[np.int64]
    species: Mapping[int, str]
    led: NDArray[np.bool_]
    out_first: bool = False

    def distances_A(self, positions_A: NDArray[Any], edges_A: NDArray[Any]) -> NDArray[np.float64]:
        """Distances of the donors from the ion, nearest images, (n_donors,), Å.

        Parameters
        ----------
        positions_A
            (n_atoms, 3).
        edges_A
            Of the rectangular box, (3,).
        """
        apart = positions_A[self.donors] - positions_A[self.ion]
        return np.asarray(np.linalg.norm(nearest_images_A(apart, edges_A), axis=1), dtype=float)

    def shell(self, distances_A: NDArray[np.float64], contact_A: float) -> Counter[str]:
        """Molecules of each species with a donor at the ion."""
        return Counter(self.species[int(one)] for one in np.unique(self.molecules[distances_A < contact_A]))


def surroundings(
    topology: Path, center: str | None, donors: Mapping[str, str], begin: Path, settings: Profile
) -> Surroundings:
    """Find the ion and the donors of a box, and those that are led: of every copy of the ligand but the held ones.

    Parameters
    ----------
    topology
        `topology.pdb` of the box.
    center, donors
        Selections of the ions, and of each `<species> <kind>` of donors, as `donors.json` of the box has them.
    begin
        Its last checkpoint, where the walk begins; those nearest to the ion there are held.

    Raises
    ------
    StudyError
        The box has no bare ion, or the ligand has no such donors.
    TrajectoryError
        Fewer copies stand at the ion where the box ends than are held; or a file cannot be read.
    """
    import MDAnalysis as mda

    if not center:
        raise StudyError(f"box: {settings.box} holds no bare ion to lead {settings.ligand} to")
    universe = mda.Universe(str(topology))
    parts = [(*kind.split(" ", 1), universe.select_atoms(chosen).indices) for kind, chosen in donors.items()]
    is_led = [name == settings.ligand and settings.donor in {None, kind} for name, kind, _ in parts]
    if not any(is_led):
        known = ", ".join(kind for name, kind, _ in parts if name == settings.ligand)
        raise StudyError(f"donor: {settings.ligand} has no '{settings.donor}' in {settings.box}; it has: {known}")
    atoms = np.concatenate([found for _, _, found in parts]).astype(np.int64)
    molecules = universe.atoms.resindices[atoms].astype(np.int64)
    names = np.concatenate([[name] * len(found) for name, _, found in parts])
    found = Surroundings(
        int(universe.select_atoms(center).indices[0]), atoms, molecules,
        {int(number): str(name) for number, name in zip(molecules, names, strict=True)},
        np.concatenate([np.full(len(found), led) for led, (_, _, found) in zip(is_led, parts, strict=True)]),
    )  # fmt: skip
    start = State.load(begin)
    distances_A = found.distances_A(start.positions_A, start.cell_A)
    copies = {
        number: float(distances_A[molecules == number].min())
        for number, name in found.species.items()
        if name == settings.ligand
    }
    order = sorted(copies, key=lambda number: copies[number])
    at_ion = sum(distance_A < settings.contact_A for distance_A in copies.values())
    if at_ion < settings.held or len(copies) == settings.held:
        # A finding of the run, not a mistake of the study, which goes on without it.
        raise TrajectoryError(
            f"held: {at_ion} of {len(copies)} {settings.ligand} stand at the ion where {settings.box} ends, so "
            f"{settings.held} cannot be held and one more be led; lower it, or draw_in some"
        )
    led = found.led & ~np.isin(molecules, order[: settings.held])
    return replace(found, led=led, out_first=at_ion > settings.held)


def beginning(end: State, box: ClassicalDynamics, seed: int, name: str) -> State:
    """The end of a box as the beginning of a walk: steps, velocities and random numbers of its own.

    Two walks in one box would else be one run, and their mean no better than either.
    """
    rng = np.random.default_rng([seed, *name.encode()])
    return at_temperature(replace(end, step=0, generator=stored_generator(rng)), box)


def read_walk(parts: Sequence[Path], found: Surroundings, settings: Profile) -> tuple[list[Window], list[Window]]:
    """What the frames of each window hold, those left out in which it settles.

    Parameters
    ----------
    parts
        Checkpoints of the windows in order; their frames stand beside them.

    Returns
    -------
    inwards, outwards
        Windows of the way in and of the way out, in the order in which they were run.

    Raises
    ------
    TrajectoryError
        Frames cannot be read, or there are other windows than the settings ask for.
    ResultsError
        Frames or log of a window are damaged; its checkpoint is taken away, so that it is run again.
    """
    if len(parts) != settings.n_windows:
        raise TrajectoryError(f"{parts[0].parent}: {len(parts)} windows of {settings.n_windows}; run the missing ones")
    refuse_damaged(parts)
    windows = [
        _window(part.with_suffix(".xtc"), settings.bias(number, out_first=found.out_first), found, settings)
        for number, part in enumerate(parts, start=1)
    ]
    there, back = windows[: len(windows) // 2], windows[len(windows) // 2 :]
    return (back, there) if found.out_first else (there, back)


def _window(frames: Path, bias: Bias, found: Surroundings, settings: Profile) -> Window:
    nearest, at_ion, shells = [], [], []
    with opened_frames(frames) as stream:
        first_ps = None
        for frame in stream:
            first_ps = frame.time if first_ps is None else first_ps
            if frame.time - first_ps < settings.settle_ps:
                continue
            distances_A = found.distances_A(10 * np.asarray(frame.x, dtype=float), 10 * np.diag(frame.box))
            shell = found.shell(distances_A, settings.contact_A)
            nearest.append(float(nearest_A(distances_A[found.led])))
            at_ion.append(shell[settings.ligand])
            shells.append(" + ".join(f"{count} {name}" for name, count in sorted(shell.items())) or "none")
    if not nearest:
        raise TrajectoryError(f"{frames}: no frame after settle_ps ({settings.settle_ps:g}); shorten save_every_fs")
    return Window(bias, np.array(nearest), np.array(at_ion), tuple(shells))
