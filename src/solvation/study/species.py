"""Species: what a molecule or ion is, as the user declares it."""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field, model_validator

from solvation.study.base import PlainPath, Section

#: `Li+`, `[Li+]`, `Mg2+`, `[Mg+2]`, `[Mg++]`, `[7Li+]`, `Cl-`.
_BARE_ION = re.compile(r"\[?\d*[A-Z][a-z]?(?:\d*[+-]|[+-]\d+|\++|-+)\]?")

#: The charge of an atom in brackets: `[O-]`, `[Mg+2]`, `[Mg++]`, `[NH4+:1]`.
_CHARGE = re.compile(r"\[[^][]*?([+-]\d+|\++|-+)(?::\d+)?\]")

#: Entries of the library whose SMILES says something else than it did, so that their numbers are computed anew.
_REVISIONS = {"SOA": 2}  # 2: one diastereomer


class Species(Section):
    """One molecule or ion. Give one of `smiles`, `file`, `library`; a bare string is a SMILES."""

    smiles: str | None = Field(None, min_length=1, description="SMILES, charges included: 'O=C1OCCO1', '[Li+]'.")
    file: PlainPath | None = Field(None, description="XYZ, MOL, SDF or CIF file, relative to the study file.")
    library: str | None = Field(None, description="Name of an entry of structures/.")
    charge: int | None = Field(None, description="Net charge; taken from SMILES, MOL and library when left out.")
    multiplicity: int | None = Field(None, ge=1, description="2S+1; left out = a closed shell. Open ones need it.")
    donors: dict[str, str] | None = Field(
        None, min_length=1, description="Donor kinds by SMARTS (first atom binds), instead of those found by chemistry."
    )

    @model_validator(mode="before")
    @classmethod
    def _from_string(cls, value: Any) -> Any:
        return {"smiles": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_source(self) -> Species:
        given = [key for key in ("smiles", "file", "library") if getattr(self, key) is not None]
        if len(given) > 1:
            raise ValueError(f"give one of smiles, file and library, not {' and '.join(given)}")
        return self

    @property
    def revision(self) -> int:
        """What stands in the card: that of the section, or of the entry of the library."""
        return _REVISIONS.get(self.library or "", self.REVISION)

    @property
    def is_bare_ion(self) -> bool:
        """Whether its SMILES or its name in the library is that of one charged atom: `[Li+]`, `Li+`."""
        return bool(_BARE_ION.fullmatch(self.smiles or self.library or ""))

    @property
    def written_charge(self) -> int:
        """Charge as its text tells it: of `charge`, its SMILES, or its name in the library (`PF6-`); else zero."""
        if self.charge is not None:
            return self.charge
        if self.smiles is None:
            # The digit of `Mg2+` is of its charge, that of `ClO4-` of its atoms.
            name = self.library or ""
            return _signed(name if self.is_bare_ion else name[-1:])
        return sum(_signed(found) for found in _CHARGE.findall(self.smiles))


def _signed(text: str) -> int:
    """`+`, `2+`, `+2`, `++` and `Mg2+` as a number; zero without a sign."""
    digits = "".join(one for one in text if one.isdigit())
    plus, minus = text.count("+"), text.count("-")
    return (int(digits) if digits else plus + minus) * ((plus > 0) - (minus > 0))
