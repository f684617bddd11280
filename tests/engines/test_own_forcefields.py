"""Force fields that the user brings have, term by term, the energies that OpenMM gives the file itself."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from solvation.errors import SpeciesError, StudyError
from solvation.liquids.packing import PackedSystem
from solvation.species import build_molecule, embed_conformers
from solvation.study import Species
from solvation.study.cards import ParametersCard
from solvation.study.trajectories import Charges, OwnForceField

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(
        find_spec("openmm") is None, reason="OpenMM is not installed (pip install 'solvation[liquids]')"
    ),
]
FILES = Path(__file__).parent / "recorded" / "forcefields"
ETHER = build_molecule("ether", Species(smiles="COC"))
ALL = ["amber.prmtop", "amber.top", "opls.top", "ether.xml"]


def parameters(name, molecule=ETHER):
    from solvation.liquids.forcefield import Parameters
    from solvation.liquids.own_forcefield import read_terms

    return Parameters.model_validate({**read_terms(molecule, OwnForceField(file=FILES / name)), "geometries_A": ()})


def energy_of(system, positions_A):
    """kJ/mol on OpenMM's double-precision reference."""
    import openmm
    from openmm import unit

    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(np.asarray(positions_A) / 10)
    return context.getState(energy=True).getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)


def bonds_to_hydrogen(terms, positions_A):
    """What is constrained in our systems, and so has no energy there."""
    return sum(
        stiffness / 2 * (np.linalg.norm(positions_A[one] - positions_A[other]) - length_A) ** 2
        for one, other, length_A, stiffness in terms.bonds
        if "H" in (terms.symbols[one], terms.symbols[other])
    )


def shaken(copies=1, seed=5):
    """Dimethyl ether off its minimum, its torsions included; copies 4 Å apart."""
    rng = np.random.default_rng(seed)
    one = embed_conformers(ETHER, 1, 1)[0]
    return [one + 0.25 * rng.standard_normal(one.shape) + [4.0 * number, 0, 0] for number in range(copies)]


def of_the_file(name, places_A, tmp_path):
    """Energy of so many copies by the file's own system."""
    from openmm import app

    from solvation.liquids.own_forcefield import _topology

    whole = {"nonbondedMethod": app.NoCutoff, "constraints": None, "rigidWater": False, "removeCMMotion": False}
    path = FILES / name
    if path.suffix == ".top":
        path = tmp_path / name
        path.write_text((FILES / name).read_text().replace("DMET 1\n", f"DMET {len(places_A)}\n"))
        made = app.GromacsTopFile(str(path))
        system, topology = made.createSystem(**whole), made.topology
    elif path.suffix == ".prmtop":
        made = app.AmberPrmtopFile(str(path))
        system, topology = made.createSystem(**whole), made.topology
    else:
        topology = _topology(ETHER)
        system = app.ForceField(str(path)).createSystem(topology, **whole)
    from solvation.species import order_of_bonded_atoms

    n_atoms = len(ETHER.symbols)
    symbols = [atom.element.symbol for atom in topology.atoms()][:n_atoms]
    bonds = [(bond[0].index, bond[1].index) for bond in topology.bonds() if bond[1].index < n_atoms]
    order = order_of_bonded_atoms("test", ETHER, symbols, bonds)
    back = np.argsort(order)
    return energy_of(system, np.concatenate([place[back] for place in places_A]))


def ours(terms, places_A, **settings):
    from solvation.liquids.openmm_system import build_system

    packed = PackedSystem((ETHER,) * len(places_A), np.concatenate(places_A), None, None)
    system = build_system(packed, {"ether": terms}, cutoff_A=9.0, charge_scale=1.0, **settings)
    constrained = sum(bonds_to_hydrogen(terms, place) for place in places_A)
    return energy_of(system, packed.positions_A) + constrained


