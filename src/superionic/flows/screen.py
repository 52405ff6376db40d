"""The screening flow of one material: prepare, relax, landscape, descriptors."""

from dataclasses import dataclass, field, replace

from jobflow import Flow, Maker

from superionic.flows.base import prepare_job
from superionic.jobs.descriptors import DescriptorsMaker
from superionic.jobs.keys import task_key
from superionic.jobs.landscape import LandscapeMaker
from superionic.jobs.prepare import PrepareMaker
from superionic.jobs.relax import RelaxIfNeededMaker
from superionic.potentials.registry import parse_spec
from superionic.structures.candidate import Candidate
from superionic.structures.hashing import structure_hash


@dataclass
class ScreenMaker(Maker):
    """Rank one material by its frozen-framework landscape.

    Parameters
    ----------
    name : str
        Name of the flow.
    mobile_species : str
        Element symbol of the mobile ion.
    potential : str
        Specification of the potential, such as ``chgnet``.
    prepare_maker : PrepareMaker
        Makes the crystal calculable.
    relax_maker : RelaxIfNeededMaker or None
        Brings it to equilibrium; None takes the crystal as it is.
    landscape_maker : LandscapeMaker
        Computes the landscapes.
    descriptors_maker : DescriptorsMaker
        Reads descriptors from them.
    """

    name: str = "screen"
    mobile_species: str = "Li"
    potential: str = "chgnet"
    prepare_maker: PrepareMaker = field(default_factory=PrepareMaker)
    relax_maker: RelaxIfNeededMaker | None = field(default_factory=RelaxIfNeededMaker)
    landscape_maker: LandscapeMaker = field(default_factory=LandscapeMaker)
    descriptors_maker: DescriptorsMaker = field(default_factory=DescriptorsMaker)

    def key(self, candidate: Candidate) -> str:
        """Return the key under which the result of a candidate is found again.

        Raises
        ------
        PotentialError
            When ``potential`` is not a specification.
        """
        return task_key(
            candidate.material_id,
            structure_hash(candidate.structure),
            replace(self, potential=str(parse_spec(self.potential))),
        )

    def make(self, candidate: Candidate) -> Flow:
        """Return the flow of one candidate.

        Parameters
        ----------
        candidate : Candidate
            A crystal, as it was read.

        Returns
        -------
        jobflow.Flow
            Its output is a :class:`~superionic.schemas.screen.DescriptorsDocument`.
        """
        prepare = prepare_job(self, candidate)
        jobs = [prepare]
        relax = None
        if self.relax_maker is not None:
            relax = self.relax_maker.make(prepare.output, self.potential)
            jobs.append(relax)
        crystal = prepare.output if relax is None else relax.output
        landscape = self.landscape_maker.make(crystal, self.potential)
        descriptors = self.descriptors_maker.make(
            landscape.output, prepare.output, None if relax is None else relax.output
        )
        flow = Flow(
            [*jobs, landscape, descriptors],
            output=descriptors.output,
            name=f"{self.name} {candidate.material_id}",
        )
        flow.update_metadata({"material_id": candidate.material_id})
        return flow
