"""Any ASE calculator by the path Python imports it by: potentials of one's own, with one's own weights."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from importlib import import_module
from typing import Any

from ase import Atoms

from solvation.errors import StudyError
from solvation.study import Level


class ASEEngine:
    """A class or function that returns an ASE calculator, given `charge` and `multiplicity` if it takes them."""

    name = "ase"
    has_ghosts = False
    has_boxes = True
    has_molecules = True
    analyses: tuple[str, ...] = ()

    def missing(self) -> str | None:
        """Why it cannot run here; None when it can."""
        return None

    def refuses(self, level: Level) -> str | None:
        """Why it cannot compute this level; None when it can."""
        try:
            factory = _imported(level.method)
        except (ImportError, AttributeError) as problem:
            return f"cannot be imported ({problem}); is its folder on PYTHONPATH?"
        if not callable(factory):
            return "is not a class or function that returns an ASE calculator"
        if needed := [name for name in _required(factory) if name not in {"charge", "multiplicity"}]:
            return f"needs {', '.join(needed)}; name a function of your own that fills them in (docs/engines.md)"
        return None

    def lacks(self, level: Level, symbols: Collection[str], *, charge: int, multiplicity: int) -> str | None:
        """Why charge or multiplicity cannot be told to it: the potential of the neutral singlet would be wrong."""
        known = _names(_imported(level.method))
        state = {"charge": charge, "multiplicity": multiplicity}
        for name, plain in (("charge", 0), ("multiplicity", 1)):
            if name not in known and state[name] != plain:
                return (
                    f"{name} {state[name]} cannot be told to {level.method}, which takes no '{name}'; "
                    "name a function of your own that takes it (docs/engines.md)"
                )
        return None

    def identity(self, level: Level) -> None:
        """Nothing is known of a calculator of one's own: its weights may change."""

    def memory_MB(self, level: Level, atoms: Atoms) -> float:
        """More than there is: how it uses memory and threads is not known, so jobs run one after the other."""
        return float("inf")

    def calculator(self, level: Level, *, charge: int, multiplicity: int) -> Any:
        """Return an ASE calculator.

        Raises
        ------
        StudyError
            Charge or multiplicity cannot be told to it.
        """
        if (reason := self.lacks(level, (), charge=charge, multiplicity=multiplicity)) is not None:
            raise StudyError(f"level '{level}': {reason}")
        factory, state = _imported(level.method), {"charge": charge, "multiplicity": multiplicity}
        made = factory(**{name: value for name, value in state.items() if name in _names(factory)})
        if not hasattr(made, "get_potential_energy"):
            raise StudyError(f"level '{level}': {level.method} returned no ASE calculator, but {type(made).__name__}")
        return made


def _imported(path: str) -> Callable[..., Any]:
    module, _, name = path.rpartition(".")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found


def _names(factory: Callable[..., Any]) -> set[str]:
    """Arguments it takes by name; any-keyword arguments do not count: what takes all may heed none."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {name for name, item in inspect.signature(factory).parameters.items() if item.kind in kinds}


def _required(factory: Callable[..., Any]) -> list[str]:
    open_ended = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    items = inspect.signature(factory).parameters.items()
    return [name for name, item in items if item.default is item.empty and item.kind not in open_ended]
