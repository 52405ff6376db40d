"""``superionic rerun``: run failed jobs again."""

from typing import Annotated

import typer

from superionic.cli.cluster_options import LaunchpadFile, settings_with
from superionic.cli.console import echo
from superionic.cli.options import DatabaseURI


def rerun(
    cause: Annotated[
        list[str] | None,
        typer.Option("--cause", help="Failures of this cause only (as 'superionic status' says)."),
    ] = None,
    lost: Annotated[
        bool, typer.Option("--lost", help="Jobs whose processes died too often.")
    ] = False,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Every material from its first job, finished ones included."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count only.")] = False,
    launchpad: LaunchpadFile = None,
    database: DatabaseURI = None,
) -> None:
    """Run failed jobs again: all, those of a cause, or, with --all, everything.

    Jobs whose worker is gone are not failed but lost: run 'superionic recover' first.
    """
    from superionic.cluster.repair import all_first_jobs, failed_jobs
    from superionic.cluster.repair import rerun as rerun_jobs
    from superionic.cluster.site import open_site

    if everything and (cause or lost):
        raise typer.BadParameter("--all takes everything: name neither --cause nor --lost.")
    causes = [*(cause or []), *(["worker_died"] if lost else [])]
    with open_site(
        settings_with(database),
        launchpad=launchpad,
        writing=not dry_run,
        prefer_uri=database is not None,
        require_launchpad=True,
    ) as site:
        fw_ids = (
            all_first_jobs(site.launchpad) if everything else failed_jobs(site.launchpad, causes)
        )
        n_rerun = len(fw_ids) if dry_run else rerun_jobs(site.launchpad, fw_ids)
    echo(f"{n_rerun} jobs {'would' if dry_run else 'will'} run again.")
