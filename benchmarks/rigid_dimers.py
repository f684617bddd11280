"""Published interaction energies of rigid ion-ligand dimers, beside ours at the same geometry.

    python benchmarks/rigid_dimers.py mp2/def2-tzvpp pbe0-d4/def2-tzvp gfn2

The geometries are typed in by their internal coordinates. Energies are of frozen parts, kcal/mol; levels that know
ghosts are corrected by counterpoise. With SOLVATION_CACHE set, what was computed before is found again.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.units import kcal, mol

from solvation.clusters.given_complex import read_complex
from solvation.energies.query import Wanted, bind_given
from solvation.engines import has_ghosts
from solvation.study import Level, Sampling

RIERA = "Riera et al., J. Chem. Phys. 147, 161715 (2017), two-body test set of the authors, coupled cluster"
CHB6 = "CHB6 of GMTKN55 (Goerigk et al., Phys. Chem. Chem. Phys. 19, 32184 (2017)), coupled cluster, basis set limit"


@dataclass(frozen=True, slots=True, eq=False)
class Dimer:
    """One ion and one rigid ligand.

    Attributes
    ----------
    published_kcal_mol
        Interaction energy, negative = bound.
    """

    name: str
    atoms: Atoms
    published_kcal_mol: float
    source: str


def water(ion: str, distance_A: float, r_OH_A: float, angle_deg: float) -> Atoms:
    """An ion on the twofold axis of water, on the side of its oxygen."""
    half = np.radians(angle_deg / 2)
    x, y = r_OH_A * np.cos(half), r_OH_A * np.sin(half)
    return Atoms(f"{ion}OH2", [[-distance_A, 0, 0], [0, 0, 0], [x, y, 0], [x, -y, 0]])


def benzene(ion: str, height_A: float, r_C_A: float, r_H_A: float) -> Atoms:
    """An ion on the sixfold axis of benzene; radii from the axis to C and to H."""
    turns = np.arange(6) * np.pi / 3
    ring = np.stack([np.cos(turns), np.sin(turns), 0 * turns], axis=1)
    return Atoms(f"{ion}C6H6", np.concatenate([[[0, 0, height_A]], r_C_A * ring, r_H_A * ring]))


DIMERS = (
    *(
        Dimer(f"Li+ · H2O, {r:.1f} Å", water("Li", r, 0.9716, 104.69), energy, RIERA)
        for r, energy in ((1.7, -33.605), (1.8, -34.848), (1.9, -34.535), (2.0, -33.313))
    ),
    Dimer("Li+ · H2O", water("Li", 1.8611, 0.9652, 105.03), -34.43, CHB6),
    Dimer("Na+ · H2O", water("Na", 2.2718, 0.9645, 104.15), -23.83, CHB6),
    Dimer("K+ · H2O", water("K", 2.6520, 0.9573, 103.71), -17.83, CHB6),
    Dimer("Li+ · benzene", benzene("Li", 1.9063, 1.4151, 2.5087), -39.09, CHB6),
    Dimer("Na+ · benzene", benzene("Na", 2.4606, 1.4133, 2.5072), -25.63, CHB6),
    Dimer("K+ · benzene", benzene("K", 2.8490, 1.4073, 2.4967), -19.90, CHB6),
)


def interaction_kcal_mol(atoms: Atoms, level: Level) -> float:
    """Energy of the ion in its frozen shell, with counterpoise where the engine knows ghosts; negative = bound."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dimer.xyz"
        atoms.write(path)
        given = read_complex(path)
    wanted = Wanted(counterpoise=has_ghosts(level))
    answer = bind_given(given, level, relaxed_at=None, sampling=Sampling(), seed=0, wanted=wanted)
    energy_eV = answer.binding.energy_eV("frozen_shell")
    if answer.counterpoise:
        energy_eV += answer.counterpoise.correction_eV
    return energy_eV / (kcal / mol)


def table(levels: Sequence[str]) -> list[str]:
    """Lines of a Markdown table, a row for each dimer, with the sources below."""
    lines = ["| dimer | published | " + " | ".join(levels) + " |", "|---" * (len(levels) + 2) + "|"]
    for dimer in DIMERS:
        cells = [f"{interaction_kcal_mol(dimer.atoms, Level.model_validate(text)):.2f}" for text in levels]
        lines.append(f"| {dimer.name} | {dimer.published_kcal_mol:.2f} | " + " | ".join(cells) + " |")
    return [*lines, "", f"With a distance: {RIERA}. Others: {CHB6}."]


if __name__ == "__main__":
    print("\n".join(table(sys.argv[1:] or ["pbe0-d4/def2-tzvp", "gfn2"])))
