"""Study files that are wrong, and the one line each of them is answered with."""

from pathlib import Path

import pytest

GOOD = """\
species: {Li+: , EC: , W: {smiles: O}, OWN: {file: own.xyz}}
clusters:
  A: {composition: {Li+: 1, W: 2}}
  B: {composition: {Li+: 1, W: 1, EC: 1}, denticity: {W: 1}}
levels: {search: gfn2, rank: null, energy: [gfn2]}
sampling: {starts: 5, relaxed: 2}
thermochemistry: {temperature_K: 300}
trajectories:
  T: {composition: {Li+: 1, W: 5}, level: gfn2, length_ps: 1, equilibration_ps: 0.1}
analysis: {r_max_A: 4.0}
published: [{quantity: binding_energy, subject: A, value: -1, unit: eV, source: somebody}]
"""
WATER = "3\n\nO 0 0 0.119\nH 0 0.763 -0.477\nH 0 -0.763 -0.477\n"
#: Forty lists in each other, each holding the next one twice: 2^40 entries of some hundred characters.
NEST = "x"
for depth in range(40):
    NEST = f"[&n{depth} {NEST}, *n{depth}]"
#: What is replaced in GOOD, by what, and what the line says.
MUTATIONS = [
    # Names and keys
    ("species:", "specis:", "specis: unknown key; did you mean 'species'?"),
    ("clusters:", "cluster:", "cluster: unknown key; did you mean 'clusters'?"),
    ("levels:", "level:", "level: unknown key; did you mean 'levels'?"),
    ("analysis:", "anlysis:", "anlysis: unknown key"),
    ("starts: 5", "strats: 5", "sampling.strats: unknown key; did you mean 'starts'?"),
    ("temperature_K: 300", "temperature: 300", "thermochemistry.temperature: unknown key"),
    ("r_max_A: 4.0", "rmax: 4.0", "analysis.rmax: unknown key"),
    ("{smiles: O}", "{smile: O}", "species.W.smile: unknown key; did you mean 'smiles'?"),
    ("denticity:", "dentate:", "clusters.B.dentate: unknown key"),
    ("length_ps", "length", "trajectories.T.length: unknown key"),
    ("quantity:", "what:", "published.0.what: unknown key"),
    ("  A:", "  A b:", "is not a name"),
    ("  A:", "  ../A:", "is not a name"),
    ("  A:", "  '':", "is not a name"),
    ("  T:", "  T/1:", "is not a name"),
    ("W: {smiles", "W$: {smiles", "is not a name"),
    ("species:", "name: a/b\nspecies:", "name: 'a/b' is not a name"),
    ("species:", "name: ../up\nspecies:", "name: '../up' is not a name"),
    ("species:", "name: 7\nspecies:", "name: must be text; put it into quotes (given: '7')"),
    ("species:", "seed: -1\nspecies:", "seed: must be 0 or more"),
    ("species:", "seed: 1.5\nspecies:", "seed:"),
    ("species:", "seed: many\nspecies:", "seed: must be a whole number"),
    ("species:", "seed: 99999999999\nspecies:", "seed: must be less than"),
    ("species:", "description: [a]\nspecies:", "description: must be text"),
    ("species:", "results: 5\nspecies:", "results:"),
    ("species:", "results: \"a\\0b\"\nspecies:", "results:"),
    # Species
    ("{smiles: O}", "{smiles: ''}", "species.W.smiles:"),
    ("{smiles: O}", "{smiles: 'C1CC'}", "species.W.smiles: 'C1CC' is not a SMILES"),
    ("{smiles: O}", "{smiles: 'N(C)(C)(C)C'}", "is not a SMILES"),
    ("{smiles: O}", "{smiles: O.O}", "holds several molecules"),
    ("{smiles: O}", "{smiles: Xx}", "is not a SMILES"),
    ("{smiles: O}", "{smiles: '*O'}", "species.W: holds an unknown atom (*)"),
    ("{smiles: O}", "{smiles: O, file: own.xyz}", "give one of smiles, file and library"),
    ("{smiles: O}", "{library: NOSUCH}", "'NOSUCH' is not in structures/library.yaml"),
    ("{smiles: O}", "5", "species.W:"),
    ("{smiles: O}", "[O]", "species.W:"),
    ("{smiles: O}", "", "'W' is not in structures/library.yaml"),
    ("{smiles: O}", "{smiles: O, charge: 1}", "species.W.charge: +1 does not fit"),
    ("{smiles: O}", "{smiles: O, charge: x}", "species.W.charge: must be a whole number"),
    ("{smiles: O}", "{smiles: O, multiplicity: 2}", "species.W.multiplicity: 2 is impossible for 10 electrons"),
    ("{smiles: O}", "{smiles: O, multiplicity: 0}", "species.W.multiplicity:"),
    ("{smiles: O}", "{smiles: O, multiplicity: 13}", "species.W.multiplicity: 13 is impossible"),
    ("{smiles: O}", "{smiles: O, donors: {O: '['}}", "species.W.donors.O: '[' is not a SMARTS"),
    ("{smiles: O}", "{smiles: O, donors: {N: '[N]'}}", "matches no atom"),
    ("{smiles: O}", "{smiles: O, donors: {}}", "species.W.donors:"),
    ("{smiles: O}", "{smiles: C}", "no donor atom"),
    ("{smiles: O}", "{smiles: '[H][H]'}", "no donor atom"),
    ("Li+: ,", "Li+: {smiles: '[Li]'},", "species.Li+.multiplicity: 1 is impossible for 3 electrons"),
    ("Li+: ,", "Li+: {smiles: CC},", "clusters.A.composition:"),
    ("EC: ,", "EC: {smiles: '[Na+]'},", "clusters.B.composition:"),
    # Clusters
    ("{Li+: 1, W: 2}", "{Li+: 1}", "clusters.A.composition:"),
    ("{Li+: 1, W: 2}", "{}", "clusters.A.composition:"),
    ("{Li+: 1, W: 2}", "{Li+: 2, W: 2}", "exactly once"),
    ("{Li+: 1, W: 2}", "{EC: 1, W: 2}", "clusters.A.composition:"),
    ("{Li+: 1, W: 2}", "{Li+: 1, W: 2.5}", "clusters.A.composition.W:"),
    ("{Li+: 1, W: 2}", "{Li+: 1, W: two}", "clusters.A.composition.W:"),
    ("{Li+: 1, W: 2}", "{Li+: 1, W: }", "clusters.A.composition.W:"),
    ("{Li+: 1, W: 2}", "[Li+, W]", "clusters.A.composition:"),
    ("{Li+: 1, W: 2}", "{Li+: 1, w: 2}", "unknown species 'w'; did you mean 'W'?"),
    ("denticity: {W: 1}", "denticity: {W: 2}", "clusters.B.denticity.W: 2 donors asked for, W has 1"),
    ("denticity: {W: 1}", "denticity: {OWN: 1}", "'OWN' is not in the composition"),
    ("denticity: {W: 1}", "denticity: {W: 0}", "clusters.B.denticity.W:"),
    ("denticity: {W: 1}", "levels: []", "clusters.B.levels"),
    # Levels of theory
    ("[gfn2]}", "[]}", "levels.energy:"),
    ("[gfn2]}", "[gfn9]}", "levels.energy.0: 'gfn9' is neither gfn1 nor gfn2"),
    ("[gfn2]}", "['']}", "levels.energy.0:"),
    ("[gfn2]}", "[5]}", "levels.energy.0:"),
    ("[gfn2]}", f"[{NEST}]}}", "its anchors stand for more than"),
    ("[gfn2]}", "[null]}", "levels.energy.0:"),
    ("[gfn2]}", "['pbe/']}", "is not a level of theory"),
    ("[gfn2]}", "['pbe-d4']}", "needs a basis set"),
    ("[gfn2]}", "['gfn2/def2-svp']}", "carries its own basis"),
    ("[gfn2]}", "['gfn2@cpcm=40']}", "takes @alpb=NAME or @gbsa=NAME or @gbe=EPS"),
    ("[gfn2]}", "['gfn2@alpb=nosuch']}", "levels of cluster A"),
    ("[gfn2]}", "['pbe/def2-svp@cpcm=-4']}", "takes a permittivity"),
    ("[gfn2]}", "['pbe/def2-svp@cpcm=0']}", "permittivity"),
    ("[gfn2]}", "['pbe/def2-svp@smd=ec']}", "SMD has no parameters for 'ec'; take @cpcm=ec"),
    ("[gfn2]}", "['pbe/def2-svp@smd=acetonitril']}", "did you mean acetonitrile?"),
    ("[gfn2]}", "['nwchem:pbe/def2-svp@smd=water']}", "takes @cpcm=EPS, not @smd"),
    ("[gfn2]}", "['orca:pbe/def2-svp']}", "levels of cluster A"),
    ("[gfn2]}", "['nosuch:pbe/def2-svp']}", "runs on"),
    ("[gfn2]}", "['ase:no.such.thing']}", "levels of cluster A"),
    ("[gfn2]}", "['ase:os.system']}", "levels of cluster A"),
    ("[gfn2]}", "['mp2-d4/def2-svp']}", "takes a basis set and nothing else"),
    ("[gfn2]}", "['pbe-d4/nosuch']}", "no basis set"),
    ("[gfn2]}", "[gfn2], counterpoise: [gfn2]}", "levels.counterpoise: level 'gfn2'"),
    ("[gfn2]}", "[gfn2], counterpoise: [pbe/def2-svp]}", "is not among the energy levels"),
    ("[gfn2]}", "[gfn2], bonding: [mp2/def2-svp]}", "bonding level 'mp2/def2-svp'"),
    ("[gfn2]}", "[gfn2], geometry: mp2/def2-svp}", "has no forces"),
    ("search: gfn2", "search: pbe/def2-svp", "too dear to search with"),
    ("search: gfn2", "search: []", "levels.search"),
    ("search: gfn2", "search: [gfn2, gfn2]", "stands twice"),
    ("search: gfn2", "search: [gfn1, gfn2]", "cannot be compared"),
    ("search: gfn2", "search: {engine: tblite}", "levels.search"),
    # Numbers
    ("starts: 5", "starts: 0", "sampling.starts:"),
    ("starts: 5", "starts: .nan", "sampling.starts:"),
    ("starts: 5", "fmax_eV_A: .inf", "sampling.fmax_eV_A:"),
    ("starts: 5", "fmax_eV_A: 0", "sampling.fmax_eV_A:"),
    ("starts: 5", "temperature_K: .nan", "sampling.temperature_K:"),
    ("starts: 5", "temperature_K: .inf", "sampling.temperature_K:"),
    ("starts: 5", "window_eV: .inf", "sampling.window_eV:"),
    ("starts: 5", "max_steps: 1", "sampling.max_steps:"),
    ("temperature_K: 300", "temperature_K: 0", "thermochemistry.temperature_K:"),
    ("temperature_K: 300", "temperature_K: .nan", "thermochemistry.temperature_K:"),
    ("temperature_K: 300", "standard_state: 2 M", "thermochemistry.standard_state:"),
    ("length_ps: 1,", "length_ps: 0.05,", "leaves nothing of length_ps"),
    ("length_ps: 1,", "length_ps: .inf,", "trajectories.T.length_ps:"),
    ("length_ps: 1,", "length_ps: 1, timestep_fs: 0,", "trajectories.T.timestep_fs:"),
    ("length_ps: 1,", "length_ps: 1, timestep_fs: 2,", "hydrogen_mass_u"),
    ("length_ps: 1,", "length_ps: 1, density_g_cm3: 0,", "trajectories.T.density_g_cm3:"),
    ("length_ps: 1,", "length_ps: 1, shape: sphere,", "trajectories.T.shape:"),
    ("length_ps: 1,", "length_ps: 1, save_every_fs: 0.1,", "save_every_fs is shorter than timestep_fs"),
    ("length_ps: 1,", "length_ps: 1, temperature_K: .inf,", "trajectories.T.temperature_K:"),
    ("length_ps: 1,", "length_ps: 1, segments: 0,", "trajectories.T.segments:"),
    ("{Li+: 1, W: 5}", "{W: 5}", "trajectories.T.composition:"),
    ("{Li+: 1, W: 5}", "{EC: 2, W: 5}", "holds no bare ion"),
    ("{Li+: 1, W: 5}", "{Li+: 1, X: 5}", "trajectories.T.composition: unknown species 'X'"),
    ("level: gfn2", "level: orca:pbe/def2-svp", "trajectories.T.level:"),
    ("level: gfn2", "level: mp2/def2-svp", "trajectories.T: level: mp2/def2-svp has no forces"),
    ("level: gfn2, l", "potential: P, l", "trajectories.T.potential: unknown 'P'"),
    ("level: gfn2, l", "level: gfn2, potential: P, l", "trajectories.T: give one of level and potential"),
    ("level: gfn2, l", "level: mace:none.model, l", "trajectories.T.level: level 'mace:none.model'"),
    ("level: gfn2, l", "level: mace:none.pt, l", "is not a level of theory"),
    ("analysis:", "potentials: {P: {level: gfn1, frames: {X: 90}}}\nanalysis:", "unknown trajectory 'X'; known: T"),
    ("analysis:", "potentials: {P: {level: gfn1, frames: {T: 3}}}\nanalysis:", "too few to fit and to hold out"),
    ("analysis:", "potentials: {P: {level: gfn1, frames: {}}}\nanalysis:", "potentials.P.frames:"),
    ("analysis:", "potentials: {P: {frames: {T: 90}}}\nanalysis:", "potentials.P.level: is required"),
    ("analysis:", "potentials: {P: {level: gfn1, frame: {T: 90}}}\nanalysis:", "potentials.P.frame: unknown key"),
    ("analysis:", "potentials: {P: {level: ccsd/def2-svp, frames: {T: 90}}}\nanalysis:", "has no forces"),
    ("analysis:", "potentials: {P/Q: {level: gfn1, frames: {T: 90}}}\nanalysis:", "is not a name"),
    ("analysis:", "potentials: {P: {level: gfn1, frames: {T: 90}, cutoff_A: .nan}}\nanalysis:", "P.cutoff_A:"),
    ("analysis:", "potentials: 5\nanalysis:", "potentials:"),
    ("analysis:", "profiles: {P: {box: T, ligand: W}}\nanalysis:", "profiles.P.box: no classical trajectory 'T'"),
    ("analysis:", "profiles: {P: {box: T}}\nanalysis:", "profiles.P.ligand: is required"),
    ("analysis:", "profiles: {P: {box: T, ligand: W, window: 5}}\nanalysis:", "did you mean 'window_ps'?"),
    ("analysis:", "profiles: {P: {box: T, ligand: W, near_A: 5.9}}\nanalysis:", "fewer than three windows"),
    ("analysis:", "profiles: {P: {box: T, ligand: W, step_A: 0}}\nanalysis:", "profiles.P.step_A:"),
    ("analysis:", "profiles: {P: {box: T, ligand: W, settle_ps: .inf}}\nanalysis:", "profiles.P.settle_ps:"),
    ("analysis:", "profiles: [T]\nanalysis:", "profiles:"),
    ("r_max_A: 4.0", "r_max_A: 0", "analysis.r_max_A:"),
    ("r_max_A: 4.0", "r_max_A: .nan", "analysis.r_max_A:"),
    ("r_max_A: 4.0", "n_bins: 1", "analysis.n_bins:"),
    ("r_max_A: 4.0", "tolerance_ps: .inf", "analysis.tolerance_ps:"),
    ("value: -1", "value: .nan", "published.0.value:"),
    ("value: -1", "value: lots", "published.0.value:"),
    ("subject: A", "subject: Z", "published.0.subject: unknown 'Z'"),
    ("subject: A", "subject: 'A - '", "published.0.subject: unknown ''"),
    ("quantity: binding_energy", "quantity: colour", "published.0.quantity:"),
    ("unit: eV", "unit: kcal", "published.0: unit 'kcal' does not fit binding_energy; give eV, kJ/mol, kcal/mol"),
    ("unit: eV", "unit: nm", "published.0: unit 'nm' does not fit binding_energy"),
    # Structure files
    ("own.xyz", "../own.xyz", "species.OWN.file: ../own.xyz leaves the folder of the study; give an absolute path"),
    ("own.xyz", "a/../../own.xyz", "leaves the folder of the study"),
    ("own.xyz", "link.xyz", "species.OWN.file: link.xyz is a link to /dev/null, out of the folder of the study"),
    ("clusters:", "results: 'o{x}'\nclusters:", "results: o{x}: the workflow takes no braces there"),
    ("clusters:", "results: ../elsewhere\nclusters:", "results: ../elsewhere leaves the working directory"),
    ("  T:", "  O: {topology: ../t.pdb, center: a, donors: {O: a}}\n  T:", "trajectories.O.topology: ../t.pdb leaves"),
    ("own.xyz", "nosuch.xyz", "species.OWN.file: nosuch.xyz does not exist"),
    ("own.xyz", "folder", "species.OWN.file: folder does not exist"),
    ("own.xyz", "own.txt", "species.OWN.file: own.txt: write it as .xyz, .mol, .sdf or .cif"),
    ("clusters:", "forcefields: {W: {file: ../w.top}}\nclusters:", "forcefields.W: no classical trajectory holds W"),
    ("clusters:", "forcefields: {X: {file: w.top}}\nclusters:", "forcefields: unknown species 'X'"),
    ("clusters:", "forcefields: {W: w.top}\nclusters:", "forcefields.W: must be a mapping of keys to values"),
    # YAML
    ("species: {", "species: [", "line 1"),
    ("clusters:", "clusters: *nowhere", "line 2"),
    ("{r_max_A: 4.0}", "!!python/object/apply:os.system ['true']", "could not determine a constructor for the tag"),
    ("{r_max_A: 4.0}", "!!python/name:os.system", "could not determine a constructor for the tag"),
    ("clusters:", "species: {}\nclusters:", "key 'species' stands twice"),
    ("clusters:", "\tclusters:", "line 2"),
    ("clusters:", "? [a, b]\n: 1\nclusters:", "line 2, column 3: found unhashable key"),
    ("clusters:", "1: 2\nclusters:", "1: a key must be text; put it into quotes"),
    ("clusters:", "null: 2\nclusters:", "a key must be text"),
    ("clusters:", "%\nclusters:", "line"),
    ("clusters:", "\x07clusters:", "YAML"),
    ("clusters:", "---\nclusters:", "line"),
]  # fmt: skip
#: A kilobyte that stands for 3 ** 40 letters.
LAUGHS = (
    "a0: &a0 [x]\n" + "".join(f"a{n + 1}: &a{n + 1} [*a{n}, *a{n}, *a{n}]\n" for n in range(40)) + "species: *a40\n"
)
#: The same by keys that are merged, of which every one is copied.
MERGED_LAUGHS = "a0: &a0 {x: 1, y: 2}\n" + "".join(
    f"a{n + 1}: &a{n + 1} {{<<: [{', '.join([f'*a{n}'] * 10)}]}}\n" for n in range(11)
)
TEXTS = [
    ("", "a study is a mapping"),
    ("[]\n", "a study is a mapping"),
    ("5\n", "a study is a mapping"),
    ("species\n", "a study is a mapping"),
    ("{}\n", "species: is required"),
    ("species: {}\n", "species:"),
    ("species: {EC: }\n", "nothing to do: declare clusters, campaigns or trajectories"),
    ("clusters: {A: {composition: {Li+: 1, W: 1}}}\n", "species: is required"),
    ("a: &a [*a]\n", "a: unknown key"),
    ("species: &s {EC: *s}\n", "species"),
    ("{" * 3000, "nested too deeply"),
    (LAUGHS, "its anchors stand for more than 1000000 values"),
    (MERGED_LAUGHS, "its anchors stand for more than 1000000 values"),
    ("species: {EC: }\nseed: " + "9" * 5000 + "\n", "line 2, column 7: a number of 5000 characters"),
    ("species: {EC: }\nseed: 1" + ":59" * 50_000 + "\n", "line 2, column 7: a number of 150001 characters"),
    ("species: {EC: }\nseed: !!int abc\n", "line 2, column 7: 'abc' is no int"),
    ("species: {EC: }\nseed: !!float abc\n", "line 2, column 7: 'abc' is no float"),
    ("species: {EC: }\nseed: !!bool foo\n", "line 2, column 7: 'foo' is no bool"),
    ("species: {EC: }\nseed: !!set 5\n", "not valid YAML"),
    ("species: {EC: }\ndescription: !!timestamp foo\n", "line 2, column 14: 'foo' is no timestamp"),
    ("species: {EC: }\ndescription: 2001-13-01\n", "line 2, column 14: '2001-13-01' is no timestamp (quotes make"),
    ("species: {Li+: , EC: }\nclusters: 5\n", "clusters:"),
    (
        "species: {Mg2+: , EC: }\nclusters: {A: {composition: {Mg2+: 1, EC: 1}}}\nlevels: {energy: [gfn2]}\n",
        "clusters.A: level 'gfn2': its energy of bare Mg2+ is wrong by many eV",
    ),
    (
        "species: {Fe: {smiles: '[Fe+2]'}, EC: }\nclusters: {A: {composition: {Fe: 1, EC: 1}}}\n",
        "species.Fe.multiplicity: is not given, and the ground state is no singlet; give it (usually 5, or 1",
    ),
    ("species: {Li+: , EC: }\nclusters: {A: }\n", "clusters.A:"),
    ("species: {Li+: , EC: }\nclusters: {A: {composition: {Li+: 1, EC: 1}}}\ntrajectories: [1]\n", "trajectories:"),
    ("species: {Li+: , EC: }\nclusters: {A: {composition: {Li+: 1, EC: 1}}}\ntrajectories: {T: 5}\n", "trajectories.T"),
    ("species: {Li+: , EC: }\nclusters: {A: {composition: {Li+: 1, EC: 1}}}\npublished: {a: 1}\n", "published"),
]  # fmt: skip
BARE_O = "\n\n\n  1  0  0  0  0  0  0  0  0  0999 V2000\n    0.0000    0.0000    0.0000 O   0  0\nM  END\n"
#: Structures of a molecule that cannot be one.
STRUCTURES = [
    ("own.xyz", "", "own.xyz"),
    ("own.xyz", "3\n", "own.xyz"),
    ("own.xyz", "3\n\nO 0 0 0\n", "own.xyz"),
    ("own.xyz", "x\n\nO 0 0 0\n", "own.xyz"),
    ("own.xyz", "0\n\n", "own.xyz"),
    ("own.xyz", "-1\n\nO 0 0 0\n", "own.xyz"),
    ("own.xyz", "1\n\nXx 0 0 0\n", "own.xyz"),
    ("own.xyz", "1\n\nO 0 0\n", "own.xyz"),
    ("own.xyz", "3\n\nO a b c\nH 0 0 1\nH 0 1 0\n", "own.xyz"),
    ("own.xyz", "3\n\nO nan 0 0\nH 0 0 1\nH 0 1 0\n", "own.xyz"),
    ("own.xyz", "3\n\nO inf 0 0\nH 0 0 1\nH 0 1 0\n", "own.xyz"),
    ("own.xyz", "3\n\nO 0 0 0\nH 0 0 0\nH 0 0 0\n", "own.xyz"),
    ("own.xyz", "2\n\nO 0 0 0\nO 9 0 0\n", "own.xyz"),
    ("own.xyz", "2\n\nO 0 0 0\nH 0 0 0.96\n", "no Lewis structure"),
    ("own.xyz", "\0\1\2", "own.xyz"),
    ("own.xyz", WATER.replace("H 0 0.763", "H 0 7.63"), "own.xyz"),
    ("own.mol", "", "own.mol"),
    ("own.mol", "not a mol file\n", "holds no molecule RDKit can read"),
    ("own.mol", BARE_O, "lacks 2 hydrogen"),
    ("own.sdf", "$$$$\n", "own.sdf"),
    ("own.cif", "", "own.cif"),
    ("own.cif", "data_x\n_cell_length_a 5\n", "own.cif"),
    ("own.cif", "not a crystal\n", "own.cif"),
]  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.xyz").write_text(WATER)
    (tmp_path / "own.txt").write_text(WATER)
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.xyz").symlink_to("/dev/null")
    return tmp_path


def test_what_is_mutated_is_right(folder, solvation_in_process):
    (folder / "s.yaml").write_text(GOOD)
    done = solvation_in_process("check", "s.yaml")
    assert done.code == 0, done.err


@pytest.mark.parametrize(("old", "new", "message"), MUTATIONS)
def test_a_mistake_in_a_study_is_one_line(folder, solvation_in_process, old, new, message):
    assert old in GOOD
    (folder / "s.yaml").write_text(GOOD.replace(old, new, 1))
    solvation_in_process("check", "s.yaml").refused_by(message, start="error: s.yaml: ")


@pytest.mark.parametrize(("text", "message"), TEXTS)
def test_a_text_that_is_no_study_is_one_line(folder, solvation_in_process, text, message):
    (folder / "s.yaml").write_text(text)
    solvation_in_process("check", "s.yaml").refused_by(message)


@pytest.mark.parametrize(("name", "text", "message"), STRUCTURES)
def test_a_structure_that_is_no_molecule_is_one_line(folder, solvation_in_process, name, text, message):
    (folder / name).write_text(text)
    (folder / "s.yaml").write_text(GOOD.replace("own.xyz", name))
    solvation_in_process("check", "s.yaml").refused_by(message)
