"""``superionic report``: one HTML file about a campaign, to be sent."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from superionic import defaults
from superionic.cli.console import echo
from superionic.cli.options import DatabaseURI, Policy, writable

if TYPE_CHECKING:
    from superionic.report.html.scope import Scope


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

    from superionic.cli.bars import counting
    from superionic.cluster.status import launchpad_failures
    from superionic.report.documents import MaterialDocuments
    from superionic.report.html.content import gather, read_stored
    from superionic.report.html.page import write_report
    from superionic.report.tables.labels import read_data_sets
    from superionic.settings import get_settings
    from superionic.store.collection.query import opened

    scope = None if campaign is None else read_scope(campaign, get_settings().potential)
    known = read_data_sets(labels or [])
    with opened(database) as found, counting() as say:
        content = gather(
            read_stored(found, scope, policy, launchpad_failures),
            lambda row: MaterialDocuments(row, found),
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
    if content.problems:
        echo(f"{len(content.problems)} things could not be shown; the report lists them.")


def read_scope(file: Path, default_potential: str) -> "Scope":
    """Read the crystals of a campaign file and filter them, as the campaign itself does.

    Parameters
    ----------
    file : Path
        The campaign file.
    default_potential : str
        Potential where the file names none.

    Raises
    ------
    SettingsError
        When the file is wrong.
    UnreadableFileError
        When its paths hold no crystal and no broken file either.
    """
    from superionic.errors import SuperionicError
    from superionic.potentials.registry import parse_spec
    from superionic.report.html.scope import Scope
    from superionic.workflows.campaign.definition import read_campaign
    from superionic.workflows.campaign.selection import select

    campaign = read_campaign(file)
    maker = campaign.maker(default_potential)
    (chosen,) = select(campaign, [maker])
    keys = {}
    for candidate in chosen.candidates:
        try:
            keys[candidate.material_id] = maker.key(candidate)
        except SuperionicError:  # a potential that is not installed here: rows still tell
            break
    spec = parse_spec(maker.potential)
    return Scope(
        name=campaign.name,
        flow=campaign.flow,
        file=file.name,
        mobile_species=maker.mobile_species,
        potential=f"{spec.family}:{spec.name}",
        selection=chosen,
        keys=keys,
        part=campaign.kind.part or "landscape",
    )
