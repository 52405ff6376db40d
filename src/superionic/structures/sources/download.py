"""A query to a database, page by page into a file of JSON lines that survives a kill.

While it runs there are two files beside the wanted one: ``FILE.part`` with the records so far, and
``FILE.state``, which says what was asked, of which version of the database, where the next page
begins and how many bytes of the part are complete. The state is replaced in one step after the
records are on disk, so that whenever the process dies, the two agree or the surplus is cut off.
"""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from superionic.errors import FetchError, SettingsError
from superionic.files import write_whole

STATE_FORMAT = 1


@dataclass(frozen=True)
class Page:
    """Part of the answer to a query.

    Parameters
    ----------
    records : list of dict
        Each with ``material_id``, ``structure`` (``Structure.as_dict``) and flat provenance.
    cursor : str or None
        Where the next page begins; None after the last one.
    total : int or None
        Records of the whole query, as far as the database says.
    left_out : dict of str to str
        Entries that are no usable crystals, with the reason.
    """

    records: list[dict[str, Any]]
    cursor: str | None
    total: int | None = None
    left_out: dict[str, str] = field(default_factory=dict)


class Source(Protocol):
    """A query to a database."""

    @property
    def query(self) -> dict[str, Any]:
        """Return what is asked, as JSON; it tells one download from another."""

    def version(self) -> str:
        """Return the version of the database."""

    def pages(self, cursor: str | None) -> Iterator[Page]:
        """Yield pages, from the first or from a cursor of an earlier one."""


@dataclass
class Download:
    """What was downloaded.

    Parameters
    ----------
    path : Path
        The file.
    version : str
        Version of the database.
    n_records : int
        Crystals in the file.
    n_resumed : int
        Those of them that an earlier, interrupted run had fetched.
    left_out : dict of str to str
        Entries that are no usable crystals, with the reason.
    """

    path: Path
    version: str
    n_records: int = 0
    n_resumed: int = 0
    left_out: dict[str, str] = field(default_factory=dict)


def download(
    source: Source,
    path: Path,
    *,
    restart: bool = False,
    report: Callable[[int, int | None], None] = lambda done, total: None,
) -> Download:
    """Write the answer to a query to a file, one candidate a line.

    Every line carries, beside the crystal, the query, the database version and the date, so that
    :func:`~superionic.structures.readers.read_candidates` finds them as provenance.

    Parameters
    ----------
    source : Source
        The query.
    path : Path
        The file that is written when all is there.
    restart : bool
        Begin anew even if an interrupted run left a part, or the file is there.
    report : callable
        Called with the number of records so far, and of all if it is known.

    Raises
    ------
    SettingsError
        When the file is there already, or an interrupted run asked something else.
    FetchError
        When the database does not answer, has changed since the interrupted run, or ends before all
        its records are there. What was fetched is kept.
    """
    part, state_file = Path(f"{path}.part"), Path(f"{path}.state")
    if restart:
        for old in (path, part, state_file):
            old.unlink(missing_ok=True)
    if path.exists():
        raise SettingsError(
            f"{path} is there already.", hint="Name another file, or fetch anew with --restart."
        )
    if not path.parent.is_dir():
        raise SettingsError(f"There is no folder {path.parent}.", hint="Create it first.")
    state = _read_state(state_file)
    if state is not None and state["query"] != source.query:
        raise SettingsError(
            f"{part} belongs to an unfinished download of something else: "
            f"{json.dumps(state['query'])}.",
            hint="Finish that one, name another file, or drop it with --restart.",
        )
    version = source.version()
    if state is not None and state["version"] != version:
        raise FetchError(
            f"The database went from version {state['version']} to {version} since the download "
            "was interrupted.",
            hint="Fetch anew with --restart, so that all crystals are of one version.",
        )
    if state is None:
        state = {"query": source.query, "version": version, "cursor": None, "n_bytes": 0}
        state |= {"n_records": 0, "n_repeated": 0, "left_out": {}}
        state |= {"format": STATE_FORMAT, "complete": False}
    result = Download(path, version, state["n_records"], state["n_records"], state["left_out"])
    origin = {"database_version": version, "query": json.dumps(source.query, sort_keys=True)}
    total: int | None = None
    seen = _cut(part, state["n_bytes"])
    with part.open("ab") as stream:
        pages = iter(()) if state["complete"] else source.pages(state["cursor"])
        for page in pages:
            now = datetime.now(UTC).isoformat(timespec="seconds")
            for record in page.records:
                if record["material_id"] in seen:
                    state["n_repeated"] += 1
                    continue
                seen.add(record["material_id"])
                line = {**record, **origin, "retrieved": now}
                stream.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
                result.n_records += 1
            result.left_out |= page.left_out
            total = page.total if page.total is not None else total
            stream.flush()
            os.fsync(stream.fileno())
            state |= {"cursor": page.cursor, "n_bytes": stream.tell(), "left_out": result.left_out}
            state |= {"n_records": result.n_records, "complete": page.cursor is None}
            write_whole(state_file, json.dumps(state))
            report(result.n_records, total)
    n_given = result.n_records + len(result.left_out) + state["n_repeated"]
    if total is not None and n_given < total:
        raise FetchError(
            f"The database announced {total} crystals and gave {n_given}.",
            hint="It may have changed while it was read; fetch anew with --restart.",
        )
    part.replace(path)
    state_file.unlink()
    return result


def _read_state(state_file: Path) -> dict[str, Any] | None:
    try:
        state = json.loads(state_file.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        state = None
    if not isinstance(state, dict) or state.get("format") != STATE_FORMAT:
        raise SettingsError(
            f"{state_file} is damaged or of another version.", hint="Begin anew with --restart."
        )
    return state


def _cut(part: Path, n_bytes: int) -> set[str]:
    """Cut a part to its complete bytes; return the ids that it holds."""
    if not part.exists():
        part.touch()
    if part.stat().st_size < n_bytes:
        raise SettingsError(
            f"{part} has {part.stat().st_size} bytes, fewer than the {n_bytes} that were written.",
            hint="It was changed by hand; begin anew with --restart.",
        )
    with part.open("r+b") as stream:
        stream.truncate(n_bytes)
        return {json.loads(line)["material_id"] for line in stream}
