"""Markdown tables, units that stand in names, and the fields that numpy docstrings describe."""

import inspect
import re
from collections.abc import Iterable, Sequence

_UNITS = {
    "eV": "eV",
    "K": "K",
    "A": "Å",
    "A2": "Å²",
    "A3": "Å³",
    "ps": "ps",
    "ps2": "ps²",
    "fs": "fs",
    "s": "s",
    "cm": "cm",
    "cm2": "cm²",
    "S": "S",
    "u": "u",
    "e": "e",
    "GPa": "GPa",
    "ppm": "ppm",
    "atom": "atom",
    "ion": "ion",
}
_COUNTED = ("atom", "ion")
_OTHER_UNITS = {"ordering_energy_eV": "eV/atom"}
_ROLE = re.compile(r":[a-z:]+:`~?(?P<target>[^`]+)`")


def unit_of(name: str) -> str:
    """Return the unit that the name of a field ends with, empty without one.

    ``msd_slope_A2_per_ps`` gives ``Å²/ps``, ``n_atoms`` and ``mpe_per_ion`` nothing.
    """
    if name in _OTHER_UNITS:
        return _OTHER_UNITS[name]
    words = name.split("_")
    taken = [words.pop()] if words else []
    while len(words) >= 2 and words[-1] == "per" and words[-2] in _UNITS:
        taken = [words[-2], *taken]
        words = words[:-2]
    if not words or taken[0] in _COUNTED or any(word not in _UNITS for word in taken):
        return ""
    return "/".join(_UNITS[word] for word in taken)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def code(text: str) -> str:
    """Return text as inline code, empty for empty text."""
    return f"`{text}`" if text else ""


def plain(text: str) -> str:
    """Return reStructuredText of a docstring as Markdown."""
    text = _ROLE.sub(lambda found: code(found["target"].rpartition(".")[2]), text)
    return text.replace("``", "`")


def summary(kind: type) -> str:
    """Return what the docstring of a class says before its sections, as Markdown."""
    text = inspect.getdoc(kind) if "__doc__" in vars(kind) else ""
    head = re.split(r"\n[A-Z][a-z]+\n-{3,}\n", f"\n{text or ''}\n")[0]
    return plain(head.strip())


def described(kind: type) -> dict[str, str]:
    """Return descriptions by field, from the numpy docstrings of a class and its bases.

    Parameters
    ----------
    kind : type
        A class with a section ``Parameters`` or ``Attributes``.
    """
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        text = inspect.getdoc(one) if "__doc__" in vars(one) else None
        for section in ("Parameters", "Attributes"):
            found |= _section(text or "", section)
    return found


def _section(docstring: str, name: str) -> dict[str, str]:
    parts = re.split(rf"^{name}\n-+\n", docstring, maxsplit=1, flags=re.MULTILINE)
    if len(parts) == 1:
        return {}
    body = re.split(r"^\w[\w ]*\n-{3,}\n", parts[1], maxsplit=1, flags=re.MULTILINE)[0]
    fields: dict[str, str] = {}
    names: list[str] = []
    lines: list[str] = []
    waiting: list[str] = []  # several lines of names may share the description after the last
    for line in [*body.splitlines(), "end"]:
        if line[:1].strip():
            text = plain(" ".join(" ".join(lines).split()))
            if text or not names:
                fields |= dict.fromkeys([*waiting, *names], text)
                waiting = []
            else:
                waiting += names
            names = [one.strip() for one in line.partition(" : ")[0].split(",")]
            lines = []
        else:
            lines.append(line.strip())
    return fields
