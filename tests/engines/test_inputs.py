"""What is written for programs that need not be here, byte for byte, and what is read from outputs of theirs.

A change of an input is meant or it is not: `python tests/engines/test_inputs.py` writes the golden files anew.
"""

import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.units import Bohr, Hartree

from solvation.engines import ENGINES, check_level, energy_eV
from solvation.engines.program import OUTPUT, Job, ProgramEngine, Unreadable
from solvation.engines.vasp import read_vasprun
from solvation.errors import EngineFailed, EngineMissing, StudyError
from solvation.study import Level
from solvation.study.levels import SOLVENT_MODELS

HERE = Path(__file__).parent
COMPLEX = Atoms("LiOH2", [[0, 0, 0], [0, 0, 1.8], [0.757, 0.1, 2.388], [-0.757, 0, 2.388]])
BOX = Atoms("HOHLi", [[3.757, 3.1, 3.888], [3, 3, 3.3], [2.243, 3, 3.888], [3, 3, 1.5]], cell=[6, 7, 8], pbc=True)
NONE, WATER = np.zeros(4, dtype=bool), np.array([False, True, True, True])
PROGRAMS = ("nwchem", "psi4", "cp2k", "orca", "gaussian", "vasp")


def job(level: str, atoms: Atoms = COMPLEX, *, charge=1, multiplicity=1, ghost=NONE, forces=False) -> Job:
    asked = Level.model_validate(level)
    return Job(asked, atoms, charge, multiplicity, ghost, forces=forces, threads=2, memory_MB=4000)


def molecular(engine: str, continuum: str) -> dict[str, Job]:
    found = {
        "energy": job(f"{engine}:pbe-d4/def2-svp"),
        "gradient": job(f"{engine}:pbe0/def2-tzvpd", forces=True),
        "ghosts": job(f"{engine}:b3lyp/def2-svp", ghost=WATER),
        "neutral_doublet": job(f"{engine}:pbe/def2-svp", charge=0, multiplicity=2),
    }
    if continuum:
        found["solvent"] = job(f"{engine}:pbe/def2-svp@{continuum}=40")
    return {f"{engine}_{name}": item for name, item in found.items()}


CASES = {
    **molecular("nwchem", "cpcm"),
    **molecular("psi4", ""),
    **molecular("orca", "cpcm"),
    **molecular("gaussian", "iefpcm"),
    "cp2k_gfn1": job("cp2k:gfn1", forces=True),
    "cp2k_gfn1_box": job("cp2k:gfn1", BOX),
    "cp2k_energy": job("cp2k:pbe-d3bj/dzvp-molopt-sr-gth"),
    "cp2k_ghosts": job("cp2k:pbe/tzvp-molopt-gth", ghost=WATER),
    "cp2k_box_neutral_doublet": job("cp2k:pbe/dzvp-molopt-sr-gth", BOX, charge=0, multiplicity=2, forces=True),
    "vasp_energy": job("vasp:pbe-d3bj/pw520", BOX),
    "vasp_neutral_doublet": job("vasp:pbe/pw400", BOX, charge=0, multiplicity=2, forces=True),
}


def data_sets(folder: Path) -> Path:
    """Stand-ins for VASP's data sets, of which our input takes one number."""
    for name, valence in (("H", 1), ("O", 6), ("Li_sv", 3)):
        (folder / "potpaw_PBE" / name).mkdir(parents=True)
        (folder / "potpaw_PBE" / name / "POTCAR").write_text(f"{name}\n POMASS = 1.0; ZVAL = {valence}.000 \n")
    return folder


def written(engine: ProgramEngine, asked: Job, folder: Path) -> str:
    arguments = engine.write(folder, asked)
    texts = [f"== {path.name}\n{path.read_text()}" for path in sorted(folder.iterdir())]
    return f"== arguments: {' '.join(arguments)}\n{''.join(texts)}"


@pytest.mark.parametrize("name", CASES)
def test_an_input_is_the_golden_one(name, tmp_path, monkeypatch):
    engine = ENGINES[name.split("_")[0]]
    assert isinstance(engine, ProgramEngine)
    monkeypatch.setenv("VASP_PP_PATH", str(data_sets(tmp_path / "data")))
    folder = tmp_path / "run"
    folder.mkdir()
    assert engine.refuses(CASES[name].level) is None
    assert written(engine, CASES[name], folder) == (HERE / "golden" / f"{name}.txt").read_text()


def recorded(name: str, engine: str, folder: Path) -> ProgramEngine:
    with gzip.open(HERE / "recorded" / f"{name}.gz", "rb") as packed, (folder / OUTPUT).open("wb") as stream:
        shutil.copyfileobj(packed, stream)
    found = ENGINES[engine]
    assert isinstance(found, ProgramEngine)
    return found


@pytest.mark.parametrize(
    ("name", "energy_Eh", "n_basis"),
    [("orca_6.0_water_cpcm.out", -74.967672596588, 7), ("gaussian_16_water_cpcm.log", -74.9667426458, 7)],
)
def test_a_recorded_energy_is_the_one_that_was_printed(name, energy_Eh, n_basis, tmp_path):
    engine = recorded(name, name.split("_")[0], tmp_path)
    answer = engine.answer(tmp_path, job(f"{engine.name}:pbe/def2-svp"))
    assert answer.energy_eV == pytest.approx(energy_Eh * Hartree, abs=1e-9)
    assert answer.n_basis == n_basis


