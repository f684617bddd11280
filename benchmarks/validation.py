"""Write docs/validation.md from a finished run of config/models.yaml.

snakemake --cores all --config study=config/models.yaml
python benchmarks/validation.py results/models docs/validation.md
"""

from __future__ import annotations

import sys
from pathlib import Path

from ase.units import kcal, mol

import solvation

#: Species by donor, and what is set beside them: kcal/mol and where it was read.
SPECIES = ("H2O", "NH3", "NMe3", "Me2O", "MeCN", "acetone", "MeOAc", "EC")
REFERENCE = {
    "H2O": (34.85, "coupled cluster, Li-O 1.80 Å, rigid water: Riera et al., J. Chem. Phys. 147, 161715 (2017)"),
}
PAIRS = (("NMe3", "EC"), ("NMe3", "MeOAc"), ("NMe3", "acetone"), ("NMe3", "Me2O"), ("NH3", "H2O"), ("MeCN", "acetone"))
BEST = "best estimate"


def main() -> None:
    results, page = solvation.load_results(sys.argv[1]), Path(sys.argv[2])
    energy: dict[tuple[str, str], float] = {}
    for row in results.binding:
        level = row.level + {"relaxed": "", "relaxed_counterpoise": " CP"}.get(row.definition, "?")
        if not level.endswith("?"):
            energy[row.cluster.removeprefix("Li_"), level] = -row.energy_eV / (kcal / mol)
    for name in SPECIES:
        parts = [energy.get((name, f"{level} CP")) for level in ("mp2/def2-tzvp", "ccsd(t)/def2-svp", "mp2/def2-svp")]
        if None not in parts:
            energy[name, BEST] = parts[0] + parts[1] - parts[2]
    levels = list(dict.fromkeys(level for _, level in energy))
    levels.sort(key=lambda level: (level != BEST, not level.endswith(" CP"), level))
    lines = [
        "# Validation: one Li+ on one donor", "",
        "Made by `python benchmarks/validation.py results/models docs/validation.md` from a run of",
        "`config/models.yaml`; no number is typed in but the reference. Electronic energies of binding, kcal/mol,",
        "positive = bound, of structures relaxed at PBE-D4/def2-SVP, against relaxed ligands. CP: with counterpoise.",
        "The best estimate is MP2/def2-TZVP with counterpoise plus CCSD(T) - MP2 in def2-SVP with counterpoise; a",
        "triple-zeta basis leaves it 1 to 2 kcal/mol too weak",
        "([engines](engines.md)).", "",
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
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
