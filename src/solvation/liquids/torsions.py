"""Torsional potentials as sums of cosines."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def fourier_of_ryckaert_bellemans(c: list[float]) -> NDArray[np.float64]:
    """Heights k_n of E = sum_n k_n (1 + cos n phi), n = 1 to 5, with the forces of E = sum_m C_m cos(psi)^m.

    Parameters
    ----------
    c
        C_0 to C_5 of Ryckaert and Bellemans, psi = phi - 180 degrees (trans is psi = 0).

    References
    ----------
    Powers of the cosine as Chebyshev polynomials, T_n(cos x) = cos(n x).
    """
    signed = [term * (-1) ** power for power, term in enumerate(c)]
    heights = np.zeros(6)
    series = np.polynomial.chebyshev.poly2cheb(signed)
    heights[: len(series)] = series
    return heights[1:]
