"""The job that makes a crystal calculable."""

import time
from dataclasses import asdict, dataclass, field
from typing import Any

from jobflow import Maker, job
from pymatgen.core import Structure

from superionic.progress import report_stage
from superionic.schemas.common import Warning_
from superionic.schemas.screen import PreparedDocument
from superionic.structures.candidate import Candidate
from superionic.structures.prepare import PrepareSettings, prepare


@dataclass
class PrepareMaker(Maker):
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
        )
