"""Density functional theory by PySCF, embedded."""

from __future__ import annotations

import math
from collections.abc import Collection
from difflib import get_close_matches
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.units import Bohr, Hartree
from numpy.typing import NDArray

from solvation.engines import composite, dispersion, integrals, wave_function
from solvation.engines.base import keep_memory, own_threads, share_MB
from solvation.engines.basis_sets import effective_cores, has_functions
from solvation.errors import EngineFailed
from solvation.study import Level
from solvation.study.levels import PERMITTIVITIES

#: The density converges on the coarse grid, and its energy is taken once on the fine one: the error is of second
#: order in the density (docs/engines.md), at less than half the time of PySCF's own defaults.
SCF_GRID_LEVEL = 1
ENERGY_GRID_LEVEL = 2
CONVERGENCE_EH = 1e-6
#: What is left out of exchange and correlation: functions below the first on a batch of points, products of two below
#: the second, and of the grid on which the density converges the points that together hold less than the third. Half
#: the time of fifty atoms, and less than 1e-7 Eh; PySCF's own cutoffs are 1e-13, 1e-11 and none.
_FUNCTION_CUTOFF, _PRODUCT_CUTOFF, _ELECTRONS_LEFT_OUT = 1e-9, 1e-8, 1e-6
#: What is tried when DIIS alone does not converge.
_DAMPING, _LEVEL_SHIFT_EH, _PATIENT_CYCLES = 0.3, 0.3, 200
#: Open shells forced to be closed and torn bonds leave an orbital empty up to half a Hartree below the highest occupied
#: one, and rightly so; deeper is a hole of an excited state.
_HOLE_EH = 1.0
#: An energy that was seen on the way lies below the one at the end when it does by more than this.
_SAME_EH = 1e-5
#: Perturbation theory and coupled cluster want orbitals, not only an energy, that are converged.
WAVE_FUNCTION_CONVERGENCE_EH = 1e-9
#: Functionals whose D3(BJ) and D4 stand in the place of their VV10, and what PySCF calls them with it.
#: Najibi & Goerigk, J. Chem. Theory Comput. 14, 5725 (2018).
_WITHOUT_VV10 = {"wb97x": "wb97x_v", "wb97m": "wb97m_v", "b97m": "b97m_v"}
#: What else solvents of SMD are called.
_SHORT_NAMES = {
    "thf": "tetrahydrofuran", "dmso": "dimethylsulfoxide", "dmf": "n,n-dimethylformamide",
    "dmac": "n,n-dimethylacetamide", "sulfolane": "tetrahydrothiophene-s,s-dioxide",
}  # fmt: skip

#: Raised when anything above, or what is done with it, changes an energy by more than the density converges to.
_REVISION = 2  # 2: no field ends above an energy that was seen on the way


class PySCFEngine:
    """The embedded DFT engine: density fitting, D3(BJ) or D4 dispersion, implicit solvent, forces.

    References
    ----------
    PySCF: Sun et al., J. Chem. Phys. 153, 024109 (2020).
    D4: Caldeweyher et al., J. Chem. Phys. 150, 154122 (2019).
    """

    name = "pyscf"
    analyses: tuple[str, ...] = ("charges", "densities", "shieldings", "stability")
    has_ghosts = True
    has_boxes = False
    has_molecules = True

    def missing(self) -> str | None:
        """Why it cannot run here; None when it can."""
        return None if find_spec("pyscf") else "PySCF is not installed; pip install 'solvation[compute]'"

    def refuses(self, level: Level) -> str | None:
        """Why it cannot compute this level; None when it can."""
        if level.method in wave_function.METHODS:
            return _unknown_basis(level.basis or "")
        if level.method == composite.NAME:
            needed = "r2scan-3c needs pyscf-dispersion; pip install 'solvation[compute]'"
            return _unknown_solvent(level) if find_spec("pyscf.dispersion") else needed
        return (
            _unsound_functional(level) or _unsound_dispersion(level) or _unknown_basis(level.basis or "")
            or _unknown_solvent(level)
        )  # fmt: skip

    def lacks(self, level: Level, symbols: Collection[str], *, charge: int, multiplicity: int) -> str | None:
        """Elements that its basis set has no functions for."""
        missing = [
            symbol for symbol in dict.fromkeys(symbols) if level.basis and not has_functions(level.basis, symbol)
        ]
        if not missing:
            return None
        return f"PySCF has no basis set '{level.basis}' for {', '.join(missing)}; try def2-svp or def2-tzvp"

    def identity(self, level: Level) -> str:
        """Versions and the revision of the settings."""
        versions = [f"{name} {metadata.version(name)}" for name in ("pyscf", "pyscf-dispersion") if _installed(name)]
        functional = [_functional(level)] if _functional(level) != level.method else []
        fitted = ["fitted by AutoAux"] if _is_diffuse(level) and not level.is_wave_function else []
        return ", ".join([*versions, f"settings {_REVISION}", *functional, *fitted])

    def memory_MB(self, level: Level, atoms: Atoms) -> float:
        """Memory with which one calculation keeps its integrals."""
        from pyscf import df, gto

        places = list(zip(atoms.get_chemical_symbols(), atoms.positions, strict=True))
        basis = level.basis or composite.BASIS
        cores = effective_cores(atoms.get_chemical_symbols(), basis)
        try:
            # The spin is that of the electrons as they come: it does not matter here.
            molecule = gto.M(atom=places, basis=basis, ecp=cores, spin=None, verbose=0)
        except gto.basis.BasisNotFoundError:
            return 0.0  # the calculation will fail, and say so
        if level.is_wave_function or _is_diffuse(level):
            return integrals.size_MB(molecule, df.autoaux(molecule))
        return integrals.size_MB(molecule, df.make_auxbasis(molecule, xc=level.method if level.basis else "pbe"))

    def calculator(self, level: Level, *, charge: int, multiplicity: int) -> PySCFCalculator:
        """Return an ASE calculator."""
        return PySCFCalculator(level, charge=charge, multiplicity=multiplicity)


