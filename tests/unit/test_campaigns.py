"""Campaigns: the grid is what combinatorics says, and every mistake is one line."""

from itertools import product

import pytest

from solvation.errors import StudyError
from solvation.study import load_study

HEAD = """
species: {Li+: , Na+: , EC: , PC: , DMC: , TDA: , NMe3: }
levels: {search: gfn1, rank: gfn2, energy: [gfn1, gfn2]}
"""


@pytest.fixture
def study(tmp_path):
    def make(text):
        (tmp_path / "s.yaml").write_text(HEAD + text)
        return load_study(tmp_path / "s.yaml")

    return make


def test_a_grid_is_every_ion_with_every_shell_and_denticity(study):
    found = study(
        "campaigns: [{ions: [Li+, Na+], ligands: {A: [EC, PC, DMC], B: [TDA, NMe3]}, "
        "shells: [{A: 1}, {A: 3, B: 1}], denticity: {TDA: [free, 1, 2]}}]"
    ).clusters
    expected = {f"{ion}_{a}" for ion, a in product(("Li", "Na"), ("EC", "PC", "DMC"))}
    expected |= {
        f"{ion}_{a}3_{b}"
        for ion, a, b in product(("Li", "Na"), ("EC", "PC", "DMC"), ("TDA", "TDA-k1", "TDA-k2", "NMe3"))
    }
    assert set(found) == expected
    assert found["Na_PC3_TDA-k2"].composition == {"Na+": 1, "PC": 3, "TDA": 1}
    assert found["Na_PC3_TDA-k2"].denticity == {"TDA": 2}
    assert found["Na_PC3_TDA"].denticity == {}
    assert found["Na_PC3_TDA"].levels is None


def test_letters_differ_and_equal_clusters_come_once(study):
    found = study("campaigns: [{ions: [Li+], ligands: {A: [EC, PC], B: [EC, PC]}, shells: [{A: 2, B: 2}]}]").clusters
    assert set(found) == {"Li_EC2_PC2"}


def test_exclusions_take_out_what_they_say_and_nothing_else(study):
    text = (
        "campaigns: [{ions: [Li+, Na+], ligands: {A: [EC, PC]}, shells: [{A: 4}, {A: 3, TDA: 1}], "
        "denticity: {TDA: [free, 1]}, exclude: [%s]}]"
    )
    everything = set(study(text % "{ions: [Na+], composition: {EC: 4}}").clusters) | {"Na_EC4"}
    assert len(everything) == 12

    def left_out(condition):
        return everything - set(study(text % condition).clusters)

    assert left_out("{ions: [Na+], species: [TDA]}") == {
        "Na_EC3_TDA",
        "Na_PC3_TDA",
        "Na_EC3_TDA-k1",
        "Na_PC3_TDA-k1",
    }
    assert left_out("{denticity: {TDA: free}, species: [EC]}") == {"Li_EC3_TDA", "Na_EC3_TDA"}
    assert left_out("{composition: {EC: 3}, denticity: {TDA: 1}}") == {"Li_EC3_TDA-k1", "Na_EC3_TDA-k1"}
    some = study(text % "{species: [PC], levels: [gfn2]}")
    assert set(some.clusters) == everything
    assert [str(level) for level in some.levels_of("Li_PC4")] == ["gfn1"]
    assert [str(level) for level in some.levels_of("Li_EC4")] == ["gfn1", "gfn2"]


