"""The labelling flow of one material: prepare, relax, molecular dynamics."""

from dataclasses import dataclass, field, replace
from typing import Any

from jobflow import Flow, Maker

from superionic.flows.base import prepare_job
from superionic.jobs.diffusion import DiffusionMDMaker
from superionic.jobs.keys import task_key
from superionic.jobs.prepare import PrepareMaker
from superionic.jobs.relax import RelaxIfNeededMaker
from superionic.potentials.registry import parse_spec
from superionic.structures.candidate import Candidate
from superionic.structures.hashing import structure_hash


@dataclass
class LabelMaker(Maker):
    """Label one material with the diffusion of its mobile ion.

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
        Brings its positions to equilibrium, at the cell as given: rules that stop a run compare
        with the energy at its start.
    md_maker : DiffusionMDMaker
        Runs the dynamics; potential and mobile ion are those of the flow.
    """

    name: str = "label"
    mobile_species: str = "Li"
    potential: str = "chgnet"
    prepare_maker: PrepareMaker = field(default_factory=PrepareMaker)
    relax_maker: RelaxIfNeededMaker | None = field(
        default_factory=lambda: RelaxIfNeededMaker(max_force_eV_per_A=0.1)
    )
    md_maker: DiffusionMDMaker = field(default_factory=DiffusionMDMaker)

    def key(self, candidate: Candidate) -> str:
        """Return the key under which the label of a candidate is found again.

        Raises
        ------
        PotentialError
            When ``potential`` is not a specification.
        SettingsError, DiffusionError
            When the dynamics cannot be run as they are set.
        """
        potential = str(parse_spec(self.potential))
        identity: Any = replace(self._dynamics(), potential=potential).identity()
        return task_key(
            candidate.material_id,
            structure_hash(candidate.structure),
            replace(self, potential=potential, md_maker=identity),
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
            Its output is a :class:`~superionic.schemas.label.DiffusionDocument`.
        """
        prepare = prepare_job(self, candidate)
        jobs = [prepare]
        crystal = prepare.output
        if self.relax_maker is not None:
            relax = self.relax_maker.make(prepare.output, self.potential)
            jobs.append(relax)
            crystal = relax.output
        dynamics = self._dynamics().make(crystal, prepared=prepare.output)
        flow = Flow(
            [*jobs, dynamics],
            output=dynamics.output,
            name=f"{self.name} {candidate.material_id}",
        )
        flow.update_metadata({"material_id": candidate.material_id})
        return flow

    def _dynamics(self) -> DiffusionMDMaker:
        return replace(self.md_maker, potential=self.potential, mobile_species=self.mobile_species)
