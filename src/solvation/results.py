"""All tables of a finished study as typed rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from solvation.clusters.ensembles import Structure, read_structures
from solvation.comparison import ComparisonRow
from solvation.errors import ResultsError
from solvation.failures import FailureRow, is_failed
from solvation.patterns.angles import AngleRow
from solvation.patterns.scattering import StructureFactorRow
from solvation.potentials.errors import PotentialRow
from solvation.profiles.free_energy import CurveRow, ProfileRow, ShellRow
from solvation.provenance import read_json
from solvation.tables.bonding import BondingRow, OxidationRow, ShieldingRow, SpectrumRow
from solvation.tables.boxes import BoxRow
from solvation.tables.energies import BindingRow, ThermochemistryRow
from solvation.tables.ensembles import EnsembleRow, RejectedRow
from solvation.tables.profiles import PopulationRow
from solvation.tables.shells import (
    CoordinationRow,
    NetworkRow,
    RdfRow,
    ResidenceRow,
    SpeciationRow,
    SurvivalRow,
    TransitionRow,
)
from solvation.tables.transport import ArrheniusRow
from solvation.tidy import read_rows
from solvation.transport.analysis import MsdRow, TransportRow

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Results:
    """A finished study.

    Attributes
    ----------
    structures
        Kept structures of each cluster, the judge's lowest first; none where the search failed.
    failures
        Steps without a result, and why.
    provenance
        Study, versions, seed, and every step with its card, checksums and times.
    """

    folder: Path
    binding: tuple[BindingRow, ...]
    thermochemistry: tuple[ThermochemistryRow, ...]
    bonding: tuple[BondingRow, ...]
    oxidation: tuple[OxidationRow, ...]
    spectra: tuple[SpectrumRow, ...]
    shieldings: tuple[ShieldingRow, ...]
    ensemble: tuple[EnsembleRow, ...]
    rejected: tuple[RejectedRow, ...]
    rdf: tuple[RdfRow, ...]
    coordination: tuple[CoordinationRow, ...]
    speciation: tuple[SpeciationRow, ...]
    networks: tuple[NetworkRow, ...]
    residence: tuple[ResidenceRow, ...]
    survival: tuple[SurvivalRow, ...]
    transitions: tuple[TransitionRow, ...]
    angles: tuple[AngleRow, ...]
    structure_factor: tuple[StructureFactorRow, ...]
    transport: tuple[TransportRow, ...]
    msd: tuple[MsdRow, ...]
    boxes: tuple[BoxRow, ...]
    arrhenius: tuple[ArrheniusRow, ...]
    profiles: tuple[ProfileRow, ...]
    profile_curves: tuple[CurveRow, ...]
    profile_shells: tuple[ShellRow, ...]
    profile_populations: tuple[PopulationRow, ...]
    potentials: tuple[PotentialRow, ...]
    comparison: tuple[ComparisonRow, ...]
    failures: tuple[FailureRow, ...]
    structures: dict[str, tuple[Structure, ...]]
    provenance: dict[str, Any]


def load_results(folder: str | Path) -> Results:
    """Read `results/<study>/` (docs/tables.md).

    Raises
    ------
    ResultsError
        A table is missing, or another version wrote it.
    """
    folder = Path(folder)
    path = folder / "provenance.json"
    if not path.is_file():
        raise ResultsError(f"{path} is missing: {folder} is not the folder of a finished study")
    provenance = read_json(path)
    study = provenance.get("study")
    if not isinstance(study, dict) or not {"clusters", "trajectories", "thermochemistry", "levels"} <= set(study):
        raise ResultsError(f"{path}: not the provenance of a study of this version; run the study again")
    clusters, trajectories = study["clusters"], study["trajectories"]

    def table(name: str, kind: type[Row], *, made: bool) -> tuple[Row, ...]:
        return tuple(read_rows(folder / f"{name}.csv", kind)) if made else ()

    return Results(
        folder=folder,
        binding=table("binding", BindingRow, made=bool(clusters)),
        thermochemistry=table("thermochemistry", ThermochemistryRow, made=bool(study["thermochemistry"])),
        bonding=table("bonding", BondingRow, made=bool(study["levels"]["bonding"])),
        oxidation=table("oxidation", OxidationRow, made=bool(study["levels"]["oxidation"])),
        spectra=table("spectra", SpectrumRow, made=bool(study["thermochemistry"])),
        shieldings=table("shieldings", ShieldingRow, made=bool(study["levels"].get("shieldings"))),
        ensemble=table("ensemble", EnsembleRow, made=bool(clusters)),
        rejected=table("rejected", RejectedRow, made=bool(clusters)),
        rdf=table("rdf", RdfRow, made=bool(trajectories)),
        coordination=table("coordination", CoordinationRow, made=bool(trajectories)),
        speciation=table("speciation", SpeciationRow, made=bool(trajectories)),
        networks=table("networks", NetworkRow, made=bool(trajectories)),
        residence=table("residence", ResidenceRow, made=bool(trajectories)),
        survival=table("survival", SurvivalRow, made=bool(trajectories)),
        transitions=table("transitions", TransitionRow, made=bool(trajectories)),
        angles=table("angles", AngleRow, made=bool(trajectories)),
        structure_factor=table("structure_factor", StructureFactorRow, made=bool(trajectories)),
        transport=table("transport", TransportRow, made=bool(trajectories)),
        msd=table("msd", MsdRow, made=bool(trajectories)),
        boxes=table("boxes", BoxRow, made=any(item.get("forcefield") for item in trajectories.values())),
        arrhenius=table("arrhenius", ArrheniusRow, made=bool(study.get("transport", {}).get("series"))),
        profiles=table("profiles", ProfileRow, made=bool(study.get("profiles"))),
        profile_curves=table("profile_curves", CurveRow, made=bool(study.get("profiles"))),
        profile_shells=table("profile_shells", ShellRow, made=bool(study.get("profiles"))),
        profile_populations=table("profile_populations", PopulationRow, made=bool(study.get("profiles"))),
        potentials=table("potentials", PotentialRow, made=bool(study.get("potentials"))),
        comparison=table("comparison", ComparisonRow, made=True),
        failures=table("failures", FailureRow, made=(folder / "failures.csv").is_file()),
        structures={name: _structures(folder / "clusters" / name / "ensemble.extxyz") for name in clusters},
        provenance=provenance,
    )


def _structures(path: Path) -> tuple[Structure, ...]:
    return () if is_failed(path) else tuple(read_structures(path))
