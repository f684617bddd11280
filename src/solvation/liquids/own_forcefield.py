"""Force fields that the user brings: one molecule of an Amber, GROMACS, OpenMM or LAMMPS file, term by term."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from solvation.errors import SpeciesError, in_short
from solvation.liquids.file_terms import FileTerms, check_count
from solvation.liquids.forcefield import Parameters, plain, relaxed_conformers
from solvation.liquids.lammps_data import read_data
from solvation.liquids.openmm_system import check_openmm
from solvation.liquids.torsions import fourier_of_ryckaert_bellemans
from solvation.species import Molecule, order_of_bonded_atoms
from solvation.study.trajectories import Mixing, OwnForceField

#: What the total charge of a file may miss by rounding, e.
_ROUNDED_E = 0.02
#: Elements of a force field's XML that OpenMM runs as Python, or follows to other files.
_RUN = ("Script", "InitializationScript", "Include")
_CONFORMERS = 3
#: Factor of charges and of Lennard-Jones terms three bonds apart.
_OPLS_14 = 0.5


def own_parameters(molecule: Molecule, own: OwnForceField, *, seed: int) -> Parameters:
    """Parameters of one species out of the user's file; its atoms are found by elements and bonds.

    Parameters
    ----------
    own
        `.prmtop`/`.parm7` (Amber), `.top` (GROMACS) or a LAMMPS data file of one molecule, or OpenMM's `.xml` with a
        residue of it.
    seed
        Of the conformers that boxes are packed from; they are relaxed at GFN2-xTB.

    Raises
    ------
    EngineMissing
        OpenMM, which reads the file, or pymatgen, which reads those of LAMMPS, is not installed.
    SpeciesError
        The file cannot be read, holds another molecule, or a kind of term that is not known here.
    """
    terms = read_terms(molecule, own)
    geometries = relaxed_conformers(molecule, _CONFORMERS, seed)
    return Parameters.model_validate({**terms, "geometries_A": plain(geometries)})


def read_terms(molecule: Molecule, own: OwnForceField) -> dict[str, Any]:
    """All fields of `Parameters` but the geometries; raises as `own_parameters`."""
    check_openmm()
    path = own.file
    where = f"forcefields.{molecule.name}.file: {path}"
    if not path.is_file():
        raise SpeciesError(f"{where} does not exist; paths are relative to the study file")
    terms = _read(where, molecule, path) if own.lammps is None else read_data(where, molecule, path, own.lammps)
    order = order_of_bonded_atoms(where, molecule, list(terms.symbols), terms.bonded)
    found = terms.fields(order)
    charges = np.array(found.pop("charges_e"))
    if abs(charges.sum() - molecule.charge) > _ROUNDED_E:
        raise SpeciesError(
            f"{where}: its charges add up to {charges.sum():+.3f}, not {molecule.charge:+d}; give them unscaled, "
            "charge_scale of the trajectory scales ions"
        )
    return {
        "smiles": molecule.smiles,
        "symbols": tuple(molecule.symbols),
        "charge": molecule.charge,
        "origin": (f"the user's {path.name}", *([terms.read_as] if terms.read_as else [])),
        # A type of its own for each atom: what was fitted to GAFF2's types does not hold for these.
        "types": tuple(f"{path.name}:{number}" for number in range(len(terms.symbols))),
        "charges_e": tuple((charges + (molecule.charge - charges.sum()) / len(charges)).tolist()),
        **found,
    }


def _read(where: str, molecule: Molecule, path: Path) -> FileTerms:
    """Terms of a file that OpenMM reads."""
    topology, system = _opened(where, molecule, path)
    symbols = tuple(atom.element.symbol if atom.element else "?" for atom in topology.atoms())
    check_count(where, molecule, len(symbols))
    bonded = tuple((bond[0].index, bond[1].index) for bond in topology.bonds())
    is_xml = path.suffix.lower() == ".xml"
    return _Terms(where, system).of_the_file(
        symbols, bonded, tells_mixing=not is_xml, is_opls=is_xml and _is_opls(path)
    )


def _is_opls(path: Path) -> bool:
    """Whether a force field for OpenMM scales pairs three bonds apart as OPLS-AA does.

    OpenMM's format has no word for the rule of sigma and mixes all arithmetically, these pairs as well; the numbers of
    OPLS-AA, which LigParGen writes so, were made for the geometric mean of both.
    """
    forces = list(ElementTree.parse(path).iter("NonbondedForce"))
    scales = [float(force.get(name, 1)) for force in forces for name in ("coulomb14scale", "lj14scale")]
    return bool(scales) and all(scale == _OPLS_14 for scale in scales)


def _opened(where: str, molecule: Molecule, path: Path) -> tuple[Any, Any]:
    """OpenMM's topology and system of the file."""
    from openmm import app

    whole = {"nonbondedMethod": app.NoCutoff, "constraints": None, "rigidWater": False, "removeCMMotion": False}
    suffix = path.suffix.lower()
    try:
        if suffix in {".prmtop", ".parm7"}:
            made = app.AmberPrmtopFile(str(path))
            return made.topology, made.createSystem(**whole)
        if suffix == ".top":
            _refuse_include(where, path)
            made = app.GromacsTopFile(str(path))
            return made.topology, made.createSystem(**whole)
        if suffix == ".xml":
            _refuse_code(where, path)
            topology = _topology(molecule)
            return topology, app.ForceField(str(path)).createSystem(topology, **whole)
    except SpeciesError:
        raise
    except Exception as problem:  # OpenMM's readers raise whatever their parsers meet
        raise SpeciesError(f"{where} cannot be read ({in_short(problem)}); check its format") from problem
    raise SpeciesError(
        f"{where}: give an Amber .prmtop, a GROMACS .top, OpenMM's .xml or a LAMMPS .data, not '{suffix}'"
    )


