"""What PySCF has of a basis set: functions for an element, and the effective core that goes with them.

A set that is made for an effective core is nonsense without, and no program says so.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any

from ase.data import atomic_numbers

from solvation.engines import composite

_KRYPTON = 36
#: Of this basis set PySCF has the functions and not the cores, which all def2 sets share.
_CORES_OF = {composite.BASIS: "def2-tzvpp"}


def has_functions(basis: str, symbol: str) -> bool:
    """Whether PySCF has functions of this set for an element."""
    from pyscf import gto

    return bool(_loaded(gto.basis.load, basis, symbol))


def effective_cores(symbols: Iterable[str], basis: str) -> dict[str, str]:
    """Elements whose inner shells a basis set leaves to an effective core, with its name in PySCF.

    From Rb on in the def2 sets (Andrae et al., Theor. Chim. Acta 77, 123 (1990), and later ones), and in sets that
    PySCF does not know and another program may.
    """
    from pyscf import gto

    name = _CORES_OF.get(basis, basis)

    def has_core(symbol: str) -> bool:
        found = _loaded(gto.basis.load_ecp, name, symbol)
        return bool(atomic_numbers[symbol] > _KRYPTON if found is None else found)

    return {symbol: name for symbol in sorted(set(symbols)) if has_core(symbol)}


def nuclear_charges(molecule: Any) -> list[int]:
    """Charges of the bare nuclei of a PySCF molecule; zero for ghosts.

    PySCF's own are less by what an effective core takes.
    """
    return [
        int(charge) + molecule.atom_nelec_core(atom) if charge else 0
        for atom, charge in enumerate(molecule.atom_charges())
    ]


def _loaded(load: Callable[[str, str], Any], name: str, symbol: str) -> Any:
    """What PySCF has by this name, empty where nothing is for this element; None where it does not know the name."""
    try:
        with warnings.catch_warnings():
            # It recommends another package, which does not have a misspelt basis set either.
            warnings.simplefilter("ignore")
            return load(name, symbol)
    except (KeyError, ValueError, RuntimeError, OSError):
        return None
