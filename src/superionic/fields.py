"""Values for the fields of dataclasses, checked, and rebuilt from dictionaries."""

import dataclasses
import sys
import types
import typing
from collections.abc import Callable, Mapping
from functools import cache
from types import SimpleNamespace
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from superionic.errors import SettingsError

T = TypeVar("T")


def checked(kind: type, name: str, value: Any, whole: str | None = None) -> Any:
    """Return a value for one field of a dataclass, converted to the field's type.

    Parameters
    ----------
    kind : type
        The dataclass.
    name : str
        The field.
    value : object
        What it is to be.
    whole : str, optional
        How the error names the field.

    Raises
    ------
    SettingsError
        When the field cannot have the value.

    Examples
    --------
    >>> from superionic.landscape.settings import LandscapeSettings
    >>> checked(LandscapeSettings, "grid_step_A", "0.4")
    0.4
    """
    hint = type_of(kind, name)
    try:
        adapter = TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))
    except Exception:  # a dataclass has its own configuration
        adapter = TypeAdapter(hint)
    try:
        return adapter.validate_python(value)
    except (ValidationError, ValueError, TypeError) as error:
        text = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise SettingsError(f"The setting '{whole or name}' cannot be {value!r}: {text}.") from None


def rebuilt(kind: type[T], value: Any, whole: str) -> T:
    """Return a dataclass with its nested dataclasses, also from dictionaries of their fields.

    Parameters
    ----------
    kind : type
        The dataclass.
    value : object
        One of it, or a mapping with some of its fields; the others have their defaults.
    whole : str
        How errors name it.

    Raises
    ------
    SettingsError
        When a mapping names a field that is not there, or a value that a field cannot have.

    Examples
    --------
    >>> from superionic.landscape.settings import LandscapeSettings
    >>> rebuilt(LandscapeSettings, {"learned": {"max_energies": 50}}, "settings").learned
    LearnedSettings(..., max_energies=50, ...)
    """
    if not isinstance(value, Mapping):
        if not is_settings(value):
            raise SettingsError(
                f"The setting '{whole}' cannot be {value!r}.",
                hint=f"Give a {kind.__name__}, or a dictionary of its fields.",
            )
        given = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        changed: dict[str, Any] = {}
        for name, nested in nested_fields(type(value)):
            part = given[name]
            if isinstance(part, Mapping) or is_settings(part):
                again: Any = rebuilt(nested, part, f"{whole}.{name}")
                changed |= {name: again} if again is not part else {}
        for name, part in given.items():  # serialisation leaves lists of tuples
            if isinstance(part, list) and typing.get_origin(type_of(type(value), name)) is tuple:
                changed[name] = tuple(part)
        return dataclasses.replace(value, **changed) if changed else value
    content = {name: part for name, part in value.items() if not name.startswith("@")}
    known = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    if unknown := sorted(set(content) - set(known)):
        raise SettingsError(
            f"There is no setting '{whole}.{unknown[0]}'.",
            hint=f"Known there are {', '.join(known)}.",
        )
    nested_of = dict(nested_fields(kind))
    for name, part in content.items():
        if name in nested_of and (isinstance(part, Mapping) or is_settings(part)):
            content[name] = rebuilt(nested_of[name], part, f"{whole}.{name}")
        else:
            content[name] = checked(kind, name, part, f"{whole}.{name}")
    return kind(**content)


def _nested_fields(kind: type) -> tuple[tuple[str, type], ...]:
    """Return the fields of a dataclass that are dataclasses (or None), each with its class."""
    found = []
    for field in dataclasses.fields(kind):
        hint = type_of(kind, field.name)
        union = typing.get_origin(hint) in (typing.Union, types.UnionType)
        kinds = typing.get_args(hint) if union else (hint,)
        nested = [one for one in kinds if dataclasses.is_dataclass(one) and isinstance(one, type)]
        if len(nested) == 1:
            found.append((field.name, nested[0]))
    return tuple(found)


def _type_of(kind: type, name: str) -> Any:
    """Return the type of one field.

    One alone: atomate2's Makers have fields whose types exist for type checkers only.
    """
    owner = next(one for one in kind.__mro__ if name in vars(one).get("__annotations__", {}))
    field = SimpleNamespace(__annotations__={name: vars(owner)["__annotations__"][name]})
    try:
        return typing.get_type_hints(field, vars(sys.modules[owner.__module__]))[name]
    except NameError:
        return Any


nested_fields: Callable[[type], tuple[tuple[str, type], ...]] = cache(_nested_fields)
type_of: Callable[[type, str], Any] = cache(_type_of)


def is_settings(value: Any) -> bool:
    """Say whether it is a dataclass with values, and no class of them."""
    return dataclasses.is_dataclass(value) and not isinstance(value, type)
