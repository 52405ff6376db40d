"""``superionic screen``: from crystals to a ranked table."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from superionic.cli.options import Adaptive, DatabaseURI, JsonFile, Mobile, Potential, Step

EXIT_SOME_FAILED = 3
EXIT_INTERRUPTED = 130


class Relax(StrEnum):
    """When a crystal is relaxed before its landscape is computed."""

    auto = "auto"
    cell = "cell"
    never = "never"


def screen(
    paths: Annotated[
        list[Path],
        typer.Argument(
            exists=True,
            help="Files and folders: CIF, POSCAR/CONTCAR, extended XYZ, pymatgen JSON, JSON lines.",
        ),
    ],
    potential: Potential = None,
    mobile: Mobile = "Li",
    step: Step = 0.25,
    adaptive: Adaptive = False,
    relax: Annotated[
        Relax,
        typer.Option(
            help="auto: relax positions where a force exceeds 0.5 eV/A; cell: the cell, too."
        ),
    ] = Relax.auto,
    database: DatabaseURI = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", "-w", min=1, help="Worker processes.", show_default="cores"),
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Rank crystals as ionic conductors by their frozen-framework landscape.

    Results are kept in the database: the same command goes on where it was stopped, and computes
    nothing twice. Exit code 3 says that some crystals could not be computed.
    """
    from superionic.campaign.screening import screen_paths
    from superionic.cli.progress import ConsoleReporter
    from superionic.flows.screen import ScreenMaker
    from superionic.jobs.landscape import LandscapeMaker
    from superionic.jobs.relax import RelaxIfNeededMaker
    from superionic.landscape.settings import AdaptiveSettings, LandscapeSettings
    from superionic.report.ranking import failures_table, ranking_json, ranking_table
    from superionic.settings import get_settings
    from superionic.structures.species import parse_mobile_species

    settings = get_settings()
    if database is not None:
        settings = settings.model_copy(update={"database_uri": database})
    maker = ScreenMaker(
        mobile_species=parse_mobile_species(mobile).element,
        potential=potential or settings.potential,
        relax_maker=RelaxIfNeededMaker(
            max_force_eV_per_A=None if relax is Relax.never else 0.5,
            relax_cell=relax is Relax.cell,
        ),
        landscape_maker=LandscapeMaker(
            settings=LandscapeSettings(
                grid_step_A=step, adaptive=AdaptiveSettings() if adaptive else None
            )
        ),
    )
    with ConsoleReporter() as reporter:
        try:
            result = screen_paths(
                paths,
                maker,
                settings,
                reporter,
                n_workers=workers or settings.workers,
                prefer_uri=database is not None,
            )
        except KeyboardInterrupt:
            reporter.say("Stopped. What is finished is kept; the same command goes on from here.")
            raise typer.Exit(EXIT_INTERRUPTED) from None
    to_stdout = json_file is not None and str(json_file) == "-"
    if json_file is not None and not to_stdout:
        json_file.write_text(ranking_json(result.rows) + "\n")
    if to_stdout:
        typer.echo(ranking_json(result.rows))
    else:
        typer.echo(ranking_table(result.rows))
    if result.failures:
        typer.echo(failures_table(result.failures), err=to_stdout)
        raise typer.Exit(EXIT_SOME_FAILED)
