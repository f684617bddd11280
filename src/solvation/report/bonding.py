"""Why the ion is held: energy terms, charges, ionisation energies, C=O bands, shieldings; rows and sentences."""

from __future__ import annotations

from typing import Any

import pandas as pd

from solvation.report.inputs import Inputs, number
from solvation.report.sections import records

TERMS = {
    "electrostatics": "electrostatics",
    "exchange_repulsion": "Pauli repulsion",
    "dispersion": "dispersion",
    "polarisation": "polarisation",
    "charge_transfer": "charge transfer",
}
_SCHEMES = ("iao", "lowdin", "mulliken", "esp")


def bonding(inputs: Inputs) -> dict[str, Any] | None:
    """Return what the page says of the bonds; None when the study did not ask for it."""
    table = inputs.tables["bonding"]
    oxidation, spectra = inputs.tables["oxidation"], inputs.tables["spectra"]
    shieldings = inputs.tables["shieldings"]
    if table.empty and oxidation.empty and spectra.empty and shieldings.empty:
        return None
    levels = list(dict.fromkeys(table["level"]))
    rows = [_row(inputs, table, level, cluster) for level in levels for cluster in dict.fromkeys(table["cluster"])]
    return {
        "terms": list(TERMS.items()),
        "schemes": _SCHEMES,
        "rows": rows,
        "sentences": [
            text for level in levels for text in _sentences(inputs, [r for r in rows if r["level"] == level])
        ],
        "donors": _donors(table),
        "oxidation": _oxidation(oxidation),
        "spectra": _spectra(spectra),
        "shieldings": _shieldings(shieldings),
        "published_shifts": _published_shifts(inputs.tables["comparison"]),
    }


def _row(inputs: Inputs, table: pd.DataFrame, level: str, cluster: str) -> dict[str, Any]:
    own = table[(table["cluster"] == cluster) & (table["level"] == level)]
    first = own.groupby("quantity", sort=False)["value"].first()
    potentials = own[own["quantity"] == "potential_at_ion"]
    return {
        "cluster": cluster,
        "level": level,
        "structure": own["structure"].iloc[0] if len(own) else "",
        "n_ligands": int((potentials["part"] != "shell").sum()),
        "terms": {term: number(first.get(f"energy[{term}]")) for term in TERMS},
        "interaction": number(first.get("energy[interaction]")),
        "superposition": number(first.get("energy[superposition]")),
        "transfer": {scheme: number(first.get(f"charge_transfer[{scheme}]")) for scheme in _SCHEMES},
        "shell_potential": number(potentials.loc[potentials["part"] == "shell", "value"].max()),
        "ligand_potentials": [
            (row["part"], number(row["value"])) for row in records(potentials) if row["part"] != "shell"
        ],
        "homo": number(first.get("homo")),
        "lumo": number(first.get("lumo")),
    }


def _sentences(inputs: Inputs, rows: list[dict[str, Any]]) -> list[str]:
    """Of every two shells of one size: which is held more strongly as it stands, and which term decides."""
    found = []
    for place, one in enumerate(rows):
        for other in rows[place + 1 :]:
            known = None not in (one["interaction"], other["interaction"])
            if not known or one["n_ligands"] != other["n_ligands"] or one["cluster"] == other["cluster"]:
                continue
            strong, weak = sorted((one, other), key=lambda row: row["interaction"])
            gap = weak["interaction"] - strong["interaction"]
            parts = {term: strong["terms"][term] - weak["terms"][term] for term in TERMS}
            for_it = sorted((term for term in parts if parts[term] < -0.005), key=lambda term: parts[term])
            against = sorted((term for term in parts if parts[term] > 0.005), key=lambda term: -parts[term])
            text = (
                f"{strong['cluster']} holds the ion more strongly than {weak['cluster']} by {gap:.2f} eV "
                f"(ion against the frozen shell, {strong['level']})"
            )
            if for_it:
                text += ": for it " + ", ".join(f"{TERMS[term]} {parts[term]:+.2f}" for term in for_it)
            if against:
                text += ", against it " + ", ".join(f"{TERMS[term]} {parts[term]:+.2f}" for term in against)
            found.append(text + ".")
    return found


def _donors(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Donor atoms of every cluster with distance and charges, nearest first."""
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in records(table[table["quantity"].str.startswith(("distance", "donor_charge", "potential_at_donor"))]):
        line = found.setdefault(
            (row["cluster"], row["level"], row["part"]),
            {"cluster": row["cluster"], "level": row["level"], "part": row["part"], "charges": {}},
        )
        if row["quantity"] == "distance":
            line["distance"] = row["value"]
        elif row["quantity"] == "potential_at_donor":
            line["potential"] = row["value"]
        else:
            line["charges"][row["quantity"].removeprefix("donor_charge[").rstrip("]")] = row["value"]
    return list(found.values())


def _oxidation(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The hardest to oxidise first, within each level."""
    return records(table.sort_values(["level", "adiabatic_V"], ascending=[True, False], kind="stable"))


def _spectra(table: pd.DataFrame) -> list[dict[str, Any]]:
    """One line for each complex with C=O, its free ligands' bands beside it."""
    found = []
    for (cluster, level), rows in table.groupby(["cluster", "geometry_level"], sort=False):
        whole = rows[rows["subject"] == "complex"]
        if whole.empty:
            continue
        free = rows[rows["subject"] != "complex"]
        found.append(
            {
                **records(whole)[0],
                "cluster": cluster,
                "level": level,
                "free": ", ".join(f"{row['subject']} {row['band_cm']:.0f}" for row in records(free)),
            }
        )
    return found


def _shieldings(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The ion and every donor, the nearest first, within each cluster and level; failures with their reason."""
    told = table[(table["kind"] != "") | (table["atom"] == 0)]
    return records(told.sort_values(["cluster", "level", "distance_A"], kind="stable"))


def _published_shifts(comparison: pd.DataFrame) -> list[dict[str, Any]]:
    """What was measured, one line for each number: beside the computed ones, never among them."""
    rows = comparison[(comparison["quantity"] == "nmr_shift") & comparison["published"].notna()]
    return records(rows)
