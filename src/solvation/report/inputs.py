"""Reading a results folder for the report; what is missing is named, never an error."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from ase import Atoms
from ase.io import read

from solvation.errors import ResultsError, in_short
from solvation.failures import is_failed
from solvation.provenance import read_json, refuse_large
from solvation.study import Level

#: Columns of each table; those of numbers are marked with a star, those that may be absent with a question mark.
_COLUMNS = {
    "comparison": (
        "subject quantity level? value* unit stderr*? spread*? published*? difference*? source? rank*? note?"
    ),
    "binding": (
        "cluster label? composition? level definition energy_eV* stderr_eV*? deformation_eV*? ligand_ligand_eV*? "
        "deformations? geometry_level? structure? denticity? "
        "n_starts*? n_kept*? n_rejected*? status? note?"
    ),
    "ensemble": (
        "cluster structure denticity? level role geometry_level? energy_eV* relative_energy_eV* population* "
        "fmax_eV_A*? searches? note?"
    ),
    "rejected": "cluster start stage reason level? relative_energy_eV*?",
    "rdf": "trajectory center donor r_A* g* n* g_stderr*? n_stderr*?",
    "coordination": (
        "trajectory donor counted cutoff_A* cn* cn_stderr* cn_low*? cn_high*? cn_integral*? cn_shorter*? cn_longer*? "
        "n_frames* peak_A*? statistical_inefficiency*? cn_rad*? "
        "verdict?"
    ),
    "speciation": (
        "trajectory grouped shell population* population_stderr* n_frames* statistical_inefficiency*? cutoffs_A? "
        "unmoved? note?"
    ),
    "networks": (
        "trajectory linked_by quantity kind n_ions* value* stderr* n_frames*? statistical_inefficiency*? cutoffs_A? "
        "note?"
    ),
    "residence": (
        "trajectory donor counted measure tolerance_ps*? cutoff_A*? residence_ps* residence_stderr_ps* "
        "longer_than_ps* survived* contacts* departures* verdict?"
    ),
    "survival": "trajectory donor counted measure lag_ps* survival* survival_stderr*?",
    "transitions": (
        "trajectory window_ps*? leaves enters events* entered_first*? probability* probability_stderr* "
        "per_ion_ns*? reverse_events* asymmetry* asymmetry_stderr* note?"
    ),
    "angles": (
        "trajectory angle theta_deg* density_per_deg* density_stderr_per_deg*? over_isotropic*? mean_deg* "
        "mean_stderr_deg*? n_angles*?"
    ),
    "structure_factor": (
        "trajectory radiation pair q_1_A* s* s_stderr*? intensity*? intensity_stderr*? unit? n_vectors*?"
    ),
    "transport": (
        "trajectory quantity species value* unit stderr* at_most*? fit_from_ps*? fit_to_ps*? exponent*? "
        "exponent_stderr*? n_particles*? verdict?"
    ),
    "msd": "trajectory species lag_ps* msd_A2* msd_stderr_A2*?",
    "boxes": "trajectory quantity species value* unit stderr* drift* drift_stderr* note?",
    "profiles": (
        "profile box ligand held* way free_energy_eV* stderr_eV* barrier_in_eV*? barrier_out_eV*? least_overlap*? "
        "samples*? note?"
    ),
    "profile_curves": "profile way distance_A* free_energy_eV* stderr_eV*? samples*?",
    "profile_shells": "profile way at_ion* shell share* population*",
    "profile_populations": "ligand profiles at_ion* population* low*? high*?",
    "arrhenius": (
        "series quantity species unit energy_kJ_mol* energy_stderr_kJ_mol* log_prefactor*? log_prefactor_stderr*? "
        "chi2_per_point*? temperatures_K? verdict?"
    ),
    "potentials": (
        "potential trajectory model level? n_fitted*? n_held_out*? energy_offset_meV_atom*? energy_rmse_meV_atom* "
        "energy_spread_meV_atom*? force_rmse_meV_A* force_rmse_percent* disagreement_meV_A*? "
        "largest_disagreement_eV_A*? error_over_disagreement*? correlation*? note?"
    ),
    "bonding": "cluster level structure? quantity part value* unit note?",
    "oxidation": (
        "subject kind level geometry_level? structure? vertical_eV* adiabatic_eV* vertical_V* adiabatic_V* note?"
    ),
    "spectra": "cluster structure? geometry_level subject band_cm* shift_cm* n_modes*? modes_cm? note?",
    "shieldings": (
        "cluster level structure? species atom*? isotope kind? binds? distance_A* free_ppm* complex_ppm* "
        "shift_ppm* note?"
    ),
    "failures": "step subject level? needs? reason file",
}  # fmt: skip
#: Tables that a study may do without.
_OPTIONAL = {
    "bonding",
    "oxidation",
    "spectra",
    "shieldings",
    "failures",
    "transport",
    "msd",
    "arrhenius",
    "boxes",
    "profiles",
    "profile_curves",
    "profile_shells",
    "profile_populations",
    "potentials",
    "angles",
    "structure_factor",
    "networks",
    "survival",
}
#: Tables that only a study with clusters, or with trajectories, has.
_ONLY_WITH = {
    "clusters": {"binding", "ensemble", "rejected"},
    "trajectories": {"rdf", "coordination", "speciation", "residence", "transitions"},
}
#: Tables without rows that are no gap: nothing was rejected, the frames have no times, or all are of droplets.
_MAY_BE_EMPTY = {"rejected", "transitions", "spectra", "msd", "angles", "structure_factor", "survival"}


@dataclass(frozen=True)
class Inputs:
    """All that the report is made of.

    Attributes
    ----------
    tables
        Those of `_COLUMNS` by name; empty when missing, with all columns.
    structures
        Kept structures of each cluster, lowest first.
    problems
        What is missing, one sentence each.
    """

    folder: Path
    tables: dict[str, pd.DataFrame]
    structures: dict[str, list[Atoms]]
    provenance: dict[str, Any]
    problems: list[str]

    def density(self, cluster: str) -> Path | None:
        """Cube file of the density difference of a cluster at the first level at which its bond was analysed."""
        table = self.tables["bonding"]
        for level in dict.fromkeys(table["level"][table["cluster"] == cluster]):
            path = self.folder / "bonding" / cluster / f"{Level.model_validate(level).slug}.cube"
            if path.is_file() and not is_failed(path):
                return path
        return None

    @property
    def study(self) -> dict[str, Any]:
        """Settings of the study; empty when the provenance is missing."""
        found = self.provenance.get("study")
        return found if isinstance(found, dict) else {}

    @property
    def name(self) -> str:
        """Name of the study, or of its folder."""
        return str(self.study.get("name") or self.folder.resolve().name)

    def declared(self, kind: str) -> list[str]:
        """Names of the `clusters` or `trajectories` that the study declares."""
        found = self.study.get(kind)
        return [str(item) for item in found] if isinstance(found, dict) else []

    def names(self, kind: str) -> list[str]:
        """Names of `clusters` or `trajectories`, declared or found, in order."""
        column, tables = {
            "clusters": ("cluster", ("binding", "ensemble", "rejected")),
            "trajectories": ("trajectory", ("rdf", "coordination")),
        }[kind]
        found = [name for table in tables for name in self.tables[table][column]]
        extra = list(self.structures) if kind == "clusters" else []
        return list(dict.fromkeys([*self.declared(kind), *found, *extra]))

    @property
    def main_level(self) -> str:
        """The first level of most clusters, which is the one that is set beside published values."""
        known = self.tables["binding"]
        known = known[known["energy_eV"].notna()] if known["energy_eV"].notna().any() else known
        first = Counter(known.drop_duplicates("cluster")["level"])
        return max(first, key=first.__getitem__, default="")


def load(results: Path) -> Inputs:
    """Read a results folder.

    Raises
    ------
    ResultsError
        It is no results folder, or a file in it cannot be read.
    """
    if not results.is_dir():
        raise ResultsError(f"{results}: no such folder; give the results folder of a study, results/<name>")
    tables: dict[str, pd.DataFrame] = {}
    problems: list[str] = []
    provenance = _provenance(results / "provenance.json")
    study = provenance.get("study") or {}
    # Without the settings of the study every table is asked for.
    not_due = {name for kind, names in _ONLY_WITH.items() if study and not study.get(kind) for name in names}
    for name in _COLUMNS:
        path = results / f"{name}.csv"
        tables[name] = _table(path, name)
        if not path.is_file() and name in _OPTIONAL | not_due:
            continue
        if not path.is_file():
            problems.append(f"{name}.csv is missing")
        elif tables[name].empty and name not in _MAY_BE_EMPTY | not_due:
            problems.append(f"{name}.csv has no rows")
    structures = {
        path.parent.name: _structures(path)
        for path in sorted(results.glob("clusters/*/ensemble.extxyz"))
        # Others are of what the study asked for before.
        if not study or path.parent.name in (study.get("clusters") or {})
    }
    if not provenance:
        problems.append("provenance.json is missing: settings, versions and timings are not known")
    if all(table.empty for table in tables.values()) and not structures:
        raise ResultsError(f"{results}: no tables and no structures; run the study first")
    found = Inputs(results, tables, structures, provenance, problems)
    structures = {name: structures[name] for name in found.names("clusters") if name in structures}
    return Inputs(results, tables, structures, provenance, problems + _gaps(found))


def number(value: Any) -> float | None:
    """Return a finite float, or None."""
    return None if value is None or pd.isna(value) or value in {float("inf"), float("-inf")} else float(value)


def slug(text: str) -> str:
    """Text as part of a file name or an HTML id."""
    return re.sub(r"[^A-Za-z0-9.+-]+", "_", text).strip(".") or "_"


def _table(path: Path, name: str) -> pd.DataFrame:
    marked = _COLUMNS[name].split()
    columns = [item.rstrip("*?") for item in marked]
    if not path.is_file():
        kinds = {item: float if "*" in mark else str for item, mark in zip(columns, marked, strict=True)}
        return pd.DataFrame({item: pd.Series(dtype=kind) for item, kind in kinds.items()})
    refuse_large(path)
    try:
        # Text first: a cluster may be called NA, which pandas would read as a missing number.
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except pd.errors.EmptyDataError:
        table = pd.DataFrame(columns=columns)
    except (OSError, ValueError) as problem:
        raise ResultsError(f"{path}: not a table ({in_short(problem)}); remove it and run again") from problem
    for column, mark in zip(columns, marked, strict=True):
        if column not in table:
            if "?" not in mark and len(table):
                raise ResultsError(f"{path}: no column '{column}'; remove the file and run the study again")
            table[column] = ""
        if "*" in mark:
            blank = table[column].str.strip().replace({"None": "", "nan": "", "NaN": ""})
            values = pd.to_numeric(blank.mask(blank == ""), errors="coerce").astype(float)
            wrong = table[column][values.isna() & (blank != "")]
            if len(wrong):
                raise ResultsError(f"{path}: line {wrong.index[0] + 2}, {column}: '{wrong.iloc[0]}' is not a number")
            table[column] = values
    return table


def _structures(path: Path) -> list[Atoms]:
    if path.stat().st_size == 0 or is_failed(path):
        return []
    try:
        frames: Any = read(path, index=":", format="extxyz")
    except (OSError, ValueError, KeyError, IndexError) as problem:
        raise ResultsError(f"{path}: not an ensemble ({in_short(problem)}); run again") from problem
    return list(frames)


def _provenance(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    found = read_json(path)
    steps, tables = found.get("steps") or [], [found.get(key) or {} for key in ("study", "versions", "inputs_sha256")]
    if not all(isinstance(item, dict) for item in (*tables, *(steps if isinstance(steps, list) else [steps]))):
        raise ResultsError(f"{path}: not the provenance of a study; remove it and run again")
    return found


def _gaps(inputs: Inputs) -> list[str]:
    """Name what the study declares and the tables do not hold, and every failed row."""
    tables, found = inputs.tables, _failed_steps(inputs.tables["failures"])
    for _, row in tables["binding"].iterrows():
        failed = row["status"] not in {"", "ok"} or number(row["energy_eV"]) is None
        if failed and tables["failures"].empty:
            reason = row["note"] or "no reason given"
            found.append(f"binding energy of {row['cluster']} at {row['level']} [{row['definition']}] failed: {reason}")
    for _, row in tables["comparison"].iterrows():
        if number(row["value"]) is None and number(row["published"]) is not None:
            found.append(f"{row['quantity']} of {row['subject']}: published, but not computed here")
    told = set(tables["failures"]["subject"])
    for cluster in (name for name in inputs.names("clusters") if name not in told):
        if cluster not in set(tables["binding"]["cluster"]):
            found.append(f"cluster {cluster} has no binding energy")
        if not inputs.structures.get(cluster):
            found.append(f"cluster {cluster} has no kept structure (clusters/{cluster}/ensemble.extxyz)")
    for trajectory in (name for name in inputs.names("trajectories") if name not in told):
        found += [
            f"trajectory {trajectory} is not in {table}.csv"
            for table in ("rdf", "coordination")
            if trajectory not in set(tables[table]["trajectory"])
        ]
    return found


def _failed_steps(table: pd.DataFrame) -> list[str]:
    """One sentence for each step that failed itself, with what is missing because of it."""
    found = []
    for _, row in table[table["needs"] == ""].iterrows():
        name = f"{row['step']} of {row['subject']}" + (f" at {row['level']}" if row["level"] else "")
        lost = table[table["needs"] == name]
        others = sorted({f"{step} of {subject}" for step, subject in zip(lost["step"], lost["subject"], strict=True)})
        text = f"{name} failed: {row['reason']}"
        found.append(text + (f"; without it there is no {', '.join(others)}" if others else ""))
    return found
