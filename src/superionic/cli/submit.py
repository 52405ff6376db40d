"""``superionic submit``: a campaign into the launchpad."""

from typing import Annotated

import typer

from superionic import defaults
from superionic.cli.bars import counting
from superionic.cli.campaigns import EXIT_SOME_FAILED, campaign_asked, given
from superionic.cli.compute import TEMPERATURES
from superionic.cli.console import echo
from superionic.cli.options import (
    Adaptive,
    Calculator,
    CampaignFile,
    Carrier,
    CrystalPaths,
    DatabaseURI,
    Engine,
    EveryCopy,
    ExclusionRadius,
    FilterFile,
    Ids,
    LaunchpadFile,
    Learned,
    Length,
    MaxEnergies,
    MinWidth,
    MobileIons,
    Network,
    Orderings,
    Policy,
    Potential,
    Relax,
    RelaxFirst,
    Seed,
    Shakes,
    Step,
    Temperature,
    Top,
    settings_with,
)

_SHOWN = 10


def submit(
    context: typer.Context,
    paths: CrystalPaths = None,
    campaign: CampaignFile = None,
    flow: Annotated[
        str,
        typer.Option("--flow", help="screen, label, predict, validate, refine or your own."),
    ] = "screen",
    top: Top = None,
    policy: Policy = defaults.POLICY,
    ids: Ids = None,
    potential: Potential = None,
    mobile: MobileIons = defaults.MOBILE,
    step: Step = defaults.GRID_STEP_A,
    adaptive: Adaptive = False,
    learned: Learned = defaults.LEARNED,
    max_energies: MaxEnergies = None,
    min_width: MinWidth = None,
    exclusion_radius: ExclusionRadius = None,
    carrier: Carrier = None,
    relax: RelaxFirst = Relax.auto,
    temperature: Temperature = defaults.TEMPERATURE_K,
    temperatures: Annotated[
        str, typer.Option("--temperatures", help="Temperatures of a validation in K.")
    ] = TEMPERATURES,
    length: Length = defaults.LENGTH_ps,
    seed: Seed = defaults.SEED,
    network: Network = None,
    shakes: Shakes = None,
    engine: Engine = "ase",
    calculator: Calculator = None,
    prior: Annotated[
        str | None,
        typer.Option(
            "--prior", help="The potential whose landscapes are refined.", show_default=False
        ),
    ] = None,
    filters: FilterFile = None,
    orderings: Orderings = defaults.N_ORDERINGS,
    every_copy: EveryCopy = False,
    priority: Annotated[int, typer.Option(help="Higher runs first.")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count and estimate only.")] = False,
    launchpad: LaunchpadFile = None,
    database: DatabaseURI = None,
) -> None:
    """Submit a small workflow for each material to the FireWorks launchpad.

    A material that is finished, or in the launchpad, with the same settings is not submitted again.
    Of several that are the same crystal one is submitted, and 'build' writes a row for each.
    Options belong to flows as those of their commands do. Exit code 3 says that some crystals could
    not be read.
    """
    from pymongo.errors import PyMongoError

    from superionic.cluster.site import open_site
    from superionic.cluster.submit import submit as submit_campaign
    from superionic.errors import DatabaseError
    from superionic.potentials.registry import load_potential
    from superionic.workflows.campaign.forecast import estimate_time_s

    named = None if campaign is not None and "flow" not in given(context) else flow
    wanted = campaign_asked(context, named)
    settings = settings_with(database)
    info = load_potential(wanted.makers(settings.potential)[0].potential).info
    with open_site(
        settings, launchpad=launchpad, writing=not dry_run, prefer_uri=database is not None
    ) as site:
        if not dry_run:
            site.launchpad.prepare()
        try:
            with counting() as say:
                done = submit_campaign(
                    wanted, site, settings.potential, dry_run=dry_run, progress=say
                )
        except PyMongoError as error:
            raise DatabaseError(
                f"The launchpad {site.launchpad_spec.description} does not take jobs "
                f"({type(error).__name__}).",
                hint="The same command goes on from where it was stopped.",
            ) from None
        for line in done.lines(dry_run=dry_run):
            echo(line)
        if dry_run and done.n_submitted and wanted.kind.work_tells_time:
            echo(estimate_time_s(site.database, info, done.work).text)
    for fault in done.unreadable[:_SHOWN]:
        echo(f"Not submitted: {fault}", err=True)
    if len(done.unreadable) > _SHOWN:
        echo(f"... and {len(done.unreadable) - _SHOWN} more.", err=True)
    if done.unreadable:
        raise typer.Exit(EXIT_SOME_FAILED)
