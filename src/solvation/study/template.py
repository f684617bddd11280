"""The commented study that `solvation init` writes; config/template.yaml is kept equal to it by a test."""

TEMPLATE = """\
# A study of solvation. Check it with `solvation check FILE`; run it with
#   snakemake --cores all --config study=FILE
# Every key is described in docs/study.md; `solvation schema` exports a JSON Schema for editors.

name: my-study            # results go to results/my-study/
seed: 2023                # every random number follows from it

# Molecules and ions: a SMILES, {file: my.xyz, charge: 0}, or nothing for an entry of structures/.
species:
  Li+:
  EC:
  NMe3:
  mine: {smiles: "COC(=O)OC"}
  # Donor atoms are found by chemistry; name your own by SMARTS (the first atom binds):
  # mine: {smiles: "COC(=O)OC", donors: {carbonyl O: "[OX1]=C"}}

# One ion with its ligands. Without `denticity` every ligand may bind as it likes.
clusters:
  Li_EC4: {composition: {Li+: 1, EC: 4}}
  Li_EC3_NMe3: {composition: {Li+: 1, EC: 3, NMe3: 1}, denticity: {NMe3: 1}}
  Li_mine: {composition: {Li+: 1, mine: 1}}

# Many clusters at once: every ion with every shell of every ligand: Li_EC, Li_EC3_TDA, Li_EC3_TDA-k2 (two donors).
# campaigns:
#   - ions: [Li+]
#     ligands: {A: [EC, PC, DMC], B: [TDA, NMe3]}
#     shells: [{A: 1}, {A: 4}, {A: 3, B: 1}]
#     denticity: {TDA: [free, 1, 2]}
#     levels: [gfn2, pbe-d4/def2-svp]
#     exclude: [{species: [DMC, TDA]}, {denticity: {TDA: 2}, levels: [pbe-d4/def2-svp]}]

# search: tight binding that finds the structures, one level or several; rank: judges them by single points; geometry:
# relaxes the judged best again (left out: they stay as they are); energy: binding energies.
# A level is METHOD[-DISPERSION][/BASIS][@MODEL=MEDIUM].
levels:
  search: gfn1
  rank: gfn2              # pbe-d4/def2-svp for the real thing
  energy: [gfn1, gfn2]

sampling:
  searches: 2             # from other starts; how far they end apart is an error
  starts: 100             # random shells of each, by force field
  relaxed: 8              # relaxed at the search level
  rounds: 8               # of variations of the lowest: one ligand changes
  ranked: 3               # judged at the rank level

# Molecular dynamics of a droplet or a periodic box, or a trajectory of your own.
trajectories:
  EC: {composition: {Li+: 1, EC: 6}, level: gfn1, temperature_K: 313, length_ps: 1.0, equilibration_ps: 0.2}
  # mine: {topology: topol.pdb, trajectory: run.xtc, center: "name LI", donors: {carbonyl O: "name O1"}}

analysis: {r_max_A: 6.0, n_bins: 120}

# Values from the literature are set beside the finished table and never enter a computed column.
# published:
#   - {quantity: binding_energy, subject: Li_EC4, value: -3.61, unit: eV, source: "who, where, when"}
"""
