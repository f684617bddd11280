"""What a result was made from, and how far a study is."""

import json
import shutil
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest

from solvation.archive import lineage, lineage_text
from solvation.archive.checksums import checksums
from solvation.errors import ResultsError, StepFailed
from solvation.failures import SWITCH, failures, keep_going, retry
from solvation.planning import status
from solvation.planning.outdated import made_anew
from solvation.study import cards, load_study, targets
from solvation.study.targets import PACKED


def test_a_row_leads_back_to_the_users_own_file(finished):
    found = lineage.why("binding Li_W2 gfn2", finished)
    assert {row["definition"] for row in found.rows} == {"relaxed", "frozen_ligands"}
    assert found.asked == ("energies/Li_W2/gfn2.json",)
    steps = {item.step: item for item in found.origins.values()}
    assert set(steps) == {"binding", "cluster", "reference", "ligand"}
    (own,) = found.origins["ligands/W.json"].inputs
    assert (own.file, own.state, own.made_by) == ("mine/water.xyz", "same", None)
    (read,) = found.origins["energies/references/W/gfn2.json"].inputs
    assert (read.file, read.made_by) == ("ligands/W.extxyz", "ligands/W.json")
    assert found.origins["ligands/Li+.json"].species == {"Li+": "library Li+"}
    assert found.changed == []


def test_what_changed_or_went_since_is_named(finished):
    (finished / "ligands" / "W.extxyz").write_text("another\n")
    Path("mine/water.xyz").unlink()
    found = lineage.why("Li_W", finished)
    assert found.changed == ["ligands/W.extxyz", "mine/water.xyz"]
    states = {one.file: one.state for item in found.origins.values() for one in item.inputs}
    assert states["ligands/W.extxyz"] == "changed"
    assert states["mine/water.xyz"] == "missing"
    assert states["ligands/Li+.extxyz"] == "same"
    assert "changed or missing since: ligands/W.extxyz, mine/water.xyz" in lineage_text.as_lines(found)[-1]


def test_a_moved_folder_still_knows_its_own_files(finished, tmp_path):
    moved = tmp_path / "elsewhere"
    shutil.copytree(finished, moved)
    shutil.rmtree(finished)
    assert lineage.why("Li_W", moved).changed == []


@pytest.mark.parametrize(
    ("asked", "made_by"),
    [
        ("clusters/Li_W2/ensemble.extxyz", {"clusters/Li_W2/record.json"}),
        ("results/small/energies/Li_W/gfn2.json", {"energies/Li_W/gfn2.json"}),
        ("trajectories/T/rdf.csv", {"trajectories/T/liquid.json"}),
        ("trajectories/T/start.npz", {"trajectories/T/packing.json"}),
        ("trajectories/T/trajectory.xtc", {"trajectories/T/record.json"}),
        ("trajectories/T/structure_factor.csv", {"trajectories/T/patterns.json"}),
        ("trajectories/T/msd.csv", {"trajectories/T/transport.json"}),
        ("T", {f"trajectories/T/{step}.json" for step in ("liquid", "packing", "patterns", "record", "transport")}),
        ("binding.csv", {"energies/Li_W2/gfn2.json", "energies/Li_W/gfn2.json"}),
        ("binding Li_W frozen_ligands", {"energies/Li_W/gfn2.json"}),
        ("comparison Li_W2 - Li_W", {"energies/Li_W2/gfn2.json", "energies/Li_W/gfn2.json"}),
    ],
)
def test_everything_that_a_step_made_is_found(finished, asked, made_by):
    if asked.startswith("comparison"):
        (finished / "comparison.csv").write_text("subject,quantity,level\nLi_W2 - Li_W,exchange_energy[relaxed],gfn2\n")
    assert set(lineage.why(asked, finished).asked) == made_by


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("Li_W22", "did you mean 'Li_W2'?"),
        ("binding Li_X", "no row of 'Li_X'"),
        ("binding Li_W2 gfn1", "no row of Li_W2 with 'gfn1'; did you mean 'gfn2'?"),
        ("study-file.txt", "is no file, cluster, trajectory or row"),
        ("../../mine/water.xyz", "is no file, cluster, trajectory or row"),
    ],
)
def test_what_no_step_made_is_refused(finished, asked, message):
    with pytest.raises(ResultsError) as caught:
        lineage.why(asked, finished)
    assert message in str(caught.value)


