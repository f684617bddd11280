"""Magnetic shieldings: limits that are known exactly, another program, and published numbers."""

import json
import shutil

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.units import alpha

from solvation.clusters.ensembles import Structure
from solvation.clusters.shell import Shell
from solvation.energies.shieldings import shieldings, shieldings_from_json, shieldings_to_json
from solvation.engines.electrons import converged_field
from solvation.engines.shielding import shieldings_ppm
from solvation.errors import EngineFailed, ResultsError, StudyError
from solvation.species import build_molecule
from solvation.study import Level, Species

GFN2 = Level.model_validate("gfn2")
PBE0 = Level.model_validate("pbe0/def2-svp")
#: O-H 0.958 Å, 104.5 degrees.
WATER = Atoms("OHH", [(0, 0, 0.1173), (0, 0.7572, -0.4692), (0, -0.7572, -0.4692)])


def level(text):
    return Level.model_validate(text)


@pytest.mark.parametrize("functional", ["svwn", "pbe", "pbe0"])
def test_a_free_atom_is_shielded_by_the_potential_of_its_electrons_alone(functional):
    """Lamb 1941: sigma = alpha^2 / 3 <1/r>; a spherical closed shell has no paramagnetic part, in any basis of s."""
    helium, asked = Atoms("He", [(3.0, -2.0, 1.0)]), level(f"{functional}/def2-svp")
    field = converged_field(helium, asked, charge=0)
    field.conv_tol = 1e-9
    field.kernel()
    with field.mol.with_rinv_origin(field.mol.atom_coord(0)):
        lamb = np.einsum("ij,ij", field.mol.intor("int1e_rinv"), field.make_rdm1()) * alpha**2 / 3 * 1e6
    assert shieldings_ppm(helium, asked, charge=0)[0] == pytest.approx(lamb, abs=2e-3)


@pytest.mark.parametrize(("text", "tolerance"), [("pbe0/def2-svp", 0.01), ("pbe/def2-svp@cpcm=40", 0.1)])
def test_a_molecule_that_moves_and_turns_keeps_its_shieldings(text, tolerance):
    """Without London orbitals a shift of 9 Å would change them by hundreds of ppm; the points on a cavity turn too."""
    moved = WATER.copy()
    moved.rotate(40, (1, 2, 3))
    moved.translate((4, -7, 5))
    here, there = (shieldings_ppm(atoms, level(text), charge=0) for atoms in (WATER, moved))
    assert here == pytest.approx(there, abs=tolerance)


def test_a_continuum_that_screens_nothing_is_the_gas_phase():
    gas, continuum = (shieldings_ppm(WATER, level(f"pbe/def2-svp{end}"), charge=0) for end in ("", "@cpcm=1"))
    assert continuum == pytest.approx(gas, abs=2e-3)


def test_hydrogen_fluoride_has_the_shielding_that_pyscf_printed():
    """Local density, 6-31G, 0.917 Å: 368.881201, 368.881201 and 482.413385 ppm for F in pyscf/prop/nmr/rks.py."""
    bond = Atoms("FH", [(0, 0, 0), (0, 0, 0.917)])
    fluorine = shieldings_ppm(bond, level("svwn/6-31g"), charge=0)[0]
    assert fluorine == pytest.approx((2 * 368.881201 + 482.413385) / 3, abs=0.1)


def test_oxygen_of_water_lies_on_the_absolute_scale():
    """Vaara et al., J. Chem. Phys. 109, 8388 (1998): 324.0(1.5) ppm at 300 K, of which motion takes 3.7 %."""
    found = shieldings_ppm(WATER, level("pbe0/def2-tzvp"), charge=0)[0]
    assert found == pytest.approx(324.0 / (1 - 0.037), abs=4.0)


@pytest.mark.engine
@pytest.mark.skipif(not shutil.which("nwchem"), reason="nwchem is not on PATH")
@pytest.mark.parametrize("functional", ["pbe", "pbe0"])
def test_nwchem_agrees(functional):
    """Another code, another grid, and no density fitting."""
    ammonia = molecule("NH3")
    own, other = (shieldings_ppm(ammonia, level(f"{name}{functional}/def2-svp"), charge=0) for name in ("", "nwchem:"))
    assert own == pytest.approx(other, abs=0.1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("r2scan/def2-svp", "kinetic energy density"),
        ("wb97x/def2-svp", "split exchange"),
        ("mp2/def2-svp", "density functional"),
        ("gfn2", "density functional"),
        ("r2scan-3c", "density functional"),
    ],
)
def test_a_level_without_shieldings_is_refused(text, said):
    with pytest.raises(StudyError, match=said):
        shieldings_ppm(WATER, level(text), charge=0)


