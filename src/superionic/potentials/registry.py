"""Potentials by name: ``family:name?settings``.

=========================================  =====================================================
``chgnet``                                 CHGNet 0.3.0, the default
``chgnet:oam``                             the same network, taught by a model of OMat24
``chgnet:r2scan``, ``chgnet:0.2.0``        other models of chgnet
``sevennet``                               SevenNet-0
``sevennet:7net-mf-0?{"modal":"PBE"}``     another model, with its settings
``sevennet:/path/checkpoint.pth``          a checkpoint, also for ``chgnet``
``matgl:/path/folder``, ``matgl:NAME``     a folder, or a model of matgl's hub
``ase:ase.calculators.emt.EMT``            any ASE calculator that can be imported
``ase:package.module.Name?{"sigma":2.0}``  with keyword arguments as JSON
=========================================  =====================================================

A potential is loaded once per process and device, and proves itself (see
:mod:`superionic.potentials.selfcheck`) before it is first handed out.
"""

import importlib.util
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from superionic.diagnosis import Finding
from superionic.errors import PotentialError, PotentialNotFoundError, SuperionicError
from superionic.potentials.base import Potential, PotentialInfo
from superionic.potentials.chgnet import OWN_MODELS
from superionic.potentials.identities import files_of, known_identity
from superionic.potentials.trust import is_restricted, require_allowed
from superionic.settings import get_settings


@dataclass(frozen=True)
class PotentialSpec:
    """A parsed specification.

    Parameters
    ----------
    family : str
        A key of :data:`FAMILIES`.
    name : str
        Model, path or import path; paths of existing files are absolute.
    settings_json : str
        Settings of the family as canonical JSON, ``{}`` without any.
    """

    family: str
    name: str
    settings_json: str = "{}"

    @property
    def settings(self) -> dict[str, Any]:
        """Return the settings as a dictionary."""
        return json.loads(self.settings_json)

    def __str__(self) -> str:
        """Return the specification in its one canonical form, which names default models, too."""
        head = f"{self.family}:{self.name}"
        return head if self.settings_json == "{}" else f"{head}?{self.settings_json}"


@dataclass(frozen=True)
class Family:
    """How the potentials of one family are found.

    Parameters
    ----------
    load : callable
        ``load(name, device, settings)`` returns a potential.
    default : str
        Name when the specification has none; empty when one is needed.
    package : str
        Module that must be installed.
    install : str
        Command that installs it.
    settings : frozenset of str or None
        Settings that it takes; None for any.
    models : mapping of str to str
        For each model whose weights are installed the folder in its package, or the file.
    """

    load: Callable[[str, str, Mapping[str, Any]], Potential]
    default: str
    package: str
    install: str
    settings: frozenset[str] | None = frozenset()
    models: Mapping[str, str] = field(default_factory=dict)


def _load_chgnet(name: str, device: str, settings: Mapping[str, Any]) -> Potential:
    from superionic.potentials.chgnet.potential import load_chgnet

    return load_chgnet(name, device=_device(device))


def _load_sevennet(name: str, device: str, settings: Mapping[str, Any]) -> Potential:
    from superionic.potentials.sevennet import load_sevennet

    return load_sevennet(name, device=_device(device), modal=settings.get("modal"))


def _load_matgl(name: str, device: str, settings: Mapping[str, Any]) -> Potential:
    from superionic.potentials.matgl import load_matgl

    return load_matgl(name, device=_device(device))


def _identify_ase(name: str, settings: Mapping[str, Any]) -> PotentialInfo:
    from superionic.potentials.ase_calculator import identify_ase

    return identify_ase(name, settings=settings)


def _load_ase(name: str, device: str, settings: Mapping[str, Any]) -> Potential:
    from superionic.potentials.ase_calculator import load_ase

    return load_ase(name, settings=settings)  # where it runs is among its own settings


def _device(device: str) -> str:
    from superionic.potentials.batched import resolve_device

    return resolve_device(device)