def test_clusters_of_one_s_own_stand_beside_and_a_study_reads_what_it_wrote(study):
    found = study(
        "clusters: {mine: {composition: {Li+: 1, TDA: 1}}, Li_EC: {composition: {Li+: 1, EC: 1}}}\n"
        "campaigns: [{ions: [Li+], shells: [{EC: 1}, {EC: 2}]}]"
    )
    assert list(found.clusters) == ["mine", "Li_EC", "Li_EC2"]
    assert type(found).model_validate(found.model_dump(mode="json")) == found


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{ions: [Li+], shells: [{EX: 1}]}", "campaigns.0.shells.0: unknown species 'EX'"),
        ("{ions: [K+], shells: [{EC: 1}]}", "campaigns.0.ions: unknown species 'K+'"),
        ("{ions: [Li+], shells: [{}]}", "shells.0: is empty"),
        ("{ions: [Li+], shells: [{Li+: 1}]}", "'Li+' is one of the ions"),
        ("{ions: [Li+], ligands: {A: []}, shells: [{A: 1}]}", "ligands.A: is empty"),
        ("{ions: [Li+], ligands: {EC: [PC]}, shells: [{EC: 1}]}", "'EC' is a species; take another letter"),
        ("{ions: [Li+], ligands: {A: [QQ]}, shells: [{A: 1}]}", "campaigns.0.ligands.A: unknown species 'QQ'"),
        ("{ions: [Li+], shells: [{EC: 1}], denticity: {ECC: [1]}}", "campaigns.0.denticity: unknown species 'ECC'"),
        ("{ions: [Li+], shells: [{EC: 1}], exclude: [{species: [PC]}]}", "exclude.0: leaves nothing out"),
        ("{ions: [Li+], shells: [{EC: 1}], exclude: [{}]}", "exclude.0: says nothing"),
        ("{ions: [Li+], shells: [{EC: 1}], exclude: [{speces: [PC]}]}", "unknown key; did you mean 'species'?"),
        ("{ions: [Li+], shell: [{EC: 1}]}", "campaigns.0.shell: unknown key; did you mean 'shells'?"),
        ("{ions: [Li+], shells: [{EC: 0}]}", "campaigns.0.shells.0.EC: must be more than 0"),
        (
            f"{{ions: [Li+], ligands: {{{', '.join(f'A{n}: [EC, PC, DMC]' for n in range(12))}}}, "
            f"shells: [{{{', '.join(f'A{n}: 1' for n in range(12))}}}]}}",
            "spans 531441 clusters, more than 20000",
        ),
    ],
)
def test_mistakes_are_one_line(study, text, told):
    with pytest.raises(StudyError) as problem:
        study(f"campaigns: [{text}]")
    assert told in str(problem.value)
    assert "\n" not in str(problem.value)


def test_one_name_for_two_clusters_is_refused(study):
    with pytest.raises(StudyError, match=r"give 'Li_EC', which clusters.Li_EC has with other settings"):
        study("clusters: {Li_EC: {composition: {Li+: 1, EC: 2}}}\ncampaigns: [{ions: [Li+], shells: [{EC: 1}]}]")


def test_a_trajectory_with_lists_is_one_for_each(study):
    found = study(
        "trajectories: {EC: {composition: {Li+: 1, EC: 6}, temperature_K: [298, 313], level: [gfn1, gfn2]}}"
    ).trajectories
    assert {name: (str(item.level), item.temperature_K) for name, item in found.items()} == {
        f"EC_{level}_{kelvin}K": (level, kelvin) for level in ("gfn1", "gfn2") for kelvin in (298, 313)
    }
    for given, told in (("[]", "EC.temperature_K: is empty"), ("[298, 298]", "gives 'EC_298K' twice")):
        with pytest.raises(StudyError, match=told):
            study(f"trajectories: {{EC: {{composition: {{Li+: 1, EC: 6}}, temperature_K: {given}}}}}")


def test_temperatures_are_one_or_several(study):
    text = "clusters: {a: {composition: {Li+: 1, EC: 1}}}\nthermochemistry: {temperature_K: %s}"
    assert study(text % "313").thermochemistry.temperatures_K == (313.0,)
    assert study(text % "[298.15, 313, 298.15]").thermochemistry.temperatures_K == (298.15, 313.0)
    with pytest.raises(StudyError, match=r"thermochemistry.temperature_K.1: must be 2000 or less"):
        study(text % "[300, 3000]")
