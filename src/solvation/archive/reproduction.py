"""A rerun beside the study it repeats: versions that differ, and numbers that differ by more than they may."""

from __future__ import annotations

import csv
import io
import math
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from solvation.archive.unpacking import Checked, table_text
from solvation.errors import ResultsError
from solvation.provenance import versions, write_text
from solvation.study import load_study
from solvation.study.reading import read_mapping

#: The study of an archive without what it says of a results folder.
RERUN = "study-to-run.yaml"


@dataclass(frozen=True, slots=True)
class Table:
    """How the rows of one table are told apart, and by how much its numbers may differ.

    Attributes
    ----------
    tolerances
        By column, in its unit.
    errors
        Columns of standard errors by column: where both sides have one, three times their combined error is allowed
        if that is more.
    equal
        Columns of text that must be the same.
    is_curve
        Whether several rows share a key and repeat the numbers compared, one for each point of a curve.
    absent
        What a row that one side lacks counts as, by column; left out: its lack is a difference.
    """

    keys: tuple[str, ...]
    tolerances: Mapping[str, float]
    errors: Mapping[str, str]
    equal: tuple[str, ...] = ()
    is_curve: bool = False
    absent: Mapping[str, str] = field(default_factory=dict)


_BY_LEVEL = ("cluster", "level")
#: Electronic energies repeat to 1e-6 eV on the machine that made them; other libraries, threads or processors may
#: choose another of two structures that differ by millielectronvolts, hence 5 meV. Free energies follow soft modes.
#: Molecular dynamics is chaotic: after picoseconds only averages can be compared, within their errors.
TABLES: dict[str, Table] = {
    "binding": Table(
        (*_BY_LEVEL, "definition"), {"energy_eV": 0.005, "spread_eV": 0.01}, {}, ("denticity", "status")
    ),
    "thermochemistry": Table(
        (*_BY_LEVEL, "treatment", "temperature_K"),
        {"energy_eV": 0.005, "zero_point_eV": 0.005, "enthalpy_eV": 0.01, "gibbs_eV": 0.03},
        {},
    ),
    "bonding": Table((*_BY_LEVEL, "quantity", "part"), {"value": 0.02}, {}, ("unit",)),
    "oxidation": Table(("subject", "kind", "level"), {"vertical_eV": 0.01, "adiabatic_eV": 0.02}, {}),
    "spectra": Table(("cluster", "structure", "geometry_level", "subject"), {"band_cm": 3.0, "shift_cm": 3.0}, {}),
    "shieldings": Table(
        (*_BY_LEVEL, "atom"), {"free_ppm": 0.5, "complex_ppm": 0.5, "shift_ppm": 0.5}, {}, ("isotope",)
    ),
    "coordination": Table(
        ("trajectory", "donor", "counted"), {"cn": 0.1, "peak_A": 0.05}, {"cn": "cn_stderr"}
    ),
    "residence": Table(
        ("trajectory", "donor", "counted", "measure"), {"residence_ps": 0.1}, {"residence_ps": "residence_stderr_ps"}
    ),
    # A shell that a run did not visit has no row.
    "speciation": Table(
        ("trajectory", "grouped", "shell"), {"population": 0.05}, {"population": "population_stderr"},
        absent={"population": "0", "population_stderr": "0"},
    ),
    "networks": Table(
        ("trajectory", "linked_by", "quantity", "kind", "n_ions"), {"value": 0.05}, {"value": "stderr"},
        absent={"value": "0", "stderr": "0"},
    ),
    "angles": Table(("trajectory", "angle"), {"mean_deg": 1.0}, {"mean_deg": "mean_stderr_deg"}, is_curve=True),
    "profiles": Table(("profile", "way"), {"free_energy_eV": 0.01}, {"free_energy_eV": "stderr_eV"}),
    # Diffusion and conductivity span decades: their errors alone tell what a difference is worth.
    "transport": Table(("trajectory", "quantity", "species"), {"value": 0.0}, {"value": "stderr"}, ("unit",)),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Difference:
    """One cell that differs by more than it may, or a row that only one side has."""

    table: str
    row: str
    column: str
    archived: str
    rerun: str
    allowed: str


@dataclass(frozen=True, slots=True)
class Compared:
    """One table of both sides; columns that the archive lacks, made by an older version, are not compared.

    Attributes
    ----------
    largest
        Largest difference of each column, in its unit.
    """

    table: str
    numbers: int
    largest: Mapping[str, float]
    differences: tuple[Difference, ...]


def other_versions(checked: Checked) -> list[str]:
    """`numpy 2.4.6 there, 2.5.0 here` for every program whose version differs."""
    here = versions()
    return [
        f"{program} {version} there, {here.get(program, 'not installed')} here"
        for program, version in sorted(checked.provenance["versions"].items())
        if here.get(program, "not installed") != version
    ]


def study_to_run(folder: Path) -> Path:
    """The study file of an unpacked archive as a rerun takes it.

    It is `study.yaml`, unless that says where results go: a rerun writes below the folder that it runs in, whatever
    an archive wants. Then a copy without it is written beside.

    Raises
    ------
    StudyError
        It is no study.
    """
    given = folder / "study.yaml"
    data = read_mapping(given)
    if "results" not in data:
        return given
    del data["results"]
    write_text(folder / RERUN, yaml.safe_dump(data, sort_keys=False, allow_unicode=True))
    return folder / RERUN


def rerun(checked: Checked, folder: Path, *, snakefile: Path, cores: int | None = None) -> Path:
    """Run the study of an unpacked archive again, in a folder of its own, and return its results.

    What the workflow says goes to the terminal. After an interruption the same call goes on.

    Parameters
    ----------
    folder
        Where the archive was unpacked.
    snakefile
        Of a checkout of solvation.
    cores
        All, where left out.

    Raises
    ------
    ResultsError
        There is no such workflow, the archive holds the results of another study, or the rerun did not come to its end.
    StudyError
        Its study file is no study.
    """
    if not snakefile.is_file():
        raise ResultsError(f"{snakefile}: no such file; name the Snakefile of a checkout of solvation by --snakefile")
    if made := next((name for name in checked.names if name.startswith("rerun/")), None):
        raise ResultsError(
            f"{checked.path}: holds {made}, which a rerun would take for its own; no study was packed so"
        )
    study_file = study_to_run(folder).resolve()
    # By another name its results would be looked for in vain.
    if (name := load_study(study_file).name) != checked.study:
        raise ResultsError(
            f"{study_file}: is the study '{name}', its results are those of '{checked.study}'; mend name"
        )
    place = folder / "rerun"
    place.mkdir(exist_ok=True)
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", str(snakefile.resolve()), "--directory", str(place),
        "--workflow-profile", str(snakefile.resolve().parent / "workflow" / "profiles" / "default"),
        "--cores", str(cores or "all"), "--config", f"study={study_file}",
    ]  # fmt: skip
    # Its steps are those of this Python.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    done = subprocess.run(command, env={**os.environ, "PATH": path}, check=False)
    if done.returncode:
        raise ResultsError(f"{place}: the rerun did not come to its end; what stopped it is told above")
    return place / "results" / checked.study


