"""Who goes on in the funnel: minima before shoulders, structures of every surface, and what one failure costs."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

from solvation.clusters import ligands, relaxation, sampling
from solvation.clusters.ensembles import Structure
from solvation.clusters.ligands import search_conformers
from solvation.clusters.placement import build_shell
from solvation.clusters.relaxation import Relaxed
from solvation.clusters.sampling import Funnel, _minima_before_shoulders, relax_survivors
from solvation.errors import EngineFailed
from solvation.species import build_molecule
from solvation.study import Level, Sampling, Species

GFN1, GFN2 = (Level.model_validate(text) for text in ("gfn1", "gfn2"))
PLACES = np.array([[0, 0, 0], [0, 0, 1.9], [0, 0.76, 2.5], [0, -0.76, 2.5]])


def judged(name: str, rank_eV: float, *, note: str = "", stretched: float = 1.0) -> Structure:
    atoms = Atoms("LiOH2", PLACES * [1, 1, stretched])
    return Structure(name, atoms, 0.0, 0.0, GFN1 if not note else GFN2, rank_eV=rank_eV, note=note)


def order(*items: Structure) -> list[str]:
    return [item.name for item in _minima_before_shoulders(items, 0.25)]


def test_the_minimum_of_the_same_basin_stands_before_the_shoulder():
    assert order(judged("shoulder", -10.01, note="no minimum"), judged("minimum", -10.0)) == ["minimum", "shoulder"]


def test_a_shoulder_of_another_shape_or_clearly_lower_keeps_its_place():
    shoulder = judged("shoulder", -10.01, note="no minimum")
    assert order(shoulder, judged("other", -10.0, stretched=1.6)) == ["shoulder", "other"]
    assert order(shoulder, judged("higher", -9.8)) == ["shoulder", "higher"]


def test_minima_stay_in_the_order_of_their_energies():
    a, b = judged("a", -10.0), replace(judged("b", -9.99), geometry_level=GFN2)
    assert order(a, b) == ["a", "b"]


def test_without_a_judge_the_lowest_of_every_surface_are_relaxed_on(monkeypatch):
    shell = build_shell(
        {"Li+": 1, "H2O": 1}, {name: build_molecule(name, Species(library=name)) for name in ("Li+", "H2O")}
    )
    kept = [replace(judged(f"s{n}", 0.0), rank_eV=None, geometry_level=GFN1 if n < 5 else GFN2) for n in range(1, 9)]
    begun = []

    def asked(shell, starts, *words, **settings):
        begun.extend(name for name, _ in starts)
        return [], []

    monkeypatch.setattr(sampling, "_relax_all", asked)
    funnel = Funnel(tuple(kept), (), 100, 8, "MMFF94")
    with pytest.raises(Exception, match="no structure survived"):
        relax_survivors(funnel, shell, Sampling(ranked=2), Level.model_validate("pbe/sto-3g"), {})
    assert begun == ["s1", "s2", "s5", "s6"]


def test_a_shaken_structure_that_fails_stays_as_it_was(monkeypatch):
    shell = build_shell(
        {"Li+": 1, "H2O": 1}, {name: build_molecule(name, Species(library=name)) for name in ("Li+", "H2O")}
    )

    def fails(*words, **settings):
        raise EngineFailed("gfn2: SCF did not converge")

    monkeypatch.setattr(relaxation, "relax", fails)
    end = Relaxed(PLACES, -1.0, 0.001, True, 10)
    assert sampling._shaken(shell, end, Sampling(), GFN2, np.random.default_rng(1)) is end


def test_a_conformer_that_fails_is_left_out_and_all_of_them_fail_the_species(monkeypatch):
    molecule = build_molecule("DME", Species(smiles="COCCOC"))
    right, calls = ligands.relax, []

    def sometimes(*words, **settings):
        calls.append(1)
        if len(calls) % 2:
            raise EngineFailed("gfn2: SCF did not converge")
        return right(*words, **settings)

    monkeypatch.setattr(ligands, "relax", sometimes)
    few = Sampling(conformers=10, relaxed=4)
    assert search_conformers(molecule, few, (GFN2,), None, 3)

    def fails(*words, **settings):
        raise EngineFailed("gfn2: SCF did not converge")

    monkeypatch.setattr(ligands, "relax", fails)
    with pytest.raises(EngineFailed, match="SCF did not converge"):
        search_conformers(molecule, few, (GFN2,), None, 3)
