"""Nearest periodic images in rectangular boxes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def nearest_images_A(apart_A: NDArray[Any], edges_A: NDArray[Any]) -> NDArray[Any]:
    """Differences of positions, each by the image that is nearest, (..., 3), Å.

    Parameters
    ----------
    edges_A
        Of the rectangular box, (3,).
    """
    return np.asarray(apart_A - edges_A * np.round(apart_A / edges_A))
