"""Which code a potential's name may run when the name comes from a file or a queue.

Whoever writes ``ase:my_module.MyCalculator`` on a command line, or in a program, means to run that
code. A campaign file and a queued job are data: somebody else may have written them. There a name
runs code only where this site says so: calculators of :data:`KNOWN_MODULES` and functions of
:data:`KNOWN_FUNCTIONS` with settings that are numbers and words, and whatever the setting
``calculators`` names.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from superionic.errors import PotentialNotAllowedError
from superionic.settings import get_settings

KNOWN_MODULES = (
    *("ase.calculators.emt", "ase.calculators.lj", "ase.calculators.morse"),
    *("ase.calculators.tip3p", "ase.calculators.tip4p"),
    *("aimnet.calculators", "chgnet.model.dynamics", "deepmd.calculator", "fairchem.core"),
    *(
        "mace.calculators",
        "matgl.ext.ase",
        "mattersim.forcefield",
        "nequip.ase",
        "nequix.calculator",
    ),
    *("orb_models.forcefield", "pet_mad.calculator", "sevenn.calculator", "tblite.ase"),
    *("torchani.ase", "upet.calculator"),
)
"""Modules whose ASE calculators compute in this process, and start no program."""

KNOWN_FUNCTIONS = ("mace.calculators.mace_mp", "mace.calculators.mace_off")
"""Functions that return a calculator of a published model."""

_only_allowed: ContextVar[bool] = ContextVar("only_allowed", default=False)
_OUTSIDE = re.compile(r"[/\\~]")


@contextmanager
def only_allowed() -> Iterator[None]:
    """Let potentials run only what this site allows, while a job of somebody else runs."""
    token = _only_allowed.set(True)
    try:
        yield
    finally:
        _only_allowed.reset(token)


def is_restricted() -> bool:
    """Say whether :func:`only_allowed` is in force."""
    return _only_allowed.get()


def allowed_by_site(name: str) -> bool:
    """Say whether the settings name an import path: ``calculators``, or ``potential`` itself."""
    settings = get_settings()
    own = settings.potential.partition("?")[0] == f"ase:{name}"
    return own or any(_within(name, module) for module in settings.calculators)


def require_allowed(name: str, settings: Mapping[str, Any]) -> None:
    """Refuse the name of an ASE calculator from a file or a queue unless the site allows it.

    Nothing is imported.

    Parameters
    ----------
    name : str
        Import path of the calculator.
    settings : mapping
        Its keyword arguments.

    Raises
    ------
    PotentialNotAllowedError
        Saying what to do where it is trusted.
    """
    if allowed_by_site(name):
        return
    hint = (
        "If you trust whoever named it, add the module to the setting 'calculators' "
        f"(SUPERIONIC_CALCULATORS={name.rpartition('.')[0] or name}), or name the potential "
        "on the command line."
    )
    if name not in KNOWN_FUNCTIONS and not any(_within(name, module) for module in KNOWN_MODULES):
        raise PotentialNotAllowedError(
            f"ase:{name} comes from a file or a queue, and would run code that this site does not "
            "allow.",
            hint=hint,
        )
    if (outside := named_outside(settings)) is not None:
        raise PotentialNotAllowedError(
            f"ase:{name} comes from a file or a queue, and its settings name a file or an address "
            f"({outside[:60]!r}), which may hold code.",
            hint=hint,
        )


def named_outside(settings: Any) -> str | None:
    """Return the first text in settings that is the name of a file or an address."""
    for value in words_of(settings) if isinstance(settings, Mapping | list | tuple) else ():
        if _OUTSIDE.search(value) or _exists(value):
            return value
    return None


def require_class(name: str) -> bool:
    """Say whether a restricted name has to be a calculator's class, and not a function."""
    return is_restricted() and not allowed_by_site(name) and name not in KNOWN_FUNCTIONS


def words_of(value: Any) -> Iterator[str]:
    """Yield all texts of a setting, at every depth, those of plain settings first."""
    nested = []
    for one in value.values() if isinstance(value, Mapping) else value:
        if isinstance(one, str):
            yield one
        elif isinstance(one, Mapping | list | tuple):
            nested.append(one)
    for one in nested:
        yield from words_of(one)


def _within(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


def _exists(text: str) -> bool:
    try:
        return bool(text) and Path(text).exists()
    except (OSError, ValueError):  # too long for a name, or none
        return False
