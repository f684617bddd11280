"""Density functional theory by ORCA, which its users own: found on PATH, run on an input of ours."""

from __future__ import annotations

import re
import shutil
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

INPUT = "job.inp"
_GRADIENT_ROW = re.compile(r"^ +\d+ +\w+ +: +(-?\d+\.\d+) +(-?\d+\.\d+) +(-?\d+\.\d+) *$", re.MULTILINE)


class ORCAEngine(ProgramEngine):
    """ORCA 5 or later, with its resolution of the identity and C-PCM.

    References
    ----------
    Neese, WIREs Comput. Mol. Sci. 12, e1606 (2022).
    """

    name = "orca"
    programs = ("orca",)
    source = "get it from its authors and put its folder on PATH"
    functionals: ClassVar[dict[str, str]] = {
        "pbe": "PBE",
        "revpbe": "revPBE",
        "blyp": "BLYP",
        "tpss": "TPSS",
        "r2scan": "r2SCAN",
        "pbe0": "PBE0",
        # Its own B3LYP has the fifth formula of Vosko, Wilk and Nusair, the others the third.
        "b3lyp": "B3LYP/G",
    }
    has_ghosts = True
    farewell = "****ORCA TERMINATED NORMALLY****"
    unconverged = ("SCF NOT CONVERGED AFTER", "wavefunction IS NOT FULLY CONVERGED", "Wavefunction not fully converged")

    def missing(self) -> str | None:
        """Why it cannot run here; None when it can."""
        if (reason := super().missing()) is not None:
            return reason
        found = Path(shutil.which(self.program()[0]) or "").resolve()
        if not any(found.parent.glob("orca_2mkl*")):
            return f"{found} is not the quantum chemistry program (the GNOME screen reader?); {self.source}"
        return None

    def write(self, folder: Path, job: Job) -> list[str]:
        """Write the input, and return the arguments of the program."""
        (folder / INPUT).write_text(orca_input(job))
        return [INPUT]

    def read(self, folder: Path, job: Job) -> Answer:
        """Read energy, gradient and number of basis functions."""
        text = (folder / OUTPUT).read_text(errors="replace")
        energy = float(numbers_after(text, "FINAL SINGLE POINT ENERGY", what="energy")[-1])
        n_basis = int(numbers_after(text, r"Basis Dimension\s+Dim\s+\.+", what="basis")[-1])
        if not job.forces:
            return Answer(energy * Hartree, n_basis=n_basis)
        _, found, table = text.rpartition("CARTESIAN GRADIENT")
        if not found:
            raise Unreadable("its output tells no gradient")
        rows = _GRADIENT_ROW.findall(table)[: len(job.atoms)]
        return Answer(energy * Hartree, forces_from_gradient(rows, len(job.atoms)), n_basis)


def orca_input(job: Job) -> str:
    """The input of one calculation."""
    level = job.level
    words = [
        ORCAEngine.functionals[level.method],
        level.basis or "",
        "def2/J",
        "TightSCF",
        "DefGrid3",
        "NoUseSym",
        "NoPop",
    ]
    if job.multiplicity > 1:
        words.insert(0, "UKS")
    if job.forces:
        words.append("EnGrad")
    if level.solvent_model:
        words.append("CPCM")
    lines = [
        f"! {' '.join(words)}",
        f"%maxcore {job.memory_MB / job.threads * 0.75:.0f}",
        f"%pal nprocs {job.threads} end",
        *([f"%cpcm epsilon {level.permittivity:g} end"] if level.solvent_model else []),
        f"* xyz {job.charge} {job.multiplicity}",
        *(f"{symbol + ' :' * ghost:6s}{place}" for symbol, ghost, place in job.lines),
        "*",
    ]
    return "\n".join(lines) + "\n"
