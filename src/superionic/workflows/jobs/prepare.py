"""The job that makes a crystal calculable."""

import json
import time
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any, Protocol

from jobflow import Maker, job
from pymatgen.core import Structure

from superionic.errors import SettingsError
from superionic.progress import report_stage
from superionic.schemas.common import Warning_
from superionic.schemas.screen import PreparedDocument
from superionic.structures.candidate import Candidate
from superionic.structures.crystals import as_candidate
from superionic.structures.description import shortest_distances
from superionic.structures.noise import is_noisy
from superionic.structures.prepare import PrepareSettings, prepare
from superionic.workflows.jobs.maker import SettingsMaker


@dataclass
class PrepareMaker(SettingsMaker):
    """Make a crystal calculable: ordered, primitive, checked.

    Parameters
    ----------
    name : str
        Name of the job.
    settings : PrepareSettings
        Tolerances and limits.
    """

    name: str = "prepare"
    settings: PrepareSettings = field(default_factory=PrepareSettings)

    @job(output_schema=PreparedDocument)
    def make(
        self,
        structure: Structure,
        material_id: str,
        mobile_species: str,
        task_key: str,
        source: str = "",
        provenance: dict[str, Any] | None = None,
    ) -> PreparedDocument:
        """Prepare one crystal.

        Parameters
        ----------
        structure : pymatgen.core.Structure
            The crystal as it was read.
        material_id : str
            Its identifier.
        mobile_species : str
            Element symbol of the mobile ion.
        task_key : str
            Key of the flow that the job belongs to.
        source : str
            File or database that it came from.
        provenance : dict, optional
            What else is known of its origin.
        """
        report_stage("ordering and checking")
        start = time.perf_counter()
        candidate = Candidate(material_id, structure, source, provenance or {})
        prepared = prepare(candidate, mobile_species, self.settings)
        return PreparedDocument(
            material_id=material_id,
            formula=prepared.structure.composition.reduced_formula,
            mobile_species=mobile_species,
            task_key=task_key,
            settings=asdict(self.settings),
            wall_time_s=time.perf_counter() - start,
            warnings=Warning_.from_remarks(prepared.warnings),
            structure=prepared.structure,
            source=source,
            provenance=candidate.provenance,
            formula_as_read=structure.composition.formula,
            steps=list(prepared.steps),
            spacegroup_number=prepared.spacegroup_number,
            spacegroup_symbol=prepared.spacegroup_symbol,
            noisy=is_noisy(structure),
            shortest_distances_A=shortest_distances(prepared.structure, prepared.mobile_species),
        )


class MaterialFlow(Protocol):
    """What the first job of a flow has to know of the flow's Maker."""

    mobile_species: str
    prepare_maker: PrepareMaker

    def bound(self) -> "MaterialFlow":
        """Return the Maker as its jobs are told."""

    def first_key(self, candidate: Candidate) -> str:
        """Return the key that the documents of the first jobs carry."""


@dataclass
class PrepareForFlowMaker(PrepareMaker):
    """Prepare a crystal as the first job of a flow, and make the key of the flow.

    The job holds the Maker of the whole flow, so that settings that ``update_maker_kwargs`` changes
    later in the jobs are changed in the key, too. What jobs were told as arguments cannot be
    changed that way, and is refused.

    Parameters
    ----------
    name : str
        Name of the job.
    settings : PrepareSettings
        Those of the flow's own Maker.
    flow : Maker
        Maker of the flow.
    fixed : dict or None
        What cannot be changed any more; found when the flow is made.
    """

    flow: Any = None
    fixed: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        """Compare the flow with what its jobs were told."""
        now = _fixed_fields(self.flow)
        if self.fixed is None:
            self.fixed = now
        changed = sorted(name for name in now if self.fixed.get(name) != now[name])
        if changed or self.flow.bound() != self.flow:
            what = ", ".join(changed) or "potential or mobile_species of one of its Makers"
            raise SettingsError(
                f"The flow is made already: {what} cannot be changed in it any more.",
                hint="Change the Maker before: maker.update_kwargs(...).make(structure).",
            )
        self.settings = self.flow.prepare_maker.settings

    @job(output_schema=PreparedDocument)
    def make(
        self,
        structure: Any,
        material_id: str | None = None,
        source: str = "",
        provenance: dict[str, Any] | None = None,
    ) -> PreparedDocument:
        """Prepare one crystal, as it comes from a file or from the job before."""
        candidate = as_candidate(structure, material_id, source=source, provenance=provenance)
        flow: MaterialFlow = self.flow
        maker = flow.prepare_maker
        return type(maker).make.original(
            maker,
            candidate.structure,
            candidate.material_id,
            flow.mobile_species,
            flow.first_key(candidate),
            source=candidate.source,
            provenance=candidate.provenance,
        )


def _fixed_fields(flow: Any) -> dict[str, Any]:
    """Return in plain types what jobs of a flow are told, and which Makers it has."""
    found: dict[str, Any] = {}
    for one in fields(flow):
        value = getattr(flow, one.name)
        if isinstance(value, Maker):
            found[one.name] = type(value).__name__
        elif one.name != "name":
            nested = is_dataclass(value) and not isinstance(value, type)
            found[one.name] = asdict(value) if nested else value
    plain: dict[str, Any] = json.loads(json.dumps(found, default=str))
    return plain
