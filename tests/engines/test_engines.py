"""Every engine: energy, forces, charge, units, against independent runs and experiment."""

import importlib
import os
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
from ase import Atoms
from ase.build import molecule
from ase.units import Bohr, Debye, Hartree, kcal, mol
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor

from solvation.clusters.relaxation import relax
from solvation.engines import (
    ENGINES,
    SinglePoint,
    all_or_nothing,
    calculator_for,
    check_level,
    energy_eV,
    energy_forces,
    energy_with_ghosts_eV,
    single_points,
)
from solvation.engines.pyscf import PySCFCalculator
from solvation.errors import EngineFailed, StudyError
from solvation.study import Level

LEVELS = [
    "gfn1", "gfn2", "gfn2@alpb=water", "pbe-d4/def2-svp", "pbe0/def2-svp@cpcm=40", "pbe/def2-svp@smd=acetonitrile",
    "r2scan-3c", "xtb:gfn2",
]  # fmt: skip
pytestmark = pytest.mark.engine


def level(text: str) -> Level:
    found = Level.model_validate(text)
    if (reason := ENGINES[found.engine].missing()) is not None:
        pytest.skip(reason)
    return found


@pytest.mark.parametrize("text", LEVELS)
def test_forces_are_the_slope_of_the_energy(text):
    water = molecule("H2O")
    water.rattle(0.05, seed=3)
    asked, step = level(text), 2e-3
    _, forces = energy_forces(water, asked, charge=0)
    ends = []
    for sign in (1, -1):
        moved = water.copy()
        moved.positions[1, 1] += sign * step
        ends.append(energy_eV(moved, asked, charge=0))
    # PySCF's gradient leaves out the motion of the grid.
    assert forces[1, 1] == pytest.approx(-(ends[0] - ends[1]) / (2 * step), abs=2e-3 if "gfn" in text else 2e-2)


@pytest.mark.parametrize(("name", "measured_kcal_mol"), [("NH3", -4.29), ("CH3OH", -5.11)])
def test_smd_gives_free_energies_of_hydration_that_were_measured(name, measured_kcal_mol):
    """Minnesota Solvation Database, at a level like that of SMD's own fit (mean error there 0.6 to 1.0 kcal/mol)."""
    solute = molecule(name)
    wet, dry = (energy_eV(solute, level(f"m062x/6-31g*{end}"), charge=0) for end in ("@smd=water", ""))
    assert (wet - dry) / (kcal / mol) == pytest.approx(measured_kcal_mol, abs=0.6)


@pytest.mark.parametrize("text", ["pbe-d4/def2-svp", "r2scan-3c"])
def test_what_the_grid_adds_does_not_keep_a_relaxation_from_its_end(text):
    # It is worth 0.05 eV/Å in the sum of the forces of r2SCAN, and normal modes want 0.003.
    hydrated = Atoms("LiOH2", [[0, 0, 0], [0, 0, 1.84], [0.76, 0.1, 2.42], [-0.76, 0, 2.42]])
    asked = level(text)
    _, forces = energy_forces(hydrated, asked, charge=1)
    assert np.abs(forces.sum(axis=0)).max() < 1e-6
    end = relax(hydrated, asked, charge=1, fmax_eV_A=0.003, max_steps=30)
    assert end.converged


def test_tblite_equals_the_xtb_program():
    asked = level("xtb:gfn2")
    cation = molecule("H2O") + Atoms("Li", [[0, 0, -1.9]])
    ours = energy_eV(cation, Level.model_validate("gfn2"), charge=1)
    assert ours == pytest.approx(energy_eV(cation, asked, charge=1), abs=1e-5)


def test_pyscf_equals_pyscf_called_by_hand():
    from pyscf import dft, gto

    water = molecule("H2O")
    by_hand = gto.M(
        atom=[(s, p) for s, p in zip(water.get_chemical_symbols(), water.positions, strict=True)],
        basis="def2-svp", verbose=0,
    )  # fmt: skip
    field = dft.RKS(by_hand, xc="pbe")
    field.grids.level = 5
    field.conv_tol = 1e-10
    exact = field.kernel() * Hartree
    # Density fitting and our grid cost less than 1 meV per atom.
    assert energy_eV(water, Level.model_validate("pbe/def2-svp"), charge=0) == pytest.approx(exact, abs=3e-3)


