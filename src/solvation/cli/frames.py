"""Trajectories on the command line: the options that every verb shares that reads one, of the user's or of a study."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from solvation.errors import StudyError, TrajectoryError
from solvation.study import OwnTrajectory

if TYPE_CHECKING:
    from solvation.trajectory.frames import Trajectory

Topology = Annotated[
    Path, typer.Argument(help="File with the atoms' names (and frames, for extxyz, XDATCAR, vasprun.xml).")
]
Frames = Annotated[Path | None, typer.Argument(help="File with the frames.")]
Center = Annotated[str, typer.Option(help="MDAnalysis selection of the ions.")]
Donors = Annotated[list[str] | None, typer.Option(help="NAME=SELECTION; repeat for every donor kind.")]
Format = Annotated[str | None, typer.Option(help="Format of the frames when the suffix does not tell.")]
Box = Annotated[str | None, typer.Option(help="'a b c' or 'a b c alpha beta gamma', Å and degrees.")]
SkipPs = Annotated[float, typer.Option(min=0, help="Left out at the start, ps.")]
TimestepPs = Annotated[float | None, typer.Option(min=0, help="Time between frames, when the file holds none, ps.")]
Every = Annotated[int, typer.Option(min=1, help="Use every n-th frame.")]
OwnMolecule = Annotated[
    bool,
    typer.Option("--own-molecule", help="Count donors of the center's own molecule, which otherwise are left out."),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite an analysis that is there.")]
# Those of a study.
StudyFiles = Annotated[list[Path], typer.Argument(help="Topology, frames and donors.json; or the user's own files.")]
OutputFolder = Annotated[Path, typer.Option(help="Folder for the tables.")]

_FORMS = {
    "--donor": "NAME=SELECTION, e.g. 'O(C=O)=name OC'",
    "--species": "NAME=SELECTION, e.g. 'Li=name LI'",
    "--charge": "NAME=NUMBER, e.g. 'Li=1'",
    "--cutoff": "NAME=NUMBER, e.g. 'O(C=O)=2.7'",
}


def split_name(option: str, text: str) -> tuple[str, str]:
    """Split `NAME=SELECTION` at the first `=` outside parentheses: `O(C=O)=name OC`.

    Raises
    ------
    StudyError
        There is none, or one side is empty.
    """
    depth = 0
    for position, letter in enumerate(text):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "=" and depth == 0:
            name, selection = text[:position].strip(), text[position + 1 :].strip()
            if name and selection:
                return name, selection
            break
    raise StudyError(f"{option} '{text}': write {_FORMS[option]}")


def named(option: str, texts: Sequence[str] | None, each: str = "kind") -> dict[str, str]:
    """Names and what each stands for, of an option that may be repeated.

    Raises
    ------
    StudyError
        As `split_name`, or a name is given twice.
    """
    found: dict[str, str] = {}
    for text in texts or ():
        name, value = split_name(option, text)
        if name in found:
            raise StudyError(f"{option} '{name}' is given twice; give each {each} a name of its own")
        found[name] = value
    return found


def named_donors(texts: Sequence[str] | None) -> dict[str, str]:
    """Selections of `--donor`, of which there has to be one.

    Raises
    ------
    StudyError
        As `named`, or there is none.
    """
    if not texts:
        raise StudyError("--donor is missing; write NAME=SELECTION, e.g. --donor 'O(C=O)=name OC'")
    return named("--donor", texts)


def box_numbers(text: str | None) -> Sequence[float] | None:
    """Numbers of `--box`.

    Raises
    ------
    TrajectoryError
        One of them is none.
    """
    if text is None:
        return None
    try:
        return [float(word) for word in text.replace(",", " ").split()]
    except ValueError as problem:
        raise TrajectoryError(f"--box '{text}': write three edges in Å, or edges and angles") from problem


def refuse_infinite(options: Mapping[str, float | None]) -> None:
    """Refuse infinity and NaN, which the bounds of an option let pass.

    Raises
    ------
    StudyError
        With the option.
    """
    for option, value in options.items():
        if value is not None and not math.isfinite(value):
            raise StudyError(f"{option} {value}: give a number")


def refuse_overwriting(path: Path, force: bool) -> None:
    """Leave an analysis that is there, unless told otherwise.

    Raises
    ------
    TrajectoryError
        It is there.
    """
    if not path.parent.is_dir() and path.parent.exists():
        raise TrajectoryError(f"{path.parent} is a file; name a folder for --out")
    if path.exists() and not force:
        raise TrajectoryError(f"{path} exists and is left as it is; choose another --out, or add --force")


class Reading:
    """Opens a trajectory of the user's, up to its damage if it has one, and records what was made from it."""

    def __init__(
        self,
        step: str,
        topology: Path,
        frames: Path | None,
        format: str | None,
        box: str | None,
        every_ps: float | None,
    ) -> None:
        from solvation.provenance import Stopwatch

        self._watch, self._step = Stopwatch(), step
        self._inputs = [topology, *([frames] if frames else [])]
        self._read = {"box_A": box, "timestep_ps": every_ps, "format": format}
        self.name = (frames or topology).stem
        self.opened = open_of_user(topology, frames, format=format, box_A=box_numbers(box), timestep_ps=every_ps)

    def __call__(self, target: Path, settings: Mapping[str, Any], result: Mapping[str, Any] | None = None) -> None:
        """Write the record beside `target`, and say where the file is damaged and which residues are no molecules."""
        from solvation.provenance import record, write_json

        made = record(step=self._step, card={**settings, **self._read}, inputs=self._inputs, stopwatch=self._watch)
        doubts = {"damage": self.opened.damage, "molecules": self.opened.doubt_of_molecules}
        told = {**(result or {}), **{name: doubt for name, doubt in doubts.items() if doubt}}
        write_json(target.with_suffix(".json"), {**made, **({"result": told} if told else {})})
        warn_of_doubts(self.opened)


