"""The density functionals of PySCF on a graphics card, by GPU4PySCF: the same settings, the same numbers."""

from __future__ import annotations

from importlib import metadata
from importlib.util import find_spec
from typing import Any

from ase import Atoms

from solvation.engines.pyscf import PySCFCalculator, PySCFEngine
from solvation.study import Level


class GPU4PySCFEngine(PySCFEngine):
    """The embedded DFT engine on one NVIDIA graphics card.

    References
    ----------
    Li, Sun, Zhang & Chan, arXiv:2407.09700 (2024); Wu et al., arXiv:2404.09452 (2024).
    """

    name = "gpu4pyscf"
    analyses: tuple[str, ...] = ()

    def missing(self) -> str | None:
        """Why it cannot run here; None when it can."""
        if (reason := super().missing()) is not None:
            return reason
        if not find_spec("gpu4pyscf"):
            return (
                "GPU4PySCF is not installed; pip install gpu4pyscf-cuda12x or -cuda13x (for your CUDA), "
                "or write the level without 'gpu4pyscf:'"
            )
        try:
            from cupy.cuda import runtime
        except ImportError as problem:
            return (
                f"CuPy, which GPU4PySCF needs, does not start ({problem}); install the one for your CUDA, "
                "or write the level without 'gpu4pyscf:'"
            )
        try:
            devices = runtime.getDeviceCount()
        except runtime.CUDARuntimeError as problem:
            return f"GPU4PySCF finds no graphics card ({problem}); write the level without 'gpu4pyscf:'"
        return None if devices else "GPU4PySCF finds no graphics card; write the level without 'gpu4pyscf:'"

    def identity(self, level: Level) -> str:
        """Versions and the revision of the settings."""
        versions = {item.metadata["Name"]: item.version for item in metadata.distributions()}
        found = [f"{name} {version}" for name, version in sorted(versions.items()) if name.startswith("gpu4pyscf")]
        return ", ".join([super().identity(level), *found])

    def memory_MB(self, level: Level, atoms: Atoms) -> float:
        """Its integrals stay on the card."""
        return 0.0

    def calculator(self, level: Level, *, charge: int, multiplicity: int) -> GPU4PySCFCalculator:
        """Return an ASE calculator."""
        return GPU4PySCFCalculator(level, charge=charge, multiplicity=multiplicity)


class GPU4PySCFCalculator(PySCFCalculator):
    """As `PySCFCalculator`, without second-order SCF."""

    _has_second_order = False

    def _made_ready(self, field: Any) -> Any:
        return field.to_gpu()

    def _first_density(self, molecule: Any) -> None:
        """Its own guess: what the processor would spend on a better one, the card does in a cycle."""
