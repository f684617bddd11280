"""A molecule led to an ion by OpenMM: the bias against its formula, and the free energy against an exact integral."""

from __future__ import annotations

import json
import math
from importlib.util import find_spec

import numpy as np
import pytest
from ase import units

from solvation.errors import StudyError, TrajectoryError
from solvation.study import Bias, ClassicalDynamics, Profile

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(
        find_spec("openmm") is None or find_spec("pymbar") is None,
        reason="OpenMM or pymbar is not installed; pip install 'solvation[liquids]'",
    ),
]

EDGE_A = 12.0
#: Depth, place and width of the well of each donor around the ion, eV and Å; a hard core keeps it off.
DEPTH_EV, PLACE_A, WIDTH_A = 0.08, 2.1, 0.3
CONTACT_A = 2.8
BOX = ClassicalDynamics.model_validate(
    {
        "forcefield": "gaff2", "composition": {"Li+": 1, "X": 3}, "temperature_K": 313, "friction_per_ps": 5,
        "timestep_fs": 4, "hydrogen_mass_u": 3, "cutoff_A": 6,
    }
)  # fmt: skip
WALK = Profile(
    box="BOX",
    ligand="X",
    step_A=0.3,
    wide_from_A=3.7,
    wide_step_A=0.6,
    far_A=4.9,
    window_ps=40,
    settle_ps=4,
    save_every_fs=200,
    contact_A=CONTACT_A,
)


def pair_eV(r_A):
    return (1.2 / r_A) ** 12 - DEPTH_EV * np.exp(-(((r_A - PLACE_A) / WIDTH_A) ** 2))


def share_near():
    """Share of the time that one donor is within contact of the ion: its Boltzmann factor over the cube."""
    points = 151
    line_A = (np.arange(points) + 0.5) / points * EDGE_A / 2
    x, y, z = np.meshgrid(line_A, line_A, line_A)
    r_A = np.sqrt(x**2 + y**2 + z**2)
    weight = np.exp(-pair_eV(r_A) / (units.kB * 313))
    return float(weight[r_A < CONTACT_A].sum() / weight.sum())


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    """An ion and three donors that do not see each other, in files as a packed box has them."""
    import MDAnalysis as mda
    import openmm
    from numpy.random import default_rng

    from solvation.dynamics.langevin import State, stored_generator

    folder = tmp_path_factory.mktemp("box")
    system = openmm.System()
    for mass_u in (40.0, 20.0, 20.0, 20.0):
        system.addParticle(mass_u)
    edge_nm = EDGE_A / 10
    system.setDefaultPeriodicBoxVectors([edge_nm, 0, 0], [0, edge_nm, 0], [0, 0, edge_nm])
    ev = 1 / (units.kJ / units.mol)
    pairs = openmm.CustomBondForce(f"{ev}*((0.12/r)^12 - {DEPTH_EV}*exp(-((r-{PLACE_A / 10})/{WIDTH_A / 10})^2))")
    pairs.setUsesPeriodicBoundaryConditions(True)
    for donor in (1, 2, 3):
        pairs.addBond(0, donor, [])
    system.addForce(pairs)
    (folder / "system.xml").write_text(openmm.XmlSerializer.serialize(system))
    universe = mda.Universe.empty(4, n_residues=4, atom_resindex=range(4), trajectory=True)
    universe.add_TopologyAttr("names", ["LI", "N1", "N1", "N1"])
    universe.add_TopologyAttr("resids", [1, 2, 3, 4])
    universe.add_TopologyAttr("resnames", ["LI", "X", "X", "X"])
    universe.atoms.positions = positions_A = np.array([[1.0, 1, 1], [6, 6, 6], [6, 6, 1], [1, 6, 6]])
    universe.dimensions = [EDGE_A] * 3 + [90.0] * 3
    universe.atoms.write(str(folder / "topology.pdb"))
    donors = {"center": "resname LI", "donors": {"X amine N": "resname X and name N1"}}
    (folder / "donors.json").write_text(json.dumps(donors))
    rng = default_rng(1)
    masses_u = np.array([40.0, 20.0, 20.0, 20.0])
    momenta = np.sqrt(masses_u * units.kB * 313)[:, None] * rng.standard_normal((4, 3))
    State(
        numbers=np.array([3, 7, 7, 7]), masses_u=masses_u, residues=np.arange(4), bonds=np.zeros((0, 2), np.int64),
        charge=1, multiplicity=1, wall_radius_A=np.inf, cell_A=np.full(3, EDGE_A), positions_A=positions_A,
        momenta=momenta, generator=stored_generator(rng), step=1234,
    ).save(folder / "end.npz")  # fmt: skip
    return folder


