"""Sphinx extension: pages of the reference, made from the code while the site is built.

A page holds a line ``<!-- generated: commands -->``; what stands there in the site is what
:data:`GENERATED` returns for the name. Nothing is written to the source tree.
"""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_MARK = re.compile(r"^<!-- generated: (?P<name>[a-z]+) -->$", re.MULTILINE)
_LINK_OUT = re.compile(
    r"(?<!!)(\[[^\[\]]*\])\((?=(?:\.\./)+(?:benchmarks|datasets|notebooks|workflows)/)"
)


def _commands() -> str:
    from superionic_docs.commands import commands_page

    return commands_page()


def _settings() -> str:
    from superionic_docs.settings import settings_page

    return settings_page()


def _documents() -> str:
    from superionic_docs.documents import documents_page

    return documents_page()


GENERATED: dict[str, Callable[[], str]] = {
    "commands": _commands,
    "settings": _settings,
    "documents": _documents,
}
"""Markdown by the name in a page's mark."""


def filled_in(text: str) -> str:
    """Return the Markdown of a page with its marks replaced by what is generated.

    Links to files of the repository that are no pages of the site become downloads, so that the
    same link works in the repository and in the site.

    Raises
    ------
    KeyError
        When a mark has a name that nothing is generated for.
    """
    text = _MARK.sub(lambda found: GENERATED[found["name"]](), text)
    return _LINK_OUT.sub(r"\1(path:", text)


def setup(app: "Sphinx") -> dict[str, Any]:
    """Register the extension with Sphinx."""

    def fill_in(app: "Sphinx", docname: str, source: list[str]) -> None:
        source[0] = filled_in(source[0])

    app.connect("source-read", fill_in)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
