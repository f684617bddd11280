"""What tight binding is worth for the order of donors, against the level that the order is told at."""

import numpy as np
import pytest
from ase import Atoms
from ase.io import read

from solvation.engines import energy_eV
from solvation.library import library
from solvation.study import Level

pytestmark = pytest.mark.engine
GFN2, JUDGE = Level.model_validate("gfn2"), Level.model_validate("r2scan-3c")


def interaction_eV(name, level):
    """Li+ at 1.75 Å from O, on the line through the atom that O is bonded to; everything frozen."""
    molecule = read(library()[name].path)
    # C, S or C, C, O in both SMILES.
    behind, donor = molecule.positions[1], molecule.positions[3]
    away = donor - behind
    ion = Atoms("Li", [donor + 1.75 * away / np.linalg.norm(away)])
    whole = energy_eV(ion + molecule, level, charge=1)
    return whole - energy_eV(ion, level, charge=1) - energy_eV(molecule, level, charge=0)


def test_o_of_s_o_holds_li_too_strongly_and_more_so_than_o_of_c_o():
    error_eV = {name: interaction_eV(name, GFN2) - interaction_eV(name, JUDGE) for name in ("DMSO", "acetone")}
    assert -0.7 < error_eV["acetone"] < -0.3
    assert error_eV["DMSO"] < error_eV["acetone"] - 0.1