def test_a_finished_study_has_nothing_left(finished):
    study = load_study(Path("small.yaml"))
    found = status.status(study)
    assert {job.state for job in found.jobs} == {"done"}
    recorded = [target for target in targets.targets(study) if target.record]
    assert found.wall_h == pytest.approx(1.5 * len(recorded) / 3600)
    assert found.cpu_h == pytest.approx(3.0 * len(recorded) / 3600)
    assert "nothing is left to do" in status.as_lines(found, study)[-1]


def test_left_failed_and_changed_jobs_are_told_apart(finished):
    (finished / "energies" / "Li_W" / "gfn2.json").unlink()
    (finished / "energies" / "Li_W2" / "gfn2.json").unlink()
    log = Path("logs/small/binding/Li_W_gfn2.log")
    log.parent.mkdir(parents=True)
    log.write_text("Li_W: binding energies at gfn2\nerror: tblite gave up\n")
    Path("small.yaml").write_text(Path("small.yaml").read_text().replace("Li+: 1, W: 5", "Li+: 1, W: 6"))
    found = status.status(load_study(Path("small.yaml")))
    states = {(job.target.rule, job.target.subject): job for job in found.jobs if job.state != "done"}
    assert {key: job.state for key, job in states.items()} == {
        ("binding", "Li_W2 gfn2"): "left",
        ("binding", "Li_W gfn2"): "failed",
        ("pack", "T"): "changed",
        ("segment", "T 1"): "changed",
        ("segment", "T 2"): "changed",
        ("join", "T"): "changed",
        ("tables", "small"): "changed",
        ("compare", "small"): "changed",
        ("report", "small"): "changed",
    }
    assert states["pack", "T"].reason == "done with other settings"
    assert states["segment", "T 2"].reason == "after pack of T"
    assert states["binding", "Li_W gfn2"].reason == "tblite gave up"


def test_what_is_made_from_something_changed_is_changed_too(finished):
    study = load_study(Path("small.yaml"))

    def changed(read):
        return {f"{job.target.rule} {job.target.subject}" for job in status.status(read).of("changed")}

    summaries = {"tables small", "compare small", "report small"}
    seeded = study.model_copy(update={"seed": 8})
    everything = {f"{target.rule} {target.subject}" for target in targets.targets(study)}
    # Angles and transport draw no random numbers, and read no files in this invented study.
    assert changed(seeded) >= everything - {"transport T"}
    # What no step reads but the summaries.
    told = study.model_copy(update={"description": "another"})
    assert changed(told) == summaries
    (finished / "report.html").unlink()
    assert changed(study) == set()
    Path("mine/water.xyz").write_text("another\n")
    assert changed(study) >= {"ligand W", "cluster Li_W", "binding Li_W gfn2", "tables small"}
    assert "ligand Li+" not in changed(study)
    reasons = {job.target.subject: job.reason for job in status.status(study).of("changed")}
    assert reasons["W"] == "made from another mine/water.xyz"


@pytest.mark.parametrize("packed_before", [True, False])
def test_a_failed_step_goes_by_its_failed_result_not_by_the_record_of_an_earlier_one(
    finished, monkeypatch, packed_before
):
    monkeypatch.setenv(SWITCH, "1")
    folder, study = finished / "trajectories" / "T", load_study(Path("small.yaml"))
    if not packed_before:
        (folder / "packing.json").unlink()
    seeded = study.model_copy(update={"seed": 8})
    card = cards.dynamics_card(seeded, "T").text()
    with keep_going("pack", card, inputs=[], outputs=[folder / name for name in PACKED]):
        raise StepFailed("parameters of W", "charges did not converge")
    assert [job.target.rule for job in status.status(seeded).of("failed")] == ["pack"]
    assert "results/small/trajectories/T/start.npz" not in made_anew(seeded)
    assert not status.status(study).of("failed")
    assert made_anew(study) == {"results/small/trajectories/T/start.npz": "done with other settings"}


def test_a_finished_study_of_an_older_version_is_finished(finished):
    """Its records hold no checksums of their own, and its summary none of the settings."""
    summary = json.loads((finished / "provenance.json").read_text())
    assert "settings_sha256" not in summary
    study = load_study(Path("small.yaml"))
    assert not status.status(study).of("changed")
    summary["settings_sha256"] = targets.settings_sha256(study)
    (finished / "provenance.json").write_text(json.dumps(summary))
    assert not status.status(study).of("changed")


