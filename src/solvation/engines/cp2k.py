"""CP2K, a program on PATH: GFN1-xTB and PBE in Gaussians and plane waves, for molecules and periodic boxes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

import numpy as np
from ase.units import Hartree

from solvation.engines.program import OUTPUT, Answer, Job, ProgramEngine, forces_from_gradient, numbers_after
from solvation.study import Level

INPUT = "in.inp"
#: Plane waves of the density, and of a Gaussian of exponent one, Ry.
CUTOFF_RY, RELATIVE_CUTOFF_RY = 400, 50
#: Room around a molecule, Å: the density must have vanished at the faces of the cell.
ROOM_A = 5.0
_FORCE_ROW = re.compile(r"^ +\d+ +\d+ +[A-Z][a-z]?((?: +-?\d+\.\d+){3}) *$", re.MULTILINE)
_BASIS = re.compile(r"(sz|dzvp|tzvp|tzv2p)-molopt-(sr-)?gth")


class CP2KEngine(ProgramEngine):
    """CP2K's Quickstep: molecules without periodic images, boxes at the Gamma point.

    References
    ----------
    Kühne et al., J. Chem. Phys. 152, 194103 (2020).
    MOLOPT: VandeVondele & Hutter, J. Chem. Phys. 127, 114105 (2007).
    Wavelet Poisson solver: Genovese et al., J. Chem. Phys. 125, 074105 (2006).
    """

    name = "cp2k"
    programs = ("cp2k.psmp", "cp2k", "cp2k.popt", "cp2k.ssmp")
    source = "'apt install cp2k'"
    functionals: ClassVar[dict[str, str]] = {"gfn1": "XTB", "pbe": "PBE"}
    has_ghosts = True
    has_boxes = True
    lacks_dispersion = False
    farewell = "PROGRAM ENDED AT"
    unconverged = ("SCF run NOT converged",)
    trouble = r"\[ABORT\].*\n.*\\___/ +(.*?) *\*?$"

    def refuses(self, level: Level) -> str | None:
        """Why it cannot compute this level; None when it can."""
        if (reason := super().refuses(level)) is not None:
            return reason
        if level.basis and not _BASIS.fullmatch(level.basis):
            return f"CP2K takes MOLOPT basis sets, e.g. '{level.method}/dzvp-molopt-sr-gth', not '{level.basis}'"
        if level.dispersion == "d4":
            return f"CP2K has no D4 here; write 'cp2k:{level.method}-d3bj/{level.basis}'"
        return None

    def write(self, folder: Path, job: Job) -> list[str]:
        """Write the input, and return the arguments of the program."""
        (folder / INPUT).write_text(_input(job))
        return ["-i", INPUT]

    def read(self, folder: Path, job: Job) -> Answer:
        """Read energy, forces and number of basis functions."""
        text = (folder / OUTPUT).read_text(errors="replace")
        energy = float(numbers_after(text, r"ENERGY\| Total FORCE_EVAL \( QS \) energy \[a\.u\.\]:", what="energy")[-1])
        n_basis = int(numbers_after(text, "Number of orbital functions:", what="basis")[-1])
        if not job.forces:
            return Answer(energy * Hartree, n_basis=n_basis)
        rows = [row.split() for row in _FORCE_ROW.findall(text.rpartition("ATOMIC FORCES in [a.u.]")[2])]
        # It prints forces, not their negative.
        return Answer(energy * Hartree, -forces_from_gradient(rows, len(job.atoms)), n_basis)


def _input(job: Job) -> str:
    lines = [
        "&GLOBAL", "  PROJECT job", f"  RUN_TYPE {'ENERGY_FORCE' if job.forces else 'ENERGY'}", "  PRINT_LEVEL MEDIUM",
        "&END GLOBAL",
        "&FORCE_EVAL", "  METHOD QUICKSTEP",
        "  &PRINT", "    &FORCES ON", "    &END FORCES", "  &END PRINT",
        "  &DFT", f"    CHARGE {job.charge}", f"    MULTIPLICITY {job.multiplicity}",
        *(["    UKS T"] if job.multiplicity > 1 else []),
        *(_tight_binding(job) if job.level.is_tight_binding else _functional(job)),
        "  &END DFT",
        "  &SUBSYS", *_cell(job),
        "    &COORD",
        *(f"      {symbol + '_ghost' * ghost:10s}{place}" for symbol, ghost, place in job.lines),
        "    &END COORD", *_kinds(job),
        "  &END SUBSYS",
        "&END FORCE_EVAL",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _tight_binding(job: Job) -> list[str]:
    return [
        "    &QS", "      METHOD XTB", "      EPS_DEFAULT 1e-12",
        "      &XTB", f"        DO_EWALD {'T' if job.atoms.pbc.any() else 'F'}",
        # It calls the charges of a bare ion unreasonable.
        "        CHECK_ATOMIC_CHARGES F", "      &END XTB",
        "    &END QS",
        *(_poisson(job, isolated="MT")),
        "    &SCF", "      EPS_SCF 1e-7", "      MAX_SCF 200", "      SCF_GUESS MOPAC", "    &END SCF",
    ]  # fmt: skip


def _functional(job: Job) -> list[str]:
    dispersion = [
        "      &VDW_POTENTIAL", "        POTENTIAL_TYPE PAIR_POTENTIAL", "        &PAIR_POTENTIAL",
        "          TYPE DFTD3(BJ)", "          PARAMETER_FILE_NAME dftd3.dat", "          REFERENCE_FUNCTIONAL PBE",
        "          R_CUTOFF 25", "        &END PAIR_POTENTIAL", "      &END VDW_POTENTIAL",
    ]  # fmt: skip
    return [
        "    BASIS_SET_FILE_NAME BASIS_MOLOPT", "    POTENTIAL_FILE_NAME GTH_POTENTIALS",
        "    &QS", "      METHOD GPW", "      EPS_DEFAULT 1e-10", "    &END QS",
        "    &MGRID", f"      CUTOFF {CUTOFF_RY}", f"      REL_CUTOFF {RELATIVE_CUTOFF_RY}", "    &END MGRID",
        *_poisson(job, isolated="WAVELET"),
        # Diagonalisation converges bare ions and molecules in fewer steps than orbital transformation.
        "    &SCF", "      EPS_SCF 1e-6", "      MAX_SCF 150", "      SCF_GUESS ATOMIC",
        "      &MIXING", "        METHOD BROYDEN_MIXING", "        ALPHA 0.4", "      &END MIXING",
        "    &END SCF",
        "    &XC", "      &XC_FUNCTIONAL PBE", "      &END XC_FUNCTIONAL",
        *(dispersion if job.level.dispersion else []), "    &END XC",
    ]  # fmt: skip


def _poisson(job: Job, *, isolated: str) -> list[str]:
    periodic, solver = ("XYZ", "PERIODIC") if job.atoms.pbc.any() else ("NONE", isolated)
    return ["    &POISSON", f"      PERIODIC {periodic}", f"      POISSON_SOLVER {solver}", "    &END POISSON"]


def _cell(job: Job) -> list[str]:
    if job.atoms.pbc.any():
        rows = [
            f"      {name}" + "{:16.10f}{:16.10f}{:16.10f}".format(*row)
            for name, row in zip("ABC", job.atoms.cell.array, strict=True)
        ]
        return ["    &CELL", *rows, "      PERIODIC XYZ", "    &END CELL"]
    edge = float(np.ptp(job.atoms.positions, axis=0).max()) + 2 * ROOM_A
    return [
        "    &CELL", f"      ABC {edge:.6f} {edge:.6f} {edge:.6f}", "      PERIODIC NONE", "    &END CELL",
        "    &TOPOLOGY", "      &CENTER_COORDINATES", "      &END CENTER_COORDINATES", "    &END TOPOLOGY",
    ]  # fmt: skip


def _kinds(job: Job) -> list[str]:
    if job.level.is_tight_binding:
        return []
    lines = []
    for ghost, symbol in sorted({(ghost, symbol) for symbol, ghost, _ in job.lines}):
        kind = ["GHOST T"] if ghost else ["POTENTIAL GTH-PBE"]
        kind = [f"ELEMENT {symbol}", f"BASIS_SET {(job.level.basis or '').upper()}", *kind]
        lines += [f"    &KIND {symbol + '_ghost' * ghost}", *(f"      {item}" for item in kind), "    &END KIND"]
    return lines
