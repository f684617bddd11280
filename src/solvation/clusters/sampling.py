"""The funnel: from hundreds of random shells to the few structures that a judge has compared.

1. random shells, half of them relaxed by a force field, half only freed of clashes (`placement`);
2. the diverse best are relaxed loosely at a search level, and variations of the lowest of them (`variation`) in rounds;
3. the diverse best of those are relaxed fully, shaken, and relaxed again;
4. every end is checked (`checks`); what fails is kept with its reason;
5. the diverse best of every search level are judged together (`judging`).

All but the last is done several times, from other starts: how far the ends differ is an error (`search_error_eV`).
Energy alone never decides who goes on, because the cheap level may order two basins the wrong way round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from solvation.clusters.checks import broken_or_formed, denticity_label, fault
from solvation.clusters.ensembles import Rejected, Structure, all_searches, lowest_first
from solvation.clusters.judging import by_search, judged
from solvation.clusters.placement import ForceField
from solvation.clusters.relaxation import Relaxed, off_saddle, relax
from solvation.clusters.shapes import diverse, fingerprint, shape_distance_A, twins, unique
from solvation.clusters.shell import Shell
from solvation.clusters.starts import Starts
from solvation.clusters.variation import rounds_over
from solvation.errors import EngineFailed, StructureError
from solvation.progress import say, track
from solvation.study import Level, Sampling
from solvation.study.cards import ClusterCard

_LOOSE_FMAX_EV_A = 0.05
_LOOSE_STEPS = 40
_SAME_ENERGY_EV = 0.01
#: So many of the lowest are varied, and so many variations made for one that is relaxed.
_PARENTS, _TRIED = 4, 5
#: A search that finds nothing begins so often, from other starts each time.
_ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class Funnel:
    """What a search found.

    Attributes
    ----------
    kept
        Checked structures, the judge's lowest first.
    rejected
        Relaxed structures that failed a check, with their reasons.
    n_starts, n_relaxed
        How many went in, and how many reached the geometry level.
    force_field
        The one that relaxed the starts.
    """

    kept: tuple[Structure, ...]
    rejected: tuple[Rejected, ...]
    n_starts: int
    n_relaxed: int
    force_field: str


def find_structures(shell: Shell, conformers: Mapping[str, Sequence[NDArray[np.float64]]], card: ClusterCard) -> Funnel:
    """Run the whole funnel of one cluster: search, judge, relax what survives, judge again.

    Parameters
    ----------
    conformers
        Free conformers of each ligand, Å, each (n_atoms, 3).
    card
        Levels, settings, declared denticities and the seed; the cluster's name is part of the seed.

    Raises
    ------
    StructureError
        When nothing survives.
    EngineFailed
        When no structure can be judged.
    """
    funnel = _search_all(shell, conformers, card)
    if card.rank is not None:
        funnel = _judged(funnel, shell, card)
    if card.geometry is not None and card.search != (card.geometry,):
        funnel = relax_survivors(funnel, shell, card.sampling, card.geometry, card.denticity)
        if card.rank == card.geometry:
            return replace(funnel, kept=tuple(replace(item, rank_eV=item.geometry_eV) for item in funnel.kept))
        if card.rank is not None:
            funnel = _judged(funnel, shell, card)
    return funnel


def _judged(funnel: Funnel, shell: Shell, card: ClusterCard) -> Funnel:
    assert card.rank is not None
    kept, rejected = judged(funnel.kept, shell, card.sampling, card.rank)
    return replace(funnel, kept=tuple(kept), rejected=(*funnel.rejected, *rejected))


def _search_all(shell: Shell, conformers: Mapping[str, Sequence[NDArray[np.float64]]], card: ClusterCard) -> Funnel:
    """Search every surface of the card several times; only a judge may choose among saddles and different surfaces."""
    funnels: list[Funnel] = []
    kept: list[Structure] = []
    problems: list[StructureError] = []
    for level in card.search:
        found: list[Structure] = []
        for number in range(1, card.sampling.searches + 1):
            try:
                funnel = _one_search(shell, conformers, card, level, number)
            except StructureError as problem:
                problems.append(problem)
                continue
            funnels.append(funnel)
            found += [replace(item, searches=(number,)) for item in funnel.kept]
        kept += _joined(found, card.sampling)
    if not funnels:
        raise problems[0]
    rejected = [item for funnel in funnels for item in funnel.rejected]
    if card.rank is None and card.geometry is None:
        rejected += [Rejected(item.name, "check", item.note, item.atoms, item.geometry_level, item.geometry_eV)
                     for item in kept if item.note]  # fmt: skip
        kept = [item for item in kept if not item.note]
        if not kept:
            raise StructureError("every structure is a shoulder that slid away; name levels.rank to choose among them")
    return Funnel(
        kept=tuple(replace(item, name=f"s{number:02d}") for number, item in enumerate(kept, start=1)),
        rejected=tuple(rejected),
        n_starts=sum(funnel.n_starts for funnel in funnels),
        n_relaxed=sum(funnel.n_relaxed for funnel in funnels),
        force_field=funnels[0].force_field,
    )


def _one_search(
    shell: Shell,
    conformers: Mapping[str, Sequence[NDArray[np.float64]]],
    card: ClusterCard,
    level: Level,
    number: int,
) -> Funnel:
    """One of the independent searches of a surface; it begins once more, from other starts, where it found nothing."""
    many = card.sampling.searches > 1
    if many:
        say(f"  search {number} of {card.sampling.searches} at {level}")
    for attempt in range(_ATTEMPTS):
        # A surface is searched the same whichever others are asked for, and a search whichever follow it.
        later = [attempt, number] if number > 1 else [attempt] if attempt else []
        rng = np.random.default_rng([card.seed, *card.name.encode(), *str(level).encode(), *later])
        try:
            funnel = search(shell, conformers, card.sampling, level, card.denticity, rng)
            break
        except StructureError as problem:
            last = attempt + 1 == _ATTEMPTS
            say(f"  {level}: {problem}" + ("" if last else "; once more, from other starts"))
            if last:
                raise
    named = [replace(item, start=f"{item.start} of search {number}") for item in funnel.rejected]
    return replace(funnel, rejected=tuple(named)) if many else funnel


def _joined(found: Sequence[Structure], settings: Sampling) -> list[Structure]:
    """Structures of several searches of one surface, the lowest first: what some of them have in common is one."""
    kept: list[Structure] = []
    for is_shoulder in (False, True):
        own = [item for item in found if bool(item.note) == is_shoulder]
        energies = np.array([item.geometry_eV for item in own])
        prints = [fingerprint(item.atoms.get_chemical_symbols(), item.atoms.positions) for item in own]
        same = twins(energies, prints, same_shape_A=settings.same_rmsd_A, same_energy_eV=_SAME_ENERGY_EV)
        for first, others in same.items():
            numbers = all_searches(own[index].searches for index in (first, *others))
            kept.append(replace(own[first], searches=numbers))
    return sorted(kept, key=lambda item: item.geometry_eV)


def search(
    shell: Shell,
    conformers: Mapping[str, Sequence[NDArray[np.float64]]],
    settings: Sampling,
    level: Level,
    denticity: Mapping[str, int],
    rng: np.random.Generator,
) -> Funnel:
    """Search the structures of one cluster and relax them at `level`.

    Parameters
    ----------
    conformers
        Free conformers of each ligand, Å, each (n_atoms, 3).
    denticity
        Donors through which every copy of a ligand must bind; ligands not named are free.

    Raises
    ------
    StructureError
        When nothing survives; the message counts the reasons.
    """
    starts = Starts(
        shell, ForceField(shell), rng, [denticity.get(molecule.name) for molecule in shell.molecules],
        [conformers.get(molecule.name, [np.zeros((1, 3))]) for molecule in shell.molecules],
    )  # fmt: skip
    first = starts.diverse(starts.random, settings.starts, settings.relaxed)
    say(f"  {settings.starts} starts by {starts.field.name}")
    loose, rejected = _relax_all(shell, first, settings, level, loosely=True)
    added, failed = _varied(starts, loose, settings, level, denticity)
    loose, rejected = [*loose, *added], [*rejected, *failed]
    energies = np.array([end.energy_eV for _, end in loose])
    prints = [fingerprint(shell.symbols, end.positions_A) for _, end in loose]
    distinct = unique(energies, prints, same_shape_A=settings.same_rmsd_A / 2, same_energy_eV=_SAME_ENERGY_EV)
    finalists = diverse(energies[distinct], [prints[i] for i in distinct], max(settings.ranked, settings.relaxed // 2))
    best = [(loose[distinct[i]][0], loose[distinct[i]][1].positions_A) for i in finalists]
    ends, failed = _relax_all(shell, best, settings, level, loosely=False)
    rejected += failed
    ends = [(name, _shaken(shell, end, settings, level, rng)) for name, end in track(ends, "shaken")]
    shoulders = _shoulders(shell, dict(loose), ends, settings, level)
    kept, faulty = _checked(shell, [*((name, end, "") for name, end in ends), *shoulders], level, denticity, settings)
    rejected += faulty
    if not kept:
        reasons = "; ".join(sorted({item.reason for item in rejected})[:4]) or "all broke a bond in the force field"
        raise StructureError(
            f"none of {settings.starts} starts became the cluster asked for ({reasons}); raise sampling.starts or "
            "relax the declared denticity"
        )
    return Funnel(tuple(kept), tuple(rejected), settings.starts, len(loose), starts.field.name)


def relax_survivors(
    funnel: Funnel, shell: Shell, settings: Sampling, level: Level, denticity: Mapping[str, int]
) -> Funnel:
    """Relax the judged best at a dearer geometry level, and check them again.

    Raises
    ------
    StructureError
        When none converges to the cluster that was asked for.
    """
    chosen = {item.name: item for item in funnel.kept if item.rank_eV is not None}
    if not chosen:
        # Without a judge nothing orders structures of different surfaces: the lowest of each go on.
        chosen = {item.name: item for own in by_search(funnel.kept) for item in own[: settings.ranked]}
    starts = [(name, item.atoms.positions) for name, item in chosen.items()]
    ends, rejected = _relax_all(shell, starts, settings, level, loosely=False)
    searches = {name: item.searches for name, item in chosen.items()}
    kept, faulty = _checked(shell, [(name, end, "") for name, end in ends], level, denticity, settings, searches)
    if not kept:
        reasons = "; ".join(sorted({item.reason for item in [*rejected, *faulty]}))
        raise StructureError(f"no structure survived the relaxation at {level} ({reasons})")
    return replace(funnel, kept=tuple(lowest_first(kept)), rejected=(*funnel.rejected, *rejected, *faulty))


def _varied(
    starts: Starts,
    loose: Sequence[tuple[str, Relaxed]],
    settings: Sampling,
    level: Level,
    denticity: Mapping[str, int],
) -> tuple[list[tuple[str, Relaxed]], list[Rejected]]:
    """Relax variations of the lowest in rounds, each half as many as there were starts; `rounds_over` ends them."""
    added: list[tuple[str, Relaxed]] = []
    rejected: list[Rejected] = []
    lowest_eV: list[float] = []
    for turn in range(1, settings.rounds + 1):
        sound = [end for _, end in [*loose, *added] if fault(starts.shell, end.positions_A, denticity) is None]
        parents = sorted(sound, key=lambda end: end.energy_eV)[:_PARENTS]
        if not parents:
            break
        lowest_eV.append(parents[0].energy_eV)
        if rounds_over(starts.shell.molecules, lowest_eV, _SAME_ENERGY_EV):
            break
        count = max(1, settings.relaxed // 2)
        found = starts.diverse(starts.variation_of(parents), _TRIED * count, count)
        named = [(f"variation{turn}.{name}", positions_A) for name, positions_A in found]
        ends, failed = _relax_all(starts.shell, named, settings, level, loosely=True)
        added, rejected = [*added, *ends], [*rejected, *failed]
    return added, rejected


def _relax_all(
    shell: Shell,
    starts: Sequence[tuple[str, NDArray[np.float64]]],
    settings: Sampling,
    level: Level,
    *,
    loosely: bool,
) -> tuple[list[tuple[str, Relaxed]], list[Rejected]]:
    stage = "loose relaxation" if loosely else "relaxation"
    ends, rejected = [], []
    for name, positions in track(starts, f"{stage} at {level}"):
        atoms = shell.atoms(positions)
        try:
            end = relax(
                atoms, level, charge=shell.charge, multiplicity=shell.multiplicity,
                fmax_eV_A=_LOOSE_FMAX_EV_A if loosely else settings.fmax_eV_A,
                max_steps=_LOOSE_STEPS if loosely else settings.max_steps,
            )  # fmt: skip
        except EngineFailed as problem:
            rejected.append(Rejected(name, stage, str(problem), atoms, level))
            continue
        if (reason := broken_or_formed(shell, end.positions_A)) is not None:
            rejected.append(Rejected(name, stage, reason, shell.atoms(end.positions_A), level, end.energy_eV))
        elif not loosely and not end.converged:
            reason = f"not converged after {end.steps} steps, largest force {end.fmax_eV_A:.3f} eV/Å"
            rejected.append(Rejected(name, stage, reason, shell.atoms(end.positions_A), level, end.energy_eV))
        else:
            ends.append((name, end))
    return ends, rejected


def _shaken(shell: Shell, end: Relaxed, settings: Sampling, level: Level, rng: np.random.Generator) -> Relaxed:
    return off_saddle(
        shell.atoms(end.positions_A), end, level, charge=shell.charge, multiplicity=shell.multiplicity,
        fmax_eV_A=settings.fmax_eV_A, max_steps=settings.max_steps, rng=rng,
        is_sound=lambda positions_A: broken_or_formed(shell, positions_A) is None,
    )  # fmt: skip


def _shoulders(
    shell: Shell,
    loose: Mapping[str, Relaxed],
    ends: Sequence[tuple[str, Relaxed]],
    settings: Sampling,
    level: Level,
) -> list[tuple[str, Relaxed, str]]:
    """Nearly stationary structures that slid into another basin when relaxed on, with a note that says so.

    A cheap surface may have no more than a shoulder where the judge has its lowest basin: GFN2-xTB has one at the
    tetrahedron of Li(EC)4+. They go before the judge, and nowhere else.
    """
    found = []
    for name, end in ends:
        before = loose[name]
        shapes = [fingerprint(shell.symbols, item.positions_A) for item in (before, end)]
        if before.converged and shape_distance_A(*shapes) > settings.same_rmsd_A:
            fall = before.energy_eV - end.energy_eV
            found.append((name, before, f"no minimum at {level}: relaxed on, it falls by {fall:.2f} eV"))
    return found


def _checked(
    shell: Shell,
    ends: Sequence[tuple[str, Relaxed, str]],
    level: Level,
    denticity: Mapping[str, int],
    settings: Sampling,
    searches: Mapping[str, tuple[int, ...]] | None = None,
) -> tuple[list[Structure], list[Rejected]]:
    """What stays the cluster that was asked for, and what does not; `searches` tells who found the starts, by name."""
    energies = np.array([end.energy_eV for _, end, _ in ends])
    prints = [fingerprint(shell.symbols, end.positions_A) for _, end, _ in ends]
    kept: list[Structure] = []
    rejected = []
    distinct = twins(energies, prints, same_shape_A=settings.same_rmsd_A, same_energy_eV=_SAME_ENERGY_EV)
    for index, others in distinct.items():
        name, end, note = ends[index]
        atoms = shell.atoms(end.positions_A)
        if (reason := fault(shell, end.positions_A, denticity)) is not None:
            rejected.append(Rejected(name, "check", reason, atoms, level, end.energy_eV))
            continue
        label = denticity_label(shell, end.positions_A)
        found_by = all_searches((searches or {}).get(ends[one][0], ()) for one in (index, *others))
        name = f"s{len(kept) + 1:02d}"
        kept.append(Structure(name, atoms, end.energy_eV, end.fmax_eV_A, level, label, note=note, searches=found_by))
    for index in sorted(index for others in distinct.values() for index in others):
        name, end, _ = ends[index]
        rejected.append(
            Rejected(name, "check", "the same as a lower one", shell.atoms(end.positions_A), level, end.energy_eV)
        )
    return kept, rejected