def _is_diffuse(level: Level) -> bool:
    """Whether its basis set has functions for the far electrons of anions."""
    return level.basis is not None and not level.lacks_diffuse


def _density_fitted(field: Any, functional: str, *, is_diffuse: bool) -> Any:
    """A field with PySCF's own fitting basis, and functions of even ratios for elements that its table lacks.

    Those of Dunning's sets lack Li, and PySCF then fails. For diffuse functions it takes sets that have none: Cl- comes
    out 12 to 17 meV too low in def2-svpd and def2-tzvpd, F- 47 meV in aug-cc-pvtz. AutoAux leaves less than 0.3.

    References
    ----------
    Stoychev, Auer & Neese, J. Chem. Theory Comput. 13, 554 (2017): AutoAux.
    """
    from pyscf import df, gto
    from pyscf.df import addons

    if is_diffuse:
        return field.density_fit(auxbasis=df.autoaux(field.mol))
    try:
        fitted = field.density_fit()
        addons.make_auxmol(field.mol, fitted.with_df.auxbasis)
    except gto.basis.BasisNotFoundError:
        return field.density_fit(auxbasis=df.make_auxbasis(field.mol, xc=functional))
    return fitted


def _installed(name: str) -> bool:
    return any(True for _ in metadata.distributions(name=name))


def _functional(level: Level) -> str:
    """What PySCF calls the functional of a level."""
    return _WITHOUT_VV10.get(level.method, level.method) if level.dispersion else level.method


def _dispersion(level: Level) -> str | None:
    """The dispersion of a level as PySCF takes it, with the name of its parameters where that is another one."""
    named = level.dispersion and _functional(level) != level.method
    return f"{level.dispersion}:{level.method}" if named else level.dispersion


def _unsound_functional(level: Level) -> str | None:
    """Why PySCF would not compute what the name of the functional says; None where it would."""
    from pyscf.dft import libxc
    from pyscf.scf.dispersion import parse_dft

    try:
        factors = [factor for _, factor in libxc.parse_xc(_functional(level))[1]]
        hidden = parse_dft(_functional(level))[2]
    except NotImplementedError:
        return f"PySCF cannot compute '{level.method}'; try pbe-d4, r2scan-d4, pbe0-d4 or wb97m-d4"
    except (KeyError, ValueError):
        return f"PySCF knows no functional '{level.method}'; try pbe, r2scan, b3lyp, pbe0 or wb97x"
    if min(factors, default=1.0) < 0:
        return f"PySCF takes '{level.method}' for one functional less another; double hybrids are none of its own"
    if level.method == "lda":
        return "'lda' is Slater's exchange without correlation; take svwn"
    if hidden:
        return f"'{level.method}' has a dispersion of its own; name the functional and -d4 or -d3bj after it"
    return None


