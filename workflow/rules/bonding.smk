"""Why the ion is held, and what it costs to take an electron away."""


rule bonding:
    """Charges, potentials, decomposed energy and density difference of the lowest structure of one cluster."""
    input:
        f"{RESULTS}/clusters/{{cluster}}/ensemble.extxyz",
    output:
        numbers=f"{RESULTS}/bonding/{{cluster}}/{{level}}.json",
        density=f"{RESULTS}/bonding/{{cluster}}/{{level}}.cube",
    log:
        f"{LOGS}/bonding/{{cluster}}_{{level}}.log",
    priority: longest_first("bonding")
    threads: threads_level
    resources:
        mem_mb=memory("bonding"),
        runtime=minutes("bonding"),
    params:
        card=card_bonding,
    shell:
        "solvation bonding --card {params.card:q} --output {output.numbers:q} --density {output.density:q}"
        " {input:q} 2>&1 | tee {log:q}"


rule oxidation_of_cluster:
    """Ionisation energies of the lowest structure of one cluster."""
    input:
        f"{RESULTS}/clusters/{{cluster}}/ensemble.extxyz",
    output:
        f"{RESULTS}/oxidation/clusters/{{cluster}}/{{level}}.json",
    log:
        f"{LOGS}/oxidation/clusters/{{cluster}}_{{level}}.log",
    priority: longest_first("oxidation_of_cluster")
    threads: threads_level
    resources:
        mem_mb=memory("oxidation"),
        runtime=minutes("oxidation"),
        gpu=gpu_level,
        licences=licences_level,
    params:
        card=card_oxidation_of_cluster,
    shell:
        "solvation oxidation --card {params.card:q} --output {output:q} {input:q} 2>&1 | tee {log:q}"


rule oxidation_of_species:
    """Ionisation energies of the lowest conformer of one ligand."""
    input:
        f"{RESULTS}/ligands/{{species}}.extxyz",
    output:
        f"{RESULTS}/oxidation/species/{{species}}/{{level}}.json",
    log:
        f"{LOGS}/oxidation/species/{{species}}_{{level}}.log",
    priority: longest_first("oxidation_of_species")
    threads: threads_level
    resources:
        mem_mb=memory("oxidation"),
        runtime=minutes("oxidation"),
        gpu=gpu_level,
        licences=licences_level,
    params:
        card=card_oxidation_of_species,
    shell:
        "solvation oxidation --card {params.card:q} --output {output:q} {input:q} 2>&1 | tee {log:q}"


rule shieldings:
    """Magnetic shieldings of the lowest structure of one cluster and of its free ligands."""
    input:
        ensemble=f"{RESULTS}/clusters/{{cluster}}/ensemble.extxyz",
        conformers=input_conformers,
    output:
        f"{RESULTS}/shieldings/{{cluster}}/{{level}}.json",
    log:
        f"{LOGS}/shieldings/{{cluster}}_{{level}}.log",
    priority: longest_first("shieldings")
    threads: threads_level
    resources:
        mem_mb=memory("shieldings"),
        runtime=minutes("shieldings"),
    params:
        card=card_shieldings,
    shell:
        "solvation shieldings --card {params.card:q} --ensemble {input.ensemble:q} --output {output:q}"
        " {input.conformers:q} 2>&1 | tee {log:q}"
