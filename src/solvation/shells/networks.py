"""Ions that molecules hold together: bridges, clusters, and networks that span the box."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvation.shells.tally import Tally, alike, distinct
from solvation.uncertainty import average

LIGANDS, ANIONS = "ligands", "anions"


@dataclass(frozen=True, slots=True)
class Network:
    """One number about the bridges or clusters of a liquid.

    Attributes
    ----------
    linked_by
        Species of the molecules that link the ions; `ligands`: molecules of any kind, `anions`: any anions.
    quantity
        `holds`: share of the molecules that hold `n_ions` ions; `bridged`: share of the ions that share a molecule
        with another ion; `cluster`: share of the ions in clusters of this kind; `mean_ions` and `largest_ions`: of the
        clusters of a frame; `largest_share`: share of the ions in the largest; `spanning`: share of the frames in
        which the largest cluster is endless, through the periodic box.
    kind
        Composition of a cluster, `2 LI + 1 PF6`; empty where only its ions are counted.
    n_ions
        Ions that a molecule holds, or of a cluster; None for the other quantities.
    value, stderr
        Mean over the frames, and its error with their correlation; NaN where it never changed or the run holds fewer
        than ten independent samples.
    """

    linked_by: str
    quantity: str
    kind: str
    n_ions: int | None
    value: float
    stderr: float
    n_frames: int
    statistical_inefficiency: float


@dataclass(frozen=True, slots=True)
class Clusters:
    """Clusters of the ions and molecules of some frames; an ion that nothing holds is a cluster of its own.

    Attributes
    ----------
    of_ion
        Cluster of each ion, frame by frame, (n_frames * n_ions,); clusters are numbered by frame.
    endless
        Whether a way along its contacts leads from an ion to an image of this ion, (n_clusters,).
    frame, molecule, n_held, of_molecule
        Frame, number, count of the ions that it holds, and cluster, of each molecule that holds any, (n_holders,) each.
    holder
        Which of these holds by each contact, (n_contacts,).
    """

    of_ion: NDArray[np.int64]
    endless: NDArray[np.bool_]
    frame: NDArray[np.int64]
    molecule: NDArray[np.int64]
    n_held: NDArray[np.int64]
    of_molecule: NDArray[np.int64]
    holder: NDArray[np.int64]


def clusters(
    frame: NDArray[np.int64],
    ion: NDArray[np.int64],
    molecule: NDArray[np.int64],
    image: NDArray[np.int8],
    *,
    n_frames: int,
    n_ions: int,
    n_molecules: int,
) -> Clusters:
    """Connected components of the graph of ions and the molecules that hold them, in each of some frames.

    Parameters
    ----------
    frame, ion, molecule
        Of each contact, ordered by frame, then by ion, (n_contacts,).
    image
        Cell in which the molecule lies, counted from that of the ion, (n_contacts, 3). Where the ways to an atom do
        not all lead to the same cell, its cluster goes on through the box without end.
    """
    return Clusters(*_clusters(frame, ion, molecule, image, n_frames, n_ions, n_molecules))


class NetworkCensus:
    """Counts bridges and clusters frame by frame."""

    def __init__(
        self,
        ions: Sequence[str],
        species: Sequence[str],
        n_of: dict[str, float],
        anion: NDArray[np.bool_],
        *,
        periodic: bool,
    ) -> None:
        """Take who is there.

        Parameters
        ----------
        ions, species
            Names of the ions and of all molecules.
        n_of
            Molecules of each species that can hold an ion; NaN where it is not known when they do.
        anion
            Whether each molecule is an anion, (n_molecules,); without any there are no rows of anions.
        periodic
            Whether a cluster can be endless.
        """
        self._ions, self._n_of = list(ions), n_of
        self._names = list(dict.fromkeys((*ions, *species)))
        number = {name: place for place, name in enumerate(self._names)}
        self._ion_kind = np.array([number[name] for name in ions])
        self._kind = np.array([number[name] for name in species])
        self._anion = anion
        self._anions = [self._names[kind] for kind in np.unique(self._kind[anion])]
        self._periodic = periodic
        self._held: Tally[tuple[str, int]] = Tally()
        self._bridged: Tally[str] = Tally()
        self._clusters: dict[str, Tally[tuple[int, str]]] = {
            LIGANDS: Tally(),
            **({ANIONS: Tally()} if self._anions else {}),
        }
        self._frames: dict[str, list[NDArray[np.float64]]] = {linked_by: [] for linked_by in self._clusters}

    def add(
        self,
        n_frames: int,
        frame: NDArray[np.int64],
        ion: NDArray[np.int64],
        molecule: NDArray[np.int64],
        image: NDArray[np.int8],
    ) -> None:
        """Count the next frames, from contacts as `clusters` takes them."""
        sizes = {"n_frames": n_frames, "n_ions": len(self._ions), "n_molecules": len(self._kind)}
        found = clusters(frame, ion, molecule, image, **sizes)
        self._count_bridges(n_frames, frame, ion, found)
        self._count_clusters(LIGANDS, n_frames, found)
        if ANIONS in self._clusters:
            by = self._anion[molecule]
            self._count_clusters(ANIONS, n_frames, clusters(frame[by], ion[by], molecule[by], image[by], **sizes))

    def networks(self) -> list[Network]:
        """Bridges by species, then clusters, with errors; what was never seen has zero."""
        return [*self._holds(), *self._bridges(), *(row for by in self._clusters for row in self._rows(by))]

    def _count_bridges(self, n_frames: int, frame: NDArray[np.int64], ion: NDArray[np.int64], found: Clusters) -> None:
        table = np.zeros((n_frames, len(self._names), int(found.n_held.max(initial=0)) + 1), dtype=np.int64)
        _held(found.frame, self._kind, found.molecule, found.n_held, table)
        kinds = [(name, count) for name in self._names for count in range(table.shape[2])]
        seen, which = np.nonzero(table.reshape(n_frames, -1))
        self._held.add(n_frames, kinds, seen, which, table.reshape(n_frames, -1)[seen, which])
        # An ion that two molecules of one species bridge is bridged once.
        shared = np.flatnonzero((found.n_held > 1)[found.holder])
        shell, molecule = frame[shared] * len(self._ions) + ion[shared], found.molecule[found.holder[shared]]
        by = [*self._names, LIGANDS, ANIONS]
        anion = self._anion[molecule]
        link = [self._kind[molecule], np.full(len(shell), len(by) - 2), np.full(int(anion.sum()), len(by) - 1)]
        met, _ = distinct(np.concatenate((shell, shell, shell[anion])) * len(by) + np.concatenate(link))
        self._bridged.add(n_frames, by, met // len(by) // len(self._ions), met % len(by))

    def _count_clusters(self, linked_by: str, n_frames: int, found: Clusters) -> None:
        n_ions, n_clusters = len(self._ions), len(found.endless)
        size = np.bincount(found.of_ion, minlength=n_clusters)
        frame = np.empty(n_clusters, dtype=np.int64)
        frame[found.of_ion] = np.repeat(np.arange(n_frames), n_ions)
        if linked_by == ANIONS:
            member = np.concatenate((found.of_ion, found.of_molecule))
            kind = np.concatenate((np.tile(self._ion_kind, n_frames), self._kind[found.molecule]))
            columns = {
                self._names[number]: np.bincount(member[kind == number], minlength=n_clusters)
                for number in dict.fromkeys((*self._ion_kind.tolist(), *self._kind[self._anion].tolist()))
            }
        else:
            columns = {"": size}
        example, alike_to = alike(list(columns.values()), n_clusters)
        labels = [
            (int(size[one]), composition({name: int(column[one]) for name, column in columns.items() if name}))
            for one in example
        ]
        self._clusters[linked_by].add(n_frames, labels, frame, alike_to, size)
        first = np.searchsorted(frame, np.arange(n_frames))
        largest = np.maximum.reduceat(size, first)
        endless = np.maximum.reduceat(found.endless & (size == largest[frame]), first)
        number = np.bincount(frame, minlength=n_frames)
        self._frames[linked_by].append(np.stack((n_ions / number, largest, endless), axis=1))

    def _holds(self) -> list[Network]:
        series = dict(self._held.series())
        nothing = np.zeros(self._held.n_frames)
        rows = []
        for name, n_molecules in self._n_of.items():
            most = max([2, *(count for known, count in series if known == name and series[known, count].any())])
            held = [series.get((name, count), nothing) for count in range(1, most + 1)]
            held.insert(0, n_molecules - np.sum(held, axis=0))
            rows += [_row(name, "holds", "", count, one / n_molecules) for count, one in enumerate(held)]
        return rows

    def _bridges(self) -> list[Network]:
        series, nothing = dict(self._bridged.series()), np.zeros(self._bridged.n_frames)
        per_ion = {name: math.nan if math.isnan(number) else 1 / len(self._ions) for name, number in self._n_of.items()}
        per_ion |= dict.fromkeys(self._clusters, 1 / len(self._ions))
        return [_row(name, "bridged", "", None, series.get(name, nothing) * one) for name, one in per_ion.items()]

    def _rows(self, linked_by: str) -> list[Network]:
        tally, n_ions = self._clusters[linked_by], len(self._ions)
        series, nothing = dict(tally.series()), np.zeros(tally.n_frames)
        always = [(1, ""), (2, "")] if linked_by == LIGANDS else self._simplest()
        kinds = sorted({*series, *always}, key=lambda kind: (kind[0], len(kind[1]), kind[1]))
        rows = [
            _row(linked_by, "cluster", label, size, series.get((size, label), nothing) / n_ions)
            for size, label in kinds
            if size <= n_ions
        ]
        mean, largest, endless = np.concatenate(self._frames[linked_by]).T
        rows.append(_row(linked_by, "mean_ions", "", None, mean))
        rows.append(_row(linked_by, "largest_ions", "", None, largest))
        rows.append(_row(linked_by, "largest_share", "", None, largest / n_ions))
        if self._periodic:
            rows.append(_row(linked_by, "spanning", "", None, endless))
        return rows

    def _simplest(self) -> list[tuple[int, str]]:
        """Lone ions, pairs and triple ions of one kind of ion."""
        ions = list(dict.fromkeys(self._ions))
        parts = [(1, 0), (1, 1), (1, 2), (2, 1)]
        return [
            (own, composition({ion: own, anion: others})) for ion in ions for anion in self._anions
            for own, others in parts
        ]  # fmt: skip


def composition(members: dict[str, int]) -> str:
    """`2 LI + 1 PF6`, ions first."""
    return " + ".join(f"{count} {name}" for name, count in members.items() if count)


def _row(linked_by: str, quantity: str, kind: str, n_ions: int | None, series: NDArray[np.float64]) -> Network:
    return Network(linked_by, quantity, kind, n_ions, *average(series))


@njit(cache=True)
def _root(node: int, parent: NDArray[np.int64], place: NDArray[np.int64]) -> int:
    """Root of a node; `place` of what lies on the way becomes its cell counted from that of the root."""
    root = node
    while parent[root] != root:
        root = parent[root]
    if parent[node] == root:
        return root
    # Twice along the way: its places added up, then what is left of the sum for each node.
    x, y, z, one = 0, 0, 0, node
    while one != root:
        x, y, z, one = x + place[one, 0], y + place[one, 1], z + place[one, 2], parent[one]
    one = node
    while one != root:
        above, dx, dy, dz = parent[one], place[one, 0], place[one, 1], place[one, 2]
        parent[one] = root
        place[one, 0], place[one, 1], place[one, 2] = x, y, z
        x, y, z, one = x - dx, y - dy, z - dz, above
    return root


@njit(cache=True)
def _join(
    one: int,
    other: int,
    image: NDArray[np.int8],
    parent: NDArray[np.int64],
    place: NDArray[np.int64],
    loops: NDArray[np.bool_],
) -> None:
    """Put the clusters of two nodes together, the other of which lies `image` cells from the one."""
    first, second = _root(one, parent, place), _root(other, parent, place)
    same = True
    for axis in range(3):
        apart = place[one, axis] + image[axis] - place[other, axis]
        same &= apart == 0
        if first != second:
            place[second, axis] = apart
    if first != second:
        parent[second] = first
        loops[first] |= loops[second]
    elif not same:
        loops[first] = True


@njit(cache=True)
def _clusters(
    frame: NDArray[np.int64],
    ion: NDArray[np.int64],
    molecule: NDArray[np.int64],
    image: NDArray[np.int8],
    n_frames: int,
    n_ions: int,
    n_molecules: int,
) -> tuple[
    NDArray[np.int64], NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64],
    NDArray[np.int64], NDArray[np.int64],
]:  # fmt: skip
    """Union of sets that remembers where each member lies (Galler & Fischer, Commun. ACM 7, 301 (1964)).

    A molecule that holds one ion, in one cell, joins nothing and is left out of the sets.
    """
    n_contacts = len(frame)
    parent, place = np.empty(n_ions + n_molecules, np.int64), np.zeros((n_ions + n_molecules, 3), np.int64)
    loops, number_of = np.zeros(n_ions + n_molecules, np.bool_), np.empty(n_ions, np.int64)
    met, holder_of = np.full(n_molecules, -1, np.int64), np.empty(n_molecules, np.int64)
    of_ion, endless = np.empty(n_frames * n_ions, np.int64), np.zeros(n_frames * n_ions, np.bool_)
    holders, last, joins = (
        np.empty((4, n_contacts), np.int64),
        np.empty(n_contacts, np.int64),
        np.empty(n_contacts, np.bool_),
    )
    holder = np.empty(n_contacts, np.int64)
    contact, n_holders, n_clusters = 0, 0, 0
    for now in range(n_frames):
        first, first_holder = contact, n_holders
        while contact < n_contacts and frame[contact] == now:
            one = molecule[contact]
            if met[one] != now:
                met[one], holder_of[one] = now, n_holders
                holders[0, n_holders], holders[1, n_holders], holders[2, n_holders] = now, one, 1
                last[n_holders], joins[n_holders] = contact, False
                n_holders += 1
            at = holder_of[one]
            if ion[last[at]] != ion[contact]:
                holders[2, at] += 1
                joins[at] = True
            for axis in range(3):
                joins[at] |= image[last[at], axis] != image[contact, axis]
            holder[contact], last[at] = at, contact
            contact += 1
        for node in range(n_ions):
            parent[node], number_of[node], loops[node] = node, -1, False
            place[node] = 0
        for at in range(first_holder, n_holders):
            node = n_ions + holders[1, at]
            parent[node], loops[node] = node, False
            place[node] = 0
        for one in range(first, contact):
            if joins[holder[one]]:
                _join(ion[one], n_ions + molecule[one], image[one], parent, place, loops)
        for node in range(n_ions):
            root = _root(node, parent, place)
            if number_of[root] < 0:
                number_of[root], endless[n_clusters] = n_clusters, loops[root]
                n_clusters += 1
            of_ion[now * n_ions + node] = number_of[root]
        for at in range(first_holder, n_holders):
            holders[3, at] = of_ion[now * n_ions + ion[last[at]]]
    found = holders[:, :n_holders]
    return of_ion, endless[:n_clusters], found[0], found[1], found[2], found[3], holder


@njit(cache=True)
def _held(
    frame: NDArray[np.int64],
    kind: NDArray[np.int64],
    molecule: NDArray[np.int64],
    n_held: NDArray[np.int64],
    table: NDArray[np.int64],
) -> None:
    """Count holders into a table, (n_frames, n_kinds, most + 1)."""
    for holder in range(len(frame)):
        table[frame[holder], kind[molecule[holder]], n_held[holder]] += 1
