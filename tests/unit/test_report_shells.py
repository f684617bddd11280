"""The shells of the liquid on the page: what constructed tables say, and nothing beyond it."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterable
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import chi2

from solvation.report import write_report
from solvation.report.inputs import load
from solvation.report.shells import LiquidShells, composition_label, composition_of, liquid_shells
from solvation.report.verdict import verdict

ENDS = "O 2.700; N 2.800"
SHELLS = [
    ("mix", "shell", "4 AAA(1)", 0.5, 0.04, 1000, 10.0, ENDS, ""),
    ("mix", "shell", "3 AAA(1) + 1 AAA(2)", 0.2, 0.03, 1000, 12.0, ENDS, ""),
    ("mix", "shell", "3 AAA(1) + 1 BBB(2)", 0.3, 0.02, 1000, 40.0, ENDS, ""),
]
STAYS = [
    ("mix", "O", "molecule", "continuous", 0, 2.7, 3.17, 0.62, "", 0.01, 40, 36, ""),
    ("mix", "O", "molecule", "intermittent", 2, 2.7, "", "", 33.3, 1, 4, 0, "no exchange in 25 ps"),
    ("mix", "N", "molecule", "continuous", 0, 2.8, 80.0, 30.0, "", 0.73, 9, 5, "73 % outlive the longest lag"),
]
HOPS = [
    ("mix", 2, "O", "O", 10, 4, 0.25, 0.07, 10, "", ""),
    ("mix", 2, "O", "N", 30, 4, 0.75, 0.07, 6, 24 / 36, 1 / 6),
    ("mix", 2, "N", "O", 6, 1, 1.0, 0.0, 30, -24 / 36, 1 / 6),
    ("mix", 2, "nothing", "N", 4, 0, "", "", 5, -1 / 9, 1 / 3),
    ("mix", 2, "N", "nothing", 5, 0, "", "", 4, 1 / 9, 1 / 3),
]


def test_populations_are_summed_over_the_ways_of_binding(results: Path) -> None:
    found = {shell.composition: shell for shell in only(results).shells}
    assert list(found) == ["4 AAA", "3 AAA + 1 BBB", "5 AAA"]
    assert found["4 AAA"].population == pytest.approx(0.7)
    # Its two parts may move together, but all that is not in it is one row, whose error it shares.
    assert (found["4 AAA"].stderr, found["4 AAA"].at_most) == (0.02, False)
    assert (found["3 AAA + 1 BBB"].stderr, found["3 AAA + 1 BBB"].at_most) == (0.02, False)


def test_the_error_of_a_sum_is_a_bound_where_the_rest_is_one_as_well(results: Path) -> None:
    rows = [*SHELLS[:2], ("mix", "shell", "3 AAA(1) + 1 BBB(2)", 0.2, 0.02, 1000, 40.0, ENDS, ""),
            ("mix", "shell", "3 AAA(1)", 0.1, 0.01, 1000, 9.0, ENDS, "")]  # fmt: skip
    table(results, "speciation", rows)
    shell = only(results).shells[0]
    assert (shell.stderr, shell.at_most) == (pytest.approx(0.03), True)
    assert "0.70 ± at most 0.03" in text_of(results)


def test_the_most_common_shell_and_those_of_the_clusters_are_named(results: Path) -> None:
    text = text_of(results)
    assert "The most common shell is 4 AAA: 0.70 ± 0.02, before 3 AAA + 1 BBB: 0.30 ± 0.02." in text
    assert "It is the shell of the cluster plain." in text
    assert "3 AAA + 1 BBB (cluster swapped) occurs: 0.30 ± 0.02." in text
    assert "NOT seen in 1000 frames (25 ps): 5 AAA (cluster crowded)." in text
    # Its ligand is not in this trajectory, so that its absence says nothing.
    assert "foreign" not in text
    assert "that 5 AAA was not seen does not tell how rare it is" in text


def test_a_shell_whose_ligands_never_left_is_not_known_whatever_its_error_says(results: Path) -> None:
    assert only(results).unmoved == ()
    text = text_of(results)
    assert "never left" not in text
    assert "known to better than half of its population (25 independent views of the slowest shell)" in text
    table(results, "speciation", [(*row[:-1], "AAA; BBB") for row in SHELLS])
    assert only(results).unmoved == ("AAA", "BBB")
    words = "AAA and BBB never left in 1000 frames (25 ps): how common shells with more or less of them are is not"
    assert words in text_of(results)


@pytest.mark.parametrize(
    ("most_common", "unmoved", "words"),
    [
        ("4 AAA(1)", "", "and agree on"),
        ("4 AAA(1)", "BBB", "have the same most common shell, 4 AAA; but BBB never left in any of them: each kept"),
        ("3 AAA(1) + 1 BBB(2)", "BBB", "do NOT agree on"),
    ],
)
@pytest.mark.parametrize("other", [{"temperature_K": 353.0}, {"charge_scale": 0.8}, {"mixing": "geometric"}])
def test_runs_of_one_liquid_from_two_starts_are_compared(
    results: Path, most_common: str, unmoved: str, words: str, other: dict[str, object]
) -> None:
    record = json.loads((results / "provenance.json").read_text())
    own = {"composition": {"Li+": 1, "AAA": 9, "BBB": 1}, "temperature_K": 313.0}
    record["study"]["trajectories"] = {"mix": own, "drawn": own, "other": {**own, **other}}
    (results / "provenance.json").write_text(json.dumps(record))
    rows = [(name, "shell", shell, 1.0, 0.001, 1000, 1.0, ENDS, still) for name, shell, still in
            (("mix", "4 AAA(1)", "BBB"), ("drawn", most_common, unmoved), ("other", "5 AAA(1)", "BBB"))]  # fmt: skip
    table(results, "speciation", rows)
    told = [one for one in verdict(load(results)) if "from different starts" in one]
    assert len(told) == 1
    assert told[0].startswith("mix and drawn are one liquid")
    assert words in told[0]


def test_two_shells_within_their_errors_are_not_ordered(results: Path) -> None:
    rows = [("mix", "shell", "4 AAA(1)", 0.55, 0.03, 1000, 10.0, ENDS, ""),
            ("mix", "shell", "3 AAA(1) + 1 BBB(1)", 0.45, 0.03, 1000, 10.0, ENDS, "")]  # fmt: skip
    table(results, "speciation", rows)
    assert "is 4 AAA: 0.55 ± 0.03, not told apart from 3 AAA + 1 BBB" in text_of(results)


def test_a_shell_that_never_changed_has_no_error(results: Path) -> None:
    table(
        results,
        "speciation",
        [(*SHELLS[0][:3], 0.6, 0.04, *SHELLS[0][5:]), (*SHELLS[1][:3], 0.4, 0.04, *SHELLS[1][5:])],
    )
    shell = only(results).shells[0]
    assert shell.population == 1
    assert math.isnan(shell.stderr)
    text = text_of(results)
    assert "4 AAA: 1.00 (no error known). No other composition was seen." in text
    assert "how common any shell but 4 AAA is: it never changed; that 5 AAA and 3 AAA + 1 BBB were not seen" in text


def test_a_lower_bound_is_printed_as_one(results: Path) -> None:
    liquid = only(results)
    measured, closed = (liquid.stays["O", "molecule"][measure] for measure in ("continuous", "intermittent"))
    assert (measured.value_ps, measured.stderr_ps) == (3.17, 0.62)
    assert math.isnan(measured.bound_ps)
    assert closed.bound_ps == 33.3
    text = text_of(results)
    assert "3.2 ± 0.6" in text
    assert "longer than 33.3" in text


def test_a_time_beyond_the_end_of_the_run_is_a_lower_bound(results: Path) -> None:
    """Five departures at a mean rate of 1/80 ps: with 95 % the rate is below that of Poisson's limit."""
    stay = only(results).stays["N", "molecule"]["continuous"]
    assert math.isnan(stay.value_ps)
    assert stay.extrapolated_ps == 80
    assert stay.bound_ps == pytest.approx(80 * 5 / (chi2.ppf(0.95, 12) / 2))
    assert stay.bound_ps == pytest.approx(80 * 5 / 10.51, rel=1e-3)
    text = text_of(results)
    assert "longer than 38.0 extrapolated 80.0" in text
    assert "80 ± 30" not in text
    assert "too short to say how long molecules stay through N (lower bounds only)" in text


