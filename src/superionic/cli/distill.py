"""``superionic distill``: weights of CHGNet's architecture, taught by another potential."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from superionic.cli.console import EXIT_INTERRUPTED, echo
from superionic.cli.options import JsonFile

if TYPE_CHECKING:
    from superionic.distillation.frames import Crystal
    from superionic.workflows.campaign.definition import Campaign


def distill(
    teacher: Annotated[
        str | None,
        typer.Option(
            "--teacher", "-t", help="Potential that labels the frames, as --potential has them."
        ),
    ] = None,
    campaign: Annotated[
        Path | None,
        typer.Option(
            "--campaign",
            "-c",
            exists=True,
            dir_okay=False,
            help="A YAML file with crystals, ions, filters, and settings of frames and student.",
        ),
    ] = None,
    frames: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True,
            help="Frames that are there already, a file or a folder; repeat it for several. They "
            "are learned with those that the teacher labels, or alone without --teacher.",
        ),
    ] = None,
    explorer: Annotated[
        str,
        typer.Option(help="Potential that drives dynamics: the first round's student in a second."),
    ] = "chgnet",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder of the results.",
            show_default="distill/NAME OF THE FILE, in the data directory",
        ),
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Teach CHGNet the energies and forces of another potential.

    Frames are made of the campaign's crystals (ions displaced, shaken and strained cells, heated
    dynamics) and labelled by the teacher; a student is trained on them and judged on chemical
    systems that it has not seen. With --frames those of an earlier round are learned, too, or,
    without a teacher, alone. Whatever ends the command, the same command goes on where it was.
    Results: training/student.pt, which --potential chgnet:PATH takes, card.md and card.json.
    """
    from superionic.distillation.distill import CARD, CARD_JSON, settings_of
    from superionic.distillation.distill import distill as run
    from superionic.errors import SettingsError
    from superionic.settings import get_settings
    from superionic.workflows.campaign.definition import Campaign, read_campaign

    if campaign is None and (teacher or not frames):
        raise SettingsError(
            "There is nothing to teach with.",
            hint="Give --teacher and --campaign, or --frames.",
        )
    if teacher is None and not frames:
        raise SettingsError(
            "There is no teacher.", hint="Give --teacher, or --frames that one has labelled."
        )
    earlier = list(frames or [])
    asked = read_campaign(campaign) if campaign else Campaign()
    settings = settings_of(asked.settings)
    asked = asked.model_copy(update={"settings": {}})
    directory = out or get_settings().data_dir / "distill" / (campaign or earlier[0]).stem
    crystals = list(_crystals(asked)) if teacher else []
    try:
        done = run(
            crystals,
            teacher,
            directory,
            settings,
            explorer=explorer,
            earlier=earlier,
            say=lambda text: echo(text, err=True),
        )
    except KeyboardInterrupt:
        echo("Stopped. What is finished is kept; the same command goes on from here.", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    card = (directory / CARD_JSON).read_text()
    to_stdout = json_file is not None and str(json_file) == "-"
    if json_file is not None and not to_stdout:
        json_file.write_text(card)
    echo(card if to_stdout else (directory / CARD).read_text())
    echo(f"Use it: --potential chgnet:{done.checkpoint}", err=True)


def _crystals(asked: "Campaign") -> Iterator["Crystal"]:
    """Yield the prepared crystals of a campaign, and say which cannot be taken."""
    from superionic.distillation.frames import Crystal
    from superionic.errors import InputError
    from superionic.settings import get_settings
    from superionic.structures.prepare import prepare
    from superionic.workflows.campaign.selection import select

    makers = asked.makers(asked.potential or get_settings().potential)
    for maker, chosen in zip(makers, select(asked, makers), strict=True):
        for error in chosen.unreadable:
            echo(str(error), err=True)
        for candidate in chosen.candidates:
            try:
                prepared = prepare(candidate, maker.mobile_species, maker.prepare_maker.settings)
            except InputError as error:
                echo(str(error), err=True)
                continue
            yield Crystal(
                candidate.material_id,
                prepared.mobile_species,
                prepared.structure,
                candidate.source,
            )
