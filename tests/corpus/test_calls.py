"""Calls of the command that cannot be answered, and the one line each of them gets instead."""

import json
import os
import shutil
import zipfile
from pathlib import Path

import pytest

COMPLEX = "4\n\nLi 0 0 1.9\nO 0 0 0\nH 0 0.763 -0.596\nH 0 -0.763 -0.596\n"
TWO = "Li 0 0 0\nO 0 0 1.9\nO 0 0 -1.9\n"
FRAME = '3\nLattice="20 0 0 0 20 0 0 0 20" Properties=species:S:1:pos:R:3 pbc="T T T" time_ps={}\n' + TWO
DROP = '3\nProperties=species:S:1:pos:R:3 pbc="F F F"\n' + TWO
FLAT = FRAME.replace("T T T", "T T F").format(0)
GROW = FRAME.format(0) + FRAME.format(1).replace("3\n", "4\n", 1) + "O 1 1 1\n"
PDB = "ATOM      1  LI   LI A   1       0.000   0.000   0.000  1.00  0.00          LI\nEND\n"
ON_PDB = ("analyze", "ok.pdb", "{}", "--donor", "O=name O")
SEEN = ("analyze", "{}", "--donor", "O=name O")
WALK = ("transport", "{}", "--species", "Li=name LI")
BIND = ("bind", "Li+", "O", "--starts", "2", "--relaxed", "1")
PAIRS = ("fit-pairs", "Li+", "--donor", "EC", "--output")
CARD = '{"name": "W", "species": {"smiles": "O"}, "search": ["gfn2"], "geometry": null, "sampling": {}, "seed": 1}'

