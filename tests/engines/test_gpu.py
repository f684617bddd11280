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
from solvation.errors import EngineMissing
from solvation.study import Level

MISSING = ENGINES["gpu4pyscf"].missing()
gpu = [pytest.mark.gpu, pytest.mark.skipif(MISSING is not None, reason=str(MISSING))]


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
        assert forces == pytest.approx(slope, abs=1e-5 * Hartree / Bohr)


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
