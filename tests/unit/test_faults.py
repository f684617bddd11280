"""A machine that fails: a full disk, results that cannot be written, a scratch folder that is gone, a clock that jumps.

Whatever stood there before stays whole, nothing half written is left, and the user is told in one line.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from solvation.engines import cache
from solvation.errors import ResultsError
from solvation.provenance import Stopwatch, write_atomically, write_json, write_text

MAIN = "from solvation.cli.app import main; main()"


@pytest.fixture
def disk(tmp_path) -> Iterator[Path]:
    """A disk of 64 kB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def verb(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", MAIN, *words], env=os.environ | environment, capture_output=True, text=True, check=False
    )


def test_a_full_disk_leaves_the_old_file_and_nothing_half_written(disk):
    write_text(disk / "table.csv", "whole\n")
    for write in (
        lambda: write_text(disk / "table.csv", "x" * 200_000),
        lambda: write_atomically(disk / "state.npz", lambda path: np.savez(path, numbers=np.ones(50_000))),
    ):
        with pytest.raises(ResultsError, match=r"cannot be written \(No space left on device\)"):
            write()
    assert (disk / "table.csv").read_text() == "whole\n"
    assert [path.name for path in disk.iterdir()] == ["table.csv"]


def test_results_that_are_read_only_are_named(disk, tmp_path):
    write_text(disk / "table.csv", "whole\n")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(ResultsError, match=r"table.csv: cannot be written \(Read-only file system\)"):
        write_text(disk / "table.csv", "other\n")
    told = verb("schema", "--output", str(disk / "schema.json"))
    assert told.returncode == 2
    assert told.stderr.count("\n") == 1
    assert "Read-only file system" in told.stderr
    assert (disk / "table.csv").read_text() == "whole\n"


def test_an_energy_that_cannot_be_kept_is_an_energy_all_the_same(disk, monkeypatch, capsys):
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    monkeypatch.setenv(cache.VARIABLE, str(disk / "cache"))
    found = cache.kept(
        Atoms("Li"), "pbe/def2-svp", lambda: "x 1", charge=1, multiplicity=1, compute=lambda: (-1.5, 9)
    )  # fmt: skip
    assert found == (-1.5, 9)
    assert "this is not kept" in capsys.readouterr().err


def test_a_scratch_folder_that_is_gone_is_named(tmp_path):
    script = (
        "import tempfile, sys\n"
        f"tempfile.tempdir = {str(tmp_path / 'gone')!r}\n"
        "from solvation.cli import app\n"
        "@app.app.command()\n"
        "def use() -> None:\n"
        "    tempfile.mkdtemp()\n"
        "app.main()\n"
    )
    told = subprocess.run([sys.executable, "-c", script, "use"], capture_output=True, text=True, check=False)
    assert told.returncode == 2
    assert told.stderr.count("\n") == 1
    assert "gone" in told.stderr
    assert "TMPDIR names the scratch folder" in told.stderr


def test_a_missing_file_that_is_a_bug_keeps_its_traceback():
    script = (
        "from solvation.cli import app\n@app.app.command()\ndef use() -> None:\n    open('/nowhere/x')\napp.main()\n"
    )
    told = subprocess.run([sys.executable, "-c", script, "use"], capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert "Traceback" in told.stderr


def test_a_clock_that_jumps_changes_no_times(monkeypatch):
    watch = Stopwatch()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert 0 <= watch.read()["wall_s"] < 60


def test_a_record_is_never_half_there(tmp_path):
    write_json(tmp_path / "a.json", {"a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"a": float("nan")})
    assert (tmp_path / "a.json").read_text() == '{\n "a": 1\n}\n'
