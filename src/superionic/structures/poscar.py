"""POSCAR and CONTCAR, read as VASP reads them, and strictly: nothing is guessed.

pymatgen leaves Cartesian coordinates of a file with a negative factor unscaled and refuses three
factors; ASE reads one line of symbols only.
"""

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Element, Lattice, Structure

from superionic.errors import UnreadableFileError
from superionic.structures.checks import check_lattice, check_number_of_sites

_NO_NAMES = "Write the element symbols in the sixth line, above the numbers of atoms."


def parse_poscar(text: str) -> Structure:
    """Return the crystal of a POSCAR or CONTCAR.

    A negative factor is the volume of the cell, three factors scale x, y and z; both hold for
    Cartesian coordinates, too. Symbols and numbers may run over several lines, and symbols may be
    those of POTCAR files (``Li_sv``, ``Ti_pv/1a2b3c``). Selective dynamics and velocities are read
    past.

    Parameters
    ----------
    text : str
        The file.

    Raises
    ------
    UnreadableFileError
        When elements are not named (VASP 4: they would have to be guessed), or rows are missing,
        left over, or not what stands there in a POSCAR.
    """
    rows = _Rows(text)
    rows.take("a comment")
    scale = _numbers(rows.take("the scaling factor"))
    if len(scale) not in (1, 3) or (len(scale) == 3 and min(scale) <= 0) or 0.0 in scale:
        raise rows.refusal("one scaling factor other than 0, or three above 0")
    cell = np.array([rows.vector("a lattice vector") for _ in range(3)])
    if scale[0] < 0:
        volume_A3 = abs(float(np.linalg.det(cell)))
        if not volume_A3 > 0:
            raise rows.refusal("a third lattice vector that is independent of the others")
        factors = np.full(3, np.cbrt(-scale[0] / volume_A3))
    else:
        factors = np.array(scale) if len(scale) == 3 else np.full(3, scale[0])
    check_lattice(cell * factors)
    symbols = _symbols(rows)
    counts = _counts(rows, len(symbols))
    n_sites = sum(counts)
    check_number_of_sites(n_sites)
    mode = rows.take("Direct or Cartesian")
    if mode[0].lower() == "s":
        mode = rows.take("Direct or Cartesian")
    if not mode[0].isalpha():
        raise rows.refusal("Direct or Cartesian")
    coords, named = _coordinates(rows, n_sites)
    species = [symbol for symbol, count in zip(symbols, counts, strict=False) for _ in range(count)]
    if not species:
        if any(name is None for name in named):
            raise UnreadableFileError("The file does not name its elements.", hint=_NO_NAMES)
        species = [str(name) for name in named]
    for number, (symbol, name) in enumerate(zip(species, named, strict=True), start=1):
        if name not in (None, symbol):
            raise UnreadableFileError(
                f"Atom {number} is {symbol} by the numbers of atoms and {name} by its own row.",
                hint="Rows were lost, doubled or sorted; export the file again.",
            )
    cartesian = mode[0].lower() in "ck"
    if cartesian:
        coords = coords * factors
    return Structure(
        Lattice(cell * factors), species, coords, coords_are_cartesian=cartesian, to_unit_cell=False
    )


class _Rows:
    """The rows of the file, one after the other."""

    def __init__(self, text: str) -> None:
        self._rows = text.splitlines()
        self._next = 0

    def peek(self) -> list[str]:
        """Return the words of the next row, without a comment; empty at the end."""
        if self._next >= len(self._rows):
            return []
        return self._rows[self._next].split("!")[0].split()

    def take(self, wanted: str) -> str:
        """Return the next row."""
        row = self._rows[self._next].strip() if self._next < len(self._rows) else ""
        self._next += 1
        if not row and self._next > 1:
            raise self.refusal(wanted)
        return row

    def words(self) -> list[str]:
        """Return the words of the row just taken, without a comment."""
        return self._rows[self._next - 1].split("!")[0].split()

    def vector(self, wanted: str) -> list[float]:
        """Return the three numbers that the next row begins with."""
        row = self.take(wanted)
        found = _numbers(row)
        if len(found) < 3 or not np.isfinite(found[:3]).all():
            raise self.refusal(wanted)
        return found[:3]

    def refusal(self, wanted: str) -> UnreadableFileError:
        """Return the error that the row just taken is not what was wanted."""
        if self._next > len(self._rows):
            text = f"The file ends at row {len(self._rows)}; {wanted} should follow."
            return UnreadableFileError(text, hint="It was cut short; copy or export it again.")
        row = self._rows[self._next - 1].strip()[:60]
        return UnreadableFileError(
            f"Row {self._next} should be {wanted}; it is {row!r}.",
            hint="Rows were lost or doubled, or it is no POSCAR; export it again.",
        )


def _numbers(row: str) -> list[float]:
    """Return the numbers that a row begins with; Fortran writes exponents with a d, too."""
    found = []
    for word in row.split():
        try:
            found.append(float(word.lower().replace("d", "e")))
        except ValueError:
            break
    return found


def _symbols(rows: _Rows) -> list[str]:
    """Return the symbols of the groups, none where the numbers of atoms follow at once."""
    symbols: list[str] = []
    while (words := rows.peek()) and not words[0].isdecimal():
        rows.take("element symbols")
        for word in words:
            symbol = word.split("/")[0].split("_")[0]
            if not Element.is_valid_symbol(symbol):
                raise rows.refusal(f"element symbols or numbers of atoms ({word} is neither)")
            symbols.append(symbol)
    return symbols


def _counts(rows: _Rows, n_symbols: int) -> list[int]:
    counts: list[int] = []
    while len(counts) < max(n_symbols, 1):
        rows.take("numbers of atoms")
        words = rows.words()
        if not words or not all(word.isdecimal() for word in words):
            raise rows.refusal("numbers of atoms")
        counts += [int(word) for word in words]
    if n_symbols and len(counts) != n_symbols:
        raise rows.refusal(f"{n_symbols} numbers of atoms, one for each symbol")
    return counts


def _coordinates(rows: _Rows, n_sites: int) -> tuple[NDArray[np.float64], list[str | None]]:
    """Return the coordinates and the element that each row names itself, if it does."""
    coords = np.empty((n_sites, 3))
    named: list[str | None] = []
    for i in range(n_sites):
        coords[i] = rows.vector(f"the coordinates of atom {i + 1} of {n_sites}")
        words = rows.words()[3:]
        if len(words) >= 3 and all(word.strip(".").upper() in _FLAGS for word in words[:3]):
            words = words[3:]
        named.append(words[0] if words and Element.is_valid_symbol(words[0]) else None)
    if len(_numbers(" ".join(rows.peek()))) >= 3:
        rows.take("nothing")
        raise rows.refusal(f"blank: the {n_sites} atoms have their coordinates")
    return coords, named


_FLAGS = {"T", "F", "TRUE", "FALSE"}
