"""What the flows of one material share, and what campaigns and workers know of their Makers."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol, Self

from jobflow import Flow, Job, OutputReference

from superionic.potentials.base import PotentialInfo
from superionic.potentials.registry import identify_potential, load_potential, parse_spec
from superionic.structures.candidate import Candidate, structure_hash
from superionic.structures.crystals import Crystal, as_candidate
from superionic.workflows.jobs.maker import SettingsMaker
from superionic.workflows.jobs.prepare import PrepareForFlowMaker, PrepareMaker
from superionic.workflows.jobs.relax import RelaxIfNeededMaker
from superionic.workflows.keys import task_key


class FlowMaker(Protocol):
    """A Maker of one flow for one material, as processes that run it know it."""

    mobile_species: str
    potential: str

    def make(self, candidate: Candidate) -> Any:
        """Return the flow of a candidate."""

    def info(self) -> PotentialInfo:
        """Return the identity of what gives its numbers."""


class MaterialMaker(SettingsMaker):
    """Base of the Makers of a flow for one material.

    The crystal may be there when the flow is made, or be the output of a job that has not run. The
    key under which the result is found again is made by the first job, from the crystal as it comes
    and from the settings that the flow has then: those of ``update_maker_kwargs`` count.
    """

    mobile_species: str
    potential: str
    prepare_maker: PrepareMaker
    relax_maker: RelaxIfNeededMaker | None = None

    def make(
        self,
        structure: Crystal | OutputReference,
        material_id: str | None = None,
        *,
        source: str = "",
        provenance: Mapping[str, Any] | None = None,
    ) -> Flow:
        """Return the flow of one material.

        Parameters
        ----------
        structure : Structure, Atoms, path, Candidate or OutputReference
            The crystal; a file with one; or the output of a job that gives one, such as
            ``relax.output.structure`` of atomate2.
        material_id : str, optional
            Its identifier. By default that of the candidate or file, of
            ``structure.properties["material_id"]``, else its formula with the start of its hash.
        source : str
            File or database that it came from.
        provenance : mapping, optional
            What else is known of its origin.

        Raises
        ------
        InputError
            When it is no crystal.
        SettingsError, PotentialError
            When the flow cannot be run as it is set.
        """
        crystal = as_argument(structure, material_id, source, provenance)
        return self.flow_of(self.bound().jobs(crystal), crystal["material_id"])

    def bound(self) -> Self:
        """Return the Maker as its jobs are told, whatever way it is written."""
        changes: dict[str, Any] = {"potential": str(parse_spec(self.potential))}
        return replace(self, **changes)

    def identity(self) -> PotentialInfo:
        """Return the identity of what gives the numbers, which is not loaded for it.

        Raises
        ------
        PotentialError
            When it is not known here.
        """
        return identify_potential(self.potential)

    def info(self) -> PotentialInfo:
        """Return the identity of what gives the numbers, which has proved itself.

        Raises
        ------
        PotentialError
            When it cannot be loaded, or fails its self-check.
        """
        return load_potential(self.potential).info

    def answering(self) -> Self | None:
        """Return a Maker whose result, where it is there, answers the same question as well."""
        return None

    def with_options(self) -> Self:
        """Return the Maker with the options that commands and functions of its flow have.

        Each is a keyword argument, None where it is not given; there are none here.

        Raises
        ------
        SettingsError, DiffusionError
            When a number makes no sense, or options exclude each other.
        """
        return self

    def key(self, candidate: Candidate) -> str:
        """Return the key under which the result of a candidate is found again.

        Raises
        ------
        SuperionicError
            When the flow cannot be run as it is set.
        """
        return task_key(candidate.material_id, structure_hash(candidate.structure), self.bound())

    def first_key(self, candidate: Candidate) -> str:
        """Return the key that the documents of the first jobs carry."""
        return self.key(candidate)

    def jobs(self, crystal: Mapping[str, Any]) -> list[Job]:
        """Return the jobs of a crystal: it is prepared, relaxed if the flow does that, and used."""
        prepare: Job = PrepareForFlowMaker(name=self.prepare_maker.name, flow=self).make(**crystal)
        if self.relax_maker is None:
            return [prepare, *self.steps(prepare, prepare)]
        relax: Job = self.relax_maker.make(prepare.output, self.potential)
        return [prepare, relax, *self.steps(relax, prepare)]

    def steps(self, crystal: Job, prepare: Job) -> list[Job]:
        """Return the jobs after preparation and relaxation; the last gives the flow its output.

        Parameters
        ----------
        crystal : Job
            Gives the crystal to be used: the relaxation, or the preparation where there is none.
        prepare : Job
            Knows where it came from.
        """
        raise NotImplementedError

    def flow_of(self, jobs: list[Job], material_id: str | None) -> Flow:
        """Return the flow of some jobs with the name of the material."""
        flow = Flow(jobs, output=jobs[-1].output, name=f"{self.name} {material_id or ''}".strip())
        if material_id is not None:
            flow.update_metadata({"material_id": material_id})
        return flow


def as_argument(
    structure: Any,
    material_id: str | None,
    source: str = "",
    provenance: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return what the first job of a flow is told of a crystal, or of the reference to one."""
    if isinstance(structure, OutputReference):
        known = {"source": source, "provenance": dict(provenance or {})}
        return {"structure": structure, "material_id": material_id, **known}
    candidate = as_candidate(structure, material_id, source=source, provenance=provenance)
    return {
        "structure": candidate.structure,
        "material_id": candidate.material_id,
        "source": candidate.source,
        "provenance": candidate.provenance,
    }
