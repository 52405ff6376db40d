"""A candidate: one crystal, as it came, with where it came from."""

from dataclasses import dataclass, field
from typing import Any

from pymatgen.core import Structure


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
        What else is known of its origin (licence, database version, record keys).
    """

    material_id: str
    structure: Structure
    source: str = ""
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def work(self) -> float:
        """Return a rough measure of what it costs, for the order of work and the time it takes."""
        return float(self.structure.volume * len(self.structure) ** 2)
