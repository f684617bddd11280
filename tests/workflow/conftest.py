"""A copy of the workflow in a folder of its own, and Snakemake in it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def workflow() -> Callable[[Path, str], Path]:
    """Put the workflow and a study `s.yaml` into a folder."""

    def make(folder: Path, study: str) -> Path:
        shutil.copy(ROOT / "Snakefile", folder)
        shutil.copytree(ROOT / "workflow", folder / "workflow")
        (folder / "s.yaml").write_text(study)
        return folder

    return make


@pytest.fixture(scope="session")
def run() -> Run:
    """Run a command of this Python's environment in a folder, whose modules it may import."""

    def command(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words, cwd=folder, env=surroundings(folder) | environment, capture_output=True, text=True, check=False
        )  # fmt: skip

    return command


@pytest.fixture(scope="session")
def surroundings_of() -> Callable[[Path], dict[str, str]]:
    return surroundings


def surroundings(folder: Path) -> dict[str, str]:
    """Environment of `run`: the commands of this Python, and the modules of the folder."""
    old = os.environ
    return {
        **old,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{old['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, [old.get("PYTHONPATH")])]),
    }
