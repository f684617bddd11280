"""Shells of known composition, and ions among anions that are placed by hand."""

import numpy as np
import pytest

from solvation.shells.speciation import PAIRING, ShellCensus, shell_label


def census_of(frames, species, n_ions=1, anion=()):
    """Populations of frames given as lists of contacts (ion, molecule); `anion` holds molecules."""
    census = ShellCensus(n_ions, species, anions=bool(anion))
    contacts = np.array([(f, *pair) for f, pairs in enumerate(frames) for pair in pairs], dtype=int).reshape(-1, 3)
    frame, ion, molecule = contacts[np.lexsort(contacts.T[::-1])].T
    near = np.empty(0, dtype=int)
    census.add(len(frames), frame, ion, molecule, np.isin(molecule, anion), near)
    return census.populations()


def test_a_tda_bound_by_two_n_has_denticity_two():
    species = ["EC", "EC", "EC", "TDA"]
    (only,) = census_of([[(0, 0), (0, 1), (0, 2), (0, 3), (0, 3)]], species)
    assert only.shell == "3 EC(1) + 1 TDA(2)"
    assert only.population == 1


def test_populations_of_constructed_shells_sum_to_one_and_come_in_order():
    species = ["EC"] * 4 + ["TDA"]
    full, mixed = [(0, m) for m in range(4)], [(0, 0), (0, 4)]
    found = census_of([full, full, mixed, []] * 25, species)
    assert [(row.shell, row.population) for row in found] == [
        ("4 EC(1)", 0.5), ("1 EC(1) + 1 TDA(1)", 0.25), ("bare", 0.25),
    ]  # fmt: skip
    assert sum(row.population for row in found) == pytest.approx(1, abs=1e-12)


def test_frames_added_apart_are_those_added_together():
    rng = np.random.default_rng(1)
    species = [f"M{number % 7}" for number in range(30)]
    contacts = np.unique(rng.integers(0, [200, 5, 30], size=(4000, 3)), axis=0)
    together, apart = ShellCensus(5, species, anions=False), ShellCensus(5, species, anions=False)
    nothing = np.empty(0, dtype=int)

    def add(census, part, n_frames, begin):
        frame, ion, molecule = part.T
        census.add(n_frames, frame - begin, ion, molecule, np.zeros(len(part), bool), nothing)

    add(together, contacts, 200, 0)
    for begin, end in ((0, 1), (1, 90), (90, 200)):
        add(apart, contacts[(contacts[:, 0] >= begin) & (contacts[:, 0] < end)], end - begin, begin)
    first, second = ({row.shell: row.population for row in c.populations()} for c in (together, apart))
    assert first == second
    assert sum(first.values()) == pytest.approx(1, abs=1e-12)
    # Every shell counted by hand.
    by_hand = {}
    for shell in range(1000):
        mine = contacts[contacts[:, 0] * 5 + contacts[:, 1] == shell][:, 2]
        names, copies = np.unique([species[m] for m in mine], return_counts=True)
        label = shell_label([(str(name), 1, int(count)) for name, count in zip(names, copies, strict=True)])
        by_hand[label] = by_hand.get(label, 0) + 1 / 1000
    assert first == pytest.approx(by_hand)


def test_species_are_listed_by_the_share_of_the_ions_that_they_hold_absent_ones_with_zero():
    species = ["EC", "EC", "TDA", "DEC", "N"]
    frames = [[(0, 0), (0, 1), (1, 2), (1, 2)], [(0, 0)], [(1, 2)], []] * 5
    census = ShellCensus(2, species, anions=False, ligands={"EC": True, "TDA": True, "DEC": True, "N": False})
    contacts = np.array([(f, *pair) for f, pairs in enumerate(frames) for pair in pairs])
    census.add(len(frames), *contacts.T, np.zeros(len(contacts), bool), np.empty(0, dtype=int))
    found = {row.shell: row.population for row in census.populations() if row.grouped == "species"}
    assert found == pytest.approx({"EC": 0.25, "TDA": 0.25, "DEC": 0, "N": np.nan}, nan_ok=True)


def test_ions_among_anions():
    """Ion 0 has one anion to itself, 1 and 2 share one, 3 has two, 4 sees one in reach, 5 none."""
    census = ShellCensus(6, ["A"] * 5, anions=True)
    ion, molecule = np.array([[0, 0], [1, 1], [2, 1], [3, 2], [3, 3]]).T
    frame = np.zeros(5, dtype=int)
    census.add(1, frame, ion, molecule, np.ones(5, bool), np.array([0, 1, 2, 3, 3, 4]))
    found = {row.shell: row.population for row in census.populations() if row.grouped == "anions"}
    assert found == pytest.approx({"free": 1 / 6, "SSIP": 1 / 6, "CIP": 1 / 6, "AGG": 3 / 6})


def test_kinds_of_pairing_that_never_occur_are_listed_with_zero():
    found = [row for row in census_of([[(0, 0)]] * 3, ["A"], anion=[0]) if row.grouped == "anions"]
    assert [row.shell for row in found] == list(PAIRING)
    assert [row.population for row in found] == [0, 0, 1, 0]


def test_the_error_of_a_population_is_that_of_its_series():
    """White noise of a fair coin: sqrt(0.25 / n)."""
    heads = np.random.default_rng(2).uniform(size=4000) < 0.5
    found = census_of([[(0, 0)] if head else [] for head in heads], ["EC"])
    assert found[0].population_stderr == pytest.approx(np.sqrt(0.25 / 4000), rel=0.2)


def test_more_ligand_kinds_than_one_integer_can_count():
    species = [f"M{number}" for number in range(90)]
    frames = [[(0, m) for m in range(90) for _ in range(1 + (m * f) % 3)] for f in (1, 2, 4)]
    found = census_of([*frames, frames[0]], species)
    assert sum(row.population for row in found) == pytest.approx(1)
    assert found[0].population >= 0.5
