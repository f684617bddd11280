"""Transport in a liquid: paths of its species out of a trajectory, and what they carry, as tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from solvation.errors import TrajectoryError
from solvation.liquids.packing import mass_u, residue_names
from solvation.species import build_molecule
from solvation.study.cards import TransportCard
from solvation.tidy import write_rows
from solvation.trajectory.frames import Trajectory
from solvation.transport.conductivity import (
    Ratio,
    bilinear,
    conductivity_mS_cm,
    ideal_transference,
    onsager_transference,
    quotient,
)
from solvation.transport.diffusion import (
    Slope,
    diffusion_cm2_s,
    diffusive_slope,
    share_of_friction,
    yeh_hummer_cm2_s,
)
from solvation.transport.displacements import MeanSquares, NoDisplacements, cross_squares_A2, mean_squares
from solvation.transport.paths import Atoms, Paths, atoms_of, molecule_kinds, read_paths

CHARGE = "charge"
_NONE = Ratio(math.nan, math.nan)
#: A share of the diffusion that the thermostat takes which is worth a word.
_FELT = 0.05
_DROPLET = (
    "a droplet: it has no volume to conduct in, and its molecules diffuse as in a drop, not as in a liquid; "
    "transport needs a periodic box"
)


@dataclass(frozen=True, slots=True)
class TransportRow:
    """One quantity of one trajectory.

    Attributes
    ----------
    at_most
        Upper bound at 95 % where there is no value because the motion is slower than diffusion.
    fit_from_ps, fit_to_ps
        Lags of the fit, or where none is diffusive, those of `exponent`.
    exponent, exponent_stderr
        Of the mean squared displacement with the lag; 1 is diffusion.
    """

    trajectory: str
    quantity: str
    species: str
    value: float
    unit: str
    stderr: float
    at_most: float
    fit_from_ps: float
    fit_to_ps: float
    exponent: float
    exponent_stderr: float
    n_particles: int
    verdict: str


@dataclass(frozen=True, slots=True)
class MsdRow:
    """Mean squared displacement of a species at one lag; of `charge`: of the sum of all charges times positions."""

    trajectory: str
    species: str
    lag_ps: float
    msd_A2: float
    msd_stderr_A2: float


#: What one analysis writes, and the rows of each table.
TABLES: dict[str, type[Any]] = {"transport.csv": TransportRow, "msd.csv": MsdRow}


@dataclass(frozen=True, slots=True)
class Transport:
    """Rows of both tables, still without the name of the trajectory, and what they rest on."""

    rows: tuple[TransportRow, ...]
    squares: dict[str, MeanSquares]
    n_frames: int
    frame_ps: float


def analyze_transport(
    trajectory: Trajectory,
    *,
    species: Mapping[str, Atoms],
    charges: Mapping[str, float] | None = None,
    temperature_K: float | None = None,
    viscosity_mPa_s: float | None = None,
    skip_ps: float = 0.0,
    every: int = 1,
    keep_drift: bool = False,
    least_move_A: float = 3.0,
) -> Transport:
    """Self-diffusion of each species; with charges and a temperature also conductivity and transference.

    Parameters
    ----------
    species
        Name -> MDAnalysis selection, or indices of atoms; those of one molecule are one particle, at their centre of
        mass.
    charges
        Name -> charge number of one particle; species without one are neutral. All ions have to be named.
    viscosity_mPa_s
        Of the liquid, for the correction for periodic images.
    skip_ps
        Left out at the start.
    keep_drift
        Keep the motion of the centre of mass of all atoms, which otherwise is taken out.
    least_move_A
        Root mean square displacement that particles must have reached at the longest lag. Between flight and cage the
        exponent passes through 1 as well; the neighbours of a particle in a liquid are 3 Å and more away.

    Raises
    ------
    NoDisplacements
        Frames are too few, not evenly spaced, without times or too far apart to be unwrapped.
    TrajectoryError
        A selection matches nothing, a charge belongs to no species, the charges do not add up to zero, conductivity
        is asked of a droplet or without a temperature.
    """
    charges = {name: value for name, value in (charges or {}).items() if value}
    _refuse(species, charges, temperature_K, viscosity_mPa_s)
    paths = read_paths(trajectory, species, skip_ps=skip_ps, every=every, keep_drift=keep_drift)
    net = math.fsum(paths.path_A[name].shape[1] * value for name, value in charges.items())
    if charges and abs(net) > 1e-6:
        raise TrajectoryError(
            f"the charges add up to {net:+g}: a conductivity needs every ion; name the others (--species, --charge)"
        )
    if charges and paths.volume_A3 is None:
        raise TrajectoryError(
            f"{trajectory.source}: a droplet has no volume and no conductivity; leave out the charges, or give the box"
        )
    squares = {name: mean_squares(path) for name, path in paths.path_A.items()}
    caged = {name: _caged(found, paths.frame_ps, least_move_A) for name, found in squares.items()}
    slopes = {name: _slope(found, paths.frame_ps, caged[name]) for name, found in squares.items()}
    rows = [_diffusion_row(name, slopes[name], squares[name], paths.frame_ps) for name in species]
    if viscosity_mPa_s is not None and temperature_K is not None:
        rows += [_corrected_row(row, paths, temperature_K, viscosity_mPa_s) for row in list(rows)]
    if charges and temperature_K is not None:
        stuck = next((caged[name] for name in charges if caged[name]), "")
        found, rows_of_charge = _conduction(paths, charges, slopes, temperature_K, stuck)
        squares[CHARGE] = found
        n_atoms = sum(len(atoms_of(trajectory, species[name])) for name in charges)
        if not keep_drift and len(charges) == 2 and n_atoms == len(trajectory.universe.atoms):
            rows_of_charge = [_fixed_by_masses(row) for row in rows_of_charge]
        rows += rows_of_charge
    n_frames = len(next(iter(paths.path_A.values())))
    return Transport(_after_damage(rows, trajectory), squares, n_frames, paths.frame_ps)


def transport_of_study(trajectory: Trajectory, card: TransportCard) -> Transport:
    """Transport in a trajectory of a study; what its frames cannot tell stands in the rows as a verdict.

    Species of a computed trajectory are its molecules, with the charges of their formulas: a force field may scale
    the charges that ions feel, what they carry is whole. Species of the user's own are those that he names, or every
    kind of molecule.

    Raises
    ------
    TrajectoryError
        A selection matches nothing, a charge belongs to no species, or the file is damaged.

    References
    ----------
    Whole charges with scaled ones: Blazquez et al., J. Chem. Theory Comput. 19, 5380 (2023).
    """
    species, charges = _members(trajectory, card)
    number = {
        name: len(np.unique(trajectory.molecule_of[atoms_of(trajectory, item)])) for name, item in species.items()
    }
    for name in charges:
        if name not in species:
            raise TrajectoryError(f"charge of '{name}': none of the species ({', '.join(species)}); name one of them")
    net = math.fsum(number[name] * value for name, value in charges.items())
    neutral = abs(net) < 1e-6
    if next(trajectory.frames()).box_A is None:
        return _untold(number, _DROPLET, trajectory)
    try:
        found = analyze_transport(
            trajectory, species=species, charges=charges if neutral else {}, temperature_K=card.temperature_K,
            viscosity_mPa_s=card.viscosity_mPa_s, skip_ps=card.skip_ps, least_move_A=card.least_move_A,
        )  # fmt: skip
    except NoDisplacements as problem:
        return _untold(number, str(problem), trajectory)
    found = replace(found, rows=tuple(_with_friction(row, card) for row in found.rows))
    if neutral:
        return found
    words = f"the ions add up to {net:+g}, against a uniform background: no conductivity"
    row = _row("conductivity[einstein]", "", _NONE, "mS/cm", None, found.frame_ps, sum(number.values()), verdict=words)
    return replace(found, rows=(*found.rows, *_after_damage([row], trajectory)))


def _with_friction(row: TransportRow, card: TransportCard) -> TransportRow:
    """A self-diffusion with the word that the thermostat slows it, where it does so by more than a twentieth."""
    if not row.quantity.startswith("self_diffusion") or card.friction_per_ps is None or card.temperature_K is None:
        return row
    taken = share_of_friction(
        row.value, mass_u=mass_u(build_molecule(row.species, card.species[row.species])),
        friction_per_ps=card.friction_per_ps, temperature_K=card.temperature_K,
    )  # fmt: skip
    if not taken > _FELT:
        return row
    words = f"the friction of the thermostat, {card.friction_per_ps:g}/ps, takes {100 * taken:.0f} % of it at least"
    return _saying(row, row.verdict, words)


def _members(trajectory: Trajectory, card: TransportCard) -> tuple[Mapping[str, Atoms], dict[str, float]]:
    """Species and their charges, without those that have none."""
    if card.own is not None:
        return card.own.species or molecule_kinds(trajectory), {
            name: value for name, value in card.own.charges.items() if value
        }
    residues = residue_names(list(card.species))
    charges = {name: float(build_molecule(name, species).charge) for name, species in card.species.items()}
    species: dict[str, Atoms] = {name: f"resname {residues[name]}" for name in card.species}
    return species, {name: value for name, value in charges.items() if value}


def _after_damage(rows: Sequence[TransportRow], trajectory: Trajectory) -> tuple[TransportRow, ...]:
    """Rows whose verdicts begin with the place of the damage, where only the frames before it were used."""
    if not trajectory.damage:
        return tuple(rows)
    return tuple(_saying(row, trajectory.damage, row.verdict) for row in rows)


def _saying(row: TransportRow, *words: str) -> TransportRow:
    """The row with these words as its verdict, those that are not empty."""
    return replace(row, verdict="; ".join(filter(None, words)))


def _untold(number: Mapping[str, int], why: str, trajectory: Trajectory) -> Transport:
    """Rows without numbers, one for each species."""
    rows = [
        _row("self_diffusion", name, _NONE, "cm2/s", None, math.nan, count, verdict=why)
        for name, count in number.items()
    ]
    return Transport(_after_damage(rows, trajectory), {}, trajectory.n_frames, math.nan)


def _refuse(
    species: Mapping[str, Atoms], charges: Mapping[str, float], temperature_K: float | None, viscosity: float | None
) -> None:
    if not species:
        raise TrajectoryError("no species are named; give at least one as name: selection (--species)")
    if CHARGE in species:
        raise TrajectoryError(f"species name '{CHARGE}' stands for all charges together; choose another")
    for name in charges:
        if name not in species:
            raise TrajectoryError(f"charge of '{name}': none of the species ({', '.join(species)}); name one of them")
    if charges and temperature_K is None:
        raise TrajectoryError("a conductivity needs the temperature; give it (temperature_K, --temperature-K)")
    if viscosity is not None and temperature_K is None:
        raise TrajectoryError(
            "the correction for images needs the temperature; give it (temperature_K, --temperature-K)"
        )


def _caged(found: MeanSquares, frame_ps: float, least_move_A: float) -> str:
    """Why displacements are too small to be those of a liquid, or nothing."""
    moved_A = math.sqrt(float(found.mean_A2[-1]))
    if moved_A >= least_move_A:
        return ""
    return (
        f"too short: moved {moved_A:.2g} Å (root mean square) at the longest usable lag, "
        f"{int(found.lags[-1]) * frame_ps:.3g} ps, less than {least_move_A:g} Å: still among the same neighbours"
    )


def _slope(found: MeanSquares, frame_ps: float, caged: str) -> Slope:
    """Slope where it is diffusive and the particles have left their places."""
    slope = diffusive_slope(found, frame_ps)
    if not caged or math.isnan(slope.value):
        return slope
    return replace(slope, value=math.nan, stderr=math.nan, relative=math.nan, verdict=caged)


def _diffusion_row(name: str, slope: Slope, squares: MeanSquares, frame_ps: float) -> TransportRow:
    return _row(
        "self_diffusion", name, Ratio(*(diffusion_cm2_s(item, frame_ps) for item in (slope.value, slope.stderr))),
        "cm2/s", slope, frame_ps, squares.squares_A2.shape[1], diffusion_cm2_s(slope.at_most, frame_ps),
    )  # fmt: skip


def _row(
    quantity: str, species: str, found: Ratio, unit: str, slope: Slope | None, frame_ps: float, n_particles: int,
    at_most: float = math.nan, verdict: str | None = None,
) -> TransportRow:  # fmt: skip
    window = (math.nan,) * 4
    if slope is not None:
        window = (slope.begin * frame_ps, slope.end * frame_ps, slope.exponent, slope.exponent_stderr)
    text = verdict if verdict is not None else slope.verdict if slope is not None else ""
    return TransportRow("", quantity, species, found.value, unit, found.stderr, at_most, *window, n_particles, text)


def _fixed_by_masses(row: TransportRow) -> TransportRow:
    """Onsager's transference of two ions and nothing else, whose centre of mass rests: no result of the run."""
    if not row.quantity.startswith("transference[onsager]"):
        return row
    words = "fixed by the masses: all atoms are these two ions, and their centre of mass rests"
    return _saying(row, words, row.verdict)


