"""What the report says about signs that hold, and about definitions that come near published numbers."""

import json
import math

import pandas as pd
import pytest

from solvation.report.inputs import load
from solvation.report.ladder import conclusion, definitions, exchanges, groups, orders
from solvation.report.verdict import verdict


def table(*rows: tuple[str, str, str, float, float]) -> pd.DataFrame:
    columns = ["subject", "quantity", "level", "value", "published"]
    return pd.DataFrame(rows, columns=columns).assign(note="Li+(A) + B -> Li+(B) + A; negative means that B replaces A")


@pytest.mark.parametrize(
    ("values", "start"),
    [
        ([-0.5, -0.06], "Energies in the gas phase: downhill at both levels, −0.50 to"),
        ([0.5, 0.06, 0.1], "Energies in the gas phase: uphill at all 3 levels"),
        ([-0.5, 0.06], "Energies in the gas phase: NOT decided: downhill in 1, uphill in 1 of 2 levels"),
        ([-0.5, -0.01], "Energies in the gas phase: NOT decided: downhill in 1, within 0.05 eV in 1 of 2"),
        ([0.4], "Energies in the gas phase: uphill at the one level, +0.40 eV."),
    ],
)
def test_a_sign_holds_only_when_it_holds_everywhere(values, start):
    cells = {(f"pbe-d4/def2-{number}", "energy[relaxed]"): value for number, value in enumerate(values)}
    assert conclusion(cells).startswith(start)


def test_a_continuum_motion_and_tight_binding_are_no_votes_on_the_energy_of_the_gas_phase():
    cells = {
        ("pbe0-d4/def2-tzvp", "energy[relaxed]"): 0.41,
        ("pbe0-d4/def2-tzvp", "energy[relaxed_counterpoise]"): 0.38,
        ("pbe0-d4/def2-tzvp@cpcm=ec", "energy[relaxed]"): -0.08,
        ("pbe0-d4/def2-tzvp", "gibbs_energy[grimme]"): 0.01,
        ("gfn2", "energy[relaxed]"): -0.3,
    }
    assert [(one.what, one.where, one.sign) for one in groups(cells)] == [
        ("energies", "in the gas phase", 1),
        ("energies", "in a continuum", -1),
        ("free energies", "in the gas phase", 0),
    ]
    assert conclusion(cells).endswith("Tight binding, which has no vote: −0.30 eV.")
    # Alone it is all there is.
    assert [one.sign for one in groups({("gfn2", "energy[relaxed]"): -0.3})] == [-1]


def test_a_swap_is_laid_out_by_level_and_correction():
    rows = table(
        ("B - A", "exchange_energy[relaxed]", "pbe", -0.5, -0.68),
        ("B - A", "exchange_energy[relaxed_counterpoise]", "pbe", 0.1, math.nan),
        ("B - A", "exchange_energy[relaxed]", "gfn2", -0.2, math.nan),
        ("B - A", "exchange_gibbs_energy[rrho]", "pbe", math.nan, math.nan),
        ("A", "binding_energy[relaxed]", "pbe", -2.0, math.nan),
    )
    (swap,) = exchanges(rows)
    assert swap["reaction"] == "Li+(A) + B -> Li+(B) + A"
    assert swap["levels"] == ["pbe", "gfn2"]
    assert [kind for kind, _ in swap["columns"]] == ["energy[relaxed]", "energy[relaxed_counterpoise]"]
    assert swap["cells"] == {
        ("pbe", "energy[relaxed]"): -0.5,
        ("pbe", "energy[relaxed_counterpoise]"): 0.1,
        ("gfn2", "energy[relaxed]"): -0.2,
    }  # fmt: skip
    assert swap["published"] == [-0.68]
    assert swap["conclusion"].startswith("Energies in the gas phase: uphill at the one level, +0.10 eV.")


def test_a_level_has_one_vote_however_often_its_energy_is_told():
    cells = {
        ("pbe-d4/def2-svp", "energy[relaxed]"): -0.57,
        ("pbe-d4/def2-svp", "energy[relaxed_counterpoise]"): -0.29,
        ("pbe-d4/def2-svp", "energy[relaxed_ensemble]"): -0.58,
        ("r2scan-3c", "energy[relaxed]"): -0.58,
        ("r2scan-3c", "energy[relaxed_ensemble]"): -0.60,
    }
    (one,) = groups(cells)
    assert (one.levels, one.values_eV) == (2, (-0.29, -0.58))
    # Where there is nothing else, tight binding is what is told, and not told again.
    alone = {("gfn2", "energy[relaxed]"): -0.3, ("gfn2", "energy[relaxed_ensemble]"): -0.3}
    assert conclusion(alone) == "Energies in the gas phase: downhill at the one level, −0.30 eV."
    treated = groups({("r2scan-3c", f"gibbs_energy[{how}]"): -0.1 * n for n, how in enumerate(("rrho", "grimme"))})
    assert (treated[0].levels, len(treated[0].values_eV)) == (1, 2)


def test_the_nearest_definition_is_the_one_whose_worst_cluster_is_nearest():
    rows = table(
        ("A", "binding_energy[relaxed]", "pbe", -6.0, -3.6),
        ("B", "binding_energy[relaxed]", "pbe", -6.5, -4.3),
        ("A", "binding_energy[frozen_shell]", "pbe", -3.6, -3.6),
        ("B", "binding_energy[frozen_shell]", "pbe", -7.3, -4.3),
        ("A", "binding_gibbs_energy[rrho]", "pbe", -4.6, math.nan),
        ("B", "binding_gibbs_energy[rrho]", "pbe", -4.5, math.nan),
        ("A", "binding_energy[relaxed]", "gfn2", -3.6, math.nan),  # B is missing there
    )
    found = definitions(rows)
    assert found["published"] == [("A", -3.6), ("B", -4.3)]
    assert [line["quantity"] for line in found["lines"]] == [
        "binding_gibbs_energy[rrho]", "binding_energy[relaxed]", "binding_energy[frozen_shell]",
    ]  # fmt: skip
    assert found["lines"][0]["off"] == pytest.approx([-1.0, -0.2])
    assert "None of the 3" in found["conclusion"]
    assert "off by up to 1.00 eV" in found["conclusion"]


