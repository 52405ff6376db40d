"""The database that is shown: opened when it is first needed, for reading only."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Generic, TypeVar

import pymongo
from pymongo.collection import Collection

from superionic.errors import DatabaseError
from superionic.report.serve.errors import empty_collection
from superionic.store.collection.survey import Survey, survey
from superionic.store.database.stores import Database, DatabaseSpec, check_connection, with_timeouts

T = TypeVar("T")

SURVEY_LASTS_S = 60.0
_FAILURE_LASTS_S = 2.0


class Source:
    """The results database of a server.

    It is opened without making indexes or anything else, so a user with the role ``read`` is
    enough. When it is away, every question says so, and the next one tries again.

    Parameters
    ----------
    spec : DatabaseSpec
        Which database.
    query_timeout_s, connection_timeout_s : float
        Longest time that one question may take, and that the database may take to be found.
    """

    def __init__(
        self, spec: DatabaseSpec, query_timeout_s: float, connection_timeout_s: float
    ) -> None:
        self.spec = spec
        self.query_timeout_s = query_timeout_s
        self.connection_timeout_s = connection_timeout_s
        self._lock = threading.Lock()
        self._database: Database | None = None
        self._failure: tuple[float, DatabaseError] | None = None
        self._survey: Cached[Survey] = Cached(SURVEY_LASTS_S)

    @contextmanager
    def asking(self) -> Iterator[Database]:
        """Use the database; what is asked of it must be answered in time.

        Raises
        ------
        DatabaseError
            When it does not answer.
        """
        database = self._opened()
        with pymongo.timeout(self.query_timeout_s):
            yield database

    def survey(self, database: Database) -> Survey:
        """Return what is known of the screening collection.

        Raises
        ------
        AnswerError
            When it holds no rows.
        """
        rows = rows_of(database)
        found = self._survey.get(lambda: survey(rows), keep=lambda one: one.n_rows > 0)
        if not found.n_rows and rows.find_one({}, {"_id": 1}) is None:
            raise empty_collection(database.description)
        return found

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            if self._database is not None:
                self._database.close()
            self._database = None

    def _opened(self) -> Database:
        with self._lock:
            if self._database is not None:
                return self._database
            if self._failure is not None and time.monotonic() < self._failure[0]:
                raise self._failure[1]
            try:
                check_connection(self.spec, timeout_s=self.connection_timeout_s)
                self._database = self.spec.open()
            except DatabaseError as error:
                self._failure = (time.monotonic() + _FAILURE_LASTS_S, error)
                raise
            return self._database


class Cached(Generic[T]):
    """A value that is found again when it is old; only one thread at a time looks for it.

    Parameters
    ----------
    lasts_s : float
        How long it is good.
    """

    def __init__(self, lasts_s: float) -> None:
        self.lasts_s = lasts_s
        self._lock = threading.Lock()
        self._value: tuple[float, T] | None = None

    def get(self, find: Callable[[], T], keep: Callable[[T], bool] = lambda _: True) -> T:
        """Return the value, found anew if there is none or it is old."""
        with self._lock:
            if self._value is not None and time.monotonic() < self._value[0]:
                return self._value[1]
            value = find()
            if keep(value):
                self._value = (time.monotonic() + self.lasts_s, value)
            return value


def rows_of(database: Database) -> Collection:
    """Return the screening collection."""
    return database.screening._collection


def for_reading(spec: DatabaseSpec) -> DatabaseSpec:
    """Return a database whose clients do not repeat writes and notice soon when it is away."""

    def reading(store: dict[str, Any]) -> dict[str, Any]:
        if "mongoclient_kwargs" not in store:
            return store
        kwargs = {**(store["mongoclient_kwargs"] or {}), "retryWrites": False}
        return {**store, "mongoclient_kwargs": {**kwargs, "appname": "superionic serve"}}

    timed = with_timeouts(spec)
    job_store = dict(timed.job_store)
    job_store["docs_store"] = reading(job_store["docs_store"])
    job_store["additional_stores"] = {
        name: reading(store) for name, store in job_store["additional_stores"].items()
    }
    return replace(timed, job_store=job_store)
