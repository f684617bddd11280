"""The library of species in structures/: what a study can name without describing it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from solvation.errors import SpeciesError
from solvation.shipped import library_folder
from solvation.study.file import nearest


class LibraryEntry(BaseModel):
    """One species of the library."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    smiles: str = Field(min_length=1)
    charge: int
    multiplicity: int = Field(ge=1)
    about: str = Field(min_length=3, description="What it is and which study it comes from.")
    origin: str = Field(min_length=3, description="How its coordinates were made.")
    file: str = Field(pattern=r"^[A-Za-z0-9-]+\.xyz$", description="XYZ file; atoms as in the SMILES, then hydrogens.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")

    @property
    def path(self) -> Path:
        """The XYZ file, absolute."""
        return library_folder() / self.file


class UnknownSpecies(SpeciesError, KeyError):
    """The library has no species of that name; a `KeyError` as well, so that `get` and `in` work."""

    def __str__(self) -> str:
        """Return the message; `KeyError` would put it in quotes."""
        return str(self.args[0])


class Library(Mapping[str, LibraryEntry]):
    """Entries by name, in the order of the file; an unknown name is a `SpeciesError` that offers the nearest one."""

    def __init__(self, entries: Mapping[str, LibraryEntry]) -> None:
        """Take the entries as read."""
        self._entries = dict(entries)

    def __getitem__(self, name: str) -> LibraryEntry:
        """Return one entry.

        Raises
        ------
        UnknownSpecies
            When there is none of that name.
        """
        try:
            return self._entries[name]
        except KeyError:
            hint = nearest(name, self._entries)
            raise UnknownSpecies(f"'{name}' is not in structures/library.yaml{hint}") from None

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._entries)

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._entries)


@cache
def library() -> Library:
    """Read every species of the library, once.

    Raises
    ------
    SpeciesError
        When the library is missing or damaged.
    """
    path = library_folder() / "library.yaml"
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Library({name: LibraryEntry(name=name, **fields) for name, fields in data.items()})
    except (OSError, yaml.YAMLError, ValidationError, AttributeError, TypeError) as problem:
        first = str(problem).splitlines()[0]
        raise SpeciesError(f"{path}: damaged ({first}); install the package again") from problem
