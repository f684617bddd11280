"""Write docs/validation.md from finished runs of config/models.yaml and, where there is one, config/basicity.yaml.

snakemake --cores all --config study=config/models.yaml
snakemake --cores all --config study=config/basicity.yaml
SOLVATION_CACHE=results/cache python benchmarks/validation.py results docs/validation.md
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import rigid_dimers
from ase.units import kcal, kJ, mol

import solvation

#: Species by donor, and what is set beside them: kcal/mol and where it was read.
SPECIES = ("H2O", "NH3", "NMe3", "Me2O", "MeCN", "acetone", "MeOAc", "EC")
REFERENCE = {
    "H2O": (34.85, "coupled cluster, Li-O 1.80 Å, rigid water: Riera et al., J. Chem. Phys. 147, 161715 (2017)"),
}
PAIRS = (("NMe3", "EC"), ("NMe3", "MeOAc"), ("NMe3", "acetone"), ("NMe3", "Me2O"), ("NH3", "H2O"), ("MeCN", "acetone"))
BEST = "best estimate"
DIMER_LEVELS = ("mp2/def2-tzvpp", "pbe0-d4/def2-tzvp", "pbe-d4/def2-svp", "r2scan-3c", "gfn2", "gfn1")


def main() -> None:
    folder, page = Path(sys.argv[1]), Path(sys.argv[2])
    results = solvation.load_results(folder / "models")
    energy: dict[tuple[str, str], float] = {}
    for row in results.binding:
        level = row.level + {"relaxed": "", "relaxed_counterpoise": " CP"}.get(row.definition, "?")
        if not level.endswith("?"):
            energy[row.cluster.removeprefix("Li_"), level] = -row.energy_eV / (kcal / mol)
    for name in SPECIES:
        parts = [energy.get((name, level)) for level in ("mp2/def2-tzvp CP", "ccsd(t)/def2-svp", "mp2/def2-svp")]
        if None not in parts:
            energy[name, BEST] = parts[0] + parts[1] - parts[2]
    levels = list(dict.fromkeys(level for _, level in energy))
    levels.sort(key=lambda level: (level != BEST, not level.endswith(" CP"), level))
    lines = [
        "# Validation: one Li+ on one donor", "",
        "Made by `benchmarks/validation.py` from runs of `config/models.yaml` and `config/basicity.yaml`; no number is",
        "typed in but published ones.", "",
        "## Electronic energies", "",
        "Energies of binding, kcal/mol, positive = bound, of structures relaxed at PBE-D4/def2-SVP, against relaxed",
        "ligands. CP: with counterpoise. The best estimate is MP2/def2-TZVP with counterpoise plus CCSD(T) - MP2 in",
        "def2-SVP; no basis is extrapolated, so it is good to about 1 kcal/mol (0.04 eV) itself.",
        "Published energies of Li+ on the other molecules were not at hand.", "",
        "| level | " + " | ".join(SPECIES) + " |", "|---" * (len(SPECIES) + 1) + "|",
    ]  # fmt: skip
    for level in levels:
        cells = [f"{energy[name, level]:.1f}" if (name, level) in energy else "" for name in SPECIES]
        lines.append(f"| {level} | " + " | ".join(cells) + " |")
    lines.append(
        "| reference | " + " | ".join(f"{REFERENCE[n][0]:.1f}" if n in REFERENCE else "" for n in SPECIES) + " |"
    )
    lines += ["", *(f"Reference of {name}: {source}." for name, (_, source) in REFERENCE.items())]
    lines += [
        "",
        "## Mean deviation from the best estimate, kcal/mol",
        "",
        "| level | mean | largest |",
        "|---|---|---|",
    ]
    for level in levels:
        off = [energy[n, level] - energy[n, BEST] for n in SPECIES if (n, level) in energy and (n, BEST) in energy]
        if level != BEST and off:
            worst = max(off, key=abs)
            lines.append(f"| {level} | {sum(off) / len(off):+.1f} | {worst:+.1f} |")
    lines += [
        "", "## Is it N or O that holds Li+?", "",
        "First minus second, kcal/mol; positive = the first, a nitrogen, holds Li+ more strongly.", "",
        "| level | " + " | ".join(f"{one} - {other}" for one, other in PAIRS) + " |", "|---" * (len(PAIRS) + 1) + "|",
    ]  # fmt: skip
    for level in levels:
        cells = []
        for one, other in PAIRS:
            known = (one, level) in energy and (other, level) in energy
            cells.append(f"{energy[one, level] - energy[other, level]:+.1f}" if known else "")
        lines.append(f"| {level} | " + " | ".join(cells) + " |")
    lines += ["", "## Rigid dimers that others computed", ""]
    lines += ["Interaction energies of frozen parts, kcal/mol, with counterpoise where the level knows it.", ""]
    lines += rigid_dimers.table(DIMER_LEVELS)
    lines += _basicities(folder / "basicity") if (folder / "basicity" / "comparison.csv").is_file() else []
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _basicities(folder: Path) -> list[str]:
    """Free energies of binding beside the measured lithium cation basicities, kJ/mol."""
    rows = solvation.load_results(folder).comparison
    free = [row for row in rows if row.quantity.startswith("binding_gibbs_energy[")]
    published = {row.subject: -row.published / (kJ / mol) for row in free if math.isfinite(row.published)}
    source = next(row.source for row in free if math.isfinite(row.published)).partition(" (given")[0]
    levels = dict.fromkeys((row.level, row.quantity.partition("[")[2].rstrip("]")) for row in free)
    names = list(published)
    lines = [
        "", "## Free energies that were measured", "",
        "Lithium cation basicities, -ΔG at 373 K and 1 bar, kJ/mol; with counterpoise where the level knows it.",
        "Structures and modes are those of GFN1-xTB or GFN2-xTB, whichever PBE-D4/def2-SVP finds lower, as in the",
        "default study.", "",
        "| level, soft modes | " + " | ".join(name.removeprefix("Li_") for name in names) + " |",
        "|---" * (len(names) + 1) + "|",
        "| measured | " + " | ".join(f"{published[name]:.1f}" for name in names) + " |",
    ]  # fmt: skip
    value = {(row.subject, row.level, row.quantity): -row.value / (kJ / mol) for row in free}
    for level, soft in levels:
        cells = [f"{value[name, level, f'binding_gibbs_energy[{soft}]']:.1f}" for name in names]
        lines.append(f"| {level}, {soft} | " + " | ".join(cells) + " |")
    return [*lines, "", f"Measured: {source}."]


if __name__ == "__main__":
    main()
