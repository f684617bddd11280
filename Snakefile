"""One study file in, a coordination-strength comparison out.

    snakemake --cores all                                      the default study
    snakemake --cores all --config study=config/quick.yaml     another one
"""

import os
import re
import sys
from pathlib import Path
from shlex import quote

from snakemake.utils import min_version

from solvation import warm
from solvation.errors import StudyError, printable
from solvation.failures import SWITCH, failures
from solvation.planning.outdated import made_anew
from solvation.study import load_study
from solvation.study.claim import begin_run, claim, heal, heal_dates, locks_of, refuse_foreign

# Priorities are functions of the job.
min_version("9.27")

STUDY_FILE = Path(config.get("study", "config/default.yaml"))
study = load_study(STUDY_FILE)
refuse_foreign(study, STUDY_FILE)

# Jobs read this file as well, while the run that started them holds its lock.
if workflow.is_main_process:
    if heal(study):
        print(f"{study.folder}: the run before was killed; its lock is removed", file=sys.stderr)
    if not locks_of(study) and (ahead := heal_dates(study)):
        print(
            f"{study.folder}: {len(ahead)} results are dated in the future, {ahead[0].relative_to(study.folder)} among "
            "them: a clock was wrong; they are dated back, and stay if what they were made from did not change",
            file=sys.stderr,
        )

RESULTS = str(study.folder)
LOGS = f"logs/{study.name}"
# What records say against Snakemake's own notes, or where those are gone (docs/provenance.md).
OUTDATED = made_anew(study) if workflow.is_main_process else {}
# Energies that any study of this folder has computed before are found again (docs/engines.md).
os.environ.setdefault("SOLVATION_CACHE", str(study.results / "cache"))
# A step that cannot be computed says so in every table, and the others go on (docs/cluster.md).
os.environ.setdefault(SWITCH, "1")
# What a site needs before a step can start, modules or paths, stands in a file of shell (docs/cluster.md):
# --config setup=site.sh, or in a profile.
SETUP = str(Path(config["setup"]).resolve()) if "setup" in config else ""
if SETUP and not Path(SETUP).is_file():
    raise StudyError(f"--config setup={config['setup']}: no such file; name one that loads modules or exports paths")
# SIGTERM and SLURM's warning (USR1) are for the step, which writes its checkpoint first; its shell and its log outlive
# it. (A prefix takes the place of Snakemake's own, which lets a step fail although its log is written.)
shell.prefix(f"{f'. {quote(SETUP)}; ' if SETUP else ''}set -euo pipefail; trap '' TERM USR1; ")

# An image in which every step runs (docs/cluster.md): --sdm apptainer --config container=solvation.sif
if "container" in config:

    container: config["container"]


include: "workflow/rules/common.smk"


wildcard_constraints:
    species="|".join(map(re.escape, study.species)),
    cluster="|".join(map(re.escape, study.clusters)) or "none",
    potential="|".join(map(re.escape, study.potentials)) or "none",
    member=r"\d+",
    trajectory="|".join(map(re.escape, study.trajectories)) or "none",
    level="|".join(map(re.escape, LEVELS)) or "none",
    segment=r"\d+",
    profile="|".join(map(re.escape, study.profiles)) or "none",
    window=r"\d+",


include: "workflow/rules/structures.smk"
include: "workflow/rules/energies.smk"
include: "workflow/rules/bonding.smk"
include: "workflow/rules/liquids.smk"
include: "workflow/rules/profiles.smk"
include: "workflow/rules/potentials.smk"
include: "workflow/rules/comparison.smk"


onstart:
    begin_run(study)
    claim(study, STUDY_FILE)
    # Steps on this machine share one start of Python (docs/cluster.md).
    if workflow.local_exec and "container" not in config:
        warm.start()
    # Nothing is submitted to another machine, so no rate has to be kept. Snakemake's look at all waiting jobs for it, once a
    # second and finished job, costs more in a study of hours than all else that it does.
    if workflow.local_exec:
        workflow.scheduler.job_rate_limiter = None


onsuccess:
    failed = failures(study.folder, targets.all_files(study))
    for row in failed:
        if not row.needs:
            print(printable(f"failed: {row.step} of {row.subject} {row.level}: {row.reason}"), file=sys.stderr)
    if failed:
        print(f"{len(failed)} steps have no result; to try again: solvation retry {STUDY_FILE}", file=sys.stderr)


rule all:
    """The report of the study, with its tables and figures.

    Results of the steps are asked for as well, or Snakemake would not miss one that was taken away from a finished study.
    """
    default_target: True
    input:
        rules.report.output,
        rules.compare.output,
        rules.tables.output,
        input_everything,
