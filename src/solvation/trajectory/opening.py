"""Files that MDAnalysis opens, and what is wrong with those that it cannot."""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from solvation.errors import TrajectoryError, in_short
from solvation.trajectory.dcd import is_of_lammps
from solvation.trajectory.whole_files import whole_frames

#: Suffixes that MDAnalysis does not know by itself.
_SUFFIXES = {".lammpstrj": "LAMMPSDUMP", ".dump": "LAMMPSDUMP"}
#: What MDAnalysis' readers raise on a damaged frame: TypeError where NetCDF has cells and one of them is zero,
#: StopIteration where a DCD ends before its header says so, which a generator passes on as RuntimeError.
DAMAGE = (OSError, EOFError, ValueError, IndexError, TypeError, StopIteration, RuntimeError)


def universe_of(topology: Path, trajectory: Path | None, format: str | None) -> Any:
    """Universe of a topology, with its frames where no trajectory is to be loaded.

    Raises
    ------
    TrajectoryError
        It cannot be read, or holds no frame where it has to.
    """
    import MDAnalysis

    try:
        with _dropped_in_silence(), warnings.catch_warnings():
            # Missing masses, elements and unit cells are normal; what matters is checked when it is used.
            warnings.simplefilter("ignore")
            told = {} if trajectory else _told_format(topology, format)
            if isinstance(reader := told.get("format"), type):
                # Atoms without names: MDAnalysis' library counts them, and the file is looked at before that too.
                from solvation.trajectory.packed_frames import layout

                layout(topology, reader.format)  # type: ignore[attr-defined]
                words = {"topology_format": reader.format}  # type: ignore[attr-defined]
                universe = MDAnalysis.Universe(str(topology), str(topology), **told, **words)
            else:
                universe = MDAnalysis.Universe(str(topology), **told, **_told_topology(topology))
    except Exception as problem:
        # Its readers raise every kind of exception; each one means that this file cannot be used.
        raise TrajectoryError(
            f"{topology}: cannot be read ({in_short(problem)}); give a topology that MDAnalysis reads, or extxyz"
        ) from problem
    if trajectory is None and not hasattr(universe, "trajectory"):
        raise TrajectoryError(f"{topology} holds no frame; give the file that holds the trajectory")
    return universe


def load_frames(universe: Any, topology: Path, trajectory: Path, format: str | None) -> None:
    """Give a universe the frames of a trajectory.

    Raises
    ------
    TrajectoryError
        They cannot be read, or are not of these atoms.
    """
    try:
        with _dropped_in_silence(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            universe.load_new(str(trajectory), **_told_format(trajectory, format))
            len(universe.trajectory)
    except Exception as problem:
        # As above: every kind of exception means that the two files cannot be used together.
        raise TrajectoryError(
            f"{trajectory}: cannot be read with topology {topology} ({in_short(problem)}); check that both hold the "
            "same atoms, that the file is whole, and name its format if the suffix does not"
        ) from problem


def _told_format(path: Path, format: str | None) -> dict[str, Any]:
    told = format or _SUFFIXES.get(path.suffix.lower())
    if not told and path.suffix.lower() == ".dcd" and is_of_lammps(path):
        told = "LAMMPS"
    if (kind := (format or path.suffix.removeprefix(".")).upper()) in {"XTC", "TRR"}:
        # Late, for it loads MDAnalysis.
        from solvation.trajectory.packed_frames import READERS

        return {"format": READERS[kind]}
    return {"format": told} if told else {}


def _told_topology(path: Path) -> dict[str, str]:
    told = _SUFFIXES.get(path.suffix.lower())
    return {"topology_format": told} if told else {}


def whole_of(universe: Any, source: Path) -> tuple[int | None, str]:
    """Whole frames of a truncated file, else None; and what is wrong with the frame after those that can be read.

    Where the layout does not tell, the last frame is read: its offset tells nothing of its end.
    """
    reader = universe.trajectory
    n_frames = len(reader)
    known = getattr(getattr(reader, "_xdr", None), "layout", None)
    if known is not None:
        return n_frames if known.is_cut else None, known.damage
    whole = whole_frames(source, str(reader.format))
    if whole is not None or not n_frames:
        return whole, ""
    try:
        reader[n_frames - 1]
        reader[0]
    except DAMAGE:
        return n_frames - 1, ""
    return None, ""


@contextmanager
def _dropped_in_silence() -> Iterator[None]:
    """Say nothing of readers that cannot be closed: those that could not open their file, whose error tells all."""
    from MDAnalysis.coordinates.base import ReaderBase

    usual = sys.unraisablehook

    def hook(told: Any) -> None:
        if told.object is not ReaderBase.__del__:
            usual(told)

    sys.unraisablehook = hook
    try:
        yield
    except Exception as problem:
        # The frames of the error hold the reader; it is dropped here instead of wherever the error goes.
        link: BaseException | None = problem
        while link is not None:
            traceback.clear_frames(link.__traceback__)
            link = link.__cause__ or link.__context__
        raise
    finally:
        sys.unraisablehook = usual
