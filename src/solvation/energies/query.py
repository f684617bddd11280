"""The shortest way in: one ion, some ligands, one level or several, and the table of their binding energies."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from ase import Atoms

from solvation.clusters.checks import Contact, contacts, nearest_atom
from solvation.clusters.ensembles import Structure, lowest_at, search_error_eV
from solvation.clusters.given_complex import GivenComplex
from solvation.clusters.isomers import check_isomers, mixed_hands
from solvation.clusters.ligands import free_error_eV, search_conformers
from solvation.clusters.sampling import Funnel, find_structures
from solvation.clusters.shell import Shell, build_shell
from solvation.energies.binding import (
    Binding,
    Definition,
    Reference,
    bind,
    check_ion,
    check_parts,
    doubt_of_spins,
    doubts,
    reference,
)
from solvation.energies.counterpoise import Counterpoise, counterpoise
from solvation.energies.shieldings import Shieldings, shieldings
from solvation.energies.thermochemistry import BindingThermochemistry, Treatment, binding_thermochemistry
from solvation.engines import (
    check_ghosts,
    check_level,
    check_shieldings,
    energy_eV,
    energy_forces,
    has_ghosts,
)
from solvation.engines.electrons import Stability, check_stability, stability
from solvation.errors import StudyError
from solvation.progress import say
from solvation.species import Molecule, build_molecule
from solvation.study import Level, Levels, Sampling, Species, Thermochemistry
from solvation.study.cards import ClusterCard

#: The search itself leaves no more than half of it.
_STATIONARY_EV_A = 0.05
_NOT_RELAXED = (
    "the level that relaxed this structure is not known, so its ligands have no relaxed energy; name it by --geometry"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is computed of a structure beside its binding energies; nothing unless asked for.

    Attributes
    ----------
    levels
        More levels of theory that measure the same structure.
    counterpoise
        Whether the basis set superposition is computed, at the levels that have ghosts (one is needed).
    motion
        Temperature and standard state of the free energy of binding.
    shieldings
        Level of the magnetic shieldings.
    stability
        Whether a lower electronic state is looked for; a density functional of pyscf is needed.
    """

    levels: tuple[Level, ...] = ()
    counterpoise: bool = False
    motion: Thermochemistry | None = None
    shieldings: Level | None = None
    stability: bool = False


#: The binding energies alone.
NOTHING_MORE = Wanted()


@dataclass(frozen=True, slots=True)
class FreeMolecule:
    """A species by itself: its conformers, and its energy at each of the levels asked for, in their order."""

    conformers: list[Structure]
    references: tuple[Reference, ...]


@dataclass(frozen=True, slots=True)
class Rung:
    """Binding energies of a structure at one level; `counterpoise` is None where it was not computed."""

    binding: Binding
    counterpoise: Counterpoise | None

    def energy_eV(self, definition: Definition = "relaxed") -> float:
        """Binding energy in one of the definitions, with counterpoise where it was computed."""
        correction = self.counterpoise.correction_eV if self.counterpoise else 0.0
        return self.binding.energy_eV(definition) + correction


@dataclass(frozen=True, slots=True)
class Answer:
    """Binding energies of one structure, with the search behind it where it was searched.

    Attributes
    ----------
    ladder
        One rung for each level, that which judged the structure first.
    multiplicity
        Spin multiplicity of the complex.
    nearest
        The atom nearest to the ion.
    contacts
        Donors that hold the ion, the nearest first.
    funnel
        None for a structure that the user brought.
    stability
        Of the electronic states of the complex and of its parts as they stand in it; empty where it was not asked for.
    search_stderr_eV
        What one search of the complex and of its free ligands errs by (`search_error_eV`); NaN where there was one, or
        none.
    """

    composition: dict[str, int]
    structure: Structure
    ladder: tuple[Rung, ...]
    multiplicity: int
    nearest: Contact
    contacts: tuple[Contact, ...]
    funnel: Funnel | None = None
    thermochemistry: BindingThermochemistry | None = None
    shieldings: Shieldings | None = None
    stability: Mapping[str, Stability] = field(default_factory=dict)
    search_stderr_eV: float = math.nan

    @property
    def binding(self) -> Binding:
        """Binding energies at the first level."""
        return self.ladder[0].binding

    @property
    def geometry_level(self) -> Level | None:
        """Level that relaxed the structure; None where nobody knows."""
        # Only of a structure whose level is known are the forces computed.
        return None if math.isnan(self.structure.fmax_eV_A) else self.binding.geometry_level

    @property
    def counterpoise(self) -> Counterpoise | None:
        """Counterpoise correction at the first level; None where it was not computed."""
        return self.ladder[0].counterpoise

    def energy_eV(self, definition: Definition = "relaxed") -> float:
        """Binding energy at the first level, with counterpoise where it was computed."""
        return self.ladder[0].energy_eV(definition)