def open_of_study(own: OwnTrajectory | None, files: Sequence[Path]) -> Trajectory:
    """Open a trajectory of a study: a computed one; or the user's own as its settings say, up to its damage."""
    from solvation.trajectory.frames import open_trajectory

    if own is None:
        return open_trajectory(*files[:2])
    return open_of_user(*files, format=own.format, box_A=own.box_A, timestep_ps=own.timestep_ps)


def open_of_user(topology: Path, frames: Path | None = None, **told: Any) -> Trajectory:
    """Open a trajectory of the user's, up to its damage if it has one, and say what to know of its cell and times.

    Parameters
    ----------
    told
        Format, cell and time step, as for `open_trajectory`.
    """
    from solvation.shells.surroundings import refuse_other_units
    from solvation.trajectory.frames import open_trajectory

    opened = open_trajectory(topology, frames, **told, until_damage=True)
    refuse_other_units(opened)
    for doubt in filter(None, (opened.doubt_of_cell(), opened.doubt_of_times)):
        typer.echo(f"warning: {opened.source}: {doubt}", err=True)
    return opened


def warn_of_doubts(opened: Trajectory) -> None:
    """Say where a file is damaged whose frames before were used, and which residues are several molecules."""
    for doubt in filter(None, (opened.damage, opened.doubt_of_molecules)):
        typer.echo(f"warning: {opened.source}: {doubt}", err=True)


def center_and_donors(own: OwnTrajectory | None, files: Sequence[Path]) -> tuple[str, dict[str, str]]:
    """Selections of the ions, and of each donor kind, of a trajectory of a study."""
    if own is not None:
        return own.center, dict(own.donors)
    return packed_selections(files[2])


def packed_selections(donors: Path) -> tuple[str, dict[str, str]]:
    """Selections of the ions, and of each donor kind, out of `donors.json` of a packed system.

    Raises
    ------
    TrajectoryError
        It cannot be read as such.
    """
    try:
        told = json.loads(donors.read_text(encoding="utf-8"))
        return told["center"], dict(told["donors"])
    except (OSError, ValueError, TypeError, KeyError) as problem:
        raise TrajectoryError(f"{donors}: not the donors of a box ({problem}); pack it again") from problem
