"""``superionic status``: how the jobs of a launchpad stand."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from superionic.cli.console import echo
from superionic.cli.options import (
    DatabaseURI,
    LaunchpadFile,
    SpoolDirectory,
    settings_with,
    spool_directory,
)
from superionic.text import duration

if TYPE_CHECKING:
    from superionic.schemas.jobs import JobsStatus


def status(
    campaign: Annotated[
        Path | None,
        typer.Option(
            "--campaign",
            "-c",
            exists=True,
            dir_okay=False,
            help="Count the jobs of this campaign file alone.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
    spool: SpoolDirectory = None,
    launchpad: LaunchpadFile = None,
    database: DatabaseURI = None,
) -> None:
    """Show jobs by state and flow, failures by cause, the rate and the time left."""
    from superionic.cluster.site import open_site
    from superionic.cluster.spool import Spool
    from superionic.cluster.status import read_status
    from superionic.workflows.campaign.definition import read_campaign

    name = None if campaign is None else read_campaign(campaign).name
    settings = settings_with(database)
    with open_site(
        settings,
        launchpad=launchpad,
        writing=False,
        prefer_uri=database is not None,
        require_launchpad=True,
    ) as site:
        found = read_status(site.launchpad, name)
    directory = spool_directory(settings, spool)
    waiting = Spool(directory)
    on_disk = {
        "n_on_disk": waiting.count(),
        "n_refused": len(waiting.refused()),
        "n_doubled": len(waiting.doubled()),
    }
    if as_json:
        echo(json.dumps({**asdict(found), **on_disk}))
        return
    for line in describe(found):
        echo(line)
    said = {
        "n_on_disk": f"results wait in {directory}.",
        "n_refused": f"results in {directory} could not be sent (*.refused).",
        "n_doubled": f"results in {directory} came too late (*.doubled).",
    }
    for name, text in said.items():
        if on_disk[name]:
            echo(f"{on_disk[name]} {text}")


def describe(status: "JobsStatus") -> list[str]:
    """Return the lines that describe a launchpad."""
    lines = ["Jobs: " + (_counts(status.jobs) or "none")]
    for flow, states in sorted(status.materials.items()):
        lines.append(f"Materials, flow {flow}: {_counts(states)}")
    if status.jobs_per_minute > 0:
        lines.append(f"Rate: {status.jobs_per_minute:.1f} jobs a minute")
    if status.time_left_s:
        lines.append(f"Time left at this rate: {duration(status.time_left_s)}")
    if status.n_lost:
        lines.append(f"Lost: {status.n_lost} jobs of dead processes. Run 'superionic recover'.")
    if status.refused:
        lines.append("Left by workers to others:")
    for refused in status.refused:
        lines.append(f"  {refused.n_jobs:6d}  by {refused.worker}: {refused.reason}")
    if status.failures:
        lines.append("Failures by cause:")
    for group in status.failures:
        lines.append(
            f"  {len(group.fw_ids):6d}  {group.cause}: for example {group.example_material}, "
            f"{group.example_job} (Firework {group.fw_ids[0]}): {group.example_text}"
        )
    return lines


def _counts(states: dict[str, int]) -> str:
    return ", ".join(f"{n} {state}" for state, n in states.items())
