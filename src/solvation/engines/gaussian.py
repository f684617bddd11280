"""Density functional theory by Gaussian, which its users own: found on PATH, run on an input of ours."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

from ase.units import Hartree

from solvation.engines.program import (
    OUTPUT,
    Answer,
    Job,
    ProgramEngine,
    Unreadable,
    forces_from_gradient,
    numbers_after,
)

INPUT = "job.com"
_FORCE_ROW = re.compile(r"^ +\d+ +\d+ +(-?\d+\.\d+) +(-?\d+\.\d+) +(-?\d+\.\d+) *$", re.MULTILINE)


class GaussianEngine(ProgramEngine):
    """Gaussian 09 or 16, without density fitting, with C-PCM and IEF-PCM.

    References
    ----------
    Frisch et al., Gaussian 16, Gaussian, Inc., Wallingford CT (2016).
    """

    name = "gaussian"
    programs = ("g16", "g09")
    source = "get it from Gaussian, Inc., and source its profile"
    functionals: ClassVar[dict[str, str]] = {
        "pbe": "PBEPBE",
        "blyp": "BLYP",
        "tpss": "TPSSTPSS",
        "pbe0": "PBE1PBE",
        "b3lyp": "B3LYP",
    }
    has_ghosts = True
    # Given as an argument, it would choose the name of its log itself.
    standard_input = INPUT
    farewell = "Normal termination of Gaussian"
    # A first attempt that fails is followed by second-order SCF, so only the last word counts.
    trouble = r".*\n Error termination.*"
    unconverged = ("Convergence failure -- run terminated",)

    def write(self, folder: Path, job: Job) -> list[str]:
        """Write the input, and return the arguments of the program."""
        (folder / INPUT).write_text(gaussian_input(job))
        return []

    def environment(self, folder: Path) -> dict[str, str]:
        """Its large files lie beside its input."""
        return {"GAUSS_SCRDIR": str(folder)}

    def read(self, folder: Path, job: Job) -> Answer:
        """Read energy, forces and number of basis functions."""
        text = (folder / OUTPUT).read_text(errors="replace")
        energy = float(numbers_after(text, r"SCF Done:\s+E\(\w+\)\s*=", what="energy")[-1])
        if not (sizes := re.findall(r"^ *(\d+) basis functions,", text, re.MULTILINE)):
            raise Unreadable("its output tells no basis")
        if not job.forces:
            return Answer(energy * Hartree, n_basis=int(sizes[-1]))
        _, found, table = text.rpartition("Forces (Hartrees/Bohr)")
        if not found:
            raise Unreadable("its output tells no forces")
        rows = _FORCE_ROW.findall(table)[: len(job.atoms)]
        # It prints forces, not their negative.
        return Answer(energy * Hartree, -forces_from_gradient(rows, len(job.atoms)), int(sizes[-1]))


def gaussian_input(job: Job) -> str:
    """The input of one calculation."""
    level = job.level
    # It writes the def2 sets without their hyphen, and only those.
    basis = (level.basis or "").replace("def2-", "def2")
    method = f"{'U' if job.multiplicity > 1 else ''}{GaussianEngine.functionals[level.method]}/{basis}"
    words = [method, "5D", "7F", "Int=UltraFine", "SCF=(Tight,XQC)", "NoSymm"]
    if job.forces:
        words.append("Force")
    if level.solvent_model:
        words.append(f"SCRF=({level.solvent_model.upper()},Read)")
    lines = [
        f"%NProcShared={job.threads}",
        f"%Mem={job.memory_MB:.0f}MB",
        f"#P {' '.join(words)}",
        "",
        "solvation",
        "",
        f"{job.charge} {job.multiplicity}",
        *(f"{symbol + '-Bq' * ghost:6s}{place}" for symbol, ghost, place in job.lines),
        "",
        *([f"Eps={level.permittivity:g}", ""] if level.solvent_model else []),
    ]
    # It wants a blank line at the end.
    return "\n".join(lines) + "\n"
