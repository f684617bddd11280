"""Which shells there are: first shells by composition and denticity, and ions by the anions they meet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvation.uncertainty import standard_error, statistical_inefficiency

BARE = "bare"
#: Numbers below this are counted in an array of that length.
_DENSE = 2**20
#: Ions by the anions around them, from none in reach to clusters.
PAIRING = ("free", "SSIP", "CIP", "AGG")


@dataclass(frozen=True, slots=True)
class Population:
    """Share of the ions that have one kind of shell.

    Attributes
    ----------
    grouped
        `shell`: by composition and denticity; `anions`: by the anions in contact or in reach.
    shell
        `3 EC(1) + 1 TDA(2)`: three EC bound by one donor atom each and one TDA bound by two.
    population
        Mean over ions and frames; the populations of one grouping sum to 1.
    population_stderr
        With the correlation of frames; NaN where it never changed or the run holds fewer than five independent
        samples.
    """

    grouped: str
    shell: str
    population: float
    population_stderr: float
    n_frames: int
    statistical_inefficiency: float


class ShellCensus:
    """Counts shells frame by frame; keeps one number for each kind of shell that a frame holds."""

    def __init__(self, n_ions: int, species: Sequence[str], *, anions: bool) -> None:
        """Take the number of ions, the species of each molecule, and whether anions are told apart."""
        number = {name: place for place, name in enumerate(dict.fromkeys(species))}
        self._names = list(number)
        self._species = np.array([number[name] for name in species])
        self._n_ions = n_ions
        self._anions = anions
        self._known: dict[tuple[tuple[str, int, int], ...], int] = {}
        self._frames: list[NDArray[np.int32]] = []
        self._shells: list[NDArray[np.int32]] = []
        self._counts: list[NDArray[np.int32]] = []
        self._pairing: list[NDArray[np.int32]] = []
        self.n_frames = 0

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
        self.n_frames += n_frames

    def populations(self) -> list[Population]:
        """Populations with errors: shells with the most common first, then the four kinds of pairing."""
        found = []
        frames, shells, counts = (
            np.concatenate(parts) if parts else np.empty(0, np.int32)
            for parts in (self._frames, self._shells, self._counts)
        )
        order = np.argsort(shells, kind="stable")
        ends = np.searchsorted(shells[order], np.arange(len(self._known) + 1))
        for label, number in self._known.items():
            mine = order[ends[number] : ends[number + 1]]
            series = np.zeros(self.n_frames)
            series[frames[mine]] = counts[mine] / self._n_ions
            found.append(_population("shell", shell_label(label), series))
        found.sort(key=lambda item: (-item.population, item.shell))
        if self._anions:
            table = np.concatenate(self._pairing) / self._n_ions
            found += [_population("anions", name, table[:, place]) for place, name in enumerate(PAIRING)]
        return found

    def _count_shells(
        self, n_frames: int, shell: NDArray[np.int64], species: NDArray[np.int64], denticity: NDArray[np.int64]
    ) -> None:
        """Number the shells that are alike and count each one by frame; the arrays are one entry a bound molecule."""
        n_shells = n_frames * self._n_ions
        widest = int(denticity.max(initial=0)) + 1
        ligands, ligand = _distinct(species * widest + denticity)
        code = np.zeros(n_shells, dtype=np.int64)
        columns = []
        for place in range(len(ligands)):
            copies = np.bincount(shell[ligand == place], minlength=n_shells)
            columns.append(copies)
            most = int(copies.max()) + 1
            if int(code.max()) + 1 > _DENSE // most:
                code = np.unique(code, return_inverse=True)[1].astype(np.int64)
            code = code * most + copies
        kinds_of_shell, alike = _distinct(code)
        first = np.empty(len(kinds_of_shell), dtype=np.int64)
        first[alike] = np.arange(n_shells)
        numbers = []
        for example in first:
            kinds = [
                (self._names[int(kind // widest)], int(kind % widest), int(copies[example]))
                for kind, copies in zip(ligands, columns, strict=True)
                if copies[example]
            ]
            numbers.append(self._known.setdefault(tuple(sorted(kinds)), len(self._known)))
        frame = np.repeat(np.arange(n_frames), self._n_ions)
        held, counts = np.unique(frame * len(numbers) + alike, return_counts=True)
        self._frames.append((held // len(numbers) + self.n_frames).astype(np.int32))
        self._shells.append(np.array(numbers, dtype=np.int32)[held % len(numbers)])
        self._counts.append(counts.astype(np.int32))

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


def _distinct(codes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Distinct values in order, and which of them each code is; small codes are counted, which spares the sorting."""
    if int(codes.max(initial=0)) > _DENSE:
        values, which = np.unique(codes, return_inverse=True)
        return values, which.astype(np.int64)
    occurs = np.bincount(codes) > 0
    return np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[codes]


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


def _population(grouped: str, shell: str, series: NDArray[np.float64]) -> Population:
    inefficiency = statistical_inefficiency(series) if np.ptp(series) > 0 else math.nan
    return Population(grouped, shell, float(series.mean()), standard_error(series), len(series), inefficiency)
