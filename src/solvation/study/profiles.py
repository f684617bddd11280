"""Free-energy profiles: a molecule that is led to an ion and away again, in a box of the study."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, model_validator

from solvation.study.base import Name, Section
from solvation.study.trajectories import ClassicalDynamics


class Profile(Section):
    """Umbrella sampling of the distance between the first ion of a box and the nearest donor of a species.

    A walk of windows leads a molecule in and out again, each window beginning where the one before ended; the farthest
    have no bias. `held` copies that stand at the ion where the box ends are let alone. When more stand there, the walk
    goes out first.
    """

    REVISION: ClassVar[int] = 1
    box: Name = Field(description="Classical trajectory of this study from whose end the walk begins.")
    ligand: str = Field(description="Species whose donors are led to the ion.")
    donor: str | None = Field(
        None, description="Kind of its donors that is led, as in coordination.csv: 'carbonyl O'; left out = all kinds."
    )
    held: int = Field(
        0, ge=0, description="Copies of it that stay at the ion: 1 asks what a second one gains beside a first."
    )
    near_A: float = Field(2.0, gt=1, lt=10, description="Distance of the nearest window, Å.")
    far_A: float = Field(4.8, gt=1, lt=20, description="Distance of the farthest window with a bias, Å.")
    step_A: float = Field(0.2, gt=0.02, le=1, description="Between the centres of two windows, Å.")
    stiffness_eV_A2: float = Field(1.5, gt=0, le=50, description="Force constant of the bias, eV/Å2.")
    window_ps: float = Field(60.0, gt=0, description="Length of a window, ps.")
    settle_ps: float = Field(10.0, ge=0, description="Left out at the beginning of each window, ps.")
    save_every_fs: float = Field(200.0, gt=0, description="Time between frames, fs.")
    contact_A: float = Field(2.8, gt=1, lt=10, description="Donors nearer than this are counted as the shell, Å.")

    @model_validator(mode="after")
    def _leads_somewhere(self) -> Self:
        if self.far_A - self.near_A < 2 * self.step_A:
            raise ValueError(
                f"far_A ({self.far_A:g}) leaves fewer than three windows from near_A ({self.near_A:g}); raise it"
            )
        if self.settle_ps >= self.window_ps:
            raise ValueError(f"settle_ps ({self.settle_ps:g}) leaves nothing of window_ps ({self.window_ps:g})")
        return self

    @property
    def inwards_A(self) -> tuple[float | None, ...]:
        """Centre of the bias in each window of the way in, Å; None = no bias."""
        count = round((self.far_A - self.near_A) / self.step_A)
        step_A = (self.far_A - self.near_A) / count
        return (None, *(round(self.far_A - number * step_A, 4) for number in range(count + 1)))

    @property
    def n_windows(self) -> int:
        """Windows of both ways."""
        return 2 * len(self.inwards_A)

    def centre_A(self, window: int, *, out_first: bool) -> float | None:
        """Centre of the bias in a window of the walk, counted from 1, Å; None = no bias."""
        inwards = self.inwards_A
        there = inwards[::-1] if out_first else inwards
        return (*there, *reversed(there))[window - 1]

    def run_of(self, box: ClassicalDynamics) -> ClassicalDynamics:
        """The settings of `box` with the lengths of this walk, a segment for each window."""
        return box.model_copy(
            update={
                "length_ps": self.n_windows * self.window_ps, "segments": self.n_windows, "equilibration_ps": 0.0,
                "save_every_fs": self.save_every_fs,
            }
        )  # fmt: skip
