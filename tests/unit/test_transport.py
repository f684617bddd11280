"""Transport of processes whose diffusion, conductivity and transference are known."""

import math

import numpy as np
import pytest
from scipy.signal import lfilter

from solvation.errors import TrajectoryError
from solvation.transport.conductivity import (
    Ratio,
    bilinear,
    conductivity_mS_cm,
    ideal_transference,
    onsager_transference,
    quotient,
)
from solvation.transport.diffusion import CM2_S, arrhenius, diffusion_cm2_s, diffusive_slope, yeh_hummer_cm2_s
from solvation.transport.displacements import (
    MeanSquares,
    Unwrapper,
    cross_squares_A2,
    mean_squared_displacements,
    mean_squares,
    window_overlap,
)


def walk(rng, n_frames, n_particles, diffusion=0.5):
    """Free diffusion, Å2 per frame: the mean squared displacement is 6 D lag."""
    return np.cumsum(rng.normal(0, math.sqrt(2 * diffusion), (n_frames, n_particles, 3)), axis=0)


def spring(rng, n_frames, n_particles, relaxation, amplitude_A=1.0):
    """Ornstein and Uhlenbeck's process, stationary from its first frame."""
    keep, warm = math.exp(-1 / relaxation), int(12 * relaxation)
    kicks = rng.normal(0, amplitude_A * math.sqrt(1 - keep**2), (n_frames + warm, n_particles, 3))
    return lfilter([1], [1, -keep], kicks, axis=0)[warm:]


def test_squares_by_fft_are_those_of_all_windows():
    path = walk(np.random.default_rng(1), 60, 3) + 1e4  # far from the origin
    found = mean_squared_displacements(path)
    for lag in range(60):
        moved = path[lag:] - path[: 60 - lag]
        assert found[lag] == pytest.approx(np.mean(np.sum(moved**2, axis=2), axis=0), rel=1e-9, abs=1e-9)


def test_squares_are_those_of_mdanalysis():
    from MDAnalysis import Universe
    from MDAnalysis.analysis.msd import EinsteinMSD

    path = walk(np.random.default_rng(2), 300, 5).astype(np.float32)
    universe = Universe.empty(5, trajectory=True)
    universe.load_new(path)
    theirs = EinsteinMSD(universe, select="all", msd_type="xyz", fft=False).run().results.msds_by_particle
    assert mean_squared_displacements(path) == pytest.approx(theirs, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize(("short", "long"), [(1, 1), (3, 3), (2, 7), (5, 12)])
def test_overlap_against_windows_counted_one_by_one(short, long):
    n_frames = 20
    shared = [
        max(0, min(k + short, other + long) - max(k, other)) ** 2
        for k in range(n_frames - short)
        for other in range(n_frames - long)
    ]
    expected = sum(shared) / ((n_frames - short) * (n_frames - long))
    assert window_overlap(np.array([short, long]), n_frames)[0, 1] == pytest.approx(expected)


def test_the_covariance_is_that_of_many_walks():
    lags = np.array([2, 5, 11])
    squares = mean_squared_displacements(walk(np.random.default_rng(3), 50, 20_000))[lags]
    model = 2 / 3 * 3.0**2 * window_overlap(lags, 50)
    assert np.cov(squares) == pytest.approx(model, rel=0.06)


@pytest.mark.parametrize(("n_frames", "n_particles"), [(400, 1), (200, 4), (120, 20)])
def test_the_error_covers_the_truth_as_often_as_it_says(n_frames, n_particles):
    """1.96 errors hold the diffusion coefficient of free particles in 95 of 100 runs."""
    scores = []
    for seed in range(200):
        found = diffusive_slope(mean_squares(walk(np.random.default_rng(seed), n_frames, n_particles)))
        if math.isfinite(found.value):
            scores.append((found.value - 3.0) / found.stderr)
    assert len(scores) >= 190
    covered = np.mean(np.abs(scores) < 1.96)
    # Binomial: 0.95 within three errors of 200 draws.
    assert abs(covered - 0.95) < 3 * math.sqrt(0.95 * 0.05 / 200)
    assert abs(np.mean(scores)) < 0.3


def test_the_error_falls_with_the_root_of_the_particles():
    errors = [diffusive_slope(mean_squares(walk(np.random.default_rng(4), 400, n))).stderr for n in (20, 320)]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.35)


