"""`solvation transport` on trajectories of ions that were made: its tables, units and refusals."""

import json
import math
import re
from dataclasses import replace

import MDAnalysis
import numpy as np
import pandas as pd
import pytest
import typer
from ase import units
from typer.testing import CliRunner

from solvation.cli import transport
from solvation.errors import SolvationError, TrajectoryError
from solvation.study import load_study
from solvation.study.cards import transport_card
from solvation.study.targets import LIQUID_TABLES, PATTERN_TABLES
from solvation.tables.liquids import TABLES, write_liquid_tables
from solvation.tables.transport import ArrheniusRow, activation
from solvation.tidy import read_rows, write_rows
from solvation.trajectory.frames import open_trajectory
from solvation.transport.analysis import TransportRow, analyze_transport, transport_of_study, write_tables
from solvation.transport.conductivity import conductivity_mS_cm
from solvation.transport.diffusion import share_of_friction, yeh_hummer_cm2_s
from solvation.transport.paths import read_paths

EDGE_A, FRAME_PS, N = 30.0, 2.0, 16
#: Å2/ps
FAST, SLOW = 0.10, 0.04
TRIATOMIC_A = np.array([[0.0, 0, 0], [1.2, 0.3, 0], [-1.1, 0.5, 0.2]])
IONS = ["--species", "Li=name LI", "--species", "X=resname ANI", "--charge", "Li=1", "--charge", "X=-1"]


def write_salt(folder, how, n_frames=600, seed=1, drift_A=0.0, box=True):
    """Cations, and anions of three atoms that turn, as independent walks in a box; wrapped, whole or as they are."""
    rng = np.random.default_rng(seed)
    start = rng.uniform(0, EDGE_A, (2 * N, 3))
    kicks = rng.normal(0, 1, (n_frames, 2 * N, 3)) * np.sqrt(2 * FRAME_PS * np.repeat([SLOW, FAST], N))[:, None]
    kicks[0] = 0
    centres = start + np.cumsum(kicks, axis=0) + drift_A * np.arange(n_frames)[:, None, None]
    arms = np.stack([turned(rng, N) for _ in range(n_frames)])
    atoms = np.concatenate([centres[:, :N], (centres[:, N:, None] + arms).reshape(n_frames, -1, 3)], axis=1)
    if how != "unwrapped":
        boxes = np.floor((atoms if how == "wrapped" else np.repeat(centres, [1] * N + [3] * N, axis=1)) / EDGE_A)
        # Mixed: every other molecule stays whole where it has walked to.
        keep = np.repeat(np.arange(2 * N) % 2 == 0, [1] * N + [3] * N) if how == "mixed" else np.zeros(4 * N, bool)
        atoms = np.where(keep[None, :, None], atoms, atoms - EDGE_A * boxes)
    resindex = np.repeat(np.arange(2 * N), [1] * N + [3] * N)
    universe = MDAnalysis.Universe.empty(4 * N, 2 * N, atom_resindex=resindex, trajectory=True)
    universe.add_TopologyAttr("names", ["LI"] * N + ["S", "O1", "O2"] * N)
    universe.add_TopologyAttr("elements", ["Li"] * N + ["S", "O", "O"] * N)
    universe.add_TopologyAttr("resnames", ["LI"] * N + ["ANI"] * N)
    universe.add_TopologyAttr("resids", np.arange(2 * N) + 1)
    universe.dimensions = [EDGE_A, EDGE_A, EDGE_A, 90, 90, 90] if box else None
    universe.atoms.positions = atoms[0] % EDGE_A
    universe.atoms.write(str(folder / f"{how}.pdb"))
    with MDAnalysis.Writer(str(folder / f"{how}.trr"), 4 * N) as writer:
        for number, frame in enumerate(atoms):
            universe.atoms.positions = frame
            universe.trajectory.ts.time = FRAME_PS * number
            universe.trajectory.ts.dimensions = [EDGE_A, EDGE_A, EDGE_A, 90, 90, 90] if box else None
            writer.write(universe.atoms)
    return folder / f"{how}.pdb", folder / f"{how}.trr", centres


