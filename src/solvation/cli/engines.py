"""`solvation engines`: which programs can compute energies here, and what each of them can do."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def engines(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """List the engines: found or not and how to get it, and what each can do."""
    from solvation.engines import survey

    found = survey()
    if as_json:
        typer.echo(json.dumps({item.name: item.as_dict() for item in found}, indent=1, ensure_ascii=False))
        return
    for item in found:
        state = "found" if item.missing is None else f"not here: {item.missing}"
        typer.echo(f"{item.name:9s} {item.abilities:98s} {state}")


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command()(engines)
