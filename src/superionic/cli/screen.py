"""``superionic screen``: from crystals to a ranked table."""

from pathlib import Path
from typing import Annotated

import typer

from superionic import defaults
from superionic.cli.console import echo
from superionic.cli.options import (
    Adaptive,
    DatabaseURI,
    ExclusionRadius,
    JsonFile,
    Learned,
    MaxEnergies,
    MinWidth,
    Policy,
    Potential,
    Relax,
    Step,
)

EXIT_SOME_FAILED = 3
EXIT_INTERRUPTED = 130


def screen(
    paths: Annotated[
        list[Path],
        typer.Argument(
            exists=True,
            help="Files and folders: CIF, POSCAR/CONTCAR, extended XYZ, pymatgen JSON, JSON lines.",
        ),
    ],
    potential: Potential = None,
    mobile: Annotated[
        str,
        typer.Option(
            "--mobile",
            "-m",
            help="The mobile ion, such as Li, Na+, Ag or F-. Several, joined by commas, give a "
            "ranking each, of the crystals that hold it.",
        ),
    ] = defaults.MOBILE,
    policy: Policy = defaults.POLICY,
    step: Step = defaults.GRID_STEP_A,
    adaptive: Adaptive = False,
    learned: Learned = False,
    max_energies: MaxEnergies = None,
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
    filters: Annotated[
        Path | None,
        typer.Option("--filters", help="YAML file with a list 'filters': which crystals go on."),
    ] = None,
    orderings: Annotated[
        int,
        typer.Option(
            "--orderings", min=1, help="Orderings of each disordered crystal that are computed."
        ),
    ] = defaults.N_ORDERINGS,
    every_copy: Annotated[
        bool,
        typer.Option(
            "--every-copy", help="Compute crystals again that are the same as another one."
        ),
    ] = False,
    min_width: MinWidth = None,
    exclusion_radius: ExclusionRadius = None,
    json_file: JsonFile = None,
) -> None:
    """Rank crystals as ionic conductors by their frozen-framework landscape.

    Results are kept in the database: the same command goes on where it was stopped, and computes
    nothing twice. Exit code 3 says that some crystals could not be computed.
    """
    from superionic.api.makers import screen_maker, selection
    from superionic.report.tables.orderings import orderings_table
    from superionic.report.tables.ranking import (
        failures_table,
        ranking_json,
        ranking_of,
        ranking_table,
    )
    from superionic.settings import get_settings
    from superionic.structures.species import parse_mobile_species
    from superionic.workflows.campaign.progress import ConsoleReporter
    from superionic.workflows.campaign.screening import screen_selection
    from superionic.workflows.campaign.selection import select_ions

    settings = get_settings()
    if database is not None:
        settings = settings.model_copy(update={"database_uri": database})
    ions = [parse_mobile_species(name) for name in mobile.split(",")]
    makers = [
        screen_maker(
            str(ion),
            potential,
            step_A=step,
            adaptive=adaptive,
            learned=learned,
            max_energies=max_energies,
            relax=relax.value,
            min_width_A=min_width,
            radius_A=exclusion_radius,
        )
        for ion in ions
    ]
    selections = select_ions(
        paths,
        [maker.mobile_species for maker in makers],
        makers[0].prepare_maker.settings,
        selection(filters=filters, orderings=orderings, every_copy=every_copy),
    )
    rows, failures, stopped = [], [], False
    for maker, chosen in zip(makers, selections, strict=True):
        with ConsoleReporter() as reporter:
            reporter.selected(chosen)
            try:
                result = screen_selection(
                    chosen,
                    maker,
                    settings,
                    reporter,
                    n_workers=workers or settings.workers,
                    prefer_uri=database is not None,
                    policy=policy,
                )
            except KeyboardInterrupt:
                reporter.say(
                    "Stopped. What is finished is kept; the same command goes on from here."
                )
                stopped = True
                break
        rows.append(result.rows)
        failures += result.failures
    if stopped and not rows:
        raise typer.Exit(EXIT_INTERRUPTED)
    to_stdout = json_file is not None and str(json_file) == "-"
    together = ranking_json([row for group in rows for row in group], policy)
    if json_file is not None and not to_stdout:
        json_file.write_text(together + "\n")
    if to_stdout:
        echo(together)
    else:
        for ion, group in zip(ions, rows, strict=False):  # Ctrl-C may have ended it before
            if len(ions) > 1:
                echo(f"\nMobile {ion}")
            echo(ranking_table(group, policy))
            if group:
                echo(f"Ranking of {ranking_of(group[0])}, by {policy}.", err=True)
            if any(row.orderings for row in group):
                echo(orderings_table(group))
    if failures:
        echo(failures_table(failures), err=to_stdout)
    if stopped or failures:
        raise typer.Exit(EXIT_INTERRUPTED if stopped else EXIT_SOME_FAILED)
