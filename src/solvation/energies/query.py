"""The shortest way in: one ion, some ligands, one level, and the table of their binding energies."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from solvation.clusters.checks import Contact, contacts
from solvation.clusters.ensembles import Structure, lowest_at
from solvation.clusters.given_complex import GivenComplex
from solvation.clusters.ligands import search_conformers
from solvation.clusters.placement import Shell, build_shell
from solvation.clusters.sampling import Funnel, find_structures
from solvation.energies.binding import Binding, Definition, Reference, bind, check_ion, doubts, reference
from solvation.energies.counterpoise import Counterpoise, counterpoise
from solvation.energies.shieldings import Shieldings, shieldings
from solvation.energies.thermochemistry import BindingThermochemistry, binding_thermochemistry
from solvation.engines import check_ghosts, check_level, check_shieldings, energy_eV, energy_forces
from solvation.engines.electrons import Stability, check_stability, stability
from solvation.errors import StudyError
from solvation.progress import say
from solvation.species import build_molecule
from solvation.study import Level, Levels, Sampling, Species, Thermochemistry
from solvation.study.cards import ClusterCard

_NOT_RELAXED = (
    "the level that relaxed this structure is not known, so its ligands have no relaxed energy; name it by --geometry"
)


@dataclass(frozen=True, slots=True)
class FreeMolecule:
    """A species by itself: its conformers, and its energy at the level asked for."""

    conformers: list[Structure]
    reference: Reference


@dataclass(frozen=True, slots=True)
class Answer:
    """Binding energies of one structure, with the search behind it where it was searched.

    Attributes
    ----------
    contacts
        Donors that hold the ion, the nearest first.
    funnel
        None for a structure that the user brought.
    stability
        Of the electronic states of the complex and of its parts as they stand in it; empty where it was not asked for.
    """

    composition: dict[str, int]
    structure: Structure
    binding: Binding
    contacts: tuple[Contact, ...]
    funnel: Funnel | None = None
    counterpoise: Counterpoise | None = None
    thermochemistry: BindingThermochemistry | None = None
    shieldings: Shieldings | None = None
    stability: Mapping[str, Stability] = field(default_factory=dict)

    def energy_eV(self, definition: Definition = "relaxed") -> float:
        """Binding energy in one of the definitions, with counterpoise where it was computed."""
        correction = self.counterpoise.correction_eV if self.counterpoise else 0.0
        return self.binding.energy_eV(definition) + correction


def bind_composition(
    composition: Mapping[str, int],
    species: Mapping[str, Species],
    level: Level,
    *,
    sampling: Sampling,
    seed: int,
    denticity: Mapping[str, int] | None = None,
    geometry: Level | None = None,
    corrected: bool = False,
    motion: Thermochemistry | None = None,
    magnetic: Level | None = None,
    looked_into: bool = False,
    free: dict[str, FreeMolecule] | None = None,
) -> Answer:
    """Search the structures of one ion with its ligands and compute their binding energies.

    A tight-binding level searches on its own surface; a DFT level judges and measures structures that
    GFN1-xTB and GFN2-xTB found.

    Parameters
    ----------
    geometry
        Level that relaxes the lowest structures and conformers found; None leaves them as tight binding has them.
    corrected
        Whether the basis set superposition is computed as well; a DFT level is needed.
    motion
        Temperature and standard state of the free energy of binding; None leaves it out.
    magnetic
        Level of the magnetic shieldings; None leaves them out.
    looked_into
        Whether a lower electronic state is looked for; a density functional of pyscf is needed.
    free
        Free molecules of earlier calls with the same species, level, sampling and seed, by name: they are taken from
        there, and what is missing is added.

    Raises
    ------
    SpeciesError, StructureError, EngineError
        As the steps of a study do.
    """
    check_asked(level, geometry, corrected=corrected)
    if looked_into:
        check_stability(level)
    if magnetic is not None:
        check_shieldings(magnetic)
    search = (level,) if level.is_tight_binding else Levels().search
    surfaces = search if geometry is None else (geometry,)
    rank = None if level.is_tight_binding else level
    molecules = {name: build_molecule(name, species[name]) for name in composition}
    shell = build_shell(composition, molecules)
    _check_shell(level, shell)
    alone = {} if free is None else free
    for name in composition:
        if name not in alone:
            found = search_conformers(molecules[name], sampling, search, geometry, seed)
            alone[name] = FreeMolecule(found, reference(molecules[name], found, level, surfaces))
    card = ClusterCard(
        name="+".join(composition), composition=dict(composition), denticity=dict(denticity or {}),
        species=dict(species), search=search, geometry=geometry, rank=rank, sampling=sampling, seed=seed,
    )  # fmt: skip
    say(f"{' + '.join(f'{count} {name}' for name, count in composition.items())}")
    funnel = find_structures(
        shell, {name: [one.atoms.positions for one in alone[name].conformers] for name in composition}, card
    )
    references = {name: alone[name].reference for name in composition}
    best = lowest_at(level, funnel.kept)
    bound = bind(best, shell, references, level, surfaces, rank)
    conformers = {
        name: next(item for item in alone[name].conformers if item.name == references[name].conformer)
        for name in composition
    }
    return Answer(
        dict(composition), best, bound, contacts(shell, best.atoms.positions), funnel,
        counterpoise(best, shell, bound) if corrected else None,
        binding_thermochemistry(best, shell, conformers, motion)[0] if motion else None,
        shieldings(best, shell, {name: alone[name].conformers for name in composition}, magnetic)
        if magnetic else None,
        _states(best, shell, level) if looked_into else {},
    )  # fmt: skip


def bind_given(
    given: GivenComplex,
    level: Level,
    *,
    relaxed_at: Level | None,
    sampling: Sampling,
    seed: int,
    corrected: bool = False,
    motion: Thermochemistry | None = None,
    magnetic: Level | None = None,
    looked_into: bool = False,
) -> Answer:
    """Compute the binding energies of a structure that the user brings.

    Parameters
    ----------
    relaxed_at
        Level that relaxed the structure: the free ligands are searched and relaxed there. Where it is not known
        (None), the definitions that need relaxed ligands are not a number.

    Raises
    ------
    StudyError
        Free energies or shieldings were asked for without `relaxed_at`.
    EngineFailed
        An engine failed.
    """
    check_level(level)
    if corrected:
        check_ghosts(level)
    if looked_into:
        check_stability(level)
    if motion is not None and relaxed_at is None:
        raise StudyError("--thermo: normal modes need the level that relaxed the structure; name it by --geometry")
    if magnetic is not None:
        check_shieldings(magnetic)
        if relaxed_at is None:
            raise StudyError("--shieldings: the free ligands are relaxed as the structure was; name it by --geometry")
    shell = given.shell
    _check_shell(level, shell)
    kinds = {molecule.name: molecule for molecule in shell.molecules}
    surface = relaxed_at or level
    conformers, free = {}, {}
    if relaxed_at is not None:
        free = {name: search_conformers(kind, sampling, (relaxed_at,), None, seed) for name, kind in kinds.items()}
        references = {name: reference(kinds[name], found, level, (relaxed_at,)) for name, found in free.items()}
        conformers = {
            name: next(item for item in found if item.name == references[name].conformer)
            for name, found in free.items()
        }
        energy, forces = energy_forces(given.atoms, relaxed_at, charge=shell.charge, multiplicity=shell.multiplicity)
        structure = Structure("given", given.atoms, energy, float(abs(forces).max()), surface, given.denticity)
    else:
        ion = shell.molecules[0]
        whole = energy_eV(given.atoms, level, charge=shell.charge, multiplicity=shell.multiplicity)
        alone = energy_eV(given.atoms[:1], level, charge=ion.charge, multiplicity=ion.multiplicity)
        references = {
            name: Reference(name, level, surface, (surface,), alone if name == ion.name else math.nan, "as given")
            for name in kinds
        }
        structure = Structure("given", given.atoms, whole, math.nan, surface, given.denticity, note=_NOT_RELAXED)
    bound = bind(structure, shell, references, level, (surface,))
    return Answer(
        given.composition, structure, bound, contacts(shell, given.atoms.positions), None,
        counterpoise(structure, shell, bound) if corrected else None,
        binding_thermochemistry(structure, shell, conformers, motion)[0] if motion else None,
        shieldings(structure, shell, free, magnetic) if magnetic else None,
        _states(structure, shell, level) if looked_into else {},
    )  # fmt: skip


def _states(structure: Structure, shell: Shell, level: Level) -> dict[str, Stability]:
    """Electronic states of the complex and of each kind of part, the first of its copies."""
    found = {"complex": stability(structure.atoms, level, charge=shell.charge, multiplicity=shell.multiplicity)}
    for number, part in enumerate(shell.molecules):
        if part.name not in found:
            atoms = structure.atoms[shell.fragment == number]
            found[part.name] = stability(atoms, level, charge=part.charge, multiplicity=part.multiplicity)
    return found


def check_asked(level: Level, geometry: Level | None, *, corrected: bool) -> None:
    """Refuse levels that cannot do what is asked of them, before anything is computed.

    Raises
    ------
    StudyError
        With the mend.
    """
    check_level(level)
    if geometry is not None:
        check_level(geometry)
        if geometry.is_wave_function:
            raise StudyError(f"--geometry: {geometry} has no forces; relax at a density functional")
    if corrected:
        check_ghosts(level)


def _check_shell(level: Level, shell: Shell) -> None:
    """Refuse a bare ion that the level cannot measure, and warn of molecules that it holds too strongly."""
    check_ion(level, shell.molecules[0])
    for doubt in doubts(level, shell.molecules):
        say(doubt)
