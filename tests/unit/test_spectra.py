"""C=O stretches: exact modes of made-up molecules, and bands of real ones."""

import math

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from solvation.energies.spectra import Stretch, band_cm, carbonyl_bonds, stretches
from solvation.energies.vibrations import Vibrations, infrared_intensities, normal_modes, vibrations
from solvation.species import build_molecule
from solvation.study import Level, Species

GFN2 = Level.model_validate("gfn2")


def diatomic(force_eV_A2: float) -> tuple[Atoms, Vibrations]:
    atoms = Atoms("CO", [[0, 0, 0], [0, 0, 1.2]])
    hessian = np.zeros((6, 6))
    hessian[np.ix_([2, 5], [2, 5])] = force_eV_A2 * np.array([[1, -1], [-1, 1]])
    wavenumbers, modes = normal_modes(atoms, hessian)
    return atoms, Vibrations(GFN2, atoms.positions, 0.0, wavenumbers, 0, modes, np.array([7.0]))


def test_the_only_mode_of_a_diatomic_is_all_stretch_and_has_the_textbook_wavenumber():
    atoms, modes = diatomic(100.0)
    (found,) = stretches(modes, atoms.get_masses(), [(0, 1)])
    reduced = 12.011 * 15.999 / (12.011 + 15.999) * 1.66053907e-27
    assert found.wavenumber_cm == pytest.approx(
        math.sqrt(100.0 * 16.0217663 / reduced) / (2 * math.pi * 2.99792458e10), rel=1e-5
    )
    assert found.share == pytest.approx(1)
    assert found.intensity_km_mol == 7.0


def test_intensity_of_a_diatomic_by_hand():
    # d(mu)/dr of 1 D/Å at reduced mass 1 u is 42.256 km/mol.
    from ase.units import Debye

    displacement = np.array([[[0, 0, 0.5], [0, 0, -0.5]]])
    slopes = np.zeros((6, 3))
    slopes[2, 2], slopes[5, 2] = Debye, -Debye
    assert infrared_intensities(displacement, slopes) == pytest.approx([42.256], abs=1e-3)


def test_bonds_of_copies_are_numbered_through():
    ion = build_molecule("Li+", Species(smiles="[Li+]"))
    ester, amine = build_molecule("E", Species(smiles="CC(=O)OC")), build_molecule("A", Species(smiles="N"))
    own = carbonyl_bonds([ester])
    assert [(ester.symbols[c], ester.symbols[o]) for c, o in own] == [("C", "O")]
    size = ester.graph.GetNumAtoms()
    assert carbonyl_bonds([ion, ester, amine, ester]) == [
        (own[0][0] + shift, own[0][1] + shift) for shift in (1, size + 5)
    ]


def test_a_band_is_weighted_by_intensity():
    strong, weak = Stretch(1700.0, 300.0, 0.9), Stretch(1800.0, 100.0, 0.9)
    assert band_cm([strong, weak]) == pytest.approx(1725)
    assert math.isnan(band_cm([]))
    unknown = [Stretch(1700.0, math.nan, 0.9), Stretch(1800.0, math.nan, 0.9)]
    assert band_cm(unknown) == pytest.approx(1750)


@pytest.mark.engine
def test_formaldehyde_has_one_strong_stretch_near_the_measured_one():
    atoms = molecule("H2CO")
    modes = vibrations(atoms, GFN2, charge=0)
    bond = [(atoms.symbols.indices()["C"][0], atoms.symbols.indices()["O"][0])]
    (found,) = stretches(modes, atoms.get_masses(), bond)
    assert found.wavenumber_cm == pytest.approx(1746, abs=90)  # gas phase, fundamental; harmonic GFN2
    assert found.intensity_km_mol > 30
