"""``superionic validate``: molecular dynamics at several temperatures confirms the best."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from superionic import defaults
from superionic.cli.campaign_file import campaign_of_flow
from superionic.cli.console import echo
from superionic.cli.options import DatabaseURI, JsonFile, Mobile, Policy, Potential

if TYPE_CHECKING:
    from superionic.workflows.makers.validate import ValidateMaker

EXIT_SOME_FAILED = 3
EXIT_INTERRUPTED = 130


def validate(
    context: typer.Context,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            exists=True,
            help="Files and folders of crystals; without them, those of the screening collection.",
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option("--top", "-n", min=1, help="As many of the best by the policy."),
    ] = None,
    policy: Policy = defaults.POLICY,
    ids: Annotated[
        list[str] | None,
        typer.Option("--id", help="Identifier of a material; may be given several times."),
    ] = None,
    campaign: Annotated[
        Path | None,
        typer.Option(
            "--campaign",
            exists=True,
            dir_okay=False,
            help="A YAML file that says which crystals and which settings; instead of paths and "
            "the options of the runs. --potential and --mobile go before it.",
        ),
    ] = None,
    potential: Potential = None,
    mobile: Mobile = defaults.MOBILE,
    temperatures: Annotated[
        str, typer.Option("--temperatures", "-T", help="Temperatures in K.")
    ] = "500,600,700,800,1000",
    length: Annotated[
        float, typer.Option("--length", min=0.1, help="Longest production at each, in ps.")
    ] = 30.0,
    engine: Annotated[
        str, typer.Option("--engine", help="What runs the dynamics: ase or vasp.")
    ] = "ase",
    calculator: Annotated[
        str | None,
        typer.Option(
            "--calculator",
            help="What gives the forces, where it is not the potential: a potential or "
            'ase:package.module.Calculator?{"setting": 1}.',
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of velocities and thermostat.")] = 0,
    database: DatabaseURI = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", "-w", min=1, help="Worker processes.", show_default="cores"),
    ] = None,
    collect: Annotated[
        bool, typer.Option("--collect", help="Compute nothing; show and export what is there.")
    ] = False,
    write: Annotated[
        Path | None,
        typer.Option(
            "--write", dir_okay=False, help="Page whose tables are replaced (docs/validation.md)."
        ),
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Confirm candidates by molecular dynamics at several temperatures.

    Each gets its conductivities with errors, activation energy, conductivity at 300 K with an
    interval, and a verdict, which the screening collection shows, too. The same command goes on
    where it was stopped. Exit code 3 says that some crystals could not be computed.
    """
    from superionic.report.tables.page import write_page
    from superionic.report.tables.ranking import failures_table
    from superionic.report.tables.validation import (
        WRITTEN_BY,
        validation_table,
        validations_json,
        validations_markdown,
        verdict_counts,
    )
    from superionic.settings import get_settings
    from superionic.workflows.campaign.progress import ConsoleReporter
    from superionic.workflows.campaign.selection import SelectionSettings
    from superionic.workflows.campaign.validating import Best, validate_materials
    from superionic.workflows.makers.validate import ValidateMaker

    if paths and campaign:
        raise typer.BadParameter("Name crystals or a campaign file, not both.")
    if not (paths or campaign or top or ids):
        raise typer.BadParameter("Name crystals, a campaign file, --top or --id.")
    if top and ids:
        raise typer.BadParameter("--top and --id exclude each other.")
    settings = get_settings()
    if database is not None:
        settings = settings.model_copy(update={"database_uri": database})
    selection = SelectionSettings()
    crystals = paths or []
    if campaign is not None:
        crystals, maker, selection = campaign_of_flow(
            campaign,
            context,
            "validate",
            ValidateMaker,
            refused=("temperatures", "length", "engine", "calculator", "seed"),
            potential=potential,
            mobile=mobile,
        )
    else:
        maker = _maker(
            potential or settings.potential, mobile, temperatures, length, engine, calculator, seed
        )
    best = Best(top or 0, policy, tuple(ids or ())) if top or ids else None
    with ConsoleReporter() as reporter:
        try:
            result = validate_materials(
                maker,
                settings,
                reporter,
                paths=crystals,
                best=best,
                n_workers=workers or settings.workers,
                prefer_uri=database is not None,
                selection=selection,
                run=not collect,
            )
        except KeyboardInterrupt:
            reporter.say("Stopped. What is finished is kept; the same command goes on from here.")
            raise typer.Exit(EXIT_INTERRUPTED) from None
        reporter.selected(result.selection)
        counts = verdict_counts(result.documents)
        verdicts = ", ".join(f"{count} {name}" for name, count in counts.items())
        reporter.say(
            f"{len(result.documents)} of {result.n_planned} materials judged"
            + (f": {verdicts}." if verdicts else ".")
        )
    to_stdout = json_file is not None and str(json_file) == "-"
    if json_file is not None and not to_stdout:
        json_file.write_text(validations_json(result.documents) + "\n")
    if write is not None:
        write_page(write, validations_markdown(result.documents), WRITTEN_BY)
    show = validations_json if to_stdout else validation_table
    echo(show(result.documents))
    if result.failures:
        echo(failures_table(result.failures), err=to_stdout)
        raise typer.Exit(EXIT_SOME_FAILED)


def _maker(
    potential: str,
    mobile: str,
    temperatures: str,
    length_ps: float,
    engine: str,
    calculator: str | None,
    seed: int,
) -> "ValidateMaker":
    """Return the Maker that the options describe."""
    from superionic.structures.species import parse_mobile_species
    from superionic.workflows.jobs.engines.ase import AseEngine
    from superionic.workflows.jobs.validation import SupercellMaker
    from superionic.workflows.makers.validate import ValidateMaker

    try:
        values = tuple(float(part) for part in temperatures.replace(",", " ").split())
    except ValueError:
        raise typer.BadParameter(
            f"{temperatures!r} is not a list of numbers.", param_hint="--temperatures"
        ) from None
    if calculator is not None and engine != "ase":
        raise typer.BadParameter("--calculator is for the engine ase.", param_hint="--calculator")
    return ValidateMaker(
        mobile_species=parse_mobile_species(mobile).element,
        potential=potential,
        temperatures_K=values,
        seed=seed,
        supercell_maker=SupercellMaker(production_ps=length_ps),
        engine=AseEngine(potential=calculator) if calculator else engine,
    )
