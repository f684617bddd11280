"""Enthalpies and free energies of binding from normal modes, with three treatments of the soft ones.

The entropy of a mode of a few cm-1 diverges in the harmonic picture, and a shell of loosely held ligands is full of
them: the treatments differ by up to tenths of an eV, so they are given side by side.

References
----------
Grimme, Chem. Eur. J. 18, 9955 (2012), eqs 3-8: from vibration to free rotor below 100 cm-1.
Ribeiro, Marenich, Cramer & Truhlar, J. Phys. Chem. B 115, 14556 (2011): modes below 100 cm-1 raised to it.
Gilson & Irikura, J. Phys. Chem. B 114, 16304 (2010): symmetry numbers, and what they stand for, in binding.
"""

from __future__ import annotations

import re
import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from ase import Atoms
from ase.neighborlist import natural_cutoffs, neighbor_list
from ase.units import _k, _Nav, invcm

from solvation.clusters.checks import BONDED
from solvation.clusters.ensembles import Structure
from solvation.clusters.shapes import fingerprint, shape_distance_A
from solvation.clusters.shell import Shell
from solvation.energies.spectra import Stretch, carbonyl_bonds, stretches
from solvation.energies.vibrations import Vibrations, vibrations
from solvation.progress import say, track
from solvation.species import Molecule
from solvation.study import Thermochemistry as Settings

Treatment = Literal["rrho", "grimme", "truhlar"]
TREATMENTS: tuple[Treatment, ...] = get_args(Treatment)
SOFT_CM = 100.0
#: A structure that moves further than this on its way to the nearest stationary point has no modes of its own.
_OTHER_SHAPE_A = 0.3
#: A structure that falls by more on its way to the tight criterion was not relaxed.
_LOOSE_EV = 0.02
#: An atom turned this near to one of its kind is on its place; the minima of small symmetric molecules err by a third.
_SAME_PLACE_A = 0.1
#: Point groups of one atom and of linear molecules, and their rotations across the axis.
_LINEAR = {"Kh": 1, "C*v": 1, "D*h": 2}


@dataclass(frozen=True, slots=True)
class ThermalCorrection:
    """What motion adds to the electronic energy of one species or complex.

    Attributes
    ----------
    zero_point_eV
        Half of every quantum.
    enthalpy_eV
        Zero-point energy, motion and pV at the temperature.
    entropy_eV_K
        For each treatment, with the translation of the standard state.
    symmetry_number
        Rotations that turn the minimum into itself. Mirror images and other conformers are not counted.
    softest_cm
        Softest mode, negative when imaginary; NaN for an atom.
    note
        Why there is no number, or that an imaginary mode was followed away from the structure of the other energies.
    wavenumbers_cm
        All of its modes, ascending; imaginary ones negative.
    followed
        Imaginary modes that were followed downhill.
    carbonyls
        Modes that stretch C=O bonds, where the molecules are known.
    """

    name: str
    structure: str
    level: str
    temperature_K: float
    pressure_bar: float
    zero_point_eV: float
    enthalpy_eV: float
    entropy_eV_K: dict[str, float]
    softest_cm: float
    n_imaginary: int
    note: str = ""
    carbonyls: tuple[Stretch, ...] = ()
    wavenumbers_cm: tuple[float, ...] = ()
    followed: int = 0
    symmetry_number: int = 1

    def gibbs_eV(self, treatment: Treatment) -> float:
        """Free-energy correction."""
        return self.enthalpy_eV - self.temperature_K * self.entropy_eV_K[treatment]


def molar_pressure_bar(temperature_K: float, concentration_M: float = 1.0) -> float:
    """Pressure at which an ideal gas has this concentration: 24.8 bar for 1 M at 298.15 K."""
    return float(concentration_M * 1000 * _Nav * _k * temperature_K / 1e5)


def symmetry_number(atoms: Atoms) -> int:
    """Rotations that turn a molecule into itself, within 0.1 Å: 3 for NMe3, 2 for EC, 1 for most complexes.

    CH3, NH3 and CF3 at the end of a bond turn so easily that how they happen to stand says nothing: the rest of the
    molecule counts, unless it is linear. (Their three ways of standing are then left out on both sides of a reaction.)
    """
    turning = _on_rotors(atoms)
    frame = atoms[[number for number in range(len(atoms)) if number not in turning]]
    group = _point_group(frame)
    return _n_rotations(_point_group(atoms) if group in _LINEAR else group)


def _on_rotors(atoms: Atoms) -> set[int]:
    """The three H, or F, of every CH3, NH3, CF3, ... that one bond holds."""
    neighbours: dict[int, list[int]] = defaultdict(list)
    for one, other in zip(*neighbor_list("ij", atoms, natural_cutoffs(atoms, mult=BONDED)), strict=True):
        neighbours[int(one)].append(int(other))
    found: set[int] = set()
    for around in neighbours.values():
        ends = [one for one in around if len(neighbours[one]) == 1]
        if len(around) == 4 and len(ends) == 3 and {atoms[one].symbol for one in ends} in ({"H"}, {"F"}):
            found.update(ends)
    return found


