"""Reference of settings: of an installation, of campaign files, of Makers and of studies."""

import dataclasses
import typing
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from superionic_docs.text import code, described, plain, summary, table, unit_of


@dataclass(frozen=True)
class Setting:
    """One setting.

    Parameters
    ----------
    name, default, unit, description : str
        What the reference says of it.
    nested : type or None
        The class of a setting that has settings of its own.
    """

    name: str
    default: str
    unit: str
    description: str
    nested: type | None = None


def makers() -> dict[str, type]:
    """Return the Maker of each kind of flow, by the name that campaign files use."""
    from superionic.workflows.makers.table import FLOWS

    return {name: kind.maker_class() for name, kind in FLOWS.items()}


def roots() -> list[type]:
    """Return classes of settings that no flow reaches, or only by name."""
    from superionic.landscape.settings import LearnedSettings
    from superionic.network.train import TrainSettings
    from superionic.workflows.jobs.engines.vasp import VaspEngine
    from superionic.workflows.jobs.prediction import ShakeMaker

    return [LearnedSettings, ShakeMaker, VaspEngine, TrainSettings]


def setting_classes() -> dict[type, dict[str, list[str]]]:
    """Return all dataclasses of settings, outer ones first.

    Returns
    -------
    dict of type to dict of str to list of str
        For each class by which dotted paths it is reached, and from which flows or classes.
    """
    found: dict[type, dict[str, list[str]]] = {}
    for name, maker in makers().items():
        _collect(maker, "", f"the flow `{name}`", found)
    for one in roots():
        if one not in found:
            _collect(one, "", one.__name__, found)
    return found


def _collect(kind: type, path: str, root: str, found: dict[type, dict[str, list[str]]]) -> None:
    places = found.setdefault(kind, {})
    places.setdefault(path, []).append(root)
    for one in settings_of(kind):
        if one.nested is not None:
            _collect(one.nested, f"{path}.{one.name}" if path else one.name, root, found)


def _where(places: dict[str, list[str]]) -> str:
    """Return where a class of settings stands, in words; empty for one that stands by itself."""
    said = [f"`{path}` of {', '.join(found)}" for path, found in places.items() if path]
    return f"Where: {'; '.join(said)}." if said else ""


def settings_of(kind: type) -> list[Setting]:
    """Return the settings of a dataclass; fields that it has from other packages are left out."""
    texts = described(kind)
    hints = dict(_hints(kind))
    names = {name for one in kind.__mro__ if _is_ours(one) for name in _annotations(one)}
    rows = []
    for one in fields(kind):
        if one.name not in names or (one.name == "name" and issubclass(kind, _maker())):
            continue
        nested = _nested(one, hints.get(one.name))
        rows.append(
            Setting(
                one.name, _default(one, nested), unit_of(one.name), texts.get(one.name, ""), nested
            )
        )
    return rows


def _maker() -> type:
    from jobflow import Maker

    return Maker


def _annotations(kind: type) -> dict[str, Any]:
    return vars(kind).get("__annotations__", {})


def _is_ours(kind: type) -> bool:
    return kind.__module__.startswith("superionic")


def _hints(kind: type) -> Iterator[tuple[str, Any]]:
    """Yield the types of fields; of our own classes only, since others may not be resolved."""
    for one in reversed(kind.__mro__):
        if not _is_ours(one):
            continue
        try:
            hints = typing.get_type_hints(one)
        except (NameError, AttributeError):
            hints = {}
        yield from ((name, hint) for name, hint in hints.items() if name in _annotations(one))


def _nested(one: "dataclasses.Field[Any]", hint: Any) -> type | None:
    """Return the class of settings that a field holds by default, else the first it may hold."""
    default = _value(one)
    if is_dataclass(default) and not isinstance(default, type):
        return type(default)
    for option in typing.get_args(hint) or (hint,):
        if isinstance(option, type) and is_dataclass(option) and _is_ours(option):
            return option
    return None


def _value(one: "dataclasses.Field[Any]") -> Any:
    if one.default is not MISSING:
        return one.default
    return one.default_factory() if one.default_factory is not MISSING else MISSING


def _default(one: "dataclasses.Field[Any]", nested: type | None) -> str:
    value = _value(one)
    if value is MISSING:
        return "(must be given)"
    if nested is not None and value is not None:
        changed = _changes(value)
        link = _link(nested)
        return f"{link} with {changed}" if changed else link
    return _text(value)


def _changes(value: Any) -> str:
    """Return the fields of a default that are not those of its class."""
    usual = type(value)()
    names = [one.name for one in fields(value)]
    changed = [name for name in names if getattr(value, name) != getattr(usual, name)]
    return ", ".join(f"{code(name)} = {_text(getattr(value, name))}" for name in changed)


def _text(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, tuple | list) and len(value) > 8:
        first, last = ", ".join(map(str, value[:3])), value[-1]
        return code(f"[{first}, ..., {last}]")
    if isinstance(value, tuple | list):
        return code(str(list(value)))
    if isinstance(value, bool):
        return code(str(value).lower())
    return code(str(value)) if value not in ("", {}) else ""


def _link(kind: type) -> str:
    return f"[{kind.__name__}](#{kind.__name__.lower()})"


def model_settings(model: type[BaseModel]) -> list[Setting]:
    """Return the fields of a pydantic model of settings."""
    rows = []
    for name, info in model.model_fields.items():
        if info.is_required():
            default = "(must be given)"
        elif info.default_factory is not None or isinstance(info.default, Path):
            default = ""
        else:
            default = "" if info.default is PydanticUndefined else _text(info.default)
        rows.append(Setting(name, default, unit_of(name), plain(info.description or "")))
    return rows


def filters() -> dict[str, type[BaseModel]]:
    """Return the filters by the name that campaign files use."""
    from superionic.structures.filters import AnyFilter

    union = typing.get_args(AnyFilter)[0]
    return {
        typing.get_args(model.model_fields["filter"].annotation)[0]: model
        for model in typing.get_args(union)
    }


def settings_page() -> str:
    """Return the reference of all settings as Markdown."""
    from superionic.settings import SuperionicSettings
    from superionic.workflows.campaign.definition import Campaign

    rows = [
        (code(one.name), code(f"SUPERIONIC_{one.name.upper()}"), one.default, one.description)
        for one in model_settings(SuperionicSettings)
    ]
    parts = [
        "## Of an installation",
        table(("setting", "environment variable", "default", "what"), rows),
        "## Of a campaign file",
        _table(model_settings(Campaign)),
        "## Filters",
    ]
    for name, model in filters().items():
        own = [one for one in model_settings(model) if one.name != "filter"]
        parts += [f"### Filter {name}", summary(model), *([_table(own)] if own else [])]
    parts += [
        "## Of Makers and studies",
        "In a campaign file these are named by dotted path, from the Maker of the flow on: "
        "`landscape_maker.settings.grid_step_A`. What is null in a file is None in Python.",
    ]
    for kind, where in setting_classes().items():
        parts += [f"({kind.__name__.lower()})=\n### {kind.__name__}", summary(kind)]
        parts.append(_where(where))
        parts.append(_table(settings_of(kind)))
    return "\n\n".join(part for part in parts if part)


def _table(rows: list[Setting]) -> str:
    cells = [(code(one.name), one.default, one.unit, one.description) for one in rows]
    return table(("setting", "default", "unit", "what"), cells)