@cache
def _unsound_dispersion(level: Level) -> str | None:
    """Why the dispersion of a level is not that of its functional; None where it is."""
    from pyscf.dft import libxc

    if not level.dispersion:
        return None
    if reason := dispersion.missing():
        return reason
    if libxc.is_nlc(_functional(level)) and level.method not in _WITHOUT_VV10:
        return f"{level.method} has dispersion already (VV10); take it without -{level.dispersion}"
    try:
        dispersion.correction(level, Atoms("He"), charge=0)
    except RuntimeError:
        return f"{level.dispersion} has no parameters for {level.method}; take another functional or leave it out"
    return None


def _unknown_basis(basis: str) -> str | None:
    if not has_functions(basis, "Li"):
        return f"PySCF has no basis set '{basis}' for Li; try def2-svp, def2-svpd, def2-tzvp or def2-tzvpd"
    return None


@cache
def _solvents() -> dict[str, str]:
    """Solvents of SMD as a level writes them (small letters, hyphens for blanks), with PySCF's names."""
    from pyscf.solvent.smd import solvent_db

    named = {name.lower().replace(" ", "-"): name for name in solvent_db if name}
    return named | {short: named[name] for short, name in _SHORT_NAMES.items()}


def _unknown_solvent(level: Level) -> str | None:
    if level.solvent_model != "smd" or level.medium in _solvents():
        return None
    near = get_close_matches(level.medium or "", _solvents(), n=3, cutoff=0.7)
    meant = f"did you mean {' or '.join(near)}? Else " if near else ""
    continuum = level.medium if level.medium in PERMITTIVITIES else "EPS"
    return f"SMD has no parameters for '{level.medium}'; {meant}take @cpcm={continuum}, which is electrostatics alone"


