"""The study file: what a user asks for, validated before anything is computed.

Imports no chemistry, so that planning a workflow stays cheap.
"""

from __future__ import annotations

from solvation.study.base import Name, Section, card_of
from solvation.study.clusters import Cluster, Sampling, Thermochemistry
from solvation.study.file import Study, load_study
from solvation.study.levels import Level, Levels
from solvation.study.patterns import Patterns
from solvation.study.potentials import Potential
from solvation.study.profiles import Bias, Profile
from solvation.study.published import Published
from solvation.study.species import Species
from solvation.study.trajectories import (
    Analysis,
    Charges,
    ClassicalDynamics,
    ComputedTrajectory,
    Mixture,
    MolecularDynamics,
    OwnTrajectory,
)
from solvation.study.transport import Transport

__all__ = [
    "Analysis", "Bias", "Charges", "ClassicalDynamics", "Cluster", "ComputedTrajectory", "Level", "Levels", "Mixture",
    "MolecularDynamics", "Name", "OwnTrajectory", "Patterns", "Potential", "Profile", "Published", "Sampling",
    "Section", "Species", "Study", "Thermochemistry", "Transport", "card_of", "load_study",
]  # fmt: skip
