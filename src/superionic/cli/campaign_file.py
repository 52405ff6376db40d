"""Campaign files as commands read them, with the options that were given beside them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

if TYPE_CHECKING:
    from superionic.workflows.campaign.definition import Campaign
    from superionic.workflows.campaign.selection import SelectionSettings

M = TypeVar("M")


def given(context: typer.Context, **options: Any) -> dict[str, Any]:
    """Return those options that were given on the command line.

    Parameters
    ----------
    context : typer.Context
        Of the command.
    **options
        Values by the names of the command's parameters.
    """
    sources = {name: context.get_parameter_source(name) for name in options}
    return {
        name: options[name]
        for name, source in sources.items()
        if source is not None and not source.name.startswith("DEFAULT")
    }


def campaign_with(
    file: Path,
    context: typer.Context,
    flow: str | None = None,
    *,
    refused: tuple[str, ...] = (),
    **options: Any,
) -> "Campaign":
    """Return the campaign of a file; options that were given go before what it says.

    Parameters
    ----------
    file : Path
        The campaign file.
    context : typer.Context
        Of the command.
    flow : str, optional
        The flow that the command runs.
    refused : tuple of str
        Parameters of the command that belong to the settings of the file's flow.
    **options
        Fields of the campaign and their values, each under the name of the command's parameter;
        ``mobile`` is the field ``mobile_species``.

    Raises
    ------
    SettingsError
        When the file is wrong, or of another flow.
    BadParameter
        When an option cannot be joined with the file.
    """
    from superionic.errors import SettingsError
    from superionic.workflows.campaign.definition import read_campaign

    for name in given(context, **dict.fromkeys(refused)):
        raise typer.BadParameter(
            f"Beside a campaign file it would be ignored: write it under 'settings' in {file}.",
            param_hint=f"--{name.replace('_', '-')}",
        )
    campaign = read_campaign(file)
    if flow is not None and campaign.flow != flow:
        raise SettingsError(
            f"The campaign file {file} is of the flow '{campaign.flow}'.",
            hint=f"Write 'flow: {flow}', or use the command of that flow.",
        )
    found = given(context, **options)
    if "mobile" in found:
        found["mobile_species"] = found.pop("mobile")
    return campaign.model_copy(update=found)


def campaign_of_flow(
    file: Path,
    context: typer.Context,
    flow: str,
    maker_class: type[M],
    *,
    refused: tuple[str, ...] = (),
    **options: Any,
) -> "tuple[list[Path], M, SelectionSettings]":
    """Return the crystals, the Maker and the selection of a campaign file.

    Parameters are those of :func:`campaign_with`.

    Parameters
    ----------
    file, context, flow, refused, **options
        As there.
    maker_class : type
        Class of the flow's Maker.
    """
    from superionic.settings import get_settings
    from superionic.workflows.campaign.selection import selection_settings

    campaign = campaign_with(file, context, flow, refused=refused, **options)
    maker = campaign.maker(get_settings().potential)
    assert isinstance(maker, maker_class)
    return campaign.crystals, maker, selection_settings(campaign)
