"""The study of a file: python -m studies.force_network --campaign FILE."""

from pathlib import Path
from typing import Annotated

import typer

from superionic.cli.app import main
from superionic.cli.console import EXIT_INTERRUPTED, echo
from superionic.cli.options import JsonFile
from superionic.cli.train import require_network_extra

app = typer.Typer(add_completion=False)


@app.command()
def study(
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
    from superionic.cli.bars import TrainingProgress
    from superionic.files import made_private
    from superionic.processes import usable_cores
    from superionic.report.tables.text_table import write_page
    from superionic.settings import get_settings

    require_network_extra()
    from studies.force_network.run import run_study
    from studies.force_network.settings import read_study
    from superionic.network.train import SUMMARY_FILE, TABLE_FILE

    asked = read_study(campaign)
    settings = get_settings()
    directory = out or settings.data_dir / "train" / campaign.stem
    with TrainingProgress() as reporter:
        try:
            result = run_study(
                asked,
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
        write_page(write, tables, "studies.force_network")
    summary = (result.directory / SUMMARY_FILE).read_text()
    to_stdout = json_file is not None and str(json_file) == "-"
    if json_file is not None and not to_stdout:
        json_file.write_text(summary)
    echo(summary if to_stdout else tables)
    echo(f"Results are in {result.directory}.", err=True)


if __name__ == "__main__":
    main(app)
