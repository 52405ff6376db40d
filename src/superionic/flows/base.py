"""What campaigns and workers know of the Maker of a flow."""

from typing import Any, Protocol

from superionic.structures.candidate import Candidate


class FlowMaker(Protocol):
    """A Maker of one flow for one material."""

    mobile_species: str
    potential: str

    def make(self, candidate: Candidate) -> Any:
        """Return the flow of a candidate."""

    def key(self, candidate: Candidate) -> str:
        """Return the key under which its result is found again."""
