"""Data that come with the package: species, ions, published numbers."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from solvation.errors import SpeciesError


@cache
def library_folder() -> Path:
    """Folder of the library: inside the installed package, or structures/ of the repository.

    Raises
    ------
    SpeciesError
        When the installation lost it.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "structures", package.parents[1] / "structures"):
        if (folder / "library.yaml").is_file():
            return folder
    raise SpeciesError("structures/library.yaml is missing from this installation; install the package again")
