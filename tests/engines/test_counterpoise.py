"""Counterpoise: ghosts that are there, dispersion that does not see them, two fragments by hand, N by their sum."""

import numpy as np
import pytest
from ase import Atoms
from ase.units import Hartree

from solvation.clusters.ensembles import Structure
from solvation.clusters.shell import Shell
from solvation.energies.binding import Reference, bind
from solvation.energies.counterpoise import counterpoise, counterpoise_from_json, counterpoise_to_json
from solvation.engines import energy_eV, energy_with_ghosts_eV, integrals, pyscf
from solvation.engines.single_points import Energy
from solvation.errors import EngineFailed, ResultsError, StudyError
from solvation.species import build_molecule
from solvation.study import Level, Species

pytestmark = pytest.mark.engine
PBE, PBE_D4, GFN2 = (Level.model_validate(text) for text in ("pbe/def2-svp", "pbe-d4/def2-svp", "gfn2"))
WATER = np.array([[0, 0, 1.85], [0, 0.76, 2.43], [0, -0.76, 2.43]])


def complex_of(*waters: np.ndarray, level: Level = PBE):
    """Li+ with water molecules at the places given: structure, shell and binding energy."""
    pytest.importorskip("pyscf")
    species = [build_molecule("Li+", Species(smiles="[Li+]"))]
    species += [build_molecule("W", Species(smiles="O")) for _ in waters]
    shell = Shell(tuple(species))
    atoms = shell.atoms(np.vstack([np.zeros((1, 3)), *waters]))
    structure = Structure("s01", atoms, 0.0, 0.0, GFN2)
    # References cancel in the correction; any will do.
    free = {name: Reference(name, level, GFN2, (GFN2,), 0.0, "c01") for name in ("Li+", "W")}
    free["Li+"] = Reference("Li+", level, GFN2, (GFN2,), energy_eV(Atoms("Li"), level, charge=1), "c01")
    return structure, shell, bind(structure, shell, free, level, [GFN2])


def test_fragments_whose_ghosts_were_lost_are_refused(monkeypatch):
    from solvation.energies import counterpoise as correction

    structure, shell, found = complex_of(WATER)
    # An engine that forgets the ghosts has the functions of each fragment alone.
    monkeypatch.setattr(correction, "single_points", lambda *_: [Energy(-196.0, 9), Energy(-2075.0, 24)])
    with pytest.raises(EngineFailed, match=r"had \[9, 24\] basis functions: ghosts are missing"):
        counterpoise(structure, shell, found)


def test_two_fragments_agree_with_pyscf_called_by_hand():
    from pyscf import dft, gto

    def by_hand(atoms: str, charge: int) -> float:
        field = dft.RKS(gto.M(atom=atoms, basis="def2-svp", charge=charge, verbose=0), xc="pbe")
        field.grids.level = 4
        field.conv_tol = 1e-10
        return field.kernel() * Hartree

    lithium, water = "Li 0 0 0", "O 0 0 1.85; H 0 .76 2.43; H 0 -.76 2.43"
    ghost_lithium, ghost_water = "ghost-Li 0 0 0", "ghost-O 0 0 1.85; ghost-H 0 .76 2.43; ghost-H 0 -.76 2.43"
    exact = by_hand(lithium, 1) - by_hand(f"{lithium}; {ghost_water}", 1)
    exact += by_hand(water, 0) - by_hand(f"{ghost_lithium}; {water}", 0)
    found = counterpoise(*complex_of(WATER))
    assert found.correction_eV == pytest.approx(exact, abs=3e-3)
    assert found.correction_eV > 0.1  # def2-SVP on water is far from complete
    assert found.n_basis == 33


def test_dispersion_does_not_see_the_ghosts():
    structure, shell, _ = complex_of(WATER)
    ghost = shell.fragment != 1
    dispersion = [energy_with_ghosts_eV(structure.atoms, ghost, level, charge=0)[0] for level in (PBE_D4, PBE)]
    water = Atoms("OH2", WATER)
    alone = [energy_eV(water, level, charge=0) for level in (PBE_D4, PBE)]
    assert dispersion[0] - dispersion[1] == pytest.approx(alone[0] - alone[1], abs=2e-5)
    assert abs(alone[0] - alone[1]) > 1e-3


def test_a_fragment_far_away_adds_nothing():
    near = counterpoise(*complex_of(WATER))
    three = counterpoise(*complex_of(WATER, WATER + np.array([0, 0, 40.0])))
    assert three.correction_eV == pytest.approx(near.correction_eV, abs=2e-3)
    assert len(three.ligands_eV) == 2
    assert three.ligands_eV[1] == pytest.approx(three.own_ligands_eV[1], abs=1e-3)


