"""Frames of XTC and TRR files, looked at before MDAnalysis' C library decodes them.

That library believes what a file says of itself: a flipped bit ends the process, with no word, where it leads outside
of the memory that was set aside. What it relies on is checked here: the head of each frame when the file is opened,
which tells where the frames begin as well, and of XTC the lengths in a packed block just before it is read.

References
----------
GROMACS manual, file formats; the layout is that of xdrfile 1.1 (BSD), which MDAnalysis contains.
"""

from __future__ import annotations

import math
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from MDAnalysis.coordinates.TRR import TRRReader
from MDAnalysis.coordinates.XTC import XTCReader
from MDAnalysis.lib.formats.libmdaxdr import TRRFile, XTCFile
from numba import njit
from numpy.typing import NDArray

Kind = Literal["XTC", "TRR"]
_XTC_MAGIC, _TRR_MAGIC = 1995, 1993
_TRR_NAME = b"\0\0\0\x0d\0\0\0\x0cGMX_trn_file"
#: Frames of up to so many atoms are not packed.
_UNPACKED = 9
#: Bytes before the coordinates of a frame that is not packed, before the packed block, and of the head of a TRR frame.
_PLAIN, _PACKED, _TRR_HEAD = 56, 92, 76
#: Numbers of the table of sizes that a packed block may name.
_SMALLEST, _LARGEST = 9, 72
#: Of three coordinates together, above which they are packed one by one.
_TOGETHER = 0xFFFFFF


class FrameDamage(OSError):
    """A frame that cannot be decoded."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the sound frames of a file begin, before the first one that is not.

    Attributes
    ----------
    offsets
        Bytes, (n_frames,).
    is_cut
        Whether the file ends within the next frame.
    damage
        What is wrong with the next frame, where it is not only cut; else empty.
    """

    offsets: NDArray[np.int64]
    is_cut: bool
    damage: str


@dataclass(frozen=True, slots=True)
class _Block:
    """A packed block: where its bytes begin, how many there are, and what is needed to walk through them."""

    begin: int
    n_bytes: int
    n_bits: int
    small: int


def layout(path: Path, kind: Kind) -> Layout:
    """Find the frames of a file.

    Raises
    ------
    FrameDamage
        It holds none, or the first one is damaged.
    """
    head_of = _xtc_frame if kind == "XTC" else _trr_frame
    size, place, n_atoms = path.stat().st_size, 0, 0
    offsets: list[int] = []
    is_cut, damage = False, ""
    with path.open("rb", buffering=0) as stream:
        while place < size:
            try:
                n_atoms, length, block = head_of(_read_at(stream, place, _PACKED), n_atoms)
                if is_cut := not length or place + length > size:
                    break
                if block is not None and len(offsets) < 2:
                    # MDAnalysis reads the first frame, and the second one for its time, whatever is asked of it.
                    _check_block(stream, place, block, n_atoms)
            except FrameDamage as problem:
                damage = str(problem)
                break
            offsets.append(place)
            place += length
    if not offsets:
        raise FrameDamage(f"its first frame is damaged: {damage}" if damage else "it holds no whole frame")
    return Layout(np.array(offsets, dtype=np.int64), is_cut, damage)


def check_frame(stream: BinaryIO, offset: int) -> None:
    """Raise where the frame of an XTC file that begins there cannot be decoded.

    Raises
    ------
    FrameDamage
        With what is wrong.
    """
    n_atoms, _, block = _xtc_frame(_read_at(stream, offset, _PACKED), 0)
    if block is not None:
        _check_block(stream, offset, block, n_atoms)


class _CheckedXTC(XTCFile):  # type: ignore[misc]
    """An XTC file that gives its sound frames, and ends before the first one that is not."""

    layout: Layout
    _bytes: BinaryIO

    def __new__(cls, name: str, mode: str = "r") -> _CheckedXTC:
        """Look at the file before the library does."""
        known = layout(Path(name), "XTC")
        file: _CheckedXTC = super().__new__(cls, name, mode)
        file.layout, file._bytes = known, Path(name).open("rb", buffering=0)  # noqa: SIM115 (open as long as the file)
        # Not those that the library finds for itself, nor those of a hidden file beside: they may lead anywhere.
        file.set_offsets(known.offsets)
        return file

    def read(self) -> Any:
        """Read the next frame."""
        self._check()
        return super().read()

    def read_direct_x(self, positions: Any) -> Any:
        """Read the next frame into an array."""
        self._check()
        return super().read_direct_x(positions)

    def _check(self) -> None:
        number = self.tell()
        if number >= len(self.layout.offsets):
            raise StopIteration
        check_frame(self._bytes, int(self.layout.offsets[number]))


class _CheckedTRR(TRRFile):  # type: ignore[misc]
    """A TRR file that gives its sound frames, and ends before the first one that is not."""

    layout: Layout

    def __new__(cls, name: str, mode: str = "r") -> _CheckedTRR:
        """Look at the file before the library does."""
        known = layout(Path(name), "TRR")
        file: _CheckedTRR = super().__new__(cls, name, mode)
        file.layout = known
        file.set_offsets(known.offsets)
        return file

    def read(self) -> Any:
        """Read the next frame."""
        if self.tell() >= len(self.layout.offsets):
            raise StopIteration
        return super().read()


