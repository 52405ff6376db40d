"""Space groups by name, in all their settings.

The names are those of the 530 settings of International Tables (spglib's table) and of gemmi's
table, which adds some cells that those lack. A name that leaves open the origin, the axes or the
unique axis stands for several settings; nothing is chosen here.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import gemmi
import spglib

from superionic.structures.cif.symmetry import Symmetry, symmetry_of_hall

N_SETTINGS = 530
_DOUBLE_GLIDES = (39, 41, 64, 67, 68)
_CUBIC_WITH_BAR = (*range(200, 207), *range(221, 231))
_GLIDE_PLACE = {"A": 1, "B": 2, "C": 3}
_ORIGIN = re.compile(r"[\s,(]+origin\s*(?:choice)?\s*([12])\)?", re.IGNORECASE)
_ICSD_SUFFIXES = {"hr": "h", "rs": "r", "s": "1", "z": "2", "h": "h", "r": "r"}


@dataclass(frozen=True)
class Setting:
    """A space group in one choice of axes and origin.

    Parameters
    ----------
    number : int
        Of the space group, 1 to 230.
    name : str
        Hermann-Mauguin symbol, with origin or axes where there are several.
    choice : str
        Origin (``1``, ``2``), axes (``H``, ``R``) and order of axes, as spglib has them.
    hall : str
        Hall symbol, which says it all.
    """

    number: int
    name: str
    choice: str
    hall: str

    @property
    def symmetry(self) -> Symmetry:
        """Return its operations."""
        return symmetry_of_hall(self.hall)


def settings_of_hall(symbol: str) -> list[Setting]:
    """Return the setting of a Hall symbol, also of one that no table has; none if it is wrong."""
    plain = " ".join(symbol.replace("_", " ").split())
    try:
        symmetry = symmetry_of_hall(plain)
    except RuntimeError:
        return []
    known = _by_operations().get(symmetry.keys)
    return [known or Setting(0, plain, "", plain)]


def settings_of_number(number: int) -> list[Setting]:
    """Return all settings of a space group."""
    return [s for s in _table() if s.number == number]


def settings_of_name(symbol: str) -> list[Setting]:
    """Return all settings that a Hermann-Mauguin symbol may mean; none if it is unknown.

    Short, full and old symbols are known, with or without spaces, with the suffixes of the
    Crystallography Open Database (``:1``, ``:2``, ``:H``, ``:R``) and of the Inorganic Crystal
    Structure Database (``S``, ``Z``, ``H``, ``R``).

    >>> [setting.hall for setting in settings_of_name("R -3 m R")]
    ['-P 3* 2']
    """
    base, _, suffix = _ORIGIN.sub(r":\1", symbol).partition(":")
    found = _by_name().get(_plain(base), [])
    if suffix.strip():
        return settings_of_choice(found, suffix)
    if found:
        return list(found)
    plain = _plain(base)
    for ending, choice in _ICSD_SUFFIXES.items():
        if plain.endswith(ending):
            chosen = settings_of_choice(_by_name().get(plain.removesuffix(ending), []), choice)
            if chosen:
                return chosen
    return []


def settings_of_choice(settings: Sequence[Setting], code: str) -> list[Setting]:
    """Return those of some settings with a choice such as ``2``, ``H``, ``b1`` or ``1cab``."""
    choice = _plain(code)
    exact = [s for s in settings if s.choice.lower() == choice]
    if exact or choice not in ("1", "2"):
        return exact
    return [s for s in settings if s.choice.startswith(choice)]


def _plain(symbol: str) -> str:
    return re.sub(r"[\s_()'\"]|</?su[bp]>", "", symbol).lower()


@lru_cache(maxsize=1)
def _table() -> tuple[Setting, ...]:
    others = list(gemmi.spacegroup_table())
    names = {other.hall: other.xhm().replace(":", " :") for other in reversed(others)}
    settings = []
    for number in range(1, N_SETTINGS + 1):
        entry = spglib.get_spacegroup_type(number)
        name = names.get(entry.hall_symbol, entry.international_full.replace("_", ""))
        settings.append(Setting(entry.number, name, entry.choice, entry.hall_symbol))
    held = {s.symmetry.keys for s in settings}
    for other in others:
        if symmetry_of_hall(other.hall).keys not in held:
            settings.append(Setting(other.number, names[other.hall], "", other.hall))
    return tuple(settings)


@lru_cache(maxsize=1)
def _by_operations() -> dict[frozenset[int], Setting]:
    return {s.symmetry.keys: s for s in _table()}


@lru_cache(maxsize=1)
def _by_name() -> dict[str, list[Setting]]:
    names: dict[str, list[Setting]] = defaultdict(list)

    def add(name: str, setting: Setting) -> None:
        held = names[_plain(name)]
        if setting not in held:
            held.append(setting)

    for number in range(1, N_SETTINGS + 1):
        entry = spglib.get_spacegroup_type(number)
        setting = _table()[number - 1]
        full = entry.international_full
        short = entry.international.split("=")[0].strip()
        if 3 <= entry.number <= 15:  # there, 'international' is the standard setting
            lattice, *directions = full.split()
            short = " ".join([lattice, *(d for d in directions if d != "1")])
        for name in (full, short):
            add(name, setting)
            if entry.number in _DOUBLE_GLIDES:
                add(_with_double_glide(name), setting)
        if entry.number in _CUBIC_WITH_BAR:
            add(short.replace("-3", "3"), setting)
    further = set(_table()[N_SETTINGS:])
    for other in gemmi.spacegroup_table():
        setting = _by_operations()[symmetry_of_hall(other.hall).keys]
        add(other.hm, setting)
        if setting in further:
            add(other.short_name(), setting)
    return dict(names)


def _with_double_glide(name: str) -> str:
    """Return the symbol of 1992, in which e stands for two glides: A b m 2 is A e m 2."""
    parts = name.split()
    place = _GLIDE_PLACE[parts[0]]
    parts[place] = re.sub(r"[abc]$", "e", parts[place])
    return " ".join(parts)
