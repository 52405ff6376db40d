"""Reference of the command line, from the application itself."""

import inspect
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from superionic_docs.text import code, table


@dataclass(frozen=True)
class Parameter:
    """An option or argument of a command.

    Parameters
    ----------
    names : tuple of str
        As they are written, ``--top`` and ``-n``; an argument has its one name.
    is_argument : bool
        Whether it is an argument.
    value : str
        What follows it; empty for a switch.
    default : str
        Its default, as text; empty without one.
    required : bool
        Whether it must be given.
    choices : tuple of str
        Values that it takes; empty for any.
    help : str
        What it is for.
    """

    names: tuple[str, ...]
    is_argument: bool
    value: str
    default: str
    required: bool
    choices: tuple[str, ...]
    help: str


@dataclass(frozen=True)
class Command:
    """A command.

    Parameters
    ----------
    name : str
        As it is written, ``superionic fetch mp``.
    help : str
        What it does, in paragraphs.
    parameters : list of Parameter
        Arguments and options.
    """

    name: str
    help: str
    parameters: list[Parameter]


def commands() -> list[Command]:
    """Return all commands of the application, in the order in which it lists them."""
    from superionic.cli.app import app

    return list(_walk(app, "superionic"))


def _walk(app: Any, name: str) -> Iterator[Command]:
    for info in app.registered_commands:
        function = info.callback
        hints = typing.get_type_hints(function, include_extras=True)
        parameters = [
            _parameter(key, hints[key], one.default)
            for key, one in inspect.signature(function).parameters.items()
            if typing.get_args(hints[key])  # the context of a command is no parameter
        ]
        text = info.help or inspect.getdoc(function) or ""
        yield Command(f"{name} {info.name or function.__name__}", text, parameters)
    for info in app.registered_groups:
        yield from _walk(info.typer_instance, f"{name} {info.name}")


def _parameter(key: str, hint: Any, default: Any) -> Parameter:
    kind, info = typing.get_args(hint)
    choices, repeatable = [one for one in typing.get_args(kind) if one is not type(None)], False
    kind = choices[0] if choices and typing.get_origin(kind) is not list else kind
    if typing.get_origin(kind) is list:
        kind, repeatable = typing.get_args(kind)[0], True
    required = default is inspect.Parameter.empty
    if info.__class__.__name__ == "ArgumentInfo":
        return Parameter((key.upper(),), True, "", "", required, (), info.help or "")
    # Inside Annotated, typer keeps the first name that is declared as the default.
    words = [one for one in (info.default, *(info.param_decls or ())) if isinstance(one, str)]
    declared = [one for word in words for one in word.split("/") if one.startswith("-")]
    names = declared or [f"--{key.replace('_', '-')}"]
    if kind is bool and not declared:
        names.append(f"--no-{key.replace('_', '-')}")
    values = tuple(one.value for one in kind) if issubclass(kind, Enum) else ()
    return Parameter(
        names=tuple(names),
        is_argument=False,
        value=_value(kind, values, info, repeatable),
        default=_default(default, info, names),
        required=required,
        choices=values,
        help=info.help or "",
    )


_WORDS = {bool: "", int: "integer", float: "number", str: "text", Path: "path"}


def _value(kind: Any, choices: tuple[str, ...], info: Any, repeatable: bool) -> str:
    text = ", ".join(choices) or _WORDS[kind]
    if info.min is not None:
        text += f" from {info.min:g}"
    if info.max is not None:
        text += f" to {info.max:g}"
    return text + (", repeatable" if repeatable else "")


def _default(default: Any, info: Any, names: list[str]) -> str:
    if isinstance(info.show_default, str):
        return info.show_default
    if default is inspect.Parameter.empty or default is None or info.show_default is False:
        return ""
    if isinstance(default, bool):
        off = [name for name in names if name.startswith("--no-")]
        return next(name for name in names if (name in off) != default) if off else ""
    return str(default.value if isinstance(default, Enum) else default)


def commands_page() -> str:
    """Return the reference of all commands as Markdown."""
    return "\n\n".join(_section(command) for command in commands())


def _section(command: Command) -> str:
    arguments = [one for one in command.parameters if one.is_argument]
    options = [one for one in command.parameters if not one.is_argument]
    usage = [command.name]
    usage += [one.names[0] if one.required else f"[{one.names[0]}]" for one in arguments]
    usage += ["[OPTIONS]"] if options else []
    paragraphs = [" ".join(text.split()) for text in command.help.split("\n\n")]
    parts = [f"## {command.name}", *paragraphs, f"```text\n{' '.join(usage)}\n```"]
    if arguments:
        parts.append(table(("argument", "what"), [(code(o.names[0]), o.help) for o in arguments]))
    if options:
        rows = [
            (
                ", ".join(code(name) for name in one.names),
                one.value + (" (required)" if one.required else ""),
                code(one.default),
                one.help,
            )
            for one in options
        ]
        parts.append(table(("option", "value", "default", "what"), rows))
    return "\n\n".join(parts)
