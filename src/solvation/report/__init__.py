"""The report of a finished study: one HTML page that opens offline, and its figures as PNG and SVG."""

from __future__ import annotations

from pathlib import Path

from solvation.errors import EngineMissing

__all__ = ["write_report"]


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
    try:
        from solvation.report.page import render
    except ModuleNotFoundError as problem:
        if (problem.name or "").partition(".")[0] not in {"jinja2", "matplotlib", "plotly"}:
            raise
        raise EngineMissing(
            f"the report needs {problem.name}, which is not installed; pip install 'solvation[report]'"
        ) from problem
    return render(results, output or results / "report.html")
