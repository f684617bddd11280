"""What it costs to take an electron from a ligand or from a whole complex: ionisation energies by differences of SCF.

An ionisation energy is no oxidation potential until an electrode takes the electron; against Li+/Li
U = IE / e - 1.40 V, from the absolute potential of the hydrogen electrode, 4.44 V, and -3.04 V of lithium. What comes
out ranks molecules; it leaves out the electrode, the anion and what the cation does next.

References
----------
Trasatti, Pure Appl. Chem. 58, 955 (1986): the absolute potential.
Borodin, Behl & Jow, J. Phys. Chem. C 117, 8661 (2013): oxidation of electrolytes by cluster calculations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ase import Atoms

from solvation.clusters.checks import broken_or_formed, fault
from solvation.clusters.ensembles import Structure
from solvation.clusters.relaxation import relax
from solvation.clusters.shell import Shell
from solvation.engines import energy_eV
from solvation.engines.electrons import stability
from solvation.errors import StudyError
from solvation.study import Level

#: Potential of Li+/Li on the absolute scale, V.
LITHIUM_ELECTRODE_V = 4.44 - 3.04
_MOST_STEPS = 500


@dataclass(frozen=True, slots=True)
class Oxidation:
    """Ionisation energies of one structure, eV.

    Attributes
    ----------
    geometry_level
        Level that relaxed the structure, and its cation for the adiabatic value.
    vertical_eV, adiabatic_eV
        At the structure as it stands, and with the cation relaxed.
    note
        What the cation did when it was relaxed, when it is no longer the same molecule; and where its electrons first
        settled in a state that was not the lowest.
    """

    structure: str
    level: Level
    geometry_level: Level
    vertical_eV: float
    adiabatic_eV: float
    note: str

    @property
    def vertical_V(self) -> float:
        """Vertical oxidation potential against Li+/Li."""
        return self.vertical_eV - LITHIUM_ELECTRODE_V

    @property
    def adiabatic_V(self) -> float:
        """Adiabatic oxidation potential against Li+/Li."""
        return self.adiabatic_eV - LITHIUM_ELECTRODE_V


def oxidation(structure: Structure, shell: Shell, level: Level) -> Oxidation:
    """Ionisation energies of a free molecule (a shell of one) or of a complex.

    The cation is relaxed at the level that relaxed the structure. Electrons of an open shell settle where they should
    not more often than others: at density functionals of PySCF a lower state of the cation is looked for.

    Raises
    ------
    StudyError
        There is no electron to take: a bare Li+ is not oxidised.
    EngineFailed
        An engine failed, or the cation finds no minimum.
    """
    if len(structure.atoms) == 1:
        raise StudyError(f"{structure.name} is a bare atom; its oxidation is not that of an electrolyte")
    neutral = energy_eV(structure.atoms, level, charge=shell.charge, multiplicity=shell.multiplicity)
    state = {"charge": shell.charge + 1, "multiplicity": 2 if shell.multiplicity == 1 else shell.multiplicity - 1}
    vertical, told = _lowest_eV(structure.atoms, level, **state)
    end = relax(structure.atoms, structure.geometry_level, **state, max_steps=_MOST_STEPS)
    relaxed = structure.atoms.copy()
    relaxed.positions = end.positions_A
    alone = len(shell.molecules) == 1
    note = (broken_or_formed(shell, end.positions_A) if alone else fault(shell, end.positions_A, {})) or ""
    if not end.converged:
        note = "; ".join(part for part in (note, f"the cation was still at {end.fmax_eV_A:.2f} eV/Å") if part)
    adiabatic, told_relaxed = _lowest_eV(relaxed, level, **state)
    settled = told or told_relaxed
    return Oxidation(
        structure=structure.name,
        level=level,
        geometry_level=structure.geometry_level,
        vertical_eV=vertical - neutral,
        adiabatic_eV=adiabatic - neutral,
        note="; ".join(part for part in (f"oxidised and relaxed: {note}" if note else "", settled) if part),
    )


def _lowest_eV(atoms: Atoms, level: Level, *, charge: int, multiplicity: int) -> tuple[float, str]:
    """Energy of a state or of the one that it slides to, and what is to be told of that."""
    energy = energy_eV(atoms, level, charge=charge, multiplicity=multiplicity)
    if not level.has_states:
        return energy, ""
    found = stability(atoms, level, charge=charge, multiplicity=multiplicity)
    return energy + found.lower_eV, f"the cation first was {found.words}, which is taken" if found.instability else ""


def oxidation_to_json(item: Oxidation) -> dict[str, Any]:
    """Plain data of ionisation energies."""
    return {**asdict(item), "level": str(item.level), "geometry_level": str(item.geometry_level)}


def oxidation_from_json(data: Mapping[str, Any]) -> Oxidation:
    """Reverse of `oxidation_to_json`."""
    levels = {key: Level.model_validate(data[key]) for key in ("level", "geometry_level")}
    return Oxidation(**{**data, **levels})
