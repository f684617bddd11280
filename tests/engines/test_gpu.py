"""The graphics card gives what the processor gives; without one the level is refused in one line."""

import os
import subprocess
import sys

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.units import Bohr, Hartree

from solvation.engines import ENGINES, check_level, energy_forces, energy_with_ghosts_eV
from solvation.errors import EngineFailed, EngineMissing
from solvation.species import build_molecule
from solvation.study import ClassicalDynamics, Level, Species

MISSING = ENGINES["gpu4pyscf"].missing()
gpu = [pytest.mark.gpu, pytest.mark.skipif(MISSING is not None, reason=str(MISSING))]


@pytest.fixture(scope="module")
def salt():
    """Forty ions in a box, on OpenMM's CUDA platform: settings, packed system, forces, place."""
    pytest.importorskip("openmm")
    from solvation.dynamics import classical
    from solvation.liquids.forcefield import parametrise
    from solvation.liquids.openmm_system import build_system
    from solvation.liquids.packing import pack

    settings = ClassicalDynamics.model_validate(
        {"forcefield": "gaff2", "composition": {"Li+": 20, "PF6-": 20}, "cutoff_A": 7.0, "density_g_cm3": 1.0,
         "length_ps": 40.0, "npt_ps": 2.0, "nvt_ps": 1.0, "save_every_fs": 40.0, "segments": 1}
    )  # fmt: skip
    try:
        place = classical.working("CUDA")
    except EngineFailed as problem:
        pytest.skip(str(problem))
    molecules = {name: build_molecule(name, Species(library=name)) for name in settings.composition}
    terms = {
        name: parametrise(one, level=Level.model_validate("hf/6-31g*"), conformers=1, seed=1)
        for name, one in molecules.items()
    }
    rng = np.random.default_rng(3)
    system = pack(molecules, settings.composition, shape="box", density_g_cm3=1.0, rng=rng)
    forces = build_system(system, terms, cutoff_A=7.0, charge_scale=0.8)
    return settings, classical.first_state(system, settings, rng), forces, place


def held() -> Atoms:
    """Li+ beside water."""
    return Atoms("Li", [(0.0, 0.0, 2.0)]) + molecule("H2O")


def levels(text: str) -> tuple[Level, Level]:
    return Level.model_validate(f"gpu4pyscf:{text}"), Level.model_validate(text)


@pytest.mark.parametrize("text", ["pbe-d4/def2-svp", "pbe0-d3bj/def2-svp", "r2scan/def2-svp", "pbe/def2-svp@cpcm=40"])
class TestCard:
    pytestmark = gpu

    def test_energies_and_gradients_are_those_of_the_processor(self, text):
        (energy, forces), (expected, slope) = (energy_forces(held(), level, charge=1) for level in levels(text))
        assert energy / Hartree == pytest.approx(expected / Hartree, abs=1e-6)
        assert forces == pytest.approx(slope, abs=1e-5 * Hartree / Bohr)


@pytest.mark.gpu
@pytest.mark.skipif(MISSING is not None, reason=str(MISSING))
def test_ghosts_are_seen_by_the_card():
    ghost = np.array([True, False, False, False])
    found, expected = (energy_with_ghosts_eV(held(), ghost, level, charge=0) for level in levels("pbe-d4/def2-svp"))
    assert found[0] / Hartree == pytest.approx(expected[0] / Hartree, abs=1e-6)
    assert found[1] == expected[1]


@pytest.mark.gpu
@pytest.mark.skipif(MISSING is not None, reason=str(MISSING))
def test_an_open_shell_and_a_composite_run_on_the_card():
    for text, charge, multiplicity in (("pbe/def2-svp", 1, 2), ("r2scan-3c", 0, 1)):
        water = molecule("H2O")
        state = {"charge": charge, "multiplicity": multiplicity}
        (energy, forces), (expected, slope) = (energy_forces(water, level, **state) for level in levels(text))
        assert energy / Hartree == pytest.approx(expected / Hartree, abs=1e-6)
        # Both are converged to 1e-6 Eh by paths of their own; the forces of the radical show it (1.7e-5 on an H100).
        assert forces == pytest.approx(slope, abs=3e-5 * Hartree / Bohr)


@pytest.mark.skipif(MISSING is None, reason="there is a graphics card")
def test_without_a_card_or_its_package_the_level_is_refused_in_one_line():
    with pytest.raises(EngineMissing, match="without 'gpu4pyscf:'") as refused:
        check_level(Level.model_validate("gpu4pyscf:pbe-d4/def2-svp"))
    assert "\n" not in str(refused.value)
    command = [sys.executable, "-m", "solvation", "bind", "Li+", "O", "--level", "gpu4pyscf:pbe-d4/def2-svp"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1


def test_what_the_card_cannot_do_is_refused_with_the_level():
    for text in ("gpu4pyscf:mp2/def2-svp", "gpu4pyscf:gfn2"):
        with pytest.raises(ValueError, match="runs on"):
            Level.model_validate(text)


@pytest.mark.gpu
def test_a_block_of_a_liquid_on_the_card_repeats_bit_for_bit(salt):
    from solvation.dynamics.classical import Mover
    from solvation.dynamics.equilibration import at_temperature, minimised

    settings, first, forces, place = salt
    start = at_temperature(minimised(first, forces, place, None), settings)
    ends = [Mover(forces, place)(start, settings, 400, 40) for _ in range(2)]
    assert ends[0].state.positions_A.tobytes() == ends[1].state.positions_A.tobytes()
    assert ends[0].state.momenta.tobytes() == ends[1].state.momenta.tobytes()
    again = [Mover(forces, place)(end.state, settings, 400, 40) for end in ends]
    assert again[0].frames_A.tobytes() == again[1].frames_A.tobytes()


@pytest.mark.gpu
def test_classical_energies_and_forces_of_the_card_are_those_of_the_processor(salt):
    import openmm
    from openmm import unit

    from solvation.dynamics.classical import Place
    from solvation.dynamics.equilibration import minimised

    _, first, forces, place = salt
    state = minimised(first, forces, Place("CPU", {"Threads": "1"}), None)
    found = []
    for one in (place, Place("Reference", {})):
        context = one.context(forces, openmm.VerletIntegrator(0.001))
        context.setPeriodicBoxVectors(*np.diag(state.cell_A / 10).tolist())
        context.setPositions(state.positions_A / 10)
        now = context.getState(energy=True, forces=True)
        found.append(
            (
                now.getPotentialEnergy()._value,
                np.array(now.getForces(asNumpy=True) / unit.kilojoule_per_mole * unit.nanometer),
            )
        )
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    assert np.abs(found[0][1] - found[1][1]).max() < 1e-3 * np.abs(found[1][1]).max()