@pytest.mark.parametrize("name", ALL)
def test_one_molecule_has_the_energy_of_its_file(name, tmp_path):
    terms = parameters(name)
    mixing = terms.mixing or "arithmetic"
    # Two geometries: a torsion's constant is no matter.
    places = shaken(), shaken(seed=6)
    wanted = [of_the_file(name, place, tmp_path) for place in places]
    assert abs(wanted[0] - wanted[1]) > 100  # far from the minimum: every term counts
    found = [ours(terms, place, mixing=mixing) for place in places]
    assert found[0] - found[1] == pytest.approx(wanted[0] - wanted[1], abs=1e-3)


@pytest.mark.parametrize(("name", "mixing"), [("amber.top", "arithmetic"), ("opls.top", "geometric")])
def test_three_molecules_mix_as_in_their_file(name, mixing, tmp_path):
    terms = parameters(name)
    assert terms.mixing == mixing
    places = shaken(3), shaken(3, seed=6)
    wanted = [of_the_file(name, place, tmp_path) for place in places]
    found = [ours(terms, place, mixing=mixing) for place in places]
    assert found[0] - found[1] == pytest.approx(wanted[0] - wanted[1], abs=1e-3)
    other = {"arithmetic": "geometric", "geometric": "arithmetic"}[mixing]
    with pytest.raises(StudyError, match=f"mixing: {other}, but the user's {name} of ether mixes sigma {mixing}"):
        ours(terms, shaken(3), mixing=other)


@pytest.fixture
def same_numbers(tmp_path):
    """Dimethyl ether with the numbers of `opls.top` but charges and torsions all alike, for GROMACS and for OpenMM."""
    top, xml = (FILES / "opls.top").read_text(), (FILES / "ether.xml").read_text()
    for charge in ("0.06", "0.04"):
        top = top.replace(f" {charge} 1.0079", " 0.05 1.0079")
    top = top.replace("1.10 2.00 -0.7 -3.10 0.5 0.2", "1.58 4.74 0.0 -6.32 0.0 0.0")
    for rounded, exact_deg in (("1.892", 108.4), ("1.916", 109.8), ("1.963", 112.5)):
        xml = xml.replace(f'angle="{rounded}"', f'angle="{np.radians(exact_deg):.9f}"')
    xml = xml.replace('k1="1.6"', 'k1="1.58"').replace('coulomb14scale="0.8333333333"', 'coulomb14scale="0.5"')
    for name, text in (("same.top", top), ("same.xml", xml)):
        (tmp_path / name).write_text(text)
    return tmp_path / "same.top", tmp_path / "same.xml"


@pytest.mark.parametrize("copies", [1, 3])
def test_an_xml_of_opls_has_the_energy_of_the_same_numbers_in_a_format_that_tells_its_rule(same_numbers, copies):
    """LigParGen writes OPLS-AA for OpenMM, which would mix it arithmetically, three bonds apart as well."""
    top, xml = same_numbers
    terms = parameters(xml)
    places = shaken(copies), shaken(copies, seed=6)
    wanted = [of_the_file(top, place, top.parent) for place in places]
    found = [ours(terms, place, mixing="geometric") for place in places]
    assert found[0] - found[1] == pytest.approx(wanted[0] - wanted[1], abs=1e-3)


def test_an_xml_of_opls_is_refused_where_sigma_is_mixed_arithmetically_and_another_one_is_not(same_numbers):
    terms = parameters(same_numbers[1])
    assert terms.origin[1:] == ("1-4 pairs times 0.5 and 0.5: taken for OPLS-AA, sigma mixed geometric",)
    with pytest.raises(
        StudyError, match=r"mixing: arithmetic, but the user's same\.xml of ether mixes sigma geometric"
    ):
        ours(terms, shaken(3))
    ours(parameters("ether.xml"), shaken(3))


def test_geometric_mixing_is_not_the_arithmetic_one():
    """The check above would be worth nothing if both rules gave these molecules the same energy."""
    terms = parameters("ether.xml")
    assert terms.mixing is None
    assert abs(ours(terms, shaken(3), mixing="geometric") - ours(terms, shaken(3), mixing="arithmetic")) > 0.01


