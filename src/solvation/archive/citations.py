"""Works behind the methods and programs that a study uses, as BibTeX."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import yaml

from solvation.study import ComputedTrajectory, Level, Study


@dataclass(frozen=True, slots=True)
class Citations:
    """What to cite for a study.

    Attributes
    ----------
    works
        Fields of each entry by its BibTeX key, without braces of TeX in the DOI.
    unknown
        Methods that have no entry here: their users know whom to cite.
    """

    works: Mapping[str, Mapping[str, str]]
    unknown: tuple[str, ...]

    def bibtex(self) -> str:
        """All entries, and a comment for every method without one."""
        entries = [_entry(key, fields) for key, fields in self.works.items()]
        missing = [f"% {name}: no entry; add the work that describes it" for name in self.unknown]
        return "\n".join([*entries, *missing]) + "\n"


@cache
def table() -> dict[str, Any]:
    """Read the works, what uses them, and the basis sets."""
    text = resources.files("solvation.archive").joinpath("citations.yaml").read_text(encoding="utf-8")
    data: dict[str, Any] = yaml.safe_load(text)
    return data


def citations(study: Study) -> Citations:
    """Works behind every method and program of a study."""
    keys: list[str] = []
    unknown: list[str] = []
    for use in uses(study):
        found = _works(use)
        if found is None:
            unknown.append(use)
        else:
            keys += found
    works = table()["works"]
    return Citations(
        {key: {name: str(value) for name, value in works[key].items()} for key in sorted(set(keys))}, tuple(unknown)
    )


def uses(study: Study) -> list[str]:
    """Methods and programs of a study, each once: levels of theory in parts, then what its steps are made with."""
    found = ["ase", "numpy", "scipy", "rdkit", "snakemake"]
    computed = [item for item in study.trajectories.values() if isinstance(item, ComputedTrajectory)]
    classical = bool(study.boxes)
    levels = study.all_levels
    if study.clusters:
        found.append("sampling")
        asked = study.levels
        found += ["counterpoise"] if any(study.corrected_levels_of(name) for name in study.clusters) else []
        found += ["decomposition", "mulliken", "lowdin", "iao", "esp"] if asked.bonding else []
        found += ["oxidation"] if asked.oxidation else []
        found += ["shieldings"] if asked.shieldings else []
        found += ["rrho", "grimme", "truhlar"] if study.thermochemistry is not None else []
        found += (
            ["geometric"] if any(not (level.is_tight_binding or level.is_own) for level in asked.geometries) else []
        )
    found += ["mace"] if study.potentials or any(level.weights for level in levels) else []
    if study.trajectories:
        found += ["mdanalysis", "numba", "shells", "residence", "transport", "scattering"]
        found += ["packmol"] if computed else []
        found += _force_fields(study) if classical else []
        found += ["umbrella", "mbar"] if study.profiles else []
    return list(dict.fromkeys([*found, *_parts(levels)]))


def _force_fields(study: Study) -> list[str]:
    """OpenMM, and what its molecules and ions are parametrised with; a user's own parameters are theirs to cite."""
    members = dict.fromkeys(name for box in study.boxes.values() for name in box.members)
    ions = [f"ion {name}" for name in members if name in table()["ions"]]
    others = [name for name in members if name not in table()["ions"] and name not in study.forcefields]
    sage = ["openff"] if study.charges.lennard_jones == "openff" else []
    return ["openmm", *ions, *(["gaff2", *sage] if others else [])]


def _parts(levels: Iterable[Level]) -> list[str]:
    """Engine, method, dispersion, basis and continuum of some levels; a calculator of one's own by its path."""
    found: list[str] = []
    for level in levels:
        basis = f"basis {level.basis}" if level.basis else None
        parts = [level.engine, level.method, level.dispersion, basis, level.solvent_model]
        found += [str(level)] if level.is_own else [part for part in parts if part]
    return found


def _works(use: str) -> list[str] | None:
    if use.startswith("basis "):
        name, families = use.removeprefix("basis "), table()["bases"]
        known = [start for start in families if name.startswith(start)]
        return list(families[max(known, key=len)]) if known else None
    if use.startswith("ion "):
        return list(table()["ions"][use.removeprefix("ion ")])
    found = table()["uses"].get(use)
    return None if found is None else list(found)


def _entry(key: str, fields: Mapping[str, str]) -> str:
    kind = fields.get("type") or ("article" if "journal" in fields else "misc")
    lines = [f"  {name} = {{{value}}}" for name, value in fields.items() if name != "type"]
    return f"@{kind}{{{key},\n" + ",\n".join(lines) + "\n}\n"
