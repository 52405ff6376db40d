"""The names of ``import superionic as si``: what is behind them is loaded when they are used."""

import inspect
from importlib import import_module
from types import ModuleType
from typing import Any

NAMES = {
    "Analysis": "superionic.api.analysis",
    "CrystalLandscape": "superionic.api.crystal",
    "Dynamics": "superionic.api.dynamics",
    "Results": "superionic.api.campaigns",
    "Rows": "superionic.api.rows",
    "analyse": "superionic.api.analysis",
    "explain": "superionic.store.collection.query",
    "label": "superionic.api.campaigns",
    "landscape": "superionic.api.crystal",
    "md": "superionic.api.dynamics",
    "predict": "superionic.api.campaigns",
    "query": "superionic.api.rows",
    "read_structures": "superionic.structures.crystals",
    "refine": "superionic.api.campaigns",
    "screen": "superionic.api.campaigns",
    "submit": "superionic.api.campaigns",
    "validate": "superionic.api.campaigns",
}
"""Each name, and the module that has it."""


def load(name: str) -> Any:
    """Return what a name stands for.

    Raises
    ------
    AttributeError
        When there is no such name.
    """
    if name not in NAMES:
        raise AttributeError(f"module 'superionic' has no attribute {name!r}")
    return getattr(import_module(NAMES[name]), name)


class CallableModule(ModuleType):
    """A module that is called as the function of its name.

    Python sets ``superionic.landscape`` to the package as soon as a module in it is imported;
    ``si.landscape(...)`` has to work before and after.
    """

    @property
    def _function(self) -> str:
        """Name of the function: that of the module, unless it says another (``FUNCTION``)."""
        return str(vars(self).get("FUNCTION", self.__name__.rpartition(".")[2]))

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Call the function."""
        return load(self._function)(*arguments, **options)

    @property
    def __signature__(self) -> inspect.Signature:
        """Return the signature of the function."""
        return inspect.signature(load(self._function))
