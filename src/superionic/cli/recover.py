"""``superionic rerun`` and ``recover``: failed jobs, and what dead workers left behind."""

from typing import Annotated

import typer

from superionic.cli.console import echo
from superionic.cli.options import (
    DatabaseURI,
    LaunchpadFile,
    SpoolDirectory,
    settings_with,
    spool_directory,
)


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


def recover(
    settle: Annotated[
        float,
        typer.Option(
            help="Locks and reservations without a known owner are stale when nothing changes for "
            "this many seconds.",
            min=0,
        ),
    ] = 10.0,
    expiration: Annotated[
        float | None,
        typer.Option(
            help="A job on another machine is lost after this many seconds of silence. Default: "
            "four of its own signs of life; for plain rlaunch, RUN_EXPIRATION_SECS.",
            min=0,
            show_default=False,
        ),
    ] = None,
    spool: SpoolDirectory = None,
    launchpad: LaunchpadFile = None,
    database: DatabaseURI = None,
) -> None:
    """Send results that are on disk, hand lost jobs back, take stale locks and reservations away.

    It may be run at any time, also while workers work.
    """
    from superionic.cluster.recovery import recover as recover_all
    from superionic.cluster.site import open_site
    from superionic.cluster.spool import Spool

    settings = settings_with(database)
    kept = Spool(spool_directory(settings, spool))
    with open_site(
        settings, launchpad=launchpad, prefer_uri=database is not None, require_launchpad=True
    ) as site:
        found = recover_all(
            site.database,
            site.launchpad,
            kept,
            settle_s=settle,
            expiration_s=expiration,
        )
    lines = (
        (found.results_sent, "results were on disk and have been sent"),
        (found.handed_back, "lost jobs are ready to run again"),
        (found.released, "jobs were reserved by dead processes and are ready"),
        (found.unlocked, "workflows had stale locks"),
        (found.refreshed, "jobs had ended without their workflow knowing"),
        (
            found.results_doubled,
            "jobs had been given to another process before their first result came; it does not "
            f"count, and is kept in {kept.directory} (*.doubled) until you remove it",
        ),
    )
    for fw_ids, text in lines:
        if fw_ids:
            echo(f"{len(fw_ids)} {text}: {', '.join(map(str, fw_ids))}")
    if found.submissions:
        echo(f"{found.submissions} half-submitted materials were removed; submit them again.")
    if found.results_refused:
        echo(f"{found.results_refused} results on disk cannot be sent (*.refused).")
    if not found:
        echo("Nothing to put right.")
