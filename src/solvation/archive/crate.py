"""A study as one archive: an RO-Crate with its inputs, results, steps and what to cite.

References
----------
RO-Crate Metadata Specification 1.1, https://w3id.org/ro/crate/1.1: root data entity, provenance of entities.
"""

from __future__ import annotations

import hashlib
import io
import json
import mimetypes
import re
import shutil
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

import yaml
from pydantic import ValidationError

from solvation.archive.checksums import refuse_altered, result_files
from solvation.archive.citations import Citations, citations
from solvation.archive.lineage import inside, prefix_of, record_of, records_of
from solvation.archive.unpacking import MANIFEST, METADATA, not_plain
from solvation.errors import ResultsError
from solvation.provenance import output_of, read_json, sha256, versions, write_atomically
from solvation.study import Study, load_study
from solvation.study.campaigns import one_of_each
from solvation.study.claim import owner_of
from solvation.study.reading import read_mapping
from solvation.study.targets import targets

_CONTEXT = "https://w3id.org/ro/crate/1.1/context"
_KINDS = {
    ".extxyz": "chemical/x-xyz",
    ".xtc": "application/octet-stream",
    ".cube": "chemical/x-cube",
    ".md": "text/markdown",
}
_ENTRY = re.compile(r"[0-9a-f]{64}\.json")
_NO_LICENSE = "not stated"


@dataclass(frozen=True, slots=True)
class Packed:
    """One file of the archive: where it stands there, and the file or text that it is."""

    name: str
    source: Path | bytes

    def stream(self) -> BinaryIO:
        """Its bytes."""
        return self.source.open("rb") if isinstance(self.source, Path) else io.BytesIO(self.source)


def export(
    folder: Path, output: Path, *, study_file: Path | None = None, license: str | None = None
) -> tuple[int, dict[Path, str]]:
    """Write the archive of a finished study.

    Parameters
    ----------
    folder
        Its results folder.
    study_file
        The file it was made from; None looks where the folder says it was.
    license
        Name or address of the licence under which the archive may be used.

    Returns
    -------
    The number of files in it, and where the weights stand that its levels name: a rerun wants them where those say.

    Raises
    ------
    ResultsError
        The study is not finished, was changed since, as one of its files was, or one of its inputs is gone.
    """
    provenance = read_json(folder / "provenance.json") if (folder / "provenance.json").is_file() else None
    if provenance is None:
        raise ResultsError(f"{folder / 'provenance.json'} is missing: finish the study through snakemake first")
    study = study_of(provenance, folder)
    written = study_file or _stamped(folder)
    if written is not None and _settings(load_study(written)) != _settings(study):
        raise ResultsError(f"{written}: is not what {folder} was made from any more; run it through snakemake first")
    refuse_altered(folder, provenance)
    inputs = _inputs(study if written is None else load_study(written), folder)
    records = records_of(folder, targets(study))
    files = [
        *_study_files(study, written),
        *inputs,
        *_lock(),
        *_answers(records),
        *(
            Packed(f"results/{study.name}/{path.relative_to(folder).as_posix()}", path)
            for path in result_files(folder, records)
        ),
    ]
    cited = citations(study)
    files.append(Packed("CITATIONS.bib", cited.bibtex().encode()))
    graph = _graph(study, folder, provenance, records, files, cited, license)
    files.append(Packed(METADATA, (json.dumps(graph, indent=1, ensure_ascii=False) + "\n").encode()))
    _write(output, sorted(files, key=lambda one: one.name))
    return len(files) + 1, weights_in_archive(study)


def study_of(provenance: Mapping[str, Any], folder: Path) -> Study:
    """The study as it was when its tables were made.

    Raises
    ------
    ResultsError
        It cannot be read by this version.
    """
    try:
        return Study.model_validate(provenance["study"])
    except (KeyError, ValidationError) as problem:
        raise ResultsError(
            f"{folder / 'provenance.json'}: holds no study that this version reads; run the study again"
        ) from problem


def _place(key: tuple[str, str, str], path: Path) -> str:
    return "/".join(("inputs", *key, path.name))


def _inputs(study: Study, folder: Path) -> list[Packed]:
    own = study.own_files
    gone = next((path for path in (*own.values(), *study.weights) if not path.is_file()), None)
    if gone is not None:
        raise ResultsError(f"{folder}: its input {gone} is gone; put it back, or run the study again without it")
    files = [Packed(_place(key, path), path) for key, path in own.items()]
    return [*files, *(Packed(place, path) for path, place in weights_in_archive(study).items())]


