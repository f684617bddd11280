"""Droplets and periodic boxes packed by packmol, and the topology an analysis needs to read them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, atomic_numbers
from ase.units import _amu
from numpy.typing import NDArray
from rdkit import rdBase
from rdkit.Chem import rdForceFieldHelpers

from solvation.clusters.placement import ForceField
from solvation.clusters.shell import Shell
from solvation.errors import EngineFailed, StructureError
from solvation.liquids import packmol
from solvation.liquids.packmol import Shape
from solvation.provenance import write_atomically, write_json
from solvation.species import Molecule, embed_conformers

#: g/cm3 of one atomic mass unit per Å3.
_U_PER_A3 = _amu * 1e3 / 1e-24
_CONFORMERS = 10
#: A flexible molecule longer than this share of the droplet's radius is folded before it is packed.
_ROOM = 0.85
_FOLDING_KCAL_MOL_A2 = 5.0
_TRIES = 4
#: packmol stops at 1 % of the tolerance.
_SLACK_A = 0.05


@dataclass(frozen=True, slots=True)
class PackedSystem:
    """Molecules in space, in the order of their residues.

    Attributes
    ----------
    molecules
        One entry for each residue; copies of a species stand together, bare ions first.
    positions_A
        Coordinates, Å, (n_atoms, 3); molecules are whole, so atoms may lie outside the cell.
    cell_A
        Edge of the periodic cube, Å; None for a droplet.
    radius_A
        Radius of the sphere it was packed into, Å; None for a box.
    """

    molecules: tuple[Molecule, ...]
    positions_A: NDArray[np.float64]
    cell_A: float | None
    radius_A: float | None

    @property
    def atoms(self) -> Atoms:
        """The structure; periodic when it is a box."""
        symbols = [symbol for molecule in self.molecules for symbol in molecule.symbols]
        if self.cell_A is None:
            return Atoms(symbols, self.positions_A)
        return Atoms(symbols, self.positions_A, cell=[self.cell_A] * 3, pbc=True)

    def moved(self, positions_A: NDArray[np.float64]) -> PackedSystem:
        """The same system with other coordinates, Å, (n_atoms, 3)."""
        return replace(self, positions_A=positions_A)

    def at(self, positions_A: NDArray[np.float64], cell_A: float) -> PackedSystem:
        """The same box with other coordinates and another edge, Å."""
        return replace(self, positions_A=positions_A, cell_A=cell_A)

    @property
    def charge(self) -> int:
        """Net charge: the sum over the molecules. Nothing neutralises it."""
        return Shell(self.molecules).charge

    @property
    def multiplicity(self) -> int:
        """Spin multiplicity with the unpaired electrons of all molecules parallel."""
        return Shell(self.molecules).multiplicity

    @property
    def residue_ids(self) -> NDArray[np.int64]:
        """Number of the molecule of each atom, from 0, (n_atoms,)."""
        return Shell(self.molecules).fragment

    @property
    def residue_names(self) -> tuple[str, ...]:
        """Name of each residue, at most four characters, one name for each species."""
        names = residue_names([molecule.name for molecule in self.molecules])
        return tuple(names[molecule.name] for molecule in self.molecules)

    @property
    def atom_names(self) -> tuple[str, ...]:
        """Names unique within a residue: `C1`, `O2`; a bare ion is called by its element, `LI`."""
        return tuple(name for molecule in self.molecules for name in atom_names(molecule.symbols))

    @property
    def donor_kinds(self) -> tuple[str, ...]:
        """`"<species> <kind>"` for each donor atom, `""` for the others."""
        kinds: list[str] = []
        for molecule in self.molecules:
            kind = {donor.index: f"{molecule.name} {donor.kind}" for donor in molecule.donors}
            kinds += [kind.get(index, "") for index in range(molecule.graph.GetNumAtoms())]
        return tuple(kinds)

    @property
    def bonds(self) -> NDArray[np.int64]:
        """Covalent bonds as pairs of atoms, the smaller index first, sorted, (n_bonds, 2)."""
        offset, pairs = 0, []
        for molecule in self.molecules:
            pairs += [(first + offset, second + offset) for first, second in sorted(molecule.bonds)]
            offset += molecule.graph.GetNumAtoms()
        return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def pack(
    molecules: Mapping[str, Molecule],
    composition: Mapping[str, int],
    *,
    shape: Shape,
    density_g_cm3: float,
    rng: np.random.Generator,
    tolerance_A: float = 2.0,
    geometries: Mapping[str, Sequence[NDArray[np.float64]]] | None = None,
) -> PackedSystem:
    """Pack copies of molecules at random into a sphere or a periodic cube of a given density.

    In a droplet the first bare ion stands at the centre. Every copy gets a random conformer (ETKDG, relaxed by a
    force field). The order of `composition` changes nothing.

    Parameters
    ----------
    tolerance_A
        Smallest distance between atoms of different molecules, periodic images included, Å.
    geometries
        Conformers to choose from, Å, instead of those of ETKDG.

    Raises
    ------
    EngineMissing
        packmol is not installed.
    EngineFailed
        packmol found no packing; the message has its last words and the folder of its output.
    StructureError
        What packmol returned lacks atoms or has them too close.

    References
    ----------
    Martínez, Andrade, Birgin & Martínez, J. Comput. Chem. 30, 2157 (2009): packmol.
    """
    program = packmol.program()
    # The result must not depend on the order of a mapping.
    names = sorted(composition, key=lambda name: molecules[name].order)
    total_u = sum(composition[name] * mass_u(molecules[name]) for name in names)
    extent_A = (edge_A if shape == "box" else radius_of_sphere_A)(total_u, density_g_cm3)
    room_A = _ROOM * extent_A if shape == "droplet" else np.inf
    conformers = {
        name: list(geometries[name]) if geometries else _conformers(molecules[name], room_A, rng) for name in names
    }
    for attempt in range(1, _TRIES + 1):
        copies = [(name, int(pick)) for name in names for pick in _picks(conformers[name], composition[name], rng)]
        chosen = tuple(molecules[name] for name, _ in copies)
        chosen_A = [conformers[name][pick] for name, pick in copies]
        center = shape == "droplet" and chosen[0].is_ion
        try:
            positions_A = packmol.run(
                program, chosen, chosen_A, shape, extent_A, center=center, seed=int(rng.integers(1, 2**31 - 1)),
                tolerance_A=tolerance_A,
            )  # fmt: skip
        except EngineFailed:
            # Another choice of conformers may fit where a stretched one does not.
            if attempt == _TRIES:
                raise
        else:
            break
    system = PackedSystem(
        chosen, positions_A, extent_A if shape == "box" else None, extent_A if shape == "droplet" else None
    )
    closest_A = closest_contact_A(system)
    if closest_A < tolerance_A - _SLACK_A:
        raise StructureError(f"packmol left two molecules {closest_A:.2f} Å apart; lower density_g_cm3")
    return system


def settled(system: PackedSystem) -> PackedSystem:
    """Relax a droplet with MMFF94; what has no parameters there, and a box, stays as it is.

    UFF would not do: without charges it does not hold a solvent at its ion.
    """
    if system.cell_A is not None:
        return system
    with rdBase.BlockLogs():
        try:
            field = ForceField(Shell(system.molecules))
        except StructureError:
            return system
        if field.name != "MMFF94":
            return system
        return system.moved(field.relax(system.positions_A).positions_A)


def closest_contact_A(system: PackedSystem) -> float:
    """Smallest distance between atoms of different molecules, periodic images included, Å; inf for one molecule."""
    from ase.geometry import get_distances

    atoms, residues = system.atoms, system.residue_ids
    closest = np.inf
    for residue in range(residues[-1] + 1):
        mine, others = residues == residue, residues > residue
        if not others.any():
            break
        periodic = {"cell": atoms.cell, "pbc": atoms.pbc} if atoms.pbc.any() else {}
        distances = get_distances(atoms.positions[mine], atoms.positions[others], **periodic)[1]
        closest = min(closest, float(distances.min()))
    return closest


def residue_names(species: Sequence[str]) -> dict[str, str]:
    """A PDB residue name for each species: letters and digits of its name, at most four, all different."""
    names: dict[str, str] = {}
    for name in sorted(set(species)):
        stem = "".join(letter for letter in name.upper() if letter.isascii() and letter.isalnum()) or "X"
        candidate, number = stem[:4], 1
        while candidate in names.values():
            number += 1
            candidate = f"{stem[: 4 - len(str(number))]}{number}"
        names[name] = candidate
    return names


def atom_names(symbols: Sequence[str]) -> list[str]:
    """PDB atom names, at most four characters, unique within the molecule."""
    if len(symbols) == 1:
        return [symbols[0].upper()]
    totals, seen = Counter(symbols), Counter[str]()
    names: dict[str, None] = {}
    for symbol in symbols:
        # Polymers have more than 999 H: they are counted with letters as well.
        base = 10 if totals[symbol] < 10 ** (4 - len(symbol)) else 36
        name = symbol.upper()
        while name == symbol.upper() or name in names:
            seen[symbol] += 1
            name = symbol.upper() + np.base_repr(seen[symbol], base)
        names[name] = None
    return list(names)


def selections(system: PackedSystem) -> dict[str, Any]:
    """MDAnalysis selections of the bare ions and of every donor kind.

    Returns
    -------
    dict
        `center`: the first bare cation (else the first bare ion, else None); `ions`: each bare ion by species;
        `donors`: each `"<species> <kind>"` by name.
    """
    residue = dict(zip((molecule.name for molecule in system.molecules), system.residue_names, strict=True))
    kinds = {molecule.name: molecule for molecule in system.molecules}
    ions = {name: f"resname {residue[name]}" for name, molecule in kinds.items() if molecule.is_ion}
    cations = [name for name in ions if kinds[name].charge > 0]
    center = next(iter(cations or ions), None)
    donors: dict[str, str] = {}
    for name, molecule in kinds.items():
        named = atom_names(molecule.symbols)
        for kind in dict.fromkeys(donor.kind for donor in molecule.donors):
            chosen = " ".join(named[index] for index in molecule.donors_of(kind))
            donors[f"{name} {kind}"] = f"resname {residue[name]} and name {chosen}"
    return {"center": ions.get(center) if center else None, "center_species": center, "ions": ions, "donors": donors}


def write_topology(system: PackedSystem, path: Path) -> None:
    """Write a PDB with names, residues and bonds, and `donors.json` (see `selections`) beside it."""
    import MDAnalysis as mda

    residues = system.residue_ids
    universe = mda.Universe.empty(
        len(residues),
        n_residues=len(system.molecules),
        atom_resindex=residues,
        residue_segindex=[0] * len(system.molecules),
        trajectory=True,
    )
    symbols = system.atoms.get_chemical_symbols()
    for name, values in {
        "names": list(system.atom_names), "types": symbols, "elements": symbols,
        "resnames": list(system.residue_names), "resids": np.arange(1, len(system.molecules) + 1), "segids": ["S"],
        "chainIDs": ["S"] * len(residues), "record_types": ["ATOM"] * len(residues),
        "altLocs": [""] * len(residues), "icodes": [""] * len(system.molecules),
        "occupancies": np.ones(len(residues)), "tempfactors": np.zeros(len(residues)),
        "formalcharges": np.zeros(len(residues), dtype=int),
    }.items():  # fmt: skip
        universe.add_TopologyAttr(name, values)
    universe.add_TopologyAttr("bonds", [tuple(pair) for pair in system.bonds.tolist()])
    universe.atoms.positions = system.positions_A
    if system.cell_A is not None:
        universe.dimensions = [system.cell_A] * 3 + [90.0] * 3
    write_atomically(path, lambda temporary: _write_pdb(universe, temporary))
    write_json(path.with_name("donors.json"), selections(system))


def _write_pdb(universe: Any, path: Path) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Unit cell dimensions not found")
        universe.atoms.write(str(path), bonds="all")
    if universe.dimensions is None:
        # A droplet has no cell: the dummy of 1 Å that is written instead would be taken for one by some readers.
        lines = path.read_text(encoding="ascii").splitlines(keepends=True)
        path.write_text("".join(line for line in lines if not line.startswith(("CRYST1", "REMARK"))), encoding="ascii")


def mass_u(molecule: Molecule) -> float:
    """Mass of a molecule, u."""
    return float(sum(atomic_masses[atomic_numbers[symbol]] for symbol in molecule.symbols))


def edge_A(total_u: float, density_g_cm3: float) -> float:
    """Edge of the cube of this mass and density, Å."""
    return float((total_u * _U_PER_A3 / density_g_cm3) ** (1 / 3))


def radius_of_sphere_A(total_u: float, density_g_cm3: float) -> float:
    """Radius of the sphere of this mass and density, Å."""
    return float((3.0 * (total_u * _U_PER_A3 / density_g_cm3) / (4.0 * np.pi)) ** (1 / 3))


def _conformers(molecule: Molecule, room_A: float, rng: np.random.Generator) -> list[NDArray[np.float64]]:
    """Conformers relaxed by a force field where it has the parameters, else as embedded; folded to fit, Å."""
    geometries = embed_conformers(molecule, _CONFORMERS, int(rng.integers(2**31)))
    if molecule.graph.GetNumAtoms() == 1:
        return geometries
    try:
        field = ForceField(Shell((molecule,)))
    except StructureError:
        return geometries
    with rdBase.BlockLogs():
        relaxed = [field.relax(geometry).positions_A for geometry in geometries]
    return [_folded(molecule, geometry, room_A) if _radius_A(geometry) > room_A else geometry for geometry in relaxed]


def _radius_A(positions_A: NDArray[np.float64]) -> float:
    middle = (positions_A.max(axis=0) + positions_A.min(axis=0)) / 2
    return float(np.linalg.norm(positions_A - middle, axis=1).max())


def _folded(molecule: Molecule, positions_A: NDArray[np.float64], room_A: float) -> NDArray[np.float64]:
    """Fold a chain until it fits into a sphere: embedded in vacuum it is longer than a small droplet is wide.

    Points at most D apart lie in a sphere of radius D sqrt(3/8) (Jung's theorem), so that D is what the force
    field holds all pairs of atoms to. A rigid molecule stays as it is, and packmol then says that it does not fit.
    """
    graph = molecule.graph_at(positions_A)
    with rdBase.BlockLogs():
        field = rdForceFieldHelpers.UFFGetMoleculeForceField(graph)
        field.Initialize()
        limit_A = room_A / np.sqrt(3 / 8)
        for first, second in combinations(range(graph.GetNumAtoms()), 2):
            field.UFFAddDistanceConstraint(first, second, False, 0.0, limit_A, _FOLDING_KCAL_MOL_A2)
        field.Minimize(maxIts=2000)
    return np.asarray(graph.GetConformer().GetPositions())


def _picks(geometries: Sequence[Any], copies: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Index of the conformer of each copy, sorted so that equal ones make one packmol block."""
    return np.sort(rng.integers(len(geometries), size=copies))
