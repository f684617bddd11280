"""Which shells there are: first shells by composition and denticity, and ions by the anions they meet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvation.shells.tally import Tally, alike, distinct
from solvation.shells.turnover import Turnover, with_turnover
from solvation.uncertainty import average

BARE = "bare"
#: Ions by the anions around them, from none in reach to clusters.
PAIRING = ("free", "SSIP", "CIP", "AGG")


@dataclass(frozen=True, slots=True)
class Population:
    """Share of the ions that have one kind of shell.

    Attributes
    ----------
    grouped
        `shell`: by composition and denticity; `species`: by who is in them; `anions`: by the anions in contact or in
        reach.
    shell
        `3 EC(1) + 1 TDA(2)`: three EC bound by one donor atom each and one TDA bound by two. `TDA` of `species`: at
        least one TDA.
    population
        Mean over ions and frames. Those of `shell` and of `anions` sum to 1 each; those of `species` do not, and one
        that holds no ion is there with 0.
    population_stderr
        With the correlation of frames, and no less than the exchanges of species allow; NaN where it never changed, or
        the run holds fewer than ten independent samples or exchanges.
    """

    grouped: str
    shell: str
    population: float
    population_stderr: float
    n_frames: int
    statistical_inefficiency: float


class ShellCensus:
    """Counts shells frame by frame; keeps one number for each kind of shell that a frame holds."""

    def __init__(
        self, n_ions: int, species: Sequence[str], *, anions: bool, ligands: Mapping[str, bool] | None = None
    ) -> None:
        """Begin a census.

        Parameters
        ----------
        species
            Of each molecule.
        anions
            Whether anions are told apart.
        ligands
            Species that have donors, and whether any of them has a cutoff: without one their share is not known.
        """
        number = {name: place for place, name in enumerate(dict.fromkeys(species))}
        self._names = list(number)
        self._species = np.array([number[name] for name in species])
        self._n_ions = n_ions
        self._anions = anions
        self._ligands = dict(ligands or {})
        self._shells: Tally[tuple[tuple[str, int, int], ...]] = Tally()
        self._holding: list[NDArray[np.int32]] = []
        self._pairing: list[NDArray[np.int32]] = []

    @property
    def n_frames(self) -> int:
        """Frames that were added."""
        return self._shells.n_frames

    def add(
        self,
        n_frames: int,
        frame: NDArray[np.int64],
        ion: NDArray[np.int64],
        molecule: NDArray[np.int64],
        of_anion: NDArray[np.bool_],
        near_anion: NDArray[np.int64],
    ) -> None:
        """Count the next frames.

        Parameters
        ----------
        frame, ion, molecule
            Contact of an ion with one donor atom of a molecule, (n_contacts,) each; those of one ion in one frame
            follow one another.
        of_anion
            Whether that atom belongs to an anion, (n_contacts,).
        near_anion
            frame * n_ions + ion of every pair of an ion and an anion's donor in reach, contact or not.
        """
        shell = frame * self._n_ions + ion
        held, bound, denticity = _bound(shell, molecule, len(self._species))
        self._count_shells(n_frames, held, self._species[bound], denticity)
        if self._anions:
            self._count_pairs(n_frames, shell[of_anion], molecule[of_anion], near_anion)

    def populations(self, exchanged: Turnover | None = None) -> list[Population]:
        """Populations with errors: shells with the most common first, species, then the four kinds of pairing.

        Parameters
        ----------
        exchanged
            How often molecules came and went, which bounds the errors from below.
        """
        of_all = exchanged.samples_of_all if exchanged else math.inf
        found = [
            _population("shell", shell_label(label), count / self._n_ions, of_all)
            for label, count in self._shells.series()
        ]
        found.sort(key=lambda item: (-item.population, item.shell))
        shares = np.concatenate(self._holding) / self._n_ions if self._holding else np.empty((0, len(self._names)))
        for name, is_counted in self._ligands.items():
            share = shares[:, self._names.index(name)]
            known = share if is_counted else np.full_like(share, np.nan)
            found.append(_population("species", name, known, exchanged.samples([name]) if exchanged else math.inf))
        if self._anions:
            table = np.concatenate(self._pairing) / self._n_ions
            found += [_population("anions", name, table[:, place], of_all) for place, name in enumerate(PAIRING)]
        return found

    def _count_shells(
        self, n_frames: int, shell: NDArray[np.int64], species: NDArray[np.int64], denticity: NDArray[np.int64]
    ) -> None:
        """Number the shells that are alike and count each one by frame; the arrays are one entry a bound molecule."""
        n_shells = n_frames * self._n_ions
        widest = int(denticity.max(initial=0)) + 1
        ligands, ligand = distinct(species * widest + denticity)
        columns = [np.bincount(shell[ligand == place], minlength=n_shells) for place in range(len(ligands))]
        examples, kind = alike(columns, n_shells)
        labels = [
            tuple(
                sorted(
                    (self._names[int(code // widest)], int(code % widest), int(copies[example]))
                    for code, copies in zip(ligands, columns, strict=True)
                    if copies[example]
                )
            )
            for example in examples
        ]
        self._shells.add(n_frames, labels, np.repeat(np.arange(n_frames), self._n_ions), kind)
        n_species = len(self._names)
        held = np.unique(shell * n_species + species)
        frame = held // n_species // self._n_ions
        counted = np.bincount(frame * n_species + held % n_species, minlength=n_frames * n_species)
        self._holding.append(counted.reshape(n_frames, -1).astype(np.int32))

    def _count_pairs(
        self, n_frames: int, shell: NDArray[np.int64], molecule: NDArray[np.int64], near: NDArray[np.int64]
    ) -> None:
        """Sort the ions of each frame into `PAIRING`."""
        n_molecules, n_shells = len(self._species), n_frames * self._n_ions
        met = np.unique(shell * n_molecules + molecule)
        shell, molecule = met // n_molecules, met % n_molecules
        # An anion that holds several ions makes each of them part of an aggregate.
        _, anion, ions = np.unique(
            shell // self._n_ions * n_molecules + molecule, return_inverse=True, return_counts=True
        )
        shared = np.bincount(shell, weights=ions[anion] > 1, minlength=n_shells) > 0
        anions = np.bincount(shell, minlength=n_shells)
        in_reach = np.bincount(near, minlength=n_shells) > 0
        kind = np.where(anions == 0, in_reach.astype(int), np.where((anions > 1) | shared, 3, 2))
        frame = np.repeat(np.arange(n_frames), self._n_ions)
        counted = np.bincount(frame * len(PAIRING) + kind, minlength=n_frames * len(PAIRING))
        self._pairing.append(counted.reshape(n_frames, -1).astype(np.int32))


@njit(cache=True)
def _bound(
    shell: NDArray[np.int64], molecule: NDArray[np.int64], n_molecules: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Shell, molecule and number of donor atoms of each bound molecule, from contacts that are ordered by shell."""
    shells, molecules = np.empty_like(shell), np.empty_like(molecule)
    denticity = np.zeros(len(shell), np.int64)
    last_shell, place = np.full(n_molecules, -1, np.int64), np.empty(n_molecules, np.int64)
    found = 0
    for contact in range(len(shell)):
        one = molecule[contact]
        if last_shell[one] != shell[contact]:
            last_shell[one], place[one] = shell[contact], found
            shells[found], molecules[found] = shell[contact], one
            found += 1
        denticity[place[one]] += 1
    return shells[:found], molecules[:found], denticity[:found]


def shell_label(ligands: Sequence[tuple[str, int, int]]) -> str:
    """`3 EC(1) + 1 TDA(2)` of (species, denticity, copies), the most copies first."""
    ordered = sorted(ligands, key=lambda item: (-item[2], item[0], item[1]))
    return " + ".join(f"{copies} {name}({denticity})" for name, denticity, copies in ordered) or BARE


def _population(grouped: str, shell: str, series: NDArray[np.float64], samples: float) -> Population:
    found = average(series)
    return Population(grouped, shell, *with_turnover(found, found.mean * (1 - found.mean), samples))
