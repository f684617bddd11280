"""What the periodic table tells of an atom by itself: metal or not, its usual charge."""

from __future__ import annotations

#: Elements that bind covalently, As and Sb included (AsF6-, SbF6-); every other one is a metal. X is an unknown atom.
_NON_METALS = frozenset(
    ["X", "H", "He", "B", "C", "N", "O", "F", "Ne", "Si", "P", "S", "Cl", "Ar",
     "Ge", "As", "Se", "Br", "Kr", "Sb", "Te", "I", "Xe", "At", "Rn"]
)  # fmt: skip
#: Charges of bare ions of elements that have one usual charge.
USUAL_CHARGES = {
    **dict.fromkeys(("Li", "Na", "K", "Rb", "Cs", "Ag"), 1),
    **dict.fromkeys(("Be", "Mg", "Ca", "Sr", "Ba", "Zn", "Cd"), 2),
    **dict.fromkeys(("Al", "Ga", "In", "Sc", "Y", "La"), 3),
    **dict.fromkeys(("F", "Cl", "Br", "I"), -1),
}


def is_metal(symbol: str) -> bool:
    """Whether an element stands for a bare ion, bonded to nothing, wherever molecules are found by distances."""
    return symbol not in _NON_METALS
