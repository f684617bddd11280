"""Who stands for a cluster when the judge cannot tell a minimum from the shoulder of another surface."""

from dataclasses import replace

import numpy as np
from ase import Atoms

from solvation.clusters.ensembles import Structure
from solvation.clusters.sampling import _minima_before_shoulders
from solvation.study import Level

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
