"""Stereoisomers: kept from a geometry, not mixed within a species, and not left by a relaxation."""

import numpy as np
import pytest
from ase import Atoms
from ase.io import read, write
from rdkit import Chem
from typer.testing import CliRunner

from solvation.cli.app import app
from solvation.clusters.checks import broken_or_formed
from solvation.clusters.given_complex import read_complex
from solvation.clusters.isomers import check_isomers, mixed_hands
from solvation.clusters.ligands import best_rmsd_A, search_conformers
from solvation.clusters.shell import Shell
from solvation.errors import SpeciesError
from solvation.library import library
from solvation.species import Molecule, build_molecule, embed_conformers, name_in_library
from solvation.stereo import mark_from_geometry, open_isomers, turned_over
from solvation.study import Level, Sampling, Species, cards, load_study

MALEATE, FUMARATE = r"COC(=O)/C=C\C(=O)OC", "COC(=O)/C=C/C(=O)OC"
#: Butylene carbonates, 4,5-dimethyl-1,3-dioxolan-2-one: the first has a mirror plane.
CIS, TRANS = "C[C@@H]1OC(=O)O[C@@H]1C", "C[C@H]1OC(=O)O[C@@H]1C"
R_PC, S_PC = "C[C@@H]1COC(=O)O1", "C[C@H]1COC(=O)O1"
ONE_EACH = [
    (MALEATE, FUMARATE), (CIS, TRANS), (R_PC, S_PC), ("CC[S@](C)=O", "CC[S@@](C)=O"),
    ("CC[N@+](C)(C=C)CCC", "CC[N@@+](C)(C=C)CCC"), ("CC[P@](C)c1ccccc1", "CC[P@@](C)c1ccccc1"),
]  # fmt: skip


def molecule(smiles: str, name: str = "X") -> Molecule:
    return build_molecule(name, Species(smiles=smiles))


def canonical(smiles: str) -> str:
    return Chem.CanonSmiles(smiles)


@pytest.mark.parametrize(("one", "other"), [*ONE_EACH, *((other, one) for one, other in ONE_EACH)])
def test_what_is_embedded_of_one_isomer_is_the_other_turned_over(one, other):
    for positions_A in embed_conformers(molecule(one), 4, 1):
        assert turned_over(molecule(one).graph, positions_A) is None
        assert "turned over" in str(turned_over(molecule(other).graph, positions_A))


@pytest.mark.parametrize("smiles", [MALEATE, FUMARATE, CIS, TRANS, R_PC, S_PC])
def test_a_file_keeps_its_stereoisomer_and_so_do_its_conformers(tmp_path, smiles):
    source = molecule(smiles)
    write(tmp_path / "x.xyz", Atoms(source.symbols, embed_conformers(source, 1, 3)[0]))
    read_back = build_molecule("X", Species(file=tmp_path / "x.xyz"))
    assert read_back.smiles == canonical(smiles)
    check_isomers([read_back])
    for positions_A in embed_conformers(read_back, 5, 1):
        there = read_back.graph_at(positions_A)
        mark_from_geometry(there)
        assert Chem.MolToSmiles(Chem.RemoveHs(there)) == canonical(smiles)


@pytest.mark.parametrize("smiles", ["O=C1OCCO1", "CN(C)C", "COCCOC", "C1CN1", "C1N2CCN1CC2", "CC=C", "CC(C)=NO"])
def test_what_has_no_stereoisomers_is_open_in_nothing_and_has_no_marks(tmp_path, smiles):
    source = molecule(smiles)
    write(tmp_path / "x.xyz", Atoms(source.symbols, embed_conformers(source, 1, 3)[0]))
    assert build_molecule("X", Species(file=tmp_path / "x.xyz")).smiles == canonical(smiles)
    assert open_isomers(source.graph) == ()


@pytest.mark.parametrize(
    "smiles", ["O=S(=O)(N=S(=O)([O-])C(F)(F)F)C(F)(F)F", "O=S(=O)(F)N=S(=O)([O-])F", "CCOP(=O)([O-])OC"]
)
def test_oxygens_that_only_a_lewis_structure_tells_apart_make_no_centre(tmp_path, smiles):
    source = molecule(smiles)
    assert open_isomers(source.graph) == ()
    write(tmp_path / "x.xyz", Atoms(source.symbols, embed_conformers(source, 1, 3)[0]))
    assert "@" not in build_molecule("X", Species(file=tmp_path / "x.xyz", charge=-1)).smiles


