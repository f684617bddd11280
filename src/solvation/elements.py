"""What the periodic table tells of an atom by itself: metal or not, its usual charge, its unpaired electrons."""

from __future__ import annotations

from ase.data import atomic_numbers, ground_state_magnetic_moments

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
_ARGON, _XENON = 18, 54
_NOBLE_GASES = (0, 2, 10, _ARGON, 36, _XENON, 86)
#: Multiplicity of so many d electrons in a strong field, where it differs from Hund's.
_STRONG_FIELD = {4: 3, 5: 2, 6: 1, 7: 2, 8: 1}
#: Singly charged ions that keep an s electron in their ground state (Mn+ 7S, Fe+ 6D), by the electrons of the atom.
_SINGLY_CHARGED = {7: (7, 5), 8: (6, 4)}


def is_metal(symbol: str) -> bool:
    """Whether an element stands for a bare ion, bonded to nothing, wherever molecules are found by distances."""
    return symbol not in _NON_METALS


def usual_multiplicities(symbol: str, charge: int) -> tuple[int, ...]:
    """Multiplicities that a bare atom or ion may have, that of its ground state by itself first.

    Hund's rule for the electrons left when the s shell is emptied first; for d shells in a strong field as well.
    Neutral atoms as ASE lists them. Empty where that does not fit the number of electrons.
    """
    number = atomic_numbers[symbol]
    atom = number - max(gas for gas in _NOBLE_GASES if gas < number)
    found: tuple[int, ...]
    if charge == 0:
        found = (int(ground_state_magnetic_moments[number]) + 1,)
    elif number > _XENON and 4 <= atom <= 16:
        found = (_hund(atom - charge, 14),)
    elif number > _ARGON:
        found = _multiplicities_of_d_and_p(atom - 14 if number > _XENON and atom > 16 else atom, charge)
    else:
        found = (_hund(atom - charge - 2, 6),)
    return tuple(one for one in found if (number - charge - one + 1) % 2 == 0)


def _multiplicities_of_d_and_p(atom: int, charge: int) -> tuple[int, ...]:
    """Of an ion from the fourth period on; `atom` counts the electrons of the neutral atom outside closed shells."""
    if charge == 1 and atom in _SINGLY_CHARGED:
        return _SINGLY_CHARGED[atom]
    if 3 <= atom <= 12:
        held = atom - charge
        return (_hund(held, 10), *([_STRONG_FIELD[held]] if held in _STRONG_FIELD else []))
    return (_hund(atom - charge - 12, 6),)


def _hund(electrons: int, shell: int) -> int:
    """Multiplicity of so many electrons in a shell of so many places; what is less or more is another, closed one."""
    return 1 + max(min(electrons, shell - electrons), 0)
