"""``superionic predict``: diffusion from a handful of force evaluations, by the force network."""

from pathlib import Path
from typing import Annotated

import typer

from superionic import defaults
from superionic.cli.campaign_file import campaign_of_flow
from superionic.cli.console import echo
from superionic.cli.options import DatabaseURI, JsonFile, Mobile, Potential, Relax

EXIT_SOME_FAILED = 3
EXIT_INTERRUPTED = 130


def predict(
    context: typer.Context,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            exists=True,
            help="Files and folders: CIF, POSCAR/CONTCAR, extended XYZ, pymatgen JSON, JSON lines.",
        ),
    ] = None,
    campaign: Annotated[
        Path | None,
        typer.Option(
            "--campaign",
            exists=True,
            dir_okay=False,
            help="A YAML file that says which crystals and which settings; instead of paths. "
            "Options go before what it says.",
        ),
    ] = None,
    network: Annotated[
        Path | None,
        typer.Option(
            "--network",
            help="A network that 'superionic train' wrote.",
            show_default="the one that comes with the package",
        ),
    ] = None,
    shakes: Annotated[
        int | None,
        typer.Option(
            "--shakes",
            min=1,
            help="Shakes of each crystal, a force evaluation each.",
            show_default="as the network was trained",
        ),
    ] = None,
    relax: Annotated[
        Relax | None,
        typer.Option(
            "--relax",
            help="auto: relax positions where a force exceeds 0.1 eV/A; cell: the cell, too; "
            "never: shake crystals as they come, most of the cost saved.",
            show_default="auto",
        ),
    ] = None,
    potential: Potential = None,
    mobile: Mobile = defaults.MOBILE,
    database: DatabaseURI = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", "-w", min=1, help="Worker processes.", show_default="cores"),
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Predict the diffusion of an ion at 1000 K from how crystals answer to being shaken.

    For each crystal: log10 of the slope of the mean squared displacement in A^2/ps, its 95 %
    interval, the spreads over shakes and networks, and flags that say when not to believe it.
    Results are kept in the database: the same command goes on where it was stopped, and another
    network reads the shakes that are there. Exit code 3 says that some crystals could not be
    computed.
    """
    from dataclasses import replace

    from superionic.api.makers import predict_maker
    from superionic.report.tables.predictions import prediction_table, predictions_json
    from superionic.report.tables.ranking import failures_table
    from superionic.settings import get_settings
    from superionic.workflows.campaign.predicting import predict_paths
    from superionic.workflows.campaign.progress import ConsoleReporter
    from superionic.workflows.campaign.selection import SelectionSettings
    from superionic.workflows.jobs.relax import relax_before_forces
    from superionic.workflows.makers.predict import PredictMaker

    if bool(paths) == bool(campaign):
        raise typer.BadParameter("Name crystals, or a campaign file with --campaign.")
    settings = get_settings()
    if database is not None:
        settings = settings.model_copy(update={"database_uri": database})
    crystals, selection = paths or [], SelectionSettings()
    if campaign is not None:
        crystals, maker, selection = campaign_of_flow(
            campaign, context, "predict", PredictMaker, potential=potential, mobile=mobile
        )
    else:
        maker = predict_maker(mobile, potential)
    if network is not None:
        maker = replace(maker, network=str(network))
    if shakes is not None:
        maker = replace(maker, n_shakes=shakes)
    if relax is not None:
        maker = replace(maker, relax_maker=relax_before_forces(relax.value))
    with ConsoleReporter() as reporter:
        try:
            result = predict_paths(
                crystals,
                maker,
                settings,
                reporter,
                n_workers=workers or settings.workers,
                prefer_uri=database is not None,
                selection=selection,
            )
        except KeyboardInterrupt:
            reporter.say("Stopped. What is finished is kept; the same command goes on from here.")
            raise typer.Exit(EXIT_INTERRUPTED) from None
        reporter.selected(result.selection)
        again = f", {result.n_shakes_found} from shakes that were there" * bool(
            result.n_shakes_found
        )
        reporter.say(
            f"Predictions for {len(result.documents)} of {result.n_planned} crystals; "
            f"{result.n_computed} computed now{again}."
        )
    to_stdout = json_file is not None and str(json_file) == "-"
    if json_file is not None and not to_stdout:
        json_file.write_text(predictions_json(result.documents) + "\n")
    show = predictions_json if to_stdout else prediction_table
    echo(show(result.documents))
    if result.failures:
        echo(failures_table(result.failures), err=to_stdout)
        raise typer.Exit(EXIT_SOME_FAILED)