#: A file or none, the words of the call, what the line says.
CALLS = [
    # Words that are none
    (None, ("nosuch",), "No such command 'nosuch'"),
    (None, ("check",), "Missing argument 'STUDY'"),
    (None, ("check", "a.yaml", "b.yaml"), "unexpected extra argument"),
    (None, ("check", "--fast", "a.yaml"), "No such option: --fast"),
    (None, ("check", "nowhere.yaml"), "nowhere.yaml: cannot be read (No such file or directory)"),
    (None, ("check", "."), ".: is a folder; give the study file"),
    (None, ("check", "a\nb.yaml"), "cannot be read"),
    (None, ("check", "a{b}.yaml"), "a{b}.yaml: the workflow takes no braces in the path of a study"),
    (None, ("check", "/dev/zero"), "/dev/zero: is a device or a pipe; give the study file"),
    (None, ("check", "pipe"), "pipe: is a device or a pipe; give the study file"),
    (None, ("status", "pipe"), "pipe: is a device or a pipe"),
    (None, ("why", "Li_W", "pipe"), "pipe"),
    (None, ("export", "pipe", "--output", "a.zip"), "pipe"),
    (None, ("reproduce", "pipe"), "pipe: is a device or a pipe; give an archive"),
    (None, ("init", "here/there/"), "here/there: cannot be written"),
    (None, ("schema", "--output", "here/there"), "here/there: cannot be written"),
    (None, ("schema", "--output", "/proc/nowhere/schema.json"), "/proc/nowhere/schema.json: cannot be written"),
    (None, ("engines", "--yaml"), "No such option: --yaml"),
    # fit-pairs
    (None, (*PAIRS, "x.json", "--level", "magic"), "--level: 'magic' is neither gfn1 nor gfn2"),
    (None, (*PAIRS, "x.json", "--charges", "magic"), "--charges: 'magic' is neither gfn1 nor gfn2"),
    (None, (*PAIRS, "here"), "--output here: name a .json file"),
    (None, ("export", "results", "--output", ""), "name it e.g. study.zip"),
    # rank
    (None, ("rank", "Li+", "H2O:2"), "'H2O:2': ligands are ranked one of each"),
    (None, ("rank", "Li+", "H2O", "H2O"), "'H2O' is named twice"),
    (None, ("rank", "Li+:2", "H2O"), "'Li+:2': one ion, without a count"),
    (None, ("rank", "Li+", "H2O", "O(O"), "is not a SMILES"),
    (None, ("rank", "Li+", "H2O", "--beside", "EC:0"), "write a ligand as SMILES"),
    (None, ("rank", "Li+", "H2O", "--level", "magic"), "--level: 'magic' is neither"),
    (None, ("rank", "Li+", "H2O", "--temperature-K", "nan"), "--temperature-K"),
    (None, ("rank", "Li+", "H2O", "--geometry", "mp2/def2-svp"), "--geometry: mp2/def2-svp has no forces"),
    (None, ("rank", "Li+", "H2O", "--level", "gfn2", "--counterpoise"), "counterpoise"),
    # bind
    (None, ("bind",), "name an ion and its ligands"),
    (None, ("bind", "Li+"), "name an ion and its ligands"),
    (None, ("bind", "Li+", "O:0"), "write a ligand as SMILES"),
    (None, ("bind", "Li+", "O:-1"), "write a ligand as SMILES"),
    (None, ("bind", "Li+", "O:²"), "write a ligand as SMILES"),
    (None, ("bind", "Li+", ":3"), "write a ligand as SMILES"),
    (None, ("bind", "Li+", ""), "write a ligand as SMILES"),
    (None, ("bind", "Li+", "O(O"), "is not a SMILES"),
    (None, ("bind", "Li+", "O.O"), "holds several molecules"),
    (None, ("bind", "Li+", "C"), "no donor atom"),
    (None, ("bind", "O", "O"), "exactly"),
    (None, ("bind", "[Li]", "O"), "species.[Li].multiplicity"),
    (None, ("bind", "[Fe+2]", "O"), "species.[Fe+2].multiplicity: is not given"),
    (None, (*BIND, "--multiplicity", "O"), "--multiplicity: 'O' is no name and its 2S+1"),
    (None, (*BIND, "--multiplicity", "W=1"), "--multiplicity: 'W' is none of the species"),
    (None, ("rank", "Li+", "H2O", "--multiplicity", "EC=3"), "--multiplicity: 'EC' is none of the species"),
    (None, ("bind", "Li+", "Na+"), "exactly"),
    (None, ("bind", "Li+:2", "O"), "exactly once"),
    (None, ("bind", "[Cl-]", "O=C=O"), "no hydrogen to hold an anion, nor B or Al"),
    (None, ("bind", "PF6-", "TFSI-", "O"), "exactly once"),
    (None, ("bind", "[NH4+]", "C"), "no donor atom"),
    (None, (*BIND, "--level", "magic"), "--level: 'magic' is neither gfn1 nor gfn2"),
    (None, ("bind", "Mg2+", "O", "--level", "gfn2"), "its energy of bare Mg2+ is wrong by many eV"),
    (None, (*BIND, "--level", ""), "--level: '' is not a level of theory"),
    (None, (*BIND, "--level", "orca:pbe/def2-svp"), "level 'orca:pbe/def2-svp'"),
    (None, (*BIND, "--level", "gfn2", "--solvent", "nosuch"), "tblite has no solvent 'nosuch'"),
    (None, (*BIND, "--level", "gfn2", "--solvent", "eps=wet"), "takes a permittivity of 1 or more"),
    (None, (*BIND, "--level", "pbe/def2-svp", "--solvent", "eps=wet"), "takes a permittivity"),
    (None, (*BIND, "--level", "pbe/def2-svp", "--solvent", "nosuch"), "SMD has no parameters for 'nosuch'"),
    (None, (*BIND, "--level", "gfn2@alpb=water", "--solvent", "water"), "names a solvent already"),
    (None, (*BIND, "--counterpoise"), "no counterpoise"),
    (None, (*BIND, "--level", "gfn1", "--level", "gfn2", "--counterpoise"), "no counterpoise"),
    (None, (*BIND, "--level", "gfn2", "--level", "gfn2"), "--level: gfn2 is named twice"),
    (None, (*BIND, "--level", "gfn2", "--level", "magic"), "--level: 'magic' is neither gfn1 nor gfn2"),
    (None, (*BIND, "--starts", "0"), "Invalid value for '--starts'"),
    (None, (*BIND, "--starts", "1e3"), "Invalid value for '--starts'"),
    (None, (*BIND, "--starts", "9999999"), "--starts"),
    (None, (*BIND, "--relaxed", "99999"), "--relaxed"),
    (None, (*BIND, "--seed", "-1"), "Invalid value for '--seed'"),
    (None, (*BIND, "--thermo", "--temperature-K", "0"), "Invalid value for '--temperature-K'"),
    (None, (*BIND, "--thermo", "--temperature-K", "nan"), "--temperature-K"),
    (None, (*BIND, "--thermo", "--temperature-K", "99999"), "--temperature-K"),
    (None, (*BIND, "--thermo", "--standard-state", "3 M"), "'3 M' is not one of '1 bar', '1 M'"),
    (None, (*BIND, "--fragments", "1 2-4"), "--fragments belongs to --structure"),
    (None, (*BIND, "--charges", "1 0"), "--charges belongs to --structure"),
    (None, (*BIND, "--structure", "c.xyz"), "leave out Li+"),
    # A complex of the user's
    (None, ("bind", "--structure", "nowhere.xyz"), "nowhere.xyz: no such file; check the path"),
    (None, ("bind", "--structure", "."), ".: no such file"),
    (("c.xyz", ""), ("bind", "--structure", "c.xyz"), "c.xyz: cannot be read as a structure"),
    (("c.xyz", "0\n\n"), ("bind", "--structure", "c.xyz"), "c.xyz"),
    (("c.xyz", "4\n\nLi 0 0 0\n"), ("bind", "--structure", "c.xyz"), "c.xyz: cannot be read as a structure"),
    (("c.xyz", COMPLEX.replace("1.9", "nan")), ("bind", "--structure", "c.xyz"), "c.xyz"),
    (("c.xyz", COMPLEX.replace("Li", "Qq")), ("bind", "--structure", "c.xyz"), "c.xyz: cannot be read as a structure"),
    (("c.xyz", COMPLEX.replace("Li", "X")), ("bind", "--structure", "c.xyz"), "c.xyz"),
    (("c.xyz", COMPLEX.replace("Li", "He")), ("bind", "--structure", "c.xyz"), "0 ions (none) to be held"),
    (("c.xyz", "1\n\nLi 0 0 0\n"), ("bind", "--structure", "c.xyz"), "c.xyz: holds one molecule"),
    (("c.xyz", COMPLEX.replace("Li", "Fe")), ("bind", "--structure", "c.xyz"), "Fe has no usual charge"),
    (("c.xyz", "2\n\nLi 0 0 0\nNa 0 0 3\n"), ("bind", "--structure", "c.xyz"), "2 ions (Li+, Na+) to be held"),
    (("c.xyz", COMPLEX.replace("0.763 -0.596\nH 0 -0.763", "7.63 -0.596\nH 0 -0.763")),
     ("bind", "--structure", "c.xyz"), "is not one molecule of charge"),
    (("c.xyz", COMPLEX), ("bind", "--structure", "c.xyz", "--fragments", "1 2-3"), "every atom of c.xyz (1 to 4)"),
    (("c.xyz", COMPLEX), ("bind", "--structure", "c.xyz", "--fragments", "1 2-9999999999"), "every atom of c.xyz"),
    (("c.xyz", COMPLEX), ("bind", "--structure", "c.xyz", "--fragments", "1 x"), "'x' is no list of atoms"),
    (("c.xyz", COMPLEX), ("bind", "--structure", "c.xyz", "--fragments", "1 4-2"), "every atom of c.xyz"),
    (("c.xyz", COMPLEX), ("bind", "--structure", "c.xyz", "--fragments", "0 2-4"), "every atom of c.xyz"),
    (("c.xyz", COMPLEX), ("bind", "--structure", "c.xyz", "--fragments", ""), "every atom of c.xyz"),
    (("c.xyz", COMPLEX), ("bind", "--structure", "c.xyz", "--charges", "1"), "1 charges for 2 molecules"),
    (("c.xyz", COMPLEX), ("bind", "--structure", "c.xyz", "--charges", "a b"), "'a b' is no list of charges"),
    (("c.xyz", COMPLEX), ("bind", "--structure", "c.xyz", "--charges", "0 0"), "c.xyz"),
    (("c.xyz", COMPLEX), ("bind", "--structure", "c.xyz", "--charges", "1 9"), "is not one molecule of charge +9"),
    (("c.xyz", COMPLEX), ("bind", "--structure", "c.xyz", "--geometry", "magic"), "--geometry: 'magic' is neither"),
    # Trajectories
    (None, ("analyze",), "Missing argument"),
    (None, ("analyze", "no.pdb"), "--donor is missing"),
    (None, ("analyze", "no.pdb", "--donor", "O=name O"), "no.pdb does not exist"),
    (None, ("analyze", ".", "--donor", "O=name O"), ". does not exist"),
    (None, ("analyze", "no.pdb", "--donor", "nonsense"), "write NAME=SELECTION"),
    (("t.extxyz", ""), SEEN, "t.extxyz"),
    (("t.extxyz", "nonsense\n"), SEEN, "t.extxyz"),
    (("t.extxyz", "\0\0\0"), SEEN, "t.extxyz"),
    (("t.extxyz", FRAME.format(0)[:-8]), SEEN, "t.extxyz: not a readable extxyz file"),
    (("t.extxyz", FRAME.format(0) + "3\n"), WALK, "t.extxyz: one frame is left; displacements take two or more"),
    (("t.extxyz", GROW), SEEN, "t.extxyz: frame 2 has 4 atoms, the topology 3"),
    (("t.extxyz", FLAT), SEEN, "periodic along some directions only"),
    (("t.extxyz", FRAME.format(0).replace("Li 0 0 0", "Li nan 0 0")), SEEN, "t.extxyz"),
    (("t.extxyz", FRAME.format(0).replace("20 0 0 0 20", "0 0 0 0 20")), SEEN, "t.extxyz"),
    (("t.extxyz", FRAME.format(0)), (*SEEN, "--center", "name"), "selection 'name' cannot be read"),
    (("t.extxyz", FRAME.format(0)), (*SEEN, "--center", "name NA"), "selection 'name NA' matches no atom"),
    (("t.extxyz", FRAME.format(0)), (*SEEN, "--center", "__import__('os')"), "cannot be read"),
    (("t.extxyz", FRAME.format(0)), (*SEEN, "--donor", "O=name O"), "is given twice"),
    (("t.extxyz", FRAME.format(0)), (*SEEN, "--donor", "=name O"), "write NAME=SELECTION"),
    (("t.extxyz", FRAME.format(0)), (*SEEN, "--anion", "PF6"), "PF6"),
    (("t.extxyz", FRAME.format(0)), (*SEEN, "--box", "a b c"), "--box 'a b c'"),
    (("t.extxyz", FRAME.format(0)), (*SEEN, "--box", "1 2"), "three edges"),
    (("t.extxyz", FRAME.format(0)), (*SEEN, "--box", "0 1 1"), "three edges"),
    (("t.extxyz", FRAME.format(0)), (*SEEN, "--box", "nan 10 10"), "three edges"),
    (("t.extxyz", FRAME.format(0)), (*SEEN, "--box", "20 20 20 10 10 179"), "angles in degrees"),
    (("t.extxyz", FRAME.format(0)), (*SEEN, "--rmax", "15"), "half"),
    (("t.extxyz", FRAME.format(0)), (*SEEN, "--rmax", "nan"), "--rmax"),
    (("t.extxyz", FRAME.format(0)), (*SEEN, "--rmax", "0"), "Invalid value for '--rmax'"),
    (("t.extxyz", FRAME.format(0)), (*SEEN, "--bins", "1"), "Invalid value for '--bins'"),
    (("t.extxyz", FRAME.format(0)), (*SEEN, "--bins", "999999999"), "--bins"),
    (("t.extxyz", FRAME.format(0)), (*SEEN, "--every", "0"), "Invalid value for '--every'"),
    (("t.extxyz", FRAME.format(0)), (*SEEN, "--skip-ps", "5"), "skip"),
    (("t.extxyz", FRAME.format(0)), (*SEEN, "--skip-ps", "nan"), "--skip-ps"),
    (("t.extxyz", FRAME.format(0)), (*SEEN, "--timestep-ps", "0"), "is no time between frames"),
    (("t.extxyz", FRAME.format(0)), (*SEEN, "--format", "NOSUCH"), "t.extxyz"),
    (("t.extxyz", FRAME.format(0)), (*SEEN, "--tolerance-ps", "inf"), "--tolerance-ps"),
    (("t.extxyz", FRAME.format(0)), (*SEEN, "--out", "here/there"), "here/there"),
    (("t.pdb", "nonsense\n"), SEEN, "t.pdb"),
    (("t.pdb", PDB.replace("0.000   0.000", "x.xxx   0.000")), SEEN, "t.pdb: cannot be read"),
    (("t.xtc", "nonsense"), SEEN, "t.xtc: cannot be read"),
    (("t.xtc", "nonsense"), ON_PDB, "t.xtc: cannot be read with topology"),
    (("t.dcd", "nonsense"), ON_PDB, "t.dcd: cannot be read with topology"),
    (("t.nc", "nonsense"), ON_PDB, "t.nc: cannot be read with topology"),
    (("t.npz", "nonsense"), SEEN, "t.npz: cannot be read"),
    (("XDATCAR", "nonsense\n"), SEEN, "XDATCAR"),
    (("XDATCAR", "a\n1.0\n5 0 0\n0 5 0\n0 0 5\nLi\n1\nDirect configuration= 1\n"), SEEN, "XDATCAR: not a readable"),
    (("t.extxyz", FRAME.format(0)), ("transport", "t.extxyz"), "--species is missing"),
    (("t.extxyz", FRAME.format(0)), WALK, "t.extxyz"),
    (("t.extxyz", FRAME.format(0)), (*WALK, "--charge", "Li=x"), "not a number"),
    (("t.extxyz", FRAME.format(0)), (*WALK, "--charge", "Li=nan"), "not a number"),
    (("t.extxyz", FRAME.format(0)), (*WALK, "--charge", "Na=1"), "Na"),
    (("t.extxyz", FRAME.format(0)), (*WALK, "--temperature-K", "0"), "Invalid value for '--temperature-K'"),
    # Cards of the workflow
    (None, ("ligand", "--card", "{", "--output", "o.extxyz"), "--card: not JSON"),
    (None, ("ligand", "--card", "[]", "--output", "o.extxyz"), "--card:"),
    (None, ("ligand", "--card", "{}", "--output", "o.extxyz"), "--card: name: is required"),
    (None, ("ligand", "--card", "[" * 9999, "--output", "o.extxyz"), "--card: not JSON"),
    (None, ("ligand", "--card", CARD.replace('"O"', '"O(O"'), "--output", "o.extxyz"), "is not a SMILES"),
    (None, ("binding", "--card", CARD, "--ensemble", "e", "--output", "o", "r"), "--card: composition: is required"),
    (None, ("md", "--card", "{}", "--segment", "0", "--start", "s", "--output", "o"), "Invalid value for '--segment'"),
    (None, ("pack", "--card", "null", "--output", "o"), "--card:"),
    (None, ("liquid", "--card", "1", "--output", "o", "f"), "--card:"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "words", "message"), CALLS)
