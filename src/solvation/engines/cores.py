"""Effective core potentials: a basis set that is made for them is nonsense without, and no program says so."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

from ase.data import atomic_numbers

from solvation.engines import composite

_KRYPTON = 36
#: Of this basis set PySCF has the functions and not the cores, which all def2 sets share.
_CORES_OF = {composite.BASIS: "def2-tzvpp"}


def effective_cores(symbols: Iterable[str], basis: str) -> dict[str, str]:
    """Elements whose inner shells a basis set leaves to an effective core, with its name in PySCF.

    From Rb on in the def2 sets (Andrae et al., Theor. Chim. Acta 77, 123 (1990), and later ones), and in sets that
    PySCF does not know and another program may.
    """
    from pyscf import gto

    name = _CORES_OF.get(basis, basis)

    def has_core(symbol: str) -> bool:
        try:
            with warnings.catch_warnings():
                # It recommends another package, which does not have a misspelt basis set either.
                warnings.simplefilter("ignore")
                return bool(gto.basis.load_ecp(name, symbol))
        except RuntimeError:  # what an unknown name ends in
            return bool(atomic_numbers[symbol] > _KRYPTON)

    return {symbol: name for symbol in sorted(set(symbols)) if has_core(symbol)}