def test_a_published_pair_that_is_met_is_said_so():
    rows = table(("A", "binding_energy[relaxed]", "pbe", -3.65, -3.6))
    assert definitions(rows)["conclusion"].startswith("1 of 1 come within 0.1 eV")


def test_a_definition_is_set_against_every_number_published_for_a_cluster():
    rows = table(
        ("A", "binding_energy[relaxed]", "pbe", -6.1, -3.6), ("A", "binding_energy[relaxed]", "pbe", -6.1, -6.1)
    )
    found = definitions(rows)
    assert found["published"] == [("A", -3.6), ("A", -6.1)]
    assert found["lines"][0]["off"] == pytest.approx([-2.5, 0.0])


def test_without_published_energies_there_is_nothing_to_come_near():
    assert definitions(table(("A", "binding_energy[relaxed]", "pbe", -3.65, math.nan))) is None


def bound(*rows: tuple[str, str, str, str, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["cluster", "composition", "level", "definition", "energy_eV"])


def shells(level: str, definition: str, **energies_eV: float) -> list[tuple[str, str, str, str, float]]:
    return [(name, f"Li+:1 {name}:1", level, definition, value) for name, value in energies_eV.items()]


def test_four_clusters_of_one_size_have_an_order_and_every_level_its_pairs():
    rows = [
        *shells("pbe", "relaxed", A=-1.0, B=-3.0, C=-2.0, D=-2.01),
        # B, C, A, D: of the pairs of pbe that are told apart, all but D before A.
        *shells("gfn2", "relaxed", A=-2.0, B=-4.0, C=-3.0, D=-1.0),
        *shells("mp2", "relaxed", A=-1.0, B=-3.0),
        ("two", "Li+:1 A:2", "pbe", "relaxed", -5.0),
    ]
    (order,) = orders(bound(*rows), "pbe")
    assert (order.ion, order.n_ligands, order.clusters, order.levels) == (
        "Li+",
        1,
        ("B", "D", "C", "A"),
        ("pbe", "gfn2", "mp2"),
    )
    assert order.energy_eV["D", "gfn2"] == -1.0
    assert ("C", "mp2") not in order.energy_eV
    # Six pairs, of which pbe does not tell C from D.
    assert order.agreement == {"gfn2": (4, 5), "mp2": (1, 1)}


def test_an_order_is_with_counterpoise_where_every_cluster_has_it():
    plain = shells("pbe", "relaxed", A=-1.0, B=-2.0, C=-3.0, D=-4.0)
    corrected = shells("pbe", "relaxed_counterpoise", A=-0.9, B=-1.8, C=-1.7, D=-3.5)
    (order,) = orders(bound(*plain, *corrected), "pbe")
    assert (order.clusters, order.levels) == (("D", "B", "C", "A"), ("pbe with counterpoise",))
    (order,) = orders(bound(*plain, *corrected[1:]), "pbe")
    assert (order.clusters, order.levels) == (("D", "C", "B", "A"), ("pbe",))


def test_each_ion_has_its_own_order_and_ions_come_as_they_stand():
    lithium = shells("pbe", "relaxed", A=-4.0, B=-3.0, C=-2.0, D=-1.0)
    sodium = [(f"Na_{name}", f"Na+:1 {name}:1", "pbe", "relaxed", energy + 0.5) for name, *_, energy in lithium]
    found = orders(bound(*lithium, *sodium), "pbe")
    assert [(one.ion, one.clusters[0], len(one.clusters)) for one in found] == [("Li+", "A", 4), ("Na+", "Na_A", 4)]
    assert [one.ion for one in orders(bound(*sodium, *lithium), "pbe")] == ["Na+", "Li+"]


def test_three_clusters_are_told_by_their_swaps():
    assert orders(bound(*shells("pbe", "relaxed", A=-1.0, B=-2.0, C=-3.0)), "pbe") == []


def test_the_head_of_the_page_names_the_order_and_no_pair_of_it(tmp_path):
    study = {"name": "s", "clusters": {}, "trajectories": {}, "levels": {"energy": ["gfn2"]}}
    (tmp_path / "provenance.json").write_text(json.dumps({"study": study}))
    names = [f"L{number:02d}" for number in range(30)]
    rows = shells("gfn2", "relaxed", **{name: -3.0 + 0.1 * place for place, name in enumerate(names)})
    bound(*rows).assign(label=lambda table: table["cluster"], status="ok").to_csv(tmp_path / "binding.csv", index=False)
    swap = table(("L01 - L00", "exchange_energy[relaxed]", "gfn2", 0.1, math.nan)).assign(unit="eV")
    swap.to_csv(tmp_path / "comparison.csv", index=False)
    first, second, *rest = verdict(load(tmp_path))
    assert first == "At gfn2, L00 holds the ion most strongly of 30 clusters with 1 ligand."
    assert second.startswith("After it come, in eV: L01 (+0.10), L02 (+0.20), ")
    assert second.endswith("L24 (+2.40), and 5 more.")
    assert not any("L01 holds" in sentence for sentence in rest)