def weights_in_archive(study: Study) -> dict[Path, str]:
    """Where the weights that levels name stand in the archive of a study."""
    return {path: f"inputs/weights/{number}/{path.name}" for number, path in enumerate(study.weights, start=1)}


def _stamped(folder: Path) -> Path | None:
    """The study file that a results folder says it was made from, where it is still there."""
    owner = owner_of(folder)
    path = folder / owner if owner is not None else None
    return path.resolve() if path is not None and path.is_file() else None


def _settings(study: Study) -> dict[str, Any]:
    """What a study asks for, wherever its files and results lie."""
    data = study.model_dump(mode="json", exclude={"results"})
    for (section, name, key), path in study.own_files.items():
        data[section][name][key] = path.name
    return data


def _study_files(study: Study, written: Path | None) -> list[Packed]:
    """The study as one can run it from the archive, and as it was written where that is something else."""
    own = study.own_files
    if written is not None:
        data = read_mapping(written)
        if not own and "name" in data and "results" not in data:
            return [Packed("study.yaml", written.read_bytes())]
        # Without a name it is called by its file, which is another one in the archive; and where its results lay here
        # is no matter of whoever runs it again.
        data["name"] = study.name
        data.pop("results", None)
        if isinstance(data.get("trajectories"), dict):
            data["trajectories"] = one_of_each(data["trajectories"])
    else:
        # Rebuilt from the provenance, whose keys are sorted; a composition begins with its ion: of clusters the study
        # has seen to that.
        data = study.model_dump(mode="json", exclude={"results"})
        for item in data["trajectories"].values():
            if "composition" in item:
                item["composition"] = _ion_first(study, item["composition"])
    for (section, name, key), path in own.items():
        data[section][name][key] = _place((section, name, key), path)
    runnable = Packed("study.yaml", yaml.safe_dump(data, sort_keys=False, allow_unicode=True).encode())
    return [runnable, *([Packed("study-as-written.yaml", written.read_bytes())] if written else [])]


def _ion_first(study: Study, composition: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(composition.items(), key=lambda item: not study.species[item[0]].is_bare_ion))


def _lock() -> list[Packed]:
    path = Path("requirements.lock")
    return [Packed(path.name, path)] if path.is_file() else []


def _answers(records: Mapping[str, dict[str, Any]]) -> list[Packed]:
    """What engines were asked and answered, and what programs printed, as far as the cache still has it."""
    entries = {Path(str(entry)) for made in records.values() for entry in made.get("answers", ())}
    # The name is a checksum: a record of somebody else's cannot name another file of this machine.
    ours = sorted(entry for entry in entries if _ENTRY.fullmatch(entry.name))
    found = [path for entry in ours for path in (entry, output_of(entry)) if path.is_file()]
    return [Packed(f"answers/{path.name}", path) for path in found]


def _graph(
    study: Study,
    folder: Path,
    provenance: Mapping[str, Any],
    records: Mapping[str, dict[str, Any]],
    files: Iterable[Packed],
    cited: Citations,
    license: str | None,
) -> dict[str, Any]:
    """Describe the archive as JSON-LD."""
    now = datetime.now(UTC)
    packed = {one.name: one for one in files}
    programs = {str(key): str(value) for key, value in dict(provenance.get("versions") or {}).items()}
    terms = {"@id": license if license and "://" in license else "#license"}
    actions = _actions(study, folder, records, packed)
    works = [_work(key, fields) for key, fields in cited.works.items()]
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"solvation: {study.name}",
        "description": study.description or f"Study {study.name}: structures, energies and liquids around an ion.",
        "datePublished": now.date().isoformat(),
        "license": terms,
        "hasPart": [_ref(name) for name in sorted([*packed, MANIFEST])],
        "mentions": [{"@id": action["@id"]} for action in actions],
        "citation": [{"@id": work["@id"]} for work in works],
        "identifier": f"seed {study.seed}",
    }
    return {
        # The 1.1 context has no checksum; schema.org has.
        "@context": [_CONTEXT, {"sha256": "https://schema.org/sha256"}],
        "@graph": [
            {
                "@id": METADATA,
                "@type": "CreativeWork",
                "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
                "about": {"@id": "./"},
            },
            root,
            {
                "@id": terms["@id"],
                "@type": "CreativeWork",
                "name": license or _NO_LICENSE,
                "description": "Terms under which this archive may be used: " + (license or "ask who gave it to you."),
            },
            *(_file(one) for one in packed.values()),
            {"@id": MANIFEST, "@type": "File", "name": MANIFEST, "description": "SHA-256 of every other file."},
            *(
                {"@id": f"#{quote(name)}", "@type": "SoftwareApplication", "name": name, "version": version}
                for name, version in programs.items()
            ),
            *actions,
            {
                "@id": "#export",
                "@type": "CreateAction",
                "name": "export",
                "endTime": now.isoformat(timespec="seconds"),
                "instrument": {"@id": "#solvation"},
                "object": {"@id": "./"},
                "result": {"@id": METADATA},
                "description": f"solvation {versions()['solvation']}",
            },
            *works,
        ],
    }


