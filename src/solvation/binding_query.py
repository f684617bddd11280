"""The shortest way in: one ion, some ligands, one level, and the table of their binding energies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from solvation.counterpoise import Counterpoise, counterpoise
from solvation.energies import Binding, bind, reference
from solvation.engines import check_ghosts, check_level
from solvation.ensembles import Structure, lowest_at
from solvation.ligands import search_conformers
from solvation.progress import say
from solvation.sampling import Funnel, build_shell, find_structures
from solvation.species import build_molecule
from solvation.study import Level, Levels, Sampling, Species
from solvation.study.cards import ClusterCard


@dataclass(frozen=True, slots=True)
class Answer:
    """Binding energies of one composition with the search behind them."""

    composition: dict[str, int]
    binding: Binding
    funnel: Funnel
    counterpoise: Counterpoise | None = None

    @property
    def structure(self) -> Structure:
        """The structure that the binding energies are of."""
        return next(item for item in self.funnel.kept if item.name == self.binding.structure)


def bind_composition(
    composition: Mapping[str, int],
    species: Mapping[str, Species],
    level: Level,
    *,
    sampling: Sampling,
    seed: int,
    denticity: Mapping[str, int] | None = None,
    corrected: bool = False,
) -> Answer:
    """Search the structures of one ion with its ligands and compute their binding energies.

    A tight-binding level searches on its own surface; a DFT level judges and measures structures that
    GFN1-xTB and GFN2-xTB found.

    Parameters
    ----------
    corrected
        Whether the basis set superposition is computed as well; a DFT level is needed.

    Raises
    ------
    SpeciesError, StructureError, EngineError
        As the steps of a study do.
    """
    check_level(level)
    if corrected:
        check_ghosts(level)
    surfaces = (level,) if level.is_tight_binding else Levels().search
    rank = None if level.is_tight_binding else level
    molecules = {name: build_molecule(name, species[name]) for name in composition}
    shell = build_shell(composition, molecules)
    free = {name: search_conformers(molecules[name], sampling, surfaces, None, seed) for name in composition}
    card = ClusterCard(
        name="+".join(composition), composition=dict(composition), denticity=dict(denticity or {}),
        species=dict(species), search=surfaces, geometry=None, rank=rank, sampling=sampling, seed=seed,
    )  # fmt: skip
    say(f"{' + '.join(f'{count} {name}' for name, count in composition.items())}")
    funnel = find_structures(
        shell, {name: [one.atoms.positions for one in found] for name, found in free.items()}, card
    )
    references = {name: reference(molecules[name], found, level, surfaces) for name, found in free.items()}
    best = lowest_at(level, funnel.kept)
    bound = bind(best, shell, references, level, surfaces, rank)
    return Answer(dict(composition), bound, funnel, counterpoise(best, shell, bound) if corrected else None)
