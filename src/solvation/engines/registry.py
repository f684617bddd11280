"""The registry of engines: the one way from a level of theory to an ASE calculator."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from solvation.engines.ase import ASEEngine
from solvation.engines.base import Engine
from solvation.engines.cache import kept
from solvation.engines.cp2k import CP2KEngine
from solvation.engines.gaussian import GaussianEngine
from solvation.engines.gpu4pyscf import GPU4PySCFEngine
from solvation.engines.mace import MACEEngine
from solvation.engines.nwchem import NWChemEngine
from solvation.engines.orca import ORCAEngine
from solvation.engines.psi4 import Psi4Engine
from solvation.engines.pyscf import PySCFEngine
from solvation.engines.tblite import TBLiteEngine
from solvation.engines.vasp import VASPEngine
from solvation.engines.xtb import XtbEngine
from solvation.errors import EngineFailed, EngineMissing, StudyError
from solvation.study import Level
from solvation.study.levels import SOLVENT_MODELS

_ALL: tuple[Engine, ...] = (
    TBLiteEngine(), PySCFEngine(), GPU4PySCFEngine(), XtbEngine(), NWChemEngine(), Psi4Engine(), CP2KEngine(),
    ORCAEngine(), GaussianEngine(), VASPEngine(), ASEEngine(), MACEEngine(),
)  # fmt: skip
ENGINES = {engine.name: engine for engine in _ALL}


@dataclass(frozen=True, slots=True)
class Survey:
    """What one engine can do, and whether it is here.

    Attributes
    ----------
    missing
        Why it cannot run here, with the mend; None when it can.
    analyses
        What it tells of the electrons: charges, densities, shieldings, stability.
    solvents
        Its implicit solvents, as a level calls them.
    """

    name: str
    missing: str | None
    molecules: bool
    boxes: bool
    ghosts: bool
    analyses: tuple[str, ...]
    solvents: tuple[str, ...]

    @property
    def abilities(self) -> str:
        """One line of words."""
        kinds = {"molecules": self.molecules, "boxes": self.boxes, "ghosts": self.ghosts}
        # Normal modes are finite differences of forces, whatever gives them.
        words = ["energy", "forces", "modes", *(word for word, has in kinds.items() if has)]
        return ", ".join([*words, *self.analyses, *(f"@{model}" for model in self.solvents)])

    def as_dict(self) -> dict[str, Any]:
        """Plain data of it."""
        return {**asdict(self), "energy": True, "forces": True, "modes": True}


def survey() -> list[Survey]:
    """What each engine can do, and whether it is here."""
    return [
        Survey(
            name,
            engine.missing(),
            engine.has_molecules,
            engine.has_boxes,
            engine.has_ghosts,
            engine.analyses,
            SOLVENT_MODELS[name],
        )
        for name, engine in ENGINES.items()
    ]


def check_level(level: Level) -> None:
    """Refuse a level that cannot be computed here, before anything is.

    Raises
    ------
    StudyError
        The engine is unknown, or cannot compute this level.
    EngineMissing
        The engine is not installed.
    """
    engine = ENGINES.get(level.engine)
    if engine is None:
        raise StudyError(f"level '{level}': unknown engine '{level.engine}'; known: {', '.join(ENGINES)}")
    if (reason := engine.missing()) is not None:
        raise EngineMissing(f"level '{level}': {reason}")
    if (reason := engine.refuses(level)) is not None:
        raise StudyError(f"level '{level}': {reason}")


def check_system(level: Level, symbols: Collection[str], *, charge: int, multiplicity: int) -> None:
    """Refuse a level that has no functions for an element, or cannot be told a state, before anything is computed.

    Raises
    ------
    StudyError
        With the mend.
    """
    reason = ENGINES[level.engine].lacks(level, symbols, charge=charge, multiplicity=multiplicity)
    if reason is not None:
        raise StudyError(f"level '{level}': {reason}")


def calculator_for(level: Level, *, charge: int, multiplicity: int = 1) -> Any:
    """Return an ASE calculator of `level`; a fresh one for each electronic state.

    Raises
    ------
    StudyError, EngineMissing
        As `check_level`.
    """
    check_level(level)
    return ENGINES[level.engine].calculator(level, charge=charge, multiplicity=multiplicity)


def energy_eV(atoms: Atoms, level: Level, *, charge: int, multiplicity: int = 1) -> float:
    """Total energy of one structure in eV.

    An electron-free species (H+ or a fully stripped ion) has energy zero by definition.

    Raises
    ------
    EngineFailed
        With the engine's own last words.
    """
    calculator = calculator_for(level, charge=charge, multiplicity=multiplicity)
    return _kept(atoms, calculator, level, charge, multiplicity)[0]


def energy_with_ghosts_eV(
    atoms: Atoms, ghost: NDArray[np.bool_], level: Level, *, charge: int, multiplicity: int = 1
) -> tuple[float, int]:
    """Total energy in eV of the atoms that are no ghosts, in the basis of all, and the number of basis functions.

    Parameters
    ----------
    ghost
        Atoms that keep their basis functions and nothing else, (n_atoms,).

    Raises
    ------
    StudyError
        The engine knows no ghosts, or the level has an implicit solvent: ghost atoms have no cavity.
    EngineFailed
        With the engine's own last words.
    """
    check_ghosts(level)
    if level.solvent_model:
        raise StudyError(f"level '{level}': ghost atoms have no cavity; correct the gas phase")
    copy = atoms.copy()
    copy.set_array("ghost", np.asarray(ghost, dtype=bool))
    calculator = calculator_for(level, charge=charge, multiplicity=multiplicity)
    return _kept(copy, calculator, level, charge, multiplicity)


def has_ghosts(level: Level) -> bool:
    """Whether a level has a counterpoise correction."""
    return ENGINES[level.engine].has_ghosts and bool(level.basis)


def check_ghosts(level: Level) -> None:
    """Refuse a level without counterpoise correction.

    Raises
    ------
    StudyError
        With the reason.
    """
    if has_ghosts(level):
        return
    if not ENGINES[level.engine].has_ghosts:
        raise StudyError(f"level '{level}': {level.engine} has no ghost atoms, so no counterpoise; use a DFT level")
    raise StudyError(f"level '{level}': corrects its basis by itself; counterpoise would count it twice")


def check_shieldings(level: Level) -> None:
    """Refuse a level without shieldings.

    Raises
    ------
    StudyError, EngineMissing
        With the mend.
    """
    check_level(level)
    if level.engine == "nwchem":
        if level.solvent_model or level.method == "tpss":
            raise StudyError(f"level '{level}': shieldings by NWChem are those of pbe, pbe0, ... in the gas phase")
        return
    if not level.has_density:
        raise StudyError(
            f"level '{level}': shieldings need a density functional of pyscf or nwchem, e.g. pbe0/def2-tzvp"
        )
    from pyscf.dft import libxc

    if libxc.xc_type(level.method) not in {"LDA", "GGA"} or libxc.rsh_coeff(level.method)[0]:
        raise StudyError(
            f"level '{level}': shieldings are those of GGA functionals and their global hybrids here, e.g. "
            "pbe0/def2-tzvp; a kinetic energy density or a split exchange is not put into the field"
        )


def energy_forces(
    atoms: Atoms, level: Level, *, charge: int, multiplicity: int = 1
) -> tuple[float, NDArray[np.float64]]:
    """Total energy in eV and forces in eV/Å, (n_atoms, 3)."""
    copy = atoms.copy()
    copy.calc = calculator_for(level, charge=charge, multiplicity=multiplicity)
    # Forces first: they bring the energy along, which without them would be computed by itself and again.
    forces = np.asarray(copy.get_forces())
    return _value(copy, copy.calc, level), forces


def _kept(atoms: Atoms, calculator: Any, level: Level, charge: int, multiplicity: int) -> tuple[float, int]:
    def compute() -> tuple[float, int]:
        return _value(atoms, calculator, level), int(getattr(calculator, "n_basis", 0))

    def identity() -> str | None:
        return ENGINES[level.engine].identity(level)

    def output() -> str | None:
        # Of a program; a calculator of the user's own may call something else so.
        printed = getattr(calculator, "output", None)
        return printed if isinstance(printed, str) else None

    return kept(atoms, str(level), identity, charge=charge, multiplicity=multiplicity, compute=compute, output=output)


def identity_of(level: Level) -> str | None:
    """What numbers of a level come from besides it, where they are worth keeping even of a fast program."""
    engine = ENGINES[level.engine]
    return f"tblite {metadata.version('tblite')}" if level.engine == "tblite" else engine.identity(level)


def _value(atoms: Atoms, calculator: Any, level: Level) -> float:
    copy = atoms.copy()
    copy.calc = calculator
    value = float(copy.get_potential_energy())
    if not np.isfinite(value):
        raise EngineFailed(f"{level} gave the energy {value} for {copy.get_chemical_formula()}; check the structure")
    return value
