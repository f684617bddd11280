"""Ions that are no bare cations: anions, which hydrogens hold, and ions of several atoms, which bend."""

import math

import numpy as np
import pytest
from ase import Atoms

from solvation.clusters.checks import bound_donors, broken_or_formed, contacts, fault
from solvation.clusters.placement import ForceField, random_start
from solvation.clusters.shell import build_shell
from solvation.energies.query import Wanted, bind_composition
from solvation.engines import energy_eV
from solvation.species import build_molecule, embed_conformers
from solvation.study import Level, Sampling, Species, Thermochemistry

pytestmark = pytest.mark.engine
GFN2 = Level.model_validate("gfn2")
SMALL = Sampling(searches=1, conformers=5, starts=16, relaxed=4, ranked=2, rounds=2)
KINDS = {
    "NH4+": Species(smiles="[NH4+]"), "W": Species(smiles="O"), "Cl-": Species(library="Cl-"),
    "EC": Species(library="EC"), "PF6-": Species(library="PF6-"), "TFSI-": Species(library="TFSI-"),
    "B": Species(smiles="FB(F)F"),
}  # fmt: skip


def answer(composition, level=GFN2, wanted=None):
    return bind_composition(
        composition, {name: KINDS[name] for name in composition}, level, sampling=SMALL, seed=1,
        wanted=wanted or Wanted(),
    )  # fmt: skip


def test_each_hydrogen_of_ammonium_holds_a_water():
    found = answer({"NH4+": 1, "W": 4})
    assert [one.kind for one in found.contacts] == ["water O"] * 4
    atoms = found.structure.atoms
    oxygens = [index for index, symbol in enumerate(atoms.symbols) if symbol == "O"]
    nearest = {int(np.argmin(atoms.get_distances(one, range(1, 5)))) for one in oxygens}
    assert nearest == {0, 1, 2, 3}
    assert all(1.5 < one.distance_A < 2.0 for one in found.contacts)


def test_waters_that_hold_chloride_hold_each_other_in_a_ring():
    """Cl-(H2O)3 is a pyramid: each water gives one hydrogen to Cl-, the other to the next water."""
    found = answer({"Cl-": 1, "W": 3})
    assert found.structure.denticity == "W:1 W:1 W:1"
    assert [one.kind for one in found.contacts] == ["O-H"] * 3
    assert found.binding.ligand_ligand_eV < -0.2
    assert found.binding.ion_deformation_eV == 0


def test_the_definitions_are_linked_where_the_ion_bends_as_well():
    found = answer({"PF6-": 1, "EC": 1}, wanted=Wanted(motion=Thermochemistry()))
    binding, structure = found.binding, found.structure
    ion = structure.atoms[:7]
    assert "".join(ion.symbols) == "FPFFFFF"
    assert binding.ion_frozen_eV == pytest.approx(energy_eV(ion, GFN2, charge=-1), abs=1e-6)
    assert 0 < binding.ion_deformation_eV < 0.1
    relaxed, frozen, shell = (binding.energy_eV(one) for one in ("relaxed", "frozen_ligands", "frozen_shell"))
    assert relaxed == pytest.approx(frozen + binding.deformation_eV, abs=1e-9)
    assert frozen == pytest.approx(shell, abs=1e-9)  # one ligand is the whole shell
    assert {one.kind for one in found.contacts} == {"C-H"}
    motion = found.thermochemistry
    assert {one.name: len(one.wavenumbers_cm) for one in motion.free} == {"PF6-": 15, "EC": 24}
    assert len(motion.complex.wavenumbers_cm) == 15 + 24 + 6
    assert motion.gibbs_eV("grimme") > 0.2


def test_counterpoise_corrects_the_ion_as_it_stands_in_the_complex():
    level = Level.model_validate("pbe/sto-3g")
    found = answer({"NH4+": 1, "W": 1}, level, Wanted(counterpoise=True))
    atoms, shell = found.structure.atoms, found.counterpoise
    assert shell.own_ion_eV == found.binding.ion_frozen_eV
    assert shell.own_ion_eV == pytest.approx(energy_eV(atoms[:5], level, charge=1), abs=1e-4)
    assert shell.correction_eV > 0
    assert found.binding.ion_deformation_eV > 0.001


@pytest.mark.parametrize("composition", [{"PF6-": 1, "EC": 3}, {"TFSI-": 1, "W": 2}, {"NH4+": 1, "EC": 2}])
def test_random_starts_touch_the_ion_and_break_nothing(composition):
    molecules = {name: build_molecule(name, KINDS[name]) for name in composition}
    shell = build_shell(composition, molecules)
    field = ForceField(shell)
    octahedron = Atoms("FPF5", 1.6 * np.array(
        [[1, 0, 0], [0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]]))  # fmt: skip
    free = [[octahedron.positions] if one.name == "PF6-" else embed_conformers(one, 3, 1) for one in shell.molecules]
    rng = np.random.default_rng(1)
    starts = [
        random_start(shell, field, free, [None] * len(free), rng, fully=fully) for fully in (True, False) for _ in "abc"
    ]
    whole = [one.positions_A for one in starts if broken_or_formed(shell, one.positions_A) is None]
    assert len(whole) >= 5
    assert field.has_minima == ("PF6-" not in composition)  # UFF has no charges
    touching = [sum(map(bool, bound_donors(shell, positions_A).values())) for positions_A in whole]
    assert np.mean(touching) > len(free) - 2  # a ligand may have left, most have not


def test_a_ligand_that_bonds_to_the_ion_is_another_molecule():
    shell = build_shell({"PF6-": 1, "B": 1}, {name: build_molecule(name, KINDS[name]) for name in ("PF6-", "B")})
    octahedron = 1.6 * np.array([[1, 0, 0], [0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]])
    turned = [[math.cos(angle), math.sin(angle)] for angle in (0, 2.0944, 4.1888)]
    flat = [[0.0, 1.31 * one, 1.31 * other] for one, other in turned]

    def at(distance_A):
        boron = [1.6 + distance_A, 0, 0]
        return np.vstack([octahedron, flat[0] + np.array(boron), [boron], np.array(flat[1:]) + boron])

    assert shell.molecules[1].symbols == ["F", "B", "F", "F"]
    assert [one.kind for one in contacts(shell, at(2.4))] == ["B"]
    assert fault(shell, at(2.4), {}) is None
    assert "of two molecules are 1.50 Å apart" in fault(shell, at(1.5), {})
    assert fault(shell, at(6.0), {}) == "B 1 is outside the first shell"
