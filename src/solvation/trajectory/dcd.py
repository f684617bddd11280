"""DCD files: who wrote one, in which unit its times are, and how many whole frames it holds."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, BinaryIO

#: Programs whose DCD has its times in the units of CHARMM, and says who wrote it.
_AKMA_WRITERS = ("CHARMM", "NAMD", "OPENMM")


def is_of_lammps(path: Path) -> bool:
    """Whether LAMMPS wrote a file, by its title."""
    return "LAMMPS" in _title(path).upper()


def doubt_of_times(reader: Any, source: Path) -> str:
    """What to know of the times of a DCD: each program writes them in units of its own, and the file tells none."""
    if reader.format == "LAMMPS":
        return (
            f"written by LAMMPS: times taken in fs (units real), frames every {reader.dt:.4g} ps; in other units give "
            "the time between frames (--timestep-ps, timestep_ps)"
        )
    if reader.format != "DCD" or any(name in _title(source).upper() for name in _AKMA_WRITERS):
        return ""
    return (
        f"does not tell what wrote it: times taken as those of CHARMM, NAMD and OpenMM, frames every {reader.dt:.4g} "
        "ps; give the time between frames if it is another (--timestep-ps, timestep_ps)"
    )


def cut_dcd(path: Path) -> int | None:
    """Whole frames of a cut DCD, None for a whole one and for layouts that are not of one size."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        order, control = _control(stream)
        if not order or control[8]:  # fixed atoms: later frames are shorter
            return None
        title = struct.unpack(f"{order}i", stream.read(4))[0]
        stream.seek(title + 4, 1)
        counts = stream.read(12)
        if len(counts) < 12:  # the length of the title is damaged
            return 0
        n_atoms = struct.unpack(f"{order}3i", counts)[1]
        start = stream.tell()
    # Each record stands between two markers of four bytes: the cell if there is one, then x, y and z.
    frame = (56 if control[10] else 0) + 3 * (8 + 4 * n_atoms)
    return int((size - start) // frame) if (size - start) % frame else None


def _title(path: Path) -> str:
    """What a DCD says of itself, empty where the file is none."""
    with path.open("rb") as stream:
        order, _ = _control(stream)
        # The length of the record and the number of its lines, of 80 letters each.
        size = stream.read(8)
        if not order or len(size) < 8:
            return ""
        n_lines = struct.unpack(f"{order}2i", size)[1]
        return stream.read(80 * min(max(n_lines, 0), 100)).decode("ascii", errors="replace")


def _control(stream: BinaryIO) -> tuple[str, tuple[int, ...]]:
    """Order of the bytes of a DCD and its control numbers, which are read over; nothing where the file is none."""
    first = stream.read(92)
    order = "<" if first[:4] == struct.pack("<i", 84) else ">"
    if len(first) < 92 or struct.unpack(f"{order}i", first[:4])[0] != 84:
        return "", ()
    return order, struct.unpack(f"{order}20i", first[8:88])
