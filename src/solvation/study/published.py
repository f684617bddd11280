"""Values published elsewhere: set beside a finished table, never inside a computed column."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from solvation.study.base import Section

Quantity = Literal["binding_energy", "binding_energy_difference", "first_peak", "coordination_number", "nmr_shift"]


class Published(Section):
    """One published number and where it stands."""

    quantity: Quantity = Field(description="What was published.")
    subject: str = Field(
        description="Cluster, 'CLUSTER - CLUSTER' for a difference, 'TRAJECTORY / DONOR', or 'CLUSTER / DONOR' for "
        "nmr_shift.",
        min_length=1,
    )
    value: float = Field(description="The published number, in `unit`.")
    unit: str = Field(description="eV, Å, ppm or 1.")
    source: str = Field(min_length=3, description="Where it stands: citation.")
    definition: str | None = Field(None, description="What the source says about its definition.")
