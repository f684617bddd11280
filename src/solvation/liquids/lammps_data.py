"""LAMMPS data files of one molecule; a convention gives what they do not hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from numbers import Integral
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from ase.data import atomic_masses, atomic_numbers

from solvation.errors import EngineMissing, SpeciesError, in_short
from solvation.liquids.file_terms import FileTerms, check_count
from solvation.liquids.lammps_styles import ANGLES, BONDS, DIHEDRALS, IMPROPERS, PAIRS, Kind, Style, meaning
from solvation.species import Molecule
from solvation.study.trajectories import LammpsConvention, Mixing

#: More lines than this are no molecule.
_LINES = 10_000
#: Nor are numbers beyond this.
_LARGEST = 1e9
#: What a mass may differ from that of its element, u.
_MASS_OFF_U = 0.2
#: Where the stiffest bond is softer than this, its K is in eV (units metal) or Hartree (electron). kJ/mol/Å2 of k/2.
_SOFT = 400.0
_ATOMS_OF = {"Bonds": 2, "Angles": 3, "Dihedrals": 4, "Impropers": 4}
_COEFFICIENTS = {"Pair Coeffs", "Bond Coeffs", "Angle Coeffs", "Dihedral Coeffs", "Improper Coeffs"}
_SECTIONS = {"Masses", "Atoms", "Velocities", *_ATOMS_OF, *_COEFFICIENTS}

Rows = dict[int, tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class _Convention:
    """What `special_bonds` and `pair_modify mix` would say in the input script, and the dihedrals that go with it."""

    scale_14: tuple[float, float]
    mixing: Mixing
    dihedrals: tuple[str, ...]


_CONVENTIONS: dict[LammpsConvention, _Convention] = {
    "opls": _Convention((0.5, 0.5), "geometric", ("opls", "multi/harmonic")),
    "amber": _Convention((5 / 6, 0.5), "arithmetic", ("fourier", "charmm", "harmonic", "multi/harmonic")),
}


def read_data(where: str, molecule: Molecule, path: Path, convention: LammpsConvention) -> FileTerms:
    """Terms of a data file of atom style `full` in units `real`.

    Parameters
    ----------
    where
        Begin of every message.
    convention
        Gives the scaling of pairs three bonds apart and the mixing of sigma, which no data file holds, and the style
        of coefficients whose title does not tell it (`Bond Coeffs # harmonic`), but for Amber's dihedrals.

    Raises
    ------
    EngineMissing
        pymatgen, which parses the file, is not installed.
    SpeciesError
        The file cannot be read, holds several molecules, other units, or a style that is not known here.

    References
    ----------
    https://docs.lammps.org/read_data.html
    """
    titles = _titles(where, molecule, path)
    return _DataFile(where, titles, _parsed(where, path), convention).terms(molecule)


def _titles(where: str, molecule: Molecule, path: Path) -> dict[str, str]:
    """Sections, and the style that the comment of each title tells; empty where there is none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        raise SpeciesError(f"{where} cannot be read ({problem}); check its format") from problem
    count = next((found for line in lines[1:] if (found := re.match(r"\s*([0-9]{1,12})\s+atoms\b", line))), None)
    if count is None:
        raise SpeciesError(f"{where}: its head does not tell the number of atoms; give a LAMMPS data file")
    check_count(where, molecule, int(count[1]))
    if len(lines) > _LINES:
        raise SpeciesError(f"{where} has {len(lines)} lines; give the file of one molecule")
    if (units := re.search(r"units = (\w+)", lines[0])) and units[1] != "real":
        raise SpeciesError(f"{where} is in units {units[1]}; write it in units real")
    titles: dict[str, str] = {}
    for line in lines[1:]:
        title, _, comment = (part.strip() for part in line.partition("#"))
        if not title[:1].isalpha():
            continue
        if title not in _SECTIONS:
            raise SpeciesError(f"{where}: its section {title[:40]!r} is not known here; take it out")
        if title in titles:
            raise SpeciesError(f"{where}: its section {title} stands twice; leave one")
        # A suffix makes a style fast on some machine and changes nothing else.
        titles[title] = re.sub(r"/(omp|opt|gpu|intel|kk)$", "", (comment.split() or [""])[0])
    for title in ("Masses", "Atoms"):
        if title not in titles:
            raise SpeciesError(f"{where}: has no section {title}; give a LAMMPS data file")
    return titles