def surroundings_of(box, settings=WALK):
    from solvation.profiles.walk import surroundings

    told = json.loads((box / "donors.json").read_text())
    return surroundings(box / "topology.pdb", told["center"], told["donors"], box / "end.npz", settings)


def test_the_bias_is_that_of_the_smooth_minimum(box):
    import openmm
    from openmm import unit

    from solvation.dynamics.langevin import State
    from solvation.liquids.openmm_system import read_system
    from solvation.profiles.umbrella import biased, nearest_A

    found, start = surroundings_of(box), State.load(box / "end.npz")
    told_eV = []
    unbiased = read_system(box / "system.xml")
    biases = (Bias(2.4, 1.5), Bias(9.4, 1.5, True), Bias(2.4, 1.5, True))
    for system in (unbiased, *(biased(unbiased, found.ion, [1, 2, 3], bias) for bias in biases)):
        platform = openmm.Platform.getPlatformByName("Reference")
        context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
        context.setPositions(start.positions_A / 10)
        energy = context.getState(energy=True).getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)
        told_eV.append(energy * units.kJ / units.mol)
    nearest = nearest_A(found.distances_A(start.positions_A, start.cell_A)[found.led])
    assert nearest == pytest.approx(5.0 * math.sqrt(2) - math.log(2) / 10, abs=1e-3)
    added_eV = np.array(told_eV[1:]) - told_eV[0]
    assert added_eV == pytest.approx([0.75 * (nearest - 2.4) ** 2, 0.75 * (nearest - 9.4) ** 2, 0], rel=1e-6, abs=1e-9)


def walked(box, folder, settings):
    from solvation.dynamics import classical
    from solvation.dynamics.segments import run_segment
    from solvation.liquids.openmm_system import read_system
    from solvation.profiles.umbrella import biased
    from solvation.profiles.walk import beginning

    found, place = surroundings_of(box, settings), classical.working("Reference")
    start, parts = box / "end.npz", []
    for number in range(1, settings.n_windows + 1):
        bias = settings.bias(number, out_first=found.out_first)
        system = biased(
            read_system(box / "system.xml"), found.ion, found.donors[found.led].tolist(), bias,
        )  # fmt: skip
        parts.append(folder / f"window_{number}.npz")
        run_segment(
            start, parts[-1], settings.run_of(BOX), segment=number, block=classical.Mover(system, place),
            block_steps=classical.BLOCK_STEPS, system=box / "system.xml", bias=str(bias),
            renew=lambda end: beginning(end, BOX, 7, "x"),
        )  # fmt: skip
        start = parts[-1]
    return found, parts


def test_the_free_energy_of_a_walk_is_that_of_the_exact_integral(box, tmp_path):
    from solvation.profiles.free_energy import About, estimate
    from solvation.profiles.walk import read_walk

    found, parts = walked(box, tmp_path, WALK)
    made = estimate(*read_walk(parts, found, WALK), About("x", "BOX", "X", 0), contact_A=CONTACT_A, temperature_K=313)
    near = share_near()
    # Three donors that do not see each other: one of them there against none.
    exact_eV = -units.kB * 313 * math.log(3 * near / (1 - near))
    step_in, step_out, both = made.steps
    assert both.stderr_eV < 0.03
    assert both.free_energy_eV == pytest.approx(exact_eV, abs=3 * both.stderr_eV)
    assert step_in.free_energy_eV == pytest.approx(step_out.free_energy_eV, abs=0.06)
    shells = {row.shell: row.share for row in made.shells if row.way == "both"}
    assert shells["1 X"] == pytest.approx(1.0)
    assert shells["none"] == pytest.approx(1.0)


def test_two_walks_in_one_box_begin_alike_and_are_not_one_run(box):
    from solvation.dynamics.langevin import State
    from solvation.profiles.walk import beginning

    end = State.load(box / "end.npz")
    one, other = (beginning(end, BOX, 7, name) for name in ("first", "second"))
    assert (one.positions_A == other.positions_A).all()
    assert one.step == other.step == 0
    assert one.generator != other.generator
    assert abs(one.momenta - other.momenta).max() > 0.01
    assert (beginning(end, BOX, 7, "first").momenta == one.momenta).all()


def test_more_held_than_stand_at_the_ion_is_refused(box):
    with pytest.raises(TrajectoryError, match="held: 0 of 3 X stand at the ion where BOX ends, so 1 cannot be held"):
        surroundings_of(box, WALK.model_copy(update={"held": 1}))


def test_a_donor_that_the_ligand_has_not_is_refused(box):
    with pytest.raises(StudyError, match="donor: X has no 'carbonyl O' in BOX; it has: amine N"):
        surroundings_of(box, WALK.model_copy(update={"donor": "carbonyl O"}))
