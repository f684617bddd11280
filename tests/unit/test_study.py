"""A study file: what it accepts, and the one line it answers to what it does not."""

import json
from pathlib import Path

import pytest
import yaml

from solvation.errors import StudyError
from solvation.species import build_molecule, library
from solvation.study import ClassicalDynamics, Level, MolecularDynamics, Species, Study, cards, load_study
from solvation.study.claim import claim, refuse_foreign
from solvation.study.clusters import Charged, held_ions
from solvation.study.schema import study_schema
from solvation.study.template import TEMPLATE

ROOT = Path(__file__).parents[2]
GOOD = """
species: {Li+: , EC: , TDA: }
clusters:
  A: {composition: {Li+: 1, EC: 4}}
  B: {composition: {Li+: 1, EC: 3, TDA: 1}, denticity: {TDA: 1}}
levels: {search: gfn1, geometry: gfn1, energy: [gfn2]}
trajectories:
  T: {composition: {Li+: 1, EC: 6}}
"""


def load(tmp_path: Path, text: str) -> Study:
    path = tmp_path / "s.yaml"
    path.write_text(text)
    return load_study(path)


@pytest.mark.parametrize(
    ("found", "replacement", "message"),
    [
        ("EC: 3", "EV: 3", "clusters.B.composition: unknown species 'EV'; did you mean 'EC'?"),
        ("geometry: gfn1", "geomtry: gfn1", "levels.geomtry: unknown key; did you mean 'geometry'?"),
        ("[gfn2]", "[gfn3]", "levels.energy.0: 'gfn3' is neither gfn1 nor gfn2"),
        ("[gfn2]", "[pbe/def2-svp@cpcm=wet]", "takes a permittivity"),
        ("[gfn2]", "[]", "levels.energy"),
        ("EC: 4", "EC: -4", "clusters.A.composition.EC: must be more than 0 (given: '-4')"),
        ("EC: 4", "EC: 0", "clusters.A.composition.EC"),
        ("denticity: {TDA: 1}", "denticity: {TDO: 1}", "'TDO' is not in the composition"),
        ("clusters:", "cluster:", "cluster: unknown key; did you mean 'clusters'?"),
        ("  A:", "  A/x:", "is not a name"),
        (
            "{Li+: 1, EC: 6}}",
            "{Li+: 1, EC: 6}, lenth_ps: 3}",
            "trajectories.T.lenth_ps: unknown key; did you mean 'len",
        ),
        ("{Li+: 1, EC: 6}}", "{Li+: 1, EC: 6}, timestep_fs: 2}", "hydrogen_mass_u"),
        ("{composition: {Li+: 1, EC: 6}}", "{topology: x.pdb}", "trajectories.T.center: is required"),
        ("{Li+: 1, EC: 6}}", "{Li+: 1, EC: 6}, cut_from: B}", "trajectories.T.cut_from: no classical trajectory 'B'"),
        (
            "{composition: {Li+: 1, EC: 6}}",
            "{composition: {Li+: 1, EC: 6}, cut_from: B}\n  B: {forcefield: gaff2, composition: {Li+: 1, EC: 5}}",
            "trajectories.T.cut_from: B does not hold 6 EC; take fewer",
        ),
        (
            "{composition: {Li+: 1, EC: 6}}",
            "{composition: {Li+: 1, EC: 6}, cut_from: B, shape: box}\n"
            "  B: {forcefield: gaff2, composition: {Li+: 1, EC: 7}}",
            "trajectories.T.cut_from: a box goes on as a whole; write composition: {Li+: 1, EC: 7}, or leave out shape",
        ),
        ("levels:", "species: {}\nlevels:", "key 'species' stands twice"),
        ("clusters:", "clusters: [", "line "),
        ("EC: ,", "EC: {smiles: C, file: a.xyz},", "give one of smiles, file and library"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path, found, replacement, message):
    assert found in GOOD
    with pytest.raises(StudyError) as caught:
        load(tmp_path, GOOD.replace(found, replacement, 1))
    text = str(caught.value)
    assert message in text
    assert text.startswith(str(tmp_path / "s.yaml"))
    assert "\n" not in text


def test_a_study_that_is_missing_or_binary_is_named(tmp_path):
    with pytest.raises(StudyError, match=r"nowhere\.yaml: cannot be read"):
        load_study(tmp_path / "nowhere.yaml")
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StudyError, match="not a text file"):
        load_study(tmp_path / "b.yaml")


@pytest.mark.parametrize("name", ["default", "quick", "paper", "template"])
def test_the_studies_that_ship_are_valid(name):
    assert load_study(ROOT / "config" / f"{name}.yaml").clusters


def test_the_template_and_the_schema_are_in_step_with_the_code():
    mend = "; mend: solvation init / solvation schema --output"
    assert (ROOT / "config" / "template.yaml").read_text() == TEMPLATE, f"config/template.yaml{mend}"
    assert (ROOT / "workflow" / "schemas" / "study.schema.json").read_text() == study_schema(), f"schema{mend}"


def test_every_atom_of_the_library_is_known_as_a_bare_ion():
    written = [name for name, entry in library().items() if build_molecule(name, Species(library=name)).is_ion]
    written += ["[Li+]", "[7Li+]", "[Mg+2]", "[Mg++]", "[Cl-]"]
    assert {"Li+", "Mg2+", "Zn2+", "F-"} < set(written)
    for text in written:
        species = Species(smiles=text) if text.startswith("[") else Species(library=text)
        assert species.is_bare_ion, text
        assert (species.written_charge > 0) == ("+" in text)
    for text in ("EC", "O", "[OH-]", "[NH4+]", "Cl", "PF6-"):
        assert not Species(smiles=text).is_bare_ion


def test_a_charge_is_known_before_any_molecule_is_built():
    for name, entry in library().items():
        assert Species(library=name).written_charge == entry.charge, name
    charges = {
        "[Mg++]": 2, "[Mg+2]": 2, "[O--]": -2, "C[N+](C)(C)C": 1, "C[N+](=O)[O-]": 0, "O": 0, "[NH4+:1]": 1,
        "F[P-](F)(F)(F)(F)F": -1, "C[C@H](N)C(=O)[O-]": -1, "[7Li+]": 1,
    }  # fmt: skip
    for smiles, charge in charges.items():
        assert Species(smiles=smiles).written_charge == charge, smiles
        assert build_molecule("x", Species(smiles=smiles)).charge == charge


@pytest.mark.parametrize(
    ("composition", "ion"),
    [
        ({"EC": 3, "PF6-": 1, "Li+": 1}, "Li+"),
        ({"EC": 2, "PF6-": 1}, "PF6-"),
        ({"Cl-": 1, "A": 1}, "A"),  # beside NH4+ a halide is a ligand
        ({"PF6-": 1, "Cl-": 1}, "Cl-"),
        ({"A": 1, "Li+": 1}, "Li+"),
    ],
)
def test_a_cluster_begins_with_its_ion_a_cation_first_and_a_bare_one(composition, ion):
    species = {name: {"smiles": "[NH4+]"} if name == "A" else None for name in composition}
    study = Study.model_validate({"name": "s", "species": species, "clusters": {"C": {"composition": composition}}})
    assert study.clusters["C"].ion == ion
    charged = [Charged(name, one.written_charge, one.is_bare_ion) for name, one in study.species.items()]
    assert held_ions(charged) == [ion]


def test_a_file_has_one_path_however_the_study_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "s.yaml").write_text(GOOD.replace("TDA: }", "TDA: {file: my/tda.xyz}}"))
    for named in ("mine/s.yaml", "./mine/s.yaml", tmp_path / "mine" / "s.yaml", "mine/../mine/s.yaml"):
        assert load_study(Path(named)).species["TDA"].file == Path("mine/my/tda.xyz")


