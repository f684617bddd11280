"""Conductivity from displacements: which part of the current each ion carries, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase.units import _e, _k
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Ratio:
    """A number with its standard error."""

    value: float
    stderr: float


def conductivity_mS_cm(diffusion_A2_ps: float, *, volume_A3: float, temperature_K: float) -> float:
    r"""Conductivity of the diffusion coefficient of the dipole of all charges, mS/cm.

    .. math:: \sigma = \frac{e^2}{6 V k_B T} \frac{d}{dt} \langle |\Delta \sum_i z_i r_i|^2 \rangle

    Parameters
    ----------
    diffusion_A2_ps
        The derivative over six, or :math:`\sum_i z_i^2 D_i` for Nernst and Einstein's, Å2/ps.

    References
    ----------
    Helfand, Phys. Rev. 119, 1 (1960).
    """
    siemens_m = float(_e**2 * diffusion_A2_ps * 1e-8 / (volume_A3 * 1e-30 * _k * temperature_K))
    return 10 * siemens_m


def bilinear(
    onsager: NDArray[np.float64], relative: float, left: NDArray[np.float64], right: NDArray[np.float64]
) -> Ratio:
    """a L b with its error, for L measured from Gaussian displacements.

    Parameters
    ----------
    onsager
        Collective coefficients, (n_species, n_species), any unit.
    relative
        Error of a diagonal coefficient as a share of it, `Slope.relative`.
    """
    value = float(left @ onsager @ right)
    variance = _covariance(onsager, relative, left, right, left, right)
    return Ratio(value, math.sqrt(max(variance, 0.0)))


def onsager_transference(
    onsager: NDArray[np.float64], relative: float, charges: NDArray[np.float64], which: int
) -> Ratio:
    r"""Share of the current that one species carries, :math:`t_a = z_a \sum_b L_{ab} z_b / \sum_{bc} z_b L_{bc} z_c`.

    In the frame that the displacements are in; no polarisation of electrodes, which a t+ of Bruce and Vincent has.

    References
    ----------
    Fong, Bergstrom, McCloskey & Mandadapu, AIChE J. 66, e17091 (2020); errors by linear propagation of those of
    Gaussian displacements (Wick).
    """
    own = np.zeros_like(charges)
    own[which] = charges[which]
    above, below = float(own @ onsager @ charges), float(charges @ onsager @ charges)
    share = above / below
    terms = (
        _covariance(onsager, relative, own, charges, own, charges)
        - 2 * share * _covariance(onsager, relative, own, charges, charges, charges)
        + share**2 * _covariance(onsager, relative, charges, charges, charges, charges)
    )
    return Ratio(share, math.sqrt(max(terms, 0.0)) / abs(below))


def _covariance(
    onsager: NDArray[np.float64],
    relative: float,
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    c: NDArray[np.float64],
    d: NDArray[np.float64],
) -> float:
    """Covariance of a L b and c L d; that of a L a with itself is (relative * a L a)^2."""
    return relative**2 / 2 * float((a @ onsager @ c) * (b @ onsager @ d) + (a @ onsager @ d) * (b @ onsager @ c))


def ideal_transference(weights: Sequence[float], stderr: Sequence[float], which: int) -> Ratio:
    """Share of one species in a sum of independent terms :math:`N z^2 D`, with error."""
    total = math.fsum(weights)
    share = weights[which] / total
    terms = [(((place == which) - share) / total * error) ** 2 for place, error in enumerate(stderr)]
    return Ratio(share, math.sqrt(math.fsum(terms)))


def quotient(above: Ratio, below: Ratio) -> Ratio:
    """Ratio of two numbers with independent errors."""
    value = above.value / below.value
    return Ratio(value, abs(value) * math.hypot(above.stderr / above.value, below.stderr / below.value))
