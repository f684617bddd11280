"""The report of a finished study: one HTML page that opens offline, and its figures as PNG and SVG."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from solvation.errors import EngineMissing, ResultsError

__all__ = ["draw_figures", "write_report"]


def write_report(results: Path, output: Path | None = None) -> Path:
    """Write the page of a results folder, and its figures into `results/figures/`.

    Nothing is read but the folder, and nothing is fetched, neither now nor when the page is opened.

    Parameters
    ----------
    results
        Folder of a study, `results/<study>/`: the tables, `clusters/*/ensemble.extxyz` and `provenance.json`.
        What is missing of them is named on the page.
    output
        Page to write; `report.html` in `results` when left out.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    ResultsError
        `results` is no results folder, or one of its tables cannot be read.
    EngineMissing
        The packages that draw the page are not installed.
    """
    with _packages_of("the report"):
        from solvation.report.page import render
    return render(results, output or results / "report.html")


def draw_figures(folder: Path) -> list[Path]:
    """Draw what the tables of a folder hold, of a study or of one analysis, into `folder/figures/`.

    Returns
    -------
    list of Path
        PNG of each figure; SVG stands beside it.

    Raises
    ------
    ResultsError
        There is nothing to draw, or a table cannot be read.
    EngineMissing
        The packages that draw are not installed.
    """
    with _packages_of("drawing"):
        from solvation.report.figures import save_figures
        from solvation.report.inputs import load
    drawn = save_figures(load(folder), folder / "figures")
    if not drawn:
        raise ResultsError(f"{folder}: none of its tables has a figure")
    return [folder / "figures" / f"{name}.png" for name in drawn]


@contextmanager
def _packages_of(what: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as problem:
        if (problem.name or "").partition(".")[0] not in {"jinja2", "matplotlib", "plotly"}:
            raise
        raise EngineMissing(
            f"{what} needs {problem.name}, which is not installed; pip install 'solvation[report]'"
        ) from problem
