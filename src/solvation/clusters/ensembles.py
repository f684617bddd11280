"""Ensembles of structures: what is kept of a search, with its energies, and how it is stored."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.units import kB
from numpy.typing import NDArray

from solvation.errors import ResultsError
from solvation.failures import refuse_failed
from solvation.provenance import refuse_changed, write_atomically
from solvation.study import Level


@dataclass(frozen=True, slots=True)
class Structure:
    """One structure of an ensemble.

    Attributes
    ----------
    name
        `s01`, `s02`, ... by geometry level, and in the order of each.
    geometry_eV
        Total energy at `geometry_level`; comparable within that level only.
    rank_eV
        Total energy at the level that judges, None when it was not judged.
    denticity
        Donors through which each ligand binds: `EC:1 EC:1 TDA:2`; empty for a ligand.
    geometry_level
        Level that relaxed it.
    note
        What a reader of its energy must know; empty when there is nothing.
    searches
        Numbers of the independent searches that ended there, from 1; empty for a structure that was not searched.
    """

    name: str
    atoms: Atoms
    geometry_eV: float
    fmax_eV_A: float
    geometry_level: Level
    denticity: str = ""
    rank_eV: float | None = None
    note: str = ""
    searches: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejected:
    """A structure that did not make it, and why."""

    start: str
    stage: str
    reason: str
    atoms: Atoms
    geometry_level: Level
    energy_eV: float | None = None


def populations(energies_eV: Sequence[float], temperature_K: float) -> NDArray[np.float64]:
    """Boltzmann populations from electronic energies, they add up to 1, (n,)."""
    energies = np.asarray(energies_eV, dtype=float)
    if not energies.size:
        return energies
    weights = np.exp(-(energies - energies.min()) / (kB * temperature_K))
    return np.asarray(weights / weights.sum())


def boltzmann(
    energies_eV: Sequence[float], temperature_K: float, reference_eV: float | None = None
) -> tuple[float, float]:
    """Mean of an ensemble, and its spread (standard deviation), eV.

    Parameters
    ----------
    reference_eV
        Above which the mean is counted; left out = the lowest member.
    """
    if not energies_eV:
        return 0.0, 0.0
    weights = populations(energies_eV, temperature_K)
    above = np.asarray(energies_eV, dtype=float) - (min(energies_eV) if reference_eV is None else reference_eV)
    mean = float(weights @ above)
    return mean, float(np.sqrt(weights @ (above - mean) ** 2))


def lowest_first(structures: Sequence[Structure]) -> list[Structure]:
    """Judged structures by the judge's energy, then the others by the energy of their own level."""
    judged = sorted((item for item in structures if item.rank_eV is not None), key=lambda item: item.rank_eV or 0.0)
    others = sorted((item for item in structures if item.rank_eV is None), key=lambda item: item.geometry_eV)
    return judged + others


def lowest_at(level: Level, structures: Sequence[Structure]) -> Structure:
    """Structure that stands for a cluster at `level`: the lowest minimum of its surface, else the judge's lowest.

    A level that searched has its own opinion of the structure; every other one measures the judged best.
    """
    own = [item for item in structures if item.geometry_level == level and not item.note]
    return min(own, key=lambda item: item.geometry_eV) if own else structures[0]


def all_searches(parts: Iterable[Sequence[int]]) -> tuple[int, ...]:
    """Numbers of the searches that ended in one structure, each once, from those of what was found to be the same."""
    return tuple(sorted({number for part in parts for number in part}))


def search_error_eV(level: Level, structures: Sequence[Structure]) -> float:
    """How far independent searches end from one another: standard deviation of their lowest energies, eV.

    An estimate of what one of them errs by; the lowest of all, which is what is reported, errs by less. The energies
    are those that choose the structure that stands for the cluster at `level` (`lowest_at`). NaN of a single search.
    """
    chosen = lowest_at(level, structures)
    surface = [item for item in structures if item.geometry_level == chosen.geometry_level and not item.note]
    if chosen.geometry_level == level or chosen.rank_eV is None:
        energies = [(item, item.geometry_eV) for item in surface]
    else:
        energies = [(item, item.rank_eV) for item in structures if item.rank_eV is not None]
    lowest: dict[int, float] = {}
    for item, energy in energies:
        for number in item.searches:
            lowest[number] = min(energy, lowest.get(number, math.inf))
    return float(np.std(list(lowest.values()), ddof=1)) if len(lowest) > 1 else math.nan


