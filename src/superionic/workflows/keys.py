"""The key under which work is found again.

A key is the hash of a text that holds the crystal, and the names and values of all settings that
can change numbers. Results are found by their keys for years, so the text of a piece of work never
changes: :data:`PARTS` says by which names classes enter it, whatever they are called and wherever
they live today. Three rules keep it so:

- a class that is renamed or moved gets its new path in :data:`PARTS` and keeps its name;
- a new field is named in ``later``, with the value that gives the numbers of before: at that value
  it is left out;
- code that gives other numbers for the same settings raises the ``version``.

Keys that 0.1 made are the same, but for work with a field of ``no_numbers`` that was set:
:func:`former_keys` makes those.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from jobflow import Maker

from superionic.schemas.document import digest

_FORMAT = "1.0"
"""First entry of the text; another one makes all results unknown."""


@dataclass(frozen=True)
class Part:
    """How a class of settings enters keys.

    Parameters
    ----------
    name : str
        Its name in keys, for ever.
    path : str
        Where it is defined now, ``package.module.Class``.
    version : int
        Version of the numbers that the same settings give.
    later : mapping
        Fields that are younger than keys: left out at the value that is given here, which is the
        one that gives the numbers of before.
    no_numbers : mapping
        Fields that change no numbers, and the value that stands in keys for all of theirs.
    """

    name: str
    path: str
    version: int = 1
    later: Mapping[str, Any] = field(default_factory=dict)
    no_numbers: Mapping[str, Any] = field(default_factory=dict)


def _parts(*parts: Part) -> dict[str, Part]:
    return {part.path: part for part in parts}


PARTS = _parts(
    Part("ScreenMaker", "superionic.workflows.makers.screen.ScreenMaker"),
    Part("LabelMaker", "superionic.workflows.makers.label.LabelMaker"),
    Part("PredictMaker", "superionic.workflows.makers.predict.PredictMaker"),
    Part("ValidateMaker", "superionic.workflows.makers.validate.ValidateMaker"),
    Part(
        "RefineMaker",
        "superionic.workflows.makers.refine.RefineMaker",
        no_numbers={"prior": None, "prepare_maker": None},
    ),
    Part("RefineLandscapeMaker", "superionic.workflows.jobs.refine.RefineLandscapeMaker"),
    Part("AsePointMaker", "superionic.workflows.jobs.points.AsePointMaker"),
    Part("VaspPointMaker", "superionic.workflows.jobs.points.VaspPointMaker"),
    Part("PrepareMaker", "superionic.workflows.jobs.prepare.PrepareMaker"),
    Part("PrepareSettings", "superionic.structures.prepare.PrepareSettings"),
    Part(
        "RelaxIfNeededMaker",
        "superionic.workflows.jobs.relax.RelaxIfNeededMaker",
        later={"symmetry_tolerance_A": None},
    ),
    Part(
        "LandscapeMaker",
        "superionic.workflows.jobs.landscape.LandscapeMaker",
        no_numbers={"energies_per_job": None},
    ),
    Part(
        "LandscapeSettings",
        "superionic.landscape.settings.LandscapeSettings",
        later={"learned": None, "carrier": None},
    ),
    Part("LearnedSettings", "superionic.landscape.settings.LearnedSettings"),
    Part("AdaptiveSettings", "superionic.landscape.settings.AdaptiveSettings"),
    Part("DescriptorsMaker", "superionic.workflows.jobs.descriptors.DescriptorsMaker"),
    Part("DescriptorSettings", "superionic.landscape.settings.DescriptorSettings"),
    Part("ShakeMaker", "superionic.workflows.jobs.prediction.ShakeMaker"),
    Part("ShakeSettings", "superionic.network.settings.ShakeSettings"),
    Part("DiffusionMDMaker", "superionic.workflows.jobs.diffusion.DiffusionMDMaker"),
    Part("MDSettings", "superionic.dynamics.settings.MDSettings"),
    Part("StopRules", "superionic.dynamics.stopping.StopRules"),
    # Rules of the analysis alone: what they change is ANALYSIS_VERSION of documents, not the run.
    Part(
        "SlopeSettings",
        "superionic.dynamics.slope.SlopeSettings",
        later={"fall": 1.5, "plateau": 0.75, "n_confirming": 2},
    ),
    Part("VerdictRules", "superionic.dynamics.verdict.VerdictRules"),
    Part("SupercellMaker", "superionic.workflows.jobs.validation.SupercellMaker"),
    Part("AseEngine", "superionic.workflows.jobs.engines.ase.AseEngine"),
    Part("VaspEngine", "superionic.workflows.jobs.engines.vasp.VaspEngine"),
    Part(
        "ConfirmationRules",
        "superionic.dynamics.confirmation.ConfirmationRules",
        later={"superheating": 1.2, "min_values": 2},
    ),
)
"""All classes that enter keys, by where they are."""

VERSIONS = {part.name: part.version for part in PARTS.values()}
"""Version of the numbers of each part in this installation."""

_as_in_0_1: ContextVar[bool] = ContextVar("_as_in_0_1", default=False)


def task_key(material_id: str, structure_hash: str, maker: Maker) -> str:
    """Return a key that is equal when the crystal and all that can change numbers are equal.

    Parameters
    ----------
    material_id : str
        Identifier under which the result is wanted.
    structure_hash : str
        Hash of the crystal as it was read.
    maker : Maker
        The Maker of the flow with its nested Makers and settings, the mobile species and the
        canonical specification of the potential among them. The hash of the potential's weights
        is compared besides the key.

    Returns
    -------
    str
        SHA-256, 64 hexadecimal digits.
    """
    return digest([_FORMAT, material_id, structure_hash, _content(maker)])


def former_keys(maker: Any, crystals: Iterable[Any]) -> dict[str, str]:
    """Return the keys that 0.1 made for some work, where they are others, and those of today.

    Parameters
    ----------
    maker : FlowMaker
        The Maker of the flow.
    crystals : iterable of Candidate
        The crystals.
    """
    changed = any(
        getattr(one, name) != value
        for one, part in _known_parts(maker)
        for name, value in part.no_numbers.items()
    )
    if not changed:
        return {}
    found = {}
    for crystal in crystals:
        with _former():
            former = maker.key(crystal)
        found[former] = maker.key(crystal)
    return found


@contextmanager
def _former() -> Iterator[None]:
    token = _as_in_0_1.set(True)
    try:
        yield
    finally:
        _as_in_0_1.reset(token)


def key_fields(value: Any) -> Any:
    """Return settings as keys hold them: a dictionary of fields, nested ones, too.

    As ``dataclasses.asdict``, less fields that keys leave out.
    """
    return _content(value, named=False)


def versions(maker: Any) -> dict[str, int]:
    """Return the versions of all parts of a flow, by their names in keys."""
    return {part.name: part.version for _, part in _known_parts(maker)}


def _content(value: Any, *, named: bool = True) -> Any:
    """Return what can change numbers: names and fields of settings, but not the names of jobs."""
    if not is_dataclass(value) or isinstance(value, type):
        return value
    part = PARTS.get(_path(type(value))) or Part(type(value).__qualname__, "")
    content: dict[str, Any] = {"class": part.name} if named else {}
    if part.version > 1:
        content["version"] = part.version
    for one in fields(value):
        inner = getattr(value, one.name)
        if one.name == "name" and isinstance(value, Maker):
            continue
        if one.name in part.later and inner == part.later[one.name]:
            continue
        if one.name in part.no_numbers and not _as_in_0_1.get():
            inner = part.no_numbers[one.name]
        content[one.name] = _content(inner, named=named)
    return content


def _known_parts(value: Any) -> Iterator[tuple[Any, Part]]:
    if not is_dataclass(value) or isinstance(value, type):
        return
    if (part := PARTS.get(_path(type(value)))) is not None:
        yield value, part
    for one in fields(value):
        yield from _known_parts(getattr(value, one.name))


def _path(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
