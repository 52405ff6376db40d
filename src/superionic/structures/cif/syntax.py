"""The values of a CIF file, as its syntax has them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from typing import cast

from gemmi import cif

from superionic.errors import UnreadableFileError

_BLOCK = re.compile(r"data_", re.IGNORECASE)
_ERROR = re.compile(r"string:(?P<line>\d+)(?::\d+\(\d+\))?(?: in \S+)?: (?P<what>.*)", re.DOTALL)
_NUMBER = re.compile(
    r"(?P<value>[+-]?(?:\d+\.?(?P<d1>\d*)|\.(?P<d2>\d+))(?:[eE](?P<exponent>[+-]?\d+))?)"
    r"(?:\((?P<su>\d+)\)?)?"
)
_PLAIN = str.maketrans({"\N{MINUS SIGN}": "-", "\N{NO-BREAK SPACE}": " ", "\x1a": " "})


@dataclass(frozen=True)
class Number:
    """A number of a file, with what its digits say of its precision.

    Parameters
    ----------
    value : float
        The number.
    decimals : int
        Digits behind the point.
    su : float
        Standard uncertainty, ``0.002`` for ``0.125(2)``; 0 when none is given.
    """

    value: float
    decimals: int = 0
    su: float = 0.0


def parse_number(text: str) -> Number | None:
    """Return the number that ``text`` is, with or without a standard uncertainty, or None.

    >>> parse_number("0.125(2)")
    Number(value=0.125, decimals=3, su=0.002)
    """
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        return None
    decimals = len(match["d1"] or match["d2"] or "") - int(match["exponent"] or 0)
    if not isfinite(float(match["value"])):
        return None
    su = int(match["su"]) * 10.0**-decimals if match["su"] else 0.0
    return Number(float(match["value"]), max(decimals, 0), su)


class Block:
    """The values of one data block, by tags in which case, dots, dashes and underscores are one.

    Parameters
    ----------
    block : gemmi.cif.Block
        As gemmi parsed it.

    Raises
    ------
    UnreadableFileError
        When a tag is given twice, with other values.

    Attributes
    ----------
    name : str
        What follows ``data_``.
    last_tag : str
        The tag of the last value of the block.
    """

    def __init__(self, block: cif.Block) -> None:
        self.name = block.name.strip()
        self.last_tag = ""
        self._values: dict[str, list[str | None]] = {}
        for item in block:
            pair = cast("tuple[str, str] | None", item.pair)
            if pair is not None:
                self._add(pair[0], [pair[1]])
            elif item.loop is not None:
                tags, values = item.loop.tags, item.loop.values
                for column, tag in enumerate(tags):
                    self._add(tag, values[column :: len(tags)])

    def _add(self, tag: str, raw: list[str]) -> None:
        self.last_tag = _tag(tag)
        values = [_value(one) for one in raw]
        if self._values.setdefault(self.last_tag, values) != values:
            raise UnreadableFileError(
                f"{tag} is given twice in the block {self.name or 'without a name'}, with other"
                " values.",
                hint="Delete one of them.",
            )

    def __contains__(self, tag: str) -> bool:
        return _tag(tag) in self._values

    def column(self, *tags: str) -> list[str | None] | None:
        """Return the values of the first of these tags that has any; unknown values are None."""
        for tag in tags:
            values = self._values.get(_tag(tag))
            if values and any(v is not None for v in values):
                return values
        return None

    def text(self, *tags: str) -> str | None:
        """Return the first value of the first of these tags that has one."""
        values = self.column(*tags)
        return next((v.strip() for v in values if v and v.strip()), None) if values else None

    def number(self, *tags: str) -> Number | None:
        """Return the number of the first of these tags that has a value; None if it is none."""
        text = self.text(*tags)
        return parse_number(text) if text is not None else None

    def starts(self, prefix: str) -> bool:
        """Return whether a tag starts with ``prefix``."""
        return any(tag.startswith(_tag(prefix)) for tag in self._values)


def _tag(tag: str) -> str:
    return re.sub(r"[.\-]", "_", tag.lower()).rstrip("_")


def _value(raw: str) -> str | None:
    return None if not raw or cif.is_null(raw) else cif.as_string(raw)


def parse_blocks(text: str) -> Iterator[Block | UnreadableFileError]:
    """Yield each data block of a file, or what is wrong with it.

    Blocks are parsed one by one, so that a mistake in one does not lose the others.
    """
    for first_line, part in _split(text.translate(_PLAIN)):
        try:
            # Names of authors may hold what CIF does not allow; nothing that is read here does.
            document = cif.read_string(re.sub(r"[^\t\n\r\x20-\x7e]", "~", part), check_level=0)
            blocks = [Block(block) for block in document]
        except (ValueError, RuntimeError) as error:
            yield _syntax_error(str(error), first_line)
        except UnreadableFileError as error:
            yield error
        else:
            yield from blocks


def _split(text: str) -> Iterator[tuple[int, str]]:
    """Yield each block with the number of the line before it; ``;`` text holds no block."""
    lines = text.splitlines(keepends=True)
    starts, in_text = [], False
    for number, line in enumerate(lines):
        if line.startswith(";"):
            in_text = not in_text
        elif not in_text and _BLOCK.match(line):
            starts.append(number)
    head = "".join(lines[: starts[0]] if starts else lines)
    if "_cell_length_a" in head.lower():
        yield -1, "data_\n" + head
    for start, end in pairwise([*starts, len(lines)]):
        yield start, "".join(lines[start:end])


def _syntax_error(text: str, first_line: int) -> UnreadableFileError:
    match = _ERROR.fullmatch(text)
    where = f"line {first_line + int(match['line'])}: " if match else ""
    what = match["what"] if match else text
    return UnreadableFileError(
        f"This breaks the syntax of CIF ({where}{' '.join(what.split())}).",
        hint="Text with spaces needs quotes, and a loop a value for each of its tags. The file may"
        " also be cut short; export it again.",
    )
