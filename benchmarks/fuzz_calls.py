"""Call every verb with every option and argument replaced by words that are none, and look for tracebacks.

    python benchmarks/fuzz_calls.py                 all verbs, half an hour
    python benchmarks/fuzz_calls.py bind export     some of them

Each verb has a call that is right; one word of it at a time becomes a number that is none, an empty word, a place that
cannot be written to, a file of another kind. What begins to compute is stopped after four seconds and counts as
accepted. Prints what ended otherwise than with an answer or one line, and exits with 1 if anything did.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import traceback
from pathlib import Path

from solvation.cli import app

ROOT = Path(__file__).parents[1]
WORDS = (
    "magic", "", "-1", "0", "nan", "1e400", "99999999999999999999", "/nowhere/x/y", "..", "[1", "name Li", "a=b", "Li+",
    "É\n", "O=name O:x", "1 2 3", "t.xyz", "c.xyz", "s.yaml", "/dev/null",
)  # fmt: skip
IONS = ("--center", "name Li", "--donor", "O=name O")
#: Verbs that are not here take the study for every word they need.
RIGHT: dict[str, tuple[str, ...]] = {
    "bind": ("Li+", "O", "--starts", "2", "--relaxed", "1"),
    "rank": ("Li+", "O", "--starts", "2", "--relaxed", "1", "--level", "gfn2"),
    "analyze": ("t.xyz", *IONS),
    "angles": ("t.xyz", *IONS),
    "transport": ("t.xyz", "--species", "Li=name Li"),
    "scattering": ("t.xyz",),
    "vibrations": ("t.xyz",),
    "density-map": ("t.xyz",),
    "fit-pairs": ("Li+", "--donor", "EC", "--output", "x.json"),
    "vasp-md": ("s.yaml", "EC", "--output", "v"),
    "init": ("n.yaml",),
}
SHELL = "Li 0 0 0\nO 0 0 1.9\nO 0 0 -1.9\n"
FRAME = '3\nLattice="20 0 0 0 20 0 0 0 20" Properties=species:S:1:pos:R:3 pbc="T T T" time_ps={}\n' + SHELL
COMPLEX = "4\n\nLi 0 0 1.9\nO 0 0 0\nH 0 0.763 -0.596\nH 0 -0.763 -0.596\n"
LONGEST_S = 4


def calls(verb: str) -> list[list[str]]:
    """The right call of a verb with one word of it changed, and with every option added."""
    params = app.command().commands[verb].params
    needed = [param for param in params if param.required]
    right = list(RIGHT.get(verb, ()))
    if verb not in RIGHT:
        for param in needed:
            right += ["s.yaml"] if param.param_type_name == "argument" else [param.opts[0], "s.yaml"]
    options = [one.opts[0] for one in params if one.param_type_name == "option" and not getattr(one, "is_flag", False)]
    changed = [place for place, word in enumerate(right) if not word.startswith("--")]
    made = [[verb, *right, option, word] for option in options for word in WORDS]
    return made + [[verb, *right[:place], word, *right[place + 1 :]] for place in changed for word in WORDS]


def fault(words: list[str]) -> str | None:
    """What a call ends with that is neither an answer nor one line; None where it is."""
    end, start = os.pipe()
    process = os.fork()
    if process == 0:
        os.dup2(start, 1)
        os.dup2(start, 2)
        os.close(end)
        signal.alarm(LONGEST_S)
        sys.argv = ["solvation", *words]
        code = 99
        try:
            app.main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        os._exit(code)
    os.close(start)
    with open(end, errors="replace") as stream:
        told = stream.read()
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    if code in {0, 1, 2, -signal.SIGALRM} and "Traceback" not in told:
        return None
    return f"exit code {code}: {(told.strip().splitlines() or [''])[-1]}"


def main() -> int:
    study = (ROOT / "config/quick.yaml").read_text()
    count, found = 0, 0
    with tempfile.TemporaryDirectory(prefix="calls-") as scratch:
        os.chdir(scratch)
        for verb in sys.argv[1:] or list(app.command().commands):
            for words in calls(verb):
                # An accepted call may have written to them.
                Path("s.yaml").write_text(study)
                Path("t.xyz").write_text("".join(map(FRAME.format, range(6))))
                Path("c.xyz").write_text(COMPLEX)
                count += 1
                if told := fault(words):
                    found += 1
                    print(f"solvation {words}: {told}", flush=True)
        os.chdir(ROOT)
    print(f"{count} calls, {found} that ended otherwise than they should")
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
