"""Atomic writing and the record of what a result was made from."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from solvation.errors import ResultsError

PROGRAMS = (
    "solvation", "ase", "numpy", "scipy", "rdkit", "tblite", "pyscf", "pyscf-dispersion", "geometric", "packmol",
    "pymatgen", "openmm", "acpype", "pymbar", "MDAnalysis", "numba", "snakemake", "mace-torch", "torch",
)  # fmt: skip
#: Largest record or table that is read: those of ten thousand clusters, or of a hundred trajectories, are a tenth.
MOST_MB = 500.0
#: Files beyond this are told apart by their size and date, not read anew each time that a study is planned.
LARGE_BYTES = 16_000_000
#: Key of a record's checksum of itself.
_OWN = "record_sha256"
#: JSON files of a results folder that are no record of a step.
_NO_RECORDS = {"provenance.json", "donors.json"}


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Call `write` with a temporary path beside `path`, then move it into place.

    A reader never sees a half-written result. The temporary keeps the suffix, because writers of
    structures and trajectories choose their format by it.

    Raises
    ------
    ResultsError
        There is no folder to write to, none can be made, or there is no room; what stood there before is left alone.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    except OSError as problem:
        raise ResultsError(f"{path}: cannot be written ({problem.strerror}); give another place") from problem
    os.close(descriptor)
    temporary = Path(name)
    try:
        write(temporary)
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise ResultsError(f"{path}: cannot be written ({reason}); mend that and run the study again") from problem
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` atomically, UTF-8."""

    def write(temporary: Path) -> None:
        temporary.write_text(text, encoding="utf-8")

    write_atomically(path, write)


def write_json(path: Path, data: Any) -> None:
    """Write `data` as indented JSON, atomically; NaN is refused because JSON has none."""
    write_text(path, json.dumps(data, indent=1, sort_keys=True, allow_nan=False) + "\n")


def write_record(path: Path, data: dict[str, Any], outputs: Iterable[Path] = ()) -> None:
    """Write the record of a step with checksums of itself and of the files that the step wrote beside it.

    Checkpoints are left out: they check themselves, and are no result.
    """
    beside = {item.name: sha256(item) for item in outputs if item != path and _is_kept_beside(item, path)}
    # As it will be read: JSON knows neither tuples nor numbers for keys.
    plain = json.loads(json.dumps({**data, "outputs_sha256": beside}, allow_nan=False))
    write_json(path, {**plain, _OWN: _own_sha256(plain)})


def refuse_damaged(path: Path, made: dict[str, Any]) -> None:
    """Refuse a record, or files beside it, that are not what the step wrote; older versions kept no checksums.

    Raises
    ------
    ResultsError
        Naming the file.
    """
    mend = "remove it and run the study again"
    if _OWN in made and made[_OWN] != _own_sha256(made):
        raise ResultsError(f"{path}: is not what its step wrote (its checksum differs); {mend}")
    beside = made.get("outputs_sha256", {})
    for name, told in beside.items() if isinstance(beside, dict) else ():
        file = path.with_name(name)
        if file.is_file() and sha256(file) != told:
            raise ResultsError(f"{file}: is not what its step wrote (its checksum differs); {mend}")


def refuse_changed(path: Path) -> None:
    """Refuse a file that is not what the step wrote whose record stands beside it.

    Raises
    ------
    ResultsError
        Naming the file.
    """
    for record in (path.with_suffix(".json"), path.with_name("record.json")):
        beside = read_json(record).get("outputs_sha256") if record.is_file() else None
        if isinstance(beside, dict) and path.name in beside:
            refuse_damaged(record, {"outputs_sha256": {path.name: beside[path.name]}})


def _is_kept_beside(item: Path, record: Path) -> bool:
    return item.parent == record.parent and item.suffix not in {".npz", ".xtc"} and item.is_file()