def _parsed(where: str, path: Path) -> dict[str, Rows]:
    """Numbers of each section by those of its lines; pymatgen compares how many they are with the head."""
    if find_spec("pymatgen") is None:
        raise EngineMissing("pymatgen is not installed; pip install 'solvation[liquids]'")
    from pymatgen.io.lammps.data import LammpsData

    try:
        data = LammpsData.from_file(str(path), atom_style="full")
    except Exception as problem:  # pymatgen and pandas raise whatever they meet
        raise SpeciesError(f"{where} cannot be read ({in_short(problem)}); check its format") from problem
    frames = {"Masses": data.masses, "Atoms": data.atoms, **(data.force_field or {}), **(data.topology or {})}
    return {title: _rows(where, title, frame) for title, frame in frames.items()}


def _rows(where: str, title: str, frame: Any) -> Rows:
    rows: Rows = {}
    for number, *values in frame.itertuples(index=True, name=None):
        if not isinstance(number, Integral) or number in rows:
            raise SpeciesError(f"{where}: {title}: {str(number)[:20]!r} is not the number of one line; count them")
        numbers = values
        if title in _COEFFICIENTS:
            while values and values[-1] != values[-1]:
                values.pop()  # lines shorter than others end with NaN in pymatgen's table
            # Of hybrid styles each line tells its own before its numbers.
            numbers = values[1:] if values and isinstance(values[0], str) else values
        if not numbers or not all(isinstance(value, int | float) and abs(value) < _LARGEST for value in numbers):
            told = " ".join(str(value)[:20] for value in values)
            raise SpeciesError(f"{where}: {title} {number}: {told!r} is not made of numbers; mend it")
        rows[int(number)] = tuple(values)
    return rows


