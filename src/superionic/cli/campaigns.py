"""What the commands for many crystals share: the campaign that is asked for, and its run."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from superionic.cli.console import EXIT_INTERRUPTED, echo, importing, note

if TYPE_CHECKING:
    from superionic.workflows.campaign.definition import Campaign
    from superionic.workflows.campaign.local import CampaignResult

EXIT_SOME_FAILED = 3
OPTIONS = {
    "step": "step_A",
    "learned": "learned",
    "max_energies": "max_energies",
    "min_width": "min_width_A",
    "exclusion_radius": "radius_A",
    "carrier": "carrier",
    "relax": "relax",
    "temperature": "temperature_K",
    "length": "length_ps",
    "seed": "seed",
    "network": "network",
    "shakes": "n_shakes",
    "temperatures": "temperatures_K",
    "engine": "engine",
    "calculator": "calculator",
    "prior": "prior",
}
"""Parameters of commands that are options of a flow, and their names there."""
FIELDS = {
    "mobile": "mobile_species",
    "potential": "potential",
    "orderings": "orderings",
    "every_copy": "every_copy",
    "priority": "priority",
}
"""Parameters of commands that are fields of a campaign."""


def given(context: typer.Context) -> dict[str, Any]:
    """Return the parameters that were given on the command line, by their names."""
    found = {}
    for name, value in context.params.items():
        source = context.get_parameter_source(name)
        if source is not None and not source.name.startswith("DEFAULT"):
            found[name] = value
    return found


def campaign_asked(context: typer.Context, flow: str | None) -> "Campaign":
    """Return the campaign that a command line asks for; options go before what its file says.

    Parameters
    ----------
    context : typer.Context
        Of the command, whose parameters have the names of :data:`OPTIONS` and :data:`FIELDS`.
    flow : str or None
        The flow that the command runs; None takes that of the file.

    Raises
    ------
    BadParameter
        When crystals are named in two ways or none, or the flow has no such option.
    SettingsError
        When the file is wrong, or of another flow.
    """
    from superionic.errors import SettingsError
    from superionic.structures.filters import read_filters
    from superionic.workflows.campaign.definition import campaign_of, read_campaign

    options = given(context)
    file, paths = options.get("campaign"), options.get("paths")
    best = _best(context, options, flow)
    if file is not None and paths:
        raise typer.BadParameter("Name crystals, or a campaign file with --campaign; not both.")
    if not (file or paths or best):
        ways = ", --top or --id" if "top" in context.params else ""
        raise typer.BadParameter(f"Name crystals, or a campaign file with --campaign{ways}.")
    fields = {FIELDS[name]: value for name, value in options.items() if name in FIELDS}
    if best is not None:
        fields["best"] = best
    if "filters" in options:
        fields["filters"] = read_filters(options["filters"])
    if file is not None:
        wanted = read_campaign(file)
        if flow is not None and wanted.flow != flow:
            raise SettingsError(
                f"The campaign file {file} is of the flow '{wanted.flow}'.",
                hint=f"Write 'flow: {flow}', or use the command of that flow.",
            )
        wanted = wanted.model_copy(update=fields)
    else:
        name = flow or "screen"  # which crystals are candidates does not depend on it
        wanted = campaign_of({"name": name, "flow": name, "crystals": paths or [], **fields})
    known = wanted.kind.option_names()
    for name in options:
        if name in OPTIONS and OPTIONS[name] not in known:
            raise typer.BadParameter(
                f"The flow '{wanted.flow}' has no such option.",
                param_hint=f"--{name.replace('_', '-')}",
            )
    own = {OPTIONS[name]: _plain(value) for name, value in options.items() if name in OPTIONS}
    return wanted.model_copy(update={"options": wanted.options | own})


def _best(context: typer.Context, options: dict[str, Any], flow: str | None) -> Any:
    from superionic.workflows.campaign.definition import Best
    from superionic.workflows.makers.table import flow_kind

    top, ids = options.get("top"), options.get("ids")
    if top and ids:
        raise typer.BadParameter("--top and --id exclude each other.")
    if top or ids:
        return Best(top=top or 0, policy=context.params["policy"], ids=tuple(ids or ()))
    ranks_results = flow is not None and flow_kind(flow).part == "landscape"
    if "policy" in options and "top" in context.params and not ranks_results:
        raise typer.BadParameter("A policy chooses the best: name --top.", param_hint="--policy")
    return None


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, str | Path) else value


def compute(
    context: typer.Context,
    flow: str | None,
    *,
    known: Sequence[Any] = (),
    finish: Callable[[list[Any]], None] = lambda rows: None,
    table: "Callable[[CampaignResult], str] | None" = None,
) -> None:
    """Run the campaign that a command line asks for on this machine, and show what it gave.

    Parameters
    ----------
    context : typer.Context
        Of the command.
    flow : str or None
        The flow; None takes that of the campaign file.
    known : sequence
        Results from elsewhere.
    finish : callable
        Does what else is to be done with the results, before they are shown.
    table : callable, optional
        Returns a result as a table, where the flow's own view is not meant.
    """
    with importing():
        from superionic import defaults
        from superionic.cli.options import settings_with
        from superionic.report.tables.ranking import failures_table
        from superionic.report.tables.view import view_of
        from superionic.workflows.campaign.local import run_campaign
        from superionic.workflows.campaign.progress import ConsoleReporter

    options = context.params
    campaign = campaign_asked(context, flow)
    settings = settings_with(options.get("database"))
    policy = options.get("policy") or defaults.POLICY
    results: list[CampaignResult] = []
    stopped = False
    with ConsoleReporter() as reporter:
        try:
            for result in run_campaign(
                campaign,
                settings,
                reporter,
                n_workers=options.get("workers") or settings.workers,
                prefer_uri=options.get("database") is not None,
                known=known,
                compute=not options.get("collect"),
                policy=policy,
            ):
                results.append(result)
                reporter.say(_said(campaign, result))
        except KeyboardInterrupt:
            reporter.say("Stopped. What is finished is kept; the same command goes on from here.")
            stopped = True
    if stopped and not results:
        raise typer.Exit(EXIT_INTERRUPTED)
    rows = [row for result in results for row in result.rows]
    finish(rows)
    view, json_file = view_of(campaign.kind), options.get("json_file")
    to_stdout = json_file is not None and str(json_file) == "-"
    if json_file is not None and not to_stdout:
        json_file.write_text(view.json(rows, policy) + "\n")
    if to_stdout:
        echo(view.json(rows, policy))
    else:
        ions = campaign.mobile_species.split(",")
        for ion, result in zip(ions, results, strict=False):  # Ctrl-C may have ended it before
            if len(ions) > 1:
                echo(f"\nMobile {ion}")
            echo(table(result) if table else view.table(result.rows, policy))
            if table is None and (said := view.note(result.rows, policy)):
                note(said)
    failures = [one for result in results for one in result.failures]
    if failures:
        echo(failures_table(failures), err=to_stdout)
    if stopped or failures:
        raise typer.Exit(EXIT_INTERRUPTED if stopped else EXIT_SOME_FAILED)


def _said(campaign: "Campaign", result: "CampaignResult") -> str:
    """Return what has been done, in one line."""
    from superionic.report.tables.view import view_of

    kind = campaign.kind
    text = f"{result.n_done} of {result.n_planned} crystals {kind.done}, {result.n_computed} now"
    if result.n_reused:
        text += f", {result.n_reused} of them from parts that were there"
    counts = view_of(kind).counts(result.rows)
    return f"{text}: {counts}." if counts else f"{text}."