def bind_composition(
    composition: Mapping[str, int],
    species: Mapping[str, Species],
    level: Level,
    *,
    sampling: Sampling,
    seed: int,
    denticity: Mapping[str, int] | None = None,
    geometry: Level | None = None,
    wanted: Wanted = NOTHING_MORE,
    free: dict[str, FreeMolecule] | None = None,
) -> Answer:
    """Search the structures of one ion with its ligands and compute their binding energies.

    A tight-binding level searches on its own surface; a DFT level judges and measures structures that
    GFN1-xTB and GFN2-xTB found.

    Parameters
    ----------
    geometry
        Level that relaxes the lowest structures and conformers found; None leaves them as tight binding has them.
    wanted
        What is computed beside.
    free
        Free molecules of earlier calls with the same species, levels, sampling and seed, by name: they are taken from
        there, and what is missing is added.

    Raises
    ------
    SpeciesError, StructureError, EngineError
        As the steps of a study do.
    """
    check_asked(level, geometry, wanted)
    levels = (level, *wanted.levels)
    search = (level,) if level.is_tight_binding else Levels().search
    surfaces = search if geometry is None else (geometry,)
    rank = None if level.is_tight_binding else level
    molecules = {name: build_molecule(name, species[name]) for name in composition}
    shell = build_shell(composition, molecules)
    ion = shell.ion.name
    # Formulas begin with the ion, and the order of the others is part of the seed.
    composition = {ion: 1, **{name: count for name, count in composition.items() if name != ion}}
    check_isomers(molecules.values())
    _check_shell(levels, shell, geometry, wanted)
    for warning in mixed_hands([composition], molecules):
        say(warning)
    alone = {} if free is None else free
    for name in composition:
        if name not in alone:
            found = search_conformers(molecules[name], sampling, search, geometry, seed)
            alone[name] = FreeMolecule(
                found, tuple(reference(molecules[name], found, each, surfaces) for each in levels)
            )
    card = ClusterCard(
        name="+".join(composition), composition=dict(composition), denticity=dict(denticity or {}),
        species=dict(species), search=search, geometry=geometry, rank=rank, sampling=sampling, seed=seed,
    )  # fmt: skip
    # `PS` may be meant as a name and is a SMILES.
    shown = {name: name if species[name].library else f"{name} ({molecules[name].formula})" for name in composition}
    say(" + ".join(f"{count} {shown[name]}" for name, count in composition.items()))
    funnel = find_structures(
        shell, {name: [one.atoms.positions for one in alone[name].conformers] for name in composition}, card
    )
    best = lowest_at(level, funnel.kept)
    bound = [
        bind(best, shell, {name: alone[name].references[place] for name in composition}, each, surfaces, rank)
        for place, each in enumerate(levels)
    ]
    errors_eV = [count * free_error_eV(level, alone[name].conformers) for name, count in composition.items()]
    answer = _answer(
        dict(composition), best, shell, bound, {name: alone[name].conformers for name in composition},
        {name: alone[name].references[0] for name in composition}, wanted, funnel,
    )  # fmt: skip
    return replace(answer, search_stderr_eV=math.hypot(search_error_eV(level, funnel.kept), *errors_eV))