def test_paths_in_a_study_are_relative_to_it(tmp_path):
    study = load(tmp_path, GOOD.replace("TDA: }", "TDA: {file: my/tda.xyz}}"))
    assert study.species["TDA"].file == tmp_path / "my/tda.xyz"


@pytest.mark.parametrize(
    "text", ["gfn1", "gfn2@alpb=acetone", "xtb:gfn2", "pbe-d4/def2-svp", "b3lyp-d3bj/def2-tzvp@cpcm=40"]
)
def test_a_level_is_written_as_it_was_read(text):
    assert str(Level.model_validate(text)) == text


def test_levels_differ_by_everything_that_changes_a_number():
    texts = ["pbe/def2-svp", "pbe-d4/def2-svp", "pbe-d3bj/def2-svp", "pbe/def2-tzvp", "pbe/def2-svp@cpcm=40"]
    texts += ["hf/6-31g", "hf/6-31g*", "hf/6-31g**", "hf/6-31+g*", "hf/6-31+g**", "ccsd(t)/def2-svp"]
    assert len({Level.model_validate(text) for text in texts}) == len(texts)
    assert len({Level.model_validate(text).slug for text in texts}) == len(texts)


def test_a_card_changes_with_what_its_step_uses_and_with_nothing_else(tmp_path):
    before = load(tmp_path, GOOD)
    other = load(tmp_path, GOOD.replace("EC: 3, TDA: 1}, denticity: {TDA: 1}", "EC: 2, TDA: 1}"))
    assert cards.cluster_card(before, "A").text() == cards.cluster_card(other, "A").text()
    assert cards.cluster_card(before, "B").text() != cards.cluster_card(other, "B").text()
    warmer = load(tmp_path, GOOD.replace("EC: 6}", "EC: 6}, temperature_K: 350"))
    assert cards.dynamics_card(before, "T").text() != cards.dynamics_card(warmer, "T").text()
    assert cards.cluster_card(before, "B").text() == cards.cluster_card(warmer, "B").text()
    reseeded = load(tmp_path, GOOD + "seed: 7\n")
    assert cards.cluster_card(before, "A").text() != cards.cluster_card(reseeded, "A").text()