def test_nitrogen_inverts_and_is_no_centre(tmp_path):
    aziridine = molecule("CN1CC1C")
    assert len(open_isomers(aziridine.graph)) == 1
    assert molecule("C[C@H]1C[N@]1C").smiles == molecule("C[C@H]1C[N@@]1C").smiles == canonical("C[C@H]1CN1C")
    imine = molecule("CC(N)=N")
    assert open_isomers(imine.graph) == ()
    assert molecule("C/C=C/C=N/[H]").smiles == molecule(r"C/C=C/C=N\[H]").smiles == canonical("C/C=C/C=N")
    write(tmp_path / "x.xyz", Atoms(imine.symbols, embed_conformers(imine, 1, 3)[0]))
    assert build_molecule("X", Species(file=tmp_path / "x.xyz")).smiles == imine.smiles


@pytest.mark.parametrize(
    ("smiles", "isomers"),
    [
        ("COC(=O)C=CC(=O)OC", {MALEATE, FUMARATE}),
        ("CC1OC(=O)OC1C", {CIS, TRANS}),
        ("CC=NC", {"C/C=N/C", r"C/C=N\C"}),
        ("C[C@H](O)CC(C)O", {"C[C@H](O)C[C@H](C)O", "C[C@H](O)C[C@@H](C)O"}),
    ],
)
def test_a_smiles_of_several_isomers_is_refused_with_those_to_choose_from(smiles, isomers):
    found = set(open_isomers(molecule(smiles).graph))
    assert len(found) == len(isomers)
    mirrored = {canonical(one.replace("@@", "#").replace("@", "@@").replace("#", "@")) for one in isomers}
    assert found <= {canonical(one) for one in isomers} | mirrored
    with pytest.raises(SpeciesError, match=r"species\.X: .*leaves open") as refused:
        check_isomers([molecule(smiles)])
    assert all(one in str(refused.value) for one in found)
    for one in found:
        check_isomers([molecule(one)])


@pytest.mark.parametrize("smiles", ["CC1COC(=O)O1", "O=C1OCC(F)O1", "C1CC2CCC1C2", "CC(F)N(C)CC", "CC1CN1C"])
def test_an_open_hand_alone_and_bridges_that_can_stand_one_way_only_are_not_refused(smiles):
    check_isomers([molecule(smiles)])


def test_free_conformers_of_several_isomers_are_not_searched():
    with pytest.raises(SpeciesError, match="leaves open"):
        search_conformers(molecule("CC=CC"), Sampling(), [Level.model_validate("gfn2")], None, 1)


def test_hands_are_warned_of_where_chiral_molecules_share_a_shell():
    kinds = {"PC": molecule("CC1COC(=O)O1"), "R": molecule(R_PC), "EC": molecule("O=C1OCCO1"), "CIS": molecule(CIS)}
    assert mixed_hands([{"PC": 1, "EC": 3}, {"PC": 1, "CIS": 2}, {"R": 4}], kinds) == []
    for shell in ({"PC": 2}, {"PC": 1, "R": 1}):
        (warning,) = mixed_hands([shell, {"EC": 1}], kinds)
        assert warning.startswith("warning: species.PC")
        assert R_PC in warning or S_PC in warning


def test_a_centre_or_double_bond_that_turned_over_is_seen_like_a_broken_bond():
    lithium = molecule("[Li+]", "Li+")
    for marked, other in ((R_PC, S_PC), (MALEATE, FUMARATE)):
        positions_A = np.vstack([[60.0, 0, 0], embed_conformers(molecule(other), 1, 2)[0]])
        assert broken_or_formed(Shell((lithium, molecule(other))), positions_A) is None
        assert "turned over in X" in str(broken_or_formed(Shell((lithium, molecule(marked))), positions_A))
        plain = molecule(Chem.MolToSmiles(Chem.MolFromSmiles(marked), isomericSmiles=False))
        assert broken_or_formed(Shell((lithium, plain)), positions_A) is None


def test_a_mirror_image_is_another_stereoisomer_of_a_marked_molecule_and_one_conformer_with_it():
    source = molecule(R_PC)
    positions_A = embed_conformers(source, 1, 1)[0]
    mirrored_A = positions_A * [1, 1, -1]
    assert best_rmsd_A(source, positions_A, mirrored_A) == pytest.approx(0, abs=1e-3)
    assert turned_over(source.graph, mirrored_A) is not None
    assert turned_over(molecule(S_PC).graph, mirrored_A) is None


