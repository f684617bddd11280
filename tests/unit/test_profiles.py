"""Free-energy profiles: walks, MBAR on samples of known distributions, and the populations that follow."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from ase import units
from pydantic import ValidationError

from solvation.errors import TrajectoryError
from solvation.failures import give_up
from solvation.profiles.free_energy import TABLES, About, ProfileRow, Window, estimate
from solvation.profiles.umbrella import SHARPNESS_A, nearest_A
from solvation.study import Bias, Profile, load_study
from solvation.study.cards import free_energy_card
from solvation.tables.profiles import PopulationRow, mean_of_repeats, populations, write_profile_tables
from solvation.tidy import read_rows, write_rows

pytest.importorskip("pymbar")

T_K = 313.0
KT_EV = units.kB * T_K
ABOUT = About("first", "BOX", "TDA", 0)
CONTACT_A = 2.8
GRID_A = np.linspace(1.6, 7.0, 5401)


def well_eV(r_A):
    """A narrow well at 2.1 Å, a barrier at 3 Å and a wide well at 5 Å."""
    return (
        0.25 * np.exp(-(((r_A - 3.0) / 0.35) ** 2))
        - 0.20 * np.exp(-(((r_A - 2.1) / 0.25) ** 2))
        + 0.02 * (r_A - 5) ** 2
    )


def exact_eV():
    """-kT ln p(near) / p(far), by summing over the grid."""
    weight = np.exp(-well_eV(GRID_A) / KT_EV)
    near = GRID_A < CONTACT_A
    return -KT_EV * math.log(weight[near].sum() / weight[~near].sum())


def window(bias, rng, count=400, drawn_at_A=None):
    """Independent samples under a bias; those of another one where the window has not come to rest."""
    made = Window(bias if drawn_at_A is None else bias._replace(centre_A=drawn_at_A), GRID_A, GRID_A, ())
    weight = np.exp(-(well_eV(GRID_A) + made.bias_eV(GRID_A)) / KT_EV)
    drawn = rng.choice(GRID_A, size=count, p=weight / weight.sum())
    near = drawn < CONTACT_A
    shells = tuple("3 EC + 1 TDA" if one else "4 EC" for one in near)
    return Window(bias, drawn, near.astype(np.int64), shells)


def walk(rng, **changes):
    biases = Profile(box="BOX", ligand="TDA", **changes).inwards
    return [window(one, rng) for one in biases], [window(one, rng) for one in reversed(biases)]


def test_the_nearest_of_one_donor_is_its_distance_and_of_two_equal_ones_a_little_less():
    assert nearest_A(np.array([2.3])) == pytest.approx(2.3, abs=1e-12)
    assert nearest_A(np.array([2.3, 2.3, 30.0])) == pytest.approx(2.3 - math.log(2) / SHARPNESS_A, abs=1e-12)
    assert nearest_A(np.array([[2.0, 9.0], [7.0, 4.0]])) == pytest.approx([2.0, 4.0], abs=1e-6)


def test_a_walk_goes_in_and_out_again_and_is_free_beyond_a_wall_far_away():
    settings = Profile(
        box="BOX", ligand="TDA", near_A=2, step_A=0.5, stiffness_eV_A2=4, wide_from_A=3, wide_step_A=1, far_A=5
    )
    inwards = [Bias(5.0, 1.0, True), Bias(3.75, 1.0), Bias(3.0, 4.0), Bias(2.5, 4.0), Bias(2.0, 4.0)]
    numbers = range(1, settings.n_windows + 1)
    assert [settings.bias(number, out_first=False) for number in numbers] == [*inwards, *reversed(inwards)]
    assert [settings.bias(number, out_first=True) for number in numbers] == [*reversed(inwards), *inwards]


def test_without_any_slope_neighbours_overlap_alike_where_narrow_windows_meet_wide_ones():
    # Two Gaussians overlap by the distance of their centres over the sum of their widths.
    _, *windows = Profile(box="BOX", ligand="TDA").inwards
    spread = [(one.centre_A, one.stiffness_eV_A2**-0.5) for one in windows]
    apart = [(far_A - near_A) / (wide + narrow) for (far_A, wide), (near_A, narrow) in pairwise(spread)]
    assert max(apart) / min(apart) < 1.15


def test_a_wall_is_felt_on_one_side_only():
    felt_eV = window(Bias(5.0, 2.0, True), np.random.default_rng(1)).bias_eV(np.array([4.0, 5.0, 7.0]))
    assert felt_eV == pytest.approx([1.0, 0.0, 0.0])


def test_known_wells_come_back_within_their_errors_from_either_way():
    found = estimate(*walk(np.random.default_rng(1)), ABOUT, contact_A=CONTACT_A, temperature_K=T_K)
    assert [step.way for step in found.steps] == ["in", "out", "both"]
    for step in found.steps:
        assert step.free_energy_eV == pytest.approx(exact_eV(), abs=3 * step.stderr_eV)
        assert 0 < step.stderr_eV < 0.03
        assert step.note == ""
    both = found.steps[-1]
    curve = [row for row in found.curve if row.way == "both" and row.samples > 50]
    lowest = min(well_eV(GRID_A))
    for row in curve:
        assert row.free_energy_eV == pytest.approx(well_eV(row.distance_A) - lowest, abs=0.02 + 3 * row.stderr_eV)
    assert both.barrier_out_eV - both.barrier_in_eV == pytest.approx(
        well_eV(GRID_A[GRID_A > CONTACT_A]).min() - lowest, abs=0.03
    )


def test_shells_have_the_populations_that_the_free_energy_says():
    found = estimate(*walk(np.random.default_rng(2)), ABOUT, contact_A=CONTACT_A, temperature_K=T_K)
    step, rows = found.steps[-1], [row for row in found.shells if row.way == "both"]
    assert {(row.at_ion, row.shell): row.share for row in rows} == {(0, "4 EC"): 1.0, (1, "3 EC + 1 TDA"): 1.0}
    near = next(row.population for row in rows if row.at_ion)
    assert near / (1 - near) == pytest.approx(math.exp(-step.free_energy_eV / KT_EV), rel=1e-6)


def test_one_more_beside_a_held_copy_is_half_as_often_there_as_a_first_for_either_may_be_the_held_one():
    """Copies that do not see each other: two of two stand at the ion p^2 of the time, one of them 2 p (1 - p)."""
    inwards, outwards = ([replace(one, at_ion=one.at_ion + 1) for one in way] for way in walk(np.random.default_rng(1)))
    about = About("second", "BOX", "TDA", 1)
    found = estimate(inwards, outwards, about, contact_A=CONTACT_A, temperature_K=T_K)
    step, rows = found.steps[-1], [row for row in found.shells if row.way == "both"]
    assert step.free_energy_eV == pytest.approx(exact_eV() + KT_EV * math.log(2), abs=3 * step.stderr_eV)
    second = next(row.population for row in rows if row.at_ion == 2)
    assert second / (1 - second) == pytest.approx(math.exp(-step.free_energy_eV / KT_EV), rel=1e-6)


def test_ways_that_disagree_widen_the_error_and_are_named():
    rng = np.random.default_rng(3)
    inwards, outwards = walk(rng)
    # On the way out the molecule lags behind its bias, as one does that holds on.
    lagging = [window(one.bias, rng, drawn_at_A=max(one.bias.centre_A - 0.25, 2.0)) for one in outwards[:-1]]
    found = estimate(inwards, [*lagging, outwards[-1]], ABOUT, contact_A=CONTACT_A, temperature_K=T_K)
    step_in, step_out, both = found.steps
    apart_eV = abs(step_in.free_energy_eV - step_out.free_energy_eV)
    assert apart_eV > 0.05
    assert both.stderr_eV > 0.5 * apart_eV
    assert "the ways in and out disagree: lengthen window_ps" in both.note


def test_windows_that_hardly_overlap_are_named():
    found = estimate(*walk(np.random.default_rng(4), step_A=0.3), ABOUT, contact_A=CONTACT_A, temperature_K=T_K)
    assert found.steps[-1].least_overlap < 0.03
    assert "hardly overlap: shorten step_A or wide_step_A" in found.steps[-1].note


def test_windows_that_share_nothing_are_refused():
    windows = walk(np.random.default_rng(4), step_A=0.9, stiffness_eV_A2=3)
    with pytest.raises(TrajectoryError, match=r"windows at 6 and 5\.5667 Å share no distances .* shorten step_A"):
        estimate(*windows, ABOUT, contact_A=CONTACT_A, temperature_K=T_K)


def test_correlated_frames_count_as_often_as_they_are_independent():
    rng = np.random.default_rng(5)
    inwards, outwards = walk(rng)
    repeated = [
        Window(one.bias, np.repeat(one.nearest_A, 5), np.repeat(one.at_ion, 5),
               tuple(shell for shell in one.shells for _ in range(5)))
        for one in inwards
    ]  # fmt: skip
    once = estimate(inwards, outwards, ABOUT, contact_A=CONTACT_A, temperature_K=T_K).steps[0]
    often = estimate(repeated, outwards, ABOUT, contact_A=CONTACT_A, temperature_K=T_K).steps[0]
    assert often.samples < 1.5 * once.samples
    assert often.stderr_eV > 0.8 * once.stderr_eV


def test_a_way_that_never_arrives_is_refused():
    rng = np.random.default_rng(6)
    windows = [window(one, rng) for one in Profile(box="BOX", ligand="TDA", near_A=4.0, far_A=4.8).inwards]
    with pytest.raises(TrajectoryError, match="the way in has no frame with 1 of the ligand at the ion"):
        estimate(windows, windows[::-1], ABOUT, contact_A=CONTACT_A, temperature_K=T_K)


def test_populations_are_those_of_boltzmann_with_errors_to_first_order():
    steps_eV, errors_eV = [-0.05, 0.02], [0.001, 0.0005]
    weights = np.exp(-np.array([0.0, -0.05, -0.03]) / KT_EV)
    found = populations(steps_eV, errors_eV, KT_EV)
    shares = [share for share, _, _ in found]
    assert shares == pytest.approx(weights / weights.sum())
    changes = []
    for place, error_eV in enumerate(errors_eV):
        moved = list(steps_eV)
        moved[place] += 1e-6
        shifted = [share for share, _, _ in populations(moved, errors_eV, KT_EV)]
        changes.append([(new - old) / 1e-6 * error_eV for new, old in zip(shifted, shares, strict=True)])
    assert [(high - low) / 2 for _, low, high in found] == pytest.approx(np.hypot(*changes), rel=2e-3)


def test_a_population_known_to_a_factor_stays_between_nothing_and_all():
    (first, first_low, first_high), (second, low, high) = populations([-0.1], [0.05], KT_EV)
    factor = math.exp(0.05 / KT_EV)
    assert high / (1 - high) == pytest.approx(second / (1 - second) * factor)
    assert low / (1 - low) == pytest.approx(second / (1 - second) / factor)
    assert (first + second, first_low + high, first_high + low) == pytest.approx((1, 1, 1))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"near_A": 5.9}, "leaves fewer than three windows"),
        ({"settle_ps": 60}, "leaves nothing of window_ps"),
        ({"step": 0.1}, "Extra inputs"),
        ({"held": -1}, "greater than or equal to 0"),
    ],
)
def test_walks_that_lead_nowhere_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        Profile.model_validate({"box": "BOX", "ligand": "TDA", **changes})


STUDY = """
name: demo
species: {Li+: , EC: , TDA: }
trajectories:
  A: &box {forcefield: gaff2, composition: {Li+: 1, EC: 48, TDA: 6}, temperature_K: 313}
  B: {<<: *box, draw_in: {TDA: 1}}
  C: {<<: *box, temperature_K: 340}
