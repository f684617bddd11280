"""Starts that are worth relaxing at a search level: the diverse best of many shells that a force field has seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from solvation.clusters.checks import broken_or_formed, fell_apart
from solvation.clusters.placement import KCAL_MOL_EV, ForceField, Start, random_start
from solvation.clusters.relaxation import Relaxed
from solvation.clusters.shapes import diverse, fingerprint, unique
from solvation.clusters.shell import Shell
from solvation.clusters.variation import varied

_STRAIN_EV = 6.0


@dataclass(frozen=True, slots=True)
class Starts:
    """Where shells come from that go to the geometry level; `denticity` and `conformers` as of `random_start`."""

    shell: Shell
    field: ForceField
    rng: np.random.Generator
    denticity: Sequence[int | None]
    conformers: Sequence[Sequence[NDArray[np.float64]]]

    def random(self, *, fully: bool) -> Start:
        """Every ligand placed at random."""
        return random_start(self.shell, self.field, self.conformers, self.denticity, self.rng, fully=fully)

    def variation_of(self, parents: Sequence[Relaxed]) -> Callable[..., Start]:
        """One of these shells, any as often as another, with one of its ligands changed."""

        def vary(*, fully: bool) -> Start:
            parent = parents[int(self.rng.integers(len(parents)))].positions_A
            return varied(self.shell, self.field, parent, self.conformers, self.denticity, self.rng, fully=fully)

        return vary

    def diverse(self, make: Callable[..., Start], tried: int, count: int) -> list[tuple[str, NDArray[np.float64]]]:
        """Names and coordinates of the diverse best, both kinds in equal parts.

        Without minima of the force field all of them are only freed of clashes.
        """
        kinds: dict[str, list[Start]] = {"minimum": [], "soft": []}
        for number in range(tried):
            kind = "minimum" if number % 2 == 0 and self.field.has_minima else "soft"
            kinds[kind].append(make(fully=kind == "minimum"))
        chosen = []
        minima = _diverse_starts(self.shell, kinds["minimum"], count // 2)
        chosen += [(f"minimum{index}", kinds["minimum"][index].positions_A) for index in minima]
        soft = _diverse_starts(self.shell, kinds["soft"], count - len(chosen))
        chosen += [(f"soft{index}", kinds["soft"][index].positions_A) for index in soft]
        return chosen


def _diverse_starts(shell: Shell, starts: list[Start], count: int) -> list[int]:
    if not starts:
        return []
    energies = np.array([start.energy_kcal_mol for start in starts]) * KCAL_MOL_EV
    sound = [
        index
        for index, start in enumerate(starts)
        if energies[index] < energies.min() + _STRAIN_EV
        and broken_or_formed(shell, start.positions_A) is None
        and not fell_apart(shell, start.positions_A)
    ]
    prints = [fingerprint(shell.symbols, starts[index].positions_A) for index in sound]
    distinct = unique(energies[sound], prints, same_shape_A=0.15, same_energy_eV=0.02)
    picks = diverse(energies[sound][distinct], [prints[i] for i in distinct], count)
    return [sound[distinct[i]] for i in picks]
