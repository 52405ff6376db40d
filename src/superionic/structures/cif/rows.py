"""The rows of the list of atoms: one for one, or refused by name."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import DummySpecies, Element, Species, get_el_sp

from superionic.errors import Remark, UnreadableFileError
from superionic.structures.cif.elements import Reading, is_element, read_label, read_type_symbol
from superionic.structures.cif.syntax import Block, Number, parse_number
from superionic.structures.species import element_symbol

_MIXED = re.compile(r"(?:\d*\.?\d+\s*[A-Z][a-z]?)(?:\s*\+\s*\d*\.?\d+\s*[A-Z][a-z]?)+")
_PART = re.compile(r"(\d*\.?\d+)\s*([A-Z][a-z]?)")
_FARTHEST = 1e8  # cells; beyond, a fraction has no digits left
_THIRD_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Row:
    """One row of the list of atoms.

    Parameters
    ----------
    number : int
        Its place in the list, from 1.
    label : str
        Its label.
    symbol : str
        Its type symbol, empty when there is none.
    species : pymatgen Element or Species
        What it is.
    occupancy : Number
        How much of the site it fills.
    position : ndarray of shape (3,)
        Fractional coordinates.
    unit : float
        One unit in the last place of the coordinates.
    multiplicity : int or None
        As stated.
    """

    number: int
    label: str
    symbol: str
    species: Element | Species
    occupancy: Number
    position: NDArray[np.float64]
    unit: float
    multiplicity: int | None = None

    @property
    def name(self) -> str:
        """Return how a message calls the row."""
        return f"row {self.number} ({self.label})"


def capitalised(text: str) -> str:
    """Return text that begins a sentence."""
    return text[:1].upper() + text[1:]


@dataclass(frozen=True)
class AtomList:
    """The list of atoms of a block.

    Parameters
    ----------
    rows : tuple of Row
        Those that hold atoms.
    remarks : tuple of Remark
        What was understood of the others, and of isotopes.
    hydrogens_unlisted : str
        Which rows name hydrogen that has no row; empty when none does.
    """

    rows: tuple[Row, ...]
    remarks: tuple[Remark, ...] = ()
    hydrogens_unlisted: str = ""


@dataclass
class _Columns:
    """The columns of the list of atoms that are used, each as long as the list."""

    labels: list[str]
    types: list[str | None] | None
    occupancies: list[str | None]
    coordinates: list[list[str | None]]
    multiplicities: list[str | None]
    flags: list[str | None]
    hydrogens: list[str | None]
    groups: list[str | None]
    assemblies: list[str | None]
    remarks: list[Remark] = field(default_factory=list)


def read_rows(block: Block, formula: Sequence[str]) -> AtomList:
    """Return the rows of the list of atoms of a block.

    Parameters
    ----------
    block : Block
        The data block.
    formula : sequence of str
        Elements of the stated formula, empty when there is none; they decide what a label means.

    Raises
    ------
    UnreadableFileError
        Naming the row that cannot be understood, since an atom that is left out makes another
        crystal.
    """
    columns = _columns(block)
    charges = _oxidation_states(block)
    rows: list[Row] = []
    named: list[str] = []
    attached: list[str] = []
    for index, label in enumerate(columns.labels):
        name = f"Row {index + 1} ({label})"
        flag = (columns.flags[index] or "").lower()
        if flag == "dum":
            _note(columns, "dummy", f"{name} is a dummy (calc_flag dum) and was left out.")
            continue
        occupancy = _occupancy(columns.occupancies[index], name)
        if occupancy.value == 0:
            _note(columns, "occupancy", f"{name} has occupancy 0 and was left out.")
            continue
        parts = _parts(columns, index, occupancy, formula, name)
        if parts is None:
            continue
        hydrogens = parse_number(columns.hydrogens[index] or "0")
        if hydrogens and hydrogens.value > 0:
            attached.append(f"{index + 1} ({label})")
        elif any(reading.names_hydrogen for _, reading, _ in parts):
            named.append(f"{index + 1} ({label})")
        position, unit = _position(columns, index, name)
        multiplicity = re.match(r"\d+", columns.multiplicities[index] or "")  # 16, or 16e
        for symbol, reading, share in parts:
            rows.append(
                Row(
                    number=index + 1,
                    label=label,
                    symbol=symbol,
                    species=_species(str(reading.element), symbol, charges),
                    occupancy=share,
                    position=position,
                    unit=unit,
                    multiplicity=int(multiplicity[0]) if multiplicity else None,
                )
            )
    _check_disorder_groups(columns, rows)
    if any(element_symbol(row.species) == "H" for row in rows):
        named = []  # OH1 is the oxygen, its hydrogen has a row
    return AtomList(tuple(rows), tuple(columns.remarks), ", ".join([*attached, *named]))


def _columns(block: Block) -> _Columns:
    coordinates = [block.column(f"_atom_site_fract_{axis}") for axis in "xyz"]
    if any(c is None for c in coordinates):
        cartesian = block.column("_atom_site_Cartn_x") is not None
        raise UnreadableFileError(
            "The atoms have Cartesian coordinates only."
            if cartesian
            else "The block holds a unit cell but no list of atoms with fractional coordinates.",
            hint="Export the crystal with _atom_site_fract_x, _y and _z."
            if cartesian
            else "It may be cut short, or be another kind of data; export the crystal again.",
        )
    kept = [c for c in coordinates if c is not None]
    n = len(kept[0])
    nothing: list[str | None] = [None] * n

    def column(*tags: str) -> list[str | None]:
        found = block.column(*tags)
        return found if found is not None else nothing

    types = block.column("_atom_site_type_symbol")
    labels = column("_atom_site_label")
    columns = _Columns(
        labels=[a or b or "?" for a, b in zip(labels, types or nothing, strict=False)],
        types=types,
        occupancies=column("_atom_site_occupancy"),
        coordinates=kept,
        multiplicities=column(
            "_atom_site_symmetry_multiplicity",
            "_atom_site_site_symmetry_multiplicity",
            "_atom_site_Wyckoff_symbol",
        ),
        flags=column("_atom_site_calc_flag"),
        hydrogens=column("_atom_site_attached_hydrogens"),
        groups=column("_atom_site_disorder_group"),
        assemblies=column("_atom_site_disorder_assembly"),
    )
    others = (
        columns.types or nothing,
        columns.occupancies,
        columns.multiplicities,
        columns.flags,
        columns.hydrogens,
        columns.groups,
        columns.assemblies,
    )
    lengths = {len(column) for column in (*kept, *others)} | {len(columns.labels)}
    if len(lengths) > 1:
        raise UnreadableFileError(
            "The columns of the list of atoms differ in length.",
            hint="Keep labels, symbols, coordinates and occupancies in one loop.",
        )
    return columns


def _note(columns: _Columns, code: str, text: str) -> None:
    remark = Remark(code, text)
    if remark not in columns.remarks:
        columns.remarks.append(remark)


def _occupancy(text: str | None, name: str) -> Number:
    if text is None:
        return Number(1.0)  # the dictionary's default, for '.' and '?' too
    number = parse_number(text)
    if number is None or number.value < 0:
        raise UnreadableFileError(
            f"{name} has the occupancy {text!r}.", hint="Give a number from 0 to 1."
        )
    return number


def _parts(
    columns: _Columns, index: int, occupancy: Number, formula: Sequence[str], name: str
) -> list[tuple[str, Reading, Number]] | None:
    """Return symbol, element and occupancy of each of the species of a row; None if vacant."""
    symbol = columns.types[index] if columns.types else None
    mixed = symbol or columns.labels[index]
    if _MIXED.fullmatch(re.sub(r"\(\d+\)", "", mixed).strip()):
        shares = _PART.findall(re.sub(r"\(\d+\)", "", mixed))
        bad = [s for _, s in shares if not is_element(s)]
        if not bad:
            return [(s, Reading(s), parse_number(share) or Number(1.0)) for share, s in shares]
    if symbol is not None:
        reading = read_type_symbol(symbol, formula)
    else:
        reading = read_label(columns.labels[index], columns.labels, formula)
    if reading.vacancy:
        _note(columns, "vacancy", f"{name} is a vacancy ({symbol}) and was left out.")
        return None
    if reading.element is None:
        raise UnreadableFileError(
            f"{name} {reading.problem}.",
            hint="Name the element in the column _atom_site_type_symbol, or delete the row if it"
            " is no atom.",
        )
    mass = re.match(r"\d+", symbol) if symbol else None
    if mass and reading.element not in ("D", "T"):
        text = f"The isotope {symbol} is taken as {reading.element}."
        _note(columns, "isotope", text)
    return [(symbol or "", reading, occupancy)]


def _position(columns: _Columns, index: int, name: str) -> tuple[NDArray[np.float64], float]:
    texts = [c[index] for c in columns.coordinates]
    numbers = [parse_number(t) if t is not None else None for t in texts]
    known = [n for n in numbers if n is not None]
    if len(known) < 3 or any(abs(n.value) > _FARTHEST for n in known):
        given = ", ".join(t if t is not None else "?" for t in texts)
        raise UnreadableFileError(
            f"{name} has the coordinates {given}, not three fractions of the cell.",
            hint="Correct the row; an atom without a place cannot be left out.",
        )
    values = np.array([_third(n.value) for n in known])
    return values, 10.0 ** -max(2, *(n.decimals for n in known))


def _third(value: float) -> float:
    """Return a third, or two, when four decimals of it are given."""
    for third in (1 / 3, 2 / 3):
        if abs(value / third - 1.0) <= _THIRD_TOLERANCE:
            return third
    return value


def _oxidation_states(block: Block) -> dict[str, float] | None:
    symbols = block.column("_atom_type_symbol")
    states = block.column("_atom_type_oxidation_number")
    if symbols is None or states is None or len(symbols) != len(states):
        return None
    numbers = [parse_number(s) if s is not None else None for s in states]
    if any(s is None for s in symbols) or any(n is None for n in numbers):
        return None
    found = {str(s): n.value for s, n in zip(symbols, numbers, strict=True) if n is not None}
    return {**{re.sub(r"\d?[+-]?$", "", s): q for s, q in found.items()}, **found}


def _species(element: str, symbol: str, charges: dict[str, float] | None) -> Element | Species:
    if charges is None:
        species = get_el_sp(element)
        assert not isinstance(species, DummySpecies)
        return species
    return Species(element, charges.get(symbol, charges.get(element, 0.0)))


def _check_disorder_groups(columns: _Columns, rows: Sequence[Row]) -> None:
    """Refuse alternatives of a disordered assembly that are all fully occupied."""
    largest: dict[str, dict[str, Row]] = {}
    for row in rows:
        group = columns.groups[row.number - 1]
        assembly = columns.assemblies[row.number - 1] or ""
        if group is None or group == "0":
            continue
        held = largest.setdefault(assembly, {})
        if group not in held or held[group].occupancy.value < row.occupancy.value:
            held[group] = row
    for assembly, groups in largest.items():
        full = [row for row in groups.values() if row.occupancy.value > 0.999]
        if len(groups) > 1 and len(full) > 1:
            where = f" of assembly {assembly}" if assembly else ""
            raise UnreadableFileError(
                f"The disorder groups {', '.join(groups)}{where} exclude one another, but"
                f" {' and '.join(r.name for r in full)} are all fully occupied.",
                hint="Give occupancies that add up to 1 over the groups, or keep one group.",
            )
