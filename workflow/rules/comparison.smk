"""Tables, comparison and report of the whole study."""


rule tables:
    """binding.csv, ensemble.csv, rejected.csv, the tables of the liquids, provenance.json."""
    input:
        input_results,
    output:
        [f"{RESULTS}/{name}" for name in targets.tables(study)],
    log:
        f"{LOGS}/tables.log",
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        study=str(STUDY_FILE),
        settings=settings_of_study,
    shell:
        "solvation tables {params.study:q} 2>&1 | tee {log:q}"


rule compare:
    """comparison.csv: donors and clusters ranked, published values beside."""
    input:
        rules.tables.output,
    output:
        f"{RESULTS}/comparison.csv",
    log:
        f"{LOGS}/compare.log",
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        study=str(STUDY_FILE),
    shell:
        "solvation compare {params.study:q} 2>&1 | tee {log:q}"


rule report:
    """One page that opens offline.

    It shows all tables and the settings. The comparison alone may be the same as before while those are not.
    """
    input:
        rules.compare.output,
        rules.tables.output,
    output:
        f"{RESULTS}/report.html",
    log:
        f"{LOGS}/report.log",
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        results=RESULTS,
    shell:
        "solvation report {params.results:q} --output {output:q} 2>&1 | tee {log:q}"