@pytest.mark.parametrize("basis", ["def2-svpd", "def2-tzvpd"])
def test_far_electrons_of_an_anion_are_fitted_by_functions_that_reach_as_far(basis):
    from pyscf import dft, gto

    field = dft.RKS(gto.M(atom="Cl 0 0 0", basis=basis, charge=-1, verbose=0), xc="pbe")
    field.grids.level = 2
    exact_eV = field.kernel() * Hartree
    assert energy_eV(Atoms("Cl"), Level.model_validate(f"pbe/{basis}"), charge=-1) == pytest.approx(exact_eV, abs=5e-4)


def test_a_basis_larger_than_its_own_gains_an_anion_something():
    """Counterpoise of Cl- with a water's functions is positive; a fit without diffuse functions made it negative."""
    level = Level.model_validate("pbe/def2-tzvpd")
    atoms = Atoms("ClOHH", [[0, 0, 0], [0, 0, 3.05], [0, 0.2, 2.07], [0, 1.0, 3.3]])
    ghost = np.array([False, True, True, True])
    whole, _ = energy_with_ghosts_eV(atoms, ghost, level, charge=-1)
    assert 0 < energy_eV(atoms[:1], level, charge=-1) - whole < 0.01


def test_dispersion_binds_two_methanes():
    one = molecule("CH4")
    pair = one + molecule("CH4")
    pair.positions[5:] += [3.9, 0, 0]
    bound = []
    for text in ("pbe/def2-svp", "pbe-d4/def2-svp"):
        asked = Level.model_validate(text)
        bound.append(energy_eV(pair, asked, charge=0) - 2 * energy_eV(one, asked, charge=0))
    assert -0.05 < bound[1] - bound[0] < -0.01


def test_the_charge_is_the_engine_s_and_survives_a_copy():
    asked = Level.model_validate("gfn2")
    ion = Atoms("Li")
    assert energy_eV(ion.copy(), asked, charge=1) > energy_eV(ion, asked, charge=0, multiplicity=2)
    ionisation = energy_eV(ion, Level.model_validate("pbe/def2-svp"), charge=1) - energy_eV(
        ion, Level.model_validate("pbe/def2-svp"), charge=0, multiplicity=2
    )
    assert ionisation == pytest.approx(5.39, abs=0.35)  # experiment, eV


def test_the_dipole_of_water_in_its_unit():
    water = molecule("H2O")
    water.calc = calculator_for(Level.model_validate("gfn2"), charge=0)
    dipole_eA = float(np.linalg.norm(water.get_dipole_moment()))
    assert dipole_eA / Debye == pytest.approx(1.85, abs=0.6)  # experiment, D


def test_li_water_is_bound_as_coupled_cluster_says():
    """CCSD(T) gives 34.85 kcal/mol at 1.80 Å (Riera et al., J. Chem. Phys. 147, 161715, 2017).

    A hybrid in a triple-zeta basis without counterpoise binds more, by less than a tenth.
    """
    asked = Level.model_validate("pbe0-d4/def2-tzvp")
    water = Atoms("OH2", [[0, 0, 1.80], [0.757, 0, 2.388], [-0.757, 0, 2.388]])
    bound = energy_eV(Atoms("Li") + water, asked, charge=1) - energy_eV(Atoms("Li"), asked, charge=1)
    bound -= energy_eV(water, asked, charge=0)
    assert bound / 0.0433641 == pytest.approx(-34.85, rel=0.1)


def test_a_scf_that_cannot_converge_is_told_and_not_returned(monkeypatch):
    from solvation.engines import pyscf

    original = pyscf.PySCFCalculator._mean_field

    def hurried(self):
        field = original(self)
        field.max_cycle = 1
        return field

    monkeypatch.setattr(pyscf.PySCFCalculator, "_mean_field", hurried)
    monkeypatch.setattr(pyscf, "_PATIENT_CYCLES", 1)
    with pytest.raises(EngineFailed, match="did not converge for H2O, charge"):
        energy_eV(molecule("H2O"), Level.model_validate("pbe/def2-svp"), charge=0)


