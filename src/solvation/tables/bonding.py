"""Tidy tables of why an ion is held: bonding.csv, oxidation.csv, spectra.csv and shieldings.csv (docs/tables.md)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from solvation.energies.bonding import Bonding, bonding_from_json
from solvation.energies.oxidation import Oxidation, oxidation_from_json
from solvation.energies.shieldings import shieldings_from_json
from solvation.energies.spectra import band_cm
from solvation.energies.thermochemistry import thermochemistry_from_json
from solvation.engines.electrons import SCHEMES
from solvation.errors import StepFailed
from solvation.failures import read_result
from solvation.study import Study
from solvation.study.targets import tables
from solvation.tidy import write_rows

#: Terms of the decomposition in the order in which they are told; they add up to the binding energy `frozen_shell`.
TERMS = ("electrostatics", "exchange_repulsion", "dispersion", "polarisation", "charge_transfer")


@dataclass(frozen=True, slots=True)
class BondingRow:
    """One number about the bond of one cluster; `part` names the molecule or atom it belongs to."""

    cluster: str
    level: str
    structure: str
    quantity: str
    part: str
    value: float
    unit: str
    note: str


@dataclass(frozen=True, slots=True)
class OxidationRow:
    """Ionisation energies of a free ligand or a cluster, and what they are against Li+/Li."""

    subject: str
    kind: str
    level: str
    geometry_level: str
    structure: str
    vertical_eV: float
    adiabatic_eV: float
    vertical_V: float
    adiabatic_V: float
    note: str


@dataclass(frozen=True, slots=True)
class SpectrumRow:
    """C=O stretch of one cluster or of one of its free ligands at the level that relaxed the cluster.

    Attributes
    ----------
    subject
        `complex`, or the name of a free ligand.
    band_cm
        Centre of the band, weighted by intensity.
    shift_cm
        From the band of the free ligand to that of the complex; NaN where several ligands have C=O.
    note
        Why there is none.
    """

    cluster: str
    structure: str
    geometry_level: str
    subject: str
    band_cm: float
    shift_cm: float
    n_modes: int
    modes_cm: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class ShieldingRow:
    """Magnetic shielding of one nucleus in a complex and in its free molecule.

    Attributes
    ----------
    species
        Its molecule, counted where there are several: `EC 2`.
    binds
        `yes` for a donor within the first shell of the ion.
    shift_ppm
        Free minus complex: what a spectrum referenced to the free ligand shows.
    """

    cluster: str
    level: str
    structure: str
    species: str
    atom: int
    isotope: str
    kind: str
    binds: str
    distance_A: float
    free_ppm: float
    complex_ppm: float
    shift_ppm: float
    note: str


def write_bonding_tables(study: Study) -> None:
    """Gather the analyses of bonds, ionisation energies and spectra of a study, those tables that it asks for.

    Raises
    ------
    ResultsError
        A step's result is missing.
    """
    made: dict[str, tuple[type[Any], list[Any]]] = {
        "bonding.csv": (BondingRow, list(_bonding(study))),
        "oxidation.csv": (OxidationRow, list(_oxidation(study))),
        "spectra.csv": (SpectrumRow, list(_spectra(study))),
        "shieldings.csv": (ShieldingRow, list(_shieldings(study))),
    }
    asked = tables(study)
    for name, (kind, rows) in made.items():
        if name in asked:
            write_rows(study.folder / name, kind, rows)


def _bonding(study: Study) -> Iterator[BondingRow]:
    for cluster in study.clusters:
        for level in study.bonding_levels_of(cluster):
            path = study.folder / "bonding" / cluster / f"{level.slug}.json"
            try:
                found = bonding_from_json(read_result(path))
            except StepFailed as problem:
                yield BondingRow(cluster, str(level), "", "failed", "", math.nan, "", str(problem))
                continue
            for quantity, part, value, unit, note in _numbers(found):
                yield BondingRow(cluster, str(level), found.structure, quantity, part, value, unit, note)


def _numbers(found: Bonding) -> Iterator[tuple[str, str, float, str, str]]:
    terms = found.decomposition
    for term in TERMS:
        yield f"energy[{term}]", "ion - shell", getattr(terms, f"{term}_eV"), "eV", ""
    yield "energy[interaction]", "ion - shell", terms.interaction_eV, "eV", "sum of the terms"
    yield (
        "energy[superposition]",
        "ion - shell",
        terms.superposition_eV,
        "eV",
        "the part of charge_transfer that is not real",
    )
    names = _numbered(found.molecules)
    for scheme in SCHEMES:
        if scheme not in found.charges_e:
            continue
        note = f"the fit misses {found.esp_error:.1%} of the potential" if scheme == "esp" else ""
        for name, charge in zip(names, found.charges_e[scheme], strict=True):
            yield f"charge[{scheme}]", name, charge, "e", note
        yield f"charge_transfer[{scheme}]", names[0], found.charge_transfer_e(scheme), "e", "electrons the ion received"
    for name, potential in zip(names[1:], found.potential_at_ion_V, strict=True):
        yield "potential_at_ion", name, potential, "V", "of this ligand alone, as in the complex"
    yield "potential_at_ion", "shell", found.shell_potential_at_ion_V, "V", "of the empty shell"
    for donor in found.donors:
        part = f"{names[donor.ligand]} {donor.kind} (atom {donor.atom})"
        yield "distance", part, donor.distance_A, "Å", ""
        yield "potential_at_donor", part, donor.potential_V, "V", "of its own molecule alone"
        for kind, charge in donor.charges_e.items():
            yield f"donor_charge[{kind}]", part, charge, "e", ""
    unstable = f"the electronic state is unstable: {found.instability}" if found.instability else ""
    yield "homo", "complex", found.homo_eV, "eV", unstable or "Kohn-Sham orbital, no ionisation energy"
    yield "lumo", "complex", found.lumo_eV, "eV", "Kohn-Sham orbital"
    for quantity, values in (("homo", found.ligand_homo_eV), ("lumo", found.ligand_lumo_eV)):
        # Records of before have none.
        for name, value in zip(names[1:], values, strict=False):
            yield quantity, name, value, "eV", "Kohn-Sham orbital of this ligand alone, as in the complex"


def _numbered(names: tuple[str, ...]) -> list[str]:
    """`EC 1`, `EC 2`, `TDA`: copies are counted where there are several."""
    total, seen, found = Counter(names), Counter[str](), []
    for name in names:
        seen[name] += 1
        found.append(f"{name} {seen[name]}" if total[name] > 1 else name)
    return found


def _oxidation(study: Study) -> Iterator[OxidationRow]:
    for level in study.levels.oxidation:
        for kind, folder, names in (
            ("species", "species", study.ligands), ("cluster", "clusters", tuple(study.clusters)),
        ):  # fmt: skip
            for name in names:
                path = study.folder / "oxidation" / folder / name / f"{level.slug}.json"
                try:
                    yield _oxidation_row(name, kind, oxidation_from_json(read_result(path)))
                except StepFailed as problem:
                    yield OxidationRow(name, kind, str(level), "", "", *(math.nan,) * 4, str(problem))


def _oxidation_row(subject: str, kind: str, found: Oxidation) -> OxidationRow:
    return OxidationRow(
        subject, kind, str(found.level), str(found.geometry_level), found.structure, found.vertical_eV,
        found.adiabatic_eV, found.vertical_V, found.adiabatic_V, found.note,
    )  # fmt: skip


def _spectra(study: Study) -> Iterator[SpectrumRow]:
    if study.thermochemistry is None:
        return
    for cluster in study.clusters:
        seen = set()
        for level in study.levels_of(cluster):
            path = study.folder / "energies" / cluster / "thermochemistry" / f"{level.slug}.json"
            try:
                motion, *_ = thermochemistry_from_json(read_result(path))
            except StepFailed as problem:
                yield SpectrumRow(cluster, "", str(level), "complex", *(math.nan,) * 2, 0, "", str(problem))
                continue
            whole = motion.complex
            if (whole.structure, whole.level) in seen or not whole.carbonyls:
                continue
            seen.add((whole.structure, whole.level))
            free = {item.name: item for item in motion.free if item.carbonyls}
            bands = {name: band_cm(item.carbonyls) for name, item in free.items()}
            shift = band_cm(whole.carbonyls) - next(iter(bands.values())) if len(bands) == 1 else float("nan")
            for subject, item in {"complex": whole, **free}.items():
                yield SpectrumRow(
                    cluster, whole.structure, whole.level, subject, band_cm(item.carbonyls),
                    shift if subject == "complex" else float("nan"), len(item.carbonyls),
                    " ".join(f"{one.wavenumber_cm:.1f}" for one in item.carbonyls),
                )  # fmt: skip


def _shieldings(study: Study) -> Iterator[ShieldingRow]:
    for cluster in study.clusters:
        for level in study.shielding_levels_of(cluster):
            path = study.folder / "shieldings" / cluster / f"{level.slug}.json"
            try:
                found = shieldings_from_json(read_result(path))
            except StepFailed as problem:
                yield ShieldingRow(cluster, str(level), "", "", 0, "", "", "", *(math.nan,) * 4, str(problem))
                continue
            names = _numbered(found.molecules)
            for one in found.nuclei:
                yield ShieldingRow(
                    cluster, str(level), found.structure, names[one.molecule], one.atom, one.isotope, one.kind,
                    "yes" if one.binds else "", one.distance_A, one.free_ppm, one.complex_ppm, one.shift_ppm, "",
                )  # fmt: skip
