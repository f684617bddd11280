"""Binding energies of an ion in its shell, in the three definitions that published numbers mix up.

With E(X) the energy of X at one level of theory,

* `relaxed`: E(complex) - E(ion) - sum over ligands of E(ligand, lowest free conformer);
* `frozen_ligands`: E(complex) - E(ion) - sum over ligands of E(ligand, as in the complex);
* `frozen_shell`: E(complex) - E(ion) - E(all ligands together, as in the complex).

So `relaxed` - `frozen_ligands` is the deformation energy of the ligands, and `frozen_ligands` -
`frozen_shell` is what the ligands do to each other. Negative means bound. An ion of several atoms bends as ligands do:
it is its lowest free conformer in `relaxed`, and as in the complex in the other two.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from solvation.clusters.ensembles import Structure, lowest_at
from solvation.clusters.shell import Shell
from solvation.engines import SinglePoint, check_system, energies_eV, energy_eV
from solvation.errors import ResultsError, StudyError
from solvation.species import Molecule
from solvation.study import Level

Definition = Literal["relaxed", "frozen_ligands", "frozen_shell"]
DEFINITIONS: tuple[Definition, ...] = get_args(Definition)
#: A level that did not relax the structures may have a free ligand so much above a bent one.
_ABOVE_EV = 0.1
#: Donors bound to S or P, which GFN2 makes too negative.
_HYPERVALENT = {"sulfinyl O", "sulfonyl O", "phosphoryl O"}


@dataclass(frozen=True, slots=True)
class Reference:
    """Energy of one free species at one level.

    Attributes
    ----------
    energy_eV
        Of the lowest conformer at `level`.
    conformer
        Its name in the ensemble.
    geometry_level
        Level that relaxed it.
    geometries
        All levels whose conformers were tried.
    conformers_eV
        Energies at `level` of all that were tried and that `geometry_level` relaxed, the lowest first.
    """

    species: str
    level: Level
    geometry_level: Level
    geometries: tuple[Level, ...]
    energy_eV: float
    conformer: str
    conformers_eV: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Binding:
    """Every part of the binding energy of one structure at one level, eV.

    Attributes
    ----------
    ion_eV, ion_frozen_eV
        Energy of the ion by itself, and as in the complex; one number where it is an atom.
    ligands_frozen_eV
        Energy of each ligand as in the complex, in the order of the shell.
    """

    structure: str
    level: Level
    geometry_level: Level
    complex_eV: float
    ion_eV: float
    ion_frozen_eV: float
    shell_eV: float
    ligands_frozen_eV: tuple[float, ...]
    ligands_relaxed_eV: tuple[float, ...]

    def energy_eV(self, definition: Definition) -> float:
        """Binding energy in one of the three definitions; negative means bound."""
        ligands = {
            "relaxed": math.fsum(self.ligands_relaxed_eV),
            "frozen_ligands": math.fsum(self.ligands_frozen_eV),
            "frozen_shell": self.shell_eV,
        }[definition]
        ion = self.ion_eV if definition == "relaxed" else self.ion_frozen_eV
        return self.complex_eV - ion - ligands

    @property
    def ion_deformation_eV(self) -> float:
        """Cost of bending the ion into the shape that it has in the complex; zero of an atom."""
        return self.ion_frozen_eV - self.ion_eV

    @property
    def deformation_eV(self) -> float:
        """Cost of bending ion and ligands into the shape they have in the complex, never negative by much."""
        return self.ion_deformation_eV + math.fsum(self.ligands_frozen_eV) - math.fsum(self.ligands_relaxed_eV)

    @property
    def doubt(self) -> str:
        """That a free molecule lies above its own shape in the complex, so that its reference is not its lowest."""
        bent = zip(self.ligands_frozen_eV, self.ligands_relaxed_eV, strict=True)
        gained_eV = max((relaxed - frozen for frozen, relaxed in bent), default=0.0)
        who = "ligand"
        if -self.ion_deformation_eV > gained_eV:
            gained_eV, who = -self.ion_deformation_eV, "ion"
        if not gained_eV > _ABOVE_EV:
            return ""
        return (
            f"a free {who} lies {gained_eV:.2f} eV above the shape that it has in the complex: it is not its lowest, "
            "and the binding energy too strong by as much"
        )

    @property
    def ligand_ligand_eV(self) -> float:
        """Energy of the ligands with each other in the empty shell; positive means they repel."""
        return self.shell_eV - math.fsum(self.ligands_frozen_eV)


def check_ion(level: Level, ion: Molecule) -> None:
    """Refuse to measure the binding of a bare multivalent ion by tight binding.

    Its energy is an expansion in the charges of the atoms around neutral ones, made for charges up to one: Mg2+ on
    water comes out at -10 eV (GFN1) and -17 eV (GFN2), and is -3.3 eV (MP2/def2-TZVP). Shells may be searched there
    all the same.

    Raises
    ------
    StudyError
        With the mend.
    """
    if level.is_tight_binding and ion.is_ion and abs(ion.charge) > 1:
        raise StudyError(
            f"level '{level}': its energy of bare {ion.name} is wrong by many eV (docs/engines.md); "
            "take the energies at a density functional, e.g. pbe-d4/def2-svp"
        )


def check_parts(level: Level, shell: Shell) -> None:
    """Refuse a level that cannot compute a complex or one of its molecules: a basis set without an element, a charge.

    Raises
    ------
    StudyError
        With the mend.
    """
    parts: list[Shell | Molecule] = [shell, *shell.molecules]
    for part in parts:
        check_system(level, part.symbols, charge=part.charge, multiplicity=part.multiplicity)


def doubts(level: Level, molecules: Iterable[Molecule]) -> list[str]:
    """Warnings of what a level is known to bind too strongly."""
    held = list(molecules)
    found = (_doubt_of_anions(level, held), _doubt_of_tight_binding(level, held), _doubt_of_continuum(level, held))
    return [doubt for doubt in found if doubt]


def doubt_of_spins(composition: Mapping[str, int], molecules: Mapping[str, Molecule]) -> str:
    """Say how several open shells are coupled, which nobody was asked."""
    spins = {name: molecules[name].multiplicity for name in composition if molecules[name].multiplicity > 1}
    if sum(composition[name] for name in spins) < 2:
        return ""
    whole = 1 + sum(composition[name] * (spin - 1) for name, spin in spins.items())
    told = ", ".join(f"{composition[name]} {name} of multiplicity {spin}" for name, spin in spins.items())
    return (
        f"warning: {told}: all unpaired electrons are taken as parallel, multiplicity {whole} of the complex; "
        "antiparallel ones are not computed (docs/energies.md)"
    )


def _doubt_of_tight_binding(level: Level, molecules: Sequence[Molecule]) -> str:
    """GFN2 holds Li+ by 0.5 eV too much at O of C=O and of ethers, and by 0.9 eV at S=O and P=O (docs/donors.md)."""
    if level.method != "gfn2" or not any(one.is_ion and one.charge > 0 for one in molecules):
        return ""
    names = dict.fromkeys(one.name for one in molecules if {donor.kind for donor in one.donors} & _HYPERVALENT)
    if not names:
        return ""
    return (
        f"warning: {level} holds ions too strongly by O of S=O and P=O ({', '.join(names)}), Li+ by 0.4 eV more than "
        "by other O (docs/donors.md); compare them at r2scan-3c"
    )


def _doubt_of_continuum(level: Level, molecules: Iterable[Molecule]) -> str:
    """A bare ion is solvated by a continuum as its cavity has it: of Li+, ALPB and GBε are 1.7 eV apart."""
    if level.solvent_model is None or not any(one.is_ion for one in molecules):
        return ""
    return (
        f"warning: {level} solvates the bare ion by a cavity whose radius decides by more than an eV; take differences "
        "between ligands of it, not the binding energies (docs/energies.md)"
    )


def _doubt_of_anions(level: Level, molecules: Iterable[Molecule]) -> str:
    """A basis without diffuse functions binds anions too strongly, for a free anion lies too high in it.

    PF6- on Li+: -6.20 eV at PBE-D4/def2-SVP (-5.81 with counterpoise), -5.63 with def2-SVPD and with def2-TZVPD.
    """
    anions = dict.fromkeys(one.name for one in molecules if one.charge < 0)
    if not anions or not level.lacks_diffuse:
        return ""
    return (
        f"warning: {level} has no diffuse functions, and holds {', '.join(anions)} up to half an eV too strongly "
        "(docs/energies.md); take def2-svpd or def2-tzvpd"
    )


def reference(
    molecule: Molecule,
    conformers: Sequence[Structure],
    level: Level,
    geometries: Sequence[Level],
    *,
    candidates: int = 2,
) -> Reference:
    """Energy of a free species: the lowest of its best conformers at `level`.

    Parameters
    ----------
    conformers
        Ensemble of the species, lowest first at each geometry level.
    geometries
        Levels that relaxed them. A level among them has its own lowest conformer, as a complex has.
    candidates
        How many of each geometry level are computed otherwise: the order may change with the level.
    """
    if level in geometries or len(molecule.symbols) == 1:
        best = lowest_at(level, conformers)
        energy = best.geometry_eV if best.geometry_level == level else _single_point(molecule, best, level)
        own = [item.geometry_eV for item in conformers if item.geometry_level == level]
        return Reference(
            molecule.name, level, best.geometry_level, tuple(geometries), energy, best.name, tuple(sorted(own))
        )
    tried = [
        item for own in geometries for item in [one for one in conformers if one.geometry_level == own][:candidates]
    ]
    jobs = [SinglePoint(item.atoms, molecule.charge, molecule.multiplicity) for item in tried]
    energies = energies_eV(jobs, level, f"{molecule.name} at {level}")
    energy, best = min(zip(energies, tried, strict=True), key=lambda pair: pair[0])
    # The same conformer relaxed on another surface is no second conformer.
    own = [other for other, item in zip(energies, tried, strict=True) if item.geometry_level == best.geometry_level]
    return Reference(
        molecule.name, level, best.geometry_level, tuple(geometries), energy, best.name, tuple(sorted(own))
    )


def _single_point(molecule: Molecule, item: Structure, level: Level) -> float:
    return energy_eV(item.atoms, level, charge=molecule.charge, multiplicity=molecule.multiplicity)


def bind(
    structure: Structure,
    shell: Shell,
    references: Mapping[str, Reference],
    level: Level,
    geometries: Sequence[Level],
    rank_level: Level | None = None,
) -> Binding:
    """Compute all parts of the binding energy of one structure.

    Parameters
    ----------
    structure
        The complex, the ion first, in the order of `shell`.
    references
        Free species by name, ion included.
    geometries
        Levels whose structures competed for the place of the complex; the references' must be the same.
    rank_level
        Level of `structure.rank_eV`, which is taken instead of being computed again when the levels agree.

    Raises
    ------
    ResultsError
        When a reference was computed at another level, or chosen among conformers of other levels than the complex
        was: such energies are never subtracted.
    EngineFailed
        When one of the single points fails.
    """
    _refuse_mixed_levels(references, shell, level, tuple(geometries))
    fragment = shell.fragment
    ion, *ligands = shell.molecules

    jobs = [
        SinglePoint(structure.atoms[fragment > 0], shell.charge - ion.charge, shell.multiplicity - ion.multiplicity + 1)
    ]
    if len(ligands) > 1:  # one ligand is the whole shell
        jobs += [
            SinglePoint(structure.atoms[fragment == number], ligand.charge, ligand.multiplicity)
            for number, ligand in enumerate(ligands, start=1)
        ]
    if shell.n_ion > 1:
        jobs.append(SinglePoint(structure.atoms[fragment == 0], ion.charge, ion.multiplicity))
    whole = _known_complex_eV(structure, level, rank_level)
    if whole is None:
        jobs.append(SinglePoint(structure.atoms, shell.charge, shell.multiplicity))
    energies = energies_eV(jobs, level, f"{structure.name} at {level}: its parts")
    if whole is None:
        whole = energies.pop()
    ion_eV = references[ion.name].energy_eV
    ion_frozen_eV = energies.pop() if shell.n_ion > 1 else ion_eV
    return Binding(
        structure=structure.name,
        level=level,
        geometry_level=structure.geometry_level,
        complex_eV=whole,
        ion_eV=ion_eV,
        ion_frozen_eV=ion_frozen_eV,
        shell_eV=energies[0],
        ligands_frozen_eV=tuple(energies[1:] or energies),
        ligands_relaxed_eV=tuple(references[ligand.name].energy_eV for ligand in ligands),
    )


def _known_complex_eV(structure: Structure, level: Level, rank_level: Level | None) -> float | None:
    if level == structure.geometry_level:
        return structure.geometry_eV
    return structure.rank_eV if level == rank_level else None


def _refuse_mixed_levels(
    references: Mapping[str, Reference], shell: Shell, level: Level, geometries: tuple[Level, ...]
) -> None:
    for molecule in shell.molecules:
        found = references.get(molecule.name)
        if found is None:
            raise ResultsError(f"no reference energy of {molecule.name} at {level}; run the study again to make it")
        if found.level != level or set(found.geometries) != set(geometries):
            raise ResultsError(
                f"reference of {molecule.name} is {found.level}//{_names(found.geometries)}, the complex is "
                f"{level}//{_names(geometries)}: energies of different levels are not subtracted"
            )


def _names(levels: Sequence[Level]) -> str:
    return "|".join(str(level) for level in levels)


def reference_to_json(item: Reference) -> dict[str, Any]:
    """Plain data of a reference energy."""
    return {
        "species": item.species,
        "level": str(item.level),
        "geometry_level": str(item.geometry_level),
        "geometries": [str(level) for level in item.geometries],
        "energy_eV": item.energy_eV,
        "conformer": item.conformer,
        "conformers_eV": list(item.conformers_eV),
    }


def reference_from_json(data: Mapping[str, Any]) -> Reference:
    """Reverse of `reference_to_json`."""
    levels = {key: Level.model_validate(data[key]) for key in ("level", "geometry_level")}
    tried = tuple(Level.model_validate(text) for text in data["geometries"])
    return Reference(**{**data, **levels, "geometries": tried, "conformers_eV": tuple(data["conformers_eV"])})


def binding_to_json(item: Binding) -> dict[str, Any]:
    """Plain data of a binding energy and of all its parts."""
    parts = ("structure", "complex_eV", "ion_eV", "ion_frozen_eV", "shell_eV")
    return {
        **{key: getattr(item, key) for key in (*parts, "ligands_frozen_eV", "ligands_relaxed_eV")},
        "level": str(item.level),
        "geometry_level": str(item.geometry_level),
    }


def binding_from_json(data: Mapping[str, Any]) -> Binding:
    """Reverse of `binding_to_json`."""
    levels = {key: Level.model_validate(data[key]) for key in ("level", "geometry_level")}
    lists = {key: tuple(data[key]) for key in ("ligands_frozen_eV", "ligands_relaxed_eV")}
    # Records of before are of bare ions, and have one number for both.
    return Binding(**{"ion_frozen_eV": data["ion_eV"], **data, **levels, **lists})
