"""Files that can be downloaded: CSV, CIF and Gaussian cube files."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from superionic.report.serve.models import TableRow
from superionic.text import csv_lines

if TYPE_CHECKING:
    from pymatgen.core import Structure

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_COMMENT = 80
_VALUES_A_LINE = 6


def attachment(name: str) -> dict[str, str]:
    """Return the header that makes a browser save an answer; the name has no quotes."""
    return {"Content-Disposition": f'attachment; filename="{name}"'}


def rows_csv(pages: Iterable[Sequence[TableRow]]) -> Iterator[str]:
    """Yield pages of rows as CSV, each as one text; lists are joined by semicolons."""
    names = list(TableRow.model_fields)
    for index, page in enumerate(pages):
        lines = csv_lines(names, (row.model_dump() for row in page))
        yield "".join(islice(lines, int(index > 0), None))  # heads once


def cube_text(
    structure: "Structure",
    energies_eV: NDArray[np.float64],
    origin: tuple[float, float, float],
    comment: str,
) -> str:
    """Return a map on a regular grid as a Gaussian cube file.

    Parameters
    ----------
    structure : Structure
        The crystal.
    energies_eV : ndarray, shape (n1, n2, n3)
        The map in eV; its point (i, j, k) lies at ``origin`` + (i/n1, j/n2, k/n3), fractional.
    origin : tuple of float
        Fractional coordinates of the first point.
    comment : str
        Said in the second line.

    Notes
    -----
    Lengths are in bohr, as the format wants; values stay in eV, and the first line says so.
    """
    from ase.units import Bohr

    lattice = np.array(structure.lattice.matrix) / Bohr
    first = np.array(origin) @ lattice
    lines = [
        "superionic: smallest energy of any mobile ion, in eV above its own minimum",
        _UNSAFE.sub(" ", comment).strip()[:_LONGEST_COMMENT],
        _cube_line(len(structure), first),
    ]
    for n, vector in zip(energies_eV.shape, lattice, strict=True):
        lines.append(_cube_line(n, vector / n))
    for site in structure:
        number = int(site.specie.Z)
        lines.append(f"{number:5d}{float(number):12.6f}" + _numbers(site.coords / Bohr))
    for run in energies_eV.reshape(-1, energies_eV.shape[2]):
        values = [f"{value:13.5E}" for value in run]
        lines += [
            "".join(values[start : start + _VALUES_A_LINE])
            for start in range(0, len(values), _VALUES_A_LINE)
        ]
    return "\n".join(lines) + "\n"


def _cube_line(n: int, vector: NDArray[np.float64]) -> str:
    return f"{n:5d}" + _numbers(vector)


def _numbers(vector: NDArray[np.float64]) -> str:
    return "".join(f"{value:12.6f}" for value in vector)