profiles:
  first: {box: A, ligand: TDA}
  second: {box: B, ligand: TDA, held: 1}
  fourth: {box: B, ligand: TDA, held: 3}
  warm: {box: C, ligand: TDA}
  lost: {box: A, ligand: EC, held: 4}
  first_again: {box: B, ligand: TDA}
"""


def test_profiles_of_one_liquid_make_one_ladder_and_a_failed_one_tells_its_reason(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo.yaml").write_text(STUDY)
    study = load_study(tmp_path / "demo.yaml")
    values_eV = {"first": (0, -0.10), "second": (1, 0.05), "fourth": (3, -0.3), "warm": (0, 0.01),
                 "first_again": (0, -0.14)}  # fmt: skip
    for name, (held, value_eV) in values_eV.items():
        settings, folder = study.profiles[name], study.folder / "profiles" / name
        rows = [
            ProfileRow(name, settings.box, "TDA", held, way, value_eV, 0.01, 0.2, 0.3, 0.1, 100)
            for way in ("in", "out", "both")
        ]
        write_rows(folder / "profiles.csv", ProfileRow, rows)
        for table in ("profile_curves.csv", "profile_shells.csv"):
            write_rows(folder / table, TABLES[table], [])
    give_up("profile", free_energy_card(study, "lost").text(), "the node died", [
        study.folder / "profiles" / "lost" / table for table in TABLES
    ])  # fmt: skip
    write_profile_tables(study)
    gathered = read_rows(study.folder / "profiles.csv", ProfileRow)
    assert [row.profile for row in gathered if row.way == "both"] == list(study.profiles)
    (lost,) = (row for row in gathered if row.profile == "lost")
    assert lost.note.endswith("the node died")
    assert lost.held == 4
    assert math.isnan(lost.free_energy_eV)
    found = read_rows(study.folder / "profile_populations.csv", PopulationRow)
    # Nobody knows what a third one gains, so the ladder ends with two; another temperature is another liquid.
    assert [(row.profiles, row.at_ion) for row in found] == [
        ("first first_again second", 0), ("first first_again second", 1), ("first first_again second", 2),
        ("warm", 0), ("warm", 1),
    ]  # fmt: skip
    # Two profiles that ask the same differ by more than their errors say, so their spread is the error.
    expected = populations([-0.12, 0.05], [0.02, 0.01], KT_EV)
    assert [(row.population, row.low, row.high) for row in found[:3]] == [pytest.approx(one) for one in expected]


def test_repeats_weigh_the_same_and_their_error_is_the_larger_one():
    assert mean_of_repeats([(-0.1, 0.02)]) == pytest.approx((-0.1, 0.02))
    assert mean_of_repeats([(-0.1, 0.03), (-0.1, 0.04)]) == pytest.approx((-0.1, 0.025))
    assert mean_of_repeats([(-0.1, 0.001), (0.1, 0.001)]) == pytest.approx((0.0, 0.1))
