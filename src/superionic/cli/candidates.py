"""``superionic candidates``: from crystals to a list of those that are worth computing."""

from pathlib import Path
from typing import Annotated

import typer

from superionic import defaults
from superionic.cli.console import echo
from superionic.cli.options import Mobile


def candidates(
    paths: Annotated[
        list[Path],
        typer.Argument(exists=True, help="Files and folders, as for 'superionic screen'."),
    ],
    mobile: Mobile = defaults.MOBILE,
    filters: Annotated[
        Path | None,
        typer.Option("--filters", help="YAML file with a list 'filters': which crystals go on."),
    ] = None,
    orderings: Annotated[
        int, typer.Option("--orderings", min=1, help="Orderings of each disordered crystal.")
    ] = 1,
    every_copy: Annotated[
        bool, typer.Option("--every-copy", help="Keep crystals that are the same as another one.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write the candidates as JSON lines, for 'screen'."),
    ] = None,
    reasons: Annotated[
        bool, typer.Option("--reasons", help="Say of each crystal that was left out why.")
    ] = False,
) -> None:
    """Filter crystals, join those that are the same, and count; nothing is computed.

    In the written file a crystal that has several names carries them all, so that its result is
    linked to each.
    """
    from superionic.campaign.selection import SelectionSettings, select, write_candidates
    from superionic.structures.duplicates import DuplicateSettings
    from superionic.structures.filters import read_filters
    from superionic.structures.prepare import PrepareSettings

    chosen = select(
        paths,
        mobile,
        PrepareSettings(),
        SelectionSettings(
            filters=tuple(read_filters(filters)) if filters is not None else (),
            n_orderings=orderings,
            duplicates=None if every_copy else DuplicateSettings(),
        ),
    )
    for line in chosen.lines():
        echo(line)
    if reasons:
        for error in chosen.unreadable:
            echo(str(error))
        for name, reason in chosen.reasons.items():
            echo(f"{name}: {reason}")
        for name, same in chosen.duplicates().items():
            echo(f"{name}: the same as {same}")
    if out is not None:
        write_candidates(chosen, out)
