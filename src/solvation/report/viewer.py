"""Structures as data for the viewer on the page, and the JavaScript it needs from an installed wheel."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from ase.formula import Formula
from markupsafe import Markup

from solvation.clusters.checks import BONDED
from solvation.clusters.shell import reach_A
from solvation.elements import is_metal
from solvation.report.inputs import number

#: Colours chemists expect, a little darker than usual so that they show on white and on black.
COLOURS = {
    "H": "#dfe3e6", "Li": "#9b59d0", "C": "#6b7680", "N": "#2f6fde", "O": "#d8362a", "F": "#5fbf3a",
    "Na": "#9b59d0", "Mg": "#3f8f5f", "P": "#e58a1f", "S": "#d8b21c", "Cl": "#2fae4a", "K": "#9b59d0",
    "B": "#e8a39a", "Si": "#c9a97c", "Br": "#8f3a1f", "Zn": "#7d80b0", "Ca": "#3f8f5f",
}  # fmt: skip
#: Radius of a ball as a share of the covalent radius.
RADIUS_SCALE = 0.42
#: Elements that may bind an ion.
_DONORS = {"N", "O", "F", "P", "S", "Cl", "Se", "Br", "I"}
#: Structures of one cluster on the page; the others stay in the folder.
MOST_SHOWN = 16


def radius_A(symbol: str) -> float:
    """Covalent radius, Å."""
    return float(covalent_radii[atomic_numbers[symbol]])


def bonds(atoms: Atoms) -> list[tuple[int, int]]:
    """Pairs of bonded atoms within one fragment; the ion has none."""
    ratio, fragment = _ratios(atoms), _fragments(atoms)
    same = fragment[:, None] == fragment[None]
    first, second = np.nonzero(np.triu((ratio < BONDED) & same, k=1))
    return list(zip(first.tolist(), second.tolist(), strict=True))


def contacts(atoms: Atoms) -> list[tuple[int, int, float]]:
    """Atom of the ion, donor atom and distance in Å of every donor in the first shell, shortest first.

    Around an anion, or an ion of several atoms, of each atom that holds it the nearest atom that it touches.
    """
    if "fragment" not in atoms.arrays:
        return []
    symbols, n_ion = atoms.get_chemical_symbols(), ion_atoms(atoms)
    is_bare_cation = n_ion == 1 and is_metal(symbols[0])
    distance = atoms.get_all_distances()[:n_ion]
    ratio = distance / reach_A(atoms.numbers, n_ion, of_bare_cation=is_bare_cation)
    near = [(int(np.argmin(ratio[:, one])), one) for one in range(n_ion, len(atoms))]
    found = [
        (ion, one, float(distance[ion, one]))
        for ion, one in near
        if ratio[ion, one] < 1
        and (symbols[one] in _DONORS if is_bare_cation else (symbols[ion] == "H") != (symbols[one] == "H"))
    ]
    return sorted(found, key=lambda item: item[2])


def ion_atoms(atoms: Atoms) -> int:
    """How many atoms the ion has; they come first."""
    return max(1, int(np.count_nonzero(_fragments(atoms) == 0))) if "fragment" in atoms.arrays else 1


def describe(frames: list[Atoms]) -> list[dict[str, Any]]:
    """Structures of one cluster as plain data: what the viewer draws and the words beside it."""
    floors = {
        surface: _floor([one for one in frames if _surface(one) == surface], "geometry_eV")
        for surface in {_surface(frame) for frame in frames}
    }
    lowest = _floor(frames, "rank_eV")
    return [
        {
            "name": str(frame.info.get("structure", f"structure {place}")),
            "denticity": str(frame.info.get("denticity", "")),
            "rank_eV": _relative(frame, "rank_eV", lowest),
            "geometry_eV": _relative(frame, "geometry_eV", floors[_surface(frame)]),
            "symbols": frame.get_chemical_symbols(),
            "positions": np.round(frame.positions - frame.positions.mean(axis=0), 3).tolist(),
            "fragment": _fragments(frame).tolist(),
            "molecules": _molecules(frame),
            "bonds": bonds(frame),
            "contacts": [[ion, donor, round(distance, 4)] for ion, donor, distance in contacts(frame)],
        }
        for place, frame in enumerate(frames[:MOST_SHOWN], start=1)
    ]


def payload(clusters: dict[str, list[dict[str, Any]]]) -> Markup:
    """JSON for a script element: no text inside can end the element or start another."""
    elements = sorted({symbol for items in clusters.values() for item in items for symbol in item["symbols"]})
    data = {
        "clusters": clusters,
        "colours": {symbol: COLOURS.get(symbol, "#b76e99") for symbol in elements},
        "radii": {symbol: round(RADIUS_SCALE * radius_A(symbol), 3) for symbol in elements},
    }
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def library() -> Markup:
    """Plotly's JavaScript as it stands in the installed wheel, safe inside a script element."""
    from plotly.offline import get_plotlyjs

    return Markup(str(get_plotlyjs()).replace("</script", "<\\/script"))


def _ratios(atoms: Atoms) -> np.ndarray[Any, Any]:
    radii = np.array([radius_A(symbol) for symbol in atoms.get_chemical_symbols()])
    ratio: np.ndarray[Any, Any] = np.asarray(atoms.get_all_distances()) / (radii[:, None] + radii[None])
    return ratio


def _fragments(atoms: Atoms) -> np.ndarray[Any, Any]:
    return np.asarray(atoms.arrays.get("fragment", np.zeros(len(atoms), dtype=int)))


def _molecules(atoms: Atoms) -> dict[int, str]:
    """Name of each fragment: `ion`, or `ligand 2 (C3H4O3)`."""
    fragment, symbols = _fragments(atoms), np.array(atoms.get_chemical_symbols())
    names = {0: "ion" if "fragment" in atoms.arrays else "structure"}
    for one in sorted(set(fragment.tolist()) - {0}):
        names[one] = f"ligand {one} ({Formula.from_list(symbols[fragment == one].tolist()):hill})"
    return names


def _floor(frames: list[Atoms], key: str) -> float | None:
    known = [float(frame.info[key]) for frame in frames if number(frame.info.get(key)) is not None]
    return min(known) if known else None


def _surface(frame: Atoms) -> str:
    """Level that relaxed a structure."""
    return str(frame.info.get("geometry_level", ""))


def _relative(frame: Atoms, key: str, floor: float | None) -> float | None:
    """Return the relative energy: from the total one, or as the file gives it."""
    value = number(frame.info.get(key))
    if value is not None and floor is not None:
        return round(value - floor, 4)
    return number(frame.info.get(f"relative_{key}"))
