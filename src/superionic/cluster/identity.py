"""Who does the work has the potential that was asked for, or leaves the work to another.

A name is no identity: two machines may have other weights, or other code, under the same one.
Submission writes into each job which potentials it uses and what they are; a worker whose own are
others does not take the job.
"""

import dataclasses
import socket
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from superionic import __version__
from superionic.errors import (
    NetworkError,
    OtherPotentialError,
    OtherVersionError,
    PotentialNotAllowedError,
    PotentialNotFoundError,
    SuperionicError,
)
from superionic.potentials.base import PotentialInfo, release, same_release
from superionic.potentials.registry import identify_potential, parse_spec
from superionic.potentials.trust import only_allowed
from superionic.schemas.document import digest
from superionic.workflows.keys import VERSIONS, versions

if TYPE_CHECKING:
    from superionic.workflows.makers.base import FlowMaker

IDENTITY_FIELD = "spec._superionic.identity"


def potentials_of(maker: "FlowMaker") -> dict[str, PotentialInfo]:
    """Return the identity of each potential that a flow uses, by its specification.

    Parameters
    ----------
    maker : FlowMaker
        The flow; engines of dynamics have potentials of their own.

    Raises
    ------
    PotentialError
        When one cannot be identified here.
    """
    specs = sorted(set(_fields_named(maker, "potential")))
    return {spec: identify_potential(spec) for spec in specs}


def described(
    job: Any, maker: "FlowMaker", potentials: Mapping[str, PotentialInfo]
) -> dict[str, Any]:
    """Return what a job carries: what gives its numbers, and one text for all of that.

    Parameters
    ----------
    job : jobflow.Job
        The job.
    maker : FlowMaker
        The flow: all its jobs carry the versions of its parts.
    potentials : mapping of str to PotentialInfo
        As :func:`potentials_of` returns them; those that the job mentions are carried.
    """
    by_name = {str(parse_spec(spec)): info for spec, info in potentials.items()}
    by_name.update(potentials)
    mentioned = set(_texts([job.function_args, job.function_kwargs, job.maker])) & by_name.keys()
    asked = {str(parse_spec(spec)): by_name[spec] for spec in mentioned}
    numerics = versions(maker)
    wanted = [
        {
            "spec": spec,
            "weights_sha256": info.weights_sha256,
            "package_version": info.package_version,
        }
        for spec, info in sorted(asked.items())
    ]
    content = [
        [one["spec"], one["weights_sha256"], release(one["package_version"])] for one in wanted
    ]
    found: dict[str, Any] = {"potentials": wanted, "numerics": numerics}
    if hasattr(maker, "network") and hasattr(job.maker, "flow"):  # it makes a key, or predicts
        from superionic.workflows.jobs.prediction import load_network

        sha256 = load_network(maker.network).sha256
        found["network"] = {"path": job.maker.flow.network, "sha256": sha256}
        content.append(["network", sha256])
    return {**found, "identity": digest([numerics, content])[:32]}


def reason_to_refuse(details: Mapping[str, Any]) -> SuperionicError | None:
    """Return why a job cannot be done here as it was asked for; None if it can.

    What else is wrong with a potential is for the job itself to say.

    Parameters
    ----------
    details : mapping
        What the job carries.
    """
    for name, version in details.get("numerics", {}).items():
        if VERSIONS.get(name) != version:
            return OtherVersionError(
                f"superionic {__version__} gives other numbers here than the job asks for: it has "
                f"version {VERSIONS.get(name)} of {name}, and not {version}.",
                hint="Install the same superionic on all machines, or submit again from here.",
            )
    if (network := details.get("network")) is not None:
        from superionic.workflows.jobs.prediction import load_network

        try:
            found = load_network(network["path"])
        except NetworkError as error:
            return error
        if found.sha256 != network["sha256"]:
            return NetworkError(
                f"The network {found.name} is another one here (SHA-256 {found.sha256[:8]}) than "
                f"the job asks for ({network['sha256'][:8]}).",
                hint="Give all machines the same file, or submit again from here.",
            )
    for wanted in details.get("potentials", ()):
        spec = wanted["spec"]
        try:
            with only_allowed():
                here = identify_potential(spec)
        except (PotentialNotFoundError, PotentialNotAllowedError) as error:
            return error
        except SuperionicError:
            continue
        if here.weights_sha256 != wanted["weights_sha256"]:
            return OtherPotentialError(
                f"{spec} is another one here (SHA-256 {here.weights_sha256[:8]}) than the job asks "
                f"for ({wanted['weights_sha256'][:8]}).",
                hint="Give all machines the same files, or submit again from here.",
            )
        if not same_release(here.package_version, wanted["package_version"]):
            return OtherPotentialError(
                f"{spec} is evaluated by {here.package_version} here, and the job asks for "
                f"{wanted['package_version']}.",
                hint="Install the same release on all machines, or submit again from here.",
            )
    return None


class Gate:
    """What a worker takes, and what it leaves to others.

    Parameters
    ----------
    refusals : collection
        Where it is written down what is refused and why; 'superionic status' reads it.
    worker : str
        Name of the worker.
    """

    def __init__(self, refusals: Any, worker: str) -> None:
        self._refusals = refusals
        self._worker = f"{worker} on {socket.gethostname()}"
        self._refused: dict[str, bool] = {}

    def criteria(self) -> dict[str, Any]:
        """Return what jobs must meet to be looked at."""
        refused = [identity for identity, is_refused in self._refused.items() if is_refused]
        return {IDENTITY_FIELD: {"$nin": refused}} if refused else {}

    def lets_pass(self, details: Mapping[str, Any]) -> bool:
        """Say whether a job is taken; the first of its kind that is not is written down."""
        identity = details.get("identity")
        if identity is None:
            return True
        if identity not in self._refused:
            reason = reason_to_refuse(details)
            self._refused[identity] = reason is not None
            if reason is not None:
                name = f"{identity} {self._worker}"
                told = {"identity": identity, "worker": self._worker, "reason": str(reason)}
                told["code"] = reason.code
                update = {"$set": {**told, "at": datetime.now(UTC)}}
                self._refusals.update_one({"_id": name}, update, upsert=True)
        return not self._refused[identity]


def _fields_named(value: Any, name: str) -> Iterator[str]:
    """Yield the texts of all fields of one name in nested dataclasses."""
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return
    for field in dataclasses.fields(value):
        inner = getattr(value, field.name)
        if field.name == name and isinstance(inner, str):
            yield inner
        else:
            yield from _fields_named(inner, name)


def _texts(value: Any) -> Iterator[str]:
    """Yield all texts in nested containers and dataclasses, but for those of the flow of a job."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts(list(value.values()))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [
            field.name for field in dataclasses.fields(value) if field.name not in ("flow", "fixed")
        ]
        yield from _texts([getattr(value, name) for name in names])
