"""What is asked of a queue grows with the job, and engines keep to what they are granted."""

import json
import os
from pathlib import Path

import psutil
import pytest

from solvation.engines.base import MEMORY_SHARE, granted, share_MB
from solvation.planning.costs import Past, Took, cost_s, count_atoms, memory_MB, need, read_past, work, write_took
from solvation.provenance import write_json
from solvation.study import Level, load_study
from solvation.study.cards import dynamics_card

STUDY = """
name: s
species: {Li+: , EC: , W: {smiles: O}}
clusters:
  small: {composition: {Li+: 1, W: 1}}
  large: {composition: {Li+: 1, EC: 4}}
levels: {rank: pbe-d4/def2-svp, energy: [gfn2, pbe-d4/def2-svp, pbe-d4/def2-tzvp], bonding: [pbe-d4/def2-svp]}
thermochemistry: {}
trajectories: {drop: {composition: {Li+: 1, W: 20}, segments: 2}}
"""


@pytest.fixture
def study(tmp_path):
    (tmp_path / "s.yaml").write_text(STUDY)
    return load_study(tmp_path / "s.yaml")


def test_hydrogens_count(study):
    assert count_atoms(study, {"Li+": 1, "EC": 4}) == 41
    assert count_atoms(study, {"W": 20}) == 60


def test_larger_clusters_and_dearer_levels_ask_for_more(study):
    cheap, dear, dearest = study.levels.energy
    for step in ("binding", "counterpoise"):
        small, large = (need(study, step, name, dear) for name in ("small", "large"))
        assert small.memory_MB < large.memory_MB
        assert small.minutes < large.minutes
        assert need(study, step, "large", cheap).memory_MB < large.memory_MB
        assert large.memory_MB < need(study, step, "large", dearest).memory_MB
    # 40 atoms at def2-SVP keep 1.2 GB of integrals beside Python (measured with `engines.integrals.size_MB`).
    assert 2500 < need(study, "binding", "large", dear).memory_MB < 5000


def test_a_composite_asks_for_the_memory_of_its_own_basis(study):
    """Li(EC)4+ has 607 functions in def2-mTZVPP, 854 in def2-TZVP and 425 in def2-SVP, counted by PySCF."""
    small, own, large = (
        memory_MB(Level.model_validate(text), 41) for text in ("pbe/def2-svp", "r2scan-3c", "pbe/def2-tzvp")
    )
    assert small < own < large / 2


def test_the_method_counts_as_much_as_the_basis():
    asked = ("pbe-d4/def2-svp", "pbe0-d4/def2-svp", "mp2/def2-tzvp", "ccsd(t)/def2-svp", "ccsd(t)/def2-tzvp")
    hours = {text: cost_s(Level.model_validate(text), 11) / 3600 for text in asked}
    assert hours["pbe0-d4/def2-svp"] == pytest.approx(2 * hours["pbe-d4/def2-svp"])
    # Li+ and EC: docs/engines.md has seconds for MP2 and hours for coupled cluster in this basis.
    assert hours["mp2/def2-tzvp"] < 0.02
    assert 2 < hours["ccsd(t)/def2-tzvp"] < 20
    assert hours["ccsd(t)/def2-svp"] < hours["ccsd(t)/def2-tzvp"] / 50


@pytest.mark.parametrize("step", ["ligand", "reference", "oxidation"])
def test_a_species_is_a_cluster_of_itself(study, step):
    level = study.levels.energy[0]
    assert need(study, step, "EC", level).minutes >= 10


@pytest.mark.parametrize("step", ["pack", "md", "join", "liquid"])
def test_trajectories_ask_too(study, step):
    asked = need(study, step, "drop")
    assert asked.memory_MB >= 1500
    assert asked.minutes >= 10


def test_past_runs_correct_the_estimate(study, tmp_path):
    from solvation.study.targets import targets

    study = study.model_copy(update={"results": tmp_path / "results"})
    cheap, dear, _ = study.levels.energy
    assert read_past(study.results).factor(work(study, "binding", "large", dear)) == 1.0
    for target in targets(study):
        if target.rule == "binding" and target.level in {cheap, dear}:
            slow = 3.0 if target.level == dear else 0.2
            took = slow * work(study, "binding", target.name, target.level).seconds
            write_json(
                study.folder / target.record, {"step": "binding", "card": json.loads(target.card), "cpu_s": took}
            )
    write_took(study)
    past = read_past(study.results)
    # What Python itself takes comes on top of what a step records.
    assert past.factor(work(study, "binding", "large", dear)) == pytest.approx(3.0, rel=0.05)
    assert past.seconds(work(study, "binding", "large", dear)) > work(study, "binding", "large", dear).seconds
    # A level that never ran errs as its verb did; another verb is not known.
    other = study.levels.energy[2]
    assert 1.0 < past.factor(work(study, "binding", "large", other)) < 3.0
    assert past.factor(work(study, "counterpoise", "large", dear)) == 1.0
    bare, learnt = need(study, "binding", "large", dear), need(study, "binding", "large", dear, past)
    assert learnt.minutes - 10 == pytest.approx(3 * (bare.minutes - 10), rel=0.1)
    assert learnt.memory_MB == bare.memory_MB


