"""Names of ions and elements: what a user types and what a file holds."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pymatgen.core import Composition, DummySpecies, Element, Species

from superionic.errors import InputError, SettingsError

ISOTOPES = {"D": "H", "T": "H"}

_ION = re.compile(r"(?P<name>[A-Za-z]{1,2})(?:(?P<d1>\d?)(?P<sign>[+-])(?P<d2>\d?))?")


@dataclass(frozen=True)
class MobileSpecies:
    """The ion whose transport is studied.

    Parameters
    ----------
    element : str
        Element symbol; every atom of this element is a mobile ion.
    charge : int or None
        Formal charge in elementary charges, when the user gave one.
    """

    element: str
    charge: int | None = None

    def __str__(self) -> str:
        if self.charge is None:
            return self.element
        digits = "" if abs(self.charge) == 1 else str(abs(self.charge))
        return f"{self.element}{digits}{'+' if self.charge > 0 else '-'}"


def parse_mobile_species(text: str) -> MobileSpecies:
    """Return the mobile ion that ``text`` names.

    Parameters
    ----------
    text : str
        An element with an optional charge: ``Li``, ``Li+``, ``F-``, ``Mg2+``, ``O-2``. Deuterium
        and tritium count as H. Case is forgiven.

    Raises
    ------
    SettingsError
        When ``text`` is neither.
    """
    hint = "Name an element with an optional charge, such as Li, Na+, Mg2+ or F-."
    match = _ION.fullmatch(text.strip())
    symbol = match["name"].capitalize() if match else ""
    element = ISOTOPES.get(symbol, symbol)
    if match is None or not Element.is_valid_symbol(element):
        raise SettingsError(f"{text!r} is not the name of an ion.", hint=hint)
    if match["sign"] is None:
        return MobileSpecies(element)
    if match["d1"] and match["d2"]:
        raise SettingsError(f"{text!r} has two charges.", hint=hint)
    size = int(match["d1"] or match["d2"] or 1)
    if size == 0:
        raise SettingsError(f"{text!r} has the charge 0, which carries no current.", hint=hint)
    return MobileSpecies(element, size if match["sign"] == "+" else -size)


def element_symbol(species: Element | Species | DummySpecies) -> str:
    """Return the symbol of the chemical element of a species; isotopes of hydrogen are H.

    Raises
    ------
    InputError
        For a dummy species (``X``, a vacancy), which no potential can evaluate.
    """
    if isinstance(species, DummySpecies):
        raise InputError(
            f"A site holds {species.symbol!r}, which is not a chemical element.",
            hint="Delete the site if it stands for a vacancy, or name its element.",
        )
    return str(species.symbol)


def isotope(species: Element | Species | DummySpecies) -> str | None:
    """Return ``D`` or ``T`` for deuterium and tritium, whose symbol is that of hydrogen."""
    if isinstance(species, DummySpecies):
        return None
    element = species.element if isinstance(species, Species) else species
    return element.name if isinstance(element, Element) and element.name in ISOTOPES else None


def element_composition(composition: Composition) -> Composition:
    """Return ``composition`` by elements, without oxidation states and isotopes."""
    amounts: dict[str, float] = {}
    for species, amount in composition.items():
        symbol = element_symbol(species)
        amounts[symbol] = amounts.get(symbol, 0.0) + amount
    return Composition(amounts)


_ANIONS = {
    "O": "oxides",
    "F": "fluorides",
    "S": "sulphides",
    "Cl": "chlorides",
    "N": "nitrides",
    "Se": "selenides",
    "Br": "bromides",
    "I": "iodides",
    "H": "hydrides",
}
"""Families by anion; of several in a crystal the first decides."""


def anion_family(elements: Iterable[str]) -> str:
    """Return the family of a crystal by its first anion, oxygen before others.

    Examples
    --------
    >>> anion_family(["Li", "P", "S", "Cl"]), anion_family(["Li", "As"])
    ('sulphides', 'others')
    """
    own = set(elements)
    return next((name for anion, name in _ANIONS.items() if anion in own), "others")
