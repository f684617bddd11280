"""Density functional theory by Psi4, a program on PATH: run on an input of its own language, never imported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

from ase.units import Hartree

from solvation.engines.program import Answer, Job, ProgramEngine, Unreadable, forces_from_gradient
from solvation.study import Level

INPUT, RESULT = "in.dat", "result.json"


class Psi4Engine(ProgramEngine):
    """Psi4 with density fitting as PySCF has it.

    References
    ----------
    Smith et al., J. Chem. Phys. 152, 184108 (2020).
    """

    name = "psi4"
    programs = ("psi4",)
    source = "'apt install psi4'"
    functionals: ClassVar[dict[str, str]] = {name: name for name in ("pbe", "revpbe", "blyp", "tpss", "pbe0", "b3lyp")}
    has_ghosts = True
    farewell = "*** Psi4 exiting successfully"
    unconverged = ("Could not converge",)
    trouble = r"^(?:[a-z]\w*(?:\.\w+)+|\w+Error|Fatal Error): (.+)$"

    def write(self, folder: Path, job: Job) -> list[str]:
        """Write the input, and return the arguments of the program."""
        (folder / INPUT).write_text(_input(job))
        return ["-n", str(job.threads), "-i", INPUT, "-o", "stdout"]

    def environment(self, folder: Path) -> dict[str, str]:
        """Its large files lie beside its input."""
        return {"PSI_SCRATCH": str(folder)}

    def read(self, folder: Path, job: Job) -> Answer:
        """Read what the input has written in full precision."""
        if not (folder / RESULT).is_file():
            raise Unreadable(f"it wrote no {RESULT}")
        found = json.loads((folder / RESULT).read_text())
        forces = forces_from_gradient(found["gradient"], len(job.atoms)) if job.forces else None
        return Answer(found["energy"] * Hartree, forces, found["n_basis"])


def _input(job: Job) -> str:
    level: Level = job.level
    atoms = [f"{f'Gh({symbol})' if ghost else symbol:6s}{place}" for symbol, ghost, place in job.lines]
    functional = Psi4Engine.functionals[level.method]
    if job.forces:
        compute = [
            f"slope, state = gradient('{functional}', return_wfn=True)",
            "gradient_Eh_Bohr = [[slope.get(i, j) for j in range(3)] for i in range(slope.rows())]",
        ]
    else:
        compute = [f"_, state = energy('{functional}', return_wfn=True)", "gradient_Eh_Bohr = None"]
    lines = [
        "import json",
        f"memory {job.memory_MB:.0f} mb",
        "molecule {",
        f"{job.charge} {job.multiplicity}",
        *atoms,
        "units angstrom",
        "symmetry c1",
        "no_com",
        "no_reorient",
        "}",
        "set {",
        f"  basis {level.basis}",
        "  puream true",
        "  scf_type df",
        f"  reference {'rks' if job.multiplicity == 1 else 'uks'}",
        "  e_convergence 1e-7",
        "  d_convergence 1e-6",
        "  maxiter 100",
        "}",
        *compute,
        f"with open('{RESULT}', 'w') as stream:",
        "    found = {'energy': state.energy(), 'gradient': gradient_Eh_Bohr, 'n_basis': state.basisset().nbf()}",
        "    json.dump(found, stream)",
    ]
    return "\n".join(lines) + "\n"
