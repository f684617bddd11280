"""Transport of a study: how its trajectories are read for diffusion and conductivity."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from solvation.study.base import Name, Section


class Transport(Section):
    """Diffusion and conductivity of every periodic trajectory."""

    REVISION: ClassVar[int] = 1
    least_move_A: float = Field(
        3.0, ge=0, description="Root mean square displacement that particles must have reached at the longest lag, Å."
    )
    viscosity_mPa_s: dict[Name, Annotated[float, Field(gt=0)]] = Field(
        default_factory=dict,
        description="Trajectory -> viscosity of its liquid, for the correction for periodic images, mPa s.",
    )
    series: dict[Name, Annotated[tuple[Name, ...], Field(min_length=3)]] = Field(
        default_factory=dict,
        description="Name -> trajectories of one liquid at three or more temperatures, for a fit after Arrhenius.",
    )
