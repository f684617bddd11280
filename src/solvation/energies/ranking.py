"""Which of several ligands holds an ion most strongly: each alone with it, or each beside the same others."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from solvation.clusters.isomers import check_isomers
from solvation.energies.query import NOTHING_MORE, Answer, FreeMolecule, Wanted, bind_composition, check_asked
from solvation.energies.thermochemistry import Treatment
from solvation.errors import EngineFailed, StructureError
from solvation.progress import say
from solvation.species import build_molecule
from solvation.study import Level, Sampling, Species

#: Of the free energies: treatment of soft modes (Grimme, Chem. Eur. J. 18, 9955 (2012)).
TREATMENT: Treatment = "grimme"


@dataclass(frozen=True, slots=True)
class Ranked:
    """One ligand in its place.

    Attributes
    ----------
    answer
        None where it failed.
    reason
        Why it failed.
    """

    ligand: str
    answer: Answer | None
    reason: str = ""

    @property
    def energy_eV(self) -> float:
        """Binding energy against relaxed ligands, with counterpoise where it was computed; NaN = failed."""
        return math.nan if self.answer is None else self.answer.energy_eV()

    @property
    def gibbs_eV(self) -> float:
        """Free energy of binding; NaN where it was not asked for."""
        if self.answer is None or self.answer.thermochemistry is None:
            return math.nan
        return self.energy_eV + self.answer.thermochemistry.gibbs_eV(TREATMENT)


def rank_ligands(
    ion: str,
    ligands: Mapping[str, Species],
    level: Level,
    *,
    sampling: Sampling,
    seed: int,
    beside: Mapping[str, int] | None = None,
    species: Mapping[str, Species] | None = None,
    geometry: Level | None = None,
    wanted: Wanted = NOTHING_MORE,
) -> list[Ranked]:
    """Bind the ion by each ligand in turn, and put them in order, the strongest first and the failed last.

    With `wanted.motion` the order is that of the free energies; a ligand without one comes after those that have it.

    The difference of two binding energies is the energy of exchanging one ligand for the other, with the same
    molecules beside: the energy of the bare ion leaves it. A ligand whose structures or energies fail does not stop
    the others.

    Parameters
    ----------
    beside
        Molecules that every complex holds as well, with their numbers.
    species
        The ion's and those of `beside`, by name.
    geometry, wanted
        As for `bind_composition`.

    Raises
    ------
    StudyError, SpeciesError
        What was asked for cannot be computed; found before anything is.
    EngineMissing
        A program is not installed.
    """
    check_asked(level, geometry, wanted)
    known = {**(species or {}), **ligands}
    molecules = {name: build_molecule(name, one) for name, one in known.items()}
    check_isomers(molecules.values())
    charges = {name: molecule.charge for name, molecule in molecules.items()}
    if len({charges[name] for name in ligands}) > 1 and level.solvent_model is None:
        say("warning: these ligands differ in charge: in the gas phase Coulomb's law ranks them; take a --solvent")
    if level.is_tight_binding and molecules[ion].is_ion and molecules[ion].charge > 0:
        say(
            f"warning: {level} holds ions too strongly, Li+ by 0.1 to 1.2 eV and by N less than by O (docs/donors.md); "
            "take its order for molecules of one kind of donor only, or rank at r2scan-3c"
        )
    free: dict[str, FreeMolecule] = {}
    found = []
    for ligand in ligands:
        composition = {ion: 1, **(beside or {})}
        composition[ligand] = composition.get(ligand, 0) + 1
        try:
            answer = bind_composition(
                composition, {name: known[name] for name in composition}, level, sampling=sampling, seed=seed,
                geometry=geometry, wanted=wanted, free=free,
            )  # fmt: skip
            found.append(Ranked(ligand, answer))
        except (EngineFailed, StructureError) as problem:
            say(f"{ligand}: {problem}")
            found.append(Ranked(ligand, None, str(problem)))
    return sorted(found, key=lambda one: _place(one, by_free_energy=wanted.motion is not None))


def _place(one: Ranked, *, by_free_energy: bool) -> tuple[bool, bool, float]:
    """Failed ones last, and before them those without the free energy that was asked for: it compares with nothing."""
    without = by_free_energy and math.isnan(one.gibbs_eV)
    return math.isnan(one.energy_eV), without, one.gibbs_eV if by_free_energy and not without else one.energy_eV
