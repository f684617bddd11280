"""Force fields as OpenMM's systems: bonded terms, charges by Ewald sums, and fitted pair terms of ions."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solvation.errors import EngineMissing, TrajectoryError
from solvation.liquids.forcefield import Parameters
from solvation.liquids.ions import check_charge_scale
from solvation.liquids.packing import PackedSystem
from solvation.provenance import write_text

_EWALD_ERROR = 5e-4


def check_openmm() -> None:
    """Refuse when OpenMM is not here.

    Raises
    ------
    EngineMissing
        With the mend.
    """
    if find_spec("openmm") is None:
        raise EngineMissing("OpenMM is not installed; pip install 'solvation[liquids]'")


def build_system(
    system: PackedSystem,
    parameters: Mapping[str, Parameters],
    *,
    cutoff_A: float,
    charge_scale: float,
    hydrogen_mass_u: float | None = None,
) -> Any:
    """OpenMM system of a packed box, or of molecules in vacuum (without cutoff) where it has no cell.

    Bonds to hydrogen are constrained. Pairs mix after Lorentz and Berthelot; beyond the cutoff Lennard-Jones
    dispersion is a mean field, and charges are summed by smooth particle mesh Ewald. A net charge is neutralised by a
    uniform background. Fitted pair terms of ions stand instead of mixed ones. The order of atoms is that of `system`.

    Parameters
    ----------
    parameters
        By the names of the molecules.
    charge_scale
        Factor of all charges of species that carry a net charge.
    hydrogen_mass_u
        Mass of H in the dynamics, atomic mass units; None for its own.

    Raises
    ------
    EngineMissing
        OpenMM is not installed.
    StudyError
        Pair terms were fitted with another `charge_scale`.
    """
    check_openmm()
    import openmm

    made = openmm.System()
    bonds, angles = openmm.HarmonicBondForce(), openmm.HarmonicAngleForce()
    torsions, pairs = openmm.PeriodicTorsionForce(), openmm.NonbondedForce()
    pairs.setNonbondedMethod(openmm.NonbondedForce.NoCutoff)
    if system.cell_A is not None:
        edge_nm = system.cell_A / 10
        made.setDefaultPeriodicBoxVectors((edge_nm, 0, 0), (0, edge_nm, 0), (0, 0, edge_nm))
        pairs.setNonbondedMethod(openmm.NonbondedForce.PME)
        pairs.setCutoffDistance(cutoff_A / 10)
        pairs.setEwaldErrorTolerance(_EWALD_ERROR)
        pairs.setUseDispersionCorrection(True)
        for force in (bonds, angles, torsions):
            force.setUsesPeriodicBoundaryConditions(True)
    masses_u = masses(system, hydrogen_mass_u)
    close: dict[str, dict[tuple[int, int], int]] = {}
    _check_scales(parameters, charge_scale)
    for molecule in system.molecules:
        terms, first = parameters[molecule.name], made.getNumParticles()
        factor = charge_scale if terms.charge else 1.0
        for index in range(len(terms.symbols)):
            made.addParticle(masses_u[first + index])
            pairs.addParticle(
                terms.charges_e[index] * factor, terms.sigma_A[index] / 10, terms.epsilon_kJ_mol[index]
            )  # fmt: skip
        for one, other, length_A, stiffness in terms.bonds:
            if "H" in (terms.symbols[one], terms.symbols[other]):
                made.addConstraint(first + one, first + other, length_A / 10)
            else:
                bonds.addBond(first + one, first + other, length_A / 10, stiffness * 100)
        for *atoms, angle_deg, stiffness in terms.angles:
            angles.addAngle(*(first + index for index in atoms), np.radians(angle_deg), stiffness)
        for *atoms, periodicity, phase_deg, height in terms.torsions:
            torsions.addTorsion(*(first + index for index in atoms), periodicity, np.radians(phase_deg), height)
        if molecule.name not in close:
            close[molecule.name] = bonds_apart(terms)
        for (one, other), apart in close[molecule.name].items():
            charge, sigma_nm, depth = _exception(terms, one, other, apart, factor)
            pairs.addException(first + one, first + other, charge, sigma_nm, depth)
    for force in (bonds, angles, torsions, pairs, *_pair_forces(system, parameters, pairs)):
        made.addForce(force)
    return made


def _check_scales(parameters: Mapping[str, Parameters], charge_scale: float) -> None:
    for name, terms in parameters.items():
        if terms.pairs_charge_scale is not None:
            check_charge_scale(name, terms.pairs_charge_scale, charge_scale)


def _pair_forces(system: PackedSystem, parameters: Mapping[str, Parameters], whole: Any) -> list[Any]:
    """One force for each ion and type of donor: the fitted term less the mixed one in `whole`.

    Its tail beyond the cutoff is left out: at 9 Å some 1e-4 eV a pair.
    """
    import openmm

    terms = [parameters[molecule.name] for molecule in system.molecules]
    owner = np.array([molecule.name for molecule in system.molecules])[system.residue_ids]
    kinds = np.array([kind for one in terms for kind in one.types])
    sigma_nm = np.concatenate([one.sigma_A for one in terms]) / 10
    depth = np.concatenate([one.epsilon_kJ_mol for one in terms])
    found = []
    for ion, item in parameters.items():
        for kind, (repulsion, attraction) in item.pairs.items():
            ions, donors = np.flatnonzero(owner == ion), np.flatnonzero((kinds == kind) & (owner != ion))
            if not ions.size or not donors.size:
                continue
            one, other = ions[0], donors[0]
            power_6 = ((sigma_nm[one] + sigma_nm[other]) / 2) ** 6
            mixed = 4 * np.sqrt(depth[one] * depth[other]) * power_6
            force = openmm.CustomNonbondedForce(
                f"{repulsion * 1e-8:.15g}/r^8 - {mixed * power_6:.15g}/r^12 - {attraction * 1e-6 - mixed:.15g}/r^6"
            )
            if system.cell_A is not None:
                force.setNonbondedMethod(openmm.CustomNonbondedForce.CutoffPeriodic)
                force.setCutoffDistance(whole.getCutoffDistance())
            for _ in range(whole.getNumParticles()):
                force.addParticle()
            # Graphics cards want the same exclusions in all forces.
            for number in range(whole.getNumExceptions()):
                force.addExclusion(*whole.getExceptionParameters(number)[:2])
            force.addInteractionGroup(ions.tolist(), donors.tolist())
            found.append(force)
    return found


def masses(system: PackedSystem, hydrogen_mass_u: float | None = None) -> NDArray[np.float64]:
    """Atomic masses, u, (n_atoms,); those of H may be raised."""
    atoms = system.atoms
    own: NDArray[np.float64] = atoms.get_masses()
    return own if hydrogen_mass_u is None else np.where(atoms.numbers == 1, hydrogen_mass_u, own)


def bonds_apart(terms: Parameters) -> dict[tuple[int, int], int]:
    """Pairs of atoms one to three bonds apart by the shortest way, the smaller index first."""
    count = len(terms.symbols)
    near = np.zeros((count, count), dtype=bool)
    for one, other, *_ in terms.bonds:
        near[one, other] = near[other, one] = True
    found: dict[tuple[int, int], int] = {}
    reach = np.eye(count, dtype=bool)
    for apart in (1, 2, 3):
        reach = reach @ near
        for one, other in np.argwhere(np.triu(reach, k=1)).tolist():
            found.setdefault((one, other), apart)
    return found


def _exception(terms: Parameters, one: int, other: int, apart: int, factor: float) -> tuple[float, float, float]:
    """Product of charges, sigma in nm and depth of a pair within a molecule."""
    if apart < 3:
        return 0.0, 0.1, 0.0
    scale_charge, scale_depth = terms.scale_14
    first, second = terms.sigma_A[one] / 10, terms.sigma_A[other] / 10
    sigma_nm = np.sqrt(first * second) if terms.is_geometric else (first + second) / 2
    depth = np.sqrt(terms.epsilon_kJ_mol[one] * terms.epsilon_kJ_mol[other])
    charge = scale_charge * factor**2 * terms.charges_e[one] * terms.charges_e[other]
    return charge, sigma_nm, scale_depth * depth


def write_system(system: Any, path: Path) -> None:
    """Write an OpenMM system as its XML."""
    import openmm

    write_text(path, openmm.XmlSerializer.serialize(system))


def read_system(path: Path) -> Any:
    """Read an OpenMM system.

    Raises
    ------
    EngineMissing
        OpenMM is not installed.
    TrajectoryError
        The file is missing or no system.
    """
    check_openmm()
    import openmm

    try:
        return openmm.XmlSerializer.deserialize(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError, openmm.OpenMMException) as problem:
        raise TrajectoryError(f"{path}: holds no OpenMM system ({problem}); run 'solvation equilibrate'") from problem
