"""Basis set superposition in a complex of N fragments: every fragment in the basis of the whole.

A ligand in a complex borrows the basis functions of its neighbours, which lowers the complex but not the separate
ligands. The correction is what each fragment, frozen as in the complex, gains from ghosts at the places of all
others; added to a binding energy it leaves the deformation energy as it is. Ghosts have no cavity in a continuum: for
a level with implicit solvent the correction is that of the gas phase.

References
----------
Boys & Bernardi, Mol. Phys. 19, 553 (1970), for two fragments.
Wells & Wilson, Chem. Phys. Lett. 101, 429 (1983): the site-site (full) function counterpoise for N.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from solvation.clusters.ensembles import Structure
from solvation.clusters.shell import Shell
from solvation.energies.binding import Binding
from solvation.engines import SinglePoint, all_or_nothing, single_points
from solvation.errors import EngineFailed, ResultsError
from solvation.study import Level

#: Name of the definition `relaxed` with the correction added.
CORRECTED = "relaxed_counterpoise"


@dataclass(frozen=True, slots=True)
class Counterpoise:
    """Energies of the fragments in the basis of the complex, eV.

    Attributes
    ----------
    ion_eV, ligands_eV
        As in the complex, in the basis of the complex, in the order of the shell.
    own_ion_eV, own_ligands_eV
        The same in their own basis.
    n_basis
        Basis functions, the same in every one of these calculations: the ghosts were there.
    """

    structure: str
    level: Level
    ion_eV: float
    ligands_eV: tuple[float, ...]
    own_ion_eV: float
    own_ligands_eV: tuple[float, ...]
    n_basis: int

    @property
    def correction_eV(self) -> float:
        """What to add to a binding energy, positive: the fragments were too high without their neighbours' basis."""
        own = (self.own_ion_eV, *self.own_ligands_eV)
        return sum(one - other for one, other in zip(own, (self.ion_eV, *self.ligands_eV), strict=True))


def counterpoise(structure: Structure, shell: Shell, binding: Binding) -> Counterpoise:
    """Compute every fragment of a complex in the basis of the whole.

    Parameters
    ----------
    binding
        Of the same structure: its level without solvent is used, and its energies of the frozen ion and ligands in
        their own basis.

    Raises
    ------
    ResultsError
        When `binding` belongs to another structure.
    StudyError
        When the engine has no ghosts.
    EngineFailed
        When a fragment fails, or was computed without its ghosts.
    """
    if binding.structure != structure.name:
        raise ResultsError(f"the binding energy is of {binding.structure}, the structure is {structure.name}")
    fragment, level = shell.fragment, binding.level.in_gas_phase
    jobs = [
        SinglePoint(structure.atoms, molecule.charge, molecule.multiplicity, ghost=fragment != number)
        for number, molecule in enumerate(shell.molecules)
    ]
    if level != binding.level:
        jobs += [
            SinglePoint(structure.atoms[fragment == number], molecule.charge, molecule.multiplicity)
            for number, molecule in enumerate(shell.molecules)
        ]
    results = all_or_nothing(single_points(jobs, level, f"{structure.name} at {level}: counterpoise"))
    count = len(shell.molecules)
    energies = [item.energy_eV for item in results[:count]]
    own = [item.energy_eV for item in results[count:]] or [binding.ion_frozen_eV, *binding.ligands_frozen_eV]
    sizes = [item.n_basis for item in results[:count]]
    if len(set(sizes)) != 1 or not sizes[0]:
        raise EngineFailed(
            f"{binding.level}: the fragments of {structure.name} had {sizes} basis functions: ghosts are missing"
        )
    return Counterpoise(
        structure=structure.name,
        level=binding.level,
        ion_eV=energies[0],
        ligands_eV=tuple(energies[1:]),
        own_ion_eV=own[0],
        own_ligands_eV=tuple(own[1:]),
        n_basis=sizes[0],
    )


def counterpoise_to_json(item: Counterpoise) -> dict[str, Any]:
    """Plain data of a counterpoise correction."""
    parts = ("structure", "ion_eV", "ligands_eV", "own_ion_eV", "own_ligands_eV", "n_basis", "correction_eV")
    return {**{key: getattr(item, key) for key in parts}, "level": str(item.level)}


def counterpoise_from_json(data: Mapping[str, Any]) -> Counterpoise:
    """Reverse of `counterpoise_to_json`."""
    lists = {key: tuple(data[key]) for key in ("ligands_eV", "own_ligands_eV")}
    rest = {key: value for key, value in data.items() if key != "correction_eV"}
    return Counterpoise(**{**rest, **lists, "level": Level.model_validate(data["level"])})
