"""Small files of what can be computed again, in ``cache_dir`` of the settings."""

import logging
import os
import tempfile
from pathlib import Path

from superionic.settings import get_settings

_log = logging.getLogger(__name__)


def cache_file(folder: str, name: str) -> Path:
    """Return where a text is kept, whether or not it is there."""
    return get_settings().cache_dir / folder / name


def keep(path: Path, text: str) -> None:
    """Write a file that others see complete or not at all; a read-only cache is no fault."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        with os.fdopen(handle, "w") as file:
            file.write(text)
        Path(temporary).replace(path)
    except OSError as error:
        _log.warning("Nothing could be kept in %s: %s", path.parent, error)
