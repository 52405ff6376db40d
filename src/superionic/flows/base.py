"""What campaigns and workers know of the Maker of a flow."""

from typing import Any, Protocol

from jobflow import Job

from superionic.jobs.prepare import PrepareMaker
from superionic.structures.candidate import Candidate


class FlowMaker(Protocol):
    """A Maker of one flow for one material."""

    mobile_species: str
    potential: str
    prepare_maker: PrepareMaker

    def make(self, candidate: Candidate) -> Any:
        """Return the flow of a candidate."""

    def key(self, candidate: Candidate) -> str:
        """Return the key under which its result is found again."""


def prepare_job(maker: FlowMaker, candidate: Candidate) -> Job:
    """Return the first job of a flow, which carries the key of the flow into all documents."""
    job: Job = maker.prepare_maker.make(
        candidate.structure,
        candidate.material_id,
        maker.mobile_species,
        maker.key(candidate),
        source=candidate.source,
        provenance=candidate.provenance,
    )
    return job