FAMILIES: dict[str, Family] = {
    "chgnet": Family(
        _load_chgnet,
        "0.3.0",
        "chgnet",
        "pip install superionic",
        models={name: f"pretrained/{name}" for name in ("0.3.0", "0.2.0", "r2scan")}
        | {name: str(file) for name, file in OWN_MODELS.items()},
    ),
    "sevennet": Family(
        _load_sevennet,
        "7net-0",
        "sevenn",
        'pip install "superionic[sevennet]"',
        frozenset({"modal"}),
        {"7net-0": "pretrained_potentials"},
    ),
    "matgl": Family(_load_matgl, "", "matgl", 'pip install "superionic[matgl]"'),
    "ase": Family(_load_ase, "", "ase", "pip install ase", None),
}
"""The families, by the word before the colon."""


def parse_spec(spec: str) -> PotentialSpec:
    """Parse ``family:name?settings``.

    Raises
    ------
    PotentialNotFoundError
        When the family is unknown, or needs a name and has none.
    PotentialError
        When the settings are not a JSON object or not among those of the family.
    """
    head, _, settings_text = spec.strip().partition("?")
    family_name, _, name = head.partition(":")
    family = FAMILIES.get(family_name)
    if family is None:
        raise PotentialNotFoundError(
            f"{spec!r} names no known family of potentials.",
            hint=f"Families are {', '.join(FAMILIES)}; write for example 'chgnet' or "
            "'ase:package.module.Calculator'.",
        )
    name = name or family.default
    if not name:
        raise PotentialNotFoundError(
            f"{spec!r} needs a model.", hint=f"Write {family_name}:NAME or {family_name}:PATH."
        )
    if family_name != "ase" and Path(name).expanduser().exists():
        name = str(Path(name).expanduser().resolve())
    return PotentialSpec(family_name, name, _canonical_settings(spec, settings_text, family))


def _canonical_settings(spec: str, text: str, family: Family) -> str:
    try:
        settings = json.loads(text or "{}")
    except (json.JSONDecodeError, RecursionError) as error:
        settings = error
    if not isinstance(settings, dict):
        raise PotentialError(
            f"What follows '?' in {spec!r} is not a JSON object.",
            hint='Write for example ase:ase.calculators.lj.LennardJones?{"sigma": 2.0}.',
        )
    unknown = set() if family.settings is None else set(settings) - family.settings
    if unknown:
        raise PotentialError(
            f"{spec!r} has settings that its family does not take: {', '.join(sorted(unknown))}.",
            hint=f"It takes {', '.join(sorted(family.settings or [])) or 'none'}.",
        )
    return json.dumps(settings, sort_keys=True)


def load_potential(spec: str, *, device: str | None = None, check: bool = True) -> Potential:
    """Load a potential, once per process, and let it prove itself.

    Parameters
    ----------
    spec : str
        ``family:name?settings``; see the module's table.
    device : str or None
        ``cpu``, ``auto`` (a CUDA device where there is one) or a torch device; that of the settings
        when None. Calculators of family ``ase`` choose theirs by their own settings.
    check : bool
        Whether it has to pass its self-check, which runs once per weights and package version.

    Returns
    -------
    Potential
        The potential, shared by all callers in this process.

    Raises
    ------
    PotentialNotFoundError
        When the family, the package, the model or the file is not there.
    PotentialNotAllowedError
        When a queued job names it, and this site does not allow its code.
    PotentialError
        When the checkpoint cannot be read, or the device or the settings are wrong.
    SelfCheckError
        When it loads but is wrong.
    """
    parsed = _permitted(spec)
    device = get_settings().device if device is None else device
    if check:
        _prove(parsed, device)
    return _load(parsed, device)


def identify_potential(spec: str) -> PotentialInfo:
    """Return the identity of a potential as it is here.

    An ASE calculator is not built for that, and other potentials are not loaded where their files
    are those of the last time.

    Parameters
    ----------
    spec : str
        As for :func:`load_potential`, which says what is raised.
    """
    parsed = _permitted(spec)
    if parsed.family == "ase":
        return _identify(parsed)
    family = FAMILIES[parsed.family]
    return known_identity(
        str(parsed),
        family.package,
        files_of(parsed.name, family.package, family.models.get(parsed.name, "")),
        lambda: _load(parsed, get_settings().device).info,
    )


