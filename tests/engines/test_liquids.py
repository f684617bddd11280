"""Classical liquids: energies against sums by hand, charges against potentials, and runs that do not depend on cuts."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from importlib.util import find_spec
from itertools import combinations, pairwise

import numpy as np
import pytest
from ase import Atoms
from ase.units import Bohr, Debye, Hartree
from rdkit import Chem

from solvation.engines.electrons import esp_fit, points_around, potential_V
from solvation.engines.pyscf import PySCFCalculator
from solvation.engines.resp import restrained_charges
from solvation.errors import EngineMissing, StructureError, StudyError
from solvation.liquids import antechamber, gaff
from solvation.liquids.forcefield import (
    Parameters,
    alkyl_atoms,
    neighbours,
    parametrise,
    symmetry_classes,
    valence_terms,
)
from solvation.liquids.packing import PackedSystem, pack
from solvation.species import build_molecule, embed_conformers
from solvation.study import ClassicalDynamics, Level, Species, card_of

pytestmark = pytest.mark.engine

HF = Level.model_validate("hf/6-31g*")
CLI = "import typer; from solvation.cli.dynamics import register; app = typer.Typer(); register(app); app()"
KCAL = 4.184
#: kJ/mol Å of two elementary charges.
COULOMB = 1389.35456


def _why_not():
    if find_spec("openmm") is None:
        return "OpenMM is not installed; pip install 'solvation[liquids]'"
    try:
        antechamber.home()
    except EngineMissing as problem:
        return str(problem)
    return None


needs_openmm = pytest.mark.skipif(find_spec("openmm") is None, reason="OpenMM is not installed")
needs_both = pytest.mark.skipif(_why_not() is not None, reason=str(_why_not()))


def molecule(smiles, name="mine"):
    return build_molecule(name, Species(smiles=smiles))


def published(smiles, name="mine"):
    return parametrise(molecule(smiles, name), level=HF, conformers=1, seed=1)


def energy(molecules, positions_A, parameters, charge_scale=1.0, cell_A=None, cutoff_A=9.0):
    """Potential energy in kJ/mol on OpenMM's double-precision reference."""
    import openmm
    from openmm import unit

    from solvation.liquids.openmm_system import build_system

    packed = PackedSystem(tuple(molecules), np.asarray(positions_A, dtype=float), cell_A, None)
    system = build_system(packed, parameters, cutoff_A=cutoff_A, charge_scale=charge_scale)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(packed.positions_A / 10)
    return context.getState(energy=True).getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)


