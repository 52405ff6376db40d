"""Where crystals come from and how they become calculable."""

from superionic.errors import Remark
from superionic.structures.candidate import Candidate, structure_hash
from superionic.structures.prepare import PreparedCrystal, PrepareSettings, orderings_of, prepare
from superionic.structures.readers import read_candidates
from superionic.structures.species import MobileSpecies, parse_mobile_species

__all__ = [
    "Candidate",
    "MobileSpecies",
    "PrepareSettings",
    "PreparedCrystal",
    "Remark",
    "orderings_of",
    "parse_mobile_species",
    "prepare",
    "read_candidates",
    "structure_hash",
]
