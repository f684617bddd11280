"""Trajectories: packed, run in segments that resume, and analysed; or the user's own, analysed."""


rule parameters:
    """Classical force field of one species."""
    input:
        input_own_forcefield,
        input_species,
    output:
        f"{RESULTS}/parameters/{{species}}.json",
    log:
        f"{LOGS}/parameters/{{species}}.log",
    priority: longest_first("parameters")
    resources:
        mem_mb=memory("parameters"),
        runtime=minutes("parameters"),
    params:
        card=card_parameters,
    shell:
        "solvation parameters --card {params.card:q} --output {output:q} 2>&1 | tee {log:q}"


rule pack:
    """A packed droplet or box at rest or in equilibrium, with its topology and its donors named."""
    input:
        parameters=input_parameters,
        start=input_cut,
        weights=input_weights,
        molecules=input_molecules,
    output:
        start=f"{RESULTS}/trajectories/{{trajectory}}/start.npz",
        topology=f"{RESULTS}/trajectories/{{trajectory}}/topology.pdb",
        donors=f"{RESULTS}/trajectories/{{trajectory}}/donors.json",
    log:
        f"{LOGS}/pack/{{trajectory}}.log",
    priority: longest_first("pack")
    threads: threads_dynamics
    resources:
        mem_mb=memory("pack"),
        runtime=minutes("pack"),
    params:
        card=card_dynamics,
        folder=f"{RESULTS}/trajectories/{{trajectory}}",
        files=lambda wildcards, input: [
            *(f"--parameters={path}" for path in input.parameters),
            *(f"--start={path}" for path in input.start),
            *(f"--weights={path}" for path in input.weights),
        ],
    shell:
        "solvation pack --card {params.card:q} --output {params.folder:q} {params.files:q} 2>&1 | tee {log:q}"


rule segment:
    """One segment of molecular dynamics; it starts where the one before ended."""
    input:
        start=input_segment,
        weights=input_weights,
    output:
        f"{RESULTS}/trajectories/{{trajectory}}/segment_{{segment}}.npz",
    log:
        f"{LOGS}/segment/{{trajectory}}_{{segment}}.log",
    priority: longest_first("segment")
    threads: threads_dynamics
    resources:
        mem_mb=memory("md"),
        runtime=minutes("md"),
    params:
        card=card_dynamics,
        weights=lambda wildcards, input: [f"--weights={path}" for path in input.weights],
    shell:
        "solvation md --card {params.card:q} --segment {wildcards.segment} --start {input.start:q} --output {output:q}"
        " {params.weights:q} 2>&1 | tee {log:q}"


rule join:
    """All segments as one trajectory."""
    input:
        topology=f"{RESULTS}/trajectories/{{trajectory}}/topology.pdb",
        segments=input_segments,
        weights=input_weights,
    output:
        f"{RESULTS}/trajectories/{{trajectory}}/trajectory.xtc",
    log:
        f"{LOGS}/join/{{trajectory}}.log",
    priority: longest_first("join")
    resources:
        mem_mb=memory("join"),
        runtime=minutes("join"),
    params:
        card=card_dynamics,
        folder=f"{RESULTS}/trajectories/{{trajectory}}",
        weights=lambda wildcards, input: [f"--weights={path}" for path in input.weights],
    shell:
        "solvation join --card {params.card:q} --output {params.folder:q} {params.weights:q} {input.segments:q}"
        " 2>&1 | tee {log:q}"


rule liquid:
    """Curves, coordination numbers, shells, clusters and residence times of one trajectory."""
    input:
        input_frames,
    output:
        f"{RESULTS}/trajectories/{{trajectory}}/rdf.csv",
        f"{RESULTS}/trajectories/{{trajectory}}/coordination.csv",
        f"{RESULTS}/trajectories/{{trajectory}}/speciation.csv",
        f"{RESULTS}/trajectories/{{trajectory}}/networks.csv",
        f"{RESULTS}/trajectories/{{trajectory}}/residence.csv",
        f"{RESULTS}/trajectories/{{trajectory}}/survival.csv",
        f"{RESULTS}/trajectories/{{trajectory}}/transitions.csv",
    log:
        f"{LOGS}/liquid/{{trajectory}}.log",
    priority: longest_first("liquid")
    resources:
        mem_mb=memory("liquid"),
        runtime=minutes("liquid"),
    params:
        card=card_analysis,
        folder=f"{RESULTS}/trajectories/{{trajectory}}",
    shell:
        "solvation liquid --card {params.card:q} --output {params.folder:q} {input:q} 2>&1 | tee {log:q}"


rule patterns:
    """Angles at the ion and structure factors of one trajectory, as diffraction sees them."""
    input:
        frames=input_frames,
        shells=f"{RESULTS}/trajectories/{{trajectory}}/coordination.csv",
    output:
        f"{RESULTS}/trajectories/{{trajectory}}/angles.csv",
        f"{RESULTS}/trajectories/{{trajectory}}/structure_factor.csv",
    log:
        f"{LOGS}/patterns/{{trajectory}}.log",
    priority: longest_first("patterns")
    resources:
        mem_mb=memory("patterns"),
        runtime=minutes("patterns"),
    params:
        card=card_patterns,
        folder=f"{RESULTS}/trajectories/{{trajectory}}",
    shell:
        "solvation liquid-patterns --card {params.card:q} --coordination {input.shells:q} --output {params.folder:q}"
        " {input.frames:q} 2>&1 | tee {log:q}"


rule transport:
    """Diffusion and conductivity of one trajectory, or why its frames cannot tell them."""
    input:
        input_frames,
    output:
        f"{RESULTS}/trajectories/{{trajectory}}/transport.csv",
        f"{RESULTS}/trajectories/{{trajectory}}/msd.csv",
    log:
        f"{LOGS}/transport/{{trajectory}}.log",
    priority: longest_first("transport")
    resources:
        mem_mb=memory("transport"),
        runtime=minutes("transport"),
    params:
        card=card_transport,
        folder=f"{RESULTS}/trajectories/{{trajectory}}",
    shell:
        "solvation liquid-transport --card {params.card:q} --output {params.folder:q} {input:q} 2>&1 | tee {log:q}"
