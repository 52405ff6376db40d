"""``superionic worker``: processes that launch the jobs of a launchpad."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from superionic.cli.console import echo
from superionic.cli.options import (
    DatabaseURI,
    LaunchpadFile,
    SpoolDirectory,
    settings_with,
    spool_directory,
)

if TYPE_CHECKING:
    from fireworks.core.fworker import FWorker


def worker(
    processes: Annotated[
        int | None,
        typer.Option("--processes", "-n", min=1, help="Processes.", show_default="cores"),
    ] = None,
    category: Annotated[
        str | None,
        typer.Option(
            "--category", help="Take jobs of these categories only: cpu,gpu,dft. Default: all."
        ),
    ] = None,
    fworker: Annotated[
        Path | None,
        typer.Option(
            "--fworker",
            "-w",
            help="FireWorks' my_fworker.yaml; without it, the one that FireWorks finds.",
            show_default=False,
        ),
    ] = None,
    forever: Annotated[
        bool, typer.Option("--forever", help="Wait for jobs instead of leaving when idle.")
    ] = False,
    idle: Annotated[
        float, typer.Option(help="Leave after this many seconds without a job.", min=0)
    ] = 30.0,
    time_limit: Annotated[
        float | None,
        typer.Option(help="Longest time of a job in s, where its campaign names none.", min=0),
    ] = None,
    memory_limit: Annotated[
        float | None, typer.Option(help="Largest memory of a process in GB.", min=0)
    ] = None,
    grace: Annotated[
        float,
        typer.Option(help="Seconds that jobs have to finish after SIGTERM or Ctrl-C.", min=0),
    ] = 30.0,
    patience: Annotated[
        float, typer.Option(help="Longest outage of the database that is waited for, in s.", min=0)
    ] = 600.0,
    ping: Annotated[float, typer.Option(help="Seconds between signs of life.", min=1)] = 60.0,
    spool: SpoolDirectory = None,
    launchpad: LaunchpadFile = None,
    database: DatabaseURI = None,
) -> None:
    """Launch jobs until none is left.

    Each process loads a potential once. On SIGTERM or Ctrl-C jobs have a while to finish; those
    that do not are handed back. Results are on disk before they are sent.
    """
    from superionic.cluster.process import ProcessSetup
    from superionic.cluster.retry import RetryPolicy
    from superionic.cluster.site import open_site
    from superionic.cluster.worker import Limits, run_worker
    from superionic.processes import threads_per_process, usable_cores

    settings = settings_with(database)
    described = _fworker(fworker)
    categories = tuple(category.split(",")) if category else _categories(described)
    n_processes = processes or settings.workers or usable_cores()
    with open_site(
        settings,
        launchpad=launchpad,
        retry=RetryPolicy(patience),
        prefer_uri=database is not None,
        require_launchpad=True,
    ) as site:
        setup = ProcessSetup(
            database=site.database.spec,
            launchpad=site.launchpad_spec,
            spool=spool_directory(settings, spool),
            name=described.name if described else "superionic worker",
            categories=categories,
            query=described._query if described else None,
            env=described.env if described else None,
            patience_s=patience,
            ping_s=ping,
            idle_s=None if forever else idle,
            n_threads=threads_per_process(n_processes),
        )
        report = run_worker(
            setup,
            site.database,
            site.launchpad,
            n_processes=n_processes,
            limits=Limits(time_limit, memory_limit, grace),
            say=lambda line: echo(line, err=True),
        )
    echo(
        f"{report.n_completed} jobs done, {report.n_failed} failed, {report.n_handed_back} handed "
        f"back, {report.n_deaths} processes died."
    )
    if report.n_failed:
        echo("'superionic status' groups failures by cause.")


def _fworker(path: Path | None) -> "FWorker | None":
    from fireworks.core.fworker import FWorker
    from fireworks.fw_config import FWORKER_LOC

    from superionic.errors import SettingsError
    from superionic.yaml_file import read_yaml

    found = path or (Path(FWORKER_LOC) if FWORKER_LOC else None)
    if found is None:
        return None
    hint = "'superionic init' writes one."
    complaint = f"{found} cannot be read as a FireWorker file"
    content = read_yaml(found, complaint, hint)
    try:
        return FWorker.from_dict(content)
    except Exception as error:
        raise SettingsError(f"{complaint} ({type(error).__name__}).", hint=hint) from None


def _categories(fworker: "FWorker | None") -> tuple[str, ...]:
    if fworker is None or not fworker.category:
        return ()
    return (fworker.category,) if isinstance(fworker.category, str) else tuple(fworker.category)