def test_in_a_box_the_geometric_rule_has_the_cutoff_and_the_tail_of_the_other_one():
    """With equal spheres both rules are one."""
    from solvation.liquids.openmm_system import build_system

    alike = parameters("ether.xml").model_copy(update={"sigma_A": (3.0,) * 9, "epsilon_kJ_mol": (0.4,) * 9})
    packed = PackedSystem((ETHER,) * 3, np.concatenate(shaken(3)), 24.0, None)
    energies = [
        energy_of(
            build_system(packed, {"ether": alike}, cutoff_A=9.0, charge_scale=1.0, mixing=mixing), packed.positions_A
        )
        for mixing in ("arithmetic", "geometric")
    ]
    assert energies[0] == pytest.approx(energies[1], abs=1e-3)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("hello\n", "check its format"),
        ("[ defaults ]\n1 2 yes 0.5 0.5\n[ system ]\nx\n[ molecules ]\nGONE 1\n", "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_named(text, reason, tmp_path):
    from solvation.liquids.own_forcefield import read_terms

    path = tmp_path / "mine.top"
    path.write_text(text)
    with pytest.raises(SpeciesError, match=rf"forcefields\.ether\.file: .*mine\.top.*{reason}"):
        read_terms(ETHER, OwnForceField(file=path))


def test_another_molecule_is_refused(tmp_path):
    with pytest.raises(SpeciesError, match="holds 9 atoms, mine has 12; give the file of one molecule"):
        parameters("amber.top", build_molecule("mine", Species(smiles="CCOC")))
    with pytest.raises(SpeciesError, match="its atoms are not those of mine"):
        parameters("amber.top", build_molecule("mine", Species(smiles="CCO")))


def test_scaled_charges_of_an_ion_are_refused(tmp_path):
    from solvation.liquids.own_forcefield import read_terms

    text = (FILES / "ether.xml").read_text()
    path = tmp_path / "mine.xml"
    path.write_text(text.replace('charge="-0.38"', 'charge="-0.18"'))
    with pytest.raises(SpeciesError, match=r"add up to \+0\.200, not \+0; give them unscaled"):
        read_terms(ETHER, OwnForceField(file=path))


@pytest.mark.parametrize("element", ["Script", "InitializationScript"])
def test_a_file_that_would_run_code_is_refused_before_it_does(element, tmp_path):
    from solvation.liquids.own_forcefield import read_terms

    path, proof = tmp_path / "mine.xml", tmp_path / "ran"
    code = f"<{element}>open({str(proof)!r}, 'w')</{element}></ForceField>"
    path.write_text((FILES / "ether.xml").read_text().replace("</ForceField>", code))
    with pytest.raises(SpeciesError, match=f"holds <{element}>"):
        read_terms(ETHER, OwnForceField(file=path))
    assert not proof.exists()


def test_a_file_that_reads_others_is_refused(tmp_path):
    from solvation.liquids.own_forcefield import read_terms

    path = tmp_path / "mine.top"
    path.write_text('#include "amber99.ff/forcefield.itp"\n' + (FILES / "amber.top").read_text())
    with pytest.raises(SpeciesError, match="#include; gmx grompp -pp writes it whole"):
        read_terms(ETHER, OwnForceField(file=path))


def test_the_verb_writes_what_the_card_names(tmp_path, solvation_in_process):
    own = OwnForceField(file=FILES / "amber.prmtop")
    card = ParametersCard(name="ether", species=Species(smiles="COC"), charges=Charges(), seed=1, own=own)
    done = solvation_in_process("parameters", "--card", card.text(), "--output", tmp_path / "ether.json")
    assert done.code == 0, done.err
    made = json.loads((tmp_path / "ether.json").read_text())
    assert made["result"]["origin"] == ["the user's amber.prmtop"]
    assert sum(made["result"]["charges_e"]) == pytest.approx(0, abs=1e-9)
    assert len(made["result"]["geometries_A"][0]) == 9
