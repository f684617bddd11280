"""Frames of VASP's `vasprun.xml`, one after the other: ASE's reader keeps the whole run in memory.

Unlike XDATCAR the file tells the time between frames: POTIM of a run of molecular dynamics (IBRION = 0), every step of
which is written.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from ase import Atoms
from ase.units import fs
from numpy.typing import NDArray

from solvation.errors import TrajectoryError, in_short

_PS = 1000 * fs
_DYNAMICS = 0


def vasprun_frames(path: Path) -> Iterator[Atoms]:
    """Yield the structure of each ionic step, with `time_ps` in its `info` where the run is one of dynamics.

    Raises
    ------
    TrajectoryError
        The file is no vasprun.xml, or ends within a step.
    """
    symbols: list[str] = []
    settings: dict[str, float] = {}
    number = 0
    try:
        for _, element in ElementTree.iterparse(path):
            if element.tag == "atominfo":
                symbols = [str(row[0].text).strip() for row in element.iterfind("array[@name='atoms']/set/rc")]
            elif element.tag == "incar":
                settings |= _numbers(element)
            elif element.tag == "parameters":
                # What the run took, defaults included; it stands after what was asked for.
                settings |= {key: value for key, value in _numbers(element).items() if key not in settings}
            elif element.tag == "calculation":
                yield _step(path, element, symbols, _time_ps(settings, number))
                number += 1
                # Electronic steps, densities of states: most of the file.
                element.clear()
    except ElementTree.ParseError as problem:
        raise TrajectoryError(f"{path}: not a readable vasprun.xml ({in_short(problem)})") from problem


def count_vasprun(path: Path) -> tuple[int, bool]:
    """Ionic steps of a vasprun.xml, and whether the file was brought to its end."""
    count, is_whole = 0, False
    with path.open(encoding="utf-8", errors="replace") as stream:
        for line in stream:
            count += line.strip() == "</calculation>"
            is_whole |= line.strip() == "</modeling>"
    return count, is_whole


def _numbers(element: Any) -> dict[str, float]:
    return {
        item.attrib["name"]: float(item.text)
        for item in element.iter("i")
        if item.attrib.get("name") in {"IBRION", "POTIM"} and item.text
    }


def _time_ps(settings: dict[str, float], number: int) -> float:
    if settings.get("IBRION") != _DYNAMICS or "POTIM" not in settings:
        return math.nan
    return float(number * settings["POTIM"] * fs / _PS)


def _step(path: Path, element: Any, symbols: list[str], time_ps: float) -> Atoms:
    cell = _vectors(element.find("structure/crystal/varray[@name='basis']"))
    scaled = _vectors(element.find("structure/varray[@name='positions']"))
    if cell.shape != (3, 3) or scaled.shape != (len(symbols), 3) or not symbols:
        raise TrajectoryError(f"{path}: an ionic step without a cell, or without the positions of {len(symbols)} atoms")
    return Atoms(symbols, cell=cell, scaled_positions=scaled, pbc=True, info={"time_ps": time_ps})


def _vectors(array: Any) -> NDArray[np.float64]:
    return np.array([[float(word) for word in str(row.text).split()] for row in (() if array is None else array)])