def test_unlike_particles_have_a_larger_error_than_free_diffusion():
    rng = np.random.default_rng(5)
    path = np.concatenate([walk(rng, 400, 10, 0.1), walk(rng, 400, 10, 0.9)], axis=1)
    found = diffusive_slope(mean_squares(path))
    assert found.value == pytest.approx(3.0, rel=0.05)
    assert found.stderr == pytest.approx(6 * 0.4 / math.sqrt(19), rel=0.15)
    assert found.stderr > 5 * found.relative * found.value


def test_flight_before_diffusion_is_left_out():
    """Velocities that relax over ten frames: the displacement is diffusive only after many of them."""
    keep = math.exp(-1 / 10)
    path = np.cumsum(spring(np.random.default_rng(6), 6000, 20, 10.0), axis=0)
    found = diffusive_slope(mean_squares(path))
    assert found.begin > 40
    assert found.value == pytest.approx(3 * (1 + keep) / (1 - keep), abs=3 * found.stderr)
    assert found.stderr < 0.1 * found.value


def test_a_cage_that_does_not_open_in_time_is_refused():
    rng = np.random.default_rng(7)
    found = diffusive_slope(mean_squares(walk(rng, 1000, 30, 0.005) + spring(rng, 1000, 30, 20.0)), frame_ps=0.5)
    assert math.isnan(found.value)
    assert found.exponent + 2 * found.exponent_stderr < 1
    assert found.verdict.startswith(f"too short: MSD exponent {found.exponent:.2f} ± {found.exponent_stderr:.2f} at ")
    assert "longest usable lag, 124 ps" in found.verdict
    # Slower than diffusion, so that what is left of it is less than it looks.
    assert 6 * 0.005 < found.at_most < 6 * 0.02


def test_a_single_bound_particle_never_passes_for_a_free_one():
    """Its first lags look like diffusion, and a fit that rests on them would be sure of itself."""
    for seed in range(25):
        found = diffusive_slope(mean_squares(spring(np.random.default_rng(seed), 1500, 1, 20.0)))
        assert math.isnan(found.value), seed


def test_flight_alone_is_refused():
    speed = np.random.default_rng(8).normal(0, 0.1, (1, 20, 3))
    found = diffusive_slope(mean_squares(np.arange(200)[:, None, None] * speed))
    assert math.isnan(found.value)
    assert "drift, or still fly" in found.verdict
    assert math.isnan(found.at_most)


def test_what_does_not_move_has_no_diffusion():
    found = diffusive_slope(mean_squares(np.zeros((50, 2, 3))))
    assert (math.isnan(found.value), found.verdict) == (True, "nothing moves")
    with pytest.raises(TrajectoryError, match="39 frames tell nothing"):
        mean_squares(np.zeros((39, 2, 3)))


def test_a_bound_pair_carries_no_current():
    """Cation and anion on a spring: both diffuse with the pair, the charge goes nowhere."""
    rng = np.random.default_rng(9)
    pairs, length = walk(rng, 4000, 20, 0.5), spring(rng, 4000, 20, 5.0)
    cations, anions = pairs + length / 2, pairs - length / 2
    plus, minus = (diffusive_slope(mean_squares(path)) for path in (cations, anions))
    for found in (plus, minus):
        assert found.value == pytest.approx(3.0, abs=3 * found.stderr)
        assert found.stderr < 0.1 * found.value
    share = ideal_transference([plus.value, minus.value], [plus.stderr, minus.stderr], 0)
    assert share.value == pytest.approx(0.5, abs=3 * share.stderr)
    dipole = (cations - anions).sum(axis=1, keepdims=True)
    found = diffusive_slope(mean_squares(dipole))
    assert math.isnan(found.value)
    assert "levels off, as of what is held" in found.verdict
    # Nernst and Einstein would say 20 * (3 + 3).
    assert found.at_most < 0.01 * 120