def test_tblite_says_what_it_cannot_do():
    with pytest.raises(StudyError, match="tblite has no solvent 'beer'"):
        energy_eV(molecule("H2O"), Level.model_validate("gfn2@alpb=beer"), charge=0)
    with pytest.raises(EngineFailed):
        energy_eV(Atoms("H2", [[0, 0, 0], [0, 0, 0]]), Level.model_validate("gfn2"), charge=0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense/def2-svp", "knows no functional"),
        ("pbe/def2-nonsense", "no basis set 'def2-nonsense'"),
        # Names that PySCF reads as something else, or finds out about in the middle of a calculation.
        ("wb97x-2/def2-svp", "one functional less another"),
        ("pbe0-2/def2-svp", "one functional less another"),
        ("lda/def2-svp", "exchange without correlation; take svwn"),
        ("pbe-d3/def2-svp", "has a dispersion of its own; name the functional and -d4"),
        ("wb97x-d/def2-svp", "cannot compute 'wb97x-d'"),
        ("wb97x-d3/def2-svp", "cannot compute 'wb97x-d3'"),
        ("b97-3c/def2-svp", "cannot compute 'b97-3c'"),
        ("m06-2x-d4/def2-svp", "d4 has no parameters for m06-2x"),
        ("m06-2x-d3bj/def2-svp", "d3bj has no parameters for m06-2x"),
        ("wb97m-v-d3bj/def2-svp", r"has dispersion already \(VV10\)"),
        ("b97m-v-d4/def2-svp", r"has dispersion already \(VV10\)"),
    ],
)
def test_a_level_that_cannot_be_is_refused_before_computing(text, message):
    with pytest.raises(StudyError, match=message):
        check_level(Level.model_validate(text))


@pytest.mark.parametrize("text", ["m06-2x/def2-svp", "wb97m-v/def2-svp", "svwn/def2-svp", "b3lyp-d3bj/6-31+g*"])
def test_a_level_that_is_what_it_says_is_taken(text):
    check_level(Level.model_validate(text))


@pytest.mark.parametrize(("text", "functional"), [("wb97x-d4", "wb97x_v"), ("wb97m-d3bj", "wb97m_v")])
def test_dispersion_takes_the_place_of_the_nonlocal_correlation_it_was_fitted_for(text, functional):
    from pyscf import dft, gto

    pair = molecule("CH4") + molecule("CH4")
    pair.positions[5:] += [3.9, 0, 0]
    by_hand = gto.M(
        atom=list(zip(pair.get_chemical_symbols(), pair.positions, strict=True)), basis="def2-svp", verbose=0
    )
    field = dft.RKS(by_hand, xc=functional).density_fit()
    field.nlc, field.conv_tol = False, 1e-9
    method, _, dispersion = text.partition("-")
    expected = (field.kernel() + float(field.get_dispersion(f"{dispersion}:{method}"))) * Hartree
    asked = Level.model_validate(f"{text}/def2-svp")
    assert energy_eV(pair, asked, charge=0) == pytest.approx(expected, abs=3e-3)
    # Half of the pair among the ghosts of the other half has the dispersion of one methane.
    ghost = np.arange(10) >= 5
    value, n_basis = energy_with_ghosts_eV(pair, ghost, asked, charge=0)
    alone = energy_eV(molecule("CH4"), asked, charge=0)
    assert n_basis == by_hand.nao
    assert -0.05 < value - alone < 0


def test_forces_bring_their_energy_along(monkeypatch):
    asked, calls = Level.model_validate("pbe-d4/def2-svp"), []
    right = PySCFCalculator.calculate

    def counted(self, atoms=None, properties=None, system_changes=()):
        calls.append(properties)
        right(self, atoms, properties, system_changes)

    monkeypatch.setattr(PySCFCalculator, "calculate", counted)
    water = molecule("H2O")
    energy, forces = energy_forces(water, asked, charge=0)
    assert calls == [["forces"]]
    assert forces.shape == (3, 3)
    assert energy == pytest.approx(energy_eV(water, asked, charge=0), abs=1e-5)
    calls.clear()
    end = relax(water, asked, charge=0, max_steps=3)
    assert calls == [["forces"]] * end.steps


