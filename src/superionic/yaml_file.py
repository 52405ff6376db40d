"""Reading YAML files that people write."""

from pathlib import Path
from typing import Any

import yaml

from superionic.errors import SettingsError


def read_yaml(path: Path, complaint: str, hint: str) -> Any:
    """Return what a YAML file holds, without executing anything.

    Parameters
    ----------
    path : Path
        The file.
    complaint, hint : str
        What is said when it cannot be read, before the kind of the error, and what to do then.
        Nothing of the file is repeated: it may hold a password.

    Raises
    ------
    SettingsError
        When it cannot be read, or is no YAML.
    """
    try:
        return yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"{complaint} ({type(error).__name__}).", hint=hint) from None