def write_structures(path: Path, structures: Sequence[Structure]) -> None:
    """Write an ensemble as extended XYZ, in the order given."""
    frames = []
    for item in structures:
        frame = item.atoms.copy()
        frame.info = {
            "structure": item.name,
            "geometry_eV": item.geometry_eV,
            "fmax_eV_A": item.fmax_eV_A,
            "geometry_level": str(item.geometry_level),
            "denticity": item.denticity or "none",
            "note": item.note or "none",
        }
        if item.searches:
            frame.info["searches"] = "+".join(map(str, item.searches))  # ASE makes an array of 1,2
        if item.rank_eV is not None:
            frame.info["rank_eV"] = item.rank_eV
        frames.append(frame)
    _write_frames(path, frames)


def read_structures(path: Path) -> list[Structure]:
    """Read an ensemble written by `write_structures`.

    Raises
    ------
    ResultsError
        The file is missing, changed since its step wrote it, or was not written by this package.
    StepFailed
        The search failed.
    """
    frames = _read_frames(path)
    try:
        return [
            Structure(
                name=str(frame.info["structure"]),
                atoms=_bare(frame),
                geometry_eV=float(frame.info["geometry_eV"]),
                fmax_eV_A=float(frame.info["fmax_eV_A"]),
                geometry_level=Level.model_validate(frame.info["geometry_level"]),
                denticity=str(frame.info["denticity"]).replace("none", ""),
                note="" if frame.info["note"] == "none" else str(frame.info["note"]),
                rank_eV=float(frame.info["rank_eV"]) if "rank_eV" in frame.info else None,
                searches=tuple(map(int, filter(None, str(frame.info.get("searches", "")).split("+")))),
            )
            for frame in frames
        ]
    except (KeyError, ValueError) as problem:
        raise _foreign(path, problem) from problem


def write_rejected(path: Path, rejected: Sequence[Rejected]) -> None:
    """Write the rejected structures with their reasons as extended XYZ."""
    frames = []
    for item in rejected:
        frame = item.atoms.copy()
        frame.info = {
            "start": item.start,
            "stage": item.stage,
            "reason": item.reason,
            "geometry_level": str(item.geometry_level),
        }
        if item.energy_eV is not None:
            frame.info["geometry_eV"] = item.energy_eV
        frames.append(frame)
    _write_frames(path, frames)


def read_rejected(path: Path) -> list[Rejected]:
    """Read structures written by `write_rejected`; raises as `read_structures`."""
    frames = _read_frames(path)
    try:
        return [
            Rejected(
                start=str(frame.info["start"]),
                stage=str(frame.info["stage"]),
                reason=str(frame.info["reason"]),
                atoms=_bare(frame),
                geometry_level=Level.model_validate(frame.info["geometry_level"]),
                energy_eV=float(frame.info["geometry_eV"]) if "geometry_eV" in frame.info else None,
            )
            for frame in frames
        ]
    except (KeyError, ValueError) as problem:
        raise _foreign(path, problem) from problem


def _foreign(path: Path, problem: Exception) -> ResultsError:
    reason = f"no {problem}" if isinstance(problem, KeyError) else str(problem).splitlines()[0]
    return ResultsError(f"{path}: not an ensemble of this package ({reason}); remove it and run again")


def _write_frames(path: Path, frames: list[Atoms]) -> None:
    from ase.io import write

    columns = ["symbols", "positions"]
    if frames and "fragment" in frames[0].arrays:
        columns.append("fragment")

    def save(temporary: Path) -> None:
        if frames:
            write(temporary, frames, format="extxyz", columns=columns)

    write_atomically(path, save)


def _read_frames(path: Path) -> list[Atoms]:
    from ase.io import read

    if not path.is_file():
        raise ResultsError(f"{path} is missing; run the study again to make it")
    if path.stat().st_size == 0:
        return []
    refuse_failed(path)
    refuse_changed(path)
    try:
        frames: Any = read(path, index=":", format="extxyz")
    except Exception as problem:  # ASE's readers raise whatever their parsers meet
        raise _foreign(path, ValueError(f"{type(problem).__name__}: {problem}")) from problem
    return list(frames)


def _bare(frame: Atoms) -> Atoms:
    atoms = Atoms(frame.get_chemical_symbols(), frame.positions)
    if "fragment" in frame.arrays:
        atoms.set_array("fragment", frame.arrays["fragment"])
    return atoms
