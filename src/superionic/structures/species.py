"""Mobile ions: their names, charges and defaults; compositions by element."""

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


LITHIUM_EXCLUSION_RADIUS_A = 1.2
"""Published for lithium (Maevskiy et al., arXiv:2411.06804), in A."""

_OXIDE_RADIUS_A = 1.40
_LITHIUM_RADIUS_A = 0.76

SMALLEST_EXCLUSION_RADIUS_A = 0.5
"""Below this, in A, potentials are not asked for energies; they were never trained there."""


@dataclass(frozen=True)
class MobileIon:
    """An ion that may move.

    Parameters
    ----------
    element : str
        Element symbol.
    charge : int
        Usual formal charge, in elementary charges.
    radius_A : float
        Ionic radius at coordination number six, in A (R. D. Shannon, Acta Cryst. A 32, 751 (1976)).
    """

    element: str
    charge: int
    radius_A: float

    @property
    def exclusion_radius_A(self) -> float:
        """Return how near, in A, to another ion the landscape is still evaluated.

        The published 1.2 A is 0.56 of a Li-O distance (0.76 + 1.40 A): far inside the wall, so that
        no passage is cut, and far enough out that a potential's energies mean something. Other ions
        get the same fraction of their own contact distance, a cation to oxide (1.40 A), an anion to
        lithium (0.76 A), the smallest common counter-ion.
        """
        partner_A = _OXIDE_RADIUS_A if self.charge > 0 else _LITHIUM_RADIUS_A
        fraction = (self.radius_A + partner_A) / (_LITHIUM_RADIUS_A + _OXIDE_RADIUS_A)
        return round(LITHIUM_EXCLUSION_RADIUS_A * fraction, 2)


MOBILE_IONS: dict[str, MobileIon] = {
    ion.element: ion
    for ion in (
        MobileIon("Li", 1, 0.76),
        MobileIon("Na", 1, 1.02),
        MobileIon("K", 1, 1.38),
        MobileIon("Rb", 1, 1.52),
        MobileIon("Cs", 1, 1.67),
        MobileIon("Cu", 1, 0.77),
        MobileIon("Ag", 1, 1.15),
        MobileIon("Mg", 2, 0.72),
        MobileIon("Ca", 2, 1.00),
        MobileIon("Zn", 2, 0.74),
        MobileIon("Al", 3, 0.535),
        MobileIon("F", -1, 1.33),
        MobileIon("Cl", -1, 1.81),
        MobileIon("Br", -1, 1.96),
        MobileIon("I", -1, 2.20),
        MobileIon("O", -2, 1.40),
        MobileIon("S", -2, 1.84),
    )
}
"""The ions with defaults of their own; any other needs its charge and radius from the user."""


def exclusion_radius_A(mobile: MobileSpecies, given_A: float | None = None) -> float:
    """Return the exclusion radius of a mobile ion, in A.

    Parameters
    ----------
    mobile : MobileSpecies
        The ion.
    given_A : float, optional
        The user's own value, in A; it wins.

    Raises
    ------
    SettingsError
        When the ion has no default and none is given, or the given one is too small.
    """
    if given_A is not None:
        if given_A < SMALLEST_EXCLUSION_RADIUS_A:
            raise SettingsError(
                f"An exclusion radius of {given_A} A lets ions sit on top of each other.",
                hint=f"Choose at least {SMALLEST_EXCLUSION_RADIUS_A} A; lithium has 1.2 A.",
            )
        return given_A
    ion = MOBILE_IONS.get(mobile.element)
    if ion is None:
        raise SettingsError(
            f"There is no default exclusion radius for {mobile.element}.",
            hint="Give one with --exclusion-radius, about 0.55 of its shortest bond, in A.",
        )
    return ion.exclusion_radius_A


def charge_of(given_e: float | None, mobile: str) -> float:
    """Return the charge of an ion in elementary charges: as given, or the usual one of the element.

    Examples
    --------
    >>> charge_of(None, "Mg"), charge_of(1.5, "Mg")
    (2.0, 1.5)
    """
    if given_e is not None:
        return given_e
    return float(MOBILE_IONS[mobile].charge) if mobile in MOBILE_IONS else 1.0
