"""Density functional theory by NWChem, a program on PATH: an independent check of the embedded engine, with MPI."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

from ase.units import Hartree

from solvation.engines.program import OUTPUT, Answer, Job, ProgramEngine, forces_from_gradient, numbers_after

INPUT = "in.nw"
_GRADIENT_ROW = re.compile(r"^ +\d+ +\w+(?: +-?\d+\.\d+){3}((?: +-?\d+\.\d+){3}) *$", re.MULTILINE)


class NWChemEngine(ProgramEngine):
    """NWChem without density fitting, on its fine grid, with COSMO as its continuum.

    References
    ----------
    Aprà et al., J. Chem. Phys. 152, 184102 (2020).
    COSMO: Klamt & Schüürmann, J. Chem. Soc. Perkin Trans. 2, 799 (1993).
    """

    name = "nwchem"
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

    def write(self, folder: Path, job: Job) -> list[str]:
        """Write the input, and return the arguments of the program."""
        (folder / INPUT).write_text(_input(job))
        return [INPUT]

    def read(self, folder: Path, job: Job) -> Answer:
        """Read energy, gradient and number of basis functions."""
        text = (folder / OUTPUT).read_text(errors="replace")
        energy = float(numbers_after(text, r"Total DFT energy\s*=", what="energy")[-1])
        n_basis = int(numbers_after(text, "AO basis - number of functions:", what="basis")[-1])
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
    solvent = ["cosmo", f"  dielec {level.permittivity:g}", "  do_gasphase false", "end"] if level.solvent_model else []
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
        *solvent,
        "dft",
        f"  xc {NWChemEngine.functionals[level.method]}",
        f"  mult {job.multiplicity}",
        "  grid fine",
        "  convergence energy 1e-7",
        "  iterations 100",
        '  noprint "final vectors analysis"',
        "end",
        f"task dft {'gradient' if job.forces else 'energy'}",
    ]
    return "\n".join(lines) + "\n"
