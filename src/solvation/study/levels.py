"""Levels of theory, written as one string: `gfn2`, `pbe-d4/def2-svp`, `gfn2@alpb=water`, `nwchem:pbe0/def2-svp`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_serializer, model_validator

from solvation.study.base import Section
from solvation.study.wording import beginning

Dispersion = Literal["d3bj", "d4"]
_PATTERN = re.compile(
    r"^(?:(?P<engine>[a-z0-9_]+):)?"
    r"(?P<method>[a-z0-9_+-]+?(?:\(t\))?)(?:-(?P<dispersion>d3bj|d4))?"
    r"(?:/(?P<basis>[a-z0-9_+*()-]+))?"
    r"(?:@(?P<model>[a-z]+)=(?P<medium>[a-z0-9.,_-]+))?$"
)
#: A calculator of one's own, by the path Python imports it by; letters keep their case there.
_OWN_PATTERN = re.compile(r"^ase:(?P<method>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+)$", re.ASCII)
#: Weights of a machine-learned potential, or of a committee of them; paths keep their case.
_WEIGHTS_PATTERN = re.compile(r"^mace:(?P<method>\S(?:.*\S)?\.model)(?:@charge=(?P<charge>[+-]?\d{1,3}))?$")
_TIGHT_BINDING = {"gfn1", "gfn2"}
_WAVE_FUNCTION = {"hf", "mp2", "ccsd", "ccsd(t)"}
#: Static permittivities that a continuum may be named by: handbook values, EC at 40 °C, the others at 25 °C; `ec-dec`
#: and `ec-dmc` are averages by volume of 1:1 mixtures, not measured ones.
PERMITTIVITIES = {
    "ec": 89.6, "pc": 64.9, "dec": 2.8, "dmc": 3.1, "emc": 2.96, "ec-dec": 46.2, "ec-dmc": 46.4,
}  # fmt: skip
#: Engines whose basis sets are atom-centred Gaussians, and how names of those with diffuse functions look.
_GAUSSIAN_BASES = ("pyscf", "gpu4pyscf", "nwchem", "psi4", "orca", "gaussian")
_DIFFUSE = re.compile(r"^(aug|ma|maug|jul|jun|may)-|\+|^def2-\w+d$")
#: Methods that are a functional, a basis set and corrections in one.
_COMPOSITE = {"r2scan-3c"}

#: The continua of each engine, as a level calls them.
SOLVENT_MODELS: dict[str, tuple[str, ...]] = {
    "tblite": ("alpb", "gbsa", "gbe"), "pyscf": ("cpcm", "iefpcm", "smd"), "gpu4pyscf": ("cpcm", "iefpcm"),
    "xtb": ("alpb", "gbsa"), "nwchem": ("cpcm",), "psi4": (), "cp2k": (), "orca": ("cpcm",),
    "gaussian": ("cpcm", "iefpcm"), "vasp": (), "ase": (), "mace": (),
}  # fmt: skip
#: Those that are parametrised for solvents, and know them by name.
_OF_NAMES = ("alpb", "gbsa", "smd")
_TIGHT_BINDING_ENGINES = ("tblite", "xtb", "cp2k")
_DFT_ENGINES = ("pyscf", "gpu4pyscf", "nwchem", "psi4", "cp2k", "orca", "gaussian", "vasp")


class Level(Section):
    """A level of theory: what is computed, not how fast.

    Two energies may be subtracted only when their levels are equal.
    """

    engine: str = Field(description=f"Program that computes it: {', '.join(SOLVENT_MODELS)}.")
    method: str = Field(
        description="gfn1, gfn2, a density functional, r2scan-3c, hf, mp2, ccsd, ccsd(t), an import path for ase, or "
        "files of weights for mace."
    )
    dispersion: Dispersion | None = Field(None, description="Dispersion correction of a functional.")
    basis: str | None = Field(None, description="Basis set of a functional; pw520 for plane waves to 520 eV.")
    solvent_model: str | None = Field(None, description="alpb, gbsa or gbe (tight binding); cpcm, iefpcm or smd (DFT).")
    medium: str | None = Field(
        None,
        description="A solvent's name for alpb, gbsa and smd; a permittivity or ec, pc, ec-dec, ... for gbe and pcm.",
    )
    charge: int = Field(0, description="Total charge of the systems that the weights of mace were fitted to.")

    @model_validator(mode="before")
    @classmethod
    def _from_string(cls, value: Any) -> Any:
        if isinstance(value, dict | Level):
            return value
        if not isinstance(value, str):
            raise ValueError(f"{beginning(value)} is not a level of theory; write one like 'gfn2' or 'pbe-d4/def2-svp'")
        if own := _OWN_PATTERN.match(value.strip()):
            return {"engine": "ase", "method": own["method"]}
        if fitted := _WEIGHTS_PATTERN.match(value.strip()):
            return {"engine": "mace", "method": fitted["method"], "charge": int(fitted["charge"] or 0)}
        found = _PATTERN.match(value.strip().lower())
        if found is None:
            raise ValueError(
                f"'{value}' is not a level of theory; write one like 'gfn2', 'gfn2@alpb=acetone', "
                "'pbe-d4/def2-svp' or 'pbe0-d4/def2-svp@cpcm=40'"
            )
        part = found.groupdict()
        if part["engine"] is None:
            part["engine"] = "tblite" if part["method"] in _TIGHT_BINDING else "pyscf"
        part["solvent_model"] = part.pop("model")
        return part

    @model_validator(mode="after")
    def _whole(self) -> Level:
        if self.engine == "mace":
            self._check_weights()
        elif self.is_own:
            self._check_own()
        elif self.is_tight_binding:
            self._check_tight_binding()
        else:
            self._check_functional()
        if self.solvent_model and self.solvent_model not in SOLVENT_MODELS[self.engine]:
            models = " or ".join(
                f"@{model}={'NAME' if model in _OF_NAMES else 'EPS'}" for model in SOLVENT_MODELS[self.engine]
            )
            raise ValueError(f"{self.method} on {self.engine} takes {models or 'no @'}, not @{self.solvent_model}")
        return self

    def _check_own(self) -> None:
        if "." not in self.method:
            raise ValueError(
                f"'{self}': ase takes the import path of a calculator and nothing else, "
                "e.g. 'ase:my_potential.calculator'"
            )

    def _check_weights(self) -> None:
        if not self.method.endswith(".model") or self.basis or self.dispersion or not self.method.isprintable():
            raise ValueError(
                "mace takes files of weights and nothing else, e.g. 'mace:mine.model', 'mace:a.model+b.model' for a "
                "committee, or 'mace:mine.model@charge=1'"
            )

    def _check_tight_binding(self) -> None:
        if self.basis or self.dispersion:
            raise ValueError(f"{self.method} carries its own basis and dispersion; write '{self.method}'")
        if self.engine not in _TIGHT_BINDING_ENGINES:
            raise ValueError(f"{self.method} runs on {_either(_TIGHT_BINDING_ENGINES)}, not on {self.engine}")
        if self.solvent_model not in _OF_NAMES:
            self._check_permittivity()

    def _check_functional(self) -> None:
        if self.method in _COMPOSITE and (self.basis or self.dispersion):
            raise ValueError(f"{self.method} carries its own basis and dispersion; write '{self.method}'")
        if self.is_wave_function and (self.dispersion or self.solvent_model):
            raise ValueError(f"{self.method} takes a basis set and nothing else, e.g. '{self.method}/def2-tzvp'")
        if not self.basis and self.method not in _COMPOSITE:
            raise ValueError(
                f"'{self.method}' is neither gfn1 nor gfn2; a density functional needs a basis set, "
                f"e.g. '{self.method}/def2-svp'"
            )
        engines: tuple[str, ...] = _DFT_ENGINES
        if self.is_wave_function or self.method in _COMPOSITE:
            engines = ("pyscf",) if self.is_wave_function else ("pyscf", "gpu4pyscf")
        if self.engine not in engines:
            raise ValueError(f"'{self.method}' runs on {_either(engines)}, not on '{self.engine}'")
        if self.solvent_model not in _OF_NAMES:
            self._check_permittivity()

    def _check_permittivity(self) -> None:
        number = re.fullmatch(r"\d+(\.\d+)?", self.medium or "")
        permittivity = float(number[0]) if number else PERMITTIVITIES.get(self.medium or "", 0.0)
        if self.solvent_model and permittivity < 1:
            raise ValueError(
                f"@{self.solvent_model} takes a permittivity of 1 or more, e.g. @{self.solvent_model}=40, or one of "
                f"{', '.join(PERMITTIVITIES)}"
            )

    @model_serializer
    def _to_string(self) -> str:
        return str(self)

    def __str__(self) -> str:
        default = "tblite" if self.method in _TIGHT_BINDING else "pyscf"
        text = self.method if self.engine == default else f"{self.engine}:{self.method}"
        text += f"-{self.dispersion}" if self.dispersion else ""
        text += f"/{self.basis}" if self.basis else ""
        text += f"@charge={self.charge}" if self.charge else ""
        return text + (f"@{self.solvent_model}={self.medium}" if self.solvent_model else "")

    @property
    def slug(self) -> str:
        """The level as part of a file name."""
        if self.weights:
            # Paths can be longer than a file name may be.
            text = "+".join(path.stem for path in self.weights)
            digest = hashlib.sha256(str(self).encode()).hexdigest()[:8]
            text = f"mace_{text[:60]}_{digest}"
            return re.sub(r"[^A-Za-z0-9.=+-]+", "_", text)
        text = re.sub(r"[^A-Za-z0-9.=+-]+", "_", str(self))
        # 6-31g* and 6-31g** are two basis sets, and must be two files.
        odd = re.search(r"[^A-Za-z0-9.=+:/@_-]", str(self).replace("ccsd(t)", ""))
        return f"{text}_{hashlib.sha256(str(self).encode()).hexdigest()[:8]}" if odd else text

    @property
    def permittivity(self) -> float:
        """Static permittivity of a continuum that has no other property.

        Raises
        ------
        ValueError
            The level has none.
        """
        medium = self.medium or ""
        return PERMITTIVITIES[medium] if medium in PERMITTIVITIES else float(medium)

    @property
    def in_gas_phase(self) -> Level:
        """The same level without a solvent."""
        return self.model_copy(update={"solvent_model": None, "medium": None})

    @property
    def is_wave_function(self) -> bool:
        """Whether it is Hartree-Fock or correlates it: energies only, dear, and the reference of the others."""
        return self.method in _WAVE_FUNCTION

    @property
    def has_density(self) -> bool:
        """Whether its electron density is at hand here: a density functional of pyscf with a basis set of its own."""
        return self.has_states and bool(self.basis)

    @property
    def has_states(self) -> bool:
        """Whether a lower electronic state than the one it converges to can be looked for: a functional of pyscf."""
        return self.engine == "pyscf" and not self.is_wave_function

    @property
    def on_gpu(self) -> bool:
        """Whether a graphics card computes it: one calculation at a time."""
        return self.engine == "gpu4pyscf"

    @property
    def is_licensed(self) -> bool:
        """Whether its program is the user's own and may be licensed by the seat."""
        return self.engine in {"orca", "gaussian", "vasp"}

    @property
    def is_own(self) -> bool:
        """Whether it is a potential or calculator of the user's own, of whose cost nothing is known."""
        return self.engine in {"ase", "mace"}

    @property
    def weights(self) -> tuple[Path, ...]:
        """Files of a machine-learned potential, one for each member of a committee; none of other levels."""
        return tuple(map(Path, re.split(r"(?<=\.model)\+", self.method))) if self.engine == "mace" else ()

    @property
    def lacks_diffuse(self) -> bool:
        """Whether its Gaussian basis has no functions for the far electrons of anions, by its name."""
        return self.basis is not None and self.engine in _GAUSSIAN_BASES and not _DIFFUSE.search(self.basis)

    @property
    def is_tight_binding(self) -> bool:
        """Whether it is cheap enough to sample with."""
        return self.method in _TIGHT_BINDING


