"""Figures of a study, drawn with matplotlib; each function returns one figure and draws what the tables hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ase import Atoms
from matplotlib import rc_context
from matplotlib.figure import Figure

from solvation.provenance import write_atomically
from solvation.report.bonding import TERMS
from solvation.report.density import draw_surfaces, read_density
from solvation.report.inputs import Inputs, number, slug
from solvation.report.patterns import angle_figure, scattering_figure
from solvation.report.profiles import profile_figure
from solvation.report.shells import survival_figure
from solvation.report.transport import msd_figure
from solvation.report.viewer import COLOURS, RADIUS_SCALE, bonds, contacts, ion_atoms, radius_A

#: Okabe and Ito's colours without yellow, which is too pale on paper; legible for the colour-blind.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D31")
#: Ink of axes and text; the page replaces it by its own text colour.
INK = "#1b2733"
_LINES = ("-", (0, (6, 2)), (0, (2, 1.4)), (0, (6, 2, 1.5, 2)))
_STYLE = {
    "svg.fonttype": "none", "svg.hashsalt": "solvation", "font.family": "sans-serif", "font.size": 10,
    "font.sans-serif": ["Helvetica", "Arial", "Liberation Sans", "DejaVu Sans"],
    "text.color": INK, "axes.edgecolor": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK,
    "axes.linewidth": 0.8, "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 10.5,
    "axes.titleweight": "bold", "axes.titlelocation": "left", "figure.facecolor": "none", "axes.facecolor": "none",
    "legend.frameon": False, "lines.linewidth": 1.8, "axes.unicode_minus": True, "figure.constrained_layout.use": True,
}  # fmt: skip
#: An ion further than this from the plane of the picture is turned into it.
_HIDDEN_A = 1.0
_DEFINITIONS = {
    "relaxed": "against relaxed ligands",
    "relaxed_counterpoise": "relaxed ligands, counterpoise",
    "frozen_ligands": "against frozen ligands",
    "frozen_shell": "ion out of frozen shell",
}


def colour(names: Sequence[str], name: str) -> str:
    """Colour of a name, the same in every figure that lists the same names."""
    return PALETTE[list(names).index(name) % len(PALETTE)]


def dash(names: Sequence[str], name: str) -> Any:
    """Line style of a name, so that colour is not the only difference."""
    return _LINES[list(names).index(name) % len(_LINES)]


def binding_figure(binding: pd.DataFrame, comparison: pd.DataFrame) -> Figure:
    """Ladder of binding energies: one panel for each definition, one rung for each cluster and level.

    Published values are open diamonds beside the rungs, joined to nothing.
    """
    clusters = list(dict.fromkeys(binding["cluster"]))
    levels = list(dict.fromkeys(binding["level"]))
    # The mean over an ensemble lies within a line's width of its lowest structure; the table has it.
    definitions = [item for item in dict.fromkeys(binding["definition"]) if item != "relaxed_ensemble"]
    width = max(2.6, 0.75 * len(clusters) + 0.8)
    figure = _figure(min(13.0, 1.0 + width * len(definitions)), 4.4)
    panels = figure.subplots(1, len(definitions), sharey=True, squeeze=False)[0]
    handles: dict[str, Any] = {}
    for axes, definition in zip(panels, definitions, strict=True):
        for level in levels:
            rows = binding[(binding["definition"] == definition) & (binding["level"] == level)]
            energy = rows.set_index("cluster")["energy_eV"].groupby(level=0).first().reindex(clusters)
            drawn = _rungs(
                axes, energy.to_numpy(), np.isin(clusters, rows["cluster"]), colour(levels, level), dash(levels, level)
            )
            handles[level] = drawn
        known = _published(comparison, f"binding_energy[{definition}]")
        known = known[known.index.isin(clusters)]
        if len(known):
            handles["published"] = axes.plot(
                [clusters.index(name) for name in known.index], known, "D", ms=7, mfc="none", mec=INK, mew=1.4,
                ls="none", gid="published",
            )[0]  # fmt: skip
        axes.set_title(_text(_DEFINITIONS.get(definition, definition)))
        axes.set_xticks(range(len(clusters)), [_text(item) for item in clusters], rotation=30, ha="right")
        axes.set_xlim(-0.6, len(clusters) - 0.4)
    panels[0].set_ylabel("binding energy / eV")
    _legend(figure, handles)
    return figure


def rdf_figure(rdf: pd.DataFrame, trajectory: str, comparison: pd.DataFrame) -> Figure:
    """g(r) beside n(r) of every donor kind of one trajectory, with bands of one standard error."""
    donors = list(dict.fromkeys(rdf["donor"]))
    figure = _figure(10.5, 3.9)
    panels = figure.subplots(1, 2)
    handles: dict[str, Any] = {}
    highest = 0.0
    for donor, rows in rdf[rdf["trajectory"] == trajectory].groupby("donor", sort=False):
        name = str(donor)
        for axes, column in zip(panels, ("g", "n"), strict=True):
            tint = colour(donors, name)
            (line,) = axes.plot(
                rows["r_A"], rows[column], color=tint, ls=dash(donors, name), gid=f"{column}:{slug(name)}"
            )
            line.set_label(_text(name))
            error = rows[f"{column}_stderr"]
            if error.notna().any():
                low, high = rows[column] - error, rows[column] + error
                axes.fill_between(rows["r_A"], low, high, color=tint, alpha=0.22, lw=0)
            handles[name] = line
        highest = max(highest, float(rows["n"].max()))
        peaks = _published(comparison, "first_peak")
        for peak in peaks[peaks.index == f"{trajectory} / {name}"]:
            handles["published peak"] = panels[0].axvline(peak, color=INK, ls=":", lw=1.2, gid="published")
    panels[0].axhline(1, color=INK, lw=0.6, alpha=0.5)
    panels[0].set(xlabel="r / Å", ylabel="g(r)", ylim=(0, None), title="radial distribution")
    # Beyond the first shells n(r) only counts the bulk.
    panels[1].set(xlabel="r / Å", ylabel="n(r), donors within r", title="running coordination number")
    panels[1].set_ylim(0, max(0.5, min(1.05 * highest, 8.0)))
    for axes in panels:
        axes.set_xlim(left=0)
    _legend(figure, handles)
    return figure


def ensemble_figure(ensemble: pd.DataFrame) -> Figure:
    """Relative energies of every kept structure on the surface that relaxed it and at the level that judges it."""
    clusters = list(dict.fromkeys(ensemble["cluster"]))
    columns = min(4, len(clusters))
    lines = math.ceil(len(clusters) / columns)
    figure = _figure(2.7 * columns + 0.6, 2.9 * lines + 0.3)
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes, cluster in zip(panels, clusters, strict=False):
        rows = ensemble[ensemble["cluster"] == cluster]
        wide = rows.pivot_table(index="structure", columns="role", values="relative_energy_eV", aggfunc="first")
        for structure, pair in wide.reindex(columns=["geometry", "rank"]).iterrows():
            lowest = number(pair["rank"]) == 0.0
            axes.plot(
                [0, 1], pair.to_numpy(), marker="o", ms=5, lw=1.8 if lowest else 1.0, zorder=3 if lowest else 2,
                color=PALETTE[1] if lowest else PALETTE[0], alpha=1.0 if lowest else 0.65, gid=slug(str(structure)),
            )  # fmt: skip
        names = [
            _text(", ".join(rows.loc[rows["role"] == role, "level"].unique()) or "not judged")
            for role in ("geometry", "rank")
        ]
        axes.set_xticks([0, 1], [f"relaxed at\n{names[0]}", f"judged at\n{names[1]}"], fontsize=9)
        axes.set(xlim=(-0.35, 1.35), ylim=(-0.02, None), title=_text(cluster))
    for axes in panels[len(clusters) :]:
        axes.set_visible(False)
    for axes in panels[::columns]:
        axes.set_ylabel("relative energy / eV")
    return figure


def terms_figure(terms: pd.DataFrame) -> Figure:
    """Energy between ion and shell by term: bars up and down from zero, the sum a black rung; first level only."""
    rows = terms[terms["level"] == terms["level"].iloc[0]]
    wide = rows.pivot_table(index="cluster", columns="quantity", values="value", aggfunc="first", sort=False)
    places = np.arange(len(wide))
    figure = _figure(max(6.5, 1.15 * len(wide) + 2.0), 4.2)
    axes = figure.subplots()
    above, below = np.zeros(len(wide)), np.zeros(len(wide))
    handles: dict[str, Any] = {}
    for term, title in TERMS.items():
        values = wide[f"energy[{term}]"].to_numpy(dtype=float)
        bottom = np.where(values > 0, above, below)
        tint = colour(list(TERMS), term)
        handles[title] = axes.bar(places, values, bottom=bottom, width=0.62, color=tint, gid=f"term:{term}")
        above, below = above + values.clip(min=0), below + values.clip(max=0)
    for place, total in zip(places, wide["energy[interaction]"], strict=True):
        (line,) = axes.plot([place - 0.4, place + 0.4], [total, total], color=INK, lw=2.6, gid="sum")
        axes.annotate(f"{total:.2f}", (place + 0.4, total), xytext=(2, -3), textcoords="offset points", fontsize=8)
        handles["sum"] = line
    axes.axhline(0, color=INK, lw=0.8)
    axes.set_xticks(places, [_text(name) for name in wide.index], rotation=30, ha="right")
    axes.set(ylabel="energy / eV", xlim=(-0.6, len(wide) - 0.2))
    _legend(figure, handles)
    return figure


def structure_figure(atoms: Atoms) -> Figure:
    """Still picture of a structure, seen across its widest plane; stands where nothing can turn."""
    figure = _figure(4.2, 3.6)
    axes = figure.subplots()
    _draw_structure(axes, atoms, _widest_view(atoms, ion_atoms(atoms)), contacts(atoms))
    return figure


def density_figure(path: Path, n_ion: int = 1) -> Figure:
    """Density difference around a structure: surfaces of gain and loss, as a cube file holds them.

    `n_ion` is how many atoms the ion has, which come first.
    """
    atoms, values, origin_A, steps_A = read_density(path)
    view = _widest_view(atoms, n_ion)
    figure = _figure(4.6, 4.0)
    axes = figure.subplots()
    _draw_structure(axes, atoms, view, [])
    draw_surfaces(axes, values, origin_A, steps_A, atoms.positions.mean(axis=0), view)
    return figure


def _widest_view(atoms: Atoms, n_ion: int) -> np.ndarray[Any, Any]:
    """Rotation that turns the widest plane of a structure towards the reader, the ion never behind it, (3, 3)."""
    centred = atoms.positions - atoms.positions.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=True)[2]
    if abs(axes[2] @ centred[:n_ion].mean(axis=0)) > _HIDDEN_A:
        # The ion sits on the line of sight: put that line into the plane of the picture.
        axes = axes[[2, 0, 1]]
    rotation: np.ndarray[Any, Any] = axes.T
    return rotation


def _draw_structure(axes: Any, atoms: Atoms, rotation: Any, dashes: Sequence[tuple[int, int, float]]) -> None:
    view = (atoms.positions - atoms.positions.mean(axis=0)) @ rotation
    symbols = atoms.get_chemical_symbols()
    # The whole of the figure is there to draw on, or the atoms at the edge of a narrow molecule are cut.
    axes.set_aspect("equal", adjustable="datalim")
    axes.margins(0.12)
    axes.axis("off")
    depth = view[:, 2]
    for i, j in bonds(atoms):
        axes.plot(*view[[i, j], :2].T, color="#7d8790", lw=2.2, zorder=10 + (depth[i] + depth[j]) / 2)
    for ion, donor, distance in dashes:
        axes.plot(*view[[ion, donor], :2].T, color=INK, lw=1.1, ls=(0, (4, 2.5)), zorder=9 + depth[donor])
        axes.annotate(
            f"{distance:.2f}", view[[ion, donor], :2].mean(axis=0), fontsize=8, zorder=99,
            xytext=(3, 3), textcoords="offset points",
        )  # fmt: skip
    for index in np.argsort(depth):
        points = 34 * radius_A(symbols[index]) / max(1.0, np.ptp(view[:, 0]) / 8)
        axes.plot(
            *view[index, :2], "o", ms=points * RADIUS_SCALE * 2, mfc=COLOURS.get(symbols[index], "#b76e99"),
            mec="#3c444c", mew=0.5, zorder=10.1 + depth[index],
        )  # fmt: skip


def all_figures(inputs: Inputs) -> dict[str, Callable[[], Figure]]:
    """Every figure of a study by file name, not yet drawn."""
    tables = inputs.tables
    comparison = tables["comparison"]
    found: dict[str, Callable[[], Figure]] = {}
    if tables["binding"]["energy_eV"].notna().any():
        found["binding"] = lambda: binding_figure(tables["binding"], comparison)
    bonding = tables["bonding"]
    terms = bonding[bonding["quantity"].str.startswith("energy[") & bonding["value"].notna()]
    if len(terms):
        found["bonding"] = lambda: terms_figure(terms)
    for name in dict.fromkeys(tables["rdf"]["trajectory"]):
        found[_free(f"rdf_{slug(name)}", found)] = _later(rdf_figure, tables["rdf"], name, comparison)
    for name, rows in tables["msd"].groupby("trajectory", sort=False):
        moved = tables["transport"][tables["transport"]["trajectory"] == name]
        found[_free(f"msd_{slug(str(name))}", found)] = _later(msd_figure, rows, moved, PALETTE)
    for table, subject, prefix, draw in (
        ("survival", "trajectory", "survival", survival_figure),
        ("profile_curves", "profile", "profile", profile_figure),
        ("angles", "trajectory", "angles", angle_figure),
        ("structure_factor", "trajectory", "scattering", scattering_figure),
    ):
        for name, rows in tables[table].groupby(subject, sort=False):
            found[_free(f"{prefix}_{slug(str(name))}", found)] = _later(draw, rows, PALETTE)
    kept = tables["ensemble"][tables["ensemble"]["structure"] != ""]  # a search that failed has a row without one
    if len(kept):
        found["ensemble"] = lambda: ensemble_figure(kept)
    for name, frames in inputs.structures.items():
        if frames:
            found[_free(f"structure_{slug(name)}", found)] = _later(structure_figure, frames[0])
    for name in inputs.names("clusters"):
        if (path := inputs.density(name)) is not None:
            n_ion = ion_atoms(inputs.structures[name][0]) if inputs.structures.get(name) else 1
            found[_free(f"density_{slug(name)}", found)] = _later(density_figure, path, n_ion)
    return found


def save_figures(inputs: Inputs, folder: Path) -> dict[str, str]:
    """Draw every figure into `folder` as PNG (on white) and SVG; return the SVG texts by file name."""
    texts: dict[str, str] = {}
    for name, draw in all_figures(inputs).items():
        texts[name] = save_figure(draw, folder, name).read_text(encoding="utf-8")
    return texts


def save_figure(draw: Callable[[], Figure], folder: Path, name: str) -> Path:
    """Draw one figure into `folder` as PNG (on white) and SVG; return the path of the latter."""
    with rc_context(_STYLE):
        figure = draw()
        svg, png = folder / f"{name}.svg", folder / f"{name}.png"
        write_atomically(svg, _saver(figure, metadata={"Date": None, "Creator": None}))
        write_atomically(png, _saver(figure, dpi=200, facecolor="white", metadata={"Software": None}))
    return svg


def _figure(width: float, height: float) -> Figure:
    with rc_context(_STYLE):
        return Figure(figsize=(width, height))


def _saver(figure: Figure, **settings: Any) -> Callable[[Path], None]:
    def save(temporary: Path) -> None:
        figure.savefig(temporary, **settings)

    return save


def _later(draw: Callable[..., Figure], *arguments: Any) -> Callable[[], Figure]:
    return lambda: draw(*arguments)


def _free(name: str, taken: dict[str, Any]) -> str:
    """Return a name not taken yet; names that differ only in odd characters share a slug."""
    count, free = 1, name
    while free in taken:
        count += 1
        free = f"{name}-{count}"
    return free


def _rungs(axes: Any, energy: Any, failed: Any, tint: str, style: Any) -> Any:
    """Draw a rung for each cluster, joined by thin lines; a failed one is a word."""
    places = np.arange(len(energy))
    for place in places[np.isnan(energy) & failed]:
        axes.text(place, 0.02, "failed", color=tint, fontsize=8, rotation=90, ha="center", va="bottom",
                  transform=axes.get_xaxis_transform())  # fmt: skip
    axes.plot(places, energy, color=tint, lw=0.8, ls=":", alpha=0.8)
    (line,) = axes.plot([], [], color=tint, ls=style, lw=2.6)
    for place, value in zip(places, energy, strict=True):
        axes.plot([place - 0.28, place + 0.28], [value, value], color=tint, ls=style, lw=2.6, gid="rung")
    return line


def _published(comparison: pd.DataFrame, quantity: str) -> pd.Series[float]:
    """Every published number of a quantity, by its subject."""
    rows = comparison[(comparison["quantity"].str.startswith(quantity)) & comparison["published"].notna()]
    return rows.set_index("subject")["published"]


def _legend(figure: Figure, handles: dict[str, Any]) -> None:
    if handles:
        handles = dict(sorted(handles.items(), key=lambda item: item[0].startswith("published")))
        figure.legend(
            list(handles.values()), [_text(name) for name in handles], loc="outside upper left",
            ncols=min(4, len(handles)), handlelength=2.6,
        )  # fmt: skip


def _text(name: str) -> str:
    """Name as literal text: no mathematics between dollars, and not hidden from legends by an underscore."""
    escaped = name.replace("$", r"\$")
    return f"\N{NO-BREAK SPACE}{escaped}" if escaped.startswith("_") else escaped
