"""``superionic train``: the force network, from labels to a calibrated ensemble."""

from pathlib import Path
from typing import Annotated

import typer

from superionic.cli.console import EXIT_INTERRUPTED, echo
from superionic.cli.options import JsonFile


def train(
    labels: Annotated[
        list[Path] | None,
        typer.Argument(
            exists=True, dir_okay=False, help="Labels that 'superionic label --export' wrote."
        ),
    ] = None,
    campaign: Annotated[
        Path | None,
        typer.Option(
            "--campaign",
            "-c",
            exists=True,
            dir_okay=False,
            help="A YAML file that names labels and settings, in place of LABELS.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder of the results.",
            show_default="train/NAME OF THE FILE, in the data directory",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", "-w", min=1, help="Processes.", show_default="cores"),
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Train a force network on your labels, and say how good it is.

    Crystals are shaken, networks are trained in cross-validation, and an ensemble is trained on all
    labels. Whatever ends the command, the same command goes on where it was. Results: summary.json,
    table.md and force_network.pt, which 'superionic predict' reads.
    """
    if (campaign is None) == (not labels):
        raise typer.BadParameter("Name files of labels, or a file with --campaign.")
    from superionic.cli.bars import TrainingProgress
    from superionic.files import made_private
    from superionic.processes import usable_cores
    from superionic.settings import get_settings

    require_network_extra()
    from superionic.network.train import SUMMARY_FILE, TABLE_FILE, TrainSettings, read_train_file
    from superionic.network.train import train as run

    settings = get_settings()
    if campaign is not None:
        asked, name = read_train_file(campaign), campaign.stem
    else:
        assert labels, "checked above"
        data = tuple(str(file.resolve()) for file in labels)
        asked, name = TrainSettings(data, settings.potential), labels[0].stem
    directory = out or settings.data_dir / "train" / name
    with TrainingProgress() as reporter:
        try:
            result = run(
                asked,
                directory,
                made_private(settings.data_dir) / "shakes",
                reporter,
                n_workers=workers or settings.workers or usable_cores(),
                device=settings.device,
            )
        except KeyboardInterrupt:
            reporter.say("Stopped. What is finished is kept; the same command goes on from here.")
            raise typer.Exit(EXIT_INTERRUPTED) from None
    tables = (result.directory / TABLE_FILE).read_text()
    summary = (result.directory / SUMMARY_FILE).read_text()
    to_stdout = json_file is not None and str(json_file) == "-"
    if json_file is not None and not to_stdout:
        json_file.write_text(summary)
    echo(summary if to_stdout else tables)
    echo(f"Results are in {result.directory}.", err=True)


def require_network_extra() -> None:
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
