"""Terms of one molecule as a file of the user's holds them, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solvation.errors import SpeciesError
from solvation.species import Molecule
from solvation.study.trajectories import Mixing


@dataclass(frozen=True, slots=True)
class FileTerms:
    """Atoms and terms in the order of the file, in the units of `Parameters`.

    Attributes
    ----------
    bonded
        Pairs of atoms that the file calls bonded.
    inner_pairs
        (product of charges in e2, sigma in Å, epsilon in kJ/mol) of pairs of the molecule; None where `scale_14` and
        `is_geometric` tell them.
    mixing
        Rule for sigma that the numbers were made for; None where nothing says so.
    read_as
        What the file itself does not say and was taken from elsewhere, one line; empty where it says everything.
    """

    symbols: tuple[str, ...]
    bonded: tuple[tuple[int, int], ...]
    charges_e: NDArray[np.float64]
    sigma_A: NDArray[np.float64]
    epsilon_kJ_mol: NDArray[np.float64]
    bonds: list[tuple[int, int, float, float]]
    angles: list[tuple[int, int, int, float, float]]
    torsions: list[tuple[int, int, int, int, int, float, float]]
    mixing: Mixing | None
    inner_pairs: dict[tuple[int, int], tuple[float, float, float]] | None = None
    scale_14: tuple[float, float] = (1.0, 1.0)
    is_geometric: bool = False
    read_as: str = ""

    def fields(self, order: list[int]) -> dict[str, Any]:
        """Fields of `Parameters`; `order` is the atom of the file that stands for each one of the molecule."""
        place = {atom: number for number, atom in enumerate(order)}

        def moved(terms: list[Any], n_atoms: int) -> tuple[Any, ...]:
            return tuple((*(place[atom] for atom in term[:n_atoms]), *term[n_atoms:]) for term in terms)

        return {
            "charges_e": self.charges_e[order].tolist(),
            "sigma_A": tuple(self.sigma_A[order].tolist()),
            "epsilon_kJ_mol": tuple(self.epsilon_kJ_mol[order].tolist()),
            "bonds": moved(self.bonds, 2),
            "angles": moved(self.angles, 3),
            "torsions": moved(self.torsions, 4),
            "inner_pairs": None
            if self.inner_pairs is None
            else tuple(
                (*sorted((place[one], place[other])), *terms)
                for (one, other), terms in sorted(self.inner_pairs.items())
            ),
            "scale_14": self.scale_14,
            "is_geometric": self.is_geometric,
            "mixing": self.mixing,
        }


def check_count(where: str, molecule: Molecule, n_atoms: int) -> None:
    """Refuse the file of a whole box, or of another molecule, before its terms are read.

    Raises
    ------
    SpeciesError
        With the mend.
    """
    if n_atoms != molecule.graph.GetNumAtoms():
        raise SpeciesError(
            f"{where} holds {n_atoms} atoms, {molecule.name} has {molecule.graph.GetNumAtoms()}; "
            "give the file of one molecule"
        )