def test_a_call_that_cannot_be_answered_is_one_line(tmp_path, monkeypatch, solvation_in_process, file, words, message):
    monkeypatch.chdir(tmp_path)
    # A file where a folder is wanted.
    (tmp_path / "here").write_text("a file\n")
    (tmp_path / "ok.pdb").write_text(PDB)
    # Nobody writes to it: who reads it waits for ever.
    os.mkfifo(tmp_path / "pipe")
    if file is not None:
        name, text = file
        (tmp_path / name).write_text(text)
        words = tuple(word.replace("{}", name) for word in words)
    solvation_in_process(*words).refused_by(message)


#: A file of a finished study, its new text (None: removed), the words of the call, what the line says.
RESULTS = [
    # The record of a step
    ("energies/Li_W/gfn2.json", "", ("why", "Li_W", "results/small"), "energies/Li_W/gfn2.json: not JSON"),
    ("energies/Li_W/gfn2.json", "[]", ("why", "Li_W", "results/small"), "not a JSON object"),
    ("energies/Li_W/gfn2.json", "\xff", ("status", "small.yaml"), "not JSON"),
    ("energies/Li_W/gfn2.json", "[" * 9999, ("status", "small.yaml"), "not JSON"),
    ("energies/Li_W/gfn2.json", '{"step": 1}', ("status", "small.yaml"), "not a record of this package"),
    ("energies/Li_W/gfn2.json", '{"step": 1, "card": {}}', ("status", "small.yaml"), "not a record"),
    (
        "energies/Li_W/gfn2.json", '{"step": 1, "card": {}, "inputs_sha256": {}, "answers": 5}',
        ("why", "Li_W", "results/small"), "not a record",
    ),
    ("energies/Li_W/gfn2.json", "", ("export", "results/small", "--output", "a.zip"), "not JSON"),
    ("small.csv", "", ("why", "small.csv", "results/small"), "is no file, cluster, trajectory or row"),
    ("small.csv", "", ("why", "nothing", "results/small"), "is no file, cluster, trajectory or row"),
    ("small.csv", "", ("why", "", "results/small"), "is no file, cluster, trajectory or row"),
    ("small.csv", "", ("why", "binding nothing", "results/small"), "binding.csv: no row of 'nothing'"),
    ("small.csv", "", ("why", "Li_W", "mine"), "mine: no finished step is recorded there"),
    ("small.csv", "", ("why", "Li_W", "nowhere"), "nowhere: no such folder or file; give the results folder"),
    ("binding.csv", 'cluster\n"Li', ("why", "binding Li_W", "results/small"), "binding.csv: not a table"),
    ("binding.csv", "\xff", ("why", "binding Li_W", "results/small"), "binding.csv: not a table"),
    # provenance.json
    ("provenance.json", None, ("export", "results/small", "--output", "a.zip"), "provenance.json is missing"),
    ("provenance.json", "{", ("export", "results/small", "--output", "a.zip"), "provenance.json: not JSON"),
    ("provenance.json", "{}", ("export", "results/small", "--output", "a.zip"), "holds no study"),
    ("provenance.json", "{}", ("status", "small.yaml", "--checksums"), "has no checksums of files"),
    ("provenance.json", None, ("status", "small.yaml", "--checksums"), "provenance.json is missing"),
    ("ligands/W.extxyz", "x", ("export", "results/small", "--output", "a.zip"), "W.extxyz: changed since the tables"),
    ("provenance.json", '{"study": 5}', ("export", "results/small", "--output", "a.zip"), "holds no study"),
    ("provenance.json", "{", ("why", "Li_W", "results/small"), "provenance.json: not JSON"),
    ("provenance.json", "{", ("report", "results/small"), "provenance.json: not JSON"),
    ("provenance.json", "[]", ("report", "results/small"), "provenance.json: not a JSON object"),
    ("provenance.json", '{"study": 5, "steps": 7}', ("report", "results/small"), "provenance.json"),
    ("provenance.json", '{"steps": [1]}', ("report", "results/small"), "provenance.json"),
    ("small.csv", "", ("export", "results/small", "--output", "a.tar"), "name it e.g. a.zip"),
    ("small.csv", "", ("vasp-md", "small.yaml", "EC", "--output", "v"), "is no classical box of this study; those"),
    ("small.csv", "", ("vasp-md", "none.yaml", "EC", "--output", "v"), "none.yaml: cannot be read"),
    ("small.csv", "", ("export", "results/small", "--output", "old.zip"), "exists and is left as it is"),
    ("small.csv", "", ("export", "results/small", "--output", "small.yaml/a.zip"), "a.zip: cannot be written"),
    ("small.csv", "", ("export", "nowhere", "--output", "a.zip"), "nowhere: no such folder or file"),
    ("study-file.txt", "../../nowhere.yaml\n", ("status", "nowhere.yaml"), "nowhere.yaml: cannot be read"),
    # Tables
    ("binding.csv", "cluster,level\nA,B\n", ("report", "results/small"), "binding.csv: no column 'definition'"),
    ("binding.csv", "\xff\xfe", ("report", "results/small"), "binding.csv: not a table"),
    ("binding.csv", 'cluster\n"A', ("report", "results/small"), "binding.csv: not a table"),
    ("binding.csv", "cluster,level,definition,energy_eV\nA,B,C,x\n", ("report", "results/small"), "not a number"),
    ("coordination.csv", "a\n", ("compare", "small.yaml"), "coordination.csv: columns are a"),
    ("binding.csv", None, ("compare", "small.yaml"), "binding.csv is missing"),
    ("binding.csv", "", ("compare", "small.yaml"), "binding.csv: columns are"),
    ("binding.csv", "\xff", ("compare", "small.yaml"), "binding.csv"),
    ("binding.csv", "{head}\nA\n", ("compare", "small.yaml"), "binding.csv: line 2"),
    ("binding.csv", "{head}\n" + ",".join("x" * 16) + "\n", ("compare", "small.yaml"), "binding.csv: line 2"),
    ("binding.csv", '{head}\n"' + "x" * 200_000 + "\n", ("compare", "small.yaml"), "binding.csv"),
    ("clusters/Li_W2/ensemble.extxyz", "nonsense\n", ("report", "results/small"), "ensemble.extxyz: not an ensemble"),
    ("clusters/Li_W2/ensemble.extxyz", "nonsense\n", ("tables", "small.yaml"), "ensemble.extxyz"),
    ("clusters/Li_W2/ensemble.extxyz", "1\n\nLi 0 0 0\n", ("tables", "small.yaml"), "ensemble.extxyz: not an ensemble"),
    ("clusters/Li_W2/ensemble.extxyz", "", ("tables", "small.yaml"), "Li_W2"),
    ("clusters/Li_W2/ensemble.extxyz", None, ("tables", "small.yaml"), "ensemble.extxyz is missing"),
    ("small.csv", "", ("report", "mine"), "mine: no tables and no structures"),
    ("small.csv", "", ("report", "nowhere"), "nowhere: no such folder"),
    ("small.csv", "", ("tables", "nowhere.yaml"), "nowhere.yaml: cannot be read"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "words", "message"), RESULTS)
