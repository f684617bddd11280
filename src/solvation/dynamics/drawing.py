"""A box that begins with chosen molecules at its ion: the other end from which a shell can be reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from solvation.dynamics.classical import Place
from solvation.dynamics.equilibration import at_temperature, minimised
from solvation.dynamics.images import nearest_images_A
from solvation.dynamics.langevin import Say, State, stored_generator
from solvation.errors import EngineFailed, StructureError
from solvation.liquids.packing import PackedSystem
from solvation.study import ClassicalDynamics

_HELD_A = 2.1
_BOUND_A = 2.6
_STIFFNESS_KJ_MOL_NM2 = 20_000.0
#: The tether is shortened in so many steps of so many steps of dynamics, and then held.
_PULLS, _STEPS, _HELD_STEPS = 20, 150, 1000


def draw_in(
    state: State,
    system: PackedSystem,
    forces: object,
    settings: ClassicalDynamics,
    place: Place,
    wanted: Mapping[str, int],
    say: Say | None = None,
) -> State:
    """Minimise a box, and draw the nearest molecules to the first ion by a tether that shortens; then let go.

    Of each molecule the donor of first rank that is nearest is drawn, to 2.1 Å, at constant volume. What stood in the
    shell makes room as it likes. The box that comes back is at rest.

    Parameters
    ----------
    forces
        OpenMM system of the box.
    wanted
        Copies of each species.

    Raises
    ------
    StructureError
        The box has no bare ion, or a species too few copies or no donor.
    EngineFailed
        OpenMM failed, or a donor did not come.
    """
    import openmm
    from openmm import unit

    donors = _nearest_donors(state, system, wanted)
    state = at_temperature(minimised(state, forces, place, say), settings)
    rng = state.rng()
    tether = openmm.CustomBondForce("0.5*stiffness*max(0, r - length)^2")
    tether.addGlobalParameter("stiffness", _STIFFNESS_KJ_MOL_NM2)
    tether.addPerBondParameter("length")
    tether.setUsesPeriodicBoundaryConditions(True)
    begin_A = np.array([_distance_A(state, donor) for donor in donors])
    for donor, length_A in zip(donors, begin_A, strict=True):
        tether.addBond(0, donor, [length_A / 10])
    held = openmm.XmlSerializer.clone(forces)
    held.addForce(tether)
    integrator = openmm.LangevinMiddleIntegrator(
        settings.temperature_K, settings.friction_per_ps, settings.timestep_fs / 1000
    )
    integrator.setRandomNumberSeed(int(rng.integers(1, 2**31 - 1)))
    context = place.context(held, integrator)
    context.setPeriodicBoxVectors(*np.diag(state.cell_A / 10).tolist())
    context.setPositions(state.positions_A / 10)
    context.setVelocitiesToTemperature(settings.temperature_K, int(rng.integers(1, 2**31 - 1)))
    try:
        for pull in range(1, _PULLS + 1):
            share = pull / _PULLS
            for bond, (donor, length_A) in enumerate(zip(donors, begin_A, strict=True)):
                now_A = (1 - share) * length_A + share * _HELD_A
                tether.setBondParameters(bond, 0, donor, [now_A / 10])
            tether.updateParametersInContext(context)
            integrator.step(_STEPS)
        integrator.step(_HELD_STEPS)
        place_A = context.getState(positions=True).getPositions(asNumpy=True).value_in_unit(unit.angstrom)
    except openmm.OpenMMException as problem:
        raise EngineFailed(f"OpenMM stopped while molecules were drawn in: {problem}") from problem
    end = replace(
        state, positions_A=np.asarray(place_A), momenta=np.zeros_like(state.momenta),
        generator=stored_generator(rng),
    )  # fmt: skip
    reached_A = [_distance_A(end, donor) for donor in donors]
    if not max(reached_A) < _BOUND_A:
        raise EngineFailed(f"draw_in: a donor stayed {max(reached_A):.1f} Å from the ion; ask for fewer molecules")
    if say:
        told = ", ".join(f"{count} {name}" for name, count in wanted.items())
        say(f"drew in {told}: donors at {', '.join(f'{value:.2f}' for value in reached_A)} Å")
    return end


def _nearest_donors(state: State, system: PackedSystem, wanted: Mapping[str, int]) -> list[int]:
    """Of the nearest copies of each species, the nearest donor of first rank."""
    if not system.molecules[0].is_ion:
        raise StructureError("draw_in: the box holds no bare ion to draw molecules to")
    sizes = [molecule.graph.GetNumAtoms() for molecule in system.molecules]
    offsets = np.cumsum([0, *sizes[:-1]])
    chosen: list[int] = []
    for name, count in wanted.items():
        found = []
        for molecule, offset in zip(system.molecules, offsets, strict=True):
            own = [int(offset) + donor.index for donor in molecule.donors if donor.rank == 1]
            if molecule.name == name and own:
                found.append(min((_distance_A(state, donor), donor) for donor in own))
        if len(found) < count:
            raise StructureError(f"draw_in: {count} {name} of {len(found)} with a donor in the box; take fewer")
        chosen += [donor for _, donor in sorted(found)[:count]]
    return chosen


def _distance_A(state: State, donor: int) -> float:
    apart = state.positions_A[donor] - state.positions_A[0]
    return float(np.linalg.norm(nearest_images_A(apart, state.cell_A)))
