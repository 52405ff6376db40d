"""Reference of Python: what ``import superionic`` offers, Makers and errors, from docstrings.

The directives stand for objects of the code, not for the modules where these lie today.
"""

import importlib
import inspect
from collections.abc import Iterable
from typing import Any

import superionic
from superionic import errors
from superionic.front import load
from superionic_docs.settings import makers, roots, setting_classes


def front_door() -> dict[str, Any]:
    """Return the functions and classes of ``import superionic as si``, by name."""
    return {name: load(name) for name in superionic.__all__ if not name.startswith("__")}


def bind_front_door() -> None:
    """Make ``superionic.landscape`` the function for autodoc, which else finds the package."""
    for name, found in front_door().items():
        setattr(superionic, name, found)


def job_makers() -> list[type]:
    """Return the Makers of single jobs that flows hold, and those that stand by themselves."""
    from jobflow import Maker

    flows = set(makers().values())
    found = [*setting_classes(), *roots()]
    return [
        one
        for one in dict.fromkeys(found)
        if issubclass(one, Maker) and one not in flows and not one.__name__.startswith("_")
    ]


def error_classes() -> list[type]:
    """Return the exceptions that a user may see."""
    return [
        one
        for one in vars(errors).values()
        if inspect.isclass(one) and issubclass(one, Exception) and one.__module__ == errors.__name__
    ]


def python_page() -> str:
    """Return the reference of the functions and of what they return, as Markdown."""
    found = front_door()
    functions = sorted(name for name, one in found.items() if not inspect.isclass(one))
    classes = sorted(name for name, one in found.items() if inspect.isclass(one))
    return "\n\n".join(
        [
            "## Functions",
            _directives("autofunction", (f"superionic.{name}" for name in functions)),
            "## What they return",
            _directives("autoclass", (f"superionic.{name}" for name in classes), ":members:"),
        ]
    )


def makers_page() -> str:
    """Return the reference of Makers as Markdown."""
    return "\n\n".join(
        [
            "## Flows",
            _makers(makers().values()),
            "## Jobs",
            _makers(job_makers()),
        ]
    )


def errors_page() -> str:
    """Return the reference of exceptions as Markdown."""
    return _directives("autoexception", map(_path, error_classes()), ":show-inheritance:")


def resolved(target: str) -> bool:
    """Say whether a dotted name stands for something in the code."""
    parts = target.split(".")
    for n in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:n]))
        except ImportError:
            continue
        for name in parts[n:]:
            if not hasattr(found, name) and name not in getattr(found, "__annotations__", {}):
                return False
            found = getattr(found, name, None)
        return True
    return False


def _path(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _directives(directive: str, paths: Iterable[str], *options: str) -> str:
    lines = ["```{eval-rst}"]
    for path in paths:
        lines += [f".. {directive}:: {path}", *(f"   {option}" for option in options), ""]
    return "\n".join([*lines, "```"])


def _makers(kinds: Iterable[type]) -> str:
    lines = ["```{eval-rst}"]
    for kind in kinds:
        lines += [f".. autoclass:: {_path(kind)}", ""]
        if callable(getattr(kind, "make", None)):
            lines += [f"   .. automethod:: {_path(kind)}.make", ""]
    return "\n".join([*lines, "```"])
