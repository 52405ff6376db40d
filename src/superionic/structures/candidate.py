"""A candidate: one crystal, as it came, with where it came from."""

from dataclasses import dataclass, field
from typing import Any

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
