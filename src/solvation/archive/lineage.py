"""What a result was made from: its step, settings, inputs and versions, and the chain back to the species."""

from __future__ import annotations

import csv
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from os.path import abspath
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import ValidationError

from solvation.errors import ResultsError
from solvation.provenance import read_json, read_steps, sha256
from solvation.study import Level, load_study
from solvation.study.file import nearest
from solvation.study.targets import (
    LIQUID_TABLES,
    PACKED,
    PATTERN_TABLES,
    PROFILE_TABLES,
    TRANSPORT_TABLES,
    Target,
)

_LIQUIDS, _PROFILES = (
    tuple(name.removesuffix(".csv") for name in tables) for tables in (LIQUID_TABLES, PROFILE_TABLES)
)
#: Records that may stand beside a file, by its name; beside any other, `record.json`. Packing has one of a droplet or
#: one of a box.
_BESIDE: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(LIQUID_TABLES, ("liquid.json",)),
    **dict.fromkeys(TRANSPORT_TABLES, ("transport.json",)),
    **dict.fromkeys(PATTERN_TABLES, ("patterns.json",)),
    **dict.fromkeys(PROFILE_TABLES, ("profile.json",)),
    **dict.fromkeys((*PACKED, "system.xml"), ("packing.json", "equilibration.json")),
}
#: Records behind the rows of each table, by subject and level.
_BEHIND: dict[str, tuple[str, ...]] = {
    "binding": ("energies/{subject}/{level}.json", "energies/{subject}/counterpoise/{level}.json"),
    "thermochemistry": (
        "energies/{subject}/thermochemistry/{level}.json", "energies/{subject}/{level}.json",
        "energies/{subject}/counterpoise/{level}.json",
    ),
    "ensemble": ("clusters/{subject}/record.json",),
    "rejected": ("clusters/{subject}/record.json",),
    "bonding": ("bonding/{subject}/{level}.json",),
    "oxidation": ("oxidation/*/{subject}/{level}.json",),
    "spectra": ("energies/{subject}/thermochemistry/{level}.json",),
    "shieldings": ("shieldings/{subject}/{level}.json",),
    **dict.fromkeys(_LIQUIDS, ("trajectories/{subject}/liquid.json",)),
    **dict.fromkeys(("transport", "msd"), ("trajectories/{subject}/transport.json",)),
    **dict.fromkeys(("angles", "structure_factor"), ("trajectories/{subject}/patterns.json",)),
    "boxes": ("trajectories/{subject}/equilibration.json",),
    "arrhenius": ("trajectories/*/transport.json",),
    **dict.fromkeys(_PROFILES, ("profiles/{subject}/profile.json",)),
    "profile_populations": ("profiles/*/profile.json",),
    "potentials": ("potentials/{subject}/errors.json",),
}  # fmt: skip
#: Tables that the quantities of the comparison come from, by how they begin.
_SOURCE = {
    "binding_energy": "binding",
    "exchange_energy": "binding",
    "stepwise_energy": "binding",
    "binding_gibbs_energy": "thermochemistry",
    "exchange_gibbs_energy": "thermochemistry",
    "nmr_shift": "shieldings",
    "oxidation_potential": "oxidation",
    "carbonyl_shift": "spectra",
    "coordination_number": "coordination",
    "first_peak": "coordination",
    "angle": "angles",
    "self_diffusion": "transport",
    "conductivity": "transport",
    "density": "boxes",
}
#: Files of a study that are gathered from many records; those of the whole study from all.
_WHOLE = ("comparison.csv", "provenance.json", "report.html")

State = Literal["same", "changed", "missing"]


@dataclass(frozen=True, slots=True)
class Input:
    """A file that a step read.

    Attributes
    ----------
    state
        Whether the file is still what was read.
    made_by
        Record of the step that made it, relative to the results folder; None for a file of the user's.
    """

    file: str
    sha256: str
    state: State
    made_by: str | None


