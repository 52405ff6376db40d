"""Sphinx extension: pages of the reference, made from the code while the site is built.

A page holds a line ``<!-- generated: commands -->``; what stands there in the site is what
:data:`GENERATED` returns for the name. Nothing is written to the source tree.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_MARK = re.compile(r"^<!-- generated: (?P<name>[a-z]+) -->$", re.MULTILINE)
_LINK_OUT = re.compile(r"(?<!!)(\[[^\[\]]*\])\((?=(?:\.\./)+(?:benchmarks|datasets|workflows)/)")
_NOTEBOOK = re.compile(r"\[([^\[\]]*)\]\((?:\.\./)+(notebooks/\w+)\.ipynb\)")
_INTERVAL = re.compile(r"\[(-?\d+\.\d+), (-?\d+\.\d+)\]")


def _commands() -> str:
    from superionic_docs.commands import commands_page

    return commands_page()


def _settings() -> str:
    from superionic_docs.settings import settings_page

    return settings_page()


def _documents() -> str:
    from superionic_docs.documents import documents_page

    return documents_page()


def _python() -> str:
    from superionic_docs.python import python_page

    return python_page()


def _makers() -> str:
    from superionic_docs.python import makers_page

    return makers_page()


def _errors() -> str:
    from superionic_docs.python import errors_page

    return errors_page()


GENERATED: dict[str, Callable[[], str]] = {
    "commands": _commands,
    "settings": _settings,
    "documents": _documents,
    "python": _python,
    "makers": _makers,
    "errors": _errors,
}
"""Markdown by the name in a page's mark."""


def filled_in(text: str) -> str:
    """Return the Markdown of a page with its marks replaced by what is generated.

    Links to files of the repository that are no pages of the site become downloads, and those to
    notebooks lead to their pages, so that the same link works in the repository and in the site.
    Intervals are not broken where a column of a table is narrow.

    Raises
    ------
    KeyError
        When a mark has a name that nothing is generated for.
    """
    text = _MARK.sub(lambda found: GENERATED[found["name"]](), text)
    text = _INTERVAL.sub("[\\1,\N{NO-BREAK SPACE}\\2]", text)
    text = _NOTEBOOK.sub(r"{doc}`\1 </\2>`", text)
    return _LINK_OUT.sub(r"\1(path:", text)


def setup(app: "Sphinx") -> dict[str, Any]:
    """Register the extension with Sphinx."""
    from superionic_docs import formulas, units
    from superionic_docs.notebooks import as_page, copy_script
    from superionic_docs.python import bind_front_door

    def fill_in(app: "Sphinx", docname: str, source: list[str]) -> None:
        is_notebook = docname.startswith("notebooks/")
        source[0] = filled_in(as_page(source[0]) if is_notebook else source[0])

    def add_script(app: "Sphinx", exception: Exception | None) -> None:
        if exception is None and app.builder.format == "html":
            copy_script(Path(app.outdir) / "_static")

    formulas.register(app)
    units.register(app)
    app.connect("builder-inited", lambda app: bind_front_door())
    app.connect("source-read", fill_in)
    app.connect("missing-reference", _reference)
    app.connect("build-finished", add_script)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def _reference(app: "Sphinx", env: Any, node: Any, contnode: Any) -> Any:
    """Resolve what docstrings refer to: documents have their page, other code is named only.

    None, and with it a warning, for names of this package that nothing has.
    """
    from sphinx.util.nodes import make_refnode

    from superionic_docs.documents import models
    from superionic_docs.python import resolved

    target = str(node.get("reftarget", ""))
    if node.get("refdomain") != "py" or (target.startswith("superionic.") and not resolved(target)):
        return None
    name = target.rpartition(".")[2]
    if name in {model.__name__ for model in models()}:
        page, anchor = "reference/documents", name.lower()
        return make_refnode(app.builder, node["refdoc"], page, anchor, contnode)
    return contnode
