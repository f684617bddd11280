"""How many whole frames a trajectory file holds, from its layout.

Readers drop a last frame that is only half there without a word; its remains show in the size of the file.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from solvation.trajectory.dcd import cut_dcd

#: Bytes of an XTC frame of up to nine atoms before its coordinates, and of a longer one before its packed block.
_XTC_PLAIN, _XTC_PACKED = 56, 92


def whole_frames(path: Path, kind: str, offsets: Any = None) -> int | None:
    """How many whole frames a file holds that does not end at the end of a frame; None for one that does.

    Parameters
    ----------
    kind
        Format as MDAnalysis names it; formats without a fixed layout are not looked at.
    offsets
        Where each frame begins, in bytes, (n_frames,); needed for XTC and TRR.
    """
    if kind in {"XTC", "TRR"} and offsets is not None and len(offsets):
        return _cut_after(path, [int(offset) for offset in offsets], _xtc_end if kind == "XTC" else _trr_end)
    if kind in {"DCD", "LAMMPS"}:
        return cut_dcd(path)
    if kind in _COUNTED:
        count, is_whole = _COUNTED[kind](path)
        return None if is_whole else count
    return None


def count_xyz(path: Path) -> tuple[int, bool]:
    """Frames of an XYZ or extended XYZ file, and whether the last one is whole."""
    count = 0
    with path.open(encoding="utf-8", errors="replace") as stream:
        while head := stream.readline():
            if not head.strip():
                continue
            if not head.strip().isdigit() or not head.endswith("\n"):
                return count, False
            comment = stream.readline()
            if not comment.endswith("\n") or not _lines_are_whole(stream, int(head)):
                return count, False
            count += 1
    return count, True


def count_xdatcar(path: Path) -> tuple[int, bool]:
    """Frames of a VASP XDATCAR, and whether the last one is whole."""
    count, n_atoms, header = 0, 0, ""
    with path.open(encoding="utf-8", errors="replace") as stream:
        while line := stream.readline():
            if not line.lower().startswith("direct configuration"):
                header = line if line.strip() else header
                continue
            # The counts of the atoms stand before the first frame, and before each one where the cell changes.
            words = header.split()
            if words and all(word.isdigit() for word in words):
                n_atoms = sum(int(word) for word in words)
            if not line.endswith("\n") or not n_atoms or not _lines_are_whole(stream, n_atoms):
                return count, False
            count, header = count + 1, ""
    # What is left without a frame is the header of one that is missing.
    return count, not header


def count_lammpsdump(path: Path) -> tuple[int, bool]:
    """Frames of a LAMMPS dump, and whether the last one is whole."""
    count, n_atoms = 0, 0
    with path.open(encoding="utf-8", errors="replace") as stream:
        while head := stream.readline():
            if not head.startswith("ITEM: TIMESTEP"):
                return count, not head.strip()
            lines = [stream.readline() for _ in range(8)]
            n_atoms = int(lines[2]) if lines[2].strip().isdigit() else 0
            if not lines[-1].endswith("\n") or not n_atoms or not _lines_are_whole(stream, n_atoms):
                return count, False
            count += 1
    return count, True


def _lines_are_whole(stream: TextIO, n_lines: int) -> bool:
    """Read the lines of the atoms; a cut one has fewer columns, or no end and fewer characters."""
    before = None
    for _ in range(n_lines):
        line = stream.readline()
        if not line:
            return False
        if before is not None:
            if len(line.split()) < len(before.split()):
                return False
            if not line.endswith("\n") and len(line.rstrip()) < len(before.rstrip()) - 1:
                return False
        before = line
    return True


_COUNTED = {"XYZ": count_xyz, "XDATCAR": count_xdatcar, "LAMMPSDUMP": count_lammpsdump}


def _cut_after(path: Path, offsets: list[int], end: Callable[[BinaryIO, int], int | None]) -> int | None:
    """Whole frames if the last one does not end with the file, else None."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        last = end(stream, offsets[-1])
    if last == size:
        return None
    return len(offsets) - 1 if last is None or last > size else len(offsets)


def _xtc_end(stream: BinaryIO, offset: int) -> int | None:
    stream.seek(offset)
    head = stream.read(_XTC_PACKED)
    if len(head) < _XTC_PLAIN:
        return None
    magic, n_atoms = (int(item) for item in struct.unpack(">2i", head[:8]))
    if n_atoms <= 9:
        return offset + _XTC_PLAIN + 12 * n_atoms
    if magic == 2023:  # very large systems: the length of the packed block has eight bytes
        tail = stream.read(4)
        return offset + 96 + _padded(struct.unpack(">q", head[88:92] + tail)[0]) if len(tail) == 4 else None
    if len(head) < _XTC_PACKED:
        return None
    return offset + _XTC_PACKED + _padded(struct.unpack(">i", head[88:92])[0])


def _padded(n_bytes: Any) -> int:
    return int(n_bytes + 3) // 4 * 4


def _trr_end(stream: BinaryIO, offset: int) -> int | None:
    stream.seek(offset)
    head = stream.read(24 + 13 * 4)
    if len(head) < 24 + 13 * 4:
        return None
    *sizes, n_atoms, _, _ = struct.unpack(">13i", head[24:])
    box, positions, velocities, forces = sizes[2], sizes[7], sizes[8], sizes[9]
    real = box // 9 or max(positions, velocities, forces) // (3 * max(n_atoms, 1))
    return offset + len(head) + 2 * int(real) + int(sum(sizes))
