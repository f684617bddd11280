"""Differences of binding energies: swaps and steps, without the energy of the ion."""

import dataclasses
import math

import pytest

from solvation.comparison import _agreement, compare
from solvation.errors import StudyError
from solvation.patterns.angles import AngleRow
from solvation.study import load_study
from solvation.tables.bonding import OxidationRow, ShieldingRow, SpectrumRow
from solvation.tables.energies import BindingRow, ThermochemistryRow
from solvation.tables.shells import CoordinationRow
from solvation.tidy import write_rows
from solvation.transport.analysis import TransportRow

STUDY = """
name: s
species: {Li+: , W: {smiles: O}, A: {smiles: N}}
clusters:
  one: {composition: {Li+: 1, W: 1}}
  two: {composition: {Li+: 1, W: 2}}
  mixed: {composition: {Li+: 1, W: 1, A: 1}}
levels: {rank: null, energy: [gfn2]}
published:
  - {quantity: binding_energy, subject: one, value: -100.0, unit: kJ/mol, source: somebody}
  - {quantity: binding_gibbs_energy, subject: one, value: -1.2, unit: eV, source: somebody}
"""


def compared(folder, text, energies_eV, averaged=None, errors_eV=None):
    """The comparison of a study of which only binding energies are known, and by what averaging lifts some, and how far
    these spread."""
    (folder / "s.yaml").write_text(text)
    study = load_study(folder / "s.yaml")
    blank = {
        field.name: 0 if field.type == "int" else 0.0 if field.type == "float" else ""
        for field in dataclasses.fields(BindingRow)
    }
    found = [
        BindingRow(
            **{**blank, "cluster": name, "level": "gfn2", "definition": "relaxed", "energy_eV": energy}
            | {"spread_eV": math.nan, "stderr_eV": (errors_eV or {}).get(name, math.nan)}
        )
        for name, energy in energies_eV.items()
    ]
    found += [
        dataclasses.replace(row, definition="relaxed_ensemble", energy_eV=row.energy_eV + shift, spread_eV=spread)
        for row in found
        for shift, spread in [(averaged or {}).get(row.cluster, (None, None))]
        if spread is not None
    ]
    study.folder.mkdir(parents=True)
    write_rows(study.folder / "binding.csv", BindingRow, found)
    return compare(study)


@pytest.fixture
def rows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = compared(tmp_path, STUDY, {"one": -1.5, "two": -2.75, "mixed": -2.9})
    return {(row.subject, row.quantity): row for row in found}


