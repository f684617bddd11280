"""The programs antechamber and parmchk2 as separate processes: atom types of GAFF2, and the terms that it lacks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from solvation import children
from solvation.errors import EngineFailed, EngineMissing
from solvation.species import Molecule

_TIMEOUT_S = 300


@dataclass(frozen=True, slots=True)
class Typed:
    """What the two programs say of a molecule.

    Attributes
    ----------
    types
        GAFF2 type of each atom, (n_atoms,).
    missing
        Text of the terms that GAFF2 lacks, in the format of frcmod, each by analogy with a penalty.
    """

    types: tuple[str, ...]
    missing: str


def home() -> Path:
    """Folder of AmberTools or of its excerpt in acpype: `bin/` and `dat/leap/parm/gaff2.dat` are below it.

    Raises
    ------
    EngineMissing
        When there is none.
    """
    found = shutil.which("antechamber")
    folders = [Path(found).resolve().parents[1], Path(found).parents[1]] if found else []
    spec = find_spec("acpype")
    system = "amber_macos" if sys.platform == "darwin" else "amber_linux"
    folders += [Path(place) / system for place in (spec.submodule_search_locations or [])] if spec else []
    for folder in folders:
        if (folder / "bin" / "parmchk2").is_file() and (folder / "dat" / "leap" / "parm" / "gaff2.dat").is_file():
            return folder
    raise EngineMissing(
        "antechamber, parmchk2 and gaff2.dat are neither on PATH nor in the package acpype; "
        "pip install 'solvation[liquids]', or install AmberTools"
    )


def gaff2_data() -> Path:
    """GAFF2's own table of parameters.

    Raises
    ------
    EngineMissing
        As `home`.
    """
    return home() / "dat" / "leap" / "parm" / "gaff2.dat"


def typed(molecule: Molecule, positions_A: NDArray[np.float64]) -> Typed:
    """Run both programs in a scratch folder, which stays when they fail.

    Parameters
    ----------
    positions_A
        A geometry, Å, (n_atoms, 3); types follow from the bonds and do not depend on it.

    Raises
    ------
    EngineMissing, EngineFailed
        A program is not there, or did not do its work; the message has its last words.
    """
    folder = home()
    with children.scratch_folder("antechamber") as scratch:
        (scratch / "molecule.mol").write_text(Chem.MolToMolBlock(molecule.graph_at(positions_A)), encoding="ascii")
        _call(
            folder, scratch, "antechamber", "-i", "molecule.mol", "-fi", "mdl", "-o", "typed.mol2", "-fo", "mol2",
            "-at", "gaff2", "-nc", str(molecule.charge), "-dr", "no", "-pf", "y",
        )  # fmt: skip
        # The word `gaff2` instead of the number is taken for the first GAFF by some versions.
        _call(folder, scratch, "parmchk2", "-i", "typed.mol2", "-f", "mol2", "-o", "missing.frcmod", "-s", "2")
        types = _types(scratch / "typed.mol2")
        if len(types) != molecule.graph.GetNumAtoms():
            raise EngineFailed(f"antechamber typed {len(types)} atoms of {molecule.name} (its output: {scratch})")
        missing = (scratch / "missing.frcmod").read_text(encoding="ascii")
    return Typed(types, missing)


def _call(folder: Path, scratch: Path, program: str, *arguments: str) -> None:
    output, made = scratch / f"{program}.out", scratch / arguments[arguments.index("-o") + 1]
    with output.open("w", encoding="utf-8") as stream:
        try:
            done = children.run(
                [str(folder / "bin" / program), *arguments], cwd=scratch, stdout=stream,
                env={**os.environ, "AMBERHOME": str(folder)}, timeout=_TIMEOUT_S,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as problem:
            raise EngineFailed(f"{program} did not run: {problem} (its output: {output})") from problem
    if done.returncode or not made.is_file():
        lines = [line.strip() for line in output.read_text(errors="replace").splitlines() if line.strip()]
        raise EngineFailed(f"{program} failed: {(lines or ['no output'])[-1]} (its output: {output})")


def _types(path: Path) -> tuple[str, ...]:
    block = path.read_text(encoding="ascii").split("@<TRIPOS>ATOM")[1].split("@<TRIPOS>")[0]
    return tuple(line.split()[5] for line in block.strip().splitlines())