@pytest.mark.parametrize(
    ("name", "energy_Eh", "force_Eh_Bohr"),
    [
        ("orca_6.0_gradient.out", -382.055108617935, [-0.000762832, -0.000179580, -0.000000133]),
        ("gaussian_16_forces.log", -382.308266561, [-0.000013085, 0.000000000, -0.000050816]),
    ],
)
def test_recorded_forces_have_their_sign_and_unit(name, energy_Eh, force_Eh_Bohr, tmp_path):
    engine = recorded(name, name.split("_")[0], tmp_path)
    asked = job(f"{engine.name}:pbe/def2-svp", Atoms("C10H10"), ghost=np.zeros(20, dtype=bool), forces=True)
    answer = engine.answer(tmp_path, asked)
    assert answer.energy_eV == pytest.approx(energy_Eh * Hartree, abs=1e-9)
    assert answer.forces_eV_A.shape == (20, 3)
    assert answer.forces_eV_A[0] == pytest.approx(np.array(force_Eh_Bohr) * Hartree / Bohr, abs=1e-9)
    # Forces of a molecule in vacuum sum to nothing.
    assert np.abs(answer.forces_eV_A.sum(axis=0)).max() < 2e-3
    with pytest.raises(Unreadable, match="20 atoms, not 21"):
        engine.answer(tmp_path, job("orca:pbe/def2-svp", Atoms("C10H11"), ghost=np.zeros(21, dtype=bool), forces=True))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("orca_4.2_unconverged.out", "Wavefunction not fully converged"),
        ("orca_4.1_multiplicity.out", "multiplicity (2) is even and number of electrons (152) is even"),
        ("gaussian_16_syntax.log", "Error termination via Lnk1e"),
        ("gaussian_09_l401.log", "Basis set data is not on the checkpoint file. Error termination via Lnk1e"),
    ],
)
def test_a_recorded_failure_gives_its_last_words_and_no_energy(name, words, tmp_path):
    engine = recorded(name, name.split("_")[0], tmp_path)
    with pytest.raises(Unreadable) as caught:
        engine.answer(tmp_path, job(f"{engine.name}:pbe/def2-svp"))
    assert words in str(caught.value)


def test_an_output_that_breaks_off_gives_no_energy(tmp_path):
    for name, level in (("orca_6.0_water_cpcm.out", "orca"), ("gaussian_16_water_cpcm.log", "gaussian")):
        engine = recorded(name, level, tmp_path)
        whole = (tmp_path / OUTPUT).read_text()
        (tmp_path / OUTPUT).write_text(whole[: whole.index(engine.farewell)])
        with pytest.raises(Unreadable):
            engine.answer(tmp_path, job(f"{level}:pbe/def2-svp"))


def unpacked(name: str, folder: Path) -> Path:
    path = folder / "vasprun.xml"
    path.write_bytes(gzip.decompress((HERE / "recorded" / f"{name}.gz").read_bytes()))
    return path


