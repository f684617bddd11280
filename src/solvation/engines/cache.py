"""What was computed before, by any study: the same structure, state, level and program give the same file.

The folder is named by the environment variable SOLVATION_CACHE; without it nothing is kept and nothing is found.
Entries are JSON files under the checksum of what was asked for, with a checksum of the answer, written beside and moved
into place, so that many jobs may write the same one at once. One that cannot be read, whose answer is not what was
written, or that belongs to another question, is computed again.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from solvation.errors import ResultsError
from solvation.progress import say
from solvation.provenance import note_answer, output_of, write_atomically, write_json

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
    output: Callable[[], str | None] = lambda: None,
) -> Found:
    """Return the energy in eV and the number of basis functions: those kept, else those of `compute`, which are kept.

    Parameters
    ----------
    atoms
        With the array `ghost` where there are ghosts.
    identity
        Tells what else the number depends on: program, version, fixed settings; None when it is not worth keeping.
    output
        What the program printed while `compute` ran, which is kept beside the entry; None when there is nothing.
    """

    def answer() -> dict[str, Any]:
        energy, n_basis = compute()
        return {"energy_eV": energy, "n_basis": n_basis}

    found = kept_answer(
        atoms, level, identity, charge=charge, multiplicity=multiplicity, compute=answer,
        needs=("energy_eV", "n_basis"), output=output,
    )  # fmt: skip
    return float(found["energy_eV"]), int(found["n_basis"])


def kept_answer(
    atoms: Atoms,
    level: str,
    identity: Callable[[], str | None],
    *,
    charge: int,
    multiplicity: int,
    compute: Callable[[], dict[str, Any]],
    needs: Sequence[str],
    asked: str | None = None,
    output: Callable[[], str | None] = lambda: None,
) -> dict[str, Any]:
    """Return plain data that belongs to a structure: what was kept, else that of `compute`, which is kept.

    Parameters
    ----------
    needs
        Keys of the answer; numbers among them that are not finite are damage.
    asked
        What was asked for, with the revision of its method; None for an energy.
    output
        As `kept`.
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
        **({"asked": asked} if asked else {}),
    }
    name = _checksum(question)
    path = Path(root) / name[:2] / f"{name}.json"
    if (known := _read(path, question, needs)) is not None:
        note_answer(str(path))
        return known
    answer = compute()
    try:
        if (printed := output()) is not None:
            _write_output(output_of(path), printed)
        write_json(path, {"question": question, **answer, "sha256": _checksum(answer)})
        note_answer(str(path))
    except ResultsError as problem:
        say(f"  {problem.args[0].partition(';')[0]}: this is not kept for other studies")
    return answer


def _write_output(path: Path, text: str) -> None:
    def write(temporary: Path) -> None:
        temporary.write_bytes(gzip.compress(text.encode(), mtime=0))

    write_atomically(path, write)


def _checksum(data: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def _read(path: Path, question: dict[str, object], needs: Sequence[str]) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        answer = {key: entry[key] for key in needs}
        sound = all(math.isfinite(value) for value in answer.values() if isinstance(value, int | float))
        # Entries of before have no checksum.
        sound &= entry.get("sha256", _checksum(answer)) == _checksum(answer)
        if entry["question"] == question and sound and None not in answer.values():
            return answer
        is_ours = entry["question"] == question
        reason = "its answer is not what was written" if is_ours else "it answers another question"
    except (OSError, ValueError, KeyError, TypeError) as problem:
        reason = str(problem)
    say(f"  {path} is damaged ({reason}); computed again")
    return None