@dataclass(frozen=True, slots=True)
class Origin:
    """One step that was run.

    Attributes
    ----------
    file
        Its record, relative to the results folder.
    finished
        UTC, ISO 8601; empty in records of versions before 0.2.
    answers
        Entries of the cache that engines answered with: the structure and level that were asked for, the program that
        was, and its number (docs/engines.md).
    species
        What its species are made of, for a step that reads no file.
    """

    file: str
    step: str
    subject: str
    card: Any
    seed: int | None
    versions: Mapping[str, str]
    finished: str
    wall_s: float | None
    cpu_s: float | None
    inputs: tuple[Input, ...]
    answers: tuple[str, ...]
    species: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What `solvation why` tells.

    Attributes
    ----------
    rows
        Rows of a table that were asked for, as the file has them.
    asked
        Records of the steps that made what was asked for.
    origins
        Those and all steps before them, each once, by record.
    """

    rows: tuple[Mapping[str, str], ...]
    asked: tuple[str, ...]
    origins: Mapping[str, Origin]

    @property
    def changed(self) -> list[str]:
        """Inputs that are no longer what was read."""
        inputs = (item for origin in self.origins.values() for item in origin.inputs)
        return sorted({item.file for item in inputs if item.state != "same"})


def results_folder(path: Path) -> Path:
    """Results folder that a path stands for: the folder itself, or that of a study file.

    Raises
    ------
    StudyError, ResultsError
        It is neither, or the study has no results yet.
    """
    if not path.exists():
        raise ResultsError(f"{path}: no such folder or file; give the results folder of a study or its study file")
    folder = path if path.is_dir() else load_study(path).folder
    if not folder.is_dir():
        raise ResultsError(f"{folder} does not exist: {path} has no results yet; run it through snakemake")
    return folder


def read_records(folder: Path) -> dict[str, dict[str, Any]]:
    """Records of all finished steps, by their path relative to the results folder.

    Raises
    ------
    ResultsError
        One of them is damaged.
    """
    return {name: _whole(folder / name, data) for name, data in read_steps(folder)}


def records_of(folder: Path, jobs: Iterable[Target]) -> dict[str, dict[str, Any]]:
    """Records of the finished steps among the jobs of a study, by their path relative to its results folder.

    What stands in the folder of steps that the study no longer asks for is not among them.

    Raises
    ------
    ResultsError
        One of them is damaged.
    """
    found = {}
    for job in jobs:
        path = folder / job.record
        if job.record and path.is_file() and "step" in (made := read_json(path)):
            found[job.record] = _whole(path, made)
    return found


def why(asked: str, folder: Path) -> Answer:
    """Find what a file, a cluster, a trajectory, a species or a row of a table was made from.

    Parameters
    ----------
    asked
        A path (relative to the results folder or to the working directory), a name, or a table with words of its
        row, such as `binding Li_EC4 pbe-d4/def2-svp`.

    Raises
    ------
    ResultsError
        There is nothing of that name; the message offers the nearest.
    """
    records = read_records(folder)
    if not records:
        raise ResultsError(f"{folder}: no finished step is recorded there; give the results folder of a study")
    rows: list[Mapping[str, str]] = []
    table, _, rest = asked.strip().partition(" ")
    if table in {*_BEHIND, "comparison"} and rest.strip():
        rows, roots = _of_row(folder, table, rest.strip(), records)
    elif (file := _file(asked, folder)) is not None:
        roots = _of_file(file, records)
    else:
        roots = [name for name, data in records.items() if _subject(name, data) == asked]
    if not roots:
        known = {_subject(name, data) for name, data in records.items()} | {f"{name} ..." for name in _BEHIND}
        raise ResultsError(
            f"'{asked}' is no file, cluster, trajectory or row of {folder} that a step made{nearest(asked, known)}"
        )
    return Answer(tuple(rows), tuple(roots), _chain(roots, records, folder))


def record_of(file: str, records: Container[str]) -> str | None:
    """Record of the step that wrote a file, both relative to the results folder; None where there is none."""
    path = PurePosixPath(file)
    beside = (str(path.with_name(name)) for name in _BESIDE.get(path.name, ("record.json",)))
    for candidate in (file, str(path.with_suffix(".json")), *beside):
        if candidate in records:
            return candidate
    return None


def inside(recorded: str, folder: Path, prefix: PurePosixPath) -> str | None:
    """Where a file that a step read lies in the results folder, relative to it; None for a file of the user's.

    Parameters
    ----------
    prefix
        What the folder was called when the step ran: `results/<study>`.
    """
    path = PurePosixPath(recorded)
    for start in (prefix, PurePosixPath(folder.as_posix())):
        if path.is_relative_to(start):
            return str(path.relative_to(start))
    return None


def prefix_of(folder: Path) -> PurePosixPath:
    """What a results folder was called when its study ran; it may have been moved since."""
    path = folder / "provenance.json"
    study = read_json(path).get("study") if path.is_file() else None
    if isinstance(study, dict) and isinstance(study.get("name"), str):
        return PurePosixPath(str(study.get("results") or "results"), study["name"])
    return PurePosixPath("results") / folder.name


def _whole(path: Path, data: dict[str, Any]) -> dict[str, Any]:
    inputs, card = data.get("inputs_sha256"), data.get("card")
    if (
        not isinstance(data.get("answers", []), list)
        or not isinstance(inputs, dict)
        or not isinstance(card, dict)
        or not isinstance(data.get("versions", {}), dict)
    ):
        raise ResultsError(f"{path}: not a record of this package; remove it and run the study again")
    return data


def _subject(name: str, data: Mapping[str, Any]) -> str:
    return str(data["card"].get("name", PurePosixPath(name).parent.name))


def _file(asked: str, folder: Path) -> str | None:
    for path in (folder / asked, Path(asked)):
        # A folder of the results may be a link to another disk.
        for place, root in ((path.resolve(), folder.resolve()), (Path(abspath(path)), Path(abspath(folder)))):
            if path.is_file() and place.is_relative_to(root):
                return place.relative_to(root).as_posix()
    return None


def _of_file(file: str, records: Mapping[str, Any]) -> list[str]:
    path = PurePosixPath(file)
    if len(path.parts) == 1 and path.stem in _BEHIND and path.suffix == ".csv":
        return _matching(records, path.stem, "*", "*")
    if file in _WHOLE or path.parts[0] == "figures":
        return list(records)
    found = record_of(file, records)
    return [found] if found else []


def _of_row(
    folder: Path, table: str, text: str, records: Mapping[str, Any]
) -> tuple[list[Mapping[str, str]], list[str]]:
    rows = _rows(folder / f"{table}.csv")
    subjects = {next(iter(row.values())) for row in rows} | {_subject(name, data) for name, data in records.items()}
    named = [item for item in subjects if text == item or text.startswith(f"{item} ")]
    if not named:
        raise ResultsError(f"{folder / table}.csv: no row of '{text}'{nearest(text.split(maxsplit=1)[0], subjects)}")
    subject = max(named, key=len)
    words = text[len(subject) :].split()
    chosen = [row for row in rows if next(iter(row.values())) == subject and set(words) <= set(row.values())]
    if rows and words and not chosen:
        cells = {cell for row in rows if next(iter(row.values())) == subject for cell in row.values()}
        raise ResultsError(
            f"{folder / table}.csv: no row of {subject} with '{' '.join(words)}'{nearest(words[0], cells)}"
        )
    levels = {row["level"] for row in chosen if row.get("level")} or {word for word in words if _slug(word)}
    kinds = [table] if table != "comparison" else _sources(row["quantity"] for row in chosen)
    roots: list[str] = []
    for name in _names(subject):
        for level in levels or {"*"}:
            for kind in kinds:
                roots += _matching(records, kind, name, _slug(level) or level)
    return list(chosen), list(dict.fromkeys(roots))


def _sources(quantities: Iterable[str]) -> list[str]:
    """Tables that these quantities of the comparison come from; all of them where there is no comparison yet."""
    found = dict.fromkeys(table for item in quantities for start, table in _SOURCE.items() if item.startswith(start))
    return list(found or dict.fromkeys(_SOURCE.values()))


def _names(subject: str) -> list[str]:
    """Clusters of `A - B`, trajectory of `T / donor`, or the name itself."""
    return [part.strip() for part in subject.partition(" / ")[0].split(" - ")]


def _slug(level: str) -> str | None:
    try:
        return Level.model_validate(level).slug
    except ValidationError:
        return None


def _matching(records: Iterable[str], table: str, subject: str, level: str) -> list[str]:
    patterns = [pattern.format(subject=subject, level=level) for pattern in _BEHIND[table]]
    return [name for name in records if any(_matches(name, pattern) for pattern in patterns)]


def _matches(name: str, pattern: str) -> bool:
    path = PurePosixPath(name)
    depth = len(PurePosixPath(pattern).parts)
    return len(path.parts) == depth and path.match(pattern) and path.parts[1] != "references"


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise ResultsError(f"{path}: not a table ({problem}); remove it and run the study again") from problem
    return [{str(key): str(value) for key, value in row.items() if isinstance(value, str)} for row in rows]


def _chain(roots: Iterable[str], records: Mapping[str, dict[str, Any]], folder: Path) -> dict[str, Origin]:
    prefix, found, waiting = prefix_of(folder), dict[str, Origin](), list(roots)
    digest = cache(sha256)
    while waiting:
        name = waiting.pop(0)
        if name in found:
            continue
        found[name] = _origin(name, records, folder, prefix, digest)
        waiting += [item.made_by for item in found[name].inputs if item.made_by]
    return found


def _origin(
    name: str,
    records: Mapping[str, dict[str, Any]],
    folder: Path,
    prefix: PurePosixPath,
    digest: Callable[[Path], str],
) -> Origin:
    data = records[name]
    inputs = []
    for file, checksum in data["inputs_sha256"].items():
        own = inside(file, folder, prefix)
        path = Path(file) if own is None else folder / own
        state: State = "missing" if not path.is_file() else "same" if digest(path) == checksum else "changed"
        made_by = record_of(own, records) if own else None
        inputs.append(Input(own or file, str(checksum), state, None if made_by == name else made_by))
    return Origin(
        file=name,
        step=str(data["step"]),
        subject=_subject(name, data),
        card=data["card"],
        seed=data.get("seed"),
        versions={str(key): str(value) for key, value in data.get("versions", {}).items()},
        finished=str(data.get("finished", "")),
        wall_s=data.get("wall_s"),
        cpu_s=data.get("cpu_s"),
        inputs=tuple(inputs),
        answers=tuple(map(str, data.get("answers", ()))),
        species=_species(data["card"]),
    )


def _species(card: Mapping[str, Any]) -> dict[str, str]:
    """`{"EC": "library EC"}`: where the molecules of a step come from."""
    told = card.get("species")
    # The card of a ligand holds one species, the others a species for each name.
    members = {str(card.get("name")): told} if isinstance(told, dict) and "smiles" in told else told
    found = {}
    for name, item in (members if isinstance(members, dict) else {}).items():
        source = [f"{kind} {item[kind]}" for kind in ("smiles", "file", "library") if item and item.get(kind)]
        found[name] = source[0] if source else f"library {name}"
    return found