def _own_sha256(made: dict[str, Any]) -> str:
    text = json.dumps({key: value for key, value in made.items() if key != _OWN}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object that a step wrote.

    Raises
    ------
    ResultsError
        The file is missing, cannot be read, or holds something else.
    """
    if not path.is_file():
        raise ResultsError(f"{path} is missing; run the study again to make it")
    refuse_large(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as problem:
        raise ResultsError(f"{path}: not JSON ({problem}); remove it and run the study again") from problem
    if not isinstance(data, dict):
        raise ResultsError(f"{path}: not a JSON object; remove it and run the study again")
    return data


def refuse_large(path: Path) -> None:
    """Refuse a record or table that no study of this package writes, before memory is taken for it.

    Raises
    ------
    ResultsError
        It is larger than `MOST_MB`.
    """
    size_MB = path.stat().st_size / 1e6
    if size_MB > MOST_MB:
        raise ResultsError(f"{path}: {size_MB:.0f} MB, more than {MOST_MB:g}; remove it and run the study again")


def read_result(path: Path) -> dict[str, Any]:
    """Read the `result` of a step.

    Raises
    ------
    ResultsError
        As `read_json` and `refuse_damaged`, or there is none.
    """
    made = read_json(path)
    result = made.get("result")
    if not isinstance(result, dict):
        raise ResultsError(f"{path}: holds no result of a step; remove it and run the study again")
    refuse_damaged(path, made)
    return result


def files_under(folder: Path) -> list[Path]:
    """All files of a folder, in order; folders that are links, as to a larger disk, are looked into, each once."""
    found, seen = [], set()
    for place, below, names in os.walk(folder, followlinks=True):
        seen.add(os.path.realpath(place))
        below[:] = [name for name in below if os.path.realpath(os.path.join(place, name)) not in seen]
        found += [path for name in names if (path := Path(place, name)).is_file()]
    return sorted(found)


def read_steps(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Records of all finished steps of a results folder, each with its path relative to it.

    Raises
    ------
    ResultsError
        One of them is not JSON.
    """
    for path in files_under(folder):
        # What begins with a dot was being written when its step was killed.
        if path.suffix != ".json" or path.name in _NO_RECORDS or path.name.startswith("."):
            continue
        made = read_json(path)
        if "step" in made:
            yield path.relative_to(folder).as_posix(), made


def sha256(path: Path) -> str:
    """Checksum of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Installed versions of the programs whose numbers end up in a result."""
    found = {"python": platform.python_version(), "sources of solvation": sources_sha256()}
    for name in PROGRAMS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


@cache
def sources_sha256() -> str:
    """Checksum of this package's own Python files, 12 digits: a version number does not tell that one was edited."""
    digest = hashlib.sha256()
    root = Path(__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


#: Entries of the cache (docs/engines.md) that answered since a step began; None outside of steps.
_answers: ContextVar[dict[str, None] | None] = ContextVar("answers", default=None)


@contextmanager
def listening() -> Iterator[None]:
    """Remember what `note_answer` is told meanwhile, for `record`."""
    token = _answers.set({})
    try:
        yield
    finally:
        _answers.reset(token)


def note_answer(entry: str) -> None:
    """Tell that a number came from this file: what was asked of an engine, and what it answered."""
    if (known := _answers.get()) is not None:
        known[entry] = None


def noted_answers() -> list[str]:
    """What was told since the step began, each once."""
    return list(_answers.get() or ())


def output_of(entry: Path) -> Path:
    """Where the output of the program stands that gave the answer of an entry, packed; embedded engines print none."""
    return entry.with_suffix(".txt.gz")


class Stopwatch:
    """Wall and CPU seconds since it was made, children of this process included."""

    def __init__(self) -> None:
        self._wall = time.monotonic()
        self._cpu = _cpu_seconds()

    def read(self) -> dict[str, float]:
        """Return `{"wall_s": ..., "cpu_s": ...}`."""
        return {
            "wall_s": round(time.monotonic() - self._wall, 2),
            "cpu_s": round(_cpu_seconds() - self._cpu, 2),
        }


def _cpu_seconds() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def _peak_MB() -> int:
    """Memory of this process or of its largest child at their largest, children being programs and workers."""
    largest = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    # In bytes there, in KiB elsewhere.
    return round(largest * (1e-6 if sys.platform == "darwin" else 1.024e-3))


def record(
    *, step: str, card: Any, inputs: Iterable[Path], stopwatch: Stopwatch, seed: int | None = None
) -> dict[str, Any]:
    """Describe how one result was made: the header that stands in every JSON result.

    Parameters
    ----------
    step
        The verb that made the result.
    card
        Every setting that can change the numbers, plus the revision of the method.
    inputs
        Files read; their checksums and sizes are taken.

    What engines were asked and answered meanwhile (`listening`) is named as `answers`.
    """
    read = list(inputs)
    return {
        "step": step,
        "card": card,
        "inputs_sha256": {str(path): sha256(path) for path in read},
        "inputs_bytes": {str(path): path.stat().st_size for path in read},
        "answers": noted_answers(),
        "seed": seed,
        "versions": versions(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "peak_MB": _peak_MB(),
        **stopwatch.read(),
    }