def test_past_runs_correct_the_memory_of_steps_no_larger(study, tmp_path):
    from solvation.study.targets import targets

    study = study.model_copy(update={"results": tmp_path / "results"})
    cheap, dear, third = study.levels.energy
    sizes = {name: count_atoms(study, study.clusters[name].composition) for name in study.clusters}
    small, large = min(sizes, key=sizes.get), max(sizes, key=sizes.get)
    bare = {(name, level): need(study, "binding", name, level).memory_MB for name in sizes for level in (cheap, dear)}
    taken = {(small, cheap): 0.6, (small, dear): 2.0}
    for target in targets(study):
        if target.rule == "binding" and (target.name, target.level) in taken:
            peak_MB = taken[target.name, target.level] * bare[target.name, target.level]
            made = {"step": "binding", "card": json.loads(target.card), "cpu_s": 1.0, "peak_MB": peak_MB}
            write_json(study.folder / target.record, made)
    write_took(study)
    past = read_past(study.results)

    def ratio(name, level):
        return need(study, "binding", name, level, past).memory_MB / bare[name, level]

    # A third above what was measured; what a small one did not need a large one may.
    assert ratio(small, cheap) == pytest.approx(1.3 * 0.6, rel=0.01)
    assert ratio(large, cheap) == 1.0
    assert ratio(small, dear) == pytest.approx(2.6, rel=0.01)
    assert ratio(large, dear) == pytest.approx(2.6, rel=0.01)
    assert past.memory_factor(work(study, "binding", small, third)) == 1.0


def test_packing_a_droplet_is_learnt_from_its_record(study, tmp_path):
    study = study.model_copy(update={"results": tmp_path / "results"})
    asked = work(study, "pack", "drop")
    made = {"step": "pack", "card": json.loads(dynamics_card(study, "drop").text()), "cpu_s": 3 * asked.seconds}
    write_json(study.folder / "trajectories/drop/packing.json", made)
    write_took(study)
    assert read_past(study.results).factor(asked) > 1.5


def test_a_step_found_in_the_cache_does_not_shorten_walltimes_for_ever(study):
    asked = work(study, "binding", "large", study.levels.energy[1])
    lucky = Past({asked.kind: Took(measured_s=1.0, estimated_s=1000.0)})
    minutes = [need(study, "binding", "large", study.levels.energy[1], past).minutes for past in (None, lucky)]
    assert minutes[1] >= 10 + (minutes[0] - 10) / 2 - 1


def test_other_settings_do_not_count(study, tmp_path):
    study = study.model_copy(update={"results": tmp_path / "results"})
    write_json(study.folder / "ligands/EC.json", {"step": "ligand", "card": {"name": "EC"}, "cpu_s": 1e6})
    write_took(study)
    assert read_past(study.results).took == {}


@pytest.mark.parametrize(
    "text",
    [
        "garbage", "", "[]", "[" * 9999, '{"ligand gfn1": {"measured_s": "much"}}', '{"ligand gfn1": 5}',
        *(
            '{"ligand gfn1": {"measured_s": 5, "estimated_s": 5, "memory_factor": 1, "largest_atoms": 5}}'.replace(*one)
            for one in [
                ('"largest_atoms": 5', '"largest_atoms": 1e999'), ('"largest_atoms": 5', '"largest_atoms": -1'),
                ('"memory_factor": 1', '"memory_factor": 1e9'), ('"memory_factor": 1', '"memory_factor": NaN'),
                ('"measured_s": 5', '"measured_s": 1e6'), ('"measured_s": 5', '"measured_s": -5'),
                ('"measured_s": 5', '"measured_s": Infinity'), ('"estimated_s": 5', '"estimated_s": -1e308'),
                ('"measured_s": 5', '"measured_s": 1' + "0" * 400), ("ligand gfn1", " "),
            ]
        ),
    ],
)  # fmt: skip
def test_hints_that_cannot_be_are_named_and_left_out(study, tmp_path, capsys, text):
    """Those of another study of the folder stop no study, and no walltime follows them."""
    study = study.model_copy(update={"results": tmp_path / "results"})
    good = {"ligand gfn1": {"measured_s": 6.0, "estimated_s": 3.0, "memory_factor": 0.5, "largest_atoms": 9}}
    write_json(study.results / "good" / "costs.json", good)
    (study.results / "bad").mkdir()
    (study.results / "bad" / "costs.json").write_text(text)
    assert read_past(study.results).took == {"ligand gfn1": Took(6.0, 3.0, 0.5, 9)}
    assert capsys.readouterr().err.startswith(f"{study.results / 'bad' / 'costs.json'} is not used")


@pytest.fixture
def alone(monkeypatch):
    for name in ("SLURM_CPUS_ON_NODE", "SLURM_MEM_PER_NODE", "SLURM_MEM_PER_CPU"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_engines_keep_to_the_memory_of_their_slurm_job(alone):
    alone.setenv("SLURM_CPUS_ON_NODE", "4")
    alone.setenv("SLURM_MEM_PER_NODE", "500")
    assert granted() == (500.0, 4)
    assert share_MB(2) == pytest.approx(MEMORY_SHARE * 250)
    assert share_MB(8) == pytest.approx(MEMORY_SHARE * 500)


def test_the_limit_of_a_control_group_counts_also_from_above(alone, tmp_path):
    own = tmp_path / "cgroup"
    for version, line, folder, name in (
        (2, "0::/job/step", "job", "memory.max"),
        (1, "9:memory:/job/step", "memory/job", "memory.limit_in_bytes"),
    ):
        root = tmp_path / str(version)
        (root / folder / "step").mkdir(parents=True)
        own.write_text(line + "\n")
        (root / folder / "step" / name).write_text("max\n")
        (root / folder / name).write_text("300000000\n")
        assert granted(root, own)[0] == pytest.approx(300)


def test_without_a_queue_it_is_the_machine(alone, tmp_path):
    whole, _ = granted(tmp_path, Path("/nonexistent"))
    assert whole == pytest.approx(psutil.virtual_memory().total / 1e6)
    alone.setenv("SLURM_CPUS_ON_NODE", "1")
    # Cores without memory say nothing: a single core must not take a node for its own.
    assert granted(tmp_path, Path("/nonexistent"))[1] == os.cpu_count()
