"""Structure that experiments see, of any trajectory: angles, structure factors, vibrations, spatial densities."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from solvation.cli.frames import (
    Box,
    Center,
    Donors,
    Every,
    Force,
    Format,
    Frames,
    OutputFolder,
    OwnMolecule,
    Reading,
    SkipPs,
    StudyFiles,
    TimestepPs,
    Topology,
    center_and_donors,
    named,
    named_donors,
    open_of_study,
    refuse_infinite,
    refuse_overwriting,
)
from solvation.cli.steps import CardOption
from solvation.errors import StudyError
from solvation.study.cards import PatternsCard, read_card
from solvation.study.targets import PATTERN_TABLES

Selection = Annotated[str, typer.Option(help="MDAnalysis selection of the atoms that count.")]


def angles(
    topology: Topology,
    trajectory: Frames = None,
    center: Center = "name LI",
    donor: Donors = None,
    cutoff: Annotated[
        list[str] | None, typer.Option(help="NAME=NUMBER, end of the shell of a kind, Å; left out: a contact.")
    ] = None,
    coordination: Annotated[
        Path | None, typer.Option(help="coordination.csv of `analyze`, for the ends of the shells.")
    ] = None,
    bins: Annotated[int, typer.Option(min=4, max=1800, help="Bins from 0 to 180 degrees.")] = 90,
    out: Annotated[Path, typer.Option(help="Folder for the table.")] = Path("angles"),
    own_molecule: OwnMolecule = False,
    format: Format = None,
    box: Box = None,
    skip_ps: SkipPs = 0.0,
    timestep_ps: TimestepPs = None,
    every: Every = 1,
    force: Force = False,
) -> None:
    """Write the angles between the donors of an ion, and at each donor between the ion and what it is bonded to."""
    from solvation.patterns.angles import analyze_angles, write_angles

    donors, told = named_donors(donor), named("--cutoff", cutoff)
    ends = _ends(coordination) | {name: _number("--cutoff", text) for name, text in told.items()}
    for name in set(told) - set(donors):
        raise StudyError(f"--cutoff '{name}': none of the donors ({', '.join(donors)})")
    target = out / "angles.csv"
    refuse_overwriting(target, force)
    write = Reading("angles", topology, trajectory, format, box, timestep_ps)
    opened = write.opened
    found = analyze_angles(
        opened, center=center, donors=donors, cutoffs_A=ends, n_bins=bins, skip_ps=skip_ps, every=every,
        own_molecule=own_molecule,
    )  # fmt: skip
    write_angles(found, target, write.name)
    settings = {
        "center": center, "donors": donors, "cutoffs_A": ends, "n_bins": bins, "skip_ps": skip_ps, "every": every,
        "own_molecule": own_molecule,
    }  # fmt: skip
    write(target, settings)
    lines = [f"{'angle':40s}{'mean deg':>10s}{'±':>7s}{'most often':>12s}{'counted':>10s}"]
    for name, one in found.items():
        most = one.theta_deg[one.density.argmax()]
        lines.append(f"{name:40s}{one.mean_deg:10.1f}{one.mean_stderr_deg:7.1f}{most:12.0f}{one.n_angles:10d}")
    typer.echo("\n".join(lines).replace("nan", "  -"))
    typer.echo(f"wrote {target}")


def scattering(
    topology: Topology,
    trajectory: Frames = None,
    selection: Selection = "all",
    q_max: Annotated[float, typer.Option("--q-max", min=0.5, max=50, help="Largest wave vector, 1/Å.")] = 12.0,
    width: Annotated[float, typer.Option("--q-width", min=0.005, max=2, help="Width of a bin, 1/Å.")] = 0.1,
    vectors: Annotated[int, typer.Option(min=1, help="Wave vectors of a bin, at most.")] = 60,
    deuterated: Annotated[bool, typer.Option("--deuterated", help="Take H for D.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Draws the wave vectors.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the table.")] = Path("scattering"),
    format: Format = None,
    box: Box = None,
    skip_ps: SkipPs = 0.0,
    timestep_ps: TimestepPs = None,
    every: Every = 1,
    force: Force = False,
) -> None:
    """Write partial structure factors, and those that X-rays and neutrons see, of a periodic box."""
    import numpy as np

    from solvation.patterns.scattering import PARTIAL, structure_factors, write_structure_factors

    refuse_infinite({"--q-max": q_max, "--q-width": width})
    target = out / "structure_factor.csv"
    refuse_overwriting(target, force)
    write = Reading("scattering", topology, trajectory, format, box, timestep_ps)
    opened = write.opened
    found = structure_factors(
        opened, selection=selection, q_max_1_A=q_max, width_1_A=width, per_bin=vectors, deuterated=deuterated,
        skip_ps=skip_ps, every=every, rng=np.random.default_rng(seed),
    )  # fmt: skip
    write_structure_factors(found, target, write.name)
    settings = {
        "selection": selection, "q_max_1_A": q_max, "width_1_A": width, "per_bin": vectors, "deuterated": deuterated,
        "skip_ps": skip_ps, "every": every, "seed": seed,
    }  # fmt: skip
    write(target, settings)
    for one in found:
        if one.radiation != PARTIAL and np.isfinite(one.s).any():
            peak = int(np.nanargmax(one.s))
            typer.echo(
                f"{one.radiation}: highest S(q) {one.s[peak]:.3g} ± {one.s_stderr[peak]:.2g} at "
                f"{one.q_1_A[peak]:.2f} 1/Å".replace("nan", "-")
            )
    typer.echo(f"{sum(one.radiation == PARTIAL for one in found)} pairs of elements; wrote {target}")


def vibrations(
    topology: Topology,
    trajectory: Frames = None,
    selection: Selection = "all",
    resolution: Annotated[
        float, typer.Option("--resolution-cm", min=0.1, max=500, help="Distance of the wavenumbers, 1/cm.")
    ] = 15.0,
    out: Annotated[Path, typer.Option(help="Folder for the table.")] = Path("vibrations"),
    format: Format = None,
    box: Box = None,
    skip_ps: SkipPs = 0.0,
    timestep_ps: TimestepPs = None,
    every: Every = 1,
    force: Force = False,
) -> None:
    """Write the vibrational density of states by element, of frames that are a few femtoseconds apart."""
    from solvation.patterns.vibrational_density import vibrational_density, write_vibrations

    refuse_infinite({"--resolution-cm": resolution})
    target = out / "vibrations.csv"
    refuse_overwriting(target, force)
    write = Reading("vibrations", topology, trajectory, format, box, timestep_ps)
    found = vibrational_density(
        write.opened, selection=selection, resolution_cm=resolution, skip_ps=skip_ps, every=every
    )
    write_vibrations(found, target, write.name)
    settings = {"selection": selection, "resolution_cm": resolution, "skip_ps": skip_ps, "every": every}
    told = {"source": found.source, "temperature_K": found.temperature_K, "n_windows": found.n_windows}
    write(target, settings, told)
    typer.echo(
        f"from {found.source}, {found.n_windows} windows, frames every {1000 * found.frame_ps:.3g} fs; "
        f"{found.temperature_K:.0f} K by the motion of all atoms; wrote {target}"
    )


def density_map(
    topology: Topology,
    trajectory: Frames = None,
    around: Annotated[str, typer.Option(help="MDAnalysis selection of the molecules, or ions, in the middle.")] = "",
    of: Annotated[str, typer.Option(help="MDAnalysis selection of the atoms whose density it is.")] = "",
    extent: Annotated[float, typer.Option("--extent-A", min=1, max=50, help="Half the edge of the map, Å.")] = 6.0,
    spacing: Annotated[float, typer.Option("--spacing-A", min=0.05, max=2, help="Edge of a voxel, Å.")] = 0.25,
    out: Annotated[Path, typer.Option(help="Folder for the cube file.")] = Path("density"),
    format: Format = None,
    box: Box = None,
    skip_ps: SkipPs = 0.0,
    timestep_ps: TimestepPs = None,
    every: Every = 1,
    force: Force = False,
) -> None:
    """Write where atoms stand around a molecule, or around an ion and its shell, as a cube file."""
    from solvation.patterns.density_map import density_map as compute
    from solvation.patterns.density_map import write_cube

    if not around or not of:
        raise StudyError("--around and --of are missing; e.g. --around 'resname EC' --of 'name LI'")
    target = out / "density.cube"
    refuse_overwriting(target, force)
    write = Reading("density-map", topology, trajectory, format, box, timestep_ps)
    found = compute(
        write.opened, around=around, of=of, extent_A=extent, spacing_A=spacing, skip_ps=skip_ps, every=every
    )
    write_cube(found, target)
    where, value, error = found.peak
    settings = {
        "around": around, "of": of, "extent_A": extent, "spacing_A": spacing, "skip_ps": skip_ps, "every": every,
    }  # fmt: skip
    peak = {"place_A": where.tolist(), "over_bulk": value, "over_bulk_stderr": error}
    write(target, settings, {"n_views": found.n_views, "counted": int(found.counts.sum()), "peak": peak})
    typer.echo(
        f"densest at ({', '.join(f'{item:.2f}' for item in where)}) Å: {value:.3g} ± {error:.2g} of the bulk; "
        f"{found.n_views} views, {int(found.counts.sum())} atoms; wrote {target}"
    )


def liquid_patterns(
    card: CardOption,
    files: StudyFiles,
    coordination: Annotated[Path, typer.Option(help="coordination.csv, for the ends of the shells.")],
    output: OutputFolder,
) -> None:
    """Write angles and structure factors of one trajectory of a study."""
    import numpy as np

    from solvation.failures import keep_going, refuse_failed
    from solvation.patterns.angles import NoShell, analyze_angles, write_angles
    from solvation.patterns.scattering import NoBox, structure_factors, write_structure_factors

    read = read_card(card, PatternsCard)
    inputs, outputs = [*files, coordination], [output / name for name in (*PATTERN_TABLES, "patterns.json")]
    with keep_going("patterns", card, inputs=inputs, outputs=outputs) as step:
        refuse_failed(*inputs)
        opened = open_of_study(read.own, files)
        center, donors = center_and_donors(read.own, files)
        wanted, notes, angles_found, factors = read.patterns, [], {}, []
        try:
            angles_found = analyze_angles(
                opened, center=center, donors=donors, cutoffs_A=_ends(coordination), n_bins=wanted.angle_bins,
                skip_ps=read.skip_ps, every=-(-opened.n_frames // wanted.angle_frames), own_molecule=read.own_molecule,
            )  # fmt: skip
        except NoShell as problem:
            notes.append(str(problem))
        try:
            factors = structure_factors(
                opened, q_max_1_A=wanted.q_max_1_A, width_1_A=wanted.q_width_1_A, per_bin=wanted.q_vectors,
                deuterated=wanted.deuterated, skip_ps=read.skip_ps, every=-(-opened.n_frames // wanted.q_frames),
                rng=np.random.default_rng(read.seed),
            )  # fmt: skip
        except NoBox as problem:
            notes.append(str(problem))
        notes += filter(None, (opened.damage, opened.doubt_of_molecules))
        write_angles(angles_found, output / "angles.csv", read.name)
        write_structure_factors(factors, output / "structure_factor.csv", read.name)
        step.write(output / "patterns.json", result={"notes": notes})
        for name, one in angles_found.items():
            typer.echo(f"{name}: {one.mean_deg:.1f} degrees on average, {one.n_angles} counted")
        typer.echo("\n".join([*notes, f"{len(factors)} structure factors"]))


def _number(option: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError as problem:
        raise StudyError(f"{option} '{text}': not a number; write e.g. 'O(C=O)=2.7'") from problem
    if not 0 < value < math.inf:
        raise StudyError(f"{option} '{text}': not a distance; write e.g. 'O(C=O)=2.7'")
    return value


def _ends(path: Path | None) -> dict[str, float]:
    """Ends of the shells in `coordination.csv`."""
    if path is None:
        return {}
    from solvation.tables.shells import CoordinationRow
    from solvation.tidy import read_rows

    return {row.donor: row.cutoff_A for row in read_rows(path, CoordinationRow) if row.cutoff_A > 0}


def register(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    for verb in (angles, scattering, vibrations, density_map, liquid_patterns):
        app.command()(verb)
