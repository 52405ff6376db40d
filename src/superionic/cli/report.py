"""``superionic report``: one HTML file about a campaign, to be sent."""

from pathlib import Path
from typing import Annotated

import typer

from superionic import defaults
from superionic.cli.console import echo
from superionic.cli.options import DatabaseURI, Policy, writable


def report(
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The HTML file.", callback=writable)
    ] = Path("report.html"),
    campaign: Annotated[
        Path | None,
        typer.Option(
            "--campaign",
            "-c",
            exists=True,
            dir_okay=False,
            help="Campaign file (YAML): the report is about its crystals, and says what was "
            "filtered and what is still to be done; without it, about all rows.",
        ),
    ] = None,
    labels: Annotated[
        list[Path] | None,
        typer.Option(
            "--labels",
            exists=True,
            dir_okay=False,
            help="Labels that 'superionic label --export' wrote (.jsonl), for materials that have "
            "none in the database; of several runs of one crystal the longest counts.",
        ),
    ] = None,
    policy: Policy = defaults.POLICY,
    top: Annotated[
        int,
        typer.Option(
            "--top", "-n", min=0, help="Materials with figures and details, of each ranking."
        ),
    ] = 10,
    database: DatabaseURI = None,
) -> None:
    """Write a report of a campaign: one HTML file that works without a network.

    It holds a summary with what failed and why, the ranking to sort and filter, distributions, how
    methods agree, and for each of the best materials figures, numbers with errors, warnings and
    what is needed to repeat it. A document that cannot be read is listed and stops nothing.
    """
    from superionic.report.html.page import require_packages

    require_packages()  # before anything is read

    from superionic.cli.counting import counting
    from superionic.report.html.content import gather_from
    from superionic.report.html.page import write_report
    from superionic.report.html.scope import read_scope
    from superionic.report.tables.labels import read_data_sets
    from superionic.settings import get_settings
    from superionic.store.collection.query import opened

    scope = None if campaign is None else read_scope(campaign, get_settings().potential)
    known = read_data_sets(labels or [])
    with opened(database) as found, counting() as say:
        content = gather_from(
            found,
            scope=scope,
            labels=known,
            policy=policy,
            top=top,
            progress=lambda done, total: say(f"{done} of {total} materials drawn"),
        )
    size = write_report(content, out)
    echo(
        f"{out}: {len(content.table.rows)} materials, {len(content.sections)} with figures, "
        f"{size / 1e6:.1f} MB."
    )
    if content.faults:
        echo(f"{len(content.faults)} things could not be shown; the report lists them.")
