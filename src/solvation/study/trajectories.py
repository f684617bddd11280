"""Trajectories: computed here, or the user's own."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from solvation.study.base import PlainPath, Section
from solvation.study.levels import Level


class MolecularDynamics(Section):
    """A droplet or a periodic box, packed and run through ASE in segments that resume."""

    REVISION: ClassVar[int] = 1
    composition: dict[str, PositiveInt] = Field(min_length=2, description="Copies of each species.")
    shape: Literal["droplet", "box"] = Field("droplet", description="A free droplet or a periodic cube.")
    density_g_cm3: float = Field(1.3, gt=0.01, lt=5, description="Density at which it is packed, g/cm3.")
    level: Level = Field(Level.model_validate("gfn1"), description="Level of theory of the forces.")
    temperature_K: float = Field(313.0, gt=0, description="Temperature of the thermostat, K.")
    friction_per_ps: float = Field(5.0, gt=0, description="Friction of the Langevin thermostat, 1/ps.")
    timestep_fs: float = Field(1.0, gt=0, le=5, description="Time step, fs.")
    hydrogen_mass_u: float = Field(
        1.008, ge=1, le=4, description="Mass of H; 3 allows 2 fs and changes no average structure, u."
    )
    equilibration_ps: float = Field(0.5, ge=0, description="Left out of the analysis, ps.")
    length_ps: float = Field(2.0, gt=0, description="Total length, equilibration included, ps.")
    segments: int = Field(4, ge=1, le=10_000, description="Jobs the run is cut into; each one resumes.")
    save_every_fs: float = Field(10.0, gt=0, description="Time between frames, fs.")

    @model_validator(mode="after")
    def _consistent(self) -> MolecularDynamics:
        if self.level.is_wave_function:
            raise ValueError(f"level: {self.level} has no forces; run at tight binding or a density functional")
        if self.equilibration_ps >= self.length_ps:
            raise ValueError(
                f"equilibration_ps ({self.equilibration_ps:g}) leaves nothing of length_ps ({self.length_ps:g})"
            )
        if self.timestep_fs > 1.5 and self.hydrogen_mass_u < 2.5:
            raise ValueError(
                f"timestep_fs {self.timestep_fs:g} breaks X-H bonds of hydrogen_mass_u {self.hydrogen_mass_u:g}; "
                "set hydrogen_mass_u: 3 or timestep_fs: 1"
            )
        if self.save_every_fs < self.timestep_fs:
            raise ValueError("save_every_fs is shorter than timestep_fs")
        return self


class OwnTrajectory(Section):
    """A trajectory the user brings: anything MDAnalysis reads, extxyz, or VASP's XDATCAR."""

    topology: PlainPath = Field(description="File with the atoms' names; for extxyz and XDATCAR the file itself.")
    trajectory: PlainPath | None = Field(None, description="File with the frames, when it is not the topology.")
    format: str | None = Field(None, description="Format of the frames when the suffix does not tell.")
    center: str = Field(description="MDAnalysis selection of the ions, e.g. 'name LI'.")
    donors: dict[str, str] = Field(min_length=1, description="Donor kind -> MDAnalysis selection.")
    box_A: tuple[float, ...] | None = Field(None, description="Edges (and angles) when the file has none, Å.")
    timestep_ps: float | None = Field(None, gt=0, description="Time between frames when the file has none, ps.")
    skip_ps: float = Field(0.0, ge=0, description="Left out at the start, ps.")


class Analysis(Section):
    """Radial distribution functions, coordination numbers, shells and how long they last."""

    REVISION: ClassVar[int] = 2  # 2: shell populations, residence times and transitions
    r_max_A: float = Field(6.0, gt=0.5, le=50, description="Range of g(r), Å.")
    n_bins: int = Field(120, ge=10, le=10_000, description="Bins of g(r).")
    anions: tuple[str, ...] = Field(
        (), description="Donor kinds that belong to anions: ions are then sorted into free, SSIP, CIP and AGG."
    )
    tolerance_ps: float = Field(
        2.0, ge=0, description="Longest break that a contact survives, and window of an exchange, ps."
    )
