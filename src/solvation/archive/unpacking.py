"""Archives of studies from anywhere: checked before a byte of them is written, and unpacked into one folder only."""

from __future__ import annotations

import hashlib
import json
import re
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from solvation.errors import ResultsError, SolvationError, in_short

METADATA = "ro-crate-metadata.json"
MANIFEST = "manifest-sha256.txt"
#: Bounds of what is unpacked: files, and bytes in all. A study without long trajectories has a few hundred files.
MAX_FILES = 100_000
MAX_GB = 8.0
#: What is read whole, MB: a manifest has 200 bytes a file, and a provenance takes ten times its size in memory.
_MOST_MB = 100.0
_SUM = re.compile(r"^([0-9a-f]{64})  (.+)$")
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Checked:
    """An archive whose checksums hold.

    Attributes
    ----------
    names
        Its files but the manifest.
    provenance
        `provenance.json` of the study.
    """

    path: Path
    names: tuple[str, ...]
    study: str
    provenance: dict[str, Any]

    @property
    def results(self) -> PurePosixPath:
        """Results folder of the study inside the archive."""
        return PurePosixPath("results") / self.study


def check(path: Path, *, max_GB: float = MAX_GB) -> Checked:
    """Read an archive through and compare every file with its checksum.

    Raises
    ------
    ResultsError
        It is no archive of a study, is damaged, or holds what no study holds: links, paths outside, too much.
    """
    with _opened(path) as archive:
        entries = _safe(path, archive, max_GB)
        for name, entry in entries.items():
            # Before the rest is read through for its checksums.
            if name in {MANIFEST, METADATA} or name.endswith("/provenance.json"):
                _refuse_large(path, entry)
        if MANIFEST not in entries or METADATA not in entries:
            raise ResultsError(f"{path}: no archive of a study ({MANIFEST} or {METADATA} is missing)")
        sums = _manifest(path, _bytes(path, archive, entries[MANIFEST]))
        names = set(entries) - {MANIFEST}
        if names != set(sums):
            other = sorted(names ^ set(sums))[0]
            raise ResultsError(f"{path}: {other} is not in both the archive and its {MANIFEST}; get it anew")
        for name, checksum in sums.items():
            digest = hashlib.sha256()
            for block in _blocks(path, archive, entries[name]):
                digest.update(block)
            if digest.hexdigest() != checksum:
                raise ResultsError(f"{path}: {name} differs from its checksum; get the archive anew")
        study, provenance = _provenance(path, archive, entries)
    return Checked(path, tuple(sorted(names)), study, provenance)


def is_unpacked(checked: Checked, output: Path) -> bool:
    """Whether this archive was unpacked there before."""
    manifest = output / MANIFEST
    with _opened(checked.path) as archive:
        return manifest.is_file() and manifest.read_bytes() == archive.read(MANIFEST)


