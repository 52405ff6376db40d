"""Campaign files as the commands of single flows read them."""

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from superionic.campaign.selection import SelectionSettings

M = TypeVar("M")


def campaign_of_flow(
    file: Path, potential: str, flow: str, maker_class: type[M]
) -> "tuple[list[Path], M, SelectionSettings]":
    """Return the crystals, the Maker and the selection of a campaign file.

    Parameters
    ----------
    file : Path
        The campaign file.
    potential : str
        Potential where the file names none.
    flow : str
        The flow that the command runs.
    maker_class : type
        Class of its Maker.

    Raises
    ------
    SettingsError
        When the file is wrong, or of another flow.
    """
    from superionic.campaign.selection import SelectionSettings
    from superionic.cluster.campaign_file import read_campaign
    from superionic.errors import SettingsError

    campaign = read_campaign(file)
    maker = campaign.maker(potential)
    if not isinstance(maker, maker_class):
        raise SettingsError(
            f"The campaign file {file} is of the flow '{campaign.flow}'.",
            hint=f"Write 'flow: {flow}', or use the command of that flow.",
        )
    selection = SelectionSettings(filters=tuple(campaign.filters), n_orderings=campaign.orderings)
    if campaign.every_copy:
        selection = SelectionSettings(selection.filters, selection.n_orderings, duplicates=None)
    return campaign.crystals, maker, selection
