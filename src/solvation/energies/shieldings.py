"""What an ion does to the magnetic resonance of its ligands: shieldings in the complex against the free molecules.

The shift is that of a spectrum referenced to the free ligand, delta = sigma(free) - sigma(complex): positive moves to
higher ppm. It is one complex at rest, in full contact with the ion. In a liquid ligands come and go faster than a
spectrometer tells them apart, so that what is measured is an average over all of them, most of which hold no ion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from rdkit import Chem

from solvation.clusters.checks import bound_donors
from solvation.clusters.ensembles import Structure
from solvation.clusters.shell import Shell
from solvation.engines import check_shieldings
from solvation.engines.shielding import shieldings_ppm
from solvation.errors import ResultsError, StudyError
from solvation.progress import track
from solvation.species import Molecule
from solvation.study import Level

#: The isotope that a spectrometer looks at.
ISOTOPES = {
    "Li": "7Li", "B": "11B", "C": "13C", "N": "15N", "O": "17O", "F": "19F", "Na": "23Na", "Mg": "25Mg", "Al": "27Al",
    "Si": "29Si", "P": "31P", "S": "33S", "Cl": "35Cl", "K": "39K", "Ca": "43Ca", "Zn": "67Zn",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Nucleus:
    """One nucleus heavier than hydrogen.

    Attributes
    ----------
    molecule
        Its number in the shell; 0 is the ion.
    kind
        Kind of donor it is; empty when it is none.
    binds
        Whether it is a donor within the first shell.
    distance_A
        From the ion.
    free_ppm
        Shielding in the free molecule, the mean of the nuclei that are equivalent there.
    complex_ppm
        Shielding in the complex.
    """

    atom: int
    molecule: int
    isotope: str
    kind: str
    binds: bool
    distance_A: float
    free_ppm: float
    complex_ppm: float

    @property
    def shift_ppm(self) -> float:
        """Shift against the free molecule."""
        return self.free_ppm - self.complex_ppm


@dataclass(frozen=True, slots=True)
class Shieldings:
    """Shieldings of one structure and of its free molecules at one level.

    Attributes
    ----------
    molecules
        Names, the ion first.
    conformers
        The structure of each free ligand, by species.
    """

    structure: str
    level: Level
    geometry_level: Level
    molecules: tuple[str, ...]
    conformers: dict[str, str]
    nuclei: tuple[Nucleus, ...]


def shieldings(structure: Structure, shell: Shell, free: Mapping[str, Sequence[Structure]], level: Level) -> Shieldings:
    """Compute the shieldings of a complex and of its free ligands, as the level that relaxed the complex has them.

    Parameters
    ----------
    free
        Conformers of each species; of those that the same level relaxed, its lowest is taken.

    Raises
    ------
    StudyError
        The level has no shieldings, or a part is no closed shell.
    ResultsError
        No conformer of a ligand was relaxed at the level that relaxed the complex.
    EngineFailed
        Something did not converge.
    """
    check_shieldings(level)
    if open_shells := [one.name for one in shell.molecules if one.multiplicity != 1]:
        raise StudyError(f"shieldings are those of closed shells; {', '.join(open_shells)} is none")
    names = dict.fromkeys(one.name for one in shell.molecules[shell.n_ion == 1 :])
    lowest = {name: _lowest(name, free.get(name, ()), structure.geometry_level) for name in names}
    parts = {one.name: one for one in shell.molecules}
    alone = {
        name: _averaged(parts[name], shieldings_ppm(lowest[name].atoms, level, charge=parts[name].charge))
        for name in track(list(names), f"{structure.name} at {level}: free ligands")
    }
    ion = shell.ion
    if ion.name not in alone:
        alone[ion.name] = shieldings_ppm(Atoms(ion.symbols, [(0.0, 0.0, 0.0)]), level, charge=ion.charge)
    whole = shieldings_ppm(structure.atoms, level, charge=shell.charge)
    _, distance_A = shell.touched(structure.atoms.positions)
    positions, kinds = structure.atoms.positions, {index: donor.kind for _, index, donor in shell.donors}
    bound = {index for indices in bound_donors(shell, positions).values() for index in indices}
    nuclei = [
        Nucleus(
            atom=index,
            molecule=int(number),
            isotope=ISOTOPES.get(symbol, symbol),
            kind=kinds.get(index, ""),
            binds=index in bound,
            distance_A=float(distance_A[index]),
            free_ppm=float(alone[shell.molecules[number].name][index - shell.offsets[number]]),
            complex_ppm=float(whole[index]),
        )
        for index, (symbol, number) in enumerate(zip(shell.symbols, shell.fragment, strict=True))
        if symbol != "H"
    ]
    return Shieldings(
        structure=structure.name,
        level=level,
        geometry_level=structure.geometry_level,
        molecules=tuple(one.name for one in shell.molecules),
        conformers={name: one.name for name, one in lowest.items()},
        nuclei=tuple(nuclei),
    )


def _lowest(name: str, conformers: Sequence[Structure], level: Level) -> Structure:
    own = [item for item in conformers if item.geometry_level == level]
    if not own:
        raise ResultsError(f"no conformer of {name} was relaxed at {level}, the level that relaxed the complex")
    return min(own, key=lambda item: item.geometry_eV)


def _averaged(molecule: Molecule, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means over nuclei that the bonds make equivalent, which the free molecule exchanges by turning."""
    classes = np.array(list(Chem.CanonicalRankAtoms(molecule.graph, breakTies=False)))
    return np.array([values[classes == one].mean() for one in classes])


def shieldings_to_json(item: Shieldings) -> dict[str, Any]:
    """Plain data of the shieldings of a complex."""
    return {**asdict(item), "level": str(item.level), "geometry_level": str(item.geometry_level)}


def shieldings_from_json(data: Mapping[str, Any]) -> Shieldings:
    """Reverse of `shieldings_to_json`."""
    levels = {key: Level.model_validate(data[key]) for key in ("level", "geometry_level")}
    rest = {"molecules": tuple(data["molecules"]), "nuclei": tuple(Nucleus(**one) for one in data["nuclei"])}
    return Shieldings(**{**data, **levels, **rest})
