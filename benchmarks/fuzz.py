"""Feed the readers of files with what a coverage-guided fuzzer thinks of, until one does anything but read or refuse.

    pip install atheris
    python benchmarks/fuzz.py study --seconds 300        # or: complex, xyz, sdf, cif, table, record, archive

Inputs begin as the files of this repository. What is looked for: an exception that is no `SolvationError`, a crash of
a library, more than ten seconds for one input, more than 4 GB of memory. The input that did it is written to a file,
which is named, and the exit code is not 0. `tests/corpus/test_fuzz.py` does the same by hypothesis, with the tests.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import atheris

ROOT = Path(__file__).parents[1]
with atheris.instrument_imports(include=["solvation", "yaml", "ase.io"]):
    from ase.io import cif, extxyz, sdf, xyz  # noqa: F401

    from solvation.archive import unpacking
    from solvation.clusters.given_complex import read_complex
    from solvation.errors import SolvationError
    from solvation.molecule_files import molecule_of_file
    from solvation.provenance import read_result
    from solvation.study import load_study
    from solvation.study.targets import targets
    from solvation.tables.energies import BindingRow
    from solvation.tidy import read_rows, write_rows


def study(path: Path) -> None:
    """A study file, and the plan of one that is accepted."""
    for target in targets(load_study(path)):
        assert all(".." not in Path(file).parts for file in target.files)


def molecule(path: Path) -> None:
    """A molecule of a study."""
    molecule_of_file("species.OWN", path, None)


#: What is read, the suffix of the file, and where inputs begin.
SUBJECTS: dict[str, tuple[Callable[[Path], object], str, Callable[[], list[bytes]]]] = {
    "study": (study, ".yaml", lambda: [path.read_bytes() for path in ROOT.glob("config/*.yaml")]),
    "complex": (read_complex, ".xyz", lambda: [_written("xyz")]),
    "xyz": (molecule, ".xyz", lambda: [_written("xyz"), _written("extxyz")]),
    "sdf": (molecule, ".sdf", lambda: [_written("sdf")]),
    "cif": (molecule, ".cif", lambda: [_written("cif")]),
    "table": (lambda path: read_rows(path, BindingRow), ".csv", lambda: [_table()]),
    "record": (read_result, ".json", lambda: [json.dumps({"step": "x", "card": {}, "result": {"a": 1}}).encode()]),
    "archive": (unpacking.check, ".zip", lambda: [_archive()]),
}


def _written(kind: str) -> bytes:
    """Water with Li+, as ASE writes it."""
    from ase import Atoms
    from ase.io import write

    atoms = Atoms("LiOH2", [[0, 0, 2.0], [0, 0, 0.119], [0, 0.763, -0.477], [0, -0.763, -0.477]])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{kind}"
        if kind == "sdf":
            from rdkit import Chem

            path.write_text(Chem.MolToMolBlock(Chem.AddHs(Chem.MolFromSmiles("O"))) + "$$$$\n")
        else:
            write(path, atoms[1:] if kind == "cif" else atoms, format=kind)
        return path.read_bytes()


def _table() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "binding.csv"
        values = {"str": "a", "float": -1.5, "int": 3, "int | None": 3}
        fields = BindingRow.__dataclass_fields__.values()
        write_rows(path, BindingRow, [BindingRow(*(values[str(field.type)] for field in fields))])
        return path.read_bytes()


def _archive() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in (unpacking.METADATA, unpacking.MANIFEST, "study.yaml", "results/s/provenance.json"):
            archive.writestr(name, "{}")
    return stream.getvalue()


def main() -> None:
    """Fuzz one reader; libFuzzer ends the process."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("subject", choices=SUBJECTS)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--input", type=Path, help="One file that was found: give it to the reader, and no more.")
    asked = parser.parse_args()
    read, suffix, seeds = SUBJECTS[asked.subject]
    if asked.input is not None:
        read(asked.input)
        return
    folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{asked.subject}-"))
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, data in enumerate(seeds()):
        (corpus / f"seed{number}").write_bytes(data)
    place = folder / f"input{suffix}"
    os.chdir(folder)

    def once(data: bytes) -> None:
        place.write_bytes(data)
        # What is refused is what should be; libraries may grumble meanwhile.
        with contextlib.suppress(SolvationError), contextlib.redirect_stderr(io.StringIO()):
            read(place)

    print(f"{asked.subject}: in {folder}", flush=True)
    limits = (f"-max_total_time={asked.seconds}", f"-seed={asked.seed}", "-timeout=10", "-rss_limit_mb=4096")
    atheris.Setup([sys.argv[0], *limits, "-max_len=20000", "-print_final_stats=1", str(corpus)], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