def test_checkpoints_that_were_removed_to_save_room_are_nothing_to_be_made(finished):
    folder = finished / "trajectories" / "T"
    for name in ("start.npz", "segment_1.npz", "segment_2.npz", "trajectory.xtc"):
        (folder / name).unlink()
    assert not list(folder.glob("*.xtc"))
    study = load_study(Path("small.yaml"))
    assert made_anew(study) == {}
    assert not status.status(study).of("changed")
    (folder / "segment_1.xtc").write_text("kept")
    assert made_anew(study) == {"results/small/trajectories/T/trajectory.xtc": "trajectories/T/trajectory.xtc is gone"}


def test_a_job_runs_while_snakemake_does_and_is_lost_when_it_does_not(finished):
    study = load_study(Path("small.yaml"))
    (finished / "energies" / "Li_W" / "gfn2.json").unlink()
    (finished / "energies" / "Li_W2" / "gfn2.json").unlink()
    log = Path("logs/small/binding/Li_W_gfn2.log")
    log.parent.mkdir(parents=True)
    log.write_text("Li_W: binding energies at gfn2\n")
    lock = Path(".snakemake/locks/0.output.lock")
    lock.parent.mkdir(parents=True)
    lock.write_text("results/other/report.html\n")
    assert not status.status(study).of("running")
    lock.write_text("results/small/report.html\n")
    found = status.status(study)
    assert [job.target.subject for job in found.of("running")] == ["Li_W gfn2"]
    assert [job.target.subject for job in found.of("left")] == ["Li_W2 gfn2"]
    assert found.left_cpu_h > 0
    with pytest.raises(ResultsError, match="Snakemake works on it, or was killed"):
        status.give_up(study)
    lock.unlink()
    (lost,) = status.give_up(study)
    assert lost.target.subject == "Li_W gfn2"
    assert "the last line of its log is 'Li_W: binding energies at gfn2'" in lost.reason
    again = status.status(study)
    assert [job.target.subject for job in again.of("failed")] == ["Li_W gfn2"]
    assert [job.target.subject for job in again.of("left")] == ["Li_W2 gfn2"]
    assert status.give_up(study) == []
    (rest,) = status.give_up(study, rest=True)
    assert (rest.target.subject, rest.reason) == ("Li_W2 gfn2", "not computed so far")
    assert not status.status(study).of("left")
    assert [row.subject for row in retry(study.folder, targets.all_files(study))] == ["Li_W", "Li_W2"]


def test_a_step_that_failed_with_a_reason_is_not_given_up(finished, monkeypatch):
    monkeypatch.setenv(SWITCH, "1")
    folder, study = finished / "trajectories" / "T", load_study(Path("small.yaml"))
    (folder / "packing.json").unlink(missing_ok=True)  # the record of a packing that failed is never written
    card = cards.dynamics_card(study, "T").text()
    with keep_going("pack", card, inputs=[], outputs=[folder / name for name in PACKED]):
        raise StepFailed("parameters of W", "charges did not converge")
    log = Path("logs/small/pack/T.log")
    log.parent.mkdir(parents=True)
    log.write_text("failed: parameters of W: charges did not converge; the study goes on without it\n")
    assert status.give_up(study) == []
    (row,) = (row for row in failures(finished, targets.all_files(study)) if row.step == "pack")
    assert (row.needs, row.reason) == ("parameters of W", "charges did not converge")


def test_what_is_given_up_is_not_made_again_because_snakemake_was_killed_at_it(finished):
    lost = finished / "energies" / "Li_W" / "gfn2.json"
    lost.unlink()
    log = Path("logs/small/binding/Li_W_gfn2.log")
    log.parent.mkdir(parents=True)
    log.write_text("Li_W: binding energies at gfn2\n")
    marks = Path(".snakemake/incomplete")
    whole, other = (urlsafe_b64encode(str(name).encode()).decode() for name in (lost, "results/other/report.html"))
    # Snakemake cuts names that are too long for a file into folders.
    split = marks / f"@{whole[:20]}" / whole[20:]
    split.parent.mkdir(parents=True)
    for mark in (marks / whole, split, marks / other, marks / "no mark of Snakemake's"):
        mark.touch()
    (job,) = status.give_up(load_study(Path("small.yaml")))
    assert job.target.subject == "Li_W gfn2"
    assert sorted(path.name for path in marks.rglob("*") if path.is_file()) == sorted([other, "no mark of Snakemake's"])


