"""A study as one archive: whole, described, safe to unpack, and set beside a rerun."""

import json
import re
import shutil
import stat
import zipfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from urllib.parse import unquote

import pytest

from solvation.archive import citations, crate, reproduction, unpacking
from solvation.archive.checksums import checksums
from solvation.archive.lineage import read_records
from solvation.energies.thermochemistry import TREATMENTS
from solvation.engines.electrons import SCHEMES
from solvation.errors import ResultsError
from solvation.liquids.ions import published_ions
from solvation.provenance import output_of, read_json, sources_sha256, write_json
from solvation.study import load_study
from solvation.study.levels import SOLVENT_MODELS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def packed(finished, tmp_path) -> Path:
    crate.export(finished, tmp_path / "small.zip")
    return tmp_path / "small.zip"


def entities(path: Path) -> dict[str, dict]:
    with zipfile.ZipFile(path) as opened:
        data = json.loads(opened.read(unpacking.METADATA))
    assert data["@context"][0] == "https://w3id.org/ro/crate/1.1/context"
    found = {item["@id"]: item for item in data["@graph"]}
    assert len(found) == len(data["@graph"])
    return found


def test_the_metadata_is_what_the_specification_asks_for(packed):
    found = entities(packed)
    descriptor, root = found["ro-crate-metadata.json"], found["./"]
    assert descriptor["@type"] == "CreativeWork"
    assert descriptor["about"] == {"@id": "./"}
    assert descriptor["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}
    assert root["@type"] == "Dataset"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", root["datePublished"])
    assert root["name"]
    assert root["description"]
    assert found[root["license"]["@id"]]["name"] == "not stated"
    with zipfile.ZipFile(packed) as opened:
        names = set(opened.namelist())
    parts = {unquote(item["@id"]) for item in root["hasPart"]}
    assert parts == names - {"ro-crate-metadata.json"}
    for item in root["hasPart"]:
        assert found[item["@id"]]["@type"] == "File"


def test_every_reference_in_the_metadata_is_described(packed):
    found = entities(packed)
    for item in found.values():
        for key in ("object", "result", "instrument", "citation", "mentions", "hasPart", "about"):
            linked = item.get(key, [])
            for one in linked if isinstance(linked, list) else [linked]:
                assert one["@id"] in found, (item["@id"], key, one)


def test_the_graph_tells_what_each_step_read_and_wrote(packed):
    step = entities(packed)["#step-energies/Li_W2/gfn2.json"]
    assert step["@type"] == "CreateAction"
    assert step["result"] == [{"@id": "results/small/energies/Li_W2/gfn2.json"}]
    assert {"@id": "results/small/clusters/Li_W2/ensemble.extxyz"} in step["object"]
    assert entities(packed)["#step-ligands/W.json"]["object"] == [{"@id": "inputs/species/W/file/water.xyz"}]


def test_an_archive_holds_the_study_its_inputs_and_every_record(packed, finished, tmp_path):
    checked = unpacking.check(packed)
    unpacking.unpack(checked, tmp_path / "new")
    again = load_study(tmp_path / "new" / "study.yaml")
    assert again.name == "small"
    assert list(again.clusters["Li_W2"].composition) == ["Li+", "W"]
    assert again.species["W"].file.read_text() == Path("mine/water.xyz").read_text()
    assert (tmp_path / "new" / "study-as-written.yaml").read_text() == Path("small.yaml").read_text()
    for path in finished.rglob("*"):
        kept = path.is_file() and path.suffix != ".npz" and path.name != "study-file.txt"
        assert (tmp_path / "new" / "results" / "small" / path.relative_to(finished)).is_file() == kept or path.is_dir()
    assert "@article{bannwarth2019gfn2" in (tmp_path / "new" / "CITATIONS.bib").read_text()


def test_what_engines_answered_is_told_and_packed(finished, tmp_path, solvation_in_process):
    entry = Path("cache") / "ab" / f"{'ab' * 32}.json"
    asked = {"numbers": [8, 1, 1], "charge": 0, "level": "pbe/def2-svp", "ghost": [2]}
    write_json(entry, {"question": asked, "energy_eV": -2078.5, "n_basis": 24})
    output_of(entry).write_bytes(b"packed")
    record = finished / "energies" / "Li_W" / "gfn2.json"
    # The second is no entry of a cache, and stays where it is.
    write_json(record, {**read_json(record), "answers": [str(entry), "small.yaml"]})
    told = solvation_in_process("why", "energies/Li_W/gfn2.json", str(finished)).out
    assert f"{entry}: H2O, charge +0, pbe/def2-svp, ghost atoms: 1: -2078.500000 eV; what the program printed" in told
    study = load_study(Path("small.yaml"))
    provenance = read_json(finished / "provenance.json")
    write_json(finished / "provenance.json", {**provenance, "files_sha256": checksums(study, read_records(finished))})
    crate.export(finished, tmp_path / "b.zip")
    names = zipfile.ZipFile(tmp_path / "b.zip").namelist()
    assert {name for name in names if name.startswith("answers/")} == {
        f"answers/{entry.name}", f"answers/{output_of(entry).name}"
    }  # fmt: skip
    assert "small.yaml" not in names
    step = next(item for item in entities(tmp_path / "b.zip").values() if item.get("name") == "binding of Li_W")
    assert {"@id": f"answers/{entry.name}"} in step["object"]


def test_weights_that_levels_name_are_packed_and_a_rerun_is_told_where_they_belong(finished, solvation_in_process):
    text = Path("small.yaml").read_text()
    Path("small.yaml").write_text(text.replace("segments: 2", "segments: 2, level: 'mace:mine/w.model@charge=1'"))
    provenance = finished / "provenance.json"
    made = json.loads(provenance.read_text())
    made["study"] = load_study(Path("small.yaml")).model_dump(mode="json")
    provenance.write_text(json.dumps(made))
    gone = solvation_in_process("export", "small.yaml", "--output", "a.zip")
    assert (gone.code, "its input mine/w.model is gone" in gone.err) == (2, True)
    Path("mine/w.model").write_bytes(b"weights")
    told = solvation_in_process("export", "small.yaml", "--output", "a.zip")
    assert "copy DIR/inputs/weights/1/w.model to mine/w.model" in told.out, told.err
    with zipfile.ZipFile("a.zip") as opened:
        assert opened.read("inputs/weights/1/w.model") == b"weights"


def test_a_study_whose_file_is_lost_is_rebuilt_from_its_provenance(finished, tmp_path):
    Path("small.yaml").unlink()
    crate.export(finished, tmp_path / "a.zip")
    unpacking.unpack(unpacking.check(tmp_path / "a.zip"), tmp_path / "new")
    again = load_study(tmp_path / "new" / "study.yaml")
    assert list(again.clusters["Li_W2"].composition) == ["Li+", "W"]
    assert again.seed == 7


def test_where_results_lay_is_not_packed(finished, tmp_path):
    Path("small.yaml").write_text(Path("small.yaml").read_text() + "results: results\n")
    crate.export(finished, tmp_path / "a.zip")
    unpacking.unpack(unpacking.check(tmp_path / "a.zip"), tmp_path / "new")
    assert "results:" not in (tmp_path / "new" / "study.yaml").read_text()
    assert "results: results" in (tmp_path / "new" / "study-as-written.yaml").read_text()


def test_an_archive_does_not_choose_where_a_rerun_writes(packed, tmp_path):
    """Archives of earlier versions, and those of anybody, say what they like."""
    unpacking.unpack(unpacking.check(packed), tmp_path / "new")
    assert reproduction.study_to_run(tmp_path / "new") == tmp_path / "new" / "study.yaml"
    for results in ("out", "/elsewhere", "[1, 2]", "null"):
        unpacking.unpack(unpacking.check(packed), tmp_path / "other" / results.strip("/"))
        given = tmp_path / "other" / results.strip("/") / "study.yaml"
        given.write_text(given.read_text() + f"results: {results}\n")
        asked = load_study(reproduction.study_to_run(given.parent))
        assert asked.results == Path("results")
        assert asked.species["W"].file.resolve() == given.parent / "inputs/species/W/file/water.xyz"


def test_results_that_an_archive_brings_are_not_taken_for_those_of_a_rerun(packed, tmp_path):
    unpacking.unpack(unpacking.check(packed), tmp_path / "new")
    checked = unpacking.check(packed)
    forged = replace(checked, names=(*checked.names, "rerun/results/small/binding.csv"))
    snakefile = ROOT / "Snakefile"
    with pytest.raises(ResultsError, match=r"holds rerun/results/small/binding\.csv"):
        reproduction.rerun(forged, tmp_path / "new", snakefile=snakefile)
    with pytest.raises(ResultsError, match="is the study 'small', its results are those of 'other'"):
        reproduction.rerun(replace(checked, study="other"), tmp_path / "new", snakefile=snakefile)


def test_own_trajectories_that_stand_for_several_are_packed(finished, tmp_path):
    own = "  mine: {topology: mine/t.pdb, temperature_K: [298, 313], center: name LI, donors: {O: name O}}\n"
    Path("mine/t.pdb").write_text("END\n")
    text = Path("small.yaml").read_text().replace(
        "trajectories: {T: {composition: {Li+: 1, W: 5}, segments: 2}}",
        "trajectories:\n  T: {composition: {Li+: 1, W: 5}, segments: 2}\n" + own,
    )  # fmt: skip
    Path("small.yaml").write_text(text)
    made = read_json(finished / "provenance.json")
    write_json(finished / "provenance.json", {**made, "study": load_study(Path("small.yaml")).model_dump(mode="json")})
    crate.export(finished, tmp_path / "a.zip")
    unpacking.unpack(unpacking.check(tmp_path / "a.zip"), tmp_path / "new")
    again = load_study(tmp_path / "new" / "study.yaml")
    assert [again.trajectories[name].temperature_K for name in ("mine_298K", "mine_313K")] == [298, 313]
    assert again.trajectories["mine_298K"].topology.is_file()


def test_a_study_file_that_changed_since_is_not_packed_with_old_results(finished, tmp_path):
    Path("small.yaml").write_text(Path("small.yaml").read_text().replace("seed: 7", "seed: 8"))
    with pytest.raises(ResultsError, match=r"is not what .* was made from any more"):
        crate.export(finished, tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()


def test_the_same_study_packs_to_the_same_bytes_but_for_the_date(finished, tmp_path):
    for name in ("a.zip", "b.zip"):
        crate.export(finished, tmp_path / name)
    first, second = (zipfile.ZipFile(tmp_path / name) for name in ("a.zip", "b.zip"))
    dated = {unpacking.METADATA, unpacking.MANIFEST}
    assert first.namelist() == second.namelist()
    assert all(first.read(name) == second.read(name) for name in set(first.namelist()) - dated)


def rewritten(source: Path, target: Path, change) -> Path:
    """A copy of an archive, each entry as `change(name, data)` gives it; None leaves it out."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            data = change(entry.filename, old.read(entry))
            if data is not None:
                new.writestr(entry.filename, data)
    return target


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda name, data: data + b" " if name == "study.yaml" else data, "study.yaml differs from its checksum"),
        (lambda name, data: None if name == "study.yaml" else data, "study.yaml is not in both"),
        (lambda name, data: None if name == unpacking.MANIFEST else data, "no archive of a study"),
        (lambda name, data: None if name == unpacking.METADATA else data, "no archive of a study"),
        (lambda name, data: b"nonsense\n" if name == unpacking.MANIFEST else data, "line 1: no checksum"),
        (lambda name, data: b"\xff" if name == unpacking.MANIFEST else data, "is no text"),
    ],
)
def test_a_damaged_archive_is_refused(packed, tmp_path, change, message):
    with pytest.raises(ResultsError, match=message):
        unpacking.check(rewritten(packed, tmp_path / "bad.zip", change))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../outside.txt", "outside of its folder"),
        ("/etc/outside.txt", "outside of its folder"),
        ("a/../../outside.txt", "outside of its folder"),
        ("a//b", "outside of its folder"),
        ("folder/", "outside of its folder"),
        ("C:/outside.txt", "is no name of a file"),
        ("a\\..\\outside.txt", "is no name of a file"),
        ("a\nb", "is no name of a file"),
    ],
)
def test_no_file_leaves_its_folder(packed, tmp_path, name, message):
    with zipfile.ZipFile(packed, "a") as opened:
        opened.writestr(zipfile.ZipInfo(name), b"x")
    with pytest.raises(ResultsError, match=message):
        unpacking.check(packed)


def test_an_archive_with_a_name_of_no_known_letters_is_refused(tmp_path):
    """Python's reader of archives ends in a UnicodeDecodeError there; found by benchmarks/fuzz.py."""
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("é.txt", "")
    data = (tmp_path / "b.zip").read_bytes()
    (tmp_path / "b.zip").write_bytes(data.replace("é".encode(), b"\xbf\xbf"))
    with pytest.raises(ResultsError, match=r"b\.zip: cannot be read or unpacked"):
        unpacking.check(tmp_path / "b.zip")


def test_links_devices_and_doubles_are_refused(packed, tmp_path):
    for kind in (stat.S_IFLNK, stat.S_IFCHR, stat.S_IFDIR):
        copy = shutil.copy(packed, tmp_path / "copy.zip")
        with zipfile.ZipFile(copy, "a") as opened:
            entry = zipfile.ZipInfo("link")
            entry.external_attr = (kind | 0o777) << 16
            opened.writestr(entry, b"/etc/passwd")
        with pytest.raises(ResultsError, match="is no plain file"):
            unpacking.check(copy)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(packed, "a") as opened:
        opened.writestr("study.yaml", b"another")
    with pytest.raises(ResultsError, match=r"'study\.yaml' stands twice"):
        unpacking.check(packed)


def test_an_archive_larger_than_allowed_is_refused_before_it_is_read(packed, tmp_path):
    with zipfile.ZipFile(packed, "a", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("zeros", bytes(20_000_000))
    with pytest.raises(ResultsError, match=r"0\.0 GB unpacked, more than 0\.01; allow it by --max-GB"):
        unpacking.check(packed, max_GB=0.01)


@pytest.mark.parametrize("name", ["results/small/provenance.json", unpacking.MANIFEST, unpacking.METADATA])
def test_what_is_read_whole_is_bounded_before_it_is_unpacked(packed, tmp_path, name):
    """A record of gigabytes packs into a few megabytes, and takes ten times its size in memory."""
    size = 150_000_000

    def swollen(entry: str, data: bytes) -> bytes | None:
        return None if entry == name else data

    rewritten(packed, tmp_path / "bomb.zip", swollen)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "a", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr(name, b"{" + b" " * size)
    with pytest.raises(ResultsError, match=f"{re.escape(name)} has 150 MB, more than 100; no study was packed so"):
        unpacking.check(tmp_path / "bomb.zip")
    # A directory that tells less than there is: not a block more than that is unpacked.
    data = bytearray((tmp_path / "bomb.zip").read_bytes())
    told, lie = (size + 1).to_bytes(4, "little"), (100).to_bytes(4, "little")
    (tmp_path / "bomb.zip").write_bytes(bytes(data).replace(told, lie))
    with pytest.raises(ResultsError):
        unpacking.check(tmp_path / "bomb.zip")


def test_unpacking_leaves_a_folder_that_holds_something_alone(packed, tmp_path):
    checked = unpacking.check(packed)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(ResultsError, match="exists and is left as it is"):
        unpacking.unpack(checked, tmp_path / "full")
    (tmp_path / "empty").mkdir()
    unpacking.unpack(checked, tmp_path / "empty")
    assert (tmp_path / "empty" / "study.yaml").is_file()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_rerun_is_compared_within_stated_tolerances(packed, finished, solvation_in_process):
    same = solvation_in_process("reproduce", packed, "--against", finished)
    assert same.code == 0
    assert "reproduced within tolerance" in same.out
    table = (finished / "binding.csv").read_text()
    for energy, code in (("-2.504", 0), ("-2.506", 1), ("", 1)):
        (finished / "binding.csv").write_text(table.replace("relaxed,-2.5,", f"relaxed,{energy},", 1))
        done = solvation_in_process("reproduce", packed, "--against", finished)
        assert done.code == code, done
        assert ("binding.csv: Li_W2 gfn2 relaxed: energy_eV" in done.out) == bool(code)
    (finished / "binding.csv").write_text("".join(table.splitlines(keepends=True)[:-1]))
    lost = solvation_in_process("reproduce", packed, "--against", finished)
    assert lost.code == 1
    assert "row: a row there, nothing here" in lost.out


def test_averages_of_a_liquid_may_differ_by_their_errors(tmp_path):
    head = "trajectory,donor,counted,cutoff_A,cn,cn_stderr,n_frames,peak_A,statistical_inefficiency,verdict\n"
    table = reproduction.TABLES["coordination"]

    def rows(cn: float, error: str) -> dict[str, dict[str, str]]:
        text = f"{head}T,W O,atom,2.5,{cn},{error},100,1.9,3,fine\n"
        return reproduction._rows("x", text, table, set(table.tolerances))

    for second, error, differs in ((4.3, "0.1", False), (4.5, "0.1", True), (4.3, "", True), (4.09, "", False)):
        found = reproduction._compare("coordination", table, rows(4.0, "0.1"), rows(second, error))
        assert bool(found.differences) is differs


def test_a_shell_that_one_run_did_not_visit_counts_as_empty():
    head = "trajectory,grouped,shell,population,population_stderr\n"
    table = reproduction.TABLES["speciation"]

    def rows(*shells: str) -> dict[str, dict[str, str]]:
        text = head + "".join(f"T,shell,{shell}\n" for shell in shells)
        return reproduction._rows("x", text, table, set(table.tolerances))

    for rare, differs in (("5 W(1),0.04,0.001", False), ("5 W(1),0.2,0.1", False), ("5 W(1),0.2,0.01", True)):
        found = reproduction._compare("speciation", table, rows("4 W(1),0.9,0.1"), rows("4 W(1),0.9,0.1", rare))
        assert [one.archived for one in found.differences] == ["0"] * differs


def test_a_mean_that_every_point_of_a_curve_repeats_is_compared_once():
    head = "trajectory,angle,theta_deg,mean_deg,mean_stderr_deg\n"
    table = reproduction.TABLES["angles"]

    def rows(mean: float) -> dict[str, dict[str, str]]:
        text = head + "".join(f"T,O-Li-O,{theta},{mean},0.5\n" for theta in (1, 3, 5))
        return reproduction._rows("x", text, table, set(table.tolerances))

    assert reproduction._compare("angles", table, rows(108.0), rows(109.5)).differences == ()
    (one,) = reproduction._compare("angles", table, rows(108.0), rows(111.0)).differences
    assert one.row == "T O-Li-O"


def test_other_versions_are_told(packed, tmp_path):
    def older(name: str, data: bytes) -> bytes:
        if name.endswith("provenance.json"):
            told = json.loads(data)
            told["versions"] |= {"numpy": "1.0.0"}
            return json.dumps(told).encode()
        return data

    rewritten(packed, tmp_path / "old.zip", older)
    with pytest.raises(ResultsError, match="differs from its checksum"):
        unpacking.check(tmp_path / "old.zip")
    checked = unpacking.check(packed)
    assert reproduction.other_versions(checked) == []
    checked.provenance["versions"]["numpy"] = "1.0.0"
    (told,) = reproduction.other_versions(checked)
    assert told.startswith("numpy 1.0.0 there, ")
    # Of an edited package the version says nothing.
    checked.provenance["versions"] |= {"numpy": version("numpy"), "sources of solvation": "0123456789ab"}
    (told,) = reproduction.other_versions(checked)
    assert told == f"sources of solvation 0123456789ab there, {sources_sha256()} here"


@pytest.mark.parametrize("name", ["default", "quick", "paper", "models", "reference", "liquid"])
def test_every_method_of_the_studies_that_ship_is_cited(name):
    found = citations.citations(load_study(ROOT / "config" / f"{name}.yaml"))
    assert found.unknown == ()
    assert found.works


def test_a_classical_liquid_cites_its_force_field_and_program():
    found = citations.citations(load_study(ROOT / "config" / "liquid.yaml"))
    assert {"openmm", "wang2004gaff", "bayly1993resp", "packmol"} <= set(found.works)
    # Lennard-Jones terms of the molecules, the ions, and the integrator.
    assert {"boothroyd2023sage", "canongia2004ilff", "zhang2019middle", "higham2016rad"} <= set(found.works)


def test_every_published_ion_has_its_work():
    assert set(citations.table()["ions"]) == set(published_ions())


def test_every_engine_functional_and_treatment_has_an_entry():
    known = citations.table()["uses"]
    assert set(SOLVENT_MODELS) <= set(known)
    assert {model for models in SOLVENT_MODELS.values() for model in models} <= set(known)
    assert set(TREATMENTS) <= set(known)
    assert set(SCHEMES) <= set(known)
    functionals = {
        "pbe",
        "revpbe",
        "blyp",
        "tpss",
        "pbe0",
        "b3lyp",
        "r2scan",
        "r2scan-3c",
        "hf",
        "mp2",
        "ccsd",
        "ccsd(t)",
    }
    assert functionals | {"gfn1", "gfn2", "d3bj", "d4"} <= set(known)


def test_the_table_of_citations_is_whole():
    table = citations.table()
    tables = (table["uses"], table["ions"], table["bases"])
    used = {key for entries in tables for works in entries.values() for key in works}
    assert used == set(table["works"])
    for key, work in table["works"].items():
        assert work["title"]
        assert {"author", "year"} <= set(work) or "url" in work, key
        assert re.fullmatch(r"10\.\d{4,}/\S+", work.get("doi", "10.1000/x")), key
    known = [work["doi"] for work in table["works"].values() if "doi" in work]
    assert len(known) == len(set(known))


def test_a_method_without_an_entry_is_named_in_the_bibliography(finished):
    Path("odd.yaml").write_text(Path("small.yaml").read_text().replace("[gfn2]", "[gfn2, m06-2x/def2-svp]"))
    found = citations.citations(load_study(Path("odd.yaml")))
    assert found.unknown == ("m06-2x",)
    assert "% m06-2x: no entry" in found.bibtex()
