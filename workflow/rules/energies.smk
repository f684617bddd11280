"""Energies of free species and binding energies of clusters, one file for each level of theory."""


rule reference:
    """Energy of one free species at one level."""
    input:
        f"{RESULTS}/ligands/{{species}}.extxyz",
    output:
        f"{RESULTS}/energies/references/{{species}}/{{level}}.json",
    log:
        f"{LOGS}/reference/{{species}}_{{level}}.log",
    priority: longest_first("reference")
    threads: threads_level
    resources:
        mem_mb=memory("reference"),
        runtime=minutes("reference"),
        gpu=gpu_level,
        licences=licences_level,
    params:
        card=card_reference,
    shell:
        "solvation reference --card {params.card:q} --output {output:q} {input:q} 2>&1 | tee {log:q}"


rule binding:
    """Binding energies of the lowest structure of one cluster at one level, in all definitions."""
    input:
        ensemble=f"{RESULTS}/clusters/{{cluster}}/ensemble.extxyz",
        references=input_references,
    output:
        f"{RESULTS}/energies/{{cluster}}/{{level}}.json",
    log:
        f"{LOGS}/binding/{{cluster}}_{{level}}.log",
    priority: longest_first("binding")
    threads: threads_level
    resources:
        mem_mb=memory("binding"),
        runtime=minutes("binding"),
        gpu=gpu_level,
        licences=licences_level,
    params:
        card=card_binding,
    shell:
        "solvation binding --card {params.card:q} --ensemble {input.ensemble:q} --output {output:q}"
        " {input.references:q} 2>&1 | tee {log:q}"


rule counterpoise:
    """Basis set superposition of the same structure: every fragment in the basis of the whole."""
    input:
        ensemble=f"{RESULTS}/clusters/{{cluster}}/ensemble.extxyz",
        binding=f"{RESULTS}/energies/{{cluster}}/{{level}}.json",
    output:
        f"{RESULTS}/energies/{{cluster}}/counterpoise/{{level}}.json",
    log:
        f"{LOGS}/counterpoise/{{cluster}}_{{level}}.log",
    priority: longest_first("counterpoise")
    threads: threads_level
    resources:
        mem_mb=memory("counterpoise"),
        runtime=minutes("counterpoise"),
        gpu=gpu_level,
        licences=licences_level,
    params:
        card=card_counterpoise,
    shell:
        "solvation counterpoise --card {params.card:q} --ensemble {input.ensemble:q} --output {output:q}"
        " {input.binding:q} 2>&1 | tee {log:q}"


rule thermochemistry:
    """Free energy of binding: normal modes of the same structures."""
    input:
        ensemble=f"{RESULTS}/clusters/{{cluster}}/ensemble.extxyz",
        binding=f"{RESULTS}/energies/{{cluster}}/{{level}}.json",
        references=input_references,
        conformers=input_conformers,
    output:
        f"{RESULTS}/energies/{{cluster}}/thermochemistry/{{level}}.json",
    log:
        f"{LOGS}/thermochemistry/{{cluster}}_{{level}}.log",
    priority: longest_first("thermochemistry")
    threads: threads_modes
    resources:
        mem_mb=memory("thermochemistry"),
        runtime=minutes("thermochemistry"),
        gpu=gpu_ligand,
        licences=licences_ligand,
    params:
        card=card_thermochemistry,
    shell:
        "solvation thermochemistry --card {params.card:q} --ensemble {input.ensemble:q} --binding {input.binding:q}"
        " --output {output:q} {input.references:q} {input.conformers:q} 2>&1 | tee {log:q}"


ruleorder: reference > binding
