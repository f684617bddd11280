"""Pair terms of an ion: known terms are found again, an offset changes nothing, and only what is asked for moves."""

from __future__ import annotations

import numpy as np
import pytest

from solvation.clusters.shell import Shell
from solvation.errors import SpeciesError
from solvation.liquids.forcefield import Parameters, parametrise
from solvation.liquids.ion_pairs import OFFSETS_A, Path, fit_pairs, force_field_eV
from solvation.liquids.ions import fitted_pairs, published_ions
from solvation.liquids.openmm_system import donors_without_terms
from solvation.species import build_molecule
from solvation.study import Level, Species

HF, GFN1 = Level.model_validate("hf/6-31g*"), Level.model_validate("gfn1")
LITHIUM = build_molecule("Li+", Species(library="Li+"))
WATER, AMMONIA = build_molecule("H2O", Species(library="H2O")), build_molecule("NH3", Species(library="NH3"))
WATER_A = np.array([[0.0, 0, 0], [0.59, 0.76, 0], [0.59, -0.76, 0]])
AMMONIA_A = np.array([[0.0, 0, 0], [0.38, 0.94, 0], [0.38, -0.47, 0.81], [0.38, -0.47, -0.81]])
#: A and C of E = A/r8 - C/r6, kJ/mol and Å; O has no attraction at all.
KNOWN = {"o": (9.0e3, 0.0), "n": (3.0e4, 2.1e3)}


def simple(molecule, types, charges, sigma, epsilon):
    return Parameters(
        smiles="", symbols=tuple(molecule.symbols), charge=molecule.charge, origin=("test",), types=types,
        charges_e=charges, sigma_A=sigma, epsilon_kJ_mol=epsilon, scale_14=(0.5, 0.5), geometries_A=(),
    )  # fmt: skip


PARAMETERS = {
    "Li+": simple(LITHIUM, ("Li",), (1.0,), (2.126,), (0.07648,)),
    "H2O": simple(WATER, ("o", "h", "h"), (-0.8, 0.4, 0.4), (3.1, 1.0, 1.0), (0.6, 0.0, 0.0)),
    "NH3": simple(AMMONIA, ("n", "h", "h", "h"), (-0.9, 0.3, 0.3, 0.3), (3.3, 1.0, 1.0, 1.0), (0.4, 0.0, 0.0, 0.0)),
}


def path(ligand, ligand_A, r0_A):
    """Li+ with one water behind it, and a ligand that goes out along x."""
    shell = Shell((LITHIUM, WATER, ligand))
    r_A = r0_A + np.array(OFFSETS_A)
    behind = np.array([-1.9, 0, 0]) + WATER_A * [-1, 1, 1]
    places = [np.vstack([np.zeros(3), behind, ligand_A + np.array([r, 0, 0])]) for r in r_A]
    return Path(shell, 4, r_A, np.array(places))


PATHS = [path(WATER, WATER_A, 1.9), path(AMMONIA, AMMONIA_A, 2.1)]


def test_known_terms_are_found_again_whatever_is_added_to_all_ligands():
    computed = [force_field_eV(one, PARAMETERS, 0.8, pairs=KNOWN) - 0.37 for one in PATHS]
    found = fit_pairs(PATHS, computed, PARAMETERS, charge_scale=0.8, ion="Li+", level=GFN1, charges="typed here")
    for kind, known in KNOWN.items():
        assert found.terms[kind] == pytest.approx(known, rel=1e-5, abs=1e-2)
    assert found.offset_eV == pytest.approx(0.37, abs=1e-6)
    assert found.rms_eV < 1e-6
    # One sphere cannot have four free numbers; the published one has none.
    assert found.rms_eV < found.one_sphere_rms_eV <= found.published_rms_eV
    for scan in found.scans:
        assert scan.fitted_eV == pytest.approx(scan.dft_eV, abs=1e-5)
        assert scan.peak_fitted_A == pytest.approx(scan.peak_dft_A, abs=1e-4)


def test_the_interaction_is_coulombs_and_lennard_jones_sum():
    one, bare = PATHS[0], {"o": (0.0, 0.0)}
    # Without any Lennard-Jones term of the ion with O, and H without size: charges, and O with O.
    got = force_field_eV(one, PARAMETERS, 0.8, sphere=(1.0, 0.0), pairs=bare)
    charges = np.array([0.8, -0.8, 0.4, 0.4, -0.8, 0.4, 0.4])
    for number, place in enumerate(one.positions_A):
        apart = np.linalg.norm(place[:4, None] - place[4:], axis=-1)
        ratio = (3.1 / np.linalg.norm(place[1] - place[4])) ** 6
        wanted = 14.399645 * (charges[:4, None] * charges[4:] / apart).sum() + 4 * 0.6 / 96.4853 * (ratio**2 - ratio)
        assert got[number] == pytest.approx(wanted, rel=1e-6)


