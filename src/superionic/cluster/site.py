"""Which launchpad and which results database a campaign uses."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from superionic.cluster.launchpad import CampaignLaunchPad
from superionic.cluster.retry import RetryPolicy
from superionic.errors import DatabaseError, SettingsError
from superionic.settings import SuperionicSettings
from superionic.store.database.addresses import hosts_of
from superionic.store.database.answers import answering
from superionic.store.database.stores import (
    CONNECTION_TIMEOUT_S,
    Database,
    DatabaseSpec,
    resolve_database,
)
from superionic.yaml_file import read_yaml

_CONNECTION = ("host", "port", "name", "username", "password", "authsource", "uri_mode")
_KNOWN = (
    *(*_CONNECTION, "mongoclient_kwargs"),
    *("logdir", "strm_lvl", "user_indices", "wf_user_indices"),
)


@dataclass(frozen=True)
class LaunchpadSpec:
    """How to reach a launchpad; it can be sent to other processes.

    Parameters
    ----------
    settings : dict
        As ``LaunchPad.from_dict`` takes them. They may hold a password, so they are not shown.
    source : str
        Where this was said.
    description : str
        Hosts and database name, without secrets.
    ignored : tuple of str
        Fields of the file that have no effect.
    """

    settings: dict[str, Any] = field(repr=False)
    source: str
    description: str
    ignored: tuple[str, ...] = ()

    def open(self, retry: RetryPolicy) -> CampaignLaunchPad:
        """Return the launchpad. Nothing is sent before the first query."""
        return CampaignLaunchPad(deepcopy(self.settings), retry)


@dataclass(frozen=True)
class Site:
    """Where jobs and results are.

    Parameters
    ----------
    database : Database
        The results.
    launchpad : CampaignLaunchPad
        The jobs.
    launchpad_spec : LaunchpadSpec
        How other processes open the launchpad.
    """

    database: Database
    launchpad: CampaignLaunchPad
    launchpad_spec: LaunchpadSpec


def launchpad_file(named: Path | None) -> Path | None:
    """Return FireWorks' launchpad file: the one named, or the one that FireWorks would find.

    Raises
    ------
    SettingsError
        When the file that was named is not there.
    """
    if named is not None:
        if not named.is_file():
            raise SettingsError(f"There is no launchpad file {named}.", hint="Check the path.")
        return named
    from fireworks.fw_config import LAUNCHPAD_LOC

    return Path(LAUNCHPAD_LOC) if LAUNCHPAD_LOC else None


def read_launchpad(path: Path) -> LaunchpadSpec:
    """Return the launchpad of a ``my_launchpad.yaml``; what FireWorks passes over is passed over.

    Raises
    ------
    SettingsError
        When it cannot be read, or asks for an encryption that FireWorks would leave out without
        a word. No value of the file is repeated.
    """
    hint = "'superionic init' writes one."
    content = read_yaml(path, f"{path} cannot be read as a launchpad file", hint)
    if not isinstance(content, dict) or "host" not in content:
        raise SettingsError(f"{path} is no launchpad file: it names no host.", hint=hint)
    ignored = sorted(str(name) for name in content if name not in _KNOWN)
    lost = [name for name in ignored if name.startswith(("ssl", "tls")) and content.get(name)]
    if lost:
        raise SettingsError(
            f"{path} asks for an encryption that FireWorks passes over: {', '.join(lost)}.",
            hint="Write, for example:\nmongoclient_kwargs:\n  tls: true\n  tlsCAFile: ...",
        )
    settings = {name: content[name] for name in _KNOWN if content.get(name) not in (None, "")}
    try:
        settings["port"] = int(settings.get("port") or 27017)
        return LaunchpadSpec(settings, str(path), _describe(settings), tuple(ignored))
    except (ValueError, TypeError):
        raise SettingsError(f"The port in {path} is no number.", hint=hint) from None


def launchpad_in(database: DatabaseSpec) -> LaunchpadSpec:
    """Return the launchpad that lives in the results database itself.

    Raises
    ------
    SettingsError
        When FireWorks cannot reach that database.
    """
    docs = deepcopy(database.job_store["docs_store"])
    if docs.get("ssh_tunnel"):
        raise SettingsError(
            f"The results are reached through an SSH tunnel (from: {database.source}), which "
            "FireWorks cannot use.",
            hint="Open the tunnel with 'ssh -L', and name its end in a my_launchpad.yaml.",
        )
    kwargs = docs.get("mongoclient_kwargs") or {}
    address = docs.get("uri") or docs.get("host")
    if address and "://" in address:
        settings = {"host": address, "uri_mode": True, "name": docs["database"]}
    else:
        settings = {
            "host": docs.get("host"),
            "port": docs.get("port"),
            "name": docs["database"],
            "username": docs.get("username") or None,
            "password": docs.get("password") or None,
            "authsource": docs.get("auth_source") or docs["database"],
        }
    settings["mongoclient_kwargs"] = kwargs
    return LaunchpadSpec(settings, database.source, _describe(settings))


def launchpad_of(database: DatabaseSpec, named: Path | None = None) -> LaunchpadSpec:
    """Return the launchpad of a file, else that of FireWorks, else the one beside the results.

    Raises
    ------
    SettingsError
        When the file is not there or wrong, or FireWorks cannot reach that database.
    """
    path = launchpad_file(named)
    return launchpad_in(database) if path is None else read_launchpad(path)


@contextmanager
def open_site(
    settings: SuperionicSettings,
    *,
    launchpad: Path | None = None,
    retry: RetryPolicy = RetryPolicy(10.0),  # noqa: B008 - frozen
    writing: bool = True,
    prefer_uri: bool = False,
    require_launchpad: bool = False,
) -> Iterator[Site]:
    """Open the results database and the launchpad, and check that they do what will be asked.

    The launchpad is that of the file ``launchpad``, else of the ``my_launchpad.yaml`` that
    FireWorks finds, else it lives in the results database.

    Parameters
    ----------
    settings : SuperionicSettings
        The settings of this installation.
    launchpad : Path, optional
        A launchpad file.
    retry : RetryPolicy
        How long the launchpad's operations wait for a server that is away.
    writing : bool
        Whether something will be written: then indexes are made, and the right to write is needed.
    prefer_uri : bool
        Let ``settings.database_uri`` win over a jobflow configuration file.
    require_launchpad : bool
        Whether something must have been submitted there before.

    Raises
    ------
    SettingsError
        When a configuration is wrong.
    DatabaseError
        When a server does not answer or refuses. No secret is in the message.
    """
    with ExitStack() as stack:
        database = stack.enter_context(
            resolve_database(settings, prefer_uri=prefer_uri, writing=writing, impatient=True)
        )
        launchpad_spec = launchpad_of(database.spec, launchpad)
        opened = open_launchpad(
            launchpad_spec, retry, writing=writing, require_launchpad=require_launchpad
        )
        stack.callback(opened.client.close)
        yield Site(database, opened, launchpad_spec)


def open_launchpad(
    spec: LaunchpadSpec,
    retry: RetryPolicy,
    *,
    writing: bool,
    require_launchpad: bool = False,
    timeout_s: float = CONNECTION_TIMEOUT_S,
) -> CampaignLaunchPad:
    """Return a launchpad that was seen to answer, and to take what is written if that is wanted.

    Raises
    ------
    DatabaseError
        When it does not answer, refuses, or is no launchpad although one is required.
    """
    import pymongo

    place = f"The launchpad {spec.description} (from: {spec.source})"
    with ExitStack() as stack:
        with answering(place, timeout_s, writing=writing):
            opened = spec.open(retry)
            stack.callback(opened.client.close)
            with pymongo.timeout(timeout_s):
                ids = opened.db.fw_id_assigner
                known = ids.find_one({}) is not None
                if not known and require_launchpad:
                    raise DatabaseError(
                        f"{place} holds no jobs: nothing was ever submitted there.",
                        hint="Check the database name, or run 'superionic submit' first.",
                    )
                if writing:
                    # It changes nothing, but needs the right to write.
                    ids.update_one({"_id": "rights"}, {"$set": {"checked": True}}, upsert=False)
        stack.pop_all()
    return opened


def _describe(settings: dict[str, Any]) -> str:
    host = str(settings.get("host") or "localhost")
    address = hosts_of(host) if "://" in host else f"{host}:{settings.get('port') or 27017}"
    return f"{address}/{settings.get('name') or 'fireworks'}"
