"""The screening collection alone, for commands that only read it.

A job store needs jobflow, maggma and, with them, half of scientific Python; a query of rows needs
the driver.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from superionic.settings import SuperionicSettings
from superionic.store.database.addresses import hosts_of
from superionic.store.database.answers import answering, database_errors
from superionic.store.database.jobflow_config import jobflow_config_file
from superionic.store.database.server import local_server
from superionic.store.database.stores import (
    CONNECTION_TIMEOUT_S,
    SCREENING_COLLECTION,
    database_name,
    resolve_database,
)

if TYPE_CHECKING:
    from pymongo.collection import Collection


@dataclass(frozen=True)
class Place:
    """A database in words.

    Parameters
    ----------
    description : str
        Hosts and database name, without secrets.
    source : str
        Where it was named.
    """

    description: str
    source: str


@contextmanager
def screening_rows(
    settings: SuperionicSettings, *, prefer_uri: bool = False
) -> Iterator["Collection"]:
    """Open the screening collection for reading; nothing is written, no index either.

    The database is that of :func:`superionic.store.database.stores.resolve_database`.

    Parameters
    ----------
    settings : SuperionicSettings
        The settings of this installation.
    prefer_uri : bool
        Let ``settings.database_uri`` go before jobflow's file.

    Raises
    ------
    SettingsError
        When the configuration is wrong.
    DatabaseError
        When the database does not answer or refuses.
    """
    with ExitStack() as stack:
        uri = settings.database_uri
        if (uri is None or not prefer_uri) and jobflow_config_file() is not None:
            # Whatever jobflow can say of a store, jobflow must read.
            database = stack.enter_context(
                resolve_database(settings, prefer_uri=prefer_uri, writing=False)
            )
            stack.enter_context(database_errors(database))
            yield database.screening._collection
            return
        name, source = settings.database_name, "local server"
        if uri is None:
            uri = stack.enter_context(local_server(settings.data_dir))
        else:
            name, source = database_name(settings, uri), "database_uri"
        place = Place(f"{hosts_of(uri)}/{name}", source)
        yield from _collection(uri, name, place)


def _collection(uri: str, name: str, place: Place) -> Iterator["Collection"]:
    from pymongo import MongoClient

    milliseconds = int(1000 * CONNECTION_TIMEOUT_S)
    said = f"The database {place.description} (from: {place.source})"
    with answering(said, CONNECTION_TIMEOUT_S):
        client: MongoClient = MongoClient(
            uri,
            serverSelectionTimeoutMS=milliseconds,
            connectTimeoutMS=milliseconds,
        )
    with client:
        rows = client[name][SCREENING_COLLECTION]
        with answering(said, CONNECTION_TIMEOUT_S):
            # By its index: the local server reads a whole collection to give any one document.
            rows.find_one({"_id": None}, {"_id": 1})
        with database_errors(place):
            yield rows