def turned(rng, n):
    """The triatomic molecule in random orientations about its centre of mass, (n, 3, 3)."""
    quaternion = rng.normal(size=(n, 4))
    w, x, y, z = (quaternion / np.linalg.norm(quaternion, axis=1)[:, None]).T
    turn = np.array(
        [[1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
         [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
         [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]]
    )  # fmt: skip
    masses = np.array([32.06, 15.999, 15.999])
    return np.einsum("abn,kb->nka", turn, TRIATOMIC_A - masses @ TRIATOMIC_A / masses.sum())


@pytest.fixture(scope="module")
def salts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("salt")
    return {how: write_salt(folder, how) for how in ("unwrapped", "wrapped", "whole", "mixed")}


@pytest.fixture
def verb():
    app = typer.Typer()
    transport.register(app)

    def run(*words):
        result = CliRunner().invoke(app, ["transport", *(str(word) for word in words)])
        if result.exception is not None and not isinstance(result.exception, (SolvationError, SystemExit)):
            raise result.exception
        return result

    return run


@pytest.mark.parametrize("how", ["unwrapped", "wrapped", "whole", "mixed"])
def test_centres_are_followed_through_the_boundaries(salts, how):
    topology, frames, centres = salts[how]
    found = read_paths(open_trajectory(topology, frames), {"Li": "name LI", "X": "resname ANI"}, keep_drift=True)
    for name, part in (("Li", slice(None, N)), ("X", slice(N, None))):
        exact = centres[:, part] - centres[0, part]
        assert np.abs(exact).max() > EDGE_A / 2
        assert found.path_A[name] == pytest.approx(exact, abs=2e-3)
    assert (found.frame_ps, found.cubic) == (pytest.approx(FRAME_PS), True)
    assert found.volume_A3 == pytest.approx(EDGE_A**3)


def test_the_tables_hold_the_diffusion_that_was_put_in(salts, verb, tmp_path):
    topology, frames, _ = salts["wrapped"]
    words = [*IONS, "--temperature-K", 313, "--viscosity-mPa-s", 3, "--keep-drift"]
    result = verb(topology, frames, *words, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    table = pd.read_csv(
        tmp_path / "out" / "transport.csv", keep_default_na=False, na_values={"value": "", "stderr": ""}
    )
    rows = {(row.quantity, row.species): row for row in table.itertuples()}
    for name, exact in (("Li", SLOW), ("X", FAST)):
        row = rows["self_diffusion", name]
        assert row.value == pytest.approx(exact * 1e-4, abs=3 * row.stderr)
        assert (row.unit, row.n_particles) == ("cm2/s", N)
        assert row.stderr < 0.1 * row.value
        larger = rows["self_diffusion[yeh-hummer]", name]
        images = yeh_hummer_cm2_s(temperature_K=313, viscosity_mPa_s=3, edge_A=EDGE_A)
        assert larger.value - row.value == pytest.approx(images)
        share = rows["transference[self]", name]
        assert share.value == pytest.approx(exact / (FAST + SLOW), abs=3 * share.stderr)
        carried = rows["transference[onsager]", name]
        assert carried.value == pytest.approx(exact / (FAST + SLOW), abs=3 * carried.stderr)
    exact = conductivity_mS_cm(N * (FAST + SLOW), volume_A3=EDGE_A**3, temperature_K=313)
    ideal, real = rows["conductivity[nernst-einstein]", ""], rows["conductivity[einstein]", ""]
    assert (ideal.value, ideal.unit) == (pytest.approx(exact, abs=3 * ideal.stderr), "mS/cm")
    assert real.value == pytest.approx(exact, abs=3 * real.stderr)
    parts = [row.value for (quantity, _), row in rows.items() if quantity == "conductivity_part"]
    assert len(parts) == 3
    assert math.fsum(parts) == pytest.approx(real.value)
    ratio = rows["ionicity", ""]
    assert ratio.value == pytest.approx(real.value / ideal.value)
    assert ratio.value == pytest.approx(1, abs=3 * ratio.stderr)
    curve = pd.read_csv(tmp_path / "out" / "msd.csv")
    assert set(curve["species"]) == {"Li", "X", "charge"}
    cation = curve[curve["species"] == "Li"]
    off = (cation["msd_A2"] - 6 * SLOW * cation["lag_ps"]) / cation["msd_stderr_A2"]
    assert off.abs().max() < 4
    assert cation["lag_ps"].max() == pytest.approx(FRAME_PS * (599 // 4))
    card = json.loads((tmp_path / "out" / "transport.json").read_text())["card"]
    assert card["charges"] == {"Li": 1.0, "X": -1.0}
    again = verb(topology, frames, *words, "--out", tmp_path / "out")
    assert "exists and is left as it is" in str(again.exception)


def test_a_drift_of_everything_is_taken_out(tmp_path):
    topology, frames, _ = write_salt(tmp_path, "wrapped", n_frames=200, drift_A=0.5)
    opened = open_trajectory(topology, frames)
    species = {"Li": "name LI", "X": "resname ANI"}
    still, drifting = (read_paths(opened, species, keep_drift=keep) for keep in (False, True))
    assert np.abs(drifting.path_A["Li"][-1].mean(axis=0)).min() > 80
    heavy = {"Li": 6.94, "X": 64.058}
    centre = sum(mass * still.path_A[name].sum(axis=1) for name, mass in heavy.items())
    assert np.abs(centre).max() / (N * sum(heavy.values())) < 1e-3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--species", "Li=name LI", "--charge", "Li=1", "--temperature-K", 300],
            r"add up to \+16: .*name the others",
        ),
        ([*IONS], "needs the temperature"),
        (["--species", "Li=name LI", "--charge", "Na=1"], "charge of 'Na': none of the species"),
        (["--species", "Li=name LI", "--charge", "Li=one"], "not a number"),
        (["--species", "Li=name LI", "--species", "Li=name S"], "given twice"),
        (["--species", "name LI"], "--species 'name LI': write NAME=SELECTION"),
        (["--species", "charge=name LI"], "stands for all charges"),
        (["--species", "O=name O1 O2", "--box", "30 30"], "box"),
        (["--species", "Li=name XX"], "matches no atom"),
        (["--species", "Li=name LI", "--every", 100], "6 frames tell nothing"),
        ([], "--species is missing"),
    ],
)
def test_what_cannot_be_right_is_refused(salts, verb, tmp_path, words, message):
    topology, frames, _ = salts["wrapped"]
    result = verb(topology, frames, *words, "--keep-drift", "--out", tmp_path / "out")
    assert isinstance(result.exception, SolvationError)
    assert re.search(message, str(result.exception)), str(result.exception)
    assert not (tmp_path / "out").exists()


def test_ions_that_share_a_residue_diffuse_one_by_one(tmp_path):
    topology, frames, _ = write_salt(tmp_path, "wrapped", n_frames=200)
    universe = MDAnalysis.Universe(str(topology))
    for residue in universe.residues[:N]:
        residue.atoms.residues = universe.residues[0]
    universe.atoms.write(str(tmp_path / "one.gro"))
    apart, shared = (
        analyze_transport(open_trajectory(names, frames), species={"Li": "name LI"}, keep_drift=True).rows
        for names in (topology, tmp_path / "one.gro")
    )
    assert repr(apart) == repr(shared)
    assert shared[0].n_particles == N


def test_atoms_of_one_molecule_that_are_not_its_neighbours_are_not_averaged(tmp_path):
    """Two H of a chain, whose mean moves as neither does."""
    universe = MDAnalysis.Universe.empty(8, 2, atom_resindex=[0] * 4 + [1] * 4, trajectory=True)
    universe.add_TopologyAttr("names", ["H1", "C1", "C2", "H2"] * 2)
    universe.add_TopologyAttr("elements", ["H", "C", "C", "H"] * 2)
    universe.add_TopologyAttr("resnames", ["M", "M"])
    universe.add_TopologyAttr("resids", [1, 2])
    universe.dimensions = [EDGE_A, EDGE_A, EDGE_A, 90, 90, 90]
    chain = np.array([[0.0, 0, 0], [1.0, 0, 0], [2.2, 0, 0], [3.2, 0, 0]])
    universe.atoms.positions = np.concatenate([chain, chain + 9])
    universe.atoms.write(str(tmp_path / "t.pdb"))
    opened = open_trajectory(tmp_path / "t.pdb")
    with pytest.raises(TrajectoryError, match=r"2 selected atoms share a molecule .* not bonded to each other"):
        analyze_transport(opened, species={"H": "name H1 H2"}, keep_drift=True)


def test_a_droplet_diffuses_but_does_not_conduct(tmp_path):
    topology, frames, _ = write_salt(tmp_path, "unwrapped", n_frames=200, box=False)
    opened = open_trajectory(topology, frames)
    species = {"Li": "name LI", "X": "resname ANI"}
    (cation, _) = analyze_transport(opened, species=species, keep_drift=True).rows
    assert cation.value == pytest.approx(SLOW * 1e-4, abs=3 * cation.stderr)
    with pytest.raises(TrajectoryError, match="a droplet has no volume and no conductivity"):
        analyze_transport(opened, species=species, charges={"Li": 1, "X": -1}, temperature_K=300, keep_drift=True)


def test_too_short_a_run_has_verdicts_and_no_numbers(tmp_path, verb):
    """Ions that rattle about a place: exponents near 0, upper bounds, no diffusion and no current."""
    rng = np.random.default_rng(3)
    universe = MDAnalysis.Universe.empty(20, 20, atom_resindex=np.arange(20), trajectory=True)
    universe.add_TopologyAttr("names", ["LI", "CL"] * 10)
    universe.add_TopologyAttr("elements", ["Li", "Cl"] * 10)
    universe.add_TopologyAttr("resnames", ["LI", "CL"] * 10)
    universe.dimensions = [20, 20, 20, 90, 90, 90]
    places = rng.uniform(0, 20, (20, 3))
    universe.atoms.positions = places
    universe.atoms.write(str(tmp_path / "t.gro"))
    with MDAnalysis.Writer(str(tmp_path / "t.xtc"), 20) as writer:
        for number in range(200):
            universe.atoms.positions = places + rng.normal(0, 0.2, (20, 3))
            universe.trajectory.ts.time = 1.0 * number
            universe.trajectory.ts.dimensions = [20, 20, 20, 90, 90, 90]
            writer.write(universe.atoms)
    words = ["--species", "Li=name LI", "--species", "Cl=name CL", "--charge", "Li=1", "--charge", "Cl=-1"]
    result = verb(tmp_path / "t.gro", tmp_path / "t.xtc", *words, "--temperature-K", 300, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    table = pd.read_csv(tmp_path / "out" / "transport.csv").fillna({"species": ""}).set_index(["quantity", "species"])
    assert table["value"].isna().all()
    cation = table.loc[("self_diffusion", "Li")]
    assert cation["exponent"] == pytest.approx(0, abs=0.1)
    assert "levels off" in cation["verdict"]
    # 6 * 0.2^2 A2 within 49 ps, in each direction twice.
    assert cation["at_most"] == pytest.approx(6 * 0.04 / (6 * 49) * 1e-4, rel=0.2)
    assert table.loc[("conductivity[nernst-einstein]", ""), "verdict"] == "no self-diffusion of Li, Cl"
    assert table.loc[("conductivity[einstein]", ""), "at_most"] > 0


def test_ions_that_never_left_their_places_are_refused(salts):
    """Free walks are diffusive from the first step, but one of 15 Å tells nothing of neighbours 20 Å away."""
    topology, frames, _ = salts["wrapped"]
    opened = open_trajectory(topology, frames)
    species, charges = {"Li": "name LI", "X": "resname ANI"}, {"Li": 1, "X": -1}
    told = {"charges": charges, "temperature_K": 300, "keep_drift": True}
    moved = math.sqrt(6 * SLOW * FRAME_PS * (599 // 4))
    rows = analyze_transport(opened, species=species, least_move_A=1.3 * moved, **told).rows
    found = {(row.quantity, row.species): row for row in rows}
    assert math.isnan(found["self_diffusion", "Li"].value)
    assert re.search(r"too short: moved (7|8|9)(\.\d)? Å .*still among the same", found["self_diffusion", "Li"].verdict)
    assert found["self_diffusion", "X"].value > 0
    assert math.isnan(found["conductivity[einstein]", ""].value)
    assert math.isnan(found["transference[self]", "X"].value)


def test_of_two_ions_alone_the_masses_fix_who_carries_how_much(salts):
    topology, frames, _ = salts["wrapped"]
    told = {"species": {"Li": "name LI", "X": "resname ANI"}, "charges": {"Li": 1, "X": -1}, "temperature_K": 300}
    for keep_drift in (False, True):
        rows = analyze_transport(open_trajectory(topology, frames), keep_drift=keep_drift, **told).rows
        shares = [row for row in rows if row.quantity == "transference[onsager]"]
        assert len(shares) == 2
        assert all(("fixed by the masses" in row.verdict) != keep_drift for row in shares)


def test_frames_at_uneven_times_are_refused(tmp_path):
    topology, frames, _ = write_salt(tmp_path, "wrapped", n_frames=60)
    opened = MDAnalysis.Universe(str(topology), str(frames))
    with MDAnalysis.Writer(str(tmp_path / "gap.trr"), 4 * N) as writer:
        for step in opened.trajectory:
            if step.frame != 30:
                writer.write(opened.atoms)
    with pytest.raises(TrajectoryError, match="not evenly spaced"):
        analyze_transport(open_trajectory(topology, tmp_path / "gap.trr"), species={"Li": "name LI"}, keep_drift=True)


def own_study(folder, trajectories, more=""):
    """A study of the user's own trajectories; the words of each one are those of YAML."""
    lines = [
        f"  {name}: {{center: name LI, donors: {{O: name O1 O2}}, {words}}}" for name, words in trajectories.items()
    ]
    (folder / "own.yaml").write_text(
        "\n".join([f"name: own\nresults: {folder}\nspecies: {{Li+: }}\ntrajectories:", *lines, more])
    )
    return load_study(folder / "own.yaml")


def transport_in(study, name):
    """Rows by quantity and species, as the verb of a study makes them."""
    settings = study.trajectories[name]
    opened = open_trajectory(settings.topology, settings.trajectory, timestep_ps=settings.timestep_ps)
    return transport_of_study(opened, transport_card(study, name))


def test_a_study_takes_every_molecule_of_an_own_trajectory(salts, tmp_path):
    topology, frames, _ = salts["wrapped"]
    charged = "charges: {LI: 1, ANI: -1}, temperature_K: 313"
    study = own_study(
        tmp_path,
        {"plain": f"topology: {topology}, trajectory: {frames}",
         "salt": f"topology: {topology}, trajectory: {frames}, {charged}",
         "half": f"topology: {topology}, trajectory: {frames}, charges: {{LI: 1}}, temperature_K: 313"},
    )  # fmt: skip
    rows = {
        name: {(row.quantity, row.species): row for row in transport_in(study, name).rows}
        for name in study.trajectories
    }
    assert set(rows["plain"]) == {("self_diffusion", "LI"), ("self_diffusion", "ANI")}
    # All atoms together do not drift: of a walk that is free in the box, each kind loses a part with the other.
    assert rows["plain"]["self_diffusion", "LI"].value == pytest.approx(SLOW * 1e-4, rel=0.2)
    assert rows["salt"]["conductivity[einstein]", ""].value > 0
    assert rows["salt"]["transference[self]", "LI"].value == pytest.approx(SLOW / (FAST + SLOW), rel=0.2)
    refused = rows["half"]["conductivity[einstein]", ""]
    assert math.isnan(refused.value)
    assert "add up to +16" in refused.verdict
    assert rows["half"]["self_diffusion", "LI"].value == rows["plain"]["self_diffusion", "LI"].value


@pytest.mark.parametrize(
    ("how", "message"),
    [("droplet", "a droplet: it has no volume"), ("short", "20 frames tell nothing"), ("still", "holds no times")],
)
def test_what_frames_cannot_tell_is_a_verdict_in_a_study(tmp_path, how, message):
    topology, frames, _ = write_salt(
        tmp_path,
        "unwrapped" if how == "droplet" else "wrapped",
        n_frames=20 if how == "short" else 60,
        box=how != "droplet",
    )
    if how == "still":
        universe = MDAnalysis.Universe(str(topology), str(frames))
        frames = tmp_path / "t.lammpsdump.xyz"
        with MDAnalysis.Writer(str(frames), 4 * N) as writer:
            for _ in universe.trajectory:
                writer.write(universe.atoms)
    words = f"topology: {topology}, trajectory: {frames}" + (", box_A: [30, 30, 30]" if how == "still" else "")
    study = own_study(tmp_path, {"it": words})
    settings = study.trajectories["it"]
    opened = open_trajectory(settings.topology, settings.trajectory, box_A=settings.box_A)
    found = transport_of_study(opened, transport_card(study, "it"))
    assert [row.species for row in found.rows] == ["LI", "ANI"]
    assert all(math.isnan(row.value) and message in row.verdict and row.n_particles == N for row in found.rows)


def test_ions_of_a_computed_box_carry_whole_charges(salts, tmp_path):
    """The names of residues and the charges follow from the species; a factor of the force field does not."""
    topology, frames, _ = write_salt(tmp_path, "wrapped", n_frames=300)
    text = topology.read_text().replace("ANI", "CL ")
    topology.write_text("".join(line for line in text.splitlines(keepends=True)))
    (tmp_path / "box.yaml").write_text(
        f"name: box\nresults: {tmp_path}\nspecies: {{Li+: , Cl-: '[Cl-]'}}\ntrajectories:\n"
        "  box: {forcefield: gaff2, composition: {Li+: 16, Cl-: 16}, charge_scale: 0.7, temperature_K: 313}\n"
    )
    found = transport_of_study(
        open_trajectory(topology, frames), transport_card(load_study(tmp_path / "box.yaml"), "box")
    )
    rows = {(row.quantity, row.species): row for row in found.rows}
    exact = conductivity_mS_cm(N * (FAST + SLOW), volume_A3=EDGE_A**3, temperature_K=313)
    assert rows["conductivity[nernst-einstein]", ""].value == pytest.approx(exact, rel=0.2)
    assert {species for _, species in rows} >= {"Li+", "Cl-"}


CHLORIDE_U = 35.45


def diffusion_at(friction_per_ps):
    """Of chloride at 313 K whose whole friction is this one: kT / m friction, cm2/s."""
    return 1e4 * units._k * 313 / (CHLORIDE_U * units._amu * friction_per_ps * 1e12)


def test_of_two_frictions_each_takes_its_part_of_the_diffusion():
    taken = share_of_friction(diffusion_at(5.0 + 15.0), mass_u=CHLORIDE_U, friction_per_ps=5.0, temperature_K=313)
    assert taken == pytest.approx(0.25)


@pytest.mark.parametrize("percent", [25, 2])
def test_what_the_friction_of_the_thermostat_takes_is_told_where_it_matters(tmp_path, percent):
    topology, frames, _ = write_salt(tmp_path, "wrapped", n_frames=300)
    topology.write_text(topology.read_text().replace("ANI", "CL "))
    friction = percent / 100 * diffusion_at(1.0) / (FAST * 1e-4)
    (tmp_path / "box.yaml").write_text(
        f"name: box\nresults: {tmp_path}\nspecies: {{Li+: , Cl-: '[Cl-]'}}\ntrajectories:\n"
        f"  box: {{forcefield: gaff2, composition: {{Li+: 16, Cl-: 16}}, friction_per_ps: {friction:.3f}}}\n"
    )
    card = transport_card(load_study(tmp_path / "box.yaml"), "box")
    rows = transport_of_study(open_trajectory(topology, frames), card).rows
    (chloride,) = (row for row in rows if (row.quantity, row.species) == ("self_diffusion", "Cl-"))
    told = re.search(r"the friction of the thermostat, .*/ps, takes (\d+) % of it at least", chloride.verdict)
    assert (told is not None) == (percent > 5)
    if told:
        assert int(told[1]) == pytest.approx(percent, rel=0.25)  # these walks know their diffusion no better


def row_of(trajectory, value, stderr=1e-7, species="Li"):
    return TransportRow(trajectory, "self_diffusion", species, value, "cm2/s", stderr, *(math.nan,) * 5, 16, "")


def test_a_series_of_temperatures_has_an_activation_energy():
    energy = 20.0
    exact = {kelvin: 1e-3 * math.exp(-energy / (8.31446261815324e-3 * kelvin)) for kelvin in (290, 310, 330)}
    points = [(float(kelvin), [row_of(str(kelvin), value, 0.1 * value)]) for kelvin, value in exact.items()]
    (found,) = activation("mine", points)
    assert found.energy_kJ_mol == pytest.approx(energy, rel=1e-6)
    assert (found.temperatures_K, found.verdict, found.unit) == ("290 310 330", "", "cm2/s")
    bent = [*points[:2], (330.0, [row_of("330", 5 * exact[330], 0.1 * exact[330])])]
    (found,) = activation("mine", bent)
    assert "lie on no line" in found.verdict


def test_a_series_with_viscosities_has_the_activation_energy_of_the_corrected_diffusion_too():
    """Images take kT xi / 6 pi eta L, which is activated as the viscosity is: the two energies differ."""
    kelvins = (290.0, 310.0, 330.0)
    plain = {kelvin: 1e-3 * math.exp(-20.0 / (8.31446261815324e-3 * kelvin)) for kelvin in kelvins}
    taken = {kelvin: 4e-4 * math.exp(-14.0 / (8.31446261815324e-3 * kelvin)) for kelvin in kelvins}
    points = []
    for kelvin in kelvins:
        row = row_of(str(kelvin), plain[kelvin], 0.05 * plain[kelvin])
        corrected = replace(row, quantity="self_diffusion[yeh-hummer]", value=plain[kelvin] + taken[kelvin])
        points.append((kelvin, [row, corrected]))
    found = {row.quantity: row for row in activation("mine", points)}
    assert found["self_diffusion"].energy_kJ_mol == pytest.approx(20, rel=1e-6)
    assert 14 < found["self_diffusion[yeh-hummer]"].energy_kJ_mol < 18
    # One viscosity is missing: the plain one alone.
    points[1] = (310.0, points[1][1][:1])
    assert [row.quantity for row in activation("mine", points)] == ["self_diffusion"]


def test_the_tables_of_a_study_hold_all_trajectories_and_the_series(salts, tmp_path):
    """One file taken for three temperatures has no activation."""
    topology, frames, _ = salts["wrapped"]
    names = {kelvin: f"at{kelvin}" for kelvin in (290, 310, 330)}
    study = own_study(
        tmp_path,
        {
            name: f"topology: {topology}, trajectory: {frames}, temperature_K: {kelvin}"
            for kelvin, name in names.items()
        },
        f"transport: {{series: {{mine: [{', '.join(names.values())}]}}}}",
    )
    found = transport_in(study, "at290")
    for name in names.values():
        write_tables(found, study.folder / "trajectories" / name, name)
        for table in LIQUID_TABLES + PATTERN_TABLES:
            write_rows(study.folder / "trajectories" / name / table, TABLES[table], [])
    write_liquid_tables(study)
    flat = read_rows(study.folder / "arrhenius.csv", ArrheniusRow)
    assert [row.species for row in flat] == ["LI", "ANI"]
    assert all(row.energy_kJ_mol == pytest.approx(0, abs=1e-6) for row in flat)
    assert [row.trajectory for row in read_rows(study.folder / "transport.csv", TransportRow)] == sorted(
        [*names.values()] * 2
    )


def test_two_values_are_no_series():
    row, lost = row_of("a", 1e-6), row_of("b", math.nan, math.nan)
    (found,) = activation("mine", [(290.0, [row]), (310.0, [row]), (330.0, [lost])])
    assert math.isnan(found.energy_kJ_mol)
    assert found.verdict == "2 of 3 temperatures have a value; a fit needs three"


@pytest.mark.parametrize(
    ("words", "more", "message"),
    [
        ("charges: {LI: 1}", "", "needs temperature_K"),
        ("species: {Li: name LI}, charges: {Na: 1}, temperature_K: 300", "", "'Na' is none of the species"),
        ("", "transport: {series: {mine: [it, it]}}", "needs 3 or more entries"),
        ("temperature_K: 300", "transport: {series: {mine: [it, it, ti]}}", "unknown 'ti'; did you mean 'it'"),
        ("", "transport: {series: {mine: [it, it, it]}}", "has no temperature_K"),
        ("", "transport: {viscosity_mPa_s: {it: 1.0}}", "has no temperature_K"),
        ("", "transport: {least_move: 2}", "unknown key; did you mean 'least_move_A'"),
    ],
)
def test_a_study_that_asks_for_what_cannot_be_is_refused(tmp_path, words, more, message):
    with pytest.raises(SolvationError, match=message):
        own_study(tmp_path, {"it": f"topology: t.pdb{', ' if words else ''}{words}"}, more)
