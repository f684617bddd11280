"""Trajectories: computed here, or the user's own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, PositiveInt, SerializerFunctionWrapHandler, model_serializer, model_validator

from solvation.study.base import Name, PlainPath, Section
from solvation.study.levels import Level

#: Mean of sigma between unlike atoms.
Mixing = Literal["arithmetic", "geometric"]
LennardJones = Literal["openff", "gaff2"]
#: What `special_bonds` and `pair_modify mix` of a LAMMPS input say, named by the force fields that ask for it.
LammpsConvention = Literal["opls", "amber"]
#: Settings that make two computed trajectories runs of one liquid, as far as they have them.
SAME_LIQUID = (
    "composition", "mixture", "shape", "forcefield", "level", "potential", "charge_scale", "mixing", "cutoff_A",
    "temperature_K", "pressure_bar",
)  # fmt: skip
_LAMMPS_DATA = {".data", ".lmp", ".lammps"}


class ComputedTrajectory(Section):
    """What every computed trajectory has, whatever its forces come from."""

    density_g_cm3: float = Field(1.3, gt=0.01, lt=5, description="Density at which it is packed, g/cm3.")
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
    def _times_fit(self) -> Self:
        if self.equilibration_ps >= self.length_ps:
            raise ValueError(
                f"equilibration_ps ({self.equilibration_ps:g}) leaves nothing of length_ps ({self.length_ps:g})"
            )
        if self.save_every_fs < self.timestep_fs:
            raise ValueError("save_every_fs is shorter than timestep_fs")
        return self

    @property
    def has_committee(self) -> bool:
        """Whether the forces come with the disagreement of a committee."""
        return False

    @property
    @abstractmethod
    def members(self) -> tuple[str, ...]:
        """Species it holds."""


class MolecularDynamics(ComputedTrajectory):
    """A droplet or a periodic box, packed and run through ASE in segments that resume."""

    REVISION: ClassVar[int] = 1
    composition: dict[str, PositiveInt] = Field(min_length=2, description="Copies of each species.")
    shape: Literal["droplet", "box"] = Field("droplet", description="A free droplet or a periodic cube.")
    cut_from: str | None = Field(
        None,
        description="Classical trajectory of this study out of whose last frame the droplet is cut, around the first "
        "ion, or which goes on as a whole (shape: box); left out = packed at random.",
    )
    level: Level | None = Field(
        None, description="Level of theory of the forces; left out = gfn1, unless a potential gives them."
    )
    potential: Name | None = Field(None, description="Fitted potential of this study that gives the forces instead.")
    max_disagreement_eV_A: float = Field(
        1.0,
        gt=0,
        description="The run stops when the members of its potential are farther apart than this on the force of an "
        "atom, eV/Å.",
    )

    @model_validator(mode="before")
    @classmethod
    def _forces_come_from_somewhere(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("level") is None and values.get("potential") is None:
            return {**values, "level": "gfn1"}
        return values

    @model_serializer(mode="wrap")
    def _without_what_is_not_used(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Settings of a committee stand in cards only where there is one."""
        told: dict[str, Any] = handler(self)
        if self.potential is None:
            del told["potential"]
        if not self.has_committee:
            del told["max_disagreement_eV_A"]
        return told

    @model_validator(mode="after")
    def _hydrogens_are_slow(self) -> Self:
        if self.level is not None and self.potential is not None:
            raise ValueError("give one of level and potential")
        if self.level is not None and self.level.is_wave_function:
            raise ValueError(f"level: {self.level} has no forces; run at tight binding or a density functional")
        if self.timestep_fs > 1.5 and self.hydrogen_mass_u < 2.5:
            raise ValueError(
                f"timestep_fs {self.timestep_fs:g} breaks X-H bonds of hydrogen_mass_u {self.hydrogen_mass_u:g}; "
                "set hydrogen_mass_u: 3 or timestep_fs: 1"
            )
        return self

    @property
    def members(self) -> tuple[str, ...]:
        """Species it holds."""
        return tuple(self.composition)

    def driven_by(self, weights: Sequence[Path], charge: int) -> Self:
        """The same run with the weights of its fitted potential as its level; itself when it has a level."""
        if self.potential is None:
            return self
        level = Level(engine="mace", method="+".join(map(str, weights)), charge=charge)
        return self.model_copy(update={"level": level})

    @property
    def has_committee(self) -> bool:
        """Whether the forces are those of a potential, whose members may disagree."""
        return self.potential is not None or (self.level is not None and bool(self.level.weights))