class _DataFile:
    """What stands in a data file, on its way to terms."""

    def __init__(self, where: str, titles: dict[str, str], rows: dict[str, Rows], convention: LammpsConvention) -> None:
        self._where, self._titles, self._rows = where, titles, rows
        self._name, self._convention = convention, _CONVENTIONS[convention]
        self._assumed: list[str] = []
        if titles["Atoms"] not in {"", "full"}:
            self._refuse(f"its atoms are of style {titles['Atoms']}; write them in atom_style full")
        atoms = rows["Atoms"]
        if len({row[0] for row in atoms.values()}) > 1:
            self._refuse("its atoms are of several molecules; give the file of one molecule")
        self._place = {number: place for place, number in enumerate(atoms)}
        self._types = [row[1] for row in atoms.values()]
        self._charges = np.array([row[2] for row in atoms.values()], dtype=float)

    def terms(self, molecule: Molecule) -> FileTerms:
        """All terms, in the order of the file's atoms."""
        spheres = self._coefficients("Pair Coeffs", PAIRS)
        sigma_A, depths = np.array([self._of_type("Pair Coeffs", spheres, kind) for kind in self._types]).T
        bonds = self._terms("Bonds", "Bond Coeffs", BONDS)
        self._check_bonds(bonds)
        dihedrals = {style: DIHEDRALS[style] for style in self._convention.dihedrals}
        waves = self._terms("Dihedrals", "Dihedral Coeffs", dihedrals)
        waves += self._terms("Impropers", "Improper Coeffs", IMPROPERS)
        return FileTerms(
            symbols=self._symbols(molecule),
            bonded=tuple((i, j) for (i, j), _ in bonds),
            charges_e=self._charges,
            sigma_A=sigma_A,
            epsilon_kJ_mol=depths,
            bonds=[(i, j, *value) for (i, j), value in bonds],
            angles=[(i, j, k, *value) for (i, j, k), value in self._terms("Angles", "Angle Coeffs", ANGLES)],
            torsions=[(i, j, k, m, *wave) for (i, j, k, m), found in waves for wave in found],
            mixing=self._convention.mixing,
            scale_14=self._convention.scale_14,
            is_geometric=self._convention.mixing == "geometric",
            read_as=self._read_as(),
        )

    def _read_as(self) -> str:
        charges, depths = self._convention.scale_14
        told = f"lammps: {self._name}: units real, charges of 1-4 pairs times {charges:.3g}, Lennard-Jones {depths:.3g}"
        told += f", sigma mixed {self._convention.mixing}"
        return told + (f"; styles that the file does not tell: {', '.join(self._assumed)}" if self._assumed else "")

    def _symbols(self, molecule: Molecule) -> tuple[str, ...]:
        masses_u = {symbol: atomic_masses[atomic_numbers[symbol]] for symbol in sorted(set(molecule.symbols))}
        found = []
        for kind in self._types:
            (mass_u,) = self._of_type("Masses", self._rows["Masses"], kind)
            off_u, symbol = min((abs(own_u - mass_u), symbol) for symbol, own_u in masses_u.items())
            if off_u > _MASS_OFF_U:
                known = ", ".join(masses_u)
                self._refuse(f"Masses: {mass_u:g} u of type {kind} is none of {molecule.name}'s elements ({known})")
            found.append(symbol)
        return tuple(found)

    def _check_bonds(self, bonds: list[tuple[tuple[int, ...], tuple[float, float]]]) -> None:
        if len({frozenset(atoms) for atoms, _ in bonds}) < len(bonds):
            self._refuse("Bonds: two atoms are bonded twice; leave one bond")
        if bonds and (stiffest := max(stiffness for _, (_, stiffness) in bonds)) < _SOFT:
            self._refuse(f"its stiffest bond has K = {stiffest / 8.368:.3g}, too soft for units real; write it in them")

    def _terms(
        self, title: str, coefficients: str, styles: Mapping[str, Style[Kind]]
    ) -> list[tuple[tuple[int, ...], Kind]]:
        """Atoms of each term, and what its type means."""
        if not self._rows.get(title):
            return []
        known, found = self._coefficients(coefficients, styles), []
        for number, (kind, *atoms) in self._rows[title].items():
            if not set(atoms) <= set(self._place) or len(set(atoms)) < _ATOMS_OF[title]:
                self._refuse(f"{title} {number}: {atoms} are not {_ATOMS_OF[title]} of its atoms; mend them")
            value = self._of_type(coefficients, known, kind)
            found.append((tuple(self._place[atom] for atom in atoms), value))
        return found

    def _coefficients(self, title: str, styles: Mapping[str, Style[Kind]]) -> dict[int, Kind]:
        """What each type of one kind of terms means."""
        if title not in self._rows:
            self._refuse(f"has no section {title}; add it, with the coefficients of the input script")
        found = {}
        for kind, row in self._rows[title].items():
            is_hybrid = isinstance(row[0], str)
            style = row[0] if is_hybrid else self._titles[title] or self._assume(title, styles)
            if style not in styles:
                known = ", ".join(styles)
                self._refuse(
                    f"{title} {kind}: style {style[:40]!r} is not known here with lammps: {self._name}, but {known}"
                )
            try:
                found[kind] = meaning(styles, style, row[is_hybrid:])
            except ValueError as problem:
                self._refuse(f"{title} {kind}: {style} {problem}; mend it")
        return found

    def _assume(self, title: str, styles: Mapping[str, Style[Kind]]) -> str:
        """The style of coefficients whose title does not tell it, where their numbers could not be those of another."""
        style = next(iter(styles))
        if title == "Dihedral Coeffs":
            # charmm's d and fourier's n stand where OPLS has its third height; four numbers could be any of them.
            could_be_opls = any(not isinstance(row[2], Integral) for row in self._rows[title].values() if len(row) == 4)
            if self._name != "opls" or not could_be_opls:
                known = " or ".join(f"'{title} # {one}'" for one in styles)
                self._refuse(f"{title} do not tell their style; write it behind the title, {known}")
        told = f"{title.removesuffix(' Coeffs').lower()} {style}"
        self._assumed += [told] if told not in self._assumed else []
        return style

    def _of_type(self, title: str, known: Mapping[int, Kind], kind: int) -> Kind:
        if kind not in known:
            self._refuse(f"{title} lacks type {kind}; add it")
        return known[kind]

    def _refuse(self, reason: str) -> NoReturn:
        raise SpeciesError(f"{self._where}: {reason}")
