"""The answer of `solvation why` as text and as data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ase import Atoms

from solvation.archive.lineage import Answer, Origin
from solvation.errors import ResultsError
from solvation.provenance import output_of, read_json, versions


def as_lines(answer: Answer) -> list[str]:
    """The answer as text: every step once, what it was made from indented below it."""
    lines = ["  ".join(f"{key}={value}" for key, value in row.items() if value) for row in answer.rows]
    told: set[str] = set()
    for name in answer.asked:
        lines += _tree(name, answer.origins, told, "")
    lines += _version_lines(answer)
    changed = answer.changed
    lines.append(
        f"changed or missing since: {', '.join(changed)}; snakemake computes anew what depends on them"
        if changed
        else "every file that was read is still the same"
    )
    return lines


def as_data(answer: Answer) -> dict[str, Any]:
    """The answer as plain data."""
    return {
        "rows": [dict(row) for row in answer.rows],
        "asked": list(answer.asked),
        "changed": answer.changed,
        "steps": [
            {
                "file": item.file, "step": item.step, "subject": item.subject, "card": item.card, "seed": item.seed,
                "species": dict(item.species), "versions": dict(item.versions), "finished": item.finished,
                "wall_s": item.wall_s, "cpu_s": item.cpu_s,
                "inputs": [
                    {"file": one.file, "sha256": one.sha256, "state": one.state, "made_by": one.made_by}
                    for one in item.inputs
                ],
                "answers": list(item.answers),
            }
            for item in answer.origins.values()
        ],
    }  # fmt: skip


def _tree(name: str, origins: Mapping[str, Origin], told: set[str], indent: str) -> list[str]:
    item = origins[name]
    if name in told:
        return [f"{indent}{name} (above)"]
    told.add(name)
    lines = [f"{indent}{name}", f"{indent}  {item.step} of {item.subject}{_cost(item)}"]
    # The whole card is in --json; a species says more by its source.
    settings = {key: value for key, value in item.card.items() if key not in {"species", "name"}}
    lines.append(f"{indent}  settings: {json.dumps(settings, sort_keys=True, ensure_ascii=False)}")
    lines += [f"{indent}  species {key}: {source}" for key, source in item.species.items() if not item.inputs]
    for one in item.inputs:
        lines.append(f"{indent}  from {one.file}: {one.state}, sha256 {one.sha256[:12]}")
    lines += [f"{indent}  engine: {_answered(Path(entry))}" for entry in item.answers]
    for before in dict.fromkeys(one.made_by for one in item.inputs if one.made_by):
        lines += _tree(before, origins, told, indent + "    ")
    return lines


def _answered(entry: Path) -> str:
    """What one entry of the cache was asked and answered: `results/cache/ab/ab12.json: H2O, charge 0, pbe/def2-svp`."""
    try:
        told = read_json(entry)
        asked = told["question"]
        what = f"{Atoms(asked['numbers']).get_chemical_formula()}, charge {asked['charge']:+d}, {asked['level']}"
        ghosts = f", ghost atoms: {len(asked['ghost'])}" if asked["ghost"] else ""
        value = f": {told['energy_eV']:.6f} eV" if "energy_eV" in told else f": {asked.get('asked', 'modes')}"
    except (ResultsError, KeyError, TypeError, ValueError, AttributeError):
        return f"{entry}: gone or damaged since"
    beside = output_of(entry)
    printed = "; what the program printed: the .txt.gz beside it" if beside.is_file() else ""
    return f"{entry}: {what}{ghosts}{value}{printed}"


def _cost(item: Origin) -> str:
    parts = [f"seed {item.seed}"] if item.seed is not None else []
    parts += [f"{item.wall_s:g} s"] if isinstance(item.wall_s, int | float) else []
    parts += [f"finished {item.finished}"] if item.finished else []
    return ", " + ", ".join(parts) if parts else ""


def _version_lines(answer: Answer) -> list[str]:
    made: dict[str, list[str]] = {}
    for origin in answer.origins.values():
        for program, version in origin.versions.items():
            if version not in made.setdefault(program, []):
                made[program].append(version)
    here = versions()
    shown = ", ".join(f"{program} {' and '.join(found)}" for program, found in made.items())
    other = [
        f"{program} {here[program]}" for program, found in made.items() if here.get(program, found[0]) not in found
    ]
    return [f"versions: {shown}", *([f"versions here now: {', '.join(other)}"] if other else [])]
