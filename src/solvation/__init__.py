"""Which donor holds an ion, how strongly, and whether the liquid agrees.

import solvation

results = solvation.load_results("results/default")
answer = solvation.bind_composition({"Li+": 1, "W": 2}, species, level, sampling=..., seed=1)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from solvation.comparison import compare
    from solvation.energies.query import bind_composition
    from solvation.energies.ranking import rank_ligands
    from solvation.errors import SolvationError
    from solvation.results import Results, load_results
    from solvation.shells.analysis import analyze_trajectory
    from solvation.study import Level, Sampling, Species, Study, load_study
    from solvation.trajectory.frames import open_trajectory

__all__ = [
    "Level",
    "Results",
    "Sampling",
    "SolvationError",
    "Species",
    "Study",
    "analyze_trajectory",
    "bind_composition",
    "compare",
    "load_results",
    "load_study",
    "open_trajectory",
    "rank_ligands",
]
# Engines and readers take seconds to import: each name is fetched when it is first asked for.
_HOME = {
    "analyze_trajectory": "shells.analysis",
    "bind_composition": "energies.query",
    "compare": "comparison",
    "load_results": "results",
    "open_trajectory": "trajectory.frames",
    "rank_ligands": "energies.ranking",
    "Results": "results",
    "SolvationError": "errors",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'solvation' has no attribute '{name}'")
    return getattr(importlib.import_module(f"solvation.{_HOME.get(name, 'study')}"), name)


def __dir__() -> list[str]:
    return __all__
