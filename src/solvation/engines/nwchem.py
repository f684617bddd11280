"""Density functional theory by NWChem, a program on PATH: an independent check of the embedded engine, with MPI."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import ClassVar

import numpy as np
from ase.data import atomic_numbers, vdw_radii
from ase.units import Hartree

from solvation.engines.basis_sets import effective_cores
from solvation.engines.program import (
    OUTPUT,
    Answer,
    Job,
    ProgramEngine,
    Unreadable,
    forces_from_gradient,
    numbers_after,
)
from solvation.errors import EngineFailed

INPUT, RADII = "in.nw", "radii.txt"
#: Cavities as PySCF has them, Å: Bondi's radii with a smaller hydrogen, times 1.2.
HYDROGEN_A, SCALE = 1.1, 1.2
_GRADIENT_ROW = re.compile(r"^ +\d+ +\w+(?: +-?\d+\.\d+){3}((?: +-?\d+\.\d+){3}) *$", re.MULTILINE)


class NWChemEngine(ProgramEngine):
    """NWChem without density fitting, on its fine grid, with York and Karplus' C-PCM.

    References
    ----------
    Aprà et al., J. Chem. Phys. 152, 184102 (2020).
    C-PCM: York & Karplus, J. Phys. Chem. A 103, 11060 (1999).
    """

    name = "nwchem"
    analyses: tuple[str, ...] = ("shieldings",)
    programs = ("nwchem",)
    source = "'apt install nwchem'"
    functionals: ClassVar[dict[str, str]] = {
        "pbe": "xpbe96 cpbe96",
        "revpbe": "revpbe cpbe96",
        "blyp": "becke88 lyp",
        "tpss": "xtpss03 ctpss03",
        "pbe0": "pbe0",
        "b3lyp": "b3lyp",
    }
    has_ghosts = True
    farewell = "Total times  cpu:"
    unconverged = ("Calculation failed to converge",)
    trouble = r"^ (\S.*?) {2,}-?\d+ *\n -{60,}$"

    def write(self, folder: Path, job: Job) -> list[str]:
        """Write the input, and return the arguments of the program."""
        (folder / INPUT).write_text(_input(job))
        if job.level.solvent_model:
            (folder / RADII).write_text(_radii(sorted(set(job.atoms.get_chemical_symbols()))))
        return [INPUT]

    def read(self, folder: Path, job: Job) -> Answer:
        """Read energy, gradient or shieldings, and number of basis functions."""
        text = (folder / OUTPUT).read_text(errors="replace")
        energy = float(numbers_after(text, r"Total DFT energy\s*=", what="energy")[-1])
        n_basis = int(numbers_after(text, "AO basis - number of functions:", what="basis")[-1])
        if job.shieldings:
            told = np.array(numbers_after(text, r"isotropic =", what="shieldings"), dtype=float)
            if len(told) != len(job.atoms):
                raise Unreadable(f"its output has shieldings of {len(told)} atoms, not {len(job.atoms)}")
            return Answer(energy * Hartree, n_basis=n_basis, shieldings_ppm=told)
        if not job.forces:
            return Answer(energy * Hartree, n_basis=n_basis)
        rows = [row.split() for row in _GRADIENT_ROW.findall(text.rpartition("ENERGY GRADIENTS")[2])]
        return Answer(energy * Hartree, forces_from_gradient(rows, len(job.atoms)), n_basis)


def _input(job: Job) -> str:
    level = job.level
    atoms = [f"  {'bq' * ghost + symbol:6s}{place}" for symbol, ghost, place in job.lines]
    kinds = sorted({(ghost, symbol) for symbol, ghost, _ in job.lines})
    # A ghost is a centre without charge that is told whose functions it carries.
    basis = [f"  {'bq' * ghost + symbol} library {symbol} {level.basis}" for ghost, symbol in kinds]
    cores = effective_cores((symbol for ghost, symbol in kinds if not ghost), level.basis or "")
    if cores and not (level.basis or "").startswith("def2-"):
        raise EngineFailed(
            f"nwchem: the cores of {', '.join(cores)} are known for def2 basis sets only; take one of them"
        )
    solvent = []
    if level.solvent_model:
        solvent = ["cosmo", f"  dielec {level.permittivity:g}", f"  parameters {RADII}", "  do_gasphase false", "end"]
    lines = [
        "title solvation",
        "start job",
        f"memory total {job.memory_MB:.0f} mb",
        f"charge {job.charge}",
        "geometry units angstrom noautosym nocenter noautoz",
        *atoms,
        "end",
        # Its own default is Cartesian functions.
        "basis spherical noprint",
        *basis,
        "end",
        *(["ecp", *(f"  {symbol} library def2-ecp" for symbol in cores), "end"] if cores else []),
        *solvent,
        "dft",
        f"  xc {NWChemEngine.functionals[level.method]}",
        f"  mult {job.multiplicity}",
        "  grid fine",
        # A shielding is of first order in the error of the density, an energy of second.
        f"  convergence energy {'1e-9' if job.shieldings else '1e-7'}",
        "  iterations 100",
        '  noprint "final vectors analysis"',
        "end",
        *(["property", "  shielding", "end", "set cphf:thresh 1d-7"] if job.shieldings else []),
        f"task dft {'property' if job.shieldings else 'gradient' if job.forces else 'energy'}",
    ]
    return "\n".join(lines) + "\n"


def _radii(symbols: list[str]) -> str:
    radii = {symbol: float(vdw_radii[atomic_numbers[symbol]]) for symbol in symbols} | {"H": HYDROGEN_A}
    if unknown := [symbol for symbol in symbols if math.isnan(radii[symbol])]:
        raise EngineFailed(f"nwchem: no radius for the cavity of {', '.join(unknown)}; use the gas phase")
    return "".join(f"{symbol} {SCALE * radii[symbol]:.4f}\n" for symbol in symbols)
