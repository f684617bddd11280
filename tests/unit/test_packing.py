"""Packing: nothing lost, nothing too close, the density asked for, and names an analysis can select by."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from solvation.errors import EngineFailed, EngineMissing
from solvation.liquids.packing import atom_names, pack, residue_names, selections, settled, write_topology
from solvation.species import build_molecule
from solvation.study import Species

SMILES = {
    "Li+": "[Li+]",
    "EC": "O=C1OCCO1",
    "TDA": "CN(C)CCCN(CCCN(C)C)CCCN(C)C",
    "PF6-": "F[P-](F)(F)(F)(F)F",
    "rod": "C#CC#CC#CC#C",
}
MOLECULES = {name: build_molecule(name, Species(smiles=smiles)) for name, smiles in SMILES.items()}
DROPLET = {"Li+": 1, "EC": 6, "TDA": 1}
BOX = {"Li+": 2, "EC": 12, "PF6-": 1}
GRAM_PER_U = 1 / 6.02214076e23


def packed(composition, shape, seed=3, density_g_cm3=1.2):
    rng = np.random.default_rng(seed)
    return pack(MOLECULES, composition, shape=shape, density_g_cm3=density_g_cm3, rng=rng)


def closest_between_molecules_A(system):
    """All pairs, and all 27 images of a box: no shared code with the package."""
    positions, residues = system.positions_A, system.residue_ids
    different = residues[:, None] != residues[None]
    grid = [-1, 0, 1] if system.cell_A else [0]
    shifts = np.array([(i, j, k) for i in grid for j in grid for k in grid]) * (system.cell_A or 0.0)
    closest = np.inf
    for shift in shifts:
        distances = np.linalg.norm(positions[:, None] - positions[None] + shift, axis=-1)
        counted = different if not shift.any() else np.ones_like(different)
        closest = min(closest, distances[counted].min())
    return closest


@pytest.mark.parametrize(("composition", "shape"), [(DROPLET, "droplet"), (BOX, "box")])
def test_every_atom_is_there_and_none_too_close(composition, shape):
    system = packed(composition, shape)
    expected = [symbol for name, count in composition.items() for symbol in MOLECULES[name].symbols * count]
    assert sorted(system.atoms.get_chemical_symbols()) == sorted(expected)
    names = [molecule.name for molecule in system.molecules]
    assert {name: names.count(name) for name in names} == composition
    assert closest_between_molecules_A(system) > 1.95


def test_density_is_the_one_asked_for():
    droplet, box = packed(DROPLET, "droplet"), packed(BOX, "box")
    volumes_cm3 = [4 / 3 * np.pi * droplet.radius_A**3 * 1e-24, box.cell_A**3 * 1e-24]
    for system, volume_cm3 in zip((droplet, box), volumes_cm3, strict=True):
        assert system.atoms.get_masses().sum() * GRAM_PER_U / volume_cm3 == pytest.approx(1.2, rel=1e-6)


def test_droplet_has_its_ion_at_the_center_and_keeps_inside():
    system = packed(DROPLET, "droplet")
    assert system.molecules[0].name == "Li+"
    assert system.positions_A[0] == pytest.approx(np.zeros(3), abs=1e-6)
    assert np.linalg.norm(system.positions_A, axis=1).max() < system.radius_A + 0.15  # the precision of packmol


def test_the_cation_is_at_the_center_whatever_anions_are_there():
    chloride = {**MOLECULES, "Cl-": build_molecule("Cl-", Species(smiles="[Cl-]"))}
    rng = np.random.default_rng(3)
    composition = {"Cl-": 1, "EC": 4, "Li+": 1}
    system = pack(chloride, composition, shape="droplet", density_g_cm3=1.2, rng=rng)
    assert [molecule.name for molecule in system.molecules[:2]] == ["Li+", "Cl-"]
    assert system.positions_A[0] == pytest.approx(np.zeros(3), abs=1e-6)


def test_molecules_keep_their_bonds():
    for system in (packed(DROPLET, "droplet"), settled(packed(DROPLET, "droplet")), packed(BOX, "box")):
        first, second = system.bonds.T
        lengths_A = np.linalg.norm(system.positions_A[first] - system.positions_A[second], axis=1)
        assert lengths_A.min() > 0.9
        assert lengths_A.max() < 1.75
        assert (system.residue_ids[first] == system.residue_ids[second]).all()


def test_settling_draws_the_solvent_to_the_ion():
    system = settled(packed(DROPLET, "droplet"))
    donors = np.array([bool(kind) for kind in system.donor_kinds])
    distances_A = np.linalg.norm(system.positions_A[donors] - system.positions_A[0], axis=1)
    assert np.sum(distances_A < 2.4) >= 4


def test_same_seed_same_packing_whatever_the_order():
    one, again, other = packed(DROPLET, "droplet"), packed(DROPLET, "droplet"), packed(DROPLET, "droplet", seed=4)
    reordered = packed(dict(reversed(DROPLET.items())), "droplet")
    assert np.array_equal(one.positions_A, again.positions_A)
    assert np.array_equal(one.positions_A, reordered.positions_A)
    assert not np.allclose(one.positions_A, other.positions_A)


def test_charge_and_spin_add_up():
    assert packed(BOX, "box").charge == 2 - 1
    assert packed(BOX, "box").multiplicity == 1


def test_topology_and_selections_read_back(tmp_path):
    import MDAnalysis as mda

    for composition, shape in ((DROPLET, "droplet"), (BOX, "box")):
        system = packed(composition, shape)
        path = tmp_path / shape / "topology.pdb"
        write_topology(system, path)
        universe = mda.Universe(str(path))
        assert list(universe.atoms.elements) == system.atoms.get_chemical_symbols()
        assert universe.atoms.positions == pytest.approx(system.positions_A, abs=6e-4)
        assert {tuple(sorted(bond)) for bond in universe.bonds.indices.tolist()} == set(
            map(tuple, system.bonds.tolist())
        )
        assert (universe.dimensions is None) == (shape == "droplet")
        stored = json.loads((path.parent / "donors.json").read_text())
        assert stored == selections(system)
        assert list(universe.select_atoms(stored["center"]).elements) == ["Li"] * composition["Li+"]
        assert set(stored["donors"]) == set(system.donor_kinds) - {""}
        for kind, selection in stored["donors"].items():
            expected = [index for index, found in enumerate(system.donor_kinds) if found == kind]
            assert universe.select_atoms(selection).indices.tolist() == expected


def test_donors_of_the_paper_are_counted():
    kinds = packed(DROPLET, "droplet").donor_kinds
    assert {kind: kinds.count(kind) for kind in set(kinds) - {""}} == {
        "EC carbonyl O": 6,
        "EC ring O": 12,
        "TDA terminal N": 3,
        "TDA central N": 1,
    }


def test_names_fit_into_a_pdb_and_stay_unique():
    names = atom_names(["C"] * 1500 + ["H"] * 3000 + ["Cl"] * 200)
    assert len(set(names)) == 4700
    assert max(map(len, names)) <= 4
    residues = residue_names(["PSOA-unit-1", "PSOA-unit-2", "Li+", "EC", "+"])
    assert len(set(residues.values())) == 5
    assert all(1 <= len(name) <= 4 and name.isalnum() for name in residues.values())


def test_missing_packmol_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineMissing, match="pip install"):
        packed(DROPLET, "droplet")


def test_what_cannot_be_packed_fails_with_packmols_words():
    with pytest.raises(EngineFailed, match=r"packmol failed: .*packmol\.out") as failure:
        packed({"Li+": 1, "rod": 1}, "droplet", density_g_cm3=4.9)
    output = Path(str(failure.value).split("its output: ")[1].rstrip(")"))
    assert "PACKMOL" in output.read_text()
