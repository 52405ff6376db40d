"""``superionic refine``: a second opinion on landscapes that are in the database."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from superionic import defaults
from superionic.cli.campaigns import compute
from superionic.cli.options import (
    CampaignFile,
    CrystalPaths,
    DatabaseURI,
    Ids,
    JsonFile,
    MobileIons,
    Policy,
    Top,
    Workers,
)

if TYPE_CHECKING:
    from superionic.workflows.campaign.local import CampaignResult


def refine(
    context: typer.Context,
    paths: CrystalPaths = None,
    campaign: CampaignFile = None,
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
    top: Top = None,
    policy: Policy = defaults.POLICY,
    ids: Ids = None,
    mobile: MobileIons = defaults.MOBILE,
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
    workers: Workers = None,
    json_file: JsonFile = None,
) -> None:
    """Refine landscapes with a second potential, from some thirty energies each.

    Landscapes of a first potential are in the database, of the crystals that are named or of the
    best (--top): the difference to them is learned. The second potential gets rows of its own,
    with a 95 % interval for every number; 'explain' shows all potentials side by side. Nothing is
    computed twice. Exit code 3 says that some materials could not be refined.
    """
    from superionic.report.tables.potentials import refinement_table

    def table(result: "CampaignResult") -> str:
        started: list[Any] = result.selection.candidates
        return refinement_table(result.rows, [one.row for one in started])

    compute(context, "refine", table=table)
