"""`solvation vasp-md`: from the last frame of a classical box to the inputs of molecular dynamics by VASP."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from solvation.cli.bind import parse_level
from solvation.errors import ResultsError, StudyError


def vasp_md(
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="Study file.")],
    trajectory: Annotated[str, typer.Argument(metavar="TRAJECTORY", help="Its classical box, finished.")],
    output: Annotated[Path, typer.Option(help="New folder for the inputs.")],
    level: Annotated[str, typer.Option(help="vasp:FUNCTIONAL[-DISPERSION]/pwEV.")] = "vasp:pbe-d3bj/pw400",
    length_ps: Annotated[float, typer.Option(min=0.001, help="Length of the run, ps.")] = 10.0,
    timestep_fs: Annotated[float, typer.Option(min=0.01, max=5, help="One step, fs.")] = 1.0,
    friction_1_ps: Annotated[float, typer.Option(min=0, help="Of the Langevin thermostat, 1/ps.")] = 10.0,
) -> None:
    """Write POSCAR with velocities, INCAR, KPOINTS, and a topology for the analysis of what VASP writes."""
    from solvation.dynamics.langevin import State
    from solvation.dynamics.vasp_run import VaspRun, named_atoms, write_inputs
    from solvation.failures import refuse_failed
    from solvation.provenance import read_json, write_json
    from solvation.study import ClassicalDynamics, load_study

    read = load_study(study)
    settings = read.trajectories.get(trajectory)
    if not isinstance(settings, ClassicalDynamics):
        boxes = ", ".join(read.boxes) or "none"
        raise StudyError(f"{study}: '{trajectory}' is no classical box of this study; those are: {boxes}")
    if output.exists() and any(output.iterdir() if output.is_dir() else [output]):
        raise StudyError(f"--output {output}: exists and is left as it is; give a new folder")
    folder = read.folder / "trajectories" / trajectory
    last = folder / f"segment_{settings.segments}.npz"
    if not last.is_file():
        raise ResultsError(f"{last} is missing: finish the box through snakemake first")
    refuse_failed(last)
    run = VaspRun(parse_level("--level", level), settings.temperature_K, length_ps, timestep_fs, friction_1_ps)
    state = State.load(last)
    written = write_inputs(state, named_atoms(folder / "topology.pdb"), run, output)
    donors = read_json(folder / "donors.json")
    write_json(output / "donors.json", donors)
    typer.echo(f"wrote {output}: {', '.join([*written, 'donors.json'])}; {run.steps} steps at {run.temperature_K:g} K")
    if "POTCAR.spec" in written:
        typer.echo(
            "VASP_PP_PATH does not lead to potpaw_PBE: join the data sets of POTCAR.spec to POTCAR, in that order"
        )
    words = ["solvation", "analyze", str(output / "topology.mol2"), str(output / "vasprun.xml")]
    words += ["--center", donors["center"], "--rmax", "6", "--out", str(output / "analysis")]
    words += [word for kind, where in donors["donors"].items() for word in ("--donor", f"{kind}={where}")]
    typer.echo(f"when VASP is done:\n  {shlex.join(words)}")


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command("vasp-md")(vasp_md)
