"""``superionic submit``: a campaign into the launchpad."""

from pathlib import Path
from typing import Annotated, Any

import typer

from superionic import defaults
from superionic.cli.campaign_file import campaign_with, given
from superionic.cli.cluster_options import LaunchpadFile, settings_with
from superionic.cli.console import echo
from superionic.cli.counting import counting
from superionic.cli.options import Adaptive, DatabaseURI, Learned, MinWidth, Mobile, Potential, Step

EXIT_SOME_UNREADABLE = 3
_SHOWN = 10
_SETTINGS = {
    "step": "landscape_maker.settings.grid_step_A",
    "adaptive": "landscape_maker.settings.adaptive",
    "learned": "landscape_maker.settings.learned",
    "min_width": "prepare_maker.settings.supercell_min_width_A",
}
"""Options that are settings of the flow's Maker, as a campaign file names them."""


def submit(
    context: typer.Context,
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Files and folders of crystals.", show_default=False)
    ] = None,
    campaign: Annotated[
        Path | None,
        typer.Option(
            "--campaign", "-c", help="Campaign file (YAML); options go before what it says."
        ),
    ] = None,
    flow: Annotated[str, typer.Option("--flow", help="screen, label, predict or validate.")] = (
        "screen"
    ),
    potential: Potential = None,
    mobile: Mobile = defaults.MOBILE,
    step: Step = defaults.GRID_STEP_A,
    adaptive: Adaptive = False,
    learned: Learned = False,
    min_width: MinWidth = None,
    priority: Annotated[int, typer.Option(help="Higher runs first.")] = 0,
    orderings: Annotated[
        int,
        typer.Option(
            "--orderings", min=1, help="Orderings of each disordered crystal that are computed."
        ),
    ] = 1,
    every_copy: Annotated[
        bool,
        typer.Option(
            "--every-copy", help="Compute crystals again that are the same as another one."
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count and estimate only.")] = False,
    launchpad: LaunchpadFile = None,
    database: DatabaseURI = None,
) -> None:
    """Submit a small workflow for each material to the FireWorks launchpad.

    A material that is finished, or in the launchpad, with the same settings is not submitted again.
    Of several that are the same crystal one is submitted, and 'build' writes a row for each. Exit
    code 3 says that some crystals could not be read.
    """
    from pymongo.errors import PyMongoError

    from superionic.cluster.estimate import estimate_time_s
    from superionic.cluster.identity import potentials_of
    from superionic.cluster.same import candidates_of, find_same, selector_of
    from superionic.cluster.site import open_site
    from superionic.cluster.submit import Submission
    from superionic.cluster.submit import submit as submit_found
    from superionic.errors import DatabaseError
    from superionic.landscape.settings import AdaptiveSettings, LearnedSettings
    from superionic.potentials.registry import load_potential
    from superionic.store.builders.names import record_names
    from superionic.workflows.campaign.definition import Campaign
    from superionic.workflows.makers.table import flow_kind

    if bool(paths) == (campaign is not None):
        raise typer.BadParameter("Name crystals, or a campaign file with --campaign.")
    options: dict[str, Any] = {
        "mobile": mobile,
        "potential": potential,
        "priority": priority,
        "orderings": orderings,
        "every_copy": every_copy,
    }
    if campaign is not None:
        named = flow if given(context, flow=flow) else None
        wanted = campaign_with(campaign, context, named, **options)
    else:
        flow_kind(flow)
        own = {name: value for name, value in options.items() if name != "mobile"}
        wanted = Campaign(name=flow, flow=flow, crystals=paths or [], mobile_species=mobile, **own)
    chosen = given(context, step=step, adaptive=adaptive, learned=learned, min_width=min_width)
    own_settings = {_SETTINGS[name]: value for name, value in chosen.items()}
    for mode, usual in (("adaptive", AdaptiveSettings()), ("learned", LearnedSettings())):
        if own_settings.get(_SETTINGS[mode]) is True:
            own_settings[_SETTINGS[mode]] = usual
    wanted = wanted.model_copy(update={"settings": wanted.settings | own_settings})
    settings = settings_with(database)
    maker = wanted.maker(settings.potential)
    info = load_potential(maker.potential).info
    potentials = potentials_of(maker)
    with open_site(
        settings, launchpad=launchpad, writing=not dry_run, prefer_uri=database is not None
    ) as site:
        if not dry_run:
            site.launchpad.prepare()
        selector = selector_of(wanted, maker)
        at = (wanted, maker, site.database, site.launchpad, potentials)
        same: dict[str, str] = {}
        try:
            if not wanted.every_copy and wanted.kind.starts_from is None:
                # Which are the same must be known before the first is submitted: a pass of its own.
                with counting() as say:
                    same = find_same(
                        candidates_of(wanted, maker),
                        *at,
                        progress=lambda done, total: say(f"{done} of {total} crystals compared"),
                    )
            if not dry_run:
                record_names(site.database, same, maker.mobile_species)
            with counting() as say:
                done: Submission = submit_found(
                    candidates_of(wanted, maker, selector),
                    *at,
                    duplicates=same,
                    dry_run=dry_run,
                    progress=lambda now: say(f"{now.n_read} read, {now.n_submitted} new"),
                )
        except PyMongoError as error:
            raise DatabaseError(
                f"The launchpad {site.launchpad_spec.description} does not take jobs "
                f"({type(error).__name__}).",
                hint="The same command goes on from where it was stopped.",
            ) from None
        verb = "would be submitted" if dry_run else "submitted"
        echo(f"{done.n_submitted} materials {verb} ({done.n_jobs} jobs).")
        if selector.n_without_ion:
            echo(f"{selector.n_without_ion} do not hold {selector.element}.")
        for label, n_removed in selector.filters.removed:
            echo(f"{n_removed} were removed by {label}.")
        if done.n_duplicates:
            echo(f"{done.n_duplicates} are the same as another, which stands for them.")
        if done.n_finished:
            echo(f"{done.n_finished} are finished already.")
        if done.n_queued:
            echo(f"{done.n_queued} are in the launchpad already.")
        if done.n_failed_before:
            echo(f"{done.n_failed_before} of them have failed: 'superionic rerun'.")
        if dry_run and done.n_submitted and wanted.flow == "screen":  # judged by landscapes
            echo(estimate_time_s(site.database, info, done.work).text)
    for fault in done.unreadable[:_SHOWN]:
        echo(f"Not submitted: {fault}", err=True)
    if len(done.unreadable) > _SHOWN:
        echo(f"... and {len(done.unreadable) - _SHOWN} more.", err=True)
    if done.unreadable:
        raise typer.Exit(EXIT_SOME_UNREADABLE)
