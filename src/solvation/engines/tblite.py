"""GFN1-xTB and GFN2-xTB by tblite, embedded."""

from __future__ import annotations

import ctypes
from collections.abc import Collection
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.units import Bohr, Hartree, kB

from solvation.errors import EngineFailed
from solvation.study import Level

#: Born kernel of GBε: that of ALPB.
_KERNEL = "p16"
METHODS = {"gfn1": "GFN1-xTB", "gfn2": "GFN2-xTB"}


class TBLiteEngine:
    """The embedded tight-binding engine.

    References
    ----------
    GFN1: Grimme, Bannwarth & Shushkov, J. Chem. Theory Comput. 13, 1989 (2017).
    GFN2: Bannwarth, Ehlert & Grimme, J. Chem. Theory Comput. 15, 1652 (2019).
    ALPB: Ehlert, Stahn, Spicher & Grimme, J. Chem. Theory Comput. 17, 4250 (2021).
    Kernel of GBε: Lange & Herbert, J. Chem. Theory Comput. 8, 1999 (2012).
    """

    name = "tblite"
    has_ghosts = False
    has_boxes = True
    has_molecules = True
    analyses: tuple[str, ...] = ("charges",)

    def missing(self) -> str | None:
        """Why it cannot run here; None when it can."""
        if not find_spec("tblite"):
            return "tblite is not installed; pip install 'solvation[compute]'"
        lend_fast_blas()
        try:
            import tblite.interface  # noqa: F401
        except ImportError as problem:
            return f"tblite does not start ({str(problem).splitlines()[0]}); 'apt install libgomp1' where it is missing"
        return None

    def refuses(self, level: Level) -> str | None:
        """Why it cannot compute this level; None when it can."""
        if level.method not in METHODS:
            return f"tblite computes {' and '.join(METHODS)}, not '{level.method}'"
        if level.solvent_model not in {None, "gbe"} and not _knows_solvent(
            level.method, str(level.solvent_model), level.medium or ""
        ):
            return f"tblite has no solvent '{level.medium}' for {level.method}@{level.solvent_model}"
        return None

    def lacks(self, level: Level, symbols: Collection[str], *, charge: int, multiplicity: int) -> str | None:
        """Nothing: it has every element up to radon."""
        return None

    def identity(self, level: Level) -> None:
        """Faster than a file is found."""

    def memory_MB(self, level: Level, atoms: Atoms) -> float:
        """Next to nothing."""
        return 0.0

    def calculator(self, level: Level, *, charge: int, multiplicity: int) -> TBLiteCalculator:
        """Return an ASE calculator."""
        return TBLiteCalculator(level, charge=charge, multiplicity=multiplicity)


@cache
def _knows_solvent(method: str, model: str, medium: str) -> bool:
    """Ask tblite, whose list is nowhere to be read, with a hydrogen molecule."""
    from tblite.exceptions import TBLiteRuntimeError
    from tblite.interface import Calculator as Engine

    engine = Engine(METHODS[method], np.array([1, 1]), np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.4]]))
    try:
        engine.add(f"{model}-solvation", medium)
    except TBLiteRuntimeError:
        return False
    return True


@cache
def lend_fast_blas() -> Path | None:
    """Load PySCF's OpenBLAS before tblite, whose wheel brings the slow reference BLAS; return the file.

    It halves the time of a step (docs/engines.md) and leaves energies equal to 1e-10 eV. Where PySCF is not
    installed from its wheel, tblite runs with what it brought: the same numbers, later.
    """
    spec = find_spec("pyscf")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / "lib"
    found = sorted(folder.glob("libopenblas*"))
    if not found:
        return None
    for name in ("libquadmath-*", "libgfortran-*"):
        for library in sorted(folder.glob(name)):
            ctypes.CDLL(str(library))
    ctypes.CDLL(str(found[0]), mode=ctypes.RTLD_GLOBAL)
    return found[0]


