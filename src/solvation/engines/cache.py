"""What was computed before, by any study: the same structure, state, level and program give the same file.

The folder is named by the environment variable SOLVATION_CACHE; without it nothing is kept and nothing is found.
Entries are JSON files under the checksum of what was asked for, with a checksum of the answer, written beside and moved
into place, so that many jobs may write the same one at once. One that cannot be read, that has no checksum, whose
answer is not what was written, or that belongs to another question, is computed again. A checksum is no seal: who can
write to the folder can write an answer.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from ase import Atoms

from solvation.errors import ResultsError, in_short
from solvation.progress import say
from solvation.provenance import note_answer, output_of, write_atomically, write_json

VARIABLE = "SOLVATION_CACHE"
#: Normal modes of two hundred atoms are 10 MB.
_MOST_MB = 100.0
Found = tuple[float, int]
Answer = TypeVar("Answer")


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

    return kept_answer(
        atoms, level, identity, charge=charge, multiplicity=multiplicity, compute=answer,
        needs=("energy_eV", "n_basis"), read=_energy, output=output,
    )  # fmt: skip


def _energy(answer: Mapping[str, Any]) -> Found:
    # float() would take a text for a number.
    return math.fsum([answer["energy_eV"]]), int(answer["n_basis"])


def kept_answer(
    atoms: Atoms,
    level: str,
    identity: Callable[[], str | None],
    *,
    charge: int,
    multiplicity: int,
    compute: Callable[[], dict[str, Any]],
    needs: Sequence[str],
    read: Callable[[dict[str, Any]], Answer],
    asked: str | None = None,
    output: Callable[[], str | None] = lambda: None,
) -> Answer:
    """Return what belongs to a structure: what was kept, else that of `compute`, which is kept.

    Parameters
    ----------
    needs
        Keys of the answer; numbers among them that are not finite are damage.
    read
        What is returned, of an answer, which is plain data; an entry that it raises on is damaged.
    asked
        What was asked for, with the revision of its method; None for an energy.
    output
        As `kept`.
    """
    root = os.environ.get(VARIABLE)
    if not root or (told := identity()) is None:
        return read(compute())
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
    if (known := _read(path, question, needs, read)) is not None:
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
    return read(answer)


def _write_output(path: Path, text: str) -> None:
    def write(temporary: Path) -> None:
        temporary.write_bytes(gzip.compress(text.encode(), mtime=0))

    write_atomically(path, write)


def _checksum(data: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def _read(
    path: Path, question: dict[str, object], needs: Sequence[str], read: Callable[[dict[str, Any]], Answer]
) -> Answer | None:
    if not path.exists():
        return None
    try:
        reason = _too_large(path)
        entry = {} if reason else json.loads(path.read_text(encoding="utf-8"))
        answer = {key: entry[key] for key in needs if not reason}
        if not reason and entry["question"] != question:
            reason = "it answers another question"
        # The first versions wrote no checksum: what they kept is computed once more.
        elif not reason and (entry["sha256"] != _checksum(answer) or not _sound(answer)):
            reason = "its answer is not what was written"
        if not reason:
            return read(answer)
    except Exception as problem:
        # Whatever a damaged or forged entry raises, from JSON that is nested too deeply to a number of 400 digits, it
        # is no answer.
        reason = f"{type(problem).__name__}: {in_short(problem)}"
    say(f"  {path} is damaged ({reason}); computed again")
    return None


def _too_large(path: Path) -> str:
    size_MB = path.stat().st_size / 1e6
    if not path.is_file():
        return "it is no file"
    return f"it has {size_MB:.0f} MB" if size_MB > _MOST_MB else ""


def _sound(answer: Mapping[str, Any]) -> bool:
    """Whether an answer holds something under every key, and no number that is none."""
    return None not in answer.values() and all(
        math.isfinite(value) for value in answer.values() if isinstance(value, int | float)
    )
