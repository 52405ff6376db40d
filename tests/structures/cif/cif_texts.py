"""CIF texts as tests write them, and what a crystal is compared by."""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure

from superionic.errors import InputError, Remark
from superionic.structures.cif import read_cif

CELL_TAGS = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")


def cif(
    cell: Iterable[float] | Lattice,
    rows: Iterable[str],
    head: str = "",
    columns: str = "label type_symbol fract_x fract_y fract_z",
    digits: int = 6,
) -> str:
    """Return a file with one block: cell, what ``head`` says, and the list of atoms."""
    values = cell.parameters if isinstance(cell, Lattice) else cell
    lines = ["data_x"]
    lines += [f"_cell_{t} {v:.{digits}f}" for t, v in zip(CELL_TAGS, values, strict=True)]
    lines += [head.strip("\n"), "loop_", *(f"_atom_site_{c}" for c in columns.split()), *rows]
    return "\n".join(line for line in lines if line) + "\n"


def contents(text: str) -> list[Structure | Exception]:
    """Return what is made of each block, or of the whole file."""
    try:
        return [record.content for record in read_cif(text)]
    except InputError as error:
        return [error]


def read_one(text: str) -> tuple[Structure, tuple[Remark, ...]]:
    """Return the only crystal of a file and its remarks."""
    (record,) = read_cif(text)
    if isinstance(record.content, Exception):
        raise record.content
    return record.content, record.remarks


def refusal(text: str) -> str:
    """Return why a file is refused, the way out included."""
    (content,) = contents(text)
    assert isinstance(content, InputError), content
    assert content.hint
    return str(content)


def has_sites(
    structure: Structure, sites: Mapping[str, NDArray[np.float64]], within: float
) -> bool:
    """Return whether a crystal has just these atoms, by element, at these fractions of its cell."""
    symbols = np.array([str(site.specie.symbol) for site in structure])
    if len(structure) != sum(map(len, sites.values())):
        return False
    for symbol, expected in sites.items():
        found = structure.frac_coords[symbols == symbol]
        if len(found) != len(expected):
            return False
        shifts = found[:, None] - expected[None]
        off = np.abs(shifts - np.round(shifts)).max(axis=2)
        if max(off.min(axis=0).max(), off.min(axis=1).max()) > within:
            return False
    return True


def is_same(one: Structure, other: Structure) -> bool:
    """Return whether two crystals agree: cells, and sites whatever their order."""
    if len(one) != len(other):
        return False
    if not np.allclose(one.lattice.parameters, other.lattice.parameters, atol=1e-3):
        return False
    shifts = one.frac_coords[:, None] - other.frac_coords[None]
    near = np.abs(shifts - np.round(shifts)).max(axis=2) < 1e-3
    kinds = [np.array([site.species_string for site in s]) for s in (one, other)]
    return bool((near & (kinds[0][:, None] == kinds[1][None])).any(axis=1).all())