def test_what_searches_err_by_goes_into_the_exchange(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    errors_eV = {"one": 0.03, "two": 0.04}
    found = compared(tmp_path, STUDY, {"one": -1.5, "two": -2.75, "mixed": -2.9}, errors_eV=errors_eV)
    told = {(row.subject, row.quantity): row.stderr for row in found}
    assert told["one", "binding_energy[relaxed]"] == 0.03
    (step,) = (value for (subject, kind), value in told.items() if subject == "two - one" and "stepwise" in kind)
    assert step == pytest.approx(0.05)
    (swap,) = (value for (subject, kind), value in told.items() if "mixed" in subject and kind.startswith("exchange"))
    assert math.isnan(swap)  # of `mixed` there was one search


def test_every_published_pair_has_its_reaction_whatever_comes_and_goes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = """
name: s
species: {Li+: , W: {smiles: O}, T: {smiles: CN(C)CCN(C)C}}
clusters:
  four: {composition: {W: 4, Li+: 1}}
  three: {composition: {Li+: 1, W: 3}}
  whole: {composition: {Li+: 1, T: 1}, denticity: {T: 2}}
  half: {composition: {Li+: 1, T: 1}, denticity: {T: 1}}
levels: {rank: null, energy: [gfn2]}
published:
""" + "".join(
        f"  - {{quantity: binding_energy_difference, subject: {pair}, value: -1.0, unit: eV, source: somebody}}\n"
        for pair in ("four - three", "whole - four", "half - whole")
    )
    found = compared(tmp_path, study, {"four": -5.0, "three": -4.2, "whole": -4.0, "half": -2.0})
    notes = {row.subject: row.note.split(";")[:2] for row in found if row.quantity.startswith("exchange_energy")}
    assert notes == {
        "four - three": ["Li+(W)3 + W -> Li+(W)4", " negative means downhill"],
        "whole - four": ["Li+(W)4 + T -> Li+(T) + 4 W", " negative means that T replaces 4 W"],
        "half - whole": ["Li+(T) (whole) -> Li+(T) (half)", " negative means downhill"],
    }


def test_each_ion_has_its_own_ranks_and_is_swapped_for_no_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = """
name: s
species: {Li+: , Na+: , W: {smiles: O}, A: {smiles: N}}
campaigns: [{ions: [Li+, Na+], shells: [{W: 1}, {A: 1}]}]
levels: {rank: null, energy: [gfn2]}
"""
    found = compared(tmp_path, study, {"Li_W": -1.5, "Li_A": -1.7, "Na_W": -1.0, "Na_A": -1.2})
    ranks = {row.subject: row.rank for row in found if row.quantity == "binding_energy[relaxed]"}
    assert ranks == {"Li_W": 2, "Li_A": 1, "Na_W": 2, "Na_A": 1}
    assert [row.subject for row in found if row.quantity.startswith("exchange")] == ["Li_A - Li_W", "Na_A - Na_W"]


def test_beside_a_cation_of_any_charge_a_halide_is_a_ligand(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = """
name: s
species: {Mg2+: , EC: , Cl-: }
clusters:
  free: {composition: {EC: 4, Mg2+: 1}}
  paired: {composition: {EC: 3, Cl-: 1, Mg2+: 1}}
levels: {rank: null, energy: [gfn2]}
"""
    found = compared(tmp_path, study, {"paired": -15.0, "free": -12.0})
    (swap,) = (row for row in found if row.quantity == "exchange_energy[relaxed]")
    assert swap.note == "Mg2+(EC)4 + Cl- -> Mg2+(EC)3(Cl-) + EC; negative means that Cl- replaces EC"
    assert load_study(tmp_path / "s.yaml").ligands == ("EC",)


def test_every_number_published_for_one_energy_stands_beside_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    other = "  - {quantity: binding_energy, subject: one, value: -1.52, unit: eV, source: another paper}\n"
    found = compared(tmp_path, STUDY + other, {"one": -1.5, "two": -2.75, "mixed": -2.9})
    beside = [row for row in found if (row.subject, row.quantity) == ("one", "binding_energy[relaxed]")]
    assert [(row.source[:7], row.value, row.rank) for row in beside] == [("somebod", -1.5, 1), ("another", -1.5, 1)]
    assert beside[1].note.endswith("; reproduced")


def test_the_last_ligand_is_the_difference_of_two_clusters(rows):
    assert rows["two - one", "stepwise_energy[relaxed]"].value == pytest.approx(-1.25)
    step = rows["mixed - one", "stepwise_energy[relaxed]"]
    assert step.value == pytest.approx(-1.4)
    assert step.note == "Li+(W) + A -> Li+(W)(A)"


def test_a_swap_is_no_step_and_a_step_no_swap(rows):
    assert rows["mixed - two", "exchange_energy[relaxed]"].value == pytest.approx(-0.15)
    assert {key for key in rows if key[1].startswith("stepwise")} == {
        ("two - one", "stepwise_energy[relaxed]"), ("mixed - one", "stepwise_energy[relaxed]"),
    }  # fmt: skip
    assert {key for key in rows if key[1].startswith("exchange")} == {("mixed - two", "exchange_energy[relaxed]")}


def test_differences_of_boltzmann_means_stand_beside_those_of_the_lowest_structures_with_both_spreads(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    averaged = {"one": (0.0, 0.0), "two": (0.02, 0.03), "mixed": (0.05, 0.04)}
    found = compared(tmp_path, STUDY, {"one": -1.5, "two": -2.75, "mixed": -2.9}, averaged)
    rows = {(row.subject, row.quantity): row for row in found}
    lowest, mean = (rows["mixed - two", f"exchange_energy[{kind}]"] for kind in ("relaxed", "relaxed_ensemble"))
    assert (lowest.value, mean.value) == pytest.approx((-0.15, -0.12))
    assert math.isnan(lowest.spread)
    assert math.isnan(mean.stderr)
    assert mean.spread == pytest.approx(0.05)
    assert "between Boltzmann means" in mean.note
    assert rows["two - one", "stepwise_energy[relaxed_ensemble]"].value == pytest.approx(-1.23)


def test_clusters_are_ranked_among_those_of_their_size(rows):
    assert rows["one", "binding_energy[relaxed]"].rank == 1
    assert rows["mixed", "binding_energy[relaxed]"].rank == 1
    assert rows["two", "binding_energy[relaxed]"].rank == 2


def test_a_magnetic_shift_is_the_mean_of_the_donors_that_bind_and_stands_beside_the_published(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    published = "  - {quantity: nmr_shift, subject: two / water O, value: -6.5, unit: ppm, source: a paper}\n"
    (tmp_path / "s.yaml").write_text(STUDY.replace("[gfn2]}", "[gfn2], shieldings: [pbe/sto-3g]}") + published)
    study = load_study(tmp_path / "s.yaml")
    study.folder.mkdir(parents=True)
    write_rows(study.folder / "binding.csv", BindingRow, [])
    places = [("7Li", "", "", 3.0), ("17O", "water O", "yes", -10.0), ("17O", "water O", "yes", -8.0)]
    places += [("17O", "water O", "", 50.0)]  # in the second shell
    rows = [
        ShieldingRow("two", "pbe/sto-3g", "s01", "W", atom, isotope, kind, binds, 1.9, 300.0, 300.0 - shift, shift, "")
        for atom, (isotope, kind, binds, shift) in enumerate(places)
    ]
    rows += [ShieldingRow("one", "pbe/sto-3g", "", "", 0, "", "", "", *(float("nan"),) * 4, "did not converge")]
    write_rows(study.folder / "shieldings.csv", ShieldingRow, rows)
    found = {row.subject: row for row in compare(study) if row.quantity == "nmr_shift"}
    assert found["two / water O"].value == -9.0
    assert found["two / water O"].published == -6.5
    assert found["two / water O"].difference == -2.5
    assert found["one / all donors"].note == "did not converge"


def test_a_published_shift_of_an_unknown_cluster_is_refused(tmp_path):
    published = "  - {quantity: nmr_shift, subject: thre / water O, value: 1, unit: ppm, source: a paper}\n"
    (tmp_path / "s.yaml").write_text(STUDY + published)
    with pytest.raises(StudyError, match="unknown 'thre'"):
        load_study(tmp_path / "s.yaml")


def test_a_published_energy_is_converted_once_and_its_own_unit_told(rows):
    row = rows["one", "binding_energy[relaxed]"]
    assert row.published == pytest.approx(-1.03643, abs=1e-5)  # 96.485 kJ/mol are one eV
    assert row.difference == pytest.approx(-1.5 + 1.03643, abs=1e-5)
    assert row.source == "somebody (given as -100 kJ/mol)"


def test_a_published_free_energy_is_not_set_beside_an_electronic_one(rows):
    assert rows["one", "binding_gibbs_energy"].note == "published, not computed in this study"


LIQUID = """
name: s
species: {Li+: , W: {smiles: O}}
trajectories:
  box: {topology: box.pdb, center: name LI, donors: {O: name O}}
published:
  - {quantity: conductivity, subject: box, value: 0.369, unit: S/m, source: somebody}
  - {quantity: self_diffusion, subject: box / Li, value: 2.0e-10, unit: m2/s, source: somebody}
  - {quantity: self_diffusion, subject: box / EC, value: 9.0e-10, unit: m2/s, source: somebody}
  - {quantity: angle, subject: box / Li-O-C, value: 141, unit: degrees, source: somebody}
"""


def test_transport_and_angles_stand_beside_published_ones_in_their_unit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.yaml").write_text(LIQUID)
    study, no = load_study(tmp_path / "s.yaml"), math.nan
    moved = [("self_diffusion", "Li", 1.5e-6, "cm2/s", 1e-7), ("self_diffusion", "EC", no, "cm2/s", no),
             ("conductivity[einstein]", "", 3.8, "mS/cm", 0.1), ("ionicity", "", 0.7, "1", 0.1)]  # fmt: skip
    rows = [TransportRow("box", *row, *(no,) * 5, 20, "") for row in moved]
    write_rows(study.folder / "transport.csv", TransportRow, rows)
    bins = [AngleRow("box", "Li-O-C", theta, 0.005, no, 1.0, 135.0, 1.7, 80) for theta in (45.0, 135.0)]
    write_rows(study.folder / "angles.csv", AngleRow, bins)
    write_rows(study.folder / "coordination.csv", CoordinationRow, [])
    found = {(row.subject, row.quantity): row for row in compare(study)}
    conductivity = found["box", "conductivity[einstein]"]
    assert (conductivity.published, conductivity.note) == (pytest.approx(3.69), "reproduced")
    diffusion = found["box / Li", "self_diffusion"]
    assert (diffusion.value, diffusion.published, diffusion.unit) == (
        pytest.approx(1.5),
        pytest.approx(2.0),
        "1e-6 cm2/s",
    )
    assert "NOT reproduced: off by -0.50" in diffusion.note
    assert found["box / EC", "self_diffusion"].note == "published, not computed in this study"
    assert "NOT reproduced: off by -6.00 degrees" in found["box / Li-O-C", "angle"].note
    assert ("box", "ionicity") not in found


def test_oxidation_potentials_have_an_order_and_bands_a_shift_beside_published_ones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = STUDY.replace("[gfn2]}", "[gfn2], oxidation: [gfn2]}\nthermochemistry: {}") + (
        "  - {quantity: oxidation_potential, subject: W, value: 5100, unit: mV, source: a paper}\n"
        "  - {quantity: carbonyl_shift, subject: one, value: -5.0, unit: 1/cm, source: a paper}\n"
    )
    (tmp_path / "s.yaml").write_text(text)
    study = load_study(tmp_path / "s.yaml")
    study.folder.mkdir(parents=True)
    write_rows(study.folder / "binding.csv", BindingRow, [])
    write_rows(study.folder / "thermochemistry.csv", ThermochemistryRow, [])
    volts = {"W": 5.0, "A": 5.6, "one": 7.0}
    write_rows(study.folder / "oxidation.csv", OxidationRow, [
        OxidationRow(name, "cluster" if name == "one" else "species", "gfn2", "gfn2", "c01", volt + 2, volt + 1.4,
                     volt + 0.6, volt, "")
        for name, volt in volts.items()
    ])  # fmt: skip
    write_rows(study.folder / "spectra.csv", SpectrumRow, [
        SpectrumRow("one", "s01", "gfn2", "complex", 1766.0, -4.0, 1, "1766.0"),
        SpectrumRow("one", "s01", "gfn2", "W", 1770.0, math.nan, 1, "1770.0"),
    ])  # fmt: skip
    found = {(row.subject, row.quantity): row for row in compare(study)}
    ranks = {name: found[name, "oxidation_potential[adiabatic]"].rank for name in volts}
    assert ranks == {"W": 2, "A": 1, "one": 1}
    water, band = found["W", "oxidation_potential[adiabatic]"], found["one", "carbonyl_shift"]
    assert (water.value, water.published, water.note) == (5.0, pytest.approx(5.1), "reproduced")
    assert math.isnan(found["W", "oxidation_potential[vertical]"].published)
    assert (band.value, band.published, band.unit) == (-4.0, -5.0, "1/cm")


@pytest.mark.parametrize(
    ("difference", "stderr", "said"),
    [
        (0.09, math.nan, "reproduced"), (0.09, 0.05, "reproduced"), (0.11, 0.05, "NOT reproduced: off by +0.11 eV"),
        (0.11, 0.3, "too uncertain to tell: within two standard errors"),
        (0.01, 0.3, "too uncertain to tell: within two standard errors"), (0.7, 0.3, "NOT reproduced: off by +0.70 eV"),
        (math.nan, 0.3, "not found here"),
    ],
)  # fmt: skip
def test_a_large_error_makes_a_published_value_no_easier_to_meet(difference, stderr, said):
    assert _agreement(difference, stderr, "eV", -0.68) == said
