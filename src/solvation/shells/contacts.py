"""Contacts of ions and donors, once it is known where the shells end: counts, shells and stays."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvation.shells.coordination import FirstShell
from solvation.shells.exchange import Residence, Stays, Transition, residence, stays_of, transitions, united
from solvation.shells.networks import NetworkCensus
from solvation.shells.pairs import PairChunk
from solvation.shells.speciation import ShellCensus
from solvation.shells.surroundings import Surroundings
from solvation.shells.turnover import Turnover
from solvation.uncertainty import FEWEST_SAMPLES

TOTAL = "total"


@dataclass(frozen=True, slots=True)
class Contacts:
    """What is within the shells of a run.

    Attributes
    ----------
    counts
        Donors per ion in each frame, (n_frames,), by kind (and `total`) and `atom` or `molecule`.
    census
        Shells by composition.
    network
        Bridges and clusters.
    stays
        Of every donor at every ion: key = ion * n_donors + donor.
    """

    counts: dict[tuple[str, str], NDArray[np.float64]]
    census: ShellCensus
    network: NetworkCensus
    stays: Stays


@dataclass(frozen=True, slots=True)
class KindResidence:
    """Residence time of one donor kind, counted one way.

    Attributes
    ----------
    measure
        `continuous`: a contact ends with the first frame without it; `intermittent`: breaks up to the tolerance are
        closed.
    """

    donor: str
    counted: str
    measure: str
    found: Residence


def contacts(
    chunks: Iterable[PairChunk],
    around: Surroundings,
    cutoff_A: NDArray[np.float64],
    anions: Sequence[str],
    *,
    periodic: bool = True,
) -> Contacts:
    """Count contacts frame by frame.

    Parameters
    ----------
    chunks
        Near pairs of the frames, in order.
    cutoff_A
        End of the first shell of each kind, (n_kinds,); a kind whose end is NaN counts nothing.
    anions
        Donor kinds that belong to anions.
    periodic
        Whether the frames have a box.
    """
    kinds = [*around.donors, TOTAL]
    n_ions, n_donors = len(around.ions), len(around.kind)
    anionic = np.isin(around.kind, [number for number, kind in enumerate(around.donors) if kind in anions])
    holders = _holders(around, cutoff_A)
    ligands = {name: number > 0 for name, number in holders.items()}
    census = ShellCensus(n_ions, around.species, anions=bool(anions), ligands=ligands)
    network = _network(around, holders, np.unique(around.owner[anionic]), periodic)
    # Ions that are donors themselves are no molecules that link others.
    links = ~np.isin(np.concatenate(list(around.donors.values())), around.ions)
    tables: list[NDArray[np.int64]] = []
    parts: list[Stays] = []
    for chunk in chunks:
        begin = census.n_frames
        shell, donor, image, table = _within_shells(
            chunk.lengths, chunk.ion, chunk.donor, chunk.distance_A, chunk.image, cutoff_A, around.kind, around.owner,
            n_ions, len(around.species),
        )  # fmt: skip
        tables.append(table)
        frame, ion = np.divmod(shell, n_ions)
        molecule = around.owner[donor]
        by = slice(None) if links.all() else links[donor]
        network.add(len(chunk.lengths), frame[by], ion[by], molecule[by], image[by])
        near_anion = _shells(chunk, n_ions)[anionic[chunk.donor]] if anions else np.empty(0, dtype=np.int64)
        census.add(len(chunk.lengths), frame, ion, molecule, anionic[donor], near_anion)
        found = stays_of(ion * n_donors + donor, frame, len(chunk.lengths))
        parts.append(Stays(found.key, found.start + begin, found.stop + begin))
    counted = np.concatenate(tables) / n_ions
    counts = {
        (kind, what): counted[:, number, place]
        for number, what in enumerate(("atom", "molecule"))
        for place, kind in enumerate(kinds)
    }
    return Contacts(counts, census, network, united(parts))


def residences(
    stays: Stays,
    around: Surroundings,
    shells: Mapping[str, FirstShell],
    n_frames: int,
    frame_ps: float,
    gap: int,
    rng: np.random.Generator,
) -> list[KindResidence]:
    """Residence by donor kind: of each donor atom, of each molecule through this kind, and through any kind.

    Parameters
    ----------
    stays
        As in `Contacts`.
    gap
        Breaks of so many frames are closed for the intermittent times.
    rng
        Draws the bootstrap, the same for all rows: equal contacts have equal errors.
    """
    seed = int(rng.integers(2**63))
    n_donors, n_molecules = len(around.kind), len(around.species)
    _, donor, molecules = _by_molecule(stays, around)
    rows = []
    for number, kind in enumerate((*around.donors, TOTAL)):
        mine = np.flatnonzero(around.kind[donor] == number) if kind != TOTAL else np.arange(len(donor))
        ways = [("atom", stays, n_donors), ("molecule", molecules, n_molecules)]
        for counted, of, per_ion in ways if kind != TOTAL else ways[1:]:
            part = Stays(of.key[mine], of.start[mine], of.stop[mine])
            for measure, breaks in (("continuous", 0), ("intermittent", gap)):
                if kind != TOTAL and math.isnan(shells[kind].cutoff_A):
                    found = Residence(*(math.nan,) * 4, 0, 0, shells[kind].note)
                elif measure == "intermittent" and math.isnan(frame_ps):
                    verdict = "the time between frames is not known, so no tolerance can be kept; give it (timestep_ps)"
                    found = Residence(*(math.nan,) * 4, 0, 0, verdict)
                else:
                    closed = united([part], breaks)
                    found = residence(
                        closed, closed.key // per_ion, n_ions=len(around.ions), n_frames=n_frames, frame_ps=frame_ps,
                        gap=breaks, rng=np.random.default_rng(seed),
                    )  # fmt: skip
                rows.append(KindResidence(kind, counted, measure, found))
    return rows


def unmoved(stays: Stays, around: Surroundings, n_frames: int, gap: int) -> tuple[str, ...]:
    """Species that hold ions and none of whose molecules left its ion for longer than `gap` frames.

    How many of them an ion holds was then seen once, however many frames there are.
    """
    held = united([_by_molecule(stays, around)[2]], gap)
    ligand = held.key % len(around.species)
    left = {around.species[one] for one in np.unique(ligand[held.stop < n_frames - gap])}
    return tuple(dict.fromkeys(name for one in np.unique(ligand) if (name := around.species[one]) not in left))


def turnover(stays: Stays, around: Surroundings, n_frames: int, gap: int) -> Turnover:
    """Count who came and went, of contacts without visits and breaks of at most `gap` frames (and of single frames).

    Parameters
    ----------
    stays
        Of every donor at every ion: key = ion * n_donors + donor.
    """
    n_molecules, n_ions = len(around.species), len(around.ions)
    ion, donor, molecules = _by_molecule(stays, around)
    brief = max(gap, 1)
    held = united([molecules], brief)
    lasting = held.stop - held.start > brief
    came, left = held.start > brief, held.stop < n_frames - brief
    names = np.array(around.species)[held.key % n_molecules]
    moves = {
        str(name): int(np.sum((came.astype(int) + left)[lasting & (names == name)]))
        for name in dict.fromkeys(names[lasting].tolist())
    }
    averages: dict[tuple[str, str], NDArray[np.float64]] = {}
    for number, kind in enumerate((*around.donors, TOTAL)):
        mine = around.kind[donor] == number if kind != TOTAL else np.ones(len(donor), dtype=bool)
        part = united([Stays(molecules.key[mine], molecules.start[mine], molecules.stop[mine])])
        averages[kind, "molecule"] = _of_ions(part.key // n_molecules, part, n_ions, n_frames)
        atoms = Stays(stays.key[mine], stays.start[mine], stays.stop[mine])
        averages[kind, "atom"] = _of_ions(ion[mine], atoms, n_ions, n_frames)
    many = n_ions >= FEWEST_SAMPLES
    between = {
        key: float(np.std(values, ddof=1) / math.sqrt(n_ions)) if many else 0.0 for key, values in averages.items()
    }
    held_by_one = float(averages[TOTAL, "molecule"].mean()) if n_ions else 0.0
    return Turnover(moves, n_ions, held_by_one, between)


def _by_molecule(stays: Stays, around: Surroundings) -> tuple[NDArray[np.int64], NDArray[np.int64], Stays]:
    """Ion and donor of each stay, (n_stays,), and stays of molecules: key = ion * n_molecules + molecule."""
    ion, donor = np.divmod(stays.key, len(around.kind))
    return ion, donor, Stays(ion * len(around.species) + around.owner[donor], stays.start, stays.stop)


def _of_ions(ion: NDArray[np.int64], stays: Stays, n_ions: int, n_frames: int) -> NDArray[np.float64]:
    """What each ion holds on average, (n_ions,)."""
    frames = np.bincount(ion, weights=stays.stop - stays.start, minlength=n_ions)
    return np.asarray(frames / max(n_frames, 1))


def kind_transitions(stays: Stays, around: Surroundings, n_frames: int, frame_ps: float, gap: int) -> list[Transition]:
    """Exchange of molecules, each one seen through the kinds of donors that it binds with."""
    n_kinds, n_molecules = len(around.donors), len(around.species)
    _, donor, molecules = _by_molecule(stays, around)
    key = molecules.key * n_kinds + around.kind[donor]
    closed = united([Stays(key, stays.start, stays.stop)], gap)
    return transitions(
        closed,
        closed.key // (n_molecules * n_kinds),
        closed.key % n_kinds,
        list(around.donors),
        n_ions=len(around.ions),
        n_frames=n_frames,
        frame_ps=frame_ps,
        gap=gap,
    )


def _holders(around: Surroundings, cutoff_A: NDArray[np.float64]) -> dict[str, int]:
    """How many molecules of each species with donors could hold an ion: none where no kind of them has a cutoff."""
    counted = np.unique(around.owner[np.isfinite(cutoff_A)[around.kind]])
    number = Counter(around.species[molecule] for molecule in counted)
    return {name: number[name] for name in (around.species[molecule] for molecule in np.unique(around.owner))}


def _network(
    around: Surroundings, holders: Mapping[str, int], anions: NDArray[np.int64], periodic: bool
) -> NetworkCensus:
    """Census of bridges: which molecules could hold an ion, and which of them are anions, by their numbers."""
    is_anion = np.zeros(len(around.species), dtype=bool)
    is_anion[anions] = True
    return NetworkCensus(
        [around.species[molecule] for molecule in around.ion_owner],
        around.species,
        {name: number or math.nan for name, number in holders.items()},
        is_anion,
        periodic=periodic,
    )


def _shells(chunk: PairChunk, n_ions: int) -> NDArray[np.int64]:
    """Frame * n_ions + ion of each pair."""
    return np.repeat(np.arange(len(chunk.lengths)) * n_ions, chunk.lengths) + chunk.ion


@njit(cache=True)
def _within_shells(
    lengths: NDArray[np.int64],
    ion: NDArray[np.int32],
    donor: NDArray[np.int32],
    distance_A: NDArray[np.float32],
    image: NDArray[np.int8],
    cutoff_A: NDArray[np.float64],
    kind: NDArray[np.int64],
    owner: NDArray[np.int64],
    n_ions: int,
    n_molecules: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int8], NDArray[np.int64]]:
    """Contacts among pairs that are ordered by frame and ion.

    Returns
    -------
    tuple
        Shell (frame * n_ions + ion), donor and image of each contact, and counts, (n_frames, 2, n_kinds + 1): of atoms
        and of molecules, by kind and of all kinds together.
    """
    n_kinds = len(cutoff_A)
    shells, donors, images = np.empty(len(ion), np.int64), np.empty(len(ion), np.int64), np.empty_like(image)
    counts = np.zeros((len(lengths), 2, n_kinds + 1), np.int64)
    # In which shell a molecule was last met, and through which kind: one that is met twice counts once.
    met, met_through = np.full(n_molecules, -1, np.int64), np.full((n_molecules, n_kinds), -1, np.int64)
    found, pair = 0, 0
    for frame in range(len(lengths)):
        for _ in range(lengths[frame]):
            one, of = donor[pair], kind[donor[pair]]
            if distance_A[pair] < cutoff_A[of]:
                shell, molecule = frame * n_ions + ion[pair], owner[one]
                shells[found], donors[found] = shell, one
                for axis in range(3):
                    images[found, axis] = image[pair, axis]
                found += 1
                counts[frame, 0, of] += 1
                counts[frame, 0, n_kinds] += 1
                if met_through[molecule, of] != shell:
                    met_through[molecule, of] = shell
                    counts[frame, 1, of] += 1
                if met[molecule] != shell:
                    met[molecule] = shell
                    counts[frame, 1, n_kinds] += 1
            pair += 1
    return shells[:found], donors[:found], images[:found], counts
