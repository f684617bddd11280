"""What the electrons of a complex say: charges, potentials, orbital energies, densities; by PySCF.

All functions take the converged mean field that `converged_field` returns, so that one calculation answers all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from ase import Atoms
from ase.data import vdw_radii
from ase.units import Bohr, Hartree
from numpy.typing import NDArray

from solvation.engines.basis_sets import has_functions, nuclear_charges
from solvation.engines.pyscf import SCF_GRID_LEVEL, PySCFCalculator
from solvation.engines.registry import check_level
from solvation.errors import EngineFailed, StudyError
from solvation.study import Level

Scheme = Literal["mulliken", "lowdin", "iao", "esp"]
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
#: Shells of points around the molecule, in van der Waals radii: Singh & Kollman, J. Comput. Chem. 5, 129 (1984).
_ESP_SHELLS = (1.4, 1.6, 1.8, 2.0)
_ESP_POINTS_PER_A2 = 1.0
_POINTS_AT_ONCE = 400
#: A walk downhill may end on another saddle; so often it begins anew.
_WALKS = 3


def check_electrons(level: Level) -> None:
    """Refuse a level whose density is not at hand.

    Raises
    ------
    StudyError
        With the mend.
    """
    check_level(level)
    if not level.has_density:
        raise StudyError(
            f"level '{level}': charges, decomposition and densities need a density functional of pyscf, "
            "e.g. pbe-d4/def2-svp"
        )


def converged_field(
    atoms: Atoms, level: Level, *, charge: int, multiplicity: int = 1, guess: NDArray[np.float64] | None = None
) -> Any:
    """Converged Kohn-Sham field of PySCF, its energy on the fine grid; atoms of the array `ghost` are basis only.

    A `guess` of the density matrix saves cycles and changes nothing else.

    Raises
    ------
    StudyError
        The level has no density here.
    EngineFailed
        It did not converge.
    """
    check_electrons(level)
    return PySCFCalculator(level, charge=charge, multiplicity=multiplicity).converged(atoms, guess)


def forget_integrals(field: Any) -> None:
    """Let go of its fitting integrals, gigabytes for forty atoms; they are found or made again when asked for."""
    field.with_df.reset()


def total_density(field: Any) -> NDArray[np.float64]:
    """Density matrix of all electrons, (n_basis, n_basis)."""
    density = np.asarray(field.make_rdm1())
    return density if density.ndim == 2 else np.asarray(density.sum(axis=0))


def atomic_charges(field: Any, scheme: Scheme) -> NDArray[np.float64]:
    """Net charges of the atoms in e, (n_atoms,); they add up to the charge of the whole.

    `mulliken` and `lowdin` depend on the basis, `iao` hardly does, `esp` is what reproduces the potential outside and
    says little about atoms buried in the middle (`esp_fit` tells how well). `iao` is NaN where the set of free atoms
    (PySCF's MINAO) lacks an element, such as K, or an effective core takes its inner shells.

    References
    ----------
    Mulliken, J. Chem. Phys. 23, 1833 (1955); Löwdin, J. Chem. Phys. 18, 365 (1950); intrinsic atomic orbitals: Knizia,
    J. Chem. Theory Comput. 9, 4834 (2013); fit to the potential: Singh & Kollman, J. Comput. Chem. 5, 129 (1984).
    """
    if scheme == "esp":
        return esp_fit(field)[0]
    overlap, density = field.get_ovlp(), total_density(field)
    if scheme == "mulliken":
        return _charges(field.mol, np.einsum("ij,ji->i", density, overlap))
    if scheme == "lowdin":
        values, vectors = np.linalg.eigh(overlap)
        root = (vectors * np.sqrt(values)) @ vectors.T
        return _charges(field.mol, np.einsum("ij,jk,ki->i", root, density, root))
    return _iao_charges(field, overlap)


def _charges(molecule: Any, populations: NDArray[np.float64]) -> NDArray[np.float64]:
    ranges = molecule.aoslice_by_atom()[:, 2:]
    return np.array(
        [
            nucleus - populations[first:last].sum()
            for nucleus, (first, last) in zip(molecule.atom_charges(), ranges, strict=True)
        ]
    )


def _iao_charges(field: Any, overlap: NDArray[np.float64]) -> NDArray[np.float64]:
    from pyscf.lo import iao, orth

    atoms = range(field.mol.natm)
    known = all(has_functions("minao", field.mol.atom_pure_symbol(atom)) for atom in atoms)
    if not known or any(field.mol.atom_nelec_core(atom) for atom in atoms):
        return np.full(field.mol.natm, np.nan)
    minimal = iao.reference_mol(field.mol, "minao")
    orbitals, occupations = np.asarray(field.mo_coeff), np.asarray(field.mo_occ)
    spins = [(orbitals, occupations)] if orbitals.ndim == 2 else list(zip(orbitals, occupations, strict=True))
    populations = np.zeros(minimal.nao)
    for coefficients, filled in spins:
        occupied = coefficients[:, filled > 0]
        if not occupied.shape[1]:
            continue
        atomic = orth.vec_lowdin(iao.iao(field.mol, occupied, minao="minao"), overlap)
        shares = atomic.T @ overlap @ (occupied * np.sqrt(filled[filled > 0]))
        populations += np.einsum("ij,ij->i", shares, shares)
    return _charges(minimal, populations)


def potential_V(field: Any, points_A: NDArray[np.float64]) -> NDArray[np.float64]:
    """Electrostatic potential of nuclei and electrons in V at points in Å, (n_points,).

    The nucleus that a point lies on is left out, as is usual for the potential at a nucleus.
    """
    molecule, density = field.mol, total_density(field)
    points = np.asarray(points_A, dtype=float) / Bohr
    places, nuclei = molecule.atom_coords(), molecule.atom_charges()
    distance = np.linalg.norm(points[:, None] - places[None], axis=-1)
    outside = distance > 1e-6
    found = np.where(outside, nuclei / np.where(outside, distance, 1.0), 0.0).sum(axis=1)
    for first in range(0, len(points), _POINTS_AT_ONCE):
        some = slice(first, first + _POINTS_AT_ONCE)
        found[some] -= np.einsum("pij,ij->p", molecule.intor("int1e_grids", grids=points[some]), density)
    return np.asarray(found * Hartree)


def esp_fit(field: Any) -> tuple[NDArray[np.float64], float]:
    """Charges that reproduce the potential around the molecule.

    Returns
    -------
    charges
        In e, (n_atoms,).
    error
        Root mean square of what the charges miss, as a share of the potential's own.
    """
    molecule = field.mol
    places, points = molecule.atom_coords(), points_around(molecule)
    wanted = potential_V(field, points * Bohr) / Hartree
    inverse = 1 / np.linalg.norm(points[:, None] - places[None], axis=-1)
    count = molecule.natm
    matrix = np.ones((count + 1, count + 1))
    matrix[:count, :count] = inverse.T @ inverse
    matrix[count, count] = 0.0
    # Atoms in the middle are seen by no point: least squares gives them the smallest charges that fit.
    charges = np.linalg.lstsq(matrix, np.append(inverse.T @ wanted, molecule.charge), rcond=1e-10)[0][:count]
    missed = inverse @ charges - wanted
    return charges, float(np.sqrt((missed**2).mean() / (wanted**2).mean()))


def points_around(molecule: Any) -> NDArray[np.float64]:
    """Points on the surfaces of scaled van der Waals spheres, Bohr, (n_points, 3)."""
    places = molecule.atom_coords()
    numbers = nuclear_charges(molecule)
    # ASE has no radius for some metals; that of a small cation hardly matters inside its shell.
    radii = np.array([vdw_radii[one] if np.isfinite(vdw_radii[one]) else 1.8 for one in numbers]) / Bohr
    found = []
    for scale in _ESP_SHELLS:
        spheres = []
        for centre, radius in zip(places, radii * scale, strict=True):
            count = max(12, round(4 * np.pi * (radius * Bohr) ** 2 * _ESP_POINTS_PER_A2))
            spheres.append(centre + radius * _fibonacci_sphere(count))
        points = np.concatenate(spheres)
        distance = np.linalg.norm(points[:, None] - places[None], axis=-1)
        found.append(points[(distance >= scale * radii[None] - 1e-6).all(axis=1)])
    return np.concatenate(found)


def _fibonacci_sphere(count: int) -> NDArray[np.float64]:
    number = np.arange(count) + 0.5
    height, angle = 1 - 2 * number / count, np.pi * (1 + np.sqrt(5)) * number
    width = np.sqrt(1 - height**2)
    return np.stack([width * np.cos(angle), width * np.sin(angle), height], axis=1)


def frontier_orbitals_eV(field: Any) -> tuple[float, float]:
    """Energies of the highest occupied and the lowest empty Kohn-Sham orbital, eV; no ionisation energies."""
    energies, filled = np.ravel(field.mo_energy), np.ravel(field.mo_occ)
    if not (filled > 0).any() or not (filled == 0).any():
        raise EngineFailed("a species without electrons, or without empty orbitals, has no frontier orbitals")
    return float(energies[filled > 0].max() * Hartree), float(energies[filled == 0].min() * Hartree)


@dataclass(frozen=True, slots=True)
class Stability:
    """Whether a converged state is a minimum of the energy, and what lies below it.

    Attributes
    ----------
    instability
        `internal` (among states of its kind), `towards open shells`, both, or nothing.
    lower_eV
        Energy of the state that a walk downhill ends in, less that of the state asked for; 0 where it is stable.
    """

    instability: str
    lower_eV: float

    @property
    def words(self) -> str:
        """`stable`, or what is not."""
        return f"unstable ({self.instability}), {-self.lower_eV:.3f} eV above another" if self.instability else "stable"


def check_stability(level: Level) -> None:
    """Refuse a level whose electronic state cannot be looked into.

    Raises
    ------
    StudyError
        With the mend.
    """
    check_level(level)
    if not level.has_states:
        raise StudyError(
            f"level '{level}': the stability of a state is asked of a density functional of pyscf, e.g. pbe-d4/def2-svp"
        )


def stability(atoms: Atoms, level: Level, *, charge: int, multiplicity: int = 1) -> Stability:
    """Look for a lower electronic state than the one that a calculation converges to, by walking downhill from it.

    Closed shells may open. What is found is the next minimum; a state that is a minimum itself and lies above another
    one is not told from the lowest.

    Raises
    ------
    StudyError
        As `check_stability`.
    EngineFailed
        Something did not converge.

    References
    ----------
    Seeger & Pople, J. Chem. Phys. 66, 3045 (1977).
    """
    check_stability(level)
    first = field = PySCFCalculator(level, charge=charge, multiplicity=multiplicity).converged(atoms)
    found: list[str] = []
    for _ in range(_WALKS):
        names, density, is_open = _downhill(field)
        if density is None:
            break
        found += [name for name in names if name not in found]
        walker = PySCFCalculator(level, charge=charge, multiplicity=multiplicity, unrestricted=is_open)
        field = walker.converged(atoms, density)
    return Stability(", ".join(found), float(field.e_tot - first.e_tot) * Hartree if found else 0.0)


def instabilities(field: Any) -> str:
    """What lower solution the field could slide to: `internal`, `towards open shells`, both, or nothing (empty)."""
    return ", ".join(_downhill(field)[0])


def _downhill(field: Any) -> tuple[list[str], NDArray[np.float64] | None, bool]:
    """Instabilities of a field, a density from which it goes down (None where it is stable), and whether that is open.

    Asked on the grid on which the density converged: that takes half the time of the grid of the energy.
    """
    verbose, field.verbose = field.verbose, 0
    level, field.grids.level = field.grids.level, SCF_GRID_LEVEL
    field.grids.reset()
    is_closed = np.ndim(field.mo_occ) == 1
    turned, opened, inner, outer = field.stability(internal=True, external=is_closed, return_status=True)
    field.grids.level = level
    field.grids.reset()
    field.verbose = verbose
    if is_closed and outer is False:
        names = ["internal", "towards open shells"] if inner is False else ["towards open shells"]
        n_pairs = int((field.mo_occ > 0).sum())
        return names, np.array([orbitals[:, :n_pairs] @ orbitals[:, :n_pairs].T for orbitals in opened]), True
    if inner is False:
        return ["internal"], np.asarray(field.make_rdm1(turned, field.mo_occ)), not is_closed
    return [], None, not is_closed