def test_borrowing_lowers_every_fragment():
    found = counterpoise(*complex_of(WATER, WATER * [1, 1, -1]))
    assert found.ion_eV < found.own_ion_eV
    assert all(own > full for own, full in zip(found.own_ligands_eV, found.ligands_eV, strict=True))
    parts = found.own_ion_eV - found.ion_eV + sum(found.own_ligands_eV) - sum(found.ligands_eV)
    assert found.correction_eV == pytest.approx(parts, abs=1e-10)
    assert counterpoise_from_json(counterpoise_to_json(found)) == found


def test_tight_binding_and_solvent_have_no_counterpoise():
    atoms = Atoms("LiOH2", np.vstack([np.zeros((1, 3)), WATER]))
    ghost = np.array([True, False, False, False])
    with pytest.raises(StudyError, match="tblite has no ghost atoms"):
        energy_with_ghosts_eV(atoms, ghost, GFN2, charge=0)
    with pytest.raises(StudyError, match="no cavity"):
        energy_with_ghosts_eV(atoms, ghost, Level.model_validate("pbe/def2-svp@cpcm=40"), charge=0)


def test_another_structures_binding_energy_is_refused():
    structure, shell, bound = complex_of(WATER)
    other = Structure("s02", structure.atoms, 0.0, 0.0, GFN2)
    with pytest.raises(ResultsError, match="is of s01, the structure is s02"):
        counterpoise(other, shell, bound)


def test_fragments_with_ghosts_share_their_integrals_and_keep_their_energies(monkeypatch):
    from pyscf import df

    built: list[int] = []
    build = df.DF.build
    monkeypatch.setattr(df.DF, "build", lambda self: built.append(self.mol.nao) or build(self))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    integrals.forget()
    moved = WATER * [1, 1, -1]
    atoms = Atoms("LiOHHOHH", np.vstack([np.zeros((1, 3)), WATER, moved]))
    ghosts = [np.arange(7) >= 1, ~np.isin(np.arange(7), (1, 2, 3)), np.arange(7) < 4]
    charges = (1, 0, 0)
    shared = [energy_with_ghosts_eV(atoms, ghost, PBE, charge=q)[0] for ghost, q in zip(ghosts, charges, strict=True)]
    assert built.count(max(built)) == 1
    for ghost, q, energy in zip(ghosts, charges, shared, strict=True):
        integrals.forget()
        assert energy == pytest.approx(energy_with_ghosts_eV(atoms, ghost, PBE, charge=q)[0], abs=1e-8 * Hartree)
    assert built.count(max(built)) == 4


def test_ghosts_cost_little_accuracy_and_few_points_of_the_grid(monkeypatch):
    from pyscf.dft import gen_grid

    sizes: list[tuple[int, int]] = []
    prune = gen_grid.Grids.prune_by_density_

    def counted(self, rho, threshold=0):
        before = self.weights.size
        found = prune(self, rho, threshold)
        sizes.append((before, self.weights.size))
        return found

    monkeypatch.setattr(gen_grid.Grids, "prune_by_density_", counted)
    atoms = Atoms("LiOHHOHH", np.vstack([np.zeros((1, 3)), WATER, WATER * [1, 1, -1]]))
    ghost = ~np.isin(np.arange(7), (1, 2, 3))
    ours = energy_with_ghosts_eV(atoms, ghost, PBE, charge=0)[0]
    before, after = sizes[0]
    assert after < 0.7 * before
    for name, value in (("_FUNCTION_CUTOFF", 1e-13), ("_PRODUCT_CUTOFF", 1e-11), ("_ELECTRONS_LEFT_OUT", 0.0)):
        monkeypatch.setattr(pyscf, name, value)
    monkeypatch.setattr(pyscf.PySCFCalculator, "_first_density", lambda self, molecule: None)
    assert ours == pytest.approx(energy_with_ghosts_eV(atoms, ghost, PBE, charge=0)[0], abs=1e-6 * Hartree)


@pytest.mark.parametrize(("moved_A", "before", "after"), [(0.05, "pbe/def2-svp", "pbe/def2-svp"), (0, "pbe", "pbe0")])
def test_a_moved_atom_or_another_fitting_basis_gets_integrals_of_its_own(moved_A, before, after):
    first, second = Atoms("OHH", WATER), Atoms("OHH", WATER)
    second.positions[0, 2] += moved_A
    levels = [Level.model_validate(text if "/" in text else f"{text}/def2-svp") for text in (before, after)]
    integrals.forget()
    alone = energy_eV(second, levels[1], charge=0)
    integrals.forget()
    energy_eV(first, levels[0], charge=0)
    assert energy_eV(second, levels[1], charge=0) == pytest.approx(alone, abs=1e-9)
