"""Binding energies of an ion in its shell, in the three definitions that published numbers mix up.

With E(X) the energy of X at one level of theory,

* `relaxed`: E(complex) - E(ion) - sum over ligands of E(ligand, lowest free conformer);
* `frozen_ligands`: E(complex) - E(ion) - sum over ligands of E(ligand, as in the complex);
* `frozen_shell`: E(complex) - E(ion) - E(all ligands together, as in the complex).

So `relaxed` - `frozen_ligands` is the deformation energy of the ligands, and `frozen_ligands` -
`frozen_shell` is what the ligands do to each other. Negative means bound.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from ase import Atoms

from solvation.engines import energy_eV
from solvation.ensembles import Structure
from solvation.errors import ResultsError
from solvation.placement import Shell
from solvation.progress import track
from solvation.species import Molecule
from solvation.study import Level

Definition = Literal["relaxed", "frozen_ligands", "frozen_shell"]
DEFINITIONS: tuple[Definition, ...] = get_args(Definition)


@dataclass(frozen=True, slots=True)
class Reference:
    """Energy of one free species at one level.

    Attributes
    ----------
    energy_eV
        Of the lowest conformer at `level`.
    conformer
        Its name in the ensemble.
    geometry_level
        Level that relaxed it.
    """

    species: str
    level: Level
    geometry_level: Level
    energy_eV: float
    conformer: str


@dataclass(frozen=True, slots=True)
class Binding:
    """Every part of the binding energy of one structure at one level, eV.

    Attributes
    ----------
    ligands_frozen_eV
        Energy of each ligand as in the complex, in the order of the shell.
    """

    structure: str
    level: Level
    geometry_level: Level
    complex_eV: float
    ion_eV: float
    shell_eV: float
    ligands_frozen_eV: tuple[float, ...]
    ligands_relaxed_eV: tuple[float, ...]

    def energy_eV(self, definition: Definition) -> float:
        """Binding energy in one of the three definitions; negative means bound."""
        ligands = {
            "relaxed": math.fsum(self.ligands_relaxed_eV),
            "frozen_ligands": math.fsum(self.ligands_frozen_eV),
            "frozen_shell": self.shell_eV,
        }[definition]
        return self.complex_eV - self.ion_eV - ligands

    @property
    def deformation_eV(self) -> float:
        """Cost of bending the ligands into the shape they have in the complex, never negative by much."""
        return math.fsum(self.ligands_frozen_eV) - math.fsum(self.ligands_relaxed_eV)

    @property
    def ligand_ligand_eV(self) -> float:
        """Energy of the ligands with each other in the empty shell; positive means they repel."""
        return self.shell_eV - math.fsum(self.ligands_frozen_eV)


def reference(
    molecule: Molecule, conformers: Sequence[Structure], level: Level, geometry_level: Level, *, candidates: int = 2
) -> Reference:
    """Energy of a free species: the lowest of its best conformers at `level`.

    Parameters
    ----------
    conformers
        Ensemble of the species, lowest first at the geometry level.
    candidates
        How many of them are computed: the order may change with the level.
    """
    if level == geometry_level:
        best = conformers[0]
        return Reference(molecule.name, level, geometry_level, best.geometry_eV, best.name)
    found = [
        (energy_eV(item.atoms, level, charge=molecule.charge, multiplicity=molecule.multiplicity), item.name)
        for item in track(conformers[:candidates], f"{molecule.name} at {level}")
    ]
    energy, name = min(found)
    return Reference(molecule.name, level, geometry_level, energy, name)


def bind(
    structure: Structure,
    shell: Shell,
    references: Mapping[str, Reference],
    level: Level,
    geometry_level: Level,
    rank_level: Level | None = None,
) -> Binding:
    """Compute all parts of the binding energy of one structure.

    Parameters
    ----------
    structure
        The complex, the ion first, in the order of `shell`.
    references
        Free species by name, ion included.
    rank_level
        Level of `structure.rank_eV`, which is taken instead of being computed again when the levels agree.

    Raises
    ------
    ResultsError
        When a reference was computed or relaxed at another level: such energies are never subtracted.
    EngineFailed
        When one of the single points fails.
    """
    _refuse_mixed_levels(references, shell, level, geometry_level)
    fragment = shell.fragment
    ion, *ligands = shell.molecules

    def single_point(atoms: Atoms, charge: int, multiplicity: int) -> float:
        return energy_eV(atoms, level, charge=charge, multiplicity=multiplicity)

    parts: list[tuple[Atoms, int, int]] = [
        (structure.atoms[fragment > 0], shell.charge - ion.charge, shell.multiplicity - ion.multiplicity + 1)
    ]
    parts += [
        (structure.atoms[fragment == number], ligand.charge, ligand.multiplicity)
        for number, ligand in enumerate(ligands, start=1)
    ]
    whole = _complex_energy(structure, shell, level, geometry_level, rank_level)
    if len(ligands) == 1:
        del parts[1:]  # one ligand is the whole shell
    energies = [single_point(*part) for part in track(parts, f"{structure.name} at {level}: shell and ligands")]
    return Binding(
        structure=structure.name,
        level=level,
        geometry_level=geometry_level,
        complex_eV=whole,
        ion_eV=references[ion.name].energy_eV,
        shell_eV=energies[0],
        ligands_frozen_eV=tuple(energies[1:] or energies),
        ligands_relaxed_eV=tuple(references[ligand.name].energy_eV for ligand in ligands),
    )


def _complex_energy(
    structure: Structure, shell: Shell, level: Level, geometry_level: Level, rank_level: Level | None
) -> float:
    if level == geometry_level:
        return structure.geometry_eV
    if level == rank_level and structure.rank_eV is not None:
        return structure.rank_eV
    return energy_eV(structure.atoms, level, charge=shell.charge, multiplicity=shell.multiplicity)


def _refuse_mixed_levels(
    references: Mapping[str, Reference], shell: Shell, level: Level, geometry_level: Level
) -> None:
    for molecule in shell.molecules:
        found = references.get(molecule.name)
        if found is None:
            raise ResultsError(f"no reference energy of {molecule.name} at {level}; run the study again to make it")
        if found.level != level or found.geometry_level != geometry_level:
            raise ResultsError(
                f"reference of {molecule.name} is {found.level}//{found.geometry_level}, the complex is "
                f"{level}//{geometry_level}: energies of different levels are not subtracted"
            )


def reference_to_json(item: Reference) -> dict[str, str | float]:
    """Plain data of a reference energy."""
    return {
        "species": item.species,
        "level": str(item.level),
        "geometry_level": str(item.geometry_level),
        "energy_eV": item.energy_eV,
        "conformer": item.conformer,
    }


def reference_from_json(data: Mapping[str, Any]) -> Reference:
    """Reverse of `reference_to_json`."""
    levels = {key: Level.model_validate(data[key]) for key in ("level", "geometry_level")}
    return Reference(**{**data, **levels})


def binding_to_json(item: Binding) -> dict[str, Any]:
    """Plain data of a binding energy and of all its parts."""
    parts = ("structure", "complex_eV", "ion_eV", "shell_eV", "ligands_frozen_eV", "ligands_relaxed_eV")
    return {
        **{key: getattr(item, key) for key in parts},
        "level": str(item.level),
        "geometry_level": str(item.geometry_level),
    }


def binding_from_json(data: Mapping[str, Any]) -> Binding:
    """Reverse of `binding_to_json`."""
    levels = {key: Level.model_validate(data[key]) for key in ("level", "geometry_level")}
    lists = {key: tuple(data[key]) for key in ("ligands_frozen_eV", "ligands_relaxed_eV")}
    return Binding(**{**data, **levels, **lists})
