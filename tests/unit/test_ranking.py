"""Ligands in the order in which they hold an ion: differences without the bare ion, and failures that stop nobody."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest

from solvation.clusters.checks import contacts
from solvation.clusters.shell import build_shell
from solvation.energies import query, ranking
from solvation.energies.query import Wanted, bind_composition
from solvation.energies.ranking import rank_ligands
from solvation.errors import EngineFailed, SpeciesError
from solvation.species import build_molecule
from solvation.study import Level, Sampling, Species, Thermochemistry

GFN2 = Level.model_validate("gfn2")
FEW = Sampling(starts=8, relaxed=2, ranked=2)
ION = {"Li+": Species(library="Li+")}
WATER, AMMONIA, ETHER = (Species(library=name) for name in ("H2O", "NH3", "Me2O"))


def test_a_contact_is_a_donor_within_the_shell_the_nearest_first():
    molecules = {name: build_molecule(name, Species(library=name)) for name in ("Li+", "H2O", "DMSO")}
    shell = build_shell({"Li+": 1, "H2O": 1, "DMSO": 1}, molecules)
    positions = [[0.0, 0.0, 0.0]]
    positions += [[2.0, 0.0, 0.0], [2.6, 0.8, 0.0], [2.6, -0.8, 0.0]]
    # C, S, C, O of the SMILES, then six hydrogens: only O is near.
    positions += [[-4.2, 0.0, 0.0], [-3.3, 0.0, 1.0], [-4.2, 0.0, 2.0], [-1.9, 0.0, 0.0]] + [[-6.0, 0.0, 0.0]] * 6
    found = contacts(shell, np.array(positions))
    assert [(one.molecule, one.ligand, one.kind, one.distance_A) for one in found] == [
        (2, "DMSO", "sulfinyl O", pytest.approx(1.9)),
        (1, "H2O", "water O", pytest.approx(2.0)),
    ]


@pytest.mark.engine
def test_the_order_is_that_of_the_single_complexes_and_nothing_is_computed_twice(monkeypatch):
    searched = []
    search = query.search_conformers

    def counted(molecule, *words):
        searched.append(molecule.name)
        return search(molecule, *words)

    monkeypatch.setattr(query, "search_conformers", counted)
    found = rank_ligands(
        "Li+", {"H2O": WATER, "NH3": AMMONIA}, GFN2, sampling=FEW, seed=3, beside={"Me2O": 1},
        species={**ION, "Me2O": ETHER},
    )  # fmt: skip
    assert sorted(searched) == ["H2O", "Li+", "Me2O", "NH3"]
    # Shells of two, at tight binding: water before ammonia (alone by 0.16 eV).
    assert [one.ligand for one in found] == ["H2O", "NH3"]
    alone = bind_composition(
        {"Li+": 1, "Me2O": 1, "NH3": 1}, {**ION, "Me2O": ETHER, "NH3": AMMONIA}, GFN2, sampling=FEW, seed=3
    )
    assert found[1].energy_eV == pytest.approx(alone.binding.energy_eV("relaxed"), abs=1e-9)
    kinds = {(one.ligand, one.kind) for one in found[1].answer.contacts}
    assert kinds == {("Me2O", "ether O"), ("NH3", "amine N")}


@pytest.mark.engine
def test_a_geometry_level_relaxes_complex_and_ligand_alike():
    (found,) = rank_ligands(
        "Li+", {"H2O": WATER}, GFN2, sampling=FEW, seed=3, species=ION, geometry=Level.model_validate("gfn1")
    )
    bound = found.answer.binding
    assert (str(bound.level), str(bound.geometry_level)) == ("gfn2", "gfn1")
    (there,) = rank_ligands("Li+", {"H2O": WATER}, GFN2, sampling=FEW, seed=3, species=ION)
    # Away from its own minimum either is higher; the complex loses more than water does.
    assert bound.complex_eV > there.answer.binding.complex_eV + 1e-4
    assert bound.ligands_relaxed_eV[0] > there.answer.binding.ligands_relaxed_eV[0] + 1e-5
    assert found.answer.contacts[0].distance_A == pytest.approx(1.724, abs=0.005)
    assert there.answer.contacts[0].distance_A == pytest.approx(1.748, abs=0.005)


@pytest.mark.engine
def test_the_same_molecule_beside_counts_once_more():
    (found,) = rank_ligands(
        "Li+", {"H2O": WATER}, GFN2, sampling=FEW, seed=3, beside={"H2O": 1}, species={**ION, "H2O": WATER}
    )
    assert found.answer.composition == {"Li+": 1, "H2O": 2}


@pytest.mark.engine
def test_a_ligand_that_fails_comes_last_with_its_reason(monkeypatch):
    right = ranking.bind_composition

    def wrong(composition, *words, **settings):
        if "NH3" in composition:
            raise EngineFailed("gfn2: no energy")
        return right(composition, *words, **settings)

    monkeypatch.setattr(ranking, "bind_composition", wrong)
    found = rank_ligands("Li+", {"NH3": AMMONIA, "H2O": WATER}, GFN2, sampling=FEW, seed=3, species=ION)
    assert [(one.ligand, one.reason) for one in found] == [("H2O", ""), ("NH3", "gfn2: no energy")]
    assert math.isnan(found[1].energy_eV)


def test_free_energies_put_a_ligand_without_one_behind_those_that_have_it(monkeypatch):
    energy_eV = {"EC": -2.1, "DMSO": -2.4, "MeCN": -1.9}
    motion_eV = {"EC": math.nan, "DMSO": 0.4, "MeCN": 0.4}

    def known(composition, *words, wanted, **settings):
        (name,) = set(composition) - {"Li+"}
        moves = SimpleNamespace(gibbs_eV=lambda treatment: motion_eV[name]) if wanted.motion else None
        return SimpleNamespace(energy_eV=lambda: energy_eV[name], thermochemistry=moves)

    monkeypatch.setattr(ranking, "bind_composition", known)
    ligands = {name: Species(library=name) for name in energy_eV}
    asked = {"sampling": FEW, "seed": 3, "species": ION}
    moving = rank_ligands("Li+", ligands, GFN2, **asked, wanted=Wanted(motion=Thermochemistry()))
    assert [one.ligand for one in moving] == ["DMSO", "MeCN", "EC"]
    assert [one.ligand for one in rank_ligands("Li+", ligands, GFN2, **asked)] == ["DMSO", "EC", "MeCN"]


def test_a_wrong_molecule_is_refused_before_anything_is_computed(monkeypatch):
    monkeypatch.setattr(ranking, "bind_composition", None)
    with pytest.raises(SpeciesError, match="is not a SMILES"):
        rank_ligands("Li+", {"H2O": WATER, "bad": Species(smiles="O(O")}, GFN2, sampling=FEW, seed=3, species=ION)


@pytest.mark.engine
def test_the_command_prints_a_table_and_the_same_as_data(solvation_in_process):
    words = ("rank", "Li+", "NH3", "O", "--level", "gfn2", "--starts", 8, "--relaxed", 2)
    done = solvation_in_process(*words)
    assert done.code == 0, done.err
    head, columns, *rows, foot = done.out.splitlines()
    assert head == "Li+ with one of each; gfn2 // gfn2"
    assert columns.split() == ["eV", "searches", "±", "exchange", "bound", "through"]
    assert [row.split()[0] for row in rows] == ["O", "NH3"]
    assert foot.endswith("in the place of O")
    data = json.loads(solvation_in_process(*words, "--json").out)
    assert [f"{one['binding_energy_eV']:.3f}" for one in data] == [row.split()[1] for row in rows]
    assert data[1]["exchange_energy_eV"] == pytest.approx(data[1]["binding_energy_eV"] - data[0]["binding_energy_eV"])
    assert [f"{one['search_stderr_eV']:.3f}" for one in data] == [row.split()[2] for row in rows]
    assert data[0]["contacts"][0]["kind"] == "water O"
    assert data[0]["complex"]["symbols"] == ["Li", "O", "H", "H"]
