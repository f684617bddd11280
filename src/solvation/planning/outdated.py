"""Steps whose results are not what the study asks for, found from the results alone.

Snakemake knows what a result was made from by its own notes (`.snakemake/metadata`) and by dates. Where the notes are
gone, or a file was replaced by an older one, it takes such a result for finished.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from solvation.archive.lineage import inside, prefix_of, record_of, records_of
from solvation.failures import is_failed, record_of_failure
from solvation.provenance import LARGE_BYTES, read_json, sha256
from solvation.study import Study
from solvation.study.targets import Target, settings_sha256, targets

OTHER_SETTINGS = "done with other settings"


def made_anew(study: Study) -> dict[str, str]:
    """Why steps have to be made anew that Snakemake may take for finished, by one of their files as Snakemake calls it.

    Raises
    ------
    ResultsError
        A record is damaged.
    """
    if not study.folder.is_dir():
        return {}
    jobs = targets(study)
    found = outdated(study, jobs, records_of(study.folder, jobs))
    return {f"{study.folder}/{file}": reason for file, reason in found.items()}


def outdated(study: Study, jobs: Iterable[Target], records: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    """Why steps are not what the study asks for, by the first of their files.

    What is made from them later is not among them.

    Parameters
    ----------
    records
        Of the finished steps, by their path relative to the results folder.

    Raises
    ------
    ResultsError
        `provenance.json` or a failed result is damaged.
    """
    folder, jobs = study.folder, tuple(jobs)
    summary = read_json(folder / "provenance.json") if (folder / "provenance.json").is_file() else {}
    gone = _gone(folder, jobs, summary)
    replaced = _Replaced(study)
    found = {}
    for job in jobs:
        first = job.files[0]
        if first in gone:
            found[first] = gone[first]
        if not (folder / first).is_file():
            continue
        # Beside a failed result may stand the record of an earlier one, or none.
        made = (record_of_failure(folder / first) if job.card else None) or records.get(job.record)
        if job.rule == "tables":
            differs = bool(summary) and not _is_of(summary, study)
        elif job.rule == "window" and made is None:
            differs = _walked_otherwise(folder, job, records)
        else:
            differs = made is not None and made["card"] != json.loads(job.card)
        if differs:
            found[first] = OTHER_SETTINGS
        elif made is not None and (file := replaced.among(made)) is not None:
            found[first] = f"made from another {file}"
    return found


def _is_of(summary: Mapping[str, Any], study: Study) -> bool:
    """Whether the tables were made for these settings; older versions kept no checksum of them."""
    if "settings_sha256" in summary:
        return bool(summary["settings_sha256"] == settings_sha256(study))
    told = summary.get("study")
    asked = study.model_dump(mode="json", exclude={"results"})
    return isinstance(told, dict) and {key: value for key, value in told.items() if key != "results"} == asked


def _walked_otherwise(folder: Path, job: Target, records: Mapping[str, dict[str, Any]]) -> bool:
    """Whether a window, which has no record, is one of those that the profile was made from with other settings."""
    record = f"profiles/{job.name}/profile.json"
    if record not in records or (folder / job.files[0]).stat().st_mtime > (folder / record).stat().st_mtime:
        return False
    # Revisions of the analysis leave the windows as they are.
    told, asked = dict(records[record]["card"]), json.loads(job.card)
    return {**told, "revision": None} != {**asked, "revision": None}


def _gone(folder: Path, jobs: Iterable[Target], summary: Mapping[str, Any]) -> dict[str, str]:
    """Steps of whose files one is gone since the tables were made.

    Checkpoints are not among those files: who removes them saves room. So does who removes a trajectory with
    the frames that it was joined from. By-products count where a join makes them in no time.
    """
    known = summary.get("files_sha256")
    lost = [name for name in known if not (folder / name).is_file()] if isinstance(known, Mapping) else []
    if not lost:
        return {}
    makers = {job.record: job for job in jobs if job.record}
    parts = [(job.name, folder / job.files[0]) for job in jobs if job.rule == "segment"]
    joinable = {name for name, part in parts if part.with_suffix(".xtc").is_file()}
    found = {}
    for name in lost:
        job = makers.get(record_of(name, makers) or "")
        if (
            job is None
            or is_failed(folder / job.files[0])
            or (PurePosixPath(name).name != "log.csv" and name not in (*job.files, job.record))
            or (job.rule == "join" and job.name not in joinable)
        ):
            continue
        found[job.files[0]] = f"{name} is gone"
    return found


class _Replaced:
    """The user's own files that are not what a step read, whatever their dates."""

    def __init__(self, study: Study) -> None:
        self._own = {str(path) for path in study.own_files.values()}
        self._folder, self._prefix = study.folder, prefix_of(study.folder)
        self._digest = cache(sha256)

    def among(self, made: Mapping[str, Any]) -> str | None:
        """The first of them that a step read; large ones are known by their size."""
        for file, told in made["inputs_sha256"].items():
            if file not in self._own or inside(file, self._folder, self._prefix) or not Path(file).is_file():
                continue
            size = Path(file).stat().st_size
            known = dict(made.get("inputs_bytes") or {}).get(file, size)
            if size != known or (size <= LARGE_BYTES and self._digest(Path(file)) != told):
                return str(file)
        return None
