"""The command as a user meets it: one line and exit code 2 for what is wrong, numbers for what is right."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from solvation.provenance import versions

ROOT = Path(__file__).parents[2]
GOOD = """
species: {Li+: , W: {smiles: O}}
clusters:
  A: {composition: {Li+: 1, W: 2}}
levels: {rank: null, energy: [gfn2]}
"""


def solvation(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "solvation", *arguments], cwd=cwd, capture_output=True, text=True, check=False,
        env={**os.environ, **environment},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD.replace("smiles: O}", "smiles: 'O(O'}"), "species.W.smiles: 'O(O' is not a SMILES"),
        (GOOD.replace("W: 2", "X: 2"), "unknown species 'X'"),
        (GOOD.replace("W: {smiles: O}", "W: {smiles: O, charge: 1}"), "does not fit the formal charges"),
        (GOOD.replace("W: {smiles: O}", "W: {library: Ec}").replace("W: 2", "W: 2"), "did you mean 'EC'?"),
        (GOOD.replace("{Li+: 1, W: 2}", "{Li+: 2, W: 2}"), "exactly once"),
        (GOOD.replace("W: 2}", "W: 2}, denticity: {W: 5}"), "clusters.A.denticity.W: 5 donors asked for, W has 1"),
        (GOOD.replace("W: {smiles: O}", "W: {smiles: C}"), "no donor atom"),
        (GOOD.replace("[gfn2]", "[pbe/def2-nothing]"), "no basis set"),
        (GOOD.replace("[gfn2]", "['nosuch/def2-svp']"), "knows no functional"),
        (GOOD.replace("[gfn2]", "['cp2k:pbe/dzvp']"), "cp2k"),
        (GOOD.replace("[gfn2]", "[gfn2], bonding: [gfn2]"), "levels: bonding level 'gfn2'"),
        (GOOD.replace("[gfn2]", "[gfn2], bonding: ['nosuch/def2-svp']"), "levels.bonding: level 'nosuch/def2-svp'"),
        (GOOD.replace("[gfn2]", "[gfn2], oxidation: ['pbe/def2-nothing']"), "levels.oxidation"),
        (GOOD + "sampling: {starts: 0}\n", "sampling.starts"),
        (
            GOOD + "trajectories: {T: {topology: no.pdb, center: name LI, donors: {O: name O}}}\n",
            "no.pdb does not exist",
        ),
        ("- 1\n", "a study is a mapping"),
    ],
)
def test_check_finds_what_is_wrong_in_one_line(tmp_path, text, message):
    (tmp_path / "s.yaml").write_text(text)
    done = solvation("check", "s.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: s.yaml: ")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_check_names_a_program_that_is_missing(tmp_path):
    (tmp_path / "s.yaml").write_text(GOOD.replace("[gfn2]", "['xtb:gfn2']"))
    done = solvation("check", "s.yaml", cwd=tmp_path, PATH="/nowhere")
    assert done.returncode == 2
    assert "apt install xtb" in done.stderr


def test_check_estimates_the_cost_of_a_good_study():
    done = solvation("check", "config/quick.yaml", cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "min of CPU time" in done.stdout


def warned_of(study, folder):
    (folder / "s.yaml").write_text(study)
    done = solvation("check", "s.yaml", cwd=folder)
    return [line for line in done.stdout.splitlines() if line.startswith("warning:")]


def test_check_warns_of_anions_without_diffuse_functions(tmp_path):
    study = (
        "species: {Li+: , PF6-: , EC: }\n"
        "clusters:\n"
        "  A: {composition: {Li+: 1, PF6-: 1, EC: 1}}\n"
        "  B: {composition: {Li+: 1, EC: 2}, levels: [pbe-d4/def2-tzvp]}\n"
        "  C: {composition: {Li+: 1, PF6-: 1}, levels: [pbe-d4/def2-svpd]}\n"
        "levels: {energy: [pbe-d4/def2-svp, r2scan-3c, gfn2]}\n"
    )
    warnings = warned_of(study, tmp_path)
    assert len(warnings) == 1
    assert warnings[0].startswith("warning: pbe-d4/def2-svp has no diffuse functions, and holds PF6- ")


def test_check_warns_of_donors_that_tight_binding_holds_too_strongly(tmp_path):
    study = (
        "species: {Li+: , DMSO: , TMP: , EC: }\n"
        "clusters: {A: {composition: {Li+: 1, DMSO: 1, TMP: 1, EC: 1}}, B: {composition: {Li+: 1, EC: 1}}}\n"
        "levels: {energy: [gfn2, r2scan-3c]}\n"
    )
    warnings = warned_of(study, tmp_path)
    assert len(warnings) == 1
    assert "gfn2 holds ions too strongly by O of S=O and P=O (DMSO, TMP), Li+ by 0.4 eV" in warnings[0]


def test_check_warns_of_boxes_whose_electrostatics_is_doubtful(tmp_path):
    drop = "trajectories: {T: {composition: {Li+: 1, W: 20}, shape: SHAPE, level: gfn1, density_g_cm3: 1.0}}\n"
    for shape, warned in (("box", True), ("droplet", False)):
        (tmp_path / "s.yaml").write_text(GOOD + drop.replace("SHAPE", shape))
        done = solvation("check", "s.yaml", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert ("warning: trajectories.T" in done.stdout) is warned


def test_init_writes_a_study_that_check_accepts_and_never_overwrites(tmp_path):
    assert solvation("init", "mine.yaml", cwd=tmp_path).returncode == 0
    assert solvation("check", "mine.yaml", cwd=tmp_path).returncode == 0
    again = solvation("init", "mine.yaml", cwd=tmp_path)
    assert again.returncode == 2
    assert "left as it is" in again.stderr


def test_the_version_is_that_of_the_records():
    done = solvation("--version")
    assert (done.returncode, done.stdout) == (0, f"solvation {versions()['solvation']}\n")


def test_schema_is_json():
    assert json.loads(solvation("schema").stdout)["title"] == "Study"


@pytest.mark.engine
def test_bind_prints_a_table_and_the_same_as_data(tmp_path):
    command = ("bind", "Li+", "O:2", "--level", "gfn2", "--starts", "4", "--relaxed", "2")
    table = solvation(*command, cwd=tmp_path)
    assert table.returncode == 0, table.stderr
    data = json.loads(solvation(*command, "--json", cwd=tmp_path).stdout)
    relaxed = data["binding_energy_eV"]["relaxed"]
    assert f"{relaxed:.3f}" in table.stdout
    assert len(data["symbols"]) == 7
    assert relaxed == pytest.approx(
        data["binding_energy_eV"]["frozen_ligands"] + data["deformation_energy_eV"], abs=1e-9
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("bind", "Li+", "O=C1OCCO1:x"), "SMILES"),
        (("bind", "Li+", "O:0"), "NAME:COUNT"),
        (("bind", "Li+", "O", "--level", "magic"), "--level: 'magic' is neither"),
        (("analyze", "no.pdb", "--donor", "a=b"), "no.pdb does not exist"),
        (("analyze", "no.pdb"), "--donor is missing"),
        (("tables", "no.yaml"), "no.yaml: cannot be read"),
        (("report", "nowhere"), "nowhere"),
    ],
)
def test_verbs_answer_mistakes_in_one_line(tmp_path, arguments, message):
    done = solvation(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_every_verb_explains_itself():
    verbs = "init check schema bind ligand cluster reference binding pack md join analyze liquid tables compare report"
    verbs += " transport angles scattering vibrations density-map"
    listed = solvation("--help").stdout
    for verb in verbs.split():
        assert verb in listed


def test_engines_tells_what_is_here_and_how_to_get_the_rest():
    found = json.loads(solvation("engines", "--json", PATH="/nowhere").stdout)
    assert {"tblite", "pyscf", "nwchem", "psi4", "cp2k", "orca", "gaussian", "vasp", "ase"} <= set(found)
    assert found["nwchem"]["ghosts"]
    assert found["nwchem"]["solvents"] == ["cpcm"]
    assert found["nwchem"]["analyses"] == ["shieldings"]
    assert "stability" in found["pyscf"]["analyses"]
    assert not found["gpu4pyscf"]["analyses"]
    assert "apt install nwchem" in found["nwchem"]["missing"]
    assert found["tblite"]["missing"] is None
    lines = solvation("engines").stdout.splitlines()
    assert len(lines) == len(found)
    assert all(line.split()[0] in found and "energy" in line for line in lines)
