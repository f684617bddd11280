"""What a site says by `--config` or in a profile: what every step reads first, and the limits of its queue."""

import re

import pytest

pytestmark = pytest.mark.workflow
#: A potential that no step finds by itself.
STUDY = """
name: s
species: {Li+: , W: {smiles: O}}
clusters: {Li_W: {composition: {Li+: 1, W: 1}}}
levels: {search: ["ase:elsewhere.flat"], rank: null, energy: ["ase:elsewhere.flat"]}
"""
ELSEWHERE = """
from ase.calculators.lj import LennardJones


def flat(charge=0):
    return LennardJones()
"""
TARGET = "results/s/ligands/W.extxyz"


@pytest.fixture
def folder(workflow, tmp_path):
    (tmp_path / "work").mkdir()
    made = workflow(tmp_path / "work", STUDY)
    site = tmp_path / "my site"
    site.mkdir()
    (site / "elsewhere.py").write_text(ELSEWHERE)
    # Variables that are not set, and a command that fails: scripts of modules are full of them.
    (site / "setup.sh").write_text(f'export PYTHONPATH="{site}:$NOT_SET_ANYWHERE"\nfalse\n')
    return made


def test_steps_read_it_before_they_begin(folder, run):
    without = run(folder, "snakemake", "--cores", "1", TARGET, "--config", "study=s.yaml")
    assert "elsewhere" in without.stderr + without.stdout
    assert not (folder / TARGET).exists()
    ran = run(folder, "snakemake", "--cores", "1", TARGET, "--config", "study=s.yaml", "setup=../my site/setup.sh")
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert (folder / TARGET).is_file()


def test_a_profile_may_name_it(folder, run):
    profile = folder / "workflow/profiles/default/config.yaml"
    profile.write_text(profile.read_text() + 'config: ["setup=../my site/setup.sh", "study=s.yaml"]\n')
    ran = run(folder, "snakemake", "--cores", "1", TARGET, "--workflow-profile", "workflow/profiles/default")
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert (folder / TARGET).is_file()


def test_no_job_asks_for_more_than_the_cluster_grants(folder, run):
    words = ("snakemake", "-n", "--cores", "1", TARGET, "--config", "study=s.yaml")
    (folder / "s.yaml").write_text(STUDY.replace("ase:elsewhere.flat", "ccsd(t)/def2-tzvp"))
    asked = run(folder, *words).stdout
    assert int(re.search(r"mem_mb=(\d+)", asked)[1]) > 1500
    granted = run(folder, *words, "most_mem_mb=1234", "most_minutes=11").stdout
    assert "mem_mb=1234" in granted
    assert "runtime=11" in granted
    refused = run(folder, *words, "most_minutes=two")
    assert "--config most_minutes=two: must be a whole number above 0" in refused.stdout + refused.stderr


def test_one_that_is_not_there_is_refused_before_anything_runs(folder, run):
    ran = run(folder, "snakemake", "--cores", "1", TARGET, "--config", "study=s.yaml", "setup=no.sh")
    assert ran.returncode != 0
    assert "--config setup=no.sh: no such file; name one that loads modules or exports paths" in ran.stderr
