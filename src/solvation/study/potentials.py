"""Machine-learned potentials that a study fits to its own labelled frames."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, PositiveInt, model_validator

from solvation.study.base import Name, PlainPath, Section
from solvation.study.levels import Level


class Potential(Section):
    """A committee of MACE models, fitted to frames of trajectories of the study that a level labels."""

    REVISION: ClassVar[int] = 1
    level: Level = Field(description="Level of the energies and forces that the models learn.")
    frames: dict[Name, PositiveInt] = Field(
        min_length=1, description="Computed trajectory -> frames taken of it, evenly spaced after its equilibration."
    )
    structures: PlainPath | None = Field(
        None,
        description="Structures (extxyz; charge in the head of each) that are labelled and fitted besides, such as "
        "those at which a run stopped.",
    )
    held_out: float = Field(
        0.2, ge=0.05, le=0.5, description="Share of the frames that is not fitted but judged by: the last of each run."
    )
    gap_ps: float = Field(
        0.1, ge=0, description="Time between the last fitted and the first held-out frame of a run, ps."
    )
    members: int = Field(2, ge=1, le=8, description="Models, each from a seed of its own; their spread is the doubt.")
    cutoff_A: float = Field(4.5, ge=2, le=10, description="Range of one layer of messages, Å.")
    layers: int = Field(2, ge=1, le=4, description="Layers of messages; the model sees layers x cutoff_A far.")
    channels: int = Field(16, ge=4, le=512, description="Channels of each feature.")
    max_L: int = Field(0, ge=0, le=3, description="Highest order of the features: 0 invariant, 1 vectors, ...")
    correlation: int = Field(2, ge=1, le=3, description="Neighbours that one product holds at once.")
    epochs: int = Field(60, ge=1, le=10_000, description="Passes through the fitted frames.")
    batch: int = Field(2, ge=1, le=1000, description="Frames of one step of the optimiser.")
    learning_rate: float = Field(0.01, gt=0, le=1, description="Learning rate at the start; it falls to a hundredth.")
    energy_weight: float = Field(
        100.0, gt=0, description="Weight of energies (eV per atom) in the loss; forces (eV/Å) have 100."
    )

    @model_validator(mode="after")
    def _has_labels(self) -> Potential:
        if self.level.is_wave_function:
            raise ValueError(f"level: {self.level} has no forces; label at tight binding or a density functional")
        for name, count in self.frames.items():
            # A tenth of the fitted ones tells mace which epoch is the best.
            if round(count * self.held_out) < 1 or count - round(count * self.held_out) < 10:
                raise ValueError(f"frames.{name}: {count} frames are too few to fit and to hold out; take 20 or more")
        return self
