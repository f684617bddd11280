"""The packmol program as a separate process."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from solvation import children
from solvation.errors import EngineFailed, EngineMissing, StructureError
from solvation.species import Molecule

Shape = Literal["droplet", "box"]

_TIMEOUT_S = 300


def program() -> str:
    """Path of the packmol program, that of this Python's environment first.

    Raises
    ------
    EngineMissing
        When there is none.
    """
    beside = Path(sys.executable).parent / "packmol"
    found = str(beside) if beside.is_file() else shutil.which("packmol")
    if found is None:
        raise EngineMissing("packmol is neither in this Python's environment nor on PATH; pip install packmol")
    return found


def run(
    executable: str,
    molecules: Sequence[Molecule],
    geometries: Sequence[NDArray[np.float64]],
    shape: Shape,
    extent_A: float,
    *,
    center: bool,
    seed: int,
    tolerance_A: float,
) -> NDArray[np.float64]:
    """Run packmol in a scratch folder, which stays when it fails; positions in Å, (n_atoms, 3)."""
    from ase.io import read, write

    with children.scratch_folder("packmol") as scratch:
        lines = [f"tolerance {tolerance_A:.6f}", "filetype xyz", "output packed.xyz", f"seed {seed}", "nloop 200"]
        if shape == "box":
            lines.append(f"pbc {extent_A:.8f} {extent_A:.8f} {extent_A:.8f}")
        files: dict[int, str] = {}
        first = 0
        while first < len(molecules):
            # Copies of one conformer follow each other: one block for all of them.
            last = first + 1
            fixed = center and first == 0
            while not fixed and last < len(molecules) and geometries[last] is geometries[first]:
                last += 1
            name = files.setdefault(id(geometries[first]), f"molecule{len(files)}.xyz")
            write(scratch / name, Atoms(molecules[first].symbols, geometries[first]), format="xyz")
            lines += [f"structure {name}", f" number {last - first}"]
            if fixed:
                lines.append(" fixed 0. 0. 0. 0. 0. 0.")
            elif shape == "droplet":
                lines.append(f" inside sphere 0. 0. 0. {extent_A:.8f}")
            lines.append("end structure")
            first = last
        (scratch / "packmol.inp").write_text("\n".join(lines) + "\n", encoding="utf-8")
        _call(executable, scratch)
        packed = read(scratch / "packed.xyz")
        expected = [symbol for molecule in molecules for symbol in molecule.symbols]
        if packed.get_chemical_symbols() != expected:
            raise StructureError(
                f"packmol returned {len(packed)} atoms where {len(expected)} were asked for ({scratch})"
            )
    return np.asarray(packed.positions)


def _call(executable: str, scratch: Path) -> None:
    output = scratch / "packmol.out"
    with (scratch / "packmol.inp").open() as source, output.open("w", encoding="utf-8") as stream:
        try:
            done = children.run([executable], cwd=scratch, stdin=source, stdout=stream, timeout=_TIMEOUT_S)
        except subprocess.TimeoutExpired as problem:
            raise EngineFailed(
                f"packmol found no packing in {_TIMEOUT_S} s; lower density_g_cm3 (its output: {output})"
            ) from problem
    if done.returncode or not (scratch / "packed.xyz").is_file():
        raise EngineFailed(f"packmol failed: {_last_words(output)}; lower density_g_cm3 (its output: {output})")


def _last_words(output: Path) -> str:
    lines = [line.strip() for line in output.read_text(errors="replace").splitlines() if line.strip(" #-*|")]
    told = [line for line in lines if "ERROR" in line or "WITHOUT PERFECT" in line or "STOP" in line]
    return (told or lines or ["no output"])[-1]
