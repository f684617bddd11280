"""A results folder belongs to one study file; another one of the same name is refused."""

from __future__ import annotations

import os
from pathlib import Path

from solvation.errors import StudyError
from solvation.provenance import write_text
from solvation.study.file import Study

_STAMP = "study-file.txt"


def refuse_foreign(study: Study, path: Path) -> None:
    """Raise when the results folder was made by another study file.

    Raises
    ------
    StudyError
        With the file it belongs to.
    """
    stamp = study.folder / _STAMP
    if stamp.is_file():
        owner = stamp.read_text(encoding="utf-8").strip()
        if owner != _relative(study, path):
            raise StudyError(
                f"{path}: name: '{study.name}' would write into {study.folder}, which belongs to "
                f"{os.path.normpath(study.folder / owner)}; give the study another name, or remove the folder"
            )
    elif (study.folder / "provenance.json").exists():
        raise StudyError(f"{path}: name: {study.folder} holds results of unknown origin; give the study another name")


def claim(study: Study, path: Path) -> None:
    """Mark the results folder as made by this study file."""
    refuse_foreign(study, path)
    write_text(study.folder / _STAMP, _relative(study, path) + "\n")


def _relative(study: Study, path: Path) -> str:
    return os.path.relpath(path.resolve(), study.folder.resolve())
