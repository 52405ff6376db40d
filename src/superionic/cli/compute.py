"""``superionic screen``, ``label``, ``predict``, ``validate`` and ``run``: many crystals, here."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from superionic import defaults
from superionic.cli.campaigns import compute
from superionic.cli.options import (
    Adaptive,
    Calculator,
    CampaignFile,
    Carrier,
    Collect,
    CrystalPaths,
    DatabaseURI,
    Engine,
    EveryCopy,
    ExclusionRadius,
    FilterFile,
    Ids,
    JsonFile,
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
    Temperatures,
    Top,
    Workers,
)

if TYPE_CHECKING:
    from superionic.workflows.campaign.local import CampaignResult


TEMPERATURES = ",".join(f"{one:g}" for one in defaults.TEMPERATURES_K)


def screen(
    context: typer.Context,
    paths: CrystalPaths = None,
    campaign: CampaignFile = None,
    potential: Potential = None,
    mobile: MobileIons = defaults.MOBILE,
    policy: Policy = defaults.POLICY,
    step: Step = defaults.GRID_STEP_A,
    adaptive: Adaptive = False,
    learned: Learned = defaults.LEARNED,
    max_energies: MaxEnergies = None,
    relax: RelaxFirst = Relax.auto,
    min_width: MinWidth = None,
    exclusion_radius: ExclusionRadius = None,
    carrier: Carrier = None,
    filters: FilterFile = None,
    orderings: Orderings = defaults.N_ORDERINGS,
    every_copy: EveryCopy = False,
    database: DatabaseURI = None,
    workers: Workers = None,
    collect: Collect = False,
    json_file: JsonFile = None,
) -> None:
    """Rank crystals as ionic conductors by their frozen-framework landscape.

    Results are kept in the database: the same command goes on where it was stopped, and computes
    nothing twice. Exit code 3 says that some crystals could not be computed.
    """
    compute(context, "screen")


def label(
    context: typer.Context,
    paths: CrystalPaths = None,
    campaign: CampaignFile = None,
    potential: Potential = None,
    mobile: MobileIons = defaults.MOBILE,
    temperature: Temperature = defaults.TEMPERATURE_K,
    length: Length = defaults.LENGTH_ps,
    seed: Seed = defaults.SEED,
    relax: RelaxFirst = Relax.auto,
    filters: FilterFile = None,
    orderings: Orderings = defaults.N_ORDERINGS,
    every_copy: EveryCopy = False,
    database: DatabaseURI = None,
    workers: Workers = None,
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
    collect: Collect = False,
    json_file: JsonFile = None,
) -> None:
    """Label crystals with the diffusion of an ion, by molecular dynamics.

    Results are kept in the database and trajectories in the data directory: the same command goes
    on where it was stopped, in the middle of a run, too, and computes nothing twice. Exit code 3
    says that some crystals could not be computed.
    """
    from superionic.report.tables.labels import read_data_set, write_data_set
    from superionic.schemas.label import LabelRow

    published = [row for file in known or [] for row in read_data_set(file)]

    def finish(rows: list[LabelRow]) -> None:
        if export is not None:
            write_data_set({row.task_key: row for row in [*published, *rows]}.values(), export)

    compute(context, "label", known=published, finish=finish)


def predict(
    context: typer.Context,
    paths: CrystalPaths = None,
    campaign: CampaignFile = None,
    network: Network = None,
    shakes: Shakes = None,
    relax: RelaxFirst = Relax.auto,
    potential: Potential = None,
    mobile: MobileIons = defaults.MOBILE,
    filters: FilterFile = None,
    orderings: Orderings = defaults.N_ORDERINGS,
    every_copy: EveryCopy = False,
    database: DatabaseURI = None,
    workers: Workers = None,
    collect: Collect = False,
    json_file: JsonFile = None,
) -> None:
    """Predict the diffusion of an ion at 1000 K from how crystals answer to being shaken.

    For each crystal: log10 of the slope of the mean squared displacement in A^2/ps, its 95 %
    interval, the spreads over shakes and networks, and flags that say when not to believe it.
    Results are kept in the database: the same command goes on where it was stopped, and another
    network reads the shakes that are there. Exit code 3 says that some crystals could not be
    computed.
    """
    compute(context, "predict")


def validate(
    context: typer.Context,
    paths: CrystalPaths = None,
    campaign: CampaignFile = None,
    top: Top = None,
    policy: Policy = defaults.POLICY,
    ids: Ids = None,
    potential: Potential = None,
    mobile: MobileIons = defaults.MOBILE,
    temperatures: Temperatures = TEMPERATURES,
    length: Length = defaults.VALIDATION_LENGTH_ps,
    engine: Engine = "ase",
    calculator: Calculator = None,
    seed: Seed = defaults.SEED,
    relax: RelaxFirst = Relax.auto,
    filters: FilterFile = None,
    orderings: Orderings = defaults.N_ORDERINGS,
    every_copy: EveryCopy = False,
    database: DatabaseURI = None,
    workers: Workers = None,
    collect: Collect = False,
    write: Annotated[
        Path | None,
        typer.Option(
            "--write", dir_okay=False, help="Page whose tables are replaced (docs/validation.md)."
        ),
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Confirm candidates by molecular dynamics at several temperatures.

    Crystals are files, those of a campaign file, or the best of the screening collection (--top),
    also of the files (both). Each gets its conductivities with errors, activation energy,
    conductivity at 300 K with an interval, and a verdict, which the screening collection shows,
    too. The same command goes on where it was stopped. Exit code 3 says that some crystals could
    not be computed.
    """
    from superionic.schemas.validation import ValidationDocument

    def finish(rows: list[ValidationDocument]) -> None:
        if write is not None:
            from superionic.report.tables.text_table import write_page
            from superionic.report.tables.validation import WRITTEN_BY, validations_markdown

            write_page(write, validations_markdown(rows), WRITTEN_BY)

    compute(context, "validate", finish=finish)


def run(
    context: typer.Context,
    campaign: CampaignFile = None,
    potential: Potential = None,
    mobile: MobileIons = defaults.MOBILE,
    database: DatabaseURI = None,
    workers: Workers = None,
    collect: Collect = False,
    json_file: JsonFile = None,
) -> None:
    """Run a campaign file on this machine, whatever its flow; also a flow of your own.

    It goes on where it was stopped. Exit code 3 says that some crystals could not be computed.
    """
    compute(context, None)


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
