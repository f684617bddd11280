"""The energy cycle: signs, sums and the refusal of mixed levels."""

import math

import numpy as np
import pytest
from ase import Atoms

from solvation.clusters.ensembles import (
    Structure,
    boltzmann,
    lowest_at,
    lowest_first,
    populations,
    read_structures,
    write_structures,
)
from solvation.clusters.shell import Shell
from solvation.energies import binding as energy
from solvation.energies.binding import DEFINITIONS, Binding, Reference
from solvation.errors import ResultsError
from solvation.species import build_molecule
from solvation.study import Level, Species

GFN2, GFN1 = Level.model_validate("gfn2"), Level.model_validate("gfn1")


def binding(**changes: object) -> Binding:
    parts = {
        "structure": "s01", "level": GFN2, "geometry_level": GFN2, "complex_eV": -100.0, "ion_eV": -10.0,
        "ion_frozen_eV": -10.0, "shell_eV": -85.5, "ligands_frozen_eV": (-43.0, -42.8),
        "ligands_relaxed_eV": (-43.1, -43.1),
    }  # fmt: skip
    return Binding(**{**parts, **changes})


def test_the_three_definitions_by_hand():
    found = binding()
    assert found.energy_eV("relaxed") == pytest.approx(-100 + 10 + 86.2)
    assert found.energy_eV("frozen_ligands") == pytest.approx(-100 + 10 + 85.8)
    assert found.energy_eV("frozen_shell") == pytest.approx(-100 + 10 + 85.5)


def test_deformation_and_ligand_repulsion_link_the_definitions():
    found = binding()
    assert found.deformation_eV == pytest.approx(0.4)
    assert found.ligand_ligand_eV == pytest.approx(0.3)
    relaxed, frozen, shell = (found.energy_eV(definition) for definition in DEFINITIONS)
    assert relaxed == pytest.approx(frozen + found.deformation_eV)
    assert frozen == pytest.approx(shell + found.ligand_ligand_eV)


def test_the_difference_of_two_clusters_does_not_know_the_ion():
    for ion in (-10.0, 0.0, 123.0):
        one = binding(ion_eV=ion, ion_frozen_eV=ion)
        other = binding(ion_eV=ion, ion_frozen_eV=ion, complex_eV=-101.0)
        assert other.energy_eV("relaxed") - one.energy_eV("relaxed") == pytest.approx(-1.0)


def test_an_ion_of_several_atoms_bends_as_ligands_do():
    found = binding(ion_frozen_eV=-9.7)
    assert found.ion_deformation_eV == pytest.approx(0.3)
    assert found.deformation_eV == pytest.approx(0.7)
    relaxed, frozen, shell = (found.energy_eV(definition) for definition in DEFINITIONS)
    assert relaxed == pytest.approx(-100 + 10 + 86.2)
    assert relaxed == pytest.approx(frozen + found.deformation_eV)
    assert frozen == pytest.approx(shell + found.ligand_ligand_eV)
    assert binding(ion_frozen_eV=-10.2).doubt.startswith("a free ion lies 0.20 eV above the shape")


def test_energies_survive_their_file():
    assert energy.binding_from_json(energy.binding_to_json(binding())) == binding()
    before = energy.binding_to_json(binding())
    del before["ion_frozen_eV"]  # records of bare ions that were made before
    assert energy.binding_from_json(before) == binding()
    free = Reference("EC", GFN2, GFN1, (GFN1,), -1.5, "c01")
    assert energy.reference_from_json(energy.reference_to_json(free)) == free