def compare(checked: Checked, folder: Path) -> list[Compared]:
    """Compare the tables of a rerun with those of the archive.

    Raises
    ------
    ResultsError
        There is no rerun, a table cannot be read, or there is nothing to compare.
    """
    if not folder.is_dir():
        raise ResultsError(f"{folder}: no such folder; give the results folder of the rerun, results/{checked.study}")
    found = []
    for name, table in TABLES.items():
        there, path = table_text(checked, f"{name}.csv"), folder / f"{name}.csv"
        if there is None and not path.is_file():
            continue
        old = _rows(f"{checked.path}: {name}.csv", there or "", table)
        compared = {*table.tolerances, *table.equal} & set(next(iter(old.values()), {}))
        new = _rows(str(path), _read(path) if path.is_file() else "", table, compared)
        found.append(_compare(name, table, old, new))
    if not any(item.numbers or item.differences for item in found):
        raise ResultsError(f"{folder}: neither it nor {checked.path} holds a table that can be compared")
    return found


def as_lines(found: Sequence[Compared]) -> list[str]:
    """Each table in a line, then every difference beyond tolerance."""
    lines = []
    for item in found:
        allowed = TABLES[item.table].tolerances
        largest = ", ".join(
            f"{column} {value:.2g} (allowed {allowed[column]:g})" for column, value in item.largest.items()
        )
        lines.append(f"{item.table}.csv: {item.numbers} numbers; largest differences: {largest or 'none'}")
    beyond = [one for item in found for one in item.differences]
    lines += [
        f"{one.table}.csv: {one.row}: {one.column}: {one.archived or 'nothing'} there, {one.rerun or 'nothing'} here"
        + (f", allowed {one.allowed}" if one.allowed else "")
        for one in beyond
    ]
    lines.append(f"{len(beyond)} differences beyond tolerance" if beyond else "reproduced within tolerance")
    return lines


