"""Who goes on in the funnel: minima before shoulders, structures of every surface, and what one failure costs."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

from solvation.clusters import judging, ligands, relaxation, sampling
from solvation.clusters.ensembles import Structure, read_structures, search_error_eV, write_structures
from solvation.clusters.judging import _minima_before_shoulders, by_search
from solvation.clusters.judging import judged as judge
from solvation.clusters.ligands import search_conformers
from solvation.clusters.relaxation import Relaxed
from solvation.clusters.sampling import Funnel, _joined, relax_survivors
from solvation.clusters.shapes import twins
from solvation.clusters.shell import build_shell
from solvation.engines.single_points import Energy
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


def found(name: str, energy_eV: float, *searches: int, stretched: float = 1.0, note: str = "") -> Structure:
    atoms = Atoms("LiOH2", PLACES * [1, 1, stretched])
    return Structure(name, atoms, energy_eV, 0.0, GFN1, note=note, searches=searches)


def test_each_structure_is_told_with_those_that_are_the_same():
    prints = [np.array([length]) for length in (2.0, 2.05, 2.0, 3.0)]
    energies = np.array([0.0, -0.005, 0.5, -0.004])
    # The third has the shape of the first two and another energy, the fourth their energy and another shape.
    same = twins(energies, prints, same_shape_A=0.1, same_energy_eV=0.01)
    assert same == {1: [0], 3: [], 2: []}


def test_what_two_searches_found_is_one_structure_of_both():
    kept = _joined([found("a", -1.0, 1), found("b", -1.004, 2), found("c", -0.5, 2, stretched=1.5)], Sampling())
    assert [(item.name, item.searches) for item in kept] == [("b", (1, 2)), ("c", (2,))]


def test_a_minimum_is_not_lost_to_a_shoulder_of_its_shape():
    kept = _joined([found("minimum", -1.0, 1), found("shoulder", -1.004, 2, note="no minimum")], Sampling())
    assert [item.name for item in kept] == ["shoulder", "minimum"]


def test_each_search_sends_its_own_before_the_judge(monkeypatch):
    """A search whose best lies higher is heard all the same: how far the judge finds them apart is the error."""
    asked = []

    def points(jobs, level, what):
        asked.extend(job.atoms.info["name"] for job in jobs)
        return [Energy(-1.0) for _ in jobs]

    monkeypatch.setattr(judging, "single_points", points)
    kept = [found("s1", -1.0, 1), found("s2", -0.9, 1, stretched=1.3), found("s3", -0.4, 2, stretched=1.6)]
    for item in kept:
        item.atoms.info["name"] = item.name
    shell = build_shell(
        {"Li+": 1, "H2O": 1}, {name: build_molecule(name, Species(library=name)) for name in ("Li+", "H2O")}
    )
    judge(kept, shell, Sampling(ranked=1), Level.model_validate("pbe/sto-3g"))
    assert asked == ["s1", "s3"]
    assert [[item.name for item in own] for own in by_search(kept)] == [["s1", "s2"], ["s3"]]


PBE = Level.model_validate("pbe/sto-3g")


def test_the_error_of_a_search_is_how_far_independent_ones_end_apart():
    one, both = found("s1", -1.0, 1), found("s1", -1.0, 1, 2)
    other = found("s2", -0.9, 2, stretched=1.3)
    assert search_error_eV(GFN1, [one, other]) == pytest.approx(0.1 / np.sqrt(2))
    assert search_error_eV(GFN1, [both, other]) == 0
    assert np.isnan(search_error_eV(GFN1, [one]))
    assert np.isnan(search_error_eV(GFN1, [replace(one, searches=())]))


def test_the_error_is_of_the_energies_that_chose_the_structure():
    kept = [replace(found("s1", -1.0, 1), rank_eV=-50.0), replace(found("s2", -0.9, 2), rank_eV=-49.5)]
    on_gfn2 = [replace(found("s3", -7.0, 1), geometry_level=GFN2), replace(found("s4", -6.0, 2), geometry_level=GFN2)]
    everything = [*kept, *on_gfn2]
    assert search_error_eV(GFN1, everything) == pytest.approx(0.1 / np.sqrt(2))
    assert search_error_eV(GFN2, everything) == pytest.approx(1.0 / np.sqrt(2))
    # A level that neither searched nor judged measures the judge's choice.
    for level in (PBE, Level.model_validate("r2scan-3c")):
        assert search_error_eV(level, everything) == pytest.approx(0.5 / np.sqrt(2))


def test_who_found_a_structure_is_read_as_it_was_written(tmp_path):
    kept = [found("s1", -1.0, 1, 2), found("s2", -0.9, 2), found("s3", -0.8)]
    write_structures(tmp_path / "e.extxyz", kept)
    assert [item.searches for item in read_structures(tmp_path / "e.extxyz")] == [(1, 2), (2,), ()]


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
