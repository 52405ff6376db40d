"""``superionic train``: the force network, from labels to a compared and calibrated ensemble."""

from pathlib import Path
from typing import Annotated

import typer

from superionic.cli.console import echo
from superionic.cli.options import JsonFile

EXIT_INTERRUPTED = 130


def train(
    campaign: Annotated[
        Path,
        typer.Option(
            "--campaign",
            exists=True,
            dir_okay=False,
            help="A YAML file that names labels, settings, and what is compared.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder of the results.",
            show_default="NAME OF THE FILE, in the data directory",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", "-w", min=1, help="Processes.", show_default="cores"),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="Run this variant beside the main network, and no other."),
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option(
            "--write",
            dir_okay=False,
            help="Page whose tables are replaced (docs/force_network.md).",
        ),
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Train the force network and compare it with others and with controls.

    Crystals are shaken, networks are trained in cross-validation, and an ensemble is trained on all
    labels. Whatever ends the command, the same command goes on where it was. Results: summary.json,
    table.md and force_network.pt, which 'superionic predict' reads.
    """
    from superionic.cli.study_progress import StudyProgress
    from superionic.cores import usable_cores
    from superionic.directories import made_private
    from superionic.report.tables.page import write_page
    from superionic.settings import get_settings

    _require_network_extra()
    from superionic.network.run_study import SUMMARY_FILE, TABLE_FILE, run_study
    from superionic.network.study_settings import read_study

    study = read_study(campaign)
    settings = get_settings()
    directory = out or settings.data_dir / "train" / campaign.stem
    with StudyProgress() as reporter:
        try:
            result = run_study(
                study,
                directory,
                made_private(settings.data_dir) / "shakes",
                reporter,
                n_workers=workers or settings.workers or usable_cores(),
                only=only or (),
                device=settings.device,
            )
        except KeyboardInterrupt:
            reporter.say("Stopped. What is finished is kept; the same command goes on from here.")
            raise typer.Exit(EXIT_INTERRUPTED) from None
    tables = (result.directory / TABLE_FILE).read_text()
    if write is not None:
        write_page(write, tables, "superionic train")
    summary = (result.directory / SUMMARY_FILE).read_text()
    to_stdout = json_file is not None and str(json_file) == "-"
    if json_file is not None and not to_stdout:
        json_file.write_text(summary)
    echo(summary if to_stdout else tables)
    echo(f"Results are in {result.directory}.", err=True)


def _require_network_extra() -> None:
    """Say what is missing before hours of work.

    Raises
    ------
    NetworkError
        When a package of the extra ``network`` is not installed.
    """
    from importlib.util import find_spec

    from superionic.errors import NetworkError

    missing = [name for name in ("lightning", "sklearn") if find_spec(name) is None]
    if missing:
        raise NetworkError(
            f"Training needs {', '.join(missing)}, which this installation does not have.",
            hint='Install it: pip install "superionic[network]"',
        )