class _SoundFrames:
    """What both readers do otherwise than MDAnalysis', before which it stands."""

    _xdr: Any = None

    def _load_offsets(self) -> None:
        """Leave those that the file has."""

    def close(self) -> None:
        """Close the file, where there is one: also called, when it is forgotten, of a reader that was refused."""
        if self._xdr is not None:
            super().close()  # type: ignore[misc]


class _ReaderXTC(_SoundFrames, XTCReader):  # type: ignore[misc]
    _file = _CheckedXTC


class _ReaderTRR(_SoundFrames, TRRReader):  # type: ignore[misc]
    _file = _CheckedTRR


#: MDAnalysis' readers, which read the sound frames of a file and meet no other.
READERS = {"XTC": _ReaderXTC, "TRR": _ReaderTRR}


def _read_at(stream: BinaryIO, place: int, n_bytes: int) -> bytes:
    return os.pread(stream.fileno(), n_bytes, place)


def _xtc_frame(head: bytes, n_atoms: int) -> tuple[int, int, _Block | None]:
    """Atoms of an XTC frame, its length, 0 where its head is cut, and its packed block; `n_atoms` of 0: any number."""
    if len(head) < 8:
        return n_atoms, 0, None
    magic, told = struct.unpack(">2i", head[:8])
    if magic != _XTC_MAGIC:
        raise FrameDamage(f"no frame begins there (magic number {magic})")
    if told < 1 or (n_atoms and told != n_atoms):
        raise FrameDamage(f"{told} atoms" + (f" after frames of {n_atoms}" if n_atoms else ""))
    if len(head) < _PLAIN:
        return told, 0, None
    if struct.unpack(">i", head[52:56])[0] != told:
        raise FrameDamage("two numbers of atoms")
    if told <= _UNPACKED:
        return told, _PLAIN + 12 * told, None
    if len(head) < _PACKED:
        return told, 0, None
    numbers = struct.unpack(">8i", head[60:92])
    sizes = [high - low + 1 for low, high in zip(numbers[:3], numbers[3:6], strict=True)]
    small, n_bytes = numbers[6:]
    if not all(1 <= size < 1 << 31 for size in sizes) or not _SMALLEST <= small <= _LARGEST:
        raise FrameDamage("a range of coordinates that is none")
    # As many as the library sets aside.
    if not 0 <= n_bytes <= 4 * int(1.2 * 3 * told) - 12:
        raise FrameDamage(f"a packed block of {n_bytes} bytes")
    if any(size > _TOGETHER for size in sizes):
        n_bits = sum(size.bit_length() for size in sizes)
    else:
        n_bits = math.prod(sizes).bit_length()
    return told, _PACKED + -(-n_bytes // 4) * 4, _Block(_PACKED, n_bytes, n_bits, small)


def _trr_frame(head: bytes, n_atoms: int) -> tuple[int, int, None]:
    """Atoms of a TRR frame and its length; as `_xtc_frame`."""
    if len(head) < 8:
        return n_atoms, 0, None
    (magic,) = struct.unpack(">i", head[:4])
    if magic != _TRR_MAGIC:
        raise FrameDamage(f"no frame begins there (magic number {magic})")
    if len(head) < _TRR_HEAD:
        return n_atoms, 0, None
    if head[4:24] != _TRR_NAME:
        raise FrameDamage("no frame begins there")
    *sizes, told, _, _ = struct.unpack(">13i", head[24:_TRR_HEAD])
    if told < 1 or (n_atoms and told != n_atoms):
        raise FrameDamage(f"{told} atoms" + (f" after frames of {n_atoms}" if n_atoms else ""))
    _, _, box, virial, pressure, _, _, *arrays = sizes
    real = box // 9 or max(arrays) // (3 * told)
    if (
        real not in {4, 8}
        or not {box, virial, pressure} <= {0, 9 * real}
        or not set(arrays) <= {0, 3 * told * real}
        or any(sizes[one] for one in (0, 1, 5, 6))
    ):
        raise FrameDamage("arrays of no size that a frame has")
    return told, _TRR_HEAD + 2 * real + sum(sizes), None


def _check_block(stream: BinaryIO, offset: int, block: _Block, n_atoms: int) -> None:
    data = np.frombuffer(_read_at(stream, offset + block.begin, block.n_bytes), dtype=np.uint8)
    if not _fits(data, n_atoms, block.n_bits, block.small, _SMALLEST, _LARGEST):
        raise FrameDamage("a packed block that does not hold its atoms")


@njit(cache=True)
def _fits(data: NDArray[np.uint8], n_atoms: int, n_bits: int, small: int, smallest: int, largest: int) -> bool:
    """Whether a packed block holds just its atoms: those of full length, each with a run of short ones behind it."""
    end, place, done, run = 8 * len(data), 0, 0, 0
    while done < n_atoms:
        place += n_bits
        if place >= end:
            return False
        change = 0
        if (data[place >> 3] >> (7 - (place & 7))) & 1:
            if place + 6 > end:
                return False
            told = 0
            for bit in range(place + 1, place + 6):
                told = 2 * told + ((data[bit >> 3] >> (7 - (bit & 7))) & 1)
            run = told // 3
            change = told % 3 - 1
            place += 5
        place += 1 + run * small
        done += 1 + run
        small += change
        if small < smallest or small > largest:
            return False
    return done == n_atoms and place <= end
