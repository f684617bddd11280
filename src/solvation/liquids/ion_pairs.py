"""Short-range terms between an ion and its donors, fitted to interaction energies of our own DFT.

A published radius of an ion belongs to the force field it was made for. Here the target is computed: the fourth ligand
of a full shell is drawn away from the ion along its bond, at a level of theory, and the same path is walked with
the force field. Nothing measured enters (docs/liquids.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms, units
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.optimize import least_squares, lsq_linear, minimize_scalar

from solvation.clusters.placement import ForceField, random_start
from solvation.clusters.relaxation import relax
from solvation.clusters.shell import Shell
from solvation.engines import SinglePoint
from solvation.engines.single_points import energies_eV
from solvation.errors import SpeciesError, StructureError
from solvation.liquids.forcefield import Parameters
from solvation.liquids.ions import FittedPairs, Scan
from solvation.species import Molecule, embed_conformers
from solvation.study import Level

_RELAXED_AT = Level.model_validate("gfn1")
#: Distances of the scan from that of the relaxed shell, Å: from the wall to well behind the minimum.
OFFSETS_A = (-0.12, 0.0, 0.12, 0.27, 0.5)
#: Points higher above the minimum of their scan than this are not fitted: liquids at room temperature do not go there.
WINDOW_EV = 0.3
_HELD_A = 2.6
#: Logarithms of the smallest and the largest sigma (Å) and epsilon (kJ/mol) that one sphere may have.
_SPHERES = np.log([(0.5, 1e-4), (5.0, 50.0)])
#: kJ/mol Å6 and less.
_NONE = 1e-6
_COULOMB_EV_A = units.Hartree * units.Bohr
_KJ_MOL = units.kJ / units.mol
#: (A in kJ/mol Å8, C in kJ/mol Å6) of E = A/r8 - C/r6 by kind of the donor (`Parameters.kinds`). With 1/r12 the wall
#: is too steep for Li+: the same number of terms leaves more than twice the error (docs/liquids.md).
Pairs = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Path:
    """A ligand drawn out of a shell, nothing else moving.

    Attributes
    ----------
    shell
        The ion, the frame, and the ligand as its last molecule.
    donor
        Index of the ligand's donor in the whole.
    r_A
        Distances of ion and donor, Å, (n,).
    positions_A
        Å, (n, n_atoms, 3).
    """

    shell: Shell
    donor: int
    r_A: NDArray[np.float64]
    positions_A: NDArray[np.float64]

    @property
    def ligand(self) -> NDArray[np.bool_]:
        """Atoms of the ligand, (n_atoms,)."""
        fragment = self.shell.fragment
        return np.asarray(fragment == fragment[-1])


def path_out(ion: Molecule, frame: Molecule, ligand: Molecule, *, copies: int = 3, seed: int) -> Path:
    """Relax ion, `copies` of `frame` and `ligand` at GFN1-xTB, then slide the ligand along the line ion-donor.

    Raises
    ------
    StructureError
        The ligand left the ion, or the frame did, while they were relaxed.
    EngineFailed
        The engine failed.
    """
    shell = Shell((ion, *[frame] * copies, ligand))
    rng = np.random.default_rng(seed)
    conformers = [embed_conformers(molecule, 1, seed) for molecule in shell.molecules]
    start = random_start(shell, ForceField(shell), conformers, [None, *[1] * (copies + 1)], rng, fully=True)
    atoms = shell.atoms(start.positions_A)
    place_A = relax(atoms, _RELAXED_AT, charge=shell.charge, multiplicity=shell.multiplicity).positions_A
    place_A = place_A - place_A[0]
    first = [offset + molecule.donors[0].index for molecule, offset in zip(shell.molecules, shell.offsets, strict=True)
             if molecule is not ion]  # fmt: skip
    lengths = np.linalg.norm(place_A[first], axis=1)
    if (lengths > _HELD_A).any():
        raise StructureError(f"{ligand.name}: the shell came apart ({lengths.max():.2f} Å); take another seed")
    out = place_A[first[-1]] / lengths[-1]
    last = shell.fragment == shell.fragment[-1]
    steps = np.array(OFFSETS_A)[:, None, None] * (last[:, None] * out)
    return Path(shell, first[-1], lengths[-1] + np.array(OFFSETS_A), place_A + steps)


def interaction_eV(path: Path, level: Level) -> NDArray[np.float64]:
    """Energy of the shell less those of the ligand alone and of the shell without it, at each distance, eV, (n,).

    Raises
    ------
    EngineFailed
        With the engine's own last words.
    """
    shell, out = path.shell, path.ligand
    whole = [SinglePoint(Atoms(shell.symbols, place), shell.charge) for place in path.positions_A]
    atoms = whole[0].atoms
    parts = [SinglePoint(atoms[~out], shell.charge), SinglePoint(atoms[out], 0)]
    *together, rest, alone = energies_eV([*whole, *parts], level, f"{shell.molecules[-1].name} out of its shell")
    return np.array(together) - rest - alone


def force_field_eV(
    path: Path,
    parameters: Mapping[str, Parameters],
    charge_scale: float,
    *,
    sphere: tuple[float, float] | None = None,
    pairs: Pairs | None = None,
) -> NDArray[np.float64]:
    """The same interaction by charges and Lennard-Jones terms, eV, (n,); what is within a molecule cancels.

    Parameters
    ----------
    parameters
        By the names of the molecules of the shell.
    charge_scale
        Factor of the ion's charge.
    sphere
        Sigma and epsilon of the ion instead of its own, mixed after Lorentz and Berthelot.
    pairs
        Terms of the ion with the atoms of these kinds instead of the mixed ones.
    """
    terms = [parameters[molecule.name] for molecule in path.shell.molecules]
    charge = np.concatenate([np.array(one.charges_e) * (charge_scale if one.charge else 1.0) for one in terms])
    sigma, depth = (np.concatenate([getattr(one, name) for one in terms]) for name in ("sigma_A", "epsilon_kJ_mol"))
    kinds = np.array([kind for one in terms for kind in one.kinds])
    if sphere is not None:
        sigma[0], depth[0] = sphere
    out = path.ligand
    mixed_A = (sigma[out][:, None] + sigma[~out]) / 2
    repulsion = 4 * np.sqrt(depth[out][:, None] * depth[~out]) * mixed_A**12
    attraction = repulsion / mixed_A**6
    softer = np.zeros_like(repulsion)
    for kind, (own_repulsion, own_attraction) in (pairs or {}).items():
        # The ion is the first atom.
        own = kinds[out] == kind
        repulsion[own, 0], softer[own, 0], attraction[own, 0] = 0.0, own_repulsion, own_attraction
    away_A = np.linalg.norm(path.positions_A[:, out, None] - path.positions_A[:, None, ~out], axis=-1)
    short = _KJ_MOL * (repulsion / away_A**12 + softer / away_A**8 - attraction / away_A**6)
    return np.asarray((_COULOMB_EV_A * charge[out][:, None] * charge[~out] / away_A + short).sum(axis=(1, 2)))


def fit_pairs(
    paths: Sequence[Path],
    computed_eV: Sequence[NDArray[np.float64]],
    parameters: Mapping[str, Parameters],
    *,
    charge_scale: float,
    ion: str,
    level: Level,
    charges: str,
) -> FittedPairs:
    """Repulsion and attraction of the ion with each donor, by linear least squares over all scans at once.

    One offset, the same for all ligands, is left free: with scaled charges an ion binds everything too weakly, on
    purpose. Differences between ligands and the shape of each scan are what is fitted; no term may be negative. Points
    above `WINDOW_EV` are left out. For comparison one sphere of the ion, mixed with all donors, is fitted to the same.

    Raises
    ------
    SpeciesError
        Two ligands hold the ion through atoms of one kind.
    """
    kinds = [_kind(path, parameters) for path in paths]
    if len(set(kinds)) != len(kinds):
        raise SpeciesError(f"donors of one kind ({', '.join(kinds)}) share one pair term; give one of them")
    kept = np.concatenate([values < values.min() + WINDOW_EV for values in computed_eV])

    def on_all(**terms: Any) -> NDArray[np.float64]:
        return np.concatenate([force_field_eV(path, parameters, charge_scale, **terms) for path in paths])

    wanted, nothing = np.concatenate(computed_eV), dict.fromkeys(kinds, (0.0, 0.0))
    bare = on_all(pairs=nothing)
    units_eV = [on_all(pairs=nothing | {kind: unit}) - bare for kind in kinds for unit in ((1.0, 0.0), (0.0, 1.0))]
    # In units of their own size at 2 Å, so that all unknowns are of one order; the last one is the offset.
    size = np.array([2.0**8, 2.0**6] * len(kinds)) * 100
    matrix = np.column_stack([*units_eV, -np.ones(len(wanted)) / 100]) * [*size, 100]
    lowest = np.array([0.0] * len(size) + [-np.inf])
    found = lsq_linear(matrix[kept], (wanted - bare)[kept], bounds=(lowest, np.inf), tol=1e-14).x[:-1] * size
    # What stands at its bound is zero, not the rounding of the solver.
    found = np.where(found < _NONE, 0.0, found)
    pairs = {kind: (float(one), float(other)) for kind, (one, other) in zip(kinds, found.reshape(-1, 2), strict=True)}

    def missed(curves: NDArray[np.float64]) -> NDArray[np.float64]:
        left = (curves - wanted)[kept]
        return np.asarray(left - left.mean())

    sphere = np.exp(
        least_squares(lambda x: missed(on_all(sphere=tuple(np.exp(x)))), np.log((1.5, 0.5)), bounds=_SPHERES).x
    )
    raw = {"fitted": on_all(pairs=pairs), "one_sphere": on_all(sphere=tuple(sphere)), "published": on_all()}
    offset = {name: float((curves - wanted)[kept].mean()) for name, curves in raw.items()}
    rms = {name: float(np.sqrt((missed(curves) ** 2).mean())) for name, curves in raw.items()}
    ends = np.cumsum([len(path.r_A) for path in paths])[:-1]
    parts = {name: np.split(curves - offset[name], ends) for name, curves in raw.items()} | {"dft": computed_eV}
    scans = []
    for number, (path, kind) in enumerate(zip(paths, kinds, strict=True)):
        curves = {name: part[number] for name, part in parts.items()}
        peaks = {f"peak_{name}_A": _lowest_A(path.r_A, curve) for name, curve in curves.items()}
        values = {f"{name}_eV": tuple(curve.tolist()) for name, curve in curves.items()}
        name = path.shell.molecules[-1].name
        scans.append(Scan.model_validate({"donor": name, "kind": kind, "r_A": path.r_A.tolist(), **values, **peaks}))
    frame = [molecule.name for molecule in paths[0].shell.molecules[1:-1]]
    return FittedPairs(
        ion=ion, level=str(level), charges=charges, frame=f"{len(frame)} {frame[0]}", charge_scale=charge_scale,
        terms=pairs, one_sphere=(float(sphere[0]), float(sphere[1])), offset_eV=offset["fitted"],
        one_sphere_offset_eV=offset["one_sphere"], published_offset_eV=offset["published"], rms_eV=rms["fitted"],
        one_sphere_rms_eV=rms["one_sphere"], published_rms_eV=rms["published"], scans=tuple(scans),
    )  # fmt: skip


def _kind(path: Path, parameters: Mapping[str, Parameters]) -> str:
    """Kind of the donor that leaves, `os(c3 c3)`."""
    molecule = path.shell.molecules[-1]
    return parameters[molecule.name].kinds[path.donor - path.shell.offsets[-1]]


def _lowest_A(r_A: NDArray[np.float64], values_eV: NDArray[np.float64]) -> float | None:
    """Minimum of a spline through the points; None at an end."""
    lowest = int(np.argmin(values_eV))
    if lowest in {0, len(r_A) - 1}:
        return None
    bounds = (r_A[lowest - 1], r_A[lowest + 1])
    return float(minimize_scalar(CubicSpline(r_A, values_eV), bounds=bounds, method="bounded").x)
