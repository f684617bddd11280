"""Options of the verbs that the rules of the workflow call."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

CardOption = Annotated[str, typer.Option("--card", help="Settings as one line of JSON.")]
JsonOutput = Annotated[Path, typer.Option(help="File to write, .json.")]
