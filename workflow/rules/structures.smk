"""Free ligands and clusters.

Outputs: results/<study>/ligands/<species>.extxyz and results/<study>/clusters/<cluster>/ensemble.extxyz,
lowest first, with what was rejected and why beside them.
"""


rule ligand:
    """Conformers of one species, relaxed at the geometry level."""
    input:
        input_species,
    output:
        f"{RESULTS}/ligands/{{species}}.extxyz",
    log:
        f"{LOGS}/ligand/{{species}}.log",
    priority: longest_first("ligand")
    threads: threads_ligand
    resources:
        mem_mb=memory("ligand"),
        runtime=minutes("ligand"),
        gpu=gpu_ligand,
        licences=licences_ligand,
    params:
        card=card_ligand,
    shell:
        "solvation ligand --card {params.card:q} --output {output:q} 2>&1 | tee {log:q}"


rule cluster:
    """Structures of one cluster: searched, judged, relaxed and checked."""
    input:
        input_conformers,
    output:
        ensemble=f"{RESULTS}/clusters/{{cluster}}/ensemble.extxyz",
        rejected=f"{RESULTS}/clusters/{{cluster}}/rejected.extxyz",
        record=f"{RESULTS}/clusters/{{cluster}}/record.json",
    log:
        f"{LOGS}/cluster/{{cluster}}.log",
    priority: longest_first("cluster")
    threads: threads_cluster
    resources:
        mem_mb=memory("cluster"),
        runtime=minutes("cluster"),
        gpu=gpu_cluster,
        licences=licences_cluster,
    params:
        card=card_cluster,
        folder=f"{RESULTS}/clusters/{{cluster}}",
    shell:
        "solvation cluster --card {params.card:q} --output {params.folder:q} {input:q} 2>&1 | tee {log:q}"