def _corrected_row(row: TransportRow, paths: Paths, temperature_K: float, viscosity_mPa_s: float) -> TransportRow:
    """Add what periodic images take; only in cubic boxes, for which the sum is known here."""
    value, verdict = math.nan, row.verdict
    if paths.edges_A is None or paths.volume_A3 is None or not paths.cubic:
        verdict = "Yeh and Hummer's correction is for cubic boxes"
    else:
        value = row.value + yeh_hummer_cm2_s(
            temperature_K=temperature_K, viscosity_mPa_s=viscosity_mPa_s, edge_A=paths.volume_A3 ** (1 / 3)
        )
    stderr = row.stderr if math.isfinite(value) else math.nan
    return TransportRow(
        "", "self_diffusion[yeh-hummer]", row.species, value, row.unit, stderr, math.nan, row.fit_from_ps,
        row.fit_to_ps, row.exponent, row.exponent_stderr, row.n_particles, verdict,
    )  # fmt: skip


def _conduction(
    paths: Paths, charges: Mapping[str, float], slopes: Mapping[str, Slope], temperature_K: float, caged: str
) -> tuple[MeanSquares, list[TransportRow]]:
    """Conductivity by self-diffusion and by the collective displacement of charge, and who carries it."""
    names, frame_ps = list(charges), paths.frame_ps
    number = np.array([paths.path_A[name].shape[1] for name in names])
    charge = np.array([charges[name] for name in names])
    volume_A3 = paths.volume_A3 or math.nan

    def conductivity(slope_A2: float) -> float:
        return conductivity_mS_cm(slope_A2 / (6 * frame_ps), volume_A3=volume_A3, temperature_K=temperature_K)

    n_ions = int(number.sum())
    weights = number * charge**2
    ideal_parts = [float(weight * slopes[name].value) for weight, name in zip(weights, names, strict=True)]
    ideal_errors = [float(weight * slopes[name].stderr) for weight, name in zip(weights, names, strict=True)]
    unknown = [name for name in names if math.isnan(slopes[name].value)]
    doubt = f"no self-diffusion of {', '.join(unknown)}" if unknown else ""
    ideal = Ratio(conductivity(math.fsum(ideal_parts)), conductivity(math.hypot(*ideal_errors)))
    rows = [_row("conductivity[nernst-einstein]", "", ideal, "mS/cm", None, frame_ps, n_ions, verdict=doubt)]

    sums = np.stack([paths.path_A[name].sum(axis=1, dtype=float) for name in names], axis=1)
    dipole = mean_squares(np.einsum("s,fsx->fx", charge, sums)[:, None])
    slope = _slope(dipole, frame_ps, caged)
    real = Ratio(conductivity(slope.value), conductivity(slope.stderr))
    bound = conductivity(slope.at_most)
    rows.append(_row("conductivity[einstein]", "", real, "mS/cm", slope, frame_ps, n_ions, bound))
    if math.isfinite(slope.value):
        onsager = np.einsum("l,lab->ab", slope.weights, cross_squares_A2(sums, dipole.lags))
        for one, name in enumerate(names):
            for other in range(one, len(names)):
                left, right = (np.where(np.arange(len(names)) == place, charge, 0.0) for place in (one, other))
                part = bilinear(onsager, slope.relative, left, right)
                twice = 1 if one == other else 2
                found = Ratio(*(conductivity(twice * item) for item in (part.value, part.stderr)))
                label = name if one == other else f"{name} | {names[other]}"
                rows.append(_row("conductivity_part", label, found, "mS/cm", slope, frame_ps, n_ions))
    ratio = _NONE if unknown or math.isnan(real.value) else quotient(real, ideal)
    words = "; ".join(part for part in (doubt, slope.verdict) if part)
    rows.append(_row("ionicity", "", ratio, "1", None, frame_ps, n_ions, bound / ideal.value, words))
    for which, name in enumerate(names):
        share = _NONE if unknown else ideal_transference(ideal_parts, ideal_errors, which)
        rows.append(_row("transference[self]", name, share, "1", None, frame_ps, int(number[which]), verdict=doubt))
    for which, name in enumerate(names):
        share = _NONE
        if math.isfinite(slope.value):
            share = onsager_transference(onsager, slope.relative, charge, which)
        rows.append(_row("transference[onsager]", name, share, "1", slope, frame_ps, int(number[which])))
    return dipole, rows


def write_tables(found: Transport, folder: Path, name: str) -> None:
    """Write `TABLES` (docs/tables.md)."""
    fields = ("quantity", "species", "value", "unit", "stderr", "at_most", "fit_from_ps", "fit_to_ps", "exponent",
              "exponent_stderr", "n_particles", "verdict")  # fmt: skip
    rows = [TransportRow(name, *(getattr(row, field) for field in fields)) for row in found.rows]
    write_rows(folder / "transport.csv", TransportRow, rows)
    curves = [
        MsdRow(name, species, float(lag) * found.frame_ps, float(mean), float(error))
        for species, squares in found.squares.items()
        for lag, mean, error in zip(squares.lags, squares.mean_A2, squares.stderr_A2, strict=True)
    ]
    write_rows(folder / "msd.csv", MsdRow, curves)
