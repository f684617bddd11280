"""Machine-learned potentials: frames of trajectories labelled, models fitted to them and judged by what was held out."""


rule label:
    """Energies and forces of frames of one trajectory, for one potential."""
    input:
        start=f"{RESULTS}/trajectories/{{trajectory}}/start.npz",
        frames=f"{RESULTS}/trajectories/{{trajectory}}/trajectory.xtc",
    output:
        f"{RESULTS}/potentials/{{potential}}/frames/{{trajectory}}.extxyz",
    log:
        f"{LOGS}/label/{{potential}}_{{trajectory}}.log",
    priority: longest_first("label")
    threads: threads_label
    resources:
        mem_mb=memory("label"),
        runtime=minutes("label"),
        gpu=gpu_label,
        licences=licences_label,
    params:
        card=card_label,
    shell:
        "solvation label --card {params.card:q} --start {input.start:q} --frames {input.frames:q} --output {output:q}"
        " 2>&1 | tee {log:q}"


rule label_structures:
    """Energies and forces of structures that are fitted besides frames, such as those at which a run stopped."""
    input:
        input_structures,
    output:
        f"{RESULTS}/potentials/{{potential}}/structures.extxyz",
    log:
        f"{LOGS}/label/{{potential}}.log",
    priority: longest_first("label_structures")
    threads: threads_label
    resources:
        mem_mb=memory("label"),
        runtime=minutes("label"),
        gpu=gpu_label,
        licences=licences_label,
    params:
        card=card_structures,
    shell:
        "solvation label --card {params.card:q} --frames {input:q} --output {output:q} 2>&1 | tee {log:q}"


rule fit:
    """One model of the committee of a potential."""
    input:
        input_labelled,
    output:
        f"{RESULTS}/potentials/{{potential}}/member_{{member}}.model",
    log:
        f"{LOGS}/fit/{{potential}}_{{member}}.log",
    priority: longest_first("fit")
    resources:
        mem_mb=memory("fit"),
        runtime=minutes("fit"),
    params:
        card=card_fit,
    shell:
        "solvation fit --card {params.card:q} --output {output:q} {input:q} 2>&1 | tee {log:q}"


rule assess:
    """Errors of a potential on frames that it has not seen, and whether its committee knows them."""
    input:
        frames=input_frames_labelled,
        members=input_members,
    output:
        f"{RESULTS}/potentials/{{potential}}/errors.csv",
    log:
        f"{LOGS}/assess/{{potential}}.log",
    priority: longest_first("assess")
    resources:
        mem_mb=memory("assess"),
        runtime=minutes("assess"),
    params:
        card=card_assess,
        members=lambda wildcards, input: [f"--member={path}" for path in input.members],
    shell:
        "solvation assess --card {params.card:q} {params.members:q} --output {output:q} {input.frames:q}"
        " 2>&1 | tee {log:q}"
