"""The job store of jobflow's own configuration file, if that names one."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from superionic.errors import SettingsError
from superionic.yaml_file import read_yaml

if TYPE_CHECKING:
    from jobflow import JobStore

CONFIG_FILE_VARIABLE = "JOBFLOW_CONFIG_FILE"

EXAMPLE = """\
JOB_STORE:
  docs_store:
    type: MongoStore
    host: HOST
    port: 27017
    username: USER
    password: PASSWORD
    database: superionic
    collection_name: outputs
  additional_stores:
    data:
      type: GridFSStore
      host: HOST
      port: 27017
      username: USER
      password: PASSWORD
      database: superionic
      collection_name: outputs_blobs
"""
_EXAMPLE_HINT = f"Write, for example:\n{EXAMPLE}"


def jobflow_config_file() -> Path | None:
    """Return jobflow's configuration file, or None if there is none.

    Raises
    ------
    SettingsError
        When ``JOBFLOW_CONFIG_FILE`` names a file that does not exist (jobflow itself would keep
        its results in memory without a word).
    """
    named = os.environ.get(CONFIG_FILE_VARIABLE)
    path = Path(named or "~/.jobflow.yaml").expanduser()
    if path.is_file():
        return path
    if named:
        raise SettingsError(
            f"{CONFIG_FILE_VARIABLE} names {path}, which is not there.",
            hint="Correct the path, or unset the variable.",
        )
    return None


def read_jobflow_job_store(path: Path) -> "JobStore | None":
    """Return the job store that a jobflow configuration file names, or None if it names none.

    Raises
    ------
    SettingsError
        When the file cannot be read, or its store would lose results: documents outside a MongoDB
        server, or no additional store ``data``. No value of the file is repeated.
    """
    content = _read_mapping(path)
    if "JOB_STORE" not in content:
        return None
    store = _build(path, content["JOB_STORE"])
    for one in (store.docs_store, *store.additional_stores.values()):
        _number_port(path, one)
    _check(path, store)
    return store


def _read_mapping(path: Path) -> dict[str, Any]:
    from monty.serialization import loadfn

    if path.stat().st_size == 0:
        return {}
    if path.suffix != ".json":
        # jobflow's own reader has no bounds; that it is YAML 1.2 decides what values mean.
        read_yaml(path, f"{path} cannot be read as a jobflow configuration", _EXAMPLE_HINT)
    try:
        content = loadfn(path)
    except Exception as error:
        raise _unreadable(path, error) from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SettingsError(f"{path} is not a mapping of jobflow settings.", hint=_EXAMPLE_HINT)
    return content


def _build(path: Path, spec: Any) -> "JobStore":
    """Build the job store as jobflow does (see ``JobflowSettings.load_default_settings``)."""
    try:
        from jobflow import JobStore  # reads the same file, so it fails on the same faults

        if isinstance(spec, JobStore):
            return spec
        if isinstance(spec, str):
            return JobStore.from_file(spec)
        if spec.get("@class") == "JobStore":
            return JobStore.from_dict(spec)
        return JobStore.from_dict_spec(spec)
    except ImportError:
        raise
    except Exception as error:
        raise _unreadable(path, error) from None


def _number_port(path: Path, store: Any) -> None:
    """Read a port in quotes as a number, as the server's own tools do; pymongo does not."""
    port = getattr(store, "port", None)
    if isinstance(port, str):
        try:
            store.port = int(port)
        except ValueError:
            raise SettingsError(
                f"A port in {path} is no number.", hint=f"Write, for example:\n{EXAMPLE}"
            ) from None
    if (index := getattr(store, "index", None)) is not None:  # of a store of objects
        _number_port(path, index)


def _check(path: Path, store: "JobStore") -> None:
    from maggma.stores import MemoryStore, MongoStore

    docs = store.docs_store
    if not isinstance(docs, MongoStore) or isinstance(docs, MemoryStore):
        raise SettingsError(
            f"The JOB_STORE of {path} keeps its documents in a {type(docs).__name__}, where "
            "results of several processes are lost.",
            hint=f"Name a MongoDB server:\n{EXAMPLE}"
            "or remove JOB_STORE from the file to use superionic's own settings.",
        )
    data = store.additional_stores.get("data")
    if data is None or isinstance(data, MemoryStore):
        raise SettingsError(
            f"The JOB_STORE of {path} has no additional store 'data' on a server, where the "
            "arrays of results go.",
            hint=f"Add it, as in:\n{EXAMPLE}",
        )


def _unreadable(path: Path, error: Exception) -> SettingsError:
    return SettingsError(
        f"{path} cannot be read as a jobflow configuration ({type(error).__name__}).",
        hint=_EXAMPLE_HINT,
    )
