"""Crystals and their origins as plain data: read by their keys, and by nothing else.

pymatgen's and monty's own decoders import whatever module the data name (``@module``), in site
properties, too. What comes from outside, be it a file or a document, is therefore read here.
"""

import math
import re
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import DummySpecies, Element, Lattice, Species, Structure
from pymatgen.core.periodic_table import get_el_sp

from superionic.errors import InputError, NotACrystalError, UnreadableFileError
from superionic.structures.checks import check_lattice, check_number_of_sites

_COMPLETE = "Complete the record, or leave it out."
_INT64 = 2**63
_DUMMY = re.compile(r"(X|Vac)(?![a-z])")

Occupancies = dict[Element | Species | DummySpecies, float]


def structure_from_dict(data: Any) -> Structure:
    """Return the crystal that a dictionary describes, without importing anything that it names.

    Two forms are read: ``Structure.as_dict`` of pymatgen, of which lattice, sites with species and
    coordinates, charge and site properties of plain types (numbers, text, lists of them) are
    kept; and ``lattice`` (3 x 3, A), ``species`` and ``frac_coords``.

    Parameters
    ----------
    data : dict
        As JSON or MongoDB gives it.

    Raises
    ------
    InputError
        One of its subclasses, saying which key is missing or wrong.

    Examples
    --------
    >>> lattice = [[3.15, 0, 0], [0, 3.15, 0], [0, 0, 3.15]]
    >>> coords = [[0, 0, 0], [0.5, 0.5, 0.5]]
    >>> data = {"lattice": lattice, "species": ["Li", "Cl"], "frac_coords": coords}
    >>> structure_from_dict(data).composition.reduced_formula
    'LiCl'
    """
    if not isinstance(data, Mapping):
        raise UnreadableFileError(
            f"The structure is {_kind(data)}, not an object with lattice and sites.",
            hint="Write Structure.as_dict of pymatgen.",
        )
    if "sites" in data:
        if "lattice" not in data:
            raise NotACrystalError(
                "The entry has sites but no lattice: it is a molecule.", hint="Give a crystal."
            )
        return _from_sites(data)
    species, coords = _key(data, "species"), _key(data, "frac_coords")
    if not isinstance(species, Sequence) or isinstance(species, str):
        raise _wrong("species", "a list of symbols", species)
    check_number_of_sites(len(species))
    n_coords = len(coords) if isinstance(coords, Sequence) else 0
    if len(species) != n_coords:
        raise UnreadableFileError(
            f"The record has {len(species)} species but {n_coords} coordinates.", hint=_COMPLETE
        )
    lattice = lattice_from_data(_key(data, "lattice"))
    return Structure(
        lattice, [_composition_of_text(one) for one in species], [_vector(one) for one in coords]
    )


def lattice_from_data(data: Any) -> Lattice:
    """Return a lattice from a 3 x 3 list, or from a dictionary with ``matrix`` or lengths, angles.

    Raises
    ------
    UnreadableFileError
        When it is neither.
    NotACrystalError
        When the lengths and angles make no cell.
    """
    if not isinstance(data, Mapping):
        return _lattice(_matrix(data))
    pbc = data.get("pbc") or (True, True, True)
    if not isinstance(pbc, Sequence) or len(pbc) != 3:
        raise _wrong("pbc", "three truth values", pbc)
    periodic = (bool(pbc[0]), bool(pbc[1]), bool(pbc[2]))
    if "matrix" in data:
        return _lattice(_matrix(data["matrix"]), periodic)
    values = [_number(_key(data, name), name) for name in _PARAMETERS]
    try:
        with np.errstate(all="ignore"):
            matrix = Lattice.from_parameters(*values).matrix.tolist()
        return _lattice(matrix, periodic)
    except (ValueError, ArithmeticError):
        angles = ", ".join(f"{value:g}" for value in values[3:])
        raise NotACrystalError(
            f"Angles of {angles} degrees make no cell.", hint="Correct the lattice."
        ) from None