def _actions(
    study: Study, folder: Path, records: Mapping[str, dict[str, Any]], packed: Mapping[str, Packed]
) -> list[dict[str, Any]]:
    """Every step with what it read and wrote: the provenance graph."""
    prefix, base = prefix_of(folder), f"results/{study.name}/"
    inputs = {str(path): _place(key, path) for key, path in study.own_files.items()}
    inputs |= {str(path): place for path, place in weights_in_archive(study).items()}
    written: dict[str, list[str]] = {name: [] for name in records}
    for name in packed:
        maker = record_of(name.removeprefix(base), records) if name.startswith(base) else None
        if maker is not None:
            written[maker].append(name)
    found = []
    for name, data in records.items():
        read = []
        for file in data["inputs_sha256"]:
            own = inside(file, folder, prefix)
            stands = f"{base}{own}" if own else inputs.get(file, "")
            if stands in packed and stands not in written[name]:
                read.append(_ref(stands))
        answers = [f"answers/{Path(str(entry)).name}" for entry in data.get("answers", ())]
        read += [_ref(stands) for stands in answers if stands in packed]
        action = {
            "@id": f"#step-{quote(name)}",
            "@type": "CreateAction",
            "name": f"{data['step']} of {data['card'].get('name', name)}",
            "instrument": {"@id": "#solvation"},
            "object": read or [_ref("study.yaml")],
            "result": [_ref(one) for one in written[name]],
            "actionStatus": {"@id": "http://schema.org/CompletedActionStatus"},
        }
        found.append(action | ({"endTime": data["finished"]} if data.get("finished") else {}))
    return found


def _file(one: Packed) -> dict[str, Any]:
    suffix = Path(one.name).suffix
    kind = _KINDS.get(suffix) or mimetypes.guess_type(one.name)[0] or "text/plain"
    return {**_ref(one.name), "@type": "File", "name": one.name, "encodingFormat": kind, **_measures(one)}


def _measures(one: Packed) -> dict[str, str]:
    if isinstance(one.source, Path):
        return {"contentSize": str(one.source.stat().st_size), "sha256": sha256(one.source)}
    return {"contentSize": str(len(one.source)), "sha256": hashlib.sha256(one.source).hexdigest()}


def _work(key: str, fields: Mapping[str, str]) -> dict[str, Any]:
    address = f"https://doi.org/{fields['doi']}" if "doi" in fields else fields.get("url", f"#{key}")
    kept = {"author": "author", "datePublished": "year"}
    told = {name: fields[field] for name, field in kept.items() if field in fields}
    return {"@id": address, "@type": "ScholarlyArticle", "name": fields["title"], **told}


def _ref(name: str) -> dict[str, str]:
    return {"@id": quote(name)}


def _write(output: Path, files: list[Packed]) -> None:
    """Write the archive; the same files give the same bytes but for the date in the metadata."""
    for one in files:
        if (reason := not_plain(one.name)) is not None:
            raise ResultsError(f"'{one.name}' {reason}; rename the file and run the study again")
    sums = "".join(f"{_measures(one)['sha256']}  {one.name}\n" for one in files)

    def save(temporary: Path) -> None:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            for one in [*files, Packed(MANIFEST, sums.encode())]:
                entry = zipfile.ZipInfo(one.name)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o100644 << 16
                with one.stream() as source, archive.open(entry, "w", force_zip64=True) as target:
                    shutil.copyfileobj(source, target, 1 << 20)

    write_atomically(output, save)
