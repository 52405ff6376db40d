"""The identity of a structure as a number."""

import hashlib

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Structure

GRID = 1e-6
"""Resolution of the hash, in A for the lattice and in fractions of it for coordinates."""

_BOUNDARY = 0.545
"""Where a rounding cell ends, in units of the grid.

Files write decimals and simple fractions. A boundary at 0.5 would lie exactly on numbers with seven
decimals, so that float noise decides; 0.545 is far from those and from 1/3, 1/4, 1/6 and 1/8.
"""


def structure_hash(structure: Structure) -> str:
    """Return a hash of lattice, species and fractional coordinates, as they stand.

    Equal up to float noise means equal hashes: noise below 1e-8 changes nothing for numbers of up
    to seven decimals (numbers in full precision lie within such noise of a rounding boundary with
    a probability of about 1 %, and within 1e-12 of one with 1e-6). Anything else, be it an
    equivalent cell or another order of the atoms, gives another hash.

    Parameters
    ----------
    structure : pymatgen.core.Structure
        May be disordered or carry oxidation states.

    Returns
    -------
    str
        SHA-256, 64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    digest.update(_grid_bytes(structure.lattice.matrix))
    digest.update(_grid_bytes(structure.frac_coords))
    for site in structure:
        parts = sorted(f"{species}:{amount:.6f}" for species, amount in site.species.items())
        digest.update((" ".join(parts) + "\n").encode())
    return digest.hexdigest()


def _grid_bytes(values: NDArray[np.float64]) -> bytes:
    cells = np.floor(np.asarray(values, dtype=float) / GRID + (1.0 - _BOUNDARY))
    return cells.astype("<i8").tobytes()
