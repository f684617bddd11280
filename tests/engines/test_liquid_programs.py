"""The same files through programs that nobody here wrote: gmx rdf, TRAVIS, MDAnalysis and SolvationAnalysis.

Where definitions differ, the difference is part of the test (docs/analysis.md).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import MDAnalysis
import numpy as np
import pytest
from MDAnalysis.analysis.rdf import InterRDF

from solvation.shells.analysis import analyze_trajectory
from solvation.trajectory.frames import open_trajectory

pytestmark = pytest.mark.engine

needs_gmx = pytest.mark.skipif(shutil.which("gmx") is None, reason="gmx is not installed (Debian: gromacs)")
needs_travis = pytest.mark.skipif(shutil.which("travis") is None, reason="travis is not installed (Debian: travis)")

LIQUID = Path(__file__).parent / "recorded" / "li_ec70"
BOX_A = 20.005827
#: Range and width of the bins of the other programs, Å; ours are ten times finer.
R_MAX_A, WIDTH_A = 8.0, 0.05
FINE = 10


@pytest.fixture(scope="module")
def salt(tmp_path_factory):
    """Twenty ions; molecules with two donors each hold them by one or by both, and come and go."""
    folder = tmp_path_factory.mktemp("salt")
    rng = np.random.default_rng(11)
    n_ions, n_solvents, edge_A = 20, 60, 30.0
    resindex = np.r_[np.arange(n_ions), n_ions + np.repeat(np.arange(n_solvents), 2)]
    universe = MDAnalysis.Universe.empty(140, n_ions + n_solvents, atom_resindex=resindex, trajectory=True)
    universe.add_TopologyAttr("names", ["LI"] * n_ions + ["N1", "N2"] * n_solvents)
    universe.add_TopologyAttr("resnames", ["LI"] * n_ions + ["EDA"] * n_solvents)
    universe.add_TopologyAttr("resids", np.arange(1, n_ions + n_solvents + 1))
    ions = rng.uniform(0, edge_A, (n_ions, 3))
    with MDAnalysis.Writer(str(folder / "salt.xtc"), 140) as writer:
        for number in range(60):
            solvents = rng.uniform(0, edge_A, (n_solvents, 2, 3))
            solvents[:, 1] = solvents[:, 0] + rng.normal(0, 1, (n_solvents, 3))
            for ion in range(n_ions):
                for molecule, both in ((2 * ion, rng.uniform() < 0.5), (2 * ion + 1, rng.uniform() < 0.2)):
                    directions = rng.normal(size=(2, 3))
                    near = ions[ion] + 2.1 * directions / np.linalg.norm(directions, axis=1)[:, None]
                    solvents[molecule] = near if both else near[:1] + np.array([[0, 0, 0], [0, 0, 3.0]])
            universe.atoms.positions = np.concatenate((ions, solvents.reshape(-1, 3))) % edge_A
            universe.dimensions = [edge_A] * 3 + [90] * 3
            universe.trajectory.ts.time = float(number)
            writer.write(universe.atoms)
    universe.atoms.write(str(folder / "salt.gro"))
    return folder / "salt"


def analysed(files, center, donors, n_bins=int(FINE * R_MAX_A / WIDTH_A), r_max_A=R_MAX_A):
    opened = open_trajectory(files.with_suffix(".gro"), files.with_suffix(".xtc"))
    return analyze_trajectory(opened, center=center, donors=donors, r_max_A=r_max_A, n_bins=n_bins)


@pytest.fixture(scope="module")
def liquid():
    return analysed(LIQUID, "resname LI", {"O": "resname EC and name O1", "ring": "resname EC and name O2 O3"})


def counts_per_ion(curve):
    """Donors in each fine bin."""
    return np.diff(curve.n, prepend=0.0)


def g_of(counts, centres_A, edges_A, density):
    inner, outer = edges_A
    return counts / (density * 4 / 3 * np.pi * (outer**3 - np.maximum(inner, 0) ** 3)), centres_A


@pytest.mark.parametrize(("kind", "selection"), [("O", "name O1"), ("ring", "name O2 O3")])
def test_interrdf_counts_the_same_pairs(liquid, kind, selection):
    universe = MDAnalysis.Universe(str(LIQUID.with_suffix(".gro")), str(LIQUID.with_suffix(".xtc")))
    theirs = InterRDF(
        universe.select_atoms("resname LI"), universe.select_atoms(f"resname EC and {selection}"),
        nbins=160, range=(0, R_MAX_A),
    ).run()  # fmt: skip
    ours = counts_per_ion(liquid.rdf[kind]).reshape(160, FINE).sum(axis=1)
    # Distances of single and of double precision may fall on either side of an edge: two counts of a hundred frames.
    assert np.cumsum(ours) == pytest.approx(np.cumsum(theirs.results.count) / 100, abs=0.021)
    volume = 4 / 3 * np.pi * np.diff(np.linspace(0, R_MAX_A, 161) ** 3)
    density = len(universe.select_atoms(f"resname EC and {selection}")) / BOX_A**3
    assert ours / volume / density == pytest.approx(theirs.results.rdf, abs=0.02 / volume.min() / density)


@needs_gmx
def test_gmx_rdf_draws_the_same_curve_and_counts_the_same_shell(liquid, tmp_path):
    subprocess.run(
        ["gmx", "rdf", "-f", LIQUID.with_suffix(".xtc"), "-s", LIQUID.with_suffix(".gro"), "-ref", "resname LI",
         "-sel", "resname EC and name O1", "-bin", str(WIDTH_A / 10), "-rmax", str(R_MAX_A / 10), "-o", "g.xvg",
         "-cn", "n.xvg"],
        cwd=tmp_path, check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    r_nm, theirs = np.loadtxt(tmp_path / "g.xvg", comments=("#", "@")).T
    # gmx puts its bins around the multiples of the width: from half a bin below to half a bin above.
    edges_A = (np.arange(1, len(r_nm)) - 0.5) * WIDTH_A
    edges_A = edges_A[edges_A < R_MAX_A]
    curve = liquid.rdf["O"]
    fine_A = np.linspace(0, R_MAX_A, len(curve.n) + 1)
    counts = np.diff(np.interp(edges_A, fine_A, np.append(0, curve.n)))
    volume = 4 / 3 * np.pi * np.diff(edges_A**3)
    ours = counts / volume * BOX_A**3 / 70
    assert r_nm[1 : len(ours) + 1] * 10 == pytest.approx((edges_A[1:] + edges_A[:-1]) / 2, abs=1e-6)
    # One count of a hundred frames that falls on the other side of an edge.
    assert np.all(np.abs(ours - theirs[1 : len(ours) + 1]) < 1.01 / 100 / volume * BOX_A**3 / 70 + 1e-2)
    r_nm, n = np.loadtxt(tmp_path / "n.xvg", comments=("#", "@")).T
    (row,) = [row for row in liquid.coordination if (row.donor, row.counted) == ("O", "atom")]
    # n of gmx counts up to the middle of its bin, so it is asked for half a bin either side.
    low, high = np.interp([row.cutoff_A / 10 - WIDTH_A / 20, row.cutoff_A / 10 + WIDTH_A / 20], r_nm, n)
    assert low - 0.01 <= row.cn <= high + 0.01
    assert high - low < 0.03


@needs_travis
def test_travis_draws_the_same_curve_and_counts_the_same_shell(liquid, tmp_path):
    universe = MDAnalysis.Universe(str(LIQUID.with_suffix(".gro")), str(LIQUID.with_suffix(".xtc")))
    symbols = [name.rstrip("0123456789").title() for name in universe.atoms.names]
    with (tmp_path / "t.xyz").open("w") as stream:
        for step in universe.trajectory:
            stream.write(f"{len(symbols)}\n\n")
            for symbol, (x, y, z) in zip(symbols, step.positions, strict=True):
                stream.write(f"{symbol} {x:.4f} {y:.4f} {z:.4f}\n")
    # Its questions in turn: mode, cubic cell, edge in pm, molecules as found, RDF of molecule 1 around 2, atom, range.
    answers = ["n", "y", f"{100 * BOX_A:.4f}", "y", "", "", "rdf", "n", "2", "1", "1", "", "", "O3"]
    answers += [f"{100 * R_MAX_A:.0f}", f"{R_MAX_A / WIDTH_A:.0f}", *[""] * 12]
    (tmp_path / "answers").write_text("\n".join(answers))
    subprocess.run(
        ["travis", "-p", "t.xyz", "-i", "answers", "-nocolor"],
        cwd=tmp_path, env={**os.environ, "HOME": str(tmp_path)}, check=True, capture_output=True, timeout=300,
    )  # fmt: skip
    (written,) = tmp_path.glob("rdf_*.csv")
    assert "O3o" in written.name
    r_pm, theirs, n = np.loadtxt(written, delimiter=";").T
    # TRAVIS shares each distance between the two nearest centres of its bins, which is a triangle of twice the width.
    curve = liquid.rdf["O"]
    apart = np.abs(r_pm[:, None] / 100 - curve.r_A[None, :]) / WIDTH_A
    counts = np.maximum(0, 1 - apart) @ counts_per_ion(curve)
    volume = 4 / 3 * np.pi * ((r_pm / 100 + WIDTH_A / 2) ** 3 - (r_pm / 100 - WIDTH_A / 2) ** 3)
    ours = counts / volume * BOX_A**3 / 70
    inside = r_pm / 100 < R_MAX_A - WIDTH_A
    assert np.all(np.abs(ours - theirs)[inside] < 2 / 100 / volume[inside] * BOX_A**3 / 70 + 1e-2)
    (row,) = [row for row in liquid.coordination if (row.donor, row.counted) == ("O", "atom")]
    low, high = np.interp([100 * (row.cutoff_A - WIDTH_A), 100 * (row.cutoff_A + WIDTH_A)], r_pm, n)
    assert low - 0.01 <= row.cn <= high + 0.01
    assert high - low < 0.03


def solvation_analysis(files, center, donors, cutoff_A):
    solute = pytest.importorskip("solvation_analysis.solute", reason="solvation-analysis is not installed")
    universe = MDAnalysis.Universe(str(files.with_suffix(".gro")), str(files.with_suffix(".xtc")))
    found = solute.Solute.from_atoms(
        universe.select_atoms(center), {"solvent": universe.select_atoms(donors)}, radii={"solvent": cutoff_A}
    )
    found.run()
    return found


def by_molecules(found):
    """Populations of shells by the number of their molecules, whatever their denticity."""
    populations: dict[int, float] = {}
    for row in found.speciation:
        if row.grouped != "shell":
            continue
        parts = [] if row.shell == "bare" else row.shell.split(" + ")
        held = sum(int(part.split()[0]) for part in parts)
        populations[held] = populations.get(held, 0) + row.population
    return populations


def test_solvation_analysis_finds_the_same_shells_in_the_liquid(liquid):
    theirs = solvation_analysis(LIQUID, "resname LI", "resname EC and name O1", liquid.cutoffs_A["O"])
    (row,) = [row for row in liquid.coordination if (row.donor, row.counted) == ("O", "molecule")]
    assert row.cn == pytest.approx(theirs.coordination.coordination_numbers["solvent"], abs=0.001)
    only = analysed(LIQUID, "resname LI", {"O": "resname EC and name O1"})
    fractions = theirs.speciation.speciation_fraction
    assert by_molecules(only) == pytest.approx(
        {int(count): share for count, share in zip(fractions["solvent"], fractions["fraction"], strict=True)}
    )


def test_a_molecule_bound_by_two_donors_counts_one_there_and_two_atoms_here(salt):
    """Shells end at 2.4 Å; a second nitrogen 3 Å away from the first one may be inside or not."""
    ours = analysed(salt, "resname LI", {"N": "resname EDA"}, n_bins=240, r_max_A=6.0)
    theirs = solvation_analysis(salt, "resname LI", "resname EDA", ours.cutoffs_A["N"])
    cn = {row.counted: row.cn for row in ours.coordination if row.donor == "N"}
    assert cn["molecule"] == pytest.approx(theirs.coordination.coordination_numbers["solvent"], abs=0.001)
    assert cn["atom"] > cn["molecule"] + 0.4
    fractions = theirs.speciation.speciation_fraction
    counted = {int(count): share for count, share in zip(fractions["solvent"], fractions["fraction"], strict=True)}
    found = {count: share for count, share in by_molecules(ours).items() if count}
    # Ions without a solvent are not in its table.
    assert found == pytest.approx({count: share * sum(found.values()) for count, share in counted.items()}, abs=1e-9)
    universe = MDAnalysis.Universe(str(salt.with_suffix(".gro")), str(salt.with_suffix(".xtc")))
    pairs = InterRDF(
        universe.select_atoms("resname LI"), universe.select_atoms("resname EDA"), nbins=24, range=(0, 6)
    ).run()  # fmt: skip
    assert ours.rdf["N"].n[9::10] == pytest.approx(np.cumsum(pairs.results.count) / 60 / 20, abs=0.002)