@pytest.mark.parametrize("shared", [0.0, 0.6])
def test_collective_coefficients_of_correlated_ions(shared):
    """Each cation shares a part of its kicks with one anion: L++ = N D+, L+- = N shared sqrt(D+ D-)."""
    n, fast, slow = 30, 0.8, 0.2
    scores = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        kicks = rng.normal(size=(1500, 2, n, 3))
        kicks[:, 1] = shared * kicks[:, 0] + math.sqrt(1 - shared**2) * kicks[:, 1]
        paths = np.cumsum(kicks * np.sqrt([2 * slow, 2 * fast])[:, None, None], axis=0)
        sums = paths.sum(axis=2)
        charges = np.array([1.0, -1.0])
        dipole = mean_squares(np.einsum("s,fsx->fx", charges, sums)[:, None])
        slope = diffusive_slope(dipole)
        if math.isnan(slope.value):
            continue
        onsager = np.einsum("l,lab->ab", slope.weights, cross_squares_A2(sums, dipole.lags))
        assert charges @ onsager @ charges == pytest.approx(slope.value)
        exact = 6 * n * np.array([[slow, shared * math.sqrt(slow * fast)], [shared * math.sqrt(slow * fast), fast]])
        cation = np.array([1.0, 0.0])
        carried = onsager_transference(onsager, slope.relative, charges, 0)
        truth = (exact[0] @ charges) / (charges @ exact @ charges)
        whole, own = (
            bilinear(onsager, slope.relative, charges, charges),
            bilinear(onsager, slope.relative, cation, cation),
        )
        scores.append(
            [
                (carried.value - truth) / carried.stderr,
                (whole.value - charges @ exact @ charges) / whole.stderr,
                (own.value - exact[0, 0]) / own.stderr,
            ]
        )
    assert len(scores) >= 36
    # Standard scores of honest error bars, of the transference, the conductivity and one coefficient.
    assert np.all(np.abs(np.mean(scores, axis=0)) < 3.5 / math.sqrt(len(scores)))
    assert np.all(np.abs(np.sqrt(np.mean(np.square(scores), axis=0)) - 1) < 0.35)


def test_units_by_hand():
    # 1 mol/L of a 1:1 salt, both ions 1e-6 cm2/s, 298.15 K: F^2 c (D+ + D-) / (R T) = 0.75111 S/m.
    volume_A3 = 1e27 / 6.02214076e23
    assert diffusion_cm2_s(6 * 0.01 * 2.0, 2.0) == pytest.approx(1e-6)
    assert CM2_S == 1e-4
    found = conductivity_mS_cm(0.02, volume_A3=volume_A3, temperature_K=298.15)
    assert found == pytest.approx(96485.33212**2 * 1000 * 2e-10 / (8.314462618 * 298.15) * 10, rel=1e-6)
    assert found == pytest.approx(7.511, abs=2e-3)


def test_images_by_hand():
    # Water at 298 K: 2.837297 * 4.1143e-21 J / (6 pi * 0.896e-3 Pa s * 24.8e-10 m) = 2.787e-10 m2/s.
    found = yeh_hummer_cm2_s(temperature_K=298.0, viscosity_mPa_s=0.896, edge_A=24.8)
    assert found == pytest.approx(2.787e-6, rel=1e-3)


def test_shares_and_ratios_with_their_errors():
    share = ideal_transference([1.0, 3.0], [0.1, 0.3], 0)
    # t = a / (a + b): dt/da = b / (a + b)^2, dt/db = -a / (a + b)^2.
    assert share == Ratio(0.25, pytest.approx(math.hypot(3 / 16 * 0.1, 1 / 16 * 0.3)))
    ratio = quotient(Ratio(2.0, 0.2), Ratio(4.0, 0.8))
    assert ratio == Ratio(0.5, pytest.approx(0.5 * math.hypot(0.1, 0.2)))


