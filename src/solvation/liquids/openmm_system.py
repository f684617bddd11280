"""Force fields as OpenMM's systems: bonded terms, charges by Ewald sums, and fitted pair terms of ions."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solvation.errors import EngineMissing, StudyError, TrajectoryError
from solvation.liquids.forcefield import Parameters
from solvation.liquids.ions import check_charge_scale
from solvation.liquids.packing import PackedSystem
from solvation.provenance import write_text
from solvation.species import Molecule
from solvation.study.trajectories import Mixing

_EWALD_ERROR = 5e-4
InnerPair = tuple[int, int, float, float, float]


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
    mixing: Mixing = "arithmetic",
) -> Any:
    """OpenMM system of a packed box, or of molecules in vacuum (without cutoff) where it has no cell.

    Bonds to hydrogen are constrained. Depths of pairs mix geometrically, sigma by `mixing`: arithmetic as Lorentz and
    Berthelot, geometric as OPLS-AA. Beyond the cutoff Lennard-Jones dispersion is a mean field, and charges are summed
    by smooth particle mesh Ewald. A net charge is neutralised by a uniform background. Fitted pair terms of ions stand
    instead of mixed ones. The order of atoms is that of `system`.

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
        Pair terms were fitted with another `charge_scale`, or a user's parameters made for another `mixing`.
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
    inner: dict[str, tuple[InnerPair, ...]] = {}
    check_parameters(parameters, charge_scale, mixing)
    for molecule in system.molecules:
        terms, first = parameters[molecule.name], made.getNumParticles()
        factor = charge_scale if terms.charge else 1.0
        for index in range(len(terms.symbols)):
            made.addParticle(masses_u[first + index])
            depth = terms.epsilon_kJ_mol[index] if mixing == "arithmetic" else 0.0
            pairs.addParticle(terms.charges_e[index] * factor, terms.sigma_A[index] / 10, depth)
        for one, other, length_A, stiffness in terms.bonds:
            if "H" in (terms.symbols[one], terms.symbols[other]):
                made.addConstraint(first + one, first + other, length_A / 10)
            else:
                bonds.addBond(first + one, first + other, length_A / 10, stiffness * 100)
        for *atoms, angle_deg, stiffness in terms.angles:
            angles.addAngle(*(first + index for index in atoms), np.radians(angle_deg), stiffness)
        for *atoms, periodicity, phase_deg, height in terms.torsions:
            torsions.addTorsion(*(first + index for index in atoms), periodicity, np.radians(phase_deg), height)
        if molecule.name not in inner:
            inner[molecule.name] = inner_pairs(terms)
        for one, other, product, sigma_A, depth in inner[molecule.name]:
            pairs.addException(first + one, first + other, product * factor**2, sigma_A / 10, depth)
    spheres = [_geometric_spheres(system, parameters, pairs)] if mixing == "geometric" else []
    for force in (bonds, angles, torsions, pairs, *spheres, *_pair_forces(system, parameters, pairs, mixing)):
        made.addForce(force)
    return made


def check_parameters(parameters: Mapping[str, Parameters], charge_scale: float, mixing: Mixing) -> None:
    """Refuse parameters that were made for other settings.

    Raises
    ------
    StudyError
        With the mend.
    """
    for name, terms in parameters.items():
        if terms.pairs_charge_scale is not None:
            check_charge_scale(name, terms.pairs_charge_scale, charge_scale)
        check_mixing(f"{terms.origin[0]} of {name}", terms.mixing, mixing)


def donors_without_terms(
    molecules: Mapping[str, Molecule], parameters: Mapping[str, Parameters]
) -> dict[str, list[str]]:
    """Donors that each ion with fitted pair terms meets by mixed ones: `{"Li+": ["PF6- fluorine"]}`.

    Distances and strengths of these are not of one kind with the fitted ones. All donors of charged species are such.
    """
    found: dict[str, list[str]] = {}
    for ion, pairs in ((name, terms.pairs) for name, terms in parameters.items() if terms.pairs):
        donors = {
            f"{name} {donor.kind}"
            for name, molecule in molecules.items()
            if name != ion
            for donor in molecule.donors
            if parameters[name].kinds_of_pairs[donor.index] not in pairs
        }
        if donors:
            found[ion] = sorted(donors)
    return found


def check_mixing(whose: str, made_for: Mixing | None, mixing: Mixing) -> None:
    """Refuse parameters that were made for the other rule.

    Raises
    ------
    StudyError
        With the mend.
    """
    if made_for not in {None, mixing}:
        raise StudyError(f"mixing: {mixing}, but {whose} mixes sigma {made_for}; take that")


