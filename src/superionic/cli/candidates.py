"""``superionic candidates``: what was read, and which crystals are worth computing."""

from pathlib import Path
from typing import Annotated

import typer

from superionic import defaults
from superionic.cli.campaigns import EXIT_SOME_FAILED, campaign_asked
from superionic.cli.console import echo
from superionic.cli.options import (
    CampaignFile,
    CrystalPaths,
    EveryCopy,
    FilterFile,
    JsonFile,
    MobileIons,
    Orderings,
)

_MOST_REASONS = 20


def candidates(
    context: typer.Context,
    paths: CrystalPaths = None,
    campaign: CampaignFile = None,
    mobile: MobileIons = defaults.MOBILE,
    filters: FilterFile = None,
    orderings: Orderings = defaults.N_ORDERINGS,
    every_copy: EveryCopy = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write the candidates as JSON lines, for 'screen'."),
    ] = None,
    reasons: Annotated[
        bool, typer.Option("--reasons", help="Say of each crystal that was left out why.")
    ] = False,
    show: Annotated[
        int, typer.Option("--show", min=0, help="Crystals of which is shown what was read.")
    ] = 50,
    json_file: JsonFile = None,
) -> None:
    """Show what was read, filter crystals, join those that are the same; nothing is computed.

    Of each crystal: space group, atoms, the shortest distances of the mobile ion to the other
    elements in A, and below the table what was changed. In the file of --out a crystal that has
    several names carries them all, so that its result is linked to each. Exit code 3 says that some
    crystals could not be used.
    """
    import json
    from dataclasses import asdict

    from superionic.errors import InputError
    from superionic.report.tables.text_table import text_table
    from superionic.structures.description import Description, describe
    from superionic.workflows.campaign.selection import select, write_candidates

    wanted = campaign_asked(context, None)
    makers = wanted.makers(defaults.POTENTIAL)
    ions = [maker.mobile_species for maker in makers]
    settings = makers[0].prepare_maker.settings
    selections = select(wanted, makers)
    if out is not None:
        write_candidates(selections, out)
    described: list[Description] = []
    refused: list[InputError] = []
    left = 0
    for ion, chosen in zip(ions, selections, strict=True):
        refused += chosen.unreadable
        duplicates = chosen.duplicates()
        for candidate in chosen.candidates:
            if candidate.material_id in duplicates:
                continue
            if json_file is None and len(described) >= show:
                left += 1
                continue
            try:
                described.append(describe(candidate, ion, settings))
            except InputError as error:
                refused.append(error)
    to_stdout = str(json_file) == "-"
    together = {
        "candidates": [asdict(one) for one in described],
        "refused": [error.to_dict() for error in refused],
        "passed_over": [text for chosen in selections for text in chosen.passed_over],
    }
    if to_stdout:
        echo(json.dumps(together, indent=2))
    elif json_file is not None:
        json_file.write_text(json.dumps(together, indent=2) + "\n")
    left += len(described[show:])
    if shown := described[:show]:
        columns = [("id", False), ("formula", False), ("space group", False), ("atoms", True)]
        rows = [
            (one.material_id, one.formula, one.spacegroup, str(one.n_atoms), one.ion_and_distances)
            for one in shown
        ]
        echo(text_table([*columns, ("mobile ion to (A)", False)], rows), err=to_stdout)
    for one in shown:
        for text in one.changes:
            echo(f"{one.material_id}: {text}", err=to_stdout)
    if left and show:
        echo(f"... and {left} more (--show, --json)", err=to_stdout)
    n_reasons = len(refused) if reasons else _MOST_REASONS
    for reason in refused[:n_reasons]:
        echo(str(reason), err=to_stdout)
    if refused[n_reasons:]:
        echo(f"... and {len(refused[n_reasons:])} more (--reasons)", err=to_stdout)
    for ion, chosen in zip(ions, selections, strict=True):
        if reasons:
            for name, why in chosen.reasons.items():
                echo(f"{name}: {why}", err=to_stdout)
            for name, same in chosen.duplicates().items():
                echo(f"{name}: the same as {same}", err=to_stdout)
        if len(ions) > 1:
            echo(f"Mobile {ion}", err=to_stdout)
        for line in chosen.lines():
            echo(line, err=to_stdout)
    if n_refused := len(refused) - sum(len(chosen.unreadable) for chosen in selections):
        echo(f"{-n_refused:6} of them cannot be made calculable", err=to_stdout)
    if refused:
        raise typer.Exit(EXIT_SOME_FAILED)
