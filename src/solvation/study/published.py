"""Values published elsewhere: set beside a finished table, never inside a computed column."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any, Literal, get_args

import yaml
from ase.units import kcal, kJ, mol
from pydantic import ConfigDict, Field, model_validator

from solvation.shipped import library_folder
from solvation.study.base import Section

Quantity = Literal[
    "binding_energy",
    "binding_energy_difference",
    "binding_gibbs_energy",
    "binding_gibbs_energy_difference",
    "first_peak",
    "coordination_number",
    "nmr_shift",
    "oxidation_potential",
    "carbonyl_shift",
    "conductivity",
    "self_diffusion",
    "angle",
    "density",
]
#: What a table's unit makes of one of each unit that may be given.
_UNITS = {
    "eV": {"eV": 1.0, "kJ/mol": kJ / mol, "kcal/mol": kcal / mol},
    "Å": {"Å": 1.0, "A": 1.0, "nm": 10.0},
    "ppm": {"ppm": 1.0},
    "V": {"V": 1.0, "mV": 1e-3},
    "1/cm": {"1/cm": 1.0},
    "1": {"1": 1.0},
    "mS/cm": {"mS/cm": 1.0, "S/cm": 1e3, "S/m": 10.0},
    "1e-6 cm2/s": {"1e-6 cm2/s": 1.0, "cm2/s": 1e6, "m2/s": 1e10},
    "degrees": {"degrees": 1.0},
    "g/cm3": {"g/cm3": 1.0, "kg/m3": 1e-3},
}


def _schema(schema: dict[str, Any]) -> None:
    """What stands in the library need not stand in a study."""
    told = schema["required"]
    schema["required"] = ["subject"]
    schema["anyOf"] = [{"required": ["id"]}, {"required": told}]


@cache
def published_numbers() -> Mapping[str, Mapping[str, Any]]:
    """Entries of structures/published.yaml by their `id`, numbers with the sign of the tables (bound is negative)."""
    entries = yaml.safe_load((library_folder() / "published.yaml").read_text(encoding="utf-8"))
    return {entry["id"]: _signed(entry) for entry in entries}


def _signed(entry: dict[str, Any]) -> dict[str, Any]:
    sign = -1 if entry.get("bound_is") == "positive" else 1
    return {key: sign * value if key in {"value", "low", "high"} else value for key, value in entry.items()}


class Published(Section):
    """One published number and where it stands; one of the library needs its `id` and a `subject` of the study."""

    model_config = ConfigDict(json_schema_extra=_schema)

    id: str | None = Field(None, description="Entry of structures/published.yaml, which tells all but the subject.")
    quantity: Quantity = Field(description="What was published.")
    subject: str = Field(
        description="Cluster, 'CLUSTER - CLUSTER' for a difference, 'TRAJECTORY / DONOR', 'CLUSTER / DONOR' for "
        "nmr_shift, 'CLUSTER' or 'SPECIES' for oxidation_potential (against Li+/Li), 'TRAJECTORY' for a conductivity "
        "or a density, 'TRAJECTORY / SPECIES' for self_diffusion, "
        "'TRAJECTORY / ANGLE'.",
        min_length=1,
    )
    value: float = Field(description="The published number, in `unit`; negative = bound.")
    unit: str = Field(
        description="eV, kJ/mol or kcal/mol; Å or nm; ppm; V; 1/cm; mS/cm, S/cm or S/m; cm2/s or m2/s; degrees; "
        "g/cm3 or kg/m3; 1 for a number."
    )
    source: str = Field(min_length=3, description="Where it stands: citation.")
    definition: str | None = Field(None, description="What the source says about its definition.")

    @model_validator(mode="before")
    @classmethod
    def _from_the_library(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not isinstance(name := values.get("id"), str):
            return values
        entry = published_numbers().get(name)
        if entry is None:
            near = get_close_matches(name, published_numbers(), 1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise ValueError(f"'{name}' is not in structures/published.yaml{hint}")
        if entry["quantity"] not in get_args(Quantity) or "value" not in entry:
            told = entry["quantity"] if "value" in entry else "range"
            raise ValueError(
                f"'{name}' is of the kind '{told}' in structures/published.yaml, which no table of a study has"
            )
        source = ", ".join(str(entry[key]) for key in ("source", "where") if key in entry)
        source += f", doi:{entry['doi']}" if "doi" in entry else ""
        known = {"quantity": entry["quantity"], "value": entry["value"], "unit": entry["unit"], "source": source}
        for key, value in known.items():
            if values.get(key, value) != value:
                raise ValueError(f"{key}: '{name}' has {value} in structures/published.yaml; leave out {key}")
        conditions = "; ".join(str(entry[key]) for key in ("conditions", "note") if key in entry)
        return {"definition": conditions or None, **values, **known}

    @property
    def table_unit(self) -> str:
        """Unit that the tables have for this quantity."""
        return {
            "first_peak": "Å", "coordination_number": "1", "nmr_shift": "ppm", "conductivity": "mS/cm",
            "oxidation_potential": "V", "carbonyl_shift": "1/cm",
            "self_diffusion": "1e-6 cm2/s", "angle": "degrees", "density": "g/cm3",
        }.get(self.quantity, "eV")  # fmt: skip

    @property
    def in_table_unit(self) -> float:
        """The published number in the unit of the tables."""
        return float(self.value * _UNITS[self.table_unit][self.unit])

    @model_validator(mode="after")
    def _unit_fits(self) -> Published:
        known = _UNITS[self.table_unit]
        if self.unit not in known:
            raise ValueError(f"unit '{self.unit}' does not fit {self.quantity}; give {', '.join(known)}")
        return self
