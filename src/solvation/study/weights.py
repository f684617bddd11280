"""Checksums of the weights that levels name, so that other weights are other settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from solvation.errors import StudyError
from solvation.provenance import sha256
from solvation.study.levels import Level


def checksums(value: Any) -> dict[str, str]:
    """Checksum of each file of weights that a level within a value names.

    Raises
    ------
    StudyError
        There is no such file.
    """
    return {str(path): _checksum(path) for path in _files(value)}


def _files(value: Any) -> list[Path]:
    if isinstance(value, Level):
        return list(value.weights)
    if isinstance(value, BaseModel):
        return _files([getattr(value, key) for key in type(value).model_fields])
    if isinstance(value, Mapping):
        return _files(list(value.values()))
    if isinstance(value, list | tuple):
        return [path for item in value for path in _files(item)]
    return []


def _checksum(path: Path) -> str:
    if not path.is_file():
        raise StudyError(f"level 'mace:{path}': there is no file {path}; paths are relative to the working directory")
    return sha256(path)
