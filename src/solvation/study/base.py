"""What every section of a study shares: frozen, nothing extra, and a card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

#: Names become file names, so they hold nothing a shell or a file system would mind.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}$")]


def _plain_path(path: Path) -> Path:
    if not str(path).isprintable():
        raise ValueError(f"{str(path)!r} holds a character that no file name should")
    return path


#: A path that can be printed on one line, and opened.
PlainPath = Annotated[Path, AfterValidator(_plain_path)]


class Section(BaseModel):
    """One section of the study file.

    `REVISION` is raised when the method behind the section changes its numbers: it stands in the card,
    so Snakemake recomputes what was made by the old method.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    REVISION: ClassVar[int] = 1

    @property
    def revision(self) -> int:
        """What stands in the card."""
        return self.REVISION


def card_of(**parts: Any) -> str:
    """Everything that can change a number, as one canonical line of JSON.

    Parameters
    ----------
    parts
        Sections (their revision is added), or plain JSON values.
    """
    return json.dumps({key: _plain(value) for key, value in parts.items()}, sort_keys=True)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        data = value.model_dump(mode="json")
        # A level of theory is a string in every file.
        return {**data, "revision": value.revision} if isinstance(value, Section) and isinstance(data, dict) else data
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
