"""Figures as compact JSON inside the page, drawn by plotly.js when somebody looks."""

import base64
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_SIGNIFICANT_DIGITS = 6
_LONGEST_PLAIN = 16_384


@dataclass(frozen=True)
class Slot:
    """The place of one figure.

    Parameters
    ----------
    title : str
        What the figure shows.
    key : str or None
        Identifier of its data within the page; None without a figure.
    reason : str
        Why there is none.
    caption : str
        How to read it.
    """

    title: str
    key: str | None = None
    reason: str = ""
    caption: str = ""


@dataclass
class Payloads:
    """The data of a page, which are drawn or read when somebody looks.

    Parameters
    ----------
    texts : dict of str to str
        JSON by key, safe inside a script element. What is long is a JSON string: base64 of the
        zlib-compressed JSON, which a browser unpacks by its own means.
    """

    texts: dict[str, str] = field(default_factory=dict)

    def add(self, key: str, content: Any) -> str:
        """Keep JSON content and return its key."""
        from jinja2.utils import htmlsafe_json_dumps

        plain = shortened(content)
        text = str(htmlsafe_json_dumps(plain, separators=(",", ":"), allow_nan=False))
        if len(text) > _LONGEST_PLAIN:
            text = json.dumps(base64.b64encode(zlib.compress(text.encode())).decode("ascii"))
        self.texts[key] = text
        return key

    def slot(self, key: str, title: str, draw: "Callable[[], Figure]", caption: str = "") -> Slot:
        """Draw one figure; one that cannot be drawn leaves its reason.

        Parameters
        ----------
        key, title, caption : str
            See :class:`Slot`.
        draw : callable
            Returns a plotly figure.
        """
        try:
            figure = json.loads(draw().to_json())
            return Slot(title, self.add(key, figure), caption=caption)
        except Exception as error:
            # A figure of one odd document must not stop the report of all others.
            message = getattr(error, "message", None) or f"{type(error).__name__}: {error}"
            return Slot(title, reason=str(message))


def shortened(value: Any) -> Any:
    """Return JSON content with numbers of six significant digits; NaN and infinity become null."""
    if isinstance(value, float):
        return float(f"{value:.{_SIGNIFICANT_DIGITS}g}") if isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: shortened(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [shortened(one) for one in value]
    return value
