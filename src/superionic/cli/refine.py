"""``superionic refine``: a second opinion on landscapes that are in the database."""

from pathlib import Path
from typing import Annotated

import typer

from superionic import defaults
from superionic.cli.campaigns import EXIT_INTERRUPTED, EXIT_SOME_FAILED
from superionic.cli.console import echo
from superionic.cli.options import DatabaseURI, JsonFile, Mobile, Policy


def refine(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            exists=True,
            help="Files and folders of crystals that were screened; without them, the rows of the "
            "screening collection.",
        ),
    ] = None,
    potential: Annotated[
        str | None,
        typer.Option(
            "--potential",
            "-p",
            help="The second potential: sevennet, matgl:FOLDER, ase:package.module.Calculator.",
            show_default=False,
        ),
    ] = None,
    prior: Annotated[
        str | None,
        typer.Option(
            "--prior",
            help="The first potential, whose landscapes are refined.",
            show_default="that of the settings: chgnet",
        ),
    ] = None,
    top: Annotated[
        int | None, typer.Option("--top", "-n", min=1, help="As many of the best by the policy.")
    ] = None,
    policy: Policy = defaults.POLICY,
    ids: Annotated[
        list[str] | None,
        typer.Option("--id", help="Identifier of a material; may be given several times."),
    ] = None,
    mobile: Mobile = defaults.MOBILE,
    max_energies: Annotated[
        int | None,
        typer.Option(
            "--max-energies",
            min=1,
            help="Energies of one crystal at the most.",
            show_default="30",
        ),
    ] = None,
    engine: Annotated[
        str,
        typer.Option(
            "--engine",
            help="potential: all energies of a crystal in one job. ase, vasp: each energy is a job "
            "of its own, as for density functional theory.",
        ),
    ] = "potential",
    database: DatabaseURI = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", "-w", min=1, help="Worker processes.", show_default="cores"),
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Refine landscapes with a second potential, from some thirty energies each.

    Landscapes of a first potential are in the database: the difference to them is learned. The
    second potential gets rows of its own, with a 95 % interval for every number; 'explain' shows
    all potentials side by side. Nothing is computed twice. Exit code 3 says that some materials
    could not be refined.
    """
    from superionic.report.tables.potentials import refinement_table
    from superionic.report.tables.ranking import failures_table, ranking_json
    from superionic.settings import get_settings
    from superionic.workflows.campaign.definition import Best
    from superionic.workflows.campaign.progress import ConsoleReporter
    from superionic.workflows.campaign.refining import refine_maker, refine_materials

    if not (paths or top or ids):
        raise typer.BadParameter("Name crystals, --top or --id.")
    if top and ids:
        raise typer.BadParameter("--top and --id exclude each other.")
    settings = get_settings()
    if database is not None:
        settings = settings.model_copy(update={"database_uri": database})
    maker = refine_maker(mobile, potential, prior=prior, max_energies=max_energies, engine=engine)
    best = Best(top=top or 0, policy=policy, ids=tuple(ids or ()))
    with ConsoleReporter() as reporter:
        try:
            result = refine_materials(
                maker,
                settings,
                reporter,
                paths=paths or [],
                best=best,
                n_workers=workers or settings.workers,
                prefer_uri=database is not None,
            )
        except KeyboardInterrupt:
            reporter.say("Stopped. What is finished is kept; the same command goes on from here.")
            raise typer.Exit(EXIT_INTERRUPTED) from None
    to_stdout = json_file is not None and str(json_file) == "-"
    if json_file is not None and not to_stdout:
        json_file.write_text(ranking_json(result.rows, policy) + "\n")
    echo(
        ranking_json(result.rows, policy)
        if to_stdout
        else refinement_table(result.rows, result.priors)
    )
    if result.failures:
        echo(failures_table(result.failures), err=to_stdout)
        raise typer.Exit(EXIT_SOME_FAILED)
