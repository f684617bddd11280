"""Free-energy profiles: a molecule that is led to an ion and away again, in a box of the study."""

from __future__ import annotations

from typing import ClassVar, NamedTuple, Self

from pydantic import Field, model_validator

from solvation.study.base import Name, Section
from solvation.study.trajectories import ClassicalDynamics


class Bias(NamedTuple):
    """0.5 k (x - c)^2 on the distance x of the nearest donor; of a wall only where x < c."""

    centre_A: float
    stiffness_eV_A2: float
    is_wall: bool = False


class Profile(Section):
    """Umbrella sampling of the distance between the first ion of a box and the nearest donor of a species.

    A walk of windows leads a molecule in and out again, each window beginning where the one before ended. The farthest
    one is a wall that leaves it free beyond: a window without any bias would have to come in by itself. `held` copies
    that stand at the ion where the box ends are let alone. When more stand there, the walk goes out first.
    """

    REVISION: ClassVar[int] = 3  # 2: the first wide window overlaps the last narrow one; 3: random numbers of its own
    box: Name = Field(description="Classical trajectory of this study from whose end the walk begins.")
    ligand: str = Field(description="Species whose donors are led to the ion.")
    donor: str | None = Field(
        None, description="Kind of its donors that is led, as in coordination.csv: 'carbonyl O'; left out = all kinds."
    )
    held: int = Field(
        0, ge=0, description="Copies of it that stay at the ion: 1 asks what a second one gains beside a first."
    )
    near_A: float = Field(2.2, gt=1, lt=10, description="Distance of the nearest window, Å.")
    step_A: float = Field(0.2, gt=0.02, le=1, description="Between the centres of two windows, Å.")
    stiffness_eV_A2: float = Field(1.5, gt=0, le=50, description="Force constant of the bias, eV/Å2.")
    wide_from_A: float = Field(
        4.0, gt=1, lt=20, description="From here on windows are wider, and softer by the square, Å."
    )
    wide_step_A: float = Field(0.5, gt=0.02, le=2, description="Between the centres of two wide windows, Å.")
    far_A: float = Field(6.0, gt=1, lt=20, description="Place of the wall of the farthest window, Å.")
    window_ps: float = Field(60.0, gt=0, description="Length of a window, ps: a whole number of blocks of 5000 steps.")
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
    def inwards(self) -> tuple[Bias, ...]:
        """The bias of each window of the way in."""
        between_A = min(max(self.wide_from_A, self.near_A), self.far_A)
        close = _evenly(self.near_A, between_A, self.step_A)
        # Neighbours overlap alike all the way: half of each width where a narrow one meets a wide one.
        first_A = between_A + (self.step_A + self.wide_step_A) / 2
        wide = _evenly(first_A, self.far_A, self.wide_step_A)[:-1]
        soft_eV_A2 = self.stiffness_eV_A2 * (self.step_A / self.wide_step_A) ** 2
        return (
            Bias(self.far_A, soft_eV_A2, is_wall=True),
            *(Bias(centre_A, soft_eV_A2) for centre_A in reversed(wide)),
            *(Bias(centre_A, self.stiffness_eV_A2) for centre_A in reversed(close)),
        )

    @property
    def n_windows(self) -> int:
        """Windows of both ways."""
        return 2 * len(self.inwards)

    def bias(self, window: int, *, out_first: bool) -> Bias:
        """The bias in a window of the walk, counted from 1."""
        there = self.inwards[::-1] if out_first else self.inwards
        return (*there, *reversed(there))[window - 1]

    def run_of(self, box: ClassicalDynamics) -> ClassicalDynamics:
        """The settings of `box` with the lengths of this walk, a segment for each window."""
        return box.model_copy(
            update={
                "length_ps": self.n_windows * self.window_ps, "segments": self.n_windows, "equilibration_ps": 0.0,
                "save_every_fs": self.save_every_fs,
            }
        )  # fmt: skip


def _evenly(first_A: float, last_A: float, step_A: float) -> list[float]:
    """Distances from the first to the last, about a step apart; the first alone where both are one."""
    count = max(1, round((last_A - first_A) / step_A)) if last_A > first_A else 0
    return [round(first_A + number * (last_A - first_A) / max(count, 1), 4) for number in range(count + 1)]