@dataclass(frozen=True, slots=True)
class LastLigand:
    """What the last molecule of a kind gains: a complex, and the same with one less of it, searched by itself."""

    ligand: str
    whole: Answer
    smaller: Answer

    @property
    def energies_eV(self) -> dict[str, float]:
        """By level, against its lowest free conformer; with counterpoise where it was computed."""
        pairs = zip(self.whole.ladder, self.smaller.ladder, strict=True)
        return {str(more.binding.level): more.energy_eV() - less.energy_eV() for more, less in pairs}

    def gibbs_eV(self, treatment: Treatment) -> float:
        """Free energy at the first level; NaN where motion was not asked for."""
        parts = [
            one.energy_eV() + one.thermochemistry.gibbs_eV(treatment) if one.thermochemistry else math.nan
            for one in (self.whole, self.smaller)
        ]
        return parts[0] - parts[1]


def last_ligands(
    whole: Answer,
    species: Mapping[str, Species],
    level: Level,
    *,
    sampling: Sampling,
    seed: int,
    geometry: Level | None = None,
    wanted: Wanted = NOTHING_MORE,
    free: dict[str, FreeMolecule] | None = None,
) -> list[LastLigand]:
    """Stepwise energies of a searched complex: one for each kind of ligand, of the last molecule of it.

    Parameters as of `bind_composition`. Of a complex with one ligand it is the binding energy, and no step.

    Raises
    ------
    SpeciesError, StructureError, EngineError
        As `bind_composition`.
    """
    asked = replace(wanted, shieldings=None, stability=False)
    found = []
    for name in list(whole.composition)[1:]:
        fewer = {one: count - (one == name) for one, count in whole.composition.items() if count > (one == name)}
        smaller = bind_composition(
            fewer, {one: species[one] for one in fewer}, level, sampling=sampling, seed=seed, geometry=geometry,
            wanted=asked, free=free,
        )  # fmt: skip
        found.append(LastLigand(name, whole, smaller))
    return found


