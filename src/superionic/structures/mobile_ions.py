"""What differs from one mobile ion to the next: its charge, its size, and how near it may come."""

from dataclasses import dataclass

from superionic.errors import SettingsError
from superionic.structures.species import MobileSpecies

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