def _permitted(spec: str) -> PotentialSpec:
    """Parse a specification, and refuse one that a job must not run here."""
    parsed = parse_spec(spec)
    if parsed.family == "ase" and is_restricted():
        require_allowed(parsed.name, parsed.settings)
    return parsed


@cache
def _identify(spec: PotentialSpec) -> PotentialInfo:
    return _identify_ase(spec.name, spec.settings)


@cache
def _load(spec: PotentialSpec, device: str) -> Potential:
    family = FAMILIES[spec.family]
    if importlib.util.find_spec(family.package) is None:
        raise PotentialNotFoundError(
            f"Potentials of family {spec.family!r} need the package {family.package}, which is "
            "not installed.",
            hint=f"Install it: {family.install}",
        )
    return family.load(spec.name, device, spec.settings)


@cache
def _prove(spec: PotentialSpec, device: str) -> None:
    from superionic.potentials.selfcheck import require_self_check  # takes long

    require_self_check(_load(spec, device))


def diagnose_potentials(specs: Sequence[str]) -> list[Finding]:
    """Say of each potential whether it loads and passes its self-check.

    Parameters
    ----------
    specs : sequence of str
        Specifications as for :func:`load_potential`.

    Returns
    -------
    list of Finding
        One for each specification, in their order.
    """
    return [_diagnose(spec) for spec in specs]


def _diagnose(spec: str) -> Finding:
    from superionic.potentials.selfcheck import require_self_check

    subject = f"potential {spec}"
    try:
        potential = load_potential(spec, check=False)
        report = require_self_check(potential)
    except SuperionicError as error:
        return Finding(ok=False, subject=subject, text=error.message, hint=error.hint)
    except ImportError as error:
        return Finding(
            ok=False,
            subject=subject,
            text=f"It cannot be imported: {error}.",
            hint="Install its package again.",
        )
    text = f"{potential.info.package_version}, passes its self-check"
    if report.convention:
        text += f" (energies: {report.convention})"
    return Finding(ok=True, subject=subject, text=" ".join([text + ".", *report.remarks]), hint="")


@dataclass(frozen=True)
class Model:
    """A model that is there as soon as its package is.

    Parameters
    ----------
    spec : str
        What ``--potential`` takes.
    package : str
        Module that has the weights.
    trained_on : str
        Data and functional.
    """

    spec: str
    package: str
    trained_on: str


MODELS = (
    Model("chgnet:0.3.0", "chgnet", "MPtrj, PBE and PBE+U"),
    Model("chgnet:oam", "chgnet", "MPtrj, then forces of nequix-oam-1 (OMat24, sAlex, MPtrj)"),
    Model("chgnet:r2scan", "chgnet", "MPtrj, then r2SCAN"),
    Model("chgnet:0.2.0", "chgnet", "MPtrj, PBE and PBE+U; older"),
    Model("sevennet:7net-0", "sevenn", "MPtrj, PBE and PBE+U"),
    Model("sevennet:7net-l3i5", "sevenn", "MPtrj, PBE and PBE+U; larger network"),
    Model('sevennet:7net-mf-0?{"modal":"PBE"}', "sevenn", "MPtrj and r2SCAN together"),
    Model('sevennet:7net-mf-0?{"modal":"R2SCAN"}', "sevenn", "MPtrj and r2SCAN together"),
)
"""All of them, the default first."""


def models_here() -> list[Model]:
    """Return the models whose packages are installed."""
    found = {one.package: importlib.util.find_spec(one.package) is not None for one in MODELS}
    return [one for one in MODELS if found[one.package]]


def diagnose_models() -> Finding:
    """Say which models are at hand; none is loaded for that."""
    specs = [one.spec for one in models_here()]
    further = ""
    if importlib.util.find_spec("matgl") is not None:
        further = "; matgl:FOLDER takes a folder with a model of matgl"
    return Finding(
        ok=None,
        subject="models",
        text=f"{', '.join(specs) or 'none'} come with installed packages{further}; "
        "ase:package.module.Calculator takes any other.",
        hint="",
    )
