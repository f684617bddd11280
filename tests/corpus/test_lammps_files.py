"""LAMMPS data files that cannot be a species' force field, and the one line `solvation check` answers each with."""

from importlib.util import find_spec

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from solvation.errors import SolvationError
from solvation.species import build_molecule
from solvation.study import Species
from solvation.study.trajectories import OwnForceField

pytestmark = pytest.mark.skipif(
    find_spec("openmm") is None or find_spec("pymatgen") is None,
    reason="OpenMM or pymatgen is not installed (pip install 'solvation[liquids]')",
)
STUDY = """\
species: {Li+: , PF6-: , W: {smiles: O}}
forcefields: {W: {file: w.lmp, lammps: opls}}
trajectories: {L: {forcefield: gaff2, composition: {Li+: 1, PF6-: 1, W: 800}, mixing: geometric}}
"""
WATER = """\
LAMMPS data file of water

3 atoms
2 bonds
1 angles
0 dihedrals
2 atom types
1 bond types
1 angle types

0 20 xlo xhi
0 20 ylo yhi
0 20 zlo zhi

Masses

1 15.999
2 1.008

Pair Coeffs # lj/cut/coul/long

1 0.16 3.12
2 0.0 0.0

Bond Coeffs # harmonic

1 554.1 1.0

Angle Coeffs

1 45.8 109.47

Atoms # full

1 1 1 -0.82 0.0 0.0 0.0
2 1 2 0.41 1.0 0.0 0.0
3 1 2 0.41 -0.3 0.9 0.0

Bonds

1 1 1 2
2 1 1 3

Angles

1 1 2 1 3
"""
#: What is replaced in WATER, by what, and what the line says.
MUTATIONS = [
    # No data file of this molecule
    (WATER, "", "its head does not tell the number of atoms"),
    (WATER, "hello\n", "its head does not tell the number of atoms"),
    ("3 atoms", "999999999999 atoms", "holds 999999999999 atoms, W has 3; give the file of one molecule"),
    ("3 atoms", "9" * 5000 + " atoms", "its head does not tell the number of atoms"),
    ("3 atoms", "-3 atoms", "its head does not tell the number of atoms"),
    ("2 bonds", "999999999 bonds", "Nos. of bonds do not match"),
    ("2 atom types", "999999999 atom types", "Nos. of atom types do not match"),
    ("Angle Coeffs\n\n", "Angle Coeffs\n\n" + "1 1 1\n" * 10_000, "lines; give the file of one molecule"),
    ("2 1 2 0.41", "2 2 2 0.41", "its atoms are of several molecules"),
    ("1 15.999", "1 14.007", "14.007 u of type 1 is none of W's elements (H, O)"),
    ("1 15.999", "1 1.0", "its atoms are not those of W"),
    ("-0.82", "-0.62", "add up to +0.200, not +0; give them unscaled"),
    # Units and styles
    ("file of water", "file via write_data, version 22 Jul 2025, timestep = 0, units = metal", "is in units metal"),
    ("554.1", "24.0", "its stiffest bond has K = 24, too soft for units real"),
    ("Bond Coeffs # harmonic", "Bond Coeffs # morse", "style 'morse' is not known here with lammps: opls, but"),
    ("Bond Coeffs # harmonic", "Bond Coeffs # hybrid", "style 'hybrid' is not known here"),
    ("# lj/cut/coul/long", "# buck/coul/long", "style 'buck/coul/long' is not known here"),
    ("Atoms # full", "Atoms # charge", "its atoms are of style charge; write them in atom_style full"),
    # Sections
    ("Masses", "Messes", "its section 'Messes' is not known here; take it out"),
    ("Angle Coeffs", "CMAP", "its section 'CMAP' is not known here"),
    ("Angle Coeffs", "Bond Coeffs", "its section Bond Coeffs stands twice"),
    ("Pair Coeffs", "PairIJ Coeffs", "its section 'PairIJ Coeffs' is not known here"),
    ("Angle Coeffs\n\n1 45.8 109.47\n", "", "has no section Angle Coeffs; add it"),
    ("Angle Coeffs\n\n1 45.8 109.47\n", "Angle Coeffs\n\n", "cannot be read"),
    ("Masses\n\n1 15.999\n2 1.008\n", "", "has no section Masses"),
    # Numbers
    ("0.16 3.12", "0.16", "Pair Coeffs 1: lj/cut/coul/long takes 2 numbers, not 1"),
    ("0.16 3.12", "0.16 3.12 9.0", "takes 2 numbers, not 3"),
    ("0.16 3.12", "-0.16 3.12", "are no Lennard-Jones sphere"),
    ("0.16 3.12", "0.16 nan", "Pair Coeffs 1: lj/cut/coul/long takes 2 numbers, not 1"),
    ("0.16 3.12", "nan 3.12", "Pair Coeffs 1: 'nan 3.12' is not made of numbers"),
    ("0.16 3.12", "0.16 1e400", "is not made of numbers"),
    ("0.16 3.12", "0.16 1e12", "is not made of numbers"),
    ("0.16 3.12", "0.16 wide", "is not made of numbers"),
    ("554.1 1.0", "554.1 -1.0", "are no bond"),
    ("45.8 109.47", "45.8 1094.7", "are no angle"),
    ("-0.82", "inf", "is not made of numbers"),
    ("-0.82", "much", "is not made of numbers"),
    # Numbers of types and atoms
    ("2 1 1 3", "2 7 1 3", "Bond Coeffs lacks type 7; add it"),
    ("2 1 1 3", "2 1 1 9", "Bonds 2: [1, 9] are not 2 of its atoms"),
    ("2 1 1 3", "2 1 1 1", "Bonds 2: [1, 1] are not 2 of its atoms"),
    ("2 1 1 3", "2 1 2 1", "two atoms are bonded twice"),
    ("2 1 1 3", "1 1 1 3", "Bonds: '1' is not the number of one line"),
    ("1 1 2 1 3", "1 1 2 1", "cannot be read"),
    ("3 1 2 0.41", "3 1 5 0.41", "Pair Coeffs lacks type 5"),
    ("2 0.0 0.0", "5 0.0 0.0", "Pair Coeffs lacks type 2"),
    ("2 1.008", "x 1.008", "its section 'x 1.008' is not known here"),
]  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.yaml").write_text(STUDY)
    (tmp_path / "w.lmp").write_text(WATER)
    return tmp_path


