"""The results database: which one it is, and its stores."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from superionic.errors import DatabaseError
from superionic.schemas.indexes import SCREENING_INDEXES
from superionic.settings import SuperionicSettings
from superionic.store.database.addresses import database_of, hosts_of
from superionic.store.database.answers import answering
from superionic.store.database.jobflow_config import jobflow_config_file, read_jobflow_job_store
from superionic.store.database.server import local_server

if TYPE_CHECKING:
    from jobflow import JobStore
    from maggma.stores import GridFSStore, MongoStore

DOCS_COLLECTION = "outputs"
DATA_COLLECTION = "outputs_blobs"
SCREENING_COLLECTION = "screening"
FAILURES_COLLECTION = "failures"

CONNECTION_TIMEOUT_S = 5.0
CLIENT_KWARGS = {
    "serverSelectionTimeoutMS": 3_000,
    "connectTimeoutMS": 3_000,
    "socketTimeoutMS": 60_000,
}

_ASCENDING = 1
_DOCS_INDEXES = (
    ("uuid", "index"),
    ("index",),
    ("output.material_id",),
    ("output.kind",),
    ("output.task_key",),
    ("completed_at",),
)
_FAILURES_INDEXES = (("material_id",), ("code",), ("last_updated",))
_DATA_INDEXES = (("metadata.blob_uuid",), ("metadata.job_uuid",))


@dataclass(frozen=True)
class DatabaseSpec:
    """How to reach a results database; it can be sent to other processes.

    Attributes
    ----------
    job_store : dict
        The job store as ``JobStore.as_dict`` gives it. It may hold a password, so it is not shown.
    source : str
        Where this was said: a file, a setting, or the local server.
    description : str
        Hosts and database name, without secrets.
    """

    job_store: dict[str, Any] = field(repr=False)
    source: str
    description: str

    def open(self) -> "Database":
        """Return connected stores. Nothing is sent before the first query."""
        from jobflow import JobStore

        job_store = JobStore.from_dict(deepcopy(self.job_store))
        docs = job_store.docs_store
        database = Database(
            spec=self,
            job_store=job_store,
            screening=mongo_store(docs, SCREENING_COLLECTION, key="key"),
            failures=mongo_store(docs, FAILURES_COLLECTION, key="key"),
        )
        # 'from None' throughout: the texts of drivers may repeat parts of a URI.
        for store in database.stores:
            try:
                store.connect()
            except Exception as error:
                raise DatabaseError(
                    f"A store of {self.description} (from: {self.source}) cannot be opened "
                    f"({type(error).__name__}).",
                    hint="Check its host, its credentials, and that what it needs is installed.",
                ) from None
        return database


@dataclass(frozen=True)
class Database:
    """The connected stores of a results database.

    Attributes
    ----------
    spec : DatabaseSpec
        How other processes open it.
    job_store : JobStore
        Documents of jobs, with the additional store ``data`` for their arrays.
    screening : MongoStore
        One document for each material, mobile species and potential; its key is ``key``.
    failures : MongoStore
        Materials that could not be computed, and why; its key is ``key``.
    """

    spec: DatabaseSpec
    job_store: "JobStore"
    screening: "MongoStore"
    failures: "MongoStore"

    @property
    def description(self) -> str:
        """Hosts and database name, without secrets."""
        return self.spec.description

    @property
    def stores(self) -> tuple["JobStore | MongoStore", ...]:
        """All stores."""
        return (self.job_store, self.screening, self.failures)

    def close(self) -> None:
        """Close all connections."""
        for store in self.stores:
            store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


@contextmanager
def resolve_database(
    settings: SuperionicSettings,
    *,
    prefer_uri: bool = False,
    writing: bool = True,
    impatient: bool = False,
) -> Iterator[Database]:
    """Open the results database, and close it at the end.

    It is, in this order, the ``JOB_STORE`` of jobflow's configuration file (``JOBFLOW_CONFIG_FILE``
    or ``~/.jobflow.yaml``), ``settings.database_uri``, or the local server in
    ``settings.data_dir``, which is started if need be and stopped by its last user.

    Parameters
    ----------
    settings : SuperionicSettings
        The settings of this installation.
    prefer_uri : bool
        Let ``settings.database_uri`` go before jobflow's file, as when it was given on the command
        line.
    writing : bool
        Whether something will be written: then indexes are made. Otherwise nothing is, so that a
        user with the role ``read`` is enough.
    impatient : bool
        Whether a server that goes away is noticed by :data:`CLIENT_KWARGS`, as those need it who
        wait and try again.

    Yields
    ------
    Database
        Connected and checked.

    Raises
    ------
    SettingsError
        When the configuration names a store that would lose results, or no valid URI.
    DatabaseError
        When the database does not answer or refuses, or no local server can be started.
    """
    with ExitStack() as stack:
        spec = configured_database(settings, prefer_uri=prefer_uri)
        if spec is None:
            uri = stack.enter_context(local_server(settings.data_dir))
            spec = spec_from_uri(uri, settings.database_name, source="local server")
        if impatient:
            spec = with_timeouts(spec)
        check_connection(spec)
        database = stack.enter_context(spec.open())
        if writing:
            ensure_indexes(database)
        yield database


def configured_database(
    settings: SuperionicSettings, *, prefer_uri: bool = False
) -> DatabaseSpec | None:
    """Return the database that jobflow's file or the settings name, or None; nothing is opened.

    With ``prefer_uri`` a URI in the settings wins over jobflow's file.

    Raises
    ------
    SettingsError
        When the configuration names a store that would lose results, or no valid URI.
    """
    path = None if prefer_uri and settings.database_uri is not None else jobflow_config_file()
    if path is not None and (job_store := read_jobflow_job_store(path)) is not None:
        return spec_from_job_store(job_store, source=str(path))
    if settings.database_uri is None:
        return None
    name = database_name(settings, settings.database_uri)
    return spec_from_uri(settings.database_uri, name, source="database_uri")


def database_name(settings: SuperionicSettings, uri: str) -> str:
    """Return the database of a URI; its own yields to one that was set on purpose."""
    in_uri = None if "database_name" in settings.model_fields_set else database_of(uri)
    return in_uri or settings.database_name


def spec_from_uri(uri: str, database_name: str, *, source: str) -> DatabaseSpec:
    """Describe a database on a MongoDB server.

    Raises
    ------
    SettingsError
        When the URI is not valid; it is not repeated.
    """
    from jobflow import JobStore
    from maggma.stores import GridFSStore, MongoStore

    hosts = hosts_of(uri)
    job_store = JobStore(
        MongoStore.from_uri(uri, DOCS_COLLECTION, database_name),
        {"data": GridFSStore.from_uri(uri, DATA_COLLECTION, database_name)},
    )
    return DatabaseSpec(job_store.as_dict(), source, f"{hosts}/{database_name}")


def spec_from_job_store(job_store: "JobStore", *, source: str) -> DatabaseSpec:
    """Describe the database of a job store whose documents are in a ``MongoStore``."""
    from jobflow import JobStore

    docs = job_store.docs_store
    # The deprecated URI stores of maggma 0.77 lose all their arguments in as_dict.
    modern = JobStore(
        mongo_store(docs, docs.collection_name, key="uuid"),
        {name: _modern_gridfs(store) for name, store in job_store.additional_stores.items()},
        save=job_store.save,
        load=job_store.load,
    )
    return DatabaseSpec(modern.as_dict(), source, _describe(docs))


def with_timeouts(spec: DatabaseSpec) -> DatabaseSpec:
    """Return a database whose clients notice soon when the server is away.

    pymongo would look for it for 30 s each time, also when a connection is closed.
    """
    job_store = deepcopy(spec.job_store)
    for store in (job_store["docs_store"], *job_store["additional_stores"].values()):
        if "mongoclient_kwargs" in store:
            store["mongoclient_kwargs"] = {**CLIENT_KWARGS, **(store["mongoclient_kwargs"] or {})}
    return replace(spec, job_store=job_store)


def check_connection(spec: DatabaseSpec, *, timeout_s: float = CONNECTION_TIMEOUT_S) -> None:
    """Read from the database once.

    Raises
    ------
    DatabaseError
        When it does not answer within ``timeout_s``, or refuses. No secret is in the message.
    """
    from jobflow import JobStore
    from maggma.stores import GridFSStore

    job_store = JobStore.from_dict(deepcopy(spec.job_store))
    data = job_store.additional_stores["data"]
    for store in (job_store.docs_store, data):
        if store is data and not isinstance(data, GridFSStore):
            continue
        place = f"The database {_describe(store)} (from: {spec.source})"
        milliseconds = int(1000 * timeout_s)
        store.mongoclient_kwargs = {
            **store.mongoclient_kwargs,
            "serverSelectionTimeoutMS": milliseconds,
            "connectTimeoutMS": milliseconds,
            "socketTimeoutMS": milliseconds,
        }
        try:
            with answering(place, timeout_s):
                _connect(store, place)
                collection = store._files_collection if store is data else store._collection
                # By its index: the local server reads all to give any one document.
                collection.find_one({"_id": None}, {"_id": 1})
        finally:
            if store._coll is not None:
                store.close()


def _connect(store: Any, place: str) -> None:
    try:
        store.connect()
    except Exception as error:
        if store.ssh_tunnel is None or store._coll is not None:
            raise
        raise DatabaseError(
            f"{place}: the tunnel cannot be opened ({type(error).__name__}).",
            hint="Check its address, its user and its key, with 'ssh'.",
        ) from None


def ensure_indexes(database: Database) -> None:
    """Make the indexes that queries and updates rely on; those that exist are left alone.

    Raises
    ------
    DatabaseError
        When the server refuses, for example since keys that must be unique are not.
    """
    from maggma.stores import GridFSStore
    from pymongo.errors import PyMongoError

    data = database.job_store.additional_stores["data"]
    wanted = [
        (database.job_store.docs_store._collection, _DOCS_INDEXES),
        (database.screening._collection, SCREENING_INDEXES),
        (database.failures._collection, _FAILURES_INDEXES),
    ]
    if isinstance(data, GridFSStore):
        wanted.append((data._files_collection, _DATA_INDEXES))
    try:
        for collection, indexes in wanted:
            for fields in indexes:
                collection.create_index([(name, _ASCENDING) for name in fields])
        for store in (database.screening, database.failures):
            store._collection.create_index("key", unique=True)
    except PyMongoError as error:
        raise DatabaseError(
            f"The database {database.description} refuses an index ({type(error).__name__}, code "
            f"{getattr(error, 'code', None)}).",
            hint="The user needs the role readWrite; codes 11000 and 86 mean that an older index "
            "or doubled documents are in the way.",
        ) from None


def mongo_store(like: "MongoStore", collection_name: str, *, key: str) -> "MongoStore":
    """Return a store of another collection in the same database, not connected."""
    from maggma.stores import MongoStore

    return MongoStore(
        collection_name=collection_name,
        key=key,
        safe_update=like.safe_update,
        last_updated_field=like.last_updated_field,
        last_updated_type=like.last_updated_type,
        **_connection(like),
    )


def _modern_gridfs(store: Any) -> Any:
    from maggma.stores import GridFSStore

    if not isinstance(store, GridFSStore):
        return store
    return GridFSStore(
        collection_name=store.collection_name,
        compression=store.compression,
        ensure_metadata=store.ensure_metadata,
        searchable_fields=sorted(set(store.searchable_fields) - {"job_uuid", "job_index"}),
        key=store.key,
        **_connection(store),
    )


def _connection(store: "MongoStore | GridFSStore") -> dict[str, Any]:
    names = "database host port username password ssh_tunnel auth_source mongoclient_kwargs uri"
    return {name: deepcopy(getattr(store, name)) for name in names.split()}


def _describe(store: "MongoStore | GridFSStore") -> str:
    """Return hosts and database of a store; its host may be a URI, too."""
    address = store.uri or store.host
    hosts = hosts_of(address) if "://" in address else f"{address}:{store.port}"
    if store.ssh_tunnel is None:
        return f"{hosts}/{store.database}"
    tunnel = store.ssh_tunnel
    return (
        f"{tunnel.remote_server_address}/{store.database}, through an SSH tunnel over "
        f"{tunnel.tunnel_server_address}"
    )
