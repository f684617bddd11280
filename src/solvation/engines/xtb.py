"""The xtb program (Debian's xtb), when it is installed: an independent GFN1 and GFN2."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.units import Bohr, Hartree

from solvation import children
from solvation.errors import EngineFailed
from solvation.study import Level

METHODS = {"gfn1": "1", "gfn2": "2"}


class XtbEngine:
    """The xtb program as a separate process."""

    name = "xtb"
    has_ghosts = False
    has_boxes = False
    has_molecules = True
    analyses: tuple[str, ...] = ()

    def missing(self) -> str | None:
        """Why it cannot run here; None when it can."""
        if shutil.which("xtb"):
            return None
        return "the program xtb is not on PATH; 'apt install xtb', or use the embedded gfn1/gfn2 without 'xtb:'"

    def refuses(self, level: Level) -> str | None:
        """Why it cannot compute this level; None when it can."""
        return None if level.method in METHODS else f"xtb computes {' and '.join(METHODS)}, not '{level.method}'"

    def lacks(self, level: Level, symbols: Collection[str], *, charge: int, multiplicity: int) -> str | None:
        """Nothing: it has every element up to radon."""
        return None

    def identity(self, level: Level) -> None:
        """Faster than a file is found."""

    def memory_MB(self, level: Level, atoms: Atoms) -> float:
        """Next to nothing."""
        return 0.0

    def calculator(self, level: Level, *, charge: int, multiplicity: int) -> XtbCalculator:
        """Return an ASE calculator."""
        return XtbCalculator(level, charge=charge, multiplicity=multiplicity)


class XtbCalculator(Calculator):  # type: ignore[misc]
    """One xtb process per energy and gradient, in a scratch folder of its own."""

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces"]

    def __init__(self, level: Level, *, charge: int, multiplicity: int) -> None:
        super().__init__()
        self._level = level
        self._charge = charge
        self._unpaired = multiplicity - 1

    def calculate(
        self,
        atoms: Any = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Compute energy (eV) and forces (eV/Å)."""

        from ase.io import write

        super().calculate(atoms, properties, system_changes)
        if self.atoms.pbc.any():
            raise EngineFailed("xtb is used for molecules here; a periodic box needs the embedded gfn1 or gfn2")
        command = ["xtb", "in.xyz", "--grad", "--gfn", METHODS[self._level.method]]
        command += ["--chrg", str(self._charge), "--uhf", str(self._unpaired)]
        if self._level.solvent_model:
            command += [f"--{self._level.solvent_model}", str(self._level.medium)]
        with children.scratch_folder("xtb") as scratch:
            write(scratch / "in.xyz", self.atoms, format="xyz")
            output = scratch / "xtb.out"
            with output.open("w", encoding="utf-8") as stream:
                done = children.run(command, cwd=scratch, stdout=stream)
            gradient = scratch / "gradient"
            if done.returncode or not gradient.is_file():
                raise EngineFailed(f"xtb failed: {_last_words(output)} (see {output})")
            energy, forces = _read_gradient(gradient, len(self.atoms))
        self.results = {"energy": energy, "free_energy": energy, "forces": forces}


def _last_words(output: Path) -> str:
    lines = [line.strip() for line in output.read_text(errors="replace").splitlines() if line.strip(" #-*")]
    told = [line for line in lines if "ERROR" in line.upper() or "failed" in line.lower()]
    return (told or lines or ["no output"])[-1]


def _read_gradient(path: Path, n_atoms: int) -> tuple[float, Any]:
    """Energy in eV and forces in eV/Å out of a Turbomole `gradient` file."""
    lines = path.read_text().splitlines()
    head = next(line for line in lines if "SCF energy" in line)
    energy_Eh = float(head.split("SCF energy =")[1].split()[0])
    rows = lines[lines.index(head) + 1 + n_atoms :][:n_atoms]
    gradient = np.array([[float(word.replace("D", "E")) for word in row.split()] for row in rows])
    return energy_Eh * Hartree, -gradient * Hartree / Bohr