def test_results_that_are_damaged_are_one_line(finished, solvation_in_process, name, text, words, message):
    Path("old.zip").write_text("mine")
    head = (finished / "binding.csv").read_text().splitlines()[0]
    if text is None:
        (finished / name).unlink()
    else:
        (finished / name).write_bytes(text.replace("{head}", head).encode("latin-1"))
    if words[0] == "report":
        # What the fixture invents is no table: the report has only what the case is about.
        for path in finished.rglob("*"):
            if path.is_file() and path != finished / name:
                path.unlink()
        if name != "binding.csv":
            (finished / "binding.csv").write_text(f"{head}\n" + "Li_W," * 3 + "gfn2,relaxed,-1" + "," * 10 + "\n")
    solvation_in_process(*words).refused_by(message)


def _without(name: str):
    def change(source: Path, target: Path) -> None:
        with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
            for entry in old.infolist():
                if not entry.filename.endswith(name):
                    new.writestr(entry.filename, old.read(entry))

    return change


def _with(name: str, data: bytes):
    def change(source: Path, target: Path) -> None:
        shutil.copy(source, target)
        with zipfile.ZipFile(target, "a") as new:
            new.writestr(zipfile.ZipInfo(name), data)

    return change


def _bytes(alter):
    return lambda source, target: target.write_bytes(alter(source.read_bytes()))