def _point_group(atoms: Atoms) -> str:
    """Symbol by Schoenflies: `C3v`."""
    from pymatgen.core import Molecule as Shape
    from pymatgen.symmetry.analyzer import PointGroupAnalyzer

    shape = Shape(atoms.get_chemical_symbols(), atoms.positions)
    return str(PointGroupAnalyzer(shape, tolerance=_SAME_PLACE_A).sch_symbol)


def _n_rotations(group: str) -> int:
    """Rotations of a point group. (pymatgen's own count goes wrong where atoms are a little off their places.)"""
    if group in _LINEAR:
        return _LINEAR[group]
    family, order = group[0], int(re.sub(r"\D", "", group) or 1)
    return {"C": order, "D": 2 * order, "S": order // 2, "T": 12, "O": 24, "I": 60}[family]


def thermal_correction(
    modes: Vibrations,
    atoms: Atoms,
    *,
    name: str,
    structure: str,
    temperature_K: float,
    pressure_bar: float = 1.0,
    multiplicity: int = 1,
) -> ThermalCorrection:
    """Rigid rotor and vibrations of one minimum, in all treatments.

    Modes that are imaginary within noise count as real ones of the same size; a structure with harder ones has no
    free energy, and the note says so.
    """

    from ase.thermochemistry import IdealGasThermo, RRHOMode

    minimum = Atoms(atoms.get_chemical_symbols(), modes.positions_A)
    quanta = np.abs(modes.wavenumbers_cm) * invcm
    geometry = "monatomic" if len(minimum) == 1 else ("linear" if len(quanta) == 3 * len(minimum) - 5 else "nonlinear")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        turns = symmetry_number(minimum)
        gas = IdealGasThermo(quanta, geometry, atoms=minimum, symmetrynumber=turns, spin=(multiplicity - 1) / 2)
    enthalpy = gas.get_enthalpy(temperature_K, verbose=False)
    rigid = gas.get_entropy(temperature_K, pressure_bar * 1e5, verbose=False) - _entropy(quanta, temperature_K)
    inertia = float(np.mean(minimum.get_moments_of_inertia()))
    soft = [RRHOMode(mode, inertia, tau=SOFT_CM).get_entropy(temperature_K, contributions=False) for mode in quanta]
    entropies = {
        "rrho": rigid + _entropy(quanta, temperature_K),
        "grimme": rigid + float(np.sum(soft)),
        "truhlar": rigid + _entropy(np.maximum(quanta, SOFT_CM * invcm), temperature_K),
    }
    found = ThermalCorrection(
        name=name,
        structure=structure,
        level=str(modes.level),
        temperature_K=temperature_K,
        pressure_bar=pressure_bar,
        zero_point_eV=float(0.5 * quanta.sum()),
        enthalpy_eV=float(enthalpy),
        entropy_eV_K={key: float(value) for key, value in entropies.items()},
        symmetry_number=turns,
        softest_cm=float(modes.wavenumbers_cm[0]) if len(quanta) else float("nan"),
        n_imaginary=modes.n_imaginary,
        wavenumbers_cm=tuple(modes.wavenumbers_cm.tolist()),
        followed=modes.followed,
    )
    if modes.is_minimum:
        return found
    return _without_numbers(
        found, f"{name} {structure} is no minimum at {modes.level}: {modes.wavenumbers_cm[0]:.0f} cm-1"
    )


def _without_numbers(item: ThermalCorrection, reason: str) -> ThermalCorrection:
    nothing = {str(treatment): float("nan") for treatment in TREATMENTS}
    return replace(
        item, zero_point_eV=float("nan"), enthalpy_eV=float("nan"), entropy_eV_K=nothing, note=reason, carbonyls=()
    )  # fmt: skip


def _entropy(modes_eV: Sequence[float] | np.ndarray[Any, Any], temperature_K: float) -> float:
    from ase.thermochemistry import HarmonicMode

    return float(sum(HarmonicMode(mode).get_entropy(temperature_K, contributions=False) for mode in modes_eV))


@dataclass(frozen=True, slots=True)
class BindingThermochemistry:
    """What motion adds to a binding energy: the complex, and every free species as often as it stands in it."""

    complex: ThermalCorrection
    free: tuple[ThermalCorrection, ...]

    @property
    def zero_point_eV(self) -> float:
        """Change of the zero-point energy."""
        return self.complex.zero_point_eV - sum(item.zero_point_eV for item in self.free)

    @property
    def enthalpy_eV(self) -> float:
        """Correction from the electronic binding energy to the enthalpy."""
        return self.complex.enthalpy_eV - sum(item.enthalpy_eV for item in self.free)

    def gibbs_eV(self, treatment: Treatment) -> float:
        """Correction from the electronic binding energy to the free energy."""
        return self.complex.gibbs_eV(treatment) - sum(item.gibbs_eV(treatment) for item in self.free)

    @property
    def symmetry_numbers(self) -> dict[str, int]:
        """Of the complex and of every free species."""
        return {item.name: item.symmetry_number for item in (self.complex, *self.free)}

    @property
    def note(self) -> str:
        """Why there is no number, and which parts left a saddle."""
        return "; ".join(dict.fromkeys(item.note for item in (self.complex, *self.free) if item.note))


def binding_thermochemistry(
    structure: Structure, shell: Shell, conformers: Mapping[str, Structure], settings: Settings
) -> tuple[BindingThermochemistry, ...]:
    """Normal modes of a complex and of its free parts, all at the level that relaxed the complex; one result for each
    temperature.

    A structure that slides into another shape when it is relaxed tightly has none either: the note says so.
    Zero-point energies of two levels differ by a percent, a tenth of an eV for a large ligand: they are never mixed.

    Parameters
    ----------
    conformers
        Lowest conformer of every species in the shell, the ion included: those of the binding energy. One that another
        level relaxed is relaxed again.

    Raises
    ------
    EngineFailed
        An engine failed, or a structure does not become stationary.
    """

    def corrected(item: Structure, name: str, parts: Sequence[Molecule]) -> list[ThermalCorrection]:
        state = Shell(tuple(parts))
        modes = vibrations(
            item.atoms, structure.geometry_level, charge=state.charge, multiplicity=state.multiplicity
        )  # fmt: skip
        carbonyls = tuple(stretches(modes, item.atoms.get_masses(), carbonyl_bonds(parts)))
        found = [
            replace(
                thermal_correction(
                    modes, item.atoms, name=name, structure=item.name, temperature_K=temperature_K,
                    pressure_bar=molar_pressure_bar(temperature_K) if settings.standard_state == "1 M" else 1.0,
                    multiplicity=state.multiplicity,
                ),
                carbonyls=carbonyls,
            )
            for temperature_K in settings.temperatures_K
        ]  # fmt: skip
        shapes = [
            fingerprint(item.atoms.get_chemical_symbols(), at) for at in (item.atoms.positions, modes.positions_A)
        ]
        below_eV = item.geometry_eV - modes.energy_eV
        if modes.followed and item.geometry_level == structure.geometry_level:
            followed = (
                f"{name} {item.name}: {modes.followed} imaginary mode{'s' if modes.followed > 1 else ''} followed to a "
                f"minimum {below_eV:.3f} eV below at {modes.level}; the electronic energies are of the structure before"
            )
            found = [replace(one, note="; ".join(filter(None, (one.note, followed)))) for one in found]
        elif item.geometry_level == structure.geometry_level and below_eV > _LOOSE_EV:
            loose = (
                f"{name} {item.name}: relaxed tightly for its modes it falls by {below_eV:.3f} eV at {modes.level}; "
                "the electronic energies are of the structure before"
            )
            found = [replace(one, note="; ".join(filter(None, (one.note, loose)))) for one in found]
        if shape_distance_A(*shapes) > _OTHER_SHAPE_A:
            why = f"{name} {item.name} is no minimum at {modes.level}: it slid into another shape"
            return [_without_numbers(one, why) for one in found]
        return found

    kinds = {molecule.name: molecule for molecule in shell.molecules}
    free = {
        name: corrected(conformers[name], name, [kind])
        for name, kind in track(kinds.items(), "normal modes of the free species")
    }
    say("  normal modes of the complex")
    return tuple(
        BindingThermochemistry(whole, tuple(free[molecule.name][number] for molecule in shell.molecules))
        for number, whole in enumerate(corrected(structure, "complex", shell.molecules))
    )


def thermochemistry_to_json(items: Sequence[BindingThermochemistry]) -> dict[str, Any]:
    """Plain data of the corrections at all temperatures; a number that is not known is null."""
    first, *others = [
        {"complex": _without_nan(asdict(item.complex)), "free": [_without_nan(asdict(one)) for one in item.free]}
        for item in items
    ]
    return {**first, "other_temperatures": others} if others else first


def thermochemistry_from_json(data: Mapping[str, Any]) -> tuple[BindingThermochemistry, ...]:
    """Reverse of `thermochemistry_to_json`."""
    return tuple(
        BindingThermochemistry(_correction(one["complex"]), tuple(_correction(part) for part in one["free"]))
        for one in (data, *data.get("other_temperatures", ()))
    )


def _correction(data: Mapping[str, Any]) -> ThermalCorrection:
    carbonyls = tuple(Stretch(**_with_nan(one)) for one in data["carbonyls"])
    rest = {key: value for key, value in data.items() if key not in {"carbonyls", "wavenumbers_cm"}}
    return ThermalCorrection(**_with_nan(rest), carbonyls=carbonyls, wavenumbers_cm=tuple(data["wavenumbers_cm"]))


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and np.isnan(value) else value


def _with_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_nan(item) for key, item in value.items()}
    return float("nan") if value is None else value
