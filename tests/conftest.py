"""One thread for every test, a study that looks finished, and the command without a new process."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

# Before any test module loads a threaded library; the command and the workflow set their own. Bits repeat on one
# thread only, and small systems gain nothing from two.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
# Numba's pool sets the number of threads of OpenMP for everybody in the process, tblite included.
os.environ["NUMBA_NUM_THREADS"] = "1"

WATER = "3\nwater\nO 0 0 0.119\nH 0 0.763 -0.477\nH 0 -0.763 -0.477\n"
SMALL = """# a comment that only the file has
name: small
seed: 7
species: {Li+: , W: {file: mine/water.xyz}}
clusters:
  Li_W2: {composition: {Li+: 1, W: 2}}
  Li_W: {composition: {Li+: 1, W: 1}}
levels: {search: gfn2, rank: null, energy: [gfn2]}
trajectories: {T: {composition: {Li+: 1, W: 5}, segments: 2}}
"""


@dataclass(frozen=True)
class Done:
    """What a call of the command left."""

    code: int
    out: str
    err: str

    def refused_by(self, message: str, start: str = "error: ") -> None:
        """Assert that one line with the message and exit code 2 were the answer."""
        assert self.code == 2, self
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith(start)
        assert message in self.err


@pytest.fixture
def solvation_in_process(capsys, monkeypatch, record_property) -> Callable[..., Done]:
    """The command `solvation`, as a function of its words."""
    from solvation.cli.app import main

    def call(*words: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["solvation", *map(str, words)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as stopped:
            code = stopped.code if isinstance(stopped.code, int) else 1
        told = capsys.readouterr()
        record_property("told", told.err)  # for benchmarks/bad_inputs.py
        return Done(code, told.out, told.err)

    return call


@pytest.fixture
def finished(finished_once, tmp_path, monkeypatch) -> Path:
    """Results folder of a small study that looks finished; the working directory is the one it was run in."""
    shutil.copytree(finished_once, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return Path("results/small")


@pytest.fixture(scope="session")
def finished_once(tmp_path_factory) -> Path:
    """Every file of every step of a small study, its energies invented."""
    from solvation.archive.checksums import checksums
    from solvation.archive.lineage import read_records
    from solvation.provenance import Stopwatch, record, versions, write_json, write_text
    from solvation.study import load_study
    from solvation.study.claim import claim
    from solvation.study.targets import targets
    from solvation.tables.energies import BindingRow
    from solvation.tidy import write_rows

    home, root = Path.cwd(), tmp_path_factory.mktemp("finished")
    os.chdir(root)
    write_text(Path("mine/water.xyz"), WATER)
    write_text(Path("small.yaml"), SMALL)
    study = load_study(Path("small.yaml"))
    claim(study, Path("small.yaml"))
    folder = study.folder
    members = [folder / "ligands" / f"{name}.extxyz" for name in ("Li+", "W")]
    for target in targets(study):
        for file in target.files:
            # Tables without rows; the others are not read.
            write_text(folder / file, "" if target.rule == "tables" else f"{target.rule} of {target.subject}\n")
        ensemble = folder / "clusters" / target.subject.split()[0] / "ensemble.extxyz"
        references = [folder / "energies" / "references" / name / "gfn2.json" for name in ("Li+", "W")]
        inputs = {
            "ligand": [Path("mine/water.xyz")] if target.subject == "W" else [],
            "cluster": members,
            "reference": [path for path in members if path.stem == target.subject.split()[0]],
            "binding": [ensemble, *references],
        }
        if target.record:
            card, watch = json.loads(target.card), Stopwatch()
            made = record(step=target.rule, card=card, inputs=inputs.get(target.rule, []), stopwatch=watch, seed=7)
            write_json(folder / target.record, {**made, "wall_s": 1.5, "cpu_s": 3.0, "result": {}})
    rows = [
        BindingRow(
            cluster=name, label=name, composition="Li+:1", level="gfn2", definition=definition, energy_eV=energy,
            stderr_eV=0.01, spread_eV=float("nan"), energy_per_ligand_eV=energy, deformation_eV=0.1,
            ligand_ligand_eV=0.0, deformations="W 0.10", geometry_level="gfn2", structure="s01",
            denticity="W:1", n_starts=3, n_kept=1, n_rejected=0, status="ok", note="",
        )
        for name, energy in (("Li_W2", -2.5), ("Li_W", -1.5))
        for definition in ("relaxed", "frozen_ligands")
    ]  # fmt: skip
    write_rows(folder / "binding.csv", BindingRow, rows)
    told = {"study": study.model_dump(mode="json"), "versions": versions(), "seed": 7, "steps": []}
    write_json(folder / "provenance.json", {**told, "files_sha256": checksums(study, read_records(folder))})
    os.chdir(home)
    return root
