"""What comes out against what else the file says: formula, Z, density, multiplicities."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor

from pymatgen.core import Element

from superionic.errors import UnreadableFileError
from superionic.structures.cif.elements import is_element
from superionic.structures.cif.sites import Orbit, Sites
from superionic.structures.cif.syntax import Block, Number, parse_number
from superionic.structures.species import ISOTOPES, element_symbol

_PART = re.compile(r"([A-Z][a-z]?)(\d+\.?\d*|\.\d+)?(?:\(\d+\))?\s*")
_CAPITALS = re.compile(r"([A-Z]{1,2})(\d+\.?\d*|\.\d+)?(?:\(\d+\))?")
_SLACK = 1e-3
_SAME_DENSITY = 0.03
_OTHER_DENSITY = 0.10
_DALTON_PER_A3 = 1.66053907  # g/cm^3
_MAX_DENSITY = 30.0  # g/cm^3; above, the number has another unit


@dataclass(frozen=True)
class Stated:
    """What a file says of the content of its cell.

    Parameters
    ----------
    formula : dict
        Amount of each element, deuterium as H; empty when there is none.
    text : str
        The formula as it stands.
    z : int or None
        Formula units a cell.
    density_g_per_cm3 : float or None
        From the diffraction experiment, that is, of the stated content.
    hydrogens_unlisted : str
        Rows that name hydrogen without a row of its own.
    """

    formula: dict[str, Number]
    text: str = ""
    z: int | None = None
    density_g_per_cm3: float | None = None
    hydrogens_unlisted: str = ""


def parse_formula(text: str | None) -> dict[str, Number]:
    """Return the amounts of a formula such as ``Li5.28 P S5 Cl``; empty if it cannot be read.

    >>> parse_formula("Li2 O")["Li"].value
    2.0
    """
    plain = (text or "").strip()
    parts = _PART.findall(plain)
    if "".join(m.group() for m in _PART.finditer(plain)) != plain or not _elements(parts):
        capitals = [_CAPITALS.fullmatch(word) for word in plain.split()]
        parts = [(m[1].capitalize(), m[2] or "") for m in capitals if m]
        if len(parts) < len(capitals) or not _elements(parts):
            return {}
    amounts: dict[str, Number] = {}
    for symbol, digits in parts:
        number = parse_number(digits or "1") or Number(1.0)
        element = ISOTOPES.get(symbol, symbol)
        before = amounts.get(element, Number(0.0))
        decimals = max(before.decimals, number.decimals)
        amounts[element] = Number(before.value + number.value, decimals)
    return {el: n for el, n in amounts.items() if n.value > 0}


def _elements(parts: Sequence[tuple[str, str]]) -> bool:
    return bool(parts) and all(is_element(symbol) for symbol, _ in parts)


def read_stated(block: Block) -> Stated:
    """Return what a block says of the content of its cell."""
    text = block.text("_chemical_formula_sum")
    z = block.number("_cell_formula_units_Z")
    density = block.number("_exptl_crystal_density_diffrn")
    return Stated(
        formula=parse_formula(text),
        text=" ".join((text or "").split()),
        z=int(z.value) if z and z.value >= 1 and z.value.is_integer() else None,
        density_g_per_cm3=density.value if density and 0 < density.value < _MAX_DENSITY else None,
    )


def check_content(sites: Sites, volume_A3: float, stated: Stated) -> bool:
    """Hold the atoms of a cell against what the file says of them.

    Returns
    -------
    bool
        Whether something in the file confirms that the cell is complete: not that nothing speaks
        against it.

    Raises
    ------
    UnreadableFileError
        When the file contradicts the atoms: some are lost or doubled, or the symmetry is another.
    """
    confirmed = _check_multiplicities(sites)
    found = _content(sites)
    counted = False
    if stated.formula:
        counted = _check_formula(found, sites, stated)
    elif stated.hydrogens_unlisted:
        raise UnreadableFileError(
            f"Row {stated.hydrogens_unlisted} has hydrogen that has no row of its own.",
            hint="Give the positions of the hydrogens; a crystal without them is another one.",
        )
    if stated.density_g_per_cm3 is not None:
        mass = sum(amount.value * float(Element(el).atomic_mass) for el, amount in found.items())
        density = mass * _DALTON_PER_A3 / volume_A3
        off = abs(density / stated.density_g_per_cm3 - 1)
        if off > _OTHER_DENSITY and not counted:
            raise UnreadableFileError(
                f"The atoms in the cell have a density of {density:.2f} g/cm3, the file states"
                f" {stated.density_g_per_cm3:.2f}.",
                hint="The list of atoms or the symmetry is not that of the crystal; correct them,"
                " or _exptl_crystal_density_diffrn.",
            )
        confirmed = confirmed or off < _SAME_DENSITY
    return confirmed or counted


def _content(sites: Sites) -> dict[str, Number]:
    """Return how many atoms of each element the cell holds, and in ``su`` how far that is sure.

    Occupancies are rounded, but never by as much as a row that is lost or doubled.
    """
    partial = [r.occupancy for o in sites.orbits for r in o.rows if r.occupancy.value < 1]
    unit = 10.0 ** -max([2, *(n.decimals for n in partial)])
    totals: dict[str, float] = defaultdict(float)
    errors: dict[str, float] = defaultdict(float)
    least: dict[str, float] = defaultdict(lambda: float("inf"))
    for orbit in sites.orbits:
        n, filled = len(orbit.images), max(1.0, sum(row.occupancy.value for row in orbit.rows))
        for row in orbit.rows:
            element, occupancy = element_symbol(row.species), row.occupancy
            amount = n * occupancy.value / filled
            totals[element] += amount
            least[element] = min(least[element], amount)
            if occupancy.value < 1 or filled > 1:
                errors[element] += n * max(unit / 2, occupancy.su)
    return {el: Number(total, 0, min(errors[el], least[el] / 2.5)) for el, total in totals.items()}


def _check_formula(found: dict[str, Number], sites: Sites, stated: Stated) -> bool:
    """Compare the atoms with the formula; return whether Z says that they are all there."""
    formula = stated.formula
    made = " ".join(f"{el}{_plain(n.value)}" for el, n in found.items())
    text = f"The stated formula is {stated.text}, the atoms in the cell make {made}"
    missing = [el for el in formula if el not in found]
    unknown = [el for el in found if el not in formula]
    if missing or unknown:
        which = f"no {', '.join(missing)}" if missing else f"{', '.join(unknown)} is not in it"
        hint = (
            "The file may be cut short or lack atoms; complete it, or correct its"
            " _chemical_formula_sum."
        )
        if missing == ["H"]:
            rows = stated.hydrogens_unlisted
            named = f" They belong to row {rows}." if rows else ""
            hint = f"Give the positions of the hydrogens.{named}"
        raise UnreadableFileError(f"{text} ({which}).", hint=hint)
    low, high = 0.0, float("inf")
    for element, amount in formula.items():
        unit = 0.5 * 10.0**-amount.decimals if amount.decimals else 0.0
        atoms = found[element]
        low = max(low, (atoms.value - atoms.su) / (amount.value + unit) * (1 - _SLACK))
        high = min(high, (atoms.value + atoms.su) / max(amount.value - unit, 1e-6) * (1 + _SLACK))
    if low > high:
        raise UnreadableFileError(
            f"{text}: the ratios differ{_which_differ(found, formula, stated.z)}.",
            hint="The file may be cut short, repeat or lack atoms; correct its list of atoms, or"
            " its _chemical_formula_sum.",
        )
    whole = floor(high) >= ceil(low) and high >= 1
    if stated.z is None:
        ordered = all(n.su == 0 for n in found.values())
        if ordered and not whole and not any(n.decimals for n in formula.values()):
            raise UnreadableFileError(
                f"{text}, which is not a whole number of formula units.",
                hint="The file may be cut short; complete its list of atoms, or correct its"
                " _chemical_formula_sum.",
            )
        return False
    if low <= stated.z <= high:
        return True
    # Some programs state the content of the cell, not that of a formula unit.
    integers = [n.value for n in formula.values() if not n.decimals]
    of_cell = all(value % stated.z == 0 for value in integers)
    if low <= 1 <= high and of_cell:
        return False
    raise UnreadableFileError(
        f"{text}, that is {_plain((low + high) / 2)} formula units in the cell, not the stated"
        f" {stated.z} (_cell_formula_units_Z).",
        hint="Atoms or symmetry operations are missing or too many; correct them, or the formula"
        " and its Z.",
    )


def _which_differ(found: dict[str, Number], formula: dict[str, Number], z: int | None) -> str:
    """Name the elements that stand out among those that agree on the number of formula units."""
    ratios = {el: found[el].value / formula[el].value for el in formula}

    def differing(units: float) -> list[str]:
        return [el for el, ratio in ratios.items() if abs(ratio - units) > _SLACK * units]

    units = min(
        [*ratios.values(), float(z or 1)],
        key=lambda units: (len(differing(units)), units != round(units)),
    )
    parts = [
        f"{el} {_plain(found[el].value)} for {_plain(units * formula[el].value)}"
        for el in differing(units)
    ]
    return f" ({', '.join(parts)})" if parts else ""


def _plain(value: float) -> str:
    return f"{value:.4f}".rstrip("0").rstrip(".")


def _check_multiplicities(sites: Sites) -> bool:
    """Compare the numbers of images with those stated; return whether they say the same.

    The number is that of the sites in the cell; some programs write the order of the site's group.
    """
    stating = [o for o in sites.orbits if o.rows[0].multiplicity]
    wrong = [o for o in stating if not _as_stated(o)]
    n = sites.n_operations
    if wrong and any(len(o.images) * (o.rows[0].multiplicity or 0) != n for o in stating):
        orbit = wrong[0]
        raise UnreadableFileError(
            f"The symmetry makes {len(orbit.images)} atom{'s' if len(orbit.images) > 1 else ''} of"
            f" {orbit.rows[0].name}, the file says {orbit.rows[0].multiplicity}"
            " (_atom_site_symmetry_multiplicity).",
            hint="The position is rounded off a special one, or the symmetry is another; correct"
            " the coordinates, or the space group.",
        )
    return bool(stating) and n > 1


def _as_stated(orbit: Orbit) -> bool:
    stated = orbit.rows[0].multiplicity or 0
    return len(orbit.images) in (stated, stated * (1 + len(orbit.repeats)))
