"""Patterns of a study: angles at the ion and structure factors of every trajectory, for comparison with experiments."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, PositiveInt

from solvation.study.base import Section


class Patterns(Section):
    """Angles of the first shells, and structure factors of periodic boxes."""

    REVISION: ClassVar[int] = 1
    angle_bins: int = Field(90, ge=4, le=1800, description="Bins of an angle, from 0 to 180 degrees.")
    angle_frames: PositiveInt = Field(2000, description="Frames the angles are counted in, evenly spread, at most.")
    q_max_1_A: float = Field(12.0, gt=0.5, le=50, description="Largest wave vector of S(q), 1/Å.")
    q_width_1_A: float = Field(0.1, gt=0, le=2, description="Width of a bin of S(q), 1/Å.")
    q_vectors: PositiveInt = Field(60, description="Wave vectors of a bin of S(q), at most.")
    q_frames: PositiveInt = Field(100, description="Frames S(q) is taken from, evenly spread, at most.")
    deuterated: bool = Field(False, description="Take H for D in the structure factor of neutrons.")