@pytest.mark.parametrize(("level", "geometries"), [(GFN1, (GFN2,)), (GFN2, (GFN1,)), (GFN2, (GFN1, GFN2))])
def test_energies_of_different_levels_are_not_subtracted(level, geometries):
    li, water = (build_molecule(name, Species(smiles=text)) for name, text in (("Li+", "[Li+]"), ("W", "O")))
    shell = Shell((li, water))
    atoms = shell.atoms(np.array([[0, 0, 0], [1.85, 0, 0], [2.4, 0.76, 0], [2.4, -0.76, 0]], dtype=float))
    structure = Structure("s01", atoms, 0.0, 0.0, GFN2)
    good = Reference("Li+", GFN2, GFN2, (GFN2,), 0.0, "c01")
    bad = Reference("W", level, geometries[0], geometries, 0.0, "c01")
    with pytest.raises(ResultsError, match="are not subtracted"):
        energy.bind(structure, shell, {"Li+": good, "W": bad}, GFN2, [GFN2])
    with pytest.raises(ResultsError, match="no reference energy of W"):
        energy.bind(structure, shell, {"Li+": good}, GFN2, [GFN2])


def test_populations_of_two_states_kT_apart():
    temperature = 300.0
    shares = populations([0.0, 8.617333e-5 * temperature], temperature)
    assert shares[0] / shares[1] == pytest.approx(math.e, rel=1e-5)
    assert shares.sum() == pytest.approx(1)


def test_the_judge_orders_before_the_sampler(tmp_path):
    def structure(name: str, geometry_eV: float, rank_eV: float | None) -> Structure:
        return Structure(name, Atoms("Li"), geometry_eV, 0.01, GFN1, "EC:1", rank_eV)

    found = lowest_first([structure("a", -5, None), structure("b", -4, -7.0), structure("c", -3, -8.0)])
    assert [item.name for item in found] == ["c", "b", "a"]
    write_structures(tmp_path / "e.extxyz", found)
    again = read_structures(tmp_path / "e.extxyz")
    assert [(item.name, item.rank_eV, item.geometry_eV) for item in again] == [
        ("c", -8.0, -3.0), ("b", -7.0, -4.0), ("a", None, -5.0),
    ]  # fmt: skip
    with pytest.raises(ResultsError, match="is missing"):
        read_structures(tmp_path / "none.extxyz")


def test_a_level_that_searched_has_its_own_structure_and_no_saddle():
    def structure(name: str, level: Level, geometry_eV: float, note: str = "") -> Structure:
        return Structure(name, Atoms("Li"), geometry_eV, 0.01, level, note=note)

    judged = [structure("a", GFN1, -3.0), structure("b", GFN2, -9.0, "no minimum"), structure("c", GFN2, -8.0)]
    assert lowest_at(GFN2, judged).name == "c"
    assert lowest_at(GFN1, judged).name == "a"
    assert lowest_at(Level.model_validate("pbe-d4/def2-svp"), judged).name == "a"  # the judge's lowest stands first


def test_an_ensemble_of_two_by_hand():
    from ase.units import kB

    gap = kB * 300 * math.log(3)  # the upper one has a quarter of the population
    mean, spread = boltzmann([-5.0 + gap, -5.0], 300)
    assert mean == pytest.approx(gap / 4)
    assert spread == pytest.approx(gap * math.sqrt(3) / 4)
    assert boltzmann([-5.0], 300) == (0.0, 0.0)
    assert boltzmann([-5.0, -5.0 + 10.0], 300) == pytest.approx((0.0, 0.0), abs=1e-12)
    # The minimum that an energy is of may lie above a shoulder: the mean is then below it.
    assert boltzmann([-100.0, -99.0], 300, -99.9)[0] == pytest.approx(-0.1)


def test_a_free_ligand_above_its_own_shape_in_the_complex_is_told():
    assert binding(ligands_frozen_eV=(-10.0, -20.3), ligands_relaxed_eV=(-10.1, -20.0)).doubt.startswith(
        "a free ligand lies 0.30 eV above the shape that it has in the complex: it is not its lowest"
    )
    assert binding(ligands_frozen_eV=(-10.0, -20.05), ligands_relaxed_eV=(-10.1, -20.0)).doubt == ""