class PySCFCalculator(Calculator):  # type: ignore[misc]
    """Restricted or unrestricted Kohn-Sham energies and forces of one charge and spin.

    The converged density of one step starts the next. What DIIS does not converge is tried from scratch with damping
    and a level shift, which is taken off in the end, and then with second-order SCF; when that fails too, the
    calculation fails: an unconverged energy is never returned.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces", "dipole"]
    _has_second_order = True

    def __init__(self, level: Level, *, charge: int, multiplicity: int, unrestricted: bool = False) -> None:
        """Take a level and a state; `unrestricted` lets the spins of a singlet part as well."""
        super().__init__()
        self._level = level
        self._charge = charge
        self._spin = multiplicity - 1
        self._is_open = unrestricted or self._spin > 0
        self._density: Any = None
        #: Basis functions of the last calculation.
        self.n_basis = 0

    def calculate(
        self,
        atoms: Any = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Compute energy (eV) and, when asked for, forces (eV/Å)."""
        super().calculate(atoms, properties, system_changes)
        if set(system_changes) - {"positions"}:
            self._density = None
        if self.atoms.pbc.any():
            raise EngineFailed(f"{self._level}: PySCF is used for molecules here; a periodic box needs gfn1 or gfn2")
        field = self._converged()
        self._density = field.make_rdm1()
        energy = (float(field.e_tot) + self._dispersion_beside_ghosts()) * Hartree
        gradient_of_corrections = np.zeros((1, 3))
        if self._level.method == composite.NAME:
            correction, gradient_of_corrections = composite.corrections(field.mol)
            energy += correction * Hartree
        if self._level.is_wave_function:
            energy += wave_function.correlation_Eh(field, self._level.method) * Hartree
        self.n_basis = int(field.mol.nao)
        self.results = {"energy": energy, "free_energy": energy}
        if "forces" in (properties or []):
            if self._ghost.any():
                raise EngineFailed(f"{self._level}: no forces with ghost atoms")
            if self._level.is_wave_function:
                raise EngineFailed(f"{self._level}: no forces; relax at gfn2 or a density functional")
            gradient = field.nuc_grad_method()
            gradient.verbose = 0
            gradient.grid_response = _is_meta(field.xc)
            slope = np.asarray(gradient.kernel()) + gradient_of_corrections
            # A grid that does not move along with the atoms pulls at the molecule as a whole, which no step could cure.
            slope -= slope.mean(axis=0)
            self.results["forces"] = -slope * Hartree / Bohr
        if not self._level.is_wave_function and not self._ghost.any():
            self.results["dipole"] = np.asarray(field.dip_moment(unit="AU", verbose=0)) * Bohr

    def converged(self, atoms: Atoms, guess: NDArray[np.float64] | None = None) -> Any:
        """Converged mean field of PySCF, for what an energy alone does not say; energies in Eh, dispersion included.

        Parameters
        ----------
        guess
            Density matrix to start from, (n_basis, n_basis).

        Raises
        ------
        EngineFailed
            It did not converge.
        """
        self.atoms = atoms.copy()
        self._density = guess
        return self._converged()

    @property
    def _ghost(self) -> NDArray[np.bool_]:
        return np.asarray(self.atoms.arrays.get("ghost", np.zeros(len(self.atoms))), dtype=bool)

    @property
    def _labels(self) -> list[str]:
        symbols = self.atoms.get_chemical_symbols()
        return [f"ghost-{symbol}" if ghost else symbol for symbol, ghost in zip(symbols, self._ghost, strict=True)]

    @property
    def _basis(self) -> str:
        return self._level.basis or composite.BASIS

    @property
    def _cores(self) -> dict[str, str]:
        # Ghosts get none from PySCF, whatever stands here.
        return effective_cores(self.atoms.get_chemical_symbols(), self._basis)

    def _dispersion_beside_ghosts(self) -> float:
        """D3 or D4 of the atoms that are there, Eh, where ghosts stand among them: D4 itself would see the ghosts.

        Without ghosts the mean field has added it already, and this is zero.
        """
        from pyscf import dft, gto

        if not self._level.dispersion or not self._ghost.any():
            return 0.0
        real = ~self._ghost
        atoms = list(zip(np.array(self.atoms.get_chemical_symbols())[real], self.atoms.positions[real], strict=True))
        molecule = gto.M(
            atom=atoms, basis=self._level.basis, ecp=self._cores, charge=self._charge, spin=self._spin, verbose=0
        )
        return float(dft.KS(molecule, xc=_functional(self._level)).get_dispersion(_dispersion(self._level)))

    def _converged(self) -> Any:
        field = self._made_ready(self._mean_field())
        field.callback = seen = _Lowest()
        field.kernel(dm0=self._first_density(field.mol) if self._density is None else self._density)
        if not field.converged or seen.is_below(field):
            field = self._escalated(field, seen)
        if not self._level.is_wave_function:
            if not self._ghost.any():
                # To find the points that hold nothing takes longer than one energy on them.
                field.small_rho_cutoff = 0
            field.grids.level = ENERGY_GRID_LEVEL
            field.grids.reset()
            field.e_tot = field.energy_tot(field.make_rdm1())
        return field

    def _first_density(self, molecule: Any) -> NDArray[np.float64] | None:
        """Density matrix to begin with where none is at hand; None for PySCF's own guess.

        Beside ghosts it is that of the atoms alone, in their own functions: fewer cycles, and on a quarter of the grid.
        PySCF's guess smears electrons over the ghosts.
        """
        if not self._ghost.any():
            return None
        alone = PySCFCalculator(self._level, charge=self._charge, multiplicity=self._spin + 1)
        alone.atoms = self.atoms[~self._ghost]
        field = alone._mean_field()
        field.with_df.build()
        field.kernel()
        if not field.converged:
            return None
        return placed(np.asarray(field.make_rdm1()), basis_functions(molecule, ~self._ghost), molecule.nao)

    def _escalated(self, field: Any, seen: _Lowest) -> Any:
        """Converge a field on which DIIS failed, or that ended above an energy that was seen on the way.

        Raises
        ------
        EngineFailed
            Nothing helped.
        """
        field.damp, field.level_shift, field.diis_start_cycle, cycles = _DAMPING, _LEVEL_SHIFT_EH, 8, field.max_cycle
        field.max_cycle = _PATIENT_CYCLES
        field.kernel()
        field.damp, field.level_shift, field.diis_start_cycle, field.max_cycle = 0, 0, 1, cycles
        field.kernel(dm0=field.make_rdm1())
        if self._has_second_order and (not field.converged or seen.is_below(field)):
            # Downhill from the best that was seen.
            field = field.newton()
            field.kernel(seen.mo_coeff, seen.mo_occ)
        lowest = not seen.is_below(field) and (not self._has_second_order or _fills_the_lowest(field))
        if not field.converged or not lowest:
            ended = "ended in an excited state" if field.converged else "did not converge"
            tried = ", and second-order SCF" if self._has_second_order else ""
            raise EngineFailed(
                f"PySCF ({self._level}) {ended} for {self.atoms.get_chemical_formula()}, charge "
                f"{self._charge:+d}: last energy {float(field.e_tot):.6f} Eh after DIIS, damping with a level "
                f"shift{tried}; look at the structure, the charge and the multiplicity"
            )
        return field

    def _made_ready(self, field: Any) -> Any:
        """What is done to a field before it runs."""
        if self._level.is_wave_function:
            integrals.forget()
        else:
            integrals.keep(field, own_threads())
            field.grids.cutoff, field._numint.cutoff = _FUNCTION_CUTOFF, _PRODUCT_CUTOFF
            field.small_rho_cutoff = _ELECTRONS_LEFT_OUT
        return field

    def _mean_field(self) -> Any:
        from pyscf import df, dft, gto, lib, scf

        keep_memory()
        # The bundled linear algebra runs fastest on one thread while PySCF's own loops take the rest.
        lib.num_threads(own_threads())
        try:
            molecule = gto.M(
                atom=list(zip(self._labels, self.atoms.positions, strict=True)),
                basis=self._basis, ecp=self._cores,
                charge=self._charge, spin=self._spin, verbose=0, max_memory=share_MB(own_threads()),
            )  # fmt: skip
        except gto.basis.BasisNotFoundError as problem:
            raise EngineFailed(
                f"PySCF ({self._level}): {' '.join(str(problem).split())}; take another basis"
            ) from problem
        if self._level.is_wave_function:
            # One fitting basis for exchange and amplitudes; the tabulated ones leave out Li for many basis sets.
            field = (scf.UHF if self._spin else scf.RHF)(molecule).density_fit(auxbasis=df.autoaux(molecule))
            field.conv_tol = WAVE_FUNCTION_CONVERGENCE_EH
            field.max_cycle = 100
            return field
        kind = dft.UKS if self._is_open else dft.RKS
        functional = composite.FUNCTIONAL if self._level.method == composite.NAME else _functional(self._level)
        field = _density_fitted(kind(molecule, xc=functional), functional, is_diffuse=_is_diffuse(self._level))
        field.grids.level = SCF_GRID_LEVEL
        field.conv_tol = CONVERGENCE_EH
        field.max_cycle = 60
        if self._level.dispersion and not self._ghost.any():
            field.disp = _dispersion(self._level)
        if self._level.dispersion and self._level.method in _WITHOUT_VV10:
            field.nlc = False
        if self._level.solvent_model == "smd":
            from pyscf.solvent import smd  # it gives the fields their method

            field = smd.smd_for_scf(field, smd.SMD(molecule, solvent=_solvents()[self._level.medium or ""]))
        elif self._level.solvent_model:
            field = field.PCM()
            field.with_solvent.method = {"cpcm": "C-PCM", "iefpcm": "IEF-PCM"}[self._level.solvent_model]
            field.with_solvent.eps = self._level.permittivity
        return field