@pytest.mark.parametrize("smiles", [MALEATE, FUMARATE, CIS, TRANS])
def test_a_given_complex_names_the_isomer_whatever_the_order_of_its_atoms(tmp_path, smiles):
    source = molecule(smiles)
    places_A = embed_conformers(source, 1, 4)[0]
    order = np.random.default_rng(1).permutation(len(places_A))
    symbols = [source.symbols[i] for i in order]
    write(tmp_path / "c.xyz", Atoms(["Li", *symbols], np.vstack([[40.0, 0, 0], places_A[order]])))
    given = read_complex(tmp_path / "c.xyz")
    (name,) = set(given.composition) - {"Li+"}
    assert name == canonical(smiles)


def test_the_library_knows_its_own_isomer_of_soa_and_its_mirror_image_only():
    entry = library()["SOA"]
    atoms = read(entry.path)
    own = build_molecule("SOA", Species(library="SOA"))
    there = own.graph_at(atoms.positions)
    mark_from_geometry(there)
    assert Chem.MolToSmiles(Chem.RemoveHs(there)) == canonical(entry.smiles)
    assert [mark for _, mark in Chem.FindMolChiralCenters(own.graph)] == ["R", "R", "R"]
    for positions_A in (atoms.positions, atoms.positions * [1, 1, -1]):
        assert name_in_library(own.symbols, positions_A, 0) == "SOA"
    other = molecule(entry.smiles[::-1].replace("]H@C[", "]H@@C[", 1)[::-1])
    assert other.smiles not in {own.smiles, canonical(entry.smiles.replace("@", "@@"))}
    assert name_in_library(other.symbols, embed_conformers(other, 1, 1)[0], 0) is None


@pytest.mark.parametrize("name", list(library()))
def test_no_species_of_the_library_mixes_isomers(name):
    check_isomers([build_molecule(name, Species(library=name))])


def test_only_cards_with_soa_are_new(tmp_path):
    (tmp_path / "s.yaml").write_text(
        "species: {Li+: , EC: , SOA: }\nclusters: {A: {composition: {Li+: 1, EC: 1, SOA: 1}}}"
    )
    study = load_study(tmp_path / "s.yaml")
    texts = {name: cards.ligand_card(study, name).text() for name in ("EC", "SOA")}
    assert '"revision": 1, "smiles": null' in texts["EC"]
    assert '"revision": 2, "smiles": null' in texts["SOA"]
    for name, text in texts.items():
        assert cards.read_card(text, cards.LigandCard) == cards.ligand_card(study, name)


@pytest.mark.parametrize("words", [("bind", "Li+", "CC=CC(=O)OC"), ("rank", "Li+", "O", "CC=CC(=O)OC")])
def test_verbs_refuse_several_isomers_in_one_line(words):
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, SpeciesError)
    assert "C/C=C/C(=O)OC" in str(done.exception)
    assert "\n" not in str(done.exception)


def test_species_are_looked_up_with_a_warning():
    done = CliRunner().invoke(app, ["species", "CC=CC(=O)OC"])
    assert done.exit_code == 0
    assert done.stderr.startswith("warning: CC=CC(=O)OC: ")


def test_check_refuses_isomers_in_a_cluster_and_warns_of_hands(tmp_path):
    from solvation.planning.preflight import examine

    text = "species: {Li+: , X: {smiles: 'CC=CC(=O)OC'}, PC: }\nlevels: {energy: [gfn2], rank: null, search: gfn2}\n"
    cluster = "clusters: {A: {composition: {Li+: 1, X: 1}}}"
    (tmp_path / "s.yaml").write_text(text + cluster)
    with pytest.raises(SpeciesError, match=r"s.yaml: species.X: .* leaves open"):
        examine(load_study(tmp_path / "s.yaml"), tmp_path / "s.yaml")
    (tmp_path / "s.yaml").write_text(text + cluster.replace("X: 1", "PC: 2"))
    told = examine(load_study(tmp_path / "s.yaml"), tmp_path / "s.yaml")
    assert any(line.startswith("warning: species.PC: its SMILES leaves the hand open") for line in told.lines)