def bind_given(
    given: GivenComplex,
    level: Level,
    *,
    relaxed_at: Level | None,
    sampling: Sampling,
    seed: int,
    wanted: Wanted = NOTHING_MORE,
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
    check_asked(level, None, wanted)
    if relaxed_at is None and wanted.motion is not None:
        raise StudyError("--thermo: normal modes need the level that relaxed the structure; name it by --geometry")
    if relaxed_at is None and wanted.shieldings is not None:
        raise StudyError("--shieldings: the free ligands are relaxed as the structure was; name it by --geometry")
    levels = (level, *wanted.levels)
    shell = given.shell
    _check_shell(levels, shell, relaxed_at, wanted)
    kinds = {molecule.name: molecule for molecule in shell.molecules}
    surface = relaxed_at or level
    free: dict[str, list[Structure]] = {}
    if relaxed_at is not None:
        free = {name: search_conformers(kind, sampling, (relaxed_at,), None, seed) for name, kind in kinds.items()}
        references = [
            {name: reference(kinds[name], found, each, (relaxed_at,)) for name, found in free.items()}
            for each in levels
        ]
        energy, forces = energy_forces(given.atoms, relaxed_at, charge=shell.charge, multiplicity=shell.multiplicity)
        fmax = float(np.linalg.norm(forces, axis=1).max())
        note = _no_minimum(relaxed_at, fmax) if fmax > _STATIONARY_EV_A else ""
        structure = Structure("given", given.atoms, energy, fmax, surface, given.denticity, note=note)
    else:
        references = [_given_references(given, kinds, each, surface) for each in levels]
        whole = energy_eV(given.atoms, level, charge=shell.charge, multiplicity=shell.multiplicity)
        note = _NOT_RELAXED if any(len(kind.symbols) > 1 for kind in kinds.values()) else ""
        structure = Structure("given", given.atoms, whole, math.nan, surface, given.denticity, note=note)
    bound = [bind(structure, shell, alone, each, (surface,)) for each, alone in zip(levels, references, strict=True)]
    return _answer(given.composition, structure, shell, bound, free, references[0], wanted, None)


def _no_minimum(level: Level, fmax_eV_A: float) -> str:
    return (
        f"the largest force at {level} is {fmax_eV_A:.2f} eV/Å: it was not relaxed there, as the free ligands are, and "
        "the binding energy is too weak by what that would gain"
    )


def _given_references(
    given: GivenComplex, kinds: Mapping[str, Molecule], level: Level, surface: Level
) -> dict[str, Reference]:
    """Atoms at `level`, the ion among them; of the other parts of a structure of unknown origin none is relaxed."""
    alone = {
        name: energy_eV(Atoms(kind.symbols), level, charge=kind.charge, multiplicity=kind.multiplicity)
        for name, kind in kinds.items()
        if len(kind.symbols) == 1
    }
    return {name: Reference(name, level, surface, (surface,), alone.get(name, math.nan), "as given") for name in kinds}


def _answer(
    composition: dict[str, int],
    structure: Structure,
    shell: Shell,
    bound: Sequence[Binding],
    free: Mapping[str, list[Structure]],
    references: Mapping[str, Reference],
    wanted: Wanted,
    funnel: Funnel | None,
) -> Answer:
    """Add to the binding energies of a structure what else is wanted of it."""
    ladder = tuple(
        Rung(one, counterpoise(structure, shell, one) if wanted.counterpoise and has_ghosts(one.level) else None)
        for one in bound
    )
    motion = None
    if wanted.motion is not None:
        lowest = {
            name: next(item for item in found if item.name == references[name].conformer)
            for name, found in free.items()
        }
        motion = binding_thermochemistry(structure, shell, lowest, wanted.motion)[0]
    places_A = structure.atoms.positions
    return Answer(
        composition, structure, ladder, shell.multiplicity, nearest_atom(shell, places_A), contacts(shell, places_A),
        funnel, motion,
        shieldings(structure, shell, free, wanted.shieldings) if wanted.shieldings else None,
        _states(structure, shell, bound[0].level) if wanted.stability else {},
    )  # fmt: skip


def _states(structure: Structure, shell: Shell, level: Level) -> dict[str, Stability]:
    """Electronic states of the complex and of each kind of part, the first of its copies."""
    found = {"complex": stability(structure.atoms, level, charge=shell.charge, multiplicity=shell.multiplicity)}
    for number, part in enumerate(shell.molecules):
        if part.name not in found:
            atoms = structure.atoms[shell.fragment == number]
            found[part.name] = stability(atoms, level, charge=part.charge, multiplicity=part.multiplicity)
    return found


def check_asked(level: Level, geometry: Level | None, wanted: Wanted) -> None:
    """Refuse levels that cannot do what is asked of them, before anything is computed.

    Raises
    ------
    StudyError
        With the mend.
    """
    levels = (level, *wanted.levels)
    for each in levels:
        check_level(each)
        if levels.count(each) > 1:
            raise StudyError(f"--level: {each} is named twice")
    if geometry is not None:
        check_level(geometry)
        if geometry.is_wave_function:
            raise StudyError(f"--geometry: {geometry} has no forces; relax at a density functional")
    if wanted.counterpoise and not any(map(has_ghosts, levels)):
        check_ghosts(level)
    if wanted.stability:
        check_stability(level)
    if wanted.shieldings is not None:
        check_shieldings(wanted.shieldings)


def _check_shell(levels: Sequence[Level], shell: Shell, geometry: Level | None, wanted: Wanted) -> None:
    """Refuse what a level cannot measure, before anything is computed; warn of what it doubts, and of assumed spins."""
    for level in filter(None, (*levels, geometry, wanted.shieldings)):
        check_parts(level, shell)
    kinds = {molecule.name: molecule for molecule in shell.molecules}
    if doubt := doubt_of_spins(Counter(molecule.name for molecule in shell.molecules), kinds):
        say(doubt)
    for level in levels:
        check_ion(level, shell.ion)
        for doubt in doubts(level, shell.molecules):
            say(doubt)
