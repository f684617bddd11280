"""Variations of a shell: one of its ligands placed anew, or some of its bonds turned, the others left where they are.

A random start has to have every ligand right at once; a variation of a good shell only one. The lowest end of the shell
of a flexible ligand comes out lower so than from as many random starts (docs/sampling.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdMolTransforms
from rdkit.Chem.Lipinski import RotatableBondSmarts

from solvation.clusters.checks import bound_donors
from solvation.clusters.placement import ForceField, Start, choose_donors, place
from solvation.clusters.shell import Shell
from solvation.species import Molecule

_MOST_TURNS = 3


def varied(
    shell: Shell,
    field: ForceField,
    positions_A: NDArray[np.float64],
    conformers: Sequence[Sequence[NDArray[np.float64]]],
    denticity: Sequence[int | None],
    rng: np.random.Generator,
    *,
    fully: bool,
) -> Start:
    """Change one ligand of a shell and part what overlaps, or relax all of it by the force field.

    Half of the time the ligand is a flexible one. Of a flexible ligand either up to three bonds are turned, around the
    donor that holds it, or it is placed anew in another conformer, one as often as the other.

    Parameters
    ----------
    positions_A
        The shell, Å, (n_atoms, 3), the ion first.
    conformers, denticity
        As for `random_start`.

    References
    ----------
    Li & Scheraga, PNAS 84, 6611 (1987): minimisation after each random change.
    """
    turning = {number: turning_bonds(molecule) for number, molecule in enumerate(shell.molecules) if number}
    flexible = [number for number, bonds in turning.items() if bonds]
    numbers = flexible if flexible and rng.random() < 0.5 else list(turning)
    number = numbers[int(rng.integers(len(numbers)))]
    molecule, offset = shell.molecules[number], shell.offsets[number]
    own = slice(offset, offset + len(molecule.symbols))
    moved = positions_A - positions_A[0]
    touched, apart_A = shell.touched(moved)
    held = [
        (int(touched[donor]), donor)
        for other, found in bound_donors(shell, moved).items()
        if other != number
        for donor in found
    ]
    if turning[number] and rng.random() < 0.5:
        anchor = min((site.index for site in shell.sites_of(molecule)), key=lambda one: float(apart_A[offset + one]))
        moved[own] = turned(molecule, moved[own], turning[number], anchor, rng)
        held.append((int(touched[offset + anchor]), offset + anchor))
    else:
        chosen = choose_donors(shell, number, denticity[number], rng)
        choices = conformers[number]
        geometry = choices[int(rng.integers(len(choices)))]
        moved[own], at = place(shell, geometry, offset, chosen[0], np.delete(moved, own, axis=0), rng)
        held += [(at, offset + donor) for donor in chosen]
    return field.relax(moved, held, fully=fully)


def turning_bonds(molecule: Molecule) -> list[tuple[int, int, int, int]]:
    """Chains of four heavy atoms around the bonds that turn freely: one before, both ends, and one after."""
    found = []
    for first, second in molecule.graph.GetSubstructMatches(RotatableBondSmarts):
        before, after = _heavy_beside(molecule, first, second), _heavy_beside(molecule, second, first)
        # RDKit counts a methyl where hydrogens are atoms; turning it changes nothing.
        if before and after:
            found.append((before[0], first, second, after[0]))
    return found


def patience(molecules: Sequence[Molecule]) -> int:
    """How many rounds of variations in a row may find nothing lower: one, and one more for three bonds that turn."""
    return 1 + sum(len(turning_bonds(molecule)) for molecule in molecules) // 3


def rounds_over(molecules: Sequence[Molecule], lowest_eV: Sequence[float], least_eV: float) -> bool:
    """Whether so many rounds at the end as `patience` allows brought less than `least_eV`.

    `lowest_eV` has the lowest energy before the first round and after each.
    """
    last = lowest_eV[-patience(molecules) - 1 :]
    gains = [before - after for before, after in pairwise(last)]
    return len(gains) == patience(molecules) and max(gains) < least_eV


def turned(
    molecule: Molecule,
    positions_A: NDArray[np.float64],
    bonds: Sequence[tuple[int, int, int, int]],
    anchor: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Turn one to three bonds to any angle; what is on the side of the anchor stays where it is, (n_atoms, 3)."""
    apart = Chem.GetDistanceMatrix(molecule.graph)
    graph = molecule.graph_at(positions_A)
    conformer = graph.GetConformer()
    count = int(rng.integers(1, min(_MOST_TURNS, len(bonds)) + 1))
    for chosen in rng.choice(len(bonds), size=count, replace=False):
        chain = bonds[int(chosen)]
        # RDKit moves the side of the third atom.
        if apart[anchor, chain[1]] > apart[anchor, chain[2]]:
            chain = chain[::-1]
        rdMolTransforms.SetDihedralDeg(conformer, *chain, float(rng.uniform(-180, 180)))
    return np.array(conformer.GetPositions())


def _heavy_beside(molecule: Molecule, index: int, other: int) -> list[int]:
    beside = molecule.graph.GetAtomWithIdx(index).GetNeighbors()
    return [one.GetIdx() for one in beside if one.GetIdx() != other and one.GetAtomicNum() > 1]
