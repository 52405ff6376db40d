"""Waiting for a database that is away."""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pymongo import ReturnDocument

from superionic.errors import DatabaseError

logger = logging.getLogger(__name__)
T = TypeVar("T")

_FIRST_DELAY_S = 0.2
_LONGEST_DELAY_S = 10.0
_TRANSIENT_CODES = frozenset({6, 7, 89, 91, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436})
"""Codes of a server that is starting, stopping or changing its primary."""


class DatabaseAwayError(DatabaseError):
    """The database did not come back within the time that was given it."""

    code = "database_away"


def is_outage(error: Exception) -> bool:
    """Say whether an error of pymongo may pass by itself: no connection, or a server in change."""
    from pymongo.errors import (
        AutoReconnect,
        BulkWriteError,
        ConnectionFailure,
        OperationFailure,
        WaitQueueTimeoutError,
    )

    if isinstance(error, AutoReconnect | ConnectionFailure | WaitQueueTimeoutError):
        return True
    return (
        isinstance(error, OperationFailure)
        and not isinstance(error, BulkWriteError)
        and error.code in _TRANSIENT_CODES
    )


@dataclass(frozen=True)
class RetryPolicy:
    """How long to wait for a database.

    Parameters
    ----------
    limit_s : float
        Longest outage that is waited for, in s.
    """

    limit_s: float = 600.0

    def call(self, call: Callable[[], T]) -> T:
        """Call until it works, with growing pauses, for as long as the database is away.

        Parameters
        ----------
        call : callable
            Without arguments; it must be harmless to call it again when the answer got lost.

        Raises
        ------
        DatabaseAwayError
            When an outage lasts longer than the limit. Other errors pass through.
        """
        delay_s = _FIRST_DELAY_S
        start = None
        while True:
            try:
                result = call()
            except Exception as error:
                if not is_outage(error):
                    raise
                now = time.monotonic()
                if start is None:
                    start = now
                    logger.warning("The database is away (%s); waiting.", type(error).__name__)
                if now - start >= self.limit_s:
                    raise DatabaseAwayError(
                        f"The database has been away for {now - start:.0f} s "
                        f"({type(error).__name__}).",
                        hint="What was computed is kept on disk: when the database is back, run "
                        "'superionic recover', and start workers again.",
                    ) from None
                time.sleep(delay_s * (0.75 + 0.5 * random.random()))
                delay_s = min(2 * delay_s, _LONGEST_DELAY_S)
            else:
                if start is not None:
                    logger.warning("The database is back after %.0f s.", time.monotonic() - start)
                return result


class RetryingCollection:
    """A collection whose operations wait for a database that is away.

    Only for operations that may be applied twice; ``find`` and ``aggregate`` return lists.
    ``find_one_and_update`` and ``find_one_and_replace`` are done in two steps, of which the second
    one holds the whole condition, and so is as safe: SecantusDB 0.7 looks at every document of a
    collection for them, but finds and updates by index.

    Attributes
    ----------
    once : pymongo.collection.Collection
        The collection itself, for operations that must not be repeated without a look.
    """

    def __init__(self, collection: Any, retry: RetryPolicy) -> None:
        self.once = collection
        self._retry = retry

    def find_one_and_update(
        self,
        criteria: dict[str, Any],
        update: dict[str, Any],
        sort: list[tuple[str, int]] | None = None,
    ) -> dict[str, Any] | None:
        """Update one document, and return it as it was."""
        while (found := self.find_one(criteria, sort=sort)) is not None:
            if self.update_one({**criteria, "_id": found["_id"]}, update).matched_count:
                return dict(found)
        return None

    def find_one_and_replace(
        self, criteria: dict[str, Any], replacement: dict[str, Any], upsert: bool = False
    ) -> dict[str, Any] | None:
        """Replace one document, and return it as it was."""
        found = self.find_one(criteria)
        self.replace_one(criteria, replacement, upsert=upsert)
        return None if found is None else dict(found)

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self.once, name)
        if name.startswith("_") or not callable(attribute):
            return attribute
        read_all = name in ("find", "aggregate")

        def patiently(*args: Any, **kwargs: Any) -> Any:
            def once() -> Any:
                result = attribute(*args, **kwargs)
                return list(result) if read_all else result

            return self._retry.call(once)

        return patiently


class RetryingCounter(RetryingCollection):
    """The collection of FireWorks' counters, whose values are taken one by one."""

    def find_one_and_update(
        self,
        criteria: dict[str, Any],
        update: dict[str, Any],
        sort: list[tuple[str, int]] | None = None,
    ) -> dict[str, Any] | None:
        """Count on, and return the counters as they were; a lost answer wastes numbers only.

        They are read as they are after this very update, and counted back: what SecantusDB 0.7
        returns as the document before an update may be that before another process's, and then two
        launches have one number.
        """
        after = self._retry.call(
            lambda: self.once.find_one_and_update(
                criteria, update, sort=sort, return_document=ReturnDocument.AFTER
            )
        )
        if after is None:
            return None
        before = {name: after[name] - by for name, by in update["$inc"].items()}
        return {**after, **before}