@pytest.mark.parametrize("angles", [(90.0, 90.0, 90.0), (60.0, 75.0, 80.0)], ids=["right", "slanted"])
def test_wrapped_unwrapped_and_mixed_atoms_move_alike(angles):
    from ase.geometry import cellpar_to_cell

    rng = np.random.default_rng(10)
    path = walk(rng, 200, 12, 0.3) + rng.uniform(0, 20, (1, 12, 3))
    box = np.array([18.0, 22.0, 25.0, *angles])
    cell = cellpar_to_cell(box)
    fractional = path @ np.linalg.inv(cell)
    wrapped = (fractional - np.floor(fractional)) @ cell
    mixed = wrapped + rng.integers(-2, 3, path.shape) @ cell
    for given in (path, wrapped, mixed):
        unwrapper = Unwrapper()
        moved = np.cumsum([unwrapper.step(frame, box) for frame in given], axis=0)
        assert moved == pytest.approx(path - path[0], abs=1e-9)


def test_a_step_too_long_to_be_told_is_refused():
    unwrapper = Unwrapper()
    box = np.array([10.0, 10, 10, 90, 90, 90])
    unwrapper.step(np.array([[1.0, 1, 1]]), box)
    unwrapper.step(np.array([[4.9, 1, 1]]), box)
    with pytest.raises(TrajectoryError, match=r"frame 3: an atom moved 0\.45 box edges .*save frames more often"):
        unwrapper.step(np.array([[9.4, 1, 1]]), box)
    with pytest.raises(TrajectoryError, match="some frames have a box and some do not"):
        unwrapper.step(np.array([[9.4, 1, 1]]), None)


def test_a_breathing_box_adds_no_diffusion():
    """An atom at rest in the fluctuating box, ten cells away: only its own cell's breath is left."""
    rng = np.random.default_rng(11)
    unwrapper = Unwrapper()
    where = []
    for edge in 20 + 0.1 * rng.normal(size=300):
        box = np.array([edge, edge, edge, 90, 90, 90])
        where.append(unwrapper.step(np.full((1, 3), 10.25 * edge), box))
    assert np.abs(np.cumsum(where, axis=0)).max() < 0.3


def test_arrhenius_of_a_known_activation():
    kelvin = np.array([280.0, 300, 320, 340, 360])
    exact = 4e-3 * np.exp(-18.0 / (8.31446261815324e-3 * kelvin))
    scores = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        value = exact * (1 + 0.05 * rng.normal(size=5))
        found = arrhenius(kelvin, value, 0.05 * value)
        scores.append((found.energy_kJ_mol - 18.0) / found.energy_stderr_kJ_mol)
    # Errors only ever grow with the scatter, so that they cover a little more than they say.
    assert 0.93 < np.mean(np.abs(scores) < 1.96) <= 1.0
    clean = arrhenius(kelvin, exact, 0.05 * exact)
    assert clean.energy_kJ_mol == pytest.approx(18.0, rel=1e-9)
    assert math.exp(clean.log_prefactor) == pytest.approx(4e-3, rel=1e-6)
    bent = arrhenius(kelvin, exact * np.array([1, 1, 1.5, 1, 1]), 0.05 * exact)
    assert bent.chi2_per_point > 5
    assert bent.energy_stderr_kJ_mol > 2 * clean.energy_stderr_kJ_mol


@pytest.mark.parametrize(
    ("kelvin", "value", "message"),
    [([300, 320], [1, 2], "2 temperatures always lie on a line"), ([300, 320, 340], [1, 0, 2], "positive")],
)
def test_an_arrhenius_fit_that_means_nothing_is_refused(kelvin, value, message):
    with pytest.raises(TrajectoryError, match=message):
        arrhenius(kelvin, value, [0.1] * len(kelvin))


def test_few_particles_have_the_error_of_free_diffusion():
    squares = MeanSquares(np.array([1, 2]), np.array([[2.0], [4.0]]), window_overlap(np.array([1, 2]), 101))
    # One hundred windows of one frame: 2.0 * sqrt(2 / 3 / 100).
    assert squares.stderr_A2[0] == pytest.approx(2.0 * math.sqrt(2 / 300))
