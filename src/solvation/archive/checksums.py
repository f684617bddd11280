"""Whether the files of a study are still those that its steps wrote."""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from solvation.archive.lineage import inside, prefix_of, read_records, record_of, records_of
from solvation.errors import ResultsError
from solvation.failures import is_failed
from solvation.provenance import files_under, read_json, read_steps, refuse_damaged, sha256
from solvation.study import Study
from solvation.study.targets import tables, targets

#: Checkpoints and caches: a rerun makes them again, and nothing that is told depends on them once it is done.
_LEFT_OUT = (".npz", ".lock", ".partial")
_GONE = "is gone"


@dataclass(frozen=True, slots=True)
class Altered:
    """A file that is not what it was, relative to the results folder where it lies there.

    Attributes
    ----------
    reason
        What became of it, and since when.
    is_users
        A file of the user's, that no step makes.
    """

    file: str
    reason: str
    is_users: bool = False

    @property
    def mend(self) -> str:
        """What to do about it."""
        if self.is_users:
            # The new date makes Snakemake look at its content, whatever its size.
            return "touch it and run the study again to compute with it, or put the old one back"
        if self.reason.startswith(_GONE):
            # One that was removed with the frames it was joined from is made only when it is asked for.
            by_name = ", or ask Snakemake for it by name" if self.file.endswith(".xtc") else ""
            return f"put it back, or run the study again{by_name}"
        return "remove it and run the study again"


def result_files(folder: Path, asked: Container[str]) -> list[Path]:
    """Files of a study but its checkpoints, and but those of steps that it no longer asks for.

    Links to files are left out, because what they point at is not of the study.

    Parameters
    ----------
    asked
        Records of the steps that it asks for, relative to the folder.
    """
    others = {name for name, _ in read_steps(folder) if name not in asked}
    return [
        path
        for path in files_under(folder)
        if not path.is_symlink()
        and record_of(path.relative_to(folder).as_posix(), others) is None
        and not path.name.startswith(".")
        and path.suffix not in _LEFT_OUT
        and not path.name.startswith("segment_")
        and path.name != "study-file.txt"
    ]


def checksums(study: Study, records: Container[str]) -> dict[str, str]:
    """SHA-256 of every file that a step of the study wrote, and of its tables, relative to the results folder.

    What is made of the tables later, comparison and report, is not among them, nor is `provenance.json` itself.

    Parameters
    ----------
    records
        Of its finished steps, relative to the results folder.
    """
    folder = study.folder
    gathered = set(tables(study)) - {"provenance.json"}
    names = {path: path.relative_to(folder).as_posix() for path in result_files(folder, records)}
    return {name: sha256(path) for path, name in names.items() if name in gathered or record_of(name, records)}


def refuse_unsound(study: Study) -> None:
    """Refuse to gather results that were made with other settings, or that are not what their step wrote.

    Snakemake makes the former anew, unless it was told to leave settings out of account.

    Raises
    ------
    ResultsError
        Naming the first one.
    """
    jobs = targets(study)
    records = records_of(study.folder, jobs)
    for job in jobs:
        made = records.get(job.record)
        # Beside a failed result may stand the record of an earlier one.
        if made is None or is_failed(study.folder / job.files[0]):
            continue
        if made["card"] != json.loads(job.card):
            raise ResultsError(
                f"{study.folder / job.files[0]}: {job.rule} of {job.subject} was made with other settings than the "
                "study asks for; run the study again without --rerun-triggers (solvation status names all such steps)"
            )
        refuse_damaged(study.folder / job.record, made)


def altered(folder: Path) -> list[Altered]:
    """Find files of a finished study that are not what they were when its tables were made, or when a step read them.

    Raises
    ------
    ResultsError
        There is no `provenance.json`, it has no checksums, or a record is damaged.
    """
    known = read_json(folder / "provenance.json").get("files_sha256")
    if not isinstance(known, Mapping):
        raise ResultsError(f"{folder / 'provenance.json'}: has no checksums of files; run the study again to make them")
    digest = cache(sha256)
    found: dict[str, Altered] = {}
    for name, told in known.items():
        path = folder / str(name)
        if not path.is_file():
            found[name] = Altered(name, f"{_GONE} since the tables were made")
        elif digest(path) != told:
            found[name] = Altered(name, "changed since the tables were made")
    prefix = prefix_of(folder)
    for step, made in read_records(folder).items():
        # Others are of what the study asked for before.
        for file, told in (made["inputs_sha256"] if step in known else {}).items():
            own = inside(file, folder, prefix)
            path = folder / own if own else Path(file)
            name = own or file
            # What is gone and was no file of the tables was a checkpoint, or lies on another machine.
            if name not in found and path.is_file() and digest(path) != told:
                found[name] = Altered(name, f"changed since {step} was made from it", is_users=own is None)
    return sorted(found.values(), key=lambda one: one.file)


def refuse_altered(folder: Path, provenance: Mapping[str, Any]) -> None:
    """Refuse a folder whose files are not what its tables were made from.

    Results of versions that took no checksums pass.

    Raises
    ------
    ResultsError
        Naming the first one.
    """
    if "files_sha256" not in provenance:
        return
    found = altered(folder)
    if found:
        more = f" (and {len(found) - 1} more: solvation status --checksums)" if len(found) > 1 else ""
        file = found[0].file if found[0].is_users else folder / found[0].file
        raise ResultsError(f"{file}: {found[0].reason}{more}; {found[0].mend}")
