"""``superionic label``: from crystals to diffusion coefficients, by molecular dynamics."""

from pathlib import Path
from typing import Annotated

import typer

from superionic import defaults
from superionic.cli.campaign_file import campaign_of_flow
from superionic.cli.console import echo
from superionic.cli.options import DatabaseURI, JsonFile, Mobile, Potential

EXIT_SOME_FAILED = 3
EXIT_INTERRUPTED = 130


def label(
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
            help="A YAML file that says which crystals and which settings; instead of paths and "
            "the options of the run. --potential and --mobile go before it.",
        ),
    ] = None,
    potential: Potential = None,
    mobile: Mobile = defaults.MOBILE,
    temperature: Annotated[
        float, typer.Option("--temperature", "-T", min=1.0, help="Temperature in K.")
    ] = defaults.TEMPERATURE_K,
    length: Annotated[
        float, typer.Option("--length", min=0.1, help="Longest production in ps.")
    ] = defaults.LENGTH_ps,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of velocities and thermostat.")] = (
        defaults.SEED
    ),
    database: DatabaseURI = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", "-w", min=1, help="Worker processes.", show_default="cores"),
    ] = None,
    known: Annotated[
        list[Path] | None,
        typer.Option(
            "--known",
            exists=True,
            dir_okay=False,
            help="Labels that were exported before: their crystals are not computed again, if key "
            "and weights are the same.",
        ),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(
            "--export",
            help="Write the labels as JSON lines, with structures and MSD curves, and as CSV "
            "beside it; it may be the file of --known.",
        ),
    ] = None,
    collect: Annotated[
        bool, typer.Option("--collect", help="Compute nothing; show and export what is there.")
    ] = False,
    json_file: JsonFile = None,
) -> None:
    """Label crystals with the diffusion of an ion, by molecular dynamics.

    Results are kept in the database and trajectories in the data directory: the same command goes
    on where it was stopped, in the middle of a run, too, and computes nothing twice. Exit code 3
    says that some crystals could not be computed.
    """
    from superionic.api.makers import label_maker
    from superionic.report.tables.labels import (
        label_table,
        labels_json,
        read_data_set,
        summary,
        write_data_set,
    )
    from superionic.report.tables.ranking import failures_table
    from superionic.settings import get_settings
    from superionic.workflows.campaign.labelling import label_paths
    from superionic.workflows.campaign.progress import ConsoleReporter
    from superionic.workflows.campaign.selection import SelectionSettings
    from superionic.workflows.makers.label import LabelMaker

    if bool(paths) == bool(campaign):
        raise typer.BadParameter("Name crystals, or a campaign file with --campaign.")
    settings = get_settings()
    if database is not None:
        settings = settings.model_copy(update={"database_uri": database})
    selection = SelectionSettings()
    if campaign is not None:
        crystals, maker, selection = campaign_of_flow(
            campaign,
            context,
            "label",
            LabelMaker,
            refused=("temperature", "length", "seed"),
            potential=potential,
            mobile=mobile,
        )
    else:
        crystals = paths or []
        maker = label_maker(
            mobile, potential, temperature_K=temperature, length_ps=length, seed=seed
        )
    published = [row for file in known or [] for row in read_data_set(file)]
    with ConsoleReporter() as reporter:
        try:
            result = label_paths(
                crystals,
                maker,
                settings,
                reporter,
                n_workers=workers or settings.workers,
                prefer_uri=database is not None,
                selection=selection,
                known=published,
                run=not collect,
            )
        except KeyboardInterrupt:
            reporter.say("Stopped. What is finished is kept; the same command goes on from here.")
            raise typer.Exit(EXIT_INTERRUPTED) from None
        reporter.selected(result.selection)
        verdicts = ", ".join(f"{count} {name}" for name, count in summary(result.rows).items())
        reporter.say(
            f"{len(result.rows)} of {result.n_planned} crystals labelled"
            + (f": {verdicts}." if verdicts else ".")
        )
    if export is not None:
        write_data_set({row.task_key: row for row in [*published, *result.rows]}.values(), export)
    to_stdout = json_file is not None and str(json_file) == "-"
    if json_file is not None and not to_stdout:
        json_file.write_text(labels_json(result.rows) + "\n")
    echo(labels_json(result.rows) if to_stdout else label_table(result.rows))
    if result.failures:
        echo(failures_table(result.failures), err=to_stdout)
        raise typer.Exit(EXIT_SOME_FAILED)
