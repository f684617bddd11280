"""Classical force fields of molecules: GAFF2 with charges of our own and published spheres, or a published ion."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from rdkit import Chem

from solvation.clusters.relaxation import relax
from solvation.engines.pyscf import PySCFCalculator
from solvation.engines.resp import restrained_charges
from solvation.errors import EngineFailed, SpeciesError
from solvation.library import library
from solvation.liquids import antechamber, boron, gaff
from solvation.liquids.ions import fitted_pairs, published_ions
from solvation.liquids.spheres import published_spheres
from solvation.species import Molecule, build_molecule, embed_conformers, same_skeleton
from solvation.study import Level, Species
from solvation.study.trajectories import LennardJones, Mixing

_KJ = 4.184
_RELAXED_AT = Level.model_validate("gfn2")
_EMBEDDED, _SAME_EV = 6, 0.002
#: A term of an angle holds where the ion of the library is within this of it: PF6- has none across.
_NEAR_DEG = 30.0
#: parmchk2's own words: analogies beyond this penalty are doubtful.
_DOUBTFUL = 10.0
#: Elements of GAFF2, and boron, whose terms are ours (boron.py).
_ELEMENTS = frozenset({"H", "B", "C", "N", "O", "F", "P", "S", "Cl", "Br", "I"})
#: GAFF2's sp3 carbon of rings of five and six, beside that of chains.
_LIKE = {"c5": "c3", "c6": "c3"}
#: 1-4 interactions of Amber: charges over 1.2, Lennard-Jones over 2.
_AMBER_14 = (1 / 1.2, 0.5)


class Parameters(BaseModel):
    """Everything that OpenMM needs of one species; E = k/2 (x - x0)2 for bonds and angles.

    Attributes
    ----------
    origin
        Where the numbers come from, one line each.
    doubtful
        Terms that were taken over from rather different ones, with parmchk2's penalty; all that boron has of carbon.
    potential_error
        What the charges miss of the potential, as a share; None for published charges.
    torsions
        (i, j, k, l, periodicity, phase in degrees, k) of E = k (1 + cos(n phi - phase)); impropers too.
    scale_14
        Factors of charges and of Lennard-Jones terms three bonds apart.
    is_geometric
        Whether sigma of pairs three bonds apart is the geometric mean (OPLS-AA), else the arithmetic one.
    inner_pairs
        (i, j, product of charges in e2, sigma in Å, epsilon in kJ/mol) of all pairs of atoms of one molecule that do
        not interact as those of two do, instead of `scale_14`; None where that tells them.
    mixing
        Rule for sigma between molecules that a user's file was made for; None where it does not say.
    pairs
        (A in kJ/mol Å8, C in kJ/mol Å6) of E = A/r8 - C/r6 with atoms of other molecules, by their `kinds_of_pairs`,
        instead of the mixed terms.
    pairs_charge_scale
        The only `charge_scale` with which `pairs` hold.
    geometries_A
        Relaxed conformers, Å, each (n_atoms, 3).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    smiles: str
    symbols: tuple[str, ...]
    charge: int
    origin: tuple[str, ...]
    doubtful: tuple[str, ...] = ()
    potential_error: float | None = None
    types: tuple[str, ...]
    charges_e: tuple[float, ...]
    sigma_A: tuple[float, ...]
    epsilon_kJ_mol: tuple[float, ...]
    bonds: tuple[tuple[int, int, float, float], ...] = ()
    angles: tuple[tuple[int, int, int, float, float], ...] = ()
    torsions: tuple[tuple[int, int, int, int, int, float, float], ...] = ()
    scale_14: tuple[float, float]
    is_geometric: bool = False
    inner_pairs: tuple[tuple[int, int, float, float, float], ...] | None = None
    mixing: Mixing | None = None
    pairs: dict[str, tuple[float, float]] = {}
    pairs_charge_scale: float | None = None
    geometries_A: tuple[tuple[tuple[float, float, float], ...], ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        """Type of each atom and of its neighbours, `os(c3 c3)`: GAFF2 calls O of ethers and of esters the same."""
        near: list[list[str]] = [[] for _ in self.types]
        for one, other, *_ in self.bonds:
            near[one].append(_LIKE.get(self.types[other], self.types[other]))
            near[other].append(_LIKE.get(self.types[one], self.types[one]))
        return tuple(
            f"{kind}({' '.join(sorted(around))})" if around else kind
            for kind, around in zip(self.types, near, strict=True)
        )

    @property
    def kinds_of_pairs(self) -> tuple[str, ...]:
        """`kinds` to which `pairs` of an ion apply: none in a charged species, since they are fitted to neutral ones.

        O of a carboxylate is of the same kind as O of an ester, but its charge draws Li+ closer than any fit has seen.
        """
        return self.kinds if self.charge == 0 else ("",) * len(self.types)

    def geometries(self) -> list[NDArray[np.float64]]:
        """The conformers as arrays, Å."""
        return [np.array(geometry) for geometry in self.geometries_A]


def parametrise(
    molecule: Molecule,
    *,
    level: Level,
    conformers: int,
    seed: int,
    lennard_jones: LennardJones = "openff",
    with_pairs: bool = True,
) -> Parameters:
    """Parameters of one species; ions of structures/ions.yaml take the published ones.

    Parameters
    ----------
    level
        Of the electrostatic potential that the charges are fitted to.
    conformers
        At most so many conformers are fitted at once.
    lennard_jones
        Whether molecules take the spheres of structures/lennard_jones.yaml or those of GAFF2's types.
    with_pairs
        Whether a published ion takes the pair terms of structures/pairs/ as well, where it has some.

    Raises
    ------
    SpeciesError
        An ion or a radical that neither GAFF2 nor the published sets know.
    EngineMissing, EngineFailed
        A program is not there, or failed.
    """
    if (name := published_name(molecule)) is not None:
        return _published(molecule, name, with_pairs=with_pairs)
    check_gaff2(molecule)
    geometries = relaxed_conformers(molecule, conformers, seed)
    fields = [
        PySCFCalculator(level, charge=molecule.charge, multiplicity=1).converged(Atoms(molecule.symbols, geometry))
        for geometry in geometries
    ]
    charges, error = restrained_charges(fields, symmetry_classes(molecule), alkyl_atoms(molecule))
    made = _gaff2(molecule, geometries, charges, error, level)
    return _with_published_spheres(molecule, made) if lennard_jones == "openff" else made


def published_name(molecule: Molecule) -> str | None:
    """Name of the ion of structures/ions.yaml that this is, however it is called or written; None for any other."""
    known = ((name, _known(name)) for name in published_ions())
    return next(
        (
            name
            for name, ion in known
            if (ion.charge, ion.multiplicity) == (molecule.charge, molecule.multiplicity)
            and same_skeleton(ion.graph, molecule.graph)
        ),
        None,
    )


def check_gaff2(molecule: Molecule) -> None:
    """Refuse what GAFF2 cannot describe.

    Raises
    ------
    SpeciesError
        A single atom, a radical, or an element that GAFF2 does not have.
    """
    where = f"species.{molecule.name}"
    if molecule.graph.GetNumAtoms() == 1 or molecule.multiplicity != 1:
        raise SpeciesError(
            f"{where}: GAFF2 has no single atoms and no radicals, and structures/ions.yaml only "
            f"{', '.join(published_ions())}"
        )
    if strange := sorted(set(molecule.symbols) - _ELEMENTS):
        raise SpeciesError(f"{where}: GAFF2 has no {', '.join(strange)}; it knows {', '.join(sorted(_ELEMENTS))}")


@cache
def _known(name: str) -> Molecule:
    return build_molecule(name, Species(library=name))


def symmetry_classes(molecule: Molecule) -> NDArray[np.int64]:
    """Class of each atom, equal for atoms that the bonds alone do not tell apart, (n_atoms,).

    Bond orders and formal charges are left out, so that the two O of a carboxylate are one class.
    """
    graph = Chem.RWMol(molecule.graph)
    Chem.Kekulize(graph, clearAromaticFlags=True)
    for bond in graph.GetBonds():
        bond.SetBondType(Chem.BondType.SINGLE)
    for atom in graph.GetAtoms():
        atom.SetFormalCharge(0)
        atom.SetNoImplicit(True)
        atom.SetChiralTag(Chem.ChiralType.CHI_UNSPECIFIED)
    graph.UpdatePropertyCache(strict=False)
    return np.array(Chem.CanonicalRankAtoms(graph, breakTies=False, includeChirality=False))


def alkyl_atoms(molecule: Molecule) -> NDArray[np.bool_]:
    """Carbon and hydrogen of CH2 and CH3 groups, (n_atoms,)."""
    chosen = np.zeros(molecule.graph.GetNumAtoms(), dtype=bool)
    for atom in molecule.graph.GetAtoms():
        hydrogens = [other.GetIdx() for other in atom.GetNeighbors() if other.GetAtomicNum() == 1]
        if atom.GetAtomicNum() == 6 and atom.GetDegree() == 4 and len(hydrogens) >= 2:
            chosen[[atom.GetIdx(), *hydrogens]] = True
    return chosen


def relaxed_conformers(molecule: Molecule, most: int, seed: int) -> list[NDArray[np.float64]]:
    """Lowest different conformers at GFN2-xTB, Å, at most `most`."""
    found: list[tuple[float, NDArray[np.float64]]] = []
    for geometry in embed_conformers(molecule, _EMBEDDED, seed):
        end = relax(Atoms(molecule.symbols, geometry), _RELAXED_AT, charge=molecule.charge)
        if all(abs(end.energy_eV - energy) > _SAME_EV for energy, _ in found):
            found.append((end.energy_eV, end.positions_A))
    return [geometry for _, geometry in sorted(found, key=lambda item: item[0])[:most]]


def _gaff2(
    molecule: Molecule, geometries: list[NDArray[np.float64]], charges: NDArray[np.float64], error: float, level: Level
) -> Parameters:
    typed = antechamber.typed(molecule, geometries[0])
    additions = gaff.read_frcmod(typed.missing)
    data = antechamber.gaff2_data()
    with data.open(encoding="utf-8", errors="replace") as stream:
        title = stream.readline().strip()
    parts = valence_terms(molecule, typed.types, gaff.read_parm(data).under(additions))
    origin = [title, f"charges: RESP at {level} on {len(geometries)} conformers relaxed at {_RELAXED_AT}"]
    far = {term: penalty for term, penalty in additions.penalties.items() if penalty > _DOUBTFUL}
    doubtful = tuple(f"{term} ({penalty:g})" for term, penalty in far.items() if "B" not in term.split("-"))
    if "B" in molecule.symbols:
        parts = boron.with_boron(molecule, parts, geometries, symmetry_classes(molecule))
        origin.append(boron.SOURCE)
        doubtful += boron.boron_doubts(molecule, additions.penalties)
    return Parameters(
        smiles=molecule.smiles,
        symbols=tuple(molecule.symbols),
        charge=molecule.charge,
        origin=tuple(origin),
        doubtful=doubtful,
        potential_error=error,
        types=typed.types,
        charges_e=tuple(float(charge) for charge in charges),
        scale_14=_AMBER_14,
        geometries_A=plain(geometries),
        **parts,
    )


def _with_published_spheres(molecule: Molecule, made: Parameters) -> Parameters:
    """The same with the spheres of structures/lennard_jones.yaml; atoms that it does not know keep GAFF2's."""
    source, found = published_spheres(molecule)
    own = zip(made.sigma_A, made.epsilon_kJ_mol, strict=True)
    spheres = [sphere or kept for sphere, kept in zip(found, own, strict=True)]
    left_out = sorted({symbol for symbol, sphere in zip(molecule.symbols, found, strict=True) if sphere is None})
    besides = f", but GAFF2's of {', '.join(left_out)}" if left_out else ""
    return made.model_copy(
        update={
            "origin": (*made.origin, f"Lennard-Jones: {source}{besides}"),
            "sigma_A": tuple(sigma_A for sigma_A, _ in spheres),
            "epsilon_kJ_mol": tuple(depth for _, depth in spheres),
        }
    )


def valence_terms(molecule: Molecule, types: tuple[str, ...], table: gaff.Table) -> dict[str, Any]:
    """Bonds, angles, torsions, impropers and Lennard-Jones terms of a typed molecule, in the units of `Parameters`.

    Raises
    ------
    EngineFailed
        The table lacks a term; the message names it.
    """
    near = neighbours(molecule)

    def kinds(atoms: tuple[int, ...]) -> tuple[str, ...]:
        return tuple(types[index] for index in atoms)

    bonds = []
    for first, second in sorted(molecule.bonds):
        stiffness, length_A = table.bond(kinds((first, second)))
        bonds.append((first, second, length_A, 2 * _KJ * stiffness))
    angles = []
    for path in _angles(near):
        stiffness, angle_deg = table.angle(kinds(path))
        angles.append((*path, angle_deg, 2 * _KJ * stiffness))
    torsions = []
    for chain in _torsions(molecule, near):
        torsions += [(*chain, wave[0], wave[1], _KJ * wave[2]) for wave in table.torsion(kinds(chain)) if wave[2]]
    for centre, around in enumerate(near):
        found = table.improper(types[centre], kinds(tuple(around))) if len(around) == 3 else None
        if found:
            (first, second, last), wave = found
            star = (around[first], around[second], centre, around[last])
            torsions.append((*star, wave[0], wave[1], _KJ * wave[2]))
    spheres = [table.sphere(kind) for kind in types]
    return {
        "bonds": tuple(bonds), "angles": tuple(angles), "torsions": tuple(torsions),
        "sigma_A": tuple(2 * radius_A / 2 ** (1 / 6) for radius_A, _ in spheres),
        "epsilon_kJ_mol": tuple(_KJ * depth for _, depth in spheres),
    }  # fmt: skip


def neighbours(molecule: Molecule) -> list[list[int]]:
    """Bonded atoms of each atom, in order."""
    near: list[list[int]] = [[] for _ in range(molecule.graph.GetNumAtoms())]
    for first, second in sorted(molecule.bonds):
        near[first].append(second)
        near[second].append(first)
    return [sorted(others) for others in near]


def _angles(near: list[list[int]]) -> list[tuple[int, int, int]]:
    return [(one, centre, other) for centre, around in enumerate(near) for one, other in combinations(around, 2)]


def _torsions(molecule: Molecule, near: list[list[int]]) -> list[tuple[int, int, int, int]]:
    return [
        (first, second, third, last)
        for second, third in sorted(molecule.bonds)
        for first in near[second]
        for last in near[third]
        if first != third and last not in {second, first}
    ]


def _published(molecule: Molecule, name: str, *, with_pairs: bool) -> Parameters:
    """A published ion; the atoms of the library's geometry are put into the order of `molecule`."""
    from ase.io import read

    ion = published_ions()[name]
    match = same_skeleton(_known(name).graph, molecule.graph)
    place = read(library()[name].path).positions[match] if len(match) > 1 else np.zeros((1, 3))
    near, symbols = neighbours(molecule), tuple(molecule.symbols)

    def term(table: Mapping[str, tuple[float, ...]], atoms: tuple[int, ...]) -> tuple[float, ...]:
        word = [symbols[index] for index in atoms]
        found = table.get("-".join(word), table.get("-".join(reversed(word))))
        if found is None:
            raise EngineFailed(f"structures/ions.yaml: {name} lacks {'-'.join(word)}")
        return found

    bonds = [(*pair, *term(ion.bonds, pair)) for pair in sorted(molecule.bonds)]
    angles = []
    for path in _angles(near):
        angle_deg, stiffness = term(ion.angles, path)
        if abs(_angle_deg(place[list(path)]) - angle_deg) < _NEAR_DEG:
            angles.append((*path, angle_deg, stiffness))
    torsions = []
    for chain in _torsions(molecule, near):
        heights = term(ion.torsions, chain)
        torsions += [
            (*chain, n, 180.0 * (n % 2 == 0), height / 2) for n, height in enumerate(heights, start=1) if height
        ]
    spheres = [ion.atoms[symbol] for symbol in symbols]
    charges = np.array([sphere.charge for sphere in spheres])
    fitted = fitted_pairs().get(name) if with_pairs else None
    origin = [ion.source, ion.note]
    if fitted is not None:
        origin.append(f"pairs with {', '.join(fitted.terms)}: fitted to {fitted.level} (structures/pairs)")
    return Parameters(
        smiles=molecule.smiles, symbols=symbols, charge=molecule.charge, origin=tuple(origin),
        types=symbols, charges_e=tuple((charges + (molecule.charge - charges.sum()) / len(charges)).tolist()),
        sigma_A=tuple(sphere.sigma for sphere in spheres), epsilon_kJ_mol=tuple(one.epsilon for one in spheres),
        bonds=tuple(bonds), angles=tuple(angles), torsions=tuple(torsions), scale_14=(0.5, 0.5), is_geometric=True,
        pairs=fitted.terms if fitted else {}, pairs_charge_scale=fitted.charge_scale if fitted else None,
        geometries_A=plain([place]),
    )  # fmt: skip


def _angle_deg(points_A: NDArray[np.float64]) -> float:
    one, other = points_A[0] - points_A[1], points_A[2] - points_A[1]
    return float(np.degrees(np.arccos(one @ other / np.linalg.norm(one) / np.linalg.norm(other))))


def plain(geometries: list[NDArray[np.float64]]) -> Any:
    """Geometries as tuples, for `Parameters`."""
    return tuple(tuple(tuple(row) for row in geometry.tolist()) for geometry in geometries)


def parameters_of(molecules: Mapping[str, Molecule], files: Sequence[Path]) -> dict[str, Parameters]:
    """Parameters of each species, from files that `solvation parameters` wrote, in any order.

    Raises
    ------
    SpeciesError
        A file is missing or holds something else, or a species has none.
    """
    found = dict(_read(path) for path in files)
    for name, molecule in molecules.items():
        if name not in found:
            raise SpeciesError(f"species.{name}: has no --parameters; run 'solvation parameters' for it")
        if found[name].symbols != tuple(molecule.symbols):
            raise SpeciesError(f"species.{name}: its parameters are those of {found[name].smiles}; make them again")
    return {name: found[name] for name in molecules}


def _read(path: Path) -> tuple[str, Parameters]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return str(data["card"]["name"]), Parameters.model_validate(data["result"])
    except (OSError, ValueError, KeyError, TypeError) as problem:
        reason = str(problem).splitlines()[0]
        raise SpeciesError(f"{path}: holds no parameters ({reason}); run 'solvation parameters'") from problem
