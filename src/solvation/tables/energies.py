"""The tidy tables of a study: one fact a row, units in the column names (docs/tables.md)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from solvation.archive.checksums import checksums
from solvation.archive.lineage import records_of
from solvation.clusters.checks import ion_on_hydrogen
from solvation.clusters.ensembles import Rejected, Structure, boltzmann, read_rejected, read_structures, search_error_eV
from solvation.clusters.ligands import free_error_eV
from solvation.energies.binding import DEFINITIONS, Binding, binding_from_json, reference_from_json
from solvation.energies.counterpoise import CORRECTED, counterpoise_from_json
from solvation.energies.thermochemistry import TREATMENTS, thermochemistry_from_json
from solvation.errors import StepFailed
from solvation.failures import read_result, write_failures
from solvation.provenance import read_json, sha256, versions, write_json
from solvation.study import Level, Study
from solvation.study.targets import all_files, settings_sha256, targets, unasked_tables
from solvation.tables.ensembles import (
    EnsembleRow,
    RejectedRow,
    ensemble_rows,
    failed_ensembles,
    floors_eV,
    rejected_rows,
)
from solvation.tables.liquids import write_liquid_tables
from solvation.tables.potentials import write_potential_table
from solvation.tables.profiles import write_profile_tables
from solvation.tidy import write_rows

#: Name of the definition `relaxed` averaged over the structures of the cluster and the conformers of its ligands.
AVERAGED = "relaxed_ensemble"


@dataclass(frozen=True, slots=True)
class BindingRow:
    """One binding energy: cluster x level x definition; `status` is `ok` or `failed`, then `note` says why.

    Attributes
    ----------
    stderr_eV
        What one search of the complex and of its free ligands errs by, from how far independent ones differ
        (`search_error_eV`): of the lowest structures, whatever the definition. NaN of a single search. What a level
        errs by is not in it.
    spread_eV
        Standard deviation of the ensemble behind an averaged energy; NaN for the energy of one structure.
    deformation_eV, ligand_ligand_eV
        What bending all ligands costs, and what they do to each other in the empty shell; positive: against the bond.
    deformations
        What bending each of them costs: `EC 0.05, 0.06, 0.06; TDA 0.41`.
    """

    cluster: str
    label: str
    composition: str
    level: str
    definition: str
    energy_eV: float
    stderr_eV: float
    spread_eV: float
    energy_per_ligand_eV: float
    deformation_eV: float
    ligand_ligand_eV: float
    deformations: str
    geometry_level: str
    structure: str
    denticity: str
    n_starts: int | None
    n_kept: int | None
    n_rejected: int | None
    status: str
    note: str


@dataclass(frozen=True, slots=True)
class ThermochemistryRow:
    """Free energy of binding: cluster x level x treatment of the soft modes.

    Attributes
    ----------
    symmetry_numbers
        Of the complex and its free parts: `complex 1, Li+ 1, EC 2`.
    """

    cluster: str
    level: str
    geometry_level: str
    structure: str
    treatment: str
    temperature_K: float
    pressure_bar: float
    definition: str
    energy_eV: float
    zero_point_eV: float
    enthalpy_eV: float
    gibbs_eV: float
    softest_cm: float
    n_imaginary: int | None
    symmetry_numbers: str
    note: str


def write_tables(study: Study) -> None:
    """Gather all finished steps of a study into `results/<name>/*.csv` and `provenance.json`.

    Tables of what it asked for before, and no longer does, are removed.

    Raises
    ------
    ResultsError
        When a step's result is missing, or was made for another study.
    """
    folder = study.folder
    for name in unasked_tables(study):
        (folder / name).unlink(missing_ok=True)
    bindings: list[BindingRow] = []
    ensembles: list[EnsembleRow] = []
    rejected: list[RejectedRow] = []

    @cache
    def free(species: str) -> list[Structure]:
        return read_structures(folder / "ligands" / f"{species}.extxyz")

    for name in study.clusters:
        try:
            kept = read_structures(folder / "clusters" / name / "ensemble.extxyz")
        except StepFailed as problem:
            ensembles += failed_ensembles(study, name, str(problem))
            bindings += [
                row for level in study.levels_of(name) for row in _failed_bindings(study, name, level, problem)
            ]
            continue
        lost = read_rejected(folder / "clusters" / name / "rejected.extxyz")
        members = ensemble_rows(study, name, kept)
        bindings += _binding_rows(study, name, kept, lost, members, free)
        ensembles += members
        rejected += rejected_rows(name, kept, lost)
    write_rows(folder / "binding.csv", BindingRow, bindings)
    if study.thermochemistry is not None:
        rows = [row for name in study.clusters for row in _thermochemistry_rows(study, name, bindings)]
        write_rows(folder / "thermochemistry.csv", ThermochemistryRow, rows)
    write_rows(folder / "ensemble.csv", EnsembleRow, ensembles)
    write_rows(folder / "rejected.csv", RejectedRow, rejected)
    write_liquid_tables(study)
    write_profile_tables(study)
    write_potential_table(study)
    write_failures(folder, all_files(study))
    write_json(folder / "provenance.json", _provenance(study))


def label_of(composition: Mapping[str, int]) -> str:
    """`Li+(EC)3(TDA)`: how chemists write a composition."""
    first, *rest = composition.items()
    return first[0] + "".join(f"({name}){count if count > 1 else ''}" for name, count in rest)


def _binding_rows(
    study: Study,
    cluster: str,
    kept: Sequence[Structure],
    rejected: Sequence[Rejected],
    members: Sequence[EnsembleRow],
    free: Callable[[str], Sequence[Structure]],
) -> list[BindingRow]:
    """Rows of one cluster at all its levels; `free` gives the conformers of a species."""
    folder = study.folder
    composition = study.clusters[cluster].composition
    n_ligands = sum(composition.values()) - 1
    counts = read_json(folder / "clusters" / cluster / "record.json")
    rows = []
    for level in study.levels_of(cluster):
        try:
            found = binding_from_json(read_result(folder / "energies" / cluster / f"{level.slug}.json"))
        except StepFailed as problem:
            rows += _failed_bindings(study, cluster, level, problem)
            continue
        chosen = next(item for item in kept if item.name == found.structure)
        notes = (chosen.note, ion_on_hydrogen(chosen.atoms), _lower_but_rejected(chosen, kept, rejected), found.doubt)
        note = "; ".join(part for part in notes if part)
        energies: dict[str, float] = {definition: found.energy_eV(definition) for definition in DEFINITIONS}
        failed = {}
        if level in study.corrected_levels_of(cluster):
            try:
                extra = read_result(folder / "energies" / cluster / "counterpoise" / f"{level.slug}.json")
                energies[CORRECTED] = energies["relaxed"] + counterpoise_from_json(extra).correction_eV
            except StepFailed as problem:
                energies[CORRECTED], failed[CORRECTED] = math.nan, str(problem)
        averaged = _averaged(study, cluster, level, members, found.complex_eV)
        # Equal ligands err by one and the same error.
        errors_eV = [count * free_error_eV(level, free(name)) for name, count in composition.items()]
        stderr_eV = math.hypot(search_error_eV(level, kept), *errors_eV)
        if averaged is not None:
            energies[AVERAGED] = energies["relaxed"] + averaged[0]
        for definition, energy in energies.items():
            rows.append(
                BindingRow(
                    cluster=cluster,
                    label=label_of(composition),
                    composition=_spelt(composition),
                    level=str(level),
                    definition=definition,
                    energy_eV=energy,
                    stderr_eV=stderr_eV,
                    spread_eV=averaged[1] if averaged and definition == AVERAGED else math.nan,
                    energy_per_ligand_eV=energy / n_ligands,
                    deformation_eV=found.deformation_eV,
                    ligand_ligand_eV=found.ligand_ligand_eV,
                    deformations=_deformations(composition, found),
                    geometry_level=str(found.geometry_level),
                    structure=found.structure,
                    denticity=chosen.denticity,
                    n_starts=counts["n_starts"],
                    n_kept=len(kept),
                    n_rejected=len(rejected),
                    status="failed" if definition in failed else "ok",
                    note=failed.get(definition, note),
                )
            )
    return rows


def _failed_bindings(study: Study, cluster: str, level: Level, problem: StepFailed) -> list[BindingRow]:
    """Rows of the energies that the cluster would have at this level, all unknown."""
    composition = study.clusters[cluster].composition
    definitions: list[str] = list(DEFINITIONS)
    if level in study.corrected_levels_of(cluster):
        definitions.append(CORRECTED)
    if level in (*study.levels.geometries, study.levels.rank):
        definitions.append(AVERAGED)
    unknown = math.nan
    return [
        BindingRow(
            cluster, label_of(composition), _spelt(composition), str(level), definition, *(unknown,) * 6, "",
            geometry_level="", structure="", denticity="", n_starts=None, n_kept=None, n_rejected=None,
            status="failed", note=str(problem),
        )
        for definition in definitions
    ]  # fmt: skip


def _spelt(composition: Mapping[str, int]) -> str:
    return " ".join(f"{name}:{count}" for name, count in composition.items())


def _deformations(composition: Mapping[str, int], found: Binding) -> str:
    """What bending each molecule costs, in the order of the shell: `EC 0.05, 0.05, 0.06; TDA 0.41`.

    The ion is told of where it has several atoms.
    """
    bent = zip(found.ligands_frozen_eV, found.ligands_relaxed_eV, strict=True)
    # Without the sign of a zero.
    costs = iter([f"{round(frozen - relaxed, 2) + 0.0:.2f}" for frozen, relaxed in bent])
    (ion, _), *ligands = composition.items()
    told = [f"{ion} {found.ion_deformation_eV:.2f}"] if found.ion_frozen_eV != found.ion_eV else []
    told += [f"{name} {', '.join(next(costs) for _ in range(count))}" for name, count in ligands]
    return "; ".join(told)


def _averaged(
    study: Study, cluster: str, level: Level, members: Sequence[EnsembleRow], complex_eV: float
) -> tuple[float, float] | None:
    """What averaging over structures and free conformers adds to a binding energy, and the spread of both, eV.

    None at a level at which the cluster has no ensemble, only its lowest structure.

    Parameters
    ----------
    complex_eV
        Of the structure that the binding energy is of. A shoulder of the surface may lie below it.
    """
    own = [row.energy_eV for row in members if row.level == str(level) and math.isfinite(row.population)]
    if not own:
        return None
    kelvin = study.ensemble_temperature_K
    shift, spread = boltzmann(own, kelvin, complex_eV)
    variance = spread**2
    for name, count in study.clusters[cluster].composition.items():
        free = reference_from_json(read_result(study.folder / "energies" / "references" / name / f"{level.slug}.json"))
        above, wide = boltzmann(free.conformers_eV, kelvin)
        shift -= count * above
        variance += count * wide**2
    return shift, math.sqrt(variance)


def _thermochemistry_rows(study: Study, cluster: str, bindings: Sequence[BindingRow]) -> list[ThermochemistryRow]:
    """Motion added to the electronic energy, the one with counterpoise where there is one."""
    temperatures_K = study.thermochemistry.temperatures_K if study.thermochemistry else ()
    rows = []
    for level in study.levels_of(cluster):
        known = {row.definition: row for row in bindings if row.cluster == cluster and row.level == str(level)}
        bound = known.get(CORRECTED) or known["relaxed"]
        try:
            path = study.folder / "energies" / cluster / "thermochemistry" / f"{level.slug}.json"
            motions = thermochemistry_from_json(read_result(path))
        except StepFailed as problem:
            rows += [row for kelvin in temperatures_K for row in _failed_motion(kelvin, bound, str(problem))]
            continue
        rows += [
            ThermochemistryRow(
                cluster=cluster,
                level=str(level),
                geometry_level=bound.geometry_level,
                structure=bound.structure,
                treatment=treatment,
                temperature_K=motion.complex.temperature_K,
                pressure_bar=motion.complex.pressure_bar,
                definition=bound.definition,
                energy_eV=bound.energy_eV,
                zero_point_eV=motion.zero_point_eV,
                enthalpy_eV=bound.energy_eV + motion.enthalpy_eV,
                gibbs_eV=bound.energy_eV + motion.gibbs_eV(treatment),
                softest_cm=motion.complex.softest_cm,
                n_imaginary=motion.complex.n_imaginary,
                symmetry_numbers=", ".join(f"{name} {turns}" for name, turns in motion.symmetry_numbers.items()),
                note="; ".join(part for part in (motion.note, bound.note if bound.status == "failed" else "") if part),
            )
            for motion in motions
            for treatment in TREATMENTS
        ]
    return rows


def _failed_motion(temperature_K: float, bound: BindingRow, why: str) -> list[ThermochemistryRow]:
    return [
        ThermochemistryRow(
            bound.cluster, bound.level, bound.geometry_level, bound.structure, treatment, temperature_K, math.nan,
            bound.definition, bound.energy_eV, *(math.nan,) * 4, None, "", why,
        )
        for treatment in TREATMENTS
    ]  # fmt: skip


def _lower_but_rejected(chosen: Structure, kept: Sequence[Structure], rejected: Sequence[Rejected]) -> str:
    """Say when a structure that is not the cluster asked for lies lower on the surface of the chosen one."""
    floor = floors_eV(kept)[chosen.geometry_level]
    lower = [
        item
        for item in rejected
        if item.stage == "check" and item.geometry_level == chosen.geometry_level and (item.energy_eV or 0.0) < floor
    ]
    if not lower:
        return ""
    best = min(lower, key=lambda item: item.energy_eV or 0.0)
    fall = floor - (best.energy_eV or 0.0)
    return (
        f"a rejected structure lies {fall:.2f} eV lower at {best.geometry_level}: {best.reason}" if fall > 0.005 else ""
    )


def _provenance(study: Study) -> dict[str, Any]:
    folder = study.folder
    steps = []
    for name, made in records_of(folder, targets(study)).items():
        kept = ("step", "wall_s", "cpu_s", "peak_MB", "seed", "card", "inputs_sha256")
        steps.append({"file": name, **{key: made.get(key) for key in kept}})
        steps[-1]["status"] = made.get("status", "ok")
        steps[-1]["subject"] = (made.get("card") or {}).get("name", Path(name).parent.name)
    return {
        "study": study.model_dump(mode="json"),
        "versions": versions(),
        "settings_sha256": settings_sha256(study),
        "seed": study.seed,
        "steps": steps,
        "inputs_sha256": {str(path): sha256(path) for path in (*study.own_files.values(), *study.weights)},
        "files_sha256": checksums(study, {str(step["file"]) for step in steps}),
    }