def test_vasp_s_last_structure_is_read_when_its_density_converged(tmp_path):
    path = unpacked("vasp_6.4_vasprun.xml", tmp_path)
    energy, forces = read_vasprun(path)
    text = path.read_text()
    assert f"{energy:.8f}" in text[text.rindex("</scstep>") :]
    assert forces.shape == (2, 3)
    (tmp_path / "vasprun.xml").write_text(text[: len(text) // 2])
    with pytest.raises(Unreadable, match="breaks off"):
        read_vasprun(path)
    with pytest.raises(Unreadable, match="did not converge in 100 cycles"):
        read_vasprun(unpacked("vasp_5.4_unconverged_vasprun.xml", tmp_path))


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_that_is_missing_is_told_with_its_mend(name, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv(f"SOLVATION_{name.upper()}", raising=False)
    asked = next(item for key, item in CASES.items() if key.startswith(name)).level
    with pytest.raises(EngineMissing, match=f"not on PATH; .*SOLVATION_{name.upper()}"):
        check_level(asked)


def test_another_program_of_the_same_name_is_not_orca(tmp_path, monkeypatch):
    reader = tmp_path / "orca"
    reader.write_text("#!/bin/sh\n")
    reader.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "screen reader" in (ENGINES["orca"].missing() or "")
    (tmp_path / "orca_2mkl").touch()
    assert ENGINES["orca"].missing() is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nwchem:wb97x/def2-svp", "nwchem computes pbe"),
        ("cp2k:pbe/def2-svp", "MOLOPT"),
        ("cp2k:pbe-d4/dzvp-molopt-sr-gth", "no D4"),
        ("vasp:pbe/def2-svp", "plane waves"),
        ("psi4:pbe/def2-svp@cpcm=40", "takes no @"),
        ("nwchem:pbe/def2-svp@iefpcm=40", "takes @cpcm=EPS, not @iefpcm"),
        ("nwchem:gfn1", "runs on tblite, xtb or cp2k"),
        ("orca:r2scan-3c", "runs on pyscf"),
        ("nwchem:mp2/def2-svp", "runs on pyscf"),
        ("molpro:pbe/def2-svp", "runs on pyscf, gpu4pyscf, nwchem"),
        ("ase:emt", "import path"),
        ("ase:no_such_module.calculator", "cannot be imported"),
        ("ase:ase.calculators.emt.NOTHING", "cannot be imported"),
        ("ase:ase.units.Bohr", "is not a class or function"),
        ("ase:ase.calculators.mixing.SumCalculator", "needs calcs"),
    ],
)
def test_a_level_that_cannot_be_is_refused_with_its_mend(text, message, monkeypatch):
    with pytest.raises((StudyError, ValueError), match=message):  # noqa: PT012
        asked = Level.model_validate(text)
        monkeypatch.setattr(type(ENGINES[asked.engine]), "missing", lambda self: None)
        check_level(asked)


@pytest.mark.parametrize(
    "text",
    ["nwchem:pbe0-d4/def2-svp@cpcm=ec", "cp2k:gfn1", "cp2k:pbe-d3bj/dzvp-molopt-sr-gth", "vasp:pbe/pw520"],
)
def test_a_level_of_a_program_is_written_as_it_was_read(text):
    assert str(Level.model_validate(text)) == text


def test_an_import_path_keeps_its_letters():
    asked = Level.model_validate("ase:ase.calculators.emt.EMT")
    assert asked.method == "ase.calculators.emt.EMT"
    assert str(asked) == "ase:ase.calculators.emt.EMT"
    assert asked.slug == "ase_ase.calculators.emt.EMT"
    assert Level.model_validate(str(asked)) == asked


def test_every_engine_declares_its_continua():
    assert set(SOLVENT_MODELS) == set(ENGINES)


def test_a_calculator_by_import_path_gives_its_own_numbers():
    from ase.calculators.emt import EMT

    water = COMPLEX[1:]
    by_hand = water.copy()
    by_hand.calc = EMT()
    asked = Level.model_validate("ase:ase.calculators.emt.EMT")
    assert energy_eV(water, asked, charge=0) == pytest.approx(by_hand.get_potential_energy(), abs=1e-12)


def test_a_charge_that_a_calculator_does_not_take_is_refused():
    asked = Level.model_validate("ase:ase.calculators.emt.EMT")
    with pytest.raises(StudyError, match="charge 1 cannot be told"):
        energy_eV(COMPLEX[1:], asked, charge=1)
    with pytest.raises(StudyError, match="multiplicity 3 cannot be told"):
        energy_eV(COMPLEX[1:], asked, charge=0, multiplicity=3)


def test_charge_and_multiplicity_reach_a_calculator_of_one_s_own(tmp_path, monkeypatch):
    (tmp_path / "my_potential.py").write_text(
        "from ase.calculators.lj import LennardJones\n"
        "def calculator(charge, *, multiplicity=1):\n"
        "    return LennardJones(epsilon=charge + 10 * multiplicity, rc=9, smooth=False)\n"
        "def nothing():\n"
        "    return 'no calculator'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    asked = Level.model_validate("ase:my_potential.calculator")
    pair = Atoms("Ar2", [[0, 0, 0], [0, 0, 1.5]])
    depths = [energy_eV(pair, asked, charge=charge, multiplicity=spin) for charge, spin in ((0, 1), (1, 1), (2, 3))]
    assert np.array(depths) / depths[0] * 10 == pytest.approx([10, 11, 32])
    with pytest.raises(StudyError, match="returned no ASE calculator, but str"):
        energy_eV(pair, Level.model_validate("ase:my_potential.nothing"), charge=0)


def test_what_a_program_cannot_do_is_told_before_it_runs(monkeypatch):
    for engine in PROGRAMS:
        monkeypatch.setattr(type(ENGINES[engine]), "missing", lambda self: None)
    with pytest.raises(EngineFailed, match="molecules"):
        energy_eV(BOX, Level.model_validate("nwchem:pbe/def2-svp"), charge=1)
    with pytest.raises(EngineFailed, match="periodic boxes"):
        energy_eV(COMPLEX, Level.model_validate("vasp:pbe/pw400"), charge=1)


def test_a_species_without_electrons_needs_no_program(monkeypatch):
    monkeypatch.setattr(type(ENGINES["nwchem"]), "missing", lambda self: None)
    assert energy_eV(Atoms("H"), Level.model_validate("nwchem:pbe/def2-svp"), charge=1) == 0


if __name__ == "__main__":
    import os
    import tempfile

    for case, item in CASES.items():
        with tempfile.TemporaryDirectory() as made:
            os.environ["VASP_PP_PATH"] = str(data_sets(Path(made, "data")))
            Path(made, "run").mkdir()
            program = ENGINES[case.split("_")[0]]
            assert isinstance(program, ProgramEngine)
            (HERE / "golden" / f"{case}.txt").write_text(written(program, item, Path(made, "run")))