def test_a_card_holds_its_revision_and_reads_back(tmp_path):
    card = cards.cluster_card(load(tmp_path, GOOD), "B")
    assert json.loads(card.text())["sampling"]["revision"] >= 1
    assert cards.read_card(card.text(), cards.ClusterCard) == card
    with pytest.raises(StudyError, match="not JSON"):
        cards.read_card("{", cards.ClusterCard)


def test_no_published_value_is_in_a_card(tmp_path):
    study = load(
        tmp_path,
        GOOD + "published: [{quantity: binding_energy, subject: A, value: -3.61123, unit: eV, source: somebody}]\n",
    )
    texts = [cards.cluster_card(study, "A").text(), cards.binding_card(study, "A", study.levels.energy[0]).text()]
    texts += [cards.dynamics_card(study, "T").text(), cards.analysis_card(study, "T").text()]
    assert not any("3.61123" in text for text in texts)


def test_a_published_subject_must_exist(tmp_path):
    with pytest.raises(StudyError, match=r"published\.0\.subject: unknown 'Z'"):
        load(
            tmp_path,
            GOOD + "published: [{quantity: binding_energy, subject: Z, value: 1, unit: eV, source: somebody}]\n",
        )


def test_a_results_folder_of_another_study_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = load(tmp_path, GOOD + "name: shared\n")
    claim(study, tmp_path / "s.yaml")
    refuse_foreign(study, tmp_path / "s.yaml")
    other = tmp_path / "other.yaml"
    other.write_text(GOOD + "name: shared\n")
    with pytest.raises(StudyError, match=r"belongs to .*s\.yaml"):
        refuse_foreign(load_study(other), other)
    (study.folder / "study-file.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(StudyError, match=r"study-file\.txt: is damaged .*write the path of the study file into it"):
        refuse_foreign(study, tmp_path / "s.yaml")


def test_the_schema_accepts_what_the_models_accept():
    data = yaml.safe_load(study_schema())
    assert data["$defs"]["Level"]["type"] == "string"
    assert "name" not in data.get("required", [])


def test_a_trajectory_of_a_force_field_is_told_by_its_key_and_keeps_its_card():
    study = Study.model_validate(
        {
            "name": "x", "species": {"Li+": None, "EC": None},
            "trajectories": {
                "classical": {"forcefield": "gaff2", "composition": {"EC": 40, "Li+": 1}},
                "quantum": {"composition": {"EC": 4, "Li+": 1}},
            },
        }
    )  # fmt: skip
    assert isinstance(study.trajectories["classical"], ClassicalDynamics)
    assert isinstance(study.trajectories["quantum"], MolecularDynamics)
    card = cards.dynamics_card(study, "classical")
    assert cards.read_card(card.text(), cards.DynamicsCard) == card
    assert json.loads(cards.parameters_card(study, "EC").text())["charges"]["level"] == "hf/6-31g*"


def test_an_unknown_member_of_a_recipe_is_named():
    mixture = {"solvents": {"EC": 1}, "salt": {"Li": 1}, "molality": 1, "solvent_molecules": 50}
    data = {
        "name": "x", "species": {"Li+": None, "EC": None},
        "trajectories": {"box": {"forcefield": "gaff2", "mixture": mixture}},
    }  # fmt: skip
    with pytest.raises(ValueError, match=r"unknown species 'Li'; did you mean 'Li\+'"):
        Study.model_validate(data)


def test_populations_are_those_at_the_temperature_of_the_free_energies(tmp_path):
    text = "species: {Li+: , EC: }\nclusters: {Li_EC: {composition: {Li+: 1, EC: 1}}}\n"
    motion = "thermochemistry: {temperature_K: [313, 333]}\n"
    assert load(tmp_path, text).ensemble_temperature_K == 298.15
    assert load(tmp_path, text + motion).ensemble_temperature_K == 313
    warm = load(tmp_path, text + motion + "sampling: {temperature_K: 350}\n")
    assert warm.ensemble_temperature_K == 350
    # They weigh what was found: no search begins anew.
    assert cards.cluster_card(warm, "Li_EC").text() == cards.cluster_card(load(tmp_path, text), "Li_EC").text()


PUBLISHED = GOOD + "published:\n  - {%s, subject: A}\n"


def test_a_published_number_of_the_library_needs_its_name_and_a_subject(tmp_path):
    (found,) = load(tmp_path, PUBLISHED % "id: zhang2023-li-ec4").published
    assert (found.quantity, found.value, found.unit) == ("binding_energy", -3.61, "eV")
    assert found.source.endswith("Figure 3h")
    # Sources that count bound as positive are turned round.
    (basicity,) = load(tmp_path, PUBLISHED % "id: mayeux2014-thf").published
    assert (basicity.quantity, basicity.value) == ("binding_gibbs_energy", -137.2)
    # What a study says of it is kept, and all of it survives its own file.
    (told,) = load(tmp_path, PUBLISHED % "id: zhang2023-li-ec4, definition: mine").published
    assert told.definition == "mine"
    assert type(told).model_validate(told.model_dump()) == told


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "id: zhang2023-li-ec5",
            "'zhang2023-li-ec5' is not in structures/published.yaml; did you mean 'zhang2023-li-ec4'?",
        ),
        (
            "id: zhang2023-li-ec4, value: -3.6",
            "value: 'zhang2023-li-ec4' has -3.61 in structures/published.yaml; leave out",
        ),
        (
            "id: arnaud1996-li-tfsi",
            "is of the kind 'range' in structures/published.yaml, which no table of a study has",
        ),
        ("id: zhang2023-ir-free", "is of the kind 'infrared_wavenumber' in structures/published.yaml, which no table"),
        ("id: [a]", "published.0.id: must be text"),
    ],
)
def test_a_published_number_that_is_not_that_of_the_library_is_refused(tmp_path, words, message):
    with pytest.raises(StudyError) as told:
        load(tmp_path, PUBLISHED % words)
    assert message in str(told.value)


