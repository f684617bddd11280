"""Engines: from a level of theory to an ASE calculator, an energy, or many energies side by side."""

from solvation.engines.base import Engine
from solvation.engines.registry import (
    ENGINES,
    calculator_for,
    check_ghosts,
    check_level,
    check_shieldings,
    check_system,
    energy_eV,
    energy_forces,
    energy_with_ghosts_eV,
    has_ghosts,
    survey,
)
from solvation.engines.single_points import Energy, SinglePoint, all_or_nothing, energies_eV, single_points

__all__ = [
    "ENGINES",
    "Energy",
    "Engine",
    "SinglePoint",
    "all_or_nothing",
    "calculator_for",
    "check_ghosts",
    "check_level",
    "check_shieldings",
    "check_system",
    "energies_eV",
    "energy_eV",
    "energy_forces",
    "energy_with_ghosts_eV",
    "has_ghosts",
    "single_points",
    "survey",
]
