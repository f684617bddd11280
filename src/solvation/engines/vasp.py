"""Density functional theory in plane waves by VASP, which its users own: periodic boxes only."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import ClassVar
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from solvation.engines.program import Answer, Job, ProgramEngine, Unreadable
from solvation.errors import EngineFailed
from solvation.study import Level

#: The 1s of lithium is in the valence, as it is for the other engines; everything else is VASP's plain data set.
SETUPS = {"Li": "Li_sv", "Na": "Na_pv", "K": "K_sv"}
#: Valence electrons of those and of the plain data sets of potpaw_PBE, for inputs that are prepared without them.
VALENCE = {
    "H": 1.0, "B": 3.0, "C": 4.0, "N": 5.0, "O": 6.0, "F": 7.0, "Si": 4.0, "P": 5.0, "S": 6.0, "Cl": 7.0,
    "Li": 3.0, "Na": 7.0, "K": 9.0,
}  # fmt: skip
RESULT = "vasprun.xml"
_CUTOFF = re.compile(r"pw(\d+)")


class VASPEngine(ProgramEngine):
    """VASP at the Gamma point; a charged box has a uniform background, so compare equal boxes only.

    References
    ----------
    Kresse & Furthmüller, Phys. Rev. B 54, 11169 (1996).
    """

    name = "vasp"
    programs = ("vasp_std", "vasp_gam", "vasp")
    source = "get it from its authors"
    functionals: ClassVar[dict[str, str]] = {"pbe": "PE", "revpbe": "RE"}
    has_boxes = True
    has_molecules = False
    lacks_dispersion = False
    report = "OUTCAR"
    farewell = "General timing and accounting"

    def missing(self) -> str | None:
        """Why it cannot run here; None when it can."""
        if (reason := super().missing()) is not None:
            return reason
        if not Path(os.environ.get("VASP_PP_PATH", ""), "potpaw_PBE").is_dir():
            return "VASP_PP_PATH must name the folder that holds VASP's potpaw_PBE"
        return None

    def refuses(self, level: Level) -> str | None:
        """Why it cannot compute this level; None when it can."""
        if (reason := super().refuses(level)) is not None:
            return reason
        if not _CUTOFF.fullmatch(level.basis or ""):
            return f"VASP's basis is plane waves up to a number of eV, e.g. 'vasp:{level.method}/pw520'"
        return None

    def write(self, folder: Path, job: Job) -> list[str]:
        """Write the input, and return the arguments of the program."""
        kinds = sorted(set(job.atoms.get_chemical_symbols()))
        data = potentials(kinds)
        valence = valences(kinds, data)
        n_electrons = sum(valence[symbol] for symbol in job.atoms.get_chemical_symbols()) - job.charge
        (folder / "POTCAR").write_text("".join(data))
        (folder / "INCAR").write_text(incar(job, n_electrons))
        (folder / "KPOINTS").write_text("Gamma\n0\nGamma\n1 1 1\n")
        (folder / "POSCAR").write_text(poscar(job))
        return []

    def read(self, folder: Path, job: Job) -> Answer:
        """Read energy and forces."""
        energy, forces = read_vasprun(folder / RESULT)
        unsorted = np.empty_like(forces)
        unsorted[order_of(job)] = forces
        return Answer(energy, unsorted)


def incar(job: Job, n_electrons: float) -> str:
    """The settings of one calculation."""
    lines = [
        "SYSTEM = solvation", "PREC = Accurate", *method_lines(job), "EDIFF = 1E-6", "NELM = 200", "ALGO = Normal",
        "ISMEAR = 0", "SIGMA = 0.01", "ISYM = 0", "LASPH = .TRUE.", "LREAL = .FALSE.",
        "NSW = 0", "IBRION = -1", f"NELECT = {n_electrons:g}", "LWAVE = .FALSE.", "LCHARG = .FALSE.",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def method_lines(job: Job) -> list[str]:
    """Settings of the functional, its plane waves, dispersion and spin."""
    level = job.level
    cutoff = _CUTOFF.fullmatch(level.basis or "")
    return [
        f"GGA = {VASPEngine.functionals[level.method]}",
        f"ENCUT = {cutoff[1] if cutoff else ''}",
        *([f"IVDW = {12 if level.dispersion == 'd3bj' else 13}"] if level.dispersion else []),
        *(["ISPIN = 2", f"NUPDOWN = {job.multiplicity - 1}"] if job.multiplicity > 1 else ["ISPIN = 1"]),
    ]


def poscar(job: Job) -> str:
    """The cell and the atoms, those of one element together."""
    symbols = [job.atoms.get_chemical_symbols()[index] for index in order_of(job)]
    kinds = sorted(set(symbols))
    row = "{:18.12f}{:18.12f}{:18.12f}"
    lines = [
        "solvation",
        "1.0",
        *(row.format(*edge) for edge in job.atoms.cell.array),
        " ".join(kinds),
        " ".join(str(symbols.count(kind)) for kind in kinds),
        "Cartesian",
        *(row.format(*place) for place in job.atoms.positions[order_of(job)]),
    ]
    return "\n".join(lines) + "\n"


def potentials(kinds: list[str]) -> list[str]:
    """The projector-augmented-wave data sets of some elements, in their order.

    Raises
    ------
    EngineFailed
        One of them is not there.
    """
    found = []
    for kind in kinds:
        path = Path(os.environ.get("VASP_PP_PATH", ""), "potpaw_PBE", SETUPS.get(kind, kind), "POTCAR")
        if not path.is_file():
            raise EngineFailed(f"vasp: there is no {path}; it is part of VASP's potpaw_PBE, below VASP_PP_PATH")
        found.append(path.read_text(errors="replace"))
    return found


def read_vasprun(path: Path) -> tuple[float, NDArray[np.float64]]:
    """Energy in eV and forces in eV/Å of the last structure of a `vasprun.xml`.

    Raises
    ------
    Unreadable
        It breaks off, or its last density did not converge.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as problem:
        raise Unreadable(f"{path.name} breaks off or is missing: {problem}") from problem
    steps = root.findall("calculation")
    limit = root.find(".//parameters//i[@name='NELM']")
    # The free energy, of which the forces are the slope; the other energies leave out dispersion in some versions.
    energy = steps[-1].find("energy/i[@name='e_fr_energy']") if steps else None
    rows = steps[-1].findall("varray[@name='forces']/v") if steps else []
    if limit is None or energy is None or not rows:
        raise Unreadable(f"{path.name} tells no energy and forces")
    cycles = len(steps[-1].findall("scstep"))
    if cycles >= int(limit.text or 0):
        raise Unreadable(f"the density did not converge in {cycles} cycles")
    return float(energy.text or "nan"), np.array([(row.text or "").split() for row in rows], dtype=float)


def valences(kinds: list[str], data: list[str]) -> dict[str, float]:
    """Valence electrons of some elements, as their data sets (`potentials`) tell.

    Raises
    ------
    EngineFailed
        One of them tells none.
    """
    return {kind: float(_valence(text, kind)) for kind, text in zip(kinds, data, strict=True)}


def order_of(job: Job) -> NDArray[np.intp]:
    """Atoms as VASP has them, those of one element together: (n_atoms,), the place of each here."""
    return np.argsort(np.array(job.atoms.get_chemical_symbols()), kind="stable")


def _valence(text: str, kind: str) -> str:
    found = re.search(r"ZVAL\s*=\s*(\d+\.?\d*)", text)
    if found is None:
        raise EngineFailed(f"vasp: the POTCAR of {kind} tells no ZVAL; is it compressed?")
    return found[1]
