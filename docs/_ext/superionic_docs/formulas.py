"""Formulas as MathML, which browsers draw by themselves; MathJax draws them better if it loads."""

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

NAME = "mathml"
_SIZES = re.compile(r"\\[Bb]igg?[lrm]?(?![A-Za-z])")
"""Sizes of brackets, which browsers choose by themselves."""
MATHJAX = "https://cdn.jsdelivr.net/npm/mathjax@4/mml-chtml.js"


def mathml(tex: str, *, display: bool) -> str:
    """Return TeX as MathML.

    Examples
    --------
    >>> mathml("a^2", display=False)[:5]
    '<math'
    """
    from latex2mathml.converter import convert

    return str(convert(_SIZES.sub("", tex), display="block" if display else "inline"))


def inline(translator: Any, node: Any) -> None:
    """Write a formula in a line."""
    from docutils.nodes import SkipNode

    translator.body.append(mathml(node.astext(), display=False))
    raise SkipNode


def block(translator: Any, node: Any) -> None:
    """Write a formula in a line of its own."""
    from docutils.nodes import SkipNode

    translator.body.append(f'<div class="formula">{mathml(node.astext(), display=True)}</div>')
    raise SkipNode


def register(app: "Sphinx") -> None:
    """Register the renderer with Sphinx."""
    app.add_html_math_renderer(NAME, (inline, None), (block, None))
    app.connect("html-page-context", _add_mathjax)


def _add_mathjax(
    app: "Sphinx", name: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    if "<math" in context.get("body", ""):
        app.add_js_file(MATHJAX, defer="defer")
