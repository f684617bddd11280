"""Why an ion is held: charges, potentials, frontier orbitals, decomposed energy and density difference of a complex.

The complex is looked at as two parts, the ion and its shell, as they stand: the terms of the decomposition add up to
the binding energy `frozen_shell` of the same level, and the density difference is rho(complex) - rho(shell) - rho(ion).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from solvation.clusters.checks import bound_donors
from solvation.clusters.ensembles import Structure
from solvation.clusters.shell import Shell
from solvation.engines.decomposition import Decomposition, Fields, Fragment, converged_fields, decompose
from solvation.engines.electrons import (
    SCHEMES,
    atomic_charges,
    check_electrons,
    converged_field,
    esp_fit,
    frontier_orbitals_eV,
    instabilities,
    potential_V,
)
from solvation.errors import StudyError
from solvation.progress import track
from solvation.provenance import write_atomically
from solvation.study import Level

#: Spacing and rim of the cube file, Bohr.
_CUBE_SPACING = 0.4
_CUBE_MARGIN = 5.0


@dataclass(frozen=True, slots=True)
class DonorSite:
    """One donor atom that binds the ion.

    Attributes
    ----------
    ligand
        Number of its molecule in the shell, from 1.
    potential_V
        Electrostatic potential at its nucleus, of its own molecule alone, as in the complex: less negative inside the
        atom means a poorer donor of the same element; elements cannot be compared by it.
    charges_e
        By scheme, in the complex.
    """

    atom: int
    ligand: int
    species: str
    kind: str
    distance_A: float
    potential_V: float
    charges_e: dict[str, float]


@dataclass(frozen=True, slots=True)
class Bonding:
    """What holds one structure together at one level.

    Attributes
    ----------
    molecules
        Names, the ion first.
    charges_e
        Net charge of each molecule in the complex, by scheme; without those that do not know an element.
    esp_error
        What the charges fitted to the potential miss of it, as a share.
    potential_at_ion_V
        What each ligand alone, frozen as in the complex, makes at the place of the ion: times the charge it is the
        electrostatic energy of a point ion with that ligand.
    shell_potential_at_ion_V
        The same of the whole empty shell, whose ligands polarise each other.
    instability
        Empty when no lower solution of the self-consistent field is near; else towards what.
    ligand_homo_eV, ligand_lumo_eV
        Of each ligand alone, frozen as in the complex.
    """

    structure: str
    level: Level
    molecules: tuple[str, ...]
    ion_charge: int
    decomposition: Decomposition
    charges_e: dict[str, tuple[float, ...]]
    esp_error: float
    potential_at_ion_V: tuple[float, ...]
    shell_potential_at_ion_V: float
    donors: tuple[DonorSite, ...]
    homo_eV: float
    lumo_eV: float
    instability: str
    ligand_homo_eV: tuple[float, ...] = ()
    ligand_lumo_eV: tuple[float, ...] = ()

    def charge_transfer_e(self, scheme: str) -> float:
        """Electrons that the ion received from its shell."""
        return self.ion_charge - self.charges_e[scheme][0]


def bonding(structure: Structure, shell: Shell, level: Level) -> tuple[Bonding, Fields]:
    """Analyse the bond between an ion and its shell.

    Returns
    -------
    The numbers, and the converged fields for `write_density_difference`.

    Raises
    ------
    StudyError
        The level is no gas-phase density functional of PySCF, or the parts are not closed shells.
    EngineFailed
        Something did not converge.
    """
    check_electrons(level)
    if level.solvent_model:
        raise StudyError(f"level '{level}': the bond is analysed in the gas phase; write '{level.in_gas_phase}'")
    atoms, fragment = structure.atoms, shell.fragment
    ion = shell.molecules[0]
    fields = converged_fields(
        atoms, level, [Fragment(fragment == 0, ion.charge), Fragment(fragment > 0, shell.charge - ion.charge)]
    )
    single = len(shell.molecules) == 2  # then the ligand is the shell
    ligands = {
        number: fields.parts[1]
        if single
        else converged_field(
            atoms[fragment == number], level, charge=molecule.charge, multiplicity=molecule.multiplicity
        )
        for number, molecule in track(list(enumerate(shell.molecules))[1:], f"{structure.name}: its ligands alone")
    }
    # Of an ion of several atoms the one in the middle: P of PF6-, N of TFSI-.
    ion_A = atoms.positions[: shell.n_ion]
    middle = int(np.argmin(np.linalg.norm(ion_A - ion_A.mean(axis=0), axis=1)))
    place = atoms.positions[[middle]]
    _, distance_A = shell.touched(atoms.positions)
    fitted, esp_error = esp_fit(fields.whole)
    by_atom = {scheme: fitted if scheme == "esp" else atomic_charges(fields.whole, scheme) for scheme in SCHEMES}
    by_atom = {scheme: charges for scheme, charges in by_atom.items() if np.isfinite(charges).all()}
    homo, lumo = frontier_orbitals_eV(fields.whole)
    alone = [frontier_orbitals_eV(field) for field in ligands.values()]
    kinds = {index: donor.kind for _, index, donor in shell.donors}
    donors = [
        DonorSite(
            atom=index,
            ligand=number,
            species=shell.molecules[number].name,
            kind=kinds[index],
            distance_A=float(distance_A[index]),
            potential_V=float(potential_V(ligands[number], atoms.positions[[index]])[0]),
            charges_e={scheme: float(charges[index]) for scheme, charges in by_atom.items()},
        )
        for number, indices in bound_donors(shell, atoms.positions).items()
        for index in indices
    ]
    unstable = instabilities(fields.whole)
    found = Bonding(
        structure=structure.name,
        level=level,
        molecules=tuple(molecule.name for molecule in shell.molecules),
        ion_charge=ion.charge,
        decomposition=decompose(fields),
        charges_e={
            scheme: tuple(float(charges[fragment == number].sum()) for number in range(len(shell.molecules)))
            for scheme, charges in by_atom.items()
        },
        esp_error=esp_error,
        potential_at_ion_V=tuple(float(potential_V(field, place)[0]) for field in ligands.values()),
        shell_potential_at_ion_V=float(potential_V(fields.parts[1], place)[0]),
        donors=tuple(sorted(donors, key=lambda item: item.distance_A)),
        homo_eV=homo,
        lumo_eV=lumo,
        instability=unstable,
        ligand_homo_eV=tuple(orbitals[0] for orbitals in alone),
        ligand_lumo_eV=tuple(orbitals[1] for orbitals in alone),
    )
    return found, fields


def write_density_difference(path: Path, fields: Fields) -> None:
    """Write rho(whole) - sum rho(fragment) as a cube file, electrons per cubic Bohr; positive where electrons went."""
    from pyscf.tools import cubegen

    def write(temporary: Path) -> None:
        cubegen.density(
            fields.whole.mol, str(temporary), fields.difference(), resolution=_CUBE_SPACING, margin=_CUBE_MARGIN
        )

    write_atomically(path, write)


def bonding_to_json(item: Bonding) -> dict[str, Any]:
    """Plain data of the analysis of a bond."""
    return {**asdict(item), "level": str(item.level)}


def bonding_from_json(data: Mapping[str, Any]) -> Bonding:
    """Reverse of `bonding_to_json`."""
    return Bonding(
        **{
            **data,
            "level": Level.model_validate(data["level"]),
            "molecules": tuple(data["molecules"]),
            "decomposition": Decomposition(**data["decomposition"]),
            "charges_e": {scheme: tuple(values) for scheme, values in data["charges_e"].items()},
            "potential_at_ion_V": tuple(data["potential_at_ion_V"]),
            # Records of before have none.
            "ligand_homo_eV": tuple(data.get("ligand_homo_eV", ())),
            "ligand_lumo_eV": tuple(data.get("ligand_lumo_eV", ())),
            "donors": tuple(DonorSite(**one) for one in data["donors"]),
        }
    )