def _refuse_code(where: str, path: Path) -> None:
    for element in ElementTree.parse(path).iter():
        if element.tag in _RUN:
            raise SpeciesError(f"{where}: holds <{element.tag}>, which would run code or read other files; take it out")


def _refuse_include(where: str, path: Path) -> None:
    if any(line.lstrip().startswith("#include") for line in path.read_text(encoding="utf-8").splitlines()):
        raise SpeciesError(f"{where} has an #include; gmx grompp -pp writes it whole")


def _topology(molecule: Molecule) -> Any:
    from openmm import app

    made = app.Topology()
    residue = made.addResidue(molecule.name, made.addChain())
    atoms = [
        made.addAtom(f"{symbol}{number}", app.Element.getBySymbol(symbol), residue)
        for number, symbol in enumerate(molecule.symbols)
    ]
    for first, second in sorted(molecule.bonds):
        made.addBond(atoms[first], atoms[second])
    return made


class _Terms:
    """Terms of an OpenMM system, in the units of `Parameters` and the order of the file."""

    def __init__(self, where: str, system: Any) -> None:
        self._where = where
        self._charges = np.zeros(system.getNumParticles())
        self._sigma_A = np.ones(system.getNumParticles())
        self._depth = np.zeros(system.getNumParticles())
        self._bonds: list[tuple[int, int, float, float]] = []
        self._angles: list[tuple[int, int, int, float, float]] = []
        self._torsions: list[tuple[int, int, int, int, int, float, float]] = []
        self._inner: dict[tuple[int, int], tuple[float, float, float]] = {}
        self._mixing: Mixing = "arithmetic"
        if any(system.isVirtualSite(number) for number in range(system.getNumParticles())):
            raise SpeciesError(f"{where}: has virtual sites, which are not known here")
        readers = {
            "HarmonicBondForce": self._add_bonds,
            "HarmonicAngleForce": self._add_angles,
            "PeriodicTorsionForce": self._add_torsions,
            "RBTorsionForce": self._add_rb_torsions,
            "NonbondedForce": self._add_nonbonded,
            "CustomNonbondedForce": self._add_geometric,
            "CustomBondForce": self._add_geometric_pairs,
        }
        # NonbondedForce first: GROMACS' geometric rule replaces its spheres.
        for force in sorted(system.getForces(), key=lambda one: type(one).__name__ != "NonbondedForce"):
            kind = type(force).__name__
            if kind not in readers:
                raise SpeciesError(f"{where}: its terms of the kind {kind} ({force.getName()}) are not known here")
            readers[kind](force)

    def of_the_file(
        self, symbols: tuple[str, ...], bonded: tuple[tuple[int, int], ...], *, tells_mixing: bool, is_opls: bool
    ) -> FileTerms:
        mixing: Mixing | None = "geometric" if is_opls else self._mixing if tells_mixing else None
        return FileTerms(
            symbols, bonded, self._charges, self._sigma_A, self._depth, self._bonds, self._angles, self._torsions,
            mixing=mixing, inner_pairs=self._geometric_inner() if is_opls else self._inner,
            read_as="1-4 pairs times 0.5 and 0.5: taken for OPLS-AA, sigma mixed geometric" if is_opls else "",
        )  # fmt: skip

    def _geometric_inner(self) -> dict[tuple[int, int], tuple[float, float, float]]:
        """Pairs within the molecule with the geometric mean of sigma."""
        return {
            (one, other): (product, float(np.sqrt(self._sigma_A[one] * self._sigma_A[other])), depth)
            for (one, other), (product, _, depth) in self._inner.items()
        }

    def _add_bonds(self, force: Any) -> None:
        for number in range(force.getNumBonds()):
            one, other, length, stiffness = force.getBondParameters(number)
            self._bonds.append((one, other, 10 * _in_md_units(length), _in_md_units(stiffness) / 100))

    def _add_angles(self, force: Any) -> None:
        for number in range(force.getNumAngles()):
            *atoms, angle, stiffness = force.getAngleParameters(number)
            self._angles.append((*atoms, float(np.degrees(_in_md_units(angle))), _in_md_units(stiffness)))

    def _add_torsions(self, force: Any) -> None:
        for number in range(force.getNumTorsions()):
            *atoms, periodicity, phase, height = force.getTorsionParameters(number)
            if _in_md_units(height):
                self._torsions.append(
                    (*atoms, periodicity, float(np.degrees(_in_md_units(phase))), _in_md_units(height))
                )

    def _add_rb_torsions(self, force: Any) -> None:
        for number in range(force.getNumTorsions()):
            *atoms, c0, c1, c2, c3, c4, c5 = force.getTorsionParameters(number)
            heights = fourier_of_ryckaert_bellemans([_in_md_units(term) for term in (c0, c1, c2, c3, c4, c5)])
            for periodicity, height in enumerate(heights, start=1):
                if abs(height) > 1e-9:
                    self._torsions.append((*atoms, periodicity, 0.0, height))

    def _add_nonbonded(self, force: Any) -> None:
        for number in range(force.getNumParticles()):
            charge, sigma, depth = (_in_md_units(value) for value in force.getParticleParameters(number))
            self._charges[number], self._sigma_A[number], self._depth[number] = charge, 10 * sigma, depth
        for number in range(force.getNumExceptions()):
            one, other, product, sigma, depth = force.getExceptionParameters(number)
            self._inner[one, other] = (_in_md_units(product), 10 * _in_md_units(sigma), _in_md_units(depth))

    def _add_geometric(self, force: Any) -> None:
        """The spheres of GROMACS' rules 1 and 3, as OpenMM's reader writes them: roots of C6 and C12."""
        if force.getEnergyFunction() != "A1*A2/r^12-C1*C2/r^6":
            raise SpeciesError(f"{self._where}: has pair terms of single types (nonbond_params), not known here")
        self._mixing = "geometric"
        for number in range(force.getNumParticles()):
            attraction, repulsion = force.getParticleParameters(number)
            self._sigma_A[number], self._depth[number] = _sphere(attraction**2, repulsion**2)

    def _add_geometric_pairs(self, force: Any) -> None:
        if force.getEnergyFunction() != "-C/r^6+A/r^12":
            raise SpeciesError(f"{self._where}: its terms '{force.getEnergyFunction()}' are not known here")
        for number in range(force.getNumBonds()):
            one, other, (attraction, repulsion) = force.getBondParameters(number)
            key = (one, other) if (one, other) in self._inner else (other, one)
            self._inner[key] = (self._inner[key][0], *_sphere(attraction, repulsion))


def _sphere(attraction: float, repulsion: float) -> tuple[float, float]:
    """Sigma in Å and depth in kJ/mol of C12/r12 - C6/r6 in nm."""
    if not attraction or not repulsion:
        return 1.0, 0.0
    return 10 * (repulsion / attraction) ** (1 / 6), attraction**2 / (4 * repulsion)


def _in_md_units(value: Any) -> float:
    """A quantity in OpenMM's own units (nm, kJ/mol, rad, e)."""
    from openmm import unit

    return float(value.value_in_unit_system(unit.md_unit_system)) if unit.is_quantity(value) else float(value)