def _geometric_spheres(system: PackedSystem, parameters: Mapping[str, Parameters], whole: Any) -> Any:
    """Lennard-Jones between molecules with the geometric mean of sigma, which NonbondedForce does not know."""
    import openmm

    force = openmm.CustomNonbondedForce("4*sqrt(e1*e2)*x*(x-1); x=(s1*s2)^3/r^6")
    force.addPerParticleParameter("s")
    force.addPerParticleParameter("e")
    for molecule in system.molecules:
        terms = parameters[molecule.name]
        for sigma_A, depth in zip(terms.sigma_A, terms.epsilon_kJ_mol, strict=True):
            force.addParticle([sigma_A / 10, depth])
    _like(force, system, whole)
    force.setUseLongRangeCorrection(system.cell_A is not None)
    return force


def _like(force: Any, system: PackedSystem, whole: Any) -> None:
    """Give a force the cutoff and the exclusions of the charges; graphics cards want the same in all forces."""
    if system.cell_A is not None:
        force.setNonbondedMethod(type(force).CutoffPeriodic)
        force.setCutoffDistance(whole.getCutoffDistance())
    for number in range(whole.getNumExceptions()):
        force.addExclusion(*whole.getExceptionParameters(number)[:2])


def _pair_forces(system: PackedSystem, parameters: Mapping[str, Parameters], whole: Any, mixing: Mixing) -> list[Any]:
    """One force for each ion and kind of donor: the fitted term less the mixed one of the other forces.

    Its tail beyond the cutoff is left out: at 9 Å some 1e-4 eV a pair.
    """
    import openmm

    terms = [parameters[molecule.name] for molecule in system.molecules]
    owner = np.array([molecule.name for molecule in system.molecules])[system.residue_ids]
    of_species = {name: item.kinds_of_pairs for name, item in parameters.items()}
    kinds = np.array([kind for molecule in system.molecules for kind in of_species[molecule.name]])
    sigma_nm = np.concatenate([one.sigma_A for one in terms]) / 10
    depth = np.concatenate([one.epsilon_kJ_mol for one in terms])
    found = []
    for ion, item in parameters.items():
        for kind, (repulsion, attraction) in item.pairs.items():
            ions, donors = np.flatnonzero(owner == ion), np.flatnonzero((kinds == kind) & (owner != ion))
            if not ions.size or not donors.size:
                continue
            one, other = ions[0], donors[0]
            mean_nm = np.sqrt(sigma_nm[one] * sigma_nm[other])
            power_6 = (mean_nm if mixing == "geometric" else (sigma_nm[one] + sigma_nm[other]) / 2) ** 6
            mixed = 4 * np.sqrt(depth[one] * depth[other]) * power_6
            force = openmm.CustomNonbondedForce(
                f"{repulsion * 1e-8:.15g}/r^8 - {mixed * power_6:.15g}/r^12 - {attraction * 1e-6 - mixed:.15g}/r^6"
            )
            for _ in range(whole.getNumParticles()):
                force.addParticle()
            _like(force, system, whole)
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


def inner_pairs(terms: Parameters) -> tuple[InnerPair, ...]:
    """Pairs of atoms of a molecule that do not interact as those of different ones: (i, j, e2, sigma Å, kJ/mol)."""
    if terms.inner_pairs is not None:
        return terms.inner_pairs
    return tuple((*pair, *_scaled(terms, *pair, apart)) for pair, apart in bonds_apart(terms).items())


def _scaled(terms: Parameters, one: int, other: int, apart: int) -> tuple[float, float, float]:
    if apart < 3:
        return 0.0, 1.0, 0.0
    scale_charge, scale_depth = terms.scale_14
    first, second = terms.sigma_A[one], terms.sigma_A[other]
    sigma_A = np.sqrt(first * second) if terms.is_geometric else (first + second) / 2
    depth = np.sqrt(terms.epsilon_kJ_mol[one] * terms.epsilon_kJ_mol[other])
    return scale_charge * terms.charges_e[one] * terms.charges_e[other], sigma_A, scale_depth * depth


def in_cell(system: Any, cell_A: NDArray[np.float64]) -> Any:
    """Copy of an OpenMM system whose default cell has these edges, Å, (3,)."""
    import openmm

    copy = openmm.XmlSerializer.clone(system)
    copy.setDefaultPeriodicBoxVectors(*np.diag(cell_A / 10).tolist())
    return copy


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
        raise TrajectoryError(f"{path}: holds no OpenMM system ({problem}); run 'solvation pack'") from problem
