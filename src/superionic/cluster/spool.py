"""Results on disk before they are sent.

A result is *complete* when its file is in the spool: the documents of the job, the arrays that go
to additional stores, and what FireWorks has to know of the launch. Whoever finds such a file can
deliver it, any number of times: every write is keyed, and keys are fixed in the file.
"""

import contextlib
import fcntl
import json
import os
import tempfile
import time
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import bson
from jobflow import JobStore
from maggma.core import Store

from superionic.cluster.retry import RetryPolicy
from superionic.errors import DatabaseError
from superionic.files import made_private
from superionic.store.database.owner import is_dead, this_process

if TYPE_CHECKING:
    from fireworks.core.firework import FWAction

_SUFFIX = ".result"
_REFUSED = ".refused"
_DOUBLED = ".doubled"
_PART = ".part"
_PART_AGE_S = 86_400.0
_PROBE_BYTES = 65_536
FORMAT = 1


class SpoolError(DatabaseError):
    """A result cannot be written to, or read from, disk."""

    code = "spool"


@dataclass(frozen=True)
class Write:
    """One call of ``update`` of a store.

    Parameters
    ----------
    store : str
        Name of the additional store, or ``""`` for the documents.
    documents : list of dict
        What is written.
    key : list of str
        Fields that identify a document.
    """

    store: str
    documents: list[dict[str, Any]]
    key: list[str]


@dataclass(frozen=True)
class Result:
    """Everything that a finished launch has to tell the database.

    Parameters
    ----------
    launchpad : str
        Identity of the launchpad, so that results of one are never sent to another.
    fw_id, launch_id : int
        The Firework and its launch.
    state : str
        ``COMPLETED`` or ``FIZZLED``.
    action_json : str
        The FWAction as JSON.
    owner : str
        Token of the process that computed it.
    writes : tuple of Write
        Documents, arrays first.
    """

    launchpad: str
    fw_id: int
    launch_id: int
    state: str
    action_json: str
    owner: str
    writes: tuple[Write, ...]

    @property
    def action(self) -> "FWAction":
        """Return what FireWorks does next."""
        from fireworks.core.firework import FWAction

        return FWAction.from_dict(json.loads(self.action_json))