def complex_at(distance_A):
    """Li+ on the oxygen of a water molecule, and that molecule alone."""
    lithium, water = (build_molecule(name, Species(smiles=smiles)) for name, smiles in (("Li+", "[Li+]"), ("W", "O")))
    shell = Shell((lithium, water))
    ion = WATER.positions[0] + np.array([0.0, 0.0, distance_A])
    positions = np.vstack([ion, WATER.positions])
    made = Structure("c01", shell.atoms(positions), 0.0, 0.0, GFN2)
    return made, shell, {"W": [Structure("s01", WATER, 0.0, 0.0, GFN2)]}


@pytest.fixture(scope="module")
def near():
    return shieldings(*complex_at(1.85), PBE0)


def test_a_nucleus_without_its_inner_shells_is_refused():
    with pytest.raises(EngineFailed, match="the inner shells of I are an effective core"):
        shieldings_ppm(Atoms("HI", [[0, 0, 0], [0, 0, 1.6]]), Level.model_validate("pbe/def2-svp"), charge=0)


def test_an_ion_far_away_moves_nothing():
    found = shieldings(*complex_at(80.0), PBE0)
    assert [one.isotope for one in found.nuclei] == ["7Li", "17O"]
    assert not any(one.binds for one in found.nuclei)
    assert [one.shift_ppm for one in found.nuclei] == pytest.approx([0, 0], abs=0.02)


def test_an_ion_that_is_held_is_shielded_less_and_moves_its_donor(near):
    lithium, oxygen = near.nuclei
    # The 1s of a bare Li+ is spherical; what surrounds it can only add currents that pull down.
    assert 90 < lithium.free_ppm < 100
    assert lithium.shift_ppm > 0
    assert oxygen.binds
    assert oxygen.kind == "water O"
    assert abs(oxygen.shift_ppm) > 1
    assert oxygen.shift_ppm == oxygen.free_ppm - oxygen.complex_ppm


def test_shieldings_survive_their_file(near):
    assert shieldings_from_json(json.loads(json.dumps(shieldings_to_json(near)))) == near


def test_nuclei_that_bonds_make_equivalent_share_their_free_shielding():
    """The two C of a bent dimethyl ether, whose C-O bonds differ."""
    ether = build_molecule("ether", Species(smiles="COC"))
    atoms = molecule("CH3OCH3")
    order = [atoms.symbols.search("C")[0], atoms.symbols.search("O")[0], atoms.symbols.search("C")[1]]
    order += [index for index in range(len(atoms)) if index not in order]
    atoms = atoms[order]
    atoms.positions[2] += 0.03
    shell = Shell((build_molecule("Li+", Species(smiles="[Li+]")), ether))
    whole = shell.atoms(np.vstack([atoms.positions[1] + np.array([[0.0, 0.0, 1.9]]), atoms.positions]))
    free = {"ether": [Structure("s01", atoms, 0.0, 0.0, GFN2)]}
    found = shieldings(Structure("c01", whole, 0.0, 0.0, GFN2), shell, free, level("pbe/sto-3g"))
    alone = shieldings_ppm(atoms, level("pbe/sto-3g"), charge=0)
    first, second = (one.free_ppm for one in found.nuclei if one.isotope == "13C")
    assert abs(alone[0] - alone[2]) > 0.1
    assert first == second == pytest.approx((alone[0] + alone[2]) / 2, abs=1e-3)


def test_a_free_ligand_of_another_surface_is_refused():
    made, shell, free = complex_at(1.85)
    other = Structure("s01", free["W"][0].atoms, 0.0, 0.0, level("gfn1"))
    with pytest.raises(ResultsError, match="no conformer of W was relaxed at gfn2"):
        shieldings(made, shell, {"W": [other]}, PBE0)
