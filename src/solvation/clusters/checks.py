"""Is a relaxed structure still the cluster that was asked for?

Every rule is about distances and the molecules' own bonds; none looks at an energy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from numpy.typing import NDArray

from solvation.clusters.shell import Shell
from solvation.elements import is_metal
from solvation.stereo import turned_over

#: Two atoms of a ligand are bonded below this multiple of the sum of their covalent radii.
BONDED = 1.25
#: Two that have a neighbour in common are, below this one: in FSI-, S and S across N are 2.5 Å apart, 1.2 radii.
BONDED_ACROSS = 1.05
#: Atoms of different molecules closer than this multiple are a clash, or a new bond.
CLASH = 1.15
#: A hydrogen below this multiple sits on the ion: 2.07 Å for Li-H. In Li(H2O)4+ it is 2.4 Å or more.
ION_ON_HYDROGEN = 1.3
#: A molecule with nothing of the others within this distance has left.
GONE_A = 10.0


def bound_donors(shell: Shell, positions_A: NDArray[np.float64]) -> dict[int, list[int]]:
    """Donor atoms that touch the ion, for each molecule number (1, 2, ...); empty list = not bound.

    Parameters
    ----------
    positions_A
        Coordinates, Å, (n_atoms, 3), the ion first.
    """
    ion_atom, distance_A = shell.touched(positions_A)
    reach_A = shell.reach_A
    bound: dict[int, list[int]] = {number: [] for number in range(1, len(shell.molecules))}
    for number, index, _ in shell.donors:
        if distance_A[index] < reach_A[ion_atom[index], index]:
            bound[number].append(index)
    return bound


@dataclass(frozen=True, slots=True)
class Contact:
    """An atom near the ion: a donor within the first shell, or the nearest of all atoms.

    Attributes
    ----------
    molecule
        Number of its molecule in the shell: 1, 2, ...
    kind
        Of the donor; the element of another atom.
    distance_A
        From the atom of the ion that it touches.
    """

    molecule: int
    ligand: str
    kind: str
    distance_A: float


def contacts(shell: Shell, positions_A: NDArray[np.float64]) -> tuple[Contact, ...]:
    """Every donor that binds the ion, the nearest first; `positions_A` as for `bound_donors`."""
    kinds = _donor_kinds(shell)
    _, distance_A = shell.touched(positions_A)
    found = [
        Contact(number, shell.molecules[number].name, kinds[index], float(distance_A[index]))
        for number, donors in bound_donors(shell, positions_A).items()
        for index in donors
    ]
    return tuple(sorted(found, key=lambda one: one.distance_A))


def nearest_atom(shell: Shell, positions_A: NDArray[np.float64]) -> Contact:
    """The atom nearest to the ion, donor or not; `positions_A` as above."""
    _, distance_A = shell.touched(positions_A)
    index = shell.n_ion + int(np.argmin(distance_A[shell.n_ion :]))
    number = int(shell.fragment[index])
    kind = _donor_kinds(shell).get(index, shell.symbols[index])
    return Contact(number, shell.molecules[number].name, kind, float(distance_A[index]))


def _donor_kinds(shell: Shell) -> dict[int, str]:
    return {index: donor.kind for _, index, donor in shell.donors}


def denticity_label(shell: Shell, positions_A: NDArray[np.float64]) -> str:
    """Through how many donors each ligand binds: `EC:1 EC:1 EC:1 TDA:2`."""
    bound = bound_donors(shell, positions_A)
    return " ".join(
        f"{molecule.name}:{len(bound[number])}" for number, molecule in enumerate(shell.molecules) if number
    )


def fell_apart(shell: Shell, positions_A: NDArray[np.float64]) -> bool:
    """Whether a molecule has nothing of the others near it: a force field may drive ions from each other."""
    from scipy.spatial.distance import cdist

    fragment = shell.fragment
    distance_A = cdist(positions_A, positions_A)
    distance_A[fragment[:, None] == fragment[None]] = np.inf
    nearest_A = distance_A.min(axis=1)
    return any(nearest_A[fragment == number].min() > GONE_A for number in range(len(shell.molecules)))


def broken_or_formed(shell: Shell, positions_A: NDArray[np.float64]) -> str | None:
    """Name the first bond that broke or formed, a proton's included, or what turned over; None when all is as it was.

    What turns over is a centre or a double bond that the molecule's SMILES, or the geometry it is from, marks.
    """

    from scipy.spatial.distance import cdist

    radii = _radii(shell)
    scale = cdist(positions_A, positions_A) / (radii[:, None] + radii[None])
    fragment = shell.fragment
    expected = np.zeros_like(scale, dtype=bool)
    for i, j in shell.bonds:
        expected[i, j] = expected[j, i] = True
    across = (expected.astype(int) @ expected.astype(int)) > 0
    first, second = np.triu_indices(len(radii), k=1)
    same = fragment[first] == fragment[second]
    # A bare ion may come as close to its ligands as it likes: `too_close_to_ion`.
    between = ~same & ((fragment[first] > 0) | (shell.n_ion > 1))
    ratio, wanted = scale[first, second], expected[first, second]
    bonded = np.where(across[first, second], BONDED_ACROSS, BONDED)
    wrong = (wanted & (ratio > BONDED)) | (~wanted & same & (ratio < bonded)) | (between & (ratio < CLASH))
    if not wrong.any():
        return _turned_over(shell, positions_A)
    worst = int(np.flatnonzero(wrong)[0])
    i, j = int(first[worst]), int(second[worst])
    pair = f"{shell.symbols[i]}{i}-{shell.symbols[j]}{j}"
    length = float(np.linalg.norm(positions_A[i] - positions_A[j]))
    if wanted[worst]:
        return f"bond {pair} broke ({length:.2f} Å)"
    if same[worst]:
        return f"bond {pair} formed inside a ligand ({length:.2f} Å)"
    return f"{pair} of two molecules are {length:.2f} Å apart"


def _turned_over(shell: Shell, positions_A: NDArray[np.float64]) -> str | None:
    for number, molecule in enumerate(shell.molecules):
        if (found := turned_over(molecule.graph, positions_A[shell.fragment == number])) is not None:
            return f"{found} in {molecule.name}: it is another stereoisomer"
    return None


def too_close_to_ion(shell: Shell, positions_A: NDArray[np.float64]) -> str | None:
    """Name an atom that sits closer to a bare ion than chemistry allows; None when there is none."""
    if shell.n_ion > 1:
        return None  # `broken_or_formed` has seen to it
    radii = _radii(shell)
    distance = np.linalg.norm(positions_A[1:] - positions_A[0], axis=1)
    ratio = distance / (radii[0] + radii[1:])
    index = int(np.argmin(ratio))
    if ratio[index] < 0.75:
        return f"{shell.symbols[index + 1]}{index + 1} is {distance[index]:.2f} Å from the ion"
    return None


def wrong_denticity(shell: Shell, positions_A: NDArray[np.float64], declared: Mapping[str, int]) -> str | None:
    """Say which ligand left the first shell, or binds through another number of donors than declared."""
    bound = bound_donors(shell, positions_A)
    copies: Counter[str] = Counter()
    for number, molecule in enumerate(shell.molecules):
        if number == 0:
            continue
        copies[molecule.name] += 1
        found = len(bound[number])
        if found == 0:
            return f"{molecule.name} {copies[molecule.name]} is outside the first shell"
        wanted = declared.get(molecule.name)
        if wanted is not None and found != wanted:
            return f"relabelled {denticity_label(shell, positions_A)}: {molecule.name} was declared to bind by {wanted}"
    return None


def fault(shell: Shell, positions_A: NDArray[np.float64], declared: Mapping[str, int]) -> str | None:
    """Why a relaxed structure is not the cluster that was asked for; None when it is."""
    return (
        broken_or_formed(shell, positions_A)
        or too_close_to_ion(shell, positions_A)
        or wrong_denticity(shell, positions_A, declared)
    )


def ion_on_hydrogen(atoms: Atoms) -> str | None:
    """Warn of a hydrogen nearer to a bare cation than a donor's own geometry brings it; None when there is none.

    GFN1-xTB pulls Li+ from the N of trimethylamine onto two methyl hydrogens (1.87 Å); DFT does not. Such a
    structure is kept, because it is a minimum of its level, but energies of other levels see a wrong shape.

    Parameters
    ----------
    atoms
        A complex, the ion first, with the array `fragment`.
    """
    hydrogens = [index for index, symbol in enumerate(atoms.symbols) if symbol == "H" and index]
    if not hydrogens or not is_metal(atoms.symbols[0]):
        return None
    nearest = float(atoms.get_distances(0, hydrogens).min())
    limit = ION_ON_HYDROGEN * float(covalent_radii[atoms.numbers[0]] + covalent_radii[1])
    if nearest >= limit:
        return None
    return f"a hydrogen is {nearest:.2f} Å from the ion, likely an artefact of the geometry level: relax at DFT"


def _radii(shell: Shell) -> NDArray[np.float64]:
    return np.array([covalent_radii[atomic_numbers[symbol]] for symbol in shell.symbols])
