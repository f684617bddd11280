"""Programs that run as a process of their own: one input, one output, one energy."""

from __future__ import annotations

import math
import os
import re
import shlex
import shutil
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.units import Bohr, Hartree
from numpy.typing import NDArray

from solvation import children
from solvation.engines import dispersion
from solvation.engines.base import own_threads, share_MB
from solvation.errors import EngineFailed, EngineMissing
from solvation.study import Level

#: What the program prints, in its scratch folder.
OUTPUT = "output.txt"
_NOISE = re.compile(r"MPI_ABORT|[Oo]pen MPI")
#: A program that came no farther says nothing of a structure or a level: its helper was killed, or MPI is not in order.
_NEVER_BEGAN = re.compile(r"MPI_INIT failed|error occurred in MPI_Init")
_TROUBLE = re.compile(
    r"error|abort|fail|fatal|not converge|exception|invalid|unknown|unrecognized|illegal", re.IGNORECASE
)


class Unreadable(Exception):
    """The output lacks what was asked for; becomes an `EngineFailed` that names the file."""


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """What one run of a program computes.

    Attributes
    ----------
    ghost
        Atoms that keep their basis functions and nothing else, (n_atoms,).
    forces
        Whether forces are asked for as well.
    shieldings
        Whether the shieldings of the nuclei are asked for, and no forces.
    """

    level: Level
    atoms: Atoms
    charge: int
    multiplicity: int
    ghost: NDArray[np.bool_]
    forces: bool = False
    shieldings: bool = False
    threads: int = 1
    memory_MB: float = 2000.0

    @property
    def lines(self) -> list[tuple[str, bool, str]]:
        """Symbol, whether it is a ghost, and coordinates in Å of each atom."""
        rows = zip(self.atoms.get_chemical_symbols(), self.ghost, self.atoms.positions, strict=True)
        return [(symbol, bool(ghost), "{:16.10f}{:16.10f}{:16.10f}".format(*place)) for symbol, ghost, place in rows]


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What one run of a program gave.

    Attributes
    ----------
    energy_eV
        Total energy.
    forces_eV_A
        (n_atoms, 3); None when not asked for.
    n_basis
        Basis functions, ghosts included.
    shieldings_ppm
        Isotropic, (n_atoms,); None when not asked for.
    """

    energy_eV: float
    forces_eV_A: NDArray[np.float64] | None = None
    n_basis: int = 0
    shieldings_ppm: NDArray[np.float64] | None = None


class ProgramEngine(ABC):
    """A program on PATH, or the command that `SOLVATION_<NAME>` holds, e.g. `mpirun -np 4 nwchem`."""

    name: str
    #: What it may be called on PATH; the first that is found is run.
    programs: tuple[str, ...]
    #: How to get it.
    source: str
    #: Density functionals by their names here, and what the program calls them.
    functionals: ClassVar[dict[str, str]]
    has_ghosts = False
    has_boxes = False
    has_molecules = True
    analyses: tuple[str, ...] = ()
    #: Whether D3(BJ) and D4 are added here, and not by the program: the same numbers everywhere, and ghosts have none.
    lacks_dispersion = True
    #: The file in its folder that it reads from its standard input.
    standard_input = os.devnull
    #: The file in its folder that tells how it ended.
    report = OUTPUT
    #: What it writes there when all went well, and what it prints when the density did not converge.
    farewell: str
    unconverged: tuple[str, ...] = ()
    #: Where it tells what went wrong, a regular expression; without a match its last words are looked for.
    trouble: str | None = None

    def missing(self) -> str | None:
        """Why it cannot run here; None when it can."""
        if (given := os.environ.get(self.variable)) and not shutil.which(shlex.split(given)[0]):
            return f"{self.variable} is '{given}', which is not on PATH"
        if given or any(shutil.which(program) for program in self.programs):
            return None
        return f"the program {' or '.join(self.programs)} is not on PATH; {self.source}, or name it in {self.variable}"

    def refuses(self, level: Level) -> str | None:
        """Why it cannot compute this level; None when it can."""
        if level.method not in self.functionals:
            return f"{self.name} computes {', '.join(self.functionals)} here, not '{level.method}'; or use pyscf"
        if level.dispersion and self.lacks_dispersion:
            return dispersion.missing()
        return None

    def lacks(self, level: Level, symbols: Collection[str], *, charge: int, multiplicity: int) -> str | None:
        """Nothing that is known before it runs: the program tells."""
        return None

    def identity(self, level: Level) -> str:
        """The program itself: where it stands, its size and its date."""
        *_, path = [Path(found).resolve() for word in self.program() if (found := shutil.which(word))]
        return f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}"

    def memory_MB(self, level: Level, atoms: Atoms) -> float:
        """Unknown; each run is given its share. One that a launcher spreads over the cores stands beside no other."""
        return math.inf if len(shlex.split(os.environ.get(self.variable, ""))) > 1 else 0.0

    def calculator(self, level: Level, *, charge: int, multiplicity: int) -> ProgramCalculator:
        """Return an ASE calculator."""
        return ProgramCalculator(self, level, charge=charge, multiplicity=multiplicity)

    @property
    def variable(self) -> str:
        """Environment variable of the command that starts it."""
        return f"SOLVATION_{self.name.upper()}"

    def program(self) -> list[str]:
        """The command without its arguments."""
        if given := os.environ.get(self.variable):
            return shlex.split(given)
        # The whole path: some programs find their parts by the name they were called by.
        return [next(found for program in self.programs if (found := shutil.which(program)))]

    @abstractmethod
    def write(self, folder: Path, job: Job) -> list[str]:
        """Write the input into `folder`, and return the arguments of the program."""

    @abstractmethod
    def read(self, folder: Path, job: Job) -> Answer:
        """Read what a run that ended well has left in `folder`.

        Raises
        ------
        Unreadable
            Something that was asked for is not there.
        """

    def environment(self, folder: Path) -> dict[str, str]:
        """What the program needs to know beside its input."""
        return {}

    def answer(self, folder: Path, job: Job) -> Answer:
        """What the run in `folder` gave, when it ended well and converged.

        Raises
        ------
        Unreadable
            With its own last words when it did not.
        """
        text = (folder / OUTPUT).read_text(errors="replace")
        for line in text.splitlines():
            if any(words in line for words in self.unconverged):
                raise Unreadable(line.strip(" *!\t"))
        report = folder / self.report
        if not report.is_file() or self.farewell not in report.read_text(errors="replace"):
            told = re.findall(self.trouble, text, re.MULTILINE) if self.trouble else []
            raise Unreadable(" ".join(told[-1].split()) if told else last_words(text))
        return self.read(folder, job)


class ProgramCalculator(Calculator):  # type: ignore[misc]
    """One run of a program per structure, in a scratch folder that is left only when the run failed."""

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces"]

    def __init__(self, engine: ProgramEngine, level: Level, *, charge: int, multiplicity: int) -> None:
        super().__init__()
        self._engine = engine
        self._level = level
        self._charge = charge
        self._multiplicity = multiplicity
        self._forces_wanted = False
        #: Basis functions of the last calculation.
        self.n_basis = 0
        #: What the program printed in the last calculation that ended well.
        self.output: str | None = None

    def calculate(
        self,
        atoms: Any = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Compute energy (eV) and forces (eV/Å): always both once forces were asked for, as one run gives both."""
        super().calculate(atoms, properties, system_changes)
        self._forces_wanted |= "forces" in (properties or [])
        job = self._job()
        self._refuse(job)
        electrons = int(self.atoms.numbers[~job.ghost].sum()) - job.charge
        answer = self._run(job) if electrons else Answer(0.0, np.zeros((len(self.atoms), 3)))
        energy = answer.energy_eV
        forces = answer.forces_eV_A
        if self._level.dispersion and self._engine.lacks_dispersion:
            correction_Eh, gradient = dispersion.correction(self._level, self.atoms[~job.ghost], charge=job.charge)
            energy += correction_Eh * Hartree
            forces = None if forces is None else forces - gradient * Hartree / Bohr
        self.n_basis = answer.n_basis
        self.results = {"energy": energy, "free_energy": energy, **({} if forces is None else {"forces": forces})}

    def shieldings_ppm(self, atoms: Atoms) -> NDArray[np.float64]:
        """Isotropic shielding of every nucleus, ppm, (n_atoms,).

        Raises
        ------
        EngineFailed
            The program failed, or computes none here.
        """
        self.atoms = atoms.copy()
        job = replace(self._job(), forces=False, shieldings=True)
        self._refuse(job)
        found = self._run(job).shieldings_ppm
        if found is None:
            raise EngineFailed(f"{self._level}: {self._engine.name} computes no shieldings here")
        return found

    def _job(self) -> Job:
        threads = own_threads()
        ghost = np.asarray(self.atoms.arrays.get("ghost", np.zeros(len(self.atoms))), dtype=bool)
        return Job(
            self._level, self.atoms, self._charge, self._multiplicity, ghost,
            forces=self._forces_wanted, threads=threads, memory_MB=share_MB(threads),
        )  # fmt: skip

    def _refuse(self, job: Job) -> None:
        engine = self._engine
        if job.ghost.any() and not engine.has_ghosts:
            raise EngineFailed(f"{self._level}: {engine.name} has no ghost atoms here")
        if job.ghost.any() and job.forces:
            raise EngineFailed(f"{self._level}: no forces with ghost atoms")
        if self.atoms.pbc.any() and not engine.has_boxes:
            raise EngineFailed(
                f"{self._level}: {engine.name} is used for molecules here; boxes need gfn1, gfn2 or cp2k"
            )
        if self.atoms.pbc.any() and not self.atoms.pbc.all():
            raise EngineFailed(f"{self._level}: {engine.name} is used for boxes that repeat in all directions, or none")
        if not self.atoms.pbc.any() and not engine.has_molecules:
            raise EngineFailed(f"{self._level}: {engine.name} computes periodic boxes; molecules need another engine")

    def _run(self, job: Job) -> Answer:
        engine = self._engine
        with children.scratch_folder(engine.name) as folder:
            output = folder / OUTPUT
            command = engine.program() + engine.write(folder, job)
            with output.open("w", encoding="utf-8") as stream, (folder / engine.standard_input).open("rb") as given:
                settings = {**os.environ, **engine.environment(folder)}
                done = children.run(command, cwd=folder, stdin=given, stdout=stream, env=settings)
            try:
                answer = engine.answer(folder, job)
                if done.returncode:
                    raise Unreadable("it wrote its results, and then failed")
                self.output = (folder / engine.report).read_text(errors="replace")
            except Unreadable as problem:
                said = "".join(
                    path.read_text(errors="replace") for path in {output, folder / engine.report} if path.is_file()
                )
                if _NEVER_BEGAN.search(said) or not said.strip():
                    why = "MPI did not start" if said.strip() else "it ended without a word"
                    raise EngineMissing(
                        f"{engine.name}: {why}, status {done.returncode} (see {output}); run the study again, or mend "
                        "what keeps it from starting"
                    ) from problem
                raise EngineFailed(
                    f"{engine.name} ({self._level}) failed for {self.atoms.get_chemical_formula()}, charge "
                    f"{self._charge:+d}, with status {done.returncode}: {problem} (see {output})"
                ) from problem
        return answer


def last_words(text: str) -> str:
    """The last line of an output that tells of trouble, or its last line."""
    lines = [line.strip(" *#-=!|\t") for line in text.splitlines()]
    lines = [line for line in lines if re.search(r"\w", line) and not _NOISE.search(line)]
    told = [line for line in lines if _TROUBLE.search(line)]
    return (told or lines or ["no output"])[-1]


def numbers_after(text: str, words: str, *, what: str) -> list[str]:
    """Every word that follows `words`, a regular expression, in the order of the output.

    Raises
    ------
    Unreadable
        There is none.
    """
    found = re.findall(words + r"\s*(\S+)", text)
    if not found:
        raise Unreadable(f"its output tells no {what}")
    return [str(item) for item in found]


def forces_from_gradient(rows: Sequence[Sequence[str]], n_atoms: int) -> NDArray[np.float64]:
    """Forces in eV/Å out of the words of a gradient in Eh/Bohr.

    Raises
    ------
    Unreadable
        There is not one row for each atom.
    """
    if len(rows) != n_atoms:
        raise Unreadable(f"its output has a gradient of {len(rows)} atoms, not {n_atoms}")
    gradient: NDArray[np.float64] = np.array(rows, dtype=float)
    return -gradient * float(Hartree / Bohr)
