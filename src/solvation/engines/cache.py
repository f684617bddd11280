"""Energies that were computed before, by any study: the same structure, state, level and program give the same file.

The folder is named by the environment variable SOLVATION_CACHE; without it nothing is kept and nothing is found.
Entries are small JSON files under the checksum of what was asked for, written beside and moved into place, so that
many jobs may write the same one at once. One that cannot be read, or that belongs to another question, is computed
again.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ase import Atoms

from solvation.errors import ResultsError
from solvation.progress import say
from solvation.provenance import write_json

VARIABLE = "SOLVATION_CACHE"
Found = tuple[float, int]


def kept(
    atoms: Atoms,
    level: str,
    identity: Callable[[], str | None],
    *,
    charge: int,
    multiplicity: int,
    compute: Callable[[], Found],
) -> Found:
    """Return the energy in eV and the number of basis functions: those kept, else those of `compute`, which are kept.

    Parameters
    ----------
    atoms
        With the array `ghost` where there are ghosts.
    identity
        Tells what else the number depends on: program, version, fixed settings; None when it is not worth keeping.
    """
    root = os.environ.get(VARIABLE)
    if not root or (told := identity()) is None:
        return compute()
    question = {
        "level": level,
        "identity": told,
        "charge": charge,
        "multiplicity": multiplicity,
        "numbers": atoms.numbers.tolist(),
        # To the last bit: structures that differ by less than print are other structures.
        "positions_A": [value.hex() for value in atoms.positions.ravel().tolist()],
        "ghost": np.flatnonzero(atoms.arrays.get("ghost", ())).tolist(),
        "cell_A": [value.hex() for value in np.asarray(atoms.cell).ravel().tolist()] if atoms.pbc.any() else [],
        "periodic": atoms.pbc.tolist(),
    }
    name = hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()
    path = Path(root) / name[:2] / f"{name}.json"
    if (known := _read(path, question)) is not None:
        return known
    energy, n_basis = compute()
    try:
        write_json(path, {"question": question, "energy_eV": energy, "n_basis": n_basis})
    except ResultsError as problem:
        say(f"  {problem.args[0].partition(';')[0]}: this energy is not kept for other studies")
    return energy, n_basis


def _read(path: Path, question: dict[str, object]) -> Found | None:
    if not path.is_file():
        return None
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        energy, n_basis = float(entry["energy_eV"]), int(entry["n_basis"])
        if entry["question"] == question and math.isfinite(energy):
            return energy, n_basis
        reason = "it answers another question"
    except (OSError, ValueError, KeyError, TypeError) as problem:
        reason = str(problem)
    say(f"  {path} is damaged ({reason}); computed again")
    return None
