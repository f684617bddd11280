"""Is every species of a cluster one stereoisomer? Otherwise its free ligands are not those of its complex."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from solvation.species import Molecule
from solvation.stereo import check_one_isomer, is_chiral, open_isomers


def check_isomers(molecules: Iterable[Molecule]) -> None:
    """Refuse molecules whose SMILES leave open which of several stereoisomers they are.

    A hand alone may be open: mirror images of a free molecule have the same energy.

    Raises
    ------
    SpeciesError
        With the SMILES to choose from.
    """
    for molecule in molecules:
        check_one_isomer(f"species.{molecule.name}", molecule.graph)


def mixed_hands(shells: Iterable[Mapping[str, int]], molecules: Mapping[str, Molecule]) -> list[str]:
    """Warnings of molecules whose hand is open where chiral ones share a shell: hands in it make diastereomers.

    Parameters
    ----------
    shells
        Compositions.
    """
    chiral = {name: open_isomers(one.graph) for name, one in molecules.items() if is_chiral(one.graph)}
    sharing = {
        name
        for shell in shells
        if sum(count for member, count in shell.items() if member in chiral) > 1
        for name in shell
    }
    return [
        f"warning: species.{name}: its SMILES leaves the hand open, and chiral molecules that share a shell stand "
        f"there in whichever hands the search finds; write {found[0]} or its mirror image"
        for name, found in chiral.items()
        if found and name in sharing
    ]