def test_a_file_that_is_too_large_for_a_study_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "s.yaml"
    with path.open("wb") as stream:
        stream.truncate(6_000_000)
    with pytest.raises(StudyError, match=r"s\.yaml: 6 MB are no study; give a file of YAML below 5 MB"):
        load_study(path)


def test_links_within_the_folder_of_a_study_and_absolute_paths_are_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "mine").mkdir()
    for file in ("elsewhere/w.xyz", "mine/w.xyz"):
        Path(file).write_text("3\n\nO 0 0 0\nH 0 0 0.96\nH 0.93 0 -0.24\n")
    Path("mine/link.xyz").symlink_to("w.xyz")
    Path("mine/out.xyz").symlink_to(tmp_path / "elsewhere" / "w.xyz")
    text = "species: {Li+: , W: {file: FILE}}\nclusters: {a: {composition: {Li+: 1, W: 1}}}\n"
    for file in ("link.xyz", str(tmp_path / "mine" / "out.xyz")):
        Path("mine/s.yaml").write_text(text.replace("FILE", file))
        assert load_study(Path("mine/s.yaml")).species["W"].file.is_file()
    Path("mine/s.yaml").write_text(text.replace("FILE", "out.xyz"))
    with pytest.raises(StudyError, match=r"out\.xyz is a link to .*elsewhere/w\.xyz, out of the folder of the study"):
        load_study(Path("mine/s.yaml"))