def test_times_that_the_frames_do_not_tell_are_said_to_be_unknown(results: Path) -> None:
    rows = list(csv.DictReader((results / "residence.csv").open()))
    for row in rows:
        row |= {"residence_ps": "nan", "residence_stderr_ps": "nan", "extrapolated_ps": "nan", "bound_ps": "nan"}
    path = results / "residence.csv"
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(row for row in rows if int(row["departures"]))
    text = text_of(results)
    assert "How long molecules stay through O and N is not known: " in text
    assert "Every residence time" not in text


def test_asymmetry_has_the_sign_of_the_drift(results: Path) -> None:
    first, second = only(results).balances
    assert (first.one, first.other, first.there, first.back) == ("O", "N", 30, 6)
    assert first.asymmetry == pytest.approx(2 / 3)
    assert first.words == "more than 2 errors: the shells still drift from O to N"
    assert (second.one, second.other, second.words) == ("N", "nothing", "no drift beyond its error")
    table(results, "transitions", [(*row[:2], row[3], row[2], *row[4:]) for row in HOPS])
    assert "the shells still drift from N to O" in text_of(results)


def test_without_hops_there_is_no_matrix_but_a_sentence(results: Path) -> None:
    table(results, "transitions", [(*row[:4], 0, 0, "", "", 0, "", "") for row in HOPS])
    text = text_of(results)
    assert "No hop between O, N was counted." in text
    assert "too short to say who replaces whom" in text
    assert "leaves ↓ enters →" not in text


