"""`solvation fit-pairs`: short-range terms of an ion with its donors, from our own DFT."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def fit_pairs(
    ion: Annotated[str, typer.Argument(help="Bare ion of structures/ions.yaml, e.g. Li+.")],
    donor: Annotated[list[str], typer.Option(help="Ligand that is drawn out, name or SMILES; repeat for others.")],
    output: Annotated[Path, typer.Option(help="File to write, .json; structures/pairs/Li.json is the one in use.")],
    frame: Annotated[str, typer.Option(help="Ligand of which three more hold the ion.")] = "C=O",
    level: Annotated[str, typer.Option(help="Level of the interaction energies.")] = "r2scan-3c",
    charges: Annotated[str, typer.Option(help="Level of the potential that charges fit.")] = "hf/6-31g*",
    conformers: Annotated[int, typer.Option(min=1, help="Conformers that charges are fitted to, at most.")] = 3,
    charge_scale: Annotated[float, typer.Option(min=0.4, max=1.0, help="Factor of the ion's charge.")] = 0.8,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random number.")] = 2023,
) -> None:
    """Fit repulsion and attraction of an ion with each donor to scans of DFT; some minutes for each donor."""
    from solvation.cli.bind import parse_level, parse_ligand
    from solvation.engines import check_level
    from solvation.errors import SpeciesError, StudyError
    from solvation.liquids.forcefield import parametrise
    from solvation.liquids.ion_pairs import fit_pairs as fit
    from solvation.liquids.ion_pairs import interaction_eV, path_out
    from solvation.progress import say
    from solvation.provenance import Stopwatch, record, write_json
    from solvation.species import build_molecule

    if output.suffix != ".json" or output.is_dir():
        raise StudyError(f"--output {output}: name a .json file, which is written at the end")
    watch, judge, potential = Stopwatch(), parse_level("--level", level), parse_level("--charges", charges)
    for asked in (judge, potential):
        check_level(asked)
    names = [parse_ligand(text)[:2] for text in (ion, frame, *donor)]
    molecules = {name: build_molecule(name, species) for name, species in names}
    centre, around, *ligands = (molecules[name] for name, _ in names)
    for molecule in (around, *ligands):
        if molecule.charge or not molecule.donors:
            raise SpeciesError(f"{molecule.name}: is charged or has no donor; name neutral ligands")
    if not centre.is_ion:
        raise SpeciesError(f"{centre.name}: is no bare ion; name one such as Li+")
    parameters = {
        name: parametrise(molecule, level=potential, conformers=conformers, seed=seed, with_pairs=False)
        for name, molecule in molecules.items()
    }
    paths, computed = [], []
    for ligand in ligands:
        paths.append(path_out(centre, around, ligand, seed=seed))
        computed.append(interaction_eV(paths[-1], judge))
    found = fit(
        paths, computed, parameters, charge_scale=charge_scale, ion=centre.name, level=judge,
        charges=f"RESP at {potential}, at most {conformers} conformers",
    )  # fmt: skip
    for scan in found.scans:
        repulsion, attraction = found.terms[scan.kind]
        say(f"{ion} with {scan.kind} of {scan.donor}: {repulsion:.6g} kJ/mol Å8, {attraction:.6g} kJ/mol Å6")
    say(
        f"left over: {found.rms_eV:.3f} eV; one sphere for all donors: {found.one_sphere_rms_eV:.3f} eV; "
        f"published: {found.published_rms_eV:.3f} eV"
    )
    card = {"ion": ion, "donors": donor, "frame": frame, "level": level, "charges": charges, "conformers": conformers,
            "charge_scale": charge_scale, "seed": seed}  # fmt: skip
    head = record(step="fit-pairs", card=card, inputs=[], stopwatch=watch, seed=seed)
    write_json(output, {**head, "result": found.model_dump(mode="json")})


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command("fit-pairs")(fit_pairs)