def _compare(name: str, table: Table, there: dict[str, dict[str, str]], here: dict[str, dict[str, str]]) -> Compared:
    differences: list[Difference] = []
    largest: dict[str, float] = {}
    numbers = 0
    for key in dict.fromkeys([*there, *here]):
        if not table.absent and (key not in there or key not in here):
            differences.append(Difference(name, key, "row", _has(key in there), _has(key in here), ""))
            continue
        old, new = there.get(key, table.absent), here.get(key, table.absent)
        for column in table.equal:
            if column in old and old[column] != new[column]:
                differences.append(Difference(name, key, column, old[column], new[column], "equal"))
        for column, tolerance in table.tolerances.items():
            if column not in old:
                continue
            values = [_number(name, key, column, row[column]) for row in (old, new)]
            if math.isnan(values[0]) and math.isnan(values[1]):
                continue
            numbers += 1
            apart = abs(values[1] - values[0])
            allowed = max(tolerance, _by_error(name, key, table.errors.get(column), old, new))
            # Not `apart > allowed`: a number on one side only is a difference.
            if not apart <= allowed:
                differences.append(Difference(name, key, column, old[column], new[column], f"{allowed:.3g}"))
            if not math.isnan(apart):
                largest[column] = max(apart, largest.get(column, 0.0))
    return Compared(name, numbers, largest, tuple(differences))


def _by_error(name: str, key: str, column: str | None, old: Mapping[str, str], new: Mapping[str, str]) -> float:
    errors = [_number(name, key, column, row.get(column, "")) for row in (old, new)] if column else [math.nan]
    found = 3.0 * math.hypot(*errors)
    return found if math.isfinite(found) else 0.0


def _has(there: bool) -> str:
    return "a row" if there else ""


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise ResultsError(f"{path}: not a table ({problem}); run the study again") from problem


def _rows(where: str, text: str, table: Table, compared: Set[str] = frozenset()) -> dict[str, dict[str, str]]:
    """Rows by the text of their keys; an empty text has none. The columns `compared` have to be there as well."""
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        rows = list(reader)
    except csv.Error as problem:
        raise ResultsError(f"{where}: not a table ({problem}); run the study again") from problem
    if text and (missing := {*table.keys, *compared} - set(reader.fieldnames or ())):
        raise ResultsError(f"{where}: no column '{min(missing)}'; another version wrote it, run the study again")
    found: dict[str, dict[str, str]] = {}
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise ResultsError(f"{where}: line {number} has not as many cells as the head; run the study again")
        key = " ".join(row[column] for column in table.keys)
        if key in found and table.is_curve:
            continue
        if key in found:
            raise ResultsError(f"{where}: line {number}: '{key}' stands twice; run the study again")
        found[key] = row
    return found


def _number(table: str, row: str, column: str, text: str) -> float:
    try:
        return float(text) if text else math.nan
    except ValueError as problem:
        raise ResultsError(f"{table}.csv: {row}: {column}: '{text}' is not a number; run the study again") from problem