def _either(names: Sequence[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


class Levels(Section):
    """Which level relaxes, which one judges the candidates, which ones give the energies."""

    search: tuple[Level, ...] = Field(
        (Level.model_validate("gfn1"), Level.model_validate("gfn2")),
        min_length=1,
        description="Tight-binding levels, each of which searches on its own surface; the judge sees the best of all. "
        "Without a judge (rank and geometry both null) the default is gfn2 alone: its energies are then the judge.",
    )
    geometry: Level | None = Field(
        None,
        description="Level that relaxes the judged best again; null leaves them as their search level relaxed them.",
    )
    rank: Level | None = Field(
        Level.model_validate("pbe-d4/def2-svp"),
        description="Single points that order the candidates; null keeps the order of the geometry level.",
    )
    energy: tuple[Level, ...] = Field(
        (Level.model_validate("pbe-d4/def2-svp"),),
        min_length=1,
        description="Levels of the binding energies; the first one is set beside published values.",
    )
    counterpoise: tuple[Level, ...] = Field(
        (),
        description="Those of the energy levels, of the study or of a cluster, whose basis set superposition is "
        "corrected, one more job each.",
    )
    bonding: tuple[Level, ...] = Field(
        (),
        description="Density functionals, in the gas phase, at which the bond is analysed: charges, potentials, "
        "decomposed energy, density difference.",
    )
    oxidation: tuple[Level, ...] = Field(
        (),
        description="Levels of the ionisation energies of ligands and complexes, with a continuum for a meaningful "
        "scale, e.g. pbe0-d4/def2-svp@cpcm=ec.",
    )
    shieldings: tuple[Level, ...] = Field(
        (),
        description="GGA functionals or their hybrids, of pyscf or nwchem, at which the magnetic shieldings of nuclei "
        "are computed in complexes and free ligands, e.g. pbe0/def2-tzvp@cpcm=ec.",
    )

    @model_validator(mode="before")
    @classmethod
    def _one_surface_without_a_judge(cls, values: Any) -> Any:
        if isinstance(values, dict) and "search" not in values:
            judged = values.get("rank", "by default") is not None or values.get("geometry") is not None
            return values if judged else {**values, "search": "gfn2"}
        return values

    @field_validator("search", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str | Level) else value

    @model_validator(mode="after")
    def _several_surfaces_need_a_judge(self) -> Levels:
        if len(set(self.search)) < len(self.search):
            raise ValueError("a search level stands twice")
        if len(self.search) > 1 and self.rank is None and self.geometry is None:
            raise ValueError(
                "energies of several search levels cannot be compared; name a rank level, or search on one"
            )
        return self

    @model_validator(mode="after")
    def _geometry_has_forces(self) -> Levels:
        if self.geometry is not None and self.geometry.is_wave_function:
            raise ValueError(f"geometry: {self.geometry} has no forces; relax at a density functional")
        return self

    @model_validator(mode="after")
    def _densities_are_at_hand(self) -> Levels:
        for level in self.bonding:
            if not level.has_density or level.solvent_model:
                raise ValueError(
                    f"bonding level '{level}': the bond is analysed at a density functional of pyscf in the gas phase, "
                    "e.g. pbe-d4/def2-svp"
                )
        return self

    @model_validator(mode="after")
    def _shieldings_are_at_hand(self) -> Levels:
        for level in self.shieldings:
            if not level.has_density and level.engine != "nwchem":
                raise ValueError(
                    f"shieldings level '{level}': shieldings need a density functional of pyscf or nwchem, "
                    "e.g. pbe0/def2-tzvp"
                )
        return self

    @property
    def geometries(self) -> tuple[Level, ...]:
        """Levels on whose surfaces the final structures lie."""
        return self.search if self.geometry is None else (self.geometry,)