def unpack(checked: Checked, output: Path) -> None:
    """Unpack into a folder that does not exist yet, or is empty.

    Raises
    ------
    ResultsError
        The folder holds something, or the archive changed since it was checked.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ResultsError(f"{output} exists and is left as it is; give a new folder")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise ResultsError(f"{output}: cannot be made ({problem.strerror}); give another folder") from problem
    with (
        tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}-") as scratch,
        _opened(checked.path) as archive,
    ):
        inner = Path(scratch) / "study"
        for name in (*checked.names, MANIFEST):
            target = inner / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as stream:
                for block in _blocks(checked.path, archive, archive.getinfo(name)):
                    stream.write(block)
        if output.exists():
            output.rmdir()
        inner.rename(output)


def table_text(checked: Checked, name: str) -> str | None:
    """Text of one table of the archived study; None when it has none."""
    inner = str(checked.results / name)
    if inner not in checked.names:
        return None
    with _opened(checked.path) as archive:
        return _text(checked.path, inner, _bytes(checked.path, archive, archive.getinfo(inner)))


#: What Python's reader of archives meets; a name that is not UTF-8, or a field that is cut, are no BadZipFile.
_DAMAGE = (
    zipfile.BadZipFile, OSError, EOFError, zlib.error, struct.error, ValueError, NotImplementedError, RuntimeError
)  # fmt: skip


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    if path.exists() and not path.is_dir() and not path.is_file():
        raise ResultsError(f"{path}: is a device or a pipe; give an archive that 'solvation export' wrote")
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except FileNotFoundError as problem:
        raise ResultsError(f"{path} does not exist; give an archive that 'solvation export' wrote") from problem
    except SolvationError:
        raise
    except _DAMAGE as problem:
        raise ResultsError(
            f"{path}: cannot be read or unpacked ({in_short(problem)}); give an archive that 'solvation export' wrote"
        ) from problem


def _safe(path: Path, archive: zipfile.ZipFile, max_GB: float) -> dict[str, zipfile.ZipInfo]:
    """Entries by name, all of them plain files with a plain path."""
    entries = archive.infolist()
    if len(entries) > MAX_FILES:
        raise ResultsError(f"{path}: {len(entries)} files; no study has more than {MAX_FILES}")
    total_GB = sum(entry.file_size for entry in entries) / 1e9
    if not total_GB <= max_GB:
        raise ResultsError(f"{path}: {total_GB:.1f} GB unpacked, more than {max_GB:g}; allow it by --max-GB")
    found: dict[str, zipfile.ZipInfo] = {}
    for entry in entries:
        reason = "stands twice" if entry.filename in found else _unsafe(entry)
        if reason is not None:
            raise ResultsError(f"{path}: '{_printable(entry.filename)}' {reason}; no study was packed so")
        found[entry.filename] = entry
    return found


def not_plain(name: str) -> str | None:
    """What is wrong with the name of a file in an archive; None for a relative path that every system takes."""
    if not name.isprintable() or "\\" in name or ":" in name:
        return "is no name of a file"
    if any(part in {"", ".", ".."} for part in name.split("/")):
        return "would be unpacked outside of its folder"
    return None


def _unsafe(entry: zipfile.ZipInfo) -> str | None:
    if stat.S_IFMT(entry.external_attr >> 16) not in {0, stat.S_IFREG}:
        return "is no plain file"
    if entry.filename != entry.orig_filename:
        return "is no name of a file"
    return "is encrypted" if entry.flag_bits & 0x1 else not_plain(entry.filename)


def _printable(name: str) -> str:
    return name.encode("unicode_escape").decode()[:100]


def _blocks(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    """Contents in pieces; never more than the archive says, whatever it holds."""
    left = entry.file_size
    with archive.open(entry) as stream:
        while block := stream.read(_BLOCK):
            left -= len(block)
            if left < 0:
                raise ResultsError(f"{path}: '{_printable(entry.filename)}' is larger than it says; get it anew")
            yield block


def _bytes(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """Contents of a file that is read whole; to what it says of its size `_blocks` holds it."""
    _refuse_large(path, entry)
    return b"".join(_blocks(path, archive, entry))


def _refuse_large(path: Path, entry: zipfile.ZipInfo) -> None:
    size_MB = entry.file_size / 1e6
    if size_MB > _MOST_MB:
        raise ResultsError(
            f"{path}: {entry.filename} has {size_MB:.0f} MB, more than {_MOST_MB:g}; no study was packed so"
        )


def _text(path: Path, name: str, data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise ResultsError(f"{path}: {name} is no text; get the archive anew") from problem


def _manifest(path: Path, data: bytes) -> dict[str, str]:
    found = {}
    for number, line in enumerate(_text(path, MANIFEST, data).splitlines(), start=1):
        match = _SUM.match(line)
        if match is None:
            raise ResultsError(f"{path}: {MANIFEST}, line {number}: no checksum and name; get the archive anew")
        found[match[2]] = match[1]
    return found


def _provenance(
    path: Path, archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo]
) -> tuple[str, dict[str, Any]]:
    inner = [name for name in entries if PurePosixPath(name).match("results/*/provenance.json")]
    told = [name for name in inner if len(PurePosixPath(name).parts) == 3]
    if len(told) != 1:
        raise ResultsError(f"{path}: holds the results of {len(told)} studies; one was expected")
    try:
        data = json.loads(_text(path, told[0], _bytes(path, archive, entries[told[0]])))
    except (ValueError, RecursionError) as problem:
        raise ResultsError(f"{path}: {told[0]} is not JSON; get the archive anew") from problem
    if not isinstance(data, dict) or not isinstance(data.get("versions"), dict):
        raise ResultsError(f"{path}: {told[0]} is no provenance of a study; get the archive anew")
    return PurePosixPath(told[0]).parts[1], data
