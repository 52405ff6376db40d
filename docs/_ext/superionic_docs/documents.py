"""Reference of the documents, from the pydantic models themselves."""

import importlib
import pkgutil
import types
import typing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel
from pymatgen.core import Structure

from superionic_docs.text import code, plain, summary, table, unit_of


@dataclass(frozen=True)
class Field:
    """A field of a document.

    Parameters
    ----------
    name, kind, unit, description : str
        What the reference says of it.
    """

    name: str
    kind: str
    unit: str
    description: str


def models() -> list[type[BaseModel]]:
    """Return all models of :mod:`superionic.schemas`, those of one module together."""
    package = importlib.import_module("superionic.schemas")
    found: list[type[BaseModel]] = []
    for info in pkgutil.iter_modules(package.__path__, "superionic.schemas."):
        module = importlib.import_module(info.name)
        found += [
            one
            for one in vars(module).values()
            if isinstance(one, type)
            and issubclass(one, BaseModel)
            and one.__module__ == info.name
            and one.model_fields
        ]
    return found


def fields_of(model: type[BaseModel]) -> list[Field]:
    """Return the fields that a model adds to those of its bases, or declares anew."""
    own = vars(model).get("__annotations__", {})
    return [
        Field(name, type_text(info.annotation), unit_of(name), plain(info.description or ""))
        for name, info in model.model_fields.items()
        if name in own
    ]


def type_text(hint: Any) -> str:
    """Return a type in words: ``float or null``, ``list of text``."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(type_text(one) for one in arguments)
    if origin is Literal:
        return ", ".join(code(str(one)) for one in arguments)
    if origin in (list, tuple):
        inner = [type_text(one) for one in arguments if one is not Ellipsis]
        return "list of " + ", ".join(_many(one) for one in dict.fromkeys(inner))
    if origin is dict:
        return f"mapping of {type_text(arguments[0])} to {type_text(arguments[1])}"
    if origin is typing.Annotated:
        return type_text(arguments[0])
    if isinstance(hint, type) and issubclass(hint, BaseModel) and hint in models():
        return f"[{hint.__name__}](#{hint.__name__.lower()})"
    return _WORDS.get(hint, code(getattr(hint, "__name__", str(hint))))


def _many(word: str) -> str:
    return f"{word}s" if word in ("number", "integer") else word


_WORDS: dict[Any, str] = {
    Structure: "crystal (pymatgen `Structure`)",
    datetime: "time",
    str: "text",
    int: "integer",
    float: "number",
    bool: "true or false",
    dict: "mapping",
    list: "list",
    type(None): "null",
    Any: "anything",
}


def documents_page() -> str:
    """Return the reference of all documents as Markdown."""
    return "\n\n".join(_section(model) for model in models())


def _section(model: type[BaseModel]) -> str:
    parts = [f"({model.__name__.lower()})=\n## {model.__name__}", summary(model)]
    bases = [base for base in model.__bases__ if base in models()]
    if bases:
        links = " and ".join(f"[{base.__name__}](#{base.__name__.lower()})" for base in bases)
        parts.append(f"Has the fields of {links}, too.")
    rows = [(code(one.name), one.kind, one.unit, one.description) for one in fields_of(model)]
    parts.append(table(("field", "type", "unit", "what"), rows))
    return "\n\n".join(part for part in parts if part)
