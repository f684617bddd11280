"""Surfaces of a density difference: where electrons gathered (yellow) and where they left (green)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io.cube import read_cube
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb
from numpy.typing import NDArray
from skimage.measure import marching_cubes

from solvation.errors import ResultsError

#: Electrons per cubic Bohr.
ISOVALUE = 0.004
_GAIN, _LOSS = "#f2c230", "#35a06a"
_LIGHT = np.array([0.35, 0.45, 0.82])
_OPACITY = 0.8


def read_density(path: Path) -> tuple[Atoms, NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Read a cube file.

    Returns
    -------
    The atoms; values in electrons per cubic Bohr, (nx, ny, nz); origin in Å; steps in Å, (3, 3).

    Raises
    ------
    ResultsError
        It is no cube file.
    """
    try:
        with path.open(encoding="utf-8") as stream:
            found = read_cube(stream)
    except (OSError, ValueError, IndexError, KeyError, AssertionError) as problem:
        raise ResultsError(f"{path}: not a cube file ({problem}); remove it and run again") from problem
    values = np.asarray(found["data"], dtype=float)
    steps = np.asarray(found["atoms"].cell) / np.array(values.shape)[:, None]
    return found["atoms"], values, np.asarray(found["origin"]), steps


def draw_surfaces(
    axes: Any,
    values: NDArray[np.float64],
    origin_A: NDArray[np.float64],
    steps_A: NDArray[np.float64],
    centre_A: NDArray[np.float64],
    rotation: NDArray[np.float64],
) -> None:
    """Draw both surfaces as shaded triangles, the far ones first; the mesh is a picture even in a vector file."""
    corners, tints = [], []
    for sign, colour in ((1, _GAIN), (-1, _LOSS)):
        if (sign * values).max() <= ISOVALUE:
            continue
        vertices, faces, *_ = marching_cubes(sign * values, ISOVALUE)  # type: ignore[no-untyped-call]
        places = (vertices @ steps_A + origin_A - centre_A) @ rotation
        triangles = places[faces]
        normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
        normals /= np.maximum(np.linalg.norm(normals, axis=1), 1e-12)[:, None]
        light = 0.55 + 0.45 * np.abs(normals @ _LIGHT)
        corners.append(triangles)
        tints.append(np.clip(light[:, None] * np.array(to_rgb(colour)), 0, 1))
    if not corners:
        return
    triangles, colours = np.concatenate(corners), np.concatenate(tints)
    order = np.argsort(triangles[:, :, 2].mean(axis=1))
    surfaces = axes.add_collection(
        PolyCollection(
            list(triangles[order, :, :2]),
            facecolors=colours[order],
            edgecolors="none",
            rasterized=True,
            zorder=60,
            antialiaseds=False,
        )
    )
    # As a whole, so that triangles behind do not show through those in front.
    surfaces.set_agg_filter(_veil)
    axes.autoscale_view()


def _veil(image: NDArray[Any], dpi: float) -> tuple[NDArray[Any], int, int]:
    """Make a drawn layer translucent."""
    return image * np.array([1, 1, 1, _OPACITY]), 0, 0
