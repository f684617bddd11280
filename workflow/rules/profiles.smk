"""Profiles: a molecule that is led to the ion of a box and away again, and what that costs in free energy."""


rule window:
    """One window of a walk; it starts where the one before ended."""
    input:
        begin=input_box,
        start=input_window,
    output:
        f"{RESULTS}/profiles/{{profile}}/window_{{window}}.npz",
    log:
        f"{LOGS}/window/{{profile}}_{{window}}.log",
    priority: longest_first("window")
    threads: threads_window
    resources:
        mem_mb=memory("umbrella"),
        runtime=minutes("umbrella"),
    params:
        card=card_profile,
        box=folder_box,
    shell:
        "solvation umbrella --card {params.card:q} --window {wildcards.window} --box {params.box:q}"
        " --begin {input.begin:q} --start {input.start:q} --output {output:q} 2>&1 | tee {log:q}"


rule profile:
    """Free energy of one more molecule at the ion, with its curve and the shells on the way."""
    input:
        begin=input_box,
        windows=input_windows,
    output:
        f"{RESULTS}/profiles/{{profile}}/profiles.csv",
        f"{RESULTS}/profiles/{{profile}}/profile_curves.csv",
        f"{RESULTS}/profiles/{{profile}}/profile_shells.csv",
    log:
        f"{LOGS}/profile/{{profile}}.log",
    priority: longest_first("profile")
    resources:
        mem_mb=memory("profile"),
        runtime=minutes("profile"),
    params:
        card=card_free_energy,
        box=folder_box,
        folder=f"{RESULTS}/profiles/{{profile}}",
    shell:
        "solvation profile --card {params.card:q} --box {params.box:q} --begin {input.begin:q}"
        " --output {params.folder:q} {input.windows:q} 2>&1 | tee {log:q}"
