"""Inputs of molecular dynamics by VASP, which runs it itself, out of the last frame of a classical box.

VASP wants the atoms of one element together, so that molecules do not stand as one piece. `topology.mol2` names them in
that order: of the formats that MDAnalysis reads it is the one whose residues need not be contiguous.

References
----------
Langevin dynamics at constant volume (MDALGO = 3): VASP wiki, "Langevin thermostat"; Allen & Tildesley, Computer
Simulation of Liquids (1991).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase.data import atomic_masses, chemical_symbols
from ase.units import fs
from numpy.typing import NDArray

from solvation.dynamics.langevin import State
from solvation.engines.program import Job
from solvation.engines.vasp import SETUPS, VALENCE, VASPEngine, method_lines, order_of, poscar, potentials, valences
from solvation.errors import StructureError, StudyError, in_short
from solvation.provenance import write_text
from solvation.study import Level


@dataclass(frozen=True, slots=True)
class VaspRun:
    """What VASP is asked for.

    Attributes
    ----------
    level
        Of the engine `vasp`.
    friction_1_ps
        Of the Langevin thermostat, of every element.
    """

    level: Level
    temperature_K: float
    length_ps: float
    timestep_fs: float
    friction_1_ps: float

    @property
    def steps(self) -> int:
        """Steps of the run."""
        return round(1000 * self.length_ps / self.timestep_fs)


@dataclass(frozen=True, slots=True, eq=False)
class NamedAtoms:
    """How a topology calls the atoms of a state, in its order."""

    names: Sequence[str]
    residues: Sequence[str]


def named_atoms(topology: Path) -> NamedAtoms:
    """Names of the atoms of a `topology.pdb`, and of the molecule of each.

    Raises
    ------
    StructureError
        It cannot be read.
    """
    import MDAnalysis as mda

    try:
        atoms = mda.Universe(str(topology)).atoms
    except (OSError, ValueError) as problem:
        raise StructureError(f"{topology}: cannot be read ({in_short(problem)}); run the study again") from problem
    return NamedAtoms([str(name) for name in atoms.names], [str(name) for name in atoms.resnames])


def write_inputs(state: State, named: NamedAtoms, run: VaspRun, folder: Path) -> list[str]:
    """Write POSCAR (with velocities), INCAR, KPOINTS, POTCAR or POTCAR.spec, and topology.mol2.

    Returns
    -------
    Names of the files. POTCAR.spec lists the data sets where VASP_PP_PATH does not lead to them.

    Raises
    ------
    StudyError
        The level is none of VASP's.
    StructureError
        The state is no periodic box, or an element's valence electrons are not known without its POTCAR.
    """
    if run.level.engine != "vasp" or (reason := VASPEngine().refuses(run.level)) is not None:
        said = f": {reason}" if run.level.engine == "vasp" else ", e.g. vasp:pbe-d3bj/pw400"
        raise StudyError(f"level '{run.level}': is none of VASP's{said}")
    if not state.cell_A.any():
        raise StructureError("VASP computes periodic boxes; a droplet has none")
    atoms = state.atoms()
    atoms.wrap()
    job = Job(run.level, atoms, state.charge, state.multiplicity, np.zeros(len(atoms), dtype=bool))
    kinds = sorted(set(atoms.get_chemical_symbols()))
    has_data = Path(os.environ.get("VASP_PP_PATH", ""), "potpaw_PBE").is_dir()
    data = potentials(kinds) if has_data else []
    known = valences(kinds, data) if has_data else VALENCE
    if unknown := [kind for kind in kinds if kind not in known]:
        raise StructureError(f"VASP_PP_PATH must lead to the POTCAR of {', '.join(unknown)}: its electrons are counted")
    electrons = sum(known[symbol] for symbol in atoms.get_chemical_symbols()) - state.charge
    sets = [SETUPS.get(kind, kind) for kind in kinds]
    texts = {
        "POSCAR": poscar(job) + _velocities(state, order_of(job)),
        "INCAR": _incar(job, run, electrons, dict(zip(kinds, sets, strict=True)), known),
        "KPOINTS": "Gamma\n0\nGamma\n1 1 1\n",
        "topology.mol2": _mol2(state, named, order_of(job)),
        **({"POTCAR": "".join(data)} if has_data else {"POTCAR.spec": "\n".join(sets) + "\n"}),
    }
    for name, text in texts.items():
        write_text(folder / name, text)
    return list(texts)


def _velocities(state: State, order: NDArray[np.intp]) -> str:
    """Block of POSCAR, Å/fs. A classical run may have raised the mass of H: its kinetic energy is kept."""
    real_u = np.asarray(atomic_masses)[state.numbers]
    velocities = state.momenta / np.sqrt(state.masses_u * real_u)[:, None] * fs
    row = "{:18.10f}{:18.10f}{:18.10f}"
    return "Cartesian\n" + "\n".join(row.format(*one) for one in velocities[order]) + "\n"


def _incar(job: Job, run: VaspRun, electrons: float, sets: Mapping[str, str], known: Mapping[str, float]) -> str:
    told = ", ".join(f"{name} {known[kind]:g}" for kind, name in sets.items())
    lines = [
        "SYSTEM = solvation", "PREC = Normal", *method_lines(job),
        "EDIFF = 1E-5", "NELMIN = 4", "NELM = 200", "ALGO = Fast", "ISMEAR = 0", "SIGMA = 0.05", "ISYM = 0",
        "LASPH = .TRUE.", "LREAL = Auto",
        f"NELECT = {electrons:g}  ! of {told}; charge {job.charge:+d}",
        "IBRION = 0", "MDALGO = 3", "ISIF = 2", f"NSW = {run.steps}", f"POTIM = {run.timestep_fs:g}",
        f"TEBEG = {run.temperature_K:g}", f"TEEND = {run.temperature_K:g}",
        f"LANGEVIN_GAMMA = {' '.join([f'{run.friction_1_ps:g}'] * len(sets))}",
        "LWAVE = .FALSE.", "LCHARG = .FALSE.",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _mol2(state: State, named: NamedAtoms, order: NDArray[np.intp]) -> str:
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    molecules = len(set(state.residues.tolist()))
    lines = ["@<TRIPOS>MOLECULE", "solvation", f"{len(order)} {len(state.bonds)} {molecules} 0 0", "SMALL"]
    lines += ["NO_CHARGES", "", "@<TRIPOS>ATOM"]
    for row, atom in enumerate(order.tolist(), start=1):
        x, y, z = state.positions_A[atom]
        symbol, residue = chemical_symbols[state.numbers[atom]], int(state.residues[atom]) + 1
        lines.append(
            f"{row} {named.names[atom]} {x:.4f} {y:.4f} {z:.4f} {symbol} {residue} {named.residues[atom]}"
        )  # fmt: skip
    lines.append("@<TRIPOS>BOND")
    for row, (one, other) in enumerate(state.bonds.tolist(), start=1):
        lines.append(f"{row} {place[one] + 1} {place[other] + 1} 1")
    return "\n".join(lines) + "\n"
