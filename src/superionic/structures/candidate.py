"""A crystal on its way through a campaign: its name, where it came from, its hash."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Structure

from superionic.structures.plain import plain_provenance


@dataclass(frozen=True)
class Candidate:
    """One crystal to be screened.

    Parameters
    ----------
    material_id : str
        Identifier, unique within a campaign.
    structure : pymatgen.core.Structure
        The crystal as it was read; it may be disordered or oxidation-decorated.
    source : str
        File or database that it came from.
    provenance : dict
        What else is known of its origin (licence, database version, record keys); of it, what
        :func:`~superionic.structures.plain.plain_provenance` keeps.
    """

    material_id: str
    structure: Structure
    source: str = ""
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Keep plain data only: jobs and documents are decoded by the types that they name."""
        object.__setattr__(self, "provenance", plain_provenance(self.provenance))

    @property
    def work(self) -> float:
        """Return a rough measure of what it costs, for the order of work and the time it takes."""
        return float(self.structure.volume * len(self.structure) ** 2)


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