#: What was made of a good archive, and how; the words of the call, what the line says.
ARCHIVES = [
    ("no file", lambda source, target: None, (), "bad.zip does not exist"),
    ("a folder", lambda source, target: target.mkdir(), (), "bad.zip: cannot be read or unpacked"),
    ("an empty file", _bytes(lambda data: b""), (), "cannot be read or unpacked"),
    ("no archive", _bytes(lambda data: b"nonsense"), (), "cannot be read or unpacked"),
    ("its first half", _bytes(lambda data: data[: len(data) // 2]), (), "cannot be read or unpacked"),
    ("400 bytes overwritten", _bytes(lambda data: data[:3000] + b"\0" * 400 + data[3400:]), (), "bad.zip: "),
    ("without its manifest", _without("manifest-sha256.txt"), (), "no archive of a study"),
    ("without provenance.json", _without("provenance.json"), (), "is not in both the archive and its manifest"),
    ("a file more", _with("extra.txt", b"x"), (), "extra.txt is not in both"),
    ("a file that leads outside", _with("../up.txt", b"x"), (), "would be unpacked outside"),
    ("a name that is none", _with("\x1b[2J", b"x"), (), "'\\x1b[2J' is no name of a file"),
    ("whole", shutil.copy, ("--max-GB", "0"), "more than 0; allow it by --max-GB"),
    ("whole", shutil.copy, ("--max-GB", "-1"), "Invalid value for '--max-GB'"),
    ("whole", shutil.copy, ("--max-GB", "nan"), "--max-GB"),
    ("whole", shutil.copy, ("--output", "mine"), "mine exists and is left as it is"),
    ("whole", shutil.copy, ("--output", "small.yaml"), "small.yaml exists and is left as it is"),
    ("whole", shutil.copy, ("--output", "small.yaml/new"), "small.yaml/new: cannot be made"),
    ("whole", shutil.copy, ("--against", "nowhere"), "nowhere: no such folder"),
    ("whole", shutil.copy, ("--against", "odd"), "odd/binding.csv: no column"),
]  # fmt: skip


@pytest.mark.parametrize(("made", "change", "words", "message"), ARCHIVES)
def test_an_archive_that_cannot_be_used_is_one_line(finished, solvation_in_process, made, change, words, message):
    assert solvation_in_process("export", finished, "--output", "good.zip").code == 0
    change(Path("good.zip"), Path("bad.zip"))
    Path("odd").mkdir()
    Path("odd/binding.csv").write_text("a,b\n1,2\n")
    before = sorted(Path().rglob("*"))
    solvation_in_process("reproduce", "bad.zip", *words).refused_by(message)
    assert sorted(Path().rglob("*")) == before


def test_the_corpus_is_large_and_each_case_stands_once():
    words = [json.dumps([file, *words]) for file, words, _ in CALLS]
    assert len(set(words)) == len(words)
    assert len(CALLS) + len(RESULTS) + len(ARCHIVES) > 170
