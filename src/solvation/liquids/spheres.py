"""Published Lennard-Jones terms of molecules, given by the surroundings of each atom instead of by types."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from rdkit import Chem

from solvation.errors import SpeciesError
from solvation.shipped import library_folder
from solvation.species import Molecule

_KJ = 4.184
#: sigma of 4 e ((s/r)^12 - (s/r)^6) over half the distance of its minimum.
_SIGMA = 2 / 2 ** (1 / 6)


def _one_atom_marked(smarts: str) -> str:
    pattern = Chem.MolFromSmarts(smarts)
    if pattern is None or [atom.GetAtomMapNum() for atom in pattern.GetAtoms()].count(1) != 1:
        raise ValueError(f"'{smarts}' is no SMARTS with one atom numbered 1")
    return smarts


class _Rule(BaseModel):
    """One line of structures/lennard_jones.yaml, in its units: kcal/mol, Å."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    id: str
    smarts: Annotated[str, AfterValidator(_one_atom_marked)]
    epsilon: float = Field(ge=0)
    rmin_half: float | None = Field(None, gt=0)
    sigma: float | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _has_one_size(self) -> Self:
        if (self.rmin_half is None) == (self.sigma is None):
            raise ValueError("give rmin_half or sigma")
        return self

    @property
    def sphere(self) -> tuple[float, float]:
        """Sigma in Å and epsilon in kJ/mol."""
        return self.sigma or _SIGMA * (self.rmin_half or 0.0), _KJ * self.epsilon

    def atoms(self, graph: Chem.Mol) -> set[int]:
        """Indices of the atoms that it is for."""
        pattern = Chem.MolFromSmarts(self.smarts)
        marked = next(atom.GetIdx() for atom in pattern.GetAtoms() if atom.GetAtomMapNum() == 1)
        return {match[marked] for match in graph.GetSubstructMatches(pattern, uniquify=False)}


class _Set(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    source: str
    rules: tuple[_Rule, ...]


@cache
def _published() -> _Set:
    path = library_folder() / "lennard_jones.yaml"
    try:
        return _Set.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, ValidationError) as problem:
        raise SpeciesError(f"{path}: damaged ({str(problem).splitlines()[0]}); install the package again") from problem


def published_spheres(molecule: Molecule) -> tuple[str, list[tuple[float, float] | None]]:
    """Source, and sigma in Å and epsilon in kJ/mol of each atom by the last rule that matches it; None without a rule.

    References
    ----------
    Boothroyd et al., J. Chem. Theory Comput. 19, 3251 (2023): openff-2, fitted to densities and heats of mixing.
    """
    found: list[tuple[float, float] | None] = [None] * molecule.graph.GetNumAtoms()
    for rule in _published().rules:
        for atom in rule.atoms(molecule.graph):
            found[atom] = rule.sphere
    return _published().source, found
