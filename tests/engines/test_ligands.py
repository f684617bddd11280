"""Free conformers, searched by a real engine: what they are, and what one search of them errs by."""

import numpy as np
import pytest
from ase import Atoms

from solvation.clusters.ligands import free_error_eV, promising, search_conformers
from solvation.energies.query import bind_composition
from solvation.engines import energy_eV
from solvation.errors import EngineFailed
from solvation.species import build_molecule, embed_conformers
from solvation.study import Level, Sampling, Species

pytestmark = pytest.mark.engine
GFN1, GFN2 = (Level.model_validate(text) for text in ("gfn1", "gfn2"))
FEW = Sampling(searches=2, conformers=4, starts=4, relaxed=2, ranked=1, rounds=2)
CHAIN = "COCCOCCOC"


def conformers(smiles, settings=FEW, levels=(GFN2,), geometry=None):
    return search_conformers(build_molecule("X", Species(smiles=smiles)), settings, levels, geometry, 1)


def test_a_rigid_molecule_is_searched_once_and_has_no_error():
    once = conformers("O=C1OCCO1", FEW.model_copy(update={"searches": 1}))
    found = conformers("O=C1OCCO1")
    assert [item.searches for item in found] == [()] * len(found)
    assert [item.geometry_eV for item in found] == [item.geometry_eV for item in once]
    assert free_error_eV(GFN2, found) == 0


def test_a_flexible_molecule_is_searched_several_times_and_they_tell_their_error():
    found = conformers(CHAIN)
    lowest = [min(item.geometry_eV for item in found if number in item.searches) for number in (1, 2)]
    assert free_error_eV(GFN2, found) == pytest.approx(np.std(lowest, ddof=1))


def test_a_ring_may_be_flexible_without_a_bond_that_turns():
    """1,4-dioxane in a chair and in twisted boats."""
    found = conformers("C1COCCO1", FEW.model_copy(update={"conformers": 20}))
    assert {number for item in found for number in item.searches} == {1, 2}


def test_the_search_level_chooses_what_it_relaxes_not_the_force_field():
    molecule = build_molecule("G", Species(smiles=CHAIN))
    places = embed_conformers(molecule, 20, 1)
    energies = [energy_eV(Atoms(molecule.symbols, one), GFN2, charge=0) for one in places]
    lowest = int(np.argmin(energies))
    assert lowest != 0
    assert promising(molecule, places, 1, GFN2)[0] is places[lowest]


def test_a_failure_of_the_level_leaves_the_other_conformers_out_of_it():
    molecule = build_molecule("G", Species(smiles=CHAIN))
    places = embed_conformers(molecule, 4, 1)
    broken = np.zeros_like(places[0])
    assert len(promising(molecule, [broken, *places], 4, GFN2)) == 4
    with pytest.raises(EngineFailed):
        promising(molecule, [broken, broken], 1, GFN2)


def test_turning_bonds_never_ends_higher():
    plain = conformers(CHAIN, FEW.model_copy(update={"searches": 1, "rounds": 0}))
    more = conformers(CHAIN, FEW.model_copy(update={"searches": 1, "rounds": 3}))
    assert more[0].geometry_eV < plain[0].geometry_eV + 0.005


def test_the_searches_are_known_where_a_geometry_level_relaxes_again():
    found = conformers(CHAIN, levels=(GFN1,), geometry=GFN2)
    assert {item.geometry_level for item in found} == {GFN2}
    assert {number for item in found for number in item.searches} == {1, 2}


def test_the_error_of_each_copy_of_a_free_ligand_goes_into_the_binding_energy():
    kinds = {"Li+": Species(smiles="[Li+]"), "G": Species(smiles=CHAIN)}
    free = {}
    answer = bind_composition({"Li+": 1, "G": 2}, kinds, GFN2, sampling=FEW, seed=1, free=free)
    lowest = [min(item.geometry_eV for item in answer.funnel.kept if number in item.searches) for number in (1, 2)]
    whole = np.std(lowest, ddof=1)
    assert answer.search_stderr_eV == pytest.approx(np.hypot(whole, 2 * free_error_eV(GFN2, free["G"].conformers)))
