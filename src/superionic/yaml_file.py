"""Reading YAML files that people write."""

from pathlib import Path
from typing import Any

import yaml

from superionic.errors import SettingsError

_DEEPEST = 40
_MOST_NODES = 200_000
_LARGEST_FILE_bytes = 8_000_000


def read_yaml(path: Path, complaint: str, hint: str) -> Any:
    """Return what a YAML file holds, without executing anything.

    A file that is large, nested deeply, or whose references (``*name``) would make it large or
    endless is refused: what reads the content later could need hours or all memory for it.

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
        if path.stat().st_size > _LARGEST_FILE_bytes:
            raise _TooMuchError(f"larger than {_LARGEST_FILE_bytes // 1_000_000} MB")
        return yaml.load(path.read_text(), _BoundedLoader)
    except _TooMuchError as error:
        raise SettingsError(f"{complaint} ({error}).", hint=hint) from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        # Dates and numbers without sense are a plain ValueError.
        raise SettingsError(f"{complaint} ({type(error).__name__}).", hint=hint) from None


class _TooMuchError(Exception):
    """A file would need too much time or memory."""


class _BoundedLoader(yaml.SafeLoader):
    """A loader that counts nodes as often as references repeat them, before it builds objects."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._n_nodes = 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Return the next node."""
        is_reference = self.check_event(yaml.AliasEvent)
        before = self._n_nodes
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _TooMuchError(f"nested more than {_DEEPEST} levels deep")
        node = super().compose_node(parent, index)
        self._depth -= 1
        if is_reference:
            # A node that is not finished has no size yet.
            if id(node) not in self._sizes:
                raise _TooMuchError("a reference to what it stands in")
            self._n_nodes += self._sizes[id(node)]
        else:
            self._n_nodes += 1
            self._sizes[id(node)] = self._n_nodes - before
        if self._n_nodes > _MOST_NODES:
            raise _TooMuchError(f"more than {_MOST_NODES} values, with its references")
        return node
