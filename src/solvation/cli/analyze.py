"""`solvation analyze` for any trajectory, and `solvation liquid` for those of a study."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

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
    named_donors,
    open_of_study,
    refuse_infinite,
    refuse_overwriting,
    warn_of_doubts,
)
from solvation.cli.steps import CardOption
from solvation.study.cards import AnalysisCard, read_card


def analyze(
    topology: Topology,
    trajectory: Frames = None,
    center: Center = "name LI",
    donor: Donors = None,
    rmax: Annotated[float, typer.Option(min=0.5, max=50, help="Range of g(r), Å.")] = 8.0,
    bins: Annotated[int, typer.Option(min=10, max=10_000, help="Bins of g(r).")] = 160,
    out: Annotated[Path, typer.Option(help="Folder for the tables.")] = Path("analysis"),
    format: Format = None,
    box: Box = None,
    skip_ps: SkipPs = 0.0,
    timestep_ps: TimestepPs = None,
    every: Every = 1,
    anion: Annotated[
        list[str] | None, typer.Option(help="A donor NAME that belongs to an anion; repeat: free, SSIP, CIP, AGG.")
    ] = None,
    tolerance_ps: Annotated[
        float, typer.Option(min=0, help="Longest break that a contact survives, and window of an exchange, ps.")
    ] = 2.0,
    own_molecule: OwnMolecule = False,
    seed: Annotated[int, typer.Option(min=0, help="Draws the bootstrap of the residence times.")] = 0,
    processes: Annotated[
        int | None,
        typer.Option(
            min=1, help="Share the frames of files that are read from anywhere; left out: one for each core, up to 4."
        ),
    ] = None,
    force: Force = False,
) -> None:
    """Write g(r), coordination numbers, shell populations and residence times of a trajectory."""
    import numpy as np

    from solvation.shells.analysis import analyze_trajectory
    from solvation.tables.shells import TABLES, write_tables

    donors = named_donors(donor)
    refuse_overwriting(out / "rdf.csv", force)
    refuse_infinite({"--rmax": rmax, "--skip-ps": skip_ps, "--tolerance-ps": tolerance_ps})
    write = Reading("analyze", topology, trajectory, format, box, timestep_ps)
    found = analyze_trajectory(
        write.opened, center=center, donors=donors, r_max_A=rmax, n_bins=bins, skip_ps=skip_ps, every=every,
        anions=anion or (), tolerance_ps=tolerance_ps, own_molecule=own_molecule, rng=np.random.default_rng(seed),
        processes=processes or _cores(),
    )  # fmt: skip
    write_tables(found, out, write.name)
    settings = {
        "center": center, "donors": donors, "r_max_A": rmax, "n_bins": bins, "skip_ps": skip_ps, "every": every,
        "anions": anion or [], "tolerance_ps": tolerance_ps, "own_molecule": own_molecule, "seed": seed,
    }  # fmt: skip
    typer.echo(_table(found))
    write(out / "provenance.json", settings)
    typer.echo(f"{found.n_frames} frames; wrote {', '.join(TABLES)} to {out}")


def liquid(
    card: CardOption,
    files: StudyFiles,
    output: OutputFolder,
) -> None:
    """Analyse one trajectory of a study."""
    import numpy as np

    from solvation.failures import keep_going, refuse_failed
    from solvation.shells.analysis import analyze_trajectory
    from solvation.tables.shells import TABLES, write_tables

    read = read_card(card, AnalysisCard)
    outputs = [output / name for name in (*TABLES, "liquid.json")]
    with keep_going("liquid", card, inputs=files, outputs=outputs) as step:
        refuse_failed(*files)
        opened = open_of_study(read.own, files)
        center, donors = center_and_donors(read.own, files)
        found = analyze_trajectory(
            opened, center=center, donors=donors, r_max_A=read.analysis.r_max_A, n_bins=read.analysis.n_bins,
            skip_ps=read.skip_ps, anions=_anions(read, center, donors), tolerance_ps=read.analysis.tolerance_ps,
            own_molecule=read.analysis.own_molecule, rng=np.random.default_rng(read.seed),
        )  # fmt: skip
        write_tables(found, output, read.name)
        step.write(output / "liquid.json")
        typer.echo(_table(found))
        warn_of_doubts(opened)


def _anions(read: AnalysisCard, center: str, donors: dict[str, str]) -> list[str]:
    """Donors of anions: those that are declared, of which the ones that are not here are named, or by their charge."""
    from solvation.shells.analysis import anion_donors

    declared = read.analysis.anions
    if declared is None:
        return anion_donors(read.species, center, donors)
    for name in declared:
        if name not in donors:
            typer.echo(f"analysis.anions: '{name}' is none of the donors of this trajectory ({', '.join(donors)})")
    return [name for name in declared if name in donors]


def _cores() -> int:
    """Cores that this process may use, up to 4; 1 where a new process would take seconds to start (not on Linux)."""
    return min(4, len(os.sched_getaffinity(0))) if sys.platform == "linux" else 1


def _table(found: Any) -> str:
    lines = [f"{'donor':24s}{'counted':>10s}{'peak Å':>8s}{'cutoff Å':>10s}{'CN':>8s}{'±':>8s}  verdict"]
    lines += [
        f"{row.donor:24s}{row.counted:>10s}{row.peak_A:8.2f}{row.cutoff_A:10.2f}{row.cn:8.2f}{row.cn_stderr:8.2f}"
        f"  {row.verdict}"
        for row in found.coordination
    ]
    lines += ["", f"{'shell':42s}{'population':>12s}{'±':>8s}"]
    most_common = [row for row in found.speciation if row.grouped == "shell"][:5]
    lines += [
        f"{f'ions held by {row.shell}' if row.grouped == 'species' else row.shell:42s}"
        f"{row.population:12.3f}{row.population_stderr:8.3f}"
        for row in (*most_common, *(row for row in found.speciation if row.grouped != "shell"))
    ]
    if found.unmoved:
        lines.append(f"{', '.join(found.unmoved)} never left: how common shells with more or less are is not known")
    lines += _clusters(found.networks)
    lines += ["", f"{'molecules of':24s}{'measure':>14s}{'residence ps':>14s}{'±':>8s}  verdict"]
    lines += [
        f"{row.donor:24s}{row.measure:>14s}{row.found.residence_ps:14.3g}{row.found.residence_stderr_ps:8.2g}"
        f"  {row.found.verdict}"
        for row in found.residence
        if row.counted == "molecule"
    ]
    return "\n".join(lines).replace("nan", "  -")


def _clusters(networks: Any) -> list[str]:
    """What links the ions, and how many; nothing of a single ion."""
    rows = [row for row in networks if row.quantity in {"bridged", "mean_ions", "largest_ions", "spanning"}]
    if max((row.value for row in rows if row.quantity == "largest_ions"), default=1.0) <= 1:
        return []
    head = f"{'ions linked by':24s}{'quantity':>18s}{'value':>10s}{'±':>8s}"
    return ["", head, *(f"{row.linked_by:24s}{row.quantity:>18s}{row.value:10.3f}{row.stderr:8.3f}" for row in rows)]


def register(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    for verb in (analyze, liquid):
        app.command()(verb)
