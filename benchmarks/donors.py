"""Write docs/donors.md from a finished run of config/donors.yaml: Li+ on one molecule of each donor.

snakemake --cores all --config study=config/donors.yaml
python benchmarks/donors.py results/donors docs/donors.md
"""

from __future__ import annotations

import math
import sys
from collections import defaultdict
from pathlib import Path

import solvation
from solvation.clusters.checks import contacts
from solvation.clusters.shell import build_shell
from solvation.species import build_molecule
from solvation.study import Species

JUDGE = "r2scan-3c"
OTHERS = ("mp2/def2-tzvp", "gfn2", "gfn1")
#: Kinds of donor that share a row of the second table; a molecule with several belongs to the first.
CLASSES = {
    "S=O, P=O": ("sulfinyl O", "sulfonyl O", "phosphoryl O"),
    "C=O": ("carbonyl O",),
    "N": ("amine N", "nitrile N", "aromatic N"),
    "ether O, water": ("ether O", "water O"),
}


def main() -> None:
    results = solvation.load_results(sys.argv[1])
    energy_eV: dict[tuple[str, str], float] = {}
    bound: dict[str, str] = {}
    for row in results.binding:
        if row.definition == "relaxed" and math.isfinite(row.energy_eV):
            name = row.cluster.removeprefix("Li_")
            energy_eV[name, row.level] = row.energy_eV
            bound[name] = shell_of(results, row.cluster, name)
    names = sorted(bound, key=lambda name: energy_eV.get((name, JUDGE), 0.0))
    lines = [
        "# Li+ on one molecule of each donor", "",
        "Made by `benchmarks/donors.py` from a run of `config/donors.yaml`. Electronic energies of binding against the",
        "relaxed molecule, eV, in the gas phase, of the structure that r2SCAN-3c finds lowest among those of GFN1-xTB",
        "and GFN2-xTB; without counterpoise (r2SCAN-3c has its own correction). Beside tight binding, in brackets: its",
        "energy less that of r2SCAN-3c, negative where it holds the ion too strongly.", "",
        "![Head of the report of that run](pictures/donors_report.png)", "",
        "| molecule | bound through (Å) | r2scan-3c | mp2/def2-tzvp | gfn2 | gfn1 |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name in names:
        cells = [number(energy_eV.get((name, level))) for level in (JUDGE, OTHERS[0])]
        cells += [with_error(energy_eV, name, level) for level in OTHERS[1:]]
        lines.append(f"| {name} | {bound[name]} | " + " | ".join(cells) + " |")
    lines += ["", "## What tight binding is worth, by donor", ""]
    lines += ["Energy less that of r2SCAN-3c, eV: mean, and the range; negative = holds Li+ too strongly.", ""]
    lines += ["| donor | molecules | mp2/def2-tzvp | gfn2 | gfn1 |", "|---|---|---|---|---|"]
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        groups[class_of(name)].append(name)
    for kind, members in groups.items():
        cells = []
        for level in OTHERS:
            known = [name for name in members if (name, level) in energy_eV and (name, JUDGE) in energy_eV]
            off = [energy_eV[name, level] - energy_eV[name, JUDGE] for name in known]
            cells.append(f"{sum(off) / len(off):+.2f} ({min(off):+.2f} to {max(off):+.2f})" if off else "")
        lines.append(f"| {kind} | {len(members)} | " + " | ".join(cells) + " |")
    Path(sys.argv[2]).write_text("\n".join(lines) + "\n", encoding="utf-8")


def shell_of(results: solvation.Results, cluster: str, name: str) -> str:
    """`carbonyl O 1.75`: the donors that hold the ion in the lowest structure."""
    molecules = {one: build_molecule(one, Species(library=one)) for one in ("Li+", name)}
    shell = build_shell(dict.fromkeys(molecules, 1), molecules)
    found = contacts(shell, results.structures[cluster][0].atoms.positions)
    return ", ".join(f"{one.kind} {one.distance_A:.2f}" for one in found)


def class_of(name: str) -> str:
    """The row of the second table that a molecule belongs to."""
    kinds = {donor.kind for donor in build_molecule(name, Species(library=name)).donors}
    return next(label for label, members in CLASSES.items() if kinds & set(members))


def number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def with_error(energy_eV: dict[tuple[str, str], float], name: str, level: str) -> str:
    """`-2.55 (-0.42)`."""
    if (name, level) not in energy_eV:
        return ""
    off = energy_eV[name, level] - energy_eV[name, JUDGE] if (name, JUDGE) in energy_eV else math.nan
    return f"{energy_eV[name, level]:.2f} ({off:+.2f})"


if __name__ == "__main__":
    main()
