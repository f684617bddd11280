"""Machine-learned potentials of the MACE class, one file of weights or a committee of several (docs/potentials.md)."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from functools import lru_cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from numpy.typing import NDArray

from solvation.errors import EngineFailed, StudyError
from solvation.provenance import sha256
from solvation.study import Level

#: Loading builds and compiles a model, which costs more than a hundred steps with it.
_MODELS_KEPT = 16


class MACEEngine:
    """Weights of the user's own, or those that a study fitted (`solvation fit`).

    References
    ----------
    Batatia, Kovács, Simm, Ortner & Csányi, Adv. Neural Inf. Process. Syst. 35, 11423 (2022).
    """

    name = "mace"
    has_ghosts = False
    has_boxes = True
    has_molecules = True
    analyses: tuple[str, ...] = ()

    def missing(self) -> str | None:
        """Why it cannot run here; None when it can."""
        return None if find_spec("mace") else "mace-torch is not installed; pip install 'solvation[mlp]'"

    def refuses(self, level: Level) -> str | None:
        """Why it cannot compute this level; None when it can."""
        lost = next((path for path in level.weights if not path.is_file()), None)
        return f"there is no file {lost}; paths are relative to the working directory" if lost else None

    def lacks(self, level: Level, symbols: Collection[str], *, charge: int, multiplicity: int) -> str | None:
        """Nothing that is known before the weights are read."""
        return None

    def identity(self, level: Level) -> str:
        """Version, and checksums of the weights."""
        return ", ".join([f"mace-torch {metadata.version('mace-torch')}", *map(sha256, level.weights)])

    def memory_MB(self, level: Level, atoms: Atoms) -> float:
        """More than there is: torch threads as it likes, so jobs run one after the other."""
        return float("inf")

    def calculator(self, level: Level, *, charge: int, multiplicity: int) -> Committee:
        """Return an ASE calculator.

        Raises
        ------
        StudyError
            The system has another charge than those that the weights were fitted to, or unpaired electrons: nothing
            could tell the potential.
        EngineFailed
            A file holds no weights of mace.
        """
        if charge != level.charge or multiplicity != 1:
            raise StudyError(
                f"level '{level}': its weights stand for charge {level.charge:+d} and multiplicity 1, this system has "
                f"{charge:+d} and {multiplicity}; name the charge that they were fitted to, @charge={charge}, or a "
                "function of your own that tells the model (ase:)"
            )
        return Committee([_member(path) for path in level.weights])


class Committee(Calculator):  # type: ignore[misc]
    """Several potentials as one: mean energy (eV) and forces (eV/Å), and how far apart the members are.

    Attributes
    ----------
    spread_eV_A
        Disagreement of the members on the force of each atom in the last geometry, (n_atoms,); zeros of one member.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces"]

    def __init__(self, members: Sequence[Calculator]) -> None:
        super().__init__()
        self._members = list(members)
        self.spread_eV_A: NDArray[np.float64] = np.zeros(0)

    def calculate(
        self, atoms: Any = None, properties: list[str] | None = None, system_changes: list[str] = all_changes
    ) -> None:
        """Compute energy and forces with every member.

        Raises
        ------
        EngineFailed
            With the last words of the member that failed.
        """
        super().calculate(atoms, properties, system_changes)
        try:
            forces = np.array([member.get_forces(self.atoms) for member in self._members])
            energies = [float(member.get_potential_energy(self.atoms)) for member in self._members]
        except RuntimeError as problem:
            raise EngineFailed(f"mace failed: {' '.join(str(problem).split())[-300:]}") from problem
        self.spread_eV_A = disagreement_eV_A(forces)
        energy = float(np.mean(energies))
        self.results = {"energy": energy, "free_energy": energy, "forces": forces.mean(axis=0)}


def disagreement_eV_A(forces_eV_A: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far the members of a committee are apart on the force of each atom.

    .. math:: \\epsilon_i = \\sqrt{\\frac{1}{K} \\sum_k |F_{k,i} - \\bar F_i|^2}

    Parameters
    ----------
    forces_eV_A
        Of all members, eV/Å, (n_members, n_atoms, 3).

    Returns
    -------
    ndarray
        eV/Å, (n_atoms,).

    References
    ----------
    Zhang, Lin, Wang, Car & E, Phys. Rev. Mater. 3, 023804 (2019).
    """
    away = forces_eV_A - forces_eV_A.mean(axis=0)
    return np.asarray(np.sqrt(np.mean(np.sum(away**2, axis=2), axis=0)))


class _Member(Calculator):  # type: ignore[misc]
    """One model; it refuses elements that it was not fitted to."""

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces"]

    def __init__(self, path: Path, model: Any) -> None:
        from mace.calculators import MACECalculator

        super().__init__()
        self._path = path
        self._known = {int(number) for number in model.atomic_numbers}
        self._inner = MACECalculator(models=[model], device=device(), default_dtype="float64")

    def calculate(
        self, atoms: Any = None, properties: list[str] | None = None, system_changes: list[str] = all_changes
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        strangers = [atom.symbol for atom in self.atoms if atom.number not in self._known]
        if strangers:
            raise StudyError(f"{self._path}: was fitted without {strangers[0]}; choose weights that know it")
        forces = np.asarray(self._inner.get_forces(self.atoms), dtype=float)
        energy = float(self._inner.get_potential_energy(self.atoms))
        self.results = {"energy": energy, "free_energy": energy, "forces": forces}


def device() -> str:
    """`cuda` where torch finds a graphics card, else `cpu`."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _member(path: Path) -> _Member:
    found = path.stat()
    return _Member(path, _model(path.resolve(), found.st_size, found.st_mtime_ns))


@lru_cache(maxsize=_MODELS_KEPT)
def _model(path: Path, size: int, changed_ns: int) -> Any:
    """Load a model in double precision; size and date tell apart what a file held at different times."""
    import torch

    try:
        with warnings.catch_warnings():
            # Those of torch about its own future, which e3nn has to mend.
            warnings.simplefilter("ignore", FutureWarning)
            # mace pickles whole models: what is loaded may run code (docs/potentials.md).
            model = torch.load(path, map_location=device(), weights_only=False).double()
        _ = model.atomic_numbers, model.r_max
    except Exception as problem:
        reason = " ".join(str(problem).split())[:200]
        raise EngineFailed(f"{path}: holds no model of mace ({type(problem).__name__}: {reason})") from problem
    return model