def _lattice(matrix: list[list[float]], pbc: tuple[bool, bool, bool] = (True,) * 3) -> Lattice:
    check_lattice(np.array(matrix))
    return Lattice(matrix, pbc=pbc)


_PARAMETERS = ("a", "b", "c", "alpha", "beta", "gamma")


def plain_provenance(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what may be kept of where a crystal came from: plain text and numbers by name.

    Kept are text, numbers, truth values, and the list ``remarks`` of objects with ``code`` and
    ``text``. Left out is what a decoder could take for an object (keys with ``@``), what MongoDB
    cannot hold (keys with ``$`` or NUL), and all that is nested.
    """
    kept: dict[str, Any] = {}
    for key, value in data.items():
        if not isinstance(key, str) or not key or key[0] in "@$" or "\0" in key:
            continue
        if key == "remarks":
            if _are_remarks(value):
                kept[key] = [
                    {name: plain_text(text) for name, text in one.items()} for one in value
                ]
        elif isinstance(value, str):
            kept[plain_text(key)] = plain_text(value)
        elif isinstance(value, bool | float):
            kept[plain_text(key)] = value
        elif isinstance(value, int):
            kept[plain_text(key)] = value if -_INT64 <= value < _INT64 else str(value)
    return kept


def plain_text(text: str) -> str:
    """Return text that databases, tables and file systems can hold: without control characters.

    Left out are control characters, marks that turn the direction of writing, and lone halves of
    surrogate pairs.
    """
    return _CONTROL.sub("", text)


_CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)


def _are_remarks(value: Any) -> bool:
    """Return whether a value is a list of remarks, as candidates are written with."""
    return isinstance(value, list) and all(
        isinstance(one, Mapping)
        and one.keys() == {"code", "text"}
        and all(isinstance(text, str) for text in one.values())
        for one in value
    )


def _from_sites(data: Mapping[str, Any]) -> Structure:
    lattice = lattice_from_data(data["lattice"])
    sites = data["sites"]
    if not isinstance(sites, Sequence) or isinstance(sites, str):
        raise _wrong("sites", "a list", sites)
    check_number_of_sites(len(sites))
    species, coords, properties = [], [], []
    for number, site in enumerate(sites, start=1):
        if not isinstance(site, Mapping):
            raise _wrong(f"site {number}", "an object", site)
        try:
            occupancies = _occupancies(_key(site, "species"))
            if not occupancies:
                continue
            species.append(occupancies)
            coords.append(_fractional(site, lattice))
        except InputError as error:
            raise type(error)(f"Site {number}: {error.message}", hint=error.hint) from None
        properties.append(_plain_properties(site.get("properties")))
    names = sorted(set.intersection(*map(set, properties))) if properties else []
    charge = data.get("charge")
    return Structure(
        lattice,
        species,
        coords,
        charge=_number(charge, "charge") if charge is not None else None,
        site_properties={name: [one.get(name) for one in properties] for name in names},
    )


def _fractional(site: Mapping[str, Any], lattice: Lattice) -> NDArray[np.float64]:
    if "abc" in site:
        return np.array(_vector(site["abc"]))
    xyz = _vector(_key(site, "xyz"))
    return np.asarray(lattice.get_fractional_coords(xyz))


def _occupancies(entries: Any) -> Occupancies:
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise _wrong("species", "a list of elements with occupancies", entries)
    found: Occupancies = {}
    for entry in entries:
        if not isinstance(entry, Mapping):
            raise _wrong("species", "a list of elements with occupancies", entry)
        species = _species(entry)
        found[species] = found.get(species, 0.0) + _number(_key(entry, "occu"), "occu")
    return _bounded(found)


def _bounded(found: Occupancies) -> Occupancies:
    """Return occupancies above 0; rounding may bring their sum a little above 1."""
    total = sum(found.values())
    if any(not amount >= 0 for amount in found.values()):
        raise UnreadableFileError(
            "An occupancy is negative or no number.", hint="Occupancies lie between 0 and 1."
        )
    if total > 1.0 + _ROUNDING:
        raise UnreadableFileError(
            f"Its occupancies add up to {total:.4g}.", hint="They may add up to 1 at most."
        )
    return {species: amount / max(total, 1.0) for species, amount in found.items() if amount > 0}


_ROUNDING = 0.02


def _species(entry: Mapping[str, Any]) -> Element | Species | DummySpecies:
    symbol = _key(entry, "element")
    oxidation = entry.get("oxidation_state")
    number = _number(oxidation, "oxidation_state") if oxidation is not None else None
    if not isinstance(symbol, str):
        raise _wrong("element", "a symbol", symbol)
    if not Element.is_valid_symbol(symbol):
        if _DUMMY.match(symbol):
            return DummySpecies("X", number or 0)
        raise UnreadableFileError(
            f"{plain_text(symbol)[:20]!r} is not a chemical element.", hint="Correct its symbol."
        )
    if "oxidation_state" not in entry:
        return Element(symbol)
    properties = entry.get("properties")
    spin = properties.get("spin") if isinstance(properties, Mapping) else entry.get("spin")
    return Species(symbol, number, spin=spin if _is_number(spin) else None)


def _composition_of_text(symbol: Any) -> Occupancies:
    """Return a species as pymatgen takes it: ``Li``, ``Li+``, or a mapping to occupancies."""
    amounts = {symbol: 1.0} if isinstance(symbol, str) else symbol
    if not isinstance(amounts, Mapping):
        raise _wrong("species", "a list of symbols", symbol)
    found: Occupancies = {}
    for name, amount in amounts.items():
        try:
            species = get_el_sp(str(name))
        except (ValueError, KeyError):
            species = None
        if species is None or (isinstance(species, DummySpecies) and not _DUMMY.match(str(name))):
            text = plain_text(str(name))[:40]
            raise UnreadableFileError(f"{text!r} is not a species.", hint=_COMPLETE)
        found[species] = found.get(species, 0.0) + _number(amount, "occupancy")
    return _bounded(found)


def _plain_properties(properties: Any) -> dict[str, Any]:
    if not isinstance(properties, Mapping):
        return {}
    unpacked = {key: _without_array(value) for key, value in properties.items()}
    return {
        key: value
        for key, value in unpacked.items()
        if isinstance(key, str) and not key.startswith("@") and _is_plain(value)
    }


def _without_array(value: Any) -> Any:
    """Return the list in what monty writes for a numpy array, such as velocities."""
    if isinstance(value, Mapping) and value.get("@module") == "numpy" and "data" in value:
        return value["data"]
    return value


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_plain(one) for one in value)
    return value is None or isinstance(value, str | bool | int | float)


def _key(data: Mapping[str, Any], name: str) -> Any:
    if name not in data:
        raise UnreadableFileError(f"The structure lacks {name!r}.", hint=_COMPLETE)
    return data[name]


def _matrix(data: Any) -> list[list[float]]:
    if not isinstance(data, Sequence) or isinstance(data, str) or len(data) != 3:
        raise _wrong("lattice", "three vectors", data)
    return [_vector(one) for one in data]


def _vector(data: Any) -> list[float]:
    if not isinstance(data, Sequence) or isinstance(data, str) or len(data) != 3:
        raise _wrong("coordinates", "three numbers", data)
    return [_number(one, "coordinates") for one in data]


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _number(value: Any, name: str) -> float:
    if not _is_number(value):
        raise _wrong(name, "a number", value)
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _wrong(name: str, wanted: str, value: Any) -> UnreadableFileError:
    return UnreadableFileError(f"{name} should be {wanted}; it is {_kind(value)}.", hint=_COMPLETE)


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, str):
        return f"text ({plain_text(value)[:30]!r})"
    if isinstance(value, Mapping):
        return f"an object with {', '.join(map(str, list(value)[:5])) or 'nothing in it'}"
    if isinstance(value, Sequence):
        return f"a list of {len(value)}"
    return repr(value)[:40]