def test_what_is_mutated_is_right(folder, solvation_in_process):
    done = solvation_in_process("check", "s.yaml")
    assert done.code == 0, done.err
    # Nothing is taken for granted in silence.
    assert "forcefields.W: lammps: opls: units real, charges of 1-4 pairs times 0.5" in done.out
    assert "styles that the file does not tell: angle harmonic\n" in done.out


@pytest.mark.parametrize(("old", "new", "message"), MUTATIONS)
def test_a_file_that_is_no_force_field_is_one_line(folder, solvation_in_process, old, new, message):
    assert old in WATER
    (folder / "w.lmp").write_text(WATER.replace(old, new, 1))
    solvation_in_process("check", "s.yaml").refused_by(message, start="error: s.yaml: ")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (", lammps: opls", "", "forcefields.W: lammps: w.lmp does not hold special_bonds and pair_modify mix"),
        ("lammps: opls", "lammps: charmm", "forcefields.W.lammps: must be 'opls' or 'amber'"),
        ("w.lmp", "w.top", "forcefields.W: lammps: is for LAMMPS data files (.data, .lammps, .lmp); take it out"),
        ("lammps: opls", "lammps: amber", "mixing: geometric, but w.lmp mixes sigma arithmetic; take that"),
    ],
)
def test_a_convention_that_does_not_fit_is_one_line(folder, solvation_in_process, old, new, message):
    (folder / "s.yaml").write_text(STUDY.replace(old, new))
    solvation_in_process("check", "s.yaml").refused_by(message, start="error: s.yaml: ")


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_file_is_read_or_refused(tmp_path, data):
    from solvation.liquids.own_forcefield import read_terms

    lines = WATER.split("\n")
    words = st.sampled_from(["nan", "inf", "-1", "0", "1e400", "x", "9" * 25, "", "#", "1.5", "Atoms", "\0", "é", "'"])
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(lines) - 1))
        before = lines[place].split()
        word = data.draw(st.integers(0, len(before)))
        lines[place] = " ".join([*before[:word], data.draw(words), *before[word + data.draw(st.integers(0, 1)) :]])
    path = tmp_path / "w.lmp"
    path.write_text("\n".join(lines), encoding="utf-8")
    reason = None
    try:
        read_terms(build_molecule("W", Species(smiles="O")), OwnForceField(file=path, lammps="opls"))
    except SolvationError as problem:
        reason = str(problem)
    assert reason is None or ("w.lmp" in reason and "\n" not in reason)
