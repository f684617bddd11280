"""Where dearer forces begin: a droplet cut out of a classical frame, or the whole box of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from ase.data import atomic_masses, atomic_numbers
from numpy.typing import NDArray

from solvation.dynamics.images import nearest_images_A
from solvation.dynamics.langevin import State
from solvation.errors import StructureError
from solvation.liquids.packing import PackedSystem, radius_of_sphere_A
from solvation.species import Molecule

#: Atomic numbers, and bonds in the numbering of the molecule.
_Kind = tuple[tuple[int, ...], frozenset[tuple[int, int]]]


def cut_droplet(
    state: State, molecules: Mapping[str, Molecule], composition: Mapping[str, int], *, density_g_cm3: float
) -> PackedSystem:
    """Take the first bare ion of `composition`, and of each species the copies whose closest atom is nearest to it.

    Molecules stay whole and as they were; the ion comes to the origin.

    Parameters
    ----------
    state
        Of the box, whose molecules are known by their elements and bonds.
    composition
        Copies of each species.
    density_g_cm3
        Gives the radius of the droplet, unless a centre of mass lies further out.

    Raises
    ------
    StructureError
        The composition has no bare ion, the state no cell, or fewer copies than are asked for.
    """
    names = _in_order(composition, molecules)
    if not molecules[names[0]].is_ion or not state.cell_A.any():
        raise StructureError("a droplet is cut around a bare ion, out of a periodic box")
    present = _residues(state)
    centre_A = np.zeros(3)
    chosen: list[Molecule] = []
    places: list[NDArray[np.float64]] = []
    for name in names:
        copies = _copies(state, present, molecules[name])
        if len(copies) < composition[name]:
            raise StructureError(f"composition: {composition[name]} {name} of {len(copies)} in the box; take fewer")
        if not chosen:
            centre_A = copies[0][0]
        near = sorted((_beside(place - centre_A, state.cell_A) for place in copies), key=lambda item: item[0])
        places += [place for _, place in near[: composition[name]]]
        chosen += [molecules[name]] * composition[name]
    mass_u = np.concatenate([_masses_u(molecule) for molecule in chosen])
    middle_A = mass_u @ np.concatenate(places) / mass_u.sum()
    centres_A = [_masses_u(one) @ place / _masses_u(one).sum() for one, place in zip(chosen, places, strict=True)]
    reach_A = max(float(np.linalg.norm(one - middle_A)) for one in centres_A)
    radius_A = max(radius_of_sphere_A(float(mass_u.sum()), density_g_cm3), reach_A)
    return PackedSystem(tuple(chosen), np.concatenate(places), None, radius_A)


def whole_box(state: State, molecules: Mapping[str, Molecule], composition: Mapping[str, int]) -> PackedSystem:
    """Take a periodic box as it stands, molecules in the order of a packed one.

    Raises
    ------
    StructureError
        It is no cube, or its composition is another one.
    """
    edge_A = float(state.cell_A[0])
    if not edge_A or np.ptp(state.cell_A) > 1e-6 * edge_A:
        raise StructureError("only a cube goes on as a box")
    present = _residues(state)
    chosen: list[Molecule] = []
    places: list[NDArray[np.float64]] = []
    for name in _in_order(composition, molecules):
        copies = _copies(state, present, molecules[name])
        if len(copies) != composition[name]:
            raise StructureError(f"composition: {composition[name]} {name}, but the box holds {len(copies)}")
        places += copies
        chosen += [molecules[name]] * len(copies)
    if len(chosen) != len(present):
        raise StructureError(f"composition: {len(chosen)} molecules of the {len(present)} in the box; name all of them")
    return PackedSystem(tuple(chosen), np.concatenate(places), edge_A, None)


def _in_order(composition: Mapping[str, int], molecules: Mapping[str, Molecule]) -> list[str]:
    """Species as they stand in a packed system."""
    return sorted(composition, key=lambda name: molecules[name].order)


def _copies(
    state: State, present: Sequence[tuple[NDArray[np.int64], _Kind]], molecule: Molecule
) -> list[NDArray[np.float64]]:
    """Coordinates of each molecule of one species, Å."""
    kind = _kind(molecule)
    return [state.positions_A[atoms] for atoms, found in present if found == kind]


def _residues(state: State) -> list[tuple[NDArray[np.int64], _Kind]]:
    """Atoms of each molecule of the box, and what it is."""
    starts = np.flatnonzero(np.diff(state.residues, prepend=-1))
    owner = state.residues[state.bonds[:, 0]] if len(state.bonds) else np.zeros(0, dtype=np.int64)
    found: list[tuple[NDArray[np.int64], _Kind]] = []
    for start, stop in zip(starts, [*starts[1:], len(state.residues)], strict=True):
        atoms = np.arange(start, stop)
        own = state.bonds[owner == state.residues[start]] - start
        pairs = frozenset((int(one), int(other)) for one, other in own)
        found.append((atoms, (tuple(state.numbers[atoms].tolist()), pairs)))
    return found


def _kind(molecule: Molecule) -> _Kind:
    return tuple(atomic_numbers[symbol] for symbol in molecule.symbols), molecule.bonds


def _beside(place_A: NDArray[np.float64], cell_A: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """The periodic image whose closest atom is nearest to the origin, and that distance."""
    images = nearest_images_A(place_A, cell_A)
    distances = np.linalg.norm(images, axis=1)
    closest = int(np.argmin(distances))
    return float(distances[closest]), place_A + (images[closest] - place_A[closest])


def _masses_u(molecule: Molecule) -> NDArray[np.float64]:
    return np.asarray(atomic_masses[[atomic_numbers[symbol] for symbol in molecule.symbols]])