def test_a_job_whose_element_the_basis_lacks_fails_alone(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    jobs = [SinglePoint(Atoms("K"), 1), SinglePoint(Atoms("He"), 0)]
    failed, found = single_points(jobs, Level.model_validate("pbe/cc-pvdz"), "jobs")
    assert isinstance(failed, EngineFailed)
    assert found.energy_eV == pytest.approx(-78.6, abs=0.5)


def test_workers_have_their_share_of_the_threads_and_linear_algebra_one(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    placement = importlib.import_module("solvation.engines.single_points")
    with placement._inherited(2):
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        told = Parallel(n_jobs=2, backend="loky")(delayed(os.getenv)(name) for name in names)
    get_reusable_executor().shutdown(wait=True)
    assert told == ["2", "1"]
    assert os.environ["OMP_NUM_THREADS"] == "4"
    assert "OPENBLAS_NUM_THREADS" not in os.environ


@pytest.mark.parametrize("text", ["pbe-d4/def2-svp", "mp2/def2-svp"])
def test_jobs_side_by_side_give_what_one_after_the_other_gives(monkeypatch, text):
    asked = level(text)
    water, ammonia = molecule("H2O"), molecule("NH3")
    jobs = [SinglePoint(atoms, 0) for atoms in (water, ammonia, water[[0]] + ammonia)]
    jobs += [SinglePoint(water + Atoms("Li", [[0, 0, 3]]), 0, ghost=np.array([False, False, False, True]))]
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    placement = importlib.import_module("solvation.engines.single_points")
    found = {}
    for threads, places in (("1", (4, 0)), ("2", (1, 2))):
        monkeypatch.setattr(placement, "schedule", lambda *_, places=places, **__: places)
        found[threads] = single_points(jobs, asked, "jobs")
    one, two = (all_or_nothing(found[threads]) for threads in ("1", "2"))
    assert [item.energy_eV for item in two] == pytest.approx([item.energy_eV for item in one], abs=1e-6)
    assert [item.n_basis for item in two] == [0, 0, 0, 24 + 9]
    assert one[0].energy_eV == pytest.approx(energy_eV(water, asked, charge=0), abs=1e-6)


def test_workers_end_with_the_process_that_started_them():
    # Long calculations, of which nobody waits for the end.
    script = """
import numpy as np
from ase.build import molecule
from solvation.engines import SinglePoint, single_points
from solvation.study import Level
jobs = [SinglePoint(molecule("C6H6"), 0)] * 8
single_points(jobs, Level.model_validate("ccsd(t)/def2-tzvpp"), "long")
"""
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    with subprocess.Popen([sys.executable, "-c", script], env=environment, stderr=subprocess.DEVNULL) as started:
        parent = psutil.Process(started.pid)
        workers = _awaited(lambda: [one for one in parent.children() if "LokyProcess" in " ".join(one.cmdline())], 2)
        time.sleep(3.0)
        started.kill()
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert not alive


def _awaited(found, count):
    for _ in range(600):
        if len(items := found()) >= count:
            return items
        time.sleep(0.1)
    pytest.fail("the workers did not start")


def test_a_job_that_fails_is_told_in_its_place_and_the_others_are_kept(monkeypatch):
    asked = level("pbe/def2-svp")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    boxed = molecule("H2O", vacuum=4.0, pbc=True)
    found = single_points([SinglePoint(boxed, 0), SinglePoint(molecule("H2"), 0)], asked, "jobs")
    assert isinstance(found[0], EngineFailed)
    assert "periodic box" in str(found[0])
    assert all_or_nothing(found[1:])[0].energy_eV == pytest.approx(-31.7, abs=0.2)
    with pytest.raises(EngineFailed, match="periodic box"):
        all_or_nothing(found)


def test_a_density_that_leads_astray_is_dropped_and_the_energy_is_the_one_from_scratch():
    # Li(H2O)2 2+ after its Coulomb explosion, from the density before it: the SCF circles.
    far = Atoms(
        "LiOH2OH2",
        [
            [-0.756, 0.587, 0.874], [-5.725, -5.307, -0.113], [-6.603, -4.903, -0.276], [-5.725, -5.793, 0.742],
            [4.246, 6.347, 2.077], [4.782, 6.579, 1.31], [3.851, 7.104, 2.505],
        ],
    )  # fmt: skip
    near = far.copy()
    for water in (slice(1, 4), slice(4, 7)):
        near.positions[water] -= 0.7 * (far.positions[water][0] - far.positions[0])
    settings = {"charge": 2, "multiplicity": 2}
    level = Level.model_validate("gfn2")
    near.calc = calculator_for(level, **settings)
    near.get_potential_energy()
    engine, density = near.calc._engine, near.calc._result
    engine.update(far.positions / Bohr)
    with pytest.raises(RuntimeError, match="not converged"):
        engine.singlepoint(density)
    engine.update(near.positions / Bohr)
    near.positions = far.positions
    assert near.get_potential_energy() == pytest.approx(energy_eV(far, level, **settings), abs=1e-4)


def test_an_scf_that_diis_does_not_converge_is_brought_home():
    from solvation.engines.pyscf import PySCFCalculator

    torn = Atoms("OH2", [[0, 0, 0], [0, 2.5, 0], [0, -2.5, 0]])
    calculator = PySCFCalculator(level("pbe/def2-svp"), charge=0, multiplicity=1)
    calculator.atoms = torn
    plain = calculator._mean_field()
    seen_Eh: list[float] = []
    plain.callback = lambda cycle: seen_Eh.append(float(cycle["e_tot"]))
    plain.kernel()
    assert not plain.converged
    # Home is not above any point on the way: damping alone converges on some processors 25 eV above one of them.
    assert energy_eV(torn, level("pbe/def2-svp"), charge=0) / Hartree < min(seen_Eh) + 1e-5
