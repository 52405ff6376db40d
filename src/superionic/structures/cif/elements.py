"""Which element a symbol or label of a CIF stands for."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from pymatgen.core import Element

_TYPE = re.compile(
    r"(?P<mass>\d{1,3})?(?P<letters>[A-Za-z]+)(?P<rest>[+-]\d*|\d*\.?\d+[+-]?|\d+\w*|\(.*\)|['*_].*)?"
)
_VACANCIES = frozenset({"va", "vac", "vacancy"})
_GROUPS = frozenset({"oh", "ow", "oh2", "h2o", "wat", "water"})
_TWOFOLD = frozenset({"Ho", "Co", "No", "Po", "Hf"})  # in capitals, two elements
_HYDROGEN = {2: "D", 3: "T"}
_DUMMY = frozenset({"x", "xx", "q", "zz", "dum", "dummy", "ghost", "gh", "bq"})


@dataclass(frozen=True)
class Reading:
    """What a symbol says.

    Parameters
    ----------
    element : str or None
        Symbol of the element, ``D`` and ``T`` among them; None when nothing can be said.
    problem : str
        Why not, as the end of a sentence that begins with the row.
    vacancy : bool
        The symbol stands for an empty site.
    names_hydrogen : bool
        The symbol is that of a group with hydrogen, such as ``OH``.
    """

    element: str | None
    problem: str = ""
    vacancy: bool = False
    names_hydrogen: bool = False


def is_element(symbol: str) -> bool:
    """Return whether ``symbol`` is that of an element up to lawrencium, or D or T."""
    return Element.is_valid_symbol(symbol) and Element(symbol).Z <= 103


def read_type_symbol(symbol: str, formula: Collection[str]) -> Reading:
    """Return what a value of ``_atom_site_type_symbol`` stands for.

    Ions (``Li1+``, ``O2-``), isotopes (``7Li``, ``2H``) and capital letters are understood.

    Parameters
    ----------
    symbol : str
        As in the file.
    formula : collection of str
        Elements of the stated formula; empty when there is none.
    """
    bare = symbol.strip()
    if bare.lower() in _VACANCIES:
        return Reading(None, vacancy=True)
    if re.sub(r"[\d+-]+$|-", "", bare).lower() in _GROUPS or bare.lower() in _GROUPS:
        return Reading("O", names_hydrogen=True)
    match = _TYPE.fullmatch(bare)
    if match is None:
        return Reading(None, f"has the symbol {symbol!r}, which is no element")
    letters, mass = match["letters"], match["mass"]
    title = letters.capitalize()
    if len(letters) <= 2 and is_element(title):
        twofold = letters.isupper() and title in _TWOFOLD
        if twofold and not (title in formula and letters[0] not in formula):
            problem = f"has the symbol {symbol!r}, which may be {title} or a group of two"
            return Reading(None, problem)
        if mass and title == "H":
            title = _HYDROGEN.get(int(mass), "H")
        return Reading(title)
    if letters.lower() == "hw":
        return Reading("H")
    if letters.lower() in ("cval", "siva"):  # form factors of SHELX and others
        return Reading(letters[:-3] if letters.lower() == "cval" else "Si")
    if bare.lower() in _DUMMY:
        return Reading(None, f"is {symbol!r}, which is not a chemical element but a dummy")
    return Reading(None, f"has the symbol {symbol!r}, which is no element")


def read_label(label: str, others: Collection[str], formula: Collection[str]) -> Reading:
    """Return what a label stands for where the file has no type symbols.

    A label begins with the symbol of its element; what follows is free. ``Li1`` is clear, ``LI1``
    is, too, ``HO1`` may be holmium or the hydrogen of a hydroxyl: the formula decides, else the
    way in which the other labels are written.

    Parameters
    ----------
    label : str
        As in the file.
    others : collection of str
        All labels of the file.
    formula : collection of str
        Elements of the stated formula; empty when there is none.
    """
    letters = _letters(label)
    if letters.lower() in _VACANCIES and not formula:
        return Reading(None, "has no type symbol, and its label may mean a vacancy or vanadium")
    if not letters:
        return Reading(None, "has no type symbol, and its label names no element")
    if re.match(r"wat(er)?\b|wat\d|h2o", label, re.IGNORECASE):
        return Reading("O", names_hydrogen=True)
    pair, single = letters[:2].capitalize(), letters[:1].upper()
    choices = [s for s in dict.fromkeys((pair, single)) if is_element(s)]
    if not choices:
        problem = "is a dummy" if letters.lower() in _DUMMY else "names no element by its label"
        return Reading(None, problem)
    names_hydrogen = single == "O" and letters[1:2].upper() in ("H", "W")
    if len(choices) == 1:
        return Reading(choices[0], names_hydrogen=names_hydrogen and choices == ["O"])
    in_formula = [s for s in choices if s in formula]
    if formula:
        element = in_formula[0] if len(in_formula) == 1 else None
        if letters[1].islower() and pair in formula:
            element = pair
    else:
        element = _by_other_labels(letters, others)
    if element:
        return Reading(element)
    return Reading(None, f"has no type symbol, and its label may mean {pair} or {single}")


def _by_other_labels(letters: str, others: Collection[str]) -> str | None:
    """Return the element of a label that may mean two by how the other labels are written."""
    pair, first, second = letters[:2].capitalize(), letters[0].upper(), letters[1].upper()
    starts = {_letters(other)[:2] for other in others} - {letters[:2], ""}
    elements = {s for s in starts if len(s) == 2 and is_element(s.capitalize())}
    single = {s[0].upper() for s in starts - elements}  # O of O1, OH1, Ow1
    if letters[1].islower():
        suffixes = any(s[1:].islower() for s in starts - elements)  # as of Ow1
        twofold = second in single and (suffixes or first in single)
        return None if twofold else pair
    if any(s[1].islower() for s in elements):  # here an element has a small second letter
        return first if second in single else None
    return None if {first, second} & single else pair


def _letters(label: str) -> str:
    match = re.match(r"\d*([A-Za-z]+)", label.strip())
    return match[1] if match else ""