def test_without_a_table_of_shells_the_rest_is_still_shown(results: Path) -> None:
    (results / "speciation.csv").unlink()
    text = text_of(results)
    assert "No populations: speciation.csv has no shell of this trajectory." in text
    assert "3.2 ± 0.6" in text
    assert "its frames are too short to say how long molecules stay through N" in text


def test_names_of_molecules_and_donors_cannot_become_markup(results: Path) -> None:
    evil = "<b onclick=x>"
    for name in ("speciation", "residence", "transitions"):
        path = results / f"{name}.csv"
        path.write_text(path.read_text().replace("AAA", evil).replace(",O,", f",{evil},").replace("mix", f"mix{evil}"))
    page = write_report(results).read_text()
    assert evil not in page
    assert "&lt;b onclick=x&gt;" in page


@pytest.mark.parametrize(
    ("shell", "label"),
    [
        ("3 EC(1) + 1 TDA(2)", "3 EC + 1 TDA"), ("2 EC(1) + 2 EC(2)", "4 EC"), ("bare", "bare"),
        ("1 TDA(1) + 1 TDA(3) + 3 EC(1)", "3 EC + 2 TDA"), ("4 C3H4O3(1)", "4 C3H4O3"), ("1 B(OH)3(1)", "1 B(OH)3"),
    ],
)  # fmt: skip
def test_compositions_forget_the_denticity(shell: str, label: str) -> None:
    assert composition_label(composition_of(shell)) == label


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A trajectory of two kinds of molecules, and a study that computed four clusters."""
    folder = tmp_path / "demo"
    folder.mkdir()
    for name, rows in (("speciation", SHELLS), ("residence", STAYS), ("transitions", HOPS)):
        table(folder, name, rows)
    clusters = {"plain": "AAA:4", "swapped": "AAA:3 BBB:1", "crowded": "AAA:5", "foreign": "CCC:4"}
    with (folder / "binding.csv").open("w", newline="") as stream:
        head = ["cluster", "composition", "level", "definition", "energy_eV"]
        rows = [[name, f"Li+:1 {ligands}", "gfn1", "relaxed", -1] for name, ligands in clusters.items()]
        csv.writer(stream).writerows([head, *rows])
    settings = {"composition": {"Li+": 1, "AAA": 20, "BBB": 2}, "save_every_fs": 25.0}
    study = {"name": "demo", "clusters": {}, "trajectories": {"mix": settings}}
    (folder / "provenance.json").write_text(json.dumps({"study": study}))
    return folder


COLUMNS = {
    "speciation": "trajectory grouped shell population population_stderr n_frames statistical_inefficiency cutoffs_A "
    "unmoved",
    "residence": "trajectory donor counted measure tolerance_ps cutoff_A residence_ps residence_stderr_ps "
    "longer_than_ps survived contacts departures verdict",
    "transitions": "trajectory window_ps leaves enters events entered_first probability probability_stderr "
    "reverse_events asymmetry asymmetry_stderr",
}


def table(folder: Path, name: str, rows: Iterable[tuple[Any, ...]]) -> None:
    with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows([COLUMNS[name].split(), *rows])


def only(results: Path) -> LiquidShells:
    (found,) = liquid_shells(load(results))
    return found


def text_of(results: Path) -> str:
    """Words of the section as a reader sees them."""
    page = write_report(results).read_text(encoding="utf-8")
    section = page[page.index('<section id="shells">') : page.index('<section id="structures">')]
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", section)))
