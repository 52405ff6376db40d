"""The job that reads descriptors from a landscape."""

import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from jobflow import job

from superionic.landscape.settings import DESCRIPTORS_VERSION, DescriptorSettings
from superionic.progress import report_stage
from superionic.schemas.common import Warning_, finite
from superionic.schemas.screen import (
    DescriptorIntervals,
    DescriptorsDocument,
    LandscapeDocument,
    Origins,
    PreparedDocument,
    RelaxedDocument,
)
from superionic.workflows.jobs.maker import SettingsMaker

if TYPE_CHECKING:
    from superionic.landscape.intervals import Intervals


@dataclass
class DescriptorsMaker(SettingsMaker):
    """Read percolation barriers, free volumes and Xi from the landscapes of a crystal.

    Parameters
    ----------
    name : str
        Name of the job.
    settings : DescriptorSettings
        Thresholds.
    """

    name: str = "descriptors"
    settings: DescriptorSettings = field(default_factory=DescriptorSettings)

    @job(output_schema=DescriptorsDocument)
    def make(
        self,
        landscape: LandscapeDocument,
        prepared: PreparedDocument | None = None,
        relaxed: RelaxedDocument | None = None,
    ) -> DescriptorsDocument:
        """Read the descriptors of one crystal.

        Parameters
        ----------
        landscape : LandscapeDocument
            Its landscapes, arrays included.
        prepared : PreparedDocument, optional
            How it was prepared.
        relaxed : RelaxedDocument, optional
            How it was relaxed.
        """
        from superionic.landscape.descriptors import narrow_cell_remarks

        report_stage("descriptors")
        start = time.perf_counter()
        numbers = read_from(landscape, self.settings)
        steps = [step for step in (prepared, relaxed, landscape) if step is not None]
        # What was done before with another potential is paid for.
        own = steps if landscape.prior is None else [landscape]
        elapsed = time.perf_counter() - start
        composition = landscape.structure.composition
        return DescriptorsDocument(
            **Origins.from_provenance(prepared.provenance if prepared else {}).model_dump(),
            **landscape.identity,
            settings={step.kind: step.settings for step in steps}
            | {"descriptors": asdict(self.settings)},
            wall_time_s=elapsed,
            n_evaluations=sum(step.n_evaluations for step in own),
            warnings=[warning for step in steps for warning in step.warnings]
            + Warning_.from_remarks(narrow_cell_remarks(landscape.structure.lattice)),
            potential=landscape.potential,
            source=prepared.source if prepared else "",
            n_atoms=len(landscape.structure),
            elements=sorted(element.symbol for element in composition.elements),
            chemical_system=composition.chemical_system,
            relaxed=relaxed is not None and relaxed.relaxed,
            **numbers,
            ending=landscape.ending,
            prior=landscape.prior,
            landscape_uuid=landscape.job_uuid,
            total_wall_time_s=elapsed + sum(step.wall_time_s for step in own),
        )


def read_from(landscape: LandscapeDocument, settings: DescriptorSettings) -> dict[str, Any]:
    """Return what a document of descriptors says of the maps themselves, by the names of fields.

    Parameters
    ----------
    landscape : LandscapeDocument
        The maps, arrays included.
    settings : DescriptorSettings
        Thresholds.
    """
    from superionic.landscape.descriptors import compute_descriptors
    from superionic.landscape.intervals import descriptor_intervals

    computed = landscape.landscape()
    descriptors = compute_descriptors(computed.ion_maps(), computed.grid.lattice, settings)
    bounds = descriptor_intervals(computed, descriptors, settings)
    return {
        "descriptors_version": DESCRIPTORS_VERSION,
        "n_mobile": descriptors.n_mobile,
        "volume_A3": descriptors.cell_volume_A3,
        "mpe_eV": finite(descriptors.mpe_eV),
        "mobile_sites": computed.mobile_sites,
        "mpe_per_ion_eV": [finite(value) for value in descriptors.mpe_per_ion_eV],
        "barrier_1d_eV": finite(descriptors.barrier_1d_eV),
        "barrier_2d_eV": finite(descriptors.barrier_2d_eV),
        "barrier_3d_eV": finite(descriptors.barrier_3d_eV),
        "diffusivity_ratios_1000K": list(descriptors.diffusivity_ratios_1000K),
        "fv_connected": descriptors.fv_connected,
        "fv_disconnected": descriptors.fv_disconnected,
        "xi": descriptors.xi,
        "thresholds_eV": list(descriptors.thresholds_eV),
        "fv_connected_union": list(descriptors.fv_connected_union),
        "fv_connected_sum": list(descriptors.fv_connected_sum),
        "fv_disconnected_union": list(descriptors.fv_disconnected_union),
        "fv_disconnected_sum": list(descriptors.fv_disconnected_sum),
        "free_volume_A3_per_ion": list(descriptors.free_volume_A3_per_ion),
        "intervals": DescriptorIntervals(**bounded(bounds)) if bounds else None,
    }


def bounded(intervals: "Intervals") -> dict[str, Any]:
    """Return intervals as documents and JSON hold them: ``low`` and ``high``, None if infinite."""

    def one(value: Any) -> Any:
        if isinstance(value[0], tuple):
            return [one(pair) for pair in value]
        return {"low": finite(value[0]), "high": finite(value[1])}

    return {name: one(value) for name, value in intervals.items()}
