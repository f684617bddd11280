"""One MACE model fitted to labelled frames, by mace's own program."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from solvation import children
from solvation.engines import ENGINES
from solvation.engines.mace import device
from solvation.errors import EngineFailed, EngineMissing
from solvation.potentials.frames import ENERGY, FORCES, write_frames
from solvation.provenance import write_atomically
from solvation.study import Potential

#: Share of the fitted frames by which mace chooses the epoch that is kept; each member draws its own.
VALID_SHARE = 0.1
_OUTPUT = "output.txt"
_TROUBLE = re.compile(r"error|exception|killed|out of memory", re.IGNORECASE)
_LEARNT = re.compile(r"Epoch (\d+): .*RMSE_F=\s*([\d.]+)")


def member_seed(seed: int, potential: str, member: int) -> int:
    """Seed of one member of a committee: it starts its weights, and draws its order of frames."""
    return int(np.random.SeedSequence([seed, member, *potential.encode()]).generate_state(1)[0] >> 1)


def fit(frames: Sequence[Atoms], settings: Potential, seed: int, output: Path) -> dict[str, Any]:
    """Fit one model to those of the frames that are not held out, and write its weights.

    mace runs in a folder beside the weights, which is removed when all went well. After a kill the same call goes on
    from mace's last checkpoint there.

    Parameters
    ----------
    frames
        Labelled frames of all trajectories of the potential.
    output
        File of the weights, .model.

    Returns
    -------
    dict
        `n_fitted`, `epochs`, `device`, and `valid_force_rmse_meV_A` of the last epoch.

    Raises
    ------
    EngineMissing
        mace is not installed.
    EngineFailed
        With mace's last words and the path of its output.
    """
    if (reason := ENGINES["mace"].missing()) is not None:
        raise EngineMissing(f"fitting a potential: {reason}")
    fitted = [atoms for atoms in frames if not atoms.info["held_out"]]
    where = device()
    words = arguments(settings, seed, where)
    scratch = output.parent / f"{output.stem}.fit-{_digest(words, fitted)}"
    scratch.mkdir(parents=True, exist_ok=True)
    write_frames(scratch / "fitted.extxyz", fitted)
    told = scratch / _OUTPUT
    with told.open("w") as stream:
        # The module, not its script: it is the mace of this Python.
        done = children.run([sys.executable, "-m", "mace.cli.run_train", *words], cwd=scratch, stdout=stream)
    weights = scratch / "member.model"
    text = told.read_text(errors="replace")
    if done.returncode or not weights.is_file():
        how = f"was killed by signal {-done.returncode}" if done.returncode < 0 else "failed"
        raise EngineFailed(f"mace {how}: {_last_words(text)} (see {told})")
    write_atomically(output, lambda temporary: _copy(weights, temporary))
    learnt = _LEARNT.findall(text)
    shutil.rmtree(scratch)
    return {
        "n_fitted": len(fitted), "epochs": settings.epochs, "device": where,
        "valid_force_rmse_meV_A": float(learnt[-1][1]) if learnt else None,
    }  # fmt: skip


def arguments(settings: Potential, seed: int, where: str) -> list[str]:
    """Words of the call of mace; all that could change a number stands here."""
    told = {
        "name": "member", "seed": seed, "train_file": "fitted.extxyz", "valid_fraction": VALID_SHARE,
        "energy_key": ENERGY, "forces_key": FORCES, "E0s": "average", "model": "MACE", "r_max": settings.cutoff_A,
        "num_interactions": settings.layers, "num_channels": settings.channels, "max_L": settings.max_L,
        "correlation": settings.correlation, "max_ell": max(2, settings.max_L), "MLP_irreps": "16x0e",
        "radial_MLP": "[32, 32, 32]", "batch_size": settings.batch, "valid_batch_size": settings.batch,
        "max_num_epochs": settings.epochs, "lr": settings.learning_rate, "scheduler": "ExponentialLR",
        "lr_scheduler_gamma": f"{0.01 ** (1 / settings.epochs):.8f}", "ema_decay": 0.99, "default_dtype": "float32",
        "forces_weight": 100, "energy_weight": settings.energy_weight, "device": where, "plot": False,
    }  # fmt: skip
    return [
        *(f"--{key}={value}" for key, value in told.items()),
        "--ema",
        "--amsgrad",
        "--save_cpu",
        "--restart_latest",
    ]


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)


def _digest(words: Sequence[str], frames: Sequence[Atoms]) -> str:
    """What a checkpoint must have been made from to be gone on with."""
    digest = hashlib.sha256(os.fsencode("\n".join(words)))
    for atoms in frames:
        digest.update(atoms.positions.tobytes() + np.asarray(atoms.arrays[FORCES]).tobytes())
    return digest.hexdigest()[:8]


def _last_words(text: str) -> str:
    """Last line of mace's output that names a trouble, or the last one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = [line for line in lines if _TROUBLE.search(line) and "Warning" not in line]
    return (told or lines or ["it said nothing"])[-1][-300:]
