"""``superionic build``: bring the screening collection up to date."""

from typing import TYPE_CHECKING, Annotated

import typer

from superionic.cli.console import EXIT_INTERRUPTED, echo
from superionic.cli.options import DatabaseURI, settings_with

if TYPE_CHECKING:
    from superionic.store.builders.build import BuildReport

MOST_NAMED = 20
"""Rows that are named; of more there is the number."""


def build(
    watch: Annotated[bool, typer.Option("--watch", help="Go on until Ctrl-C.")] = False,
    interval: Annotated[
        float, typer.Option(help="Seconds between builds with --watch.", min=1)
    ] = 60.0,
    full_every: Annotated[
        float, typer.Option(help="Seconds after which --watch looks at everything again.", min=1)
    ] = 3600.0,
    processes: Annotated[
        int, typer.Option("--processes", "-n", min=1, help="Processes that write rows.")
    ] = 1,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune",
            help="Remove rows whose documents are all gone, and rank anew; and arrays that no "
            "document names, as jobs that ran again leave them.",
        ),
    ] = False,
    database: DatabaseURI = None,
) -> None:
    """Bring the screening collection up to date with the results of finished jobs.

    Only rows whose runs have changed are built; several builders may be started at once.
    """
    from pymongo.errors import PyMongoError

    from superionic.errors import DatabaseError
    from superionic.store.builders.build import build_screening, watch_screening
    from superionic.store.database.stores import resolve_database

    with resolve_database(settings_with(database), prefer_uri=database is not None) as opened:
        try:
            if watch:
                watch_screening(
                    opened,
                    interval_s=interval,
                    full_every_s=full_every,
                    n_processes=processes,
                    prune=prune,
                    say=_say,
                )
            else:
                _say(build_screening(opened, n_processes=processes, prune=prune), always=True)
        except KeyboardInterrupt:
            echo("Stopped. Rows that were written stay.", err=True)
            raise typer.Exit(EXIT_INTERRUPTED) from None
        except PyMongoError as error:
            raise DatabaseError(
                f"The database {opened.description} went away ({type(error).__name__}).",
                hint="Run the same command again; rows that were written stay.",
            ) from None


def _say(report: "BuildReport", always: bool = False) -> None:
    if report.busy:
        echo("Another builder is at work; nothing done.")
    elif report.n_rows or always:
        echo(f"{report.n_rows} rows written.")
    if report.orphans:
        named = ", ".join(report.orphans[:MOST_NAMED])
        more = len(report.orphans) - MOST_NAMED
        what = "were removed" if report.pruned else "stay; 'superionic build --prune' removes them"
        echo(
            f"{len(report.orphans)} rows without any document {what}: {named}"
            + (f" and {more} more." if more > 0 else ".")
        )
    if report.arrays.identifiers:
        echo(
            f"{len(report.arrays.identifiers)} arrays that no document names "
            f"({report.arrays.n_bytes / 1e6:.1f} MB) were removed."
        )
