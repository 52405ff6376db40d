"""Units as they are printed: sources, terminals and files say A^2/ps, pages Å²/ps."""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docutils.nodes import document
    from sphinx.application import Sphinx

_QUOTED = re.compile(
    "(['\"\N{LEFT SINGLE QUOTATION MARK}\N{LEFT DOUBLE QUOTATION MARK}][0-9.]+ A\\b)"
)
"""Labels of settings such as '0.25 A exact', which are typed as they stand."""
_ANGSTROM = re.compile(r"(?:(?<=\d )|(?<=/)|(?<=\())A(?=$|[\s).,;:/^])|\bA(?=\^-?\d)")
_POWER = re.compile(r"(?<=\b(?:R|Å|K|s|m))\^(-?\d)\b|(?<=\b(?:cm|eV|nm|ps))\^(-?\d)\b")
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def typeset(text: str) -> str:
    """Return text with its units as they are printed.

    Examples
    --------
    >>> typeset("R^2 of slopes above 1 A^2/ps, shakes of 0.2 A")
    'R² of slopes above 1 Å²/ps, shakes of 0.2 Å'
    """
    parts = _QUOTED.split(text)
    parts[::2] = [_ANGSTROM.sub("Å", part) for part in parts[::2]]
    return _POWER.sub(lambda found: (found[1] or found[2]).translate(_SUPERSCRIPTS), "".join(parts))


def register(app: "Sphinx") -> None:
    """Typeset the units of each page once it is read; code stays as it is typed."""
    app.connect("doctree-read", _typeset_page)


def _typeset_page(app: "Sphinx", doctree: "document") -> None:
    from docutils import nodes

    verbatim = (nodes.literal, nodes.FixedTextElement, nodes.raw, nodes.math, nodes.math_block)
    for node in list(doctree.findall(nodes.Text)):
        parent, said = node.parent, typeset(str(node))
        while parent is not None and not isinstance(parent, verbatim):
            parent = parent.parent
        if parent is None and said != str(node):
            node.parent.replace(node, nodes.Text(said))
