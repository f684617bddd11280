"""The page and the figures, made from a small but complete results folder."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable, Iterable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.io import write
from rdkit import Chem
from rdkit.Chem import AllChem

from solvation.errors import ResultsError
from solvation.report import figures, numbers, sections, viewer, write_report
from solvation.report.inputs import load
from solvation.report.verdict import verdict

EVIL = "<script>alert('x')</script>"
EC = "O=C1OCCO1"
TDA = "CN(C)CCCN(CCCN(C)C)CCCN(C)C"
PBE = "pbe-d4/def2-svp"
SWAP = "Li_EC3_TDA - Li_EC4"
COMPARISON_COLUMNS = "subject quantity level value unit stderr published difference source rank note"
COMPARISON: list[tuple[Any, ...]] = [
    ("Li_EC4", "binding_energy[relaxed]", "gfn2", -6.7132, "eV", "", "", "", "", 2, "relaxed ligands"),
    ("Li_EC3_TDA", "binding_energy[relaxed]", "gfn2", -6.7241, "eV", "", "", "", "", 1, "relaxed ligands"),
    ("Li_EC4", "binding_energy[relaxed]", PBE, -6.1837, "eV", "", -3.61, -2.5737, "Zhang, 3h", 1, "NOT reproduced"),
    ("Li_EC3_TDA", "binding_energy[relaxed]", PBE, -6.0319, "eV", "", -4.29, -1.7419, "Zhang, 3g", 2, "NOT reproduced"),
    (SWAP, "exchange_energy[relaxed]", "gfn2", -0.0109, "eV", "", "", "", "", "", "negative: TDA replaces EC"),
    (SWAP, "exchange_energy[relaxed]", PBE, 0.1518, "eV", "", -0.68, 0.8318, "Zhang", "", "NOT reproduced: +0.83 eV"),
    ("EC313 / EC carbonyl O", "first_peak", "gfn1", 1.9542, "Å", 0.0126, 1.97, -0.0158, "Zhang, 3e", 1, "reproduced"),
    ("EC313 / EC carbonyl O", "coordination_number[atom]", "gfn1", 3.8421, "1", 0.1177, "", "", "", 1, ""),
    ("mix / TDA terminal N", "first_peak", "gfn1", "", "Å", "", 2.11, "", "Zhang, 3f", "", "published, not computed"),
]


def test_every_number_of_the_comparison_stands_on_the_page(page: str) -> None:
    exact = {float(value) for value in re.findall(r'<data value="([^"]+)"', page)}
    for row in COMPARISON:
        for column in (3, 5, 6, 7, 9):
            if row[column] != "":
                assert float(row[column]) in exact, row
    for shown in ("−6.18", "−3.61", "−2.57", "+0.83", "1.954", "0.013", "3.84", "0.12"):
        assert shown in page


def test_published_values_stay_out_of_the_computed_column(page: str) -> None:
    cells = Cells.of(page)
    computed = {value for css, values in cells if "computed" in css for value in values}
    published = {value for css, values in cells if css == "num published" for value in values}
    assert published == {-3.61, -4.29, -0.68, 1.97, 2.11}
    assert computed == {float(row[3]) for row in COMPARISON if row[3] != ""} | {
        float(row[5]) for row in COMPARISON if row[5] != ""
    }


def test_names_cannot_become_markup(results: Path, tmp_path: Path) -> None:
    evil_clusters = results / "clusters" / "evil"
    evil_clusters.mkdir()
    told = json.loads((results / "provenance.json").read_text())
    told["study"]["clusters"]["evil"] = {}
    (results / "provenance.json").write_text(json.dumps(told))
    frames = [lithium_shell([EC], seed=3)]
    frames[0].info.update(structure=EVIL, denticity="</script><b>EC:1", rank_eV=-1.0)
    write(evil_clusters / "ensemble.extxyz", frames, format="extxyz")
    for name in ("binding", "ensemble", "rejected", "rdf", "coordination", "comparison"):
        text = (results / f"{name}.csv").read_text().replace("Li_EC4", EVIL).replace("carbonyl", f"{EVIL}$x$")
        (results / f"{name}.csv").write_text(text.replace("reproduced", f"reproduced {EVIL}"))
    page = write_report(results, tmp_path / "evil.html").read_text()
    assert "<script>alert" not in page
    assert "</script><b>" not in page
    # Ours alone: data, library, viewer.
    assert len(re.findall(r"<script[ >]", re.sub(r"<script>/\*\*.*?</script>", "<script>", page, flags=re.S))) == 3
    assert "&lt;script&gt;alert" in page
    data = re.findall(r'id="structures-data">(.*?)</script>', page, flags=re.S)[0]
    assert "<" not in data
    assert json.loads(data)["clusters"]["evil"][0]["name"] == EVIL


def test_a_failed_energy_is_shown_and_named(page: str) -> None:
    assert re.search(r'<span class="failed">failed</span>\s*<span class="none">', page)
    missing = page[page.index('<section id="missing">') : page.index('<section id="provenance">')]
    assert "binding energy of Li_TDA at pbe-d4/def2-svp [relaxed] failed: SCF did not converge" in missing
    assert "first_peak of mix / TDA terminal N: published, but not computed here" in missing
    assert "cluster Li_lost has no binding energy" in missing


@pytest.mark.parametrize(
    "table",
    ["comparison", "binding", "ensemble", "rejected", "rdf", "coordination", "speciation", "residence", "transitions"],
)
def test_a_missing_or_empty_table_is_named(results: Path, tmp_path: Path, table: str) -> None:
    path = results / f"{table}.csv"
    head = path.read_text().splitlines()[0]
    for text in ("", head, head + "\n"):
        path.write_text(text)
        # Nothing rejected is no gap, and frames without times have no transitions.
        assert (f"{table}.csv has no rows" in load(results).problems) is (table not in {"rejected", "transitions"})
    path.unlink()
    page = write_report(results, tmp_path / "page.html").read_text()
    missing = page[page.index('<section id="missing">') : page.index('<section id="provenance">')]
    assert f"{table}.csv is missing" in missing


def test_clusters_alone_or_a_trajectory_alone_make_a_page(made: Path, results: Path, tmp_path: Path) -> None:
    for name in ("rdf", "coordination"):
        (results / f"{name}.csv").unlink()
    page = write_report(results).read_text()
    assert "No g(r): rdf.csv is missing" in page
    assert 'id="structures-data"' in page
    alone = tmp_path / "alone"
    alone.mkdir()
    for name in ("rdf", "coordination"):
        shutil.copy(made / f"{name}.csv", alone)
    page = write_report(alone).read_text()
    assert "In trajectory EC313 the ion has around it 3.84" in page
    assert "No structures: the study has no clusters" in page
    assert "plotly" not in page


def test_the_page_asks_nothing_of_the_network(page: str) -> None:
    body = re.sub(r"<script>/\*\*.*?</script>", "", page, flags=re.S)  # plotly itself; the policy holds it
    assert not re.search(r"(src|href|action|data)\s*=\s*[\"']?(https?:)?//", body)
    assert not re.search(r"@import|url\(\s*[\"']?(?!#)(https?:)?//", body)
    assert "<!DOCTYPE svg" not in body
    assert "default-src 'none'" in page
    assert len(page) < 10_000_000
    assert page.count("plotly.js v") == 1
    assert body.count("<svg") == 5
    assert "&lt;svg" not in body


def test_figures_are_written_as_png_and_svg(made: Path) -> None:
    names = {path.name for path in (made / "figures").iterdir()}
    stems = {"binding", "ensemble", "rdf_EC313", "structure_Li_EC4", "structure_Li_EC3_TDA"}
    assert names == {f"{stem}.{kind}" for stem in stems for kind in ("png", "svg")}
    for stem in stems:
        assert (made / "figures" / f"{stem}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (made / "figures" / f"{stem}.svg").read_text()


def test_curves_are_the_rows_of_the_table(results: Path) -> None:
    table = pd.read_csv(results / "rdf.csv")
    drawn = figures.rdf_figure(load(results).tables["rdf"], "EC313", load(results).tables["comparison"])
    for axes, column in zip(drawn.axes, ("g", "n"), strict=True):
        lines = {line.get_gid(): line for line in axes.lines}
        for donor in ("EC carbonyl O", "EC ring O"):
            rows = table[table["donor"] == donor]
            line = lines[f"{column}:{donor.replace(' ', '_')}"]
            np.testing.assert_allclose(line.get_xdata(), rows["r_A"])
            np.testing.assert_allclose(line.get_ydata(), rows[column])
    band = drawn.axes[0].collections[0].get_paths()[0].vertices
    rows = table[table["donor"] == "EC carbonyl O"]
    assert band[:, 1].max() == pytest.approx((rows["g"] + rows["g_stderr"]).max())
    assert [line.get_xdata()[0] for line in drawn.axes[0].lines if line.get_gid() == "published"] == [1.97]


def test_rungs_are_the_binding_energies_and_published_ones_are_marked_apart(results: Path) -> None:
    inputs = load(results)
    drawn = figures.binding_figure(inputs.tables["binding"], inputs.tables["comparison"])
    for axes, definition in zip(drawn.axes, ("relaxed", "frozen_ligands", "frozen_shell"), strict=True):
        rungs = [line.get_ydata()[0] for line in axes.lines if line.get_gid() == "rung"]
        rows = inputs.tables["binding"].query("definition == @definition")["energy_eV"].dropna()
        assert sorted(value for value in rungs if np.isfinite(value)) == pytest.approx(sorted(rows))
        marks = [line.get_ydata().tolist() for line in axes.lines if line.get_gid() == "published"]
        assert marks == ([[-3.61, -4.29]] if definition == "relaxed" else [])


def test_verdict_is_computed_from_the_tables(results: Path) -> None:
    first, *rest = verdict(load(results))
    assert first.startswith("At pbe-d4/def2-svp, Li+(EC)4 is preferred to Li+(EC)3(TDA) by 0.15 eV: EC replaces TDA")
    assert "the OPPOSITE order" in rest[0]
    assert "Other levels: no difference at gfn2." in rest[0]
    assert any("3.84 ± 0.12 EC carbonyl O at 1.95 Å" in text for text in rest)
    assert not any("total" in text for text in rest)
    (shells,) = (text for text in rest if text.startswith("Shells in EC313, "))
    assert "The most common shell is 4 EC: 0.85 ± 0.05, before 3 EC: 0.15 ± 0.05." in shells
    assert "It is the shell of the cluster Li_EC4." in shells
    assert rest[-1] == "Published: 3 energies (3 not reproduced); 2 other numbers (1 reproduced, 1 not computed here)."
    change(results / "comparison.csv", lambda row: row | {"value": "-0.31"} if row["value"] == "0.1518" else row)
    turned = " ".join(verdict(load(results))[:2])
    assert "Li+(EC)3(TDA) is preferred to Li+(EC)4 by 0.31 eV: TDA replaces EC" in turned
    assert "the same order" in turned


@pytest.mark.parametrize(
    ("stderr", "words"),
    [
        ("0.0712", "Independent searches differ by ± 0.07 eV."),
        ("0.0912", "Independent searches differ by ± 0.09 eV, which leaves the sign open."),
        ("0.0004", "Independent searches found the same structures."),
        ("", "computed here +0.15 eV: the OPPOSITE order. Other levels"),
    ],
)
def test_the_answer_says_what_the_searches_err_by(results: Path, stderr: str, words: str) -> None:
    change(results / "comparison.csv", lambda row: row | {"stderr": stderr} if row["value"] == "0.1518" else row)
    assert words in verdict(load(results))[1]


def test_no_energy_is_printed_beyond_a_thousandth() -> None:
    assert re.sub(r"<[^>]*>", "", numbers.with_error(-2.3456, 0.00012, "eV")) == "\N{MINUS SIGN}2.346 ± &lt;0.001"
    assert re.sub(r"<[^>]*>", "", numbers.with_error(-2.3456, 0.0, "eV")) == "\N{MINUS SIGN}2.35 ± &lt;0.01"
    assert re.sub(r"<[^>]*>", "", numbers.with_error(-2.3456, 0.0071, "eV")) == "\N{MINUS SIGN}2.346 ± 0.007"
    assert re.sub(r"<[^>]*>", "", numbers.with_error(-2.3456, 0.12, "eV")) == "\N{MINUS SIGN}2.35 ± 0.12"


def test_contacts_are_the_donors_of_the_first_shell() -> None:
    shell = lithium_shell([EC] * 4, seed=1)
    found = viewer.contacts(shell)
    assert [distance for _, _, distance in found] == pytest.approx([1.95] * 4, abs=1e-6)
    assert {shell.symbols[donor] for _, donor, _ in found} == {"O"}
    assert sorted(shell.arrays["fragment"][donor] for _, donor, _ in found) == [1, 2, 3, 4]
    assert len(viewer.bonds(shell)) == 4 * 10  # a ring of five, C=O, four C-H


@pytest.mark.parametrize(
    ("value", "stderr", "shown"),
    [
        (-6.0319, None, "−6.03"), (3.8421, 0.1177, "3.84"), (3.8421, 0.51, "3.8"), (12.7, 3.2, "13"),
        (1.9542, 0.0126, "1.954"), (-0.0004, None, "0.00"), (float("nan"), None, "–"), (2.0, 0.0, "2.00"),
    ],
)  # fmt: skip
def test_numbers_have_the_decimals_their_error_allows(value: float, stderr: float | None, shown: str) -> None:
    assert numbers.plain(value, numbers.decimals(stderr)) == shown


def test_reasons_are_counted_by_kind() -> None:
    kinds = {sections.kind_of_reason(f"bond C{n}-O{n + 1} broke ({n / 3:.2f} Å)") for n in range(3, 9)}
    assert kinds == {"bond C-O broke"}


def test_a_folder_without_results_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="no such folder"):
        write_report(tmp_path / "nothing", tmp_path / "page.html")
    with pytest.raises(ResultsError, match="run the study first"):
        write_report(tmp_path, tmp_path / "page.html")
    (tmp_path / "rdf.csv").write_text("trajectory,center,donor,r_A,g,n\na,Li,O,1.0,x,0\n")
    with pytest.raises(ResultsError, match="line 2, g: 'x' is not a number"):
        write_report(tmp_path, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_the_same_folder_gives_the_same_page(results: Path, tmp_path: Path) -> None:
    first, second = (write_report(results, tmp_path / name).read_bytes() for name in ("a.html", "b.html"))
    assert first == second


class Cells(HTMLParser):
    """Exact numbers of every table cell, by the cell's class."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, list[float]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in {"td", "th"}:
            self.found.append((given.get("class") or "", []))
        if tag == "data":
            self.found[-1][1].append(float(given["value"] or "nan"))

    @classmethod
    def of(cls, page: str) -> list[tuple[str, list[float]]]:
        parser = cls()
        parser.feed(re.sub(r"<script.*?</script>", "", page, flags=re.S))
        return parser.found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with its page; never changed."""
    folder = make_results(tmp_path_factory.mktemp("results") / "demo")
    write_report(folder)
    return folder


@pytest.fixture
def page(made: Path) -> str:
    return (made / "report.html").read_text(encoding="utf-8")


@pytest.fixture
def results(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(made, tmp_path / "demo", ignore=shutil.ignore_patterns("figures", "report.html")))


def change(path: Path, edit: Callable[[dict[str, str]], dict[str, str]]) -> None:
    with path.open(newline="") as stream:
        rows = [edit(row) for row in csv.DictReader(stream)]
    table(path, " ".join(rows[0]), [tuple(row.values()) for row in rows])


def table(path: Path, columns: str, rows: Iterable[tuple[Any, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows([columns.split(), *rows])


def lithium_shell(smiles: list[str], *, seed: int, distance_A: float = 1.95) -> Atoms:
    """Li in the middle of ligands that each point one donor at it."""
    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)
    generator = np.random.default_rng(seed)
    whole, fragment = Atoms("Li", positions=[[0, 0, 0]]), [0]
    for number, text in enumerate(smiles):
        molecule = Chem.AddHs(Chem.MolFromSmiles(text))
        AllChem.EmbedMolecule(molecule, randomSeed=seed + number)
        ligand = Atoms([a.GetSymbol() for a in molecule.GetAtoms()], molecule.GetConformer().GetPositions())
        donor = 0 if text == EC else 1
        ligand.positions -= ligand.positions[donor]
        ligand.rotate(ligand.positions[1] if text == EC else -ligand.positions[[0, 2, 3]].sum(axis=0), corners[number])
        ligand.rotate(float(generator.uniform(0, 360)), corners[number])
        ligand.positions += corners[number] * distance_A
        whole += ligand
        fragment += [number + 1] * len(ligand)
    whole.set_array("fragment", np.array(fragment))
    return whole


def make_results(folder: Path) -> Path:
    """A small finished study: four clusters (one without results, one failed), one trajectory."""
    shells = {"Li_EC4": [EC] * 4, "Li_EC3_TDA": [EC] * 3 + [TDA]}
    binding, ensemble, rejected = [], [], []
    for cluster, smiles in shells.items():
        target = folder / "clusters" / cluster
        target.mkdir(parents=True)
        frames = []
        for place in range(5):
            frame = lithium_shell(smiles, seed=10 + place)
            label = " ".join("EC:1" if item == EC else "TDA:1" for item in smiles)
            relative = (0.0, 0.08, 0.21, 0.34, 0.61)[place]
            relaxed = (0.56, 0.0, 0.12, 0.4, 0.3)[place]
            frame.info.update(
                structure=f"s{place + 1:02d}", denticity=label, rank_eV=-900 + relative, geometry_eV=-800 + relaxed
            )
            frames.append(frame)
            for role, level, energy in (("geometry", "gfn1", relaxed), ("rank", PBE, relative)):
                share = float(np.exp(-energy / 0.0257))
                name = f"s{place + 1:02d}"
                ensemble.append((cluster, name, label, level, role, "gfn1", energy - 900, energy, share, 0.021, ""))
        write(target / "ensemble.extxyz", frames, format="extxyz")
        rejected += [
            (cluster, f"start-{n}", "check", reason(n), "gfn1", 0.1 * n)
            for n in range(1, 13)
        ]  # fmt: skip
        name = {"Li_EC4": "Li+(EC)4", "Li_EC3_TDA": "Li+(EC)3(TDA)"}[cluster]
        composition = {"Li_EC4": "Li+:1 EC:4", "Li_EC3_TDA": "Li+:1 EC:3 TDA:1"}[cluster]
        for row in [row for row in COMPARISON if row[0] == cluster]:
            for definition, shift in (("relaxed", 0.0), ("frozen_ligands", -0.41), ("frozen_shell", -1.13)):
                energy = row[3] + shift
                binding.append(
                    (cluster, name, composition, row[2], definition, energy, "gfn1", "s01", 150, 5, "ok", "")
                )
    for definition in ("relaxed", "frozen_ligands", "frozen_shell"):
        head, tail = ("Li_TDA", "Li+(TDA)", "Li+:1 TDA:1"), ("gfn1", "s01", 150, 3)
        binding.append((*head, "gfn2", definition, -4.51, *tail, "ok", ""))
        binding.append((*head, PBE, definition, "", *tail, "failed", "SCF did not converge"))
    table(
        folder / "binding.csv",
        "cluster label composition level definition energy_eV geometry_level structure n_starts n_kept status note",
        binding,
    )
    table(
        folder / "ensemble.csv",
        "cluster structure denticity level role geometry_level energy_eV relative_energy_eV population fmax_eV_A note",
        ensemble,
    )
    table(folder / "rejected.csv", "cluster start stage reason level relative_energy_eV", rejected)
    table(folder / "comparison.csv", COMPARISON_COLUMNS, COMPARISON)
    liquid(folder)
    study = {
        "name": "demo", "description": "Does the amine hold Li+ more strongly than the carbonyl?", "seed": 2023,
        "clusters": {"Li_EC4": {}, "Li_EC3_TDA": {}, "Li_TDA": {}, "Li_lost": {}}, "trajectories": {"EC313": {}},
        "levels": {"geometry": "gfn1", "rank": "pbe-d4/def2-svp", "energy": ["pbe-d4/def2-svp", "gfn2"]},
    }  # fmt: skip
    steps = [
        {"step": "clusters", "subject": name, "wall_s": 612.4, "cpu_s": 1190.0, "seed": 2023} for name in shells
    ] + [{"step": "energies", "subject": "Li_EC4", "wall_s": 3912.0, "cpu_s": 7720.5, "seed": None}]
    made = {"study": study, "versions": {"solvation": "0.1.0", "pyscf": "2.14.0"}, "steps": steps, "inputs_sha256": {}}
    (folder / "provenance.json").write_text(json.dumps(made))
    return folder


def reason(n: int) -> str:
    return f"bond C{n}-O{n + 1} broke (1.{n} Å)" if n % 3 else "EC 2 is outside the first shell"


def liquid(folder: Path) -> None:
    r = np.arange(0.025, 6, 0.05)
    rows = []
    for donor, peak, height in (("EC carbonyl O", 1.95, 22.0), ("EC ring O", 3.9, 2.6)):
        g = height * np.exp(-(((r - peak) / 0.13) ** 2)) + 1 / (1 + np.exp(-(r - 4.6) / 0.3))
        n = np.cumsum(g * r**2) * 0.05 * 4 * np.pi * 0.0045
        columns = (r, g, n, 0.06 * g + 0.02, 0.05 * n)
        rows += [("EC313", "Li+", donor, *values) for values in np.round(np.transpose(columns), 5).tolist()]
    table(folder / "rdf.csv", "trajectory center donor r_A g n g_stderr n_stderr", rows)
    doubt = "4 blocks are too few: run at least 8 ps more before quoting the third figure"
    table(
        folder / "coordination.csv",
        "trajectory donor counted cutoff_A cn cn_stderr n_frames peak_A statistical_inefficiency verdict",
        [("EC313", "EC carbonyl O", "atom", 2.7, 3.8421, 0.1177, 150, 1.9542, 12.4, doubt),
         ("EC313", "EC carbonyl O", "molecule", 2.7, 3.8421, 0.1177, 150, 1.9542, 12.4, doubt),
         ("EC313", "EC ring O", "atom", 2.7, 0.0213, 0.0104, 150, 3.91, 3.1, "enough"),
         ("EC313", "total", "atom", 2.7, 3.8634, 0.1182, 150, "", 12.1, doubt)],
    )  # fmt: skip
    table(
        folder / "speciation.csv",
        "trajectory grouped shell population population_stderr n_frames statistical_inefficiency cutoffs_A",
        [("EC313", "shell", "4 EC(1)", 0.85, 0.05, 150, 12.4, "EC carbonyl O 2.700"),
         ("EC313", "shell", "3 EC(1)", 0.15, 0.05, 150, 12.4, "EC carbonyl O 2.700")],
    )  # fmt: skip
    table(
        folder / "residence.csv",
        "trajectory donor counted measure tolerance_ps cutoff_A residence_ps residence_stderr_ps longer_than_ps "
        "survived contacts departures verdict",
        [("EC313", "EC carbonyl O", "molecule", "continuous", 0, 2.7, 3.17, 0.62, "", 0.01, 40, 36, "")],
    )
    table(
        folder / "transitions.csv",
        "trajectory window_ps leaves enters events entered_first probability probability_stderr reverse_events "
        "asymmetry asymmetry_stderr",
        [("EC313", 2, "EC carbonyl O", "EC carbonyl O", 36, 9, 1, 0, 36, "", "")],
    )


def test_a_study_without_trajectories_misses_none_of_their_tables(results, tmp_path):
    """Nor has it empty sections of them; one that declares them does."""
    told = json.loads((results / "provenance.json").read_text())
    told["study"]["trajectories"] = {}
    (results / "provenance.json").write_text(json.dumps(told))
    for name in ("rdf", "coordination", "speciation", "residence", "transitions"):
        (results / f"{name}.csv").unlink(missing_ok=True)
    assert not [one for one in load(results).problems if "rdf" in one or "coordination" in one or "residence" in one]
    write_report(results)
    page = (results / "report.html").read_text()
    assert "Structure of the liquid" not in page
    told["study"]["trajectories"] = {"EC": {}}
    (results / "provenance.json").write_text(json.dumps(told))
    assert "rdf.csv is missing" in load(results).problems
    write_report(results)
    assert "Structure of the liquid" in (results / "report.html").read_text()