class Mixture(Section):
    """A solution as it is made in the laboratory; the numbers of molecules follow."""

    solvents: dict[str, Annotated[float, Field(gt=0)]] = Field(
        min_length=1, description="Parts of each solvent, e.g. {EC: 1, DEC: 1}."
    )
    parts: Literal["volume", "mass", "mole"] = Field("volume", description="What the parts of the solvents are.")
    solvent_density_g_cm3: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default_factory=dict, description="Density of each pure solvent, for parts by volume, g/cm3."
    )
    salt: dict[str, PositiveInt] = Field(default_factory=dict, description="Ions of a formula unit: {Li+: 1, PF6-: 1}.")
    molarity: float | None = Field(
        None, gt=0, description="Salt in mol per litre of solution, at the density_g_cm3 of the trajectory."
    )
    molality: float | None = Field(None, gt=0, description="Salt in mol per kg of solvents.")
    solvent_molecules: PositiveInt = Field(description="Number of solvent molecules, all solvents together.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.parts == "volume" and len(self.solvents) > 1:
            for name in self.solvents:
                if name not in self.solvent_density_g_cm3:
                    raise ValueError(f"parts by volume need solvent_density_g_cm3 of {name}")
        amounts = [name for name in ("molarity", "molality") if getattr(self, name) is not None]
        if len(amounts) != bool(self.salt):
            raise ValueError("a salt needs one of molarity and molality, and they need a salt")
        if both := set(self.salt) & set(self.solvents):
            raise ValueError(f"{min(both)} is a solvent and an ion at once")
        return self


class ClassicalDynamics(ComputedTrajectory):
    """A periodic box of a classical force field on OpenMM, at constant pressure until it has its density."""

    REVISION: ClassVar[int] = 1
    forcefield: Literal["gaff2"] = Field(
        description="GAFF2 with RESP charges; ions take the published sets of structures/ions.yaml."
    )
    composition: dict[str, PositiveInt] = Field(default_factory=dict, description="Copies of each species, or:")
    mixture: Mixture | None = Field(None, description="The solution by its recipe, instead of a composition.")
    draw_in: dict[str, PositiveInt] = Field(
        default_factory=dict,
        description="Molecules that are drawn to the first ion before the box finds its density, e.g. {TDA: 1}: the "
        "other end to begin from, where a run is too short to forget its start.",
    )
    charge_scale: float = Field(
        0.8, gt=0.4, le=1, description="Factor of the charges of ions; stands for electronic polarisation."
    )
    mixing: Mixing = Field(
        "arithmetic",
        description="Mean of sigma between unlike atoms: arithmetic as in GAFF2, or geometric as in OPLS-AA.",
    )
    cutoff_A: float = Field(10.0, ge=6, le=20, description="Cutoff of Lennard-Jones and of Ewald's real part, Å.")
    pressure_bar: float = Field(1.0, gt=-1000, lt=10_000, description="Pressure while the box finds its size, bar.")
    npt_ps: float = Field(500.0, gt=0, description="Time at constant pressure; the last half gives the density, ps.")
    nvt_ps: float = Field(100.0, gt=0, description="Time at that density before the run begins, ps.")
    density_g_cm3: float = Field(1.0, gt=0.01, lt=5, description="Density at which it is packed, g/cm3.")
    friction_per_ps: float = Field(1.0, gt=0, description="Friction of the Langevin thermostat, 1/ps.")
    timestep_fs: float = Field(2.0, gt=0, le=4, description="Time step; bonds to H are constrained, fs.")
    equilibration_ps: float = Field(0.0, ge=0, description="Left out of the analysis, after npt_ps and nvt_ps, ps.")
    length_ps: float = Field(1000.0, gt=0, description="Length of the run, ps.")
    save_every_fs: float = Field(1000.0, gt=0, description="Time between frames, fs.")

    @model_validator(mode="after")
    def _one_recipe(self) -> Self:
        if bool(self.composition) == (self.mixture is not None):
            raise ValueError("give one of composition and mixture")
        for name, count in self.draw_in.items():
            if name not in self.members or (self.composition and count > self.composition[name]):
                raise ValueError(f"draw_in: the box does not hold {count} {name}; take fewer")
        if self.timestep_fs > 2.5 and self.hydrogen_mass_u < 2.5:
            raise ValueError(f"timestep_fs {self.timestep_fs:g} needs hydrogen_mass_u: 3")
        return self

    @property
    def members(self) -> tuple[str, ...]:
        """Species it holds."""
        if self.mixture is None:
            return tuple(self.composition)
        return (*self.mixture.salt, *self.mixture.solvents)


class Charges(Section):
    """Charges and short-range terms of classical force fields."""

    # To be raised whenever structures/lennard_jones.yaml or a file of structures/pairs changes.
    # 2: pair terms of Li+; 3: with ethers and nitriles too; 4: spheres of OpenFF; 5: pair terms with neutral molecules
    # only, OPLS-AA of an .xml as such, boron by GFN2-xTB's geometry
    REVISION: ClassVar[int] = 5
    level: Level = Field(
        Level.model_validate("hf/6-31g*"), description="Level of the potential that charges of force fields fit."
    )
    conformers: int = Field(3, ge=1, le=20, description="Conformers that are fitted at once, at most.")
    lennard_jones: LennardJones = Field(
        "openff",
        description="Lennard-Jones terms of molecules: of OpenFF 2 (structures/lennard_jones.yaml), made for densities "
        "of liquids, or those of GAFF2's types.",
    )
    ion_pairs: Literal["fitted", "published"] = Field(
        "fitted",
        description="Short-range terms of Li+ with O and N: fitted to our own DFT (structures/pairs), or mixed from "
        "the published set.",
    )

    @model_validator(mode="after")
    def _pairs_belong_to_their_spheres(self) -> Self:
        if self.lennard_jones == "gaff2" and self.ion_pairs == "fitted":
            raise ValueError(
                "lennard_jones: gaff2 with ion_pairs: fitted, which were fitted beside openff; set ion_pairs: published"
            )
        return self


class OwnForceField(Section):
    """Classical parameters of a species that the user brings, instead of GAFF2 or a published ion."""

    file: PlainPath = Field(
        description="One molecule as Amber .prmtop, GROMACS .top or LAMMPS .data, or OpenMM's .xml with a "
        "residue of it."
    )
    lammps: LammpsConvention | None = Field(
        None,
        description="What a LAMMPS data file does not hold: opls = 1-4 pairs by 0.5 and 0.5, sigma mixed geometric; "
        "amber = charges of 1-4 pairs by 1/1.2, Lennard-Jones by 0.5, sigma mixed arithmetic.",
    )

    @model_validator(mode="after")
    def _lammps_says_what_its_files_do_not(self) -> Self:
        is_lammps = self.file.suffix.lower() in _LAMMPS_DATA
        if is_lammps and self.lammps is None:
            raise ValueError(
                f"lammps: {self.file.name} does not hold special_bonds and pair_modify mix; give lammps: opls "
                "(lj/coul 0 0 0.5, geometric) or lammps: amber (special_bonds amber, arithmetic)"
            )
        if self.lammps is not None and not is_lammps:
            raise ValueError(f"lammps: is for LAMMPS data files ({', '.join(sorted(_LAMMPS_DATA))}); take it out")
        return self

    @model_serializer(mode="wrap")
    def _without_what_is_not_used(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        told: dict[str, Any] = handler(self)
        if self.lammps is None:
            del told["lammps"]
        return told


class OwnTrajectory(Section):
    """A trajectory the user brings: anything MDAnalysis reads, extxyz, or VASP's XDATCAR and vasprun.xml."""

    REVISION: ClassVar[int] = 2  # 2: no metal is bonded where bonds are found by distances
    topology: PlainPath = Field(
        description="File with the atoms' names; for extxyz, XDATCAR and vasprun.xml the file itself."
    )
    trajectory: PlainPath | None = Field(None, description="File with the frames, when it is not the topology.")
    format: str | None = Field(None, description="Format of the frames when the suffix does not tell.")
    center: str = Field(description="MDAnalysis selection of the ions, e.g. 'name LI'.")
    donors: dict[str, str] = Field(min_length=1, description="Donor kind -> MDAnalysis selection.")
    box_A: tuple[float, ...] | None = Field(None, description="Edges (and angles) when the file has none, Å.")
    timestep_ps: float | None = Field(None, gt=0, description="Time between frames when the file has none, ps.")
    skip_ps: float = Field(0.0, ge=0, description="Left out at the start, ps.")
    species: dict[str, str] = Field(
        default_factory=dict, description="Species -> MDAnalysis selection, for diffusion; left out: every molecule."
    )
    charges: dict[str, float] = Field(
        default_factory=dict, description="Species -> charge of one particle, for the conductivity; all ions."
    )
    temperature_K: float | None = Field(None, gt=0, description="Temperature, for the conductivity, K.")

    @model_validator(mode="after")
    def _conducts_at_a_temperature(self) -> Self:
        if self.charges and self.temperature_K is None:
            raise ValueError("charges ask for a conductivity, which needs temperature_K")
        for name in self.charges:
            if self.species and name not in self.species:
                raise ValueError(f"charges: '{name}' is none of the species ({', '.join(self.species)})")
        return self


class Analysis(Section):
    """Radial distribution functions, coordination numbers, shells and how long they last."""

    # 2: shell populations, residence times, transitions; 3: bootstrap by groups of lags; 4: clusters, RAD;
    # 5: ligands that never left; 6: no break longer than the tolerance is closed; 7: bounds, survival, species at 0;
    # 8: notes; 9: errors of few samples and of asymmetries, contacts of metals alone; 10: errors count exchanges,
    # residues that no bond links are several molecules, none of the centre's own donors, anions by charge
    REVISION: ClassVar[int] = 10
    r_max_A: float = Field(6.0, gt=0.5, le=50, description="Range of g(r), Å.")
    n_bins: int = Field(120, ge=10, le=10_000, description="Bins of g(r).")
    anions: tuple[str, ...] | None = Field(
        None,
        description="Donor kinds that belong to anions: ions are then sorted into free, SSIP, CIP and AGG; left out: "
        "those of the negative species of computed trajectories.",
    )
    tolerance_ps: float = Field(
        2.0, ge=0, description="Longest break that a contact survives, and window of an exchange, ps."
    )
    own_molecule: bool = Field(
        False, description="Count donors of the ion's own molecule (a framework), which otherwise are left out."
    )