def test_both_verbs_print_data_as_well(finished, solvation_in_process):
    told = json.loads(solvation_in_process("why", "Li_W", "small.yaml", "--json").out)
    assert told["asked"] == ["clusters/Li_W/record.json", "energies/Li_W/gfn2.json"]
    assert {one["sha256"] for step in told["steps"] for one in step["inputs"]}
    assert "binding of Li_W" in solvation_in_process("why", "Li_W", finished).out
    counts = json.loads(solvation_in_process("status", "small.yaml", "--json").out)["counts"]
    assert counts == {"done": 18, "changed": 0, "failed": 0, "running": 0, "left": 0}
    assert "nothing is left" in solvation_in_process("status", "small.yaml").out


def test_a_recorded_failure_is_told_with_its_reason(finished):
    path = finished / "energies" / "Li_W" / "gfn2.json"
    told = {
        "status": "failed",
        "origin": "binding of Li_W at gfn2",
        "reason": "no luck",
        "first": True,
        "file": path.name,
    }
    path.write_text(
        json.dumps({**told, **{key: value for key, value in json.loads(path.read_text()).items() if key != "result"}})
    )
    (failed,) = status.status(load_study(Path("small.yaml"))).of("failed")
    assert (failed.target.rule, failed.target.subject) == ("binding", "Li_W gfn2")
    assert "no luck" in failed.reason


def test_every_file_of_a_finished_study_is_what_its_tables_were_made_from(finished, solvation_in_process):
    done = solvation_in_process("status", "small.yaml", "--checksums")
    assert (done.code, done.out) == (0, "all files of results/small are what the tables were made from\n")
    known = json.loads((finished / "provenance.json").read_text())["files_sha256"]
    assert {"binding.csv", "ligands/W.extxyz", "ligands/W.json", "energies/Li_W2/gfn2.json"} <= set(known)
    # They are made of the tables, later.
    assert not {"comparison.csv", "report.html", "provenance.json"} & set(known)


def test_a_number_changed_by_hand_a_lost_file_and_another_input_are_found(finished, solvation_in_process):
    record = finished / "energies" / "Li_W2" / "gfn2.json"
    record.write_text(record.read_text().replace('"wall_s": 1.5', '"wall_s": 1.6'))
    (finished / "ligands" / "Li+.extxyz").unlink()
    Path("mine/water.xyz").write_text("another\n")
    done = solvation_in_process("status", "small.yaml", "--checksums", "--json")
    assert done.code == 1
    assert {one["file"]: one["reason"] for one in json.loads(done.out)} == {
        "energies/Li_W2/gfn2.json": "changed since the tables were made",
        "ligands/Li+.extxyz": "is gone since the tables were made",
        "mine/water.xyz": "changed since ligands/W.json was made from it",
    }
    assert "3 files differ" in solvation_in_process("status", "small.yaml", "--checksums").out


def test_what_a_study_no_longer_asks_for_is_neither_summed_nor_packed(finished):
    from solvation.archive.checksums import result_files

    study = load_study(Path("small.yaml"))
    less = study.model_copy(update={"clusters": {"Li_W": study.clusters["Li_W"]}, "trajectories": {}})
    kept = lineage.records_of(finished, targets.targets(less))
    summed = checksums(less, kept)
    packed = {path.relative_to(finished).as_posix() for path in result_files(finished, kept)}
    assert {"clusters/Li_W/ensemble.extxyz", "energies/Li_W/gfn2.json"} <= set(summed) & packed
    assert not [name for name in {*summed, *packed} if "Li_W2" in name or "trajectories" in name]


def test_a_folder_that_lies_on_another_disk_is_compared_and_explained(finished, tmp_path, solvation_in_process):
    (finished / "energies").rename(tmp_path / "large")
    (finished / "energies").symlink_to(tmp_path / "large")
    assert solvation_in_process("status", "small.yaml", "--checksums").code == 0
    assert lineage.why("energies/Li_W2/gfn2.json", finished).asked == ("energies/Li_W2/gfn2.json",)
    study = load_study(Path("small.yaml"))
    assert "energies/Li_W2/gfn2.json" in checksums(study, lineage.read_records(finished))


def test_what_changed_since_is_not_packed(finished):
    from solvation.archive import crate

    (finished / "ligands" / "W.extxyz").write_text("another\n")
    with pytest.raises(ResultsError, match=r"ligands/W\.extxyz: changed since the tables were made; remove it"):
        crate.export(finished, Path("a.zip"))
    assert not Path("a.zip").exists()
