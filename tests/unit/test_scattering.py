"""Structure factors of an ideal gas, of a crystal, and of a liquid of pairs; and freud's on the same positions."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write

from solvation.errors import TrajectoryError
from solvation.patterns.scattering import (
    NEUTRON,
    XRAY,
    amplitudes,
    scattering_strengths,
    structure_factors,
    wave_vectors,
)
from solvation.trajectory.frames import open_trajectory

pytest.importorskip("periodictable", reason="periodictable is not installed (pip install 'solvation[scattering]')")


def written(tmp_path, frames):
    write(tmp_path / "frames.extxyz", frames)
    return open_trajectory(tmp_path / "frames.extxyz")


def by_pair(found):
    return {one.pair or one.radiation: one for one in found}


def test_wave_vectors_are_each_one_of_a_pair_and_within_reach():
    cell = np.array([[9.0, 0, 0], [1.5, 8.0, 0], [0.5, -1.0, 7.0]])
    indices, bins = wave_vectors(cell, 4.0, 0.5, 10**6, np.random.default_rng(0))
    q = np.linalg.norm(indices @ (2 * np.pi * np.linalg.inv(cell).T), axis=1)
    assert q.max() < 4
    assert (bins == (q / 0.5).astype(int)).all()
    both = {tuple(row) for row in np.concatenate([indices, -indices])}
    assert len(both) == 2 * len(indices)
    # As many as the volume of the sphere holds, the origin left out.
    assert len(both) == pytest.approx(4 / 3 * np.pi * 4**3 * np.linalg.det(cell) / (2 * np.pi) ** 3 - 1, rel=0.03)


def test_amplitudes_are_sums_of_phases():
    rng = np.random.default_rng(1)
    fractional, indices = rng.random((7, 3)), rng.integers(-4, 5, (11, 3))
    expected = np.exp(2j * np.pi * fractional @ indices.T).sum(axis=0)
    assert amplitudes(fractional, indices) == pytest.approx(expected, abs=1e-5)


def test_an_ideal_gas_scatters_alike_everywhere(tmp_path):
    rng = np.random.default_rng(2)
    frames = [
        Atoms("Li20O40", rng.random((60, 3)) * 15, cell=[15] * 3, pbc=True) for _ in range(64)
    ]  # fmt: skip
    found = by_pair(structure_factors(written(tmp_path, frames), q_max_1_A=4, width_1_A=0.25))
    assert set(found) == {"Li-Li", "Li-O", "O-O", XRAY, NEUTRON}
    for one in found.values():
        off = (one.s - 1) / one.s_stderr
        # Student's t of eight blocks.
        assert np.sqrt(np.mean(off**2)) == pytest.approx(1.2, abs=0.6), one.pair
        assert np.abs(off).max() < 8
    assert np.isnan(found["Li-O"].intensity).all()


def test_a_crystal_scatters_into_its_reflections_alone(tmp_path):
    crystal = bulk("Cu", "fcc", a=3.6, cubic=True) * (4, 4, 4)
    found = by_pair(structure_factors(written(tmp_path, [crystal]), q_max_1_A=6, width_1_A=0.02, per_bin=10**6))
    s = found["Cu-Cu"]
    bright = s.q_1_A[s.s > 1]
    allowed = 2 * np.pi / 3.6 * np.sqrt([3, 4, 8, 11])
    assert bright == pytest.approx(allowed, abs=0.02)
    assert np.abs(s.s[s.s < 1]).max() < 1e-3
    # All of a bin's vectors: 4 of 8 (111) in the half space, each N high.
    at = int(np.argmin(np.abs(s.q_1_A - allowed[0])))
    assert s.s[at] * s.n_vectors[at] == pytest.approx(4 * len(crystal), rel=1e-4)
    copper = found[XRAY]
    strength = scattering_strengths(XRAY, ["Cu"], copper.q_1_A)[0]
    assert copper.intensity[at] == pytest.approx(strength[at] ** 2 * s.s[at], rel=1e-4)


def test_pairs_at_one_distance_scatter_as_debye_says(tmp_path):
    """Dilute dimers in random directions: S_AB has the term sin(qr)/(qr) of each partner."""
    rng = np.random.default_rng(3)
    frames = []
    for _ in range(240):
        first = rng.random((30, 3)) * 14
        arm = rng.normal(size=(30, 3))
        arm *= 2.0 / np.linalg.norm(arm, axis=1)[:, None]
        frames.append(Atoms("Li30O30", np.concatenate([first, first + arm]), cell=[14] * 3, pbc=True))
    found = by_pair(structure_factors(written(tmp_path, frames), q_max_1_A=5, width_1_A=0.25))
    one = found["Li-O"]
    debye = 1 + np.sinc(one.q_1_A * 2.0 / np.pi) * 30 / 60 / (0.5 * 0.5)
    off = (one.s - debye) / one.s_stderr
    assert np.sqrt(np.mean(off**2)) < 2
    assert np.abs(one.s - 1).max() > 0.3
    lithium, oxygen = scattering_strengths(NEUTRON, ["Li", "O"], one.q_1_A)
    total = (lithium**2 + oxygen**2) / 2 + lithium * oxygen * np.sinc(one.q_1_A * 2.0 / np.pi)
    # NIST: -1.90 and 5.803 fm.
    assert (lithium[0], oxygen[0]) == (pytest.approx(-1.9, abs=0.05), pytest.approx(5.803, abs=0.01))
    off = (found[NEUTRON].intensity - 0.01 * total) / found[NEUTRON].intensity_stderr
    assert np.sqrt(np.mean(off**2)) < 2


def test_structure_factors_are_those_of_freud():
    """freud averages over the octant of positive wave vectors: the same are taken here."""
    import freud

    crystal = bulk("Cu", "fcc", a=4.0, cubic=True) * (3, 3, 3)
    crystal.positions += np.random.default_rng(4).normal(0, 0.25, crystal.positions.shape)
    crystal.wrap()
    theirs = freud.diffraction.StaticStructureFactorDirect(bins=12, k_max=6.0, k_min=0.0)
    theirs.compute((freud.box.Box.cube(12.0), crystal.positions - 6.0))
    indices, bins = wave_vectors(np.eye(3) * 12, 6.0, 0.5, 10**6, np.random.default_rng(0))
    indices = np.concatenate([indices, -indices])
    octant = (indices >= 0).all(axis=1)
    intensity = np.abs(amplitudes(crystal.get_scaled_positions(), indices)) ** 2 / len(crystal)
    ours = [intensity[octant & (np.tile(bins, 2) == number)].mean() for number in range(1, 12)]
    assert ours == pytest.approx(np.asarray(theirs.S_k)[1:], rel=1e-3, abs=1e-4)


def test_partial_structure_factors_are_those_of_dynasor(tmp_path):
    dynasor = pytest.importorskip("dynasor", reason="dynasor is not installed (pip install dynasor)")
    rng = np.random.default_rng(8)
    crystal = bulk("NaCl", "rocksalt", a=5.6, cubic=True) * (2, 2, 2)
    frames = []
    for _ in range(4):
        frames.append(crystal.copy())
        frames[-1].positions += rng.normal(0, 0.3, crystal.positions.shape)
    opened = written(tmp_path, frames)
    ours = by_pair(structure_factors(opened, q_max_1_A=5, width_1_A=0.5, per_bin=10**6))
    vectors = dynasor.get_spherical_qpoints(np.asarray(crystal.cell), q_max=5.0)
    vectors = vectors[np.linalg.norm(vectors, axis=1) > 1e-9]
    kinds = {name: np.flatnonzero(np.array(crystal.get_chemical_symbols()) == name).tolist() for name in ("Cl", "Na")}
    run = dynasor.Trajectory(
        str(tmp_path / "frames.extxyz"), trajectory_format="extxyz", atomic_indices=kinds, length_unit="Angstrom",
        time_unit="fs",
    )  # fmt: skip
    theirs = dynasor.compute_static_structure_factors(run, vectors)
    bins = (np.linalg.norm(vectors, axis=1) / 0.5).astype(int)
    for pair, own in (("Cl-Na", 0.0), ("Na-Na", 0.5)):
        mean = np.asarray(theirs[f"Sq_{pair.replace('-', '_')}"]).ravel()
        # Both orders of an unlike pair are added up there.
        both = 1 if own else 2
        expected = [1 + (mean[bins == number].mean() / both - own) / 0.25 for number in np.unique(bins)]
        assert ours[pair].s == pytest.approx(expected, rel=1e-3, abs=2e-3)


def test_hydrogen_and_deuterium_scatter_neutrons_with_opposite_signs():
    light, heavy = (
        scattering_strengths(NEUTRON, ["H"], np.zeros(1), deuterated=heavy)[0, 0] for heavy in (False, True)
    )
    # NIST: -3.739 and 6.671 fm.
    assert (light, heavy) == (pytest.approx(-3.74, abs=0.01), pytest.approx(6.67, abs=0.01))
    electrons = scattering_strengths(XRAY, ["H", "O"], np.zeros(1))[:, 0]
    assert electrons == pytest.approx([1, 8], abs=0.01)


def test_a_box_without_a_wave_vector_so_short_is_refused_with_the_shortest(tmp_path):
    write(tmp_path / "x.extxyz", Atoms("Ar2", [[0, 0, 0], [3, 0, 0]], cell=[12] * 3, pbc=True))
    with pytest.raises(TrajectoryError, match=r"no wave vector of this box is shorter than 0\.5 1/Å; .* beyond 0\.52"):
        structure_factors(open_trajectory(tmp_path / "x.extxyz"), q_max_1_A=0.5)


def test_a_droplet_has_none(tmp_path):
    with pytest.raises(TrajectoryError, match="a droplet has no structure factor"):
        structure_factors(written(tmp_path, [Atoms("Li2", [[0, 0, 0], [3, 0, 0]])]))