@dataclass(frozen=True)
class Spool:
    """A directory of complete results that have not been sent yet.

    Parameters
    ----------
    directory : Path
        Readable by its owner only; it may be shared by all workers of a user.
    """

    directory: Path

    def write(self, result: Result) -> Path:
        """Write a result so that it is there as a whole, or not at all.

        Raises
        ------
        SpoolError
            When the disk does not take it.
        """
        content = {
            "format": FORMAT,
            "launchpad": result.launchpad,
            "fw_id": result.fw_id,
            "launch_id": result.launch_id,
            "state": result.state,
            "action_json": result.action_json,
            "owner": result.owner,
            "writes": [vars(write) for write in result.writes],
        }
        path = self.directory / f"{result.fw_id}-{result.launch_id}-{os.getpid()}{_SUFFIX}"
        with self._written(bson.encode(content), result.owner) as temporary:
            os.replace(temporary, path)
            directory = os.open(self.directory, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        return path

    def check(self) -> None:
        """See that a result can be written, before anything is computed.

        Raises
        ------
        SpoolError
            When the disk does not take it.
        """
        with self._written(bytes(_PROBE_BYTES), this_process().token) as temporary:
            temporary.unlink()

    @contextlib.contextmanager
    def _written(self, content: bytes, owner: str) -> Iterator[Path]:
        """Write a file that is not a result yet; it is named after its process."""
        temporary = None
        try:
            made_private(self.directory)
            descriptor, name = tempfile.mkstemp(  # mode 600
                dir=self.directory, prefix=f"{quote(owner, safe='')}~", suffix=_PART
            )
            temporary = Path(name)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            yield temporary
        except OSError as error:
            if temporary is not None:
                temporary.unlink(missing_ok=True)
            raise SpoolError(
                f"Results cannot be written to {self.directory}: {error.strerror}.",
                hint="Free space there, or name another directory with --spool.",
            ) from error

    def entries(self, *, doubled: bool = False) -> Iterator[tuple[Path, Result]]:
        """Yield all results that wait here, or those that came too late.

        Files that cannot be read are set aside.
        """
        for path in self.doubled() if doubled else sorted(self.directory.glob(f"*{_SUFFIX}")):
            try:
                yield path, _read(path)
            except FileNotFoundError:  # its own worker has just sent it
                continue
            except (bson.errors.BSONError, KeyError, TypeError):
                self.set_aside(path)

    @contextlib.contextmanager
    def claimed(self, path: Path) -> Iterator[bool]:
        """Be the only one who sends a result of another process; says whether that worked out.

        The claim ends with the process that holds it, however it ends.
        """
        try:
            file = path.open("rb")
        except FileNotFoundError:  # it has been sent
            yield False
            return
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
                return
            yield path.exists()

    def sweep(self) -> None:
        """Remove what processes that died in the middle of writing have left."""
        for path in self.directory.glob(f"*~*{_PART}"):
            with contextlib.suppress(FileNotFoundError):
                old = time.time() - path.stat().st_mtime > _PART_AGE_S  # nobody writes for so long
                if old or is_dead(unquote(path.name.partition("~")[0])):
                    path.unlink()

    def count(self) -> int:
        """Return the number of results that wait here."""
        return sum(1 for _ in self.directory.glob(f"*{_SUFFIX}"))

    def set_aside(self, path: Path, *, doubled: bool = False) -> Path:
        """Keep a file that cannot be sent, or whose job was given to another, out of the way."""
        aside = path.with_suffix(_DOUBLED if doubled else _REFUSED)
        with contextlib.suppress(FileNotFoundError):
            path.rename(aside)
        return aside

    def refused(self) -> list[Path]:
        """Return the files that cannot be sent."""
        return sorted(self.directory.glob(f"*{_REFUSED}"))

    def doubled(self) -> list[Path]:
        """Return the files of results that came too late."""
        return sorted(self.directory.glob(f"*{_DOUBLED}"))


def _read(path: Path) -> Result:
    content = bson.decode(path.read_bytes())
    if content.pop("format") != FORMAT:
        raise KeyError("format")
    writes = tuple(Write(**write) for write in content.pop("writes"))
    return Result(**content, writes=writes)


class _Recorder(Store):
    """A store that remembers what it is asked to write."""

    def __init__(self, name: str, writes: list[Write], key: str) -> None:
        super().__init__(key=key)
        self._name = name
        self._writes = writes

    @property
    def name(self) -> str:
        return self._name

    @property
    def _collection(self) -> None:
        return None

    def update(self, docs: Any, key: Any = None) -> None:
        documents = docs if isinstance(docs, list) else [docs]
        fields = [key] if isinstance(key, str) else list(key or [self.key])
        self._writes.append(Write(self._name, deepcopy(documents), fields))

    def _never(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    connect = close = count = query = ensure_index = groupby = remove_docs = _never


# maggma's abstract methods are there under one name.
_Recorder.__abstractmethods__ = frozenset()


class SpoolingJobStore(JobStore):
    """A job store that reads from the database, and keeps what is written until it is taken.

    Parameters
    ----------
    real : JobStore
        The connected store of the results database.
    retry : RetryPolicy
        How long reading waits for a database that is away.
    """

    def __init__(self, real: JobStore, retry: RetryPolicy) -> None:
        super().__init__(
            real.docs_store, dict(real.additional_stores), save=real.save, load=real.load
        )
        self.real = real
        self.retry = retry
        self._writes: list[Write] = []

    def connect(self, force_reset: bool = False) -> None:
        """Do nothing: the real store is connected once, for all jobs."""

    def close(self) -> None:
        """Do nothing."""

    def query(self, *args: Any, **kwargs: Any) -> Iterator[dict[str, Any]]:
        """Query as the real store does, waiting for a database that is away."""
        return iter(self.retry.call(lambda: list(self.real.query(*args, **kwargs))))

    def update(self, docs: Any, save: Any = None, key: Any = None) -> None:
        """Remember documents, split as jobflow splits them, with their blob identifiers fixed."""
        recording = JobStore(
            _Recorder("", self._writes, "uuid"),
            {name: _Recorder(name, self._writes, "blob_uuid") for name in self.additional_stores},
            save=self.save,
            load=self.load,
        )
        recording.update(docs, save=save, key=key)

    def take(self) -> tuple[Write, ...]:
        """Return what was written since the last call: arrays before the documents naming them."""
        writes = sorted(self._writes, key=lambda write: write.store == "")
        self._writes.clear()
        return tuple(writes)
