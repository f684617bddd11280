"""From the recipe of a solution to numbers of molecules."""

from __future__ import annotations

from collections.abc import Mapping

from solvation.errors import StudyError
from solvation.liquids.packing import mass_u
from solvation.species import Molecule
from solvation.study import ClassicalDynamics, Mixture


def numbers_of(settings: ClassicalDynamics, molecules: Mapping[str, Molecule]) -> dict[str, int]:
    """Copies of each species, from a composition or from a recipe.

    Raises
    ------
    StudyError
        The recipe cannot be met with so few molecules.
    """
    if settings.mixture is None:
        return dict(settings.composition)
    masses = {name: mass_u(molecules[name]) for name in settings.members}
    return numbers_from_recipe(settings.mixture, masses, settings.density_g_cm3)


def numbers_from_recipe(mixture: Mixture, masses_u: Mapping[str, float], density_g_cm3: float) -> dict[str, int]:
    """Copies of each species; the nearest whole numbers.

    Parameters
    ----------
    masses_u
        Of each species.
    density_g_cm3
        Of the solution; a molarity needs it.

    Raises
    ------
    StudyError
        A solvent or the salt would have no molecule.
    """
    moles = {name: _moles(mixture, name, masses_u[name]) for name in mixture.solvents}
    total = sum(moles.values())
    found = _rounded({name: mixture.solvent_molecules * share / total for name, share in moles.items()})
    if mixture.salt:
        solvents_u = sum(masses_u[name] * count for name, count in found.items())
        salt_u = sum(masses_u[name] * count for name, count in mixture.salt.items())
        if mixture.molality is not None:
            units = mixture.molality * solvents_u / 1000
        else:
            molarity = mixture.molarity or 0.0
            room = 1000 * density_g_cm3 - molarity * salt_u
            if room <= 0:
                raise StudyError(
                    f"mixture.molarity: {molarity:g} mol/L of this salt weigh more than the solution; lower it"
                )
            units = molarity * solvents_u / room
        found |= {name: round(units) * count for name, count in mixture.salt.items()}
    for name, count in found.items():
        if count == 0:
            raise StudyError(f"mixture: {mixture.solvent_molecules} solvent_molecules leave no {name}; take more")
    return found


def _moles(mixture: Mixture, name: str, solvent_u: float) -> float:
    part = mixture.solvents[name]
    if mixture.parts == "mole" or len(mixture.solvents) == 1:
        return part
    if mixture.parts == "mass":
        return part / solvent_u
    return part * mixture.solvent_density_g_cm3[name] / solvent_u


def _rounded(wanted: Mapping[str, float]) -> dict[str, int]:
    """Whole numbers of the same sum: the largest remainders are rounded up."""
    found = {name: int(value) for name, value in wanted.items()}
    missing = round(sum(wanted.values())) - sum(found.values())
    by_remainder = sorted(wanted, key=lambda name: found[name] - wanted[name])
    return found | {name: found[name] + 1 for name in by_remainder[:missing]}
