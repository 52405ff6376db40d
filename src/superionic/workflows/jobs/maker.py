"""What all Makers share: settings that are what they say, also after an update or a queue."""

from dataclasses import dataclass
from typing import Any

from jobflow import Maker

from superionic.fields import nested_fields, rebuilt


@dataclass
class SettingsMaker(Maker):
    """A Maker whose settings may be given as dictionaries.

    Serialisation leaves dictionaries of nested dataclasses, and ``update_maker_kwargs`` is used
    with dictionaries, too. Both become what the fields say, or are refused when they are applied.

    Examples
    --------
    >>> from superionic.workflows.jobs.landscape import LandscapeMaker
    >>> LandscapeMaker().update_kwargs({"settings": {"grid_step_A": 0.4}}).settings.grid_step_A
    0.4
    """

    def __post_init__(self) -> None:
        """Rebuild settings from dictionaries."""
        rebuild_settings(self)


def rebuild_settings(maker: Any) -> None:
    """Turn dictionaries in the fields of a Maker into the dataclasses that belong there.

    Raises
    ------
    SettingsError
        When a dictionary names a setting that is not there, or a value that it cannot have.
    """
    for name, kind in nested_fields(type(maker)):
        value = getattr(maker, name)
        if value is not None and not isinstance(value, str):  # a name, as of an engine
            setattr(maker, name, rebuilt(kind, value, name))
