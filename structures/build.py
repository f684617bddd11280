"""Make the XYZ files of the library from the SMILES in library.yaml, and write their checksums into it.

    python structures/build.py            # everything
    python structures/build.py EC TDA     # some species

Conformers are embedded by ETKDGv3 from a fixed seed, relaxed by MMFF94 where it has parameters, and the lowest
few are relaxed by GFN2-xTB in internal coordinates; the lowest one stays. Where it is a saddle point by its
numerical Hessian it is pushed along the imaginary mode and relaxed again.
Atoms stand in the order of the SMILES, the hydrogens after them in the order of their heavy atoms.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from ase import Atoms, units
from geometric.ase_engine import EngineASE
from geometric.errors import GeomOptNotConvergedError
from geometric.molecule import Molecule
from geometric.optimize import run_optimizer
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers
from tblite.ase import TBLite

from solvation.provenance import sha256, write_text

FOLDER = Path(__file__).resolve().parent
SEED = 2023
N_EMBEDDED = 60
N_RELAXED = 4
#: Modes softer than this are methyl rotors and ring puckers within the noise of the numerical Hessian, 1/cm.
SOFTEST_IMAGINARY = -30.0


def candidates(graph: Any) -> list[NDArray[np.float64]]:
    """Embedded conformers, lowest MMFF94 energy first where it has parameters, Å."""
    parameters = rdDistGeom.ETKDGv3()
    parameters.randomSeed = SEED
    parameters.pruneRmsThresh = 0.1
    ids = list(rdDistGeom.EmbedMultipleConfs(graph, N_EMBEDDED, parameters))
    if not ids:
        raise SystemExit(f"error: RDKit cannot embed {Chem.MolToSmiles(graph)}")
    if rdForceFieldHelpers.MMFFHasAllMoleculeParams(graph):
        energies = [energy for _, energy in rdForceFieldHelpers.MMFFOptimizeMoleculeConfs(graph, maxIters=2000)]
        ids = [ids[i] for i in np.argsort(energies)]
    return [np.asarray(graph.GetConformer(i).GetPositions()) for i in ids[:N_RELAXED]]


def calculator(charge: int, multiplicity: int) -> TBLite:
    """GFN2-xTB, converged tightly enough for a Hessian by differences."""
    return TBLite(method="GFN2-xTB", charge=charge, multiplicity=multiplicity, accuracy=0.1, verbosity=0)


def relax(symbols: list[str], positions_A: NDArray[np.float64], engine: TBLite) -> tuple[float, NDArray[np.float64]]:
    """Relax in translation-rotation internal coordinates; energy in eV, coordinates in Å."""
    molecule = Molecule()
    molecule.elem = symbols
    molecule.xyzs = [positions_A]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "relax.inp"
        path.touch()
        try:
            steps = run_optimizer(
                customengine=EngineASE(molecule, engine), input=str(path), prefix=str(path.with_suffix("")),
                coordsys="tric", convergence_set="GAU_TIGHT", maxiter=400,
            )  # fmt: skip
        except GeomOptNotConvergedError:
            raise SystemExit("error: a relaxation did not converge in 400 steps; raise maxiter") from None
    return float(steps.qm_energies[-1]) * units.Hartree, np.asarray(steps.xyzs[-1])


def softest_mode(
    symbols: list[str], positions_A: NDArray[np.float64], engine: TBLite
) -> tuple[float, NDArray[np.float64]]:
    """Lowest vibrational wavenumber, 1/cm, negative when imaginary, and its direction, (n_atoms, 3).

    Overall motion is projected out.
    """
    atoms = Atoms(symbols, positions_A)
    atoms.calc = engine
    size, step_A = 3 * len(atoms), 0.005
    hessian = np.empty((size, size))
    for i in range(size):
        forces = []
        for sign in (1, -1):
            atoms.positions.flat[i] = positions_A.flat[i] + sign * step_A
            forces.append(atoms.get_forces().ravel())
        atoms.positions.flat[i] = positions_A.flat[i]
        hessian[i] = (forces[1] - forces[0]) / (2 * step_A)
    root = np.sqrt(np.repeat(atoms.get_masses(), 3))
    weighted = (hessian + hessian.T) / 2 / np.outer(root, root)
    centred = positions_A - atoms.get_center_of_mass()
    axes = np.eye(3)
    motions = [np.tile(axis, len(atoms)) for axis in axes]
    motions += [np.cross(axis, centred).ravel() for axis in axes]
    basis, values, _ = np.linalg.svd((np.array(motions) * root).T, full_matrices=True)
    internal = basis[:, int(np.sum(values > 1e-6 * values[0])) :]
    curvatures, modes = np.linalg.eigh(internal.T @ weighted @ internal)
    lowest = float(curvatures[0])
    per_cm = units.invcm / (units._hbar * np.sqrt(units._e / units._amu) * 1e10 / units._e)
    direction = (internal @ modes[:, 0] / root).reshape(-1, 3)
    return float(np.copysign(np.sqrt(abs(lowest)), lowest) / per_cm), direction / np.abs(direction).max()


def relax_to_minimum(
    name: str, symbols: list[str], start: tuple[float, NDArray[np.float64]], engine: TBLite
) -> tuple[float, NDArray[np.float64]]:
    """Step off a saddle point along its imaginary mode and relax again, until none is left."""
    energy_eV, positions_A = start
    for _ in range(4):
        wavenumber, mode = softest_mode(symbols, positions_A, engine)
        print(f"{name}: {energy_eV:.4f} eV, lowest mode {wavenumber:.0f} 1/cm", flush=True)
        if wavenumber > SOFTEST_IMAGINARY:
            return energy_eV, positions_A
        energy_eV, positions_A = relax(symbols, positions_A + 0.25 * mode, engine)
    raise SystemExit(f"error: {name}: still a saddle point after three steps off it")


def build(name: str, fields: dict[str, Any]) -> str:
    """Make one structure; returns the text of its XYZ file."""
    graph = Chem.AddHs(Chem.MolFromSmiles(fields["smiles"]))
    symbols = [atom.GetSymbol() for atom in graph.GetAtoms()]
    head = f'name="{name}" charge={fields["charge"]} multiplicity={fields["multiplicity"]}'
    if len(symbols) == 1:
        return f"1\n{head}\n{symbols[0]} 0.000000 0.000000 0.000000\n"
    engine = calculator(fields["charge"], fields["multiplicity"])
    relaxed = (relax(symbols, start_A, engine) for start_A in candidates(graph))
    lowest = min(relaxed, key=lambda item: item[0])
    energy_eV, positions_A = relax_to_minimum(name, symbols, lowest, engine)
    centred = positions_A - positions_A.mean(axis=0)
    lines = [f"{s} {x:.6f} {y:.6f} {z:.6f}" for s, (x, y, z) in zip(symbols, centred + 0.0, strict=True)]
    return f"{len(symbols)}\n{head} gfn2_energy_eV={energy_eV:.4f}\n" + "\n".join(lines) + "\n"


def main(names: list[str]) -> None:
    """Build the named species, or all of them."""
    path = FOLDER / "library.yaml"
    library = yaml.safe_load(path.read_text(encoding="utf-8"))
    if unknown := set(names) - set(library):
        raise SystemExit(f"error: {', '.join(sorted(unknown))}: not in {path.name}")
    for name in names or library:
        target = FOLDER / library[name]["file"]
        write_text(target, build(name, library[name]))
        text = path.read_text(encoding="utf-8")
        entry = rf"(  file: {re.escape(target.name)}\n  sha256: )\S*"
        write_text(path, re.sub(entry, rf'\g<1>"{sha256(target)}"', text))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    logging.disable(logging.WARNING)
    main(sys.argv[1:])