def test_oxygen_of_an_ether_and_of_an_ester_is_not_the_same():
    """GAFF2 calls both `os`; with the term of ethers Li+ sits on the ring's O of EC in two shells of three."""
    ester = Parameters(
        smiles="", symbols=("C", "O", "C", "O"), charge=0, origin=("test",), types=("c3", "os", "c", "o"),
        bonds=((0, 1, 1.4, 1.0), (1, 2, 1.3, 1.0), (2, 3, 1.2, 1.0)), charges_e=(0.0,) * 4, sigma_A=(3.0,) * 4,
        epsilon_kJ_mol=(0.4,) * 4, scale_14=(0.5, 0.5), geometries_A=(),
    )  # fmt: skip
    ring = ester.model_copy(update={"types": ("c5", "os", "c6", "hc")})
    assert ester.kinds == ("c3(os)", "os(c c3)", "c(o os)", "o(c)")
    assert ring.kinds[1] == "os(c3 c3)"
    assert set(ester.kinds) & set(fitted_pairs()["Li+"].terms) == {"o(c)"}


def test_two_ligands_that_bind_through_one_type_are_refused():
    with pytest.raises(SpeciesError, match="share one pair term"):
        fit_pairs(
            [PATHS[0], PATHS[0]], [np.zeros(5)] * 2, PARAMETERS, charge_scale=0.8, ion="Li+", level=GFN1, charges=""
        )


def test_donors_that_no_term_was_fitted_to_are_named():
    molecules = {"Li+": LITHIUM, "H2O": WATER, "NH3": AMMONIA}

    def named(pairs):
        ion = PARAMETERS["Li+"].model_copy(update={"pairs": pairs})
        return donors_without_terms(molecules, PARAMETERS | {"Li+": ion})

    assert named({"o": (1.0, 0.0)}) == {"Li+": [f"NH3 {AMMONIA.donors[0].kind}"]}
    assert named(KNOWN) == {}
    # Without any fitted term all of them are of one kind.
    assert named({}) == {}


def test_a_charged_species_takes_no_term_that_was_fitted_to_neutral_ones():
    """GAFF2 calls O of acetate and O of EC's C=O the same; the fit saw EC."""
    acetate = build_molecule("OAc-", Species(smiles="CC(=O)[O-]"))
    types = ("c3", "c", "o", "o", "hc", "hc", "hc")
    made = simple(acetate, types, (0.0,) * 7, (3.0,) * 7, (0.4,) * 7)
    made = made.model_copy(update={"bonds": tuple((*pair, 1.3, 1.0) for pair in sorted(acetate.bonds))})
    pairs = fitted_pairs()["Li+"].terms
    assert made.kinds[2] in pairs
    assert not set(made.kinds_of_pairs) & set(pairs)
    ion = PARAMETERS["Li+"].model_copy(update={"pairs": pairs})
    molecules = {"Li+": LITHIUM, "OAc-": acetate}
    assert donors_without_terms(molecules, {"Li+": ion, "OAc-": made}) == {"Li+": ["OAc- carboxylate O"]}


def test_lithium_takes_its_fitted_pairs_unless_the_published_set_is_asked_for():
    fitted = fitted_pairs()["Li+"]
    made = parametrise(LITHIUM, level=HF, conformers=1, seed=1)
    assert made.pairs == fitted.terms
    assert made.pairs_charge_scale == fitted.charge_scale
    plain = parametrise(LITHIUM, level=HF, conformers=1, seed=1, with_pairs=False)
    assert (plain.pairs, plain.pairs_charge_scale) == ({}, None)
    # Charge and own sphere stay those of the published set.
    sphere = published_ions()["Li+"].atoms["Li"]
    assert (made.charges_e, made.sigma_A, made.epsilon_kJ_mol) == ((1.0,), (sphere.sigma,), (sphere.epsilon,))


def test_the_shipped_fit_is_better_than_what_it_replaces():
    """Its own scans are in the file: the terms must describe them."""
    fitted = fitted_pairs()["Li+"]
    assert set(fitted.terms) == {"o(c)", "n3(c3 c3 c3)", "n1(c1)", "os(c3 c3)"}
    assert fitted.rms_eV < fitted.one_sphere_rms_eV < fitted.published_rms_eV
    for scan in fitted.scans:
        assert scan.peak_fitted_A == pytest.approx(scan.peak_dft_A, abs=0.03)
