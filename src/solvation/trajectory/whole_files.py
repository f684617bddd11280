"""How many whole frames a trajectory file holds, from its layout.

Readers drop a last frame that is only half there without a word; its remains show in the size of the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

from solvation.trajectory.dcd import cut_dcd


def whole_frames(path: Path, kind: str) -> int | None:
    """How many whole frames a file holds that does not end at the end of a frame; None for one that does.

    Parameters
    ----------
    kind
        Format as MDAnalysis names it; formats without a fixed layout are not looked at (XTC and TRR: `packed_frames`).
    """
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
