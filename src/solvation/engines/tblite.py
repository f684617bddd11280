"""GFN1-xTB and GFN2-xTB by tblite, embedded."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, ClassVar

from ase.calculators.calculator import Calculator, all_changes
from ase.units import Bohr, Hartree

from solvation.errors import EngineFailed
from solvation.study import Level

METHODS = {"gfn1": "GFN1-xTB", "gfn2": "GFN2-xTB"}


class TBLiteEngine:
    """The embedded tight-binding engine.

    References
    ----------
    GFN1: Grimme, Bannwarth & Shushkov, J. Chem. Theory Comput. 13, 1989 (2017).
    GFN2: Bannwarth, Ehlert & Grimme, J. Chem. Theory Comput. 15, 1652 (2019).
    ALPB: Ehlert, Stahn, Spicher & Grimme, J. Chem. Theory Comput. 17, 4250 (2021).
    """

    name = "tblite"

    def missing(self) -> str | None:
        """Why it cannot run here; None when it can."""
        return None if find_spec("tblite") else "tblite is not installed; pip install 'solvation[compute]'"

    def refuses(self, level: Level) -> str | None:
        """Why it cannot compute this level; None when it can."""
        if level.method not in METHODS:
            return f"tblite computes {' and '.join(METHODS)}, not '{level.method}'"
        return None

    def calculator(self, level: Level, *, charge: int, multiplicity: int) -> TBLiteCalculator:
        """Return an ASE calculator."""
        return TBLiteCalculator(level, charge=charge, multiplicity=multiplicity)


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
            self._result = None
            raise EngineFailed(
                f"tblite ({self._level}) failed for {self.atoms.get_chemical_formula()}: {str(problem).strip()}"
            ) from problem
        self.results = {
            "energy": float(self._result.get("energy")) * Hartree,
            "free_energy": float(self._result.get("energy")) * Hartree,
            "forces": -self._result.get("gradient") * Hartree / Bohr,
            "charges": self._result.get("charges"),
            "dipole": self._result.get("dipole") * Bohr,
        }

    def _new_engine(self) -> Any:
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
            if self._level.solvent_model:
                engine.add(f"{self._level.solvent_model}-solvation", self._level.medium)
        except (RuntimeError, ValueError, TypeError) as problem:
            raise EngineFailed(
                f"tblite ({self._level}) refused {atoms.get_chemical_formula()}: {str(problem).strip()}"
            ) from problem
        return engine
