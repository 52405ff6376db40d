"""Where modules are that documents and queued jobs of older versions name.

jobflow and FireWorks keep the path of a class or function with what they store. A module that moves
is named in :data:`MOVED`, so that what was stored before can still be read and run. A class that is
renamed keeps its former name in its module, as a second one.
"""

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED: dict[str, str] = {"superionic.query": "superionic.collection.query"}
"""Former paths of modules and packages, and their paths now."""


class _Moved(MetaPathFinder, Loader):
    """Finds modules by their former paths: the module that is elsewhere now, and no copy of it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how a module of a former path is loaded, None for any other."""
        return None if current_path(fullname) == fullname else ModuleSpec(fullname, self)

    def exec_module(self, module: ModuleType) -> None:
        """Put the module of today in the place of the one that was asked for."""
        sys.modules[module.__name__] = importlib.import_module(current_path(module.__name__))


def current_path(path: str) -> str:
    """Return where a module is today, by its own former path or that of a package around it."""
    head, tail = path, ""
    while head:
        if head in MOVED:
            return MOVED[head] + tail
        head, _, last = head.rpartition(".")
        tail = f".{last}{tail}"
    return path


def install() -> None:
    """Let imports find what has moved."""
    if not any(isinstance(finder, _Moved) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Moved())  # before those that would load a second copy
