"""What tight binding is worth for the order of donors, against the level that the order is told at."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.io import read

from solvation.engines import energy_eV, energy_forces
from solvation.library import library
from solvation.study import Level

pytestmark = pytest.mark.engine
GFN2, JUDGE = Level.model_validate("gfn2"), Level.model_validate("r2scan-3c")


def interaction_eV(name, level):
    """Li+ at 1.75 Å from O, on the line through the atom that O is bonded to; everything frozen."""
    ligand = read(library()[name].path)
    # C, S or C, C, O in both SMILES.
    behind, donor = ligand.positions[1], ligand.positions[3]
    away = donor - behind
    ion = Atoms("Li", [donor + 1.75 * away / np.linalg.norm(away)])
    whole = energy_eV(ion + ligand, level, charge=1)
    return whole - energy_eV(ion, level, charge=1) - energy_eV(ligand, level, charge=0)


def test_o_of_s_o_holds_li_too_strongly_and_more_so_than_o_of_c_o():
    error_eV = {name: interaction_eV(name, GFN2) - interaction_eV(name, JUDGE) for name in ("DMSO", "acetone")}
    assert -0.7 < error_eV["acetone"] < -0.3
    assert error_eV["DMSO"] < error_eV["acetone"] - 0.1


def test_a_bare_ion_in_a_continuum_feels_its_permittivity_alone():
    """No electrons, no neighbours: Born's charge in its cavity, (1/eps - 1) q^2 / 2R."""
    alone = Atoms("Li")
    gas, thin, thick = (
        energy_eV(alone, Level.model_validate(level), charge=1) for level in ("gfn2", "gfn2@gbe=2", "gfn2@gbe=ec")
    )

    assert (thick - gas) / (thin - gas) == pytest.approx((1 / 89.6 - 1) / (1 / 2.0 - 1), rel=1e-6)
    # Li+ in acetonitrile, -4.9 eV; a cavity alone is no better than this.
    assert -5.5 < thick - gas < -4.0


def test_the_forces_in_a_continuum_are_those_of_its_energy():
    level = Level.model_validate("gfn1@gbe=40")
    pair = molecule("H2O") + Atoms("Li", [[0.3, 0.1, 2.0]])
    _, forces = energy_forces(pair, level, charge=1)
    moved = []
    for step in (1e-3, -1e-3):
        there = pair.copy()
        there.positions[3, 2] += step
        moved.append(energy_eV(there, level, charge=1))
    assert forces[3, 2] == pytest.approx(-(moved[0] - moved[1]) / 2e-3, abs=1e-3)


@pytest.mark.parametrize("level", ["gfn2@gbe=wet", "gfn2@gbe=0.5", "xtb:gfn2@gbe=40"])
def test_a_continuum_needs_a_permittivity_and_an_engine_that_takes_one(level):
    with pytest.raises(ValueError, match="takes"):
        Level.model_validate(level)
