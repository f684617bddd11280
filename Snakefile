"""One study file in, a coordination-strength comparison out.

    snakemake --cores all                                      the default study
    snakemake --cores all --config study=config/quick.yaml     another one
"""

import os
import re
from pathlib import Path

from snakemake.utils import min_version

from solvation.study import load_study
from solvation.study.claim import claim, refuse_foreign

min_version("9.0")

STUDY_FILE = Path(config.get("study", "config/default.yaml"))
study = load_study(STUDY_FILE)
refuse_foreign(study, STUDY_FILE)

RESULTS = str(study.folder)
LOGS = f"logs/{study.name}"
# Energies that any study of this folder has computed before are found again (docs/engines.md).
os.environ.setdefault("SOLVATION_CACHE", str(study.results / "cache"))


wildcard_constraints:
    species="|".join(map(re.escape, study.species)),
    cluster="|".join(map(re.escape, study.clusters)) or "none",
    trajectory="|".join(map(re.escape, study.trajectories)) or "none",
    level="[^/]+",
    segment=r"\d+",


include: "workflow/rules/common.smk"
include: "workflow/rules/structures.smk"
include: "workflow/rules/energies.smk"
include: "workflow/rules/bonding.smk"
include: "workflow/rules/liquids.smk"
include: "workflow/rules/comparison.smk"


onstart:
    claim(study, STUDY_FILE)


rule all:
    """The report of the study, with its tables and figures."""
    default_target: True
    input:
        f"{RESULTS}/report.html",
