"""The page: tables and figures of a results folder put into one HTML file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jinja2
import yaml
from markupsafe import Markup

from solvation.errors import ResultsError
from solvation.provenance import write_text
from solvation.report import ladder, numbers, sections, viewer
from solvation.report.bonding import bonding
from solvation.report.boxes import boxes
from solvation.report.density import ISOVALUE
from solvation.report.figures import INK, save_figures
from solvation.report.inputs import Inputs, load, slug
from solvation.report.networks import liquid_networks
from solvation.report.patterns import angle_means
from solvation.report.profiles import profiles
from solvation.report.shells import liquid_shells
from solvation.report.transport import activations, movements
from solvation.report.verdict import verdict


def render(results: Path, output: Path) -> Path:
    """Write the figures and the page; see `solvation.report.write_report`."""
    inputs = load(results)
    if output.is_dir():
        raise ResultsError(f"{output} is a folder; give the name of the page, e.g. {output / 'report.html'}")
    svg = save_figures(inputs, results / "figures")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("solvation.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        cell=numbers.cell,
        as_given=numbers.as_given,
        share_bar=numbers.share_bar,
        with_error=numbers.with_error,
        seconds=numbers.seconds,
        decimals=numbers.decimals,
    )
    environment.filters["slug"] = slug
    page = environment.get_template("report.html.j2").render(_context(inputs, svg))
    write_text(output, page)
    return output


def _context(inputs: Inputs, svg: dict[str, str]) -> dict[str, Any]:
    described = {
        name: viewer.describe(frames) for name, frames in inputs.structures.items() if frames
    }  # fmt: skip
    stills = dict(zip(described, (name for name in svg if name.startswith("structure_")), strict=True))
    liquids = list(dict.fromkeys(inputs.tables["rdf"]["trajectory"]))
    return {
        "name": inputs.name,
        "description": inputs.study.get("description") or "",
        "verdict": verdict(inputs),
        "problems": inputs.problems,
        "can_retry": bool(len(inputs.tables["failures"])),
        "main_level": inputs.main_level,
        "comparison": sections.comparison(inputs.tables["comparison"], inputs.main_level),
        "orders": ladder.orders(inputs.tables["binding"], inputs.main_level),
        "swaps": ladder.exchanges(inputs.tables["comparison"]),
        "nearest": ladder.definitions(inputs.tables["comparison"]),
        "binding": sections.binding(inputs.tables["binding"]),
        "liquids": dict(zip(liquids, (name for name in svg if name.startswith("rdf_")), strict=True)),
        # Without the settings of the study nobody knows whether it has any.
        "has_liquids": bool(inputs.names("trajectories")) or not inputs.study,
        "boxes": boxes(inputs),
        "coordination": sections.records(inputs.tables["coordination"]),
        "shells": liquid_shells(inputs),
        "networks": liquid_networks(inputs),
        "movements": movements(inputs),
        "activations": activations(inputs),
        "profiles": profiles(inputs),
        "populations": sections.records(inputs.tables["profile_populations"]),
        "profile_figures": _by("profile", inputs, "profile_curves", "profile_", svg),
        "potentials": sections.records(inputs.tables["potentials"]),
        "potential_runs": sections.potential_runs(inputs.study),
        "msd_figures": _by("trajectory", inputs, "msd", "msd_", svg),
        "survival_figures": _by("trajectory", inputs, "survival", "survival_", svg),
        "angle_means": angle_means(inputs),
        "angle_figures": _by("trajectory", inputs, "angles", "angles_", svg),
        "scattering_figures": _by("trajectory", inputs, "structure_factor", "scattering_", svg),
        "bonding": bonding(inputs),
        "densities": dict(
            zip(
                (cluster for cluster in inputs.names("clusters") if inputs.density(cluster)),
                (name for name in svg if name.startswith("density_")),
                strict=True,
            )
        ),
        "isovalue": ISOVALUE,
        "ensembles": sections.ensembles(inputs.tables["ensemble"]),
        "convergence": sections.convergence(inputs),
        "rejected": sections.rejected(inputs.tables["rejected"]),
        "clusters": described,
        "n_kept": {name: len(frames) for name, frames in inputs.structures.items()},
        "stills": stills,
        "figure": {name: inline(name, text) for name, text in svg.items()},
        "payload": viewer.payload(described),
        "library": viewer.library() if described else "",
        "settings": yaml.safe_dump(inputs.study, sort_keys=False, allow_unicode=True) if inputs.study else "",
        "versions": inputs.provenance.get("versions") or {},
        "checksums": inputs.provenance.get("inputs_sha256") or {},
        "timings": sections.timings(inputs.provenance.get("steps") or []),
        "steps": inputs.provenance.get("steps") or [],
    }


def _by(column: str, inputs: Inputs, table: str, prefix: str, svg: dict[str, str]) -> dict[str, str]:
    """Figure of each trajectory or profile in a table; both stand in the order of the table."""
    names = dict.fromkeys(inputs.tables[table][column])
    return dict(zip(names, (name for name in svg if name.startswith(prefix)), strict=True))


def inline(name: str, svg: str) -> Markup:
    """SVG of a figure as an element of the page: its ids are its own, its ink is the page's."""
    text = svg[svg.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(<svg[^>]*?) width="([^"]*)"', r'\1 style="max-width:\2;min-width:min(\2,620px)"', text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    prefix = f"{slug(name)}--"
    text = re.sub(r'\bid="', f'id="{prefix}', text)
    text = text.replace('xlink:href="#', f'xlink:href="#{prefix}').replace("url(#", f"url(#{prefix}")
    return Markup(text.replace(INK, "currentColor"))