def angle(a, b, c):
    one, other = a - b, c - b
    return np.arccos(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def dihedral(a, b, c, d):
    along = (c - b) / np.linalg.norm(c - b)
    one, other = (a - b) - (a - b) @ along * along, (d - c) - (d - c) @ along * along
    return np.arctan2(np.cross(along, one) @ other, one @ other)


@needs_both
def test_ethane_is_the_sum_of_its_terms():
    """GAFF2's numbers for ethane as they stand in its table, typed here by hand."""
    ethane = molecule("CC")
    typed = antechamber.typed(ethane, embed_conformers(ethane, 1, 1)[0])
    assert typed.types == ("c3", "c3", *["hc"] * 6)
    table = gaff.read_parm(antechamber.gaff2_data()).under(gaff.read_frcmod(typed.missing))
    charges = np.array([-0.03, -0.03, *[0.01] * 6])
    terms = valence_terms(ethane, typed.types, table)
    made = Parameters(
        smiles="CC", symbols=tuple(ethane.symbols), charge=0, origin=("test",), types=typed.types,
        charges_e=tuple(charges), scale_14=(1 / 1.2, 0.5), geometries_A=(), **terms,
    )  # fmt: skip
    rng = np.random.default_rng(3)
    place = embed_conformers(ethane, 1, 1)[0] + 0.05 * rng.standard_normal((8, 3))
    wanted = 228.89 * (np.linalg.norm(place[0] - place[1]) - 1.5354) ** 2
    near = neighbours(ethane)
    for centre, around in enumerate(near):
        for one, other in combinations(around, 2):
            stiff, flat = (35.80, 107.73) if min(one, other) > 1 else (43.27, 109.68)
            wanted += stiff * (angle(place[one], place[centre], place[other]) - np.radians(flat)) ** 2
    coulomb = 0.0
    for first in near[0][1:]:
        for last in near[1][1:]:
            wanted += 0.12 * (1 + np.cos(3 * dihedral(place[first], place[0], place[1], place[last])))
            apart = np.linalg.norm(place[first] - place[last])
            ratio = (2 * 1.4593 / apart) ** 6
            wanted += 0.0208 * (ratio**2 - 2 * ratio) / 2.0
            coulomb += COULOMB * 0.01**2 / apart / 1.2
    assert energy([ethane], place, {"mine": made}) == pytest.approx(KCAL * wanted + coulomb, rel=2e-5)


@needs_both
@pytest.mark.parametrize("smiles", ["O=C1OCCO1", "CCOC(=O)OCC", "COP(=O)(OC)OC", "CC#N", "CN(C)CCN(C)C", "CS(=O)(=O)C"])
def test_terms_are_those_that_parmchk2_finds_in_the_same_table(smiles, tmp_path):
    """parmchk2 prints every term that it takes; its search is another program than ours."""
    asked = molecule(smiles)
    place = embed_conformers(asked, 1, 1)[0]
    typed = antechamber.typed(asked, place)
    ours = gaff.read_parm(antechamber.gaff2_data()).under(gaff.read_frcmod(typed.missing))
    (tmp_path / "m.mol").write_text(Chem.MolToMolBlock(asked.graph_at(place)))
    home = antechamber.home()
    environment = os.environ | {"AMBERHOME": str(home)}
    for command in (
        "antechamber -i m.mol -fi mdl -o m.mol2 -fo mol2 -at gaff2 -dr no -pf y",
        "parmchk2 -i m.mol2 -f mol2 -o all.frcmod -s 2 -a Y",
    ):
        program, *rest = command.split()
        subprocess.run([home / "bin" / program, *rest], cwd=tmp_path, env=environment, check=True, capture_output=True)
    theirs = gaff.read_frcmod((tmp_path / "all.frcmod").read_text())
    terms = valence_terms(asked, typed.types, ours)
    kinds = [tuple(typed.types[index] for index in bond[:2]) for bond in terms["bonds"]]
    for (_, _, length_A, stiffness), kind in zip(terms["bonds"], kinds, strict=True):
        # parmchk2 rounds lengths to 0.001 Å.
        assert (stiffness / 2 / KCAL, length_A) == pytest.approx(theirs.bond(kind), abs=6e-4)
    for *atoms, flat, stiffness in terms["angles"]:
        assert (stiffness / 2 / KCAL, flat) == pytest.approx(theirs.angle([typed.types[i] for i in atoms]), abs=6e-3)
    proper: dict = {}
    for item in terms["torsions"]:
        # The outer atoms of an improper are not bonded to each other.
        if all((min(pair), max(pair)) in asked.bonds for pair in pairwise(item[:4])):
            proper.setdefault(item[:4], []).append((item[4], item[5], item[6] / KCAL))
    for chain, waves in proper.items():
        wanted = [wave for wave in theirs.torsion([typed.types[index] for index in chain]) if wave[2]]
        assert np.array(sorted(waves)) == pytest.approx(np.array(sorted(wanted)), abs=1e-3)
    for kind, sigma_A, depth in zip(typed.types, terms["sigma_A"], terms["epsilon_kJ_mol"], strict=True):
        assert (sigma_A * 2 ** (1 / 6) / 2, depth / KCAL) == pytest.approx(theirs.sphere(kind), abs=1e-6)


@needs_openmm
def test_an_ideal_octahedron_has_no_energy_and_a_stretched_bond_has_its_own():
    ion = published("[P-](F)(F)(F)(F)(F)F")
    place = ion.geometries()[0]
    place = place - place[0]
    ideal = np.vstack([np.zeros(3), 1.606 * np.sign(np.round(_aligned(place)[1:] / 1.6))])
    model = [molecule("[P-](F)(F)(F)(F)(F)F")]
    assert energy(model, ideal, {"mine": ion}) == pytest.approx(0.0, abs=1e-9)
    ideal[1] *= 1.706 / 1.606
    assert energy(model, ideal, {"mine": ion}) == pytest.approx(0.5 * 3100.0 * 0.01, rel=1e-9)


def _aligned(place):
    """Turn an octahedron so that its arms lie along the axes."""
    x = place[1] / np.linalg.norm(place[1])
    other = next(arm for arm in place[2:] if abs(arm @ x) < 0.3)
    y = other - other @ x * x
    y /= np.linalg.norm(y)
    return place @ np.stack([x, y, np.cross(x, y)]).T


@needs_openmm
def test_two_ions_feel_scaled_charges_and_mixed_spheres():
    # il.ff: Li+ 2.126 Å and 0.07648 kJ/mol; Na+ 3.33 Å and 0.0116.
    lithium, sodium = molecule("[Li+]", "Li"), molecule("[Na+]", "Na")
    terms = {"Li": published("[Li+]", "Li"), "Na": published("[Na+]", "Na")}
    ratio = ((2.126 + 3.33) / 2 / 4.0) ** 6
    wanted = COULOMB * 0.8**2 / 4.0 + 4 * np.sqrt(0.07648 * 0.0116) * (ratio**2 - ratio)
    found = energy([lithium, sodium], [[0, 0, 0], [0, 0, 4.0]], terms, charge_scale=0.8)
    assert found == pytest.approx(wanted, rel=1e-6)


def lithium_and_two_waters(edge_A):
    """Li+ between two waters on the x axis, 2 and 3 Å away, and what they are made of; O is called `o`."""
    lithium, water = molecule("[Li+]", "Li"), molecule("O", "water")
    shape = np.array([[0.0, 0, 0], [0.59, 0.76, 0], [0.59, -0.76, 0]])
    place = np.vstack([np.zeros(3), shape + np.array([2, 0, 0]), shape * [-1, 1, 1] + np.array([edge_A - 3, 0, 0])])
    ion = published("[Li+]", "Li")
    spheres = {"sigma_A": (3.1, 1.0, 1.0), "epsilon_kJ_mol": (0.6, 0.0, 0.0)}
    liquid = Parameters(
        smiles="O", symbols=tuple(water.symbols), charge=0, origin=("test",), types=("o", "h", "h"),
        charges_e=(-0.8, 0.4, 0.4), bonds=((0, 1, 0.96, 4000.0), (0, 2, 0.96, 4000.0)), scale_14=(0.5, 0.5),
        geometries_A=(), **spheres,
    )  # fmt: skip
    return [lithium, water, water], place, {"Li": ion, "water": liquid}


@needs_openmm
@pytest.mark.parametrize("edge_A", [20.0, None])
def test_a_pair_term_stands_instead_of_the_mixed_one_and_changes_no_other(edge_A):
    molecules, place, parameters = lithium_and_two_waters(edge_A or 0.0)
    ion = parameters["Li"]
    repulsion, attraction = 9.0e3, 1.5e3

    def of(pairs):
        changed = parameters | {"Li": ion.model_copy(update={"pairs": pairs, "pairs_charge_scale": 0.8})}
        return energy(molecules, place, changed, charge_scale=0.8, cell_A=edge_A)

    def lennard_jones(sigma, depth, r):
        return 4 * depth * ((sigma / r) ** 12 - (sigma / r) ** 6)

    sigma, depth = (ion.sigma_A[0] + 3.1) / 2, np.sqrt(ion.epsilon_kJ_mol[0] * 0.6)
    wanted = sum(repulsion / r**8 - attraction / r**6 - lennard_jones(sigma, depth, r) for r in (2.0, 3.0))
    assert of({"o(h h)": (repulsion, attraction)}) - of({}) == pytest.approx(wanted, rel=1e-5)
    # A kind that is not there changes nothing, nor does the same type beside others.
    for absent in ("n3", "o", "o(c)"):
        assert of({absent: (repulsion, attraction)}) == pytest.approx(of({}), abs=1e-9)
    # Nor does a charged ligand, whatever its atoms are called: the terms are fitted to neutral ones.
    for name in parameters.keys() - {"Li"}:
        parameters[name] = parameters[name].model_copy(update={"charge": -1})
    assert of({"o(h h)": (repulsion, attraction)}) == pytest.approx(of({}), abs=1e-9)


@needs_both
@pytest.mark.parametrize("smiles", ["O=C1O[B-]2(OC1=O)OC(=O)C(=O)O2", "O=C1O[B-](F)(F)OC1=O"])
def test_borates_of_batteries_stay_as_gfn2_has_them(smiles):
    """parmchk2 takes sp2 carbon for B, at a penalty of zero: B-O came out as 1.38 Å instead of 1.48."""
    import openmm
    from ase.geometry import get_angles

    from solvation.liquids.openmm_system import build_system

    asked = molecule(smiles)
    made = parametrise(asked, level=Level.model_validate("hf/sto-3g"), conformers=1, seed=1)
    (relaxed_A,) = made.geometries()
    system = build_system(PackedSystem((asked,), relaxed_A, None, None), {"mine": made}, cutoff_A=9.0, charge_scale=0.8)
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(relaxed_A / 10)
    openmm.LocalEnergyMinimizer.minimize(context, 0.1, 5000)
    place_A = context.getState(positions=True).getPositions(asNumpy=True)._value * 10
    boron = asked.symbols.index("B")
    around = neighbours(asked)[boron]
    for other in around:
        wanted = np.linalg.norm(relaxed_A[boron] - relaxed_A[other])
        assert np.linalg.norm(place_A[boron] - place_A[other]) == pytest.approx(wanted, abs=0.03)
    for one, other in combinations(around, 2):
        wanted, found = (
            get_angles([place[one] - place[boron]], [place[other] - place[boron]])[0] for place in (relaxed_A, place_A)
        )
        assert found == pytest.approx(wanted, abs=4)
    # Every term is either boron's own, and said to be, or listed.
    assert any("bonds and angles of B" in line for line in made.origin)
    assert made.doubtful == ("Lennard-Jones of B (as sp2 carbon)",)


@needs_openmm
def test_pair_terms_hold_with_the_charges_of_their_fit_only():
    molecules, place, parameters = lithium_and_two_waters(20.0)
    pairs = {"pairs": {"o": (1.9, 5.0)}, "pairs_charge_scale": 0.8}
    parameters["Li"] = parameters["Li"].model_copy(update=pairs)
    with pytest.raises(StudyError, match=r"fitted with 0\.8"):
        energy(molecules, place, parameters, charge_scale=0.7, cell_A=20.0)


@needs_openmm
def test_charges_in_a_box_are_summed_over_its_images():
    """Madelung's constant of rock salt, with charges of 1 and of 0.8; neutral species are never scaled."""
    edge_A, near_A = 24.0, 3.0
    grid = near_A * np.array([(i, j, k) for i in range(8) for j in range(8) for k in range(8)])
    sign = np.where((grid / near_A).sum(axis=1) % 2 == 0, 1, -1)
    order = np.argsort(-sign, kind="stable")
    point = {"epsilon_kJ_mol": (0.0,), "sigma_A": (1.0,), "scale_14": (0.5, 0.5), "geometries_A": (), "origin": ("",)}
    models = {"p": molecule("[Na+]", "p"), "m": molecule("[Cl-]", "m")}
    terms = {
        "p": Parameters(smiles="", symbols=("Na",), charge=1, types=("p",), charges_e=(1.0,), **point),
        "m": Parameters(smiles="", symbols=("Cl",), charge=-1, types=("m",), charges_e=(-1.0,), **point),
    }
    chosen = [models["p"]] * 256 + [models["m"]] * 256
    for scale in (1.0, 0.8):
        found = energy(chosen, grid[order], terms, charge_scale=scale, cell_A=edge_A)
        assert found / 256 == pytest.approx(-1.7475646 * COULOMB * scale**2 / near_A, rel=1e-3)


@pytest.mark.parametrize(("smiles", "equal"), [("O", [1, 2]), ("CO", [2, 3, 4]), ("CC(=O)[O-]", [2, 3])])
def test_charges_reproduce_the_dipole_and_are_equal_where_atoms_are(smiles, equal):
    model = molecule(smiles)
    place = embed_conformers(model, 1, 2)[0]
    field = PySCFCalculator(HF, charge=model.charge, multiplicity=1).converged(Atoms(model.symbols, place))
    charges, missed = restrained_charges([field], symmetry_classes(model), alkyl_atoms(model))
    assert charges.sum() == pytest.approx(model.charge, abs=1e-10)
    assert np.ptp(charges[equal]) < 1e-10
    # Equal hydrogens of a methyl group and the restraint cost something against the free fit, and never gain.
    assert esp_fit(field)[1] - 1e-9 < missed < (0.25 if model.charge == 0 else 0.05)
    if model.charge == 0:
        theirs = np.asarray(field.dip_moment(unit="AU", verbose=0)) * Bohr
        assert np.linalg.norm(charges @ place - theirs) / Debye < 0.35


def test_two_conformers_are_fitted_better_together_than_by_either_alone():
    model = molecule("OCCO")
    places = embed_conformers(model, 6, 4)
    places = [places[0], max(places, key=lambda place: np.linalg.norm(place[0] - place[3]))]
    fields = [PySCFCalculator(HF, charge=0, multiplicity=1).converged(Atoms(model.symbols, place)) for place in places]
    groups = symmetry_classes(model), alkyl_atoms(model)
    both, _ = restrained_charges(fields, *groups)
    assert both.sum() == pytest.approx(0.0, abs=1e-10)

    def missed(charges):
        squares = 0.0
        for field in fields:
            points = points_around(field.mol)
            distance = np.linalg.norm(points[:, None] - field.mol.atom_coords()[None], axis=-1)
            squares += ((potential_V(field, points * Bohr) / Hartree - (1 / distance) @ charges) ** 2).sum()
        return squares

    for field in fields:
        alone, _ = restrained_charges([field], *groups)
        assert missed(both) < 0.98 * missed(alone)


SPECIES = {
    "Li+": Species(smiles="[Li+]"),
    "PF6-": Species(smiles="F[P-](F)(F)(F)(F)F"),
    "MeCN": Species(smiles="CC#N"),
}


def settings_of(**changes):
    values = {
        "forcefield": "gaff2", "composition": {"Li+": 2, "PF6-": 2, "MeCN": 60}, "cutoff_A": 7.0, "npt_ps": 2.0,
        "nvt_ps": 1.0, "length_ps": 0.8, "save_every_fs": 40.0, "segments": 1, "density_g_cm3": 0.7,
    }  # fmt: skip
    return ClassicalDynamics.model_validate(values | changes)


def verb(*arguments):
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OPENMM_DEFAULT_PLATFORM": "CPU"}
    return subprocess.Popen(
        [sys.executable, "-c", CLI, *map(str, arguments)],
        env=os.environ | one_thread,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    _, told = process.communicate(timeout=500)
    assert process.returncode == 0, told
    return told


def card_text(**changes):
    return card_of(settings=settings_of(**changes), species=SPECIES, seed=7, name="tiny")


@pytest.fixture(scope="module")
def parameters(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parameters")
    for name, species in SPECIES.items():
        text = card_of(species=species, charges={"level": "hf/6-31g*", "conformers": 1}, seed=7, name=name)
        finish(verb("parameters", "--card", text, "--output", folder / f"{name}.json"))
    return [folder / f"{name}.json" for name in SPECIES]


@pytest.fixture(scope="module")
def packed(parameters, tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed")
    options = [part for path in parameters for part in ("--parameters", path)]
    return folder, finish(verb("pack", "--card", card_text(), "--output", folder, *options))


@needs_both
def test_a_packed_box_is_whole_and_tells_its_density(packed):
    import MDAnalysis as mda

    folder, told = packed
    assert "too short to tell" in told
    report = json.loads((folder / "equilibration.json").read_text())
    result = report["result"]
    assert report["numbers"] == {"Li+": 2, "PF6-": 2, "MeCN": 60}
    assert not result["is_settled"]
    universe = mda.Universe(folder / "topology.pdb")
    assert len(universe.atoms) == 2 + 2 * 7 + 60 * 6
    edge_A = universe.dimensions[0]
    grams = (2 * 6.94 + 2 * 144.964 + 60 * 41.053) / 6.02214076e23
    assert result["density_g_cm3"] == pytest.approx(grams / edge_A**3 * 1e24, rel=1e-3)
    assert result["molarity"]["Li+"] == pytest.approx(2 / 6.02214076e23 / edge_A**3 * 1e27, rel=1e-3)
    rows = list(csv.DictReader((folder / "equilibration.csv").open()))
    assert [row["stage"] for row in rows] == ["npt"] * 10 + ["nvt"] * 5
    # Constant pressure moves the volume, constant volume does not.
    assert len({row["density_g_cm3"] for row in rows[:10]}) > 3
    assert len({row["density_g_cm3"] for row in rows[10:]}) == 1


@needs_both
def test_the_written_system_has_the_cell_that_the_box_came_to(packed):
    """A script that sets no cell of its own gets the energy and the density of the checkpoint, not of the packing."""
    import openmm

    from solvation.dynamics.langevin import State
    from solvation.liquids.openmm_system import read_system

    folder, _ = packed
    state = State.load(folder / "start.npz")
    context = openmm.Context(read_system(folder / "system.xml"), openmm.VerletIntegrator(0.001))
    edges_A = np.diag(context.getState().getPeriodicBoxVectors(asNumpy=True)._value) * 10
    assert edges_A == pytest.approx(state.cell_A)
    grams = (2 * 6.94 + 2 * 144.964 + 60 * 41.053) / 6.02214076e23
    # It was packed at 0.7 g/cm3 and has moved on from there.
    assert abs(grams / np.prod(edges_A) * 1e24 - 0.7) > 0.005


@needs_both
def test_drawn_molecules_stand_at_the_ion_and_no_bond_is_broken(parameters):
    from solvation.dynamics import classical
    from solvation.dynamics.drawing import draw_in
    from solvation.dynamics.langevin import check_bonds
    from solvation.liquids.forcefield import parameters_of
    from solvation.liquids.openmm_system import build_system

    settings = settings_of(draw_in={"MeCN": 3})
    molecules = {name: build_molecule(name, Species.model_validate(SPECIES[name])) for name in SPECIES}
    terms = parameters_of(molecules, parameters)
    rng = np.random.default_rng(4)
    system = pack(molecules, settings.composition, shape="box", density_g_cm3=0.7, rng=rng)
    forces = build_system(system, terms, cutoff_A=7.0, charge_scale=0.8)
    place = classical.Place("CPU", {"Threads": "1", "DeterministicForces": "true"})
    first = classical.first_state(system, settings, rng)
    ends = [draw_in(first, system, forces, settings, place, settings.draw_in) for _ in range(2)]
    check_bonds(ends[0], ends[0].positions_A, "while molecules were drawn in")
    nitrogen = np.flatnonzero(ends[0].numbers == 7)
    apart = ends[0].positions_A[nitrogen] - ends[0].positions_A[0]
    apart -= ends[0].cell_A * np.round(apart / ends[0].cell_A)
    assert (np.linalg.norm(apart, axis=1) < 2.6).sum() >= 3
    assert ends[0].positions_A.tobytes() == ends[1].positions_A.tobytes()
    assert ends[0].step == 0
    assert not ends[0].momenta.any()
    with pytest.raises(StructureError, match="of 60 with a donor"):
        draw_in(first, system, forces, settings, place, {"MeCN": 61})


@needs_both
def test_killed_and_cut_runs_are_the_same_bit_for_bit(packed, tmp_path):
    from solvation.dynamics import classical
    from solvation.dynamics.segments import join, run_segment
    from solvation.liquids import openmm_system

    folder, _ = packed
    place = classical.Place("CPU", {"Threads": "1", "DeterministicForces": "true"})
    system = openmm_system.read_system(folder / "system.xml")

    def run(segments, to):
        settings = settings_of(segments=segments)
        start, parts = folder / "start.npz", []
        for number in range(1, segments + 1):
            parts.append(to / f"{segments}_{number}.npz")
            run_segment(
                start, parts[-1], settings, segment=number, block=classical.Mover(system, place), block_steps=100,
                system=folder / "system.xml",
            )  # fmt: skip
            start = parts[-1]
        join(parts, settings, trajectory=to / f"{segments}.xtc", log=to / f"{segments}.csv")
        return (to / f"{segments}.xtc").read_bytes(), (to / f"{segments}.csv").read_text()

    whole = run(1, tmp_path)
    assert whole == run(4, tmp_path)
    assert whole[1].count("\n") == 1 + 20


@needs_both
def test_a_killed_segment_goes_on_where_it_stood(packed, tmp_path):
    folder, _ = packed
    text = card_text(length_ps=120.0, segments=2, save_every_fs=1000.0)
    call = ["md", "--card", text, "--segment", 1, "--start", folder / "start.npz", "--output", tmp_path / "1.npz"]
    process = verb(*call)
    partial, limit = tmp_path / "1.partial.npz", time.monotonic() + 300
    while not partial.is_file() and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert partial.is_file()
    assert not (tmp_path / "1.npz").exists()
    again = verb(*call)
    line = next(line for line in again.stderr if "resumed" in line)
    again.send_signal(signal.SIGKILL)
    again.communicate()
    assert int(line.split("step")[1]) % 5000 == 0
    assert int(line.split("step")[1]) > 0


@needs_both
def test_the_trajectory_is_read_by_the_analysis(packed):
    from solvation.shells.analysis import analyze_trajectory
    from solvation.trajectory.frames import open_trajectory

    folder, _ = packed
    text = card_text(segments=1)
    part = folder / "segment_1.npz"
    finish(verb("md", "--card", text, "--segment", 1, "--start", folder / "start.npz", "--output", part))
    finish(verb("join", "--card", text, "--output", folder, part))
    named = json.loads((folder / "donors.json").read_text())
    opened = open_trajectory(folder / "topology.pdb", folder / "trajectory.xtc")
    found = analyze_trajectory(opened, center=named["center"], donors=named["donors"], r_max_A=6, n_bins=60)
    assert named["center_species"] == "Li+"
    assert set(named["donors"]) == {"MeCN nitrile N", "PF6- fluorine"}
    assert found is not None
    rows = list(csv.DictReader((folder / "log.csv").open()))
    assert len(rows) == 20
    assert 150 < np.mean([float(row["temperature_K"]) for row in rows]) < 450


@needs_openmm
def test_a_box_smaller_than_the_cutoff_is_refused(tmp_path):
    from solvation.dynamics import classical, equilibration

    ion = molecule("[Li+]", "Li+")
    settings = ClassicalDynamics(forcefield="gaff2", composition={"Li+": 2}, cutoff_A=12)
    rng = np.random.default_rng(1)
    box = pack(
        {"Li+": ion}, {"Li+": 2}, shape="box", density_g_cm3=0.02, rng=rng, geometries={"Li+": [np.zeros((1, 3))]}
    )
    state = classical.first_state(box, settings, rng)
    place = classical.Place("Reference", {})
    with pytest.raises(StructureError, match="cutoff_A 12 is more than half of the box of 10"):
        # Before anything is drawn to an ion: that takes a box as well.
        equilibration.equilibrate(state, None, settings, place, partial=tmp_path / "x.npz", prepare=pytest.fail)


@needs_both
def test_an_equilibration_that_goes_on_draws_nothing_in_again(tmp_path, parameters):
    from solvation.dynamics import classical, equilibration
    from solvation.dynamics.langevin import State
    from solvation.liquids.forcefield import parameters_of
    from solvation.liquids.openmm_system import build_system

    settings = settings_of(draw_in={"MeCN": 3})
    molecules = {name: build_molecule(name, Species.model_validate(SPECIES[name])) for name in SPECIES}
    rng = np.random.default_rng(4)
    system = pack(molecules, settings.composition, shape="box", density_g_cm3=0.7, rng=rng)
    forces = build_system(system, parameters_of(molecules, parameters), cutoff_A=7.0, charge_scale=0.8)
    place = classical.Place("CPU", {"Threads": "1", "DeterministicForces": "true"})
    first = classical.first_state(system, settings, rng)
    prepared = []

    def prepare(state):
        # As on another processor: what comes out differs in the last digits each time.
        prepared.append(len(prepared))
        return replace(state, positions_A=state.positions_A + 1e-9 * len(prepared))

    def killed(line):
        if line.startswith("npt: step"):
            raise KeyboardInterrupt

    asked = {"partial": tmp_path / "x.npz", "prepare": prepare}
    with pytest.raises(KeyboardInterrupt):
        equilibration.equilibrate(first, forces, settings, place, **asked, say=killed)
    kept, said = State.load(tmp_path / "x.npz").step, []
    equilibration.equilibrate(first, forces, settings, place, **asked, say=said.append)
    assert prepared == [0]
    assert f"resumed from x.npz at step {kept}" in said
