"""Set the classical force field of the liquids beside the levels of finished studies, on what it was not fitted to.

snakemake --cores all --config study=config/models.yaml
snakemake --cores all --config study=config/default.yaml
python benchmarks/force_field_swaps.py results/models results/default

Clusters that hold one ligand beside EC are compared with the one that has EC in its place. All structures of a cluster
bound like its lowest one, its ligands as they lie in them, and the conformers of the free ligands are relaxed by
the force field in vacuum; the lowest of each counts.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import openmm
from ase import units
from numpy.typing import NDArray

import solvation
from solvation.clusters.ensembles import read_structures
from solvation.liquids.forcefield import Parameters, parametrise
from solvation.liquids.openmm_system import build_system
from solvation.liquids.packing import PackedSystem
from solvation.species import Molecule, build_molecule
from solvation.study import Level, Species

EC = "EC"
#: As `charges` and `charge_scale` of a liquid are by default.
POTENTIAL, CONFORMERS, CHARGE_SCALE, SEED = Level.model_validate("hf/6-31g*"), 3, 0.8, 2023
DEFINITIONS = {"relaxed": "", "relaxed_counterpoise": " CP"}


def relaxed_eV(
    molecules: Sequence[Molecule], place_A: NDArray[np.float64], parameters: Mapping[str, Parameters]
) -> float:
    """Energy at the nearest minimum of the force field; bonds to hydrogen keep their lengths."""
    whole = PackedSystem(tuple(molecules), place_A, None, None)
    needed = {molecule.name: parameters[molecule.name] for molecule in molecules}
    system = build_system(whole, needed, cutoff_A=10.0, charge_scale=CHARGE_SCALE)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(1e-3), platform)
    context.setPositions(place_A / 10)
    context.applyConstraints(1e-8)
    openmm.LocalEnergyMinimizer.minimize(context, 0.01, 20_000)
    energy = context.getState(getEnergy=True).getPotentialEnergy()
    return float(energy.value_in_unit(openmm.unit.kilojoule_per_mole) * units.kJ / units.mol)


def binding_eV(
    molecules: Sequence[Molecule],
    places_A: Sequence[NDArray[np.float64]],
    conformers: Mapping[str, Sequence[NDArray[np.float64]]],
    parameters: Mapping[str, Parameters],
) -> float:
    """Lowest energy of the complex less those of its molecules at their lowest, eV."""
    ends = np.cumsum([len(molecule.symbols) for molecule in molecules])[:-1]
    alone = {molecule.name: [*conformers.get(molecule.name, ())] for molecule in molecules}
    for place_A in places_A:
        for molecule, own_A in zip(molecules, np.split(place_A, ends), strict=True):
            alone[molecule.name].append(own_A)
    by_name = {molecule.name: molecule for molecule in molecules}
    free_eV = {
        name: min(relaxed_eV([by_name[name]], own_A, parameters) for own_A in places) for name, places in alone.items()
    }
    bound_eV = min(relaxed_eV(molecules, place_A, parameters) for place_A in places_A)
    return bound_eV - sum(free_eV[molecule.name] for molecule in molecules)


def main() -> None:
    for folder in map(Path, sys.argv[1:]):
        results = solvation.load_results(folder)
        made = {
            name: build_molecule(name, Species.model_validate(told))
            for name, told in results.provenance["study"]["species"].items()
        }
        conformers = {
            name: [one.atoms.positions for one in read_structures(path)]
            for name in made
            if (path := folder / "ligands" / f"{name}.extxyz").is_file()
        }
        forcefields = {
            label: {
                name: parametrise(one, level=POTENTIAL, conformers=CONFORMERS, seed=SEED, with_pairs=label == "fitted")
                for name, one in made.items()
            }
            for label in ("fitted", "published")
        }
        energy_eV: dict[tuple[str, ...], dict[str, float]] = {}
        for row in results.binding:
            counts = (part.rsplit(":", 1) for part in row.composition.split())
            names = tuple(name for name, count in counts for _ in range(int(count)))
            levels = energy_eV.setdefault(names, {})
            if row.energy_eV is not None and row.definition in DEFINITIONS:
                levels[row.level + DEFINITIONS[row.definition]] = row.energy_eV
            if "fitted" not in levels:
                same = (one for one in results.structures[row.cluster] if one.denticity == row.denticity)
                places_A = [one.atoms.positions for one in same]
                for label, parameters in forcefields.items():
                    levels[label] = binding_eV([made[name] for name in names], places_A, conformers, parameters)
        print(
            f"\n{folder}: binding energy less that of the cluster with {EC} instead, eV; positive = {EC} holds better"
        )
        for names, levels in energy_eV.items():
            others = [name for name in names[1:] if name != EC]
            with_EC = energy_eV.get((names[0], *[EC] * (len(names) - 1)))
            if len(others) == 1 and with_EC:
                print(" ".join(names))
                for level, value in levels.items():
                    if level in with_EC:
                        print(f"  {level:28s}{value - with_EC[level]:+8.3f}")


if __name__ == "__main__":
    main()