#: What is tried in turn when the SCF does not converge: small steps; then electrons at 6300 K, cooled to the 300 K
#: that the methods are made for. Temperatures in Eh.
_ESCALATION: tuple[tuple[dict[str, float], ...], ...] = (
    ({"mixer-damping": 0.1, "max-iter": 1000},),
    (
        {"temperature": 0.02, "mixer-damping": 0.1, "max-iter": 1000},
        *({"temperature": kelvin * kB / Hartree} for kelvin in (3000.0, 1500.0, 800.0, 300.0)),
    ),
)


class TBLiteCalculator(Calculator):  # type: ignore[misc]
    """tblite with the charge and spin as arguments, and its density re-used from step to step.

    tblite's own ASE calculator takes the charge from the atoms' arrays, where a copied or sliced `Atoms`
    silently loses it, and accepts misspelt keywords.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces", "charges", "dipole"]

    def __init__(self, level: Level, *, charge: int, multiplicity: int, accuracy: float = 1.0) -> None:
        super().__init__()
        self._level = level
        self._charge = charge
        self._unpaired = multiplicity - 1
        self._accuracy = accuracy
        self._engine: Any = None
        self._result: Any = None

    def calculate(
        self,
        atoms: Any = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Compute energy (eV), forces (eV/Å), charges (e) and dipole (e Å)."""
        super().calculate(atoms, properties, system_changes)
        if self._engine is None or set(system_changes) - {"positions"}:
            self._engine, self._result = self._new_engine(), None
        else:
            self._engine.update(self.atoms.positions / Bohr)
        try:
            self._result = self._engine.singlepoint(self._result)
        except (RuntimeError, ValueError) as problem:
            self._result = self._escalated(str(problem).strip())
        self.results = {
            "energy": float(self._result.get("energy")) * Hartree,
            "free_energy": float(self._result.get("energy")) * Hartree,
            "forces": -self._result.get("gradient") * Hartree / Bohr,
            "charges": self._result.get("charges"),
            "dipole": self._result.get("dipole") * Bohr,
        }

    def _escalated(self, reason: str) -> Any:
        """Converge with more patience, then from warm electrons cooled down: the state is that of 300 K in the end.

        Raises
        ------
        EngineFailed
            All of it failed, or the reason was no lack of convergence.
        """
        tried = []
        if "not converged" in reason:
            for settings in _ESCALATION:
                engine, result = self._new_engine(), None
                tried.append(", ".join(f"{key} {value:g}" for key, value in settings[0].items()))
                try:
                    for step in settings:
                        for key, value in step.items():
                            engine.set(key, value)
                        result = engine.singlepoint(result)
                except (RuntimeError, ValueError) as problem:
                    reason = str(problem).strip()
                    continue
                self._engine = engine
                return result
        self._engine = self._result = None
        more = f", also with {'; with '.join(tried)}" if tried else ""
        raise EngineFailed(f"tblite ({self._level}) failed for {self.atoms.get_chemical_formula()}: {reason}{more}")

    def _new_engine(self) -> Any:
        lend_fast_blas()
        from tblite.interface import Calculator as Interface

        atoms = self.atoms
        try:
            engine = Interface(
                METHODS[self._level.method], atoms.numbers, atoms.positions / Bohr,
                charge=float(self._charge), uhf=self._unpaired,
                lattice=atoms.cell.array / Bohr if atoms.pbc.any() else None,
                periodic=atoms.pbc if atoms.pbc.any() else None,
            )  # fmt: skip
            engine.set("verbosity", 0)
            engine.set("accuracy", self._accuracy)
            if self._level.solvent_model == "gbe":
                engine.add("gbe-solvation", self._level.permittivity, _KERNEL)
            elif self._level.solvent_model:
                engine.add(f"{self._level.solvent_model}-solvation", self._level.medium)
        except (RuntimeError, ValueError, TypeError) as problem:
            raise EngineFailed(
                f"tblite ({self._level}) refused {atoms.get_chemical_formula()}: {str(problem).strip()}"
            ) from problem
        return engine
