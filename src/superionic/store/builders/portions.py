"""Streams cut into portions that one query can take."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def portions(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of ``size``, the last one shorter."""
    iterator = iter(items)
    while portion := list(islice(iterator, size)):
        yield portion
