"""Force fields of bare and molecular ions: published sets, and pair terms that were fitted to our own DFT."""

from __future__ import annotations

import json
from functools import cache

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from solvation.errors import SpeciesError, StudyError
from solvation.shipped import library_folder


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Sphere(_Data):
    """Charge in e and Lennard-Jones terms of one atom, Å and kJ/mol."""

    charge: float
    sigma: float
    epsilon: float


class PublishedIon(_Data):
    """One entry of structures/ions.yaml, in the units told there."""

    source: str
    note: str
    atoms: dict[str, Sphere]
    bonds: dict[str, tuple[float, float]] = {}
    angles: dict[str, tuple[float, float]] = {}
    torsions: dict[str, tuple[float, float, float, float]] = {}


class Scan(_Data):
    """One ligand on its way out of a shell.

    Attributes
    ----------
    donor, kind
        Name of the ligand, and GAFF2 type of its donor with those of its neighbours.
    r_A
        Distances of ion and donor, Å.
    dft_eV, fitted_eV, one_sphere_eV, published_eV
        Interaction with the rest of the shell: computed, and by the force field with pair terms, with one fitted
        sphere for the ion, and with its published one; each force field less its own common offset.
    peak_dft_A, peak_fitted_A, peak_one_sphere_A, peak_published_A
        Where each is lowest, on a spline through its points; None where it is lowest at an end.
    """

    donor: str
    kind: str
    r_A: tuple[float, ...]
    dft_eV: tuple[float, ...]
    fitted_eV: tuple[float, ...]
    one_sphere_eV: tuple[float, ...]
    published_eV: tuple[float, ...]
    peak_dft_A: float | None
    peak_fitted_A: float | None
    peak_one_sphere_A: float | None
    peak_published_A: float | None


class FittedPairs(_Data):
    """Short-range terms of an ion with the donors that it was fitted to (ion_pairs.py).

    Attributes
    ----------
    ion
        Its name in the library.
    charge_scale
        Factor of the ion's charge in the fit; with another factor the terms do not hold.
    terms
        (A in kJ/mol Å8, C in kJ/mol Å6) of E = A/r8 - C/r6 by kind of the donor, `os(c3 c3)`; pairs with other atoms
        mix as ever.
    one_sphere
        Sigma and epsilon of the ion itself, mixed after Lorentz and Berthelot, that fit the same scans best.
    offset_eV, one_sphere_offset_eV, published_offset_eV
        What each force field binds too weakly, the same for all ligands: it is not fitted away.
    rms_eV, one_sphere_rms_eV, published_rms_eV
        Root mean square of what is left.
    """

    ion: str
    level: str
    charges: str
    frame: str
    charge_scale: float
    terms: dict[str, tuple[float, float]]
    one_sphere: tuple[float, float]
    offset_eV: float
    one_sphere_offset_eV: float
    published_offset_eV: float
    rms_eV: float
    one_sphere_rms_eV: float
    published_rms_eV: float
    scans: tuple[Scan, ...]


@cache
def published_ions() -> dict[str, PublishedIon]:
    """Published force fields of ions by their name in the library."""
    path = library_folder() / "ions.yaml"
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        return {name: PublishedIon.model_validate(entry) for name, entry in data.items()}
    except (OSError, yaml.YAMLError, ValidationError, AttributeError) as problem:
        raise SpeciesError(f"{path}: damaged ({str(problem).splitlines()[0]}); install the package again") from problem


@cache
def fitted_pairs() -> dict[str, FittedPairs]:
    """Pair terms of ions by their name in the library, from structures/pairs/."""
    found = {}
    for path in sorted((library_folder() / "pairs").glob("*.json")):
        try:
            item = FittedPairs.model_validate(json.loads(path.read_text(encoding="utf-8"))["result"])
        except (OSError, ValueError, KeyError, TypeError) as problem:
            reason = str(problem).splitlines()[0]
            raise SpeciesError(f"{path}: damaged ({reason}); install the package again") from problem
        found[item.ion] = item
    return found


def check_charge_scale(ion: str, fitted_with: float, charge_scale: float) -> None:
    """Refuse pair terms that were fitted with another charge of the ion.

    Raises
    ------
    StudyError
        With the mend.
    """
    if fitted_with != charge_scale:
        raise StudyError(
            f"charge_scale: {charge_scale:g}, but the pair terms of {ion} were fitted with {fitted_with:g}; "
            "take that, or set charges.ion_pairs: published"
        )
