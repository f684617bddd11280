"""Give the package every bad input of `tests/corpus`, and write what it answers: `docs/bad_inputs.md`.

    python benchmarks/bad_inputs.py > docs/bad_inputs.md

The tests assert exit code 2 and one line with the mend; here stands the whole line, beside what was given. Fails
without a page where a test fails.
"""

from __future__ import annotations

import html
import sys
from collections import defaultdict
from contextlib import redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
#: The tests of each kind, what they give, and how a row names it from the parameters of its test.
KINDS = {
    "test_a_call_that_cannot_be_answered_is_one_line": (
        "Calls",
        lambda file, words: (
            " ".join(("solvation", *words)).replace("{}", file[0] if file else "{}")
            + (f"  # {file[0]}: {file[1]}" if file else "")
        ),
    ),
    "test_a_mistake_in_a_study_is_one_line": ("Mistakes in a study file", lambda old, new: f"{old} → {new}"),
    "test_a_text_that_is_no_study_is_one_line": ("Texts that are no study", lambda text: text),
    "test_a_structure_that_is_no_molecule_is_one_line": (
        "Structures that are no molecule", lambda name, text: f"{name}: {text}",
    ),
    "test_a_file_that_is_no_force_field_is_one_line": ("LAMMPS data files", lambda old, new: f"{old} → {new}"),
    "test_a_convention_that_does_not_fit_is_one_line": (
        "Force fields that do not fit", lambda old, new: f"{old} → {new}",
    ),
    "test_results_that_are_damaged_are_one_line": (
        "Damaged results",
        lambda name, text, words: (
            " ".join(("solvation", *words)) + f"  # {name}: {'removed' if text is None else text}"
        ),
    ),
    "test_an_archive_that_cannot_be_used_is_one_line": (
        "Archives", lambda made, change, words: " ".join(("solvation reproduce bad.zip", *words)) + f"  # {made}",
    ),
}  # fmt: skip


class Answer(NamedTuple):
    """What one input was answered with."""

    given: str
    line: str
    seconds: float


class Answers:
    """Plug-in of pytest: the answers of each kind."""

    def __init__(self) -> None:
        self.of: dict[str, list[Answer]] = defaultdict(list)
        self._given: dict[str, tuple[str, str]] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            name, call = getattr(item, "originalname", ""), getattr(item, "callspec", None)
            if name in KINDS and call is not None:
                told = {key: value for key, value in call.params.items() if key != "message"}
                self._given[item.nodeid] = name, KINDS[name][1](**told)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed and report.nodeid in self._given:
            name, given = self._given[report.nodeid]
            self.of[name].append(Answer(given, str(dict(report.user_properties)["told"]), report.duration))


def main() -> int:
    answers = Answers()
    with redirect_stdout(sys.stderr):
        code = pytest.main([str(ROOT / "tests/corpus"), "-q"], plugins=[answers])
    if code:
        return int(code)
    if lost := [name for name in KINDS if not answers.of[name]]:
        sys.exit(f"no test is called {lost[0]} any more; mend KINDS")
    print(page(answers.of))
    return 0


def page(of: dict[str, list[Answer]]) -> str:
    everything = [answer for kind in of.values() for answer in kind]
    seconds = sorted(answer.seconds for answer in everything)
    half_s, slowest_s = f"{seconds[len(seconds) // 2]:.1g}", f"{seconds[-1]:.2g}"
    lines = [
        "# Bad inputs",
        "",
        f"""\
Made by `benchmarks/bad_inputs.py` from the tests in `tests/corpus`: {len(everything)} inputs that cannot be used, each
answered by one line and exit code 2. The tests assert both; here are the lines. By the clock, in one process, half of
them came within {half_s} s and the slowest after {slowest_s} s (ten more where numba compiles for the first time).
`tests/corpus/test_fuzz.py` makes up more: studies, texts, tables, structures and results, mutated at random.""",
    ]
    for name, (title, _) in KINDS.items():
        lines += ["", f"## {title}", "", f"{len(of[name])} inputs.", "", "| given | answer |", "|---|---|"]
        lines += [
            f"| {cell(answer.given, 110)} | {cell(answer.line.removeprefix('error: '), 400)} |" for answer in of[name]
        ]
    return "\n".join(lines)


def cell(text: str, longest: int) -> str:
    """Text as code in a cell: control characters written out, cut in the middle where it is long."""
    if len(text) > longest:
        text = f"{text[: longest - 30]} … {text[-20:]}"
    text = "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text.strip(" \n")
    )
    return f"<code>{html.escape(text).replace('|', '&#124;')}</code>"


if __name__ == "__main__":
    sys.exit(main())
