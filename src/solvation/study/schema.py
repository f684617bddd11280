"""The JSON Schema of study files; `workflow/schemas/study.schema.json` is kept equal to it by a test."""

from __future__ import annotations

import json

from solvation.study.file import Study


def study_schema() -> str:
    """The schema as indented JSON.

    Levels of theory are strings in the file and a model in memory, and a species may be a bare SMILES or empty:
    the schema says what the file may hold.
    """
    data = Study.model_json_schema()
    definitions = data["$defs"]
    definitions["Level"] = {
        "type": "string",
        "title": "Level of theory",
        "description": "[ENGINE:]METHOD[-DISPERSION][/BASIS][@MODEL=MEDIUM], mace:PATH.model, or ase:IMPORT.PATH",
        "examples": [
            "gfn1", "gfn2@alpb=acetone", "pbe-d4/def2-svp", "pbe0-d4/def2-svp@cpcm=40", "nwchem:pbe-d4/def2-svp",
            "cp2k:pbe-d3bj/dzvp-molopt-sr-gth", "vasp:pbe-d3bj/pw520", "ase:my_potential.calculator",
        ],
    }  # fmt: skip
    definitions["Species"] = {
        "anyOf": [{"type": "string", "description": "SMILES"}, {"type": "null"}, definitions["Species"]]
    }
    for kind in ("MolecularDynamics", "ClassicalDynamics"):
        spanned = definitions[kind]["properties"]
        for key in {"level", "temperature_K"} & set(spanned):
            one = spanned[key]
            spanned[key] = {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}
    data["required"] = [key for key in data["required"] if key != "name"]
    data["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"