def basis_functions(molecule: Any, atoms: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Indices of the basis functions that stand on the chosen atoms, in order."""
    ranges = molecule.aoslice_by_atom()[:, 2:]
    return np.concatenate([np.arange(first, last) for (first, last), one in zip(ranges, atoms, strict=True) if one])


def placed(block: NDArray[np.float64], functions: NDArray[np.int64], n_basis: int) -> NDArray[np.float64]:
    """Matrix of a fragment, or one of each spin, in the basis of the whole, zero elsewhere, (..., n_basis, n_basis)."""
    found = np.zeros((*block.shape[:-2], n_basis, n_basis))
    found[..., functions[:, None], functions] = block
    return found


class _Lowest:
    """Orbitals of the lowest energy that a field has had in any cycle, converged or not.

    Each cycle fills orthonormal orbitals, so that no energy of one can lie below that of the ground state: a field that
    converges above one of them has ended in an excited state.
    """

    def __init__(self) -> None:
        self.energy_Eh = math.inf
        self.mo_coeff: Any = None
        self.mo_occ: Any = None

    def __call__(self, cycle: dict[str, Any]) -> None:
        if float(cycle["e_tot"]) < self.energy_Eh:
            self.energy_Eh = float(cycle["e_tot"])
            self.mo_coeff, self.mo_occ = cycle.get("mo_coeff"), cycle.get("mo_occ")

    def is_below(self, field: Any) -> bool:
        """Whether it lies below the energy at which a field has ended."""
        return self.energy_Eh < float(field.e_tot) - _SAME_EH


def _is_meta(functional: str) -> bool:
    """Whether it is a meta-GGA: the forces of those are too rough without the motion of the grid."""
    from pyscf.dft import libxc

    return bool(libxc.is_meta_gga(functional))


def _fills_the_lowest(field: Any) -> bool:
    """Whether no deep orbital is empty: second-order SCF can stop at any stationary point."""
    energies, occupations = np.atleast_2d(field.mo_energy), np.atleast_2d(field.mo_occ)
    return all(
        energy[occupied > 0].max(initial=-np.inf) < energy[occupied == 0].min(initial=np.inf) + _HOLE_EH
        for energy, occupied in zip(energies, occupations, strict=True)
    )
