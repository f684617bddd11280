"""Molecular dynamics handed over to VASP: the same atoms, moving as fast; molecules are known in another order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import units
from ase.io import read
from ase.io.vasp import write_vasp_xdatcar

from solvation.dynamics.langevin import State, stored_generator
from solvation.dynamics.vasp_run import NamedAtoms, VaspRun, named_atoms, write_inputs
from solvation.errors import StructureError, StudyError
from solvation.liquids.packing import PackedSystem, write_topology
from solvation.species import build_molecule, embed_conformers
from solvation.study import Level, Species

EDGE_A = 15.0
RUN = VaspRun(Level.model_validate("vasp:pbe-d3bj/pw400"), 313.0, 5.0, 0.5, 10.0)


@pytest.fixture(scope="module")
def system() -> PackedSystem:
    """One Li+ and six EC, the last of which lies across a face of the cell."""
    molecules = [build_molecule("Li+", Species(library="Li+")), *[build_molecule("EC", Species(library="EC"))] * 6]
    centres = [[7, 7, 7], [9.5, 7, 7], [4, 7, 7], [7, 11, 7], [7, 3, 7], [7, 7, 12], [14.8, 14.8, 0.1]]
    places = [
        embed_conformers(one, 1, number + 1)[0] + np.array(centre)
        for number, (one, centre) in enumerate(zip(molecules, centres, strict=True))
    ]
    return PackedSystem(tuple(molecules), np.concatenate(places), EDGE_A, None)


@pytest.fixture(scope="module")
def state(system) -> State:
    """A frame of a classical run at 313 K, with hydrogens of 4 u."""
    rng = np.random.default_rng(3)
    masses_u = np.where(system.atoms.numbers == 1, 4.0, system.atoms.get_masses())
    momenta = rng.normal(size=system.positions_A.shape) * np.sqrt(masses_u * units.kB * 313.0)[:, None]
    return State(
        numbers=system.atoms.numbers, masses_u=masses_u, residues=system.residue_ids, bonds=system.bonds, charge=1,
        multiplicity=1, wall_radius_A=np.inf, cell_A=np.full(3, EDGE_A), positions_A=system.positions_A,
        momenta=momenta, generator=stored_generator(rng), step=7,
    )  # fmt: skip


@pytest.fixture
def written(state, system, tmp_path, monkeypatch):
    monkeypatch.delenv("VASP_PP_PATH", raising=False)
    write_topology(system, tmp_path / "box" / "topology.pdb")
    files = write_inputs(state, named_atoms(tmp_path / "box" / "topology.pdb"), RUN, tmp_path / "vasp")
    assert sorted(path.name for path in (tmp_path / "vasp").iterdir()) == sorted(files)
    return tmp_path / "vasp"


def test_atoms_of_one_element_stand_together_and_each_keeps_its_energy(written, state):
    atoms, order = read(written / "POSCAR"), np.argsort(state.atoms().get_chemical_symbols(), kind="stable")
    assert (atoms.numbers == state.numbers[order]).all()
    apart_A = atoms.positions - state.positions_A[order]
    assert apart_A == pytest.approx(EDGE_A * np.round(apart_A / EDGE_A), abs=1e-9)
    told = (written / "POSCAR").read_text().splitlines()[-len(atoms) :]
    velocities_A_fs = np.array([line.split() for line in told], dtype=float)
    kinetic_eV = 0.5 * atoms.get_masses() * ((velocities_A_fs / units.fs) ** 2).sum(axis=1)
    assert kinetic_eV == pytest.approx(0.5 * (state.momenta[order] ** 2).sum(axis=1) / state.masses_u[order], rel=1e-5)


def test_the_run_is_the_one_that_was_asked_for(written):
    settings = dict(line.split(" = ") for line in (written / "INCAR").read_text().splitlines())
    # Six EC of 34 valence electrons and Li_sv of 3, less the charge.
    assert settings["NELECT"].split()[0] == "206"
    assert (settings["NSW"], settings["POTIM"], settings["TEBEG"]) == ("10000", "0.5", "313")
    assert (settings["MDALGO"], settings["LANGEVIN_GAMMA"]) == ("3", "10 10 10 10")
    assert (settings["ENCUT"], settings["GGA"], settings["IVDW"]) == ("400", "PE", "12")
    assert (written / "POTCAR.spec").read_text().split() == ["C", "H", "Li_sv", "O"]


def test_the_data_sets_of_the_user_are_joined_and_their_electrons_counted(state, system, tmp_path, monkeypatch):
    for name, valence in (("C", 4), ("H", 1), ("Li_sv", 3), ("O", 6.5)):
        folder = tmp_path / "potpaw_PBE" / name
        folder.mkdir(parents=True)
        (folder / "POTCAR").write_text(f"{name}\n   POMASS = 1.0; ZVAL   =   {valence}    mass and valenz\n")
    monkeypatch.setenv("VASP_PP_PATH", str(tmp_path))
    named = NamedAtoms(["X"] * len(state.numbers), ["X"] * len(state.numbers))
    assert "POTCAR" in write_inputs(state, named, RUN, tmp_path / "vasp")
    assert [line.split()[0] for line in (tmp_path / "vasp" / "POTCAR").read_text().splitlines()[::2]] == [
        "C", "H", "Li_sv", "O",
    ]  # fmt: skip
    assert "NELECT = 215 " in (tmp_path / "vasp" / "INCAR").read_text()


def test_what_vasp_writes_is_analysed_as_the_box_would_be(written, system, solvation_in_process):
    """The same frames in both orders, across the faces of the cell: the same tables to the last digit."""
    order, rng = np.argsort(system.atoms.get_chemical_symbols(), kind="stable"), np.random.default_rng(8)
    frames = []
    for _ in range(12):
        frame = system.atoms
        frame.positions += rng.normal(scale=0.2, size=(len(frame), 3)) + rng.uniform(0, EDGE_A, 3)
        frame.set_cell(np.full(3, EDGE_A))
        frame.set_pbc(True)
        frame.wrap()
        frames.append(frame)
    box, tables = written.parent / "box", []
    write_vasp_xdatcar(str(written / "XDATCAR"), [frame[order] for frame in frames])
    write_vasp_xdatcar(str(box / "XDATCAR"), frames)
    for topology in (written / "topology.mol2", box / "topology.pdb"):
        out = topology.with_name("analysis")
        done = solvation_in_process(
            "analyze", str(topology), str(topology.with_name("XDATCAR")), "--timestep-ps", "0.1", "--center",
            "resname LI", "--donor", "O=resname EC and name O1", "--rmax", "6", "--out", str(out),
        )  # fmt: skip
        assert done.code == 0, done.err
        tables.append({path.name: path.read_text() for path in out.glob("*.csv")})
    assert tables[0] == tables[1]
    assert "EC(1)" in tables[0]["speciation.csv"]


@pytest.mark.parametrize("level", ["pbe/def2-svp", "vasp:pbe/def2-svp", "cp2k:gfn1"])
def test_only_levels_of_vasp_are_taken(state, tmp_path, level):
    named = NamedAtoms([], [])
    with pytest.raises(StudyError, match=f"level '{level}': is none of VASP's"):
        write_inputs(state, named, replace(RUN, level=Level.model_validate(level)), tmp_path)


def test_a_droplet_is_refused(state, tmp_path):
    with pytest.raises(StructureError, match="periodic boxes; a droplet has none"):
        write_inputs(replace(state, cell_A=np.zeros(3)), NamedAtoms([], []), RUN, tmp_path)


def test_an_element_whose_electrons_are_not_known_wants_its_data_set(state, tmp_path, monkeypatch):
    monkeypatch.delenv("VASP_PP_PATH", raising=False)
    other = replace(state, numbers=np.where(state.numbers == 3, 12, state.numbers))
    with pytest.raises(StructureError, match="VASP_PP_PATH must lead to the POTCAR of Mg"):
        write_inputs(other, NamedAtoms([], []), RUN, tmp_path)
